"""What the exercises of chapter 02 share."""

import numpy as np

# --- kept back while grading ---


def distances(n_queries, past=0):
    """Position of each query less that of each key; queries follow `past` cached keys."""
    return np.arange(past, past + n_queries)[:, None] - np.arange(past + n_queries)


def keeps(distance, window):
    return (distance >= 0) & (distance < window)


ONE_MORE = (
    "your window has W + 1 keys. It counts the token itself, so a window of 3 is the token and "
    "two before it: the distance must stay below W."
)
ONE_LESS = (
    "your window has W - 1 keys. A window of 3 is the token and two before it: distances 0, 1 "
    "and 2."
)
FROM_THE_END = (
    "a slice that starts below 0 counts from the end, so the first queries see nothing, or the "
    "wrong keys. Let it start at max(0, …)."
)
STRICT = (
    "your queries don't see themselves. Distance 0, the token itself, is inside every window; "
    "without it the first query would see nothing at all."
)
AHEAD = (
    "your queries also see later keys. A language model may not look at the tokens it is to "
    "predict: query minus key must not be negative."
)
NO_WINDOW = "only the future is hidden so far. Keys W or more steps back must be hidden too."
INVERTED = "your mask is True where the key is hidden. Here True means visible."
EITHER = (
    "one of your two conditions is enough for a key to be seen: every key is near, or in the "
    "past. Both must hold at once."
)
NOTHING_SEEN = (
    "nothing is left to see between your two edges, at most the token itself. Is one of the signs "
    "turned? A key that is seen stands W - 1 steps before the query at most."
)
EIGHT_BITS = (
    "your positions are kept in 8 bits, which end at 127 or 255 and begin again. A longer text "
    "needs wider numbers."
)

# A mistaken rule, from (distance, window) to what is seen, by what to say to whoever keeps it.
RULES = {
    ONE_MORE: (lambda d, w: (d >= 0) & (d <= w),),
    ONE_LESS: (lambda d, w: (d >= 0) & (d < w - 1), lambda d, w: (d >= 0) & (d < max(1, w - 1))),
    STRICT: (lambda d, w: (d > 0) & (d <= w), lambda d, w: (d > 0) & (d < w)),
    EITHER: (lambda d, w: (d >= 0) | (d < w), lambda d, w: (d > 0) | (d < w)),
    INVERTED: (lambda d, w: ~keeps(d, w),),
    NOTHING_SEEN: (lambda d, w: (d >= 0) & (d < 0), lambda d, w: (d >= 0) & (d <= 1 - w)),
    NO_WINDOW: (lambda d, w: d >= 0,),
    AHEAD: (
        lambda d, w: abs(d) < w,
        lambda d, w: abs(d) <= w,
        lambda d, w: d < w,
        lambda d, w: d <= w,
        lambda d, w: abs(d) <= w // 2,
        lambda d, w: (d >= -1) & (d < w),
        lambda d, w: d > -w,
        lambda d, w: d >= -w,
        lambda d, w: abs(d) < w // 2,
        lambda d, w: (d < 0) & (d >= -w),
    ),
}
