"""Load a GGUF file of the llama family, under which Mistral, Mixtral and SmolLM are stored.

Query and key rows are stored for the interleaved layout of RoPE and are reordered here: without
that, nothing fails and every logit is wrong. Source: the format's specification, in the ggml
project's docs.
"""

from collections.abc import Collection
from pathlib import Path

import torch
from gguf import GGUFReader

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.quantised import quantise, quantise_block
from mixlab.transformer.rope import interleaved_to_half
from mixlab.weights.assign import build
from mixlab.weights.gguf_file import (
    open_parts,
    read_field,
    refuse_unknown,
    required_field,
    stored_tensor,
)
from mixlab.weights.stored import rename

_BLOCK, _LAYER = "blk.{}.", "layers.{}."
_NAMES = {
    "token_embd.weight": "tok_embeddings.weight",
    "output_norm.weight": "norm.weight",
    "output.weight": "output.weight",
    _BLOCK + "attn_norm.weight": _LAYER + "attention_norm.weight",
    _BLOCK + "attn_q.weight": _LAYER + "attention.wq.weight",
    _BLOCK + "attn_k.weight": _LAYER + "attention.wk.weight",
    _BLOCK + "attn_v.weight": _LAYER + "attention.wv.weight",
    _BLOCK + "attn_output.weight": _LAYER + "attention.wo.weight",
    _BLOCK + "ffn_norm.weight": _LAYER + "ffn_norm.weight",
    _BLOCK + "ffn_gate_inp.weight": _LAYER + "feed_forward.gate.weight",
}
for _theirs, _ours in {"gate": "w1", "down": "w2", "up": "w3"}.items():
    _ffn = _BLOCK + "ffn_" + _theirs
    _NAMES[_ffn + ".weight"] = _LAYER + f"feed_forward.{_ours}.weight"
    _NAMES[_ffn + "_exps.weight"] = _LAYER + f"feed_forward.{_ours}"  # all experts, stacked
    _NAMES[_ffn + ".{}.weight"] = _LAYER + f"feed_forward.experts.{{}}.{_ours}.weight"  # older


def read_config(reader: GGUFReader, names: Collection[str]) -> TransformerConfig:
    """The configuration in the file's metadata, for tensors of these names.

    Raises:
        ValueError: if the file asks for something that this model doesn't compute.
    """

    def value(key, default=None):
        return read_field(reader, f"llama.{key}", default)

    def required(key):
        return required_field(reader, f"llama.{key}")

    n_heads, n_experts = required("attention.head_count"), value("expert_count", 0)
    if not isinstance(n_heads, int) or n_heads < 1:
        raise ValueError(
            "this GGUF file must give llama.attention.head_count as one positive number for all "
            f"layers: got {n_heads!r}"
        )
    head_dim = value("attention.key_length") or required("embedding_length") // n_heads
    for what, expected, got in [
        ("rope.scaling.type", "none", value("rope.scaling.type", "none")),
        # A factor without a type means linear scaling, as its older name does.
        ("rope.scaling.factor", 1.0, value("rope.scaling.factor", 0.0) or 1.0),
        ("rope.scale_linear", 1.0, value("rope.scale_linear", 0.0) or 1.0),
        ("rope_freqs.weight", False, "rope_freqs.weight" in names),
        ("rope.dimension_count", head_dim, value("rope.dimension_count", head_dim)),
        ("attention.value_length", head_dim, value("attention.value_length", head_dim)),
        ("expert_shared_count", 0, value("expert_shared_count", 0)),
        ("expert_weights_scale", 1.0, value("expert_weights_scale", 0.0) or 1.0),
        ("expert_gating_func", 1, value("expert_gating_func", 0) or 1),  # 1 is softmax
        ("attention.scale", None, value("attention.scale")),
        ("logit_scale", None, value("logit_scale")),
    ]:
        if got != expected:
            raise ValueError(
                f"this GGUF file asks for {what} = {got!r}; this model computes {expected!r} "
                "only, and ignoring the difference would give wrong logits"
            )
    refuse_unknown(reader, "llama", _READ)
    return TransformerConfig(
        dim=required("embedding_length"),
        n_layers=required("block_count"),
        n_heads=n_heads,
        n_kv_heads=value("attention.head_count_kv", n_heads),
        head_dim=head_dim,
        hidden_dim=required("feed_forward_length"),
        vocab_size=value("vocab_size") or len(read_field(reader, "tokenizer.ggml.tokens", [])),
        window=value("attention.sliding_window"),
        n_experts=n_experts or 1,
        experts_per_token=required("expert_used_count") if n_experts else 1,
        rope_theta=float(value("rope.freq_base", 10_000.0)),
        # Stored as float32: 1e-5 would come back as 9.99999974e-06.
        norm_eps=round(float(required("attention.layer_norm_rms_epsilon")), 12),
        tie_embeddings="output.weight" not in names,
        max_seq=value("context_length", 32_768),
    )


# What a file may say of its model: read above, or changing nothing that is computed.
_READ = """block_count context_length embedding_length feed_forward_length vocab_size expert_count
    expert_used_count expert_shared_count expert_weights_scale expert_gating_func logit_scale
    attention.head_count attention.head_count_kv attention.key_length attention.value_length
    attention.layer_norm_rms_epsilon attention.layer_norm_epsilon attention.sliding_window
    attention.scale attention.causal rope.freq_base rope.dimension_count rope.scale_linear
    rope.scaling.type rope.scaling.factor rope.scaling.attn_factor rope.scaling.finetuned
    rope.scaling.original_context_length tensor_data_layout""".split()


def load_gguf(
    path: str | Path,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    keep_quantised: bool = False,
) -> Transformer:
    """Load a GGUF file of the llama family; arguments and errors as in `mixlab.load`.

    Blocks are dequantised to float32, exactly as stored, before any conversion to `dtype` or to 8
    bits. The latter comes layer by layer, so that a model that fits into memory in 8 bits loads.
    """
    readers = open_parts(path)
    stored_tensors = [tensor for reader in readers for tensor in reader.tensors]
    if keep_quantised:
        _check_kept(stored_tensors, path, dtype, device)
    config = read_config(readers[0], {tensor.name for tensor in stored_tensors})
    heads = {"wq.weight": config.n_heads, "wk.weight": config.n_kv_heads}
    tensors = {}
    for tensor in stored_tensors:
        name = rename(tensor.name, _NAMES)
        stored = stored_tensor(tensor, path)
        n_heads = heads.get(name.rpartition("attention.")[2])
        if n_heads and stored.shape == (n_heads * config.head_dim, config.dim):
            stored = stored.map(lambda w, n_heads=n_heads: interleaved_to_half(w, n_heads))
        tensors[name] = stored
    if not keep_quantised:
        return build(config, tensors, dtype=dtype, device=device, source=str(path))
    return quantise(build(config, tensors, source=str(path), finish_block=quantise_block))


def _check_kept(tensors: Collection, path: str | Path, dtype, device) -> None:
    types = {tensor.tensor_type.name for tensor in tensors}
    if types <= {"F32", "F16", "BF16", "F64"}:
        raise ValueError(
            f"keep_quantised=True keeps what a file has quantised, and {path} stores "
            f"{', '.join(sorted(types))}: expected a file of type Q8_0, Q4_1 or another such"
        )
    if dtype not in (None, torch.float32) or torch.device(device or "cpu").type != "cpu":
        raise ValueError(
            "with keep_quantised=True matrices are 8 bits wide, on a CPU, and everything between "
            f"them is float32: got dtype={dtype}, device={device}. Leave both out"
        )
