"""What 06.2 and 06.4 must return: blocks along the diagonal, as a table and as a rule."""

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.packed_words import INVERTED, ONE_MORE, seen_name


def _blocks(q_lengths, k_lengths, inside):
    """`inside(queries' places, keys' places, surplus)` gives each block; elsewhere hidden."""
    mask = np.zeros((sum(q_lengths), sum(k_lengths)), dtype=bool)
    row = column = 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        block = inside(np.arange(n)[:, None], np.arange(m)[None, :], m - n)
        mask[row : row + n, column : column + m] = block
        row, column = row + n, column + m
    return mask


def _distances(low, high):
    """The mask of distances from low(W) to below high(W), aligned bottom-right."""

    def mask(q_lengths, k_lengths, window):
        def inside(i, j, surplus):
            return (i + surplus - j >= low(window)) & (i + surplus - j < high(window))

        return _blocks(q_lengths, k_lengths, inside)

    return mask


_mask = _distances(lambda w: 0, lambda w: w)


def _top_left(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, lambda i, j, s: (i - j >= 0) & (i - j < window))


def _packed_distance(q_lengths, k_lengths):
    return np.subtract.outer(np.arange(sum(q_lengths)), np.arange(sum(k_lengths)))


def _packed_index(q_lengths, k_lengths, window):
    distance = _packed_distance(q_lengths, k_lengths)
    same = _blocks(q_lengths, k_lengths, lambda i, j, s: True)
    return same & (distance >= 0) & (distance < window)


def _one_sequence(q_lengths, k_lengths, window):
    distance = _packed_distance(q_lengths, k_lengths) + sum(k_lengths) - sum(q_lengths)
    return (distance >= 0) & (distance < window)


def _owner(lengths, right):
    """Which prompt an index is put into, with the first of each prompt in the one before or not."""
    return np.searchsorted(
        np.cumsum(lengths), np.arange(sum(lengths)), "right" if right else "left"
    )


def _rule(mended_owner, distance):
    def mask(q_lengths, k_lengths, window):
        q, k = _owner(q_lengths, mended_owner), _owner(k_lengths, mended_owner)
        far = distance(q_lengths, k_lengths, q, k)
        return (q[:, None] == k[None, :]) & (far >= 0) & (far < window)

    return mask


def _turned(q_lengths, k_lengths, q, k):
    return -_from_ends(q_lengths, k_lengths, q, k)


def _one_shift(surplus):
    """Blocks whose queries all stand as many keys further as `surplus(queries, keys)` says."""

    def mask(q_lengths, k_lengths, window):
        q, k = _owner(q_lengths, True), _owner(k_lengths, True)
        far = _packed_distance(q_lengths, k_lengths) + surplus(q_lengths, k_lengths)
        return (q[:, None] == k[None, :]) & (far >= 0) & (far < window)

    return mask


def _first_surplus(q_lengths, k_lengths, window):
    shift = k_lengths[0] - q_lengths[0]
    return _blocks(
        q_lengths, k_lengths, lambda i, j, s: (i + shift - j >= 0) & (i + shift - j < window)
    )


def _only_new(q_lengths, k_lengths, window):
    return _mask(q_lengths, k_lengths, window) & _blocks(
        q_lengths, k_lengths, lambda i, j, s: j >= s
    )


def _all_cached(q_lengths, k_lengths, window):
    return _mask(q_lengths, k_lengths, window) | _blocks(
        q_lengths, k_lengths, lambda i, j, s: j < s
    )


def _from_ends(q_lengths, k_lengths, q, k):
    before_end_q = np.cumsum(q_lengths)[q] - np.arange(len(q))
    before_end_k = np.cumsum(k_lengths)[k] - np.arange(len(k))
    return before_end_k[None, :] - before_end_q[:, None]


def _over_the_start(q_lengths, k_lengths, window):
    """The last W keys up to a query's own, wherever its prompt begins."""
    own = np.concatenate(
        [end - n + np.arange(n) for n, end in zip(q_lengths, np.cumsum(k_lengths), strict=True)]
    )
    distance = own[:, None] - np.arange(sum(k_lengths))
    return (distance >= 0) & (distance < window)


def _query_key(index):
    return f"query {index[0]}, key {index[1]}" if len(index) == 2 else ""


_ONE_LESS = "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1."
_TOP_LEFT = (
    "your blocks are aligned top-left: query 0 of a block stands at position 0. The queries are "
    "a block's last tokens, so with m keys and n queries the first one stands at m - n."
)
_PACKED = (
    "you measure distance in the pack. A query's row and a key's column count different things "
    "once some keys come from a cache: measure inside each prompt."
)
_LEAK = (
    "your mask leaks: it treats the pack as one sequence, so a prompt sees the end of the one "
    "before it."
)
_OVER_THE_START = (
    "your window reaches over the start of its prompt, into the one before it: no key of another "
    "prompt is visible, however near."
)
_AHEAD = "your queries also see later keys of their own prompt: a distance may not be negative."
_NO_WINDOW = "the window has no effect: keys W or more steps back must be hidden too."
_ONE_SHIFT = (
    "you shift all prompts alike. Each has cached keys of its own: block b starts "
    "k_lengths[b] - q_lengths[b] positions in."
)
_NOT_CAUSAL = (
    "every query sees the whole of its own block. That is what BlockDiagonalMask does by itself; "
    "the future and the keys beyond the window must be hidden inside the block."
)
_FIRST_TOKEN = (
    "the first token of each prompt still belongs to the prompt before it: bucketize puts a "
    "number that equals a border to its left, unless it is told otherwise."
)

EXERCISES = {
    "06.2": Oracle(
        expected=_mask,
        show=lambda q, k, w: f"packed_mask({list(q)}, {list(k)}, window={w})",
        place=_query_key,
        name=seen_name,
        examples=(([4, 4, 1], [4, 4, 1], 3), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
        misconceptions=(
            Misconception(_TOP_LEFT, _top_left),
            Misconception(_PACKED, _packed_index),
            Misconception(_LEAK, _one_sequence),
            Misconception(ONE_MORE, _distances(lambda w: 0, lambda w: w + 1)),
            Misconception(_ONE_LESS, _distances(lambda w: 0, lambda w: w - 1)),
            Misconception(_ONE_SHIFT, _first_surplus),
            Misconception(
                "no query of yours sees a key from the cache. A block's first keys are older "
                "tokens of the same prompt, and the window reaches back to them.",
                _only_new,
            ),
            Misconception(
                "your queries see every cached key. The window counts back from each query, "
                "whether a key is cached or new.",
                _all_cached,
            ),
            Misconception(
                "your queries don't see themselves: distance 0 is visible, distance W is not.",
                _distances(lambda w: 1, lambda w: w + 1),
            ),
            Misconception(_AHEAD, _distances(lambda w: 1 - w, lambda w: w)),
            Misconception(_AHEAD, _distances(lambda w: -999, lambda w: w)),
            Misconception(_OVER_THE_START, _over_the_start),
            Misconception(
                "rows and columns are swapped: a row is a query, a column is a key.",
                lambda q, k, w: _mask(q, k, w).T,
            ),
            Misconception(_NO_WINDOW, _distances(lambda w: 0, lambda w: 999)),
            Misconception(_NOT_CAUSAL, lambda q, k, w: _blocks(q, k, lambda i, j, s: True)),
            Misconception(INVERTED, lambda q, k, w: ~_mask(q, k, w)),
        ),
    ),
    "06.4": Oracle(
        expected=_mask,
        show=lambda q, k, w: f"the rule of packed_rule({list(q)}, {list(k)}, window={w})",
        place=_query_key,
        name=seen_name,
        examples=(([2, 3], [2, 3], 2), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
        misconceptions=(
            Misconception(
                "both mistakes are still there: the border between prompts, and the distance.",
                _rule(False, lambda ql, kl, q, k: _packed_distance(ql, kl)),
            ),
            Misconception(_PACKED, _rule(True, lambda ql, kl, q, k: _packed_distance(ql, kl))),
            Misconception(_FIRST_TOKEN, _rule(False, _from_ends)),
            Misconception(
                "your distance has the wrong sign: it counts how far the key comes after the "
                "query, and so shows the future.",
                _rule(True, _turned),
            ),
            Misconception(_ONE_SHIFT, _one_shift(lambda ql, kl: kl[0] - ql[0])),
            Misconception(_ONE_SHIFT, _one_shift(lambda ql, kl: sum(kl) - sum(ql))),
            Misconception(_ONE_SHIFT, _first_surplus),
            Misconception(_TOP_LEFT, _top_left),
            Misconception(_LEAK, _one_sequence),
            Misconception(_OVER_THE_START, _over_the_start),
            Misconception(ONE_MORE, _distances(lambda w: 0, lambda w: w + 1)),
            Misconception(_ONE_LESS, _distances(lambda w: 0, lambda w: w - 1)),
            Misconception(_AHEAD, _distances(lambda w: 1 - w, lambda w: w)),
            Misconception(_AHEAD, _distances(lambda w: -999, lambda w: w)),
            Misconception(_NO_WINDOW, _distances(lambda w: 0, lambda w: 999)),
            Misconception(INVERTED, lambda q, k, w: ~_mask(q, k, w)),
        ),
    ),
}
