"""07.4 The load-balancing loss: how often an expert is chosen, times how gladly."""

import torch

import mixlab.chapters.sparse_moe.exercises as shared
from mixlab.chapters.sparse_moe.exercises import router_scores
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def draw(rng):
    """Some tokens, one token, many on few experts, and experts that nobody chooses."""
    sizes = [(int(rng.integers(5, 30)), n_experts, k) for n_experts, k in ((4, 1), (8, 2), (6, 3))]
    sizes += [(8, 8, 2), (1, 5, 2), (5, 4, 4)]
    drawn = [(router_scores(rng, *size[:2]), size[2]) for size in sizes]
    favourites = router_scores(rng, 20, 8)
    favourites[:, :2] += 9  # collapsed onto experts 0 and 1
    crowd = router_scores(rng, 300, 4)  # tokens, more than 8 bits can count
    crowd[:, 1] += 9
    return [*drawn, (favourites, 2), (crowd, 2)]


def call(answer, scores, k):
    """The loss, and the gradient by which it moves the scores."""
    scores = scores.clone().requires_grad_()
    try:
        loss = answer(scores, k)
    except RuntimeError as error:
        if "size" not in str(error):
            raise
        experts = f"each of the {scores.shape[1]} experts, also for one that nobody chose"
        raise Unreadable(f"{error}\n  Is there a number f, and a P, for {experts}?") from error
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise Unreadable(f"expected a tensor of one number: got {kind_of(loss)}")
    if not loss.requires_grad:
        raise Unreadable(
            "the loss has no gradient to the scores, so it can't teach the router anything. Which "
            "of f and P comes from a differentiable operation?"
        )
    (gradient,) = torch.autograd.grad(loss.sum(), scores, allow_unused=True)
    if gradient is None:
        raise Unreadable("the loss doesn't depend on the scores")
    return torch.cat([loss.detach().reshape(1).float(), gradient.flatten()])


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(1),
    examples=(
        (torch.tensor([[1.0, 0.0], [2.0, 0.5]]), 1),
        (torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [3.0, 0.0, 1.0]]), 2),
        (torch.tensor([[0.5, 0.0], [2.0, 1.0]]), 1),
        (torch.tensor([[1.0, 0.0, 0.5, -1.0], [2.0, 2.5, 0.0, 1.0], [0.5, 1.5, -1.0, 1.0]]), 2),
    ),
    hints=(
        "P is the mean over tokens of the softmax over all experts: `scores.softmax(dim=1)"
        ".mean(dim=0)`.",
        "f counts: how many tokens have expert i among their k best, over the number of "
        "tokens. All f together make k, not 1. `scores.topk(k, dim=1).indices` and "
        "`bincount` count.",
        "The loss is n_experts times the sum of f · P. For even routing it is k: try "
        "a few rows in which the tokens take turns.",
    ),
)

# --- kept back while grading ---


def expert_by_expert(scores, k):
    best = [sorted(range(len(row)), key=row.__getitem__)[-k:] for row in scores.tolist()]
    powers = scores.double().exp()
    shares = powers / powers.sum(dim=1, keepdim=True)
    counts = [sum(e in row for row in best) for e in range(scores.shape[1])]
    products = [n * shares[:, e].sum() for e, n in enumerate(counts)]
    return scores.shape[1] * sum(products) / len(scores) ** 2


def balancing(
    f=lambda s, k: shared.picked(s, k).mean(0),
    p=lambda s, k: s.softmax(1).mean(0),
    scale=lambda s, k: s.shape[1],
    total=torch.sum,
):
    """A loss by another idea of f, of P, or of what is done with their product."""
    return lambda scores, k: scale(scores, k) * total(f(scores, k) * p(scores, k))


def gates(scores, k):
    return shared.of_kept(scores, shared.picked(scores, k))


MISTAKES = {
    "your f stops at the last expert that was chosen: `bincount` counts no further unless it is "
    "told how many experts there are. One that nobody chose has an f too, 0.": balancing(
        lambda s, k: s.topk(k).indices.flatten().bincount() / len(s)
    ),
    "your f is divided by the number of choices, tokens · k, so even routing gives 1. Here, as in "
    "Hugging Face's loss, f is over the number of tokens and even gives k.": balancing(
        lambda s, k: shared.picked(s, k).mean(0) / k
    ),
    "the factor n_experts is missing. With it, even routing gives k, however many experts there "
    "are.": balancing(scale=lambda s, k: 1),
    "the factor in front is the number of experts, not k.": balancing(scale=lambda s, k: k),
    "the factor in front is the number of experts, not of tokens.": balancing(
        scale=lambda s, k: len(s)
    ),
    "you took the mean over experts where the sum is asked, times n_experts.": balancing(
        total=torch.mean, scale=lambda s, k: 1
    ),
    "f counts only first choices. All k experts of a token have work to do.": balancing(
        lambda s, k: shared.picked(s, 1).mean(0)
    ),
    "you multiplied P by itself. f is a count: how many tokens really chose the expert, whatever "
    "its probability.": balancing(lambda s, k: s.softmax(1).mean(0)),
    "your f is a mean of the chosen experts' probabilities. It is a count: a token that chose an "
    "expert counts 1, whatever the probability.": (
        balancing(lambda s, k: (s.softmax(1) * shared.picked(s, k)).mean(0)),
        balancing(lambda s, k: (s.softmax(1) * shared.picked(s, k)).mean(0).detach()),
        balancing(lambda s, k: gates(s, k).mean(0)),
    ),
    "your f is a number of tokens; it should be over the number of all tokens, or the loss grows "
    "with the batch.": balancing(lambda s, k: shared.picked(s, k).sum(0)),
    "your f and P are sums over tokens: both are means, or the loss grows with the "
    "batch.": balancing(lambda s, k: shared.picked(s, k).sum(0), lambda s, k: s.softmax(1).sum(0)),
    "your softmax runs over the tokens, or your count of choices does. A token's probabilities "
    "over its experts sum to 1, and its choices are its own: dim=1.": (
        balancing(p=lambda s, k: s.softmax(0).mean(0)),
        balancing(lambda s, k: shared.picked(s, k, dim=0).mean(0)),
    ),
    "your P is the mean of the gates, which are 0 for experts that a token didn't choose. P is the "
    "mean of the full softmax, so that others are pulled up.": (
        balancing(p=lambda s, k: gates(s, k).mean(0)),
        balancing(p=lambda s, k: (s.softmax(1) * shared.picked(s, k)).mean(0)),
    ),
    "your P is no mean of probabilities: a softmax over the experts makes them of scores.": (
        balancing(p=lambda s, k: s.mean(0)),
        balancing(p=lambda s, k: s.sigmoid().mean(0)),
        balancing(p=lambda s, k: s.log_softmax(1).mean(0)),
    ),
    "you took the mean of the scores first and their softmax then. P is the mean of the tokens' "
    "softmaxes, which is another number.": balancing(p=lambda s, k: s.mean(0).softmax(0)),
    "you multiply in each token and then take the mean, so that only a token's own choices meet "
    "its own probabilities. f and P are means over tokens first, and multiplied "
    "then.": lambda s, k: s.shape[1] * (shared.picked(s, k) * s.softmax(1)).mean(0).sum(),
    "you subtract what even routing gives. The loss itself is asked: k where routing is even.": (
        lambda s, k: balancing()(s, k) - k,
        lambda s, k: balancing()(s, k) - 1,
    ),
    "the factor n_experts is there twice.": balancing(scale=lambda s, k: s.shape[1] ** 2),
    "your f is a whole number: `//` rounds down, and a share of tokens lies between 0 and "
    "1.": balancing(lambda s, k: shared.picked(s, k).sum(0) // len(s)),
    "you took the largest f · P. Their sum over all experts is asked.": balancing(total=torch.max),
    "your loss has the wrong sign: it must be larger where routing is uneven, as training makes "
    "it smaller.": balancing(scale=lambda s, k: -s.shape[1]),
}

KNOWN = Known(
    right=(expert_by_expert, balancing()),
    mistakes=MISTAKES,
    slips={
        "also for one that nobody chose": lambda s, k: (
            s.topk(k).indices.flatten().bincount().float() @ s.softmax(1).mean(0)
        ),
        "no gradient": balancing(p=lambda s, k: s.softmax(1).mean(0).detach()),
        "a tensor of one number": lambda s, k: balancing()(s, k).item(),
        "doesn't depend on the scores": lambda s, k: torch.ones((), requires_grad=True),
    },
    show=lambda scores, k: f"balance_loss(scores, k={k}) with scores {shared.rounded(scores)}",
    place=lambda at: "its gradient to the scores" if at and at[0] else "the loss itself",
    name="{:.4f}".format,
)
