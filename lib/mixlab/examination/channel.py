"""Call what lives in another process, as if it were here.

A check that is graded runs in two processes. The examiner draws the inputs and reads the results;
the candidate holds the answer. Each lends the other functions and objects: the answer to the one,
and to the other whatever the exercise hands over to be called, such as a scan to be judged. What is
lent stays at home. A call is a message there and one back; in between, calls may go the other way.
Gradients pass through: whoever differentiates a borrowed function has it differentiated at home.
"""

import builtins
import threading
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from mixlab.checks.messages import CheckFailed, TooCostly, Unreadable
from mixlab.examination.derivatives import call_followed, derivative, followed
from mixlab.examination.wire import (
    BadMessage,
    Borrowed,
    Gone,
    Reader,
    Writer,
    changed,
    receive,
    send,
)

_OWN_ERRORS = {kind.__name__: kind for kind in (CheckFailed, TooCostly, Unreadable)}
_PLAIN = frozenset({str, int, float, bool, type(None)})
_SHOWN = 200  # characters of what is shown of an object that stays at home


class Raised(BaseException):
    """The other side raised an error. No `except Exception` here may take it for one of its own."""


class Remote(Borrowed):
    """An object of the other side."""

    def __init__(self, channel: "Channel", number: int, name: str, shown: str):
        self._channel, self._number, self._shown = channel, number, shown
        self.__name__ = self.__qualname__ = name

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._channel.attribute(self, name)

    def __repr__(self) -> str:
        return self._shown

    def __deepcopy__(self, memo: dict | None = None) -> "Remote":
        return self

    __copy__ = __deepcopy__


class RemoteRow(Remote):
    """An object of the other side that can be iterated over."""

    def __iter__(self) -> Iterator:
        return iter(self._channel.parts(self))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(list(self), dtype)


class RemoteFunction(Remote):
    """A function of the other side."""

    def __call__(self, *args, **kwargs):
        return self._channel.call(self._number, args, kwargs)


def at_home(measure: Callable, function: Callable, *args):
    """`measure(function, *args)`, where the function lives."""
    if isinstance(function, RemoteFunction):
        number, channel = function._number, function._channel
        return channel.request("call", number, args, {}, measure.__name__)
    return measure(function, *args)


class Channel:
    """One end of a connection: lends what is here, borrows what is there.

    Args:
        connection: to the other end.
        measures: ways of calling what is lent that measure it, by name; the other side may ask.
    """

    def __init__(self, connection: Connection, measures: dict[str, Callable] | None = None):
        self._connection, self._measures = connection, measures or {}
        self._lent: list = []
        self._lent_numbers: dict[int, int] = {}
        self._borrowed: dict[int, Remote] = {}
        self._errors: list[BaseException] = []
        self._lock = threading.RLock()  # one thread at a time sends, and waits for what comes

    def _number_of(self, value) -> tuple:
        if isinstance(value, Remote) and value._channel is self:
            return "yours", value._number
        number = self._lent_numbers.get(id(value))
        if number is None:
            self._lent.append(value)
            number = len(self._lent) - 1
            # The same object has the same number, and is one object there. Not so a function: who
            # is handed one twice shall not learn it.
            if not callable(value):
                self._lent_numbers[id(value)] = number
        iterable = hasattr(type(value), "__iter__")
        kind = "function" if callable(value) else "row" if iterable else "object"
        return "mine", number, kind, type(value).__name__, self._show(value)

    def _show(self, value) -> str:
        try:
            return repr(value)[:_SHOWN]
        except Exception:
            return f"<{type(value).__name__}>"

    def _object_of(self, whose: str, number: int, *facts):
        if whose == "yours":
            return self._lent[number]
        if number not in self._borrowed:
            kind, name, shown = facts
            self._borrowed[number] = _KINDS[kind](self, number, str(name), str(shown))
        return self._borrowed[number]

    def attribute(self, remote: Remote, name: str):
        """An attribute of an object there; here, nobody may ask."""
        raise AttributeError(f"{remote!r} has no attribute {name!r}")

    def parts(self, remote: Remote) -> list:
        """What an object there gives when it is iterated over; here, nobody may ask."""
        raise TypeError(f"{remote!r} is not iterable")

    def call(self, number: int, args: tuple, kwargs: dict):
        """Call a function of the other side, and let gradients pass if there are any."""
        ask = partial(self.request, "call", number)
        if not kwargs and all(type(one) in _PLAIN for one in args):
            return ask(args, kwargs)  # nothing here could be followed
        if not torch.is_grad_enabled():  # what comes back isn't followed either
            args, kwargs = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))
        return call_followed(ask, args, kwargs) if followed(args, kwargs) else ask(args, kwargs)

    def request(self, what: str, *parts):
        """Ask the other side for something, and serve it until its answer comes.

        Raises:
            Exception: what the other side raised.
            Gone: if it ends meanwhile.
        """
        with self._lock:
            writer = Writer(self._number_of)
            send(self._connection, writer.message([what, *parts]))
            while True:
                reader = Reader(receive(self._connection), self._object_of)
                what, *found = reader.parts
                if what == "value":
                    value, numbers, news = found
                    for at, new in zip(numbers, news, strict=True):
                        _overwrite(writer.arrays[at], new)
                    return value
                if what == "raised":
                    raise self._error(*found)
                self._serve(what, found, reader.arrays)

    def _error(self, whose: str, number: int, names: list[str], text: str) -> BaseException:
        """The error that the other side speaks of."""
        if whose == "yours":
            return self._errors[number]
        error = self._foreign(names, text)
        error.number_there = number
        return error

    def _foreign(self, names: list[str], text: str) -> BaseException:
        """What stands here for an error of the other side."""
        return Raised(text)

    def serve_one(self) -> None:
        """Wait for one request, and answer it."""
        with self._lock:
            reader = Reader(receive(self._connection), self._object_of)
            self._serve(reader.parts[0], reader.parts[1:], reader.arrays)

    def _serve(self, what: str, parts: list, arrays: list[tuple]) -> None:
        try:
            self._lock.release()  # what runs now may ask in turn, from a thread of its own too
            try:
                value = self._answer(what, parts)
            finally:
                self._lock.acquire()
            numbers = self._changed(arrays) if what == "call" else []
            news = [arrays[at][0] for at in numbers]
            message = Writer(self._number_of).message(["value", value, numbers, news])
            send(self._connection, message)
        except (BadMessage, Gone):
            raise
        except BaseException as error:
            message = Writer(self._number_of).message(["raised", *self._tell(error)])
            send(self._connection, message)

    def _changed(self, arrays: list[tuple]) -> list[int]:
        """Which arguments to send back: who is asked to change one in place changes a copy."""
        return changed(arrays)

    def _tell(self, error: BaseException) -> list:
        """Whose error it is, its number, the names of its classes, its text."""
        if hasattr(error, "number_there"):
            return ["yours", error.number_there, [], ""]
        self._errors.append(error)
        names = [kind.__name__ for kind in type(error).__mro__]
        return ["mine", len(self._errors) - 1, names, str(error)[:4000]]

    def _answer(self, what: str, parts: list):
        """Do what was asked."""
        if what != "call":
            raise BadMessage(f"nobody here does this: {what!r}")
        number, args, kwargs, how, vectors = (*parts, 0, [])[:5]
        function = self._lent[number]
        if isinstance(how, str):
            return self._measures[how](function, *args, **kwargs)
        if not how:
            return function(*args, **kwargs)
        return derivative(function, args, kwargs, how, vectors)


_KINDS = {"object": Remote, "row": RemoteRow, "function": RemoteFunction}


def rebuilt(names: list[str], text: str) -> BaseException:
    """An error of the nearest class that is known by one of these names."""
    for name in names:
        kind = _OWN_ERRORS.get(name) or getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            try:
                return kind(text)
            except TypeError:  # a class that wants more than a text
                continue
    return RuntimeError(text)


def _overwrite(array, new) -> None:
    """Put new content into an array that was handed out, if it still has the same form."""
    if isinstance(new, type(array)) and (new.shape, new.dtype) == (array.shape, array.dtype):
        with torch.no_grad():
            array[...] = new
