"""Open GGUF files: their metadata by key, their tensors, which stay on disk until they are read.

GGUF is llama.cpp's format, one file with configuration, tokenizer and weights; these are usually
quantised in blocks, 4 or 8 bits a number with a scale a block. The `gguf` package, from the same
authors, reads and dequantises them. Source: the format's specification, in the ggml project's docs.
"""

import re
import sys
from collections.abc import Collection
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, ReaderTensor, dequantize
from torch import Tensor

from mixlab.weights.stored import Stored


class _Reader(GGUFReader):
    """A reader whose file is a plain array: of a memmap, each of the hundred thousand words of a
    vocabulary is another one, and to make these takes most of the time. It stays mapped."""

    @property
    def data(self) -> np.ndarray:
        return self._data

    @data.setter
    def data(self, mapped: np.memmap) -> None:
        self._data = mapped.view(np.ndarray)


def open_gguf(path: str | Path) -> GGUFReader:
    """Open a GGUF file; tensors stay on disk until they are read.

    Reading the metadata takes seconds, so what model, tokenizer and chat form of one file come out
    of is one reader.

    Raises:
        ValueError: if the file is not GGUF or is cut short.
    """
    path = Path(path).resolve()
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, mtime_ns: int, size: int) -> GGUFReader:
    """The reader of a file as it stands: another time or size is another file."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ValueError(
            f"{path} is not a GGUF file: expected it to begin with b'GGUF', got {magic!r}. "
            "Models in other formats are folders: give the one that holds it"
        )
    try:
        reader = _Reader(path)
    except Exception as error:
        if "is not a valid GGMLQuantizationType" in str(error):
            raise ValueError(
                f"{path} stores a tensor in a type that the installed gguf {version('gguf')} "
                f"doesn't know yet ({error}). Use a file of type F32, F16, BF16, Q8_0 or Q4_1"
            ) from error
        # The reader maps the file and fails in many ways where the bytes end early.
        raise ValueError(
            f"{path} is a damaged or truncated GGUF file ({type(error).__name__}: {error}); it "
            f"has {size:,} bytes. Copy or download it again"
        ) from error
    if reader.endianess.name.lower() != sys.byteorder:
        raise ValueError(
            f"{path} is written for {reader.endianess.name.lower()}-endian machines, and this one "
            f"is {sys.byteorder}-endian: convert it with gguf-convert-endian, which comes with gguf"
        )
    return reader


def open_parts(path: str | Path) -> list[GGUFReader]:
    """Open a GGUF file, or all parts of one that was split; the first holds the metadata.

    Args:
        path: of the file, or of any of its parts.

    Raises:
        ValueError: if a part is missing, or as `open_gguf` raises.
    """
    path = Path(path)
    named = re.fullmatch(r"(.+)-(\d{5})-of-(\d{5})\.gguf", path.name)
    if not named:
        reader = open_gguf(path)
        if (parts := read_field(reader, "split.count", 1)) > 1:
            raise ValueError(
                f"{path} is one of {parts} parts of a file, and not called so: expected a name "
                f"such as model-00001-of-{parts:05}.gguf, with the others beside it"
            )
        return [reader]
    files = [
        path.with_name(f"{named[1]}-{part:05}-of-{named[3]}.gguf")
        for part in range(1, int(named[3]) + 1)
    ]
    if absent := [file.name for file in files if not file.exists()]:
        raise ValueError(
            f"{path} is a part of a split file, and {', '.join(absent)} isn't in {path.parent}: "
            "copy or download all parts"
        )
    return [open_gguf(file) for file in files]


def read_field(reader: GGUFReader, key: str, default: Any = None) -> Any:
    """The value under `key` in the file's metadata, or `default`."""
    field = reader.get_field(key)
    return default if field is None else field.contents()


def required_field(reader: GGUFReader, key: str) -> Any:
    """The value under `key` in the file's metadata.

    Raises:
        ValueError: if it isn't there.
    """
    if (found := read_field(reader, key)) is None:
        raise ValueError(
            f"this GGUF file doesn't say {key}, which a model can't be built without; was its "
            "metadata stripped? Convert the model again"
        )
    return found


def refuse_unknown(reader: GGUFReader, family: str, known: Collection[str]) -> None:
    """Raise ValueError if the file asks for something of `family` that is not among `known`."""
    for key in reader.fields:
        asked = key.removeprefix(f"{family}.")
        if asked != key and asked not in known and (found := read_field(reader, key)):
            raise ValueError(
                f"this GGUF file asks for {key} = {found!r}, which this model doesn't compute, and "
                "ignoring it could give wrong logits"
            )


def stored_tensor(tensor: ReaderTensor, path: str | Path) -> Stored:
    """A tensor of the file, dequantised to float32 when it is read.

    Raises:
        ValueError: on reading, if the installed package can't dequantise the tensor's type.
    """

    def read(keep: bool) -> Tensor:
        try:
            return torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type)))
        except NotImplementedError as error:
            raise ValueError(
                f"{path}: tensor {tensor.name} is stored as {tensor.tensor_type.name}, which the "
                "gguf package can't dequantise. Use a file of type F32, F16, BF16, Q8_0, Q4_1 "
                "or another that it can"
            ) from error

    # GGUF lists the fastest axis first; the array comes back in the usual order.
    return Stored(tuple(int(size) for size in reversed(tensor.shape)), read)
