"""Chapter 06: what its traces count, and that its figures show what they were given."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mixlab.chapters.kit import theme
from mixlab.chapters.packed_prompts import figures
from mixlab.chapters.packed_prompts import masks as packed_masks
from mixlab.chapters.packed_prompts import request as packed_request
from mixlab.chapters.packed_prompts.layouts import influence, layout_scores
from mixlab.chapters.packed_prompts.traces import trace_request
from mixlab.kernels import xformers_attention
from mixlab.transformer.packed_masks import causal_block_mask
from mixlab.transformer.packing import pack

WORDS = [["a", "b", "c"], ["d", "e", "f", "g"], ["h"]]
LENGTHS = [3, 4, 1]


def passes():
    return trace_request(LENGTHS, window=2, chunk_size=2, n_decode=2)


def test_layouts_compute_squares_and_use_the_same_scores():
    scores = layout_scores(LENGTHS)
    assert [int(computed.sum()) for computed, _ in scores.values()] == [48, 64, 9 + 16 + 1]
    assert {tuple(np.bincount(used.ravel())[1:]) for _, used in scores.values()} == {(6, 10, 1)}
    assert not any(((used > 0) & ~computed).any() for computed, used in scores.values())


def test_influence_sees_a_leak_and_only_a_leak():
    packed = pack([[1, 2, 3], [4, 5], [6, 7]])

    def running_sum(tokens, lengths):
        return torch.cat([part.cumsum(0) for part in tokens.split(lengths)])[:, None].double()

    leaky = influence(lambda tokens: running_sum(tokens, [7]), packed, token=9)
    apart = influence(lambda tokens: running_sum(tokens, [3, 2, 2]), packed, token=9)
    assert (leaky > 0).tolist() == np.triu(np.ones((3, 3), dtype=bool)).tolist()
    assert (apart > 0).tolist() == np.eye(3, dtype=bool).tolist()
    with pytest.raises(ValueError, match="a token at place 1"):
        influence(lambda tokens: tokens, pack([[1, 2], [3]]), token=9)


def test_packing_lays_down_one_row_a_frame():
    shown = figures.packing(WORDS, "a claim")
    strips = [np.asarray(frame.data[0].z, dtype=float)[-1] for frame in shown.frames]
    assert [int(np.isfinite(strip).sum()) for strip in strips] == [0, 3, 7, 8]
    assert list(shown.data[0].text[-1]) == [word for prompt in WORDS for word in prompt]


def test_leaks_are_counted_in_the_titles():
    prompt, words = np.repeat(range(3), LENGTHS), [w for row in WORDS for w in row]
    masks = {"triangle": np.tri(8, dtype=bool), "blocks": causal_block_mask(LENGTHS).numpy()}
    shown = packed_masks.leaks(masks, prompt, words, "a claim")
    assert [note.text for note in shown.layout.annotations] == [
        f"triangle: {3 * 4 + 7} leaks",
        "blocks: 0 leaks",
    ]
    numbers = [np.bincount(np.asarray(panel.z).ravel(), minlength=5) for panel in shown.data]
    assert numbers[0][1:].tolist() == [6, 10, 1, 3 * 4 + 7]
    assert numbers[1][1:].tolist() == [6, 10, 1, 0]


def test_a_colour_with_a_meaning_is_no_prompt():
    meanings = {theme.NOW, theme.SEEN, theme.GONE, theme.WRONG, theme.WASTE}
    assert not meanings & {figures.prompt_color(prompt) for prompt in range(12)}


def test_alignment_marks_what_is_wrong_and_what_is_missing():
    right = causal_block_mask([2], [5], window=2).numpy()
    wrong = causal_block_mask([2], [5], window=2, align="top_left").numpy()
    shown = packed_masks.alignment({"wrong": wrong, "right": right}, right, "a claim")
    assert list(shown.data[0].text[0]) == ["old", "", "?", "?", ""]
    assert set(np.asarray(shown.data[1].text).ravel()) == {""}


def test_the_diagram_has_the_mask_of_each_stage():
    trace = passes()
    stages = [next(one for one in trace if one.stage == name) for name in packed_request._STAGES]
    diagram = packed_request.life(stages, ["a", "d", "h"], "a claim")
    drawn = [np.asarray(panel.z, dtype=float) for panel in diagram.data if panel.type == "heatmap"]
    assert [int((panel > 0).sum()) for panel in drawn] == [int(p.mask.sum()) for p in stages]


def test_the_diagram_tells_where_keys_come_from():
    first, later, decode = trace_request([3, 4, 1], window=3, chunk_size=2)
    own, ring = False, True
    assert packed_request._origins(first) == [(0, 1, own), (2, 3, own), (4, 4, own)]
    assert packed_request._origins(later) == [(0, 1, ring), (2, 2, own), (3, 4, ring), (5, 6, own)]
    assert packed_request._origins(decode) == [(0, 2, ring), (3, 5, ring), (6, 8, ring)]


def test_other_figures_are_drawn_from_what_they_get():
    parts = ("used", "wasted")
    bars = figures.used_and_wasted(LENGTHS, [4] * 3, list("xyz"), parts, "a claim", "slots").data
    assert np.add(bars[0].x, bars[1].x).tolist() == [4, 4, 4]
    assert list(figures.clock({"rows": 2.0, "pack": 1.0}, "a claim").data[0].x) == [2.0, 1.0]
    tiles = packed_masks.tiles(np.array([[2, 0], [1, 1]]), 128, [100, 256], "a claim")
    assert [shape.x1 for shape in tiles.layout.shapes] == [100, 256]


_QUIET = """
import sys
sys.argv[1] == "without" and sys.modules.update({"xformers": None})
from mixlab.kernels.xformers_attention import masks
print(masks().__name__ if masks() else None)
"""


@pytest.mark.parametrize("how", ["with", "without"])
def test_masks_come_quietly_or_not_at_all(how):
    run = subprocess.run([sys.executable, "-c", _QUIET, how], capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stderr == ""
    if how == "without":
        assert run.stdout == "None\n"
    elif xformers_attention.masks():
        assert run.stdout == "xformers.ops.fmha.attn_bias\n"
