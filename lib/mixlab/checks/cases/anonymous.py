"""Functions that an exercise hands to an answer, under no name.

Where an answer is to tell right functions from wrong ones, a name or a docstring would do it for
the answer. Whoever reads this source can still recognise a function by its code; the answer then
shows it.
"""

from collections.abc import Callable
from types import FunctionType


def anonymous(function: Callable, name: str = "function") -> Callable:
    """The same function without its name, docstring and place.

    Args:
        function: a plain Python function.
        name: what it is called instead.

    Returns:
        A function that does the same.

    >>> def tells_all():
    ...     'All.'
    ...     return 1
    >>> hidden = anonymous(tells_all, "make")
    >>> hidden(), hidden.__name__, hidden.__doc__, hidden.__code__.co_name
    (1, 'make', None, 'make')
    """
    code = function.__code__
    bare = code.replace(
        co_name=name,
        co_qualname=name,
        co_filename=name,
        co_firstlineno=1,
        co_consts=(None, *code.co_consts[1:]) if function.__doc__ else code.co_consts,
    )
    made = FunctionType(
        bare, function.__globals__, name, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made
