"""06.1 Positions and bounds of the prompts in a pack."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals

NOTHING = -1  # pads the two lists to one width
WIDTH = 400


def draw(rng):
    drawn = []
    for _ in range(6):
        prompts = int(rng.integers(1, 6))
        drawn.append((rng.integers(0, 30, prompts).tolist(), rng.integers(1, 9, prompts).tolist()))
    prompts = int(rng.integers(3, 6))
    lengths, seen = rng.integers(1, 7, prompts).tolist(), rng.integers(0, 9, prompts).tolist()
    lengths[int(rng.integers(prompts))] = 0
    drawn += [(seen, lengths), ([0] * prompts, [1] * prompts)]
    return [*drawn, ([3, 0], [0, 0]), ([100, 250], [140, 170])]  # the last beyond 8 bits


def read(value):
    """Positions and boundaries as two rows of one width."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unreadable(f"expected two results, `return positions, bounds`: got {kind_of(value)}")
    rows = np.full((2, WIDTH), NOTHING)
    for row, (name, part) in enumerate(zip(("positions", "bounds"), value, strict=True)):
        try:
            array = read_reals(1)(part)
        except Unreadable:
            array = np.array([0.5])
        if (array != array.round()).any():
            raise Unreadable(f"expected {name} as one list of whole numbers: got {kind_of(part)}")
        if len(array) > WIDTH or (array < 0).any():
            raise Unreadable(
                f"expected {name} of 0 or more: got {len(array)} numbers from {array.min():.0f} to "
                f"{array.max():.0f}"
            )
        rows[row, : len(array)] = array
    return rows


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(([0, 0, 0], [3, 5, 2]), ([4, 4, 1], [2, 3, 0]), ([9], [4]), ([2, 6], [4, 1])),
    hints=(
        "Take it prompt by prompt. One that has seen 7 tokens and brings 3 gives them the "
        "positions 7, 8, 9: `range(7, 10)`.",
        "A boundary is how many tokens lie before it in the pack: 0, then after the first "
        "prompt its length, then a running sum.",
        "`itertools.accumulate(lengths, initial=0)` gives all boundaries; without it, start "
        "with `bounds = [0]` and append `bounds[-1] + n` for every length n, 0 included.",
    ),
)

# --- kept back while grading ---


def prompt_by_prompt(seen, lengths):
    positions, bounds = [], [0]
    for past, n in zip(seen, lengths, strict=True):
        positions += range(past, past + n)
        bounds.append(len(positions))
    return positions, bounds


def running_sum(seen, lengths):
    return np.cumsum([0, *lengths])


def laying(of_prompt=lambda past, n, start: range(past, past + n), bounds=running_sum):
    """A layout by another idea of a prompt's positions, or of the bounds."""

    def layout(seen, lengths):
        starts = running_sum(seen, lengths)
        each = zip(seen, lengths, starts, strict=False)
        return [p for prompt in each for p in of_prompt(*prompt)], bounds(seen, lengths)

    return layout


# Another idea of one prompt's positions, and of the bounds.
POSITIONS = {
    "your positions run on through the whole pack. Each prompt counts for itself.": (
        lambda past, n, start: range(start, start + n),
        lambda past, n, start: range(past + start, past + start + n),
    ),
    "your positions start at 0 in every chunk. A prompt that has seen 4 tokens goes on at position "
    "4: its cached keys have been rotated to 0, 1, 2 and 3.": (lambda past, n, start: range(n),),
    "your positions go one too far: `range` leaves out its end, so a prompt that has seen 4 and "
    "brings 3 ends with position 6.": (lambda past, n, start: range(past, past + n + 1),),
    "your positions are one off: after 4 tokens, 0 to 3, the next one is 4.": (
        lambda past, n, start: range(past + 1, past + n + 1),
        lambda past, n, start: range(max(0, past - 1), max(0, past - 1) + n),
    ),
    "your ranges end at the number of new tokens. A prompt that has seen 4 and brings 3 ends with "
    "position 6.": (lambda past, n, start: range(past, n),),
    "you give positions to the cached tokens too. They are not in this pack.": (
        lambda past, n, start: range(past + n),
    ),
    "all tokens of a prompt have one position in your list, the first one's. They count on.": (
        lambda past, n, start: [past] * n,
        lambda past, n, start: [past],
    ),
    "your positions count down. A prompt's tokens stand in the order of the text.": (
        lambda past, n, start: range(past + n)[past:][::-1],
    ),
}
BOUNDS = {
    "your bounds lack the last one, the end of the pack: B prompts have B + 1 bounds.": (
        lambda seen, n: running_sum(seen, n)[:-1],
    ),
    "your bounds lack the first one, 0: B prompts have B + 1.": (lambda seen, n: np.cumsum(n),),
    "your bounds are the lengths themselves. A bound says how many tokens lie before it: sum up as "
    "you go.": (lambda seen, n: n, lambda seen, n: [0, *n]),
    "your bounds are the places of the prompts' last tokens. A bound lies behind these: it is "
    "where the next prompt begins.": (
        lambda seen, n: [0, *np.maximum(np.cumsum(n) - 1, 0)],
        lambda seen, n: np.maximum(np.cumsum(n) - 1, 0),
    ),
    "a prompt without a token has no bound in your list. It still is a prompt: its start and its "
    "end are the same number.": (lambda seen, n: running_sum(seen, [one for one in n if one]),),
    "your bounds count the cached tokens too. They bound this pack, which holds only the new "
    "ones.": (
        lambda seen, n: running_sum(seen, np.add(seen, n)),
        lambda seen, n: [0, *np.add(seen, n)],
        lambda seen, n: np.add(seen, n),
        lambda seen, n: [*seen, sum(n)],
        lambda seen, n: running_sum(seen, seen),
    ),
    "your bounds are those of the pack alone, from 0 to its end. Each prompt has its own between "
    "them.": (lambda seen, n: [0, sum(n)],),
}
MISTAKES = {
    **{words: tuple(map(laying, ideas)) for words, ideas in POSITIONS.items()},
    **{words: tuple(laying(bounds=idea) for idea in ideas) for words, ideas in BOUNDS.items()},
    "every prompt starts where the first one does. Each has seen a number of tokens of its own.": (
        lambda seen, lengths: prompt_by_prompt(seen[:1] * len(seen), lengths)
    ),
    "you return the bounds first: `return positions, bounds`.": (
        lambda *given: prompt_by_prompt(*given)[::-1]
    ),
}


def advice(seen, lengths):
    """What stands out in the case that goes wrong."""
    if not any(seen):
        return "no prompt has seen a token in this case: each counts its own from 0."
    return "all is right where no prompt has seen a token, and that moves positions alone."


KNOWN = Known(
    right=(prompt_by_prompt, laying()),
    mistakes=MISTAKES,
    slips={
        "expected two results": lambda *given: prompt_by_prompt(*given)[0],
        "one list of whole numbers": laying(bounds=lambda seen, n: [[0, one] for one in n]),
        "of 0 or more": laying(lambda past, n, start: range(past - 1, past - 1 + n)),
    },
    show=lambda seen, lengths: f"layout(seen={seen}, lengths={lengths})",
    place=lambda at: f"{('positions', 'bounds')[at[0]]}[{at[1]}]" if at else "",
    name=lambda value: "nothing there" if value == NOTHING else str(int(value)),
    advice=advice,
)
