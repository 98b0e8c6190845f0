"""03.5 Prove by test: has it this reach?

Families say who reads whom in each layer; their numbers and sizes are drawn when it is graded.
"""

from functools import cache

import numpy as np
import torch

import mixlab.chapters.receptive_field.exercises as shared
from mixlab.chapters.receptive_field.exercises import DISTANCE as D
from mixlab.chapters.receptive_field.exercises import LONGEST, NEXT, band, blocks, each, last, layer
from mixlab.chapters.receptive_field.exercises import POSITION as P
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict

# From a family's number, the number of layers and the window: the tables of each layer.
FAMILIES = {
    "no mistake": lambda n, k, w: each(k, band(w)),
    "{n} keys too many in the last layer": lambda n, k, w: last(k, w, band(w + n)),
    "a key too few in the last layer": lambda n, k, w: last(k, w, band(w - 1)),
    "a layer too few": lambda n, k, w: each(k - 1, band(w)),
    "a layer too many": lambda n, k, w: each(k + 1, band(w)),
    "no window in the last layer": lambda n, k, w: last(k, w, band(LONGEST)),
    "the next token seen in the last layer": lambda n, k, w: last(k, w, band(w) | NEXT),
    "windows cut at every multiple of W": lambda n, k, w: each(k, band(w) & blocks(w)),
    "every second token left out": lambda n, k, w: each(k, band(w // 2 + 1, step=2)),
    "the neighbour left out, one more at the end": lambda n, k, w: each(k, band(w + 1) & (D != 1)),
    "the first token in everyone's sight": lambda n, k, w: each(k, band(w) | P.eq(0)),
    "token {n} hidden from all others in the first layer": (
        lambda n, k, w: [layer(band(w) & ((n != P) | (D == 0))), *each(k - 1, band(w))]
    ),
    "the next token seen by token {n} in the last layer": (
        lambda n, k, w: last(k, w, band(w) | NEXT & (P[:, None] == n))
    ),
    "token {n} + k (W - 1) reading the next, and not its farthest": lambda n, k, w: last(
        k, w, band(w) ^ ((NEXT | D.eq(w - 1)) & P[:, None].eq(n + k * (w - 1)))
    ),
    "a first layer whose first tokens read from the end": (
        lambda n, k, w: [shared.reading_from_the_end(w), *each(k - 1, band(w))]
    ),
    "the window for the last token only": lambda n, k, w: last(k, w, band(LONGEST), last=band(w)),
}
NUMBERS = {  # that a family may have; the first is for the examples
    "{n} keys too many in the last layer": (1, 2),
    "token {n} hidden from all others in the first layer": (3, 0, 1, 2),
    "the next token seen by token {n} in the last layer": (4, 0, 1, 2, 3, 5),
    "token {n} + k (W - 1) reading the next, and not its farthest": (0, 1),
}
MIXES = (shared.attention, shared.averages, shared.convolution)
SIZES = [(2, 4), (1, 5), (3, 3), (3, 1), (2, 9), (1, 40)]  # layers and window, of the examples


def models(rng, sizes, choose):
    """Every family at the first two sizes, a few at the others, and fewer where W is 1."""
    for at, (n_layers, window) in enumerate(sizes):
        for family in list(FAMILIES)[: None if at < 2 else 3 if window > 1 else 2]:
            number, mix = int(choose(NUMBERS.get(family, (0,)))), MIXES[int(rng.integers(3))]
            layers = FAMILIES[family](number, n_layers, window)
            # Layers that see themselves alone: so the number of tables says nothing.
            tables = torch.stack([*each(n_layers + 1 - len(layers), band(1)), *layers])
            says = f"{mix.__doc__}, with {family.format(n=number)}"
            yield shared.stack_of(tables, mix, int(rng.integers(2**31)), says), n_layers, window


def draw(rng):
    """Reaches from 4 on; layers in any number; a window of 1; a long reach; all in any order."""
    many, wide, far, long = rng.integers((3, 4, 5, 30), (5, 7, 8, 45)).tolist()
    sizes = [(2, wide), (many, 3), (1, far)]
    sizes = [sizes[i] for i in rng.permutation(3)] + [(3, 1), (1, long), (2, 9)]
    found = list(models(rng, sizes, rng.choice))
    return [found[i] for i in rng.permutation(len(found))]


ASKED = Asked(
    draw=draw,
    read=read_verdict,
    examples=tuple(models(np.random.default_rng(0), SIZES, lambda numbers: numbers[0])),
    hints=(
        "Decide for every pair of tokens whether token i should depend on token j: the distance "
        "i - j must lie between 0 and n_layers (window - 1).",
        "To learn whether it does, run the model twice, with another state at token j the second "
        "time, and see which rows of the result changed.",
        "Take a seq three or more tokens longer than the reach, or nothing lies beyond it; try "
        "every j; compare every row, the early ones and the ones before j too.",
    ),
)

# --- kept back while grading ---


@cache
def dependence(model, seq):
    """Whether token i (row) depends on token j (column): exchange one after the other."""
    x = torch.from_numpy(np.random.default_rng(5).standard_normal((seq, shared.DIM)))
    changed = [model(x + (P[:seq, None] == j)) != model(x) for j in range(seq)]
    return torch.stack(changed, dim=1).any(dim=2).numpy()


def judging(looks=lambda i, *_: i >= 0, longer=5, reach=lambda n, w: n * (w - 1), reads=np.array):
    """A test of a text so much longer than the reach, of some pairs (i, j), or of their number."""

    def has_reach(model, n_layers, window):
        far, seq = reach(n_layers, window), min(LONGEST, n_layers * (window - 1) + longer)
        i, j = np.ogrid[:seq, :seq]
        tables = dependence(model, seq), (i - j >= 0) & (i - j <= far)
        return np.array_equal(*(reads(table & looks(i, j, seq, far)) for table in tables))

    return has_reach


def by_gradient(model, n_layers, window):
    span = n_layers * (window - 1)
    x = torch.randn(span + 4, shared.DIM, dtype=torch.float64, requires_grad=True)
    y = model(x) @ torch.randn(shared.DIM, dtype=torch.float64)
    rows = [torch.autograd.grad(one, x, retain_graph=True)[0].any(dim=1) for one in y]
    return torch.equal(torch.stack(rows), band(span + 1)[: len(x), : len(x)])


MISTAKES = {
    "your test accepts everything.": lambda model, n, w: True,
    "your test rejects everything, right models too. Print the first pair it rejects. (If it puts "
    "NaN into a token: a hidden one has weight 0, and 0 times NaN is NaN.)": lambda *_: False,
    "your verdicts are the wrong way round: True is for this reach.": lambda *a: not judging()(*a),
    "you take n_layers × window for the reach. A window counts the token itself, so each layer "
    "adds W - 1.": tuple(judging(reach=lambda n, w: n * w, longer=more) for more in (5, 40)),
    "your reach counts the token itself. The farthest stands n_layers × (window - 1) before it.": (
        judging(reach=lambda n, w: n * (w - 1) + 1)
    ),
    "your sequence is not longer than the reach, so nothing lies beyond it.": judging(longer=1),
    "your test looks at the last token only. Some models are right there and wrong at an earlier "
    "one.": judging(lambda i, j, s, far: i == s - 1),
    "your test changes one token only, the first, the last or the middle one. Some models go wrong "
    "at a single token: change every one, one at a time.": tuple(
        judging(lambda i, j, s, far, at=at: j == at(s))
        for at in (lambda seq: 0, lambda seq: seq - 1, lambda seq: seq // 2)
    ),
    "your test looks at the two edges of the reach only. Some models have the right edge, and "
    "holes or a glimpse of something else.": judging(lambda i, j, _, far: (i - j - far) // 2 == 0),
    "your test never asks about a later token.": judging(lambda i, j, *_: i >= j),
    "your test asks that nothing beyond the reach has an effect, and not that everything within "
    "has one: it accepts models that reach less.": (
        judging(lambda i, j, s, far: (i - j > far) | (i < j))
    ),
    "your test asks that everything within the reach has an effect, and not that nothing else has "
    "one: it accepts models that reach more.": (
        judging(lambda i, j, s, far: (i >= j) & (i - j <= far))
    ),
    "your test counts how many tokens matter, and the right number can be made of the wrong ones: "
    "compare pair by pair.": (
        judging(lambda i, j, s, far: i == s - 1, reads=np.sum),
        judging(reads=lambda table: table.sum(1)),
        judging(reads=np.sum),
    ),
}


def advice(model, n_layers, window):
    """Where this model is wrong, in words that leave the finding to the reader."""
    reach = n_layers * (window - 1)
    i, j = np.indices((reach + 6, reach + 6))
    wrong = dependence(model, reach + 6) != ((i >= j) & (i - j <= reach))
    found = (
        (not wrong.any(), "this model is right, and your test finds a fault: print the first one."),
        (len(set(j[wrong])) == 1, "your test changes some tokens only. This model errs at one."),
        (not wrong[-1].any(), "your test looks at some rows only: this model's last one is right."),
        ((i < j)[wrong].all(), "your test never asks whether a token depends on a later one."),
        ((i - j > reach)[wrong].all(), "your test misses what lies beyond the reach."),
        (True, "your test doesn't compare every pair: this model errs within its reach."),
    )
    return next(says for holds, says in found if holds)


KNOWN = Known(
    right=(judging(), by_gradient),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda model, n, w: dependence(model, n * (w - 1) + 5),
        "changes some tokens only": judging(lambda i, j, *_: j % 2 == 0),
    },
    show=lambda model, n, w: f"has_reach(model, n_layers={n}, window={w}): {model.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
