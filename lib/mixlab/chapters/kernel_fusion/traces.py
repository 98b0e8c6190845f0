"""What a selective scan moves, step by step: as three kernels, and as one; and scans to measure.

The page's piece, `traffic`, computes the same under the same names. That these are the bytes that
the programs of `chip` really move, the lesson asserts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import process_time
from timeit import repeat
from typing import Any

import torch
from torch import Tensor

from mixlab.ssm.selective_scan import selective_scan_reference

ITEM = 4  # bytes of a number in float32

# Way to kernels, in order; a kernel to the arrays that it reads and writes at every token. `A` is
# read once, when the kernel begins.
WAYS = {
    "three": {
        "discretise": (("A", "delta", "x", "B"), ("A_bar", "Bx")),
        "recur": (("A_bar", "Bx"), ("h",)),
        "read out": (("h", "C"), ("y",)),
    },
    "fused": {"fused": (("A", "delta", "x", "B", "C"), ("y",))},
}


@dataclass(frozen=True)
class Step:
    """A kernel at one token.

    Attributes:
        kernel: its name.
        token: its position.
        reads, writes: names of arrays to bytes.
        moved: bytes that all steps up to this one have moved.
    """

    kernel: str
    token: int
    reads: dict[str, int]
    writes: dict[str, int]
    moved: int


def row_bytes(d_inner: int, d_state: int) -> dict[str, int]:
    """Bytes of one token's row of every array; of `A`, the whole.

    >>> row_bytes(d_inner=3, d_state=2)["h"]
    24
    """
    wide, channels, states = d_inner * d_state, d_inner, d_state
    numbers = dict.fromkeys(("A", "A_bar", "Bx", "h"), wide)
    numbers |= dict.fromkeys(("delta", "x", "y"), channels)
    numbers |= dict.fromkeys(("B", "C"), states)
    return {name: ITEM * count for name, count in numbers.items()}


def trace_traffic(way: str, tokens: int, d_inner: int, d_state: int) -> list[Step]:
    """Every step of a scan of one text.

    Args:
        way: "three" kernels, or "fused".
        tokens: length of the text.
        d_inner, d_state: channels, and numbers a channel.

    Raises:
        ValueError: for an unknown way, or a number below 1.

    Six arrays of a number a state go to and fro between three kernels, and none in one:

    >>> [trace_traffic(way, 100, 50, 16)[-1].moved for way in ("three", "fused")]
    [1996000, 76000]
    """
    if way not in WAYS:
        raise ValueError(f"way must be one of {', '.join(WAYS)}: got {way!r}")
    if min(tokens, d_inner, d_state) < 1:
        raise ValueError(
            "a scan needs at least one token, channel and state: got "
            f"tokens={tokens}, d_inner={d_inner}, d_state={d_state}"
        )
    sizes, steps, moved = row_bytes(d_inner, d_state), [], 0
    for kernel, (read, written) in WAYS[way].items():
        for token in range(tokens):
            reads = {name: sizes[name] for name in read if name != "A" or token == 0}
            writes = {name: sizes[name] for name in written}
            moved += sum(reads.values()) + sum(writes.values())
            steps.append(Step(kernel, token, reads, writes, moved))
    return steps


def scan_inputs(tokens: int, d_inner: int, d_state: int) -> dict[str, Tensor]:
    """Random x, Δ, A, B and C of one text, by name; without a batch.

    >>> {name: tuple(tensor.shape) for name, tensor in scan_inputs(5, 3, 2).items()}
    {'x': (5, 3), 'delta': (5, 3), 'A': (3, 2), 'B': (5, 2), 'C': (5, 2)}
    """
    return {
        "x": torch.randn(tokens, d_inner),
        "delta": torch.rand(tokens, d_inner),
        "A": -torch.rand(d_inner, d_state),
        "B": torch.randn(tokens, d_state),
        "C": torch.randn(tokens, d_state),
    }


def reference(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """y of one text by the library's loop, which takes a batch."""
    return selective_scan_reference(x[None], delta[None], A, B[None], C[None])[0][0]


@torch.inference_mode()
def unfused(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, room: Tensor) -> Tensor:
    """y by PyTorch's calls, one after the other, with all that lies between them in memory.

    Args:
        room: (3, tokens, d_inner, d_state), where Ā, B̄x and h are written; new memory would have
            to be made first, and take longer than the scan.
    """
    A_bar, driven, states = room
    torch.mul(delta[:, :, None], A, out=A_bar).exp_()
    torch.mul((delta * x)[:, :, None], B[:, None], out=driven)
    h = torch.zeros_like(A)
    for t in range(len(x)):
        h = torch.addcmul(driven[t], A_bar[t], h, out=states[t])
    return (states @ C[:, :, None])[:, :, 0]


def kept_for_backward(run: Callable[[], Any]) -> tuple[int, Any]:
    """Bytes that autograd saves while `run()` runs, each piece of memory once; and its result.

    A product saves its two factors:

    >>> x, y = (torch.ones(10, requires_grad=True) for _ in range(2))
    >>> kept_for_backward(lambda: (x * y).sum())[0]
    80
    """
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        sizes[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    return sum(sizes.values()), result


def seconds(run: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time of a few runs, after one that doesn't count.

    Other programs disturb processor time least, and a median more rarely than a mean.
    """
    run()
    return median(repeat(run, timer=process_time, number=1, repeat=repeats))
