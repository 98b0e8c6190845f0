"""What chapter 16's tasks ask, how its slots fill, and what it draws."""

import numpy as np
import pytest
import torch

from mixlab.chapters.selection import figures
from mixlab.chapters.selection.practice import Constant, Reader, right, trained
from mixlab.chapters.selection.slots import OPEN, by_hand, gates, trace_slots
from mixlab.chapters.selection.tasks import COPYING, INDUCTION, NOT_ASKED, next_tokens
from mixlab.ssm.s4d import S4D


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_copying_text_has_three_letters_and_asks_for_them_in_order():
    tokens = COPYING.texts(50, 9, drawn())
    for row, answers in zip(tokens, COPYING.answers(tokens), strict=True):
        text, asked = COPYING.spell(row), COPYING.spell(answers)
        assert (len(text), text[9:]) == (12, "123")
        assert asked == " " * 9 + text[:9].replace("·", "")
    assert len({COPYING.spell(row).find("·") for row in tokens}) > 1


def test_an_induction_text_asks_for_what_followed_its_first_star():
    tokens = INDUCTION.texts(200, 6, drawn())
    for row, answers in zip(tokens, INDUCTION.answers(tokens), strict=True):
        text = INDUCTION.spell(row)
        assert (text.count("*"), text[-1], text[-2] == "*") == (2, "*", False)
        assert INDUCTION.spell(answers) == " " * 5 + text[text.index("*") + 1]
    assert {INDUCTION.spell(row).index("*") for row in tokens} == {0, 1, 2, 3}


def test_a_text_survives_being_encoded():
    assert COPYING.spell(COPYING.encode("·C·A123")) == "·C·A123"
    assert next_tokens(torch.tensor([[1, 2]])).tolist() == [[2, NOT_ASKED]]


@pytest.mark.parametrize("length", [3, 5, 40])
def test_two_scans_by_hand_name_every_letter(length):
    tokens = COPYING.texts(100, length, drawn(length))
    assert torch.equal(by_hand(tokens), COPYING.answers(tokens)[:, -3:])


def test_behind_gates_each_slot_ends_with_its_letter():
    for text, held in {"··C·A··D·": [2, 4, 7], "CADB": [0, 1, 2], "·B·": [1, 1, 1]}.items():
        shares = trace_slots(text).shares
        assert shares[-1].argmax(axis=1).tolist() == held
        assert shares[-1].max(axis=1).min() > 1 - 1e-8
    assert (trace_slots("··").shares < 1e-200).all()
    assert gates("C·A") == [[OPEN] * 3, [0] * 3, [0, OPEN, OPEN]]


def test_run_evenly_a_slot_is_an_average_with_fading_weights():
    trace = trace_slots("A·B", delta=0.5)
    for slot in range(3):
        keeps = np.exp(-0.5 * (slot + 1))
        expected = (1 - keeps) * keeps ** np.array([2, 1, 0])
        np.testing.assert_allclose(trace.shares[-1, slot], expected, rtol=1e-12)
    np.testing.assert_array_equal(trace.delta, np.full((3, 3), 0.5))


@pytest.mark.parametrize("asked", [("", None), ("A", 0.0), ("A", -1.0)])
def test_slots_refuse_what_no_memory_is(asked):
    with pytest.raises(ValueError, match="at least one token and a Δ above 0"):
        trace_slots(*asked)


def test_a_reader_that_looks_back_knows_the_token_before():
    model = Reader(torch.nn.Identity(), 5, look_back=True).requires_grad_(False)
    x = model.vectors(torch.tensor([[3, 1, 4]]))[0]
    assert torch.equal(x[0], model.embedding.weight[3])
    assert torch.equal(x[2], model.embedding.weight[4] + model.before.weight[1])
    assert Constant(7)(torch.zeros(2, 3, 16)).shape == (2, 3, 7)


def test_practice_is_seeded_and_frozen():
    how = dict(steps=2, every_token=True)
    first, again = (trained(COPYING, lambda: S4D(16, 4, "lin"), 1, **how) for _ in range(2))
    assert torch.equal(first.output.weight, again.output.weight)
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert len(right(first, COPYING, n=8)) == 3


def test_a_bar_is_a_mean_and_every_seed_a_point():
    shown = figures.seeds({"a": {"q": [0.5, 1.0]}, "b": {"q": [0.2, 0.4]}}, 0.25, "claim", "right")
    bars = [trace for trace in shown.data if trace.type == "bar"]
    points = [trace for trace in shown.data if trace.type == "box"]
    np.testing.assert_allclose([bar.y[0] for bar in bars], [0.75, 0.3])
    assert [tuple(one.y) for one in points] == [(0.5, 1.0), (0.2, 0.4)]
    assert shown.layout.shapes[0].y0 == 0.25
    assert not figures.seeds({"a": {"q": [1.0]}}, None, "claim", "right").layout.shapes


def test_what_is_kept_has_a_row_for_each_token():
    shown = figures.kept(["A", "dot"], [[0.1, 0.2], [1.0, 0.9]], "claim", "channel")
    assert np.array(shown.data[0].z).tolist() == [[0.1, 0.2], [1.0, 0.9]]
    assert list(shown.data[0].y) == ["A", "dot"]
