"""How often neighbouring tokens share an expert, and what explains it: popularity, tokens, context.

Source: "Mixtral of Experts" (2024), section 5 and table 5.
"""

import numpy as np
from jaxtyping import Float, Int

from mixlab.traces.router import repetition
from mixlab.traces.router_decisions import Labels, shuffle_within

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


def repetitions(
    chosen: Int[np.ndarray, "layers texts seq k"], order: Labels | None = None
) -> Float[np.ndarray, "2 layers"]:
    """`repetition` of every layer: of the first choice, and of any.

    Args:
        chosen: best first.
        order: with it, each place first takes the choices of another: place i, counted through
            all texts, those of place `order[i]`. `rng.permutation(texts * seq)` leaves what
            experts' popularity alone gives; `shuffle_within(places, tokens, rng)` also which
            tokens stand side by side, but no context.

    >>> chosen = np.array([[[[0, 1], [0, 2], [3, 2]]]])
    >>> repetitions(chosen)[:, 0], repetitions(chosen, np.array([0, 2, 1]))[:, 0]
    (array([0.5, 1. ]), array([0. , 0.5]))
    """
    if order is not None:
        places = chosen.reshape(len(chosen), -1, chosen.shape[-1])
        chosen = places[:, order].reshape(chosen.shape)
    return np.array([[repetition(c, first_only=f) for c in chosen] for f in (True, False)])


def repetition_of_strangers(chosen: Int[np.ndarray, "n k"]) -> tuple[float, float]:
    """How often two tokens drawn at random share an expert, from what is popular: no shuffling.

    For first choices Σ p², p being their shares. For any of two, Σ q² - Σ r²: q is the part of
    tokens that use an expert and r the part that use a pair of them, and tokens with both in
    common are counted twice by the first sum.

    Args:
        chosen: the choices of tokens, two each.

    Raises:
        ValueError: if k isn't 2.

    >>> every_pair = np.array([[a, b] for a in range(8) for b in range(8) if a != b])
    >>> first, common = repetition_of_strangers(every_pair)
    >>> first == 1 / 8, round(common, 6) == round(13 / 28, 6)
    (True, True)
    """
    if chosen.shape[1] != 2:
        raise ValueError(f"the formula is for two experts a token: got k={chosen.shape[1]}")
    n = len(chosen)
    first, used = np.bincount(chosen[:, 0]) / n, np.bincount(chosen.ravel()) / n
    pairs = np.unique(np.sort(chosen, axis=1), axis=0, return_counts=True)[1] / n
    return float((first**2).sum()), float((used**2).sum() - (pairs**2).sum())


def explained_repetitions(
    chosen: Int[np.ndarray, "layers texts seq k"],
    tokens: Int[np.ndarray, "texts seq"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "3 2 layers"]:
    """`repetitions` as they are; of tokens without their context; of experts' popularity alone.

    For the second every token takes the choices that it got at another of its places, so that
    tokens stand side by side as written. One that occurs once keeps its own: what the first has
    above the second is at least what context adds. For the third all places are shuffled.

    Args:
        chosen: the choices on texts of one kind, best first.
        tokens: of these texts.
        rng: source of both orders.
    """
    places = np.arange(tokens.size)
    exchanged = shuffle_within(places, tokens.ravel(), rng)
    orders = (None, exchanged, rng.permutation(places))
    return np.array([repetitions(chosen, order) for order in orders])
