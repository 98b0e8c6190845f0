"""Every right answer passes with the same digest, every wrong one fails with its own message."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from classroom.referee import error_of
from mixlab.checks import CheckFailed, check, hint
from mixlab.checks.barred import call_answer
from mixlab.checks.core import CHAPTERS, _oracle_of, cases_of, run, seed_of
from mixlab.checks.digest import SAFE_MARGIN, digest
from mixlab.checks.explain import _agree
from tests.answers import sliding_window

ANSWERS = {
    chapter: importlib.import_module(f"tests.answers.{stem}") for chapter, stem in CHAPTERS.items()
}


def _exercises():
    return [
        exercise
        for chapter, stem in CHAPTERS.items()
        for exercise in importlib.import_module(f"mixlab.checks.cases.{stem}").EXERCISES
        if exercise.startswith(chapter)
    ]


def _right():
    return [
        pytest.param(exercise, answer, id=f"{exercise}-{answer.__name__}")
        for chapter in ANSWERS.values()
        for exercise, answers in chapter.RIGHT.items()
        for answer in answers
    ]


def _wrong():
    return [
        pytest.param(exercise, answer, says, id=f"{exercise}-{answer.__name__}")
        for chapter in ANSWERS.values()
        for exercise, answers in chapter.WRONG.items()
        for answer, says in answers
    ]


@pytest.mark.parametrize("exercise", _exercises())
def test_every_exercise_has_enough_answers_and_hints(exercise):
    answers = ANSWERS[exercise[:2]]
    assert len(answers.RIGHT[exercise]) >= 2
    assert len(answers.WRONG[exercise]) >= 4
    assert len(cases_of(exercise).hints) >= 2
    assert _oracle_of(exercise) is not None


@pytest.mark.parametrize(("exercise", "answer"), _right())
def test_right_answers_pass(exercise, answer, capsys):
    check(exercise, answer)
    printed = capsys.readouterr().out
    first = ANSWERS[exercise[:2]].RIGHT[exercise][0]
    check(exercise, first)
    assert printed == capsys.readouterr().out  # one line for all right answers
    assert printed.startswith(f"{exercise} ✓ ")


@pytest.mark.parametrize(("exercise", "answer", "says"), _wrong())
def test_wrong_answers_fail_and_are_told_why(exercise, answer, says):
    with pytest.raises(CheckFailed) as failure:
        check(exercise, answer)
    assert says in str(failure.value)
    assert exercise in str(failure.value)


@pytest.mark.parametrize(("exercise", "answer", "says"), _wrong())
def test_the_digest_alone_tells_wrong_from_right(exercise, answer, says):
    """A graded process has no oracle: the printed digest must differ by itself, on any seed."""
    right = ANSWERS[exercise[:2]].RIGHT[exercise][0]
    for seed in (0, 1, 2):
        expected, _ = run(exercise, right, seed)
        try:
            got, _ = run(exercise, answer, seed)
        except Exception:
            continue  # the cell shows an error, which is as good as another digest
        assert got.text != expected.text


@pytest.mark.parametrize("exercise", _exercises())
def test_the_public_seed_keeps_clear_of_rounding_borders(exercise):
    cases, oracle = cases_of(exercise), _oracle_of(exercise)
    drawn = cases.draw(np.random.default_rng(cases.seed))
    values = [oracle.expected(*arguments) for arguments in drawn]
    found = digest(values, salt=f"{exercise}|{cases.seed}", atol=cases.atol)
    assert found.margin >= SAFE_MARGIN, "give these Cases another public seed"


@pytest.mark.parametrize(("exercise", "answer"), _right())
def test_right_answers_stay_far_within_the_tolerance(exercise, answer):
    """Or an unlucky seed would fail them: inputs must not make results too large for float32."""
    cases, oracle = cases_of(exercise), _oracle_of(exercise)
    for seed in (1000, 1001):
        draws = (cases.draw(np.random.default_rng(seed)) for _ in range(2))  # one may be changed
        for arguments, again in zip(*draws, strict=True):
            expected = np.asarray(oracle.expected(*arguments))
            if expected.dtype.kind == "f":
                got = call_answer(exercise, cases, answer, again)
                assert np.allclose(got, expected, rtol=0, atol=cases.atol / 4)


@pytest.mark.parametrize("exercise", _exercises())
def test_every_misconception_differs_from_what_is_right(exercise):
    oracle = _oracle_of(exercise)
    right = [np.asarray(oracle.expected(*arguments)) for arguments in oracle.examples]
    for known in oracle.misconceptions:
        outcomes = [known.gives(*arguments) for arguments in oracle.examples]
        assert any(
            wrong is not None and not _agree(np.asarray(wrong), r, atol=1e-8)
            for wrong, r in zip(outcomes, right, strict=True)
        ), known.says


def test_unanswered_exercises_say_so():
    def unanswered(seq, window):
        raise NotImplementedError("02.1")

    with pytest.raises(NotImplementedError) as failure:
        check("02.1", unanswered)
    assert failure.value._render_traceback_() == ["NotImplementedError: 02.1"]


def test_an_error_in_the_answer_names_the_call():
    def broken(seq, window):
        return [0] * seq[window]

    with pytest.raises(CheckFailed, match=r"window_mask\(6, 3\)\n") as failure:
        check("02.1", broken)
    told = str(failure.value)
    assert "it raised TypeError: 'int' object is not subscriptable" in told
    assert "of the answer: return [0] * seq[window]" in told
    assert "Traceback" not in told


def test_a_notebook_shows_messages_alone_and_the_referee_reads_them_whole():
    with pytest.raises(CheckFailed) as failure:
        check("02.1", sliding_window.mask_w_plus_one)
    shown = "\n".join(failure.value._render_traceback_())
    assert max(map(len, shown.splitlines())) <= 90  # JupyterLab breaks longer ones anywhere
    error, message = error_of(f"Traceback:\n{shown}\n")
    assert (error, message.split()) == ("CheckFailed", str(failure.value).split())
    with pytest.raises(ValueError, match="no exercise") as failure:
        hint("02.99")
    assert "\n" not in "".join(failure.value._render_traceback_())


def test_arguments_are_copied():
    def spoils(q, k, v, window):
        out = sliding_window.band_loop(q, k, v, window)
        for x in (q, k, v):
            x.zero_()
        return out

    check("02.4", spoils)


def test_hints_grow_more_telling(capsys):
    hint("02.1", 1)
    first = capsys.readouterr().out
    hint("02.1", 2)
    second = capsys.readouterr().out
    assert first.startswith("Hint 1 of 3")
    assert second.startswith("Hint 2 of 3")
    with pytest.raises(ValueError, match="hints 1 to 3"):
        hint("02.1", 9)


def test_unknown_exercises_are_named():
    with pytest.raises(ValueError, match=r"no exercise '02\.99'"):
        check("02.99", None)
    with pytest.raises(ValueError, match="ids look like"):
        hint("window")


def test_a_seed_from_outside_changes_the_digest(monkeypatch):
    before, _ = run("02.3", sliding_window.count_closed, seed_of("02.3"))
    monkeypatch.setenv("MIXLAB_SEEDS", json.dumps({"02.3": 99}))
    after, _ = run("02.3", sliding_window.count_closed, seed_of("02.3"))
    assert before.text != after.text


def test_digests_are_the_same_in_another_process(capsys):
    """What a grader relies on: same seed, same answer, same line."""
    check("02.4", sliding_window.band_loop)
    here = capsys.readouterr().out
    code = (
        "from mixlab.checks import check\n"
        "from tests.answers.sliding_window import band_gather\n"
        "check('02.4', band_gather)\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert there.returncode == 0, there.stderr
    assert there.stdout == here


def test_digest_tells_single_numbers_that_are_wrong_by_the_same_amount():
    """Two of twelve, one too high and one too low: they may not cancel out under any salt."""
    right = [np.array(0.5)] * 12
    wrong = [np.array(1.5), np.array(-0.5), *right[2:]]
    for n in range(200):
        assert digest(right, f"salt{n}", 1e-6).text != digest(wrong, f"salt{n}", 1e-6).text


def test_digest_tolerates_rounding_and_nothing_more():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((40, 8))
    salt = next(
        f"salt{n}" for n in range(99) if digest([value], f"salt{n}", 1e-4).margin >= SAFE_MARGIN
    )
    base = digest([value], salt, 1e-4)
    near = value + 1e-5 * rng.standard_normal(value.shape)
    assert digest([near], salt, 1e-4).text == base.text
    one_wrong = value.copy()
    one_wrong[3, 3] += 0.5
    assert digest([one_wrong], salt, 1e-4).text != base.text
    assert digest([value.T.copy()], salt, 1e-4).text != base.text
    nan = value.copy()
    nan[0, 0] = np.nan
    assert digest([nan], salt, 1e-4).text != base.text
