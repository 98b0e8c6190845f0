"""Models, tokenizers and chat forms from files, and models back into them.

Each file format has a module of its own; this one looks at a path and picks.
"""

from pathlib import Path

import torch
from torch import nn

from mixlab.weights.chat import chat, stop_tokens
from mixlab.weights.packaged import smollm2
from mixlab.weights.save import save
from mixlab.weights.stored import existing, read_json
from mixlab.weights.tokenizer import tokenizer

__all__ = ["chat", "load", "save", "smollm2", "stop_tokens", "tokenizer"]
# Of config.json's model_type, those that transformer.py computes.
FAMILIES = ("mistral", "ministral", "mixtral", "llama")


def load(
    path: str | Path,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    keep_quantised: bool = False,
) -> nn.Module:
    """Load a model; calling it maps tokens (batch, seq) to logits (batch, seq, vocab).

    Args:
        path: a Hugging Face folder of Mistral, Mixtral, Llama or Mamba (`config.json` and
            safetensors), a folder in Mistral's own format (`params.json` and consolidated
            safetensors) or in that of Mamba's authors (`config.json` with `ssm_cfg`), or a GGUF
            file of the llama family or of Mamba. Mamba's tensors may be `pytorch_model.bin`.
        dtype: of the parameters; by default as stored, and float32 for GGUF files. Tensors that
            need no conversion stay memory-mapped, and take memory when they are first used.
        device: where to put them; the CPU by default.
        keep_quantised: for a GGUF file of the llama family with quantised tensors (Q8_0, Q4_1, …),
            on a CPU: keep matrices in 8 bits, a quarter of float32's memory (an embedding that is
            the output layer too is there twice). They are rounded once more, from a scale a block
            to a scale a row; `mixlab.transformer.quantised` says what that costs.

    Returns:
        The model, in evaluation mode; its parameters want no gradient until
        `requires_grad_(True)`.

    Raises:
        FileNotFoundError: if nothing is at `path`.
        ValueError: if the format or the model family is unknown, a file is truncated, tensors are
            missing, surplus or misshapen (the message names them), or of several dtypes and none
            is chosen; if there is nothing quantised to keep, or it can't be kept.
    """
    path = existing(path)
    if path.is_file():
        return _load_gguf(path, dtype, device, keep_quantised)
    if keep_quantised:
        raise ValueError(
            f"keep_quantised=True keeps what a GGUF file has quantised: got the folder {path}, "
            "whose tensors are floats. mixlab.transformer.quantised.quantise(model) puts any "
            "loaded transformer into 8 bits"
        )
    if (path / "config.json").is_file():
        return _load_config_json(path, dtype, device)
    if (path / "params.json").is_file():
        from mixlab.weights.mistral import load_mistral

        return load_mistral(path, dtype=dtype, device=device)
    raise ValueError(
        f"{path} holds neither config.json nor params.json, so it is no model folder: found "
        f"{sorted(p.name for p in path.iterdir())[:8]}. Is it the folder above or below?"
    )


def _load_gguf(path: Path, dtype, device, keep_quantised: bool) -> nn.Module:
    from mixlab.weights.gguf_file import open_parts, read_field

    family = read_field(open_parts(path)[0], "general.architecture")
    if family == "llama":
        from mixlab.weights.gguf import load_gguf

        return load_gguf(path, dtype=dtype, device=device, keep_quantised=keep_quantised)
    if family == "mamba" and keep_quantised:
        raise ValueError(
            f"keep_quantised=True is for transformers, and {path} holds a Mamba: load it without"
        )
    if family == "mamba":
        from mixlab.weights.mamba_gguf import load_mamba_gguf

        return load_mamba_gguf(path, dtype=dtype, device=device)
    raise ValueError(
        f"{path} holds a model of architecture {family!r}: expected 'llama', the name under which "
        "Mistral, Mixtral and SmolLM are stored, or 'mamba'. Other architectures need other code"
    )


def _load_config_json(path: Path, dtype, device) -> nn.Module:
    config = read_json(path / "config.json")
    family = config.get("model_type")
    if family in FAMILIES:
        if not any(path.glob("model*.safetensors")) and any(path.glob("consolidated*.safetensors")):
            from mixlab.weights.mistral import load_mistral

            return load_mistral(path, dtype=dtype, device=device)
        from mixlab.weights.huggingface import load_huggingface

        return load_huggingface(path, dtype=dtype, device=device)
    from mixlab.weights.mamba import is_authors, load_mamba

    if family == "mamba" or is_authors(config):
        return load_mamba(path, dtype=dtype, device=device)
    raise ValueError(
        f"config.json names the model family {family!r}: this library loads "
        f"{', '.join(map(repr, FAMILIES))} and 'mamba'. Other families compute other things from "
        "the same tensors, so loading one anyway would give wrong logits without an error"
    )
