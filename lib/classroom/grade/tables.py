"""Tables for spreadsheets, of which no cell is computed, in any country's."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

BOM = "\ufeff"  # tells Excel that a text is UTF-8
FORMULA = "=+\\-−@\t\r＝﹦＋﹢－﹣＠﹫"
# At the start of a cell, or after what some other country's spreadsheet takes for a separator.
COMPUTED = re.compile(rf"(^|[;|\t])(?=\s*'*[{FORMULA}])")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of cells, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return BOM + text.getvalue()


def uncomputed(text: str) -> str:
    """A text that no spreadsheet takes for a formula, however it separates its cells.

    >>> uncomputed("=1+1"), uncomputed("ann;=1+1"), uncomputed("Müller-Lüdenscheidt, Anna")
    ("'=1+1", "ann;'=1+1", 'Müller-Lüdenscheidt, Anna')
    """
    return COMPUTED.sub(r"\1'", text)
