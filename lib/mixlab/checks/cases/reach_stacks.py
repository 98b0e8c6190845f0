"""The stacks of layers that exercises 03.4 and 03.5 hand to an answer.

A stack maps states (seq, DIM) to states (seq, DIM), in the precision of what it is given. Who reads
whom stands in tables, so every stack is the same code, and nothing but what it returns tells a
right one from a wrong one. Random weights come from a seed, in double precision. The tables of 03.5
come from oracles/reach_makers.py.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mixlab.checks.cases import open_data

DIM = 4
LONGEST = 100  # tokens
FILE = Path(__file__).with_suffix(".npz")
_FARTHEST = 64  # distances beyond it share a weight
_HIDDEN = 64  # wide enough that a ReLU lets something of every input through


def _distance(seq: int) -> Tensor:
    position = torch.arange(seq)
    return position[:, None] - position[None, :]


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
    scores = (q @ k.T / 8).masked_fill(~mask, -torch.inf)  # soft, so that no weight rounds to 0
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


def from_one_channel(x: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """All channels look around, but see only one of the others' channels."""
    seen = torch.arange(DIM) == torch.randint(DIM, (1,), generator=generator)
    mixed = _average(x * seen, mask) @ _weight(generator, DIM, DIM, x)
    return x * seen + torch.tanh(mixed)


# --- who reads whom ------------------------------------------------------------------------


def tables_of(layers: list[Tensor]) -> Tensor:
    """Tables (layers, 3, LONGEST, LONGEST) of masks that are the same in texts of any length.

    Args:
        layers: one mask (LONGEST, LONGEST) a layer, the first layer first.
    """
    masks = torch.stack(layers)
    return torch.stack((masks, torch.zeros_like(masks), masks), dim=1)


def visible(tables: Tensor, seq: int) -> Tensor:
    """Masks (layers, seq, seq) for a text of `seq` tokens.

    Of a layer's three tables the first says which key, counted from the start, a query sees; the
    second which key counted from the end; the third what the last token sees, by the text's length.
    """
    from_start, from_end, last = tables.unbind(dim=1)
    masks = from_start[:, :seq, :seq] | from_end[:, :seq, :seq].flip(2)
    if seq:
        masks[:, -1] = last[:, seq - 1, :seq]
    return masks


def stack_of(tables: Tensor, mix: Callable, seed: int) -> Callable[[Tensor], Tensor]:
    """A stack of layers, as a function from states to states.

    Args:
        tables: of all layers, the first layer first.
        mix: one layer, from (states, mask, generator) to states.
        seed: of its weights.
    """

    def stack(x):
        if not torch.is_tensor(x) or x.dim() != 2 or x.shape[1] != DIM or len(x) > LONGEST:
            raise ValueError(
                f"this stack takes states of shape (seq, {DIM}), for at most {LONGEST} tokens: got "
                f"{tuple(x.shape) if torch.is_tensor(x) else type(x).__name__}"
            )
        generator = torch.Generator().manual_seed(seed)
        for mask in visible(tables, len(x)):
            x = mix(x, mask, generator)
        return x

    return stack


def band(window: int, step: int = 1) -> Tensor:
    """Mask (LONGEST, LONGEST): each token reads itself and `window - 1` before it, `step` apart."""
    distance = _distance(LONGEST)
    return (distance >= 0) & (distance < window * step) & (distance % step == 0)


# --- 03.4: every way in which a derivative can hide ----------------------------------------

# How a layer mixes, and how many layers there are.
HIDING = (
    (attention, 2),
    (averages, 3),
    (relu, 1),
    (relu, 2),
    (gate, 1),
    (centred, 2),
    (faint, 2),
    *((one_channel, 1),) * 4,
    *((from_one_channel, 1),) * 4,
)


def hiding(rng: np.random.Generator) -> list[Callable]:
    """Stacks in which a derivative is easily missed, with windows and weights of their own."""

    def made(mix, *layers: Tensor) -> Callable:
        return stack_of(tables_of(list(layers)), mix, seed=int(rng.integers(2**31)))

    found = [
        made(mix, *(band(int(window)) for window in rng.integers(2, 5, n_layers)))
        for mix, n_layers in HIDING
    ]
    found += [made(attention, band(2, step=2), band(3, step=2)), made(averages, band(1))]
    return [found[i] for i in rng.permutation(len(found))]


# --- 03.5: stacks that have the reach, and stacks that don't --------------------------------


def hand_out(rng: np.random.Generator) -> list[tuple[Callable, int, int]]:
    """Every stack of the file with its number of layers and window, in an order by chance."""
    found = []
    with open_data(FILE) as data, np.load(data) as file:
        for name in file.files:
            n_layers, window = (int(number) for number in name.split("x"))
            packed = np.unpackbits(file[name], axis=-1, count=LONGEST)
            for tables in torch.from_numpy(packed).bool():
                mix = (attention, averages, convolution)[int(rng.integers(3))]
                stack = stack_of(tables, mix, seed=int(rng.integers(2**31)))
                found.append((stack, n_layers, window))
    return [found[i] for i in rng.permutation(len(found))]
