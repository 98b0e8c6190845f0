"""What a check says of an answer: where it went wrong, in whose code, in lines that fit."""

import linecache

import pytest
import torch

from mixlab.checks import CheckFailed, check
from mixlab.checks.messages import WIDTH, wrapped


def cell(number: int, source: str, namespace: dict) -> None:
    """Run a cell as IPython does: as a file of its own whose lines a traceback can show."""
    name = f"/tmp/ipykernel_1/{number}.py"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), namespace)


def failure(answer, exercise="02.3") -> str:
    with pytest.raises(CheckFailed) as found:
        check(exercise, answer)
    return str(found.value)


def test_an_error_in_a_helper_cell_is_not_said_to_be_in_the_answer():
    names = {"torch": torch}
    cell(1, "def reach(seq, window):\n    return seq[window]\n", names)
    cell(2, "def n_scores(seq, window):\n    x = 1\n    return reach(seq, window) * x\n", names)
    told = failure(names["n_scores"])
    assert "in line 2 of another cell: return seq[window]" in told
    assert "called from line 3 of the answer: return reach(seq, window) * x" in told


def test_an_error_inside_python_or_a_package_is_told_where_the_answer_called_it():
    names = {"torch": torch}
    cell(
        3, "import statistics\ndef n_scores(seq, window):\n    return statistics.mean([])\n", names
    )
    assert "in line 3 of the answer: return statistics.mean([])" in failure(names["n_scores"])
    cell(4, "def n_scores(seq, window):\n    return torch.eye(-seq)\n", names)
    assert "in line 2 of the answer: return torch.eye(-seq)" in failure(names["n_scores"])


def test_an_answer_without_lines_of_its_own_is_told_all_the_same():
    assert "it raised TypeError" in failure(None)
    assert "it raised TypeError" in failure(eval("lambda seq, window: seq[window]"))


def test_messages_fit_their_width_and_keep_every_word():
    text = "CheckFailed: 02.1\n  Probably: " + "many words and more " * 20 + "\n    code = 1"
    shown = wrapped(text)
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert shown.split() == text.split()
    assert shown.splitlines()[-1] == "    code = 1"
    assert wrapped("x" * 200) == "x" * 200  # never inside a word
