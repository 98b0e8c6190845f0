"""11.2 A mask with sinks: the first tokens and the newest, in one budget."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    """Texts shorter than the window and longer, no sinks, as many as leave one key, one token."""
    sizes = [(1, 3, 2), (12, 4, 0), (9, 5, 4), (3, 8, 5), (20, 6, 3), (7, 1, 0), (10, 10, 2)]
    for _ in range(6):
        window = int(rng.integers(1, 12))
        sizes.append((int(rng.integers(1, 25)), window, int(rng.integers(0, window))))
    return sizes


ASKED = Asked(
    draw=draw,
    read=read_mask(2),
    examples=((6, 3, 1), (8, 4, 2), (5, 5, 3), (4, 2, 0), (7, 4, 3)),
    hints=(
        "Write down row 5 for window 4 and 2 sinks: which four keys may it see?",
        "Two conditions, either of which is enough: near enough, or one of the first. Both only "
        "for keys that aren't later than the query. How near is near enough, if the budget is W?",
        "`i - j` with positions as a column and as a row: `0 <= i - j`, and `i - j < window - "
        "sinks` or `j < sinks`. Truth values of tensors are joined by & and |, with brackets.",
    ),
)

# --- kept back while grading ---


def ruled(rule):
    """A mask of a rule for one query and one key."""
    return lambda n, window, sinks: np.array(
        [[bool(rule(i, j, window, sinks)) for j in range(n)] for i in range(n)]
    )


def in_numpy(n, window, sinks):
    ones = np.ones((n, n), dtype=bool)
    near = np.tril(ones) & ~np.tril(ones, -(window - sinks))
    near[:, :sinks] = True
    return near & np.tril(ones)


def sliced(n, window, sinks):
    mask = np.zeros((n, n), dtype=bool)
    for i in range(n):
        mask[i, i - (window - sinks) + 1 : i + 1] = True
        mask[i, : min(sinks, i + 1)] = True
    return mask


def first_w_minus(i, j, w, s):
    return 0 <= i - j < w - s or j < s <= i


MISTAKES = {
    "your sinks come on top of the window: a late query sees window + sinks keys. The budget is "
    "`window` in all.": ruled(lambda i, j, w, s: j <= i and (i - j < w or j < s)),
    "your first queries see sinks that come later. A sink is hidden from queries before it.": (
        ruled(lambda i, j, w, s: 0 <= i - j < w - s or j < s),
        ruled(lambda i, j, w, s: 0 <= i - j < w or j < s),
    ),
    "your sinks have no effect beyond the window: they are kept for every later query.": (
        ruled(lambda i, j, w, s: 0 <= i - j < w),
        ruled(lambda i, j, w, s: 0 <= i - j < w and (i - j < w - s or j < s)),
    ),
    "you hide the first tokens behind the window: only the newest window - sinks are left.": ruled(
        lambda i, j, w, s: 0 <= i - j < w - s
    ),
    "your late queries see window + 1 keys: the window counts the query itself.": ruled(
        lambda i, j, w, s: j <= i and (i - j <= w - s or j < s)
    ),
    "your late queries see window - 1 keys: the window counts the query itself once.": ruled(
        lambda i, j, w, s: j <= i and (i - j < max(1, w - s - 1) or j < s)
    ),
    "you keep one sink too many: positions count from 0.": ruled(
        lambda i, j, w, s: j <= i and (i - j < w - s or j <= s)
    ),
    "you keep one sink too few: positions count from 0.": ruled(
        lambda i, j, w, s: j <= i and (i - j < w - s or j < s - 1)
    ),
    "your queries at the sinks' own places see themselves alone. They see all sinks before them, "
    "too.": (
        ruled(lambda i, j, w, s: i == j or 0 <= i - j < w - s or j < s <= i),
        ruled(first_w_minus),
    ),
    "your slices begin below 0 for the first queries. Such an index counts from the end.": sliced,
    "all your rows are one: `[row] * n` is the same list n times.": (
        lambda n, window, sinks: np.tile(in_numpy(n, window, sinks)[-1:], (n, 1))
    ),
    "your mask says what is hidden. True is asked where the query sees the key.": ruled(
        lambda i, j, w, s: not (j <= i and (i - j < w - s or j < s))
    ),
    "your rows are the keys. A row is a query, a column a key.": ruled(
        lambda j, i, w, s: j <= i and (i - j < w - s or j < s)
    ),
    "you keep the first rows, which are queries. Sinks are keys: columns.": (
        ruled(lambda i, j, w, s: i - j >= 0 and (i - j < w - s or i < s)),
        ruled(lambda i, j, w, s: 0 <= i - j < w - s or i < s),
    ),
    "your queries don't see themselves.": ruled(
        lambda i, j, w, s: j < i and (i - j < w - s or j < s)
    ),
    "both your conditions must hold, near and one of the first. One is enough.": ruled(
        lambda i, j, w, s: 0 <= i - j < w - s and j < s
    ),
    "you let every query see all of its past.": ruled(lambda i, j, w, s: j <= i),
    "your queries see keys that come later.": ruled(lambda i, j, w, s: i - j < w - s or j < s),
    "you let both sides of a query be near. A key that comes later is hidden.": ruled(
        lambda i, j, w, s: abs(i - j) < w - s or j < s
    ),
}

KNOWN = Known(
    right=(ruled(lambda i, j, w, s: j <= i and (i - j < w - s or j < s)), in_numpy),
    mistakes=MISTAKES,
    slips={
        "expected a mask with 2 axes": lambda n, window, sinks: [True] * n,
        "Is it the mask to add to the scores?": lambda n, window, sinks: np.where(
            in_numpy(n, window, sinks), 0.0, -1e9
        ),
    },
    show=lambda n, window, sinks: f"sink_mask({n}, window={window}, sinks={sinks})",
    place=lambda at: f"query {at[0]}, key {at[1]}" if at else "",
    name=lambda value: "seen" if value else "hidden",
)
