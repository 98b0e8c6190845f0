"""08.6 Route around missing experts."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Scores near 0, several hundred above and below; who is gone would often be the first."""
    drawn = []
    for number in range(11):
        worst_left = number in (2, 3, 4, 5)  # the worst score is no way out, nor a worse one
        n_experts = 9 if number in (4, 5) else int(rng.integers(4, 10))
        tokens = n_experts if number == 1 else int(rng.integers(1, 12))
        k = {0: 2, 4: 1, 5: 1}.get(number, int(rng.integers(1, 4)))
        n_removed = n_experts - k if worst_left else int(rng.integers(1, n_experts - k + 1))
        level = {7: 400, 8: -400}.get(number, -3 * (number % 2))
        logits = torch.from_numpy(rng.standard_normal((tokens, n_experts)) + level).float()
        removed, kept = np.split(rng.permutation(n_experts), [n_removed if number != 6 else 0])
        if worst_left:
            logits[:, kept[-1]] = logits.min(dim=1).values - 1
        if len(removed) and number not in (4, 5):  # what the first token would choose is gone
            logits[0, removed[0]] = logits[0].max() + (1, 30, 150)[number % 3]
        drawn.append((logits, removed.tolist(), k))
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


def away(logits, removed):
    """(n_experts,): True where an expert is removed."""
    return (torch.arange(logits.shape[1])[:, None] == torch.tensor(removed)).any(dim=1)


def fill(value):
    return lambda logits, removed: torch.where(away(logits, removed), value, logits)


gone = fill(-torch.inf)


def routing(offered=gone, weigh=lambda s: s.softmax(dim=1), many=lambda k, n, removed: k):
    """Weights with another idea of the scores on offer, of the weights, or of how many run."""

    def weights(logits, removed, k):
        left = offered(logits, removed)
        scores, chosen = left.topk(many(k, logits.shape[1], removed), dim=1)
        return torch.zeros_like(logits).scatter(1, chosen, weigh(scores))

    return weights


def divided(scores):
    return scores / scores.sum(1, keepdim=True)


def chosen_first(renormalise=lambda weights: weights):
    """Top-k of all experts; what was removed falls out of it without replacement."""
    return lambda logits, removed, k: renormalise(fill(0.0)(routing()(logits, [], k), removed))


def narrow(logits, removed, k):
    """The columns of the experts that are left, counted anew from 0."""
    kept = [expert for expert in range(logits.shape[1]) if expert not in removed]
    return routing()(logits, removed, k)[:, kept]


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
        routing(lambda x, removed, by=by: x - by * away(x, removed)) for by in (10, 100)
    ),
    "you give the removed experts the worst score of the token. Where nobody else is left it is "
    "among the best: what is gone needs -inf.": routing(
        lambda x, removed: torch.where(away(x, removed), x.min(1, True).values, x)
    ),
    "you have removed rows, which are tokens. Experts are columns: `[:, removed]`.": routing(
        lambda x, removed: gone(x.T, removed).T
    ),
    "a removed expert falls out of the k that were chosen, and nobody takes its place; the weights "
    "no longer add up to 1. Remove it before you choose.": chosen_first(),
    "a removed expert falls out of the k that were chosen, and nobody takes its place: the token "
    "runs through fewer experts. Remove it before you choose.": (
        chosen_first(divided),
        chosen_first(lambda out: out / out.sum(1, keepdim=True).clamp(min=1e-9)),
    ),
    "your softmax runs over all experts, the removed too, so the weights of the k don't add up to "
    "1.": lambda x, removed, k: x.softmax(dim=1) * (routing()(x, removed, k) > 0),
    "your softmax runs over all experts, and you divide afterwards. On paper that is right, but a "
    "removed score far above the others takes all, and leaves 0 / 0.": routing(
        lambda x, removed: fill(0.0)(x.softmax(dim=1), removed), divided
    ),
    "your softmax runs over all experts that are left. Only the k that run share the weight: take "
    "the softmax of their scores alone.": routing(
        lambda x, removed: gone(x, removed).softmax(dim=1), torch.clone
    ),
    "your softmax runs over the tokens. Each token's own k weights add up to 1: dim=1.": routing(
        weigh=lambda s: s.softmax(dim=0)
    ),
    "your softmax is written out, and e to the power of a score leaves the range of float32: "
    "infinite, or 0 / 0. Subtract each token's best score first.": routing(
        weigh=lambda s: divided(s.exp())
    ),
    "your k experts share the weight equally: weight them with the softmax of their "
    "scores.": routing(weigh=lambda s: (0 * s).softmax(1)),
    "your weights are the scores over their sum. A softmax takes exp first.": routing(
        weigh=divided
    ),
    "each of your weights is made of one score alone. A softmax shares 1 among the k.": tuple(
        routing(weigh=of) for of in (torch.clone, torch.sigmoid, torch.ones_like)
    ),
    "all experts that are left get a weight, or one too many. Only the k best run.": (
        routing(many=lambda k, n, removed: n - len(removed)),
        routing(many=lambda k, n, removed: min(k + 1, n - len(removed))),
    ),
    "right weights in wrong columns: without the removed columns you count experts anew from 0, "
    "but expert 5 stays expert 5.": lambda x, removed, k: torch.nn.functional.pad(
        narrow(x, removed, k), (0, len(removed))
    ),
    "your table has columns for the experts that are left. One for each expert is asked, 0 for "
    "those that are gone.": narrow,
    "these are the k weights of each token. One column for each expert is asked, 0 for all that "
    "don't run.": lambda x, removed, k: gone(x, removed).topk(k).values.softmax(1),
    "nothing has been removed.": lambda x, removed, k: routing()(x, [], k),
}

KNOWN = Known(
    right=(by_sorting, routing()),
    mistakes=MISTAKES,
    slips={
        "change a copy": routing(lambda x, removed: x.masked_fill_(away(x, removed), -torch.inf)),
    },
    show=lambda logits, removed, k: (
        f"weights_without(logits of shape {tuple(logits.shape)}, removed={removed}, k={k})"
    ),
    place=lambda at: f"token {at[0]}, expert {at[1]}" if len(at) == 2 else "",
    name="{:.4f}".format,
)
