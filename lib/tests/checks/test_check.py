"""`check` and `hint`: what they print and say."""

import pytest

from classroom.referee import error_of
from mixlab.checks import CheckFailed, check, hint, patience
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


def test_an_answer_that_never_ends_says_where_it_is_and_is_stopped(monkeypatch, capsys):
    def endless(seq, window):
        while window:
            seq += 1

    monkeypatch.setattr(patience, "SPEAK", 0.05)
    monkeypatch.setattr(patience, "END", 0.1)
    with pytest.raises(CheckFailed, match=r"(?s)was stopped.*a loop of the answer never ends"):
        check("02.3", endless)
    assert "still at n_scores(" in capsys.readouterr().out


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
