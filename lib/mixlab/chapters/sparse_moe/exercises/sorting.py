"""07.5 Find the bug: there and back again."""

import numpy as np
import torch

from mixlab.chapters.sparse_moe.exercises import (
    normal,
    router_scores,
    run_expert,
    weights_of_experts,
)
from mixlab.checks.exercise import Asked, Known
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
    experts = [lambda rows, e=e: run_expert(rows, up[e], down[e]) for e in range(len(up))]
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


def there_and_back(**ways):
    """The layer of the exercise, in which some steps go another way.

    Ways: `gates` maps the k best scores, all scores and k to (tokens, k); `there` maps order and
    sizes to the tokens that the sorted rows come from; `back` maps rows and order to results;
    `apart` parts these by token, `sums` adds them up.
    """

    def layer(x, scores, k, experts):
        kept, chosen = scores.topk(k, dim=1)
        gates = ways.get("gates", lambda kept, scores: kept.softmax(1))(kept, scores)
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        source = ways.get("there", lambda order, n, k: order // k)(order, len(x), k)
        runs = x[source].split(flat.bincount(minlength=len(experts)).tolist())
        rows = torch.cat([expert(run) for expert, run in zip(experts, runs, strict=True)])
        back = ways.get("back", lambda rows, order: rows[order.argsort()])(rows, order)
        results = ways.get("apart", lambda back, n, k: back.unflatten(0, (n, k)))(back, len(x), k)
        return (gates[..., None] * results).sum(dim=1)

    return layer


def full(kept, scores):
    return scores.softmax(1).topk(kept.shape[1]).values


def by_order(rows, order):
    return rows[order]


def left_sorted(rows, order):
    return rows


WRONG_TOKENS = (
    "results return to the wrong tokens. Indexing with `order` sorts; doing it twice doesn't undo "
    "it. What undoes a permutation?"
)
LEFT = (
    "results stay sorted by expert: they are never sent back. Each row belongs to the token that "
    "stood there before the sort."
)
BOTH = (
    "both mistakes are still there: the gates don't sum to 1, and results return to the wrong "
    "tokens."
)
MISTAKES = {
    BOTH: there_and_back(gates=full, back=by_order),
    "your gates are the full softmax's own numbers, so they sum to less than 1. Take the softmax "
    "over the k kept scores alone, or divide by the sum of what you keep.": there_and_back(
        gates=full
    ),
    WRONG_TOKENS: there_and_back(back=by_order),
    f"{LEFT} And the gates don't sum to 1 yet.": there_and_back(gates=full, back=left_sorted),
    LEFT: there_and_back(back=left_sorted),
    "you turn the rows round. Sorting is undone by its own inverse, whatever the order was.": (
        there_and_back(back=lambda rows, order: rows.flip(0)),
        there_and_back(back=lambda rows, order: rows[order.flip(0)]),
        there_and_back(gates=full, back=lambda rows, order: rows[order.flip(0)]),
        there_and_back(back=lambda rows, order: rows[order.argsort(descending=True)]),
    ),
    "the rows come from the wrong tokens: choice c of the flat list belongs to token c // k, as "
    "each token has k choices in a row.": (
        there_and_back(there=lambda order, n, k: order % n),
        there_and_back(there=lambda order, n, k: order % n, gates=full),
    ),
    "the results are parted by rank and then by token. In the flat list a token's k choices stand "
    "side by side.": there_and_back(
        apart=lambda back, n, k: back.unflatten(0, (k, n)).transpose(0, 1)
    ),
    "your gates are a softmax of a softmax. The second one works on shares instead of scores and "
    "makes them too even.": there_and_back(gates=lambda *given: full(*given).softmax(1)),
    "your gates sum to 1 over the tokens. Each token shares out its own weight over its k experts: "
    "dim=1.": (
        there_and_back(gates=lambda kept, scores: kept.softmax(0)),
        there_and_back(gates=lambda *given: full(*given) / full(*given).sum(0)),
    ),
    "your gates sum to 1 over the whole batch. Those of each token do: divide row by row.": (
        there_and_back(gates=lambda *given: full(*given) / full(*given).sum())
    ),
    "your gates still don't sum to 1 in each row: what they are to be divided by is their sum.": (
        there_and_back(gates=lambda *given: full(*given) / full(*given).amax(1, keepdim=True)),
        there_and_back(gates=lambda *given: full(*given) * given[0].shape[1]),
        there_and_back(gates=lambda kept, scores: kept.exp()),
    ),
    "your gates are in another order than the choices: the best expert has the largest.": (
        there_and_back(gates=lambda kept, scores: kept.softmax(1).flip(1))
    ),
    "your gates are divided by k. What they are to be divided by is their sum, in each row.": (
        there_and_back(gates=lambda *given: full(*given) / given[0].shape[1])
    ),
    "your gates are all the same, 1 / k. They count by a softmax of the scores.": there_and_back(
        gates=lambda kept, scores: torch.full_like(kept, 1 / kept.shape[1])
    ),
    "your gates are all 1: the results are added without weights.": there_and_back(
        gates=lambda kept, scores: torch.ones_like(kept)
    ),
    "you divided the kept scores by their sum. Scores may be negative, so that is no share of "
    "anything: a softmax divides powers of e.": there_and_back(
        gates=lambda kept, scores: kept / kept.sum(1, keepdim=True)
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
