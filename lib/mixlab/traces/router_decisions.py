"""Statistics of routers' choices: error bars that respect texts, and information in bits.

Sources: "Mixtral of Experts" (2024), section 5, for the questions; Efron and Tibshirani, "An
Introduction to the Bootstrap" (1993), section 8.5, for resampling whole series where neighbours
depend on each other; Cover and Thomas, "Elements of Information Theory" (2006), sections 2.3 and
2.5, for mutual information and its chain rule.

Labels are whole numbers from 0: which expert, which kind of text, which token.
"""

import numpy as np
from jaxtyping import Float, Int

from mixlab.traces.router import repetition

Labels = Int[np.ndarray, " n"]


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
