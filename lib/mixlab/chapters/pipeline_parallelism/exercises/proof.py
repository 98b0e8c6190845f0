"""10.6 Prove by test: can this schedule run?"""

from graphlib import CycleError, TopologicalSorter

from mixlab.chapters.pipeline_parallelism.exercises.suspects import FAMILIES, suspect
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict


def draw(rng):
    """Every family at a size and a stage of its own, with numbers of two digits; one stage."""
    drawn = [([["F0", "B0"]], 1), ([["B0", "F0"]], 1), ([["F0"]], 1)]
    for family in rng.permutation(list(FAMILIES) * 2).tolist():
        n_stages = int(rng.integers(2, 6))
        at = int(rng.integers(n_stages - 1))
        drawn.append(suspect(family, n_stages, int(rng.integers(2, 14)), at))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_verdict,
    examples=(
        ([["F0", "B0"]], 1),
        ([["F0", "B0"], ["F0", "B0"]], 1),
        *(suspect(family, 2, 2, 0) for family in FAMILIES),
        *(suspect(family, 4, 6, 1) for family in FAMILIES),
    ),
    hints=(
        "First what needs no clock: has each stage every F and every B, each once? Then let it "
        "run: which heads of the lists can be done now?",
        "Keep a set of what has been done, (stage, word). Again and again, do every head whose "
        "needs are in the set. If nothing could be done and lists are left, it stands still.",
        "F m at stage s needs F m at s - 1. B m at s needs F m at s and B m at s + 1. Each where "
        "there is such a stage. The order inside a kind is free.",
    ),
)

# --- kept back while grading ---


def needs(stage, word, n_stages):
    kind, m = word[0], word[1:]
    if kind == "F":
        return [(stage - 1, word)] if stage else []
    return [(stage, "F" + m), *([(stage + 1, word)] if stage + 1 < n_stages else [])]


def complete(schedule, m):
    wanted = sorted(kind + str(k) for kind in "FB" for k in range(m))
    return all(sorted(words) == wanted for words in schedule)


def finishes(schedule, m, needs=needs, sweeps=None):
    """Whether the lists run to their end, by doing what can be done, for a number of sweeps."""
    todo, done, moved = [list(words) for words in schedule], set(), True
    while moved and sweeps != 0:
        moved, sweeps = False, None if sweeps is None else sweeps - 1
        for stage, words in enumerate(todo):
            while words and all(one in done for one in needs(stage, words[0], len(schedule))):
                done.add((stage, words.pop(0)))
                moved = True
    return not any(todo)


def ordered(schedule, m):
    """Whether each stage goes forward with a microbatch before it goes back."""
    return all(
        "F" + word[1:] in words[:at]
        for words in schedule
        for at, word in enumerate(words)
        if word[0] == "B"
    )


def runs(schedule, m):
    return complete(schedule, m) and finishes(schedule, m)


def sorted_out(schedule, m):
    """The other way: a graph without a circle."""
    graph = {}
    for stage, words in enumerate(schedule):
        for at, word in enumerate(words):
            before = [(stage, words[at - 1])] if at else []
            graph[stage, word] = [*before, *needs(stage, word, len(schedule))]
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError:
        return False
    return complete(schedule, m)


def forward_needs(stage, word, n_stages):
    return needs(stage, word, n_stages) if word[0] == "F" else [(stage, "F" + word[1:])]


def backward_needs(stage, word, n_stages):
    return needs(stage, word, n_stages) if word[0] == "B" else []


def counted(schedule, m):
    return all(len(words) == 2 * m for words in schedule)


def in_order(schedule, m):
    kinds = [[w for w in words if w[0] == kind] for words in schedule for kind in "FB"]
    return all(words == sorted(words, key=lambda w: int(w[1:])) for words in kinds)


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda schedule, m: True,
    "your test rejects everything, right schedules too. Print the first fault that it finds.": (
        lambda schedule, m: False
    ),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda schedule, m: not runs(schedule, m)
    ),
    "your test asks whether all is there, each once, not whether it can be done in that order.": (
        complete
    ),
    "your test looks at each stage alone, or passes on in one direction only. Two lists, each in a "
    "fine order, can wait for each other: one for an input, one for a gradient.": (
        lambda schedule, m: complete(schedule, m) and ordered(schedule, m),
        lambda schedule, m: complete(schedule, m) and finishes(schedule, m, forward_needs),
        lambda schedule, m: complete(schedule, m) and finishes(schedule, m, backward_needs),
    ),
    "your test looks whether F stands before B, and not whether every microbatch is there, once.": (
        ordered
    ),
    "your test lets the lists run, and doesn't ask whether every microbatch is there, each once.": (
        finishes
    ),
    "your test counts actions. The right number of wrong ones is no schedule.": (
        lambda schedule, m: counted(schedule, m) and finishes(schedule, m),
        lambda schedule, m: (
            all(len({*words}) == len(words) == 2 * m for words in schedule)
            and finishes(schedule, m)
        ),
    ),
    "your test compares sets, which forget that something was done twice.": lambda schedule, m: (
        all(set(words) == {k + str(n) for k in "FB" for n in range(m)} for words in schedule)
        and finishes(schedule, m)
    ),
    "your test wants microbatches in the order of their numbers. Any order will do that can run.": (
        lambda schedule, m: runs(schedule, m) and in_order(schedule, m)
    ),
    "your test knows GPipe and 1F1B. Other schedules can run too.": lambda schedule, m: any(
        schedule == suspect(name, len(schedule), m, 0)[0] for name in list(FAMILIES)[:2]
    ),
    "your test gives up after one sweep over the stages. What is done in one sweep lets others go "
    "on in the next.": lambda schedule, m: (
        complete(schedule, m) and finishes(schedule, m, sweeps=1)
    ),
}


def advice(schedule, m):
    """What kind of schedule this is, in words that leave the finding open."""
    if runs(schedule, m):
        return "this schedule can run, and your test finds a fault. Print the first that it finds."
    if not complete(schedule, m):
        return "look at what each stage does at all: something is missing, twice, or not asked for."
    return "all is there, once. Let the lists run: who waits for whom?"


KNOWN = Known(
    right=(runs, sorted_out),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda schedule, m: "yes",
        "Let the lists run": lambda schedule, m: (
            complete(schedule, m) and (len(schedule) > 2 or finishes(schedule, m))
        ),
    },
    show=lambda schedule, m: (
        f"can_run({[' '.join(words) for words in schedule]}, n_microbatches={m}), written short"
    ),
    name=lambda value: "True (it can run)" if value else "False (it can't)",
    advice=advice,
)
