"""Slots that average what passes them: one memory runs evenly, the other stops and starts.

Slot n averages tokens at the rate −(n + 1): while a token lasts, for a time Δ, the slot keeps
e^(−(n + 1)Δ) of what it holds, and the token takes the rest (zero-order hold). In an *even* memory
every token lasts equally long. In a *selective* one a dot takes no time, and a letter a long one,
but only in slots whose turn isn't over: slot n closes once n + 1 letters have come. The piece
`copying` of the stage computes the same in the page.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.ssm.discretize import discretize_diagonal
from mixlab.ssm.selective_scan import selective_scan

DOT = "·"
N_SLOTS = 3
OPEN = 20.0  # a Δ after which nothing is left of what was there


@dataclass(frozen=True)
class SlotsTrace:
    """Slots along a text, in float64; axis 0 is time.

    Attributes:
        delta: (seq, slots), how long each token lasts for each slot.
        shares: (seq, slots, seq), which part of each slot is of each token; what a slot hasn't
            filled yet is missing to 1.
    """

    delta: np.ndarray
    shares: np.ndarray


def gates(text: str) -> list[list[float]]:
    """Δ of each token for each slot of the selective memory.

    >>> gates("·CA")
    [[0.0, 0.0, 0.0], [20.0, 20.0, 20.0], [0.0, 20.0, 20.0]]
    """
    seen, opened = 0, []
    for token in text:
        seen += token != DOT
        opened.append([OPEN * (token != DOT and seen <= slot + 1) for slot in range(N_SLOTS)])
    return opened


def trace_slots(text: str, delta: float | None = None) -> SlotsTrace:
    """Let a text pass.

    Args:
        text: letters and dots.
        delta: of every token, for the even memory; None for the selective one.

    Raises:
        ValueError: for an empty text, or a Δ that isn't positive.

    Two letters, three slots: the first slot has closed, the others hold the second letter.

    >>> trace_slots("C·A").shares[-1].round(2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """
    if not text or (delta is not None and delta <= 0):
        raise ValueError(
            "slots need at least one token and a Δ above 0, or None for gates: got "
            f"{text!r} and {delta}"
        )
    lengths = gates(text) if delta is None else [[delta] * N_SLOTS] * len(text)
    lasts = torch.tensor(lengths, dtype=torch.float64)
    rates = -torch.arange(1.0, N_SLOTS + 1, dtype=torch.float64)
    shortest = torch.finfo(lasts.dtype).tiny  # stands for 0, which no rule divides by
    kept, taken = discretize_diagonal(rates, -rates, lasts.clamp(min=shortest), "zoh")
    now, shares = torch.zeros(N_SLOTS, len(text), dtype=torch.float64), []
    for t in range(len(text)):
        now = kept[t, :, None] * now
        now[:, t] += taken[t]
        shares.append(now.clone())
    return SlotsTrace(delta=lasts.numpy(), shares=torch.stack(shares).numpy())


def by_hand(tokens: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch slots"]:
    """The letters of selective copying, by two selective scans whose weights are set by hand.

    The first scan counts: each letter halves what a number misses to 1. The second has four
    channels for each slot, one a letter, and its Δ is softplus of a line in the count and in "is a
    letter", as a trained layer's would be.

    Args:
        tokens: texts of `tasks.COPYING`: 0 to 3 are letters.
    """
    letters = F.one_hot(tokens, 8)[..., :4].double()
    is_letter = letters.sum(-1, keepdim=True)
    one = torch.ones_like(is_letter)
    rates = -torch.ones(4 * N_SLOTS, 1, dtype=torch.float64)
    halving = is_letter * math.log(2)
    counted, _ = selective_scan(one / math.log(4), halving, rates[:1], one, one)  # 1 − 2^−letters
    ends = 1 - 0.75 * 0.5 ** torch.arange(1, N_SLOTS + 1)  # between n letters and n + 1
    opened = F.softplus(2000 * (ends - counted) - 5000 * (1 - is_letter))  # (batch, seq, slot)
    lasts = opened.repeat_interleave(4, dim=-1)
    _, slots = selective_scan(letters.repeat(1, 1, N_SLOTS), lasts, rates, one, one)
    return slots.view(-1, N_SLOTS, 4).argmax(-1)
