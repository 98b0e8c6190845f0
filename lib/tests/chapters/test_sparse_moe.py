"""What chapter 07 watches while a router trains."""

import numpy as np
import torch

from mixlab.chapters.sparse_moe.traces import CONFIG, layer_milliseconds, train_router


def test_every_step_s_choices_are_shared_out():
    shares, language = train_router(0.01, steps=12, seed=1)
    assert shares.shape == (12, CONFIG.n_experts)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert language[0] > language[-1] > 0
    again, _ = train_router(0.01, steps=12, seed=1)
    assert (again == shares).all()


def test_the_balance_loss_changes_what_is_learnt_and_not_what_is_told():
    (_, alone), (_, balanced) = (train_router(c, steps=12, seed=1) for c in (0.0, 1.0))
    assert alone[0] == balanced[0]  # before the first update
    assert alone[-1] != balanced[-1]


def test_each_batch_has_its_time():
    routings = [torch.tensor([[0, 1]]), torch.arange(8).expand(4, 8)]
    found = layer_milliseconds(routings, dim=8, hidden_dim=16)
    assert len(found) == 2
    assert min(found) > 0
