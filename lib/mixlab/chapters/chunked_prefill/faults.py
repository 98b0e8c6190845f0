"""One wrong line put into a working function, from the function's own text."""

import inspect
from collections.abc import Callable


def with_fault(function: Callable, right: str, wrong: str) -> Callable:
    """The same function with a part of one line exchanged.

    Args:
        function: as it stands in a file or in a notebook's cell.
        right: a part of its text that stands there once.
        wrong: what takes its place.

    Raises:
        ValueError: if `right` doesn't stand there, or more than once.
    """
    text = inspect.getsource(function)
    if text.count(right) != 1:
        raise ValueError(
            f"the part to exchange must stand once in {function.__name__}: {right!r} stands there "
            f"{text.count(right)} times"
        )
    names = dict(function.__globals__)
    exec(text.replace(right, wrong), names)
    return names[function.__name__]
