"""20.3 Predict the border: when a cache outgrows a state."""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Borders that divide and that don't, windows at the border, and sizes beyond 32 bits."""
    drawn = [(4096, 573_440, 4096), (4096, 573_440, 140), (131_072, 2**40, None), (7, 7, 1)]
    for _ in range(10):
        token = int(rng.integers(1, 5000))
        times, over = int(rng.integers(1, 400)), int(rng.integers(0, token))
        at = (token * times + over) // token
        window = (None, at, at + 1, int(rng.integers(1, 800)))[int(rng.integers(0, 4))]
        drawn.append((token, token * times + over * int(rng.integers(0, 2)), window))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (10, 35, None),
        (10, 30, None),
        (10, 35, 3),
        (10, 35, 4),
        (10, 5, 2),
        (10, 30, 3),
        (10, 35, 9),
    ),
    hints=(
        "Make a table for token_bytes = 10 and state_bytes = 35: tokens 1, 2, 3, … and what the "
        "cache keeps. In which row does it first pass 35? And 30, where they are once equal?",
        "With a window the table stops growing at row W. Does it pass the state by then?",
        "state_bytes // token_bytes is the last row that is not above the state; one more is the "
        "answer, unless the window ends before.",
    ),
)

# --- kept back while grading ---


def outgrown(token, state, window):
    tokens = state // token + 1
    return 0 if window is not None and tokens > window else tokens


def by_counting(token, state, window):
    """A doubling search, then halving: the smallest number whose cache is larger."""
    high = 1
    while high * token <= state:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle * token <= state else (low, middle)
    return high if window is None or high <= window else 0


def border(tokens, beyond=lambda tokens, window: tokens > window, never=0):
    """Another idea of the border, or of when a window ends before it."""

    def idea(token, state, window):
        found = tokens(token, state)
        return never if window is not None and beyond(found, window) else found

    return idea


def first(token, state):
    return state // token + 1


MISTAKES = {
    "your window has no effect: behind it nothing grows any more.": border(
        first, lambda tokens, window: False
    ),
    "your border is where they are equal, too: the cache must keep more than the state.": (
        border(lambda token, state: -(-state // token)),
        border(lambda token, state: -(-state // token), lambda tokens, window: False),
    ),
    "you give the last token at which the cache is no larger; asked is the first at which it is.": (
        border(lambda token, state: state // token),
        border(lambda token, state: state // token, lambda tokens, window: False),
    ),
    "you round to the nearest token.": (
        border(lambda token, state: round(state / token)),
        border(lambda token, state: round(state / token) + 1),
    ),
    "you round up, and one more: too far where it doesn't divide.": border(
        lambda token, state: -(-state // token) + 1
    ),
    "you say 0 although the window's last token passes the state: a window of W holds W tokens.": (
        border(first, lambda tokens, window: tokens >= window)
    ),
    "you return the window where the cache never outgrows the state: that is 0.": (
        lambda token, state, window: outgrown(token, state, window) or window,
        lambda token, state, window: min(first(token, state), window or first(token, state)),
    ),
    "you return -1 where it never happens: asked for is 0.": border(first, never=-1),
    "a window whose bytes equal the state's never passes it: you let it go on.": (
        lambda token, state, window: (
            0 if window is not None and window * token < state else first(token, state)
        )
    ),
    "you return bytes. Asked for is a number of tokens.": (
        lambda token, state, window: token * outgrown(token, state, window)
    ),
    "you give a token too many.": border(lambda token, state: state // token + 2),
    "you say 0 as soon as there is a window.": border(first, lambda tokens, window: True),
    "you divide the token by the state.": border(lambda token, state: token // state + 1),
    "you compare the state with the whole window's bytes only: the border lies where tokens do.": (
        lambda token, state, window: (
            outgrown(token, state, None)
            if window is None
            else (window if window * token > state else 0)
        )
    ),
    "you count keys and values twice: token_bytes holds both.": (
        lambda token, state, window: outgrown(2 * token, state, window)
    ),
}

KNOWN = Known(
    right=(outgrown, by_counting),
    mistakes=MISTAKES,
    slips={"expected one whole number": lambda token, state, window: None},
    show=lambda token, state, window: f"outgrown({token}, {state}, window={window})",
    name="{:,}".format,
)
