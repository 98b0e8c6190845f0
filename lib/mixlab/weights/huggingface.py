"""Load Hugging Face folders of Mistral, Mixtral and Llama: config.json beside safetensors files.

Hugging Face stores query and key rows for the half layout of RoPE, which is ours, so tensors only
change names. Source of the names: the checkpoint indices of Mistral-7B-v0.1 and
Mixtral-8x7B-v0.1. Keys that config.json leaves out have the defaults of transformers, because
that is what the writer of the file relied on.
"""

from pathlib import Path

import torch

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.weights.assign import build
from mixlab.weights.stored import (
    Stored,
    find_safetensors,
    fraction,
    open_safetensors,
    read_json,
    renamed,
)

_LAYER = "model.layers.{}."
_MOE = "block_sparse_moe."
# Theirs to ours, with {} for each number.
NAMES = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
    _LAYER + "input_layernorm.weight": "layers.{}.attention_norm.weight",
    _LAYER + "post_attention_layernorm.weight": "layers.{}.ffn_norm.weight",
    **{_LAYER + f"self_attn.{x}_proj.weight": f"layers.{{}}.attention.w{x}.weight" for x in "qkvo"},
    _LAYER + "mlp.gate_proj.weight": "layers.{}.feed_forward.w1.weight",
    _LAYER + "mlp.down_proj.weight": "layers.{}.feed_forward.w2.weight",
    _LAYER + "mlp.up_proj.weight": "layers.{}.feed_forward.w3.weight",
    _LAYER + _MOE + "gate.weight": "layers.{}.feed_forward.gate.weight",
    **{
        _LAYER
        + _MOE
        + f"experts.{{}}.{w}.weight": f"layers.{{}}.feed_forward.experts.{{}}.{w}.weight"
        for w in ("w1", "w2", "w3")
    },
}
# What transformers 5 calls experts in memory, and so in a state dict that was saved directly.
_STACKED = {
    _LAYER + "mlp.gate.weight": "layers.{}.feed_forward.gate.weight",
    _LAYER + "mlp.experts.gate_up_proj": "layers.{}.feed_forward.w13",
    _LAYER + "mlp.experts.down_proj": "layers.{}.feed_forward.w2",
}
_DEFAULTS = dict(
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    intermediate_size=14_336,
    vocab_size=32_000,
    max_position_embeddings=131_072,
)
_MISTRAL = dict(sliding_window=4096, rms_norm_eps=1e-6, rope_theta=10_000.0)
_FAMILIES = {
    "mistral": _MISTRAL,
    "ministral": _MISTRAL,
    "llama": dict(
        sliding_window=None,
        rms_norm_eps=1e-6,
        rope_theta=10_000.0,
        num_key_value_heads=None,  # as many as queries
        intermediate_size=11_008,
        max_position_embeddings=2048,
    ),
    "mixtral": dict(
        sliding_window=None,
        rms_norm_eps=1e-5,
        rope_theta=1_000_000.0,
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
}


def read_config(path: Path) -> TransformerConfig:
    """The configuration in a folder's config.json.

    Raises:
        ValueError: if it asks for something that this model doesn't compute.
    """
    file = path / "config.json"
    written = read_json(file)
    given = _DEFAULTS | _FAMILIES[written["model_type"]] | written
    for key in _DEFAULTS:
        if not isinstance(given[key], int | None):
            raise ValueError(f"{file} must give {key} as a whole number: got {given[key]!r}")
    # transformers 5 writes rope_parameters, earlier versions rope_theta and rope_scaling, which
    # wins where a file has both.
    rope = given.get("rope_scaling") or given.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise ValueError(f"{file} must describe RoPE in an object, or null: got {rope!r}")
    activation = given.get("hidden_act")
    activation = "silu" if activation in (None, "swish") else activation
    for what, expected, got in [
        ("rope_type", "default", rope.get("rope_type", rope.get("type", "default"))),
        ("partial_rotary_factor", 1.0, rope.get("partial_rotary_factor", 1.0)),
        ("hidden_act", "silu", activation),
        ("attention_bias", False, given.get("attention_bias") or False),
        ("mlp_bias", False, given.get("mlp_bias") or False),
        ("quantization_config", None, given.get("quantization_config")),
    ]:
        if got != expected:
            raise ValueError(
                f"{file} asks for {what} = {got!r}; this model computes "
                f"{expected!r} only, and ignoring the difference would give wrong logits"
            )
    n_heads = given["num_attention_heads"]
    return TransformerConfig(
        dim=given["hidden_size"],
        n_layers=given["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=given["num_key_value_heads"] or n_heads,
        head_dim=given.get("head_dim") or given["hidden_size"] // n_heads,
        hidden_dim=given["intermediate_size"],
        vocab_size=given["vocab_size"],
        window=_windows(file, given),
        n_experts=given.get("num_local_experts", 1),
        experts_per_token=given.get("num_experts_per_tok", 1),
        rope_theta=fraction(rope.get("rope_theta") or given["rope_theta"]),
        norm_eps=fraction(given["rms_norm_eps"]),
        tie_embeddings=given.get("tie_word_embeddings") or False,
        max_seq=given["max_position_embeddings"],
    )


def _windows(file: Path, given: dict) -> int | tuple[int | None, ...] | None:
    """The window: one for all layers, or one for each where the file names their types."""
    window, types = given["sliding_window"], given.get("layer_types")
    if not types:
        return window
    known = {"full_attention": None, "sliding_attention": window}
    if not isinstance(types, list):
        raise ValueError(f"{file} must give layer_types as a list, one a layer: got {types!r}")
    if unknown := [kind for kind in types if str(kind) not in known]:
        raise ValueError(
            f"{file} asks for layer_types with {unknown[0]!r}; this model computes "
            f"{' and '.join(map(repr, known))} only, and another would give wrong logits"
        )
    if window is None and "sliding_attention" in types:
        raise ValueError(
            f"{file} gives layers of type 'sliding_attention' and no sliding_window: expected how "
            "many keys such a layer sees"
        )
    return tuple(known[kind] for kind in types)


def our_tensors(theirs: dict[str, Stored], config: TransformerConfig) -> dict[str, Stored]:
    """Hugging Face's tensors under this library's names; unknown names stay as they are.

    A mixture of one expert is a dense layer: its router has nothing to choose.
    """
    ours = {}
    # rotary_emb.inv_freq was written by old versions; it follows from rope_theta.
    kept = {n: x for n, x in theirs.items() if not n.endswith(".rotary_emb.inv_freq")}
    for name, stored in renamed(kept, NAMES | _STACKED).items():
        if name.endswith(".feed_forward.w13") and len(stored.shape) == 3:
            half = stored.shape[1] // 2
            ours[name.replace("w13", "w1")] = stored.map(lambda w, half=half: w[:, :half])
            ours[name.replace("w13", "w3")] = stored.map(lambda w, half=half: w[:, half:])
        else:
            ours[name] = stored
    return _dense(ours) if config.n_experts == 1 else ours


def _dense(tensors: dict[str, Stored]) -> dict[str, Stored]:
    """Experts of which there is one, as the dense layer that they are."""
    found = {}
    for name, stored in tensors.items():
        layer, _, part = name.rpartition(".feed_forward.")
        if part in ("w1", "w2", "w3"):
            found[f"{name}.weight"] = stored.map(lambda w: w.squeeze(0))
        elif part.startswith("experts.0."):
            found[f"{layer}.feed_forward.{part.removeprefix('experts.0.')}"] = stored
        elif part != "gate.weight":
            found[name] = stored
    return found


def load_huggingface(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Transformer:
    """Load a folder written by `save_pretrained`; arguments and errors as in `mixlab.load`."""
    path = Path(path)
    config = read_config(path)
    tensors = our_tensors(open_safetensors(find_safetensors(path, "model")), config)
    return build(config, tensors, dtype=dtype, device=device, source=str(path))
