"""05.2 Predict: what is lost if a chunk is written before it is read?"""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Rings that are empty, half full and full; chunks shorter and longer than the ring."""
    drawn = [
        (0, 1, 1),
        (0, 9, 1),
        (40, 12, 12),
        (40, 13, 12),
        (3, 6, 8),
        (0, 7, 5),
        (500, 150, 140),
    ]
    for _ in range(10):
        window = int(rng.integers(1, 10))
        drawn.append((int(rng.integers(0, 2 * window + 2)), int(rng.integers(1, 14)), window))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (8, 4, 4),
        (8, 1, 4),
        (0, 4, 4),
        (2, 3, 4),
        (8, 6, 4),
        (0, 6, 4),
        (5, 3, 1),
        (1, 2, 3),
    ),
    hints=(
        "Write down, for W = 4 after 8 tokens, which positions the ring holds once a chunk of 4 "
        "is written. Then which of them each query needs. And after 2 tokens, a chunk of 3?",
        "Once the chunk is written, the ring holds the newest W positions of all. Query i needs "
        "those from max(0, i - W + 1) to i. What is needed and not held is lost.",
        "No formula is needed: two loops count it. For each i of the chunk, count the j from "
        "max(0, i - W + 1) to i that are smaller than length + n - W.",
    ),
)

# --- kept back while grading ---


def counted(length, n, window):
    held = range(length + n)[-window:]
    needed = [(i, j) for i in range(length, length + n) for j in range(i + 1) if i - j < window]
    return sum(j not in held for _, j in needed)


def summed(length, n, window, first=None):
    """What the chunk's queries lose, or those from position `first` on."""
    oldest = max(0, length + n - window)
    queries = range(length if first is None else first, length + n)
    return sum(max(0, min(i + 1, oldest) - max(0, i - window + 1)) for i in queries)


def counting(needs=lambda i, j, length, w: i - j < w, held=lambda length, n, w: length + n - w):
    """The pairs (i, j) that are needed, and older than what is held, under another idea."""

    def lost(length, n, window):
        oldest = held(length, n, window)
        pairs = [(i, j) for i in range(length, length + n) for j in range(i + 1)]
        return sum(needs(i, j, length, window) and j < oldest for i, j in pairs)

    return lost


def triangle(n):
    return max(0, n) * (n - 1) // 2


MISTAKES = {
    "n(n - 1)/2 holds for a full ring and a chunk that fits into it. What if the ring has empty "
    "slots, or the chunk is longer than the ring?": (
        lambda length, n, w: n * (n - 1) // 2,
        lambda length, n, w: min(n, w) * (min(n, w) - 1) // 2,
        lambda length, n, w: n * (n - 1) // 2 if length + n > w else 0,
        lambda length, n, w: n * (n - 1) // 2 if length >= w else 0,
        lambda length, n, w: n * (n - 1) // 2 if length >= w else triangle(length + n - w),
        lambda length, n, w: sum(min(i, w - 1) for i in range(n)),
    ),
    "you allow for a chunk longer than the ring, and not for empty slots: where a slot was empty, "
    "nothing is overwritten.": lambda length, n, w: counted(length + w, n, w),
    "you allow for empty slots, and not for a chunk that is longer than the ring: its own first "
    "keys are overwritten as well.": (
        counting(needs=lambda i, j, length, w: i - j < w and j < length),
        lambda length, n, w: counted(length, min(n, w), w),
    ),
    "you count n(n + 1)/2: the last query of the chunk loses nothing.": (
        lambda length, n, w: n * (n + 1) // 2,
        lambda length, n, w: n * (n + 1) // 2 * (n > 1),
    ),
    "you count as if the ring held W - 1 keys once the chunk has been written. It holds W.": (
        counting(held=lambda length, n, w: length + n - w + 1)
    ),
    "you count as if the ring held W + 1 keys.": counting(
        held=lambda length, n, w: length + n - w - 1
    ),
    "your queries need W + 1 keys. The window counts the token itself.": counting(
        needs=lambda i, j, length, w: i - j <= w
    ),
    "your queries need W - 1 keys. The window counts the token itself: distances 0 to W - 1.": (
        counting(needs=lambda i, j, length, w: i - j < w - 1)
    ),
    "you count the keys that are overwritten, each once. Several queries may miss the same key: "
    "count pairs.": (
        lambda length, n, w: max(0, length + n - w) - max(0, length - w),
        lambda length, n, w: max(0, length + n - w),
    ),
    "you leave out a query's own key. In a chunk longer than the ring even that is overwritten.": (
        counting(needs=lambda i, j, length, w: 0 < i - j < w)
    ),
    "you let every query lose a whole window. The later in the chunk, the less it loses.": (
        lambda length, n, w: (n - 1) * w,
        lambda length, n, w: (n - 1) * (w - 1),
        lambda length, n, w: n * w,
        lambda length, n, w: n * (w - 1),
    ),
    "you count what the chunk's first query loses. The others lose keys as well.": (
        lambda length, n, w: counted(length, n, w) - summed(length, n, w, length + 1)
    ),
    "you count the pairs that are still found. Asked are the lost ones.": (
        lambda length, n, w: (
            sum(min(i + 1, w) for i in range(length, length + n)) - counted(length, n, w)
        )
    ),
    "you count every pair outside the ring, also those that the window hides anyway.": counting(
        needs=lambda i, j, length, w: True
    ),
    "you count as if each token were written right before it is read. Then nothing is ever lost: "
    "here the whole chunk is written first.": lambda length, n, w: 0,
    "you count n², or n²/2: a query doesn't miss its own key, nor later ones.": (
        lambda length, n, w: n * n,
        lambda length, n, w: n * n // 2,
    ),
}


KNOWN = Known(
    right=(counted, summed),
    mistakes=MISTAKES,
    slips={"expected a whole number": lambda length, n, w: counted(length, n, w) + 0.5},
    show=lambda length, n, window: f"lost(length={length}, n={n}, window={window})",
)
