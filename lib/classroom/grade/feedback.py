"""What a student is told. Every sentence is ours: what a submission's process said is never shown.

A process that is graded is called with the hidden inputs, and one that runs for the feedback can
read what is right; either could say it. So their words only choose among sentences: a misconception
is one that the check knows, a call is one of the public ones, an error has the name of a built-in,
and a line of code is one of the student's own.
"""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from classroom.answers import Answer
from classroom.environment import CELL_SECONDS
from classroom.grade.reference import Exercise
from classroom.grade.submission import printable
from classroom.grade.verdicts import Judgement

SAID = {
    "timeout": "The answer took too long: a cell has {seconds:.0f} seconds. Does a loop never end, "
    "or is there a way with far fewer steps?",
    "died": "The answer ended its process: it took too much memory or CPU time, or exited.",
    "flood": "The answer printed or drew far too much.",
    "unreported": "The run gave no complete report, so nothing is credited.",
    "setup": "A cell before the answer failed; that is not the answer's fault. Tell your teacher.",
    "kind": "The answer returns something of another kind than the exercise asks for.",
    "cost": "The answer computes or keeps far more than the exercise allows.",
}
SYNTAX = {
    "SyntaxError": "The answer is not valid Python: a bracket, quote or colon may be missing.",
    "IndentationError": "The answer is not valid Python: a line's indentation is off.",
    "TabError": "The answer is not valid Python: it mixes tabs and spaces.",
}
IMPORTED = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z]\w*)", re.MULTILINE)
WHERE = re.compile(r"in line (\d+) of the answer: ")
NOTHING = Answer(())
# Of what the check says on public inputs, numbers alone: words might be anything that it saw.
NUMBER = r"(True|False|nan|-?inf|[-+\d.e,() ]{1,40}?)"
RESULT = re.compile(rf"expected(?: shape)?: {NUMBER} got(?: shape)?: {NUMBER} (?:Probably|hint)")
LIBRARY = (
    "The answer uses {name}. An answer stands on its own, on Python, NumPy and PyTorch: what is "
    "ready-made is there to compare with, outside the answer."
)
WRONG = "The answer is wrong on inputs of the check."
ON_FRESH = (
    "Right on the public inputs, wrong on fresh ones. Does the answer hold for every size, or only "
    "for those of the examples?"
)


def explain(
    exercise: Exercise,
    judged: Judgement,
    taught: Judgement | None,
    answer: Answer = NOTHING,
    seconds: float = CELL_SECONDS,
    slips: Sequence[str] = (),
) -> tuple[str, str, str]:
    """(status, message, misconception) of an exercise that was run.

    `taught` is the run on public inputs, which words the message and decides nothing.
    `seconds` is what a cell of the answer was given, `slips` what its text shows (`causes`).
    """
    code = answer.code
    if judged.passed:
        return "passed", "", ""
    if judged.kind == "empty" and "NotImplementedError" in code:
        return "not answered", "", ""
    if judged.kind == "library":
        return "library", LIBRARY.format(name=_ready_made(exercise, judged.text)), ""
    if judged.kind == "syntax":
        said = SYNTAX.get(judged.error, SYNTAX["SyntaxError"])
        return "wrong", " ".join([said, *slips]), ""
    message = SAID.get(judged.kind, "").format(seconds=seconds)
    if judged.kind in ("error", "empty"):
        name = judged.error or "an error of its own"
        message = f"The answer raises {name} on the inputs of the check."
        if name in ("ModuleNotFoundError", "ImportError"):
            message += _not_installed(code)
        message = " ".join([message, *slips])
    if judged.kind in ("wrong", "error", "kind", "cost") and taught is not None:
        said, misconception = _taught(exercise, taught, answer)
        if judged.kind != "wrong":
            said = "" if taught.passed else said
        return "wrong", " ".join(filter(None, [message, said])) or WRONG, misconception
    status = judged.kind if judged.kind in ("timeout", "died", "flood", "unreported") else "wrong"
    return status, message, ""


def _ready_made(exercise: Exercise, said: str) -> str:
    """The module's name, if it is one of the library's or a package that no answer may use."""
    lib = Path(__file__).parents[2]
    ours = (path.relative_to(lib).with_suffix("") for path in (lib / "mixlab").rglob("*.py"))
    names = sorted((".".join(path.parts) for path in ours), key=len, reverse=True)
    return next((name for name in (*names, *exercise.packages) if name in said), "the library")


def _not_installed(code: str) -> str:
    """Which of the packages that a code imports are missing where it is graded."""
    names = sorted(set(IMPORTED.findall(code)))
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if not missing:
        return ""
    return f" These are not among the course's packages: {', '.join(missing)[:200]}."


def _taught(exercise: Exercise, taught: Judgement, answer: Answer) -> tuple[str, str]:
    """(message, misconception) from what the check said on public inputs."""
    if taught.passed:
        return ON_FRESH, ""
    words = " ".join(taught.text.split())
    misconception = next((s for s in exercise.sayings if " ".join(s.split()) in words), "")
    calls = [call for call in exercise.calls if " ".join(call.split()) in words]
    call = max(calls, key=len, default="")
    said = [f"Wrong already on a public input: {call}."] if call else []
    if result := RESULT.search(words):
        said.append(f"Expected {result[1]}, got {result[2]}.")
    where = WHERE.search(words)
    line = printable(_line(answer, int(where[1][:6]), words[where.end() :])) if where else ""
    if line:
        said.append(f"It stops at its line {where[1]}: {line[:100]}")
    return " ".join(said), misconception


def _line(answer: Answer, number: int, said: str) -> str:
    """A line of the answer's cell or, of several, that in which it reads as it was said to."""
    cells = [piece.source.split("\n") for piece in answer.pieces if piece.is_answer]
    lines = [lines[number - 1] for lines in cells if 0 < number <= len(lines)]
    if len(cells) > 1:
        lines = [line for line in lines if said.startswith(" ".join(line.split()))]
    return lines[0] if lines else ""
