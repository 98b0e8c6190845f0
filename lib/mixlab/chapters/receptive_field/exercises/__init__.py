"""What the exercises of chapter 03 share: stacks of layers to be examined.

A stack maps states (seq, DIM) to states (seq, DIM), in the precision of what it is given. Who reads
whom stands in tables, so every stack is the same code, and nothing but what it returns tells one
from another. Random weights come from a seed, in double precision.
"""

import torch

DIM = 4
LONGEST = 100  # tokens
FARTHEST = 64  # distances beyond it share a weight
HIDDEN = 64  # wide enough that a ReLU lets something of every input through

POSITION = torch.arange(LONGEST)
DISTANCE = POSITION[:, None] - POSITION  # of a query, in rows, from a key
NEXT = DISTANCE.eq(-1)


def band(window, step=1):
    """Mask (LONGEST, LONGEST): each token reads itself and `window - 1` before it, `step` apart."""
    back = DISTANCE
    return (back >= 0) & (back < window * step) & (back % step == 0)


def blocks(size):
    """Mask: each token reads its own block."""
    return POSITION[:, None] // size == POSITION // size


# --- how a layer mixes: from (states, mask, generator) to states ----------------------------


def weight(generator, rows, columns, like):
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return (drawn / rows**0.5).to(like)


def average(x, mask):
    weights = mask.to(x)
    return (weights / weights.sum(dim=1, keepdim=True).clamp(min=1)) @ x


def attention(x, mask, generator):
    """softmax attention with a residual"""
    q, k, v = (x @ weight(generator, DIM, DIM, x) for _ in range(3))
    scores = (q @ k.T / 8).masked_fill(~mask, -torch.inf)  # soft, so that no weight rounds to 0
    return x + scores.softmax(dim=-1) @ v


def averages(x, mask, generator):
    """a mean of what is seen, through a matrix and tanh, with a residual"""
    return x + torch.tanh(average(x, mask) @ weight(generator, DIM, DIM, x))


def convolution(x, mask, generator):
    """a weight for each distance, the same at every token"""
    taps = torch.rand(2 * FARTHEST + 1, generator=generator, dtype=torch.float64).to(x) + 0.5
    tap = taps[DISTANCE[: len(x), : len(x)].clamp(-FARTHEST, FARTHEST) + FARTHEST]
    return (tap * mask.to(x)) @ x @ weight(generator, DIM, DIM, x)


def relu(x, mask, generator):
    """a mean of what is seen through ReLUs, without a residual"""
    hidden = torch.relu(average(x, mask) @ weight(generator, DIM, HIDDEN, x))
    return hidden @ weight(generator, HIDDEN, DIM, x)


def gate(x, mask, generator):
    """each channel times a mean of what is seen"""
    return x * (average(x, mask) @ weight(generator, DIM, DIM, x))


def centred(x, mask, generator):
    """attention, each token's mean then taken out"""
    mixed = attention(x, mask, generator)
    return mixed - mixed.mean(dim=1, keepdim=True)


def faint(x, mask, generator):
    """a residual, and a ten-thousandth of what is seen"""
    return x + 1e-4 * average(x, mask) @ weight(generator, DIM, DIM, x)


def fading(x, mask, generator):
    """a ten-thousandth of what is seen, without a residual"""
    return 1e-4 * average(x, mask) @ weight(generator, DIM, DIM, x)


def differences(x, mask, generator):
    """the square of the difference to a mean of what is seen, with a residual"""
    return x + ((average(x, mask) - x) @ weight(generator, DIM, DIM, x)) ** 2


def one_channel(x, mask, generator):
    """attention, by which one channel alone looks around"""
    looks = torch.arange(DIM) == generator.initial_seed() % DIM
    return torch.where(looks, attention(x, mask, generator), x)


def from_one_channel(x, mask, generator):
    """a mean of what is seen, of one of the others' channels alone"""
    seen = torch.arange(DIM) == generator.initial_seed() % DIM
    mixed = average(x * seen, mask) @ weight(generator, DIM, DIM, x)
    return x * seen + torch.tanh(mixed)


# --- who reads whom --------------------------------------------------------------------------


def layer(from_start, from_end=None, last=None):
    """One layer's tables (3, LONGEST, LONGEST): its mask, keys counted from the start; what is seen
    beside it, keys counted from the end; what the last token sees, by the text's length less 1.
    """
    from_end = torch.zeros_like(from_start) if from_end is None else from_end
    return torch.stack((from_start, from_end, from_start if last is None else last))


def reading_from_the_end(window):
    """A band in which the first tokens read keys -1, -2 … as Python counts them."""
    from_end = POSITION[:, None] + POSITION < window - 1
    last = band(window)
    for row in range(LONGEST):  # in a short text the last token may do so too
        last[row, : row + 1] |= from_end[row, : row + 1].flip(0)
    return layer(band(window), from_end, last)


def each(n_layers, mask):
    """The same mask in every layer."""
    return [layer(mask)] * n_layers


def last(n_layers, window, mask, **tables):
    """All layers with their window, but for the last one."""
    return [*each(n_layers - 1, band(window)), layer(mask, **tables)]


def visible(tables, seq):
    """Masks (layers, seq, seq) for a text of `seq` tokens."""
    from_start, from_end, last = tables.unbind(dim=1)
    masks = from_start[:, :seq, :seq] | from_end[:, :seq, :seq].flip(2)
    if seq:
        masks[:, -1] = last[:, seq - 1, :seq]
    return masks


def stack_of(tables, mix, seed, says):
    """A stack of layers: `mix` with each one's tables, weights by a seed, and its own words."""

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

    stack.__doc__ = says
    return stack
