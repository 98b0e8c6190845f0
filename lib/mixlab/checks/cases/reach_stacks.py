"""The stacks of layers that exercises 03.4 and 03.5 hand to an answer.

A stack maps states (seq, DIM) to states (seq, DIM), in the precision of what it is given. Who reads
whom stands in its masks, one for each layer; its kind says how a layer mixes what it reads. Random
weights come from a seed, in double precision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DIM = 4
_FARTHEST = 64  # distances beyond it share a weight
_HIDDEN = 64  # wide enough that a ReLU lets something of every input through


def _distance(seq: int) -> Tensor:
    position = torch.arange(seq)
    return position[:, None] - position[None, :]


def band(seq: int, window: int) -> Tensor:
    """Each token reads itself and the `window - 1` before it."""
    return (_distance(seq) >= 0) & (_distance(seq) < window)


# --- how a layer mixes ---------------------------------------------------------------------


def _weight(generator: torch.Generator, rows: int, columns: int, like: Tensor) -> Tensor:
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return (drawn / rows**0.5).to(like)


def _average(x: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(x)
    return (weights / weights.sum(dim=1, keepdim=True).clamp(min=1)) @ x


def attention(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Softmax attention with a residual."""
    q, k, v = (x @ _weight(generator, DIM, DIM, x) for _ in range(3))
    scores = (q @ k.T / DIM**0.5).masked_fill(~mask, -torch.inf)
    return x + scores.softmax(dim=-1) @ v


def averages(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A plain mean of what is seen, through a matrix and tanh, with a residual."""
    return x + torch.tanh(_average(x, mask) @ _weight(generator, DIM, DIM, x))


def convolution(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A weight for each distance, the same at every token; the residual is one of them."""
    taps = torch.rand(2 * _FARTHEST + 1, generator=generator, dtype=torch.float64).to(x) + 0.5
    tap = taps[_distance(len(x)).clamp(-_FARTHEST, _FARTHEST) + _FARTHEST]
    return (tap * mask.to(x)) @ x @ _weight(generator, DIM, DIM, x)


def relu(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A mean of what is seen through a layer of ReLUs, without a residual."""
    hidden = torch.relu(_average(x, mask) @ _weight(generator, DIM, _HIDDEN, x))
    return hidden @ _weight(generator, _HIDDEN, DIM, x)


def gate(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Each channel times a mean of what is seen."""
    return x * (_average(x, mask) @ _weight(generator, DIM, DIM, x))


def centred(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Attention, then each token's mean taken out, so that its channels add up to 0."""
    mixed = attention(x, mask, generator)
    return mixed - mixed.mean(dim=1, keepdim=True)


def faint(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A residual, and a ten-thousandth of what is seen."""
    return x + 1e-4 * _average(x, mask) @ _weight(generator, DIM, DIM, x)


def one_channel(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Only one channel looks around, by its weights' choice; the others stay with their token."""
    mixed = attention(x, mask, generator)
    looks = torch.arange(DIM) == torch.randint(DIM, (1,), generator=generator)
    return torch.where(looks, mixed, x)


@dataclass(frozen=True)
class Stack:
    """A model to test.

    Attributes:
        says: what it is, for a message.
        masks: maps seq to one mask (seq, seq) a layer, the first layer first.
        mix: one layer, from (states, mask, generator) to states.
        seed: of its weights.
    """

    says: str
    masks: Callable[[int], list[Tensor]]
    mix: Callable[[Tensor, Tensor, torch.Generator], Tensor] = attention
    seed: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """States (seq, DIM) after the last layer."""
        generator = torch.Generator().manual_seed(self.seed)
        for mask in self.masks(len(x)):
            x = self.mix(x, mask, generator)
        return x


def dilated(seq: int, window: int, step: int) -> Tensor:
    """`window` tokens, each `step` before the next."""
    return (_distance(seq) % step == 0) & band(seq, (window - 1) * step + 1)


def banded(n_layers: int, window: int) -> Callable[[int], list[Tensor]]:
    """The masks of a stack with one window."""
    return lambda seq: [band(seq, window)] * n_layers


# --- 03.4: every way in which a derivative can hide ----------------------------------------

HIDING = (
    Stack("two layers of attention, window 3", banded(2, 3)),
    Stack("three layers of averages, window 2", banded(3, 2), averages),
    Stack("one layer of ReLUs, window 4", banded(1, 4), relu),
    Stack("two layers of ReLUs, window 3", banded(2, 3), relu),
    Stack("one layer in which channels multiply, window 3", banded(1, 3), gate),
    Stack("two layers of attention, each then centred, window 3", banded(2, 3), centred),
    Stack("two layers that pass on a ten-thousandth, window 3", banded(2, 3), faint),
    *(
        Stack(
            "a layer in which one channel looks around, window 4", banded(1, 4), one_channel, seed
        )
        for seed in range(4)
    ),
    Stack(
        "two layers that read every second token",
        lambda seq: [dilated(seq, 2, 2), dilated(seq, 3, 2)],
    ),
    Stack("a layer that sees itself alone", banded(1, 1), averages),
)

# --- 03.5: stacks that have the reach, and stacks that don't --------------------------------


def _with(n_layers: int, window: int, layer: Callable[[int], Tensor]) -> Callable:
    """All layers but the last as they should be."""
    return lambda seq: [band(seq, window)] * (n_layers - 1) + [layer(seq)]


def _attends(n_layers, window):
    """attention, as it should be"""
    return banded(n_layers, window)


def _one_key_more(n_layers, window):
    """a last layer with one key too many"""
    return _with(n_layers, window, lambda seq: band(seq, window + 1))


def _one_key_less(n_layers, window):
    """a last layer with one key too few"""
    return _with(n_layers, window, lambda seq: band(seq, max(1, window - 1)))


def _one_layer_less(n_layers, window):
    """a layer too few"""
    return banded(n_layers - 1, window)


def _one_layer_more(n_layers, window):
    """a layer too many"""
    return banded(n_layers + 1, window)


def _full_layer(n_layers, window):
    """a last layer without a window"""
    return _with(n_layers, window, lambda seq: band(seq, seq))


def _looks_ahead(n_layers, window):
    """a last layer that also sees the next token"""
    return _with(n_layers, window, lambda seq: band(seq, window) | (_distance(seq) == -1))


def _blocks(n_layers, window):
    """windows cut at every multiple of W"""

    def mask(seq):
        block = torch.arange(seq) // max(2, window)
        return band(seq, window) & (block[:, None] == block[None, :])

    return lambda seq: [mask(seq)] * n_layers


def _holes(n_layers, window):
    """the right farthest token, and every second one on the way"""
    return lambda seq: [dilated(seq, window // 2 + 1, 2)] * n_layers


def _skips_the_neighbour(n_layers, window):
    """the token before it skipped, and one more at the far end"""
    return lambda seq: [band(seq, window + 1) & (_distance(seq) != 1)] * n_layers


def _wraps_around(n_layers, window):
    """a first layer whose first tokens read from the end"""

    def mask(seq):
        return (_distance(seq) % max(1, seq)) < window

    return lambda seq: [mask(seq), *[band(seq, window)] * (n_layers - 1)]


def _sink(n_layers, window):
    """the first token kept in everyone's sight"""

    def mask(seq):
        first = torch.arange(seq)[None, :] == 0
        return band(seq, window) | first.expand(seq, -1)

    return lambda seq: [mask(seq)] * n_layers


def _only_the_last(n_layers, window):
    """the right window for the last token, and no window for the others"""

    def mask(seq):
        seen = band(seq, seq)
        seen[-1] = band(seq, window)[-1]
        return seen

    return lambda seq: [*[band(seq, window)] * (n_layers - 1), mask(seq)]


RIGHT = ((_attends, attention), (_attends, averages), (_attends, convolution))
WRONG = (
    _one_key_more,
    _one_key_less,
    _one_layer_less,
    _one_layer_more,
    _full_layer,
    _looks_ahead,
    _blocks,
    _holes,
    _skips_the_neighbour,
    _wraps_around,
    _sink,
    _only_the_last,
)
# Odd windows, so that a stack with holes can have the right farthest token.
SIZES = ((2, 3), (1, 5), (3, 3))


def _stacks() -> tuple[tuple[Stack, int, int], ...]:
    found = []
    for number, (n_layers, window) in enumerate(SIZES):
        makers = [*RIGHT, *((wrong, RIGHT[number % 3][1]) for wrong in WRONG)]
        for maker, mix in makers:
            what = f"{maker.__doc__}" if maker is not _attends else "no mistake"
            says = f"{mix.__name__} with {what}"
            masks = maker(n_layers, window)
            found.append((Stack(says, masks, mix, seed=number), n_layers, window))
    # At W = 1 no number of layers adds anything.
    found.append((Stack("averages with no mistake", banded(3, 1), averages), 3, 1))
    found.append((Stack("averages that see one token too many", banded(3, 2), averages), 3, 1))
    return tuple(found)


STACKS = _stacks()
