"""`check` and `hint`: what they print and say, and the digest."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from classroom.referee import error_of
from mixlab.checks import CheckFailed, check, hint
from mixlab.checks.checking import run, seed_of
from mixlab.checks.digest import SAFE_MARGIN, digest
from mixlab.checks.exercise import find


def right(exercise: str):
    return find(exercise).KNOWN.right[0]


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
        check("02.1", lambda seq, window: right("02.1")(seq, window + 1))
    shown = "\n".join(failure.value._render_traceback_())
    assert max(map(len, shown.splitlines())) <= 90  # JupyterLab breaks longer ones anywhere
    error, message = error_of(f"Traceback:\n{shown}\n")
    assert (error, message.split()) == ("CheckFailed", str(failure.value).split())
    with pytest.raises(ValueError, match="no exercise") as failure:
        hint("02.99")
    assert "\n" not in "".join(failure.value._render_traceback_())


def test_an_assert_in_a_test_that_is_asked_for_is_explained():
    def asserting(make_cache):
        assert make_cache(4)(0) == [1]

    with pytest.raises(CheckFailed, match="Return False instead"):
        check("04.6", asserting)


def test_arguments_are_copied():
    def spoils(q, k, v, window):
        out = right("02.4")(q, k, v, window)
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
    before, _ = run("02.3", right("02.3"), seed_of("02.3"))
    monkeypatch.setenv("MIXLAB_SEEDS", json.dumps({"02.3": 99}))
    after, _ = run("02.3", right("02.3"), seed_of("02.3"))
    assert before.text != after.text


def test_digests_are_the_same_in_another_process(capsys):
    """What a grader relies on: same seed, same answer, same line."""
    check("02.4", find("02.4").KNOWN.right[1])
    here = capsys.readouterr().out
    code = (
        "from mixlab.checks import check\n"
        "from mixlab.checks.exercise import find\n"
        "check('02.4', find('02.4').KNOWN.right[0])\n"
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
