"""07.2 Experts with a limit: a sparse layer whose experts turn away whom they can't serve."""

import numpy as np
import torch

from mixlab.chapters.sparse_moe.exercises import counted_experts, normal, weights_of_experts
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """Routings with and without a limit that bites, with idle experts, and all on one expert."""
    drawn = []
    for tokens, n_experts, k, capacity in (
        (int(rng.integers(5, 12)), 4, 2, 99),  # nobody is turned away
        (int(rng.integers(6, 14)), 4, 2, int(rng.integers(2, 4))),
        (int(rng.integers(3, 6)), 8, 1, 99),  # most experts get no token
        (int(rng.integers(8, 12)), 4, 3, int(rng.integers(4, 6))),
        (1, 5, 2, 1),
        (300, 4, 2, 140),  # more than 8 bits can count
    ):
        chosen = torch.from_numpy(rng.random((tokens, n_experts)).argsort(axis=1)[:, :k])
        gates = normal(rng, tokens, k).softmax(1).sort(descending=True).values
        dim = int(rng.integers(2, 7))
        experts = weights_of_experts(rng, n_experts, dim)
        drawn.append((normal(rng, tokens, dim), chosen, gates, *experts, capacity))
    tokens = int(rng.integers(4, 9))
    crowd = torch.full((tokens, 1), int(rng.integers(0, 3))), torch.ones(tokens, 1)
    for capacity in (99, 3):  # all tokens on one expert
        drawn.append((normal(rng, tokens, 4), *crowd, *weights_of_experts(rng, 3, 4), capacity))
    return drawn


def call(answer, x, chosen, gates, up, down, capacity):
    return answer(x, chosen, gates, counted_experts(chosen, up, down, capacity), capacity)


def example(choices, first_gates, n_experts, capacity):
    """One or two choices a token; a second one's gate is what the first leaves of 1."""
    first = torch.tensor(first_gates)[:, None]
    gates = torch.cat((first, 1 - first), 1)[:, : len(choices[0])]
    rng = np.random.default_rng(n_experts)
    routing = torch.tensor(choices), gates
    return normal(rng, len(choices), 4), *routing, *weights_of_experts(rng, n_experts, 4), capacity


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=(
        example([[0, 1], [1, 0], [1, 0]], [0.75, 0.6, 0.9], 2, 9),
        example([[1, 0], [0, 1], [1, 2], [1, 0], [3, 2]], [0.9, 0.7, 0.6, 0.8, 0.7], 4, 2),
        example([[0], [0], [0]], [1.0, 1.0, 1.0], 2, 2),
        example([[0, 1], [1, 0], [2, 1], [0, 1]], [0.6, 0.7, 0.9, 0.8], 3, 2),
    ),
    hints=(
        "Loop over experts. `token, rank = torch.where(chosen == e)` lists the tokens that "
        "chose expert e, in order, and whether as their first choice or a later one.",
        "Who comes too late is cut off by a slice: `token[:capacity]`, and `rank` likewise. If "
        "nothing is left, go on to the next expert.",
        "Two experts share a token's row, so add: `out[token] += gates[token, rank, None] * "
        "expert(x[token])`, starting from zeros.",
    ),
)

# --- kept back while grading ---


def by_queues(x, chosen, gates, experts, capacity):
    queues = [[] for _ in experts]
    for token, choices in enumerate(chosen.tolist()):
        for rank, e in enumerate(choices):
            if len(queues[e]) < capacity:
                queues[e].append((token, rank))
    out = x.double() * 0
    for expert, queue in zip(experts, queues, strict=True):
        if queue:
            rows = expert(x[[token for token, _ in queue]].double())
            for (token, rank), row in zip(queue, rows, strict=True):
                out[token] += gates[token, rank] * row
    return out


def serving(
    serve=lambda queue, capacity, *of: slice(capacity),
    gate=lambda gates, token, rank, e: gates[token, rank, None],
    end=lambda out, x, gates, got: out,
    begin=torch.zeros_like,
    first=False,
    adds=True,
):
    """A layer by another idea of who is served, of the gate, or of what becomes of a result.

    Args:
        end: what is made of the sum; `got` is 1 where a choice (tokens, k) was served.
        begin: what the sum begins with.
        first: the gate goes before the expert.
    """

    def layer(x, chosen, gates, experts, capacity):
        out, got = begin(x), torch.zeros_like(gates)
        for e, expert in enumerate(experts):
            token, rank = torch.where(chosen == e)
            served = serve(token, capacity, gates[token, rank], rank)
            token, rank = token[served], rank[served]
            if len(token):
                weight, got[token, rank] = gate(gates, token, rank, e), 1
                rows = expert(x[token] * weight) if first else weight * expert(x[token])
                out[token] = rows + (out[token] if adds else 0)
        return end(out, x, gates, got)

    return layer


MISTAKES = {
    "an assignment throws away what another expert has already given to the same token. Each "
    "token's row is a sum over its experts: add to it.": serving(adds=False),
    "the experts' results are added without their gates.": serving(gate=lambda *given: 1.0),
    "the tokens themselves are in the sum. Begin with zeros: the block that this layer stands in "
    "adds them, outside it.": serving(begin=torch.clone),
    "you collect the results in `x` itself, so that experts read what others have written there. "
    "Begin with zeros.": serving(begin=lambda x: x),
    "a token that nobody served comes out as it went in. Its row is zeros: the block that this "
    "layer stands in adds the token, outside it.": serving(
        end=lambda out, x, gates, got: out.where(got.any(1, keepdim=True), x)
    ),
    "every result gets the gate of its token's first choice. Whether an expert was a token's first "
    "choice or second differs from token to token: use the rank.": serving(
        gate=lambda gates, token, rank, e: gates[token, :1]
    ),
    "gates[:, e] is not the gate of expert e: the columns of `gates` are ranks, first choice, "
    "second choice.": serving(gate=lambda gates, token, rank, e: gates[token, e, None]),
    "you multiplied the tokens by their gates before the expert. An expert isn't linear: its "
    "result is what the gate weights.": serving(first=True),
    "your gates are a softmax of the gates. They have been through one: take them as they "
    "are.": lambda x, chosen, gates, *rest: serving()(x, chosen, gates.softmax(1), *rest),
    "you run first choices alone: a token's other experts have work to do "
    "too.": lambda x, chosen, gates, *rest: serving()(x, chosen[:, :1], gates[:, :1], *rest),
    "the last tokens are served and the first turned away. Tokens are served in their order in the "
    "text.": serving(lambda queue, capacity, *of: slice(max(0, len(queue) - capacity), None)),
    "you serve first choices before second ones. Here tokens are served in the order of the text, "
    "whichever choice it was.": serving(
        lambda queue, capacity, gates, rank: rank.argsort(stable=True)[:capacity]
    ),
    "you serve the largest gates first. Here tokens are served in the order of the text.": serving(
        lambda queue, capacity, gates, rank: gates.argsort(descending=True, stable=True)[:capacity]
    ),
    "you serve the first `capacity` tokens of the text alone. The limit is each expert's own: it "
    "takes so many of *its* tokens.": serving(lambda queue, capacity, *of: queue < capacity),
    "your experts take one token less than their capacity allows: `<` where the count of those "
    "already served is meant.": serving(lambda queue, capacity, *of: slice(capacity - 1)),
    "an expert that can't serve all its tokens serves none of them: the first `capacity` are "
    "welcome.": serving(
        lambda queue, capacity, *of: slice(len(queue) if len(queue) <= capacity else 0)
    ),
    "a token that one expert turned away should still get the result of its other.": serving(
        end=lambda out, x, gates, got: out * got.all(1, keepdim=True)
    ),
    "you divided again by the gates that are left. A token that was turned away keeps its other "
    "gates as they are, and its row is smaller.": serving(
        end=lambda out, x, gates, got: out / (gates * got).sum(1, keepdim=True).clamp(min=1e-9)
    ),
}


KNOWN = Known(
    right=(by_queues, serving()),
    mistakes=MISTAKES,
    slips={
        "its capacity is": serving(lambda *of: slice(None)),
        "a second time": lambda *given: (serving()(*given) + serving()(*given)) / 2,
    },
    show=lambda x, chosen, gates, up, down, capacity: (
        f"sparse_feed_forward with chosen = {chosen[:12].tolist()}, {len(up)} experts, "
        f"capacity = {capacity}"
    ),
    place=lambda at: f"token {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
    advice=lambda x, chosen, gates, up, down, capacity: (
        "the limit is not the matter: in this case every token is served by all it chose."
        if chosen.flatten().bincount().max() <= capacity
        else "where nobody is turned away all is right. Here an expert can't serve all its tokens."
    ),
)
