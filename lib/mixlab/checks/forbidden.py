"""Call an answer with the library's own implementation of what is asked made to fail."""

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from mixlab.checks.exercise import Asked
from mixlab.checks.messages import CheckFailed
from mixlab.checks.ready_made import ready_made_in


def call_answer(exercise: str, asked: Asked, answer, arguments: tuple) -> np.ndarray:
    """What the answer returns for a copy of the arguments, read as an array.

    Raises:
        CheckFailed: if it called a function of the modules that the exercise forbids, or stands on
            a package that holds what the course asks for, or on the exercises' own files.
        Unreadable: if it returned something of another kind than asked for.
    """
    if name := ready_made_in(answer):
        raise CheckFailed(_calls_the_library(exercise, name))
    with forbidden(exercise, asked.forbids) as called:
        value = asked.returned(answer, arguments)
    if called:
        raise CheckFailed(_calls_the_library(exercise, called[0]))
    return np.asarray(asked.read(value))


def _calls_the_library(exercise: str, name: str) -> str:
    return (
        f"{exercise}: the answer calls {name}, which is what this exercise asks you to write. "
        "Use it to compare with, outside the answer."
    )


@contextmanager
def forbidden(exercise: str, modules: tuple[str, ...]) -> Iterator[list[str]]:
    """Make the functions and classes of `modules` fail meanwhile; yield the names that were called.

    A function's code is exchanged, not its name, so every alias of it is forbidden too, and nothing
    has to watch the answer's own calls, which would slow them a hundredfold. A class keeps its
    instances and makes no new ones.
    """
    called: list[str] = []
    undo = []

    def stop(name):
        called.append(name)
        raise CheckFailed(_calls_the_library(exercise, name))

    for module in map(importlib.import_module, modules):
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            halt = partial(stop, f"{module.__name__}.{name}")
            if inspect.isclass(value):
                own = vars(value).get("__init__")
                put_back = partial(setattr, value, "__init__", own)
                undo.append(put_back if own else partial(delattr, value, "__init__"))
                value.__init__ = lambda *args, _stop=halt, **kwargs: _stop()
            function = inspect.unwrap(value) if callable(value) else None
            if inspect.isfunction(function) and not function.__code__.co_freevars:
                undo.append(partial(setattr, function, "__code__", function.__code__))
                undo.append(partial(setattr, function, "__kwdefaults__", function.__kwdefaults__))
                function.__code__ = inspect.unwrap(_stub).__code__
                function.__kwdefaults__ = {"_stop": halt}
    try:
        yield called
    finally:
        for step in reversed(undo):
            step()


def _stub(*args, _stop, **kwargs):
    """What a forbidden function does instead; it runs with the forbidden module's globals."""
    _stop()
