"""Why an answer may fail that holds nothing wrong in itself: what an everyday slip did to it.

Each is found in the student's own text, without running it.
"""

import re
from collections.abc import Iterator

from classroom.answers import Answer
from classroom.names import UNPARSABLE, names_of, parse

CONFLICT = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
WHOLE_CELL = re.compile(r"\s*%%(?!time\b|timeit\b|capture\b|prun\b)(\w+)")
INPUT = re.compile(r"\binput\(")
# What word processors and web pages make of Python's signs.
TYPED = dict.fromkeys("“”„«»", '"') | dict.fromkeys("‘’‚‹›", "'") | {"–": "-", "−": "-"}
SPACES = dict.fromkeys("\u00a0\u2007\u202f\u2009\u200b\ufeff", "a space")


def causes(answer: Answer, asked: str | None) -> list[str]:
    """What may have gone wrong, a sentence each; `asked` is the name that the check calls.

    >>> causes(Answer.of("def my_mask(seq):\\n    return input()"), "window_mask")[-1]
    'It defines my_mask; the check calls window_mask.'
    """
    pieces = [piece.source for piece in answer.pieces if piece.is_answer]
    return list(dict.fromkeys(said for source in pieces for said in _slips(source))) + list(
        _renamed(answer, asked)
    )


def _slips(source: str) -> Iterator[str]:
    if CONFLICT.search(source):
        yield "It holds both sides of a merge conflict (lines with <<<<<<<), unresolved."
    elif magic := WHOLE_CELL.match(source):
        yield f"Its first line, %%{magic[1]}, makes the whole cell something other than Python."
    elif said := fault(source):
        yield said
    if INPUT.search(source):
        yield "It asks for input(), which nobody answers here: take arguments instead."


def fault(source: str) -> str:
    """Which line of a text is no Python, and why; "" if it is.

    >>> print(fault("def f(x):\\n    return “x”"))
    Line 2 holds “ (U+201C), not Python's ": type it anew.
    """
    try:
        parse(source)
    except SyntaxError as error:
        number = error.lineno or 1
        line = "".join(source.split("\n")[number - 1 : number])
        for sign, meant in (TYPED | SPACES).items():
            if sign in line:
                shown = sign if sign in TYPED else "a character that looks like a space"
                meant = f"Python's {meant}" if sign in TYPED else meant
                return (
                    f"Line {number} holds {shown} (U+{ord(sign):04X}), not {meant}: type it anew."
                )
        return f"Line {number}: {error.msg}."
    except UNPARSABLE:
        return ""
    return ""


def _renamed(answer: Answer, asked: str | None) -> Iterator[str]:
    """An answer that binds other names than the one that is asked for."""
    bound = [names_of(piece.source).binds for piece in answer.pieces]
    own = [names for piece, names in zip(answer.pieces, bound, strict=True) if piece.is_answer]
    if asked and not any(asked in names for names in bound):
        others = sorted(name for names in own for name in names)
        if others and not any(fault(piece.source) for piece in answer.pieces if piece.is_answer):
            yield f"It defines {', '.join(others[:5])}; the check calls {asked}."
