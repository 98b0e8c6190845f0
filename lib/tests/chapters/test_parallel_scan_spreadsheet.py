"""Chapter 17's spreadsheet: recalculated, it holds what the library's scan gives."""

import operator
import random
import re
from functools import reduce
from pathlib import Path

import pytest
import torch
from openpyxl import Workbook, load_workbook

from classroom.layout import find_root
from mixlab.chapters.parallel_scan.spreadsheet import FIRST, LENGTH, workbook
from mixlab.ssm.scan import linear_recurrence

FILE = find_root(Path(__file__)) / "course" / "spreadsheets" / "parallel_scan.xlsx"
PLACES = slice(1, LENGTH + 1)


class Recalculated:
    """The values of a sheet. Its formulas know references, +, -, *, SUM of a range, ABS and IF."""

    def __init__(self, sheet) -> None:
        self.sheet, self.known = sheet, {}

    def __getitem__(self, name: str):
        if name not in self.known:
            value = self.sheet[name].value
            is_formula = isinstance(value, str) and value.startswith("=")
            self.known[name] = self._compute(value[1:]) if is_formula else value
        return self.known[name]

    def _compute(self, formula: str):
        python = re.sub(r"([A-Z]+\d+):([A-Z]+\d+)", r"RANGE('\1:\2')", formula)
        python = re.sub(r"(?<![A-Z':])([A-Z]+\d+)(?![\d:'])", r"REF('\1')", python)
        names = {"REF": self.__getitem__, "RANGE": self._range, "ABS": abs, "SUM": self._sum}
        return eval(python, {"__builtins__": {}}, names | {"IF": lambda so, a, b: a if so else b})

    def _range(self, span: str) -> list:
        return [self[cell.coordinate] for row in self.sheet[span] for cell in row]

    def _sum(self, values: list) -> float:
        return reduce(operator.add, (v for v in values if v is not None), 0)

    def row(self, number: int) -> list:
        return [self[cell.coordinate] for cell in self.sheet[number][PLACES]]

    def labelled(self, label: str) -> int:
        return next(cell.row for cell in self.sheet["A"] if cell.value == label)


@pytest.fixture
def book() -> Workbook:
    return load_workbook(FILE)


def test_the_file_is_what_the_module_writes(book):
    def cells(one: Workbook) -> dict:
        return {
            sheet.title: {c.coordinate: (c.value, c.fill.fgColor.rgb) for row in sheet for c in row}
            for sheet in one
        }

    assert cells(book) == cells(workbook())


@pytest.mark.parametrize("seed", range(5))
def test_any_numbers_give_their_sums_and_levels(book, seed):
    draw = random.Random(seed)
    rain = [draw.randint(-9, 9) for _ in range(LENGTH)]
    kept = [draw.choice([0, 0.25, 0.5, 1, -2]) for _ in range(LENGTH)]
    a, b = (torch.tensor([numbers], dtype=torch.float64) for numbers in (kept, rain))
    (levels,) = linear_recurrence(a, b)
    (sums,) = b.cumsum(1)
    expected = {"up and down": sums, "all read back": sums, "leaky bucket": levels}
    for sheet in book:
        rows = [rain] if sheet.title != "leaky bucket" else [kept, rain]
        for row, numbers in enumerate(rows, FIRST):
            for cell, number in zip(sheet[row][PLACES], numbers, strict=True):
                cell.value = number
        found = Recalculated(sheet)
        loop = found.labelled("the loop, place by place")
        for row in (loop - 2, loop):  # the last round, and the loop
            values = torch.tensor(found.row(row), dtype=torch.float64)
            assert torch.allclose(values, expected[sheet.title]), (sheet.title, row)
        assert found.row(loop + 1) == ["yes"] * LENGTH


def test_joins_and_rounds_are_those_of_the_lesson(book):
    joins = {}
    for sheet in book:
        found = Recalculated(sheet)
        rounds = sum(str(cell.value).startswith("round") for cell in sheet["A"])
        total = found[f"R{found.labelled('the loop, place by place') - 1}"]
        joins[sheet.title] = (rounds, total)
    assert joins == {"up and down": (7, 26), "all read back": (4, 49), "leaky bucket": (7, 26)}


def test_another_result_is_noticed(book):
    """The row that compares isn't always yes."""
    sheet = book["up and down"]
    sheet["C6"].value = "=C5"
    found = Recalculated(sheet)
    assert "NO" in found.row(found.labelled("the same?"))
