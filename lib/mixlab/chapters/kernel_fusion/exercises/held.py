"""18.4 Predict: how many states does a backward pass hold?"""

from math import ceil

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Last chunks that are full, nearly full and of one token; a chunk longer than the text."""
    drawn = [(1, 1), (1, 9), (1_000_000, 1000), (1_000_001, 1000), (9_999, 1), (2048, 32)]
    for _ in range(14):
        every = int(rng.integers(1, 60))
        drawn.append((int(rng.integers(1, 40 * every)), every))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=((12, 4), (10, 4), (9, 4), (11, 4), (3, 8), (5, 1), (7, 7), (1, 1), (8, 7)),
    hints=(
        "Draw the line for 10 tokens and chunks of 4. What lies in memory while the last chunk is "
        "walked back? And while the one before it is?",
        "The last chunk: all kept states, and its own tokens, which may be few. The one before: "
        "one kept state fewer, and a whole chunk.",
        "Chunk number c, from 0, holds c + 1 kept states and as many again as it has tokens. Take "
        "the largest over all chunks: it is one of the last two.",
    ),
)

# --- kept back while grading ---


def held(length, every):
    last = (length - 1) % every + 1
    chunks = (length - 1) // every + 1
    return max(chunks + last, chunks - 1 + every if chunks > 1 else 0)


def by_walking(length, every):
    kept = [min(every, length - start) for start in range(0, length, every)]
    most = 0
    while kept:
        most = max(most, len(kept) + kept[-1])
        kept.pop()
    return most


MISTAKES = {
    "you give the last chunk a full number of tokens. It may be shorter, and by the time a full "
    "one is walked back, a kept state is gone.": lambda length, every: ceil(length / every) + every,
    "you look at the last chunk alone. The one before may be longer.": (
        lambda length, every: ceil(length / every) + (length - 1) % every + 1
    ),
    "you look at the one before the last chunk alone. The last may hold more.": (
        lambda length, every: ceil(length / every) - 1 + every,
        lambda length, every: ceil(length / every) - 1 + min(length, every),
    ),
    "you round down how many chunks there are. A short one is a chunk, too.": (
        lambda length, every: length // every + every,
        lambda length, every: length // every + min(length, every),
        lambda length, every: round(length / every) + every,
    ),
    "you let kept states stay while others are walked back. A chunk's is let go of with the "
    "chunk.": lambda length, every: ceil(length / every) + min(every, length),
    "you leave out the state before the first chunk. It is kept as well.": (
        lambda length, every: held(length, every) - 1
    ),
    "you count one state too many: the state before a chunk is the kept one.": (
        lambda length, every: held(length, every) + 1
    ),
    "you count the kept states and not those that are computed again.": (
        lambda length, every: ceil(length / every)
    ),
    "you count the states of a chunk and not those that are kept.": (
        lambda length, every: min(length, every)
    ),
    "you keep every state. Those between are computed again.": (
        lambda length, every: length,
        lambda length, every: length + 1,
    ),
    "you add up all chunks. One after the other they use the same room.": (
        lambda length, every: ceil(length / every) + length
    ),
    "you take a remainder of 0 for an empty last chunk. Then it is a full one.": (
        lambda length, every: max(
            ceil(length / every) + length % every,
            ceil(length / every) - 1 + every if length > every else 0,
        )
    ),
    "you take a remainder of 0 for an empty last chunk, and look at that chunk alone.": (
        lambda length, every: ceil(length / every) + length % every,
        lambda length, every: length // every + 1 + length % every,
    ),
    "you return the least that is held. Asked is the most.": (
        lambda length, every: 1 + min(length, every)
    ),
}

KNOWN = Known(
    right=(held, by_walking),
    mistakes=MISTAKES,
    slips={"expected a whole number": lambda length, every: length / every + every},
    show=lambda length, every: f"held({length:_}, every={every})",
    name="{:,}".format,
)
