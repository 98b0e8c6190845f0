"""Tensors that still lie in their files: a shape now, the numbers when they are asked for.

safetensors files are memory-mapped: a tensor read from one is a view of the file, and the
operating system fetches its pages when they are first used. Loading a model is then renaming
these views, and costs no memory of its own. A tensor that must be converted is mapped by itself
and let go of at once, so that memory holds the converted weights and one original.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its shape, and the function that reads it.

    `read(keep)` returns the tensor. With keep=True it may be a view of a mapping that all tensors
    of the file share; with keep=False its memory goes when the tensor goes.
    """

    shape: tuple[int, ...]
    read: Callable[[bool], Tensor]

    def map(self, change: Callable[[Tensor], Tensor], copies: bool = False) -> "Stored":
        """This tensor after `change`, which is applied when it is read.

        Args:
            change: a function of the tensor.
            copies: whether its result is a new tensor, not a view.

        >>> Stored((2, 3), lambda keep: torch.zeros(2, 3)).map(torch.t).shape
        (3, 2)
        """
        shape = tuple(change(torch.empty(self.shape, device="meta")).shape)
        return Stored(shape, lambda keep: change(self.read(keep and not copies)))


def rename(name: str, names: Mapping[str, str]) -> str:
    """Look `name` up with {} for each number between dots; unknown names come back as they are.

    >>> rename("blk.3.attn_q.weight", {"blk.{}.attn_q.weight": "layers.{}.attention.wq.weight"})
    'layers.3.attention.wq.weight'
    """
    pattern = re.sub(r"\.\d+(?=\.)", ".{}", name)
    numbers = re.findall(r"\.(\d+)(?=\.)", name)
    return names[pattern].format(*numbers) if pattern in names else name


def renamed(tensors: Mapping[str, Stored], names: Mapping[str, str]) -> dict[str, Stored]:
    """All tensors under their new names, as `rename` gives them.

    Raises:
        ValueError: if two get the same name, of which one would be lost.
    """
    found: dict[str, Stored] = {}
    for name, tensor in tensors.items():
        if (ours := rename(name, names)) in found:
            raise ValueError(
                f"{name} is another name of {ours}, which the file holds already: expected it "
                "once. Are there two models in one file?"
            )
        found[ours] = tensor
    return found


def existing(path: str | Path) -> Path:
    """The path of what is there.

    Raises:
        FileNotFoundError: if nothing is; the message says what else the text may have meant.
    """
    path = Path(path)
    if path.exists():
        return path
    if re.fullmatch(r"[\w-]+/[\w.-]+", str(path)) and path.suffix != ".gguf":
        raise FileNotFoundError(
            f"no model at {path}: is it a name on a model hub? This library downloads nothing; "
            f"fetch it first, as with `hf download {path} --local-dir models`, and give the folder"
        )
    raise FileNotFoundError(
        f"no model at {path}: expected a folder with config.json, or a .gguf file. The course's "
        "own weights are at mixlab.smollm2()"
    )


def refuse_pointer(file: Path) -> None:
    """Raise ValueError if Git LFS left a note in the place of the file."""
    with file.open("rb") as opened:
        if opened.read(40).startswith(b"version https://git-lfs"):
            raise ValueError(
                f"{file} is a Git LFS pointer, a note of where the file is: expected the file "
                "itself. Run `git lfs pull` in its repository, or download it"
            )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: if the file isn't one.
    """
    refuse_pointer(path)
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); copy or download it again") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path} must hold a JSON object: got {type(given).__name__}")
    return given


def fraction(given: object) -> object:
    """JSON writes 10000.0 as 10000, too: a whole number becomes a float, all else stays.

    >>> fraction(10_000), fraction("1e4")
    (10000.0, '1e4')
    """
    return float(given) if isinstance(given, int) else given


def find_safetensors(folder: Path, stem: str) -> list[Path]:
    """The files of one checkpoint: `stem`.safetensors, or its shards, by the index if there is one.

    Args:
        folder: where they lie; it may hold another checkpoint under another stem.
        stem: "model" for Hugging Face, "consolidated" for Mistral.

    Raises:
        ValueError: if there is none, shards are missing, or the index is none.
    """
    whole = folder / f"{stem}.safetensors"
    if (index := folder / f"{stem}.safetensors.index.json").exists():
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(name, str) and Path(name).name == name for name in weight_map.values()
        ):
            raise ValueError(
                f"{index} must map tensors to files beside it under 'weight_map': got "
                f"{str(weight_map)[:80]}. Copy or download it again"
            )
        named = sorted(set(weight_map.values()))
        if absent := [name for name in named if not (folder / name).exists()]:
            if whole.exists():  # the folder was saved again, and its old index stayed
                return [whole]
            raise ValueError(
                f"{index.name} names files that are not in {folder}: {', '.join(absent)}. "
                "Was the download cut short?"
            )
        return [folder / name for name in named]
    if whole.exists():
        return [whole]
    if shards := sorted(folder.glob(f"{stem}*.safetensors")):
        return shards
    raise ValueError(
        f"{folder} holds no {stem}*.safetensors file: found "
        f"{sorted(p.name for p in folder.iterdir())[:8]}. Older .bin, .pt and .pth checkpoints "
        "can run code when they are read; convert one with transformers' save_pretrained"
    )


def open_bin(file: Path) -> dict[str, Stored]:
    """Every tensor of a PyTorch .bin file, memory-mapped; PyTorch refuses what isn't a tensor.

    Raises:
        ValueError: if the file is damaged, or holds anything but named tensors.
    """
    mapped = is_zipfile(file)  # what PyTorch before 1.6 wrote can't be
    try:
        # weights_only: such files are pickles, and a pickle can run code.
        loaded = torch.load(file, map_location="cpu", mmap=mapped, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, OSError) as error:
        raise ValueError(
            f"{file} holds no tensors alone, or is damaged ({str(error)[:80]}); it has "
            f"{file.stat().st_size:,} bytes. Copy or download it again"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(x, Tensor) for x in loaded.values()):
        raise ValueError(f"{file} must hold named tensors, a state dict: got {type(loaded)}")
    return {name: Stored(tuple(x.shape), lambda _, x=x: x) for name, x in loaded.items()}


def open_safetensors(files: list[Path]) -> dict[str, Stored]:
    """Every tensor of some safetensors files, memory-mapped, under the files' own names.

    Raises:
        ValueError: if a file is truncated, or two files hold one name.
    """
    tensors: dict[str, Stored] = {}
    for file in files:
        try:
            opened = safe_open(file, framework="pt")
        except SafetensorError as error:
            raise ValueError(
                f"{file} is not a whole safetensors file ({error}); it has "
                f"{file.stat().st_size:,} bytes. Copy or download it again"
            ) from error
        for name in opened.keys():  # noqa: SIM118, it is no dict
            if name in tensors:
                raise ValueError(
                    f"{file.name} holds {name}, which another file of {file.parent} holds too: "
                    "expected each tensor once. Are there two models in one folder, or slices "
                    "made for tensor parallelism?"
                )
            shape = tuple(opened.get_slice(name).get_shape())
            tensors[name] = Stored(shape, _reader(opened, file, name))
    return tensors


def _reader(opened: safe_open, file: Path, name: str) -> Callable[[bool], Tensor]:
    def read(keep: bool) -> Tensor:
        if keep:
            return opened.get_tensor(name)
        with safe_open(file, framework="pt") as alone:
            return alone.get_tensor(name)

    return read
