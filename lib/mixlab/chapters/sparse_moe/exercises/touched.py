"""07.6 Predict the reading: how many experts a batch touches."""

import math
from fractions import Fraction

import numpy as np

from mixlab.checks.exercise import Asked, Known, varied
from mixlab.checks.readers import read_real


def draw(rng):
    drawn = []
    for n_experts, k in ((8, 2), (4, 1), (int(rng.integers(5, 20)), 2), (6, 3)):
        # Chances between 0 and 1 that sum to k: the mean of some drawn choices.
        picks = rng.random((12, n_experts)) * rng.random(n_experts)
        best = picks.argsort(axis=1)[:, -k:]
        chances = np.bincount(best.ravel(), minlength=n_experts) / 12
        drawn.append((chances.tolist(), int(rng.integers(2, 12))))
    even = int(rng.integers(6, 12))
    return [*drawn, ([2 / even] * even, int(rng.integers(3, 9))), ([0.5, 1.0, 0.5], 1)]


ASKED = Asked(
    draw=draw,
    read=read_real,
    atol=1e-5,
    examples=(
        ([0.25, 0.75, 1.0], 2),
        ([0.5, 0.5, 0.5, 0.5], 3),
        ([0.1, 0.9], 4),
        ([0.3, 0.1, 0.3, 0.1, 0.2], 2),
    ),
    hints=(
        "Begin with one expert whose chance is q: what is the probability that one token "
        "misses it, and that all n do?",
        "An expert is touched with probability 1 - (1 - q) ** n. The expected number of "
        "touched ones is a sum of such probabilities, one for each expert.",
        "Don't average the chances first: a favourite and a wallflower together are touched "
        "less often than two average experts.",
    ),
)

# --- kept back while grading ---


def token_by_token(chances, n_tokens):
    """A token touches an expert that all before it have missed, with its chance."""
    touched, missed = 0.0, np.ones(len(chances))
    for _ in range(n_tokens):
        touched += float((missed * chances).sum())
        missed *= 1 - np.array(chances)
    return touched


def exactly(chances, n_tokens):
    return sum(1 - (1 - Fraction(q)) ** n_tokens for q in chances)


def adding(chance):
    """The sum over experts of another idea of its chance to be touched, by its q and n."""
    return lambda chances, n_tokens: sum(chance(q, n_tokens) for q in chances)


def hit(q, n):
    return 1 - (1 - q) ** n


CHANCES = {
    "you count choices, not experts: an expert that several tokens choose is touched "
    "once.": lambda q, n: n * q,
    "you count each expert's choices, up to 1. The chance that at least one of n tokens comes is "
    "less than n times q: sometimes several come at once.": lambda q, n: min(1, n * q),
    "this is the expected number of experts that are *not* touched.": lambda q, n: (1 - q) ** n,
    "you add the chances that *all* tokens choose an expert. One token is enough.": lambda q, n: (
        q**n
    ),
    "you add the chances that not all tokens choose an expert. Touched means that not all of them "
    "*miss* it.": lambda q, n: 1 - q**n,
    "you add the chances that exactly one token chooses an expert. Two or more touch it "
    "too.": lambda q, n: n * q * (1 - q) ** (n - 1),
    "this is the number for a single token. The chance to be missed shrinks with each further one: "
    "to the power of n.": lambda q, n: q,
    "your power is n - 1, but all n tokens may miss an expert.": lambda q, n: hit(q, n - 1),
    "your power is n + 1, but only n tokens can miss an expert.": lambda q, n: hit(q, n + 1),
    "you multiply by n what should be taken to the power of n: all n tokens miss an expert with "
    "(1 - q) times (1 - q) times …": lambda q, n: 1 - (1 - q) * n,
    "you weight each expert by its chance. One that is touched counts 1, however rare it "
    "is.": lambda q, n: q * hit(q, n),
    "e to the power of -n q is near the chance to be missed where q is small, and only "
    "there.": lambda q, n: 1 - math.exp(-n * q),
}
MISTAKES = {
    "you gave every expert the average chance. Experts that are rarely chosen stay untouched more "
    "often than favourites gain: sum over the experts.": lambda chances, n: (
        len(chances) * hit(sum(chances) / len(chances), n)
    ),
    "you gave every expert the same chance, 1 over their number, as if each token chose "
    "one.": lambda chances, n: len(chances) * hit(1 / len(chances), n),
    "this is the number of all experts. A few tokens leave some untouched.": lambda chances, n: (
        float(len(chances))
    ),
    **varied(adding, "chance", CHANCES),
    "you count choices, up to the number of experts. Tokens often choose the same expert long "
    "before all are touched.": lambda chances, n: min(len(chances), n * sum(chances)),
    "this is the share of experts touched, between 0 and 1. The number is "
    "asked.": lambda chances, n: token_by_token(chances, n) / len(chances),
    "you divided by the number of tokens. What the whole batch touches is "
    "asked.": lambda chances, n: token_by_token(chances, n) / n,
    "you divided by k, the sum of the chances. What the whole batch touches is "
    "asked.": lambda chances, n: token_by_token(chances, n) / sum(chances),
    "you multiply the chances of all experts to be touched: that they *all* are. The expected "
    "number is a sum.": lambda chances, n: math.prod(hit(q, n) for q in chances),
    "you take a power of the chance that a token misses *all* experts at once. Each expert is "
    "missed by itself: one power for each, and then the sum.": (
        lambda chances, n: hit(math.prod(1 - q for q in chances), n) * len(chances),
        lambda chances, n: 1 - math.prod((1 - q) ** n for q in chances),
    ),
    "you drew each of a token's k choices by itself, so that both may fall on one expert. The "
    "chance q already says how often a token chooses the expert at all.": lambda chances, n: sum(
        hit(q / sum(chances), n * sum(chances)) for q in chances
    ),
    "you divide the chances by their sum. They sum to k, because a token chooses k "
    "experts.": lambda chances, n: sum(hit(q / sum(chances), n) for q in chances),
    "you take n · k independent choices of chance q. A token's k choices are in q "
    "already.": lambda chances, n: sum(hit(q, n * sum(chances)) for q in chances),
    "that is rounded. An expected number need not be whole: return it as it is.": tuple(
        lambda chances, n, rounded=rounded: rounded(token_by_token(chances, n))
        for rounded in (int, round, lambda x: round(x, 1), lambda x: round(x, 2))
    ),
    "this is the largest chance of all. The expected number is the sum of the "
    "chances.": lambda chances, n: max(hit(q, n) for q in chances),
}

KNOWN = Known(
    right=(token_by_token, exactly),
    mistakes=MISTAKES,
    slips={
        "expected one number": lambda chances, n: [hit(q, n) for q in chances],
        "expected:": lambda chances, n: token_by_token(chances, n) + 1e-3,
    },
    show=lambda chances, n: f"expected_touched({[round(q, 3) for q in chances[:20]]}, {n})",
    name="{:.4f}".format,
)
