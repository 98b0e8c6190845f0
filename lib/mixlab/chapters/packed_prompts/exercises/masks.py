"""Masks that are nearly right, of 06.2 and 06.4, with what to say to whoever makes them."""

# --- kept back while grading ---

import torch

from mixlab.chapters.packed_prompts.exercises.packs import pairs_of


def by_loops(q_lengths, k_lengths, window):
    """The right mask, query by query."""
    mask = torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)
    row = first = 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        for own in range(first + m - n, first + m):
            mask[row, max(first, own - window + 1) : own + 1] = True
            row += 1
        first += m
    return mask


def seeing(rule):
    """A mask by a rule about `pairs_of` a pack, which know the window as `w`."""

    def mask(q_lengths, k_lengths, window):
        at = pairs_of(q_lengths, k_lengths)
        at.w = window
        return rule(at).expand(len(at.query), at.key.shape[1])

    return mask


def banded(distance, low=lambda w: 0, high=lambda w: w, inside=lambda at: at.same):
    """A mask of the distances from low(W) to below high(W), measured in some way."""
    return seeing(lambda at: inside(at) & (distance(at) >= low(at.w)) & (distance(at) < high(at.w)))


def everywhere(at):
    return at.key == at.key


def steps(at):
    """How many positions the key lies back."""
    return at.i + at.m - at.n - at.j


EVERYTHING = 10**6
ONE_MORE = "your window has W + 1 keys. It counts the token itself: distances 0 to W - 1."
ONE_LESS = "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1."
INVERTED = "your mask is True where the key is hidden. Here True means visible."
PACKED = (
    "you measure distance in the pack. A query's row and a key's column count different things "
    "once some keys come from a cache: measure inside each prompt."
)
NEARLY = {
    "your blocks are aligned top-left: query 0 of a block stands at position 0. The queries are a "
    "block's last tokens, so with m keys and n queries the first one stands at m - n.": (
        banded(lambda at: at.i - at.j),
        banded(lambda at: at.i - at.j, high=lambda w: EVERYTHING),
    ),
    "your window's far edge is aligned top-left, its near one at the end: both move on with the "
    "query's position, m - n + r.": seeing(
        lambda at: at.same & (steps(at) >= 0) & (at.i - at.j < at.w)
    ),
    "your distances are one too large: from a query to its own key it is 0.": banded(
        lambda at: steps(at) + 1
    ),
    PACKED: banded(lambda at: at.query - at.key),
    "your mask leaks: it treats the pack as one sequence, so a prompt sees the end of the one "
    "before it.": (
        banded(lambda at: at.query - at.key + at.keys.sum() - at.queries.sum(), inside=everywhere),
        banded(lambda at: at.query - at.key, inside=everywhere),
    ),
    ONE_MORE: banded(steps, high=lambda w: w + 1),
    ONE_LESS: banded(steps, high=lambda w: w - 1),
    "you shift all prompts alike. Each has cached keys of its own: block b starts "
    "k_lengths[b] - q_lengths[b] positions in.": (
        banded(lambda at: at.i - at.j + at.keys[0] - at.queries[0]),
        banded(lambda at: at.i - at.j + at.keys[-1] - at.queries[-1]),
        banded(lambda at: at.i - at.j + at.keys.sum() - at.queries.sum()),
        banded(lambda at: at.query - at.key + at.keys[0] - at.queries[0]),
        banded(lambda at: at.query - at.key + at.keys.sum() - at.queries.sum()),
    ),
    "no query of yours sees a key from the cache. A block's first keys are older tokens of the "
    "same prompt, and the window reaches back to them.": banded(
        steps, inside=lambda at: at.same & (at.j >= at.m - at.n)
    ),
    "your queries see every cached key. The window counts back from each query, whether a key is "
    "cached or new.": seeing(
        lambda at: at.same & ((at.j < at.m - at.n) | (steps(at) >= 0) & (steps(at) < at.w))
    ),
    "your queries see cached keys alone, and not those of their own chunk.": banded(
        steps, inside=lambda at: at.same & (at.j < at.m - at.n)
    ),
    "your window counts back from the last query of each block, for all of them. It counts back "
    "from each query.": seeing(lambda at: at.same & (steps(at) >= 0) & (at.j >= at.m - at.w)),
    "your queries don't see themselves: distance 0 is visible, distance W is not.": (
        banded(steps, low=lambda w: 1, high=lambda w: w + 1),
        banded(steps, low=lambda w: 1),
    ),
    "your queries also see later keys of their own prompt: a distance may not be negative.": (
        banded(steps, low=lambda w: 1 - w),
        banded(steps, low=lambda w: -EVERYTHING),
    ),
    "your distance has the wrong sign: it counts how far the key comes after the query, and so "
    "shows the future.": banded(lambda at: -steps(at)),
    "your window reaches over the start of its prompt, into the one before it: no key of another "
    "prompt is visible, however near.": banded(
        lambda at: at.first + at.m - at.n + at.i - at.key, inside=everywhere
    ),
    "your blocks move on by their queries, in columns too. A block's columns begin after all keys "
    "of the prompts before it: count rows and columns each by its own lengths.": banded(
        lambda at: at.start + at.i - at.key,
        inside=lambda at: (at.key >= at.start) & (at.key < at.start + at.n),
    ),
    "the window has no effect: keys W or more steps back must be hidden too.": banded(
        steps, high=lambda w: EVERYTHING
    ),
    "every query sees the whole of its own block. That is what BlockDiagonalMask does by itself; "
    "the future and the keys beyond the window must be hidden inside the block.": seeing(
        lambda at: at.same
    ),
    "everything is visible, to every query.": seeing(everywhere),
    INVERTED: lambda *given: ~by_loops(*given),
}


def advice(q_lengths, k_lengths, window):
    """What stands out in the case that goes wrong."""
    if q_lengths == k_lengths:
        return "no key comes from a cache in this case. Look at one block alone, edge by edge."
    return "all is right where no key comes from a cache. With some, a block is wider than high."


def query_key(index):
    return f"query {index[0]}, key {index[1]}" if index else ""


def visible(value):
    """A mask's value in words, for a message."""
    return "visible (True)" if value else "hidden (False)"
