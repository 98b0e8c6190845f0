"""16.1 How often is the second letter wrong?"""

from itertools import combinations, combinations_with_replacement, product

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Three to nine places, weights of 0, equal ones, ones that double."""
    drawn = [([0, 0, 0, 0],), ([1, 2, 4, 8, 16, 32],), ([5] * 9,), ([-3, -3, -3, -3],)]
    for n in (3, 4, 5, 6, 7, 8):
        drawn += [(rng.integers(-4, 5, n).tolist(),), (rng.integers(1, 30, n).tolist(),)]
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        ([1, 1, 1],),
        ([1, 3, 1],),
        ([1, 2, 1],),
        ([4, 2, 1],),
        ([0, 1, 2],),
        ([1, 3, 1, 2],),
        ([-1, -3, -1],),
        ([-2, 1, 1],),
        ([2, 5, 1, 3, 0],),
        ([1, 2, 4, 8, 3],),
    ),
    hints=(
        "How many texts are there on three places? And on four, where one place has a dot?",
        "Go through all threes of places, and for each through all eight ways to set A or B. With "
        "+1 for A and -1 for B the lead is a sum of three products.",
        "`itertools.combinations(range(n), 3)` gives the places in order, so the middle one is the "
        "second letter. Wrong is where the lead times its sign isn't above 0.",
    ),
)

# --- kept back while grading ---


def by_texts(weights):
    wrong = 0
    for places in combinations(range(len(weights)), 3):
        for signs in product((1, -1), repeat=3):
            lead = sum(sign * weights[k] for sign, k in zip(signs, places, strict=True))
            wrong += lead * signs[1] <= 0
    return wrong


def by_inequality(weights):
    """Each three of places: which of the four signs of its neighbours beat the middle, twice."""
    count = 0
    for i, j, k in combinations(weights, 3):
        for first, last in product((i, -i), (k, -k)):
            count += 2 * (j + first + last <= 0)
    return count


def counting(
    wrong=lambda lead, signs: lead * signs[1] <= 0,
    places=lambda n: combinations(range(n), 3),
    letters=lambda: product((1, -1), repeat=3),
    lead=lambda signs, weights: sum(s * w for s, w in zip(signs, weights, strict=True)),
    of=lambda wrong, all_texts: wrong,
):
    """Another idea of what is wrong, of where letters stand, or of the lead."""

    def count(weights):
        found = [
            wrong(lead(signs, [weights[k] for k in at]), signs)
            for at in places(len(weights))
            for signs in letters()
        ]
        return of(sum(found), len(found))

    return count


def of_as(signs, weights):
    return sum(w for s, w in zip(signs, weights, strict=True) if s > 0)


def side_by_side(n):
    return [(k, k + 1, k + 2) for k in range(n - 2)]


MISTAKES = {
    "you let a lead of 0 pass. It names nothing, so the second letter isn't named.": (
        counting(lambda lead, signs: lead * signs[1] < 0),
        counting(lambda lead, signs: (lead < 0) == (signs[1] > 0) and lead != 0),
    ),
    "you take a lead of 0 for one of the letters. It names nothing, and is wrong whichever letter "
    "is second.": (
        counting(lambda lead, signs: (lead > 0) != (signs[1] > 0)),
        counting(lambda lead, signs: (lead >= 0) != (signs[1] > 0)),
    ),
    "you count the texts in which it is right.": (
        counting(of=lambda wrong, texts: texts - wrong),
        counting(lambda lead, signs: lead * signs[1] > 0),
    ),
    "you compare with the first letter.": counting(lambda lead, signs: lead * signs[0] <= 0),
    "you compare with the third letter.": counting(lambda lead, signs: lead * signs[2] <= 0),
    "you put letters at neighbouring places only. Dots may stand between them.": (
        counting(places=side_by_side)
    ),
    "you put letters at the first three places only.": counting(places=lambda n: [(0, 1, 2)]),
    "you fill every place with a letter: a text has exactly three, and dots elsewhere.": (
        lambda weights: sum(
            sum(s * w for s, w in zip(signs, weights, strict=True)) * signs[1] <= 0
            for signs in product((1, -1), repeat=len(weights))
        ),
        lambda weights: sum(
            sum(s * w for s, w in zip(signs, held, strict=True)) * signs[1] <= 0
            for n in range(3, len(weights) + 1)
            for held in combinations(weights, n)
            for signs in product((1, -1), repeat=n)
        ),
    ),
    "you count only texts with an A in the middle. Those with a B can be wrong too.": counting(
        letters=lambda: [(i, 1, k) for i, k in product((1, -1), repeat=2)]
    ),
    "you leave out texts with three equal letters.": counting(
        letters=lambda: [s for s in product((1, -1), repeat=3) if len(set(s)) > 1]
    ),
    "you count threes of places at which the middle is outweighed. Asked are texts, and of the "
    "eight on three places two, four or more may be wrong.": tuple(
        lambda weights, each=each, least=least: sum(
            each * (j < abs(i) + abs(k) + least) for i, j, k in combinations(weights, 3)
        )
        for each in (1, 2, 8)
        for least in (0, 1)
    ),
    "you try only texts whose outer letters both differ from the second. One that differs may be "
    "enough.": counting(letters=lambda: [(1, -1, 1), (-1, 1, -1)]),
    "you put two letters at one place.": counting(
        places=lambda n: combinations_with_replacement(range(n), 3)
    ),
    "you sort the weights. Places have an order: the second letter stands between the others.": (
        lambda weights: by_texts(sorted(weights))
    ),
    "you take equal weights for one place.": lambda weights: by_texts(list(dict.fromkeys(weights))),
    "you look at the part that the second letter adds to the lead. With a weight below 0 an A adds "
    "less than 0, and is still to be named.": (
        lambda weights: sum(
            (f * i + s * j + t * k) * j * s <= 0
            for i, j, k in combinations(weights, 3)
            for f, s, t in product((1, -1), repeat=3)
        )
    ),
    "a B adds nothing to your lead. It takes its place's weight away.": tuple(
        counting(wrong, lead=of_as)
        for wrong in (
            lambda lead, signs: lead * signs[1] <= 0,
            lambda lead, signs: (lead > 0) != (signs[1] > 0),
        )
    ),
    "you give the first three weights to the three letters, wherever they stand. A weight belongs "
    "to a place.": counting(places=lambda n: [(0, 1, 2) for _ in combinations(range(n), 3)]),
    "you leave out a place at an end. Letters may stand at the first and at the last.": (
        lambda weights: by_texts(weights[1:]),
        lambda weights: by_texts(weights[:-1]),
    ),
    "you let the place with the greatest weight decide. The lead is a sum.": counting(
        lead=lambda signs, weights: max(
            (w * s for s, w in zip(signs, weights, strict=True)), key=abs
        )
    ),
    "you let letters change places: AB at two places and BA are both counted already.": counting(
        places=lambda n: [
            (i, j, k) for i, j, k in product(range(n), repeat=3) if len({i, j, k}) > 2
        ]
    ),
    "you return a share of all texts. Asked is how many.": counting(
        of=lambda wrong, texts: round(100 * wrong / texts)
    ),
}

KNOWN = Known(
    right=(by_texts, by_inequality),
    mistakes=MISTAKES,
    slips={
        "expected a whole number": counting(of=lambda wrong, texts: wrong / texts + 0.001),
        "expected one whole number": lambda weights: [by_texts(weights)] * 2,
    },
    show=lambda weights: f"n_wrong({weights})",
    name="{:,}".format,
)
