"""16.4 What a recall task asks."""

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals

NOT_ASKED = -100


def draw(rng):
    """One token, all alike, all different, id 0, many of few and few of many."""
    drawn = [[0], [0, 0, 0], [*range(8)], [7] * 5, [2, 1, 2, 1, 2, 1]]
    for size in (2, 2, 3, 5, 9, 40):
        drawn.append(rng.integers(0, size, int(rng.integers(2, 30))).tolist())
    return [(torch.tensor(tokens, dtype=torch.long),) for tokens in drawn]


def read(value) -> np.ndarray:
    """Whole numbers, one for each token."""
    numbers = read_reals(1)(value)
    if (numbers != numbers.round()).any():
        raise Unreadable("expected whole numbers: token ids, or -100")
    return numbers


ASKED = Asked(
    draw=draw,
    read=read,
    examples=tuple(
        (torch.tensor(tokens),)
        for tokens in (
            [3, 8, 5, 3, 3],
            [4, 4],
            [1, 2, 3],
            [1, 2, 1, 3, 1],
            [0, 6, 0],
            [5, 1, 5, 2, 5, 3, 5],
            [2, 7, 9, 2, 4, 7],
            [1, 2, 1, 2, 1, 3, 1],
            [9, 0, 9],
            [6],
        )
    ),
    hints=(
        "At which tokens is something asked? Those that stood before. Where did each stand last?",
        "Keep a dictionary: token to the place where it was met last. Look into it *before* you "
        "write the new place down.",
        "If `latest[token]` is s, the answer is tokens[s + 1]. That may be the very token that "
        "asks.",
    ),
)

# --- kept back while grading ---


def by_places(tokens):
    answers, latest = [], {}
    for t, token in enumerate(tokens.tolist()):
        answers.append(int(tokens[latest[token] + 1]) if token in latest else NOT_ASKED)
        latest[token] = t
    return torch.tensor(answers, dtype=torch.long)


def by_table(tokens):
    """Compares every token with every other."""
    same = (tokens[:, None] == tokens).tril(-1)  # (later, earlier)
    latest = torch.where(same, torch.arange(len(tokens)), -1).max(1).values
    return torch.where(latest >= 0, tokens[latest + 1], NOT_ASKED)


def recalling(which=max, step=1, earlier=lambda t: range(t), nothing=NOT_ASKED, last=False):
    """Another idea of the occurrence, of what is recalled, or of where nothing is asked."""

    def answers(tokens):
        ids, found = tokens.tolist(), []
        for t, token in enumerate(ids):
            places = [s for s in earlier(t) if ids[s] == token and 0 <= s + step < len(ids)]
            asked = places and (not last or t == len(ids) - 1)
            found.append(ids[which(places) + step] if asked else nothing)
        return torch.tensor(found, dtype=torch.long)

    return answers


def next_ones(tokens):
    return F.pad(tokens[1:], (0, 1), value=NOT_ASKED)


def most_often(tokens):
    ids, found = tokens.tolist(), []
    for t, token in enumerate(ids):
        after = [ids[s + 1] for s in range(t) if ids[s] == token]
        found.append(max(after[::-1], key=after.count) if after else NOT_ASKED)
    return torch.tensor(found, dtype=torch.long)


MISTAKES = {
    "you recall from the first occurrence. The latest one counts.": recalling(min),
    "you answer with the token that stood *before* the earlier occurrence.": (
        recalling(step=-1),
        lambda tokens: torch.tensor(
            [
                tokens[max(s for s in range(t) if tokens[s] == tokens[t]) - 1]
                if tokens[t] in tokens[:t]
                else NOT_ASKED
                for t in range(len(tokens))
            ],
            dtype=torch.long,
        ),
    ),
    "you answer with the token itself, which it finds at the earlier place. Asked is what followed "
    "there.": recalling(step=0),
    "you answer with what followed two places later.": recalling(step=2),
    "you leave out an occurrence right before: what followed it is the token that asks.": (
        recalling(earlier=lambda t: range(t - 1)),
        lambda tokens: torch.tensor(
            [
                NOT_ASKED if t and token == tokens[t - 1] else answer
                for t, (token, answer) in enumerate(
                    zip(tokens, by_places(tokens).tolist(), strict=True)
                )
            ],
            dtype=torch.long,
        ),
    ),
    "you find the token itself, and answer with the next one: that is what a language model is "
    "asked everywhere. Look at *earlier* places only.": (
        recalling(earlier=lambda t: range(t + 1)),
        next_ones,
    ),
    "you look at later places too. Nothing can be recalled from there.": lambda tokens: recalling(
        earlier=lambda t: [s for s in range(len(tokens)) if s != t]
    )(tokens),
    "you ask nothing of a token with the id 0, or take a 0 for `nothing found`.": (
        lambda tokens: torch.where(tokens == 0, NOT_ASKED, by_places(tokens)),
        lambda tokens: torch.where(by_places(tokens) == 0, NOT_ASKED, by_places(tokens)),
    ),
    "you take the place 0 for `nothing found`: a token may have stood there.": recalling(
        earlier=lambda t: range(1, t)
    ),
    "you write 0 where nothing is asked. 0 is a token: the loss would teach it.": recalling(
        nothing=0
    ),
    "you write -1 where nothing is asked. The loss passes over -100.": recalling(nothing=-1),
    "you write 100 where nothing is asked. It is -100.": recalling(nothing=100),
    "you ask at the last token only. Every token that stood before is asked.": recalling(last=True),
    "you return places. Asked are tokens.": lambda tokens: torch.tensor(
        [
            max([s + 1 for s in range(t) if tokens[s] == tokens[t]], default=NOT_ASKED)
            for t in range(len(tokens))
        ],
        dtype=torch.long,
    ),
    "you answer with the token that comes next *now*. Asked is what followed last time.": (
        lambda tokens: torch.where(by_places(tokens) == NOT_ASKED, NOT_ASKED, next_ones(tokens))
    ),
    "you never find a token again. Tensors are keys of a dictionary by what they are, not by the "
    "number that they hold.": lambda tokens: torch.full_like(tokens, NOT_ASKED),
    "your answers stand a token too early or too late: each stands at the token that asks.": (
        lambda tokens: torch.cat((by_places(tokens)[1:], torch.tensor([NOT_ASKED]))),
        lambda tokens: torch.cat((torch.tensor([NOT_ASKED]), by_places(tokens)[:-1])),
    ),
    "you take what followed most often. The latest occurrence counts.": most_often,
}

KNOWN = Known(
    right=(by_places, by_table),
    mistakes=MISTAKES,
    slips={
        "it raised": lambda tokens: torch.tensor([tokens[token] for token in tokens]),
        "expected real numbers": lambda tokens: by_places(tokens)[None],
    },
    show=lambda tokens: f"recall_answers(torch.tensor({tokens.tolist()}))",
    place=lambda at: f"token {at[0]}",
    name="{:.0f}".format,
)
