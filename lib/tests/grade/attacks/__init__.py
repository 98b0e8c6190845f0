"""Every trick we know for being credited without an answer, each with the exercise it is tried on.

A trick's code stands in the answer cell. `WRONG` becomes a wrong definition of the function that
is asked for; `RIGHT` what the trick would define if it got hold of a solution's text in `stolen`.
Names in capitals are filled in: SOLUTION, VICTIM (another submission), STATE (the run's secrets),
STEM and TOPIC (of the chapter's files), LIBRARY, REPOSITORY; PORT, SOCKET and NAMELESS are
listeners outside that would hand out the solution; PUBLIC is the line that the solution prints on
the public inputs.
"""

from textwrap import dedent

from tests.grade.attacks.forgeries import FORGERIES
from tests.grade.attacks.kernel import KERNEL
from tests.grade.attacks.particular import PARTICULAR
from tests.grade.attacks.resources import RESOURCES
from tests.grade.attacks.thefts import THEFTS, WRITES

WRONG = "def NAME(*given):\n    return 0"
RIGHT = (
    "cells = json.loads(stolen).get('cells', [])\n"
    "for cell in cells:\n"
    "    if 'def NAME' in ''.join(cell['source']): exec(''.join(cell['source']))"
)


def attacks() -> list[tuple[str, str | None, str]]:
    """(name, exercise or None for any, code) of every attack."""
    found = [
        (name, None, dedent(code).strip())
        for table in (FORGERIES, KERNEL, WRITES, RESOURCES)
        for name, code in table.items()
    ]
    found += [(name, ident, dedent(code).strip()) for name, (ident, code) in PARTICULAR.items()]
    for name, code in THEFTS.items():
        steps = f"import json\n{dedent(code).strip()}\n{RIGHT}"
        found.append((name, None, f"WRONG\n{steps}"))
    return found


def code_of(code: str, names: dict[str, str], exercise: str, function: str) -> str:
    """The attack as it stands in an answer cell of this exercise."""
    code = code.replace("WRONG", WRONG).replace("THE_EXERCISE", exercise)
    for name, value in names.items():
        code = code.replace(name, value)
    return code.replace("NAME", function)
