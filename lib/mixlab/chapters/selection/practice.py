"""How the models of chapter 16 practise, and how often they are right.

All are one layer along the text between an embedding and a linear map: nothing else mixes tokens,
and nothing bends what the layer gives. So what an LTI layer can't do, these can't do with it.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.chapters.selection.tasks import NOT_ASKED, Task, Tokens, next_tokens
from mixlab.common.training import TrainingConfig, train

DIM, LENGTH, BATCH = 16, 16, 64


class Constant(nn.Module):
    """Stands for a linear map, and gives every token the same learnt numbers."""

    def __init__(self, size: int):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(size))

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch size"]:
        """The numbers, for each token."""
        return self.bias.expand(*x.shape[:-1], -1)


class Reader(nn.Module):
    """Tokens in, a score for each token of the alphabet out.

    Args:
        layer: maps vectors (batch, seq, dim) to such vectors.
        size: of the alphabet.
        look_back: whether a vector tells of the token before as well.
    """

    def __init__(self, layer: nn.Module, size: int, look_back: bool = False):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(size, DIM), layer
        self.before = nn.Embedding(size, DIM) if look_back else None
        self.output = nn.Linear(DIM, size)

    def vectors(self, tokens: Tokens) -> Float[Tensor, "batch seq dim"]:
        """What the layer is given."""
        x = self.embedding(tokens)
        if self.before is None:
            return x
        return x + F.pad(self.before(tokens), (0, 0, 1, 0))[:, :-1]

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch seq size"]:
        """The greatest score names the answer."""
        return self.output(self.layer(self.vectors(tokens)))


def trained(
    task: Task,
    layer: Callable[[], nn.Module],
    seed: int,
    steps: int,
    *,
    look_back: bool = False,
    every_token: bool = False,
    learning_rate: float = 0.05,
) -> Reader:
    """A reader that has practised on texts of 16 tokens; its parameters are frozen.

    Args:
        task: what it practises.
        layer: makes the layer.
        seed: of weights and texts.
        steps: batches of 64 texts.
        look_back: as in `Reader`.
        every_token: whether the loss asks for the next token wherever the task asks nothing.
        learning_rate: the first one; it falls along a cosine.
    """
    generator = torch.manual_seed(seed)
    model = Reader(layer(), len(task.alphabet), look_back)

    def loss(model: nn.Module, tokens: Tensor) -> Tensor:
        wanted = task.answers(tokens)
        if every_token:
            wanted = torch.where(wanted == NOT_ASKED, next_tokens(tokens), wanted)
        scores = model(tokens).flatten(0, 1)
        return F.cross_entropy(scores, wanted.flatten(), ignore_index=NOT_ASKED)

    recipe = TrainingConfig(steps=steps, learning_rate=learning_rate, final=0.01, weight_decay=0.0)
    batches = iter(lambda: task.texts(BATCH, LENGTH, generator), None)
    train(model, loss, batches, recipe, progress=False)
    return model.requires_grad_(False)


def right(model: nn.Module, task: Task, length: int = LENGTH, n: int = 512) -> list[float]:
    """The share of right answers to each question, on texts that it hasn't seen.

    Args:
        model: a reader.
        task: what it is asked.
        length: of the texts.
        n: how many.
    """
    tokens = task.texts(n, length, torch.Generator().manual_seed(2026))
    wanted = task.answers(tokens)
    asked = wanted[0] != NOT_ASKED
    answered = model(tokens)[:, asked].argmax(-1)
    return (answered == wanted[:, asked]).float().mean(0).tolist()
