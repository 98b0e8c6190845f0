"""09.2 Predict the bytes of a token: by layers, by tensors, by experts."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """One rank, many, odd widths, more bytes than 32 bits count."""
    drawn = [(1, 4, 64, 2, 0), (64, 200, 60_000, 8, 900)]
    for _ in range(10):
        n_layers = int(rng.integers(1, 90))
        away = int(rng.integers(0, 4 * n_layers))
        sizes = int(rng.integers(2, 20)), n_layers, int(rng.integers(5, 9000))
        drawn.append((*sizes, (1, 2, 4, 8)[int(rng.integers(0, 4))], away))
    return drawn


def read(value):
    """Three whole numbers."""
    try:
        numbers = [float(part) for part in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 3:
        raise Unreadable(f"expected three numbers, layers, tensors, experts: got {kind_of(value)}")
    return np.array(numbers)


ASKED = Asked(
    draw=draw,
    read=read,
    atol=0.01,
    examples=(
        (4, 32, 4096, 2, 48),
        (2, 3, 10, 4, 1),
        (3, 5, 7, 2, 4),
        (1, 2, 8, 2, 0),
        (9, 2, 6, 1, 3),
    ),
    hints=(
        "How many borders do R ranks in a row have? How many vectors go over all wires in a ring "
        "all-reduce, if each of R ranks sends 2 (R - 1) pieces of 1/R?",
        "All ranks together: 2 (R - 1) hidden states an all-reduce. One is for attention, one for "
        "the feed-forward layer. And a token that went to an expert wants to come home.",
        "`state = dim * bytes_per_number`; of it (R - 1), 4 · n_layers · (R - 1), and 2 · away.",
    ),
)

# --- kept back while grading ---


def token_bytes(R, n_layers, dim, b, away):
    state = dim * b
    return (R - 1) * state, 4 * n_layers * (R - 1) * state, 2 * away * state


def piece_by_piece(R, n_layers, dim, b, away):
    summed = sum(dim / R for _ in range(R) for _ in range(2 * (R - 1)))
    return sum(dim for _ in range(1, R)) * b, 2 * n_layers * summed * b, (away + away) * dim * b


def but(layers=None, tensors=None, experts=None):
    """Another number in place of one of the three."""

    def answer(*given):
        ours = token_bytes(*given)
        return [
            own if other is None else other(*given)
            for own, other in zip(ours, (layers, tensors, experts), strict=True)
        ]

    return answer


MISTAKES = {
    "you count numbers, not bytes.": lambda R, n, d, b, away: token_bytes(R, n, d, 1, away),
    "you count bits.": lambda R, n, d, b, away: token_bytes(R, n, d, 8 * b, away),
    "by layers you count a message from every rank. The last one has nobody behind it.": but(
        layers=lambda R, n, d, b, away: R * d * b
    ),
    "by layers you count a border after every layer. Only where a rank ends something is sent.": (
        but(layers=lambda R, n, d, b, away: (n - 1) * d * b),
        but(layers=lambda R, n, d, b, away: n * d * b),
        but(layers=lambda R, n, d, b, away: n * (R - 1) * d * b),
    ),
    "by layers you count one border. All ranks together were asked for.": (
        but(layers=lambda R, n, d, b, away: d * b),
        but(layers=lambda R, n, d, b, away: d * b * (R > 1)),
    ),
    "by layers a hidden state goes one way. Nothing comes back.": but(
        layers=lambda R, n, d, b, away: 2 * (R - 1) * d * b
    ),
    "by tensors you count one all-reduce a layer. Attention needs one, and the feed-forward layer "
    "another.": but(tensors=lambda R, n, d, b, away: 2 * n * (R - 1) * d * b),
    "by tensors you count what one rank sends. All ranks together were asked for.": (
        but(tensors=lambda R, n, d, b, away: 4 * n * (R - 1) * d * b / R),
        but(tensors=lambda R, n, d, b, away: 4 * n * (R - 1) * d * b // R),
        but(tensors=lambda R, n, d, b, away: 4 * n * d * b),
    ),
    "by tensors every rank sends its whole vector to every other. A ring all-reduce sends "
    "pieces: 2 (R - 1) / R of a vector a rank.": but(
        tensors=lambda R, n, d, b, away: 2 * n * R * (R - 1) * d * b
    ),
    "by tensors each rank sends two whole vectors. In a ring all-reduce it is 2 (R - 1) / R "
    "of one: nobody sends a piece to itself.": but(
        tensors=lambda R, n, d, b, away: 4 * n * R * d * b
    ),
    "by tensors you count the way to one collecting rank, and not what comes back.": but(
        tensors=lambda R, n, d, b, away: 2 * n * R * d * b
    ),
    "by tensors each round sends whole vectors; they are pieces of 1/R.": but(
        tensors=lambda R, n, d, b, away: 4 * n * R * (R - 1) * d * b
    ),
    "by tensors you let each layer pass every border once. An all-reduce goes around twice, and a "
    "layer needs two.": but(tensors=lambda R, n, d, b, away: n * (R - 1) * d * b),
    "by tensors you round a piece down. Where a vector's numbers don't come out even, some pieces "
    "are larger, and all of them make up the whole vector.": (
        but(tensors=lambda R, n, d, b, away: 4 * n * R * (R - 1) * (d * b // R)),
        but(tensors=lambda R, n, d, b, away: 4 * n * R * (R - 1) * (d // R) * b),
    ),
    "by tensors you count one layer.": but(tensors=lambda R, n, d, b, away: 4 * (R - 1) * d * b),
    "by experts you count the way there. What the expert made must come home.": but(
        experts=lambda R, n, d, b, away: away * d * b
    ),
    "by experts you count two experts again. `away` are choices, not layers.": but(
        experts=lambda R, n, d, b, away: 4 * away * d * b
    ),
    "by experts you multiply by the layers again. `away` counts the choices of all of them.": (
        but(experts=lambda R, n, d, b, away: 2 * n * away * d * b),
        but(experts=lambda R, n, d, b, away: n * away * d * b),
    ),
    "by experts you let a share of 1 / R stay at home. `away` are those that don't.": (
        but(experts=lambda R, n, d, b, away: 2 * away * d * b * (R - 1) / R),
        but(experts=lambda R, n, d, b, away: 2 * away * d * b * (R - 1) // R),
    ),
    "by experts you send every choice over every wire, or count it for every rank. One goes to one "
    "rank.": (
        but(experts=lambda R, n, d, b, away: 2 * away * (R - 1) * d * b),
        but(experts=lambda R, n, d, b, away: 2 * away * R * d * b),
    ),
    "your three numbers are in another order: layers, tensors, experts.": (
        lambda *given: token_bytes(*given)[::-1],
        lambda *given: np.array(token_bytes(*given))[[1, 0, 2]],
        lambda *given: np.array(token_bytes(*given))[[0, 2, 1]],
    ),
}

KNOWN = Known(
    right=(token_bytes, piece_by_piece),
    mistakes=MISTAKES,
    slips={"expected three numbers": lambda *given: token_bytes(*given)[:2]},
    show=lambda R, n, d, b, away: (
        f"token_bytes({R}, n_layers={n}, dim={d}, bytes_per_number={b}, away={away})"
    ),
    place=lambda at: ("by layers", "by tensors", "by experts")[at[0]] if at else "",
    name="{:,.0f}".format,
)
