"""What exercise 04.4 must return: a text read chunk by chunk, in NumPy and in float64."""

import numpy as np

from mixlab.checks.cases.rolling_cache import qkv
from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.rolling_ring import slots_after


def _read(window, chunks, q, k, v, columns, sees):
    """Chunk by chunk: `columns` gives the keys' positions (negative: zeros), `sees` the mask."""
    q, k, v = (x.double().numpy() for x in (q, k, v))
    zero, out, start = np.zeros((1, q.shape[1])), [], 0
    for n in chunks:
        at = np.array(columns(start, n, window))
        keys, values = (np.concatenate([x, zero])[np.where(at < 0, len(x), at)] for x in (k, v))
        mask = sees(np.arange(start, start + n)[:, None], at[None], start, n, window)
        scores = np.where(mask, q[start : start + n] @ keys.T / np.sqrt(q.shape[1]), -np.inf)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out.append(weights / weights.sum(axis=1, keepdims=True) @ values)
        start += n
    return np.concatenate(out)


def _in_order(start, n, window):
    return list(range(max(0, start - window), start + n))


def _rule(i, j, start, n, window):
    return (j >= 0) & (j <= i) & (i - j < window)


def _extend(window, chunks, q, k, v):
    return _read(window, chunks, q, k, v, _in_order, _rule)


def _slots_once_written(start, n, window):
    return slots_after(start + n, window)


def _as_given(window, chunks, q, k, v):
    """Writes, then takes the slots for an ordered stretch of keys that ends with the chunk."""
    if max(chunks) > window:
        return None

    def sees(i, j, start, n, w):
        return np.tri(n, w, w - n, dtype=bool)

    return _read(window, chunks, q, k, v, _slots_once_written, sees)


def _band_over_the_ring(columns):
    """The band of W + n columns, whatever the first W of them hold."""

    def sees(i, j, start, n, w):
        distance = w + np.arange(n)[:, None] - np.arange(w + n)
        return (distance >= 0) & (distance < w)

    return lambda *arguments: _read(*arguments, columns, sees)


def _slots_then_chunk(start, n, window):
    return [*slots_after(start, window), *range(start, start + n)]


def _empty_slots_too(start, n, window):
    return [max(-1, p) for p in range(start - window, start + n)]


def _other_rule(rule):
    """Keys in order, and a mask of one's own."""

    def sees(i, j, start, n, w):
        return rule(i, j, start, w)

    return lambda *arguments: _read(*arguments, _in_order, sees)


def _chunk_example(window, chunks):
    return (window, chunks, *qkv(np.random.default_rng(sum(chunks)), sum(chunks)))


EXERCISES = {
    "04.4": Oracle(
        expected=_extend,
        show=lambda w, chunks, q, k, v: (
            f"extend on chunks of {', '.join(map(str, chunks))} tokens, one after the other, "
            f"with rings of {w} slots"
        ),
        place=lambda index: (
            f"the token at position {index[0]}, channel {index[1]}" if len(index) == 2 else ""
        ),
        name=lambda value: f"{value:.4f}",
        examples=(
            _chunk_example(4, (3, 3)),
            _chunk_example(3, (1, 1, 1, 1, 2)),
            _chunk_example(4, (4, 3, 4)),
            _chunk_example(2, (1, 2, 1)),
        ),
        misconceptions=(
            Misconception(
                "the chunk is still written first, and slots are still taken for positions. List "
                "what the slots hold after each of the two steps.",
                _as_given,
            ),
            Misconception(
                "the chunk's first tokens miss keys that its last ones have pushed out: the chunk "
                "is still written before it is read, or its last token's window is used for all.",
                lambda *arguments: _read(*arguments, _slots_once_written, _rule),
            ),
            Misconception(
                "you attend before you write, and over the slots as they lie, while your mask "
                "takes them to be in order. Unrotate the ring first.",
                _band_over_the_ring(_slots_then_chunk),
            ),
            Misconception(
                "your first tokens also attend to slots that were never written. A key of zeros "
                "scores 0, not -inf, so the softmax gives it weight: leave it out.",
                _band_over_the_ring(_empty_slots_too),
            ),
            Misconception(
                "the first tokens of a chunk see W + 1 keys: the ring still holds the one at "
                "distance W.",
                _other_rule(lambda i, j, s, w: (j <= i) & (i - j <= w)),
            ),
            Misconception(
                "your queries see everything in the ring, also what has left their window: the "
                "mask must hide distances of W and more.",
                _other_rule(lambda i, j, s, w: j <= i),
            ),
            Misconception(
                "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1.",
                _other_rule(lambda i, j, s, w: (j <= i) & (i - j < max(1, w - 1))),
            ),
            Misconception(
                "the tokens of a chunk also see later ones of the same chunk.",
                _other_rule(lambda i, j, s, w: i - j < w),
            ),
            Misconception(
                "the tokens of a chunk see each other and not the ring.",
                _other_rule(lambda i, j, s, w: (j >= s) & (j <= i) & (i - j < w)),
            ),
            Misconception(
                "the tokens of a chunk see the ring and not each other.",
                _other_rule(lambda i, j, s, w: ((j < s) | (j == i)) & (i - j < w)),
            ),
            Misconception(
                "the scores are not divided by √head_dim, so the softmax is too sharp.",
                lambda w, chunks, q, k, v: _extend(w, chunks, q * q.shape[1] ** 0.5, k, v),
            ),
        ),
    ),
}
