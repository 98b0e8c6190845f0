"""06.5 Predict the waste: padding's share of all slots."""

from fractions import Fraction

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def draw(rng):
    drawn = []
    for _ in range(7):
        lengths = rng.integers(1, 60, int(rng.integers(2, 15))).tolist()
        drawn.append((lengths, int(rng.integers(1, 6))))
    same = int(rng.integers(2, 40))
    special = (60, 7, 3), (60, 6, 50), (9000, 9, 4)
    drawn += [(rng.integers(1, longest, n).tolist(), batch) for longest, n, batch in special]
    return [*drawn, ([same] * 5, 3)]


ASKED = Asked(
    draw=draw,
    read=read_real,
    atol=1e-6,
    examples=(([3, 5, 2], 3), ([5, 8, 1, 6, 2], 2), ([4, 4, 9], 2), ([2, 7, 3, 5], 2)),
    hints=(
        "Count slots, batch by batch: a batch of three prompts, the longest of 7 tokens, "
        "takes 3 × 7 slots.",
        "The batches are `lengths[at : at + batch]` for at = 0, batch, … The last may be "
        "shorter, and then takes fewer rows.",
        "Add up all slots and all tokens first, and divide once at the end: 1 - tokens / "
        "slots. A mean of the batches' shares would count small batches too much.",
    ),
)

# --- kept back while grading ---


def prompt_by_prompt(lengths, batch):
    longest = [max(lengths[at - at % batch :][:batch]) for at in range(len(lengths))]
    return Fraction(sum(longest) - sum(lengths), sum(longest))


def in_turn(lengths, batch):
    return [lengths[at : at + batch] for at in range(0, len(lengths), batch)]


def longest(part, lengths):
    return max(part)


def sharing(
    parts=in_turn, rows=lambda part, batch: len(part), width=longest, share=lambda t, s: 1 - t / s
):
    """A share by another idea of the batches, of their rows and width, or of a share."""

    def padded_share(lengths, batch):
        batches = parts(lengths, batch)
        slots = sum(rows(part, batch) * width(part, lengths) for part in batches)
        return share(sum(map(sum, batches)), slots) if slots else 0.0

    return padded_share


def each_alone(mean):
    """A mean of the shares of single batches."""
    return lambda lengths, batch: mean(
        [prompt_by_prompt(part, batch) for part in in_turn(lengths, batch)]
    )


def whole_ones(lengths, batch):
    return in_turn(lengths[: len(lengths) // batch * batch], batch)


def how_many(lengths, batch):
    return -(-len(lengths) // batch)


# Another idea of a share, by tokens and slots.
SHARES = {
    "that is the share of tokens. Padding is the rest.": lambda t, s: t / s,
    "that is the share in percent: a share lies between 0 and 1.": lambda t, s: 100 * (1 - t / s),
    "that is the number of padded slots. Which share of all are they?": lambda t, s: s - t,
    "you divide whole numbers with `//`, which rounds down.": lambda t, s: (s - t) // s,
    "you divide padding by tokens. The share is of all slots.": lambda t, s: s / t - 1,
}
MISTAKES = {
    **{words: sharing(share=share) for words, share in SHARES.items()},
    "that is rounded. Return the share as it is.": tuple(
        sharing(share=lambda t, s, digits=digits: round(1 - t / s, digits))
        for digits in (1, 2, 3, 4)
    ),
    "you pad every batch to the longest prompt of all. Each has a longest of its own.": (
        sharing(width=lambda part, lengths: max(lengths)),
        sharing(width=lambda part, lengths: max(lengths), rows=lambda part, batch: batch),
    ),
    "you pad to a batch's first prompt, or its last. The longest decides, wherever it stands.": (
        sharing(width=lambda part, lengths: part[0]),
        sharing(width=lambda part, lengths: part[-1]),
    ),
    "you count the longest prompt of a batch once. Every row of the batch is as long.": sharing(
        rows=lambda part, batch: 1
    ),
    "you fill the last batch up with empty rows. It has as many rows as there are prompts left.": (
        sharing(rows=lambda part, batch: batch)
    ),
    "you sort the prompts first. That is a good idea, but they are served in the order in which "
    "they came.": (
        sharing(lambda lengths, batch: in_turn(sorted(lengths), batch)),
        sharing(lambda lengths, batch: in_turn(sorted(lengths)[::-1], batch)),
    ),
    "you take the mean of the batches' shares. A batch with more slots counts more: add up slots "
    "and tokens of all batches, then divide.": each_alone(lambda shares: sum(shares) / len(shares)),
    "you take the mean of the prompts' shares. A row with more slots counts more: add up slots and "
    "tokens, then divide.": lambda lengths, batch: (
        sum(1 - Fraction(n, max(part)) for part in in_turn(lengths, batch) for n in part)
        / len(lengths)
    ),
    "you add up the batches' shares: add up slots and tokens, then divide.": each_alone(sum),
    "that is the share of one batch. All batches together are asked.": (
        each_alone(lambda shares: shares[0]),
        each_alone(lambda shares: shares[-1]),
        each_alone(max),
    ),
    "your last, shorter batch is missing.": sharing(whole_ones),
    "you divide the tokens of all prompts by the slots of the whole batches alone.": (
        lambda lengths, batch: (
            1 - sum(lengths) / sharing(whole_ones, share=lambda t, s: s)(lengths, batch)
        )
    ),
    "`batch` is how many prompts a batch has. You make that many batches.": (
        sharing(lambda lengths, batch: in_turn(lengths, how_many(lengths, batch))),
        sharing(lambda lengths, batch: [lengths[at::batch] for at in range(batch)]),
    ),
    "the prompts of a batch come one after the other. You deal them out, like cards.": sharing(
        lambda lengths, batch: [
            lengths[at :: how_many(lengths, batch)] for at in range(how_many(lengths, batch))
        ]
    ),
}

KNOWN = Known(
    right=(prompt_by_prompt, sharing()),
    mistakes=MISTAKES,
    slips={
        "expected one number": lambda *given: [prompt_by_prompt(*given), 1],
        "expected:": lambda *given: prompt_by_prompt(*given) + Fraction(1, 1000),
    },
    show=lambda lengths, batch: f"padded_share({lengths}, batch={batch})",
    name="{:.4f}".format,
)
