"""06.6 Prove by test: are prompts kept apart?

Suspects come of families: each says which tokens of a pack see which. In the check a family has a
number that everybody may read here; when graded, one that is drawn, and so are the weights.
"""

from itertools import chain

import torch

from mixlab.chapters.packed_prompts.exercises.layers import FAMILIES, NUMBERS, VOCAB, layer_of
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict


def draw(rng):
    """Every family with a number and weights of its own, in any order; right ones twice."""
    families = [*FAMILIES, *list(FAMILIES)[:4]]
    return [
        (layer_of(family, int(rng.choice(NUMBERS.get(family, (0,)))), int(rng.integers(2**31))),)
        for family in map(families.__getitem__, rng.permutation(len(families)))
    ]


ASKED = Asked(
    draw=draw,
    # A name would tell the right layers from the wrong ones without a test.
    call=lambda answer, layer: answer(lambda tokens, lengths: layer(tokens, lengths)),
    read=read_verdict,
    examples=tuple((layer_of(family, NUMBERS.get(family, (0,))[0]),) for family in FAMILIES),
    hints=(
        "What would each prompt get alone? `layer(tokens_of_one_prompt, [its_length])`. The "
        "pack must give the same numbers, to rounding: `torch.allclose`.",
        "Packs of four prompts with 1 to 4 tokens each show every leak. Some need two prompts of "
        "one length above 1, some lengths that differ, a prompt of four, or a single token that "
        "stands behind another prompt.",
        "Take different tokens for lengths such as [3, 1, 5, 3]; run the pack once and every "
        "prompt alone; return False at the first prompt that differs, True at the end.",
    ),
)

# --- kept back while grading ---

EVERY = ([5, 2, 1, 3], *([n, n, 1, n] for n in range(1, 6)))
ONE = ([3, 1, 5, 2],)


def different(lengths):
    return torch.arange(sum(lengths)) * 7 % VOCAB


def judging(packs=EVERY, tokens=different, judged=slice(None), rows=lambda off: off, atol=1e-9):
    """A test that compares some rows of some prompts of some packs with the prompts alone."""

    def judge(layer):
        for lengths in packs:
            ids = tokens(lengths)
            packed, alone = layer(ids, lengths).split(lengths), ids.split(lengths)
            for got, part in list(zip(packed, alone, strict=True))[judged]:
                if (rows(got - layer(part, [len(part)])).abs() > atol).any():
                    return False
        return True

    return judge


def by_lists(layer):
    def listed(ids, lengths):
        return [round(x, 6) for row in layer(ids, lengths).tolist() for x in row]

    packs = ([5, 1, 9], [2], [8, 7, 7, 30, 6], [4, 3, 0]), ([3, 2], [1, 4]), ([6], [5], [4, 0])
    for parts in packs:
        alone = [x for part in parts for x in listed(part, [len(part)])]
        if listed([*chain(*parts)], [*map(len, parts)]) != alone:
            return False
    return True


def in_any_order(layer, lengths):
    parts = different(lengths).split(lengths)
    there = layer(torch.cat(parts), lengths).split(lengths)
    back = layer(torch.cat(parts[::-1]), lengths[::-1]).split(lengths[::-1])
    return torch.allclose(torch.cat(there), torch.cat(back[::-1]))


def by_influence(layer, packs=EVERY):
    """Whether other tokens in one prompt leave all the others' numbers as they are."""
    for lengths in packs:
        ids = different(lengths)
        for part in torch.arange(len(ids)).split(lengths):
            changed = ids.index_fill(0, part, 49)
            moved = (layer(ids, lengths) - layer(changed, lengths)).abs() > 1e-9
            if moved.any(dim=1).index_fill(0, part, False).any():
                return False
    return True


MISTAKES = {
    "your test accepts everything. Does it return False anywhere, in a pack in which a leak "
    "shows?": lambda layer: True,
    "your test rejects everything, right layers too. Print the largest difference that it finds: "
    "is it a leak, or the last bit of a rounded number?": lambda layer: False,
    "your test says True where it finds a leak, and False where it finds none.": (
        lambda layer: not judging()(layer)
    ),
    "your test asks for equality to the last bit. A pack adds up the same numbers in another "
    "order: use torch.allclose.": (judging(atol=0.0), judging(ONE, atol=0.0)),
    "all tokens of your packs are alike. One that reads a foreign one then averages equal values, "
    "and no difference shows: take tokens that differ.": judging(
        tokens=lambda lengths: torch.zeros(sum(lengths), dtype=torch.long)
    ),
    "your test puts the prompts in another order and compares. A layer that lets every token see "
    "the whole pack treats all orders alike: compare with the prompt alone.": tuple(
        lambda layer, pack=pack: in_any_order(layer, pack) for pack in ([3, 1, 5, 3], [2, 1, 4, 2])
    ),
    "your test changes one prompt and looks at the others, and finds every leak. But a prompt must "
    "get what it would get alone, and a layer that adds absolute positions and doesn't start them "
    "anew fails that without leaking.": (by_influence, lambda layer: by_influence(layer, ONE)),
    "your test looks at the last prompt only. A prompt may also see the one after it.": tuple(
        judging(packs, judged=slice(-1, None)) for packs in (EVERY, ONE, [[3, 2, 4, 2]])
    ),
    "your test looks at the first prompt only, and that one has nobody before it.": tuple(
        judging(packs, judged=slice(0, 1)) for packs in (EVERY, ONE)
    ),
    "your test looks at the first token of each prompt only.": judging(rows=lambda off: off[:1]),
    "your test looks at the last token of each prompt only.": judging(rows=lambda off: off[-1:]),
    "your test adds numbers up, and the right ones may stand at the wrong tokens.": (
        judging(rows=lambda off: off.sum(0)),
        judging(rows=torch.sum),
    ),
    "your test takes a small leak for rounding.": (judging(atol=0.1), judging(atol=1.0)),
}

TWO = [[n, m] for n in range(1, 6) for m in range(1, 6)]
# Packs in which a leak may not show, and which packs they leave out.
LEFT_OUT = (
    ([*TWO, [3, 1, 3], [3, 3, 2], [2, 5, 5]], "packs of four prompts and more."),
    (TWO, "packs of three prompts and more."),
    (
        [pair for pair in [*TWO, [5, 3, 1, 4]] if len(set(pair)) == len(pair)],
        "prompts of one length.",
    ),
    ([[n] * 4 for n in range(1, 6)], "prompts of different lengths."),
    ([[n, m] for n, m in TWO if m > 1], "a single token behind another prompt."),
    ([[n, m] for n, m in TWO if m < 4], "prompts of four tokens, or others that are long."),
)


def advice(layer):
    """What a test must have left out that doesn't find this layer's leak."""
    if judging()(layer):
        return "this layer is right, and your test finds a fault. Print the first that it finds."
    for packs, words in LEFT_OUT:
        if judging(packs)(layer):
            return f"your test looks at one kind of pack only. It leaves out {words}"
    if by_influence(layer):
        return "no prompt moves another here, and still none gets what it would get alone."
    return "your test doesn't compare every token of every prompt with what it would be alone."


KNOWN = Known(
    right=(judging(), by_lists),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda layer: layer([1, 2], [1, 1]),
        "token ids of shape (total,)": lambda layer: layer([1, 2, 3], [1, 1]),
        "packs of four prompts": judging([[3, 1, 3], [5, 2, 2], [2, 4, 4], [5, 5, 5]]),
        "packs of three prompts": (judging([[3, 5]]), judging(TWO)),
        "prompts of one length": (judging([[6, 1, 3, 2]]), judging([[4, 1, 6, 2, 1, 3]])),
        "prompts of different lengths": judging([[3] * 4, [1] * 4, [5] * 4]),
        "a single token behind": judging([[2, 3, 4, 2], [3, 3, 4, 4], [5, 5, 5, 4]]),
        "prompts of four": judging([[3, 1, 3, 2], [2, 2, 1, 1]]),
    },
    show=lambda layer: f"keeps_apart on a layer of {layer.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
