"""What exercises 08.3 and 08.4 must return: experts that never run, shares and their errors."""

import math

import numpy as np

from mixlab.checks.cases.router_decisions import choices
from mixlab.checks.oracles import Misconception, Oracle


def _dead(chosen, n_experts):
    return np.array([[not (layer == e).any() for e in range(n_experts)] for layer in chosen])


def _dead_first(chosen, n_experts):
    return _dead(chosen[..., :1], n_experts)


def _dead_pooled(chosen, n_experts):
    return _dead(chosen.reshape(1, -1, chosen.shape[-1]), n_experts)[0]


def _dead_pooled_first(chosen, n_experts):
    return _dead(chosen[..., :1].reshape(1, -1, 1), n_experts)[0]


def _dead_as_given(chosen, n_experts):
    return np.bincount(chosen[..., 0].ravel()) == 0


def _dead_without_the_last(chosen, n_experts):
    """As long as the largest number that ran: nothing comparable where layers differ."""
    rows = [np.bincount(layer.ravel()) == 0 for layer in chosen]
    return np.stack(rows) if len({len(row) for row in rows}) == 1 else None


def _dead_pooled_rows(chosen, n_experts):
    return np.tile(_dead_pooled(chosen, n_experts), (len(chosen), 1))


def _by_text(chosen, expert):
    return (chosen == expert).reshape(len(chosen), -1).mean(axis=1)


def _error(chosen, expert):
    shares = _by_text(chosen, expert)
    n = len(shares)
    return np.array([shares.mean(), math.sqrt(((shares - shares.mean()) ** 2).sum() / (n - 1) / n)])


def _tokens_count(chosen, expert, observations):
    p = _by_text(chosen, expert).mean()
    return np.array([p, math.sqrt(p * (1 - p) / observations)])


def _spread(values):
    """Mean and error of a mean, all values taken for independent."""
    return np.array([values.mean(), values.std(ddof=1) / math.sqrt(values.size)])


def _scaled(chosen, expert, share=1.0, error=1.0):
    return _error(chosen, expert) * np.array([share, error])


_DEAD_EXAMPLES = (
    (np.array([[[0, 1], [2, 1]], [[1, 0], [1, 2]]]), 4),
    (np.array([[[3, 0], [1, 3]], [[0, 2], [3, 2]], [[0, 1], [1, 0]]]), 4),
)


_TEXTS = choices(np.random.default_rng(8), (6, 12), 4, 2, stay=0.8)


def _share_error(index):
    return ("the share", "the standard error")[index[0]]


def _layer_expert(index):
    return f"layer {index[0]}, expert {index[1]}" if len(index) == 2 else ""


EXERCISES = {
    "08.3": Oracle(
        expected=_dead,
        show=lambda chosen, n: f"dead_experts(chosen of shape {chosen.shape}, n_experts={n})",
        place=_layer_expert,
        name=lambda value: "dead (True)" if value else "alive (False)",
        examples=_DEAD_EXAMPLES,
        misconceptions=(
            Misconception("all three mistakes are still there.", _dead_as_given),
            Misconception(
                "your rows end with the largest number that ran, so a dead last expert is never "
                "counted.",
                _dead_without_the_last,
            ),
            Misconception(
                "all layers are pooled, and only first choices are counted. Expert 3 of one layer "
                "has nothing to do with expert 3 of another, and a second choice runs too.",
                _dead_pooled_first,
            ),
            Misconception(
                "all layers are pooled. Expert 3 of one layer has nothing to do with expert 3 of "
                "another: a dead one hides behind its living namesakes.",
                _dead_pooled,
            ),
            Misconception(
                "all layers are pooled, and every row is the same. A dead expert hides behind its "
                "living namesakes in other layers.",
                _dead_pooled_rows,
            ),
            Misconception(
                "you look at first choices only. An expert that is always a second choice runs, "
                "and is alive.",
                _dead_first,
            ),
            Misconception(
                "your table is True where an expert is alive.", lambda c, n: ~_dead(c, n)
            ),
        ),
    ),
    "08.4": Oracle(
        expected=_error,
        show=lambda chosen, expert: (
            f"share_and_error(chosen of shape {chosen.shape}, expert={expert})"
        ),
        place=_share_error,
        name=lambda value: f"{value:.5f}",
        examples=((_TEXTS, 0), (_TEXTS[:4], 1), (_TEXTS[::2], 3)),
        misconceptions=(
            Misconception(
                "√(p (1 - p) / n) takes all choices for independent. Neighbouring tokens hang "
                "together: count texts.",
                lambda c, e: _tokens_count(c, e, c.size),
            ),
            Misconception(
                "√(p (1 - p) / n) takes the tokens for independent. Neighbours hang together: "
                "count texts.",
                lambda c, e: _tokens_count(c, e, c.shape[0] * c.shape[1]),
            ),
            Misconception(
                "your observations are single choices. Neighbours hang together: make one number "
                "of each text first.",
                lambda c, e: _spread(1.0 * (c == e)),
            ),
            Misconception(
                "your observations are single tokens. Neighbours hang together: make one number "
                "of each text first.",
                lambda c, e: _spread((c == e).mean(axis=2)),
            ),
            Misconception(
                "√(p (1 - p) / texts) is for texts that are wholly for or against an expert. "
                "A text has a share: use how much the shares differ.",
                lambda c, e: _tokens_count(c, e, len(c)),
            ),
            Misconception(
                "this is the spread of the texts, not the error of their mean: divide by √texts.",
                lambda c, e: _scaled(c, e, error=math.sqrt(len(c))),
            ),
            Misconception(
                "this is the spread of the texts, with n below the sum of squares, not the error "
                "of their mean: n - 1 belongs there, and a division by √texts.",
                lambda c, e: _scaled(c, e, error=math.sqrt(len(c) - 1)),
            ),
            Misconception(
                "n - 1 belongs below the sum of squares: the mean comes from the same texts. "
                "`std` divides by n unless it is told ddof=1.",
                lambda c, e: _scaled(c, e, error=math.sqrt((len(c) - 1) / len(c))),
            ),
            Misconception(
                "you count tokens that chose the expert at all. Each token makes k choices, and "
                "the share is one of all choices.",
                lambda c, e: _scaled(c, e, share=c.shape[2], error=c.shape[2]),
            ),
            Misconception(
                "you look at first choices only. The share is one of all choices.",
                lambda c, e: _error(c[..., :1], e),
            ),
            Misconception(
                "the spread of the texts is divided by n, and should be by √n.",
                lambda c, e: _scaled(c, e, error=1 / math.sqrt(len(c))),
            ),
            Misconception(
                "this is half of a 95% interval: 1.96 standard errors. One is asked for.",
                lambda c, e: _scaled(c, e, error=1.96),
            ),
            Misconception(
                "this is the square of the error: take the root.",
                lambda c, e: _error(c, e) * np.array([1, _error(c, e)[1]]),
            ),
        ),
    ),
}
