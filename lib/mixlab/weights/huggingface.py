"""Load a Hugging Face Mistral folder: config.json beside one or many safetensors files.

Hugging Face stores query and key rows for the half layout of RoPE, which is ours, so tensors only
change names. Source of the names: the checkpoint index of Mistral-7B-v0.1.
"""

import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.weights.assign import build

_NAMES = {
    r"model\.embed_tokens\.weight": "tok_embeddings.weight",
    r"model\.norm\.weight": "norm.weight",
    r"lm_head\.weight": "output.weight",
    r"model\.layers\.(\d+)\.self_attn\.([qkvo])_proj\.weight": r"layers.\1.attention.w\2.weight",
    r"model\.layers\.(\d+)\.input_layernorm\.weight": r"layers.\1.attention_norm.weight",
    r"model\.layers\.(\d+)\.post_attention_layernorm\.weight": r"layers.\1.ffn_norm.weight",
    r"model\.layers\.(\d+)\.mlp\.gate_proj\.weight": r"layers.\1.feed_forward.w1.weight",
    r"model\.layers\.(\d+)\.mlp\.down_proj\.weight": r"layers.\1.feed_forward.w2.weight",
    r"model\.layers\.(\d+)\.mlp\.up_proj\.weight": r"layers.\1.feed_forward.w3.weight",
}


def our_name(name: str) -> str:
    """This library's name of a Hugging Face tensor; unknown names come back as they are.

    >>> our_name("model.layers.3.self_attn.q_proj.weight")
    'layers.3.attention.wq.weight'
    """
    for pattern, ours in _NAMES.items():
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name


def read_config(path: Path) -> TransformerConfig:
    """The configuration in a folder's config.json.

    Raises:
        ValueError: if it asks for something that this model doesn't compute.
    """
    given = json.loads((path / "config.json").read_text())
    # transformers 5 writes rope_parameters, earlier versions rope_theta and rope_scaling.
    rope = given.get("rope_parameters") or given.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    activation = given.get("hidden_act", "silu")
    for what, expected, got in [
        ("rope_type", "default", kind),
        ("hidden_act", "silu", activation),
        ("attention_bias", False, given.get("attention_bias", False)),
    ]:
        if got != expected:
            raise ValueError(
                f"{path / 'config.json'} asks for {what} = {got!r}; this model computes "
                f"{expected!r} only, and ignoring the difference would give wrong logits"
            )
    n_heads = given["num_attention_heads"]
    return TransformerConfig(
        dim=given["hidden_size"],
        n_layers=given["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=given.get("num_key_value_heads") or n_heads,
        head_dim=given.get("head_dim") or given["hidden_size"] // n_heads,
        hidden_dim=given["intermediate_size"],
        vocab_size=given["vocab_size"],
        window=given.get("sliding_window"),
        rope_theta=rope.get("rope_theta") or given.get("rope_theta") or 10_000.0,
        norm_eps=given.get("rms_norm_eps", 1e-6),
        tie_embeddings=given.get("tie_word_embeddings", False),
        max_seq=given.get("max_position_embeddings", 32_768),
    )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a folder's safetensors files, memory-mapped, under the file's own names.

    Raises:
        ValueError: if there are none, or one is truncated.
    """
    files = sorted(path.glob("*.safetensors"))
    if (index := path / "model.safetensors.index.json").exists():
        named = set(json.loads(index.read_text())["weight_map"].values())
        files = [path / name for name in sorted(named)]
        if absent := [file.name for file in files if not file.exists()]:
            raise ValueError(
                f"{index.name} names files that are not in {path}: {', '.join(absent)}. "
                "Was the download cut short?"
            )
    if not files:
        raise ValueError(
            f"{path} holds no .safetensors file. Older .bin checkpoints run code when they are "
            "read; convert one with transformers' save_pretrained"
        )
    tensors = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as stored:
                tensors |= {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(
                f"{file} is not a whole safetensors file ({error}); it has "
                f"{file.stat().st_size:,} bytes. Copy or download it again"
            ) from error
    return tensors


def load_huggingface(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Transformer:
    """Load a folder written by `save_pretrained`; arguments and errors as in `mixlab.load`."""
    path = Path(path)
    tensors = {our_name(name): tensor for name, tensor in read_safetensors(path).items()}
    return build(read_config(path), tensors, dtype=dtype, device=device, source=str(path))
