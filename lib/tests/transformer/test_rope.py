"""RoPE: distance alone matters, both layouts turn alike, and files move between them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixlab.transformer.rope import (
    half_to_interleaved,
    interleaved_to_half,
    rope_table,
    rotate,
    rotate_interleaved,
    rotate_wide,
    widen,
)

DIM = 16


def turned(x, position, theta=10_000.0):
    """The vector `x` at one position."""
    return rotate(x[None], *rope_table(torch.tensor([position]), len(x), theta))[0]


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 20_000))
def test_scores_depend_on_distance_alone(i, j, shift):
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, DIM, generator=generator)
    here = turned(q, i) @ turned(k, j)
    torch.testing.assert_close(turned(q, i + shift) @ turned(k, j + shift), here, rtol=0, atol=1e-4)


def test_rotation_keeps_lengths_and_leaves_position_zero():
    x = torch.randn(3, 50, DIM)
    out = rotate(x, *rope_table(torch.arange(50), DIM))
    torch.testing.assert_close(out.norm(dim=-1), x.norm(dim=-1), rtol=1e-5, atol=0)
    assert torch.equal(out[:, 0], x[:, 0])


def test_interleaved_layout_is_complex_multiplication():
    x, positions = torch.randn(2, 9, DIM), torch.arange(9)
    frequency = 10_000.0 ** (-torch.arange(0, DIM, 2, dtype=torch.float64) / DIM)
    turn = torch.polar(torch.ones(9, DIM // 2).double(), positions[:, None] * frequency)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)))
    expected = torch.view_as_real(pairs * turn).flatten(-2).float()
    got = rotate_interleaved(x, *rope_table(positions, DIM))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_heads", [1, 3])
def test_reordered_rows_make_the_layouts_one(n_heads):
    """Interleaved weights turned interleaved give the scores of half weights turned half."""
    torch.manual_seed(0)
    wq, wk, x = torch.randn(n_heads * DIM, 20), torch.randn(n_heads * DIM, 20), torch.randn(7, 20)
    table = rope_table(torch.arange(7), DIM)

    def scores(wq, wk, turn):
        q, k = ((x @ w.t()).unflatten(-1, (n_heads, DIM)).transpose(0, 1) for w in (wq, wk))
        return turn(q, *table) @ turn(k, *table).transpose(-1, -2)

    halves = (interleaved_to_half(w, n_heads) for w in (wq, wk))
    interleaved = scores(wq, wk, rotate_interleaved)
    torch.testing.assert_close(scores(*halves, rotate), interleaved, rtol=1e-4, atol=1e-3)
    assert (scores(wq, wk, rotate) - interleaved).abs().max() > 1


@given(st.integers(1, 5), st.integers(1, 8))
def test_reordering_is_undone(n_heads, pairs):
    weight = torch.randn(n_heads * pairs * 2, 3)
    assert torch.equal(half_to_interleaved(interleaved_to_half(weight, n_heads), n_heads), weight)
    assert torch.equal(interleaved_to_half(half_to_interleaved(weight, n_heads), n_heads), weight)


def test_wide_tables_rotate_alike():
    x = torch.randn(9, 3, DIM)
    table = rope_table(torch.arange(40, 49), DIM)
    expected = rotate(x.transpose(0, 1), *table).transpose(0, 1)
    got = rotate_wide(x, *widen(*table, torch.float32))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_angles_keep_their_digits_far_out():
    """At position 1,000,000 float32 positions times float32 frequencies err by a hundredth."""
    cos, sin = rope_table(torch.tensor([1_000_000]), 128, 1e6)
    exact = 1e6 * (1e6 ** (-torch.arange(0, 128, 2, dtype=torch.float64) / 128))
    torch.testing.assert_close(cos[0].double(), exact.cos(), rtol=0, atol=1e-6)
    torch.testing.assert_close(sin[0].double(), exact.sin(), rtol=0, atol=1e-6)


def test_equals_transformers():
    from transformers import MistralConfig
    from transformers.models.mistral.modeling_mistral import (
        MistralRotaryEmbedding,
        apply_rotary_pos_emb,
    )

    x = torch.randn(1, 2, 30, DIM)
    rope = MistralRotaryEmbedding(
        MistralConfig(head_dim=DIM, rope_parameters=dict(rope_type="default", rope_theta=500.0))
    )
    theirs, _ = apply_rotary_pos_emb(x, x, *rope(x, torch.arange(30)[None]))
    ours = rotate(x, *rope_table(torch.arange(30), DIM, 500.0))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_odd_widths_are_told():
    with pytest.raises(ValueError, match="head_dim must be even"):
        rope_table(torch.arange(3), 7)
    for reorder in (interleaved_to_half, half_to_interleaved):
        with pytest.raises(ValueError, match="6 rows and n_heads=2"):
            reorder(torch.zeros(6, 2), 2)
