"""What it costs a text when experts are taken away, in bits per byte."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from mixlab.small_mixtral.sample import Sample, bits
from mixlab.traces.router import without_experts
from mixlab.transformer.model import Transformer


def prices(
    model: Transformer, texts: Sample, removals: Sequence[Mapping[int, Collection[int]]]
) -> Float[np.ndarray, "removals kinds each"]:
    """How many more bits per byte each text costs, for each way to take experts away.

    Args:
        model: a Transformer with experts.
        texts: as many of every kind.
        removals: layer to the experts that are missing there, as `without_experts` takes them.
    """
    whole, sizes = bits(model, texts), texts.n_bytes.numpy().sum(axis=1)
    found = []
    for removed in removals:
        with without_experts(model, removed):
            found.append((bits(model, texts) - whole).sum(axis=1) / sizes)
    return np.array(found).reshape(len(removals), len(set(texts.kind)), -1)


def without_favourites(
    favourites: Int[np.ndarray, "layers kinds"], layers: Sequence[int]
) -> list[dict[int, list[int]]]:
    """For each kind of text, the removal of its favourite expert from each of these layers.

    >>> without_favourites(np.array([[3, 1], [0, 2]]), layers=[1])
    [{1: [0]}, {1: [2]}]
    """
    return [{at: [int(kind[at])] for at in layers} for kind in favourites.T]


def own_and_dearest(
    found: Float[np.ndarray, "kinds kinds each"],
) -> Float[np.ndarray, "2 kinds 2"]:
    """Of each kind's favourites: what the kind itself pays, and whichever other kind pays most.

    Args:
        found: prices by whose favourites are gone, who pays, and text.

    Returns:
        Of both the mean over texts and its standard error.
    """
    kinds, each = range(len(found)), found.shape[2]
    pairs = np.stack([found.mean(axis=2), found.std(axis=2, ddof=1) / np.sqrt(each)], axis=-1)
    others = np.where(np.eye(len(found), dtype=bool), -np.inf, pairs[..., 0])
    return np.stack([pairs[kinds, kinds], pairs[kinds, others.argmax(axis=1)]])


def surely_dearest(found: Float[np.ndarray, "kinds kinds each"]) -> list[bool]:
    """Whether a kind's texts lose more without its own favourites than without any other kind's.

    By two standard errors of the difference, text by text, from the dearest of the others.
    """
    n, each = len(found), found.shape[2]
    others = np.where(np.eye(n, dtype=bool), -np.inf, found.mean(axis=2)).argmax(axis=0)
    more = found[range(n), range(n)] - found[others, range(n)]  # (kinds, each)
    return (more.mean(axis=1) > 2 * more.std(axis=1, ddof=1) / np.sqrt(each)).tolist()
