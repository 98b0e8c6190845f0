"""05.6 Prove by test: is any chunking the whole?"""

from collections import Counter
from operator import eq, ge, le

from mixlab.chapters.chunked_prefill.exercises.chunkers import FAMILIES, NUMBERS, reader_of, seen
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(reader_of, FAMILIES, lambda family: NUMBERS.get(family, (0,)), again=3),
    hints=(
        "For one window and one list of chunks: `read(window, lengths)` gives a list for each "
        "token. Compare each with the positions that the window shows, in whatever order.",
        "Every wrong one shows itself at some window from 1 to 6 within 26 tokens. Which list ends "
        "in a short chunk? Which has a long one after a short one, or one longer than two windows?",
        "Windows from 1 to 6, and about 24 tokens in chunks of 1, of 2, … up to all at once; then "
        "some uneven lists, such as [1, 9, 2, 12] and [5, 1, 4, 13, 1].",
    ),
)

# --- kept back while grading ---


def even(size, total=24):
    """Chunks of one size, the last of them shorter where it doesn't come out even."""
    return [size] * (total // size) + [total % size] * (total % size > 0)


UNEVEN = ([1, 9, 2, 12], [5, 1, 4, 13, 1], [2, 3, 7, 11, 1], [13, 11])
ALL = (*(even(size) for size in range(1, 25)), *UNEVEN)


def judging(read=sorted, agrees=eq, windows=range(1, 7), chunkings=ALL):
    """A test that tries some windows and some chunkings, and looks at rows in its own way."""

    def judge(reader):
        return all(
            agrees(read(row), read(seen(window, p)))
            for window in windows
            for lengths in chunkings
            for p, row in enumerate(reader(window, lengths))
        )

    return judge


def self_compared(reader):
    """Chunked against the same chunker's whole pass."""

    def rows(window, lengths):
        return [sorted(row) for row in reader(window, lengths)]

    return all(rows(w, c) == rows(w, [sum(c)]) for w in range(1, 7) for c in ALL)


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda reader: True,
    "your test rejects everything, right chunkers too. Print the first row that it finds wrong.": (
        lambda reader: False
    ),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda reader: not judging()(reader)
    ),
    "your test insists on an order. A query may read its keys in any order.": judging(list),
    "your test compares sets, and a set forgets that a key was handed over twice.": judging(set),
    "your test counts keys. A chunker can hand over the right number of wrong ones.": judging(len),
    "your test asks whether every key of the window is there, not whether others are.": judging(
        set, ge
    ),
    "your test asks whether no key from outside the window is there, not whether all of the "
    "window's are.": judging(set, le),
    "your test compares a chunker with itself, read whole. That may be wrong as well: compare with "
    "the window's rule.": self_compared,
    "your test reads token by token. In a chunk of 1 the first row is the last.": judging(
        chunkings=([1] * 24,)
    ),
    "your test reads everything in one chunk. There is no border in it.": judging(
        chunkings=([24], [7], [1])
    ),
    "your test tries one chunk size.": (judging(chunkings=[even(4)]), judging(chunkings=[even(3)])),
    "your test tries chunks up to the window's size only.": lambda reader: all(
        judging(windows=(w,), chunkings=[even(n) for n in range(1, w + 1)])(reader)
        for w in range(1, 7)
    ),
    "your test's chunks always come out even.": judging(
        chunkings=[even(n) for n in (1, 2, 3, 4, 6, 8, 12, 24)]
    ),
    "your test's chunks are all of one size, but for the last.": judging(chunkings=ALL[:24]),
    "your test's texts end too soon: a fault may show itself late.": judging(
        chunkings=([1] * 12, *(even(n, 12) for n in range(1, 13)), [1, 7, 4], [5, 1, 6])
    ),
}


def advice(reader):
    """What kind of chunking a test must have left out, in words that leave the finding open."""
    tried = [(w, c, reader(w, c)) for w in range(1, 7) for c in ALL]
    wrong = [
        (w, c)
        for w, c, rows in tried
        if any(sorted(row) != seen(w, p) for p, row in enumerate(rows))
    ]
    if not wrong:
        return "this chunker is right, and your test finds a fault. Print the first that it finds."
    longest = min(max(c) / w for w, c in wrong)
    kinds = {
        "your test leaves out chunks more than twice as long as the window.": longest > 2,
        "your test leaves out chunks longer than the window.": longest > 1,
        "your test leaves out uneven chunks.": not any(c in ALL[:24] for _, c in wrong),
        "your test tries too few windows.": len({w for w, _ in wrong}) < 6,
        "your test tries too few chunkings: this chunker is right at some borders.": True,
    }
    return next(words for words, found in kinds.items() if found)


KNOWN = Known(
    right=(judging(), judging(Counter, windows=(6, 2, 5, 1, 3, 4))),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda reader: reader(4, [4, 4]),
        "40 tokens in all": lambda reader: reader(4, [30, 30]) == [],
        "leaves out chunks": judging(chunkings=[[1, 2, 3, 2, 1] * 3], windows=(3,)),
    },
    show=lambda reader: f"is_exact on a chunker that hands over {reader.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
