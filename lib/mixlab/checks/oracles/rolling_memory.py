"""What exercises 04.3 and 04.5 must return: a cache's bytes, and whether a ring can go back."""

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle


def _bytes(windows, lengths, n_heads, n_kv_heads, head_dim, n_bytes, held=None, factor=2):
    held = held or (lambda length, window: length if window is None else min(length, window))
    tokens = sum(held(length, window) for window in windows for length in lengths)
    return np.array(factor * tokens * n_kv_heads * head_dim * n_bytes)


def _paired(windows, lengths, *rest):
    """Each sequence in one layer only."""
    pairs = zip(windows, lengths, strict=False)
    return sum((_bytes((w,), (n,), *rest) for w, n in pairs), np.array(0))


def _show_bytes(windows, lengths, *rest):
    heads = "n_heads={}, n_kv_heads={}, head_dim={}, bytes_per_number={}".format(*rest)
    return f"cache_bytes({windows}, {lengths}, {heads})"


def _can_go_back(length, new, window):
    held = set(range(max(0, length - window), length))
    return np.array(set(range(max(0, new - window + 1), new)) <= held)


EXERCISES = {
    "04.3": Oracle(
        expected=_bytes,
        show=_show_bytes,
        place=lambda index: "",
        name=lambda value: f"{value:,}",
        examples=(
            ((4,), (9,), 2, 1, 8, 2),
            ((6, None), (9, 1), 4, 2, 8, 2),
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
                "you give every sequence the batch's average length. A short one may leave a ring "
                "half empty while a long one overflows its own.",
                lambda w, t, h, kv, d, b: _bytes(w, (sum(t) / len(t),) * len(t), h, kv, d, b),
            ),
            Misconception(
                "you add the sequences up before you apply the window. Each sequence has a ring "
                "of its own.",
                lambda w, t, h, kv, d, b: _bytes(w, (sum(t),), h, kv, d, b),
            ),
            Misconception(
                "you pair layers with sequences, the first with the first. Every layer keeps keys "
                "of every sequence.",
                _paired,
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
                "you ask whether the tokens that go, position `new` the first of them, are still "
                "in the ring. What matters are those that stay: the next token must find the "
                "W - 1 before it.",
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
                "the W. So a full ring, too, can give its last token back.",
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
}
