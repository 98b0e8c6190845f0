"""05.1 Where the borders lie: the chunks of a prompt, and what each finds in the ring."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """Chunks shorter and longer than window and prompt, some that come out even, W = 1."""
    drawn = [(1, 1, 1), (6, 1, 2), (12, 5, 4), (12, 4, 12), (7, 3, 20), (5, 9, 1), (300, 130, 140)]
    for _ in range(8):
        size = int(rng.integers(1, 9))
        length = int(rng.integers(1, 5)) * size if rng.random() < 0.4 else int(rng.integers(1, 30))
        drawn.append((length, int(rng.integers(1, 12)), size))
    return drawn


def read(value) -> np.ndarray:
    """One row (start, tokens, keys) a chunk."""
    try:
        rows = np.array([[int(number) for number in row] for row in value]).reshape(-1, 3)
    except (TypeError, ValueError):
        raise Unreadable(
            f"expected one (start, tokens, keys) for each chunk: got {kind_of(value)}"
        ) from None
    return rows


ASKED = Asked(
    draw=draw,
    read=read,
    examples=((11, 4, 4), (11, 4, 3), (8, 4, 4), (3, 4, 5), (6, 2, 4), (4, 1, 2), (5, 9, 2)),
    hints=(
        "Cut 11 words in chunks of 3 on paper. How long is the last chunk? Which keys does its "
        "first query see, besides its own?",
        "A chunk that starts at position s comes after s keys. Its first query sees W - 1 of "
        "them, if there are so many.",
        "`range(0, length, size)` gives the starts, without an empty chunk where it comes out "
        "even. Two minima are left: one for the tokens, one for the keys.",
    ),
)

# --- kept back while grading ---


def by_start(length, window, size):
    return [
        (start, min(size, length - start), min(start, window - 1))
        for start in range(0, length, size)
    ]


def by_position(length, window, size):
    chunks = [np.arange(length)[start : start + size] for start in range(0, length, size)]
    counted = [[int(0 <= c[0] - j < window) for j in range(c[0])] for c in chunks]
    return [(int(c[0]), len(c), sum(row)) for c, row in zip(chunks, counted, strict=True)]


def chunking(tokens=None, keys=None, starts=None):
    """The chunks under another idea of their lengths, their keys or their starts."""
    tokens = tokens or (lambda start, length, size: min(size, length - start))
    keys = keys or (lambda start, w, size, n: min(start, w - 1))
    starts = starts or (lambda length, size: range(0, length, size))

    def borders(length, window, size):
        rows = [(s, tokens(s, length, size)) for s in starts(length, size)]
        return [(s, n, keys(s, window, size, n)) for s, n in rows]

    return borders


MISTAKES = {
    "you add a chunk without tokens where the prompt comes out even.": chunking(
        starts=lambda length, size: range(0, length + 1, size)
    ),
    "you leave out the last chunk where it is shorter than the others.": chunking(
        starts=lambda length, size: range(0, length - size + 1, size)
    ),
    "your last chunk is as long as the others, though the prompt ends before.": chunking(
        tokens=lambda start, length, size: size
    ),
    "you count W keys from the ring. The window counts the token itself, so a chunk's first query "
    "sees W - 1 others.": chunking(keys=lambda s, w, size, n: min(s, w)),
    "you count W - 1 keys even where fewer have been read: the first chunk finds an empty ring.": (
        chunking(keys=lambda s, w, size, n: w - 1),
        chunking(keys=lambda s, w, size, n: w - 1 if s else 0),
        chunking(tokens=lambda start, length, size: size, keys=lambda s, w, size, n: w - 1),
    ),
    "you count W keys for every chunk but the first. The ring may hold fewer, and one of a full "
    "ring's keys is seen by nobody.": chunking(keys=lambda s, w, size, n: w if s else 0),
    "you count all keys that were read before. The window hides the older ones.": chunking(
        keys=lambda s, w, size, n: s
    ),
    "you count the tokens of the chunk before. Its length has nothing to do with what the window "
    "shows.": (
        chunking(keys=lambda s, w, size, n: min(s, size)),
        chunking(keys=lambda s, w, size, n: min(s, size, w - 1)),
    ),
    "you count what the chunk's last query sees of the ring. Its first query sees the most, and "
    "all that anybody sees must be fetched.": chunking(
        keys=lambda s, w, size, n: max(0, min(s, w - n))
    ),
    "you count the chunk's own keys too. Asked is what comes from the ring.": chunking(
        keys=lambda s, w, size, n: min(s, w - 1) + n
    ),
    "you count what the ring holds once the chunk has been written. It is read before.": (
        chunking(keys=lambda s, w, size, n: min(s + n, w)),
        chunking(keys=lambda s, w, size, n: min(s + n, w - 1)),
        chunking(keys=lambda s, w, size, n: min(s + size, w)),
        chunking(keys=lambda s, w, size, n: min(s + size, w - 1)),
    ),
    "you return the oldest position that the window shows, in place of how many keys.": chunking(
        keys=lambda s, w, size, n: max(0, s - w + 1)
    ),
    "you return where chunks end in place of how long they are.": chunking(
        tokens=lambda start, length, size: min(start + size, length)
    ),
    "you return the numbers of the chunks in place of their starts.": lambda length, w, size: [
        (number, n, keys) for number, (_, n, keys) in enumerate(by_start(length, w, size))
    ],
    "your chunks begin at 1. Positions count from 0.": lambda *given: [
        (start + 1, n, keys) for start, n, keys in by_start(*given)
    ],
}

KNOWN = Known(
    right=(by_start, by_position),
    mistakes=MISTAKES,
    slips={"expected one (start, tokens, keys)": lambda length, window, size: length},
    show=lambda length, window, size: f"borders(length={length}, window={window}, size={size})",
    place=lambda at: (
        f"chunk {at[0]}, " + ("its start", "its tokens", "its keys")[at[1]] if at else ""
    ),
)
