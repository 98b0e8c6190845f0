"""What the exercises of chapter 04 must return, in NumPy and in float64."""

import numpy as np

from mixlab.checks.cases.rolling_cache import NOTHING, _qkv, _written
from mixlab.checks.cases.rolling_rings import CACHES
from mixlab.checks.oracles import Misconception, Oracle

# --- 04.1: a ring ---------------------------------------------------------------------------


def _ring(window, items, slot=lambda n, w: n % w, out=lambda old, new: old):
    """One row a write: what it returns, then the slots."""
    slots, rows = [NOTHING] * window, []
    for number, item in enumerate(items):
        where = slot(number, window)
        old = slots[where] if where is not None else NOTHING
        if where is not None:
            slots[where] = item
        rows.append([out(old, item), *slots])
    return np.array(rows)


def _queue(window, items, front=False):
    """Every item moves up one place."""
    slots, rows = [NOTHING] * window, []
    for number, item in enumerate(items):
        full = number >= window
        if front:
            old, slots = slots[-1], [item, *slots[:-1]]
        elif full:
            old, slots = slots[0], [*slots[1:], item]
        else:
            old, slots[number] = NOTHING, item
        rows.append([old, *slots])
    return np.array(rows)


def _write_and_slot(index):
    if len(index) != 2:
        return ""
    write, column = index
    return f"write {write}, " + ("what it returned" if column == 0 else f"slot {column - 1}")


_QUEUE = (
    "your items move: each write shifts the others by one place. In a ring an item stays in its "
    "slot until it is overwritten; only the place of the next write moves on."
)

# --- 04.2: what the next token sees ---------------------------------------------------------


def _rows(ring, positions):
    return ring.double().numpy()[[p % len(ring) for p in positions]].reshape(-1, ring.shape[1])


def _past(ring, length):
    return _rows(ring, range(max(0, length - len(ring) + 1), length))


def _held(ring, length):
    return _rows(ring, range(max(0, length - len(ring)), length))


def _row_channel(index):
    return f"row {index[0]}, channel {index[1]}" if len(index) == 2 else ""


# --- 04.3: bytes ----------------------------------------------------------------------------


def _bytes(windows, lengths, n_heads, n_kv_heads, head_dim, n_bytes, held=None, factor=2):
    held = held or (lambda length, window: length if window is None else min(length, window))
    tokens = sum(held(length, window) for window in windows for length in lengths)
    return np.array(factor * tokens * n_kv_heads * head_dim * n_bytes)


def _show_bytes(windows, lengths, *rest):
    heads = "n_heads={}, n_kv_heads={}, head_dim={}, bytes_per_number={}".format(*rest)
    return f"cache_bytes({windows}, {lengths}, {heads})"


# --- 04.4: a chunk --------------------------------------------------------------------------


def _slots(length, window):
    """The position in each slot after `length` tokens, negative where it is empty."""
    held = [-1] * window
    for position in range(max(0, length - window), length):
        held[position % window] = position
    return held


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


def _as_given(window, chunks, q, k, v):
    """Writes, then takes the slots for an ordered stretch of keys that ends with the chunk."""
    if max(chunks) > window:
        return None

    def sees(i, j, start, n, w):
        return np.tri(n, w, w - n, dtype=bool)

    return _read(window, chunks, q, k, v, lambda s, n, w: _slots(s + n, w), sees)


def _attends_first_in_slot_order(window, chunks, q, k, v):
    def columns(start, n, w):
        return [*_slots(start, w), *range(start, start + n)]

    def sees(i, j, start, n, w):
        distance = w + np.arange(n)[:, None] - np.arange(w + n)
        return (distance >= 0) & (distance < w)

    return _read(window, chunks, q, k, v, columns, sees)


def _reads_empty_slots(window, chunks, q, k, v):
    """The positions before the text as keys of zeros."""

    def columns(start, n, w):
        return [max(-1, p) for p in range(start - w, start + n)]

    def sees(i, j, start, n, w):
        distance = w + np.arange(n)[:, None] - np.arange(w + n)
        return (distance >= 0) & (distance < w)

    return _read(window, chunks, q, k, v, columns, sees)


def _other_rule(rule):
    return lambda w, chunks, q, k, v: _read(
        w, chunks, q, k, v, _in_order, lambda i, j, start, n, w: rule(i, j, start, w)
    )


def _chunk_example(window, chunks):
    return (window, chunks, *_qkv(np.random.default_rng(sum(chunks)), sum(chunks)))


# --- 04.5 and 04.6 --------------------------------------------------------------------------


def _can_go_back(length, new, window):
    held = set(range(max(0, length - window), length))
    return np.array(set(range(max(0, new - window + 1), new)) <= held)


def _sees(make_cache, window, tokens, read=sorted):
    see = make_cache(window)
    return [read(see(position)) for position in range(tokens)]


def _wanted(window, tokens):
    return [list(range(max(0, p - window + 1), p + 1)) for p in range(tokens)]


def _keeps_the_rule(make_cache, sizes=tuple((w, 4 * w + 2) for w in range(1, 12)), read=sorted):
    return np.array(
        all(_sees(make_cache, w, n, read) == [read(x) for x in _wanted(w, n)] for w, n in sizes)
    )


_ALL = tuple((w, 4 * w + 2) for w in range(1, 12))

EXERCISES = {
    "04.1": Oracle(
        expected=_ring,
        show=lambda window, items: (
            f"Ring({window}), then write({'), write('.join(map(str, items))})"
        ),
        place=_write_and_slot,
        name=lambda value: "None" if value == NOTHING else str(value),
        examples=((4, [7, 0, 3, 5, 8, 2]), (1, [6, 4, 0]), (3, [0, 0, 9, 1, 0, 2, 4])),
        misconceptions=(
            Misconception(
                "you return the item that you write. What is asked for is the one it overwrites.",
                lambda w, items: _ring(w, items, out=lambda old, new: new),
            ),
            Misconception(
                "your slots are right, but `write` returns nothing. Keep what stood in the slot "
                "before you overwrite it.",
                lambda w, items: _ring(w, items, out=lambda old, new: NOTHING),
            ),
            Misconception(
                "your slots are right, but an overwritten 0 is returned as None: `0 or None` is "
                "None, and `if 0` is false. Return what stood there as it is.",
                lambda w, items: _ring(w, items, out=lambda old, new: old or NOTHING),
            ),
            Misconception(_QUEUE, _queue),
            Misconception(_QUEUE, lambda w, items: _queue(w, items, front=True)),
            Misconception(
                "your first item goes to slot 1. Positions count from 0, so the first one is 0, "
                "and its slot too: count an item after it is written.",
                lambda w, items: _ring(w, items, slot=lambda n, w: (n + 1) % w),
            ),
            Misconception(
                "your ring stops taking items once it is full. A full ring overwrites the oldest.",
                lambda w, items: _ring(w, items, slot=lambda n, w: n if n < w else None),
            ),
            Misconception(
                "once your ring is full, every item goes to the last slot. The oldest is the one "
                "to go, and it stands in slot `position % window`.",
                lambda w, items: _ring(w, items, slot=lambda n, w: min(n, w - 1)),
            ),
            Misconception(
                "once your ring is full, every item goes to slot 0. That is the oldest only once "
                "in W writes: the slot must move on.",
                lambda w, items: _ring(w, items, slot=lambda n, w: n if n < w else 0),
            ),
        ),
    ),
    "04.2": Oracle(
        expected=_past,
        show=lambda ring, length: f"past(ring, {length}) with a ring of {len(ring)} slots",
        place=_row_channel,
        name=lambda value: f"{value:.4f}",
        examples=tuple(
            (_written(np.random.default_rng(window), window, length), length)
            for window, length in ((4, 6), (4, 3), (5, 7), (4, 8), (1, 5), (3, 0), (6, 6))
        ),
        misconceptions=(
            Misconception(
                "you return all W rows of a full ring. The next token is itself one of the W "
                "that it sees, so the oldest row is out of its sight.",
                _held,
            ),
            Misconception(
                "you drop a row too early. While the ring isn't full, the next token sees all "
                "that was written.",
                lambda ring, length: _held(ring, length)[1:],
            ),
            Misconception(
                "your rows come as the slots lie, not in the order of their positions.",
                lambda ring, length: (
                    ring.double()
                    .numpy()[
                        [
                            s
                            for s, p in enumerate(_slots(length, len(ring)))
                            if p > max(-1, length - len(ring))
                        ]
                    ]
                    .reshape(-1, ring.shape[1])
                ),
            ),
            Misconception(
                "you return the slots as they lie, and all of them. Leave out what is empty or "
                "about to leave the window, and begin with the oldest.",
                lambda ring, length: ring.double().numpy(),
            ),
            Misconception(
                "you return the slots as they lie, as far as they are written. Begin with the "
                "oldest; and the next token is itself one of the W that it sees.",
                lambda ring, length: ring.double().numpy()[:length],
            ),
            Misconception(
                "your rows are the right ones, newest first. Begin with the oldest.",
                lambda ring, length: _past(ring, length)[::-1],
            ),
            Misconception(
                "you also turn a ring that isn't full, and so return slots that were never "
                "written. Before the first wrap, slot and position are the same.",
                lambda ring, length: np.roll(ring.double().numpy(), -(length % len(ring)), 0)[1:],
            ),
            Misconception(
                "you also turn a ring that isn't full, and so return slots that were never "
                "written; and the next token is itself one of the W that it sees.",
                lambda ring, length: np.roll(ring.double().numpy(), -(length % len(ring)), 0),
            ),
            Misconception(
                "you turn the ring the wrong way round: the oldest row stands in slot "
                "`length % window`, and has to come first.",
                lambda ring, length: (
                    np.roll(ring.double().numpy(), length % len(ring), 0)[1:]
                    if length >= len(ring)
                    else _past(ring, length)
                ),
            ),
        ),
    ),
    "04.3": Oracle(
        expected=_bytes,
        show=_show_bytes,
        place=lambda index: "",
        name=lambda value: f"{value:,}",
        examples=(
            ((4,), (9,), 2, 1, 8, 2),
            ((4, None), (9, 3), 4, 2, 8, 2),
            ((4096,) * 32, (32_768,), 32, 8, 128, 2),
            ((None,), (5, 1), 6, 3, 4, 4),
        ),
        misconceptions=(
            Misconception(
                "you count the keys and not the values.", lambda *a: _bytes(*a, factor=1)
            ),
            Misconception(
                "you count a key and a value for every query head. Query heads share them: a "
                "cache holds `n_kv_heads` of each.",
                lambda w, t, h, kv, d, b: _bytes(w, t, h, h, d, b),
            ),
            Misconception(
                "your windows have no effect: a layer with a window holds at most that many.",
                lambda *a: _bytes(*a, held=lambda length, window: length),
            ),
            Misconception(
                "you count every slot of a ring, also those that a short sequence leaves empty.",
                lambda *a: _bytes(*a, held=lambda length, window: window or length),
            ),
            Misconception(
                "you hold W - 1 tokens in a full ring. The newest token's own key is in it too.",
                lambda *a: _bytes(*a, held=lambda n, w: n if w is None or n < w else max(0, w - 1)),
            ),
            Misconception(
                "you give every sequence of the batch as many tokens as the longest one has.",
                lambda w, t, h, kv, d, b: _bytes(w, (max(t),) * len(t), h, kv, d, b),
            ),
            Misconception(
                "you add the sequences up before you apply the window. Each sequence has a ring "
                "of its own.",
                lambda w, t, h, kv, d, b: _bytes(w, (sum(t),), h, kv, d, b),
            ),
            Misconception(
                "you count a layer without a window as if it held nothing; it holds everything.",
                lambda *a: _bytes(*a, held=lambda length, window: min(length, window or 0)),
            ),
            Misconception(
                "you count bits: `bytes_per_number` is in bytes already.",
                lambda *a: _bytes(*a, factor=16),
            ),
            Misconception(
                "you count one layer's window for all layers: each has its own.",
                lambda w, t, h, kv, d, b: _bytes((w[0],) * len(w), t, h, kv, d, b),
            ),
        ),
    ),
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
                "your mask is right, but the chunk is still written before it is read: its last "
                "tokens overwrite keys that its first ones see.",
                lambda w, chunks, q, k, v: _read(
                    w, chunks, q, k, v, lambda s, n, w: _slots(s + n, w), _rule
                ),
            ),
            Misconception(
                "you attend before you write, and over the slots as they lie, while your mask "
                "takes them to be in order. Unrotate the ring first.",
                _attends_first_in_slot_order,
            ),
            Misconception(
                "your first tokens also attend to slots that were never written. A key of zeros "
                "scores 0, not -inf, so the softmax gives it weight: leave it out.",
                _reads_empty_slots,
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
                lambda w, chunks, q, k, v: _read(
                    w,
                    chunks,
                    q,
                    k,
                    v,
                    _in_order,
                    lambda i, j, s, n, w: _rule(i, j, s, n, w) & (j >= s),
                ),
            ),
            Misconception(
                "the tokens of a chunk see the ring and not each other.",
                lambda w, chunks, q, k, v: _read(
                    w,
                    chunks,
                    q,
                    k,
                    v,
                    _in_order,
                    lambda i, j, s, n, w: _rule(i, j, s, n, w) & ((j < s) | (j == i)),
                ),
            ),
            Misconception(
                "the scores are not divided by √head_dim, so the softmax is too sharp.",
                lambda w, chunks, q, k, v: _extend(w, chunks, q * q.shape[1] ** 0.5, k, v),
            ),
        ),
    ),
    "04.5": Oracle(
        expected=_can_go_back,
        show=lambda length, new, window: (
            f"can_go_back(length={length}, new={new}, window={window})"
        ),
        place=lambda index: "",
        name=lambda value: "True (it can)" if value else "False (it can't)",
        examples=(
            (3, 1, 4),
            (9, 8, 4),
            (9, 7, 4),
            (9, 5, 4),
            (9, 9, 4),
            (9, 2, 4),
            (9, 0, 4),
            (7, 3, 1),
            (4, 2, 4),
            (5, 2, 4),
        ),
        misconceptions=(
            Misconception("you always say True.", lambda n, new, w: np.array(True)),
            Misconception("you always say False.", lambda n, new, w: np.array(False)),
            Misconception(
                "you ask whether the tokens that go are still in the ring. What matters are those "
                "that stay: the next token must find the W - 1 before it.",
                lambda n, new, w: np.array(n - new <= w),
            ),
            Misconception(
                "you ask whether the tokens that go are fewer than W. What matters are those "
                "that stay: the next token must find the W - 1 before it.",
                lambda n, new, w: np.array(n - new < w),
            ),
            Misconception(
                "a ring that has never wrapped can go back anywhere, and you say so. But one that "
                "has wrapped can still take back its last token, and start anew.",
                lambda n, new, w: np.array(n <= w),
            ),
            Misconception(
                "the next token needs the W - 1 positions before it, not W: it is itself one of "
                "the W.",
                lambda n, new, w: np.array(max(0, new - w) >= max(0, n - w)),
            ),
            Misconception(
                "you have forgotten the cases in which the next token needs nothing old: a text "
                "taken back to nothing, and a window of 1.",
                lambda n, new, w: np.array(max(0, new - w + 1) >= max(0, n - w)),
            ),
            Misconception(
                "with a window of 1 a token sees only itself, so any text may be taken back.",
                lambda n, new, w: np.array(new == 0 or max(0, new - w + 1) >= max(0, n - w)),
            ),
            Misconception(
                "a text that is taken back to nothing needs nothing from the ring.",
                lambda n, new, w: np.array(w == 1 or max(0, new - w + 1) >= max(0, n - w)),
            ),
        ),
    ),
    "04.6": Oracle(
        expected=_keeps_the_rule,
        show=lambda make: f"is_rolling on a cache that hands over {make.__doc__}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((make,) for make in CACHES),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere?",
                lambda make: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right caches too. Print the first token at which "
                "it thinks that the rule is broken.",
                lambda make: np.array(False),
            ),
            Misconception(
                "your test insists on the oldest key first. One query may read its keys in any "
                "order: compare without order.",
                lambda make: _keeps_the_rule(make, _ALL, list),
            ),
            Misconception(
                "your test compares sets, and a set forgets that a key was handed over twice. "
                "Twice read, it has twice the weight.",
                lambda make: _keeps_the_rule(make, _ALL, set),
            ),
            Misconception(
                "your test doesn't fill the ring beyond its first wrap. That is where rings fail.",
                lambda make: _keeps_the_rule(make, tuple((w, w) for w in range(1, 12))),
            ),
            Misconception(
                "your test stops before the ring has wrapped twice. Some rings survive the first "
                "wrap: give them more than 2 W tokens.",
                lambda make: _keeps_the_rule(make, tuple((w, 2 * w) for w in range(1, 12))),
            ),
            Misconception(
                "your test counts the keys, and a cache can hand over the right number of wrong "
                "ones: compare the positions.",
                lambda make: _keeps_the_rule(make, _ALL, len),
            ),
            Misconception(
                "your test tries windows that are powers of two only, and `p & (W - 1)` is right "
                "there: try the others.",
                lambda make: _keeps_the_rule(make, tuple((w, 4 * w) for w in (1, 2, 4, 8))),
            ),
            *(
                Misconception(
                    "your test tries one window only. Some caches are right there and wrong at "
                    "another.",
                    lambda make, w=w: _keeps_the_rule(make, ((w, 5 * w),)),
                )
                for w in range(1, 9)
            ),
            *(
                Misconception(
                    "your test looks at the last token only, when the ring is full. Some caches "
                    "go wrong before.",
                    lambda make, n=n: np.array(
                        all(
                            _sees(make, w, n * w)[-1] == _wanted(w, n * w)[-1] for w in range(1, 12)
                        )
                    ),
                )
                for n in (2, 3, 4)
            ),
        ),
    ),
}
