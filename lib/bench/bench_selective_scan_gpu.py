"""The fused Triton scan on a GPU: against PyTorch, against mamba-ssm's CUDA kernel, against memory.

One layer of mamba-1.4b, eight sequences of 2,048 tokens, with everything fused that the block asks
for. The roofline is the time in which this GPU copies as many bytes as the kernel must read and
write: u, Δ, z and y, B and C, each once.

What bounds the kernel depends on the inputs. An exponential a state and token, on the special
function units, takes about as long as moving float32 inputs, and twice as long as bfloat16.

`python -m bench.bench_selective_scan_gpu` times other launch settings.
"""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from bench.row import Contest, Peer, Row, Size, Unavailable, largest_difference

SHAPES = {"full": (8, 2048, 4096, 16), "quick": (2, 1024, 2048, 16), "tiny": (1, 64, 64, 16)}
PER_TOKEN = ("u", "delta", "z", "B", "C")


def inputs(size: Size, dtype: torch.dtype) -> dict:
    """Random inputs of one layer, as it is initialised."""
    batch, seq, d_inner, d_state = SHAPES[size]
    torch.manual_seed(0)
    given = {
        name: torch.randn(batch, seq, d_state if name in ("B", "C") else d_inner, device="cuda")
        for name in PER_TOKEN
    }
    given = {name: x.to(dtype) for name, x in given.items()}
    rates = -torch.arange(1.0, d_state + 1, device="cuda")
    return given | {
        "A": rates.expand(d_inner, d_state).contiguous(),
        "D": torch.ones(d_inner, device="cuda"),
        "delta_bias": torch.full((d_inner,), -4.6, device="cuda"),  # Δ about 0.01
    }


def moved_bytes(size: Size, dtype: torch.dtype) -> int:
    """Bytes that a forward pass can't avoid to read or write."""
    batch, seq, d_inner, d_state = SHAPES[size]
    return batch * seq * (4 * d_inner + 2 * d_state) * dtype.itemsize


def copying(n_bytes: int) -> Callable[[], None]:
    """A callable that moves `n_bytes` through the memory: half of them read, half written."""
    source = torch.empty(n_bytes // 2, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def scan_by(path: str, given: dict) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """Our scan by one path, and the tensors that a layer would ask derivatives of."""
    from mixlab.ssm.selective_scan import selective_scan

    given = given | {name: given[name].clone().requires_grad_() for name in PER_TOKEN}
    leaves = [given[name] for name in PER_TOKEN]
    return lambda: selective_scan(**given, delta_softplus=True, path=path)[0], leaves


def scan_by_mamba_ssm(given: dict) -> tuple[Callable[[], Tensor], list[Tensor]]:
    """mamba-ssm's kernel, with tensors in its own order of axes."""
    if importlib.util.find_spec("mamba_ssm") is None:
        raise Unavailable("mamba_ssm is not installed; its kernel must be compiled with nvcc")
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    leaves = [given[name].mT.contiguous().requires_grad_() for name in PER_TOKEN]
    u, delta, z, B, C = leaves
    rest = {"delta_bias": given["delta_bias"], "delta_softplus": True}
    return lambda: selective_scan_fn(u, delta, given["A"], B, C, given["D"], z, **rest), leaves


PEERS = {"mamba-ssm": scan_by_mamba_ssm, "PyTorch": lambda given: scan_by("chunked", given)}


def both_ways(scan: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], tuple]:
    """Forward and backward: a training step's share."""
    with torch.no_grad():
        towards = torch.randn_like(scan())
    return lambda: torch.autograd.grad(scan(), leaves, towards)


def forward(peer: str, dtype: torch.dtype):
    """The `setup` of a row without gradients."""

    def setup(size: Size) -> Contest:
        given = inputs(size, dtype)
        run = PEERS[peer](given)[0] if peer in PEERS else copying(moved_bytes(size, dtype))
        ours = torch.no_grad()(scan_by("triton", given)[0])
        return contest(ours, Peer(peer, torch.no_grad()(run)), size, dtype)

    return setup


def backward(peer: str, dtype: torch.dtype):
    """The `setup` of a row with gradients."""

    def setup(size: Size) -> Contest:
        given = inputs(size, dtype)
        theirs = Peer(peer, both_ways(*PEERS[peer](given)))
        return contest(both_ways(*scan_by("triton", given)), theirs, size, dtype)

    return setup


def contest(ours: Callable, theirs: Peer, size: Size, dtype: torch.dtype) -> Contest:
    return Contest(
        ours=ours,
        peers=[theirs],
        check=lambda: error(dtype),
        tolerance=1e-3 if dtype == torch.float32 else 5e-2,
        note=note(size, dtype),
    )


@torch.no_grad()
def error(dtype: torch.dtype) -> float:
    """Largest difference to the readable loop, relative to its largest output."""
    given = inputs("tiny", dtype)
    exact = scan_by("reference", given)[0]().float()
    return largest_difference(scan_by("triton", given)[0](), exact) / exact.abs().max().item()


def note(size: Size, dtype: torch.dtype) -> str:
    batch, seq, d_inner, d_state = SHAPES[size]
    name = str(dtype).removeprefix("torch.")
    return f"{batch} x {seq:,} tokens, d_inner {d_inner:,}, d_state {d_state}, {name}."


def tune(size: Size = "full") -> None:
    """Time every reasonable launch, forward and both ways, and print a table."""
    from triton.testing import do_bench

    from mixlab.kernels.selective_scan import Launch, selective_scan_triton

    print(torch.cuda.get_device_name())
    for dtype in (torch.float32, torch.bfloat16):
        given = inputs(size, dtype)
        roof = do_bench(copying(moved_bytes(size, dtype)))
        print(f"\n{note(size, dtype)} Copying the forward pass's bytes: {roof:.3f} ms")
        given |= {name: given[name].requires_grad_() for name in PER_TOKEN}
        leaves = [given[name] for name in PER_TOKEN]
        launches = [Launch(num_warps=w, tile=t) for w in (1, 2, 4) for t in (4, 8, 16)]
        launches += [
            Launch(num_warps=w, backward_tile=t, chunk=c)
            for w in (1, 2, 4)
            for t in (1, 2, 4)
            for c in (16, 32, 64)
        ]
        for launch in launches:

            def scan(launch=launch, given=given) -> Tensor:
                return selective_scan_triton(**given, delta_softplus=True, launch=launch)[0]

            once, both = do_bench(torch.no_grad()(scan)), do_bench(both_ways(scan, leaves))
            print(f"{once:7.3f} ms  {roof / once:4.0%}  both ways {both:7.3f} ms  {launch}")


ROWS = [
    Row(
        f"gpu_scan_{way}_{name}_{peer}",
        f"fused scan, {what}, {name}",
        {peer: target},
        setup(peer, dtype),
        device="cuda",
    )
    for way, setup, what in (("forward", forward, "forward"), ("both", backward, "both ways"))
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    for peer, target in (("PyTorch", 3.0), ("mamba-ssm", 1.0), ("memory", 0.7))
    if not (way == "both" and peer == "memory")
]

if __name__ == "__main__":
    tune()
