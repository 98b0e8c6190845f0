"""10.3 One forward, one backward: the order of one stage."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of

KINDS = "FB"


def draw(rng):
    """First, last and middle stages; fewer microbatches than stages, one stage, one microbatch."""
    drawn = [(0, 1, 5), (3, 4, 1), (0, 6, 2), (2, 6, 3), (0, 8, 8), (7, 8, 40)]
    for _ in range(7):
        n_stages = int(rng.integers(1, 9))
        drawn.append((int(rng.integers(n_stages)), n_stages, int(rng.integers(1, 14))))
    return drawn


def read(value) -> np.ndarray:
    """One row (kind, microbatch) an action."""
    try:
        words = [str(word) for word in value]
        rows = [(KINDS.index(word[0]), int(word[1:])) for word in words]
    except (TypeError, ValueError, IndexError):
        raise Unreadable(
            f'expected a list of texts such as "F0" and "B0": got {kind_of(value)}'
        ) from None
    return np.array(rows).reshape(-1, 2)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=((0, 2, 4), (1, 2, 3), (0, 3, 2), (1, 4, 6), (0, 1, 2), (2, 3, 1)),
    hints=(
        "How many steps is it from stage s to the last and back? How many microbatches can stage s "
        "do in that time, each forward and back?",
        "P - s forward first, fewer if there are fewer. Then B and F in turns while there are "
        "microbatches left to send on. What is still open then?",
        "Three parts: F for the first `ahead = min(M, P - s)`; for each m from `ahead` on, the "
        "oldest open B, then F m; the `ahead` last B.",
    ),
)

# --- kept back while grading ---


def three_parts(stage, n_stages, n_microbatches):
    ahead = min(n_microbatches, n_stages - stage)
    words = [f"F{m}" for m in range(ahead)]
    for m in range(ahead, n_microbatches):
        words += [f"B{m - ahead}", f"F{m}"]
    return words + [f"B{m}" for m in range(n_microbatches - ahead, n_microbatches)]


def by_counting(stage, n_stages, n_microbatches, ahead=None, which=0):
    """Act by act: back if as many are open as may be, the oldest first, else forward."""
    most = n_stages - stage if ahead is None else max(1, ahead(stage, n_stages))
    sent, still_open, words = 0, [], []
    while sent < n_microbatches or still_open:
        if sent < n_microbatches and len(still_open) < most:
            words.append(f"F{sent}")
            still_open.append(sent)
            sent += 1
        else:
            words.append(f"B{still_open.pop(which)}")
    return words


def ahead_of(ahead):
    return lambda *given: by_counting(*given, ahead=ahead)


def all_forward(back):
    return lambda s, p, m: [f"F{k}" for k in range(m)] + [f"B{k}" for k in back(range(m))]


def renumbered(change):
    return lambda *given: change(three_parts(*given), *given)


def undrained(words, stage, n_stages, n_microbatches):
    return words[: len(words) - min(n_microbatches, n_stages - stage)]


def bounded(stage, n_stages, n_microbatches):
    """P - s forward, though there are fewer microbatches."""
    ahead = n_stages - stage
    words = [f"F{m}" for m in range(ahead)]
    for m in range(ahead, n_microbatches):
        words += [f"B{m - ahead}", f"F{m}"]
    return words + [f"B{m}" for m in range(max(0, n_microbatches - ahead), n_microbatches)]


MISTAKES = {
    "all forward, then all backward is GPipe's order. Here a stage goes back as soon as it can.": (
        all_forward(iter)
    ),
    "all forward, then all backward, the last first, is GPipe's order as its paper draws it. Here "
    "a stage goes back as soon as it can.": all_forward(reversed),
    "every stage of yours goes back at once. Stage 0 would wait for each microbatch's whole way: "
    "P - s forward come first.": ahead_of(lambda s, p: 1),
    "every stage of yours sends P microbatches ahead. The lower a stage, the sooner its first "
    "gradient is back.": ahead_of(lambda s, p: p),
    "you count stages from the wrong end: the *last* one goes back at once.": ahead_of(
        lambda s, p: s + 1
    ),
    "you send one microbatch too few ahead: in its turns the stage would wait for each gradient.": (
        ahead_of(lambda s, p: p - s - 1),
        lambda stage, n_stages, m: three_parts(stage + 1, n_stages, m),
    ),
    "you keep one microbatch too many: one more is sent ahead, or goes forward in the middle where "
    "a gradient is back already.": ahead_of(lambda s, p: p - s + 1),
    "you send on until the first gradient is back. Those that were sent on meanwhile only queue, "
    "and are kept for longer.": ahead_of(lambda s, p: 2 * (p - s) - 1),
    "you send P - s microbatches ahead even where there are fewer.": bounded,
    "you stop when the last microbatch has gone forward. Its gradient and others are still out.": (
        renumbered(undrained)
    ),
    "your gradients of the last part come in reverse. The oldest open microbatch goes first.": (
        renumbered(
            lambda words, s, p, m: (
                words[: len(words) - min(m, p - s)] + words[len(words) - min(m, p - s) :][::-1]
            )
        )
    ),
    "you bring home the microbatch that you have just sent. The oldest open one is back first.": (
        lambda s, p, m: (
            three_parts(s, p, min(m, p - s))[: min(m, p - s)]
            + [f"{kind}{k}" for k in range(p - s, m) for kind in "BF"]
            + [f"B{k}" for k in range(min(m, p - s))]
        )
    ),
    "you go forward beyond the last microbatch. Then only gradients are left.": lambda s, p, m: [
        *(f"F{k}" for k in range(min(m, p - s))),
        *(f"{kind}{k + min(m, p - s) * (kind == 'F')}" for k in range(m) for kind in "BF"),
    ],
    "your microbatches count from 1. The first is 0.": renumbered(
        lambda words, *given: [f"{word[0]}{int(word[1:]) + 1}" for word in words]
    ),
    "you go back with the newest microbatch first. The oldest open one has been through first.": (
        lambda *given: by_counting(*given, which=-1)
    ),
}

KNOWN = Known(
    right=(three_parts, by_counting),
    mistakes=MISTAKES,
    slips={
        'such as "F0" and "B0"': (lambda s, p, m: m, lambda s, p, m: [(0, 0)] * m),
    },
    show=lambda stage, n_stages, n_microbatches: (
        f"order(stage={stage}, n_stages={n_stages}, n_microbatches={n_microbatches})"
    ),
    place=lambda at: (
        f"action {at[0]}, its {('kind (0 for F, 1 for B)', 'microbatch')[at[1]]}" if at else ""
    ),
)
