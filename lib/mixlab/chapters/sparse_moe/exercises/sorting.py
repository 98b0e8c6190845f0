"""07.5 Find the bug: there and back again."""

from functools import partial

import numpy as np
import torch

import mixlab.chapters.sparse_moe.exercises as shared
from mixlab.chapters.sparse_moe.exercises import normal, router_scores, weights_of_experts
from mixlab.checks.exercise import Asked, Known, varied
from mixlab.checks.readers import read_reals


def draw(rng):
    """Tokens, scores, k and experts, of several sizes; once more tokens than 8 bits can count."""
    drawn = []
    for n_experts, k, tokens in ((4, 2, 0), (8, 2, 0), (5, 3, 0), (4, 1, 0), (3, 3, 0), (6, 2, 1)):
        scores = router_scores(rng, tokens or int(rng.integers(4, 12)), n_experts)
        dim = int(rng.integers(2, 7))
        experts = weights_of_experts(rng, n_experts, dim)
        drawn.append((normal(rng, len(scores), dim), scores, k, *experts))
    many = normal(rng, 300, 3), router_scores(rng, 300, 4), 2, *weights_of_experts(rng, 4, 3)
    return [*drawn, many]


def call(answer, x, scores, k, up, down):
    """Call the answer with a list of experts, each a function of rows."""
    experts = [partial(shared.run_expert, up=u, down=d) for u, d in zip(up, down, strict=True)]
    return answer(x, scores, k, experts)


def example(scores, k):
    rng = np.random.default_rng(len(scores))
    return normal(rng, len(scores), 4), torch.tensor(scores), k, *weights_of_experts(rng, 4, 4)


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=(
        example([[0.0, 2.0, 1.0, -1.0], [1.0, 0.0, -1.0, 2.0], [2.0, 1.5, 0.0, 0.5]], 2),
        example([[3.0, 0.0, 1.0, 0.5], [0.0, 0.5, 2.0, 1.0]], 3),
    ),
    hints=(
        "Make every expert the identity, `lambda rows: rows`. Then the layer should return x "
        "itself. What does it return, and by how much is it too small?",
        "The gates: what do they sum to, in each row? What should they sum to?",
        "The way back: `a[order]` puts row order[i] at place i. To undo that, row i must go "
        "to place order[i]: which permutation does that?",
    ),
)

# --- kept back while grading ---


def token_by_token(x, scores, k, experts):
    out = []
    for token, row in zip(x.double(), scores.double(), strict=True):
        kept, chosen = row.topk(k)
        results = torch.cat([experts[e](token[None]) for e in chosen.tolist()])
        out.append(kept.softmax(0) @ results)
    return torch.stack(out)


def there_and_back(
    gates=shared.of_kept,
    there=lambda order, n, k: order // k,
    back=lambda rows, order: rows[order.argsort()],
    apart=lambda back, n, k: back.unflatten(0, (n, k)),
    fit=lambda gates, order: gates,
):
    """The layer of the exercise, in which some steps go another way.

    Ways: the gates (tokens, n_experts); which tokens the sorted rows come from; how they go back,
    and are parted by token; what becomes of the gates (tokens, k) before they meet the results.
    """

    def layer(x, scores, k, experts):
        chosen = scores.topk(k, dim=1).indices
        weights = gates(scores, shared.picked(scores, k)).gather(1, chosen)
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        sizes = flat.bincount(minlength=len(experts)).tolist()
        runs = x[there(order, len(x), k)].split(sizes)
        rows = torch.cat([expert(run) for expert, run in zip(experts, runs, strict=True)])
        results = apart(back(rows, order), len(x), k)
        return (fit(weights, order)[..., None] * results).sum(dim=1)

    return layer


def by_order(rows, order):
    return rows[order]


def left_sorted(rows, order):
    return rows


def last_alone(scores, kept):
    """The gates of each token's expert with the highest number, who writes last."""
    late = kept.cumsum(1) * kept == kept.sum(1, keepdim=True)
    return shared.of_kept(scores, kept) * late


LEFT = (
    "results stay sorted by expert: they are never sent back. Each row belongs to the token that "
    "stood there before the sort."
)
FULL = next(iter(shared.WRONG_GATES.values()))
MISTAKES = {
    "both mistakes are still there: the gates don't sum to 1, and results return to the wrong "
    "tokens.": there_and_back(FULL, back=by_order),
    "results return to the wrong tokens. Indexing with `order` sorts; doing it twice doesn't undo "
    "it. What undoes a permutation?": there_and_back(back=by_order),
    f"{LEFT} And the gates don't sum to 1 yet.": there_and_back(FULL, back=left_sorted),
    LEFT: there_and_back(back=left_sorted),
    **varied(there_and_back, "gates", shared.WRONG_GATES),
    "you turn the rows round. Sorting is undone by its own inverse, whatever the order was.": (
        there_and_back(back=lambda rows, order: rows.flip(0)),
        there_and_back(back=lambda rows, order: rows[order.flip(0)]),
        there_and_back(FULL, back=lambda rows, order: rows[order.flip(0)]),
        there_and_back(back=lambda rows, order: rows[order.argsort(descending=True)]),
    ),
    "the rows come from the wrong tokens: choice c of the flat list belongs to token c // k, as "
    "each token has k choices in a row.": (
        there_and_back(there=lambda order, n, k: order % n),
        there_and_back(FULL, there=lambda order, n, k: order % n),
    ),
    "the results are parted by rank and then by token. In the flat list a token's k choices stand "
    "side by side.": there_and_back(
        apart=lambda back, n, k: back.unflatten(0, (k, n)).transpose(0, 1)
    ),
    "the gates are in the order of the text, and the rows that they weight still sorted by expert. "
    "Sort the gates alike, or send the rows back first.": there_and_back(
        fit=lambda gates, order: gates.flatten()[order.argsort()].view_as(gates)
    ),
    "of each token's results only one is left. Writing to an index that comes twice, by `=` or by "
    "`+=`, keeps the last: `index_add_` adds.": there_and_back(last_alone),
    "you took the mean of a token's results. Their gates sum to 1 already: add.": there_and_back(
        apart=lambda back, n, k: back.unflatten(0, (n, k)) / k
    ),
}

KNOWN = Known(
    right=(token_by_token, there_and_back()),
    mistakes=MISTAKES,
    slips={
        "first wrong place: token 0": there_and_back(back=lambda rows, order: rows.roll(1, 0)),
        "out of bounds": there_and_back(there=lambda order, n, k: order),
    },
    show=lambda x, s, k, up, down: (
        f"sorted_experts with {len(x)} tokens, {len(up)} experts, k = {k}"
    ),
    place=lambda at: f"token {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
)
