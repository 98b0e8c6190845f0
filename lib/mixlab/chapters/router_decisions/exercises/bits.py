"""08.5 Bits, with the token held fixed."""

from collections import Counter
from math import log, log2

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def draw(rng):
    """Labels that hang together; the numbers of tokens have gaps."""
    drawn = []
    for _ in range(5):
        n = int(rng.integers(200, 600))
        n_tokens, n_kinds, n_experts = (int(rng.integers(3, 9)) for _ in range(3))
        kind = rng.integers(n_kinds, size=n)
        weight = rng.random((n_kinds, n_tokens)) ** 3  # kinds use tokens unequally
        weight /= weight.sum(axis=1, keepdims=True)
        token = np.array([rng.choice(n_tokens, p=weight[at]) for at in kind])
        expert = (token + (rng.random(n) < 0.4) * (kind + 1) + (rng.random(n) < 0.2)) % n_experts
        token[:8] = range(n_tokens, n_tokens + 8)  # once each
        ids = rng.permutation(1000)[: n_tokens + 8]
        drawn.append((expert, kind, ids[token]))
    return drawn


RNG = np.random.default_rng(8)
KIND = RNG.integers(3, size=90)
TOKEN = np.where(RNG.random(90) < 0.6, KIND, RNG.integers(5, size=90))
EXPERT = (TOKEN + (RNG.random(90) < 0.5) * KIND) % 4
TOKEN[:3] = 6, 7, 8  # tokens that stand at one place each

ASKED = Asked(
    draw=draw,
    read=read_real,
    atol=1e-5,
    examples=(
        (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([7, 7, 7, 7])),
        (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([3, 3, 8, 8])),
        (EXPERT, KIND, 3 * TOKEN + 2),
    ),
    hints=(
        "Look at one token alone: keep the positions where it stands, and compute the mutual "
        "information of expert and kind among them. Do that for every token.",
        "A token that occurs often must count more: weight its bits with its share of all "
        "positions, then add up.",
        "Mutual information is H(expert) + H(kind) - H(both), each H = -Σ p log2 p over the "
        "counts of that label. `np.unique(..., return_counts=True)` counts pairs, too.",
    ),
)

# --- kept back while grading ---


def by_counting(expert, kind, token):
    """The mean over all places of log2 p(e, d | t) / (p(e | t) p(d | t))."""
    places = list(zip(expert.tolist(), kind.tolist(), token.tolist(), strict=True))
    all_three, with_expert = Counter(places), Counter((e, t) for e, _, t in places)
    with_kind, alone = Counter((d, t) for _, d, t in places), Counter(t for _, _, t in places)
    bits = (
        log2(all_three[e, d, t] * alone[t] / with_expert[e, t] / with_kind[d, t])
        for e, d, t in places
    )
    return sum(bits) / len(places)


def entropy(*labels):
    counts = np.unique(np.stack(labels), axis=1, return_counts=True)[1]
    p = counts / counts.sum()
    return -(p * np.log2(p)).sum()


def information(x, y):
    return entropy(x) + entropy(y) - entropy(x, y)


def chance(x, y):
    """About what two labels without a link would share in so few places (Miller and Madow)."""
    return (len(np.unique(x)) - 1) * (len(np.unique(y)) - 1) / (2 * len(x) * log(2))


def mean_of(bits=information, weight=lambda here: here.mean(), tokens=np.unique):
    """The mean over tokens of some bits about expert and kind, each with some weight."""

    def given(expert, kind, token):
        places = [token == value for value in tokens(token)]
        return sum(weight(h) * bits(expert[h], kind[h]) for h in places if h.any())

    return given


MISTAKES = {
    "the token isn't held fixed: this is the information of kind about expert in all. Where kinds "
    "use different tokens, it counts the tokens' work as the kinds'.": lambda e, d, t: information(
        e, d
    ),
    "this is in nats: use the logarithm to base 2.": lambda *given: mean_of()(*given) * log(2),
    "this is in digits: use the logarithm to base 2, not to base 10.": lambda *given: (
        mean_of()(*given) * log(2) / log(10)
    ),
    "every token counts alike in your mean. A token that stands at half of all positions has half "
    "of the weight.": lambda e, d, t: mean_of(weight=lambda here: 1)(e, d, t) / len(np.unique(t)),
    "this is what the token tells once the kind is known. Here the token is "
    "known.": lambda e, d, t: mean_of()(e, t, d),
    "this is what the token tells about the kind, with the expert held fixed. Here the token is "
    "known.": lambda e, d, t: mean_of()(d, t, e),
    "this is what token and kind tell together. Take away what the token tells "
    "alone.": lambda e, d, t: entropy(e) + entropy(d, t) - entropy(e, d, t),
    "this is what the token tells about the expert. Hold the token fixed, and ask what the kind "
    "adds.": lambda e, d, t: information(e, t),
    "this is how uncertain the expert stays when token and kind are both known: the part that "
    "neither explains.": lambda e, d, t: entropy(e, d, t) - entropy(d, t),
    "this is how uncertain the expert is once the token is known, H(expert | token). How much of "
    "that does the kind take away?": lambda e, d, t: entropy(e, t) - entropy(t),
    "this is how uncertain the kind is once the token is known. What does it tell about the "
    "expert?": lambda e, d, t: entropy(d, t) - entropy(t),
    "this is how uncertain the pair of expert and kind is once the token is known. Take away what "
    "is no agreement: H(expert) + H(kind) - H(both).": mean_of(entropy),
    "this is how uncertain the kind stays when token and expert are both known.": lambda e, d, t: (
        entropy(e, d, t) - entropy(e, t)
    ),
    "H(both) is taken away, not added: what two labels share is counted twice in their "
    "sum.": mean_of(lambda e, d: entropy(e) + entropy(d) + entropy(e, d)),
    "this is the largest of the tokens' numbers. Their mean is asked for, with "
    "weights.": lambda e, d, t: max(information(e[t == v], d[t == v]) for v in np.unique(t)),
    "the tokens' bits are added up without weights.": mean_of(weight=lambda here: 1),
    "a token's weight is its number of places over all places; yours is the number alone.": mean_of(
        weight=lambda here: here.sum()
    ),
    "you leave tokens out that stand at one place only. They tell 0 bits, and count in the "
    "mean.": lambda e, d, t: mean_of()(e, d, t) / np.mean([(t == one).sum() > 1 for one in t]),
    "your bits are nan: 0 · log 0 is, or 0 / 0. What never comes together adds nothing: go "
    "through the pairs that occur.": lambda *given: np.nan,
    "you have taken away what chance would give. The text asks for no correction.": mean_of(
        lambda e, d: max(0, information(e, d) - chance(e, d)),
    ),
    "p(expert) and p(kind) are counted among all places. Hold the token fixed there, too: count "
    "among the places where it stands.": lambda e, d, t: (
        entropy(e) + entropy(d) + entropy(t) - entropy(e, d, t)
    ),
    "the sign is wrong: what the kind tells takes uncertainty away, and is never below "
    "0.": lambda *given: -mean_of()(*given),
    "you take the difference of two informations, about the expert alone. What is known of the "
    "token changes what the kind can tell: count among one token's places.": (
        lambda e, d, t: information(e, d) - information(e, t),
        lambda e, d, t: information(e, d) - information(d, t),
        lambda e, d, t: information(e, t) - information(e, d),
    ),
    "your loop takes the tokens for 0, 1, 2, … Their ids have gaps: go through those that occur.": (
        mean_of(tokens=lambda token: range(len(np.unique(token)))),
        mean_of(tokens=lambda token: range(token.max())),
    ),
    "kinds and experts are correlated here as if they were quantities. They are names: "
    "count.": lambda e, d, t: abs(np.corrcoef(e, d)[0, 1]) if len(set(e.tolist())) > 1 else 0,
    "your bits are a share of what is uncertain about the expert. The bits themselves are asked "
    "for.": lambda e, d, t: mean_of()(e, d, t) / entropy(e),
}

KNOWN = Known(
    right=(by_counting, mean_of()),
    mistakes=MISTAKES,
    slips={
        "0.00000 bits": lambda e, d, t: 0.0,
        "expected one number": lambda e, d, t: [information(e, d), information(e, t)],
    },
    show=lambda expert, kind, token: (
        f"information_given_token(expert, kind, token) with {len(expert)} positions and "
        f"{len(set(token.tolist()))} different tokens"
    ),
    name="{:.5f} bits".format,
)
