"""`python -m mixlab`: a model on the command line."""

import pytest

from mixlab.__main__ import main


def test_a_question_is_answered(capsys):
    assert main(["smollm2", "What is the capital of France?"]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n"


def test_a_compiled_model_says_the_same(capsys):
    assert main(["smollm2", "What is the capital of France?", "--compiled"]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n"


def test_how_tokens_are_chosen(capsys):
    question = "What is the capital of France?"
    assert main(["smollm2", question, "--temperature", "9", "--top-k", "1"]) == 0
    assert main(["smollm2", question, "--temperature", "9", "--min-p", "1"]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n" * 2
    assert main(["smollm2", question, "--repetition-penalty", "1e-9", "--max-tokens", "4"]) == 0
    assert "Paris" not in capsys.readouterr().out


def test_a_text_is_continued_and_half_a_character_never_shown(capsys):
    told = []
    code = main(["smollm2", "Some emoji: 😀😃😄😁😆😅", "--plain", "--max-tokens", "12"])
    told.append(capsys.readouterr().out)
    assert code == 0
    assert "�" not in told[0]
    assert len(told[0].strip()) > 0


def test_a_window_changes_what_is_said(capsys):
    question = "Name the three primary colours, and then say which planet is the largest."
    said = []
    for window in ([], ["--window", "4"]):
        main(["smollm2", question, "--max-tokens", "20", *window])
        said.append(capsys.readouterr().out)
    assert said[0] != said[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere", "Hi"],
        ["smollm2", "Hi", "--top-p", "2"],
        ["smollm2", "Hi", "--repetition-penalty", "0"],
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
