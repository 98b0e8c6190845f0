"""12.5 Predict: what must be kept to write on?"""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count

RECURRENT, ATTENTION = ("recurrent",), ("attention",)


def conv(taps, apart):
    return ("convolution", taps, apart)


def draw(rng):
    """One tap, texts shorter and longer than the reach, stacks that double, mixed layers."""
    doubling = [conv(2, 2**layer) for layer in range(10)]
    drawn = [
        ([conv(1, 5)], 9, 4),
        (doubling, 1023, 8),
        (doubling, 1024, 8),
        (doubling, 100, 8),
        ([], 5, 4),
        ([ATTENTION] * 32, 32_768, 1024),
        ([RECURRENT, ATTENTION, conv(4, 1)] * 3, 1, 16),
    ]
    for _ in range(8):
        layers = []
        for kind in rng.integers(0, 4, int(rng.integers(1, 6))):
            wide = conv(int(rng.integers(1, 6)), int(rng.integers(1, 9)))
            layers.append((RECURRENT, ATTENTION, wide, wide)[int(kind)])
        drawn.append((layers, int(rng.integers(1, 40)), int(rng.integers(1, 12))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        ([conv(2, 1), RECURRENT], 9, 4),
        ([conv(3, 4)], 20, 2),
        ([conv(3, 4)], 5, 2),
        ([ATTENTION], 7, 3),
        ([RECURRENT, RECURRENT], 7, 3),
        ([conv(2, 1), conv(2, 2), conv(2, 4)], 5, 1),
        ([conv(1, 3), ATTENTION], 6, 2),
        ([conv(4, 2)], 7, 5),
    ),
    hints=(
        "Take each layer for itself. Which of a convolution's inputs does the *next* token read? "
        "And the one after it?",
        "A convolution reaches (taps - 1) · apart places back. All rows in between are read by "
        "some later token. More than `length` rows don't exist.",
        "Rows: 1 for a recurrent layer, 2 · length for attention, min(length, (taps - 1) · apart) "
        "for a convolution. Each has `dim` numbers.",
    ),
)

# --- kept back while grading ---


def by_rows(layers, length, dim):
    return dim * sum(rows(layer, length) for layer in layers)


def rows(layer, length):
    kind, *sizes = layer
    if kind == "recurrent":
        return 1
    return 2 * length if kind == "attention" else min(length, (sizes[0] - 1) * sizes[1])


def by_reading(layers, length, dim):
    """Asks for every position whether some later token reads it."""
    numbers = 0
    for kind, *sizes in layers:
        if kind == "convolution":
            taps, apart = sizes
            later = range(length, length + taps * apart)
            reads = {t - n * apart for t in later for n in range(1, taps)}
            numbers += dim * len(reads & set(range(length)))
        else:
            numbers += dim if kind == "recurrent" else dim * length + dim * length
    return numbers


def keeping(convolution=None, attention=None, recurrent=None, row=None):
    """Under another idea of what one kind of layer keeps, in rows, or of a row's size."""
    ideas = {
        "convolution": convolution or (lambda n, taps, apart: min(n, (taps - 1) * apart)),
        "attention": attention or (lambda n: 2 * n),
        "recurrent": recurrent or (lambda n: 1),
    }
    row = row or (lambda dim: dim)

    def kept(layers, length, dim):
        return row(dim) * sum(ideas[kind](length, *sizes) for kind, *sizes in layers)

    return kept


def reaching(layers, length, dim):
    """Lets a convolution keep what all convolutions up to it reach."""
    total, reach = 0, 0
    for layer in layers:
        if layer[0] == "convolution":
            reach += (layer[1] - 1) * layer[2]
            total += min(length, reach)
        else:
            total += rows(layer, length)
    return total * dim


MISTAKES = {
    "you keep a convolution's whole reach even where fewer tokens have been read.": keeping(
        lambda n, taps, apart: (taps - 1) * apart
    ),
    "you keep only the rows that the next token reads. Those in between are read by the tokens "
    "after it.": (
        keeping(lambda n, taps, apart: min(n, taps - 1)),
        keeping(lambda n, taps, apart: sum(k * apart <= n for k in range(1, taps))),
        keeping(lambda n, taps, apart: taps - 1),
    ),
    "you keep taps · apart rows. One of the taps is the new token itself.": (
        keeping(lambda n, taps, apart: min(n, taps * apart)),
        keeping(lambda n, taps, apart: taps * apart),
    ),
    "you count the new token's own input. Kept is what was read before.": (
        keeping(lambda n, taps, apart: min(n, (taps - 1) * apart + 1)),
        keeping(lambda n, taps, apart: min(n + 1, (taps - 1) * apart + 1)),
        keeping(lambda n, taps, apart: (taps - 1) * apart + 1),
        keeping(lambda n, taps, apart: min(n, taps)),
        keeping(lambda n, taps, apart: taps),
    ),
    "you keep one row too few of a convolution: the next token reads exactly (taps - 1) · apart "
    "places back.": keeping(lambda n, taps, apart: max(0, min(n, (taps - 1) * apart - 1))),
    "you let a convolution keep every input. Beyond its reach nobody reads any more.": keeping(
        lambda n, taps, apart: n
    ),
    "you let a convolution keep nothing.": keeping(lambda n, taps, apart: 0),
    "you take the larger of reach and length. Kept is what is in reach *and* has been read.": (
        keeping(lambda n, taps, apart: max(n, (taps - 1) * apart))
    ),
    "you keep two rows for each input of a convolution. Only attention keeps pairs.": keeping(
        lambda n, taps, apart: 2 * min(n, (taps - 1) * apart)
    ),
    "you give a convolution the reach of the whole stack up to it. It reads, and keeps, its own "
    "inputs only.": reaching,
    "you leave out a token that has been read. All `length` of them may be kept.": (
        keeping(lambda n, taps, apart: min(n - 1, (taps - 1) * apart)),
        keeping(attention=lambda n: 2 * (n - 1)),
    ),
    "your state is one number. It has `dim`.": (
        lambda layers, n, dim: by_rows(layers, n, dim) - layers.count(RECURRENT) * (dim - 1)
    ),
    "you count the keys and not the values.": keeping(attention=lambda n: n),
    "you keep queries as well. A query is asked once, by its own token.": keeping(
        attention=lambda n: 3 * n
    ),
    "you keep the scores. They are computed anew for each query: keys and values are kept.": (
        keeping(attention=lambda n: n * n),
        keeping(attention=lambda n: 2 * n * n),
    ),
    "you keep a state for every token. The last is enough.": keeping(recurrent=lambda n: n),
    "you let a recurrent layer keep nothing. Its state is all that it knows.": keeping(
        recurrent=lambda n: 0
    ),
    "you count a recurrent layer's matrices. Weights don't belong to what was read.": (
        lambda layers, n, dim: (
            by_rows(layers, n, dim) + layers.count(RECURRENT) * (2 * dim * dim - dim)
        )
    ),
    "you count rows. Each has `dim` numbers.": keeping(row=lambda dim: 1),
    "you square `dim`. Kept are vectors, and no matrices.": keeping(row=lambda dim: dim * dim),
    "you count bytes. Asked are numbers.": keeping(row=lambda dim: 4 * dim),
    "you count one layer. Each keeps its own.": (
        lambda layers, n, dim: by_rows(layers[:1], n, dim),
        lambda layers, n, dim: by_rows(layers[-1:], n, dim),
    ),
    "you keep what attention needs for the next token's own key and value too. They come with "
    "it.": keeping(attention=lambda n: 2 * (n + 1)),
}

KNOWN = Known(
    right=(by_rows, by_reading),
    mistakes=MISTAKES,
    slips={"expected one whole number": lambda layers, n, dim: [rows(one, n) for one in layers]},
    show=lambda layers, length, dim: f"kept({layers}, length={length}, dim={dim})",
    name="{:,}".format,
)
