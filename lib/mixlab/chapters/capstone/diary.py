"""A task that asks three memories at once: a diary, with questions between its entries.

An entry is a pair of a word and a digit. Most are *remarks*, each about another word; one, in the
first third, is a *vow*. Between them stand questions: *near* ones ask for the digit of a remark
among the last eight entries, *far* ones for the vow's, however long ago, and *known* ones for
something that no diary says: a table of digits for pairs of names, the same in all diaries. The
first wants a text word for word, the second one thing for long, the third what training left in the
weights.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

REMARK, VOW, NEAR, FAR, KNOWN = range(5)
N_WORDS, N_NAMES, N_DIGITS = 48, 26, 8
REACH = 8  # entries back that a near question asks about, at most
ASKED = 0.6  # the share of questions
NOT_ASKED = -100  # cross_entropy passes such answers over
# A token is a pair. First: a word, the vow's sign, or a name; second: a digit, "?", or a name.
FIRST, SECOND = N_WORDS + 1 + N_NAMES, N_DIGITS + 1 + N_NAMES
TABLE = torch.randint(N_DIGITS, (N_NAMES, N_NAMES), generator=torch.Generator().manual_seed(7))

Marks = Int[Tensor, "batch seq"]


@dataclass(frozen=True)
class Diaries:
    """Random diaries.

    Attributes:
        tokens: (batch, seq, 3): kind, first and second part of each token.
        answers: what is to be answered at each, NOT_ASKED where nothing is.
        ages: how many tokens back a near or far answer stands, 0 elsewhere.
    """

    tokens: Int[Tensor, "batch seq 3"]
    answers: Marks
    ages: Marks

    def to(self, *_, **__) -> "Diaries":
        """Themselves: a diary stays on the CPU, as this chapter does."""
        return self


def diaries(n: int, seq: int, generator: torch.Generator) -> Diaries:
    """Draw n diaries of `seq` tokens, the vow in the first third.

    Raises:
        ValueError: for fewer than 12 tokens, in which there is no room.

    >>> drawn = diaries(2, 24, torch.Generator().manual_seed(0))
    >>> drawn.tokens.shape, (drawn.tokens[..., 0] == VOW).sum(1)
    (torch.Size([2, 24, 3]), tensor([1, 1]))
    """
    if seq < 12:
        raise ValueError(f"a diary has 12 tokens or more: got {seq}")

    def drawn(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape or (n, seq), generator=generator)

    def shuffled() -> Tensor:
        return torch.rand(n, N_WORDS, generator=generator).argsort(1)

    word = torch.cat([shuffled() for _ in range(-(-seq // N_WORDS))], dim=1)[:, :seq]
    digit, vowed = drawn(N_DIGITS), drawn(min(12, seq // 3), n, 1)
    at = torch.arange(seq).expand(n, -1)
    # Twice as many questions about the vow as of each other kind.
    wanted = torch.tensor([NEAR, FAR, FAR, KNOWN])[drawn(4)]
    asks = (torch.rand(n, seq, generator=generator) < ASKED) & (at >= 3)
    kind = torch.where(asks, wanted, REMARK).scatter(1, vowed, VOW)
    kind = torch.where((kind == FAR) & (at < vowed), KNOWN, kind)
    about = (at - 1 - drawn(REACH)).clamp(min=0)
    kind = torch.where((kind == NEAR) & (kind.gather(1, about) != REMARK), KNOWN, kind)
    names = drawn(N_NAMES), drawn(N_NAMES)
    near, far, known = (kind == mark for mark in (NEAR, FAR, KNOWN))
    first = torch.where(near, word.gather(1, about), word)
    first = first.masked_fill((kind == VOW) | far, N_WORDS)
    first = torch.where(known, N_WORDS + 1 + names[0], first)
    second = torch.where(known, N_DIGITS + 1 + names[1], digit.masked_fill(near | far, N_DIGITS))
    answers = torch.where(near, digit.gather(1, about), digit.gather(1, vowed))
    answers = torch.where(known, TABLE[names], answers).masked_fill(kind < NEAR, NOT_ASKED)
    ages = torch.where(near, at - about, torch.where(far, at - vowed, 0))
    return Diaries(torch.stack((kind, first, second), dim=-1), answers, ages)


def spell(diary: Int[Tensor, "seq 3"]) -> str:
    """A diary to be read: remarks as w7=3, the vow as !=3, questions as w7?, !? and Ab?.

    >>> spell(torch.tensor([[0, 7, 3], [1, 48, 5], [3, 48, 8], [4, 50, 11]]))
    'w7=3 !=5 !? Bc?'
    """
    words = []
    for kind, first, second in diary.tolist():
        name = "!" if first == N_WORDS else f"w{first}"
        if kind == KNOWN:
            name = chr(64 + first - N_WORDS) + chr(96 + second - N_DIGITS)
        words.append(f"{name}={second}" if kind in (REMARK, VOW) else f"{name}?")
    return " ".join(words)
