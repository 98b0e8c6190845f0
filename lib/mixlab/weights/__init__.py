"""Reading models and tokenizers from files: `load`, `tokenizer`, `smollm2`.

Each file format has a module of its own; this one looks at a path and picks.
"""

import json
from pathlib import Path

import torch
from torch import nn

from mixlab.weights.packaged import smollm2
from mixlab.weights.tokenizer import tokenizer

__all__ = ["load", "smollm2", "tokenizer"]


def load(
    path: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> nn.Module:
    """Load a model; calling it maps tokens (batch, seq) to logits (batch, seq, vocab).

    Args:
        path: a Hugging Face folder of Mistral (`config.json` and safetensors) or a GGUF file of
            the llama family.
        dtype: of the parameters; by default as stored, and float32 for quantised GGUF files.
        device: where to put them; the CPU by default.

    Returns:
        The model, in evaluation mode.

    Raises:
        FileNotFoundError: if nothing is at `path`.
        ValueError: if the format or the model family is unknown, a file is truncated, or tensors
            are missing, surplus or misshapen; the message names them.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"no model at {path}: expected a folder with config.json, or a .gguf file. The "
            "course's own weights are at mixlab.smollm2()"
        )
    if path.is_file():
        from mixlab.weights.gguf import load_gguf

        return load_gguf(path, dtype=dtype, device=device)
    if not (path / "config.json").exists():
        raise ValueError(
            f"{path} holds no config.json, so it is no Hugging Face model folder: found "
            f"{sorted(p.name for p in path.iterdir())[:8]}. Is it the folder above or below?"
        )
    family = json.loads((path / "config.json").read_text()).get("model_type")
    if family == "mistral":
        from mixlab.weights.huggingface import load_huggingface

        return load_huggingface(path, dtype=dtype, device=device)
    raise ValueError(
        f"config.json names the model family {family!r}: this library loads 'mistral'. Other "
        "families compute other things from the same tensors, so loading one anyway would give "
        "wrong logits without an error"
    )
