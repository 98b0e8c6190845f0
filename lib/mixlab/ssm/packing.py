"""Ragged batches for a recurrence: sequences packed end to end, or padded to one length.

A recurrent layer looks back in two places, the short convolution and the state, and both must
respect where a sequence begins and ends:

- *Packed*: several sequences in one row, one after the other. `starts` marks each first token. At
  a start the state is emptied, and the convolution reads zeros instead of the neighbour's tokens.
- *Padded*: one sequence a row, with filler at its right or left end. `mask` marks the real tokens.
  Filler must not move the state. Zeroing its input isn't enough: softplus turns a zero into a
  positive Δ, and the state decays. Δ = 0 exactly is what holds a state still, and softplus(−∞) = 0.

Left out: filler in the middle of a row.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def segment_starts(
    seqlens: Sequence[int], device: torch.device | str | None = None
) -> Bool[Tensor, "1 seq"]:
    """True at the first token of each of the sequences packed into one row.

    Args:
        seqlens: their lengths, each at least 1.

    Raises:
        ValueError: for no sequence, or an empty one.

    >>> segment_starts([2, 3])
    tensor([[ True, False,  True, False, False]])
    """
    if len(seqlens) == 0 or min(seqlens) < 1:
        raise ValueError(f"packed sequences need lengths of at least 1: got {list(seqlens)}")
    starts = torch.zeros(1, sum(seqlens), dtype=torch.bool)
    first = torch.tensor([0, *seqlens[:-1]]).cumsum(0)
    starts[0, first] = True
    return starts.to(device)


def pad(
    prompts: Sequence[Sequence[int]], device: torch.device | str | None = None
) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Prompts as rows of the longest one's length, filler at the right; and where tokens are real.

    >>> tokens, mask = pad([[5, 3, 8], [1]])
    >>> tokens.tolist(), mask[1].tolist()
    ([[5, 3, 8], [1, 0, 0]], [True, False, False])
    """
    longest = max(map(len, prompts), default=0)
    rows = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    real = [[position < len(prompt) for position in range(longest)] for prompt in prompts]
    return torch.tensor(rows, device=device), torch.tensor(real, device=device)


def lookback(starts: Bool[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """How many tokens of its own sequence precede each token.

    Before a row's first start the sequence began in an earlier call; its tokens count as preceded
    by as many as any convolution could ask for.

    >>> lookback(torch.tensor([[True, False, False, True, False]]))
    tensor([[0, 1, 2, 0, 1]])
    """
    position = torch.arange(starts.shape[1], device=starts.device)
    begun = torch.where(starts, position, -(2**31)).cummax(dim=1).values
    return position - begun


def real_ends(mask: Bool[Tensor, "batch seq"]) -> Int[Tensor, " batch"]:
    """Where the real tokens of each padded row end: the index after the last one.

    0 for a row that is all filler, as a sequence that has ended is while its batch goes on.

    Raises:
        ValueError: if filler stands between real tokens.

    >>> real_ends(torch.tensor([[True, True, False], [False, True, True], [False] * 3]))
    tensor([2, 3, 0])
    """
    position = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    ends = torch.where(mask, position, 0).amax(dim=1)
    firsts = torch.where(mask, position, mask.shape[1] + 1).amin(dim=1)
    if (mask.sum(dim=1) != (ends - firsts + 1).clamp(min=0)).any():
        raise ValueError(
            "the real tokens of a row must stand together, with filler only to their left or "
            "right: got a mask with a gap"
        )
    return ends
