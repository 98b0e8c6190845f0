"""Load a Hugging Face folder of Mamba: config.json beside one or many safetensors files.

Source of the names: the checkpoint of mamba-130m-hf. Keys that config.json leaves out have the
defaults of transformers, because that is what the writer of the file relied on.
"""

from pathlib import Path

import torch

from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.weights.assign import build
from mixlab.weights.stored import find_safetensors, fraction, open_safetensors, read_json, rename

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


def read_config(path: Path) -> MambaConfig:
    """The configuration in a folder's config.json.

    Raises:
        ValueError: if it asks for something that this model doesn't compute, or what should be
            a number is none.
    """
    file = path / "config.json"
    given = _DEFAULTS | read_json(file)
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
        bias=bool(given["use_bias"]),
        conv_bias=bool(given["use_conv_bias"]),
        norm_eps=fraction(given["layer_norm_epsilon"]),
        tie_embeddings=bool(given["tie_word_embeddings"]),
        dt_min=fraction(given["time_step_min"]),
        dt_max=fraction(given["time_step_max"]),
        residual_in_fp32=bool(given["residual_in_fp32"]),
    )


def load_mamba(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Mamba:
    """Load a folder written by `save_pretrained`; arguments and errors as in `mixlab.load`."""
    path = Path(path)
    stored = open_safetensors(find_safetensors(path, "model"))
    tensors = {rename(name, NAMES): tensor for name, tensor in stored.items()}
    return build(read_config(path), tensors, dtype=dtype, device=device, source=str(path))
