"""Load a folder of Mamba: config.json beside its tensors, as transformers or the authors wrote it.

Source of the names: the checkpoints of mamba-130m-hf, and of mamba-130m, whose config.json has the
arguments of the authors' own classes and whose tensors are a PyTorch .bin file. Keys that
config.json leaves out have the writer's defaults, because that is what the writer relied on.
"""

from pathlib import Path
from typing import Any

import torch

from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.weights.assign import build
from mixlab.weights.stored import (
    find_safetensors,
    fraction,
    open_bin,
    open_safetensors,
    read_json,
    renamed,
)

_MIXER = "A_log D conv1d.weight conv1d.bias dt_proj.weight dt_proj.bias x_proj.weight".split()
_MIXER += "in_proj.weight in_proj.bias out_proj.weight out_proj.bias".split()
# Theirs to ours, with {} for each number.
NAMES = {
    "backbone.embeddings.weight": "tok_embeddings.weight",
    "backbone.embedding.weight": "tok_embeddings.weight",  # the authors' own name
    "backbone.norm_f.weight": "norm.weight",
    "lm_head.weight": "output.weight",
    "backbone.layers.{}.norm.weight": "layers.{}.norm.weight",
    **{f"backbone.layers.{{}}.mixer.{name}": f"layers.{{}}.mixer.{name}" for name in _MIXER},
}
_DEFAULTS = dict(
    hidden_size=768,
    num_hidden_layers=32,
    vocab_size=50_280,
    state_size=16,
    conv_kernel=4,
    expand=2,
    time_step_rank="auto",
    use_bias=False,
    use_conv_bias=True,
    layer_norm_epsilon=1e-5,
    time_step_min=0.001,
    time_step_max=0.1,
    residual_in_fp32=True,
    tie_word_embeddings=True,
    hidden_act="silu",
)
# The authors' words for them, of the model and of its ssm_cfg, and what changes no logit.
_AUTHORS = dict(
    d_model="hidden_size",
    n_layer="num_hidden_layers",
    vocab_size="vocab_size",
    residual_in_fp32="residual_in_fp32",
    tie_embeddings="tie_word_embeddings",
)
_SSM_CFG = dict(
    d_state="state_size",
    d_conv="conv_kernel",
    expand="expand",
    dt_rank="time_step_rank",
    bias="use_bias",
    conv_bias="use_conv_bias",
    dt_min="time_step_min",
    dt_max="time_step_max",
)
_HARMLESS = "fused_add_norm pad_vocab_size_multiple ssm_cfg model_type".split()
_HARMLESS += "dt_init dt_scale dt_init_floor use_fast_path".split()


def is_authors(given: dict[str, Any]) -> bool:
    """Whether a config.json is of the form that the authors' own code writes."""
    return "model_type" not in given and "d_model" in given and "ssm_cfg" in given


def _in_transformers_words(file: Path, given: dict) -> dict:
    """The authors' config.json with transformers' keys."""
    ssm = given["ssm_cfg"] or {}
    padded = given.get("pad_vocab_size_multiple", 8)
    if (
        not isinstance(ssm, dict)
        or type(given.get("vocab_size")) is not int
        or not (type(padded) is int and padded > 0)
    ):
        raise ValueError(
            f"{file} must give ssm_cfg as an object, vocab_size and pad_vocab_size_multiple as "
            f"whole numbers: got {ssm!r}, {given.get('vocab_size')!r} and {padded!r}"
        )
    computed = dict(rms_norm=True, layer="Mamba1", d_intermediate=0, attn_layer_idx=[], attn_cfg={})
    words = _AUTHORS | _SSM_CFG
    unknown = {
        key: value
        for key, value in (given | ssm).items()
        if key not in words and key not in _HARMLESS and value not in (None, computed.get(key))
    }
    if unknown:
        raise ValueError(
            f"{file} asks for {unknown}, which this model doesn't compute; ignoring it would give "
            "wrong logits"
        )
    theirs = {words[key]: value for key, value in (given | ssm).items() if key in words}
    return theirs | {"vocab_size": -(-given["vocab_size"] // padded) * padded}


def read_config(path: Path) -> MambaConfig:
    """The configuration in a folder's config.json.

    Raises:
        ValueError: if it asks for something that this model doesn't compute, or what should be
            a number is none.
    """
    file = path / "config.json"
    written = read_json(file)
    if is_authors(written):
        written = _in_transformers_words(file, written)
    given = _DEFAULTS | written
    sizes = ["hidden_size", "num_hidden_layers", "vocab_size", "state_size", "conv_kernel"]
    for key in [*sizes, "expand"]:
        if type(given[key]) is not int:
            raise ValueError(f"{file} must give {key} as a whole number: got {given[key]!r}")
    for key in ("layer_norm_epsilon", "time_step_min", "time_step_max"):
        if not isinstance(given[key], int | float):
            raise ValueError(f"{file} must give {key} as a number: got {given[key]!r}")
    if (rank := given["time_step_rank"]) != "auto" and type(rank) is not int:
        raise ValueError(f"{file} must give time_step_rank as 'auto' or a size: got {rank!r}")
    activation = "silu" if given["hidden_act"] == "swish" else given["hidden_act"]
    d_inner = given["expand"] * given["hidden_size"]
    for what, expected, got in [
        ("hidden_act", "silu", activation),
        ("intermediate_size", d_inner, given.get("intermediate_size") or d_inner),
        ("quantization_config", None, given.get("quantization_config")),
    ]:
        if got != expected:
            raise ValueError(
                f"{file} asks for {what} = {got!r}; this model computes {expected!r} only, and "
                "ignoring the difference would give wrong logits"
            )
    return MambaConfig(
        dim=given["hidden_size"],
        n_layers=given["num_hidden_layers"],
        vocab_size=given["vocab_size"],
        d_state=given["state_size"],
        d_conv=given["conv_kernel"],
        expand=given["expand"],
        dt_rank=None if rank == "auto" else rank,
        bias=given["use_bias"],
        conv_bias=given["use_conv_bias"],
        norm_eps=fraction(given["layer_norm_epsilon"]),
        tie_embeddings=given["tie_word_embeddings"],
        dt_min=fraction(given["time_step_min"]),
        dt_max=fraction(given["time_step_max"]),
        residual_in_fp32=given["residual_in_fp32"],
    )


def load_mamba(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Mamba:
    """Load a folder of `save_pretrained`, by either; arguments and errors as in `mixlab.load`."""
    path = Path(path)
    config = read_config(path)
    old = sorted(path.glob("pytorch_model*.bin"))
    if old and not any(path.glob("model*.safetensors")):
        stored = {name: tensor for file in old for name, tensor in open_bin(file).items()}
    else:
        stored = open_safetensors(find_safetensors(path, "model"))
    return build(config, renamed(stored, NAMES), dtype=dtype, device=device, source=str(path))
