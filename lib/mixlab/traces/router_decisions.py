"""Statistics of routers' choices: error bars that respect texts, and information in bits.

Sources: "Mixtral of Experts" (2024), section 5, for the questions; Efron and Tibshirani, "An
Introduction to the Bootstrap" (1993), section 8.5, for resampling whole series where neighbours
depend on each other; Cover and Thomas, "Elements of Information Theory" (2006), sections 2.3 and
2.5, for mutual information and its chain rule.

Labels are whole numbers from 0: which expert, which kind of text, which token.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from mixlab.traces.router import repetition

Labels = Int[np.ndarray, " n"]

# "Mixtral of Experts" (2024), table 5: neighbouring tokens with the same first choice at layers
# 0, 15 and 31, and with any choice in common at the same layers, in %, on parts of The Pile.
MIXTRAL_REPETITION = {
    "ArXiv": ((14.0, 27.9, 22.7), (46.5, 62.3, 52.9)),
    "DM Mathematics": ((14.1, 28.4, 19.7), (44.9, 67.0, 44.5)),
    "Github": ((14.9, 28.1, 19.7), (49.9, 66.9, 49.2)),
    "Gutenberg": ((13.9, 26.1, 26.3), (49.5, 63.1, 52.2)),
    "PhilPapers": ((13.6, 25.3, 22.1), (46.9, 61.9, 51.3)),
    "PubMed Abstracts": ((14.2, 24.6, 22.0), (48.6, 61.6, 51.8)),
    "StackExchange": ((13.6, 27.2, 23.6), (48.2, 64.6, 53.6)),
    "Wikipedia (en)": ((14.4, 23.6, 25.3), (49.8, 62.1, 51.8)),
}


def expert_shares(
    chosen: Int[np.ndarray, "texts seq k"], n_experts: int
) -> Float[np.ndarray, "texts n_experts"]:
    """Which part of each text's choices went to each expert; rows sum to 1.

    >>> expert_shares(np.array([[[0, 1], [0, 2]]]), n_experts=4)
    array([[0.5 , 0.25, 0.25, 0.  ]])
    """
    return (chosen[..., None] == np.arange(n_experts)).mean(axis=(1, 2))


def bootstrap(
    values: Float[np.ndarray, "texts n"], rng: np.random.Generator, draws: int = 2000
) -> Float[np.ndarray, "2 n"]:
    """Where the mean over texts lies in 95 of 100 samples like this one: low and high ends.

    Each draw takes as many texts as there are, with repetition, whole: so tokens that hang
    together within a text stay together, and the interval doesn't count them as independent.

    Args:
        values: one row of numbers a text; texts count alike.
        rng: source of the draws.
        draws: how many.

    >>> low, high = bootstrap(np.array([[0.0], [1.0]] * 50), np.random.default_rng(0))
    >>> round(low.item(), 1), round(high.item(), 1)
    (0.4, 0.6)
    """
    n = len(values)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n  # (draws, texts)
    return np.percentile(weights @ values, [2.5, 97.5], axis=0)


def kind_shares(
    choices: Sequence[Int[np.ndarray, "layers _ seq k"]], n_experts: int, rng: np.random.Generator
) -> Float[np.ndarray, "3 layers kinds n_experts"]:
    """For every layer and kind of text: the experts' shares, and both ends of their intervals.

    Args:
        choices: of each kind of text, for its texts.
        n_experts: of the model.
        rng: for `bootstrap`.
    """
    found = []
    for kind in choices:
        by_text = [expert_shares(layer, n_experts) for layer in kind]
        ends = [bootstrap(texts, rng) for texts in by_text]
        found.append(
            [[texts.mean(axis=0), *pair] for texts, pair in zip(by_text, ends, strict=True)]
        )
    return np.array(found).transpose(2, 1, 0, 3)


def entropy(x: Labels) -> float:
    """How uncertain a label is, in bits.

    >>> entropy(np.array([0, 1, 2, 3]))
    2.0
    """
    p = np.bincount(x) / len(x)
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def mutual_information(x: Labels, y: Labels) -> float:
    """How many bits one label tells about the other: 0 if they are independent in this sample.

    In a sample it is never below 0, and above it by chance alone: compare with shuffled labels.

    >>> x = np.array([0, 0, 1, 1])
    >>> mutual_information(x, x), mutual_information(x, np.array([0, 1, 0, 1]))
    (1.0, 0.0)
    """
    pairs = x * (int(y.max()) + 1) + y
    return entropy(x) + entropy(y) - entropy(pairs)


def conditional_information(x: Labels, y: Labels, given: Labels) -> float:
    """The bits that y tells about x once `given` is known: the mean over its values.

    >>> x = np.array([0, 1, 0, 1])
    >>> conditional_information(x, x, given=x), conditional_information(x, x, given=0 * x)
    (0.0, 1.0)
    """
    both = given * (int(y.max()) + 1) + y
    return mutual_information(x, both) - mutual_information(x, given)


def shuffle_within(labels: Labels, groups: Labels, rng: np.random.Generator) -> Labels:
    """The labels of each group in random order, among its own places.

    With kinds as labels and tokens as groups, every token keeps its number of each kind, and
    what it told about experts beyond the token is lost.

    >>> shuffle_within(np.array([5, 6, 6]), np.array([0, 1, 1]), np.random.default_rng(0))
    array([5, 6, 6])
    """
    shuffled = np.empty_like(labels)
    by_chance = np.lexsort((rng.random(len(labels)), groups))
    shuffled[np.argsort(groups, kind="stable")] = labels[by_chance]
    return shuffled


def explained(
    expert: Labels, token: Labels, kind: Labels, rng: np.random.Generator
) -> tuple[float, float]:
    """What token and kind explain of the expert, in bits: I(E; T) and I(E; D | T).

    Rare labels look informative by chance, so what shuffled labels give is taken off: tokens
    shuffled among all places for the first, kinds among one token's places for the second.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.integers(2, size=999)
    >>> of_token, of_kind = explained(expert=x, token=x, kind=rng.integers(3, size=999), rng=rng)
    >>> round(of_token, 1), round(abs(of_kind), 1)
    (1.0, 0.0)
    """
    of_token = mutual_information(expert, token)
    of_token -= mutual_information(expert, rng.permutation(token))
    of_kind = conditional_information(expert, kind, given=token)
    of_kind -= conditional_information(expert, shuffle_within(kind, token, rng), given=token)
    return of_token, of_kind


def repetitions(
    chosen: Int[np.ndarray, "layers texts seq k"],
) -> Float[np.ndarray, "2 layers"]:
    """`repetition` of every layer: of the first choice, and of any."""
    return np.array([[repetition(c, first_only=f) for c in chosen] for f in (True, False)])


def shuffled_repetitions(
    chosen: Int[np.ndarray, "layers texts seq k"], rng: np.random.Generator
) -> Float[np.ndarray, "2 layers"]:
    """`shuffled_repetition` of every layer: of the first choice, and of any."""
    return np.array(
        [[shuffled_repetition(c, rng, first_only=f) for c in chosen] for f in (True, False)]
    )


def shuffled_repetition(
    chosen: Int[np.ndarray, "texts seq k"], rng: np.random.Generator, first_only: bool = True
) -> float:
    """`repetition` after all tokens have changed places: what an expert's popularity alone gives.

    Args:
        chosen: one layer's choices on texts of one kind.
        rng: source of the order.
        first_only: as in `repetition`.
    """
    flat = chosen.reshape(-1, chosen.shape[-1])
    return repetition(rng.permutation(flat).reshape(chosen.shape), first_only)
