"""08.6 Route around missing experts."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Scores near 0, several hundred above and below; who is gone would often be the first."""
    drawn = []
    for number in range(9):
        n_experts = int(rng.integers(4, 10))
        tokens = n_experts if number == 1 else int(rng.integers(1, 12))
        k = int(rng.integers(1, 4)) if number else 2
        n_removed = int(rng.integers(1, n_experts - k + 1)) if number != 6 else 0
        n_removed = n_experts - k if number in (2, 3) else n_removed  # nobody to choose from
        level = {7: 400, 8: -400}.get(number, -3 * (number % 2))
        logits = torch.from_numpy(rng.standard_normal((tokens, n_experts)) + level).float()
        removed = rng.permutation(n_experts)[:n_removed].tolist()
        if number in (2, 3):  # who is left is the worst: the worst score is no way out
            kept = [expert for expert in range(n_experts) if expert not in removed]
            logits[:, kept[-1]] = logits.min(dim=1).values - 1
        if removed:  # what the first token would choose is gone
            logits[0, removed[0]] = logits[0].max() + (1, 30, 150)[number % 3]
        drawn.append((logits, removed, k))
    for left in rng.permutation(9)[:2]:  # to make all others as bad as the worst won't do
        logits = torch.from_numpy(rng.standard_normal((5, 9))).float()
        logits[:, left] = logits.min(dim=1).values - 1
        drawn.append((logits, [expert for expert in range(9) if expert != left], 1))
    return drawn


def call(answer, logits, removed, k):
    given = logits.clone()
    weights = answer(logits, removed, k)
    if not torch.equal(logits, given):
        raise Unreadable("`logits` holds other numbers than before the call: change a copy")
    return weights


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    atol=1e-5,
    examples=(
        (torch.tensor([[2.0, 1.0, 0.5, -1.0]]), [0], 2),
        (torch.tensor([[-3.0, -1.0, -2.0, -4.0], [0.5, 0.25, -1.0, 1.5]]), [1], 2),
        (torch.tensor([[-0.5, 1.0, 3.0, 2.0, -1.0]]), [2, 3], 1),
        (torch.tensor([[100.0, 1.0, 0.5, -1.0], [-401.0, -400.0, -403.0, -402.0]]), [0, 1], 2),
        (torch.tensor([[0.0, 3.0, 2.0, 1.0]]), [1], 3),  # the worst score is among the best
    ),
    hints=(
        "The router should choose as if the removed experts had never been offered. What must "
        "a score be so that no softmax and no top-k can pick it?",
        "`masked_fill` or an assignment with `-torch.inf` comes first, then `topk`, then the "
        "softmax of the k scores that are left.",
        "Put the k weights back in their experts' columns: "
        "`torch.zeros_like(logits).scatter(1, chosen, weights)`.",
    ),
)

# --- kept back while grading ---


def by_sorting(logits, removed, k):
    out = np.zeros(logits.shape)
    for row, scores in zip(out, logits.double().numpy(), strict=True):
        kept = [expert for expert in np.argsort(-scores) if expert not in removed][:k]
        shares = np.exp(scores[kept] - scores[kept].max())
        row[kept] = shares / shares.sum()
    return out


def fill(value):
    def filled(logits, removed):
        left = logits.clone()
        left[:, removed] = value(logits) if callable(value) else value
        return left

    return filled


gone = fill(-torch.inf)


def routing(
    offered=gone,
    weigh=lambda scores, offered, chosen: scores.softmax(dim=1),
    many=lambda k, n, removed: k,
):
    """Weights with another idea of the scores on offer, of the weights, or of how many run."""

    def weights(logits, removed, k):
        left = offered(logits, removed)
        scores, chosen = left.topk(many(k, logits.shape[1], removed), dim=1)
        return torch.zeros_like(logits).scatter(1, chosen, weigh(scores, left, chosen))

    return weights


def chosen_first(renormalise):
    """Top-k of all experts; what was removed falls out of it without replacement."""

    def weights(logits, removed, k):
        out = fill(0.0)(routing()(logits, [], k), removed)
        return out / out.sum(1, keepdim=True).clamp(min=1e-9) if renormalise else out

    return weights


def renumbered(logits, removed, k):
    """The experts that are left, counted anew from 0."""
    kept = [expert for expert in range(logits.shape[1]) if expert not in removed]
    return torch.nn.functional.pad(routing()(logits, removed, k)[:, kept], (0, len(removed)))


MISTAKES = {
    "a score of 0 is a score like any other: where all others are negative it wins, and elsewhere "
    "it takes part. What is gone needs -inf.": (
        routing(fill(0.0)),
        routing(fill(0.0), many=lambda k, n, removed: n),
    ),
    "a low score is a score like any other: where all others are lower still it wins. What is gone "
    "needs -inf.": tuple(routing(fill(low)) for low in (-1.0, -10.0, -100.0)),
    "you lower the removed scores by some number, and a score far above the others still wins. "
    "What is gone needs -inf.": tuple(
        routing(lambda x, removed, by=by: x - by * torch.isinf(gone(x, removed)))
        for by in (10, 100)
    ),
    "you give the removed experts the worst score of the token. Where nobody else is left it is "
    "among the best: what is gone needs -inf.": routing(fill(lambda x: x.min(1, True).values)),
    "a removed expert falls out of the k that were chosen, and nobody takes its place; the weights "
    "no longer add up to 1. Remove it before you choose.": chosen_first(False),
    "a removed expert falls out of the k that were chosen, and nobody takes its place: the token "
    "runs through fewer experts. Remove it before you choose.": chosen_first(True),
    "your softmax runs over all experts, the removed too, so the weights of the k don't add up to "
    "1.": lambda x, removed, k: x.softmax(dim=1) * (routing()(x, removed, k) > 0),
    "your softmax runs over all experts, and you divide afterwards. On paper that is right, but a "
    "removed score far above the others takes all, and leaves 0 / 0.": routing(
        lambda x, removed: fill(0.0)(x.softmax(dim=1), removed),
        lambda scores, left, chosen: scores / scores.sum(1, keepdim=True),
    ),
    "your softmax runs over all experts that are left. Only the k that run share the weight: take "
    "the softmax of their scores alone.": routing(
        weigh=lambda scores, left, chosen: left.softmax(dim=1).gather(1, chosen)
    ),
    "your softmax runs over the tokens. Each token's own k weights add up to 1: dim=1.": routing(
        weigh=lambda scores, left, chosen: scores.softmax(dim=0)
    ),
    "your k experts share the weight equally: weight them with the softmax of their scores.": (
        routing(weigh=lambda scores, left, chosen: (0 * scores).softmax(1))
    ),
    "your weights are the scores over their sum. A softmax takes exp first.": routing(
        weigh=lambda scores, left, chosen: scores / scores.sum(1, keepdim=True)
    ),
    "each of your weights is made of one score alone. A softmax shares 1 among the k.": tuple(
        routing(weigh=lambda scores, left, chosen, of=of: of(scores))
        for of in (torch.clone, torch.sigmoid, torch.ones_like)
    ),
    "all experts that are left get a weight, or one too many. Only the k best run.": (
        routing(many=lambda k, n, removed: n - len(removed)),
        routing(many=lambda k, n, removed: min(k + 1, n - len(removed))),
    ),
    "right weights in wrong columns: without the removed columns you count experts anew from 0, "
    "but expert 5 stays expert 5.": renumbered,
    "nothing has been removed.": lambda x, removed, k: routing()(x, [], k),
}

KNOWN = Known(
    right=(by_sorting, routing()),
    mistakes=MISTAKES,
    slips={
        "expected shape": lambda x, removed, k: gone(x, removed).topk(k).values.softmax(1),
        "change a copy": lambda x, removed, k: routing()(
            x.index_fill_(1, torch.tensor(removed, dtype=torch.long), -torch.inf), [], k
        ),
    },
    show=lambda logits, removed, k: (
        f"weights_without(logits of shape {tuple(logits.shape)}, removed={removed}, k={k})"
    ),
    place=lambda at: f"token {at[0]}, expert {at[1]}" if len(at) == 2 else "",
    name="{:.4f}".format,
)
