"""What the exercises of chapter 06 share: packs, layers over them, masks nearly right."""

from functools import lru_cache, partial
from types import SimpleNamespace

import torch

VOCAB = 50  # token ids of the layers that 06.6 hands out


def ints(rng, low, high, size):
    return rng.integers(low, high, size).tolist()


def draw_blocks(rng):
    """Lengths of queries and of keys, and a window: some chunks, the first one, special windows."""
    drawn = []
    for _ in range(6):
        prompts = int(rng.integers(1, 5))
        queries = ints(rng, 1, 7, prompts)
        keys = [n + cached for n, cached in zip(queries, ints(rng, 0, 7, prompts), strict=True)]
        drawn.append((queries, keys, int(rng.integers(1, 8))))
    queries = ints(rng, 1, 6, 3)
    longer = [n + 1 + cached for n, cached in zip(queries, ints(rng, 0, 6, 3), strict=True)]
    # The first chunk, a window of one, one that nothing leaves, and places beyond 8 bits.
    drawn += [(queries, queries, 3), (queries, longer, 1), (queries, longer, 30)]
    return [*drawn, ([10, 125], [150, 140], 132)]


def pairs_of(q_lengths, k_lengths):
    """Names for all pairs of a pack, of queries one below the other and keys side by side.

    `query` and `key` are places in the pack, `a` and `b` their prompts, `i` and `j` their places
    there, all from 0; `n` and `m` the numbers of queries and keys of the query's prompt, `other`
    the number of keys of the key's; `start` and `first` the first row and column of the query's
    prompt; `queries` and `keys` the lengths as they came. `past` holds where the key is no later in
    the pack, `same` where both have one prompt, `own` where both is so, `back` where the key's
    prompt is the one before.
    """
    queries, keys = torch.tensor(q_lengths), torch.tensor(k_lengths)
    prompts = torch.arange(len(queries))
    a, b = prompts.repeat_interleave(queries)[:, None], prompts.repeat_interleave(keys)[None]
    query, key = torch.arange(len(a))[:, None], torch.arange(b.shape[1])[None]
    start, first = (queries.cumsum(0) - queries)[a], keys.cumsum(0) - keys
    same, past = a == b, query >= key
    return SimpleNamespace(
        **dict(query=query, key=key, a=a, b=b, i=query - start, j=key - first[b]),
        **dict(same=same, past=past, own=same & past, back=a == b + 1),
        **dict(n=queries[a], m=keys[a], other=keys[b], start=start, first=first[a]),
        **dict(queries=queries, keys=keys),
    )


@lru_cache(maxsize=1000)  # all layers are tried on the same few packs
def pairs_inside(lengths):
    """Names for all pairs of a pack that reads itself."""
    return pairs_of(lengths, lengths)


def attention(rule, places, seed):
    """A layer over packed prompts: one head of attention, with weights that the seed draws.

    Args:
        rule: maps `pairs_of` a pack to what a query sees, truth values.
        places: maps them to the places of the tokens, which are added as absolute positions are.
    """
    weights = torch.randn(4, VOCAB, 4, generator=torch.Generator().manual_seed(seed)).double()

    def layer(tokens, lengths):
        tokens, lengths = torch.as_tensor(tokens), [int(n) for n in lengths]
        if min(lengths, default=-1) < 0 or tokens.shape != (sum(lengths),):
            raise ValueError(
                "a layer takes token ids of shape (total,) and the prompts' lengths, which add up "
                f"to it: got ids of shape {tuple(tokens.shape)} and lengths {lengths}"
            )
        pairs = pairs_inside(tuple(lengths))
        x = weights[0][tokens] + 0.3 * torch.sin(places(pairs).T * torch.arange(1.0, 5.0))
        q, k, v = (x @ weight[:4] for weight in weights[1:])
        # Soft scores, so that no leak has weight 0.
        return (q @ k.T / 8).masked_fill(~rule(pairs), -1e9).softmax(dim=1) @ v

    return layer


# What a query of 06.6's layers sees, by `pairs_of` a pack and the family's own number.
FAMILIES = {
    "blocks": lambda x, n: x.own,
    "blocks, one prompt at a time": lambda x, n: x.own,
    "blocks with a window of {n}": lambda x, n: x.own & (x.i - x.j < n),
    "blocks that look ahead": lambda x, n: x.same,
    "one causal triangle": lambda x, n: x.query >= x.key,
    "one causal triangle, places that run on": lambda x, n: x.query >= x.key,
    "no mask": lambda x, n: x.past | True,
    "one causal triangle without places": lambda x, n: x.query >= x.key,
    "blocks, places that run on": lambda x, n: x.own,
    "a window of {n} over everything": lambda x, n: x.past & (x.query - x.key < n),
    "blocks, a first of several tokens looks one prompt back": lambda x, n: (
        x.own | x.back & (x.i == 0) & (x.n > 1)
    ),
    "blocks, the very first token in sight": lambda x, n: x.own | (x.key == 0),
    "blocks, the next prompt in sight": lambda x, n: x.own | (x.a + 1 == x.b),
    "blocks, all but first tokens look one prompt back": lambda x, n: x.own | x.back & (x.i > 0),
    "blocks, prompt {n} sees a token of the next": lambda x, n: (
        x.own | (x.a == n - 1) & (x.b == n) & (x.j == 0)
    ),
    "blocks, prompt {n} looks one prompt back": lambda x, n: x.own | x.back & (x.a == n - 1),
    "blocks, prompts from {n} on look one back": lambda x, n: x.own | x.back & (x.a >= n - 1),
    "blocks told apart by their length": lambda x, n: x.past & (x.n == x.other),
    "blocks that all have the first one's length": lambda x, n: (
        x.past & (x.query // x.keys[0].clamp(1) == x.key // x.keys[0].clamp(1))
    ),
    "blocks, prompts of up to {n} tokens look one back": lambda x, n: x.own | x.back & (x.n <= n),
    "blocks, prompts of over {n} tokens look one back": lambda x, n: x.own | x.back & (x.n > n),
    "blocks, joined where equally long above 1": lambda x, n: (
        x.own | x.past & (x.n == x.other) & (x.n > 1)
    ),
}
# The numbers that a family may have; the first is the check's.
NUMBERS = {
    "blocks with a window of {n}": (3, 1, 2, 4),
    "a window of {n} over everything": (3, 2, 4, 5),
    "blocks, prompt {n} sees a token of the next": (1, 2, 3),
    "blocks, prompt {n} looks one prompt back": (3, 2, 4),
    "blocks, prompts from {n} on look one back": (4, 2, 3),
    "blocks, prompts of up to {n} tokens look one back": (1, 2, 3),
    "blocks, prompts of over {n} tokens look one back": (3, 1, 2),
}


def layer_of(family, number, seed=0):
    places = {"run on": lambda x: x.key, "without places": lambda x: 0 * x.key}
    found = [place for words, place in places.items() if words in family]
    whole = attention(partial(FAMILIES[family], n=number), *found or [lambda x: x.j], seed)

    def layer(tokens, lengths):
        if "at a time" not in family:
            return whole(tokens, lengths)
        return torch.cat(
            [whole(part, [len(part)]) for part in torch.as_tensor(tokens).split(list(lengths))]
        )

    layer.__doc__ = family.format(n=number)
    return layer


# --- kept back while grading ---


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
AHEAD = "your queries also see later keys of their own prompt: a distance may not be negative."
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
    "your window has W + 1 keys. It counts the token itself: distances 0 to W - 1 are visible.": (
        banded(steps, high=lambda w: w + 1)
    ),
    "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1.": banded(
        steps, high=lambda w: w - 1
    ),
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
    AHEAD: (banded(steps, low=lambda w: 1 - w), banded(steps, low=lambda w: -EVERYTHING)),
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
    "your mask is True where the key is hidden. Here True means visible.": (
        lambda *given: ~by_loops(*given)
    ),
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
