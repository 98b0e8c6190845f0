"""A chapter that was just begun: it can be read, its exercise works, it says that it is a draft."""

import importlib.util
import subprocess
import sys

import pytest

from classroom.lint import lint_chapter, lint_command
from classroom.new_chapter import new_chapter
from classroom.source import read_chapter
from mixlab.checks.exercise import each
from mixlab.checks.explain import agree, mistake_of


@pytest.fixture
def begun(tmp_path):
    return tmp_path, new_chapter(tmp_path, "05", "chunked_prefill")


def test_the_skeleton_is_a_draft_whose_lint_names_what_is_missing(begun, capsys):
    root, files = begun
    chapter = read_chapter(files[0])
    assert chapter.draft
    assert list(chapter.exercises) == ["05.1"]
    assert lint_command(root, [files[0]], timed=False) == 0
    assert "Still unfinished" in (said := capsys.readouterr().out)
    assert "cells in the lesson" in said
    rules = {problem.rule for problem in lint_chapter(root, chapter)}
    assert all("allowed" in rule or "leads nowhere" in rule for rule in rules), rules


def test_its_exercise_tells_right_from_wrong(begun):
    _, files = begun
    spec = importlib.util.spec_from_file_location("total", files[-1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked, known = module.ASKED, module.KNOWN
    for arguments in asked.inputs(0):
        first, second = (asked.outcome(answer, arguments) for answer in known.right)
        assert agree(second, first, asked.atol)
    for words, answer in each(known.mistakes):
        assert mistake_of("05.1", asked, known, answer) == words


def test_its_files_are_in_the_courses_style(begun):
    _, files = begun
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("number", "stem", "says"),
    [
        ("5", "chunks", "two digits"),
        ("05", "Chunked prefill", "two digits and words"),
        ("05", "other", "there is a chapter 05_chunked_prefill"),
        ("06", "chunked_prefill", "there is a chapter 05_chunked_prefill"),
    ],
)
def test_a_wrong_or_taken_name_is_told(begun, number, stem, says):
    with pytest.raises(ValueError, match=says):
        new_chapter(begun[0], number, stem)
