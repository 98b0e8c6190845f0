"""09.5 An order in which nothing hangs: sends that wait until they are taken."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of

DOES = ("send", "recv")


def draw(rng):
    """Pairs, circles, all to all, one to all, nothing at all, and random messages."""
    cases = [
        (2, []),
        (5, [(r, (r + 1) % 5) for r in range(5)]),
        (4, [(a, b) for a in range(4) for b in range(4) if a != b]),
        (3, [(0, 1), (0, 2), (1, 0), (2, 0), (0, 1)]),
    ]
    for _ in range(14):
        n = int(rng.integers(2, 7))
        pairs = [rng.choice(n, 2, replace=False) for _ in range(int(rng.integers(1, 16)))]
        cases.append((n, [(int(a), int(b)) for a, b in pairs]))
    return cases


def call(answer, n_ranks, transfers):
    """Runs the programs. For each rank: hangs in a send, in a recv; messages it got to each."""
    made = answer(n_ranks, list(transfers))
    try:
        left = [[(str(does), int(whom)) for does, whom in program] for program in made]
    except (TypeError, ValueError):
        left = []
    if len(left) != n_ranks:
        raise Unreadable(
            f"expected a list for each of {n_ranks} ranks, of (does, whom): got {kind_of(made)}"
        )
    for rank, program in enumerate(left):
        for does, whom in program:
            if does not in DOES or not 0 <= whom < n_ranks or whom == rank:
                raise Unreadable(
                    f"rank {rank} can send to another rank or recv from one: got {(does, whom)}. "
                    "Is it the partner of another, or one list for all ranks?"
                )
    delivered = np.zeros((n_ranks, n_ranks), int)
    going = True
    while going:
        going = False
        for rank, program in enumerate(left):
            if program and program[0][0] == "send":
                to = program[0][1]
                if left[to] and left[to][0] == ("recv", rank):
                    program.pop(0), left[to].pop(0)
                    delivered[rank, to] += 1
                    going = True
    stuck = [[bool(program) and program[0][0] == does for does in DOES] for program in left]
    return np.hstack([stuck, delivered])


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        (2, [(0, 1), (1, 0)]),
        (2, [(0, 1)]),
        (3, [(0, 1), (1, 2), (2, 0)]),
        (3, [(2, 1), (1, 0)]),
        (4, [(0, 1), (2, 3), (1, 2), (3, 0)]),
        (3, [(0, 2), (1, 2), (0, 1), (2, 0)]),
        (2, [(0, 1), (1, 0), (0, 1)]),
        (3, [(1, 0), (0, 2), (2, 1), (0, 1)]),
        (4, [(3, 1), (0, 2), (1, 3), (2, 0), (1, 0)]),
    ),
    hints=(
        "Draw three ranks that all send first, in a circle. Who can go on? What if one of them "
        "takes first?",
        "Ranks hang when each waits for one that waits for another, and so round. If everybody "
        "follows **one** list of messages, can the first message that isn't done yet be stuck?",
        "Go through `transfers` once: a send to the source's list, a recv to the other's.",
    ),
)

# --- kept back while grading ---


def one_list(n_ranks, transfers):
    does = [[] for _ in range(n_ranks)]
    for source, to in transfers:
        does[source].append(("send", to))
        does[to].append(("recv", source))
    return does


def sorted_by(key):
    """Each rank sorts its own program."""
    return lambda n, transfers: [
        sorted(program, key=lambda step, me=me: key(step, me))
        for me, program in enumerate(one_list(n, transfers))
    ]


def but(change):
    """A right list, of other messages."""
    return lambda n, transfers: one_list(n, change(transfers))


def turned(n, transfers):
    flip = {"send": "recv", "recv": "send"}
    return [[(flip[does], whom) for does, whom in one] for one in one_list(n, transfers)]


def odd_backwards(n, transfers):
    return [one[::-1] if me % 2 else one for me, one in enumerate(one_list(n, transfers))]


MISTAKES = {
    "all ranks send first and take then: where each waits to be taken from, nobody takes.": (
        sorted_by(lambda step, me: step[0] == "recv")
    ),
    "all ranks take first and send then: where each waits for a message, nobody sends.": (
        sorted_by(lambda step, me: step[0] == "send")
    ),
    "even ranks send first and odd ones take first. That is right for neighbours, and hangs in a "
    "circle of three: 2 and 0 both send.": (
        sorted_by(lambda step, me: (step[0] == "recv") == (me % 2 == 0))
    ),
    "odd ranks send first and even ones take first. In a circle of three, 0 and 2 both take.": (
        sorted_by(lambda step, me: (step[0] == "recv") == (me % 2 == 1))
    ),
    "one rank begins the other way round than the others. That opens one circle, not every one.": (
        sorted_by(lambda step, me: (step[0] == "recv") == (me == 0)),
        sorted_by(lambda step, me: (step[0] == "send") == (me == 0)),
        lambda n, t: [
            sorted(one, key=lambda step, me=me: (step[0] == "recv") == (me < n - 1))
            for me, one in enumerate(one_list(n, t))
        ],
        lambda n, t: [
            sorted(one, key=lambda step: step[0] == "send") if me == 0 else one
            for me, one in enumerate(one_list(n, t))
        ],
    ),
    "each rank goes through its partners by number, and that is an order; but with one partner it "
    "takes before it sends, or sends before it takes, and so does the partner.": (
        sorted_by(lambda step, me: (step[1], step[0])),
        sorted_by(lambda step, me: (step[1], step[0] == "recv")),
    ),
    "a pair that occurs twice is sent once.": but(lambda t: list(dict.fromkeys(t))),
    "only sends are there, or only takes. A message needs both.": (
        lambda n, t: [[s for s in one if s[0] == "send"] for one in one_list(n, t)],
        lambda n, t: [[s for s in one if s[0] == "recv"] for one in one_list(n, t)],
    ),
    "sends and takes are swapped: (source, to) is sent by the first.": turned,
    "one of your messages is missing, the first or the last.": (
        but(lambda t: t[1:]),
        but(lambda t: t[:-1]),
    ),
    "some of your ranks go through the list in another direction than others. Partners must meet "
    "in one order.": (
        odd_backwards,
        lambda n, t: [one[::-1] if me == 0 else one for me, one in enumerate(one_list(n, t))],
    ),
}


def place(at):
    if not at:
        return ""
    rank, column = at
    what = [f"hangs in {does}" for does in DOES]
    return f"rank {rank}, {[*what, f'messages that reach rank {column - 2}'][min(column, 2)]}"


KNOWN = Known(
    right=(one_list, sorted_by(lambda step, me: step[1])),
    mistakes=MISTAKES,
    slips={
        "expected a list for each": lambda n, t: one_list(n, t)[:-1],
        "can send to another rank": lambda n, t: [[("give", 0)]] * n,
    },
    show=lambda n_ranks, transfers: f"programs({n_ranks}, {transfers})",
    place=place,
)
