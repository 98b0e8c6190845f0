"""08.1 Neighbours in a padded batch."""

from itertools import pairwise
from operator import eq

import numpy as np

from mixlab.chapters.router_decisions.exercises import choices, read_pair
from mixlab.checks.exercise import Asked, Known


def draw(rng):
    """Texts of several lengths, one of which fills its row; once of 300 experts."""
    drawn = []
    for k, experts in ((2, None), (1, None), (3, None), (2, None), (3, 300)):
        texts, seq, n_experts = (int(rng.integers(*ends)) for ends in ((2, 7), (6, 30), (4, 9)))
        chosen = choices(rng, (texts, seq), experts or n_experts, k)
        lengths = rng.integers(1, seq + 1, size=texts)
        lengths[int(rng.integers(texts))] = seq
        lengths[0] = max(2, seq // 2)
        for row, length in zip(chosen, lengths, strict=True):
            row[length:] = np.arange(k)  # padding looks like one choice, again and again
        drawn.append((chosen, lengths.tolist()))
    return drawn


SMALL = np.array(
    [
        [[0, 1], [0, 2], [2, 0], [5, 4], [5, 4]],
        [[3, 4], [4, 3], [0, 1], [0, 1], [0, 1]],
        [[0, 1], [6, 7], [7, 0], [1, 7], [1, 2]],
    ]
)

ASKED = Asked(
    draw=draw,
    read=read_pair,
    atol=1e-6,
    examples=(
        (SMALL, [5, 2, 4]),
        (SMALL[:2], [3, 4]),
        (SMALL[[2, 1]], [4, 1]),
        (np.array([[[0, 1, 2], [3, 1, 4], [2, 5, 3], [2, 1, 0]]]), [4]),
    ),
    hints=(
        "A text of n tokens has n - 1 pairs of neighbours. Cut every text to its length "
        "first, then compare it with itself moved by one.",
        "For one text: `before, after = text[:-1], text[1:]`. First choices agree where "
        "`before[:, 0] == after[:, 0]`.",
        "Any expert in common: compare every choice with every choice, "
        "`before[:, :, None] == after[:, None, :]`, and ask for any() over the last two axes. "
        "Add up over the texts, and divide once, by the number of pairs.",
    ),
)

# --- kept back while grading ---


def by_arrays(chosen, lengths):
    real = np.arange(1, chosen.shape[1]) < np.array(lengths)[:, None]  # the later of each pair
    same = chosen[:, 1:, :, None] == chosen[:, :-1, None, :]
    return same[..., 0, 0][real].mean(), same.any((-1, -2))[real].mean()


def near(stop=lambda n, width: n, distances=(1,)):
    """Neighbours as lists of experts; or in texts that stop elsewhere, or not side by side."""

    def pairs(chosen, lengths):
        for text, n in zip(chosen.tolist(), lengths, strict=True):
            text = text[: stop(n, len(text))]
            for distance in distances:
                yield from zip(text, text[distance:], strict=False)

    return pairs


def first_kept(a, b):
    return a[0] == b[0]


def in_common(a, b):
    return bool(set(a) & set(b))


def sharing(pairs=None, first=first_kept, common=in_common, over=lambda found, chosen: len(found)):
    """Both shares, with another idea of the pairs, of what they share, or of what to divide by."""

    def repetition(chosen, lengths):
        found = list((pairs or near())(chosen, lengths))
        counts = [sum(asks(a, b) for a, b in found) for asks in (first, common)]
        return np.array(counts) / (over(found, chosen) or np.nan)

    return repetition


def mean_of_texts(shortest):
    """The mean of the texts' own shares; a text of one token has none."""
    return lambda chosen, lengths: np.mean(
        [sharing()(chosen[[i]], [n]) for i, n in enumerate(lengths) if n >= shortest], axis=0
    )


MISTAKES = {
    "you have counted padding, and compared across the borders of texts.": sharing(
        lambda chosen, lengths: pairwise(chosen.reshape(-1, chosen.shape[-1]).tolist())
    ),
    "you have counted padding. What follows a text's last token says nothing about routing: cut "
    "each text to its length.": sharing(near(lambda n, width: width)),
    "each text's last token is compared with the padding after it: n tokens have n - 1 "
    "pairs.": sharing(near(lambda n, width: n + 1)),
    "each text's last pair is missing: n tokens have n - 1 pairs.": sharing(
        near(lambda n, width: n - 1)
    ),
    "you ask that all choices agree. One expert in common is enough.": (
        sharing(common=lambda a, b: set(a) == set(b)),
        sharing(common=lambda a, b: a == b),
    ),
    "you compare across the borders of texts: the last token of one and the first of the next are "
    "no neighbours.": sharing(
        lambda chosen, lengths: pairwise(
            token for text, n in zip(chosen.tolist(), lengths, strict=True) for token in text[:n]
        )
    ),
    "you take the mean over texts. Every pair of neighbours counts alike, so a long text counts "
    "more: add up first, divide once.": (mean_of_texts(2), mean_of_texts(1)),
    "an expert in common may have another rank in each token: first here, second there. Compare "
    "every choice with every choice.": sharing(common=lambda a, b: any(map(eq, a, b))),
    "your second number asks for equal first choices, too.": sharing(common=first_kept),
    "you ask only whether one token's first choice is among the other's. Its other choices count "
    "as well.": (
        sharing(common=lambda a, b: a[0] in b or b[0] in a),
        sharing(common=lambda a, b: b[0] in a),
    ),
    "you ask only whether the earlier token's first choice comes back. Its other choices may, "
    "too.": sharing(common=lambda a, b: a[0] in b),
    "n tokens have n - 1 pairs of neighbours, and you divide by tokens.": lambda chosen, lengths: (
        sharing(over=lambda *_: sum(lengths))(chosen, lengths)
    ),
    "you add up over all texts and divide by their number. Divide by the number of pairs.": sharing(
        over=lambda found, chosen: len(chosen)
    ),
    "you count the right pairs, and divide by all of the batch, padding included.": sharing(
        over=lambda found, chosen: chosen[:, 1:, 0].size
    ),
    "these are numbers of pairs. Their shares among all pairs are asked for.": sharing(
        over=lambda found, chosen: 1
    ),
    "two tokens may have two experts in common, and that is one repetition, not two.": (
        sharing(common=lambda a, b: len(set(a) & set(b))),
        sharing(common=lambda a, b: len(set(a) & set(b)) / len(a)),
        sharing(common=lambda a, b: len(set(a) & set(b)) == 1),
    ),
    "your first number is about more than the first choices.": (
        sharing(first=in_common),
        sharing(first=lambda a, b: a == b),
        sharing(first=lambda a, b: set(a) == set(b)),
    ),
    "you compare tokens of one text that are no neighbours.": (
        sharing(near(distances=(2,))),
        sharing(near(distances=range(1, 30))),
    ),
    "the two numbers are swapped: first choices come first.": sharing(
        first=in_common, common=first_kept
    ),
}

KNOWN = Known(
    right=(sharing(), by_arrays),
    mistakes=MISTAKES,
    slips={
        "expected two numbers": lambda *given: sharing()(*given)[0],
        "with an expert in common": lambda chosen, lengths: sharing()(
            chosen[..., [0, -1]], lengths
        ),
    },
    show=lambda chosen, lengths: (
        f"repetition(chosen, lengths={lengths}) with chosen of shape {chosen.shape}"
    ),
    place=lambda at: f"the share {('of equal first choices', 'with an expert in common')[at[0]]}",
    name="{:.4f}".format,
)
