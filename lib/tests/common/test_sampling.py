"""Greedy is the maximum; sampling follows the softmax, the temperature and the nucleus."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.common.sampling import check_sampling, distribution, nucleus, penalise, sample

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0]])


def shares(logits, n=20_000, **options):
    """How often each token comes up."""
    generator = torch.Generator().manual_seed(0)
    tokens = sample(logits.expand(n, -1), generator=generator, **options)
    return torch.bincount(tokens, minlength=logits.shape[1]) / n


def test_temperature_0_is_greedy_whatever_top_p():
    torch.manual_seed(0)
    logits = torch.randn(5, 9)
    assert sample(logits).equal(logits.argmax(dim=-1))
    assert sample(logits, top_p=0.1).equal(logits.argmax(dim=-1))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_frequencies_follow_the_softmax(temperature):
    expected = (LOGITS[0] / temperature).softmax(dim=-1)
    got = shares(LOGITS, temperature=temperature)
    torch.testing.assert_close(got, expected, rtol=0, atol=0.015)  # 4 standard errors


def test_top_p_draws_from_the_nucleus_of_the_tempered_distribution():
    tempered = (LOGITS / 2.0).softmax(dim=-1)  # 0.455 0.276 0.167 0.102
    expected = tempered[0, :2] / tempered[0, :2].sum()
    got = shares(LOGITS, temperature=2.0, top_p=0.7)
    torch.testing.assert_close(got[:2], expected, rtol=0, atol=0.015)
    assert (got[2:] == 0).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(weights, top_p):
    probabilities = torch.tensor([weights], dtype=torch.float64)
    probabilities /= probabilities.sum()
    kept = nucleus(probabilities, top_p)
    inside = kept[0] > 0
    assert inside.any()
    assert kept.sum().item() == pytest.approx(1.0)
    held = probabilities[0, inside]
    assert held.sum() >= top_p - 1e-12
    assert held.sum() - held.min() < top_p + 1e-12  # without its last token it falls short
    if not inside.all():
        assert held.min() >= probabilities[0, ~inside].max()
    torch.testing.assert_close(kept[0, inside], held / held.sum())


def test_a_tiny_nucleus_is_greedy_and_a_whole_one_changes_nothing():
    assert shares(LOGITS, n=100, temperature=1.0, top_p=1e-9)[0] == 1
    draws = [
        sample(LOGITS.expand(50, -1), 1.0, top_p, torch.Generator().manual_seed(3))
        for top_p in (1.0, 1 - 1e-12)
    ]
    assert draws[0].equal(draws[1])


def test_one_generator_one_result():
    one, two = (
        sample(LOGITS.expand(50, -1), 1.0, 0.9, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert one.equal(two)
    state = torch.get_rng_state()
    sample(LOGITS, 1.0, generator=torch.Generator().manual_seed(7))
    assert torch.get_rng_state().equal(state)  # the global generator is left alone


def test_infinite_and_extreme_logits():
    banned = torch.tensor([[0.0, -torch.inf, 0.0]])
    assert shares(banned, n=2000, temperature=1.0)[1] == 0
    huge = torch.tensor([[1e38, 0.0, -1e38]])
    assert sample(huge, temperature=1e-3).item() == 0
    assert sample(huge.bfloat16(), temperature=0.5).item() == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nan_is_an_error_not_a_token(temperature):
    logits = torch.zeros(2, 4)
    logits[1, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        sample(logits, temperature)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(temperature=-0.1), "temperature must be 0"),
        (dict(temperature=float("nan")), "temperature must be 0"),
        (dict(temperature=1.0, top_p=0.0), "top_p must be above 0"),
        (dict(temperature=1.0, top_p=1.5), "top_p must be above 0"),
        (dict(top_k=0), "top_k must be at least 1 token, or None .*: got 0"),
        (dict(min_p=1.5), "min_p must be from 0 to 1"),
        (dict(min_p=float("nan")), "min_p must be from 0 to 1"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sample(LOGITS, **options)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.floats(0.2, 3.0),
    st.none() | st.integers(1, 12),
    st.floats(0.05, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.5, 2.0),
    st.integers(0, 1_000),
)
def test_it_draws_from_what_transformers_does(temperature, top_k, top_p, min_p, penalty, seed):
    """Its processors, in the order in which its own `generate` puts them."""
    from transformers import LogitsProcessorList
    from transformers.generation import logits_process as theirs

    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 10, generator=draw) * 3
    said = torch.randint(10, (3, 4), generator=draw)
    processors = LogitsProcessorList([theirs.RepetitionPenaltyLogitsProcessor(penalty)])
    processors += [theirs.TemperatureLogitsWarper(temperature)]
    processors += [theirs.TopKLogitsWarper(top_k)] if top_k else []
    processors += [theirs.TopPLogitsWarper(top_p), theirs.MinPLogitsWarper(min_p)]
    expected = processors(said, logits.clone()).softmax(dim=-1)
    marks = torch.zeros(3, 10, dtype=torch.bool).scatter(1, said, True)
    got = distribution(penalise(logits, marks, penalty), temperature, top_p, top_k, min_p)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_a_generator_a_row_makes_draws_independent_of_the_company():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    torch.manual_seed(0)
    logits = torch.randn(3, 50)
    together = sample(logits, 1.0, generator=generators(5, 6, 7))
    for row, seed in enumerate((5, 6, 7)):
        assert sample(logits[row][None], 1.0, generator=generators(seed)) == together[row]
    with pytest.raises(ValueError, match="one a row: got 2 for 3 rows"):
        sample(logits, 1.0, generator=generators(1, 2))


def test_filters_in_greedy_choice_and_at_their_ends():
    assert sample(LOGITS, 0.0, top_k=1, min_p=1.0).tolist() == [0]
    assert shares(LOGITS, n=100, temperature=5.0, top_k=1)[0] == 1
    assert shares(LOGITS, n=100, temperature=5.0, min_p=1.0)[0] == 1
    assert shares(LOGITS, n=100, temperature=5.0, top_k=1, top_p=1e-60, min_p=1.0)[0] == 1
    for same in (dict(top_k=4), dict(top_k=99), dict(min_p=0.0)):
        torch.testing.assert_close(distribution(LOGITS, 1.0, **same), distribution(LOGITS, 1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(temperature="1"), "temperature must be a number: got '1'"),
        (dict(min_p=None), "min_p must be a number: got None"),
        (dict(top_k=2.5), "top_k must be at least 1 token, or None .* got 2.5"),
        (dict(repetition_penalty=float("inf")), "repetition_penalty must be positive"),
    ],
)
def test_what_is_no_number_at_all(options, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(check_sampling)(**options)
