"""An answer is the run of the student's cells that leads up to its check, and no others."""

import pytest

from classroom.answers import Answer, Piece, take_answers
from classroom.cells import Notebook
from classroom.given import answer_id, digest
from classroom.known import Known
from classroom.names import MAX_CELL, names_of

STUBS = {"02.1": "def f(x):\n    raise", "02.2": "def g(x):\n    raise"}
CHECKS = {"ex-02-1-check": 'check("02.1", f)', "ex-02-2-check": 'check("02.2", g)'}
KNOWN = Known(
    untouched=STUBS,
    solved=dict.fromkeys(STUBS, "solved"),
    given={name: digest(text) for name, text in CHECKS.items()}
    | {"02-exercise-001": digest("import math")}
    | {f"ex-{exercise.replace('.', '-')}-answer": digest(stub) for exercise, stub in STUBS.items()},
)


def cell(source, ident="", **metadata):
    return {"cell_type": "code", "id": ident, "metadata": metadata, "source": source}


def answer(source, exercise="02.1"):
    return cell(source, f"ex-{exercise.replace('.', '-')}-answer")


def prompt(number):
    return {**cell("What is asked.", f"ex-02-{number}-prompt"), "cell_type": "markdown"}


GIVEN, USES = cell("import math", "02-exercise-001"), answer("def f(x):\n    return half(x)")
FIRST, SECOND = (cell(text, name) for name, text in CHECKS.items())


def sources(*cells, exercise="02.1"):
    """What is run for an exercise."""
    found = take_answers(Notebook(list(cells)), KNOWN)[exercise]
    return [piece.source for piece in found.pieces] if found else None


@pytest.mark.parametrize(
    "helper",
    [
        "def half(x):\n    # exactly\n    return x / 2",
        "@cache\ndef half(x):\n    '''Half.'''\n    return x / 2",
        "class half:\n    pass",
        "from math import sqrt as half",
        "from math import *",
        "half, other = abs, abs",
        "half: object = abs",
        "half = {}\nfor x in range(9):\n    half[x] = x / 2",
        "half.cache = {}",
        "half.append(1)",
        "fill(half)",
        "half += 1",
        "try:\n    import half\nexcept ImportError:\n    half = None",
        "if True:\n    half = abs",
        "with open('x') as half:\n    pass",
        "%matplotlib inline\nfiles = !ls\nhelp?\nhalf = abs",
        "%%time\nhalf = abs",
        "def set_up():\n    global half\n    half = abs\nset_up()",
    ],
)
def test_a_cell_of_another_exercise_comes_along_if_it_gives_what_the_answer_needs(helper):
    second = answer("def g(x):\n    return half(x)", "02.2")
    found = sources(USES, cell(helper), FIRST, prompt(2), second, SECOND, exercise="02.2")
    assert found == [helper, second["source"]]


def test_cells_that_lead_up_to_the_check_come_whole_and_in_order():
    changed = cell("import math, numpy", "02-exercise-001")
    top, above, below, after = (cell(f"print({n})") for n in range(4))
    found = sources(changed, top, prompt(1), above, USES, below, FIRST, after)
    assert found == [changed["source"], "print(0)", "print(1)", USES["source"], "print(2)"]


def test_what_the_course_wrote_and_what_lies_elsewhere_stays_out():
    loop = answer("while True:\n    pass", "02.2")
    scratch = cell("x = f(3)\nq = k = 0\nsum = 3\nplt.plot(f(1))")
    found = sources(GIVEN, USES, FIRST, loop, scratch, SECOND)
    assert found == [USES["source"]]
    assert sources({**GIVEN, "id": "lost"}, USES, {**FIRST, "id": "lost"}) == [USES["source"]]


def test_cells_lean_on_others_and_all_that_bind_a_name_come_in_order():
    one, two, three = cell("two = 1"), cell("two = double(two)"), cell("def double(x):\n  return 2")
    using = answer("def g(x):\n    return two", "02.2")
    found = sources(three, one, FIRST, two, using, exercise="02.2")
    assert found == [three["source"], one["source"], two["source"], using["source"]]


def test_an_answer_may_be_split_tried_again_or_turned_into_text():
    first, second = answer("def f(x):\n    return 1"), answer("def f(x):\n    return 2")
    expected = [first["source"], second["source"]]
    assert sources(first, second, FIRST) == expected
    assert sources(first, FIRST, second, SECOND) == expected  # below its check
    assert sources({**first, "cell_type": "markdown"}) == expected[:1]
    assert sources({**first, "cell_type": "raw", "metadata": None}) == expected[:1]


def test_an_answer_may_stand_in_a_cell_of_its_own():
    stub, own = answer(STUBS["02.1"]), cell("def f(x):\n    return 1")
    (piece,) = take_answers(Notebook([prompt(1), stub, own, FIRST]), KNOWN)["02.1"].pieces
    assert piece == Piece(own["source"], is_answer=True)
    assert sources(stub, cell("show(f)\nf.x = 1"), FIRST) is None  # a try of the stub
    assert sources({**stub, "source": STUBS["02.1"].replace("\n", " \r\n")}) is None


def test_an_answer_whose_marks_are_gone_is_known_by_its_name_in_its_own_chapter():
    book = [cell("def f(x):\n    return 1"), cell("def g(x):\n    return f(x)")]
    assert sources(*book) == [book[0]["source"]]
    assert sources(*book, exercise="02.2") == [one["source"] for one in book]
    known = Known(STUBS | {"04.1": "def f(y):\n    raise", "04.2": "def h(y):\n    raise"}, {}, {})
    assert set(take_answers(Notebook(book), known)) == {"02.1", "02.2"}
    other = [cell("", "ex-04-2-prompt"), *book]
    assert set(take_answers(Notebook(other), known)) == {"04.1"}


@pytest.mark.parametrize("text", ["def f(:", "x = '\0'", "-" * 90_000 + "1", "x" * MAX_CELL + "y"])
def test_what_is_no_program_gives_nothing(text):
    assert names_of(text).gives == names_of(text).uses == frozenset()
    assert sources(answer(text, "02.2"), USES) == [USES["source"]]


def test_a_false_id_is_nobodys_answer():
    for claim in ("2.1", "02.1/..", "", 3, None, ["02.1"]):
        assert answer_id(cell("x", classroom={"role": "answer", "exercise": claim})) is None
    assert take_answers(Notebook([answer("x", "99.9")]), KNOWN) == {}


def test_an_answer_in_one_text():
    assert Answer((Piece("a"), Piece("b", is_answer=False), Piece("c"))).code == "a\n\nc"
