"""One system by every road, Mamba's odd shapes against transformers, and how mixlab imports."""

import random
import subprocess
import sys

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mixlab
from mixlab.ssm.convolution import convolve, fft_convolve, recurrence, ssm_kernel
from mixlab.ssm.scan import linear_recurrence
from mixlab.ssm.selective_scan import selective_scan
from tests.weights import test_gguf as gguf_files

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seq=st.integers(1, 5000), seed=st.integers(0, 99))
@example(seq=4096, seed=0)
@example(seq=4999, seed=1)
def test_recurrence_is_convolution_is_every_scan(dtype, tolerance, seq, seed):
    """A diagonal system that doesn't select: every road of the library leads to one output."""
    draw = torch.Generator().manual_seed(seed)
    A_bar = torch.rand(2, 3, dtype=torch.float64, generator=draw) * 0.99
    B, C = torch.randn(2, 2, 3, dtype=torch.float64, generator=draw)
    A_bar, B, C = A_bar.to(dtype), B.to(dtype), C.to(dtype)
    u = torch.randn(1, seq, 2, dtype=dtype, generator=draw)
    expected, last = recurrence(torch.diag_embed(A_bar), B, C, u)

    def check(y):
        scale = expected.abs().max().item()
        torch.testing.assert_close(y, expected, rtol=0, atol=tolerance * max(1.0, scale))

    kernel = ssm_kernel(torch.diag_embed(A_bar), B, C, seq)
    check(fft_convolve(u, kernel))
    if seq <= 500:
        check(convolve(u, kernel))
    a = A_bar.expand(1, seq, 2, 3)
    for method in ("sequential", "hillis_steele", "blelloch", "chunked"):
        if method == "sequential" and seq > 500:
            continue
        size = 1 + seed * 7 if method == "chunked" else None
        h = linear_recurrence(a, u[..., None] * B, None, method, size)
        check((h * C).sum(-1))
        torch.testing.assert_close(h[:, -1], last, rtol=0, atol=tolerance * 10)
    # The selective scan, with Δ = 1 at every token: A = log Ā, one channel's B and C at a time.
    for channel in range(2):
        given_ = [x[channel].expand(1, seq, 3) for x in (B, C)]
        one = u[..., channel : channel + 1]
        y, _ = selective_scan(one, torch.ones_like(one), A_bar[channel].log()[None], *given_)
        torch.testing.assert_close(
            y[..., 0], expected[..., channel], rtol=0, atol=tolerance * 10 * expected.abs().max()
        )


def reference(**changes):
    sizes = dict(hidden_size=12, num_hidden_layers=2, vocab_size=3, state_size=4)
    torch.manual_seed(0)
    model = transformers.MambaForCausalLM(transformers.MambaConfig(**(sizes | changes))).eval()
    for name, parameter in model.named_parameters():
        if not name.endswith(("A_log", "dt_proj.bias")):
            parameter.data.normal_(0.3, 1.2 * max(1, parameter[0].numel()) ** -0.5)
    return model.requires_grad_(False)


@pytest.mark.parametrize(
    "changes",
    [
        dict(state_size=1, conv_kernel=1),
        dict(time_step_rank=1, expand=3, hidden_size=7),
        dict(time_step_rank=5, expand=1, conv_kernel=9),
        dict(use_conv_bias=False, conv_kernel=2, vocab_size=1),
        dict(use_bias=True, tie_word_embeddings=False, hidden_size=1),
        dict(time_step_min=0.01, time_step_max=0.5, time_step_floor=0.2),
    ],
)
def test_odd_shapes_equal_transformers(tmp_path, changes):
    theirs = reference(**changes)
    theirs.save_pretrained(tmp_path)
    ours = mixlab.load(tmp_path)
    tokens = torch.randint(changes.get("vocab_size", 3), (2, 40))
    expected = theirs(tokens).logits
    torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-4)
    _, state = ours.prefill(tokens[:, :2])
    _, state = ours.prefill(tokens[:, 2:39], state)
    stepped, _ = ours.step(tokens[:, 39], state)
    torch.testing.assert_close(stepped, expected[:, -1], rtol=0, atol=1e-4)


def test_packed_and_padded_rows_equal_transformers(tmp_path):
    theirs = reference(vocab_size=50)
    theirs.save_pretrained(tmp_path)
    ours, lengths = mixlab.load(tmp_path), (12, 5, 1)
    prompts = [torch.randint(50, (n,)) for n in lengths]
    alone = [theirs(prompt[None]).logits[0] for prompt in prompts]
    starts = torch.zeros(1, 18, dtype=torch.bool)
    starts[0, [0, 12, 17]] = True
    packed = ours(torch.cat(prompts)[None], starts=starts)[0]
    torch.testing.assert_close(packed, torch.cat(alone), rtol=0, atol=1e-4)
    for side in ("left", "right"):
        rows, mask = torch.randint(50, (3, 12)), torch.zeros(3, 12, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            n = len(prompt)
            place = slice(12 - n, 12) if side == "left" else slice(0, n)
            rows[row, place], mask[row, place] = prompt, True
        last, _ = ours.prefill(rows, mask=mask)
        expected = torch.stack([logits[-1] for logits in alone])
        torch.testing.assert_close(last, expected, rtol=0, atol=1e-4)


def test_flipped_bits_in_a_gguf_file(tmp_path):
    """The header says what everything else means: any damage there is an error, or harmless."""
    path, draw = tmp_path / "model.gguf", random.Random(0)
    gguf_files.write(path, gguf_files.model())
    whole, refused = path.read_bytes(), 0
    for place in draw.sample(range(1200), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            mixlab.load(path)
        except ValueError:
            refused += 1
    assert refused > 10


_IMPORT = """
import sys, time
start = time.process_time()
import torch
torchs = time.process_time() - start
start = time.process_time()
import mixlab
took = time.process_time() - start
heavy = {"transformers", "xformers", "triton", "plotly", "matplotlib", "IPython", "mambapy"}
heavy |= {"gguf", "mistral_common"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert mixlab.generate.__call__ and mixlab.load.__call__
from mixlab.generate import StatefulModel
assert not isinstance(mixlab.generate, type(sys)), "the function, not the module of its name"
assert took < torchs, (took, torchs)  # beside torch, which takes seconds, nobody notices
"""


def test_importing_is_quick_and_quiet():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
