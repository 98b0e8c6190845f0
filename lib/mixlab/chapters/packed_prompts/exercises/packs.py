"""Packs as the exercises of chapter 06 are handed them, and names for all pairs of one."""

from types import SimpleNamespace

import torch


def draw_blocks(rng):
    """Lengths of queries and of keys, and a window: some chunks, the first one, special windows."""
    drawn = []
    for _ in range(6):
        prompts = int(rng.integers(1, 5))
        queries = rng.integers(1, 7, prompts).tolist()
        keys = [n + cached for n, cached in zip(queries, rng.integers(0, 7, prompts), strict=True)]
        drawn.append((queries, keys, int(rng.integers(1, 8))))
    queries = rng.integers(1, 6, 3).tolist()
    longer = [n + 1 + cached for n, cached in zip(queries, rng.integers(0, 6, 3), strict=True)]
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
