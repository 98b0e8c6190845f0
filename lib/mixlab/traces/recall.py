"""A task that needs selection: in a text of capitals among dots, name the last capital but one.

How far back the wanted capital lies changes from text to text, so a memory that counts tokens is
lost, and one whose clock stops at dots is not. It is a small relative of selective copying (Gu
and Dao, "Mamba", 2023, section 4.1.1), with an answer after every token, so a model learns it fast.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.training import TrainingConfig, train

CAPITALS = "ABCDEF"
DOT = len(CAPITALS)
NOTHING = -100  # no answer yet: a target that PyTorch's cross-entropy leaves out


def encode(text: str) -> Int[Tensor, " seq"]:
    """Token ids of a text.

    Raises:
        ValueError: for other characters than the capitals and the dot ·.

    >>> encode("·C··F")
    tensor([6, 2, 6, 6, 5])
    """
    known = {**{c: token for token, c in enumerate(CAPITALS)}, "·": DOT}
    if unknown := sorted(set(text) - set(known)):
        raise ValueError(f"a text is made of {CAPITALS} and ·: got {''.join(unknown)!r}")
    return torch.tensor([known[c] for c in text], dtype=torch.long)


def spell(tokens: Int[Tensor, " seq"]) -> str:
    """The text of token ids or answers; a dot also stands for no answer.

    >>> spell(torch.tensor([6, 2, -100]))
    '·C·'
    """
    return "".join("·" if token in (DOT, NOTHING) else CAPITALS[token] for token in tokens.tolist())


def texts(
    n: int, seq: int, generator: torch.Generator, share: float = 0.2
) -> Int[Tensor, "batch seq"]:
    """Random texts.

    Args:
        n, seq: how many, and how long.
        generator: source of randomness.
        share: of capitals among the tokens.
    """
    capital = torch.rand(n, seq, generator=generator) < share
    return torch.where(capital, torch.randint(DOT, (n, seq), generator=generator), DOT)


def answers(tokens: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """After each token the last capital but one, `NOTHING` before there are two.

    >>> spell(answers(encode("·C··F···A·")[None])[0])
    '····CCCCFF'
    """
    found = [[capital for capital, _ in _wanted(row)] for row in tokens.tolist()]
    return torch.tensor(found)


def ages(tokens: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """How many tokens back the wanted capital lies, −1 where none is wanted.

    >>> ages(encode("·C··F···A·")[None])
    tensor([[-1, -1, -1, -1,  3,  4,  5,  6,  4,  5]])
    """
    found = [[age for _, age in _wanted(row)] for row in tokens.tolist()]
    return torch.tensor(found)


def _wanted(row: list[int]) -> Iterator[tuple[int, int]]:
    """After each token, the wanted capital and its age."""
    earlier = last = (NOTHING, None)
    for now, token in enumerate(row):
        if token != DOT:
            earlier, last = last, (token, now)
        capital, place = earlier
        yield capital, -1 if place is None else now - place


def practise(model: nn.Module, generator: torch.Generator, steps: int) -> None:
    """Train a model on batches of 32 texts of 32 tokens; afterwards its parameters are frozen.

    Args:
        model: maps tokens to logits (batch, seq, vocab).
        generator: source of the texts.
        steps: how many batches.

    >>> from mixlab.ssm.config import MambaConfig
    >>> from mixlab.ssm.mamba import Mamba
    >>> model = Mamba(MambaConfig(dim=8, n_layers=1, vocab_size=7))
    >>> practise(model, torch.Generator().manual_seed(0), steps=1)
    >>> model.norm.weight.requires_grad
    False
    """

    def loss(model: nn.Module, tokens: Tensor) -> Tensor:
        return F.cross_entropy(model(tokens).flatten(0, 1), answers(tokens).flatten())

    recipe = TrainingConfig(
        steps=steps, learning_rate=1e-2, warmup=min(10, steps - 1), weight_decay=0.0
    )
    batches = iter(lambda: texts(32, 32, generator), None)
    train(model, loss, batches, recipe, progress=False)
    model.requires_grad_(False)


@torch.no_grad()
def scores(
    model: Callable, tokens: Int[Tensor, "batch seq"], edges: list[int]
) -> tuple[float, list[float]]:
    """The share of right answers of a model: overall, and by how far back the wanted capital lies.

    Args:
        model: maps tokens to logits (batch, seq, vocab).
        tokens: texts.
        edges: first age of each bin, and the end of the last one.
    """
    right = (model(tokens).argmax(dim=-1) == answers(tokens)).float()
    age = ages(tokens)
    bins = [(age >= low) & (age < high) for low, high in pairwise(edges)]
    return right[age > 0].mean().item(), [right[some].mean().item() for some in bins]
