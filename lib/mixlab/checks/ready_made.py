"""Where an answer could be found ready-made: no answer may stand on it.

That is the course's own library, and packages that hold what the course asks for.

A grader takes them away. A student's own check looks for their names in the answer, so that nobody
learns of it only when it is too late.
"""

import re
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

# Also some that the course doesn't install, as a class's machine may have them.
PACKAGES = (
    *("flash_attn", "gguf", "mamba_ssm", "mambapy", "megablocks", "mistral_inference"),
    *("transformers", "vllm", "xformers"),
)
READY_MADE = re.compile(
    rf"({'|'.join(PACKAGES)})(\.|$)"
    r"|mixlab$|mixlab\.(?!checks\b|examination\b)"
    r"|(torch\.)?_higher_order_ops"  # where PyTorch keeps a scan
)
EXERCISE_FILES = re.compile(r"mixlab\.chapters\.\w+\.exercises\b")

MOST_PARTS = 100  # of a list or dictionary that is looked through

INSTALLED = (
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),  # the course's library
)


def ready_made_in(answer: Any) -> str | None:
    """The name by which an answer, or a function that it calls, uses such a thing, or None.

    >>> def answer(x):
    ...     from xformers.ops import fmha
    ...     return fmha(x)
    >>> ready_made_in(answer)
    'xformers.ops'
    """
    own = {id(answer), id(answer.func) if isinstance(answer, partial) else None}
    seen: set[int] = set()
    wanted = [answer]
    while wanted:
        value = wanted.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        name = _of_ready_made(value)
        # A test's own answers stand in an exercise's file.
        if name and not (id(value) in own and EXERCISE_FILES.match(name)):
            return name
        if isinstance(value, partial):
            wanted.append(value.func)
        for function in _functions(value):
            for code in _codes(function.__code__):
                for name in code.co_names:
                    if _is_ready_made(name):  # imported where it is used
                        return name
                    if name in function.__globals__:
                        wanted += _with_parts(function.__globals__[name])
            for cell in function.__closure__ or ():
                try:
                    wanted += _with_parts(cell.cell_contents)
                except ValueError:  # not yet filled
                    continue
    return None


def _is_ready_made(name) -> bool:
    return isinstance(name, str) and bool(READY_MADE.match(name))


def _of_ready_made(value) -> str | None:
    """The full name of a module, function, class or instance that comes from there."""
    for one in (value, type(value)):
        with suppress(Exception):  # an object may have attributes of its own making
            module, name = getattr(one, "__module__", None), getattr(one, "__qualname__", None)
            if _is_ready_made(module):
                return f"{module}.{name}" if isinstance(name, str) else module
    with suppress(Exception):
        return value.__name__ if _is_ready_made(value.__name__) else None
    return None


def _with_parts(value) -> list:
    """A value, and what it holds if it is a short list, tuple or dictionary."""
    held = list(value.values()) if type(value) is dict else value
    return [value, *held] if type(held) in (list, tuple) and len(held) <= MOST_PARTS else [value]


def _functions(value) -> list[FunctionType]:
    """The Python functions that a call of `value` may run, as far as they are a student's own:
    neither Python's nor a package's nor the course's."""
    value = value.__func__ if isinstance(value, MethodType) else value
    own = value if isinstance(value, type) else type(value)
    parts = [value] if isinstance(value, FunctionType) else vars(own).values()
    functions = [part for part in parts if isinstance(part, FunctionType)]
    return [one for one in functions if not one.__code__.co_filename.startswith(INSTALLED)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of what is defined in it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)
