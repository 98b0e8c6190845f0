"""05.4 A budget for each pass: who writes, and who is read."""

from functools import partial

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """One prompt and many, all short, one long; budgets that just suffice and that never bind."""
    drawn = [([4, 9], 5), ([9, 4], 5), ([300], 7), ([1, 1, 1], 9), ([1, 1, 1], 4), ([6, 6], 6)]
    for _ in range(8):
        lengths = rng.integers(1, 16, size=int(rng.integers(1, 6))).tolist()
        drawn.append((lengths, len(lengths) + int(rng.integers(1, 9))))
    return drawn


def read(value) -> np.ndarray:
    """One row a pass, one number a prompt."""
    try:
        return np.array([[int(n) for n in row] for row in value]).reshape(len(value), -1)
    except (TypeError, ValueError):
        raise Unreadable(
            "expected a list for each pass, with one whole number for each prompt: got "
            f"{kind_of(value)}"
        ) from None


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(([3, 4], 5), ([2, 9], 4), ([9, 2], 4), ([5], 2), ([2, 2, 2], 4), ([1, 8, 1], 5)),
    hints=(
        "Play [3, 4] with a budget of 5 on paper: after the first pass, how much of the second "
        "prompt is left? In the second, who takes the first token?",
        "Keep a list of what is left of each prompt. In a pass, go through it twice: those with "
        "nothing left take a token each; then the others share what remains, in order.",
        "Whether a prompt writes in this pass is decided by what was left when the pass began. "
        "`while any(left):` ends it in time.",
    ),
)

# --- kept back while grading ---


def passes(lengths, budget):
    left, out = list(lengths), []
    while any(left):
        taken = [0 if n else 1 for n in left]
        room = budget - sum(taken)
        for prompt, n in enumerate(left):
            if n:
                taken[prompt] = min(n, room)
                left[prompt] -= taken[prompt]
                room -= taken[prompt]
        out.append(taken)
    return out


def by_sums(lengths, budget):
    todo, out = np.array(lengths), []
    while todo.sum():
        writes = (todo == 0).astype(int)
        before = np.cumsum(todo) - todo
        reads = np.clip(budget - writes.sum() - before, 0, todo)
        todo, out = todo - reads, [*out, (writes + reads).tolist()]
    return out


def nobody(left):
    return [0] * len(left)


def first_waiting(left):
    return [next(prompt for prompt, n in enumerate(left) if n)]


def serving(
    writes=lambda left: [int(n == 0) for n in left],
    share=lambda n, room, left: min(n, room),
    order=lambda left: range(len(left)),
    room=lambda budget, taken: budget - sum(taken),
):
    """Passes under another idea of who writes, of how much a prompt gets, or in which order."""

    def serve(lengths, budget):
        left, out = list(lengths), []
        while any(left) and len(out) < 400:
            taken = writes(left)
            free = room(budget, taken)
            for prompt in order(left):
                if left[prompt] and free > 0:
                    taken[prompt] = min(left[prompt], share(left[prompt], free, left))
                    free -= taken[prompt]
            left = [n and n - some for n, some in zip(left, taken, strict=True)]
            out.append(taken)
        return out

    return serve


def at_once(lengths, budget):
    rows = np.array(passes(lengths, budget))
    ends = (rows.cumsum(0) >= lengths).argmax(0)
    rows[ends, range(len(lengths))] += 1
    return rows


def reading_first(lengths, budget):
    left, out = list(lengths), []
    while any(left):
        taken, free = [0] * len(left), budget
        for prompt in sorted(range(len(left)), key=lambda k: left[k] == 0):
            taken[prompt] = min(left[prompt] or 1, free)
            free -= taken[prompt]
        left = [max(0, n - some) for n, some in zip(left, taken, strict=True)]
        out.append(taken)
    return out


def each_its_own(lengths, budget, write):
    starts = range(0, max(lengths), budget)
    return [[min(max(0, n - k), budget) or int(write) for n in lengths] for k in starts]


def evenly(lengths, budget, up):
    def share(n, free, left):
        waiting = sum(map(bool, left))
        return min(n, free, (budget - len(left) + waiting + up * (waiting - 1)) // waiting)

    return serving(share=share)(lengths, budget)


MISTAKES = {
    "those who have been read write nothing. In every later pass each of them takes a token "
    "first.": (serving(writes=nobody)),
    "a prompt writes in the very pass that reads its end. Its first word is chosen from that "
    "pass's scores, and goes through the model in the next.": at_once,
    "the tokens that are written don't count in your budget.": serving(room=lambda b, taken: b),
    "you read prompts first and let the others write with what is left. They wait for nobody: "
    "writing comes first.": reading_first,
    "every prompt gets the whole budget. It is one budget for the pass.": (
        partial(each_its_own, write=True),
        partial(each_its_own, write=False),
    ),
    "you share the budget out evenly. The first in order takes what it needs.": (
        partial(evenly, up=False),
        partial(evenly, up=True),
    ),
    "you read one prompt in a pass, though there is room for the next one.": (
        serving(order=first_waiting),
        serving(order=first_waiting, room=lambda b, taken: b),
        lambda lengths, budget: [[n] for n in lengths],
    ),
    "you keep a token free for every prompt. Only those take one that had been read before.": (
        serving(room=lambda b, taken: b - len(taken))
    ),
    "you read a prompt only where all of it fits. A chunk of it may go.": serving(
        share=lambda n, free, left: n if n <= free else free * (sum(map(bool, left)) == 1)
    ),
    "you serve short prompts first. They are served in order.": serving(
        order=lambda left: sorted(range(len(left)), key=lambda k: left[k])
    ),
    "you add a pass after all prompts have been read.": lambda lengths, budget: [
        *passes(lengths, budget),
        [1] * len(lengths),
    ],
    "you leave out the last pass.": lambda lengths, budget: passes(lengths, budget)[:-1] or [[0]],
    "your rows are prompts and your columns passes: it is the other way round.": (
        lambda lengths, budget: np.array(passes(lengths, budget)).T
    ),
    "a row tells what has been read so far. Asked is what a pass takes.": lambda lengths, budget: (
        np.cumsum(passes(lengths, budget), axis=0)
    ),
    "your tokens don't fill the budget: one is missing in each pass.": lambda lengths, budget: (
        passes(lengths, budget - 1)
    ),
}

KNOWN = Known(
    right=(passes, by_sums),
    mistakes=MISTAKES,
    slips={"expected a list for each pass": lambda lengths, budget: sum(lengths)},
    show=lambda lengths, budget: f"passes({lengths}, budget={budget})",
    place=lambda at: f"pass {at[0]}, prompt {at[1]}" if at else "",
)
