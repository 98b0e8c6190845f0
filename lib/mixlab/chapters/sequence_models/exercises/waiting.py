"""12.4 How long must we wait?"""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Chains, trees, layers, nothing at all, and parts that read any of those before."""
    drawn = [
        ([],),
        ([[]],),
        ([[], [], []],),
        ([[], *([n] for n in range(150))],),
        ([[] for _ in range(8)] + [[2 * n, 2 * n + 1] for n in range(7)],),
        ([[] for _ in range(5)] + [[*range(5)] for _ in range(5)],),
    ]
    for n in (5, 8, 12, 16, 20, 24):
        needs = []
        for part in range(n):
            most = min(part, int(rng.integers(0, 3)))
            needs.append(sorted(rng.permutation(part)[:most].tolist()))
        drawn.append((needs,))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        ([[], [0], [1], [2]],),
        ([[], [], [0, 1], []],),
        ([[], [0], [], [1, 2]],),
        ([[], [0], [1], [0, 2], [0]],),
        ([[], [], [0], [2], [1, 3], [2, 3]],),
        ([[], [0], [0, 1], [0, 1, 2]],),
        ([[], [], [], [0, 1, 2]],),
        ([],),
        ([[], [0], [1], [0], [3], [2, 4], [1]],),
    ),
    hints=(
        "After which round is a part done that reads nothing? And one that reads parts which are "
        "done after rounds 1 and 3?",
        "A part is done one round after the *last* of those that it reads. Go through them in "
        "order, and write each round down.",
        "Keep a list `done`; for each part append 1 + the largest `done` of what it reads, with 0 "
        "for nothing. `max(…, default=0)` knows what to say of nothing. The answer is the largest.",
    ),
)

# --- kept back while grading ---


def latest(needs):
    done = []
    for reads in needs:
        done.append(1 + max((done[part] for part in reads), default=0))
    return max(done, default=0)


def round_by_round(needs):
    """Does in each round all that can be done."""
    done, n_rounds = set(), 0
    while len(done) < len(needs):
        done |= {part for part, reads in enumerate(needs) if done.issuperset(reads)}
        n_rounds += 1
    return n_rounds


def counting(after, of=max):
    """Rounds under another idea of when a part is done, or of which part counts.

    Args:
        after: maps the rounds of what a part reads, in order, to its own.
        of: maps all rounds to the answer.
    """

    def rounds(needs):
        done = []
        for reads in needs:
            done.append(after([done[part] for part in reads]))
        return of(done) if done else 0

    return rounds


def right_after(rounds):
    return 1 + max(rounds, default=0)


def ancestors(needs):
    found = []
    for part, reads in enumerate(needs):
        found.append({part}.union(*(found[read] for read in reads)))
    return max(map(len, found), default=0)


def in_order(needs):
    """Fills a round with parts in their order, until one must wait."""
    n_rounds, current = 0, None
    for part, reads in enumerate(needs):
        if current is None or current & set(reads):
            n_rounds, current = n_rounds + 1, set()
        current.add(part)
    return n_rounds


def same_round(needs):
    """Lets a part use what was made in the same round, if it has a smaller number."""
    done, n_rounds = set(), 0
    while len(done) < len(needs):
        for part, reads in enumerate(needs):
            if done.issuperset(reads):
                done.add(part)
        n_rounds += 1
    return n_rounds


MISTAKES = {
    "you do one part a round. Parts that don't wait for each other share a round.": len,
    "you count the waits in the longest chain, and not its parts: a chain of four has three "
    "arrows.": (
        lambda needs: max(0, latest(needs) - 1),
        counting(lambda rounds: 1 + max(rounds) if rounds else 0),
    ),
    "you look at the last part alone. Another may be done later.": counting(
        right_after, lambda done: done[-1]
    ),
    "you count what a part reads itself. What it reads has waited too.": (
        lambda needs: max((len(reads) for reads in needs), default=0),
        lambda needs: 1 + max((len(reads) for reads in needs), default=-1),
        lambda needs: 1 + max((len(reads) for reads in needs), default=0),
    ),
    "you follow the first part that is read. The one that is done last decides.": counting(
        lambda rounds: 1 + rounds[0] if rounds else 1
    ),
    "you follow the last part that is read. The one that is *done* last decides.": counting(
        lambda rounds: 1 + rounds[-1] if rounds else 1
    ),
    "you wait for the earliest of what is read. All of it must be there.": counting(
        lambda rounds: 1 + min(rounds, default=0)
    ),
    "you add up rounds. Parts run side by side, and the latest decides.": (
        counting(lambda rounds: 1 + sum(rounds)),
        counting(right_after, sum),
        counting(lambda rounds: 1 + sum(rounds), sum),
    ),
    "you count all parts that a part depends on, as if they ran one after the other. Those that "
    "don't wait for each other share a round.": ancestors,
    "you take the parts in their order, and open a new round when one must wait. A later part may "
    "run in an earlier round.": in_order,
    "you let a part use a result of the round in which it is made itself.": same_round,
    "you count the parts that have somebody to wait for.": (
        lambda needs: sum(map(bool, needs)),
        lambda needs: 1 + sum(map(bool, needs)) if needs else 0,
        lambda needs: 1 + sum(map(bool, needs)),
    ),
    "you count one round even for no parts.": (
        lambda needs: 1 + latest(needs) * 0 if not needs else latest(needs)
    ),
    "one round too many: parts that read nothing are done after round 1.": (
        lambda needs: latest(needs) + 1,
        lambda needs: latest(needs) + bool(needs),
    ),
    "you count the arrows.": lambda needs: sum(map(len, needs)),
    "you take the logarithm of how many parts there are. That is a tree's depth: what does this "
    "one look like?": (
        lambda needs: (len(needs) - 1).bit_length() if needs else 0,
        lambda needs: len(needs).bit_length(),
    ),
}

KNOWN = Known(
    right=(latest, round_by_round),
    mistakes=MISTAKES,
    slips={
        "it raised ValueError": lambda needs: latest(needs) if needs else max(needs),
        "expected one whole number": lambda needs: [latest(needs)] * 2,
    },
    show=lambda needs: f"rounds({needs if len(needs) < 30 else f'[…], {len(needs)} parts'})",
)
