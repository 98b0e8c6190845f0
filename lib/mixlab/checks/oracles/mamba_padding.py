"""Oracle of exercise 19.6: does a test tell layers that keep filler out from leaking ones?"""

from inspect import getclosurevars, unwrap

import numpy as np
import torch

from mixlab.checks.cases.mamba_readers import ROWS, made_from
from mixlab.checks.oracles import Misconception, Oracle

WORDS = dict(
    zip(
        ROWS,
        (
            "filler's input zeroed before the convolution, and its Δ set to 0",
            "filler kept out until the first real token, and the state taken at the last one",
            "filler's input zeroed before and after the convolution, and the state taken at the "
            "last real token",
            "filler's Δ set to 0 and its input zeroed, in arithmetic that rounds by the width",
            "filler's input zeroed before the convolution; its Δ stays positive",
            "filler's input zeroed before and after the convolution; the state still decays",
            "filler's number zeroed before softplus, which makes 0.69 of it",
            "filler's input zeroed before the convolution, whose bias makes a u of it again; the "
            "state taken at the last real token",
            "Δ of filler set to 0; but the first real tokens still see filler under the taps",
            "the state taken at each row's last real token: right where filler stands only "
            "behind it",
            "filler before the text kept out, filler behind it read",
            "every row read as far as the longest one",
            "filler read like any token",
            "the first row's filler kept out of every row, wherever a row's own stands",
            "filler kept out, but read in rows that have it on both sides",
            "filler kept out of the first two rows, and read in the others",
            "filler kept out, but read in rows that have a single token of it on one side",
        ),
        strict=True,
    )
)


_ONE_SIDE = ("left", "right")


def _words(read):
    return WORDS[getclosurevars(unwrap(read)).nonlocals["row"]]


def _batch(side, filler, lengths=(3, 5, 1)):
    """(x, mask, rows): rows of real tokens, with filler to their left or right, or both."""
    rng = np.random.default_rng(7)
    width = max(lengths) + 2 * (side == "both" or len(set(lengths)) == 1)
    x, mask, rows = np.full((len(lengths), width, 4), filler), np.zeros((len(lengths), width)), []
    for number, length in enumerate(lengths):
        start = {"right": 0, "left": width - length, "both": 1}[side]
        rows.append(rng.standard_normal((length, 4)))
        x[number, start : start + length], mask[number, start : start + length] = rows[-1], 1
    return torch.from_numpy(x).float(), torch.from_numpy(mask).bool(), rows


def _safe_on(read, side, filler, lengths=(3, 5, 1), same=torch.allclose, rows=None):
    x, mask, real = _batch(side, filler, lengths)
    for state, row in list(zip(read(x, mask), real, strict=True))[:rows]:
        row = torch.from_numpy(row).float()[None]
        if not same(state, read(row, torch.ones(row.shape[:2], dtype=torch.bool))[0]):
            return False
    return True


def _is_safe(read, **how):
    sides = ("left", "right", "both")
    tried = (_safe_on(read, side, filler, **how) for side in sides for filler in (0.0, 2.0))
    return np.array(all(tried))


def _judged(*tried, **how):
    return lambda read: np.array(all(_safe_on(read, *batch, **how) for batch in tried))


def _safe_in(read, *batches):
    """Whether rows keep their state in batches, each given as a width and the rows' real tokens."""
    rng = np.random.default_rng(7)
    for width, *spans in batches:
        x, mask = torch.full((len(spans), width, 4), 5.0), torch.zeros(len(spans), width)
        for row, (start, stop) in enumerate(spans):
            x[row, start:stop] = torch.from_numpy(rng.standard_normal((stop - start, 4))).float()
            mask[row, start:stop] = 1
        for row, state in enumerate(read(x, mask)):
            alone = x[row, mask[row].bool()][None]
            if not torch.allclose(state, read(alone, torch.ones(alone.shape[:2]))[0], atol=1e-5):
                return np.array(False)
    return np.array(True)


_KINDS_OF_ROWS = (
    "your test misses a kind of row. Some layers leak only where filler stands on both sides of a "
    "row, or a single token of it, or only in the third row of a batch: try them all."
)
# Batches of two rows; rows with filler on one side alone; and the two things together.
_FEW_ROWS = (
    ((6, (0, 4), (2, 6)),),
    ((6, (0, 4), (2, 6)), (6, (1, 4), (0, 6))),
    ((7, (0, 4), (2, 7), (2, 5)),),
    ((6, (4, 6), (0, 6), (2, 6)), (6, (0, 2), (0, 6), (0, 4))),
    ((6, (4, 6), (0, 6), (1, 6)), (6, (0, 2), (0, 6), (0, 5))),
)


def _ignores_filler(read, lengths):
    """Whether the result is the same for two kinds of filler, without asking what it should be."""
    pairs = [[_batch(side, filler, lengths)[:2] for filler in (0.0, 2.0)] for side in _ONE_SIDE]
    return np.array(all(torch.allclose(read(*a), read(*b)) for a, b in pairs))


def _of_lengths(says, make):
    """One mistake, on batches that begin with a short row and on one that doesn't."""
    return tuple(
        Misconception(says, make(lengths)) for lengths in ((3, 5, 1), (1, 3, 5), (1, 5, 3))
    )


EXERCISES = {
    "19.6": Oracle(
        expected=_is_safe,
        show=lambda read: f"keeps_filler_out on a layer with {_words(read)}",
        place=lambda index: "",
        name=lambda value: "True (filler kept out)" if value else "False (filler leaks)",
        examples=tuple((made_from(row),) for row in ROWS),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere, for a batch in "
                "which filler would change a row's state?",
                lambda read: np.array(True),
            ),
            Misconception(
                "your test rejects everything, safe layers too. Compare each row with itself "
                "alone, and with torch.allclose: real numbers differ in the last digits. (If your "
                "filler is NaN or infinite: 0 times either is NaN, so zeroing doesn't help.)",
                lambda read: np.array(False),
            ),
            Misconception(
                "your test asks for equality to the last digit. Rounding may differ between a "
                "batch and a single row: compare with torch.allclose.",
                lambda read: _is_safe(read, same=torch.equal),
            ),
            *_of_lengths(
                "your test only tries filler behind the text. Some layers leak filler that stands "
                "before it.",
                lambda lengths: _judged(("right", 2.0, lengths)),
            ),
            *_of_lengths(
                "your test only tries filler before the text. Some layers leak filler that stands "
                "behind it.",
                lambda lengths: _judged(("left", 2.0, lengths)),
            ),
            *(
                Misconception(_KINDS_OF_ROWS, lambda read, spans=spans: _safe_in(read, *spans))
                for spans in _FEW_ROWS
            ),
            *(
                Misconception(
                    "your batches hold one row, or rows alike. Some layers keep one row's filler "
                    "out and another's in: rows of different lengths belong into one batch.",
                    judged,
                )
                for judged in (
                    *(
                        _judged(*((side, 2.0, lengths) for side in sides))
                        for lengths in ((4,), (4, 4), (1,), (1, 1))
                        for sides in (("both",), ("left", "right"))
                    ),
                    lambda read: _safe_in(read, (8, (2, 6))),
                )
            ),
            *_of_lengths(
                "your filler is all zeros, and some layers only leak other numbers.",
                lambda lengths: _judged(("left", 0.0, lengths), ("right", 0.0, lengths)),
            ),
            *_of_lengths(
                "your test asks whether two kinds of filler give the same state. A layer can turn "
                "all filler into one and the same wrong step: hold each row against itself alone.",
                lambda lengths: lambda read: _ignores_filler(read, lengths),
            ),
            *_of_lengths(
                "your test looks at the first row only. A layer may use one row's mask for all.",
                lambda lengths: _judged(("both", 2.0, lengths), rows=1),
            ),
        ),
    ),
}
