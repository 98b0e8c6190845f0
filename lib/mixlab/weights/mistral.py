"""Load Mistral's own folders: params.json beside consolidated safetensors files.

The parameters carry this library's names already; query and key rows are stored for the
interleaved layout of RoPE and are reordered here: without that, nothing fails and every logit is
wrong. Source: mistral-inference, its `args.py` and `transformer.py`, for names and defaults.
"""

from pathlib import Path

import torch

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.rope import interleaved_to_half
from mixlab.weights.assign import build
from mixlab.weights.stored import (
    Stored,
    find_safetensors,
    fraction,
    open_safetensors,
    read_json,
    renamed,
)

_MOE = "layers.{}.block_sparse_moe."
# Some early Mixtral files borrow Hugging Face's name for the expert layer.
_NAMES = {
    _MOE + "gate.weight": "layers.{}.feed_forward.gate.weight",
    **{
        _MOE + f"experts.{{}}.{w}.weight": f"layers.{{}}.feed_forward.experts.{{}}.{w}.weight"
        for w in ("w1", "w2", "w3")
    },
}
_REQUIRED = "dim n_layers head_dim hidden_dim n_heads n_kv_heads norm_eps vocab_size".split()
_OPTIONAL = (
    "rope_theta sliding_window _sliding_window moe num_experts num_experts_per_tok tied_embeddings"
).split()
# Said about the model or its use, without changing what it computes.
_HARMLESS = "max_seq_len max_position_embeddings max_batch_size model_type dtype".split()


def read_params(path: Path) -> TransformerConfig:
    """The configuration in a folder's params.json.

    RoPE's base may be left out, as in the files of Mistral 7B v0.1: it is 10,000 with a sliding
    window and 1,000,000 without one.

    Raises:
        ValueError: if a key is missing, or asks for something that this model doesn't compute.
    """
    file = path / "params.json"
    given = read_json(file)
    if missing := [key for key in _REQUIRED if key not in given]:
        raise ValueError(
            f"{file} lacks {', '.join(missing)}: expected Mistral's params.json, which has "
            f"{', '.join(_REQUIRED)}. Is it another model family's?"
        )
    known = {*_REQUIRED, *_OPTIONAL, *_HARMLESS}
    unknown = {key: value for key, value in given.items() if key not in known and value}
    if given.get("model_type", "transformer") != "transformer":
        unknown["model_type"] = given["model_type"]
    if unknown:
        raise ValueError(
            f"{file} asks for {unknown}, which this model doesn't compute; ignoring it would "
            "give wrong logits"
        )
    windows = [given.get(key) for key in ("sliding_window", "_sliding_window")]
    if None not in windows:
        raise ValueError(
            f"{file} must give sliding_window or _sliding_window, not both: got {windows}"
        )
    window = next((window for window in windows if window is not None), None)
    if isinstance(window, list):  # a pattern, repeated over the layers
        window = tuple(window) * (given["n_layers"] // max(1, len(window)))
    experts = given.get("moe") or given
    if not isinstance(experts, dict):
        raise ValueError(f"{file} must describe its experts in an object: got moe = {experts!r}")
    theta = given.get("rope_theta") or (1_000_000.0 if window is None else 10_000.0)
    return TransformerConfig(
        **{key: given[key] for key in _REQUIRED} | {"norm_eps": fraction(given["norm_eps"])},
        window=window,
        n_experts=experts.get("num_experts") or 1,
        experts_per_token=experts.get("num_experts_per_tok") or 1,
        rope_theta=fraction(theta),
        tie_embeddings=given.get("tied_embeddings") or False,
        max_seq=given.get("max_seq_len") or given.get("max_position_embeddings") or 32_768,
    )


def load_mistral(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Transformer:
    """Load a folder in Mistral's format; arguments and errors as in `mixlab.load`."""
    path = Path(path)
    config = read_params(path)
    tensors = {}
    stored = open_safetensors(find_safetensors(path, "consolidated"))
    for name, tensor in renamed(stored, _NAMES).items():
        tensors[name] = _half_layout(name, tensor, config)
    return build(config, tensors, dtype=dtype, device=device, source=str(path))


def _half_layout(name: str, stored: Stored, config: TransformerConfig) -> Stored:
    heads = {"wq.weight": config.n_heads, "wk.weight": config.n_kv_heads}
    n_heads = heads.get(name.rpartition("attention.")[2])
    if n_heads is None or stored.shape != (n_heads * config.head_dim, config.dim):
        return stored  # a misshapen one is named, with the others, when the model is built
    return stored.map(lambda weight: interleaved_to_half(weight, n_heads), copies=True)
