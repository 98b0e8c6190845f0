"""11.3 Find the bug: a ring that keeps its first slots."""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """One slot that rolls, no sinks, long texts; every position of the first turns."""
    sizes = [(3, 2, 30), (5, 0, 30), (1, 0, 6), (8, 3, 60), (6, 5, 20)]
    for _ in range(6):
        window = int(rng.integers(2, 14))
        sizes.append((window, int(rng.integers(0, window)), int(rng.integers(1, 80))))
    return sizes


def call(answer, window, sinks, length):
    """The slots of a text's positions, one call each."""
    return [float(answer(position, window, sinks)) for position in range(length)]


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(1),
    atol=1e-6,
    examples=((4, 1, 10), (6, 2, 16), (4, 0, 9), (3, 2, 7), (7, 4, 20)),
    hints=(
        "Follow window 4 and 1 sink by hand: positions 0 to 3 fill slots 0 to 3. Which key may "
        "position 4 overwrite, and in which slot does it lie?",
        "The slots from `sinks` on are a ring of their own, of window - sinks slots. Its first "
        "token has position `sinks`.",
        "Count positions from the first one that isn't a sink, take the remainder by the number of "
        "rolling slots, and count on from the first rolling slot.",
    ),
)

# --- kept back while grading ---


def slot(p, w, s):
    return p if p < s else s + (p - s) % (w - s)


def walked(p, w, s):
    at = p
    while at >= w:
        at -= w - s
    return at


MISTAKES = {
    "your ring rolls over the sinks, too: the first wrap overwrites them.": lambda p, w, s: p % w,
    "your slots pile up on the last sink's slot or beside it: all that would have met a sink goes "
    "to one place, and overwrites what is still seen.": (
        lambda p, w, s: p if p < w else max(p % w, s),
        lambda p, w, s: p if p < w else max(p % w, s - 1),
        lambda p, w, s: p if p < w else (p % w if p % w >= s else w - 1),
        lambda p, w, s: p if p < w else (p % w if p % w >= s else p % w + s),
    ),
    "you count from position 0 in a ring that begins at position `sinks`: after the wrap, another "
    "key than the oldest is overwritten.": (
        lambda p, w, s: p if p < w else s + p % (w - s),
        lambda p, w, s: p if p < s else s + p % (w - s),
    ),
    "you take the remainder by `window`, or count from there: it is by the number of slots that "
    "roll.": (
        lambda p, w, s: p if p < s else s + (p - s) % w,
        lambda p, w, s: p if p < w else s + (p - w) % w,
    ),
    "your rolling slots begin one too far: slot `sinks` is the first of them.": (
        lambda p, w, s: p if p <= s else s + 1 + (p - s - 1) % max(1, w - s - 1),
        lambda p, w, s: p if p <= s else s + 1 + (p - s - 1) % (w - s),
    ),
    "your rolling slots begin one too early, on the last sink.": (
        lambda p, w, s: p if p < w else max(s - 1, 0) + (p - max(s - 1, 0)) % (w - max(s - 1, 0)),
        lambda p, w, s: p if p < w else s - 1 + p % (w - s),
        lambda p, w, s: p if p < w else s - 1 + (p - s) % (w - s),
    ),
    "your second turn begins at the wrong slot: position `window` meets the oldest key after the "
    "sinks, in slot `sinks`.": (
        lambda p, w, s: p if p < w else s + (p - s + 1) % (w - s),
        lambda p, w, s: p if p < w else s + (p - s - 1) % (w - s),
    ),
    "you leave out the pinned slots: the rolling ones begin at slot `sinks`, not at 0.": (
        lambda p, w, s: p if p < s else (p - s) % (w - s),
        lambda p, w, s: p if p < w else (p - s) % (w - s),
    ),
    "you never wrap: there are `window` slots.": lambda p, w, s: p,
    "every token after the first turn goes to one slot. Each overwrites the oldest that isn't a "
    "sink.": (
        lambda p, w, s: min(p, w - 1),
        lambda p, w, s: p if p < w else s,
    ),
    "you wrap once only: a long text goes round many times.": (
        lambda p, w, s: p if p < w else p - (w - s)
    ),
    "you divide. What goes round is the remainder.": (
        lambda p, w, s: p if p < w else s + (p - s) / (w - s),
        lambda p, w, s: p if p < w else s + (p - s) // (w - s),
        lambda p, w, s: p if p < w else s + (p - w) // (w - s),
    ),
    "your first turn is one too long: slots count from 0, so the last is window - 1.": (
        lambda p, w, s: p if p <= w else s + (p - s) % (w - s)
    ),
    "one slot that rolls is never written again: there are window - sinks of them.": (
        lambda p, w, s: p if p < w else s + (p - s) % max(1, w - s - 1),
        lambda p, w, s: p if p < w else s + (p - w) % max(1, w - s - 1),
    ),
    "you pin the last slots, not the first.": lambda p, w, s: p % (w - s) if p >= s else w - s + p,
    "you move the sinks along: a sink keeps the slot of its position.": lambda p, w, s: (
        s + (p - s) % (w - s)
    ),
}

KNOWN = Known(
    right=(slot, walked),
    mistakes=MISTAKES,
    slips={"it raised TypeError": lambda p, w, s: None},
    show=lambda w, s, n: f"slot(position, window={w}, sinks={s}) for positions 0 to {n - 1}",
    place=lambda at: f"position {at[0]}" if at else "",
    name=lambda value: f"slot {value:g}",
)
