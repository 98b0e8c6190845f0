"""What the exercises of chapter 02 must return, in NumPy and in float64."""

import numpy as np
import torch

from mixlab.checks.cases.window_masks import hand_out
from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.window_masks import described


def _distance(n_queries: int, past: int = 0) -> np.ndarray:
    """Position of each query less that of each key; queries follow `past` cached keys."""
    return np.subtract.outer(np.arange(n_queries) + past, np.arange(n_queries + past))


def _mask(seq, window):
    distance = _distance(seq)
    return (distance >= 0) & (distance < window)


def _chunk(n_queries, past, window):
    distance = _distance(n_queries, past)
    return (distance >= 0) & (distance < window)


def _count(seq, window):
    return np.array(sum(min(i + 1, window) for i in range(seq)))


def _attend(q, k, v, mask, divide_by=None):
    q, k, v = (x.double().numpy() for x in (q, k, v))
    scores = q @ k.T / np.sqrt(divide_by or q.shape[1])
    scores = np.where(mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ v


def _band(q, k, v, window):
    q, k, v = (x.double().numpy() for x in (q, k, v))
    key = np.arange(len(q))[:, None] - np.arange(window)  # (seq, window)
    scores = np.einsum("qd,qwd->qw", q, k[key.clip(0)]) / np.sqrt(q.shape[1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True)) * (key >= 0)
    return np.einsum("qw,qwd->qd", weights, v[key.clip(0)]) / weights.sum(axis=1)[:, None]


def _padded_band(q, k, v, window):
    """Zero keys stand before the sequence and take part in the softmax."""
    if window == 1:
        return _band(q, k, v, window)
    q, k, v = (np.vstack([np.zeros((window - 1, x.shape[1])), x.double()]) for x in (q, k, v))
    scores = np.where(_mask(len(q), window), q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True) @ v)[window - 1 :]


def _softmax_over_all(q, k, v, window):
    """Every key takes part in the softmax, and is hidden after it."""
    q, k, v = (x.double().numpy() for x in (q, k, v))
    weights = np.exp(q @ k.T / np.sqrt(q.shape[1]))
    return weights / weights.sum(axis=1, keepdims=True) * _mask(len(q), window) @ v


def _without_softmax(q, k, v, window):
    """Scores in the place of weights."""
    q, k, v = (x.double().numpy() for x in (q, k, v))
    return q @ k.T / np.sqrt(q.shape[1]) * _mask(len(q), window) @ v


def _slices_from_the_end(q, k, v, window):
    """Each query over the slice from i - window + 1, below 0 too, where Python counts back."""
    out = np.zeros(v.shape)
    for i, query in enumerate(q):
        seen = slice(i - window + 1, i + 1)
        if len(k[seen]):
            everything = np.ones((1, len(k[seen])), dtype=bool)
            out[i] = _attend(query[None], k[seen], v[seen], everything)[0]
    return out


def _mask_sliced_from_the_end(seq, window):
    mask = np.zeros((seq, seq), dtype=bool)
    for i in range(seq):
        mask[i, i - window + 1 : i + 1] = True
    return mask


def _example(seq):
    rng = np.random.default_rng(seq)
    return [torch.from_numpy(rng.standard_normal((seq, 4))).float() for _ in range(3)]


def _keeps_the_rule(make_mask):
    sizes = [(seq, window) for seq in range(1, 9) for window in range(1, seq + 3)]
    return np.array(all((make_mask(*size).numpy() == _mask(*size)).all() for size in sizes))


def _rule_at(sizes):
    """A test that tries these sizes alone."""
    return lambda mask: np.array(all((mask(*one).numpy() == _mask(*one)).all() for one in sizes))


def _query_key(index):
    return f"query {index[0]}, key {index[1]}" if len(index) == 2 else ""


def _query_channel(index):
    return f"query {index[0]}, channel {index[1]}" if len(index) == 2 else ""


def _seen(value):
    return "visible (True)" if value else "hidden (False)"


_ONE_MORE = (
    "your window has W + 1 keys. It counts the token itself, so a window of 3 is the token and "
    "two before it: the distance must stay below W."
)
_ONE_LESS = (
    "your window has W - 1 keys. A window of 3 is the token and two before it: distances 0, 1 "
    "and 2."
)
_FROM_THE_END = (
    "a slice that starts below 0 counts from the end, so the first queries see nothing, or the "
    "wrong keys. Let it start at max(0, …)."
)
_STRICT = (
    "your queries don't see themselves. Distance 0, the token itself, is inside every window; "
    "without it the first query would see nothing at all."
)
_AHEAD = (
    "your queries also see later keys. A language model may not look at the tokens it is to "
    "predict: query minus key must not be negative."
)
_FEW_WINDOWS = (
    "your test tries too few windows, small ones only or of one kind. Some masks are right there "
    "and wrong at others: try odd and even ones, powers of two and others, up to the text's length."
)
_ONE_LENGTH = (
    "your test tries one length of text only. Some masks are right there and wrong at another: try "
    "every seq from 1 to 8."
)
_SHORT_TEXTS = (
    "your test stops at short texts. Some masks go wrong later: try every seq from 1 to 8."
)
_NARROW = (
    "your test has no window longer than the text. Some masks go wrong there, or where the two are "
    "equal: try every window from 1 to seq + 1."
)
_INVERTED = "your mask is True where the key is hidden. Here True means visible."
_SWAPPED = "rows and columns are swapped: a row is a query, a column is a key."
_NO_WINDOW = "only the future is hidden so far. Keys W or more steps back must be hidden too."

EXERCISES = {
    "02.1": Oracle(
        expected=_mask,
        show=lambda seq, window: f"window_mask({seq}, {window})",
        place=_query_key,
        name=_seen,
        examples=((6, 3), (4, 1), (3, 5)),
        misconceptions=(
            Misconception(_ONE_MORE, lambda s, w: (_distance(s) >= 0) & (_distance(s) <= w)),
            Misconception(_ONE_LESS, lambda s, w: (_distance(s) >= 0) & (_distance(s) < w - 1)),
            Misconception(_FROM_THE_END, _mask_sliced_from_the_end),
            Misconception(_STRICT, lambda s, w: (_distance(s) > 0) & (_distance(s) <= w)),
            Misconception(_STRICT, lambda s, w: (_distance(s) > 0) & (_distance(s) < w)),
            Misconception(_AHEAD, lambda s, w: abs(_distance(s)) < w),
            Misconception(_AHEAD, lambda s, w: _distance(s) < w),
            Misconception(_SWAPPED, lambda s, w: _mask(s, w).T),
            Misconception(_INVERTED, lambda s, w: ~_mask(s, w)),
            Misconception(_NO_WINDOW, lambda s, w: _distance(s) >= 0),
            Misconception(_AHEAD, lambda s, w: abs(_distance(s)) <= w // 2),
        ),
    ),
    "02.2": Oracle(
        expected=_chunk,
        show=lambda n, past, w: f"chunk_mask(n_queries={n}, past={past}, window={w})",
        place=_query_key,
        name=_seen,
        examples=((2, 3, 3), (4, 0, 2), (1, 6, 4), (5, 2, 3)),
        misconceptions=(
            Misconception(
                "both mistakes are still there: the diagonals ignore the cached keys, and the "
                "window keeps one key too many.",
                lambda n, p, w: np.tri(n, n + p, 0, bool) & ~np.tri(n, n + p, -w - 1, bool),
            ),
            Misconception(
                "the diagonals ignore the cached keys. Row 0 is not position 0: it is position "
                "`past`, and its own key stands in column `past`.",
                lambda n, p, w: np.tri(n, n + p, 0, bool) & ~np.tri(n, n + p, -w, bool),
            ),
            Misconception(
                "the causal diagonal has moved by `past`, the other one has not: old keys are "
                "hidden too late.",
                lambda n, p, w: np.tri(n, n + p, p, bool) & ~np.tri(n, n + p, -w, bool),
            ),
            Misconception(
                "the causal diagonal has moved by `past`. The other one has not, and it still "
                "keeps one key too many.",
                lambda n, p, w: np.tri(n, n + p, p, bool) & ~np.tri(n, n + p, -w - 1, bool),
            ),
            Misconception(
                "every cached key stays visible, however old: the window counts back from each "
                "query, into the cache too.",
                lambda n, p, w: _chunk(n, p, w) | (np.arange(n + p) < p),
            ),
            Misconception(
                "no query sees a cached key. The window reaches back into the cache.",
                lambda n, p, w: _chunk(n, p, w) & (np.arange(n + p) >= p),
            ),
            Misconception(
                "your queries stand one place too early: the first one's own key is in column "
                "`past`, counted from 0.",
                lambda n, p, w: (_distance(n, p) >= 1) & (_distance(n, p) <= w),
            ),
            Misconception(
                "your queries stand one place too late: the first one's own key is in column "
                "`past`, counted from 0.",
                lambda n, p, w: (_distance(n, p) >= -1) & (_distance(n, p) < w - 1),
            ),
            Misconception(
                _ONE_MORE, lambda n, p, w: (_distance(n, p) >= 0) & (_distance(n, p) <= w)
            ),
            Misconception(
                _ONE_LESS, lambda n, p, w: (_distance(n, p) >= 0) & (_distance(n, p) < w - 1)
            ),
            Misconception(_NO_WINDOW, lambda n, p, w: _distance(n, p) >= 0),
            Misconception(_INVERTED, lambda n, p, w: ~_chunk(n, p, w)),
            Misconception(
                "the diagonals have moved the wrong way: `tril(d)` moves its edge to the right as "
                "d grows, and cached keys push the queries' own keys to the right.",
                lambda n, p, w: np.tri(n, n + p, -p, bool) & ~np.tri(n, n + p, -p - w, bool),
            ),
            Misconception(
                "the window's diagonal has moved by `past`, the causal one has not.",
                lambda n, p, w: np.tri(n, n + p, 0, bool) != np.tri(n, n + p, p - w, bool),
            ),
        ),
    ),
    "02.3": Oracle(
        expected=_count,
        show=lambda seq, window: f"n_scores({seq}, {window})",
        place=lambda index: "",
        examples=((6, 3), (10, 1), (4, 9)),
        misconceptions=(
            Misconception(
                "you give every query W keys. The first ones have fewer: query 0 sees only itself.",
                lambda s, w: np.array(s * w),
            ),
            Misconception(
                "you give every query W keys, or all `seq` when the window is longer. The first "
                "ones have fewer: query 0 sees only itself.",
                lambda s, w: np.array(s * min(s, w)),
            ),
            Misconception(
                "you count all causal pairs, seq (seq + 1) / 2: the window has no effect.",
                lambda s, w: np.array(s * (s + 1) // 2),
            ),
            Misconception(
                "the triangle at the start has W (W + 1) / 2 pairs, with the diagonal; you have "
                "counted it without.",
                lambda s, w: np.array(min(w, s) * (min(w, s) - 1) // 2 + max(s - w, 0) * w),
            ),
            Misconception(
                "the triangle at the start has W (W + 1) / 2 pairs, with the diagonal; you have "
                "counted it without. And the window may be longer than the sequence.",
                lambda s, w: np.array(w * (w - 1) // 2 + (s - w) * w),
            ),
            Misconception(
                "your count is right while the window fits, and wrong when it is longer than the "
                "sequence: then there are no keys to fill it.",
                lambda s, w: np.array(w * (w + 1) // 2 + (s - w) * w),
            ),
            Misconception(
                "your window has W + 1 keys: it counts the token itself, so W in all.",
                lambda s, w: _count(s, w + 1),
            ),
        ),
    ),
    "02.4": Oracle(
        expected=_band,
        show=lambda q, k, v, window: f"banded(q, k, v, window={window}) with {len(q)} tokens",
        place=_query_channel,
        name=lambda value: f"{value:.4f}",
        examples=tuple((*_example(seq), window) for seq, window in ((6, 3), (5, 1), (4, 7))),
        misconceptions=(
            Misconception(
                "the scores are not divided by √head_dim, so the softmax is too sharp.",
                lambda q, k, v, w: _attend(q, k, v, _mask(len(q), w), divide_by=1),
            ),
            Misconception(
                "the scores are divided by √seq. head_dim is the last axis, q.shape[1].",
                lambda q, k, v, w: _attend(q, k, v, _mask(len(q), w), divide_by=len(q)),
            ),
            Misconception(_ONE_MORE, lambda q, k, v, w: _band(q, k, v, w + 1)),
            Misconception(_ONE_LESS, lambda q, k, v, w: _band(q, k, v, w - 1) if w > 1 else None),
            Misconception(_FROM_THE_END, _slices_from_the_end),
            Misconception(_AHEAD, lambda q, k, v, w: _attend(q, k, v, abs(_distance(len(q))) < w)),
            Misconception(
                "the window has no effect: every query still sees all earlier keys.",
                lambda q, k, v, w: _band(q, k, v, len(q)),
            ),
            Misconception(
                "the first queries share their attention with padding. A key of zeros scores 0, "
                "not -inf, so the softmax gives it weight: hide it, or cut it off.",
                _padded_band,
            ),
            Misconception(
                "the scores are divided by head_dim, not by its root.",
                lambda q, k, v, w: _attend(q, k, v, _mask(len(q), w), divide_by=q.shape[1] ** 2),
            ),
            Misconception(
                "hidden keys took part in the softmax, so the weights of the visible ones don't "
                "sum to 1: hide a key before the softmax, not after it.",
                _softmax_over_all,
            ),
            Misconception(
                "the scores serve as weights as they are. A softmax makes them add up to 1.",
                _without_softmax,
            ),
        ),
    ),
    "02.5": Oracle(
        expected=_keeps_the_rule,
        show=lambda mask: f"is_window_mask on a mask of {described(mask)}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((mask,) for mask in hand_out()),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere, at a size where a "
                "wrong mask differs from a right one?",
                lambda mask: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right masks too. Print the first pair at which it "
                "thinks that the rule is broken.",
                lambda mask: np.array(False),
            ),
            Misconception(
                "your test counts W + 1 keys in a window of W: it refuses the right mask. The rule "
                "is `0 <= i - j < window`.",
                lambda mask: np.array(
                    all((mask(9, w).numpy() == _mask(9, w + 1)).all() for w in range(1, 8))
                ),
            ),
            *(
                Misconception(
                    "your test asks for one half of the rule: every key inside the window is "
                    f"visible, and no other one. It accepts masks that show {what}.",
                    lambda mask, worse=worse: np.array(
                        not any(worse(mask(9, w).numpy(), _mask(9, w)).any() for w in range(1, 11))
                    ),
                )
                for what, worse in (("too little", np.greater), ("too much", np.less))
            ),
            *(
                Misconception(_FEW_WINDOWS, _rule_at([(9, w) for w in windows]))
                for windows in (
                    (1, 2, 4, 8),
                    (1, 3, 5, 7),
                    (2, 4, 6, 8),
                    *(range(1, n) for n in (4, 5)),
                )
            ),
            *(
                Misconception(_FEW_WINDOWS, _rule_at([(s, w) for s in texts for w in windows]))
                for texts, windows in (
                    ((1, 2, 4, 8), (1, 2, 4, 8)),
                    ((1, 2, 5, 12), (1, 2, 3, 12)),
                    *((range(1, 10), range(1, n)) for n in (4, 5)),
                )
            ),
            *(
                Misconception(says, _rule_at([(s, w) for s in texts for w in range(1, s + more)]))
                for more in (0, 1, 2)
                for says, texts in (
                    *((_SHORT_TEXTS, range(1, n)) for n in (4, 5, 6, 7)),
                    *((_NARROW, range(1, n)) for n in (9,) if more < 2),
                )
            ),
            *(
                Misconception(_ONE_LENGTH, _rule_at([(seq, w) for w in range(1, seq + more)]))
                for more in (0, 1, 2)
                for seq in (3, 4, 5, 6, 7, 8, 12)
            ),
            Misconception(
                "your test has windows as long as the text, or longer: there they hide nothing.",
                _rule_at([(n, n) for n in range(1, 10)]),
            ),
            *(
                Misconception(
                    "your test tries one size only, or so few that some masks are right there. An "
                    "odd window can't tell W from W rounded up to an odd number. (Does it return "
                    "inside its first loop?)",
                    _rule_at(sizes),
                )
                for sizes in (
                    ((2, 1), (7, 6)),
                    *(((9, w),) for w in (3, 4, 5)),
                    ((5, 2),),
                    ((1, 1),),
                    ((6, 3),),
                    ((6, 4),),
                    ((7, 6),),
                    ((8, 5),),
                )
            ),
            Misconception(
                "your test only asks for causality: it accepts masks whose window is too long.",
                lambda mask: np.array(bool((mask(9, 3).numpy() <= (_distance(9) >= 0)).all())),
            ),
            Misconception(
                "your test counts the keys of a row, and a row can have the right number of keys "
                "in the wrong places: compare pair by pair.",
                lambda mask: np.array((mask(9, 3).sum(1).numpy() == _mask(9, 3).sum(1)).all()),
            ),
            Misconception(
                "your test looks at the last row only. Some masks are right there and wrong at "
                "an earlier query.",
                lambda mask: np.array((mask(9, 3)[-1].numpy() == _mask(9, 3)[-1]).all()),
            ),
            Misconception(
                "your verdicts are the wrong way round: True means that the rule is kept.",
                lambda mask: ~_keeps_the_rule(mask),
            ),
        ),
    ),
}
