"""02.3 Predict the cost: how many scores a window needs."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Short texts, and two long ones of an odd and an even count: float32 has no odd numbers from
    2^24 on. They are as small as that allows, so that a loop over the pairs ends.
    """
    small = [(int(rng.integers(1, 40)), int(rng.integers(1, 60))) for _ in range(6)]
    equal = int(rng.integers(2, 40))
    long, window = int(rng.integers(1_000_000, 1_100_000)), 19 + 2 * int(rng.integers(0, 4))
    return [*small, (equal, equal), (1, 1), (long, window), (long + 1, window)]


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=((6, 3), (10, 1), (4, 9), (5, 5)),
    hints=(
        "Write down how many keys each query sees, for 6 tokens and W = 3: 1, 2, 3, 3, 3, 3.",
        "The first W queries make a triangle, 1 + 2 + … + W. Every later query adds W.",
        "What if the window is longer than the sequence? Then only the first `seq` steps of the "
        "triangle exist: use `min(window, seq)`.",
    ),
)

# --- kept back while grading ---


def row_by_row(seq, window):
    return sum(min(query + 1, window) for query in range(seq))


def two_triangles(seq, window):
    """All causal pairs, less those at distance W and more."""
    beyond = max(0, seq - window)
    return seq * (seq + 1) // 2 - beyond * (beyond + 1) // 2


def counting(triangle, late=lambda s, w: max(s - w, 0), each=lambda s, w: w):
    """The first queries' pairs, from (seq, window), and so many for each of the late ones."""
    return lambda seq, window: triangle(seq, window) + late(seq, window) * each(seq, window)


def clipped(count):
    """A count from (seq, window) in which the window ends with the text."""
    return lambda seq, window: count(seq, min(seq, window))


def other_sizes(change):
    """A right count for other sizes."""
    return lambda seq, window: two_triangles(*change(seq, window))


MISTAKES = {
    "you give every query a full window, W keys or the whole text. The first ones have fewer: "
    "query 0 sees only itself.": (lambda s, w: s * w, clipped(lambda s, w: s * w)),
    "you count all causal pairs: the window has no effect.": lambda s, w: s * (s + 1) // 2,
    "you count all pairs: neither later keys nor old ones are hidden.": lambda s, w: s * s,
    "the triangle at the start has W (W + 1) / 2 pairs, with the diagonal; you have counted it "
    "without. (And W is never more than the text has.)": (
        clipped(counting(lambda s, w: w * (w - 1) // 2)),
        counting(lambda s, w: w * (w - 1) // 2, late=lambda s, w: s - w),
    ),
    "your count is right while the window fits, and wrong when it is longer than the sequence: "
    "then there are no keys to fill it.": (
        counting(lambda s, w: w * (w + 1) // 2, late=lambda s, w: s - w),
        counting(lambda s, w: w * (w + 1) // 2),
        lambda s, w: two_triangles(s, w) if w <= s else s * w,
        lambda s, w: two_triangles(s, w) if w <= s else s * s,
        lambda s, w: two_triangles(s, w) if w <= s else 0,
    ),
    "your window has W + 1 keys: it counts the token itself, so W in all.": (
        other_sizes(lambda s, w: (s, w + 1))
    ),
    "your window has W - 1 keys: it counts the token itself, so W in all.": (
        other_sizes(lambda s, w: (s, w - 1)),
        lambda s, w: two_triangles(s, w) - s,
    ),
    "you count only the queries whose window is full, or the first ones as one. These see 1, 2, … "
    "keys, and all of them count.": (
        clipped(lambda s, w: (s - w) * w),
        clipped(lambda s, w: (s - w + 1) * w),
        lambda s, w: (s - w) * w,
        lambda s, w: (s - w + 1) * w,
        counting(lambda s, w: 0),
    ),
    "your text is one token too long: queries are numbered 0 to seq - 1.": (
        other_sizes(lambda s, w: (s + 1, w)),
        clipped(counting(lambda s, w: w * (w + 1) // 2, late=lambda s, w: s - w + 1)),
    ),
    "you count keys on both sides of a query. It sees itself and earlier ones only.": (
        lambda s, w: 2 * two_triangles(s, w) - s,
        lambda s, w: s * (2 * w - 1),
    ),
    "a query is missing, the first. It sees itself.": lambda s, w: two_triangles(s, w) - 1,
    "you take W's triangle off all causal pairs. What the window hides is the triangle of the "
    "seq - W queries that have lost keys.": lambda s, w: s * (s + 1) // 2 - w * (w + 1) // 2,
    "seq and window have changed places in your count.": lambda s, w: two_triangles(w, s),
    "your triangle is a square cut in halves, W² / 2. The diagonal belongs to it as a whole: 1 + 2 "
    "+ … + W is W (W + 1) / 2.": clipped(counting(lambda s, w: w * w // 2)),
}


def advice(seq, window):
    """What is special about these sizes."""
    if seq > 10_000:
        return (
            "your count is right where it is small. This one has more digits than float32 keeps: "
            "it has about seven, and no odd numbers above 16,777,216."
        )
    if window > seq:
        return "here the window is longer than the text, and no query sees more than all of it."
    return "write down how many keys each query sees here, one after the other, and add them up."


KNOWN = Known(
    right=(two_triangles, row_by_row),
    mistakes=MISTAKES,
    slips={
        "expected one whole number": lambda s, w: str(two_triangles(s, w)),
        "expected a whole number: got 13.5": clipped(counting(lambda s, w: w * w / 2)),
        "more digits than float32 keeps": lambda s, w: np.float32(two_triangles(s, w)),
        "the window is longer than the text": lambda s, w: two_triangles(s, w) - (w > s),
        "one after the other, and add them up": lambda s, w: two_triangles(s, w) + (w == 1),
    },
    show=lambda seq, window: f"n_scores({seq}, {window})",
    name="{:,}".format,
    advice=advice,
)
