"""Call an answer with the library's own implementation of what is asked made to fail."""

import copy
import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from mixlab.checks.cases import Cases
from mixlab.checks.messages import CheckFailed
from mixlab.checks.peers import peer_used


def call_answer(exercise: str, cases: Cases, answer, arguments: tuple) -> np.ndarray:
    """What the answer returns for a copy of the arguments, read as an array.

    Raises:
        CheckFailed: if it called a function of the modules that the exercise forbids, or stands on
            a package that holds what the course asks for.
        Unreadable: if it returned something of another kind than asked for.
    """
    if name := peer_used(answer):
        raise CheckFailed(_calls_the_library(exercise, name))
    with barred(exercise, cases.forbids) as called:
        value = cases.call(answer, *copy.deepcopy(arguments))
    if called:
        raise CheckFailed(_calls_the_library(exercise, called[0]))
    return cases.read(value)


def _calls_the_library(exercise: str, name: str) -> str:
    return (
        f"{exercise}: the answer calls {name}, which is what this exercise asks you to write. "
        "Use it to compare with, outside the answer."
    )


@contextmanager
def barred(exercise: str, modules: tuple[str, ...]) -> Iterator[list[str]]:
    """Make the functions and classes of `modules` fail meanwhile; yield the names that were called.

    A function's code is exchanged, not its name, so every alias of it is barred too, and nothing
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
    """What a barred function does instead; it runs with the barred module's globals."""
    _stop()
