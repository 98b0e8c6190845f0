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
        ),
        strict=True,
    )
)


def _words(read):
    return WORDS[getclosurevars(unwrap(read)).nonlocals["row"]]


def _batch(side, filler, lengths=(3, 5, 1)):
    """(x, mask, rows): rows of real tokens, with filler to their left or right, or both."""
    rng = np.random.default_rng(7)
    width = max(lengths) + (2 if side == "both" else 0)
    x, mask, rows = np.full((len(lengths), width, 4), filler), np.zeros((len(lengths), width)), []
    for number, length in enumerate(lengths):
        start = {"right": 0, "left": width - length, "both": 1}[side]
        rows.append(rng.standard_normal((length, 4)))
        x[number, start : start + length], mask[number, start : start + length] = rows[-1], 1
    return torch.from_numpy(x).float(), torch.from_numpy(mask).bool(), rows


def _safe_on(read, side, filler, same=torch.allclose):
    x, mask, rows = _batch(side, filler)
    for state, row in zip(read(x, mask), rows, strict=True):
        row = torch.from_numpy(row).float()[None]
        if not same(state, read(row, torch.ones(row.shape[:2], dtype=torch.bool))[0]):
            return False
    return True


def _is_safe(read, **how):
    sides = ("left", "right", "both")
    tried = (_safe_on(read, side, filler, **how) for side in sides for filler in (0.0, 2.0))
    return np.array(all(tried))


def _judged(*tried):
    return lambda read: np.array(all(_safe_on(read, *batch) for batch in tried))


def _ignores_filler(read):
    """Whether the result is the same for two kinds of filler, without asking what it should be."""
    pairs = [(_batch(side, 0.0), _batch(side, 2.0)) for side in ("left", "right")]
    return np.array(all(torch.allclose(read(*a[:2]), read(*b[:2])) for a, b in pairs))


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
                "alone, and with torch.allclose: real numbers differ in the last digits.",
                lambda read: np.array(False),
            ),
            Misconception(
                "your test asks for equality to the last digit. Rounding may differ between a "
                "batch and a single row: compare with torch.allclose.",
                lambda read: _is_safe(read, same=torch.equal),
            ),
            Misconception(
                "your test only tries filler behind the text. Some layers leak filler that stands "
                "before it.",
                _judged(("right", 2.0)),
            ),
            Misconception(
                "your test only tries filler before the text. Some layers leak filler that stands "
                "behind it.",
                _judged(("left", 2.0)),
            ),
            Misconception(
                "your filler is all zeros, and some layers only leak other numbers.",
                _judged(("left", 0.0), ("right", 0.0)),
            ),
            Misconception(
                "your test asks whether two kinds of filler give the same state. A layer can turn "
                "all filler into one and the same wrong step: hold each row against itself alone.",
                _ignores_filler,
            ),
        ),
    ),
}
