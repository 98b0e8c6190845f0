"""What the exercises of chapter 01 share."""

import torch


def normal(rng, *shape):
    """Random numbers of size 1, in float64."""
    return torch.from_numpy(rng.standard_normal(shape))
