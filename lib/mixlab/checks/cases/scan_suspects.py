"""The scans that exercise 17.4 hands to an answer, right ones and wrong ones, as lists of joins.

A scan that only joins items does the same whatever they are: it can be written down once for each
length. Every suspect is the same code and follows its list, so nothing but what it does tells a
right one from a wrong one. The lists come from oracles/scan_makers.py.
"""

from pathlib import Path

import numpy as np

from mixlab.checks.cases import open_data
from mixlab.checks.joins import Scan

LONGEST = 40  # items
FILE = Path(__file__).with_suffix(".npz")


def made_from(record: np.ndarray) -> Scan:
    """A function from (operator, items) to a list of prefixes, or of what it takes for them.

    Args:
        record: for each length from 1 to LONGEST, the number of joins and of results; then each
            join's two values; then each result's value. Values are numbered: first the items as
            they came, then what the joins made.

    >>> one = [0, 1, 0]  # one item: no join, one result, value 0
    >>> two = [1, 2, 0, 1, 0, 2]  # join 0 with 1; results: the first item, what the join made
    >>> made_from(np.array(one + two))(lambda x, y: x + y, ["a", "b"])
    ['a', 'ab']
    """
    record = record.tolist()
    programs, at = [], 0
    while at < len(record):
        n_joins, n_results = record[at : at + 2]
        at, end = at + 2, at + 2 + 2 * n_joins
        joins = list(zip(record[at:end:2], record[at + 1 : end : 2], strict=True))
        programs.append((joins, record[end : end + n_results]))
        at = end + n_results

    return Scan(programs)


def hand_out() -> list[Scan]:
    """The scans, in an order that says nothing."""
    with open_data(FILE) as data, np.load(data) as file:
        return [made_from(file[name]) for name in sorted(file.files)]
