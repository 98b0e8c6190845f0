"""A small course to build, in a folder of its own."""

import shutil
from pathlib import Path

import pytest

from classroom.build import build_chapter

CHAPTER = '''\
# %% [markdown] slide="slide"
# # Windows
#
# A query sees its window.

# %% slide="same" show="both"
window = 3
print("window", window)
window + 1

# %% alt="A line that rises from one to three over three equal steps" slide="slide" show="output"
from IPython.display import display

display({"application/vnd.plotly.v1+json": {"data": [{"y": [1, 2, 3]}]}}, raw=True)

# %% [markdown] slide="notes"
# Say what a window is.

# %% fails="ZeroDivisionError"
window / 0

# %% volatile=true
import time

print(time.time())

# %% to="both"
class CheckFailed(AssertionError):
    pass


def check(name, answer):
    for length in (1, 5):
        got, expected = answer(length), length + 1
        if got != expected:
            raise CheckFailed(f"length {length}: wrong\\nexpected {expected}\\ngot {got}")
    print(name, "passed", "3f9a")


# %% [markdown] to="exercise"
# Work through these in order.

# %% [markdown] exercise="02.1" role="prompt" title="Count pairs" difficulty=1 minutes=5 points=2
# Return how many.

# %% exercise="02.1" role="answer"
def count_pairs(length):
    """How many."""
    ### BEGIN SOLUTION
    fence_posts = length + 1
    return fence_posts
    ### END SOLUTION

# %% exercise="02.1" role="check"
check("02.1", count_pairs)

# %% [markdown] exercise="02.2" role="prompt" title="Find the bug" difficulty=3 minutes=15 points=1
# This function is wrong.

# %% exercise="02.2" role="prompt"
def wrong(length):
    return length - 1


# %% exercise="02.2" role="answer"
### BEGIN SOLUTION
def repaired_count(length):
    return 1 + length
### END SOLUTION

# %% exercise="02.2" role="check"
check("02.2", repaired_count)
'''


@pytest.fixture(scope="session")
def built_course(tmp_path_factory) -> Path:
    """A course of one chapter, 02_windows, built once; tests only read it."""
    root = tmp_path_factory.mktemp("course")
    source = root / "course" / "source" / "02_windows.py"
    source.parent.mkdir(parents=True)
    source.write_text(CHAPTER)
    build_chapter(root, source, say=lambda _: None)
    return root


@pytest.fixture
def course(built_course, tmp_path) -> Path:
    """The same course in a folder that a test may change."""
    return Path(shutil.copytree(built_course, tmp_path / "course_copy"))


@pytest.fixture(scope="session")
def chapter_text() -> str:
    """The source of the chapter."""
    return CHAPTER
