"""Lint: a chapter within its budgets passes, and each broken rule is named."""

import pytest

from classroom.__main__ import main
from classroom.budgets import budget_problems, count_words, measure
from classroom.lint import lint_chapter, table
from classroom.source import read_chapter

OPENING = """\
# %% [markdown] slide="slide"
# # Windows
#
# ## The problem
# Attention looks at everything.
#
# **You will be able to** draw a mask.
#
# **You need** matrices.
#
# **Time** about 45–50 minutes.
"""
CLOSING = """\
# %% [markdown]
# ## Takeaways
# 1. One
# 2. Two
# 3. Three

# %% [markdown]
# ## Self-test
# What does W count?

# %% [markdown]
# ## Next
# [The exercises](../work/02_windows.ipynb), also [as handed out](../exercises/02_windows.ipynb),
# then [this one](02_windows.ipynb#top).
"""
ALT = "A lower triangle of filled squares: query six sees the three keys {0}, five and six"


def exercise(number: int) -> str:
    return f"""\
# %% [markdown] exercise="02.{number}" role="prompt" title="T" difficulty=1 minutes=5 points=1
# Do it.


# %% exercise="02.{number}" role="answer"
def answer_{number}(length):
    ### BEGIN SOLUTION
    return length * length + {number}
    ### END SOLUTION


# %% exercise="02.{number}" role="check"
print(answer_{number}(1))
"""


def lesson(text_cells: int = 13, code_cells: int = 12, slides: int = 13) -> list[str]:
    cells = [OPENING]
    for number in range(text_cells):
        slide = ' slide="slide"' if number < slides - 1 else ""
        cells.append(f"# %% [markdown]{slide}\n# Text {number} of this lesson.\n")
    for number in range(code_cells):
        alt = f' alt="{ALT.format(number)}"' if number < 2 else ""
        cells.append(f"# %%{alt}\nvalue_{number} = {number}\n")
    return [*cells, CLOSING, *(exercise(number) for number in (1, 2, 3))]


@pytest.fixture
def root(tmp_path):
    for folder in ("course/source", "exercises", "solutions"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("course", "exercises", "solutions"):
        (tmp_path / folder / "02_windows.ipynb").write_text("{}")
    return tmp_path


def problems(root, cells) -> list[str]:
    path = root / "course" / "source" / "02_windows.py"
    path.write_text("\n".join(cells))
    return [
        str(problem).replace(str(root) + "/", "")
        for problem in lint_chapter(root, read_chapter(path))
    ]


def test_a_chapter_within_its_budgets_passes(root):
    assert problems(root, lesson()) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Three exercises on [it](02_windows.ipynb), about 15 minutes.", []),
        ("Three exercises on [it](02_windows.ipynb), about 20 minutes.", []),
        ("Three exercises on [it](02_windows.ipynb), about an hour.", ["an hour; there are three"]),
        ("Four exercises on [it](02_windows.ipynb), about 15 minutes.", ["of 15 minutes together"]),
    ],
)
def test_an_introduction_counts_its_exercises(root, said, told):
    found = problems(root, [*lesson(), f'# %% [markdown] to="exercise"\n# {said}\n'])
    assert len(found) == len(told)
    assert all(words in one for words, one in zip(told, found, strict=True))


def swap(old: str, new: str, cells: list[str] | None = None) -> list[str]:
    text = "\n".join(cells or lesson())
    assert old in text
    return [text.replace(old, new, 1)]


LONG_CODE = "# %%\n" + "".join(f"a_{n} = {n}\n" for n in range(26))
LONG_TEXT = "# %% [markdown]\n" + "# word word word word word\n" * 21

SHORT = "return length * length + 1"
LONG = "return length * length + length + 1"
GIVEN_AWAY = f"# Write `{LONG}`."


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (lesson(text_cells=5, code_cells=5, slides=5), "cells in the lesson: 14; 25 to 50"),
        (lesson(text_cells=40), "cells in the lesson: 56; 25 to 50"),
        (lesson(slides=5), "slides: 5; 12 to 25"),
        (lesson()[:-1], "exercises: 2; 3 to 7"),
        (swap("# %%\nvalue_5 = 5\n", LONG_CODE), "26 lines in a code cell; at most 25"),
        (swap("# Text 3 of this lesson.\n", LONG_TEXT.partition("\n")[2]), "105 words in a text"),
        (swap(ALT.format(0), "A mask"), "alt text of 6 characters says too little"),
        (swap(ALT.format(0), "TODO: say here what this figure shows to a reader"), "too little"),
        (swap(ALT.format(1), ALT.format(0)), "the same alt text as line"),
        (swap("# # Windows", "# ## Windows"), 'one title ("# …"), in its first cell; found 0'),
        (swap("# Text 3", "# # Text 3"), 'one title ("# …"), in its first cell; found 2'),
        (swap("## The problem", "## A question"), "'The problem': it is missing"),
        (swap("**You need**", "You need"), "'You need': it is missing"),
        (swap("**Time** about", "About"), "'Time': it is missing"),
        (swap("45–50 minutes", "90 minutes"), "takes 45 to 60 minutes; found [90]"),
        (swap("45–50 minutes", "long"), "found no number of minutes"),
        (swap("## Self-test", "## Questions"), "'Self-test': it is missing"),
        (swap("# 3. Three\n", ""), "ends on 3 takeaways, as a list; found 2"),
        (
            swap("## Takeaways", "## Next", swap("## Next", "## The takeaways")),
            "it stands in another order",
        ),
        (
            swap("(02_windows.ipynb#top)", "(03_gone.ipynb)"),
            "'03_gone.ipynb' leads nowhere from cou",
        ),
        (swap("# Do it.", "# [See](02_gone.ipynb)"), "leads nowhere from exercises/"),
        (swap("../work/02_windows", "../work/03_gone"), "leads nowhere from course/"),
        (swap("value_7 = 7", "import os"), "F401 `os` imported but unused"),
        (swap("value_7 = 7", "value_7=7"), "not formatted. Run: ruff format"),
        (swap("print(answer_2(1))", "print(answer_1(1))"), "uses answer_1, which only the answer"),
        (swap("# Do it.", GIVEN_AWAY, swap(SHORT, LONG)), "gives away a line of 02.1"),
    ],
)
def test_each_broken_rule_is_named(root, cells, said):
    found = problems(root, cells)
    assert any(said in line for line in found), found
    assert all(line.startswith("course/source/02_windows.py") for line in found)


@pytest.mark.parametrize(
    "cells",
    [
        swap("Text 3 of", "word " * 97 + "of"),  # exactly 100 words
        swap("# Do it.", f"# Write `{SHORT}`."),  # too short to give anything away
        swap("value_7 = 7", "value_7 = 7\nvalue_7"),  # a cell may end on a value
        swap("value_7 = 7", "import os\n\nos.sep"),  # and import in the middle
        swap("# Text 3", "# [Far](https://example.org) [near](#top) `[no](link)`. Text 3"),
    ],
)
def test_what_is_allowed_passes(root, cells):
    assert problems(root, cells) == []


def test_the_whole_prose_and_the_median_have_budgets(root):
    wordy = lesson()
    for number in range(13):
        wordy = swap(f"# Text {number} of", "# " + "word " * 95 + f"{number} x", wordy)
    wordy = swap("value_11 = 11", "value_11 = 11\n\n# %% [markdown]\n# " + "word " * 99, wordy)
    path = root / "course" / "source" / "02_windows.py"
    many = [*wordy[:1], *(f"# %% [markdown]\n# {'word ' * 99}\n" for _ in range(9))]
    path.write_text("\n".join(many))
    rules = [problem.rule for problem in budget_problems(read_chapter(path))]
    assert any(rule.endswith("words of prose; at most 2200 are allowed.") for rule in rules)
    tall = "".join(f"a_{n} = {n}\n" for n in range(9))
    path.write_text("\n".join([OPENING, *["# %%\n" + tall] * 3]))
    rules = [problem.rule for problem in budget_problems(read_chapter(path))]
    assert any("the median code cell has 9 lines" in rule for rule in rules)


def test_a_large_notebook_is_named(root):
    (root / "solutions" / "02_windows.ipynb").write_text("x" * 500_001)
    assert problems(root, lesson()) == [
        "solutions/02_windows.ipynb: 500 KB; at most 500 are allowed."
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two", 2),
        ("$a + b$ and $$\nx\n$$", 3),
        ("```python\nx = 1\n```\nafter", 1),
        ("[text here](https://example.org/a/b)", 2),
        ("![alt words](a.png) <b>x</b>", 3),
        ("| a | b |\n|---|---|\n| 131,041 | half-way |", 4),
        ("- **bold** isn't `code`", 3),
    ],
)
def test_words_are_what_a_reader_reads(text, words):
    assert count_words(text) == words


def test_the_command_prints_a_table_and_its_status(root, capsys, tmp_path):
    path = root / "course" / "source" / "02_windows.py"
    path.write_text("\n".join(lesson()))
    assert main(["--root", str(root), "lint"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("chapter     cells  words")
    assert "1 chapter, no problems" in printed
    path.write_text("\n".join(lesson(slides=3)))
    assert main(["--root", str(root), "lint", "2"]) == 1
    assert "slides: 3" in capsys.readouterr().out
    path.write_text("# %% oops=1\nx = 1\n")
    assert main(["--root", str(root), "lint"]) == 1
    assert "unknown key 'oops'" in capsys.readouterr().out


def test_the_table_shows_what_was_measured(root):
    path = root / "course" / "source" / "02_windows.py"
    path.write_text("\n".join(lesson()))
    measures = measure(read_chapter(path))
    assert (measures.cells, measures.slides, measures.figures, measures.exercises) == (29, 13, 2, 3)
    assert (measures.longest_code, measures.median_code) == (1, 1)
    heads, row = table([("02_windows", measures)]).split("\n")
    assert len(heads) == len(row)
    assert row.split()[:2] == ["02_windows", "29"]
