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

Labels = Int[np.ndarray, " n"]
_ENDS = (2.5, 97.5)  # of an interval that keeps 95 of 100, as percentiles


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
    return np.percentile(_resample(len(values), rng, draws) @ values, _ENDS, axis=0)


def _resample(n: int, rng: np.random.Generator, draws: int) -> Float[np.ndarray, "draws n"]:
    """How much each of n texts weighs in samples drawn from them with repetition."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws) / n


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


def distance(
    one: Int[np.ndarray, "layers texts seq k"],
    other: Int[np.ndarray, "layers _ seq k"],
    n_experts: int,
    rng: np.random.Generator,
    paired: bool = False,
    draws: int = 2000,
) -> Float[np.ndarray, "3 layers"]:
    """The part of all choices that would have to change experts to make two kinds' shares equal.

    That is ½ Σ |p - q|, the total variation distance; then both ends of its interval, as in
    `bootstrap`. Noise moves shares apart, so near 0 a distance is found too large.

    Args:
        one, other: choices on the texts of either kind.
        n_experts: of the model.
        rng: source of the draws.
        paired: text t of one kind belongs to text t of the other, as a chapter and its
            translation do: both are drawn together.
        draws: how many.

    Raises:
        ValueError: if paired texts aren't as many in both kinds.

    >>> a = np.array([[[[0, 1]], [[0, 2]]]])
    >>> distance(a, a, 4, np.random.default_rng(0), paired=True)[0]
    array([0.])
    """
    if paired and one.shape[1] != other.shape[1]:
        raise ValueError(f"paired texts must be as many: got {one.shape[1]} and {other.shape[1]}")
    weights = _resample(one.shape[1], rng, draws)
    weights_other = weights if paired else _resample(other.shape[1], rng, draws)
    found = []
    for chosen, chosen_other in zip(one, other, strict=True):
        p, q = expert_shares(chosen, n_experts), expert_shares(chosen_other, n_experts)
        drawn = np.abs(weights @ p - weights_other @ q).sum(axis=1) / 2
        apart = np.abs(p.mean(axis=0) - q.mean(axis=0)).sum() / 2
        found.append([apart, *np.percentile(drawn, _ENDS)])
    return np.array(found).T


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


def information_by_lot(
    experts: Int[np.ndarray, "layers n"],
    kind_of_text: Int[np.ndarray, " texts"],
    rng: np.random.Generator,
    draws: int,
    given: Labels | None = None,
) -> Float[np.ndarray, "draws layers"]:
    """What kinds seem to tell about experts, in bits, when whole texts have got theirs by lot.

    A permutation test: information that exceeds all of 19 draws would do so in one of 20 samples
    if kinds meant nothing. Lots for single tokens would give far less, and be wrong: the tokens of
    a text hang together.

    Args:
        experts: the first choice at each place, text after text, all of one length.
        kind_of_text: each text's kind.
        rng: source of the lots.
        draws: how many.
        given: the token at each place, for `conditional_information`.

    Raises:
        ValueError: if the places can't be so many texts of one length.
    """
    layers, n = experts.shape
    if n % len(kind_of_text):
        raise ValueError(f"{n} places aren't {len(kind_of_text)} texts of one length")
    token = np.zeros(n, dtype=int) if given is None else given
    found = np.empty((draws, layers))
    for draw in range(draws):
        kind = rng.permutation(kind_of_text).repeat(n // len(kind_of_text))
        found[draw] = [conditional_information(layer, kind, given=token) for layer in experts]
    return found


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
    Where the token all but decides, that takes off too much. And it takes places for independent,
    though the tokens of a text hang together: hold the second against `information_by_lot`.

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
