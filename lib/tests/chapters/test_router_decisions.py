"""Information, error bars and repetition, against small sums by hand and simulations."""

import numpy as np
import pytest
import torch

from mixlab import load, tokenizer
from mixlab.chapters.router_decisions.prices import own_and_dearest, prices, surely_dearest
from mixlab.chapters.router_decisions.repetition import (
    explained_repetitions,
    repetition_of_strangers,
    repetitions,
)
from mixlab.small_mixtral import folder
from mixlab.small_mixtral.sample import sample
from mixlab.traces.router_decisions import (
    bootstrap,
    conditional_information,
    distance,
    entropy,
    expert_shares,
    information_by_lot,
    mutual_information,
    shuffle_within,
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


def test_distances_and_their_intervals():
    one = np.argsort(RNG.random((2, 40, 30, 8)))[..., :2]
    other = one.copy()
    other[1, :, :15] = [0, 1]  # half of layer 1's tokens go to two experts
    apart, low, high = distance(one, other, 8, RNG, paired=True)
    assert (apart[0], low[0], high[0]) == (0, 0, 0)  # every draw takes the same texts of both
    assert low[1] < apart[1] < high[1]
    assert apart[1] == pytest.approx(0.5 * 0.75, abs=0.02)
    assert distance(one, other[:, :20], 8, RNG)[0, 0] > 0  # kinds may have other numbers of texts
    with pytest.raises(ValueError, match="got 40 and 20"):
        distance(one, other[:, :20], 8, RNG, paired=True)


def test_shuffling_keeps_popularity_and_loses_order():
    favourite = RNG.choice(8, size=(20, 10), p=[0.3] + [0.1] * 7)
    first = np.repeat(favourite, 10, axis=1)
    chosen = np.stack([first, (first + RNG.integers(1, 8, first.shape)) % 8], axis=-1)[None]
    assert repetitions(chosen)[0, 0] > 0.8
    orders = [RNG.permutation(2000) for _ in range(20)]
    shuffled = np.mean([repetitions(chosen, order) for order in orders], axis=0)
    assert shuffled[:, 0] == pytest.approx(repetition_of_strangers(chosen.reshape(-1, 2)), abs=0.01)


def test_fixed_pairs_lower_chance():
    pairs = np.array([[0, 1], [2, 3], [5, 4], [7, 6]])
    assert repetition_of_strangers(pairs) == pytest.approx((1 / 4, 1 / 4))
    with pytest.raises(ValueError, match="got k=3"):
        repetition_of_strangers(np.array([[0, 1, 2]]))


def test_exchanging_a_tokens_choices_keeps_what_tokens_alone_explain():
    tokens = np.repeat(RNG.integers(6, size=(10, 50)), 2, axis=1)
    order = shuffle_within(np.arange(tokens.size), tokens.ravel(), RNG)
    assert (tokens.ravel()[order] == tokens.ravel()).all()
    assert (order != np.arange(tokens.size)).mean() > 0.9
    by_token = np.stack([tokens, (tokens + 1) % 6], axis=-1)[None]  # the token decides
    written, exchanged, shuffled = explained_repetitions(by_token, tokens, RNG)
    assert (written == exchanged).all()
    assert (written > shuffled + 0.2).all()
    by_text = np.broadcast_to(np.arange(10)[:, None, None] % 5 + [0, 5], (10, 100, 2))[None]
    written, exchanged, shuffled = explained_repetitions(by_text, tokens, RNG)  # context decides
    assert (written == 1).all()
    assert exchanged == pytest.approx(shuffled, abs=0.1)


def test_lots_for_whole_texts_show_what_lots_for_tokens_hide():
    kind_of_text = np.arange(40) % 4
    favourites = np.repeat(RNG.integers(5, size=40), 50)  # of each text, whatever its kind
    experts = np.where(RNG.random(2000) < 0.7, favourites, RNG.integers(5, size=2000))[None]
    found = mutual_information(experts[0], kind_of_text.repeat(50))
    lots = information_by_lot(experts, kind_of_text, RNG, draws=99)
    assert (lots > found).mean() > 0.02
    assert mutual_information(experts[0], RNG.permutation(kind_of_text.repeat(50))) < lots.min()
    token = RNG.integers(3, size=2000)
    assert information_by_lot(experts, kind_of_text, RNG, 3, given=token).shape == (3, 1)
    with pytest.raises(ValueError, match="2000 places aren't 41 texts"):
        information_by_lot(experts, np.arange(41) % 4, RNG, draws=1)


def test_a_price_is_what_a_removal_adds():
    model = load(folder(), dtype=torch.float32)
    texts = sample(tokenizer(folder()), each=2, seq=24)
    found = prices(model, texts, [{}, {0: [7]}])
    assert found.shape == (2, 8, 2)
    assert (found[0] == 0).all()
    assert found[1].mean() > 0.1


def test_own_price_and_that_of_whoever_else_pays_most():
    found = np.zeros((3, 3, 2))
    found[0] = [[4, 6], [1, 3], [0, 0]]  # without the favourites of kind 0
    found[1] = [[7, 9], [5, 5], [0, 0]]
    own, dearest = own_and_dearest(found)
    assert own[:2].tolist() == [[5, 1], [5, 0]]
    assert dearest[:2].tolist() == [[2, 1], [8, 1]]


def test_a_kind_pays_surely_most_for_its_own_if_all_its_texts_do():
    found = np.zeros((2, 2, 4))
    found[0, 0], found[1, 0] = [5, 6, 7, 8], [4, 5, 6, 7]  # one more, each time
    found[1, 1], found[0, 1] = [5, 1, 5, 1], [1, 5, 0, 5]
    assert surely_dearest(found) == [True, False]
