"""An answer takes from the student's other cells what it leans on, and nothing else."""

import pytest

from classroom.answers import MAX_ANSWER, Answer, answer_id, drop_untouched, take_answers


def cell(source, exercise=None, **metadata):
    ident = {"id": f"ex-{exercise.replace('.', '-')}-answer"} if exercise else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, **ident}


def helpers_of(*cells, exercise="02.1"):
    (answer,) = take_answers(list(cells))[exercise]
    return answer.helpers


ANSWER = cell("def f(x):\n    return half(x)", "02.1")


@pytest.mark.parametrize(
    "helper",
    [
        "def half(x):\n    # exactly\n    return x / 2",
        "@cache\ndef half(x):\n    '''Half.'''\n    return x / 2",
        "class half:\n    pass",
        "from math import sqrt as half",
        "half = lambda x: x / 2",
        "half: object = abs",
        "half, other = abs, abs",
        "async def half(x):\n    return x",
    ],
)
def test_a_definition_is_taken_as_it_was_written(helper):
    assert helpers_of(cell(f"%matplotlib inline\n{helper}\nprint(1)"), ANSWER) == helper
    assert helpers_of(ANSWER, cell(helper)) == helper  # the check comes later still
    assert helpers_of(ANSWER, cell("x = 1", "02.2"), cell(helper)) == ""


def test_definitions_lean_on_others_wherever_these_stand():
    found = helpers_of(cell("def half(x):\n    return x / TWO"), cell("TWO = int(2)"), ANSWER)
    assert found == "def half(x):\n    return x / TWO\n\nTWO = int(2)"


def test_the_last_definition_counts():
    assert helpers_of(cell("half = 1"), cell("half = 2"), ANSWER) == "half = 2"


def test_parameters_and_local_names_take_nothing_from_scratch_cells():
    scratch = cell("x = f(3)\nmask = f(4)\nq = k = 0")
    answer = cell(
        "def f(x, q=None):\n    mask = x\n    return [k for k in (mask, q)]\nprint(f(1))", "02.1"
    )
    assert helpers_of(scratch, answer) == ""
    assert helpers_of(answer, scratch) == ""


def test_one_answer_may_lean_on_another():
    first = cell("def half(x):\n    return x / 2", "02.1")
    second = cell("def g(x):\n    return half(x)", "02.2")
    assert helpers_of(first, second, exercise="02.2") == first["source"]
    assert helpers_of(first, second, exercise="02.1") == ""


def test_our_own_cells_are_not_helpers():
    for ours in ({"nbgrader": {}}, {"classroom": {}}):
        assert helpers_of(cell("half = abs", **ours), ANSWER) == ""
    assert helpers_of({**cell("half = abs"), "id": "02-exercise-3"}, ANSWER) == ""


@pytest.mark.parametrize("text", ["def f(:", "x = '\0'", "-" * 90_000 + "1", "x" * MAX_ANSWER])
def test_what_is_no_program_has_no_helpers(text):
    assert helpers_of(cell(text), ANSWER) == ""
    assert helpers_of(cell("half = 1"), cell(text, "02.1")) == ""


def test_a_false_id_is_nobodys_answer():
    for claim in ("2.1", "02.1/..", "", 3, None, ["02.1"]):
        assert answer_id(cell("x", classroom={"role": "answer", "exercise": claim})) is None


def test_copies_and_the_untouched_cell_give_way_to_an_answer():
    one, other, stub = Answer("a"), Answer("b"), Answer("raise\n")
    assert drop_untouched([one, stub, Answer("a ")], "raise") == [Answer("a ")]
    assert drop_untouched([one, other], "raise") == [one, other]
    assert drop_untouched([stub, stub], "raise") == [stub]
    assert drop_untouched([], "raise") == []
