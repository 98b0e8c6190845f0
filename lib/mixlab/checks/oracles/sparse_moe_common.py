"""What the oracles of chapter 07 share: a float64 softmax, the best experts, words for places."""

import numpy as np
import torch


def float64(*tensors) -> list[np.ndarray]:
    """The tensors as arrays of double precision."""
    return [tensor.double().numpy() for tensor in tensors]


def softmax(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Positive numbers that sum to 1 along `axis`."""
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The numbers of the k best experts of each token, best first."""
    return (-scores).argsort(axis=1, kind="stable")[:, :k]


def picked(scores: np.ndarray, k: int) -> np.ndarray:
    """(tokens, experts): 1 where an expert is among its token's best k."""
    table = np.zeros(scores.shape)
    np.put_along_axis(table, best(scores, k), 1.0, axis=1)
    return table


def rounded(scores: torch.Tensor) -> list:
    """Scores for a message, if there are few."""
    return [[round(value, 2) for value in row] for row in scores[:3].tolist()]


def token_channel(index):
    """A place in words."""
    return f"token {index[0]}, channel {index[1]}" if len(index) == 2 else ""


UNDIVIDED = (
    "your gates are the full softmax's own numbers, so they sum to less than 1. Take the softmax "
    "over the k kept scores alone, or divide by the sum of what you keep."
)
