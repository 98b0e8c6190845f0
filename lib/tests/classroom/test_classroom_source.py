"""Sources: what authors may write, and what each mistake is told."""

from pathlib import Path

import pytest

from classroom.problems import ChapterError
from classroom.solution_region import clear_regions, leaks, marker_errors, split_regions
from classroom.source import HEADER, read_chapter

PATH = Path("course/source/02_windows.py")
PROMPT = (
    '# %% [markdown] exercise="02.1" role="prompt" title="T" difficulty=1 minutes=5 points=1\n'
    "# Do it.\n"
)
ANSWER = (
    '# %% exercise="02.1" role="answer"\n'
    "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"
)
CHECK = '# %% exercise="02.1" role="check"\nprint(f())\n'


def complaints(text: str) -> list[str]:
    with pytest.raises(ChapterError) as caught:
        read_chapter(PATH, text)
    return str(caught.value).splitlines()


def test_every_cell_is_read_with_its_keys_and_line(chapter_text):
    chapter = read_chapter(PATH, chapter_text)
    lines = chapter_text.split("\n")
    assert len(chapter.cells) == sum(bool(HEADER.fullmatch(line)) for line in lines)
    for cell in chapter.cells:
        assert lines[cell.line - 1].startswith("# %%")
        assert lines[cell.body_line - 1].removeprefix("# ") == cell.source.split("\n")[0]
    figure = chapter.cells[2]
    assert figure.alt.startswith("A line that rises")
    assert (figure.slide, figure.show) == ("slide", "output")
    assert list(chapter.exercises) == ["02.1", "02.2"]
    assert [cell.role for cell in chapter.exercises["02.2"]] == [
        "prompt",
        "prompt",
        "answer",
        "check",
    ]


def test_cells_go_where_they_are_sent(chapter_text):
    by_source = {
        cell.source.split("\n")[0]: cell for cell in read_chapter(PATH, chapter_text).cells
    }
    kinds = ("lesson", "exercise", "solution")

    def places(start: str) -> list[str]:
        return [kind for kind in kinds if by_source[start].goes_to(kind)]

    assert places("window = 3") == ["lesson"]
    assert places("class CheckFailed(AssertionError):") == ["lesson", "exercise", "solution"]
    assert places("Work through these in order.") == ["exercise", "solution"]
    assert places("def count_pairs(length):") == ["exercise", "solution"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('# %% slides="slide"', "unknown key 'slides'"),
        ("# %% slide=slide", "cannot read the keys"),
        ('# %% slide="next"', 'slide must be "slide", "same", "fragment" or "notes"'),
        ("# %% slide", "holds keys only; got 'slide'"),
        ("# %% A title", "holds keys only; got 'A title'"),
        ('# %% title="A title"', "title belongs on a markdown cell"),
        ('# %% slide="slide" show="figure"', "show must be"),
        ('# %% show="code"', "this cell has no slide"),
        ('# %% alt=""', "alt must be"),
        ('# %% widget="yes"', "widget must be true"),
        ('# %% widget=true slide="slide"', "a widget needs a kernel"),
        ('# %% widget=true alt="A figure"', "not both"),
        ('# %% slide="notes"', "speaker notes are markdown"),
        ('# %% fails="no error"', "fails must be"),
        ("# %% fails=true volatile=true", "a cell that fails is compared"),
        ('# %% to="solution"', "to must be"),
        ('# %% to="exercise" slide="slide"', "this cell is not in it"),
        ('# %% tags="a"', "tags must be"),
        ('# %% tags=["nbval-skip"]', "belongs to the builder"),
        ('# %% tags=["raises-exception"]', "belongs to the builder"),
        ("# %% exercise=02.1", "exercise must be"),
        ('# %% exercise="02.1"', "stand together"),
        ('# %% role="answer"', "stand together"),
        ("# %% [raw]", "cells are markdown or code"),
    ],
)
def test_a_wrong_header_is_named_with_its_line(header, said):
    lines = complaints(f"# %% [markdown]\n# Text\n\n{header}\nx = 1\n")
    assert any(said in line for line in lines), lines
    assert all(line.startswith(f"{PATH}:4: ") for line in lines)


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("", 4, "this one is empty"),
        ("x = 1\ny = (\n", 6, "does not parse"),
        ("# copy the mask\nx = 1\n", 5, "as a shell command"),
        ("x = 1\n# NBVAL_SKIP\n", 6, "switches nbval's check"),
        ("x = 1\n### BEGIN SOLUTION\ny = 1\n", 6, "never ends"),
        ("x = 1\n### END SOLUTION\n", 6, "never began"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\nx\n### END SOLUTION\n", 6, "inside another"),
        ("### BEGIN SOLUTION\n# only words\n### END SOLUTION\n", 5, "holds no code"),
        ("x = 1  ### BEGIN SOLUTION\n", 5, "stands alone"),
        ("# begin solution\nx = 1\n", 5, "stands alone"),
        ("### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", 4, "belongs in an answer cell"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(body, line, said):
    lines = complaints(f"# %% [markdown]\n# Text\n\n# %%\n{body}")
    assert any(one.startswith(f"{PATH}:{line}: ") and said in one for one in lines), lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PROMPT + ANSWER, "prompts, then one answer, then one check"),
        (PROMPT + CHECK + ANSWER, "prompts, then one answer, then one check"),
        (PROMPT + ANSWER + ANSWER + CHECK, "prompts, then one answer, then one check"),
        (ANSWER + CHECK, "prompts, then one answer"),
        (PROMPT.replace(" points=1", "") + ANSWER + CHECK, "missing: points"),
        (PROMPT.replace("minutes=5", "minutes=45") + ANSWER + CHECK, "from 5 to 15"),
        (PROMPT.replace("difficulty=1", "difficulty=4") + ANSWER + CHECK, "1, 2 or 3"),
        ((PROMPT + ANSWER + CHECK).replace("02.1", "02.2"), "exercise 1 of this chapter is '02.1'"),
        ((PROMPT + ANSWER + CHECK).replace("02.1", "03.1"), "exercise 1 of this chapter is '02.1'"),
        (
            "# %%\nx = 1\n".join([PROMPT + ANSWER + CHECK] * 2),
            "exercise 2 of this chapter is '02.2'",
        ),
        (PROMPT + "# %%\nx = 1\n" + ANSWER + CHECK, "prompts, then one answer"),
        (PROMPT + ANSWER.replace("### ", "# the ") + CHECK, "stands alone"),
        (
            PROMPT + '# %% exercise="02.1" role="answer"\nf = print\n' + CHECK,
            "needs a solution region",
        ),
        (PROMPT + ANSWER + CHECK.replace('"check"', '"check" volatile=true'), "takes no volatile"),
        (PROMPT + ANSWER.replace('"answer"', '"answer" to="both"') + CHECK, "to has no meaning"),
        (PROMPT + ANSWER + CHECK.replace("# %% ", "# %% [markdown] "), "this is markdown"),
        (
            PROMPT
            + ANSWER.replace("    ### BEGIN", "### BEGIN").replace("    ### END", "### END")
            + CHECK,
            "without its solution the cell does not parse",
        ),
    ],
)
def test_a_wrong_exercise_is_told(text, said):
    assert any(said in line for line in complaints(text)), complaints(text)


def test_a_sound_exercise_passes():
    assert list(read_chapter(PATH, PROMPT + ANSWER + CHECK).exercises) == ["02.1"]


def test_all_mistakes_of_a_file_come_in_one_go():
    lines = complaints('# %% slide="x"\na = 1\n\n# %%\nb = (\n\n# %% foo=1\nc = 1\n')
    assert [line.split(":")[1] for line in lines] == ["1", "5", "7"]


def test_text_before_the_first_cell_and_hidden_headers_are_refused():
    assert "begins with a cell" in complaints("x = 1\n# %%\ny = 2\n")[0]
    hidden = '# %%\ntext = """\n# %% not a cell\n"""\n'
    assert "look like cell headers" in complaints(hidden)[0]


def test_clearing_keeps_everything_but_the_regions():
    source = (
        "def f(x):\n    ### BEGIN SOLUTION\n    y = x\n    ### END SOLUTION\n"
        "    return y\n### BEGIN SOLUTION\nz = f(1)\n### END SOLUTION"
    )
    assert marker_errors(source) == []
    stub = 'raise NotImplementedError("02.3: replace this line with your answer")'
    assert clear_regions(source, "02.3") == f"def f(x):\n    {stub}\n    return y\n{stub}"
    outside, inside = split_regions(source)
    assert outside == ["def f(x):", "    return y"]
    assert inside == ["    y = x", "z = f(1)"]


def test_leaks_are_lines_that_only_the_solution_has():
    regions = ["    total = first + second", "    x = 1", "    return total"]
    assert leaks(regions, "", "print(total = first + second)") == ["total = first + second"]
    assert leaks(regions, "total = first + second", "total = first + second") == []
    assert leaks(regions, "", "x = 1") == []
