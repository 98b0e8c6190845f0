"""03.1 A stack of different windows: how many tokens one token depends on."""

import math

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Stacks with and without windows, early and late in a text; a deep one."""

    def stack(n_layers, none):
        windows = [int(w) for w in rng.integers(1, 9, n_layers)]
        if none:
            windows[int(rng.integers(n_layers))] = None
        return windows

    drawn = [(stack(int(rng.integers(2, 7)), False), int(rng.integers(40, 90))) for _ in range(4)]
    drawn += [(stack(int(rng.integers(1, 6)), True), int(rng.integers(3, 60))) for _ in range(3)]
    drawn += [(stack(int(rng.integers(4, 9)), False), int(rng.integers(0, 9))) for _ in range(3)]
    drawn += [([2, None, 3], int(rng.integers(9, 40))), ([None, 2], int(rng.integers(9, 40)))]
    deep = [16] * int(rng.integers(20, 40)), int(rng.integers(600, 700))
    exact = stack(5, False)
    return [*drawn, deep, ([1, 1, 1], 7), ([None], 0), ([6], 30), (exact, sum(exact) - 5)]


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        *(([3, 3], 10), ([4, 2, 1], 30), ([5, None], 6)),
        *(([4, 4], 3), ([None, 2], 9), ([2, None, 3], 8)),
    ),
    hints=(
        "Do one layer in your head: a window of 4 adds three tokens to what was known. A second "
        "layer with a window of 2 adds one more.",
        "Every layer with window W adds W - 1, whatever the others do. Start from the one token "
        "that is known before any layer.",
        "Two limits: nobody knows more tokens than there are, which is position + 1, and a layer "
        "without a window shows all of these at once.",
    ),
)

# --- kept back while grading ---


def walk_down(windows, position):
    """From the top layer: from where does the farthest token come?"""
    farthest = position
    for window in windows:
        farthest = 0 if window is None else max(0, farthest - window + 1)
    return position - farthest + 1


def counting(reach, most=lambda position: position + 1, full=lambda position: position + 1):
    """Another idea of how far windows reach, of a beginning's limit, or of a layer without one."""

    def receptive_field(windows, position):
        if None in windows:
            return full(position)
        return min(most(position), reach(windows))

    return receptive_field


def right_reach(windows):
    return 1 + sum(windows) - len(windows)


def endless(position):
    return math.inf


def finite(windows):
    return [window for window in windows if window is not None]


MISTAKES = {
    "you add the windows up. Neighbouring layers share a token: each window counts the token "
    "itself, which was known before.": (
        counting(sum),
        counting(lambda w: sum(w) + 1),
        counting(lambda w: sum(w) - 1),
        counting(sum, most=endless),
    ),
    "you take the larger of two limits. A token reaches no further than the smaller one.": (
        lambda windows, position: max(position + 1, walk_down(windows, position))
    ),
    "you count the tokens before it, and forget the token itself.": (
        lambda windows, position: walk_down(windows, position) - 1,
        counting(lambda w: right_reach(w) - 1),
        counting(lambda w: right_reach(w) - 1, most=lambda p: p, full=lambda p: p),
    ),
    "you count the token itself once too often.": (
        counting(lambda w: right_reach(w) + 1),
        lambda windows, position: walk_down(windows, position) + 1,
    ),
    "early in a text there are fewer tokens than a stack could reach: token `position` has only "
    "position + 1.": (
        counting(right_reach, most=endless),
        lambda windows, p: 1 + sum(p if w is None else w - 1 for w in windows),
    ),
    "you return where the farthest token stands. Asked for is how many there are from it on.": (
        lambda windows, position: position + 1 - walk_down(windows, position)
    ),
    "token `position` is counted from 0, so up to it there are position + 1 tokens.": (
        counting(right_reach, most=lambda p: p, full=lambda p: p),
        counting(right_reach, most=lambda p: p),
        counting(right_reach, full=lambda p: p),
    ),
    "you take one layer's window for all, the first, the last or the largest. Each adds its own.": (
        lambda windows, position: walk_down(windows[:1] * len(windows), position),
        lambda windows, position: walk_down(windows[-1:] * len(windows), position),
        counting(lambda w: right_reach([max(w)] * len(w))),
    ),
    "you take one window alone, the largest or the last. What a layer reads has looked back "
    "already: their steps add up.": (counting(max), counting(lambda w: w[-1])),
    "a layer whose window is None adds nothing in your count. None means that it sees every "
    "earlier token.": lambda windows, position: walk_down(finite(windows), position),
    "a layer whose window is None counts only if it is the last, or the first. Wherever it stands, "
    "what it shows is passed on.": (
        lambda w, p: p + 1 if w[-1] is None else walk_down(finite(w), p),
        lambda w, p: p + 1 if w[0] is None else walk_down(finite(w), p),
    ),
    "a layer whose window is None ends your count at what was known before it, or begins a new "
    "one. It shows all of the text.": (
        lambda w, p: walk_down(w[: w.index(None)] if None in w else w, p),
    ),
    "you multiply the windows. Each layer reaches W - 1 tokens further than the one below: steps "
    "add up.": (counting(math.prod), counting(math.prod, most=endless)),
    "you multiply the windows' steps, W - 1. Each layer adds its own to what the others reach.": (
        counting(lambda w: 1 + math.prod(window - 1 for window in w))
    ),
}

KNOWN = Known(
    right=(walk_down, counting(right_reach)),
    mistakes=MISTAKES,
    slips={
        "it raised TypeError": lambda w, p: min(p + 1, 1 + sum(window - 1 for window in w)),
        "([1, 1, 1], 7)": lambda w, p: walk_down(w, p) + (p == 7),
        "got None": lambda w, p: None,
    },
    show=lambda windows, position: f"receptive_field({shown(windows)}, {position})",
    name="{:,}".format,
)


def shown(windows):
    return str(windows) if len(windows) < 10 else f"[{windows[0]}] * {len(windows)}"
