"""Oracles of chapter 07's router: gates (07.1) and the load-balancing loss (07.4)."""

import numpy as np
import torch

from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.sparse_moe_common import (
    UNDIVIDED,
    float64,
    picked,
    rounded,
    softmax,
)


def _gates(scores, k):
    (s,) = float64(scores)
    return softmax(np.where(picked(s, k) > 0, s, -np.inf))


def _columns(scores, k):
    (s,) = float64(scores)
    return np.nan_to_num(softmax(np.where(picked(s, k) > 0, s, -1e9), axis=0)) * picked(s, k)


def _proportional(scores, k):
    (s,) = float64(scores)
    kept = s * picked(s, k)
    return kept / kept.sum(axis=1, keepdims=True)


def _undivided(scores, k):
    (s,) = float64(scores)
    return softmax(s) * picked(s, k)


def _loss(scores, k, f=None, scale=None, axis=1):
    """n_experts · Σ f P and its gradient to the scores, in one row; f has no gradient."""
    (s,) = float64(scores)
    tokens, n_experts = s.shape
    p = softmax(s, axis=axis)
    f = picked(s, k).mean(axis=0) if f is None else f(s, p)
    scale = n_experts if scale is None else scale
    loss = scale * (f * p.mean(axis=0)).sum()
    pull = f - (p * f).sum(axis=1, keepdims=True)
    if axis == 0:
        pull = f - (p * f).sum(axis=0, keepdims=True)
    return np.concatenate([[loss], (scale / tokens * p * pull).ravel()])


def _squared_probabilities(scores, k):
    """P · P: differentiable in both factors."""
    row = _loss(scores, k, f=lambda s, p: p.mean(axis=0))
    return np.concatenate([row[:1], 2 * row[1:]])


def _loss_of_gates(scores, k):
    """f · (mean gate), by autograd: the chain through the kept softmax is long."""
    s = scores.double().requires_grad_()
    kept = torch.from_numpy(picked(s.detach().numpy(), k))
    gates = s.masked_fill(kept == 0, -torch.inf).softmax(dim=1)
    loss = s.shape[1] * (kept.mean(dim=0) * gates.mean(dim=0)).sum()
    (gradient,) = torch.autograd.grad(loss, s)
    return np.concatenate([[loss.item()], gradient.numpy().ravel()])


def _token_expert(index):
    return f"token {index[0]}, expert {index[1]}" if len(index) == 2 else ""


def _loss_or_gradient(index):
    if not index:
        return ""
    return "its gradient to the scores" if index[0] else "the loss itself"


EXERCISES = {
    "07.1": Oracle(
        expected=_gates,
        show=lambda scores, k: f"gate_table(scores, k={k}) with scores {rounded(scores)}",
        place=_token_expert,
        name=lambda value: f"{value:.4f}",
        examples=(
            (torch.tensor([[1.0, 3.0, 0.0, 2.0]]), 2),
            (torch.tensor([[0.5, -1.0, 2.0], [-2.0, -0.5, -1.0], [1.0, 3.0, 2.5]]), 2),
            (torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 1.0]]), 1),
        ),
        misconceptions=(
            Misconception(UNDIVIDED, _undivided),
            Misconception(
                "you gave the other experts the score 0 before the softmax, and e to the 0 is 1. "
                "What must take no part needs a score of -inf.",
                lambda s, k: softmax(s.double().numpy() * picked(s.double().numpy(), k)),
            ),
            Misconception(
                "all experts still have weight: this is the softmax over all of them. Only the k "
                "best may have any.",
                lambda s, k: softmax(s.double().numpy()),
            ),
            Misconception(
                "your columns sum to 1, not your rows. Each token shares out its own weight over "
                "its experts: dim=1.",
                lambda s, k: _columns(s, k),
            ),
            Misconception(
                "every kept expert gets the same gate. They count by a softmax of their scores.",
                lambda s, k: picked(s.double().numpy(), k) / k,
            ),
            Misconception(
                "you kept the k lowest scores. The highest ones run.",
                lambda s, k: _gates(-s, k) if k < s.shape[1] else None,
            ),
            Misconception(
                "you divided the kept scores by their sum. Scores may be negative, so that is no "
                "share of anything: a softmax divides powers of e.",
                lambda s, k: _proportional(s, k),
            ),
            Misconception(
                "your softmax is taken twice: once over all experts, and again over what is kept. "
                "The second one works on shares instead of scores and makes them too even.",
                lambda s, k: _gates(torch.from_numpy(softmax(s.double().numpy())), k),
            ),
        ),
    ),
    "07.4": Oracle(
        expected=_loss,
        show=lambda scores, k: f"balance_loss(scores, k={k}) with scores {rounded(scores)}",
        place=_loss_or_gradient,
        name=lambda value: f"{value:.4f}",
        examples=(
            (torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [3.0, 0.0, 1.0]]), 2),
            (torch.tensor([[0.5, 0.0], [2.0, 1.0]]), 1),
            (torch.tensor([[1.0, 0.0, 0.5, -1.0], [2.0, 2.5, 0.0, 1.0]]), 2),
        ),
        misconceptions=(
            Misconception(
                "your f is divided by the number of choices, tokens · k, so even routing gives 1. "
                "Here, as in Hugging Face's loss, f is over the number of tokens and even gives k.",
                lambda s, k: _loss(s, k, f=lambda v, p: picked(v, k).mean(axis=0) / k),
            ),
            Misconception(
                "the factor n_experts is missing. With it, even routing gives k, however many "
                "experts there are.",
                lambda s, k: _loss(s, k, scale=1),
            ),
            Misconception(
                "you took the mean over experts where the sum is asked, times n_experts.",
                lambda s, k: _loss(s, k, scale=1 / s.shape[1]),
            ),
            Misconception(
                "f counts only first choices. All k experts of a token have work to do.",
                lambda s, k: _loss(s, k, f=lambda v, p: picked(v, 1).mean(axis=0)),
            ),
            Misconception(
                "you multiplied P by itself. f is a count: how many tokens really chose the "
                "expert, whatever its probability.",
                _squared_probabilities,
            ),
            Misconception(
                "your f is a number of tokens; it should be over the number of all tokens, or "
                "the loss grows with the batch.",
                lambda s, k: _loss(s, k, f=lambda v, p: picked(v, k).sum(axis=0)),
            ),
            Misconception(
                "your softmax runs over the tokens. A token's probabilities over its experts sum "
                "to 1: dim=1.",
                lambda s, k: _loss(s, k, axis=0),
            ),
            Misconception(
                "your P is the mean of the gates, which are 0 for experts that a token didn't "
                "choose. P is the mean of the full softmax, so that others are pulled up.",
                lambda s, k: None if s.shape[1] == k else _loss_of_gates(s, k),
            ),
        ),
    ),
}
