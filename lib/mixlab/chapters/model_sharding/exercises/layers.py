"""09.1 Who holds which layer: by ceil, and as evenly as can be."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """Even and uneven shares, more ranks than layers, one rank, ranks past the end."""
    cases = [(32, 17), (32, 31), (5, 4), (2, 9), (1, 1), (80, 8)]
    cases += [(int(rng.integers(1, 41)), int(rng.integers(1, 14))) for _ in range(8)]
    return [(*case, ceiling) for case in cases for ceiling in (True, False)]


def call(answer, n_layers, n_ranks, ceiling):
    """A row for each rank: how often it has named each layer."""
    held = np.zeros((n_ranks, n_layers), int)
    for rank in range(n_ranks):
        given = answer(rank, n_layers, n_ranks, ceiling)
        try:
            numbers = [int(layer) for layer in given]
            whole = all(number == layer for number, layer in zip(numbers, given, strict=True))
        except (TypeError, ValueError):
            whole = False
        if not whole:
            raise Unreadable(f"expected a list of layers for rank {rank}: got {kind_of(given)}")
        if numbers and not 0 <= min(numbers) <= max(numbers) < n_layers:
            raise Unreadable(
                f"rank {rank} of {n_ranks} names the layers {numbers[0]} to {numbers[-1]}: there "
                f"are {n_layers}, numbered from 0"
            )
        if numbers != sorted(numbers):
            raise Unreadable(f"expected rank {rank}'s layers in order: got {numbers}")
        np.add.at(held[rank], numbers, 1)
    return held


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        (6, 4, True),
        (6, 4, False),
        (7, 3, True),
        (7, 3, False),
        (8, 4, True),
        (2, 3, False),
        (11, 4, False),
        (5, 4, True),
    ),
    hints=(
        "By ceil: where does rank r begin, and what must not be passed at the end? What does a "
        "range give whose end lies before its beginning?",
        "Evenly: `small, larger = divmod(n_layers, n_ranks)`. The first `larger` ranks have one "
        "more. How many layers lie before rank r?",
        "Before rank r lie `r * small + min(r, larger)` layers, and it has `small + (r < larger)`.",
    ),
)

# --- kept back while grading ---


def by_rule(rank, n_layers, n_ranks, ceiling):
    small, larger = divmod(n_layers, n_ranks)
    sizes = [small + (r < larger) for r in range(n_ranks)]
    if ceiling:
        each = small + (larger > 0)
        sizes = [max(0, min(each, n_layers - r * each)) for r in range(n_ranks)]
    return list(range(sum(sizes[:rank]), sum(sizes[: rank + 1])))


def handed_out(rank, n_layers, n_ranks, ceiling):
    if not ceiling:
        return np.array_split(np.arange(n_layers), n_ranks)[rank]
    each = np.ceil(n_layers / n_ranks)
    return [layer for layer in range(n_layers) if layer // each == rank]


def sized(each=by_rule, even=by_rule):
    """Another idea of one of the two ways."""
    return lambda rank, n, ranks, ceiling: (each if ceiling else even)(rank, n, ranks, ceiling)


def floored(rank, n, ranks, ceiling):
    small = n // ranks
    return range(rank * small, n if rank == ranks - 1 else (rank + 1) * small)


def last_larger(rank, n, ranks, ceiling):
    small, larger = divmod(n, ranks)
    start = rank * small + max(0, rank - (ranks - larger))
    return range(start, start + small + (rank >= ranks - larger))


def evenly(n, ranks, before, rank, more=None):
    small, larger = divmod(n, ranks)
    start = rank * small + before
    return range(start, start + small + (rank < larger if more is None else more))


MISTAKES = {
    "your two ways are one: you cut evenly with `ceiling` too. By ceil each rank takes its full "
    "share while there are layers, and the last ones may get none.": sized(
        each=lambda rank, n, ranks, _: by_rule(rank, n, ranks, False)
    ),
    "your two ways are one: you cut by ceil without `ceiling` too. Evenly, ranks differ by one "
    "layer at most.": sized(even=lambda rank, n, ranks, _: by_rule(rank, n, ranks, True)),
    "the two ways are swapped.": lambda rank, n, ranks, ceiling: by_rule(
        rank, n, ranks, not ceiling
    ),
    "by ceil you round down, or to the nearest. Rounded down, layers are left over, and the last "
    "rank has to take them, or nobody does.": (
        sized(each=floored),
        sized(each=lambda r, n, ranks, _: range(r * (n // ranks), (r + 1) * (n // ranks))),
        lambda r, n, ranks, _: range(r * (n // ranks), (r + 1) * (n // ranks)),
        sized(each=lambda r, n, k, _: range(n)[r * round(n / k) : (r + 1) * round(n / k)]),
    ),
    "evenly, the layers that are left over all go to one rank. Each of the first takes one.": (
        sized(even=floored),
        sized(
            even=lambda r, n, k, _: (
                range(n // k + n % k)
                if r == 0
                else range(r * (n // k) + n % k, (r + 1) * (n // k) + n % k)
            )
        ),
    ),
    "evenly, the layers that are left over are nobody's. Each of the first ranks takes one.": sized(
        even=lambda r, n, ranks, _: range(r * (n // ranks), (r + 1) * (n // ranks))
    ),
    "evenly, your larger shares come last. They come first.": sized(even=last_larger),
    "evenly, you round the borders: r · n_layers / n_ranks. Shares differ by one at most, but the "
    "larger ones don't come first.": (
        sized(even=lambda r, n, k, _: range(r * n // k, (r + 1) * n // k)),
        sized(even=lambda r, n, k, _: range(round(r * n / k), round((r + 1) * n / k))),
    ),
    "evenly, ranks behind the larger shares begin too early, or have one layer too many. What lies "
    "before a rank has grown by each larger share, and there are n_layers % n_ranks of them.": (
        sized(even=lambda r, n, k, _: evenly(n, k, r if r < n % k else 0, r)),
        sized(even=lambda r, n, k, _: evenly(n, k, min(r, n % k), r, r <= n % k)),
    ),
    "evenly, what is left over comes from the model's end. A rank has layers in a row.": sized(
        even=lambda r, n, k, _: [*evenly(n, k, 0, r, 0), *range(n - n % k, n)[r : r + 1]]
    ),
    "evenly, your ranks take one rounded share each. No one share makes them differ by one.": sized(
        even=lambda r, n, k, _: range(min(n, r * round(n / k)), min(n, (r + 1) * round(n / k)))
    ),
    "by ceil you always add one. Where layers come out even nothing is rounded.": sized(
        each=lambda r, n, k, _: range(r * (n // k + 1), min(n, (r + 1) * (n // k + 1)))
    ),
    "by ceil a rank past the end takes a layer that another has. It holds none.": sized(
        each=lambda r, n, k, _: by_rule(r, n, k, True) or [n - 1]
    ),
    "evenly, a rank with a larger share takes its neighbour's first layer too: what lies before a "
    "rank has grown by the larger shares before it.": sized(
        even=lambda r, n, k, _: range(r * (n // k), (r + 1) * (n // k) + (r < n % k))
    ),
    "you deal layers out like cards, one to each rank in turn. A rank has layers in a row, or each "
    "layer's output would cross the wire.": (
        lambda r, n, ranks, _: range(r, n, ranks),
        sized(even=lambda r, n, ranks, _: range(r, n, ranks)),
    ),
    "by ceil your last layer is missing: a range ends before its end.": sized(
        each=lambda r, n, k, _: range(r * -(-n // k), min(n - 1, (r + 1) * -(-n // k)))
    ),
    "your layers count from 1. Layers and ranks count from 0.": lambda r, n, k, ceiling: [
        layer + 1 for layer in by_rule(r, n, k, ceiling) if layer + 1 < n
    ],
}

KNOWN = Known(
    right=(by_rule, handed_out),
    mistakes=MISTAKES,
    slips={
        "there are 6, numbered from 0": sized(
            each=lambda r, n, k, _: range(r * -(-n // k), (r + 1) * -(-n // k))
        ),
        "expected a list of layers": lambda rank, n, ranks, ceiling: len(
            by_rule(rank, n, ranks, ceiling)
        ),
    },
    show=lambda n, ranks, ceiling: (
        f"layers_of(rank, n_layers={n}, n_ranks={ranks}, ceiling={ceiling}) for every rank"
    ),
    place=lambda at: f"rank {at[0]}, layer {at[1]}" if at else "",
    name=lambda count: ("not held", "held")[int(count)] if count < 2 else f"held {count} times",
)
