"""The budgets of a chapter: how long, how many, how it opens and closes.

Pure functions from a chapter to what was measured and to the rules it breaks. A budget that binds
is a reason to cut or to split a lesson, never to write denser.
"""

import re
from dataclasses import dataclass
from statistics import median

from classroom.chapter import Cell, Chapter
from classroom.problems import Problem

LESSON_CELLS = (25, 50)
PROSE_WORDS = 2200
TEXT_CELL_WORDS = 100
CODE_CELL_LINES = 25
CODE_MEDIAN_LINES = 8
SLIDES = (12, 25)
EXERCISES = (3, 7)  # six, and one that a teacher adds
ALT_CHARACTERS = 40
LESSON_MINUTES = (45, 60)
CLOSING_CELLS = 6  # how many of the last cells may hold the close
TAKEAWAYS = 3

# A label is a heading (## …) or bold at the start of a line (**…**); it must match the pattern.
OPENING = {
    "The problem": r"\bproblem\b",
    "You will be able to": r"\bable to\b",
    "You need": r"\bneed\b",
    "Time": r"\btime\b",
}
CLOSING = {
    "Takeaways": r"\btakeaways\b",
    "Self-test": r"\bself-test\b",
    "Next": r"\bnext\b",
}
LABEL = re.compile(r"^(?:#{2,4}\s+(?P<heading>.+)|\*\*(?P<bold>[^*]+)\*\*)", re.MULTILINE)
STUB_ALT = re.compile(r"(figure|image|picture|plot|chart|graph|diagram)\b[^a-z]*$|.*\btodo\b", re.I)


@dataclass(frozen=True)
class Measures:
    """What a chapter measures, for the report's table."""

    cells: int
    words: int
    longest_text: int
    longest_code: int
    median_code: float
    slides: int
    figures: int
    exercises: int


def count_words(markdown: str) -> int:
    """The words a reader reads: a formula or a link's text counts, code blocks and URLs don't.

    >>> count_words("The window $i - j < W$ **hides** [the past](https://example.org).")
    6
    """
    text = re.sub(r"```.*?```", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", " formula ", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", " formula ", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r" \1 ", text)
    text = re.sub(r"<[^>]+>|https?://\S+", " ", text)
    return len(re.findall(r"\w[\w'’.,\-–/×]*", text))


def code_lines(cell: Cell) -> int:
    """Lines of code a reader sees; solution markers don't count."""
    return sum(
        "### BEGIN" not in line and "### END" not in line for line in cell.source.split("\n")
    )


def measure(chapter: Chapter) -> Measures:
    """What the chapter's lesson measures."""
    lesson = [cell for cell in chapter.cells if cell.goes_to("lesson")]
    texts = [count_words(cell.source) for cell in lesson if cell.type == "markdown"]
    code = [code_lines(cell) for cell in lesson if cell.type == "code"]
    return Measures(
        # A teacher's notes are nothing that a student works through.
        cells=sum(cell.slide != "notes" for cell in lesson),
        words=sum(texts),
        longest_text=max(texts, default=0),
        longest_code=max(code, default=0),
        median_code=median(code) if code else 0,
        slides=sum(cell.slide == "slide" for cell in lesson),
        figures=sum(bool(cell.alt) for cell in lesson),
        exercises=len(chapter.exercises),
    )


def budget_problems(chapter: Chapter) -> list[Problem]:
    """Every budget and every rule of a lesson's shape that the chapter breaks."""
    measures = measure(chapter)
    problems = []

    def whole(rule: str, fix: str = "") -> None:
        problems.append(Problem(chapter.path, 0, rule, fix))

    def at(cell: Cell, rule: str, fix: str = "") -> None:
        problems.append(Problem(chapter.path, cell.line, rule, fix))

    for what, number, (low, high) in (
        ("cells in the lesson", measures.cells, LESSON_CELLS),
        ("slides", measures.slides, SLIDES),
        ("exercises", measures.exercises, EXERCISES),
    ):
        if not low <= number <= high:
            fix = "Replace one." if what == "exercises" and number > high else ""
            whole(f"{what}: {number}; {low} to {high} are allowed.", fix)
    if measures.words > PROSE_WORDS:
        whole(f"{measures.words} words of prose; at most {PROSE_WORDS} are allowed.", "Cut.")
    if measures.median_code > CODE_MEDIAN_LINES:
        whole(
            f"the median code cell has {measures.median_code:g} lines; at most "
            f"{CODE_MEDIAN_LINES} are allowed.",
            "Split cells, or move code into the library.",
        )
    alts: dict[str, Cell] = {}
    for cell in chapter.cells:
        if cell.type == "markdown" and count_words(cell.source) > TEXT_CELL_WORDS:
            words = count_words(cell.source)
            at(cell, f"{words} words in a text cell; at most {TEXT_CELL_WORDS}.", "Cut or split.")
        if cell.type == "code" and code_lines(cell) > CODE_CELL_LINES:
            lines = code_lines(cell)
            at(cell, f"{lines} lines in a code cell; at most {CODE_CELL_LINES}.", "Split it.")
        if cell.alt:
            if len(cell.alt) < ALT_CHARACTERS or STUB_ALT.match(cell.alt):
                at(
                    cell,
                    f"alt text of {len(cell.alt)} characters says too little: {cell.alt!r}.",
                    f"Say what the figure shows, in at least {ALT_CHARACTERS}.",
                )
            if alts.setdefault(cell.alt, cell) is not cell:
                at(cell, f"the same alt text as line {alts[cell.alt].line}.", "Say what differs.")
    return problems + shape_problems(chapter)


def shape_problems(chapter: Chapter) -> list[Problem]:
    """How the lesson opens and closes: one title, four labels before any code, three at the end."""
    lesson = [cell for cell in chapter.cells if cell.goes_to("lesson")]
    if not lesson:
        return [Problem(chapter.path, 0, "the lesson has no cells.")]
    problems = []
    titles = [
        cell for cell in lesson if cell.type == "markdown" and re.search("^# ", cell.source, re.M)
    ]
    if titles[:1] != lesson[:1] or len(titles) != 1:
        problems.append(
            Problem(
                chapter.path,
                lesson[0].line,
                f'a lesson has one title ("# …"), in its first cell; found {len(titles)}.',
            )
        )
    first_code = next((n for n, cell in enumerate(lesson) if cell.type == "code"), len(lesson))
    opening = labels(lesson[:first_code])
    closing = labels(lesson[-CLOSING_CELLS:])
    for wanted, found, where in (
        (OPENING, opening, "opens, before any code,"),
        (CLOSING, closing, f"closes, in its last {CLOSING_CELLS} cells,"),
    ):
        position = 0
        for name, pattern in wanted.items():
            hits = [n for n, (text, _) in enumerate(found) if re.search(pattern, text, re.I)]
            later = [n for n in hits if n >= position]
            if not later:
                why = "it stands in another order" if hits else "it is missing"
                order = ", ".join(wanted)
                problems.append(
                    Problem(
                        chapter.path,
                        0,
                        f"a lesson {where} with the labels {order}; {name!r}: {why}.",
                        'Write it as "## …" or "**…**".',
                    )
                )
            else:
                position = later[0] + 1
    return problems + _content_problems(chapter, opening, closing)


def labels(cells: list[Cell]) -> list[tuple[str, Cell]]:
    """Headings and bold line starts of the text cells, in order, each with its cell."""
    return [
        (match["heading"] or match["bold"], cell)
        for cell in cells
        if cell.type == "markdown"
        for match in LABEL.finditer(cell.source)
    ]


def _content_problems(
    chapter: Chapter, opening: list[tuple[str, Cell]], closing: list[tuple[str, Cell]]
) -> list[Problem]:
    """The time is in minutes and allowed; there are three takeaways."""
    problems = []
    low, high = LESSON_MINUTES
    for text, cell in opening:
        if re.search(OPENING["Time"], text, re.I):
            after = cell.source[cell.source.index(text) :]
            minutes = [int(n) for n in re.findall(r"\d+", after.partition("min")[0])]
            if "min" not in after or not minutes or not all(low <= n <= high for n in minutes):
                problems.append(
                    Problem(
                        chapter.path,
                        cell.line,
                        f"a lesson takes {low} to {high} minutes; "
                        f"found {minutes or 'no number of minutes'} under Time.",
                    )
                )
            break
    for text, cell in closing:
        if re.search(CLOSING["Takeaways"], text, re.I):
            after = cell.source[cell.source.index(text) :]
            items = re.findall(r"^\s{0,3}(?:\d+[.)]|[-*+])\s", after, re.MULTILINE)
            if len(items) != TAKEAWAYS:
                problems.append(
                    Problem(
                        chapter.path,
                        cell.line,
                        f"a lesson ends on {TAKEAWAYS} takeaways, as a list; found {len(items)}.",
                    )
                )
            break
    return problems
