"""On CUDA: xformers and FlexAttention equal the dense twin; a captured step equals a plain one."""

import subprocess
import sys

import pytest
import torch

from mixlab.kernels import xformers_attention
from mixlab.transformer.packing import pack, packed_attention, packed_attention_dense
from tests.transformer.caching import build_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CASES = [([5, 3], [5, 3], None), ([5, 3], [9, 3], 4), ([1, 200], [300, 500], 64), ([7], [7], 1)]


def tensors(q_lengths, k_lengths, dtype, n_heads=8, n_kv_heads=2, head_dim=64):
    torch.manual_seed(0)
    q = torch.randn(sum(q_lengths), n_heads, head_dim, device="cuda", dtype=dtype)
    k, v = torch.randn(2, sum(k_lengths), n_kv_heads, head_dim, device="cuda", dtype=dtype)
    return q, k, v


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("q_lengths", "k_lengths", "window"), CASES)
def test_packed_attention_equals_dense(q_lengths, k_lengths, window, dtype):
    """By whichever kernel is chosen here."""
    q, k, v = tensors(q_lengths, k_lengths, dtype)
    mixed = packed_attention(q, k, v, q_lengths, k_lengths, window)
    expected = packed_attention_dense(
        q.double(), k.double(), v.double(), q_lengths, k_lengths, window
    )
    tolerance = 1e-2 if dtype != torch.float32 else 2e-3  # TF32 products inside
    torch.testing.assert_close(mixed.double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("q_lengths", "k_lengths", "window"), CASES)
def test_xformers_equals_dense_with_gradients(q_lengths, k_lengths, window):
    if not xformers_attention.available():
        pytest.skip("xformers has no operator for this device")
    gradients = []
    for attend in (xformers_attention.packed_attention, packed_attention_dense):
        q, k, v = (x.requires_grad_() for x in tensors(q_lengths, k_lengths, torch.float16))
        mixed = attend(q, k, v, q_lengths, k_lengths, window)
        mixed.float().square().mean().backward()
        gradients.append((mixed, q.grad, k.grad, v.grad))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-2)


_FLEX = """
import torch
from mixlab.kernels import flex_attention
from mixlab.transformer.packing import packed_attention_dense
assert flex_attention.available()
for q_lengths, k_lengths, window in CASES:
    q = torch.randn(sum(q_lengths), 8, 64, device="cuda", dtype=torch.float16)
    k, v = torch.randn(2, sum(k_lengths), 2, 64, device="cuda", dtype=torch.float16)
    mixed = flex_attention.packed_attention(q, k, v, q_lengths, k_lengths, window)
    expected = packed_attention_dense(q, k, v, q_lengths, k_lengths, window)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-2)
"""


def test_flex_attention_equals_dense():
    """In a process of its own: PyTorch's compiler can't trace the tests' shape checks."""
    script = _FLEX.replace("CASES", repr(CASES))
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("window", [None, 8])
def test_cached_on_the_gpu_equals_uncached_on_the_cpu(window):
    model = build_model(dtype=torch.float32, window=window, head_dim=16)
    prompts = [list(range(20)), [3, 4], [5] * 9]
    expected = torch.stack([model(torch.tensor([prompt]))[0, -1] for prompt in prompts])
    model.cuda()
    for chunk_size in (None, 3):
        logits, cache = model.prefill(pack(prompts, device="cuda"), chunk_size=chunk_size)
        torch.testing.assert_close(logits.cpu(), expected, rtol=0, atol=5e-3)
        tokens = torch.tensor([1, 2, 3], device="cuda")
        logits, cache = model.step(tokens, cache)
        longer = [[*p, t] for p, t in zip(prompts, (1, 2, 3), strict=True)]
        alone = torch.stack(
            [model(torch.tensor([prompt], device="cuda"))[0, -1] for prompt in longer]
        )
        torch.testing.assert_close(logits, alone, rtol=0, atol=5e-3)


def test_a_captured_step_equals_a_plain_one():
    """Shapes of a static cache never change, so a CUDA graph may replay its step."""
    model = build_model(dtype=torch.float32, window=(4, None), head_dim=16).cuda()
    prompts = pack([[1, 2, 3, 4, 5], [6, 7]], device="cuda")
    _, plain = model.prefill(prompts)
    _, static = model.prefill(prompts, model.init_state(2, capacity=40, static=True))
    token = torch.tensor([1, 2], device="cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # warm up outside of the capture, as PyTorch asks
        for _ in range(2):
            model.step(token, static)
            model.step(token, plain)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits, _ = model.step(token, static)
    for number in range(10):
        token.copy_(torch.tensor([number, 2 * number]))
        graph.replay()
        expected, plain = model.step(token, plain)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    static.sync()
    assert static.lengths == plain.lengths
