"""The toy task of chapter 12: in a text of capitals among dots, say which capital came last.

A reader embeds tokens, mixes them along the text in one of several ways, and scores the six
capitals. Ways to mix differ in what they cost and in what they can't do; all else is the same.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.training import TrainingConfig, train

CAPITALS = "ABCDEF"
DOT = len(CAPITALS)
Tokens = Int[Tensor, "batch seq"]


def texts(n: int, generator: torch.Generator, seq: int = 48, share: float = 0.08) -> Tokens:
    """Random texts, each of which begins with a capital.

    Args:
        n, seq: how many, and how long.
        generator: source of randomness.
        share: of capitals among the tokens after the first.
    """
    capital = torch.rand(n, seq, generator=generator) < share
    capital[:, 0] = True
    return torch.where(capital, torch.randint(DOT, (n, seq), generator=generator), DOT)


def places(tokens: Tokens) -> Tokens:
    """Where the last capital lies, for every token; -1 before there is one.

    >>> places(torch.tensor([[6, 2, 6, 5]]))
    tensor([[-1,  1,  1,  3]])
    """
    here = torch.arange(tokens.shape[1]).expand_as(tokens)
    return torch.where(tokens < DOT, here, -1).cummax(1).values


def answers(tokens: Tokens) -> Tokens:
    """The last capital, for every token of texts that begin with one.

    >>> answers(torch.tensor([[2, 6, 6, 5, 6]]))
    tensor([[2, 2, 2, 5, 5]])
    """
    return tokens.gather(1, places(tokens))


def ages(tokens: Tokens) -> Tokens:
    """How many tokens back the last capital lies.

    >>> ages(torch.tensor([[2, 6, 6, 5, 6]]))
    tensor([[0, 1, 2, 0, 1]])
    """
    return torch.arange(tokens.shape[1]) - places(tokens)


def gaps(tokens: Tokens) -> Tokens:
    """How many tokens lie from the capital before the last to the last one; 0 if there is none.

    >>> gaps(torch.tensor([[2, 6, 6, 5, 6]]))
    tensor([[0, 0, 0, 3, 3]])
    """
    last = places(tokens)
    second = F.pad(last, (1, 0), value=-1)[:, :-1].gather(1, last)
    return torch.where(second >= 0, last - second, 0)


class Reader(nn.Module):
    """Tokens in, scores of the six capitals out.

    Args:
        mix: maps vectors (batch, seq, dim) and matrices (dim, dim) to vectors (batch, seq, dim).
        n_matrices: that `mix` takes.
        dim: width of a vector.
    """

    def __init__(self, mix: Callable[..., Tensor], n_matrices: int, dim: int = 32):
        super().__init__()
        self.mix, self.embedding = mix, nn.Embedding(DOT + 1, dim)
        self.W = nn.ParameterList(torch.randn(dim, dim) / dim**0.5 for _ in range(n_matrices))
        self.norm, self.output = nn.RMSNorm(dim, eps=1e-20), nn.Linear(dim, DOT)

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch seq capital"]:
        """Six scores for each token, of which the greatest names its answer."""
        return self.output(self.norm(self.mix(self.embedding(tokens), *self.W)))


def trained(mix: Callable[..., Tensor], n_matrices: int, seed: int, steps: int = 150) -> Reader:
    """A reader that has practised on batches of 32 texts; its parameters are frozen."""
    generator = torch.manual_seed(seed)
    model = Reader(mix, n_matrices)

    def loss(model: nn.Module, tokens: Tensor) -> Tensor:
        return F.cross_entropy(model(tokens).flatten(0, 1), answers(tokens).flatten())

    recipe = TrainingConfig(steps=steps, learning_rate=1e-2, final=0.01, weight_decay=0.0)
    batches = iter(lambda: texts(32, generator), None)
    train(model, loss, batches, recipe, progress=False)
    return model.requires_grad_(False)


def right_by(model: Reader, tokens: Tokens, where: Tokens, edges: range) -> list[float]:
    """The share of right answers in bins of some quantity, such as the texts' ages.

    Args:
        model: a reader.
        tokens: texts.
        where: the quantity, for every token.
        edges: evenly spaced; a bin begins at each and ends before the next would.
    """
    right = (model(tokens).argmax(-1) == answers(tokens)).float()
    bins = [(where >= low) & (where < low + edges.step) for low in edges]
    return [right[inside].mean().item() for inside in bins]
