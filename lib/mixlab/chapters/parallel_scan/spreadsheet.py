"""The scans as a spreadsheet of live formulas, one row a round: type numbers, watch the sums.

Every formula is written from the library's own scan, whose trace says who reads whom. Run

    python -m mixlab.chapters.parallel_scan.spreadsheet course/spreadsheets/parallel_scan.xlsx

after a change here; a test holds the file against this module. Needs openpyxl, which comes with
the packages for tests.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from mixlab.chapters.parallel_scan.traces import ScanTrace, trace_scan

NUMBERS = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3)
KEPT = (0.5, 0.5, 1, 0.5, 0, 0.5, 0.9, 0.9, 1, 1, 0.2, 0.5, 0.5, 0.9, 1, 0.5)
RAIN = (4, 2, 1, 0, 3, 2, 0, 0, 1, 0, 2, 5, 0, 1, 0, 3)
LENGTH = len(NUMBERS)
# Pale relatives of the course's colours: black type stays readable on them.
TYPED, JOINED, FINAL = "FFF3B0", "FFD28A", "B9DCF2"
FIRST = 5  # the row of the numbers that are typed in


def workbook() -> Workbook:
    """Three sheets: sums up and down, sums with everybody reading back, and a leaky bucket."""
    book = Workbook()
    _sums(book.active, "up and down", trace_scan("blelloch", LENGTH))
    _sums(book.create_sheet(), "all read back", trace_scan("hillis_steele", LENGTH))
    _levels(book.create_sheet(), "leaky bucket", trace_scan("blelloch", LENGTH))
    return book


def _sums(sheet: Worksheet, name: str, trace: ScanTrace) -> None:
    _begin(sheet, name, "every place ends with the sum of all numbers up to it")
    _typed(sheet, FIRST, "numbers", NUMBERS)
    _rounds(sheet, trace, 1, lambda row, left, here: [f"={left}{row}+{here}{row}"])
    last = FIRST + trace.depth
    loop = [f"={here}{FIRST}" for here in _columns()]
    for t in range(1, LENGTH):
        loop[t] = f"={_column(t - 1)}{last + 2}+{_column(t)}{FIRST}"
    _compare(sheet, last, loop)


def _levels(sheet: Worksheet, name: str, trace: ScanTrace) -> None:
    """Two rows a round: what a stretch of minutes keeps of the level before it, and adds."""
    _begin(sheet, name, "every place ends with the bucket's level after that minute")
    _typed(sheet, FIRST, "a: share kept", KEPT)
    _typed(sheet, FIRST + 1, "b: litres in", RAIN)

    def join(row: int, left: str, here: str) -> list[str]:
        kept = f"={left}{row}*{here}{row}"
        return [kept, f"={here}{row}*{left}{row + 1}+{here}{row + 1}"]

    _rounds(sheet, trace, 2, join)
    last = FIRST + 2 * trace.depth + 1
    loop = [f"={_column(0)}{FIRST + 1}"]
    for t in range(1, LENGTH):
        here = _column(t)
        loop.append(f"={here}{FIRST}*{_column(t - 1)}{last + 2}+{here}{FIRST + 1}")
    _compare(sheet, last, loop)


def _rounds(
    sheet: Worksheet, trace: ScanTrace, height: int, join: Callable[[int, str, str], list[str]]
) -> None:
    """One round below the other, `height` rows each; who doesn't join keeps what stood above."""
    for turn, step in enumerate(trace.steps):
        above, row = FIRST + height * turn, FIRST + height * (turn + 1)
        reads = dict(zip(step.later, step.earlier, strict=True))
        final = dict(zip(step.later, step.start, strict=True))
        for part in range(height):
            for t, here in enumerate(_columns()):
                cell = sheet[f"{here}{row + part}"]
                cell.value = f"={here}{above + part}"
                if t in reads:
                    cell.value = join(above, _column(reads[t]), here)[part]
                    cell.fill = PatternFill("solid", fgColor=JOINED if final[t] else FINAL)
        back = {later - earlier for later, earlier in reads.items()}
        sheet[f"A{row}"] = f"round {turn + 1}: from {', '.join(map(str, sorted(back)))} back"
        sheet[f"{_column(LENGTH)}{row}"] = len(reads)
    end = FIRST + height * len(trace.steps) + height - 1
    joins = _column(LENGTH)
    sheet[f"{joins}{FIRST - 1}"] = "joins"
    sheet[f"{joins}{end + 1}"] = f"=SUM({joins}{FIRST + 1}:{joins}{end})"


def _begin(sheet: Worksheet, name: str, claim: str) -> None:
    sheet.title = name
    sheet["A1"] = f"{name[0].upper()}{name[1:]}: {claim}"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet["A2"] = (
        "Type into the yellow cells; all others are formulas. Orange: joined in this round. "
        "Blue: finished. A row needs only the row above it, so its cells can be done at once."
    )
    sheet["A4"] = "place"
    for t, here in enumerate(_columns()):
        sheet[f"{here}4"] = t
        sheet[f"{here}4"].font = Font(bold=True)
    sheet.column_dimensions["A"].width = 24
    for here in [*_columns(), _column(LENGTH)]:
        sheet.column_dimensions[here].width = 8
    sheet.freeze_panes = f"B{FIRST}"


def _typed(sheet: Worksheet, row: int, label: str, numbers: tuple[float, ...]) -> None:
    sheet[f"A{row}"] = label
    for here, number in zip(_columns(), numbers, strict=True):
        sheet[f"{here}{row}"] = number
        sheet[f"{here}{row}"].fill = PatternFill("solid", fgColor=TYPED)


def _compare(sheet: Worksheet, last: int, loop: list[str]) -> None:
    """Below the last round the loop, one step after the other, and whether both agree."""
    sheet[f"A{last + 2}"] = "the loop, place by place"
    sheet[f"A{last + 3}"] = "the same?"
    for here, formula in zip(_columns(), loop, strict=True):
        sheet[f"{here}{last + 2}"] = formula
        same = f'=IF(ABS({here}{last}-{here}{last + 2})<0.000001,"yes","NO")'
        sheet[f"{here}{last + 3}"] = same
        sheet[f"{here}{last + 3}"].alignment = Alignment(horizontal="right")
    for row in sheet.iter_rows(min_row=FIRST, max_row=last + 2, min_col=2):
        for cell in row:
            cell.number_format = "0.###"


def _column(t: int) -> str:
    return get_column_letter(t + 2)


def _columns() -> list[str]:
    return [_column(t) for t in range(LENGTH)]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook().save(path)
