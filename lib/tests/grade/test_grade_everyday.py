"""What runs from top to bottom in a student's notebook and passes its check there, passes here.

Right answers in everyday shapes, each a notebook as somebody might hand it in.
"""

import copy

import pytest

from classroom.check import check_submission
from tests.grade.conftest import ROOT, filled, grade, write
from tests.thorough import some

SUM = "def n_scores(seq, window):\n    return sum(min(i + 1, window) for i in range(seq))"
LEAN = "def n_scores(seq, window):\n    return sum(smaller(i + 1, window) for i in range(seq))"
HELPER = "def smaller(a, b):\n    return a if a < b else b"
TABLE = "table = {}\nfor n in range(1_500_000):\n    table[n] = n + 1"
LOOKS_UP = "def n_scores(seq, window):\n    return sum(min(table[i], window) for i in range(seq))"


def code(source):
    return {
        **{"cell_type": "code", "metadata": {}, "source": source},
        **{"outputs": [], "execution_count": None},
    }


def place(cells, ident):
    return next(n for n, cell in enumerate(cells) if cell["id"] == ident)


def around(*sources, above=(), top=(), answer=None):
    """The exercises with own cells at the top, above the answer to 02.3 and, `sources`, below."""
    book = filled({"02.3": answer} if answer else {})
    cells = book["cells"]
    own = place(cells, "ex-02-3-answer")
    cells[own + 1 : own + 1] = map(code, sources)
    cells[own:own] = map(code, above)
    cells[2:2] = map(code, top)
    return book


def given_changed(line, answer):
    book = filled({"02.3": answer})
    book["cells"][1]["source"] += f"\n{line}"
    return book


def retyped(kind):
    book = filled({"02.3": SUM})
    cell = book["cells"][place(book["cells"], "ex-02-3-answer")]
    cell["cell_type"] = kind
    return book


def twice(first, second, below_check=False):
    book = filled({"02.3": first})
    own = place(book["cells"], "ex-02-3-answer")
    again = {**copy.deepcopy(book["cells"][own]), "id": "again", "source": second}
    book["cells"].insert(own + (2 if below_check else 1), again)
    return book


def without_marks():
    cells = [{**cell, "metadata": {}} for cell in filled({"02.3": SUM})["cells"]]
    for cell in cells:
        cell.pop("id")
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}


def leaning_on_another():
    book = filled({"02.1": f"{HELPER}\ndef window_mask(s, w):\n    return 0", "02.3": LEAN})
    own = place(book["cells"], "ex-02-2-answer")
    book["cells"].insert(own, code("while_away = [0]\nwhile while_away:\n    pass"))
    return book


SHAPES = {
    "import in the given cell": lambda: given_changed("from math import *", LEAN_FLOOR),
    "answer in a new cell below": lambda: around(SUM),
    "table filled by a loop": lambda: around(above=[TABLE], answer=LOOKS_UP),
    "split in two": lambda: twice(HELPER, LEAN),
    "tried again": lambda: twice("def n_scores(s, w):\n    retur 1", SUM),
    "failing cells around it": lambda: around("n_scores(1)", "1 / 0", above=["x"], answer=SUM),
    "another's helper, and a loop without end": leaning_on_another,
    "marks dropped": without_marks,
    "tried again below the check": lambda: twice("n_scores = 3", SUM, below_check=True),
    "answer turned to markdown": lambda: retyped("markdown"),
    "answer turned raw": lambda: retyped("raw"),
    "helper below": lambda: around(HELPER, answer=LEAN),
    "helper at the top": lambda: around(top=[HELPER], answer=LEAN),
    "star import": lambda: around(top=["from math import *"], answer=LEAN_FLOOR),
    "tried import": lambda: around(
        above=["try:\n    from math import floor\nexcept ImportError:\n    floor = int"],
        answer=LEAN_FLOOR,
    ),
    "bound again": lambda: around(
        top=["table = list(range(1_500_000))"],
        above=["table = [n for n in table]\ntable += [0]\ntable[:] = [n + 1 for n in table]"],
        answer=LOOKS_UP,
    ),
    "changed by a call": lambda: around(
        top=["table = []\ndef fill(rows):\n    rows.extend(range(1, 1_500_000))"],
        above=["fill(table)"],
        answer=LOOKS_UP,
    ),
    "magics": lambda: around(
        above=["%matplotlib inline\n%%time", f"%%time\n{HELPER}", "smaller?\nfiles = !ls"],
        answer=LEAN,
    ),
    "compared with the library": lambda: around(
        "from mixlab.transformer.window import sliding_window_mask\nprint(sliding_window_mask)",
        answer=f"import mixlab.transformer.window as theirs\n{SUM}\nassert theirs.x(3) == 6",
    ),
    "answer raises after its function": lambda: around(answer=f"{SUM}\nprint(n_scores(1))"),
    "asks for input": lambda: around("input('size?')", answer=SUM),
    "stub deleted, own cell": lambda: unmarked_answer(),
    "downloads": lambda: around(
        above=["import urllib.request as r\ndata = r.urlopen('http://example.org').read()"],
        answer=SUM,
    ),
    "checks of its own": lambda: around('check("02.3", n_scores)', answer=SUM),
}
LEAN_FLOOR = (
    "def n_scores(seq, window):\n    return sum(floor(min(i + 1, window)) for i in range(seq))"
)


def unmarked_answer():
    book = around(SUM)
    del book["cells"][place(book["cells"], "ex-02-3-answer")]
    return book


TRIED = some(SHAPES, 8)


def test_everyday_shapes_score_in_grading_and_what_is_wrong_stays_wrong(tmp_path):
    """The last of several cells counts; who only tried the stub has not answered."""
    for number, name in enumerate(TRIED):
        write(tmp_path / "in", f"{number:02d} {name}", SHAPES[name]())
    write(tmp_path / "in", "wrong in the end", twice(SUM, "def n_scores(s, w):\n    return 0"))
    write(tmp_path / "in", "untouched", around("n_scores(5, 3)"))
    rows = grade(tmp_path / "in", tmp_path / "out", chapters=["02"], cell_seconds=15)
    told = {student: row for (student, ident), row in rows.items() if ident == "02.3"}
    assert told.pop("wrong in the end")["status"] == "wrong"
    assert told.pop("untouched")["status"] == "not answered"
    refused = {student: row["reason"] for student, row in told.items() if row["points"] == "0"}
    assert refused == {}
    assert len(told) == len(TRIED)


@pytest.mark.parametrize("name", some(SHAPES, 2))
def test_and_in_the_students_own_check(name, tmp_path):
    book = SHAPES[name]()
    path = write(tmp_path, "mine", book)
    passed = [one.exercise for one in check_submission(ROOT, path) if one.passed]
    assert "02.3" in passed
