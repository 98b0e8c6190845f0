"""Values between two processes that don't trust each other: numbers, text, arrays, tensors, lists.

A message is MessagePack, in which nothing that arrives can name a class or run code, as a pickle
would. What MessagePack doesn't know is a list whose head is a mark, the name of a form. What has no
form here either, such as a function or an object of a class that somebody wrote, stays at home; the
other side gets its number.
"""

import numbers
import sys
from collections import deque
from collections.abc import Callable, Iterator, MappingView
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from multiprocessing.connection import Connection

import msgpack
import numpy as np
import torch

from mixlab.checks.messages import TooCostly
from mixlab.examination.scans import Scan

LARGEST = 64 * 2**20  # bytes of one message
MOST_OF_AN_ITERATOR = 100_000
_TEXT = dict(unicode_errors="surrogatepass")
_INSTALLED = {"numpy", *sys.stdlib_module_names}
_TENSORS = {
    name: getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "complex128", "complex64", "bool"),
        *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
    )
}
# The forms of values that consist of others: their kinds, their parts, and the way back.
_FORMS = {
    "integer": (numbers.Integral, lambda n: [hex(int(n))], lambda text: int(text, 16)),
    "fraction": (Fraction, Fraction.as_integer_ratio, Fraction),
    "decimal": (Decimal, lambda number: [str(number)], Decimal),
    "complex": (complex, lambda number: (number.real, number.imag), complex),
    "tuple": (tuple, tuple, lambda *parts: parts),
    "set": ((set, frozenset), tuple, lambda *parts: set(parts)),
    "range": (range, lambda row: (row.start, row.stop, row.step), range),
    "row": ((deque, MappingView), tuple, lambda *parts: deque(parts)),
    "iterator": (Iterator, lambda row: islice(row, MOST_OF_AN_ITERATOR), lambda *row: iter(row)),
    "scan": (Scan, lambda scan: scan.programs, lambda *programs: Scan(programs)),
}


class BadMessage(Exception):
    """What arrived is no message; the other side is broken, or lies."""


class Gone(Exception):
    """The other side has ended, or the connection to it."""


class Borrowed:
    """What stays at the other side's home."""


class Writer:
    """Writes one message.

    Attributes:
        arrays: the tensors and arrays that were written, in order.
    """

    def __init__(self, number_of: Callable[[object], tuple]):
        self._number_of = number_of
        self.arrays: list = []

    def message(self, parts: list) -> bytes:
        """The whole message."""
        return msgpack.packb(parts, default=self._form, strict_types=True, **_TEXT)

    def _form(self, value):
        """Something that MessagePack can't write, in a form that it can."""
        kind = type(value)
        if kind is not tuple and not isinstance(value, Scan):  # these are most that comes
            if isinstance(value, Borrowed) or callable(value) or _has_ways_of_its_own(kind):
                return self._object(value)
            if isinstance(value, torch.Tensor):
                return self._tensor(value)
            if isinstance(value, np.ndarray | np.generic):
                return self._array(value)
            for almost in (float, str, bytes, list, dict):
                if isinstance(value, almost):
                    return almost(value)
        for form, (kinds, parts_of, _) in _FORMS.items():
            if isinstance(value, kinds):
                return [_mark(form), *parts_of(value)]
        try:
            return self._array(value if hasattr(kind, "__array__") else memoryview(value))
        except (TypeError, ValueError):
            return self._object(value)

    def _object(self, value) -> list:
        return [_mark("object"), *self._number_of(value)]

    def _array(self, value) -> list:
        array = np.asarray(value)
        if array.dtype == object:
            return [_mark("objects"), list(array.shape), list(array.ravel())]
        if array.dtype.kind not in "biufcUS":
            return self._object(value)
        self.arrays.append(array)
        form = "scalar" if isinstance(value, np.generic) else "array"
        dtype = array.dtype.newbyteorder("=").str
        return [_mark(form), dtype, list(array.shape), _content(array)]

    def _tensor(self, value: torch.Tensor) -> list:
        name = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.is_meta or name not in _TENSORS:
            return self._object(value)
        self.arrays.append(value)
        return [_mark("tensor"), name, list(value.shape), value.requires_grad, _content(value)]


def _mark(form: str) -> msgpack.ExtType:
    return msgpack.ExtType(0, form.encode())


def _content(value: np.ndarray | torch.Tensor) -> bytes:
    if isinstance(value, np.ndarray):
        return value.astype(value.dtype.newbyteorder("=")).tobytes()
    plain = torch.empty(value.shape, dtype=value.dtype).copy_(value.detach())
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()


def _has_ways_of_its_own(kind: type) -> bool:
    """Whether it is somebody's own list, say, with methods that a copy wouldn't have."""
    if not issubclass(kind, list | tuple | dict | set | deque | Iterator | np.ndarray):
        return False
    if kind.__module__.partition(".")[0] in _INSTALLED:
        return False
    return any(callable(part) for name, part in vars(kind).items() if not name.startswith("_"))


class Reader:
    """Reads one message.

    Attributes:
        parts: of the message; the first is a word.
        arrays: (tensor or array, its content) in the order in which they were written.

    Raises:
        BadMessage: for bytes that no writer makes.
    """

    def __init__(self, message: bytes, object_of: Callable):
        self.arrays: list[tuple] = []
        self._ways = {name: way for name, (*_, way) in _FORMS.items()} | {
            "array": self._array,
            "scalar": lambda *array: self._array(*array)[()],
            "objects": self._objects,
            "tensor": self._tensor,
            "object": object_of,
        }
        try:
            how = dict(list_hook=self._list, strict_map_key=False, **_TEXT)
            self.parts = msgpack.unpackb(message, **how)
            if not isinstance(self.parts, list) or not isinstance(self.parts[0], str):
                raise ValueError("no list with a word at its head")
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise BadMessage(f"{type(error).__name__}: {error}") from None

    def _list(self, parts: list):
        if parts and type(parts[0]) is msgpack.ExtType:
            return self._ways[parts[0].data.decode()](*parts[1:])
        return parts

    def _array(self, dtype: str, shape: list[int], content: bytes) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind not in "biufcUS":
            raise ValueError(f"an array of {dtype}")
        if kind.itemsize:  # a truth value is read as a byte: what one means may be neither 0 nor 1
            flat = np.frombuffer(bytearray(content), np.uint8 if kind.kind == "b" else kind)
        else:  # texts without a letter
            flat = np.zeros(np.prod(shape, dtype=int), kind)
        array = flat.reshape(shape).astype(kind, copy=False)
        self.arrays.append((array, content))
        return array

    def _objects(self, shape: list[int], parts: list) -> np.ndarray:
        array = np.empty(len(parts), object)
        array[:] = parts
        return array.reshape(shape)

    def _tensor(self, name: str, shape: list[int], requires_grad: bool, content: bytes):
        stored = torch.uint8 if name == "bool" else _TENSORS[name]
        flat = torch.empty(0, dtype=stored)
        if content:
            flat = torch.frombuffer(bytearray(content), dtype=stored)
        tensor = flat.reshape(shape).to(_TENSORS[name])
        self.arrays.append((tensor, content))
        return tensor.requires_grad_() if requires_grad else tensor


def changed(arrays: list[tuple]) -> list[int]:
    """Which of a reader's tensors and arrays no longer hold what arrived."""
    return [at for at, (array, content) in enumerate(arrays) if _content(array) != content]


def send(connection: Connection, message: bytes) -> None:
    """Send a message.

    Raises:
        TooCostly: if it is too large.
        Gone: if nobody is there to receive it.
    """
    if len(message) > LARGEST:
        raise TooCostly(
            f"an answer may hand on {LARGEST // 2**20} MB at a time: got {len(message) / 2**20:.0f}"
        )
    try:
        connection.send_bytes(message)
    except OSError as error:
        raise Gone(str(error)) from None


def receive(connection: Connection) -> bytes:
    """Wait for a message.

    Raises:
        Gone: when there will be none, or one that is too large.
    """
    try:
        return connection.recv_bytes(LARGEST)
    except (EOFError, OSError) as error:
        raise Gone(str(error)) from None
