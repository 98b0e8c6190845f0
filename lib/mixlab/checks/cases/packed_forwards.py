"""The layers that exercise 06.6 hands to an answer: some keep packed prompts apart, some don't.

They stand apart from the other cases because the right ones hold masks that other exercises ask
for: a grader leaves this file out where they would help. Each takes token ids (total,) and the
prompts' lengths and returns (total, 4) numbers: one layer of attention with weights of its own,
over tokens and their places.
"""

from collections.abc import Callable, Sequence

import torch

_VOCAB, _WIDTH = 50, 4


def _table(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(_VOCAB, _WIDTH, generator=rng, dtype=torch.float64)


def _layout(lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(prompt, place in it) of every packed token."""
    prompt = torch.tensor([row for row, n in enumerate(lengths) for _ in range(n)])
    place = torch.tensor([at for n in lengths for at in range(n)])
    return prompt, place


def _attend(tokens, place, mask: torch.Tensor) -> torch.Tensor:
    """One head over tokens whose place is added to them, as absolute positions are."""
    x = _table(0)[tokens] + 0.3 * torch.sin(place[:, None] * torch.arange(1.0, _WIDTH + 1))
    q, k, v = (x @ _table(seed)[:_WIDTH] for seed in (1, 2, 3))
    scores = (q @ k.T / 8).masked_fill(~mask, -1e9)  # soft, so that no leak has weight 0
    return scores.softmax(dim=1) @ v


def _layer(mask_of: Callable, place_of: Callable = lambda prompt, place: place) -> Callable:
    def layer(tokens, lengths):
        prompt, place = _layout(lengths)
        index = torch.arange(len(tokens))
        causal = index[:, None] >= index
        mask = mask_of(causal, prompt[:, None], prompt, place[:, None], place, list(lengths))
        return _attend(tokens, place_of(prompt, place), mask)

    return layer


def _one_by_one(tokens, lengths):
    parts = [_CAUSAL(part, [len(part)]) for part in tokens.split(list(lengths)) if len(part)]
    return torch.cat(parts)


_CAUSAL = _layer(lambda causal, *rest: causal)

# What it does, and whether prompts stay apart; (causal, query's prompt, key's, places, lengths).
_ALL = (
    ("blocks along the diagonal", _layer(lambda c, a, b, i, j, n: c & (a == b))),
    ("one prompt after the other, none together", _one_by_one),
    ("blocks with a window of 3", _layer(lambda c, a, b, i, j, n: c & (a == b) & (i - j < 3))),
    ("blocks that also look ahead", _layer(lambda c, a, b, i, j, n: a == b)),
    ("one causal triangle over everything", _CAUSAL),
    (
        "the causal triangle, with places that run on",
        _layer(lambda c, *rest: c, lambda prompt, place: torch.arange(len(place))),
    ),
    ("no mask at all", _layer(lambda c, *rest: torch.ones_like(c))),
    (
        "one causal triangle, over tokens without places",
        _layer(lambda c, *rest: c, lambda prompt, place: torch.zeros_like(place)),
    ),
    (
        "blocks, with places that run on",
        _layer(
            lambda c, a, b, i, j, n: c & (a == b),
            lambda prompt, place: torch.arange(len(place)),
        ),
    ),
    (
        "a window of 3 that reaches over the border",
        _layer(lambda c, *rest: c & ~c.tril(-3)),
    ),
    (
        "blocks whose first token also sees the one before it",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | ((a == b + 1) & (i == 0)))),
    ),
    (
        "blocks, and the first token of all in sight of everyone",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | ((b == 0) & (j == 0)))),
    ),
    (
        "a prompt that sees the whole of the next one",
        _layer(lambda c, a, b, i, j, n: (c & (a == b)) | (a + 1 == b)),
    ),
    (
        "blocks, of which only the first token is kept from the prompt before it",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | ((a == b + 1) & (i > 0)))),
    ),
    (
        "a first prompt that also sees the token behind it",
        _layer(lambda c, a, b, i, j, n: (c & (a == b)) | ((a == 0) & (b == 1) & (j == 0))),
    ),
    (
        "the third prompt sees the second",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | ((a == 2) & (b == 1)))),
    ),
    (
        "blocks told apart by their length",
        _layer(lambda c, a, b, i, j, n: c & (torch.tensor(n)[a] == torch.tensor(n)[b])),
    ),
    (
        "blocks that all have the first prompt's length",
        _layer(lambda c, a, b, i, j, n: c & _first_size(len(c), n[0])),
    ),
    (
        "blocks, where a prompt of one token sees its neighbour",
        _layer(
            lambda c, a, b, i, j, n: c & ((a == b) | ((a == b + 1) & (torch.tensor(n)[a] == 1)))
        ),
    ),
    (
        "blocks, of which the fourth and later ones see the one before",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | ((a == b + 1) & (a >= 3)))),
    ),
    (
        "blocks, where prompts of the same length above 1 see each other",
        _layer(lambda c, a, b, i, j, n: c & ((a == b) | _equally_long(a, b, torch.tensor(n)))),
    ),
)


def _equally_long(a: torch.Tensor, b: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return (lengths[a] == lengths[b]) & (lengths[a] > 1)


def _first_size(total: int, size: int) -> torch.Tensor:
    block = torch.arange(total) // size
    return block[:, None] == block


KEEP_APART = 4  # the first so many are right


def _named(description: str, layer: Callable) -> Callable:
    layer.__doc__ = description
    return layer


LAYERS = tuple(_named(*pair) for pair in _ALL)
