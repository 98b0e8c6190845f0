"""Training: a run broken off and resumed is the run, to the bit; and each part by itself."""

import math
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mixlab.common.training import (
    TrainingConfig,
    batches,
    learning_rate,
    parameter_groups,
    train,
)
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss
from mixlab.transformer.router_losses import load_balancing_loss
from mixlab.transformer.sparse_moe import router_logits

TEXT = torch.arange(4000) * 7 % 64


def model(**changes):
    torch.manual_seed(0)
    sizes = dict(dim=32, hidden_dim=48, head_dim=8, vocab_size=64)
    return Transformer(TransformerConfig.tiny(**(sizes | changes)))


def loss(model, tokens):
    return next_token_loss(model(tokens), tokens)


def run(model, config, checkpoint=None, **settings):
    generator = torch.Generator().manual_seed(1)
    drawn = batches(TEXT, 4, 16, generator)
    return train(
        model,
        loss,
        drawn,
        config,
        generator=generator,
        checkpoint=checkpoint,
        progress=False,
        **settings,
    )


class Stop(Exception):
    """What breaks a run in these tests."""


def stop_after(steps):
    def on_step(done, _loss):
        if done == steps:
            raise Stop

    return on_step


@pytest.mark.parametrize(
    "changes", [{}, dict(n_experts=4, experts_per_token=2), dict(tie_embeddings=True)]
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_resumed_equals_uninterrupted_exactly(tmp_path, changes, accumulate):
    config = TrainingConfig(steps=14, warmup=3, learning_rate=0.01, accumulate=accumulate)
    whole = model(**changes)
    expected = run(whole, config)
    path = tmp_path / "runs" / "one.safetensors"
    # Broken off after 9 steps, it goes on from the checkpoint of step 8; and again after 12.
    for steps in (9, 12):
        with pytest.raises(Stop):
            run(model(**changes), config, path, checkpoint_every=4, on_step=stop_after(steps))
    torch.manual_seed(99)  # nothing may depend on the global generator
    resumed = Transformer(whole.config)
    assert run(resumed, config, path, checkpoint_every=4) == expected
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    # A finished run has nothing left to do.
    assert run(model(**changes), config, path, on_step=stop_after(1)) == expected


def test_a_run_killed_while_writing_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    config = TrainingConfig(steps=8, learning_rate=0.01)
    path = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        run(model(), config, path, checkpoint_every=2, on_step=stop_after(2))
    good = path.read_bytes()

    def half_written(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("mixlab.common.checkpoint.save_file", half_written)
    with pytest.raises(OSError, match="disk full"):
        run(model(), config, path, checkpoint_every=2)
    assert path.read_bytes() == good
    monkeypatch.undo()
    assert len(run(model(), config, path)) == 8


def test_it_learns():
    losses = run(model(), TrainingConfig(steps=120, warmup=10, learning_rate=0.01))
    assert losses[0] == pytest.approx(math.log(64), abs=0.1)
    assert losses[-1] < 0.2


def test_the_router_s_loss_trains_with_it():
    sparse = model(n_experts=4, experts_per_token=1)
    with torch.no_grad():
        for layer in sparse.layers:
            layer.feed_forward.gate.weight[0] = 0.0
            layer.feed_forward.gate.weight[1:] = -1.0  # expert 0 wins most tokens

    def balance(logits):
        return load_balancing_loss(torch.stack(logits).flatten(1, 2), 1)

    def both(model, tokens):
        with router_logits(model) as logits:
            language = next_token_loss(model(tokens), tokens)
        return language + 0.5 * balance(logits)

    def measured():
        with router_logits(sparse) as logits, torch.no_grad():
            sparse(TEXT[:200][None])
        return balance(logits).item()

    before = measured()
    generator = torch.Generator().manual_seed(0)
    drawn = batches(TEXT, 4, 16, generator)
    train(sparse, both, drawn, TrainingConfig(steps=60, learning_rate=0.01), progress=False)
    assert measured() < before - 0.1
    assert measured() < 1.3


def test_accumulated_small_batches_are_one_large_batch():
    generator = torch.Generator().manual_seed(0)
    drawn = [next(batches(TEXT, 4, 16, generator)) for _ in range(6)]
    large = [torch.cat(drawn[i : i + 2]) for i in range(0, 6, 2)]
    settings = dict(steps=3, learning_rate=1e-3, clip=100.0)
    one, two = model(), model()
    train(one, loss, iter(large), TrainingConfig(**settings), progress=False)
    train(two, loss, iter(drawn), TrainingConfig(**settings, accumulate=2), progress=False)
    for ours, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_clipping_bounds_the_gradient():
    layer = nn.Linear(3, 1, bias=False)
    norms = []
    train(
        layer,
        lambda model, x: model(x).square().mean(),
        iter([torch.full((2, 3), 1e4), torch.full((2, 3), 1e-4)]),
        TrainingConfig(steps=2, clip=0.5),
        progress=False,
        on_step=lambda done, _loss: norms.append(layer.weight.grad.norm().item()),
    )
    assert norms[0] == pytest.approx(0.5, rel=1e-4)
    assert 0 < norms[1] < 1e-6  # a short one is left as it is


def test_learning_rate_rises_then_falls():
    config = TrainingConfig(steps=100, warmup=10, learning_rate=2.0, final=0.1)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == max(rates) == 2.0
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.2)


def test_only_matrices_decay():
    class Odd(nn.Module):
        no_weight_decay = frozenset({"A_log"})

        def __init__(self):
            super().__init__()
            self.inner = nn.Module()
            self.inner.A_log = nn.Parameter(torch.zeros(3, 4))
            self.inner.weight = nn.Parameter(torch.zeros(3, 4))
            self.scale = nn.Parameter(torch.zeros(4))
            self.frozen = nn.Parameter(torch.zeros(3, 4), requires_grad=False)

    odd = Odd()
    decayed, kept = parameter_groups(odd, 0.3)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert decayed["params"][0] is odd.inner.weight
    assert {id(p) for p in kept["params"]} == {id(odd.inner.A_log), id(odd.scale)}
    assert len(decayed["params"]) == 1


def test_batches_are_stretches_of_the_text():
    text = torch.arange(50)
    drawn = batches(text, 8, 12, torch.Generator().manual_seed(3))
    first = [next(drawn) for _ in range(40)]
    for batch in first:
        assert batch.shape == (8, 12)
        assert (batch.diff(dim=1) == 1).all()
    begins = torch.cat([batch[:, 0] for batch in first])
    assert (begins.min(), begins.max()) == (0, 38)
    again = batches(text, 8, 12, torch.Generator().manual_seed(3))
    assert all(torch.equal(batch, next(again)) for batch in first)
    assert torch.equal(next(batches(text, 1, 50, torch.Generator()))[0], text)
    for seq in (0, 51):
        with pytest.raises(ValueError, match="between 1 and all 50 tokens"):
            batches(text, 1, seq, torch.Generator())


def test_progress_and_training_mode(capsys):
    trained = model().eval()
    generator = torch.Generator().manual_seed(1)
    drawn = batches(TEXT, 2, 8, generator)
    modes = []

    def watch(model, tokens):
        modes.append(model.training)
        return loss(model, tokens)

    train(trained, watch, drawn, TrainingConfig(steps=2), progress=True)
    assert modes == [True, True]
    assert not trained.training
    assert "2/2" in capsys.readouterr().err


# --- errors ------------------------------------------------------------------------------------


def test_another_configuration_or_model_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    config = TrainingConfig(steps=3)
    run(model(), config, path)
    with pytest.raises(ValueError, match="steps was 3, is 5"):
        run(model(), TrainingConfig(steps=5), path)
    with pytest.raises(ValueError, match=r"another model, which differs in model\.layers\.2"):
        run(model(n_layers=3), config, path)
    with pytest.raises(ValueError, match="another model"):
        run(model(hidden_dim=40), config, path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no training checkpoint"):
        run(model(), config, path)
    path.write_bytes(b"0123")
    with pytest.raises(ValueError, match="is damaged"):
        run(model(), config, path)


def test_a_checkpoint_without_generator_is_refused_where_one_is_given(tmp_path):
    path = tmp_path / "run.safetensors"
    config = TrainingConfig(steps=2)
    drawn = batches(TEXT, 4, 16, torch.Generator().manual_seed(1))
    train(model(), loss, drawn, config, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="without a generator"):
        run(model(), config, path)


def test_a_model_that_cannot_learn():
    with pytest.raises(ValueError, match=r"requires_grad_\(True\)"):
        run(model().requires_grad_(False), TrainingConfig(steps=1))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number(bad):
    with pytest.raises(FloatingPointError, match="loss of step 1"):
        train(
            model(),
            lambda model, tokens: loss(model, tokens) * bad,
            batches(TEXT, 1, 4, torch.Generator()),
            TrainingConfig(steps=2),
            progress=False,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(steps=0), "steps must be 1 or more"),
        (dict(steps=5, warmup=5), "warm-up must end"),
        (dict(steps=5, warmup=-1), "warmup must be 0 or more"),
        (dict(steps=5, accumulate=0), "accumulate must be 1"),
        (dict(steps=5, learning_rate=0.0), "learning_rate must be positive"),
        (dict(steps=5, clip=-1.0), "clip must be positive"),
    ],
)
def test_configurations_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


def test_a_killed_process_can_be_resumed(tmp_path):
    """The same from outside: kill the interpreter in the middle, start it again."""
    script = tmp_path / "run.py"
    script.write_text(
        """
import os, sys, torch
from torch import nn
from mixlab.common.training import TrainingConfig, train
torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)
drawn = iter(lambda: torch.randn(8, 4, generator=generator), None)
net = nn.Linear(4, 1)
def die(done, loss):
    if len(sys.argv) > 2 and done == 7:
        os._exit(9)
losses = train(net, lambda net, x: (net(x) - x.sum(1, keepdim=True)).square().mean(), drawn,
               TrainingConfig(steps=12, learning_rate=0.1), generator=generator,
               checkpoint=sys.argv[1], checkpoint_every=3, on_step=die, progress=False)
print(losses)
"""
    )

    def start(*arguments):
        return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)

    whole = start(tmp_path / "a.safetensors")
    assert start(tmp_path / "b.safetensors", "die").returncode == 9
    assert start(tmp_path / "b.safetensors").stdout == whole.stdout != ""
