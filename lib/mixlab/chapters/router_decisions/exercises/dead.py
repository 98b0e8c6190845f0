"""08.3 Find the bug: dead experts."""

from contextlib import suppress

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_mask


def draw(rng):
    """A few layers of up to 9 experts, and two of 200."""
    drawn = [made(rng, number) for number in range(6)]
    return [*drawn, made(rng, 6, layers=2, tokens=120, n_experts=200, k=3)]


def made(rng, number, **sizes):
    """Choices (layers, tokens, k) that leave some experts out."""
    ends = {"layers": (2, 6), "tokens": (30, 120), "n_experts": (6, 10), "k": (2, 4)}
    drawn = {name: int(rng.integers(*both)) for name, both in ends.items()} | sizes
    layers, tokens, n_experts, k = drawn.values()
    scores = rng.standard_normal((layers, tokens, n_experts))
    for layer in range(layers):
        dead = rng.permutation(n_experts)[: int(rng.integers(0, n_experts - k - 1))]
        scores[layer][:, dead] = -np.inf
    # In one layer the highest number never comes up, and once in none of them.
    scores[: layers if number == 0 else 1, :, n_experts - 1] = -np.inf
    # In another, expert 0 runs, and only ever as the last of a token's k.
    scores[1, :, 0] = np.sort(scores[1, :, 1:], axis=1)[:, -(k - 1)] - 0.001
    scores[-1, :, 1] = -np.inf  # And one runs a single time, which is enough.
    scores[-1, (0, -1, int(rng.integers(tokens)))[number % 3], 1] = 9.0
    return np.argsort(-scores, axis=-1)[..., :k], n_experts


def read(value):
    """Truth values, in rows as asked or in one row, a usual mistake."""
    with suppress(Unreadable):
        return read_mask(1)(value)
    return read_mask(2)(value)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (np.array([[[0, 1], [2, 1]], [[1, 0], [1, 2]]]), 4),
        (np.array([[[3, 0], [1, 3]], [[0, 2], [3, 2]], [[0, 1], [1, 0]]]), 4),
        (np.array([[[3, 0, 5], [1, 4, 3], [3, 1, 4]], [[0, 2, 4], [3, 4, 5], [0, 1, 3]]]), 6),
    ),
    hints=(
        "Ask of each line: which axis disappears here, and should it? An expert's number "
        "means nothing outside its layer.",
        "An expert that is only ever a second choice runs all the same.",
        "`np.bincount(x)` is as long as the largest number that it meets, plus one. What if "
        "the last expert is the dead one? `minlength=` helps.",
    ),
)

# --- kept back while grading ---


def by_counts(chosen, n_experts):
    return np.stack([np.bincount(layer.ravel(), minlength=n_experts) == 0 for layer in chosen])


def looking(at=lambda chosen: chosen, experts=lambda chosen, n: range(n), most=0):
    """A table of who ran `most` times at most, in a part of the choices, for some experts."""

    def dead(chosen, n_experts):
        numbers = experts(chosen, n_experts)
        return np.array([[(layer == e).sum() <= most for e in numbers] for layer in at(chosen)])

    return dead


def but(change, dead=by_counts):
    """A table that is changed in the end."""
    return lambda chosen, n_experts: change(dead(chosen, n_experts))


MISTAKES = {
    "all three mistakes are still there.": lambda chosen, n: (
        np.bincount(chosen[..., 0].ravel()) == 0
    ),
    "your rows end with the largest number that ran, so a dead last expert is never counted.": (
        lambda chosen, n: np.stack([np.bincount(layer.ravel()) == 0 for layer in chosen]),
        looking(experts=lambda chosen, n: range(chosen.max() + 1)),
        looking(experts=lambda chosen, n: range(chosen.max())),
        lambda chosen, n: np.bincount(chosen.ravel()) == 0,
    ),
    "all layers are pooled, and only first choices are counted. Expert 3 of one layer has nothing "
    "to do with expert 3 of another, and a second choice runs too.": but(
        lambda table: table[0], looking(lambda chosen: chosen[..., 0].reshape(1, -1))
    ),
    "all layers are pooled. Expert 3 of one layer has nothing to do with expert 3 of another: a "
    "dead one hides behind its living namesakes.": but(
        lambda table: table[0], looking(lambda chosen: chosen.reshape(1, -1))
    ),
    "all layers are pooled, and every row is the same. A dead expert hides behind its living "
    "namesakes in other layers.": but(lambda table: table.all(axis=0) | (table & False)),
    "every row is the same: an expert counts as dead in all layers where it is in one.": but(
        lambda table: table.any(axis=0) | (table & False)
    ),
    "you look at first choices only. An expert that is always a second choice runs, and is "
    "alive.": looking(lambda chosen: chosen[..., :1]),
    "you look at second or last choices only. An expert that runs as any choice is alive.": (
        looking(lambda chosen: chosen[..., 1:2]),
        looking(lambda chosen: chosen[..., -1:]),
    ),
    "your rows are tokens, or ranks of choices, and not layers: which axis is the layers'?": (
        looking(lambda chosen: chosen.swapaxes(0, 1)),
        looking(lambda chosen: chosen.swapaxes(0, 2)),
    ),
    "you look at first and second choices. A token's third choice runs, too.": looking(
        lambda chosen: chosen[..., :2]
    ),
    "you look at one token only, the first or the last. Any token keeps an expert alive.": (
        looking(lambda chosen: chosen[:, :1]),
        looking(lambda chosen: chosen[:, -1:]),
    ),
    "you leave out the first token, or the last. Any token keeps an expert alive.": (
        looking(lambda chosen: chosen[:, 1:]),
        looking(lambda chosen: chosen[:, :-1]),
    ),
    "your table is True where an expert is alive.": but(np.logical_not),
    "an expert that some token doesn't choose isn't dead: nobody must choose it.": (
        lambda chosen, n: np.array(
            [[(layer != e).all(axis=1).any() for e in range(n)] for layer in chosen]
        )
    ),
    "an expert that ran a single time is alive.": looking(most=1),
    "your experts count from 1. The first one is expert 0.": looking(
        experts=lambda chosen, n: range(1, n + 1)
    ),
    "your table lies on its side: a row a layer, a column an expert.": but(np.transpose),
    "all are alive, you say, or all dead.": (
        but(lambda table: table & False),
        but(lambda table: table | True),
    ),
}

KNOWN = Known(
    right=(looking(), by_counts),
    mistakes=MISTAKES,
    slips={
        "expected shape": lambda chosen, n: by_counts(chosen, n + 1),
        "expected a mask of True and False": lambda chosen, n: np.stack(
            [np.bincount(layer.ravel(), minlength=n) for layer in chosen]
        ),
        "first wrong place: layer": lambda chosen, n: by_counts(chosen % 128, n),
    },
    show=lambda chosen, n: f"dead_experts(chosen of shape {chosen.shape}, n_experts={n})",
    place=lambda at: f"layer {at[0]}, expert {at[1]}" if len(at) == 2 else "",
    name=lambda value: "dead (True)" if value else "alive (False)",
)
