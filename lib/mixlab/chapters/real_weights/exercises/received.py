"""11.5 How much attention a key gets, fairly counted."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """One head and several, short texts and longer ones, with and without a sink."""
    sizes = [(1, 2, 0.0), (3, 2, 4.0), (2, 9, 3.0), (1, 30, 0.0), (6, 5, 2.0)]
    for _ in range(5):
        sizes.append((int(rng.integers(1, 7)), int(rng.integers(2, 20)), float(rng.uniform(0, 4))))
    return [(attention(rng, *size),) for size in sizes]


def attention(rng, heads, n, pull):
    """Causal weights (heads, n, n); `pull` is added to the scores of key 0."""
    scores = rng.standard_normal((heads, n, n))
    scores[:, :, 0] += pull
    scores[:, -1, 1] -= 200 * (n > 3)  # so little that float32 makes it 0
    scores[:, np.triu(np.ones((n, n)), 1) > 0] = -np.inf
    return torch.from_numpy(scores).softmax(-1).float()


ASKED = Asked(
    draw=draw,
    read=read_reals(1),
    atol=1e-5,
    examples=tuple(
        (attention(np.random.default_rng(heads + n), heads, n, 1.0),)
        for heads, n in ((1, 3), (2, 4), (1, 5), (3, 2))
    ),
    hints=(
        "Which queries can look at key 0 of a text of 4? Which at key 2? And which of these are "
        "the key itself?",
        "Each key's weights stand in its column. Take the part below the diagonal; how many "
        "numbers of one head are left in column j?",
        "Average over heads, set the diagonal to zero, add up each column, and divide column j by "
        "n - 1 - j. The last column is left out.",
    ),
)

# --- kept back while grading ---


def received(weights):
    mean = weights.double().mean(0).numpy()
    return np.array([mean[j + 1 :, j].mean() for j in range(len(mean) - 1)])


def by_sums(weights):
    heads, n, _ = weights.shape
    below = weights.tril(-1).sum((0, 1))[:-1]
    return below / (heads * torch.arange(n - 1, 0, -1))


def columns(value):
    """What `value` makes of the mean over heads, an array (n, n)."""
    return lambda weights: value(weights.double().mean(0).numpy())


def divided(by, first=1):
    """Sums of the columns, from `first` rows below the diagonal on, divided by something else."""

    def answer(weights):
        mean = weights.double().mean(0).numpy()
        n = len(mean)
        return np.array([mean[j + first :, j].sum() / by(n, j) for j in range(n - 1)])

    return answer


def above_zero(weights):
    below = np.tril(weights, -1)
    return (below.sum((0, 1)) / np.maximum((below > 0).sum((0, 1)), 1))[:-1]


MISTAKES = {
    "you divide each column by all n queries. Key j has only n - 1 - j later ones, so late keys "
    "would look neglected.": divided(lambda n, j: n),
    "you divide each column by n - 1. Key j has only n - 1 - j later queries.": divided(
        lambda n, j: n - 1
    ),
    "you count a key's own query. Every token may look at itself; asked is what others give it.": (
        divided(lambda n, j: n - j, first=0)
    ),
    "you look along row j, behind the diagonal: what is hidden. What key j gets stands in its "
    "column.": columns(lambda mean: np.zeros(len(mean) - 1)),
    "you leave out the same query for every key. Key j has queries 0 to j to leave out.": columns(
        lambda mean: mean[1:, :-1].mean(0)
    ),
    "you leave out one query too many: the first that counts is the one right after the key.": (
        lambda weights: torch.stack(
            [weights[:, j + 2 :, j].mean() for j in range(len(weights[0]) - 1)]
        )
    ),
    "you divide by the queries up to the key. Those that can see it come after it.": (
        divided(lambda n, j: j + 1)
    ),
    "you average only weights above 0. A later query that gives a key nothing counts, too.": (
        columns(lambda mean: above_zero(mean[None])),
        lambda weights: above_zero(weights.double().numpy()),
    ),
    "you share a query's own weight out among the others. Asked are the weights as they are.": (
        lambda weights: received(torch.nn.functional.normalize(weights.tril(-1), p=1, dim=-1))
    ),
    "you leave out key 0, because all look at it. It is a key like the others.": (
        lambda weights: received(weights)[1:]
    ),
    "you count a key's own query, and divide by all n: the plain mean of a column.": divided(
        lambda n, j: n, first=0
    ),
    "you add up a key's own weight too, but divide by the later queries alone.": divided(
        lambda n, j: n - 1 - j, first=0
    ),
    "you leave out the key's own weight, but count it in the divisor.": divided(lambda n, j: n - j),
    "you add up and don't divide: early keys have more queries that can see them.": (
        divided(lambda n, j: 1),
        divided(lambda n, j: 1, first=0),
    ),
    "you average rows. A row is what one query gives, and adds up to 1; a column is what one key "
    "gets.": (
        columns(lambda mean: mean.mean(1)[:-1]),
        columns(lambda mean: np.array([mean[j, :j].mean() for j in range(1, len(mean))])),
        columns(lambda mean: np.array([mean[j, : j + 1].mean() for j in range(1, len(mean))])),
        columns(lambda mean: mean.sum(1)[:-1]),
    ),
    "you return the last key as well. Nobody comes after it.": (
        lambda weights: np.append(received(weights), 0.0),
        lambda weights: np.append(received(weights), np.nan),
        columns(lambda mean: mean.mean(0)),
        columns(lambda mean: mean.sum(0) / np.arange(len(mean), 0, -1)),
        columns(lambda mean: mean.sum(0)),
    ),
    "you look at one head. The mean goes over all.": (
        lambda weights: received(weights[:1]),
        lambda weights: received(weights[-1:]),
    ),
    "you add the heads up. Asked is their mean.": lambda weights: len(weights) * received(weights),
    "you take the largest weight, of heads or of queries. Asked is the mean.": (
        columns(lambda mean: np.array([mean[j + 1 :, j].max() for j in range(len(mean) - 1)])),
        lambda weights: received(weights.amax(0, keepdim=True)),
    ),
    "you look at the last query alone.": columns(lambda mean: mean[-1, :-1]),
    "you look at the next query alone.": columns(
        lambda mean: np.array([mean[j + 1, j] for j in range(len(mean) - 1)])
    ),
    "you give every key's value as a share of all keys'. Asked are plain means.": lambda weights: (
        received(weights) / received(weights).sum()
    ),
}

KNOWN = Known(
    right=(received, by_sums),
    mistakes=MISTAKES,
    slips={
        "expected real numbers in 1 axis": lambda weights: weights.mean(0),
        "it raised IndexError": lambda weights: weights[0, 0, len(weights[0])],
    },
    show=lambda weights: f"received(weights of shape {tuple(weights.shape)})",
    place=lambda at: f"key {at[0]}" if at else "",
    name="{:.4f}".format,
)
