"""Values between two processes that don't trust each other: numbers, text, arrays, tensors, lists.

A message is one piece of JSON and, behind it, the contents of its arrays. Nothing that arrives can
name a class or run code, as a pickle would. What has no form of its own here, such as a function or
an object of a class that somebody wrote, stays at home; the other side gets its number.
"""

import itertools
import json
import numbers
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator, MappingView
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from multiprocessing.connection import Connection

import numpy as np
import torch

from mixlab.checks.messages import TooCostly

LARGEST = 64 * 2**20  # bytes of one message
MOST_OF_AN_ITERATOR = 100_000
_LARGE = 2**63  # from here on Python takes long to write a number in tens, or refuses
_LENGTH = struct.Struct("!I")
PLAIN = frozenset({str, int, float, bool, type(None)})
_TENSORS = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8),
        *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
        *(torch.complex128, torch.complex64),
    )
}


class BadMessage(Exception):
    """What arrived is no message; the other side is broken, or lies."""


class Gone(Exception):
    """The other side has ended, or the connection to it."""


class Borrowed:
    """What stays at the other side's home."""


class Writer:
    """Collects one message.

    Attributes:
        arrays: the tensors and arrays that were written, in order.
    """

    def __init__(self, number_of: Callable[[object], tuple]):
        self._number_of = number_of
        self._contents: list[bytes] = []
        self.arrays: list = []

    def message(self, parts: list) -> bytes:
        """The whole message. Each of `parts` is a value of `write`'s, or a list of such."""
        head = json.dumps([parts, [len(one) for one in self._contents]]).encode()
        return b"".join([_LENGTH.pack(len(head)), head, *self._contents])

    def _append(self, content: bytes) -> int:
        self._contents.append(content)
        return len(self._contents) - 1

    def write(self, value):
        """A value in a form for JSON: itself, or a list that begins with the name of its form."""
        kind = type(value)
        if kind in PLAIN and (kind is not int or -_LARGE < value < _LARGE):
            return value
        if kind in _PLAIN_FORMS:  # most that comes, and soon told from all that is rarer
            return _PLAIN_FORMS[kind](self, value)
        if isinstance(value, Borrowed) or callable(value) or _has_ways_of_its_own(kind):
            return ["object", *self._number_of(value)]
        for kinds, form in _FORMS:
            if isinstance(value, kinds):
                return form(self, value)
        if hasattr(kind, "__array__"):
            return self._array(np.asarray(value))
        with suppress(TypeError, ValueError):
            return self._array(np.asarray(memoryview(value)))
        return ["object", *self._number_of(value)]

    def _list(self, value) -> list:
        form = "tuple" if isinstance(value, tuple) else "list"
        return [form, [self.write(part) for part in value]]

    def _dict(self, value: dict) -> list:
        return ["dict", [[self.write(key), self.write(part)] for key, part in value.items()]]

    def _set(self, value) -> list:
        return ["set", [self.write(part) for part in value]]

    def _view(self, value) -> list:
        """Anything in a row that is neither a list nor a tuple."""
        return ["row", [self.write(part) for part in value]]

    def _iterator(self, value: Iterator) -> list:
        parts = itertools.islice(value, MOST_OF_AN_ITERATOR)
        return ["iterator", [self.write(part) for part in parts]]

    def _range(self, value: range) -> list:
        return ["range", value.start, value.stop, value.step]

    def _integer(self, value: int) -> int | list:
        value = int(value)
        return value if -_LARGE < value < _LARGE else ["integer", hex(value)]

    def _fraction(self, value: Fraction) -> list:
        return ["fraction", hex(value.numerator), hex(value.denominator)]

    def _scalar(self, value: np.generic) -> list:
        return ["scalar", *self._array(np.asarray(value))[1:]]

    def _array(self, value: np.ndarray) -> list:
        value = np.asarray(value)
        if value.dtype == object:
            return ["objects", list(value.shape), [self.write(part) for part in value.ravel()]]
        if value.dtype.kind not in "biufcUS":
            return ["object", *self._number_of(value)]
        self.arrays.append(value)
        place = self._append(value.astype(value.dtype.newbyteorder("=")).tobytes())
        return ["array", value.dtype.newbyteorder("=").str, list(value.shape), place]

    def _tensor(self, value: torch.Tensor) -> list:
        name = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.is_meta or name not in _TENSORS:
            return ["object", *self._number_of(value)]
        self.arrays.append(value)
        plain = torch.empty(value.shape, dtype=value.dtype).copy_(value.detach())
        content = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        return ["tensor", name, list(value.shape), value.requires_grad, self._append(content)]


_PLAIN_FORMS = {list: Writer._list, tuple: Writer._list, dict: Writer._dict}
_FORMS = (
    (torch.Tensor, Writer._tensor),
    (np.generic, Writer._scalar),
    (np.ndarray, Writer._array),
    (bool, lambda writer, value: bool(value)),
    (int, Writer._integer),
    (float, lambda writer, value: float(value)),
    (complex, lambda writer, value: ["complex", value.real, value.imag]),
    (str, lambda writer, value: str(value)),
    (bytes, lambda writer, value: ["bytes", writer._append(value)]),
    (Fraction, Writer._fraction),
    (numbers.Integral, Writer._integer),
    (Decimal, lambda writer, value: ["decimal", str(value)]),
    ((list, tuple), Writer._list),
    (dict, Writer._dict),
    ((set, frozenset), Writer._set),
    (range, Writer._range),
    ((deque, MappingView), Writer._view),
    (Iterator, Writer._iterator),
)


def _has_ways_of_its_own(kind: type) -> bool:
    """Whether it is somebody's own list, say, with methods that a copy wouldn't have."""
    if not issubclass(kind, list | tuple | dict | set | deque | Iterator | np.ndarray):
        return False
    if kind.__module__.partition(".")[0] in {"numpy", *sys.stdlib_module_names}:
        return False
    return any(callable(part) for name, part in vars(kind).items() if not name.startswith("_"))


class Reader:
    """Reads one message.

    Attributes:
        parts: of the message, to be given to `read` where they hold values.
        arrays: (tensor or array, its content) in the order in which they were written.
    """

    def __init__(self, message: bytes, object_of: Callable):
        self._object_of = object_of
        self.arrays: list[tuple] = []
        try:
            end = _LENGTH.size + _LENGTH.unpack_from(message)[0]
            self.parts, lengths = json.loads(message[_LENGTH.size : end])
            ends = [end, *itertools.accumulate(lengths, initial=end)][1:]
            if ends[-1] != len(message) or min(lengths, default=0) < 0:
                raise ValueError("lengths that don't add up")
            self._contents = [message[start:stop] for start, stop in itertools.pairwise(ends)]
        except (struct.error, ValueError, TypeError, RecursionError) as error:
            raise BadMessage(str(error)) from None

    def read(self, form):
        """The value that `Writer.write` put into this form.

        Raises:
            BadMessage: for a form that no writer makes.
        """
        if not isinstance(form, list):
            return form
        try:
            return _READERS[form[0]](self, *form[1:])
        except BadMessage:
            raise
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise BadMessage(f"{type(error).__name__}: {error}") from None

    def _all(self, forms: list) -> list:
        return [self.read(form) for form in forms]

    def _dict(self, pairs: list) -> dict:
        return {self.read(key): self.read(value) for key, value in pairs}

    def _array(self, dtype: str, shape: list[int], place: int) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind not in "biufcUS":
            raise BadMessage(f"an array of {dtype}")
        content = bytearray(self._contents[place])
        if kind.kind == "b":  # of a byte that is neither 0 nor 1 nobody knows what it means
            array = np.frombuffer(content, np.uint8).reshape(shape).astype(bool)
        elif not kind.itemsize:  # texts without a letter
            array = np.zeros(shape, kind)
        else:
            array = np.frombuffer(content, kind).reshape(shape)
        self.arrays.append((array, self._contents[place]))
        return array

    def _scalar(self, dtype: str, shape: list[int], place: int) -> np.generic:
        return self._array(dtype, shape, place)[()]

    def _objects(self, shape: list[int], forms: list) -> np.ndarray:
        array = np.empty(len(forms), object)
        array[:] = self._all(forms)
        return array.reshape(shape)

    def _tensor(self, name: str, shape: list[int], requires_grad: bool, place: int):
        dtype, content = _TENSORS[name], bytearray(self._contents[place])
        if content and dtype == torch.bool:
            tensor = torch.frombuffer(content, dtype=torch.uint8).reshape(shape) != 0
        elif content:
            tensor = torch.frombuffer(content, dtype=dtype).reshape(shape)
        else:
            tensor = torch.empty(shape, dtype=dtype)
            if tensor.numel():
                raise BadMessage("a tensor without its content")
        self.arrays.append((tensor, self._contents[place]))
        return tensor.requires_grad_() if requires_grad else tensor


_READERS = {
    "list": Reader._all,
    "tuple": lambda reader, forms: tuple(reader._all(forms)),
    "dict": Reader._dict,
    "set": lambda reader, forms: set(reader._all(forms)),
    "row": lambda reader, forms: deque(reader._all(forms)),
    "iterator": lambda reader, forms: iter(reader._all(forms)),
    "range": lambda reader, *ends: range(*ends),
    "integer": lambda reader, text: int(text, 16),
    "fraction": lambda reader, above, below: Fraction(int(above, 16), int(below, 16)),
    "complex": lambda reader, real, imaginary: complex(real, imaginary),
    "decimal": lambda reader, text: Decimal(text),
    "bytes": lambda reader, place: reader._contents[place],
    "array": Reader._array,
    "scalar": Reader._scalar,
    "objects": Reader._objects,
    "tensor": Reader._tensor,
    "object": lambda reader, *number: reader._object_of(*number),
}


def changed(arrays: list[tuple]) -> list[int]:
    """Which of a reader's tensors and arrays no longer hold what arrived."""
    found = []
    for number, (array, content) in enumerate(arrays):
        writer = Writer(lambda value: ())
        writer.write(array)
        if writer._contents != [content]:
            found.append(number)
    return found


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
