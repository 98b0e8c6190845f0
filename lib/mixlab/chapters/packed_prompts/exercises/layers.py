"""Layers over packed prompts, by families, for 06.6: some leak, and some only in certain packs."""

from functools import lru_cache, partial

import torch

from mixlab.chapters.packed_prompts.exercises.packs import pairs_of

VOCAB = 50  # token ids


@lru_cache(maxsize=1000)  # all layers are tried on the same few packs
def pairs_inside(lengths):
    """Names for all pairs of a pack that reads itself."""
    return pairs_of(lengths, lengths)


def attention(rule, places, seed):
    """A layer over packed prompts: one head, in which queries see by a rule about `pairs_of` a
    pack, and `places` of them are added as absolute positions are.
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
    "blocks, and a hundredth of one causal triangle": lambda x, n: x.own,
    "blocks, each prompt's rows the other way round in a pack": lambda x, n: x.own,
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
    leaking = attention(lambda x: x.past, lambda x: x.j, seed)

    def layer(tokens, lengths):
        out = whole(tokens, lengths)
        if "at a time" in family:
            parts = torch.as_tensor(tokens).split(list(lengths))
            return torch.cat([whole(part, [len(part)]) for part in parts])
        if "hundredth" in family:
            return 0.99 * out + 0.01 * leaking(tokens, lengths)
        if "other way" in family and len(lengths) > 1:
            return torch.cat([part.flip(0) for part in out.split(list(lengths))])
        return out

    layer.__doc__ = family.format(n=number)
    return layer
