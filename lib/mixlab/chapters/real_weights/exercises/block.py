"""11.1 Read a block: twenty bytes of Q4_1 are thirty-two weights."""

from operator import floordiv, mod

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """Blocks of any bytes, with steps and lowest values of either sign, large and small."""
    scales = [(0.05, -0.3), (2.0, 5.0), (0.001, -0.02), (-0.5, 1.0), (0.25, 0.0)]
    return [(packed(rng.integers(0, 16, size=32), *scales[n % 5]),) for n in range(10)]


def packed(levels, step, lowest):
    """The bytes of a block with these 32 levels."""
    low, high = np.array(levels[:16]), np.array(levels[16:])
    halves = (low + 16 * high).astype(np.uint8)
    return np.array([step, lowest], dtype="<f2").tobytes() + halves.tobytes()


ASKED = Asked(
    draw=draw,
    read=read_reals(1),
    atol=2e-4,
    examples=(
        (packed([0] * 31 + [1], 0.5, -1.0),),
        (packed([*range(16), *range(15, -1, -1)], 0.5, -2.0),),
        (packed([3, 9] * 16, 0.25, 1.5),),
        (packed([15, 0, 7, 8] * 8, 0.1, -1.0),),
    ),
    hints=(
        "Of the twenty bytes the first two are the step, the next two the lowest value, in fp16. "
        "`np.frombuffer(bytes, dtype=...)` reads both at once.",
        "A byte's low half is `byte % 16` or `byte & 15`, its high half `byte // 16` or "
        "`byte >> 4`. Which weights are in the low halves?",
        "All sixteen low halves first, then all sixteen high ones: 32 levels. Then lowest + level "
        "* step.",
    ),
)

# --- kept back while grading ---


def decode(block, order=lambda low, high: [*low, *high], value=lambda q, d, m: m + q * d):
    """Under another idea of the levels' order, or of what a level says."""
    d, m = (float(x) for x in np.frombuffer(block[:4], dtype="<f2"))
    rest = list(block[4:])
    low, high = [b & 15 for b in rest], [b >> 4 for b in rest]
    return np.array([value(q, d, m) for q in order(low, high)])


def by_bits(block):
    step, lowest = np.frombuffer(block, "<f2", count=2).astype(np.float64)
    bits = np.unpackbits(np.frombuffer(block, np.uint8, offset=4), bitorder="little")
    levels = bits.reshape(16, 2, 4) @ np.array([1, 2, 4, 8])
    return lowest + step * levels.T.ravel()


def in_fp16(block):
    step, lowest = np.frombuffer(block, "<f2", count=2)
    halves = np.frombuffer(block, np.uint8, offset=4)
    return lowest + step * np.concatenate((halves % 16, halves // 16))


def ordered(order):
    return lambda block: decode(block, order=order)


def valued(value):
    return lambda block: decode(block, value=value)


def scales(dtype, first=0, second=2):
    """Other ideas of where the two scales lie, and how they are written."""

    def answer(block):
        size = np.dtype(dtype).itemsize
        d, m = (float(np.frombuffer(block[i : i + size], dtype)[0]) for i in (first, second))
        levels = [*(b & 15 for b in block[4:]), *(b >> 4 for b in block[4:])]
        return np.array([m + q * d for q in levels])

    return answer


MISTAKES = {
    "you take the halves byte by byte, low, high, low, high. The low halves are weights 0 to 15, "
    "the high ones 16 to 31.": ordered(lambda low, high: np.stack((low, high), 1).ravel()),
    "you take the halves byte by byte, the high one first. The low halves are weights 0 to 15, the "
    "high ones 16 to 31.": ordered(lambda low, high: np.stack((high, low), 1).ravel()),
    "you begin with the high halves. They are weights 16 to 31.": ordered(
        lambda low, high: [*high, *low]
    ),
    "you return 16 weights: each byte holds two.": (
        ordered(lambda low, high: low),
        ordered(lambda low, high: [*low[::2], *high[::2]]),
        ordered(lambda low, high: high),
    ),
    "you take a whole byte for a level. A level has four bits, 0 to 15.": (
        ordered(lambda low, high: [a + 16 * b for a, b in zip(low, high, strict=True)]),
        ordered(lambda low, high: [*low, *(16 * b for b in high)]),
    ),
    "you divide by 15 to part the halves. A half has sixteen values.": ordered(
        lambda low, high: [
            part((a + 16 * b), 15)
            for part in (mod, floordiv)
            for a, b in zip(low, high, strict=True)
        ]
    ),
    "you compute in fp16, which rounds each result. Only the file's two numbers are in fp16.": (
        in_fp16
    ),
    "you leave out the lowest value: level 0 is not weight 0.": valued(lambda q, d, m: q * d),
    "you return the levels. A weight is lowest + level * step.": valued(lambda q, d, m: q),
    "you center the levels by taking 8 off. That is another format, Q4_0; here level 0 is the "
    "lowest.": (
        valued(lambda q, d, m: m + (q - 8) * d),
        valued(lambda q, d, m: (q - 8) * d),
    ),
    "you read the halves as signed numbers. A level is 0 to 15.": valued(
        lambda q, d, m: m + (q - 16 * (q > 7)) * d
    ),
    "you have step and lowest value the wrong way round: the step comes first.": valued(
        lambda q, d, m: d + q * m
    ),
    "you add before you multiply. A weight is lowest + level * step.": (
        valued(lambda q, d, m: (m + d) * q),
        valued(lambda q, d, m: (m + q) * d),
    ),
    "you subtract: a weight is lowest plus level * step.": (
        valued(lambda q, d, m: m - q * d),
        valued(lambda q, d, m: q * d - m),
    ),
    "you divide by 15 or 16. The step is already what lies between two levels.": (
        valued(lambda q, d, m: m + q * d / 15),
        valued(lambda q, d, m: m + q * d / 16),
    ),
    "you take the second number for the highest weight. It is the lowest.": valued(
        lambda q, d, m: m - (15 - q) * d
    ),
    "you read the scales big end first. The file is little-endian, as your machine probably is.": (
        scales(">f2")
    ),
    "you read the scales as whole numbers. They are fp16.": (scales("<u2"), scales("<i2")),
    "you read the step's bytes for both scales: the lowest value has bytes 2 and 3.": scales(
        "<f2", 0, 0
    ),
}

KNOWN = Known(
    right=(decode, by_bits),
    mistakes=MISTAKES,
    slips={
        "expected real numbers in 1 axis": lambda block: decode(block).reshape(2, 16),
        "expected shape: (32,)": lambda block: decode(block)[:31],
    },
    show=lambda block: f"decode({block[:4]!r} + {block[4:].hex()})",
    place=lambda at: f"weight {at[0]}" if at else "",
    name="{:.4f}".format,
)
