"""15.4 Predict: when is it clean again?"""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Numbers that weren't hit, hits in time, just in time, and too late."""
    drawn = [(1, 0, 0), (1, 0, 63), (60, 60, 75), (60, 3, 2), (60, 3, 75)]
    for first in (0, 1, 4, 9):
        for heard in (1, first + 1, first + 2, first + 9):
            drawn.append((heard, first, first + int(rng.integers(0, 12))))
        drawn.append((first + 1, first + 1, int(rng.integers(0, first + 1))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (1, 0, 2),
        (1, 0, 0),
        (3, 4, 6),
        (3, 2, 5),
        (4, 2, 5),
        (7, 8, 3),
        (6, 3, 9),
        (2, 0, 7),
        (3, 0, 0),
        (9, 5, 5),
        (2, 5, 5),
        (1, 3, 9),
    ),
    hints=(
        "Which step puts a 0 on the diagonal of row n? What else does that row read, and is *that* "
        "clean by then?",
        "h_n is made anew at step n + 1, from the numbers before it. So h_first_bad must be made "
        "anew first, and it is only if its step is still to come.",
        "The next step is number `heard`. If first_bad + 1 is smaller than that, the moment is "
        "missed. After step k there are k + 1 samples.",
    ),
)

# --- kept back while grading ---


def reasoned(heard, first_bad, n):
    if n < first_bad:
        return heard
    return n + 2 if heard <= first_bad + 1 else -1


def followed(heard, first_bad, n):
    """Who is dirty after each step: whoever reads a dirty number, or its own dirty self."""
    dirty = {i for i in range(n + 1) if i >= first_bad}
    for k in range(heard, n + 3):
        if n not in dirty:
            return k
        dirty = {
            i
            for i in range(n + 1)
            if any(j in dirty for j in range(i)) or (i in dirty and k != i + 1)
        }
    return heard if n not in dirty else -1


def unless(missed, then=lambda heard, first_bad, n: n + 2):
    """Healed by the same rule, under another idea of when it is too late."""

    def clean_after(heard, first_bad, n):
        if n < first_bad:
            return heard
        return -1 if missed(heard, first_bad, n) else then(heard, first_bad, n)

    return clean_after


def late(heard, first_bad, n):
    return heard > first_bad + 1


def never(heard, first_bad, n):
    return False


MISTAKES = {
    "you count steps. Asked is how many samples have been heard: the first needs no step.": (
        unless(late, lambda heard, first_bad, n: n + 1),
        unless(never, lambda heard, first_bad, n: n + 1),
        lambda heard, first_bad, n: n + 1,
    ),
    "you count how many steps or samples it takes from the accident on. Asked is how many samples "
    "have been heard in all.": (
        unless(late, lambda heard, first_bad, n: n + 2 - heard),
        unless(late, lambda heard, first_bad, n: n + 1 - heard),
        unless(late, lambda heard, first_bad, n: n + 1 - first_bad),
    ),
    "you start the clock at the accident. In step k, k counts from the first sample.": (
        unless(late, lambda heard, first_bad, n: heard + n + 1),
        unless(late, lambda heard, first_bad, n: heard + n),
        lambda heard, first_bad, n: heard + n,
        lambda heard, first_bad, n: heard + n + 1,
        unless(late, lambda heard, first_bad, n: heard + n - first_bad + 1),
        unless(never, lambda heard, first_bad, n: heard + n + 1),
        unless(never, lambda heard, first_bad, n: heard + n),
        unless(never, lambda heard, first_bad, n: heard + n + 2),
        unless(never, lambda heard, first_bad, n: heard + n - first_bad + 1),
    ),
    "you say n + 2 for numbers that weren't hit: they never read those behind them.": (
        lambda heard, first_bad, n: n + 2 if n < first_bad else reasoned(heard, first_bad, n),
        lambda heard, first_bad, n: -1 if late(heard, first_bad, n) else n + 2,
        lambda heard, first_bad, n: n + 2,
    ),
    "you say 0 for a number that wasn't hit. It is clean when `heard` samples have been heard.": (
        lambda heard, first_bad, n: 0 if n < first_bad else reasoned(heard, first_bad, n)
    ),
    "you take h_first_bad for clean. It was overwritten: all with i >= first_bad were.": (
        lambda heard, first_bad, n: heard if n == first_bad else reasoned(heard, first_bad, n)
    ),
    "you let it heal always. A step that makes a number anew may be over already.": (
        unless(never),
        unless(never, lambda heard, first_bad, n: max(heard, n + 2)),
        unless(never, lambda heard, first_bad, n: max(heard + 1, n + 2)),
    ),
    "you ask only whether h_n's own step is still to come. What is it made from?": (
        unless(lambda heard, first_bad, n: heard > n + 1)
    ),
    "your border is one step off: before step first_bad + 1 it isn't too late.": unless(
        lambda heard, first_bad, n: heard > first_bad
    ),
    "your border is one step off: after step first_bad + 1 it is too late.": unless(
        lambda heard, first_bad, n: heard > first_bad + 2
    ),
    "you let only an accident right at the beginning heal.": unless(
        lambda heard, first_bad, n: heard > 1
    ),
    "you let nothing heal. What does row n of I + A/k hold at k = n + 1?": (
        unless(lambda heard, first_bad, n: True),
        lambda heard, first_bad, n: -1,
    ),
    "you let all be clean as soon as the first bad number is. The others follow one by one.": (
        unless(late, lambda heard, first_bad, n: first_bad + 2),
        unless(late, lambda heard, first_bad, n: heard + 1),
    ),
    "you count one sample too many.": unless(late, lambda heard, first_bad, n: n + 3),
    "you return 0 where nothing heals. Asked is -1.": lambda *given: max(0, reasoned(*given)),
}

KNOWN = Known(
    right=(reasoned, followed),
    mistakes=MISTAKES,
    slips={"expected one whole number": lambda heard, first_bad, n: None},
    show=lambda heard, first_bad, n: f"clean_after({heard:,}, {first_bad:,}, {n:,})".replace(
        ",", "_"
    ).replace("_ ", ", "),
)
