"""What the exercises of chapter 08 must return, in NumPy and in float64."""

import math
from itertools import pairwise

import numpy as np
import torch

from mixlab.checks.cases.router_decisions import choices
from mixlab.checks.oracles import Misconception, Oracle

# --- 08.1 -----------------------------------------------------------------------------------


def _pairs(chosen, lengths):
    """All (before, after) of neighbouring tokens of one text, as lists of experts."""
    for text, length in zip(chosen.tolist(), lengths, strict=True):
        yield from pairwise(text[:length])


def _rates(pairs):
    pairs = list(pairs)
    if not pairs:
        return np.array([np.nan, np.nan])
    first = sum(a[0] == b[0] for a, b in pairs)
    common = sum(bool(set(a) & set(b)) for a, b in pairs)
    return np.array([first, common]) / len(pairs)


def _repetition(chosen, lengths):
    return _rates(_pairs(chosen, lengths))


def _with_padding(chosen, lengths):
    return _rates(_pairs(chosen, [chosen.shape[1]] * len(chosen)))


def _across_borders(chosen, lengths):
    real = [token for text, n in zip(chosen.tolist(), lengths, strict=True) for token in text[:n]]
    return _rates(pairwise(real))


def _flattened(chosen, lengths):
    flat = chosen.reshape(-1, chosen.shape[-1]).tolist()
    return _rates(pairwise(flat))


def _mean_of_texts(chosen, lengths):
    rates = [_repetition(chosen[i : i + 1], [n]) for i, n in enumerate(lengths) if n > 1]
    return np.mean(rates, axis=0)


def _same_rank(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    same = sum(any(x == y for x, y in zip(a, b, strict=True)) for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], same / len(pairs)])


def _first_among_next(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    kept = sum(a[0] in b for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], kept / len(pairs)])


def _over_tokens(chosen, lengths):
    n_pairs = sum(n - 1 for n in lengths)
    return _repetition(chosen, lengths) * n_pairs / sum(lengths)


def _counted(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    common = sum(len(set(a) & set(b)) for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], common / len(pairs)])


# --- 08.2 -----------------------------------------------------------------------------------


def _chance(n_experts, k):
    """One minus the chance that none of k draws, one after another, meets a taken expert."""
    missed = 1.0
    for drawn in range(k):
        missed *= max(0, n_experts - k - drawn) / (n_experts - drawn)
    return np.array(1 - missed)


# --- 08.3 -----------------------------------------------------------------------------------


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


# --- 08.4 -----------------------------------------------------------------------------------


def _by_text(chosen, expert):
    return (chosen == expert).reshape(len(chosen), -1).mean(axis=1)


def _error(chosen, expert):
    shares = _by_text(chosen, expert)
    n = len(shares)
    return np.array([shares.mean(), math.sqrt(((shares - shares.mean()) ** 2).sum() / (n - 1) / n)])


def _tokens_count(chosen, expert, observations):
    p = _by_text(chosen, expert).mean()
    return np.array([p, math.sqrt(p * (1 - p) / observations)])


def _scaled(chosen, expert, share=1.0, error=1.0):
    return _error(chosen, expert) * np.array([share, error])


# --- 08.5 -----------------------------------------------------------------------------------


def _bits(*labels):
    counts = np.unique(np.stack(labels), axis=1, return_counts=True)[1]
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


def _information(x, y):
    return _bits(x) + _bits(y) - _bits(x, y)


def _given(expert, kind, token, weighted=True):
    total, each = 0.0, []
    for value in np.unique(token):
        here = token == value
        each.append(_information(expert[here], kind[here]))
        total += here.mean() * each[-1]
    return np.array(total if weighted else np.mean(each))


# --- 08.6 -----------------------------------------------------------------------------------


def _softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def _weights(logits, removed, k, gone=-np.inf):
    logits = logits.double().numpy().copy()
    logits[:, removed] = gone
    out = np.zeros_like(logits)
    for row, scores in zip(out, logits, strict=True):
        best = np.argsort(-scores, kind="stable")[:k]
        row[best] = _softmax(scores[best])
    return out


def _chosen_first(logits, removed, k, renormalise):
    """Top-k of all experts; what was removed falls out of it without replacement."""
    out = _weights(logits, [], k)
    out[:, removed] = 0
    sums = out.sum(axis=1, keepdims=True)
    return out / np.where(sums > 0, sums, 1) if renormalise else out


def _of_all(logits, removed, k, everyone):
    """Weights of a softmax over more than the k that run, not renormalised."""
    kept = _weights(logits, removed, k) > 0
    scores = logits.double().numpy().copy()
    if not everyone:
        scores[:, removed] = -np.inf
    return np.where(kept, np.stack([_softmax(row) for row in scores]), 0)


def _all_left(logits, removed, k):
    return _weights(logits, removed, logits.shape[1] - len(removed))


# --- examples and words ---------------------------------------------------------------------

_RNG = np.random.default_rng(8)
_SMALL = np.array(
    [
        [[0, 1], [0, 2], [2, 0], [5, 4], [5, 4]],
        [[3, 4], [4, 3], [0, 1], [0, 1], [0, 1]],
        [[0, 1], [6, 7], [7, 0], [1, 7], [1, 2]],
    ]
)
_TEXTS = choices(_RNG, (6, 12), 4, 2, stay=0.8)
_KIND = _RNG.integers(3, size=90)
_TOKEN = np.where(_RNG.random(90) < 0.6, _KIND, _RNG.integers(5, size=90))
_EXPERT = (_TOKEN + (_RNG.random(90) < 0.5) * _KIND) % 4


def _number(index):
    return ("the share of equal first choices", "the share with an expert in common")[index[0]]


def _share_error(index):
    return ("the share", "the standard error")[index[0]]


def _layer_expert(index):
    return f"layer {index[0]}, expert {index[1]}" if len(index) == 2 else ""


def _token_expert(index):
    return f"token {index[0]}, expert {index[1]}" if len(index) == 2 else ""


def _four(value):
    return f"{value:.4f}"


_DEAD_EXAMPLES = (
    (np.array([[[0, 1], [2, 1]], [[1, 0], [1, 2]]]), 4),
    (np.array([[[3, 0], [1, 3]], [[0, 2], [3, 2]], [[0, 1], [1, 0]]]), 4),
)
_LOGIT_EXAMPLES = (
    (torch.tensor([[2.0, 1.0, 0.5, -1.0]]), [0], 2),
    (torch.tensor([[-3.0, -1.0, -2.0, -4.0], [0.5, 0.25, -1.0, 1.5]]), [1], 2),
    (torch.tensor([[-0.5, 1.0, 3.0, 2.0, -1.0]]), [2, 3], 1),
)

EXERCISES = {
    "08.1": Oracle(
        expected=_repetition,
        show=lambda chosen, lengths: (
            f"repetition(chosen, lengths={lengths}) with chosen of shape {chosen.shape}"
        ),
        place=_number,
        name=_four,
        examples=((_SMALL, [5, 2, 4]), (_SMALL[:2], [3, 4]), (_SMALL[[2, 1]], [4, 1])),
        misconceptions=(
            Misconception(
                "you have counted padding, and compared across the borders of texts.", _flattened
            ),
            Misconception(
                "you have counted padding. What follows a text's last token says nothing about "
                "routing: cut each text to its length.",
                _with_padding,
            ),
            Misconception(
                "you compare across the borders of texts: the last token of one and the first of "
                "the next are no neighbours.",
                _across_borders,
            ),
            Misconception(
                "you take the mean over texts. Every pair of neighbours counts alike, so a long "
                "text counts more: add up first, divide once.",
                _mean_of_texts,
            ),
            Misconception(
                "an expert in common may have another rank in each token: first here, second "
                "there. Compare every choice with every choice.",
                _same_rank,
            ),
            Misconception(
                "you ask only whether the earlier token's first choice comes back. Its other "
                "choices may, too.",
                _first_among_next,
            ),
            Misconception(
                "n tokens have n - 1 pairs of neighbours, and you divide by tokens.", _over_tokens
            ),
            Misconception(
                "two tokens may have two experts in common, and that is one repetition, not two.",
                _counted,
            ),
            Misconception(
                "the two numbers are swapped: first choices come first.",
                lambda chosen, lengths: _repetition(chosen, lengths)[::-1],
            ),
        ),
    ),
    "08.2": Oracle(
        expected=_chance,
        show=lambda n, k: f"chance(n_experts={n}, k={k})",
        place=lambda index: "",
        name=lambda value: f"{value:.6f}",
        examples=((8, 2), (5, 2), (6, 3), (4, 3)),
        misconceptions=(
            Misconception(
                "k² / n is how many experts they have in common on average. Pairs with two in "
                "common count twice there.",
                lambda n, k: np.array(k * k / n),
            ),
            Misconception(
                "k / n is the chance that one given expert is among the k. The other token may "
                "have any of its own k in common.",
                lambda n, k: np.array(k / n),
            ),
            Misconception(
                "1 / n is right for the first choice alone.", lambda n, k: np.array(1 / n)
            ),
            Misconception(
                "you draw with replacement: a token could pick one expert twice. Its k experts "
                "are different, so after each draw there is one fewer to pick from.",
                lambda n, k: np.array(1 - (1 - k / n) ** k),
            ),
            Misconception(
                "this is the chance of nothing in common.",
                lambda n, k: 1 - _chance(n, k),
            ),
            Misconception(
                "this is the chance of exactly one in common. Two or more are a repetition, too.",
                lambda n, k: np.array(k * math.comb(n - k, k - 1) / math.comb(n, k)),
            ),
            Misconception(
                "this is the chance that both tokens pick the same k experts. One in common is "
                "enough.",
                lambda n, k: np.array(1 / math.comb(n, k)),
            ),
            Misconception(
                "right for k = 2 only.",
                lambda n, k: 1 - max(0, n - k) / n * max(0, n - k - 1) / (n - 1),
            ),
        ),
    ),
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
                "this is the square of the error: take the root.",
                lambda c, e: _error(c, e) * np.array([1, _error(c, e)[1]]),
            ),
        ),
    ),
    "08.5": Oracle(
        expected=_given,
        show=lambda expert, kind, token: (
            f"information_given_token(expert, kind, token) with {len(expert)} positions and "
            f"{len(set(token.tolist()))} different tokens"
        ),
        place=lambda index: "",
        name=lambda value: f"{value:.5f} bits",
        examples=(
            (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])),
            (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])),
            (_EXPERT, _KIND, _TOKEN),
        ),
        misconceptions=(
            Misconception(
                "the token isn't held fixed: this is the information of kind about expert in all. "
                "Where kinds use different tokens, it counts the tokens' work as the kinds'.",
                lambda e, k, t: np.array(_information(e, k)),
            ),
            Misconception(
                "this is in nats: use the logarithm to base 2.",
                lambda e, k, t: _given(e, k, t) * math.log(2),
            ),
            Misconception(
                "every token counts alike in your mean. A token that stands at half of all "
                "positions has half of the weight.",
                lambda e, k, t: _given(e, k, t, weighted=False),
            ),
            Misconception(
                "this is what the token tells once the kind is known. Here the token is known.",
                lambda e, k, t: _given(e, t, k),
            ),
            Misconception(
                "this is what token and kind tell together. Take away what the token tells alone.",
                lambda e, k, t: np.array(_bits(e) + _bits(k, t) - _bits(e, k, t)),
            ),
            Misconception(
                "this is how uncertain the expert is once the token is known, H(expert | token). "
                "How much of that does the kind take away?",
                lambda e, k, t: np.array(_bits(e, t) - _bits(t)),
            ),
            Misconception(
                "the tokens' bits are added up without weights.",
                lambda e, k, t: _given(e, k, t, weighted=False) * len(np.unique(t)),
            ),
        ),
    ),
    "08.6": Oracle(
        expected=_weights,
        show=lambda logits, removed, k: (
            f"weights_without(logits of shape {tuple(logits.shape)}, removed={removed}, k={k})"
        ),
        place=_token_expert,
        name=_four,
        examples=_LOGIT_EXAMPLES,
        misconceptions=(
            Misconception(
                "a score of 0 is a score like any other: where all others are negative it wins, "
                "and elsewhere it takes part. What is gone needs -inf.",
                lambda x, removed, k: _weights(x, removed, k, gone=0.0),
            ),
            Misconception(
                "a removed expert falls out of the k that were chosen, and nobody takes its "
                "place; the weights no longer add up to 1. Remove it before you choose.",
                lambda x, removed, k: _chosen_first(x, removed, k, renormalise=False),
            ),
            Misconception(
                "a removed expert falls out of the k that were chosen, and nobody takes its "
                "place: the token runs through fewer experts. Remove it before you choose.",
                lambda x, removed, k: _chosen_first(x, removed, k, renormalise=True),
            ),
            Misconception(
                "your softmax runs over all experts, the removed too, so the weights of the k "
                "don't add up to 1.",
                lambda x, removed, k: _of_all(x, removed, k, everyone=True),
            ),
            Misconception(
                "your softmax runs over all experts that are left. Only the k that run share the "
                "weight: take the softmax of their scores alone.",
                lambda x, removed, k: _of_all(x, removed, k, everyone=False),
            ),
            Misconception(
                "all experts that are left get a weight. Only the k best run.", _all_left
            ),
            Misconception("nothing has been removed.", lambda x, removed, k: _weights(x, [], k)),
        ),
    ),
}
