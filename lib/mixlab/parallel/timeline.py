"""When each stage of a pipeline did what: how long it took, how much of it idle, what was kept.

Sources: Huang et al., "GPipe" (2019), section 2.3, for the bubble; Narayanan et al., "Efficient
Large-Scale Language Model Training on GPU Clusters" (2021), section 2.2, for its second definition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import NamedTuple

from mixlab.parallel.schedules import Action, kept_after


class Span(NamedTuple):
    """An action and when it was done."""

    action: Action
    start: Real
    end: Real


@dataclass(frozen=True)
class Timeline:
    """When each stage did what: computed by `simulate`, or measured.

    Attributes:
        stages: for each stage its spans, in order.

    >>> from mixlab.parallel.schedules import gpipe, one_f_one_b
    >>> from mixlab.parallel.simulator import simulate
    >>> square = simulate(gpipe(4, 4))
    >>> round(square.bubble, 4), square.bubble_to_work  # 3/7, 3/4
    (0.4286, 0.75)
    >>> simulate(gpipe(4, 6)).in_flight(), simulate(one_f_one_b(4, 6)).in_flight()
    ([6, 6, 6, 6], [4, 3, 2, 1])
    """

    stages: list[list[Span]]

    @property
    def length(self) -> Real:
        """From the first start to the last end."""
        return max(s.end for s in self._spans()) - min(s.start for s in self._spans())

    @property
    def bubble(self) -> Real:
        """The idle share of all stages' time: "GPipe", section 2.3."""
        return 1 - self._busy() / (len(self.stages) * self.length)

    @property
    def bubble_to_work(self) -> Real:
        """Idle time against time that is of use: "Efficient Large-Scale …" (2021), section 2.2."""
        return len(self.stages) * self.length / self._busy() - 1

    def in_flight(self) -> list[int]:
        """For each stage the most microbatches whose activations it keeps at a time."""
        return [max(kept_after(span.action for span in spans)) for spans in self.stages]

    def _spans(self) -> Iterator[Span]:
        return chain.from_iterable(self.stages)

    def _busy(self) -> Real:
        return sum(span.end - span.start for span in self._spans())
