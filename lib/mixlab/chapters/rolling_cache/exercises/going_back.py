"""04.5 Predict: can the ring go back?"""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict


def draw(rng):
    """Every case of the small windows, some of larger ones, and some that 8 bits don't count."""
    drawn = [
        (length, new, window)
        for window in (1, 2, 3)
        for length in range(2 * window + 2)
        for new in range(length + 1)
    ]
    drawn += [(300, new, window) for window in (140, 299, 300) for new in (0, 1, 160, 298, 299)]
    for _ in range(24):
        window = int(rng.integers(4, 9))
        length = int(rng.integers(1, 3 * window + 3))
        drawn.append((length, int(rng.integers(0, length + 1)), window))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_verdict,
    examples=(
        *((3, 1, 4), (9, 8, 4), (9, 7, 4), (9, 5, 4), (9, 9, 4), (9, 2, 4), (9, 0, 4)),
        *((7, 3, 1), (4, 2, 4), (5, 2, 4)),
    ),
    hints=(
        "Which positions does the ring hold after `length` tokens? The oldest is "
        "`max(0, length - window)`.",
        "Which positions does the next token need, if it stands at position `new`? Itself, and "
        "the W - 1 before it, as far as the text goes back.",
        "Compare the oldest one needed, `max(0, new - window + 1)`, with the oldest one held. "
        "And two cases need nothing old at all: `new == 0` and `window == 1`.",
    ),
)

# --- kept back while grading ---


def by_sets(length, new, window):
    held = set(range(max(0, length - window), length))
    return set(range(max(0, new - window + 1), new)) <= held


def by_cases(length, new, window):
    return length <= window or window == 1 or new == 0 or length - new <= 1


def oldest_is_held(length, new, window, needed=lambda new, window: new - window + 1):
    return max(0, needed(new, window)) >= max(0, length - window)


def but(special):
    """Right about what is old, with some of the cases in which nothing is needed."""
    return lambda length, new, window: special(new, window) or oldest_is_held(length, new, window)


MISTAKES = {
    "you always say True.": lambda length, new, window: True,
    "you always say False.": lambda length, new, window: False,
    "you have it the wrong way round: True means that the ring still holds all that is needed.": (
        lambda *given: not by_sets(*given)
    ),
    "you ask whether the tokens that go are few enough to be in the ring still. What matters are "
    "those that stay: the next token must find the W - 1 before it.": (
        lambda length, new, window: length - new <= window,
        lambda length, new, window: length - new < window,
    ),
    "a ring that has never wrapped can go back anywhere, and you say so. But one that has wrapped "
    "can still take back its last token, and start anew.": (
        lambda length, new, window: length <= window,
        lambda length, new, window: length < window,
    ),
    "you let nothing be taken back.": lambda length, new, window: new == length,
    "you let one token be taken back, and no more. A ring that has never wrapped still holds "
    "everything.": lambda length, new, window: new >= length - 1,
    "you ask whether what stays would fit into the ring. It has to be in there still.": (
        lambda length, new, window: new <= window,
        lambda length, new, window: new <= window or length - new <= 1,
    ),
    "a full ring holds W positions, `length - window` the oldest: you think it is overwritten.": (
        lambda length, new, window: oldest_is_held(length + 1, new, window)
    ),
    "you call a ring of exactly W tokens wrapped. Its last write filled the last free slot, and "
    "nothing has been overwritten yet.": (
        lambda length, new, window: length < window or by_cases(length + 0.5, new, window),
        lambda length, new, window: (
            length < window or window == 1 or new in (0, length) or new == length - 1
        ),
    ),
    "you let a wrapped ring go back by two tokens. The second one has overwritten a key that the "
    "next token needs.": (
        lambda length, new, window: by_cases(length - 1, new, window),
        lambda length, new, window: by_cases(length, new, window) or length - new <= 2,
    ),
    "you never let a wrapped ring go back. Its last token has overwritten a key that the next one "
    "does not need any more.": lambda length, new, window: (
        length <= window or window == 1 or new in (0, length)
    ),
    "the next token needs the W - 1 positions before it, not W: it is itself one of the W. So a "
    "full ring, too, can give its last token back.": lambda *given: oldest_is_held(
        *given, needed=lambda new, window: new - window
    ),
    "you have forgotten the cases in which the next token needs nothing old: a text taken back to "
    "nothing, and a window of 1.": oldest_is_held,
    "with a window of 1 a token sees only itself, so any text may be taken back.": but(
        lambda new, window: new == 0
    ),
    "a text that is taken back to nothing needs nothing from the ring.": but(
        lambda new, window: window == 1
    ),
}

KNOWN = Known(
    right=(by_sets, by_cases),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda length, new, window: length - new + 2,
        "expected: False": lambda length, new, window: new <= 1 or by_sets(length, new, window),
    },
    show=lambda length, new, window: f"can_go_back(length={length}, new={new}, window={window})",
    name=lambda value: "True (it can)" if value else "False (it can't)",
)
