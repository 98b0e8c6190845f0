"""Every exercise, by its file: right answers share one line, each mistake is told by its own words.

An exercise is found by its place and needs no line here.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from classroom.layout import find_root, sources
from classroom.source import read_chapter
from mixlab.checks import CheckFailed, check
from mixlab.checks.checking import PUBLIC
from mixlab.checks.exercise import CUT, each, files, find
from mixlab.checks.explain import agree
from tests.thorough import THOROUGH

ROOT = find_root(Path(__file__).parent)
LONGEST = 190  # lines of a file, which is to be read from top to bottom
MAY_IMPORT = {"numpy", "torch", "mixlab.checks", "mixlab.examination", "mixlab.traces.costs"}


def text_of(exercise: str) -> str:
    return Path(find(exercise).__file__).read_text(encoding="utf-8")


def told(exercise: str, answer) -> str:
    """What the check says of a wrong answer."""
    try:
        check(exercise, answer)
    except CheckFailed as failure:
        return str(failure)
    return "passed"


def test_of_all_each_exercise_has_a_file_and_each_file_an_exercise():
    chapters = {path.stem: read_chapter(path) for path in sources(ROOT)}
    asked = {ident: stem for stem, one in chapters.items() for ident in one.exercises}
    found = {ident: f"{ident[:2]}_{name.split('.')[2]}" for ident, name in files().items()}
    assert found == asked  # the first line of an exercise's file begins with its id


def test_of_all_no_two_files_claim_one_exercise():
    """As the file of one that was replaced would, if it were left behind."""
    texts = (ROOT / "lib/mixlab/chapters").glob("*/exercises/*.py")
    heads = [re.match(r'"""(\d\d\.\d+) ', path.read_text(encoding="utf-8")) for path in texts]
    assert sorted(head[1] for head in heads if head) == list(files())


@pytest.mark.parametrize("exercise", files())
def test_right_answers_share_one_line_and_stay_within_the_tolerance(exercise, capsys):
    """Far within, or an unlucky seed would fail a class."""
    asked, right = find(exercise).ASKED, find(exercise).KNOWN.right
    assert len(right) >= 2
    lines = set()
    for answer in right:
        check(exercise, answer)
        lines.add(capsys.readouterr().out)
    assert len(lines) == 1
    line = lines.pop().strip()
    assert line.startswith(f"{exercise} ✓ ")
    (solved,) = (ROOT / "solutions").glob(f"{exercise[:2]}_*.ipynb")
    assert line in solved.read_text(encoding="utf-8"), (
        "solutions/ holds another run: python -m classroom notebooks --execute " + exercise[:2]
    )
    for seed in (PUBLIC, 1000, 1001, 1002) if THOROUGH else (1000,):
        for arguments in asked.inputs(seed):
            first, *others = (asked.outcome(answer, arguments) for answer in right)
            assert all(agree(other, first, asked.atol / 4) for other in others)


@pytest.mark.parametrize("exercise", files())
def test_a_mistake_is_told_by_its_own_words(exercise):
    """By no other's: what is hidden behind an earlier mistake could never be said."""
    known = find(exercise).KNOWN
    n_wrong = len(known.mistakes) + len(known.slips)
    assert n_wrong >= 4, f"{exercise} has {n_wrong} mistakes and slips: at least 4 are asked"
    told_otherwise = {
        words: message
        for words, answer in [*each(known.mistakes), *each(known.slips)]
        if words not in (message := told(exercise, answer)) or exercise not in message
    }
    assert not told_otherwise, (
        f"{exercise}: a mistake that is told another's words behaves like it on all examples. "
        "Merge the two, put the special one first, or add an example that tells them apart: "
        f"{told_otherwise}"
    )


@pytest.mark.parametrize("exercise", files())
def test_other_inputs_tell_wrong_from_right_too(exercise):
    """Grading draws its own."""
    asked, known = find(exercise).ASKED, find(exercise).KNOWN
    for seed in (1, 2, 3) if THOROUGH else (1,):
        expected = [(given, asked.outcome(known.right[0], given)) for given in asked.inputs(seed)]
        for words, answer in [*each(known.mistakes), *each(known.slips)]:
            assert any(_differs(asked, answer, *pair) for pair in expected), words


def _differs(asked, answer, arguments, expected) -> bool:
    try:
        return not agree(asked.outcome(answer, arguments), expected, asked.atol)
    except Exception:
        return True


@pytest.mark.parametrize("exercise", files())
def test_the_upper_half_stands_alone_and_knows_nothing(exercise):
    upper, cut, lower = text_of(exercise).partition(f"\n{CUT}\n")
    assert cut, f"{exercise} lacks the line {CUT!r}: it stands between ASKED and KNOWN"
    assert "KNOWN = Known(" in lower
    assert len(find(exercise).ASKED.hints) >= 2, f"{exercise} has fewer than two hints"
    names = {"__name__": "above"}
    exec(compile(upper, exercise, "exec"), names)
    assert "ASKED" in names
    assert "KNOWN" not in names


@pytest.mark.parametrize("exercise", files())
def test_a_file_is_short_and_independent_of_the_library(exercise):
    text = text_of(exercise)
    n_lines = len(text.splitlines())
    assert n_lines <= LONGEST, f"{exercise}'s file has {n_lines} lines: at most {LONGEST}"
    own = find(exercise).__name__.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mixlab."):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            shared = node.module.startswith(own) or names == {own}
            allowed = shared or node.module.startswith(tuple(MAY_IMPORT))
            assert allowed, f"{exercise} stands on {node.module}"


@pytest.mark.parametrize("exercise", files())
def test_what_a_mistake_is_told_ends_with_a_stop(exercise):
    for words in find(exercise).KNOWN.mistakes:
        assert re.search(r"[.?)…]$", words), words


def test_of_all_the_first_right_answer_is_held_against_the_examples_too():
    """If a small example refuted it, every message would be wrong."""
    for exercise in files():
        asked, known = find(exercise).ASKED, find(exercise).KNOWN
        for arguments in asked.examples:
            first, second, *_ = (asked.outcome(answer, arguments) for answer in known.right)
            assert agree(second, first, asked.atol), known.show(*arguments)
            assert np.size(first) or first.shape
            assert not (first.dtype.kind == "f" and np.isnan(first).any())
