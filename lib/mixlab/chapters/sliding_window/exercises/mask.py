"""02.1 The window's mask: who sees whom."""

import numpy as np
import torch

import mixlab.chapters.sliding_window.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    """Short texts; windows of 1, of the text's length and longer; a text beyond 8 bits."""
    sizes = [(int(rng.integers(2, 24)), int(rng.integers(1, 12))) for _ in range(6)]
    longest = int(rng.integers(4, 16))
    long = int(rng.integers(257, 300)), int(rng.integers(3, 20))
    return [*sizes, (1, 1), (longest, 1), (longest, longest), (longest, longest + 3), long]


ASKED = Asked(
    draw=draw,
    read=read_mask(),
    examples=((6, 3), (4, 1), (3, 5), (5, 4), (300, 7)),
    hints=(
        "Number the rows and the columns: `torch.arange(seq)[:, None]` is every query's "
        "position as a column, `[None, :]` every key's as a row. Their difference is a table.",
        "Two conditions must both hold: the key is not in the future, and its distance is "
        "below the window. Combine them with `&`.",
        "Distance is query minus key. Distance 0 is the token itself: it counts as one of the W.",
    ),
)

# --- kept back while grading ---


def masked(rule=lambda distance, window: shared.keeps(distance, window), kind=np.int64):
    """A mask by a rule of distances, positions being numbers of some kind."""

    def window_mask(seq, window):
        position = np.arange(seq).astype(kind)
        return rule(position[:, None] - position, window)

    return window_mask


def row_by_row(seq, window):
    mask = torch.zeros(seq, seq, dtype=torch.bool)
    for query in range(seq):
        mask[query, max(0, query - window + 1) : query + 1] = True
    return mask


def w_in_every_row(seq, window):
    first = (np.arange(seq)[:, None] - window + 1).clip(0)
    return (np.arange(seq) >= first) & (np.arange(seq) < first + window)


def from_the_end(seq, window):
    mask = np.zeros((seq, seq), dtype=bool)
    for i in range(seq):
        mask[i, i - window + 1 : i + 1] = True
    return mask


def by_position(sees):
    """A mask from (query, key, window): by more than a distance."""
    return lambda seq, window: sees(np.arange(seq)[:, None], np.arange(seq), window)


MISTAKES = {
    **{words: tuple(map(masked, rules)) for words, rules in shared.RULES.items()},
    shared.FROM_THE_END: from_the_end,
    "rows and columns are swapped: a row is a query.": lambda *size: row_by_row(*size).T,
    "every row of yours has W keys, and so the first queries see later ones. They have fewer: "
    "query 0 sees only itself.": w_in_every_row,
    "you cut the text into blocks of W tokens. Every query has a window of its own, which ends at "
    "the query and reaches back across a block's edge.": by_position(
        lambda i, j, w: (i >= j) & (i // w == j // w)
    ),
    "your queries see the first W keys of the text. A window moves along with its query: it is "
    "the last W.": (
        by_position(lambda i, j, w: (i >= j) & (j < w)),
        by_position(lambda i, j, w: (j < w) & (i >= 0)),
    ),
    "all your queries have the last one's window: the last W keys of the text. Each has its own, "
    "which ends at the query.": by_position(lambda i, j, w: (i >= j) & (j > i.max() - w)),
    "your mask has as many rows as the window. It has a row and a column for each of the `seq` "
    "tokens.": (
        lambda seq, window: row_by_row(window, window),
        lambda seq, window: np.tri(window, dtype=bool),
    ),
    "your mask has a column for each place in the window. It has one for each of the `seq` keys.": (
        lambda seq, window: np.arange(seq)[:, None] >= np.arange(window)
    ),
    shared.EIGHT_BITS: (masked(kind=np.int8), masked(kind=np.uint8)),
}

KNOWN = Known(
    right=(masked(), row_by_row),
    mistakes=MISTAKES,
    slips={
        "the mask to add to the scores": lambda seq, window: np.where(
            row_by_row(seq, window), 0.0, -np.inf
        ),
        "None (does the function return": lambda seq, window: None,
        "expected shape": lambda seq, window: row_by_row(6, 3),
        "ask for one truth value, and a tensor or array has many": lambda seq, window: (
            0 <= torch.arange(seq)[:, None] - torch.arange(seq) < window
        ),
        "first wrong place: query 4, key 2": by_position(
            lambda i, j, w: (i >= j) & (i - j < w) & (i != 4)
        ),
    },
    show=lambda seq, window: f"window_mask({seq}, {window})",
    place=lambda at: f"query {at[0]}, key {at[1]}" if at else "",
    name=lambda value: "visible (True)" if value else "hidden (False)",
)
