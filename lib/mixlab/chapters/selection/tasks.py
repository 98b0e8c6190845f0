"""The two tasks of chapter 16, in small: selective copying, and induction heads.

In selective copying three letters lie among dots at places drawn anew for each text; behind the
text stand the questions 1, 2 and 3: which letter came first, second, third? In induction heads a
star stands somewhere in a text of letters, and again at its end: which letter followed the first?

Source: Gu and Dao, "Mamba" (2023), sections 3.1 and 4.1. There, 16 letters lie among 4,096
tokens, and texts of 256 tokens train the second task. Questions that bear a number are
ours: the paper's copies are asked for by equal tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

Tokens = Int[Tensor, "batch seq"]
NOT_ASKED = -100  # cross_entropy passes such answers over


@dataclass(frozen=True)
class Task:
    """A task: random texts, and what is to be answered at each of their tokens.

    Attributes:
        alphabet: the tokens, as characters; their places are their ids.
        n_letters: how many of them, the first ones, may be answers.
        texts: maps a number, a length and a generator to that many texts.
        answers: maps texts to answers, NOT_ASKED where there is no question.
    """

    alphabet: str
    n_letters: int
    texts: Callable[[int, int, torch.Generator], Tokens]
    answers: Callable[[Tokens], Tokens]

    def encode(self, text: str) -> Int[Tensor, " seq"]:
        """The ids of a text's tokens."""
        return torch.tensor([self.alphabet.index(token) for token in text])

    def spell(self, tokens: Int[Tensor, " seq"]) -> str:
        """Tokens as characters, a space where nothing is asked."""
        return "".join(" " if token == NOT_ASKED else self.alphabet[token] for token in tokens)


N_KEPT = 3  # letters to be kept, and questions
DOT = 4


def copying_texts(n: int, seq: int, generator: torch.Generator) -> Tokens:
    """Letters 0 to 3 at three places of `seq`, dots elsewhere, and behind them the questions."""
    places = torch.rand(n, seq, generator=generator).argsort(1)[:, :N_KEPT]
    letters = torch.randint(DOT, (n, N_KEPT), generator=generator)
    text = torch.full((n, seq), DOT).scatter(1, places, letters)
    questions = torch.arange(DOT + 1, DOT + 1 + N_KEPT).expand(n, -1)
    return torch.cat((text, questions), dim=1)


def copying_answers(tokens: Tokens) -> Tokens:
    """The three letters in order, at the questions.

    >>> copying_answers(torch.tensor([[4, 2, 4, 0, 1, 5, 6, 7]]))
    tensor([[-100, -100, -100, -100, -100,    2,    0,    1]])
    """
    asked = torch.full_like(tokens, NOT_ASKED)
    asked[:, -N_KEPT:] = tokens[tokens < DOT].view(-1, N_KEPT)
    return asked


STAR = 8


def induction_texts(n: int, seq: int, generator: torch.Generator) -> Tokens:
    """Letters 0 to 7 at random, a star among them, a letter behind it, and a star at the end."""
    tokens = torch.randint(STAR, (n, seq), generator=generator)
    star = torch.randint(seq - 2, (n, 1), generator=generator)
    tokens[:, -1] = STAR
    return tokens.scatter(1, star, STAR)


def induction_answers(tokens: Tokens) -> Tokens:
    """What followed the first star, at the last.

    >>> induction_answers(torch.tensor([[3, 8, 5, 1, 8]]))
    tensor([[-100, -100, -100, -100,    5]])
    """
    asked = torch.full_like(tokens, NOT_ASKED)
    first = (tokens == STAR).int().argmax(1, keepdim=True)
    asked[:, -1:] = tokens.gather(1, first + 1)
    return asked


COPYING = Task("ABCD·123", DOT, copying_texts, copying_answers)
INDUCTION = Task("abcdefgh*", STAR, induction_texts, induction_answers)


def next_tokens(tokens: Tokens) -> Tokens:
    """What a language model is asked: at every token the one that follows.

    >>> next_tokens(torch.tensor([[3, 8, 5]]))
    tensor([[   8,    5, -100]])
    """
    return F.pad(tokens[:, 1:], (0, 1), value=NOT_ASKED)
