"""The fused kernel against the loop: on a GPU where there is one, else in Triton's interpreter.

The interpreter must be chosen before triton is imported, so without a GPU these tests run in a
process of their own, which `test_kernel_interpreted` starts.
"""

import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not (INTERPRETED or torch.cuda.is_available()):
    pytest.skip("needs CUDA, or TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton")

from mixlab.kernels.selective_scan import Launch, saved_bytes, selective_scan_triton  # noqa: E402
from mixlab.ssm.packing import segment_starts  # noqa: E402
from mixlab.ssm.selective_scan import selective_scan, selective_scan_reference  # noqa: E402
from tests.thorough import some  # noqa: E402

DEVICE = "cpu" if INTERPRETED else "cuda"
NAMES = "u delta A B C D z state delta_bias".split()
PER_TOKEN = "u delta B C z".split()
SMALL = Launch(tile=4, backward_tile=2, chunk=8)


def inputs(batch=2, seq=11, d_inner=5, d_state=3, seed=0) -> dict:
    torch.manual_seed(seed)
    tensors = {
        "u": torch.randn(batch, seq, d_inner),
        "delta": torch.randn(batch, seq, d_inner),
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": torch.randn(batch, seq, d_state),
        "C": torch.randn(batch, seq, d_state),
        "D": torch.randn(d_inner),
        "z": torch.randn(batch, seq, d_inner),
        "state": torch.randn(batch, d_inner, d_state),
        "delta_bias": torch.randn(d_inner) - 2,
    }
    given = {name: tensor.to(DEVICE) for name, tensor in tensors.items()}
    return given | {"delta_softplus": True}


def close(ours, theirs, tolerance=1e-5):
    for a, b in zip(ours, theirs, strict=True):
        size = max(1.0, b.abs().max().item())
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * size, check_dtype=False)


def gradients(scan, given, **options):
    """Derivatives of everything by a random weighting of y and the last state."""
    leaves = [given[name].detach().requires_grad_() for name in NAMES if name in given]
    names = [name for name in NAMES if name in given]
    y, last = scan(**given | dict(zip(names, leaves, strict=True)), **options)
    torch.manual_seed(1)
    towards = [torch.randn(x.shape).to(x) for x in (y, last)]  # whatever the layout in memory
    return torch.autograd.grad((y, last), leaves, towards)


@pytest.mark.parametrize("seq", some([19, 8, 7, 1], 2))
def test_values_are_those_of_the_loop(seq):
    given = inputs(seq=seq)
    close(selective_scan_triton(**given, launch=SMALL), selective_scan_reference(**given))


@pytest.mark.parametrize("seq", some([11, 8, 1], 2))
def test_gradients_are_those_of_autograd_through_the_loop(seq):
    given = inputs(seq=seq)
    ours = gradients(selective_scan_triton, given, launch=SMALL)
    close(ours, gradients(selective_scan_reference, given), 1e-5)


@pytest.mark.parametrize("left_out", some([NAMES[5:], ["z"], ["state"], ["D"], ["delta_bias"]], 2))
def test_options_left_out(left_out):
    given = {name: x for name, x in inputs(seq=5).items() if name not in left_out}
    given["delta"], given["delta_softplus"] = given["delta"].abs(), "z" not in left_out
    expected = selective_scan_reference(**given)
    close(selective_scan_triton(**given, launch=SMALL), expected)
    ours = gradients(selective_scan_triton, given, launch=SMALL)
    close(ours, gradients(selective_scan_reference, given), 1e-5)


def test_more_channels_than_a_block():
    given = inputs(batch=1, seq=6, d_inner=37)
    close(selective_scan_triton(**given, launch=SMALL), selective_scan_reference(**given))
    ours = gradients(selective_scan_triton, given, launch=SMALL)
    close(ours, gradients(selective_scan_reference, given), 1e-5)


@pytest.mark.parametrize(
    "launch",
    some([Launch(tile=2, backward_tile=4, chunk=4), Launch(), Launch(num_warps=2)], 1),
)
def test_results_do_not_depend_on_the_launch(launch):
    given = inputs(batch=1, seq=10)
    close(selective_scan_triton(**given, launch=launch), selective_scan_reference(**given))
    ours = gradients(selective_scan_triton, given, launch=launch)
    close(ours, gradients(selective_scan_reference, given), 1e-5)


def test_packed_sequences_and_their_gradients():
    given = inputs(batch=1, seq=11)
    starts = segment_starts([2, 1, 5, 3], device=DEVICE)
    starts[0, 0] = False  # the first goes on from `state`
    expected = selective_scan_reference(**given, starts=starts)
    close(selective_scan_triton(**given, starts=starts, launch=SMALL), expected)
    ours = gradients(selective_scan_triton, given, starts=starts, launch=SMALL)
    close(ours, gradients(selective_scan_reference, given, starts=starts), 1e-5)


def test_a_delta_of_zero_holds_the_state():
    given = inputs(seq=9)
    given["delta"][:, 5:] = -torch.inf
    five = {name: x[:, :5] if name in PER_TOKEN else x for name, x in given.items()}
    _, expected = selective_scan_reference(**five)
    close([selective_scan_triton(**given, launch=SMALL)[1]], [expected])
    found = gradients(selective_scan_triton, given, launch=SMALL)
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_a_sequence_goes_on_from_its_state():
    given = inputs(seq=9)
    expected = selective_scan_reference(**given)
    first = {name: x[:, :4] if name in PER_TOKEN else x for name, x in given.items()}
    second = {name: x[:, 4:] if name in PER_TOKEN else x for name, x in given.items()}
    y_first, state = selective_scan_triton(**first, launch=SMALL)
    y_second, last = selective_scan_triton(**second | {"state": state}, launch=SMALL)
    close((torch.cat((y_first, y_second), 1), last), expected)


def test_small_steps_keep_their_digits():
    """Δ near 1e-4: log(1 + e) as written would lose four digits, and the state with them."""
    given = inputs(seq=4)
    given["delta_bias"] -= 8
    given |= {"state": torch.zeros_like(given["state"]), "D": torch.zeros_like(given["D"])}
    ours, expected = selective_scan_triton(**given), selective_scan_reference(**given)
    assert ((ours[1] - expected[1]).norm() / expected[1].norm()) < 2e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_inputs(dtype):
    given = inputs(seq=9)
    low = {name: x.to(dtype) if name in PER_TOKEN else x for name, x in given.items()}
    y, last = selective_scan_triton(**low, launch=SMALL)
    expected_y, expected_last = selective_scan_reference(**low)
    assert y.dtype == dtype
    assert last.dtype == torch.float32
    close([y.float(), last], [expected_y.float(), expected_last], 1e-2)
    found = gradients(selective_scan_triton, low, launch=SMALL)
    for ours, name in zip(found, NAMES, strict=True):
        assert ours.dtype == low[name].dtype


def test_views_of_wider_tensors():
    """As in the block, where z is half of a projection, and B and C are slices of another."""
    given = inputs(seq=6)
    for name in PER_TOKEN:
        wide = torch.cat((torch.randn_like(given[name]), given[name]), dim=-1)
        given[name] = wide[..., given[name].shape[-1] :]
    close(selective_scan_triton(**given, launch=SMALL), selective_scan_reference(**given))
    ours = gradients(selective_scan_triton, given, launch=SMALL)
    close(ours, gradients(selective_scan_reference, given), 1e-5)


@pytest.mark.parametrize("seq", some([9, 8, 1], 1))
def test_saved_bytes_are_what_the_formula_says(seq):
    batch, d_inner, d_state = 2, 5, 4
    given = inputs(batch, seq, d_inner, d_state)
    leaves = {name: x.requires_grad_() for name, x in given.items() if name in [*NAMES[:5], "z"]}
    saved = {}

    def store(tensor):
        saved[tensor.data_ptr(), tensor.shape] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(store, lambda tensor: tensor):
        selective_scan_triton(**leaves, delta_softplus=True, launch=SMALL)
    assert sum(saved.values()) == saved_bytes(batch, seq, d_inner, d_state, 4, chunk=SMALL.chunk)


def test_nothing_is_saved_without_gradients():
    given = inputs(seq=3)
    given["A"].requires_grad_()
    with torch.no_grad():
        y, _ = selective_scan_triton(**given, launch=SMALL)
    assert y.grad_fn is None


def test_the_front_door_leads_here():
    given = inputs(seq=3)
    close(selective_scan(**given, path="triton"), selective_scan_reference(**given))


def test_bad_input_is_told():
    given = inputs(seq=3)
    with pytest.raises(ValueError, match="float64"):
        selective_scan_triton(**given | {"u": given["u"].double()})
    with pytest.raises(ValueError, match="power of two"):
        Launch(tile=3)
    with pytest.raises(ValueError, match="multiple of tile"):
        Launch(tile=8, chunk=12)


@pytest.mark.gpu
@pytest.mark.skipif(INTERPRETED, reason="needs CUDA: the interpreter would take hours")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_the_size_of_a_layer(dtype):
    given = inputs(batch=2, seq=1000, d_inner=1536, d_state=16)
    given = {name: x.to(dtype) if name in PER_TOKEN else x for name, x in given.items()}
    tolerance = 1e-4 if dtype == torch.float32 else 2e-2
    close(selective_scan_triton(**given), selective_scan_reference(**given), tolerance)
    ours = gradients(selective_scan_triton, given)
    close(ours, gradients(selective_scan_reference, given), 5 * tolerance)
