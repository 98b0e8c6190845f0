"""10.5 Predict: how long does a prompt take? Chunks over stages, each with a fixed price."""

from math import ceil

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Prompts that come out even or don't, shorter than a chunk; one stage, no fixed price."""
    drawn = [(12, 4, 3, 0), (12, 5, 1, 2), (3, 8, 4, 1), (1, 1, 1, 0), (1000, 7, 9, 11)]
    for _ in range(8):
        size = int(rng.integers(1, 12))
        length = int(rng.integers(1, 6)) * size if rng.random() < 0.4 else int(rng.integers(1, 60))
        drawn.append((length, size, int(rng.integers(1, 8)), int(rng.integers(0, 20))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (6, 1, 3, 0),
        (8, 4, 2, 3),
        (9, 4, 2, 3),
        (9, 4, 3, 0),
        (5, 9, 3, 2),
        (5, 2, 1, 1),
        (7, 3, 4, 2),
    ),
    hints=(
        "Draw 9 tokens in chunks of 4 over 3 stages. When is the last, short chunk through? What "
        "is it waiting for at each stage?",
        "Stage 0 is busy from the beginning until it has done all chunks. If all chunks were full, "
        "what would follow would be P - 1 more of their time. A short last chunk queues behind the "
        "full one before it.",
        "All chunks' times once, and P - 1 times the time of the longest one.",
    ),
)

# --- kept back while grading ---


def chunks_of(length, size, fixed):
    return [fixed + min(size, length - start) for start in range(0, length, size)]


def longest_once(length, size, n_stages, fixed):
    times = chunks_of(length, size, fixed)
    return sum(times) + (n_stages - 1) * max(times)


def stage_by_stage(length, size, n_stages, fixed):
    times = chunks_of(length, size, fixed)
    there = [0] * len(times)  # when each chunk is there
    for _ in range(n_stages):
        free = 0
        for chunk, taken in enumerate(times):
            free = there[chunk] = max(free, there[chunk]) + taken
    return there[-1]


def full(length, size, fixed):
    return [size + fixed] * ceil(length / size)


def timed(total, times=chunks_of):
    return lambda length, size, n_stages, fixed: total(times(length, size, fixed), n_stages)


def drained(times, n_stages):
    return sum(times) + (n_stages - 1) * max(times)


MISTAKES = {
    "you let each chunk wait until the one before is through all stages. Its keys lie in the same "
    "stage: it may follow at once.": timed(lambda times, n: n * sum(times)),
    "your last chunk takes as long as a full one, though the prompt ends before.": timed(
        drained, full
    ),
    "you leave the last, short chunk out.": (
        timed(
            drained,
            lambda length, size, fixed: [size + fixed] * (length // size) or [length + fixed],
        ),
        timed(drained, lambda length, size, fixed: [size + fixed] * (length // size) or [0]),
        lambda length, size, n, fixed: (length // size + n - 1) * (size + fixed),
    ),
    "you add a chunk without tokens where the prompt comes out even.": (
        timed(drained, lambda length, size, fixed: [size + fixed] * (length // size + 1)),
        timed(
            drained,
            lambda length, size, fixed: [size + fixed] * (length // size) + [length % size + fixed],
        ),
    ),
    "you let the pipeline drain by full chunks, though the prompt is shorter than one.": (
        lambda length, size, n, fixed: (
            sum(chunks_of(length, size, fixed)) + (n - 1) * (size + fixed)
        )
    ),
    "you count each token's time once. While the pipeline drains, a chunk's tokens take time at "
    "every further stage.": lambda length, size, n, fixed: (
        length + (ceil(length / size) + n - 1) * fixed
    ),
    "you let the last chunk fall through the stages freely. It is short, and queues behind the "
    "full one before it at each of them.": timed(lambda times, n: sum(times) + (n - 1) * times[-1]),
    "you forget that the pipeline drains: the last chunk has more stages to go through.": timed(
        lambda times, n: sum(times)
    ),
    "you count P more steps after stage 0 is done. Stage 0 is one of the P.": timed(
        lambda times, n: sum(times) + n * max(times)
    ),
    "you leave out the fixed price that each chunk pays at each stage.": (
        lambda length, size, n, fixed: longest_once(length, size, n, 0)
    ),
    "you pay the fixed price once for the prompt. Every chunk pays it, at every stage.": (
        lambda length, size, n, fixed: longest_once(length, size, n, 0) + fixed,
        lambda length, size, n, fixed: longest_once(length, size, n, 0) + n * fixed,
        lambda length, size, n, fixed: drained(full(length, size, 0), n) + fixed,
    ),
    "you pay the fixed price for every chunk, but not while the pipeline drains.": (
        lambda length, size, n, fixed: (
            sum(chunks_of(length, size, fixed)) + (n - 1) * min(size, length)
        ),
        lambda length, size, n, fixed: sum(chunks_of(length, size, fixed)) + (n - 1) * size,
    ),
    "you return the number of steps. Asked is the time: a step takes a chunk's tokens and the "
    "fixed price.": timed(lambda times, n: len(times) + n - 1),
    "you read the prompt whole, stage after stage. It comes in chunks.": (
        lambda length, size, n, fixed: n * (length + fixed)
    ),
    "you divide the work by the stages, as if all worked all the time.": timed(
        lambda times, n: ceil(sum(times) / n)
    ),
}

KNOWN = Known(
    right=(longest_once, stage_by_stage),
    mistakes=MISTAKES,
    slips={"expected a whole number": lambda *given: longest_once(*given) + 0.5},
    show=lambda length, size, n_stages, fixed: (
        f"reading_time(length={length}, size={size}, n_stages={n_stages}, fixed={fixed})"
    ),
)
