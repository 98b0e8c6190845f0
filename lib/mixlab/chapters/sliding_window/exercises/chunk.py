"""02.2 Find the bug: a chunk after a cache."""

import numpy as np
import torch

import mixlab.chapters.sliding_window.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    """Chunks shorter and longer than cache and window, one without a cache, one beyond 8 bits."""
    drawn = [
        (int(rng.integers(1, 9)), int(rng.integers(0, 14)), int(rng.integers(1, 8)))
        for _ in range(7)
    ]
    longer = int(rng.integers(3, 9)), int(rng.integers(2, 5)), int(rng.integers(9, 30))
    long = int(rng.integers(20, 40)), int(rng.integers(257, 280)), int(rng.integers(2, 30))
    alone = (1, int(rng.integers(5, 20)), 4), (int(rng.integers(3, 9)), 0, 3)
    return [*drawn, *alone, longer, long]


ASKED = Asked(
    draw=draw,
    read=read_mask(),
    examples=((2, 3, 3), (4, 0, 2), (1, 6, 4), (5, 2, 3)),
    hints=(
        "Draw two queries with three cached keys on paper: 2 rows, 5 columns. Which column is "
        "the first query itself?",
        "`tril(diagonal=d)` keeps key - query_row <= d. The first query's own key stands in "
        "column `past`, so every diagonal has to move right by `past`.",
        "Once the diagonals have moved, count the keys of a late row. `tril(diagonal=past - "
        "window)` removes the keys at distance W and more.",
    ),
)

# --- kept back while grading ---


def ruled(rule=lambda distance, window: shared.keeps(distance, window)):
    return lambda n, past, window: rule(shared.distances(n, past), window)


def in_columns(sees):
    """A mask from (query's place in the chunk, column, n_queries, past, window)."""
    return lambda n, past, w: sees(np.arange(n)[:, None], np.arange(n + past), n, past, w)


def between(upper, lower):
    """What lies up to one diagonal and not up to another, each from (past, window)."""

    def chunk_mask(n_queries, past, window):
        ones = torch.ones(n_queries, past + n_queries)
        return (ones.tril(upper(past, window)) - ones.tril(lower(past, window))).bool()

    return chunk_mask


DRAFT, NO_PAST = (lambda past, w: -w - 1), (lambda past, w: 0)
MOVED, TOO_OLD = (lambda past, w: past), (lambda past, w: -w)

MISTAKES = {
    "both mistakes are still there: the diagonals ignore the cached keys, and the window keeps "
    "one key too many.": between(NO_PAST, DRAFT),
    "the diagonals ignore the cached keys. Row 0 is not position 0: it is position `past`, and "
    "its own key stands in column `past`.": between(NO_PAST, TOO_OLD),
    "the causal diagonal has moved by `past`, the other one has not: old keys are hidden too "
    "late.": (between(MOVED, TOO_OLD), between(MOVED, lambda past, w: 1 - w)),
    "the causal diagonal has moved by `past`. The other one has not, and it still keeps one key "
    "too many.": between(MOVED, DRAFT),
    "the window's diagonal has moved by `past`, the causal one has not.": (
        between(NO_PAST, lambda past, w: past - w),
        between(NO_PAST, lambda past, w: past - w - 1),
    ),
    "every cached key stays visible, however old: the window counts back from each query, into "
    "the cache too.": in_columns(
        lambda i, j, n, past, w: (j < past) | shared.keeps(i + past - j, w)
    ),
    "no query sees a cached key. The window reaches back into the cache.": in_columns(
        lambda i, j, n, past, w: (j >= past) & shared.keeps(i + past - j, w)
    ),
    "your window hides old keys of the cache, and none of the chunk's own, which grow old too.": (
        in_columns(lambda i, j, n, past, w: (j <= i + past) & ((j >= past) | (i + past - j < w)))
    ),
    "all your queries have one window, the first one's or the last one's. Each has its own, which "
    "ends at the query.": (
        in_columns(lambda i, j, n, past, w: (j <= i + past) & (j > past - w)),
        in_columns(lambda i, j, n, past, w: (j <= i + past) & (j >= past + n - w)),
    ),
    "your queries stand one place too early: the first one's own key is in column `past`, counted "
    "from 0.": ruled(lambda d, w: (d >= 1) & (d <= w)),
    "your queries stand one place too late: the first one's own key is in column `past`, counted "
    "from 0.": ruled(lambda d, w: (d >= -1) & (d < w - 1)),
    "the diagonals have moved the wrong way: `tril(d)` moves its edge to the right as d grows, and "
    "cached keys push the queries' own keys to the right.": (
        between(lambda past, w: -past, lambda past, w: -past - w),
        between(lambda past, w: -past, lambda past, w: -past - w - 1),
    ),
    "the diagonals have moved by the number of queries. What stands before the queries' own keys "
    "are the `past` cached ones.": in_columns(lambda i, j, n, past, w: shared.keeps(i + n - j, w)),
    "your columns are in the wrong order: first the cached keys, then the chunk's own.": (
        in_columns(lambda i, j, n, past, w: shared.keeps(i - j + (j >= n) * (past + n), w))
    ),
    "your mask has no columns for the cached keys: it is to be (n_queries, past + n_queries).": (
        lambda n, past, w: shared.keeps(shared.distances(n), w)
    ),
    "your mask has rows for the cached tokens too. The chunk's queries are the last `n_queries` "
    "rows of it.": lambda n, past, w: shared.keeps(shared.distances(n + past), w),
    "rows and columns are swapped: a row is a query.": lambda *sizes: ruled()(*sizes).T,
    "distance 0, the token itself, is in every window.": ruled(lambda d, w: (d > 0) & (d < w)),
    **{
        words: tuple(map(ruled, rules))
        for words, rules in shared.RULES.items()
        if words != shared.STRICT
    },
}

KNOWN = Known(
    right=(ruled(), between(MOVED, lambda past, w: past - w)),
    mistakes=MISTAKES,
    slips={
        "truth values can't be subtracted": lambda n, past, window: (
            torch.ones(n, n + past, dtype=torch.bool).tril(past)
            - torch.ones(n, n + past, dtype=torch.bool).tril(past - window)
        ),
        "expected a mask with 2 axes": lambda *sizes: ruled()(*sizes)[None],
    },
    show=lambda n, past, w: f"chunk_mask(n_queries={n}, past={past}, window={w})",
    place=lambda at: f"query {at[0]}, key {at[1]}" if at else "",
    name=lambda value: "visible (True)" if value else "hidden (False)",
)
