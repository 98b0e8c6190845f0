"""The fused kernel's tests in Triton's interpreter, and its compilation for absent GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

HERE = Path(__file__).parent


@pytest.mark.slow
def test_the_kernel_in_the_interpreter():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", HERE / "test_kernel.py"],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout


def compiled(kernel, dtype: str, capability: int, **constants):
    """A kernel compiled for a GPU, whether there is one or not, as a launch with float32 states."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    per_token = "u delta z y grad_y grad_u grad_delta grad_z".split()
    flags = "HAS_Z HAS_D HAS_BIAS SOFTPLUS HAS_STATE HAS_STARTS STORE".split()
    constants = dict.fromkeys(flags, True) | dict(N=16, N_PADDED=16, BLOCK=32) | constants
    signature, aligned = {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name == "starts":
            signature[name] = "*u8"
        elif name in per_token:
            signature[name] = f"*{dtype}"
        else:
            number = name.endswith(("_b", "_t")) or name in ("L", "d_inner", "batch")
            signature[name] = "i32" if number else "*fp32"
        if signature[name][0] == "*" or name in ("B_b", "B_t", "C_b", "C_t"):
            aligned[(index,)] = [["tt.divisibility", 16]]  # what a launch would find out
    used = {name: value for name, value in constants.items() if name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=used, attrs=aligned)
    return compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 1})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize(("dtype", "capability"), [("fp32", 80), ("bf16", 90)])
def test_forward_exchanges_nothing_between_threads(dtype, capability):
    from mixlab.kernels.selective_scan_forward import forward_kernel

    program = compiled(forward_kernel, dtype, capability, TILE=8, CHUNK=32)
    assert program.metadata.shared == 0
    assert "shfl" not in program.asm["ptx"]
    # B and C come four numbers at a time: 2 · 16 / 4 reads a token.
    assert program.asm["ptx"].count("ld.global.v4.b32") >= 8 * 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize(("dtype", "capability"), [("fp32", 80), ("bf16", 90)])
def test_backward_compiles(dtype, capability):
    from mixlab.kernels.selective_scan_backward import backward_kernel

    program = compiled(backward_kernel, dtype, capability, TILE=2, CHUNK=32)
    assert program.metadata.shared < 48 * 1024
