"""What exercise 08.6 must return: a router's weights where experts are missing."""

import numpy as np
import torch

from mixlab.checks.oracles import Misconception, Oracle


def _softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def _weights(logits, removed, k, gone=-np.inf):
    logits = logits.double().numpy().copy()
    logits[:, removed] = gone
    out = np.zeros_like(logits)
    for row, scores in zip(out, logits, strict=True):
        best = np.argsort(-scores, kind="stable")[:k]
        row[best] = _softmax(scores[best])
    return out


def _chosen_first(logits, removed, k, renormalise):
    """Top-k of all experts; what was removed falls out of it without replacement."""
    out = _weights(logits, [], k)
    out[:, removed] = 0
    sums = out.sum(axis=1, keepdims=True)
    return out / np.where(sums > 0, sums, 1) if renormalise else out


def _of_all(logits, removed, k, everyone):
    """Weights of a softmax over more than the k that run, not renormalised."""
    kept = _weights(logits, removed, k) > 0
    scores = logits.double().numpy().copy()
    if not everyone:
        scores[:, removed] = -np.inf
    return np.where(kept, np.stack([_softmax(row) for row in scores]), 0)


def _renumbered(logits, removed, k):
    """The experts that are left, counted anew from 0."""
    kept = [e for e in range(logits.shape[1]) if e not in removed]
    out = np.zeros(logits.shape)
    out[:, : len(kept)] = _weights(logits, removed, k)[:, kept]
    return out


def _all_left(logits, removed, k):
    return _weights(logits, removed, logits.shape[1] - len(removed))


_LOGIT_EXAMPLES = (
    (torch.tensor([[2.0, 1.0, 0.5, -1.0]]), [0], 2),
    (torch.tensor([[-3.0, -1.0, -2.0, -4.0], [0.5, 0.25, -1.0, 1.5]]), [1], 2),
    (torch.tensor([[-0.5, 1.0, 3.0, 2.0, -1.0]]), [2, 3], 1),
)


def _token_expert(index):
    return f"token {index[0]}, expert {index[1]}" if len(index) == 2 else ""


def _four(value):
    return f"{value:.4f}"


EXERCISES = {
    "08.6": Oracle(
        expected=_weights,
        show=lambda logits, removed, k: (
            f"weights_without(logits of shape {tuple(logits.shape)}, removed={removed}, k={k})"
        ),
        place=_token_expert,
        name=_four,
        examples=_LOGIT_EXAMPLES,
        misconceptions=(
            Misconception(
                "a score of 0 is a score like any other: where all others are negative it wins, "
                "and elsewhere it takes part. What is gone needs -inf.",
                lambda x, removed, k: _weights(x, removed, k, gone=0.0),
            ),
            Misconception(
                "a removed expert falls out of the k that were chosen, and nobody takes its "
                "place; the weights no longer add up to 1. Remove it before you choose.",
                lambda x, removed, k: _chosen_first(x, removed, k, renormalise=False),
            ),
            Misconception(
                "a removed expert falls out of the k that were chosen, and nobody takes its "
                "place: the token runs through fewer experts. Remove it before you choose.",
                lambda x, removed, k: _chosen_first(x, removed, k, renormalise=True),
            ),
            Misconception(
                "your softmax runs over all experts, the removed too, so the weights of the k "
                "don't add up to 1.",
                lambda x, removed, k: _of_all(x, removed, k, everyone=True),
            ),
            Misconception(
                "your softmax runs over all experts that are left. Only the k that run share the "
                "weight: take the softmax of their scores alone.",
                lambda x, removed, k: _of_all(x, removed, k, everyone=False),
            ),
            Misconception(
                "all experts that are left get a weight. Only the k best run.", _all_left
            ),
            Misconception(
                "right weights in wrong columns: without the removed columns you count experts "
                "anew from 0, but expert 5 stays expert 5.",
                _renumbered,
            ),
            Misconception("nothing has been removed.", lambda x, removed, k: _weights(x, [], k)),
        ),
    ),
}
