"""`classroom new`: a chapter that runs, is tested and is not yet written.

It has a source, the chapter's folder in the library with one exercise, and the word "(draft)" in
its title, for which lint lists what is still missing without failing, and the README need not name
it yet. Whoever has written the chapter takes the word out.
"""

import re
from pathlib import Path

from classroom.layout import sources, write_atomically

SOURCE = '''\
# %% [markdown] slide="slide"
# # {number} · {title} (draft)
#
# *The one question of this lesson?*

# %% [markdown] slide="slide"
# **The problem.** What nobody can do yet, in three sentences with a number in them.

# %% [markdown]
# **You will be able to** do this; and that.
#
# **You need** the chapters before.
#
# **Time**: 45 minutes, and as much again for the exercises in
# [work/{number}_{stem}.ipynb](../work/{number}_{stem}.ipynb), your copy of
# [these](../exercises/{number}_{stem}.ipynb).

# %% [markdown] slide="slide"
# ## Six tokens first
#
# Concrete numbers, then a picture, an equation, code, the general case. **Predict:** what is the
# sum of 0 to 5?

# %% slide="same"
sum(range(6))

# %% [markdown] slide="notes"
# The answer is 15. Usual wrong answers: 21, with 6 counted in; 10, with 5 left out. Two minutes.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. What was shown.
# 2. By which cell.
# 3. And what follows.
#
# ## Self-test
#
# A question that the lesson answers?
#
# ## Next
#
# The question that this lesson leaves.

# %% [markdown] to="exercise"
# # {number} · {title}: exercises
#
# One exercise on [the lesson](../course/{number}_{stem}.ipynb), about 5 minutes.

# %% to="exercise"
from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="{number}.1" role="prompt" title="Add up" difficulty=1 minutes=5 points=1
# Write `total(numbers)`: the sum of a list of whole numbers, 0 for an empty one.


# %% exercise="{number}.1" role="answer"
def total(numbers):
    """The sum of whole numbers."""
    ### BEGIN SOLUTION
    return sum(numbers)
    ### END SOLUTION


# %% exercise="{number}.1" role="check"
check("{number}.1", total)
'''

EXERCISE = '''\
"""{number}.1 Add up: the sum of a list."""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Lists of up to nine numbers, some below zero; an empty one too."""
    return [([],), *((rng.integers(-9, 10, size=n).tolist(),) for n in range(1, 10))]


ASKED = Asked(
    draw=draw,
    examples=(([],), ([3, 4],), ([5, -2, 1],)),
    read=read_count,
    hints=(
        "What is the sum of no numbers?",
        "Begin with 0, and add one number after the other.",
        "Python's `sum` does it.",
    ),
)

# --- kept back while grading ---


def one_by_one(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


KNOWN = Known(
    right=(one_by_one, sum),
    mistakes={{
        "you leave the last number out.": lambda numbers: sum(numbers[:-1]),
        "you leave the first number out.": lambda numbers: sum(numbers[1:]),
        "you add the numbers without their signs.": lambda numbers: sum(map(abs, numbers)),
    }},
    slips={{"expected one whole number": lambda numbers: numbers}},
    show=lambda numbers: f"total({{numbers}})",
)
'''


def new_chapter(root: Path, number: str, stem: str) -> list[Path]:
    """Write the files of a new chapter; returns them.

    Raises:
        ValueError: if number or stem have the wrong form, or are taken.
    """
    if not re.fullmatch(r"\d\d", number) or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stem):
        raise ValueError(
            "a chapter has two digits and words joined by underscores: expected 05 and "
            f"chunked_prefill, say, got {number!r} and {stem!r}. "
            "Run: make new-chapter NN=05 STEM=chunked_prefill"
        )
    for path in sources(root):
        if path.stem[:2] == number or path.stem[3:] == stem:
            raise ValueError(f"there is a chapter {path.stem} already: take another number or stem")
    words = {"number": number, "stem": stem, "title": stem.replace("_", " ").capitalize()}
    chapter = root / "lib" / "mixlab" / "chapters" / stem
    files = {
        root / "course" / "source" / f"{number}_{stem}.py": SOURCE.format(**words),
        chapter / "__init__.py": f'"""Chapter {number}: what it is about, in a line."""\n',
        chapter
        / "exercises"
        / "__init__.py": f'"""What the exercises of chapter {number} share."""\n',
        chapter / "exercises" / "total.py": EXERCISE.format(**words),
    }
    for path, text in files.items():
        if path.exists():
            raise ValueError(f"{path} exists already: move it away first")
        write_atomically(path, text)
    return list(files)


def new_command(root: Path, number: str, stem: str) -> int:
    """Write a new chapter and say what to do next."""
    for path in new_chapter(root, number, stem):
        print(path.relative_to(root))
    print(f"\nNow: make chapter NN={number}, and write. Its lint lists what is missing.")
    return 0
