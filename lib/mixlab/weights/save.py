"""Save a Transformer as a Hugging Face folder of Mistral or Mixtral that transformers loads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mixlab.common.quantised import QuantisedEmbedding
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.weights.huggingface import NAMES
from mixlab.weights.stored import rename

_THEIRS = {ours: theirs for theirs, ours in NAMES.items()}


def save(model: nn.Module, folder: str | Path, max_shard_bytes: int = 5_000_000_000) -> None:
    """Write config.json and safetensors files, in the parameters' own dtype.

    An older checkpoint in the folder is replaced once the new one is written whole, so a model
    may be saved over the files that it is mapped from. The tokenizer is not the model's: copy it.

    Args:
        model: a Transformer, dense or with experts.
        folder: made if it isn't there.
        max_shard_bytes: start another file where one would grow larger; one file if all fits.

    Raises:
        ValueError: if `model` is no Transformer, or in 8 bits, or its layers have different
            windows, which this format can't say.

    >>> import tempfile
    >>> from mixlab.weights import load
    >>> model = Transformer(TransformerConfig.tiny(window=8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, folder)
    ...     load(folder).config == model.config
    True
    """
    if not isinstance(model, Transformer):
        raise ValueError(
            f"only a Transformer can be saved as Mistral or Mixtral: got {type(model).__name__}"
        )
    if isinstance(model.tok_embeddings, QuantisedEmbedding):
        raise ValueError(
            "this model's matrices were rounded to 8 bits, which the format has no place for: save "
            "the model that it was made from, or load that without keep_quantised"
        )
    config = describe(model.config, next(model.parameters()).dtype)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shards = list(_shards(model, max_shard_bytes))
    names = [f"model-{n + 1:05}-of-{len(shards):05}.safetensors" for n in range(len(shards))]
    if len(shards) == 1:
        names = ["model.safetensors"]
    for name, shard in zip(names, shards, strict=True):
        whole = {tensor_name: tensor.contiguous() for tensor_name, tensor in shard.items()}
        save_file(whole, folder / f".{name}.partial", metadata={"format": "pt"})
    for pattern in (
        "model.safetensors",
        "model-*-of-*.safetensors",
        "model.safetensors.index.json",
    ):
        for old in folder.glob(pattern):
            old.unlink()
    for name in names:
        (folder / f".{name}.partial").replace(folder / name)
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(_bytes(t) for shard in shards for t in shard.values())},
            "weight_map": {
                t: name for name, shard in zip(names, shards, strict=True) for t in shard
            },
        }
        _write_json(folder / "model.safetensors.index.json", index)
    _write_json(folder / "config.json", config)


def describe(config: TransformerConfig, dtype: torch.dtype) -> dict[str, Any]:
    """The config.json of a model, as transformers reads it.

    Raises:
        ValueError: if the layers have different windows.

    >>> describe(TransformerConfig.mixtral_8x7b(), torch.bfloat16)["num_local_experts"]
    8
    """
    if len(set(config.layer_windows)) > 1:
        raise ValueError(
            "Hugging Face's Mistral has one window for all layers: got "
            f"{config.layer_windows}. Call set_window with one number, or None, before saving"
        )
    sparse = config.n_experts > 1
    described = {
        "architectures": ["MixtralForCausalLM" if sparse else "MistralForCausalLM"],
        "model_type": "mixtral" if sparse else "mistral",
        "hidden_size": config.dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.hidden_dim,
        "hidden_act": "silu",
        "vocab_size": config.vocab_size,
        "sliding_window": config.layer_windows[0],
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "max_position_embeddings": config.max_seq,
        "attention_dropout": 0.0,
        "dtype": str(dtype).removeprefix("torch."),
    }
    if sparse:
        described |= {
            "num_local_experts": config.n_experts,
            "num_experts_per_tok": config.experts_per_token,
        }
    return described


def _shards(model: Transformer, max_bytes: int) -> Iterator[dict[str, Tensor]]:
    """The tensors under Hugging Face's names, in pieces of at most `max_bytes` or one tensor."""
    shard, size = {}, 0
    for name, tensor in model.state_dict().items():
        if name == "output.weight" and model.config.tie_embeddings:
            continue
        if shard and size + _bytes(tensor) > max_bytes:
            yield shard
            shard, size = {}, 0
        shard[rename(name, _THEIRS)] = tensor
        size += _bytes(tensor)
    yield shard


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
