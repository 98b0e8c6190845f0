"""A training run in one file: parameters, the optimizer's memory, the generator, and a description.

The file is safetensors, which runs no code when it is read; what is no tensor lies in its header
as JSON. It is written beside the old one and then renamed over it, which a file system does
whole or not at all, so that a run killed at any moment can go on.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

_KEY = "training"


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator | None,
    description: dict[str, Any],
) -> None:
    """Write a checkpoint, replacing an older one at `path`.

    Args:
        path: the file; its folder is made if it isn't there.
        model: whose parameters and buffers are written, each once, though layers may share it.
        optimizer: whose parameters are the model's.
        generator: whose state is written, if there is one.
        description: anything that JSON can hold.
    """
    tensors = {f"model.{name}": tensor for name, tensor in _state(model).items()}
    for name, memory in _memories(model, optimizer).items():
        tensors |= {f"optimizer.{key}.{name}": value for key, value in memory.items()}
    if generator is not None:
        tensors["generator"] = generator.get_state()
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    save_file(tensors, partial, metadata={_KEY: json.dumps(description)})
    partial.replace(path)


def read_description(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` was given to describe the run.

    Raises:
        ValueError: if the file is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): expected a training checkpoint") from error
    if _KEY not in metadata:
        raise ValueError(
            f"{path} is no training checkpoint: it holds tensors but no description of a run. "
            "Give the training loop a path of its own"
        )
    return json.loads(metadata[_KEY])


def restore_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator | None,
) -> None:
    """Put a checkpoint back into the model, optimizer and generator that it was written from.

    Raises:
        ValueError: if it is of another model, or was written without a generator.
    """
    with safe_open(path, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    ours = {f"model.{name}": tensor for name, tensor in _state(model).items()}
    theirs = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    differing = ours.keys() ^ theirs.keys() or {
        name for name, tensor in ours.items() if tensor.shape != theirs[name].shape
    }
    if differing:
        raise ValueError(
            f"{path} holds another model, which differs in {', '.join(sorted(differing)[:4])}. "
            "Delete it or give another path"
        )
    if generator is not None and "generator" not in tensors:
        raise ValueError(
            f"{path} was written without a generator, so where its batches stood is unknown"
        )
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(theirs[name])
    memories: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, kind, name = key.split(".", 2)
            memories.setdefault(name, {})[kind] = tensor.clone()
    described = optimizer.state_dict()
    described["state"] = {
        number: memories[name]
        for number, name in enumerate(_names(model, optimizer))
        if name in memories
    }
    optimizer.load_state_dict(described)
    if generator is not None:
        generator.set_state(tensors["generator"].clone())


def _state(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """The names of the optimizer's parameters, in its own order."""
    named = {parameter: name for name, parameter in model.named_parameters()}
    return [named[p] for group in optimizer.param_groups for p in group["params"]]


def _memories(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    memories = optimizer.state_dict()["state"]
    return {
        name: memories[number]
        for number, name in enumerate(_names(model, optimizer))
        if number in memories
    }
