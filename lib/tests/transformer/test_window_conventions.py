"""The lesson's table of conventions, held against the code it speaks of."""

import jupytext
import pytest
import torch

from classroom.layout import find_root
from mixlab.transformer.window import window_mask

SIZES = [(seq, window) for seq in (1, 2, 7, 12) for window in range(1, seq + 2)]


@pytest.fixture(scope="module")
def spellings():
    """The dictionary of masks, from the lesson's own cells."""
    text = (find_root() / "course/source/02_sliding_window.py").read_text()
    cells = [cell.source for cell in jupytext.reads(text, fmt="py:percent").cells]
    scope = {"torch": torch}
    exec(next(cell for cell in cells if cell.startswith("def ring_decode")), scope)
    exec(next(cell for cell in cells if cell.startswith("spellings")).split("keys =")[0], scope)
    return scope["spellings"]


@pytest.mark.parametrize(("seq", "window"), SIZES)
def test_xformers_local_mask(spellings, seq, window):
    bias = pytest.importorskip("xformers.ops.fmha.attn_bias")
    mask = bias.LowerTriangularFromBottomRightLocalAttentionMask(_window_size=window)
    real = mask.materialize((seq, seq)) == 0
    assert torch.equal(spellings["xformers, local"](seq, window), real)
    assert torch.equal(window_mask(seq, window=window), real)


@pytest.mark.parametrize(("seq", "window"), SIZES)
def test_hugging_face_today(spellings, seq, window):
    masking = pytest.importorskip("transformers.masking_utils")
    rule = masking.sliding_window_causal_mask_function(window)
    real = torch.tensor(
        [
            [bool(rule(0, 0, torch.tensor(i), torch.tensor(j))) for j in range(seq)]
            for i in range(seq)
        ]
    )
    assert torch.equal(spellings["Hugging Face 2025"](seq, window), real)


def test_ten_spellings_two_meanings(spellings):
    assert len(spellings) == 10
    for make in spellings.values():
        mask = make(10, 4)
        assert torch.equal(mask, window_mask(10, window=int(mask[8].sum())))
