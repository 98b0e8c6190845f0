"""Surprise and perplexity: the loss of training, token by token."""

import math

import pytest
import torch

from mixlab.common.perplexity import perplexity, surprise
from mixlab.transformer.model import next_token_loss


def test_the_mean_surprise_is_the_training_loss():
    torch.manual_seed(0)
    logits, tokens = torch.randn(3, 7, 11), torch.randint(11, (3, 7))
    found = surprise(logits, tokens)
    assert found.shape == (3, 6)
    torch.testing.assert_close(found.mean(), next_token_loss(logits, tokens))
    assert perplexity(found) == pytest.approx(found.mean().exp().item())


def test_the_row_before_speaks_of_a_token():
    logits = torch.full((1, 3, 4), -30.0)
    logits[0, 0, 2] = logits[0, 1, 1] = 0  # sure of token 2, and then of token 1
    assert surprise(logits, torch.tensor([[3, 2, 1]])).max() < 1e-6
    assert surprise(logits, torch.tensor([[3, 1, 1]]))[0].tolist() == pytest.approx([30, 0])


def test_large_scores_stay_finite():
    logits = torch.tensor([[[1000.0, 0.0], [0.0, 0.0]]])
    assert surprise(logits, torch.tensor([[0, 1]])).item() == 1000


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="second one to predict"):
        surprise(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="at least one token"):
        perplexity(torch.zeros(0))
    assert math.isclose(perplexity(torch.zeros(2)), 1)
