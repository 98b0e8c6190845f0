"""09.6 Parcels for the experts' ranks: each token once to each rank that has one of its experts."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """Even and uneven shares, ranks without experts, one rank, k from 1 to 4, one token."""
    cases = [((8,), 5, 2), ((2, 2, 2, 2), 9, 2), ((0, 3, 0, 1), 6, 1), ((1, 1, 1), 1, 3)]
    for _ in range(8):
        held = tuple(int(n) for n in rng.integers(0, 5, size=int(rng.integers(2, 7))))
        held = held if sum(held) else (2, 1)
        cases.append((held, int(rng.integers(1, 20)), int(rng.integers(1, min(4, sum(held)) + 1))))
    return [text(rng, *case) for case in cases]


def text(rng, held, n_tokens, k):
    chosen = [rng.choice(sum(held), k, replace=False) for _ in range(n_tokens)]
    return torch.from_numpy(np.array(chosen)), list(held)


def call(answer, chosen, held):
    """How often each token is in each rank's parcel."""
    parcels = answer(chosen, held)
    try:
        lists = [[int(token) for token in parcel] for parcel in parcels]
    except (TypeError, ValueError):
        lists = None
    if lists is None or len(lists) != len(held):
        raise Unreadable(
            f"expected a list of tokens for each of {len(held)} ranks: got {kind_of(parcels)}"
        )
    counts = np.zeros((len(held), len(chosen)), int)
    for rank, tokens in enumerate(lists):
        if tokens and not 0 <= min(tokens) <= max(tokens) < len(chosen):
            raise Unreadable(
                f"rank {rank}'s parcel holds {tokens}: this text has the tokens 0 to "
                f"{len(chosen) - 1}"
            )
        if tokens != sorted(tokens):
            raise Unreadable(f"expected rank {rank}'s tokens in order: got {tokens}")
        np.add.at(counts[rank], tokens, 1)
    return counts


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        (torch.tensor([[0, 7], [1, 2], [5, 0]]), [3, 3, 2]),
        (torch.tensor([[0], [1], [3]]), [1, 2, 1]),
        (torch.tensor([[1, 0], [2, 1], [0, 3]]), [2, 0, 2]),
        (torch.tensor([[3, 1, 4], [4, 3, 0], [1, 2, 0], [0, 4, 1]]), [2, 2, 1]),
        (torch.tensor([[5, 4], [0, 1]]), [1, 1, 4]),
    ),
    hints=(
        "Which experts live on rank 1, if `held` is [3, 3, 2]? Which on rank 2?",
        "Rank r's first expert is the sum of what the ranks before it hold. A token goes there if "
        "any of its experts lies between that one and the next rank's first.",
        "`((chosen >= first) & (chosen < first + n)).any(dim=1)` says which tokens, and `nonzero` "
        "gives their numbers.",
    ),
)

# --- kept back while grading ---


def owners(held):
    return [rank for rank, n in enumerate(held) for _ in range(n)]


def parcels(chosen, held, owner=owners, once=True, rows=lambda row: row):
    rank_of, sent = owner(held), [[] for _ in held]
    for token, row in enumerate(chosen.tolist()):
        ranks = [rank_of[expert] for expert in rows(row)]
        for rank in sorted(set(ranks)) if once else ranks:
            sent[rank].append(token)
    return sent


def in_tensors(chosen, held):
    rank = torch.bucketize(chosen, torch.tensor(held).cumsum(0), right=True)
    return [(rank == r).any(1).nonzero().flatten().tolist() for r in range(len(held))]


def but(**changes):
    return lambda *given: parcels(*given, **changes)


def equal_shares(each):
    """As if every rank held as many experts as the others."""
    return lambda held: [min(e // max(1, each(held)), len(held) - 1) for e in range(sum(held))]


def between(ends):
    """A token goes to rank r if one of its experts lies between these ends."""

    def answer(chosen, held):
        borders = [ends(held, rank) for rank in range(len(held))]
        return [
            [t for t, row in enumerate(chosen.tolist()) if any(a <= e < b for e in row)]
            for a, b in borders
        ]

    return answer


def share(held, up=0):
    return max(1, (sum(held) + up) // len(held))


MISTAKES = {
    "a token with two experts on one rank is sent there twice. It travels once.": but(once=False),
    "you cut experts into equal shares. `held` says how many each rank has.": (
        but(owner=equal_shares(share)),
        but(owner=equal_shares(lambda held: share(held, up=len(held) - 1))),
        but(owner=equal_shares(lambda held: held[0])),
        but(owner=lambda held: [e * len(held) // sum(held) for e in range(sum(held))]),
        between(lambda held, r: (r * share(held), (r + 1) * share(held))),
    ),
    "you take r · held[r] for a rank's first expert. It is the sum of what the ranks before it "
    "hold.": between(lambda held, r: (r * held[r], (r + 1) * held[r])),
    "you ask for one end only: rank r's experts begin where the ranks before it end, and end where "
    "the next one's begin.": (
        between(lambda held, r: (0, sum(held[: r + 1]))),
        between(lambda held, r: (sum(held[:r]), sum(held))),
    ),
    "you deal experts out in turn: expert e to rank e % n. A rank has experts in a row.": but(
        owner=lambda held: [expert % len(held) for expert in range(sum(held))]
    ),
    "you take an expert's number for its rank's.": lambda chosen, held: [
        (chosen == rank).any(1).nonzero().flatten().tolist() for rank in range(len(held))
    ],
    "a token goes to one of its experts only. All k need it.": (
        but(rows=lambda row: row[:1]),
        but(rows=lambda row: row[-1:]),
    ),
    "a token's first expert is left out.": but(rows=lambda row: row[1:] or row),
    "a token is sent only where all of its experts live. Any is enough.": lambda chosen, held: [
        [t for t, row in enumerate(chosen.tolist()) if {owners(held)[e] for e in row} == {rank}]
        for rank in range(len(held))
    ],
    "you leave out rank 0, as if its tokens stayed. These tokens are sent to it too.": (
        lambda *given: [[], *parcels(*given)[1:]]
    ),
    "your borders are off by one: rank r's experts end before the next rank's first.": (
        between(lambda held, r: (sum(held[:r]), sum(held[: r + 1]) + 1)),
        between(lambda held, r: (sum(held[:r]) + 1, sum(held[: r + 1]) + 1)),
        between(lambda held, r: (sum(held[:r]) + (r > 0), sum(held[: r + 1]) + 1)),
        between(lambda held, r: (sum(held[:r]) + 1, sum(held[: r + 1]))),
    ),
    "every rank gets every token. Only those are sent that it has an expert for.": (
        lambda chosen, held: [list(range(len(chosen))) for _ in held]
    ),
    "you send tokens to the experts that they did not choose.": lambda chosen, held: [
        [t for t in range(len(chosen)) if t not in parcel] for parcel in parcels(chosen, held)
    ],
    "you list places among the k choices. A parcel lists tokens, the rows of `chosen`.": (
        lambda chosen, held: parcels(chosen.T, held)
    ),
    "all ranks share one list: `[[]] * n` is n times the same.": lambda *given: (
        [sorted(token for parcel in parcels(*given) for token in parcel)] * len(given[1])
    ),
    "your ranks come in reverse.": lambda *given: parcels(*given)[::-1],
}

KNOWN = Known(
    right=(parcels, in_tensors),
    mistakes=MISTAKES,
    slips={
        "expected a list of tokens for each": lambda *given: [p for p in parcels(*given) if p],
        "this text has the tokens": lambda chosen, held: [
            sorted({e for row in chosen.tolist() for e in row if owners(held)[e] == rank})
            for rank in range(len(held))
        ],
    },
    show=lambda chosen, held: f"parcels({chosen.tolist()}, held={held})",
    place=lambda at: f"rank {at[0]}, token {at[1]}" if at else "",
    name=lambda count: (
        ("not sent", "sent once")[int(count)] if count < 2 else f"sent {count} times"
    ),
)
