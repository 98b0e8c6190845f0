"""08.2 Predict chance for any mixture."""

from math import comb, exp, perm, prod

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def draw(rng):
    """Known mixtures, and others; also such as must have an expert in common."""
    drawn = [(8, 2), (8, 1), (16, 2), (64, 6), (256, 8)]
    for _ in range(5):
        n_experts = int(rng.integers(3, 40))
        drawn.append((n_experts, int(rng.integers(1, max(2, n_experts // 2)))))
    n_experts = int(rng.integers(4, 20))
    return [*drawn, (n_experts, n_experts), (n_experts, n_experts // 2 + 1)]


ASKED = Asked(
    draw=draw,
    read=read_real,
    atol=1e-6,
    examples=((8, 2), (5, 2), (6, 3), (4, 3), (8, 6)),
    hints=(
        "Having something in common is many cases. Having nothing in common is one: find its "
        "probability and subtract it from 1.",
        "The first token's k experts are taken. In how many ways can the second token pick "
        "k of the others, and in how many can it pick k of all?",
        "`math.comb(n, k)` counts the ways to pick k of n, and is 0 where k is larger than n.",
    ),
)

# --- kept back while grading ---


def by_draws(n, k, draws=lambda k: range(k), taken=lambda k: k):
    """One minus the chance that none of some draws, one after another, meets a taken expert."""
    return 1 - prod(max(0, n - taken(k) - i) / (n - i) for i in draws(k) if i < n)


def by_ways(n, k):
    """The ways to have one in common, two, and so on, over all ways to pick."""
    return sum(comb(k, j) * comb(n - k, k - j) for j in range(1, k + 1)) / comb(n, k)


def drawing(**how):
    return lambda n, k: by_draws(n, k, **how)


MISTAKES = {
    "k² / n is how many experts they have in common on average. Pairs with two in common count "
    "twice there.": (lambda n, k: k * k / n, lambda n, k: min(1, k * k / n)),
    "1 - exp(-k² / n) is near the chance where n is large, and only there.": lambda n, k: (
        1 - exp(-k * k / n)
    ),
    "k / n is the chance that one given expert is among the k. The other token may have any of "
    "its own k in common.": lambda n, k: k / n,
    "(k / n)² is the chance that both have one given expert. They may have any in "
    "common.": lambda n, k: (k / n) ** 2,
    "1 / n is right for the first choice alone.": lambda n, k: 1 / n,
    "you draw with replacement: a token could pick one expert twice. Its k experts are different, "
    "so after each draw there is one fewer to pick from.": (
        lambda n, k: 1 - (1 - k / n) ** k,
        lambda n, k: 1 - (1 - 1 / n) ** (k * k),
        lambda n, k: 1 - (1 - 1 / n) ** k,
    ),
    "your draws take from all experts, but a drawn one is gone: of those that are left to pick "
    "from there is one fewer after each draw, too.": (
        lambda n, k: 1 - prod((n - k - i) / n for i in range(k)),
        lambda n, k: 1 - prod((n - k) / (n - i) for i in range(k)),
    ),
    "you add up the chances of the draws, but more than one of them can meet a taken expert. "
    "Multiply the chances of missing.": lambda n, k: sum(k / (n - i) for i in range(k)),
    "one count keeps the order of the k, the other doesn't: ways over ways of the same kind.": (
        lambda n, k: 1 - perm(n - k, k) / comb(n, k),
        lambda n, k: 1 - comb(n - k, k) / perm(n, k),
    ),
    "this is the chance of nothing in common.": lambda n, k: 1 - by_ways(n, k),
    "this is the chance of exactly one in common. Two or more are a repetition, "
    "too.": lambda n, k: k * comb(n - k, k - 1) / comb(n, k),
    "this is the chance that both tokens pick the same k experts. One in common is "
    "enough.": lambda n, k: 1 / comb(n, k),
    "this is the chance that the tokens don't pick the same k experts.": lambda n, k: (
        1 - 1 / comb(n, k)
    ),
    "right for k = 2 only: the second token draws k times, not twice.": drawing(
        draws=lambda k: range(2)
    ),
    "right for k = 2 only: the first token takes k experts, and the second draws k.": drawing(
        draws=lambda k: range(2), taken=lambda k: 2
    ),
    "the second token draws k times, and you count one draw too few.": (
        drawing(draws=lambda k: range(k - 1)),
        drawing(draws=lambda k: range(1, k)),
    ),
    "the second token draws k times, and you count one draw too many.": drawing(
        draws=lambda k: range(k + 1)
    ),
    "the ways to pick from what is left are counted over the wrong whole: the second token picks k "
    "of all n experts.": (
        lambda n, k: 1 - comb(n - k, k) / comb(n, 2 * k) if 2 * k <= n else 1,
        lambda n, k: 1 - comb(n - k, k) / n**k,
        lambda n, k: 1 - comb(n - k, k) / comb(n, k) ** 2,
    ),
    "that is rounded. The exact number is asked for.": tuple(
        lambda n, k, digits=digits: round(by_ways(n, k), digits) for digits in (2, 3, 4)
    ),
    "`//` drops what stands behind the point, and all of a chance stands there.": lambda n, k: (
        1 - comb(n - k, k) // comb(n, k)
    ),
    "above half of n, two tokens must have an expert in common: the chance there is "
    "1.": lambda n, k: by_ways(n, k) if 2 * k <= n else 0,
}

KNOWN = Known(
    right=(by_draws, by_ways),
    mistakes=MISTAKES,
    slips={
        "chance(n_experts=5, k=2)": lambda n, k: 13 / 28,
        "expected one number": lambda n, k: (comb(n - k, k), comb(n, k)),
    },
    show=lambda n, k: f"chance(n_experts={n}, k={k})",
    name="{:.6f}".format,
)
