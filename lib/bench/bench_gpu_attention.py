"""Window attention on a GPU: xformers and FlexAttention against full FlashAttention.

Mistral 7B's heads in bfloat16. Keys and values of the peer are repeated for its heads beforehand,
so that it pays for attention only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.row import Contest, Peer, Row, Size, Unavailable, largest_difference

HEADS = {"full": (32, 8, 128), "quick": (8, 2, 128), "tiny": (4, 2, 64)}
LENGTH = {"full": 32_768, "quick": 8192, "tiny": 512}


def window(size: Size) -> int:
    """An eighth of the length: 4,096 of 32,768 keys, as Mistral 7B has it."""
    return LENGTH[size] // 8


def kernels(name: str):
    """`packed_attention` of one of the two GPU paths."""
    from mixlab.kernels import flex_attention, xformers_attention

    module = {"xformers": xformers_attention, "flex": flex_attention}[name]
    if not module.available():
        raise Unavailable(f"{name} has no attention operator that runs on this device")
    return module.packed_attention


def tensors(size: Size, seq: int) -> tuple[Tensor, Tensor, Tensor]:
    n_heads, n_kv_heads, head_dim = HEADS[size]
    q = torch.randn(seq, n_heads, head_dim, device="cuda", dtype=torch.bfloat16)
    k, v = torch.randn(2, seq, n_kv_heads, head_dim, device="cuda", dtype=torch.bfloat16)
    return q, k, v


def attend(name: str, size: Size, seq: int):
    """A callable that runs window attention once over `seq` tokens."""
    attention, (q, k, v) = kernels(name), tensors(size, seq)

    def run() -> Tensor:
        with torch.inference_mode():
            return attention(q, k, v, [seq], [seq], window(size))

    return run


def error(name: str) -> float:
    """Largest difference to the readable twin in float32, on a length that it can hold."""
    from mixlab.transformer.packing import packed_attention_dense

    q, k, v = tensors("tiny", 700)
    lengths = [700]
    mixed = kernels(name)(q, k, v, lengths, lengths, 128)
    exact = packed_attention_dense(q.float(), k.float(), v.float(), lengths, lengths, 128)
    return largest_difference(mixed, exact)


def against_flash(name: str):
    """The `setup` of a row against full causal attention of the same length."""

    def setup(size: Size) -> Contest:
        seq, (n_heads, n_kv_heads, head_dim) = LENGTH[size], HEADS[size]
        q, k, v = tensors(size, seq)
        group = n_heads // n_kv_heads
        q = q.transpose(0, 1)[None].contiguous()
        k, v = (x.repeat_interleave(group, 1).transpose(0, 1)[None].contiguous() for x in (k, v))

        def flash() -> Tensor:
            with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                return F.scaled_dot_product_attention(q, k, v, is_causal=True)

        return Contest(
            ours=attend(name, size, seq),
            peers=[Peer("FlashAttention", flash, "causal, no window")],
            check=lambda: error(name),
            tolerance=2e-2,  # bfloat16 keeps 8 bits
            note=f"{seq:,} tokens, window {window(size):,}, {n_heads}/{n_kv_heads} heads of "
            f"{head_dim}, bfloat16.",
        )

    return setup


def against_half(name: str):
    """The `setup` of a row against half the length, at the same window, twice."""

    def setup(size: Size) -> Contest:
        seq = LENGTH[size]
        return Contest(
            ours=attend(name, size, 2 * seq),
            peers=[Peer("itself", attend(name, size, seq), f"{seq:,} tokens, twice", scale=2.0)],
            check=lambda: error(name),
            tolerance=2e-2,
            note=f"{2 * seq:,} tokens, window {window(size):,}, bfloat16.",
        )

    return setup


ROWS = [
    row
    for name in ("xformers", "flex")
    for row in (
        Row(
            f"gpu_window_{name}",
            f"window attention by {name} against all earlier keys",
            {"FlashAttention": 3.0},
            against_flash(name),
            device="cuda",
        ),
        Row(
            f"gpu_linear_{name}",
            f"window attention by {name} costs twice as much for twice the length",
            {"itself": 0.9},
            against_half(name),
            device="cuda",
        ),
    )
]
