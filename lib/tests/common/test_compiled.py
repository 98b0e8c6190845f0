"""What compiled steps compute, held against the models' own: both kinds, every cache and batch."""

import copy
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jaxtyping
import pytest
import torch

import mixlab
from mixlab.common import threads as common_threads
from mixlab.generate import generate
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.quantised import quantise

EXPERTS = {"n_experts": 5, "experts_per_token": 2}
TRANSFORMERS = {
    "window": {"window": 6},
    "no window": {"window": None},
    "a window a layer": {"window": (None, 4)},
    "window of one": {"window": 1},
    "grouped heads": {"window": 6, "n_heads": 6, "n_kv_heads": 2, "head_dim": 10},
    "one head each": {"window": 6, "n_heads": 4, "n_kv_heads": 4},
    "odd widths": {"window": 7, "dim": 37, "hidden_dim": 53, "vocab_size": 101},
    "tied": {"window": 6, "tie_embeddings": True},
    "experts": {"window": 6, **EXPERTS},
    "one expert a token": {"window": 6, "n_experts": 3, "experts_per_token": 1},
}
MAMBAS = {
    "plain": {},
    "with biases": {"bias": True},
    "without the convolution's": {"conv_bias": False},
    "other sizes": {"d_state": 5, "d_conv": 3, "dim": 30},
    "two taps": {"d_conv": 2},
    "one tap": {"d_conv": 1},
    "one state": {"d_state": 1},
    "tied": {"tie_embeddings": True},
}


def transformer(**changes):
    torch.manual_seed(0)
    return spread(Transformer(TransformerConfig.tiny(**changes)))


def mamba(**changes):
    torch.manual_seed(0)
    return spread(Mamba(MambaConfig.tiny(**changes)))


def spread(model):
    """Weights so large that every part of a layer shows in the logits."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "A_log" not in name:
            torch.nn.init.normal_(parameter, std=1.5 * parameter.shape[-1] ** -0.5)
        elif "norm" in name or "bias" in name:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    return model.eval().requires_grad_(False)


def tokens(model, *shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(model.config.vocab_size, shape, generator=generator)


def same(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=5e-5)


def walk(model, prompts, n_steps=9):
    """Both go on after the same prompts, each with a state of its own: logits must agree."""
    fast = mixlab.compiled(model)
    _, ours = fast.prefill(prompts)
    _, theirs = model.prefill(prompts)
    for token in tokens(model, n_steps, len(prompts)):
        got, ours = fast.step(token, ours)
        expected, theirs = model.step(token, theirs)
        assert got.dtype == torch.float32
        same(got, expected)
    return ours, theirs


@pytest.mark.parametrize("changes", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_a_transformer_writes_the_same(changes):
    ours, theirs = walk(transformer(**changes), [[1, 2, 3, 4]])
    assert ours.lengths == theirs.lengths == [13]
    assert ours.positions.equal(theirs.positions)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        same(one.keys, other.keys)
        same(one.values, other.values)


@pytest.mark.parametrize("changes", [{}, EXPERTS, {"tie_embeddings": True}])
def test_so_it_does_in_8_bits(changes):
    walk(quantise(transformer(window=6, **changes)), [[1, 2, 3, 4], [5]])


@pytest.mark.parametrize("changes", MAMBAS.values(), ids=MAMBAS)
def test_a_mamba_writes_the_same(changes):
    ours, theirs = walk(mamba(**changes), [[1, 2, 3, 4]])
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        same(one.history, other.history)
        same(one.scan, other.scan)


@pytest.mark.parametrize("make", [transformer, mamba])
@pytest.mark.parametrize("batch", [3, 9])
def test_prompts_of_any_lengths(make, batch):
    walk(make(), [list(range(1, 2 + (3 * row) % 11)) for row in range(batch)])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_on_any_number_of_threads(monkeypatch, threads):
    """A part of a ring may be empty, and a core's share of rows uneven."""
    monkeypatch.setattr(common_threads, "_MIN_WEIGHTS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        walk(transformer(window=6, **EXPERTS), [[1], [2, 3]])
        walk(mamba(), [[1], [2, 3]])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("make", [transformer, mamba])
def test_one_may_go_on_where_the_other_stopped(make):
    model = make()
    fast, steps = mixlab.compiled(model), tokens(model, 8, 1)
    _, mixed = model.prefill([[1, 2, 3]])
    _, alone = model.prefill([[1, 2, 3]])
    for number, token in enumerate(steps):
        got, mixed = (fast if number % 3 else model).step(token, mixed)
        expected, alone = model.step(token, alone)
        same(got, expected)
    got, _ = fast.prefill([[4, 5]], mixed)
    expected, _ = model.prefill([[4, 5]], alone)
    same(got, expected)


def test_from_nothing():
    model = transformer()
    token = torch.tensor([7])
    got, _ = mixlab.compiled(model).step(token, model.init_state(1))
    same(got, model(token[None])[:, 0])


def test_a_mambas_older_state_can_be_gone_back_to():
    model = mamba()
    fast = mixlab.compiled(model)
    _, state = fast.prefill([[1, 2, 3]])
    kept = copy.deepcopy(state)
    first, _ = fast.step(torch.tensor([5]), state)
    again, _ = fast.step(torch.tensor([5]), state)
    assert torch.equal(first, again)
    assert all(a.scan.equal(b.scan) for a, b in zip(state.layers, kept.layers, strict=True))


def test_a_cache_can_be_truncated_and_split():
    model = transformer(window=None)
    fast = mixlab.compiled(model)
    _, cache = fast.prefill([[1, 2, 3], [4, 5]])
    first, cache = fast.step(torch.tensor([5, 6]), cache)
    cache.truncate([3, 2])
    again, cache = fast.step(torch.tensor([5, 6]), cache)
    assert torch.equal(first, again)
    alone, _ = fast.step(torch.tensor([8]), cache.rows(torch.tensor([1])))
    both, _ = fast.step(torch.tensor([7, 8]), cache)
    same(alone[0], both[1])


@pytest.mark.parametrize("make", [transformer, mamba])
def test_generate_takes_it_for_a_model(make):
    model = make()
    prompts = [[1, 2, 3], [200, 7], [5] * 9]
    options = dict(max_tokens=12, stop=(3,), log_probabilities=True)
    got, scores = generate(mixlab.compiled(model), prompts, **options)
    expected, due = generate(model, prompts, **options)
    assert got == expected
    for ours, theirs in zip(scores, due, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_caches_of_another_kind_go_the_plain_way():
    model = transformer(window=6)
    fast, token = mixlab.compiled(model), torch.tensor([3])
    for options in ({"static": True}, {"capacity": 20}):
        got, _ = fast.step(token, fast.prefill([[1, 2]], fast.init_state(1, **options))[1])
        expected, _ = model.step(token, model.prefill([[1, 2]])[1])
        same(got, expected)


def test_a_window_imposed_later_counts():
    model = transformer(window=6)
    fast = mixlab.compiled(model)
    model.set_window(3)
    walk(model, [[1, 2, 3, 4, 5]])
    got, _ = fast.step(torch.tensor([3]), fast.prefill([[1, 2, 3, 4, 5]])[1])
    same(got, model(torch.tensor([[1, 2, 3, 4, 5, 3]]))[:, -1])


def test_not_a_number_stays_one():
    """It must not look like a result."""
    model = transformer()
    model.layers[0].feed_forward.w1.weight[3, 3] = float("nan")
    got, _ = mixlab.compiled(model).step(torch.tensor([7]), model.init_state(1))
    assert got.isnan().all()


def test_bad_input_is_refused_as_by_the_model():
    model = transformer()
    fast, cache = mixlab.compiled(model), model.init_state(2)
    with pytest.raises(ValueError, match="this model knows tokens 0 to 255"):
        fast.step(torch.tensor([256, 0]), cache)
    with pytest.raises(ValueError, match="this cache holds 2 sequences, and 3 came"):
        fast.step(torch.tensor([1, 2, 3]), cache)
    with pytest.raises(ValueError, match="Does it belong to another batch or model"):
        mixlab.compiled(mamba()).step(torch.tensor([1]), mamba().init_state(2))
    got, _ = fast.step(torch.tensor([1, 2]), cache)  # and nothing has happened to it
    same(got, model(torch.tensor([[1], [2]]))[:, 0])


@pytest.mark.parametrize("odd", [[[1], [2]], 1])
def test_tokens_of_another_shape_are_refused_as_by_the_model(monkeypatch, odd):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    fast = mixlab.compiled(mamba())
    with pytest.raises(ValueError, match=r"along one axis"):
        fast.step(torch.tensor(odd), fast.init_state(1))
    fast = mixlab.compiled(transformer())
    with pytest.raises(ValueError, match=r"along one axis"):
        fast.step(torch.tensor([[1], [2]]), fast.init_state(2))


class Another:
    """A model that somebody else wrote."""

    def init_state(self, batch):
        raise NotImplementedError

    prefill = step = init_state


def test_what_cannot_be_compiled_is_told():
    with pytest.raises(ValueError, match=r"takes a Transformer or a Mamba.*got Another"):
        mixlab.compiled(Another())
    with pytest.raises(ValueError, match=r"got tok_embeddings.weight in torch.bfloat16 on cpu"):
        mixlab.compiled(transformer().bfloat16())
    fast = mixlab.compiled(transformer())
    assert mixlab.compiled(fast) is fast
    model = mamba()
    model.layers[1].mixer.D.data = model.layers[1].mixer.D.data.double()
    with pytest.raises(ValueError, match=r"got layers.1.mixer.D in torch.float64 on cpu"):
        mixlab.compiled(model)


def test_what_may_compute_something_else_is_refused():
    class Adapted(torch.nn.Linear):
        """Adds something to what its weight gives."""

    model = transformer()
    model.layers[0].attention.wo = Adapted(64, 64, bias=False)
    with pytest.raises(ValueError, match="got a layer of class Adapted"):
        mixlab.compiled(model)
    model.__class__ = type("Another", (Transformer,), {})
    with pytest.raises(ValueError, match="got Another"):
        mixlab.compiled(model)


def test_a_copy_goes_with_the_models_copy():
    fast = copy.deepcopy(mixlab.compiled(transformer()))
    fast.model.output.weight.mul_(2)
    got, _ = fast.step(torch.tensor([7]), fast.init_state(1))
    same(got, fast.model(torch.tensor([[7]]))[:, 0])


def test_numbers_of_threads_are_left_alone():
    """Numba's own, and PyTorch's, which one OpenMP would set for both: in a new process."""
    code = (
        "import torch, mixlab, numba\n"
        "from mixlab.transformer.config import TransformerConfig\n"
        "from mixlab.transformer.model import Transformer\n"
        "fast = mixlab.compiled(Transformer(TransformerConfig.tiny()).eval())\n"
        "fast.step(torch.tensor([7]), fast.init_state(1))\n"
        "assert torch.get_num_threads() == 1\n"
        "assert numba.get_num_threads() == 2\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_two_threads_of_python_take_turns():
    fast = mixlab.compiled(transformer())

    def written(first):
        return generate(fast, [[first]], max_tokens=20)

    alone = [written(first) for first in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(written, (1, 2))) == alone


def test_it_runs_where_nothing_can_be_kept(tmp_path):
    """A library that is read-only, for a user without a folder of their own."""
    library = tmp_path / "mixlab"
    library.mkdir()
    shutil.copy(Path(mixlab.__file__).parent / "loops.py", library)
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np, loops\n"
        "print(loops.dot.py_func(*np.ones((2, 3), np.float32)))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=library, capture_output=True, text=True, check=True)
    assert done.stdout == "3.0\n"


def test_weights_are_shared():
    model = transformer()
    fast = mixlab.compiled(model)
    model.output.weight.mul_(2)
    got, _ = fast.step(torch.tensor([7]), model.init_state(1))
    same(got, model(torch.tensor([[7]]))[:, 0])
