"""Load a GGUF file of Mamba.

llama.cpp stores A itself, which is negative, where the model learns log(-A), and the convolution
without the axis that has one channel a group. Source: llama.cpp's `convert_hf_to_gguf.py`, its
class for Mamba.
"""

from collections.abc import Collection
from pathlib import Path

import torch
from gguf import GGUFReader

from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
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
    _BLOCK + "attn_norm.weight": _LAYER + "norm.weight",
    _BLOCK + "ssm_a": _LAYER + "mixer.A_log",
    _BLOCK + "ssm_d": _LAYER + "mixer.D",
    _BLOCK + "ssm_conv1d.weight": _LAYER + "mixer.conv1d.weight",
    _BLOCK + "ssm_conv1d.bias": _LAYER + "mixer.conv1d.bias",
    _BLOCK + "ssm_dt.weight": _LAYER + "mixer.dt_proj.weight",
    _BLOCK + "ssm_dt.bias": _LAYER + "mixer.dt_proj.bias",
    _BLOCK + "ssm_x.weight": _LAYER + "mixer.x_proj.weight",
    _BLOCK + "ssm_in.weight": _LAYER + "mixer.in_proj.weight",
    _BLOCK + "ssm_out.weight": _LAYER + "mixer.out_proj.weight",
}
_READ = """block_count context_length embedding_length vocab_size ssm.conv_kernel ssm.inner_size
    ssm.state_size ssm.time_step_rank attention.layer_norm_rms_epsilon""".split()


def read_config(reader: GGUFReader, names: Collection[str]) -> MambaConfig:
    """The configuration in the file's metadata, for tensors of these names.

    Raises:
        ValueError: if the file says too little, or asks for something that this model doesn't
            compute.
    """

    def required(key):
        return required_field(reader, f"mamba.{key}")

    dim, d_inner = required("embedding_length"), required("ssm.inner_size")
    if d_inner % dim:
        raise ValueError(
            "this model is a whole number of times as wide inside as outside: got mamba."
            f"ssm.inner_size = {d_inner} and mamba.embedding_length = {dim}"
        )
    refuse_unknown(reader, "mamba", _READ)
    tokens = read_field(reader, "tokenizer.ggml.tokens", [])
    return MambaConfig(
        dim=dim,
        n_layers=required("block_count"),
        vocab_size=read_field(reader, "mamba.vocab_size") or len(tokens),
        d_state=required("ssm.state_size"),
        d_conv=required("ssm.conv_kernel"),
        expand=d_inner // dim,
        dt_rank=required("ssm.time_step_rank"),
        conv_bias="blk.0.ssm_conv1d.bias" in names,
        # Stored as float32: 1e-5 would come back as 9.99999974e-06.
        norm_eps=round(float(required("attention.layer_norm_rms_epsilon")), 12),
        tie_embeddings="output.weight" not in names,
    )


def load_mamba_gguf(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Mamba:
    """Load a GGUF file of Mamba; arguments and errors as in `mixlab.load`."""
    readers = open_parts(path)
    found = {tensor.name: tensor for reader in readers for tensor in reader.tensors}
    config = read_config(readers[0], found)
    tensors = {}
    for theirs, tensor in found.items():
        name, stored = rename(theirs, _NAMES), stored_tensor(tensor, path)
        if name.endswith("A_log"):
            stored = stored.map(lambda a: (-a).log(), copies=True)
        if name.endswith("conv1d.weight"):
            stored = stored.map(lambda weight: weight[:, None])
        tensors[name] = stored
    return build(config, tensors, dtype=dtype, device=device, source=str(path))
