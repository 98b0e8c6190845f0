"""A scan written down as its joins, which can be followed wherever the operator lives."""

from collections.abc import Callable, Sequence

Program = tuple[list[tuple[int, int]], list[int]]


class Scan:
    """A scan of texts of any length up to the number of its programs.

    Attributes:
        programs: for each number of items, from 1, the joins and the results. Each join names two
            values, each result one: the items as they came, then what the joins made.

    >>> pairs = Scan([([], [0]), ([(0, 1)], [0, 2])])
    >>> pairs(lambda x, y: x + y, ["a", "b"])
    ['a', 'ab']
    """

    def __init__(self, programs: list[Program]):
        self.programs = programs

    def __call__(self, operator: Callable, items: Sequence) -> list:
        values = list(items)
        if not 1 <= len(values) <= len(self.programs):
            raise ValueError(
                f"these scans take 1 to {len(self.programs)} items: got {len(values)} of them"
            )
        joins, results = self.programs[len(values) - 1]
        for earlier, later in joins:
            values.append(operator(values[earlier], values[later]))
        return [values[number] for number in results]
