"""Load a GGUF file of the llama family: one file with configuration, tokenizer and weights.

GGUF is llama.cpp's format; its weights are usually quantised in blocks, 4 or 8 bits each with a
scale. The `gguf` package, from the same authors, reads and dequantises them. Query and key rows
are stored for the interleaved layout of RoPE and are reordered here: without that, nothing fails
and every logit is wrong. Source: the format's specification, in the ggml project's docs.
"""

import re
from pathlib import Path

import torch
from gguf import GGUFReader, dequantize

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.rope import interleaved_to_half
from mixlab.weights.assign import build

_NAMES = {
    "token_embd": "tok_embeddings",
    "output_norm": "norm",
    "output": "output",
    "attn_norm": "attention_norm",
    "attn_q": "attention.wq",
    "attn_k": "attention.wk",
    "attn_v": "attention.wv",
    "attn_output": "attention.wo",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_down": "feed_forward.w2",
    "ffn_up": "feed_forward.w3",
}


def our_name(name: str) -> str:
    """This library's name of a GGUF tensor; unknown names come back as they are.

    >>> our_name("blk.3.attn_q.weight")
    'layers.3.attention.wq.weight'
    """
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", name)
    if match is None or match[2] not in _NAMES:
        return name
    layer = "" if match[1] is None else f"layers.{match[1]}."
    return f"{layer}{_NAMES[match[2]]}.weight"


def open_gguf(path: str | Path) -> GGUFReader:
    """Open a GGUF file; tensors stay on disk until they are read.

    Raises:
        ValueError: if the file is not GGUF or is cut short.
    """
    path = Path(path)
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ValueError(
            f"{path} is not a GGUF file: expected it to begin with b'GGUF', got {magic!r}. "
            "Is it the path of another format?"
        )
    try:
        return GGUFReader(path)
    except Exception as error:
        # The reader maps the file and fails in many ways where the bytes end early.
        raise ValueError(
            f"{path} is a damaged or truncated GGUF file ({type(error).__name__}: {error}); it "
            f"has {path.stat().st_size:,} bytes. Copy or download it again"
        ) from error


def read_field(reader: GGUFReader, key: str, default=None):
    """The value under `key` in the file's metadata, or `default`."""
    field = reader.get_field(key)
    return default if field is None else field.contents()


def read_config(reader: GGUFReader) -> TransformerConfig:
    """The configuration in the file's metadata.

    Raises:
        ValueError: if the architecture is not of the llama family, or uses something that this
            model doesn't compute.
    """
    architecture = read_field(reader, "general.architecture")
    if architecture != "llama":
        raise ValueError(
            f"this GGUF file holds a model of architecture {architecture!r}: expected 'llama', "
            "the name under which Mistral, Mixtral and SmolLM are stored. Other architectures "
            "need other code"
        )

    def value(key, default=None):
        return read_field(reader, f"llama.{key}", default)

    names = {tensor.name for tensor in reader.tensors}
    scaling = value("rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in names:
        raise ValueError(
            "this GGUF file rescales RoPE for a longer context "
            f"(rope.scaling.type = {scaling!r}, rope_freqs: {'rope_freqs.weight' in names}); "
            "this model rotates with plain RoPE, and ignoring the difference would give wrong "
            "logits"
        )
    if value("expert_count", 0):
        raise ValueError(
            f"this GGUF file holds {value('expert_count')} experts a layer; this loader reads "
            "dense models"
        )
    n_heads = value("attention.head_count")
    head_dim = value("attention.key_length") or value("embedding_length") // n_heads
    if (rotated := value("rope.dimension_count", head_dim)) != head_dim:
        raise ValueError(
            f"this GGUF file rotates {rotated} of {head_dim} channels a head; this model rotates "
            "all of them"
        )
    return TransformerConfig(
        dim=value("embedding_length"),
        n_layers=value("block_count"),
        n_heads=n_heads,
        n_kv_heads=value("attention.head_count_kv", n_heads),
        head_dim=head_dim,
        hidden_dim=value("feed_forward_length"),
        vocab_size=value("vocab_size") or len(read_field(reader, "tokenizer.ggml.tokens")),
        window=value("attention.sliding_window"),
        rope_theta=float(value("rope.freq_base", 10_000.0)),
        norm_eps=round(float(value("attention.layer_norm_rms_epsilon")), 12),
        tie_embeddings="output.weight" not in names,
        max_seq=value("context_length"),
    )


def load_gguf(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Transformer:
    """Load a GGUF file; arguments and errors as in `mixlab.load`.

    Blocks are dequantised to float32, exactly as stored, before any conversion to `dtype`.
    """
    reader = open_gguf(path)
    config = read_config(reader)
    tensors = {}
    for stored in reader.tensors:
        name = our_name(stored.name)
        try:
            # GGUF lists the fastest axis first; the array comes back in the usual order.
            tensor = torch.from_numpy(dequantize(stored.data, stored.tensor_type).copy())
        except NotImplementedError as error:
            raise ValueError(
                f"{path}: tensor {stored.name} is stored as {stored.tensor_type.name}, which the "
                "gguf package can't dequantise. Use a file of type F32, F16, BF16, Q8_0, Q4_1 "
                "or another that it can"
            ) from error
        if name.endswith("attention.wq.weight"):
            tensor = interleaved_to_half(tensor, config.n_heads)
        elif name.endswith("attention.wk.weight"):
            tensor = interleaved_to_half(tensor, config.n_kv_heads)
        tensors[name] = tensor.to(dtype=dtype or torch.float32, device=device)
    return build(config, tensors, source=str(path))
