"""Information, error bars and repetition, against small sums by hand and simulations."""

import numpy as np
import pytest

from mixlab.traces.router import repetition
from mixlab.traces.router_decisions import (
    bootstrap,
    conditional_information,
    entropy,
    expert_shares,
    mutual_information,
    shuffled_repetition,
)

RNG = np.random.default_rng(8)


def by_hand(x, y):
    """Σ p(x, y) log2 p(x, y) / p(x) p(y), one pair at a time."""
    total = 0.0
    for a in set(x.tolist()):
        for b in set(y.tolist()):
            both = np.mean((x == a) & (y == b))
            if both:
                total += both * np.log2(both / np.mean(x == a) / np.mean(y == b))
    return total


def test_information_is_the_definition():
    for _ in range(10):
        x, y, z = RNG.integers(4, size=(3, 60))
        assert mutual_information(x, y) == pytest.approx(by_hand(x, y))
        each = [np.mean(z == c) * by_hand(x[z == c], y[z == c]) for c in set(z.tolist())]
        assert conditional_information(x, y, given=z) == pytest.approx(sum(each))


def test_information_obeys_its_laws():
    x, y, z = RNG.integers(5, size=(3, 500))
    assert mutual_information(x, y) == pytest.approx(mutual_information(y, x))
    assert mutual_information(x, x) == pytest.approx(entropy(x))
    both = z * 5 + y
    chain = mutual_information(x, z) + conditional_information(x, y, given=z)
    assert mutual_information(x, both) == pytest.approx(chain)


def test_labels_may_have_gaps():
    x, y = np.array([0, 0, 7, 7]), np.array([900, 900, 3, 3])
    assert mutual_information(x, y) == pytest.approx(1)


def test_shares_add_up():
    chosen = RNG.integers(8, size=(4, 30, 2))
    shares = expert_shares(chosen, 8)
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert shares[2, 5] == pytest.approx((chosen[2] == 5).mean())


def test_the_bootstrap_covers_what_it_claims():
    """95 of 100 intervals hold the truth, though tokens within a text are nearly copies."""
    hits = 0
    for _ in range(200):
        texts = RNG.normal(size=(40, 1)) + 3.0
        low, high = bootstrap(texts, RNG, draws=400)
        hits += bool(low[0] <= 3.0 <= high[0])
    assert 175 <= hits <= 199


def test_shuffling_keeps_popularity_and_loses_order():
    chosen = np.repeat(RNG.choice(8, size=(20, 10), p=[0.3] + [0.1] * 7), 10, axis=1)[..., None]
    assert repetition(chosen) > 0.8
    shuffled = np.mean([shuffled_repetition(chosen, RNG) for _ in range(20)])
    popularity = np.bincount(chosen.ravel(), minlength=8) / chosen.size
    assert shuffled == pytest.approx((popularity**2).sum(), abs=0.01)
