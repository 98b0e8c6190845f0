"""What exercises 08.1 and 08.2 must return: neighbours with an expert in common, and chance."""

import math
from itertools import pairwise

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle


def _pairs(chosen, lengths):
    """All (before, after) of neighbouring tokens of one text, as lists of experts."""
    for text, length in zip(chosen.tolist(), lengths, strict=True):
        yield from pairwise(text[:length])


def _rates(pairs):
    pairs = list(pairs)
    if not pairs:
        return np.array([np.nan, np.nan])
    first = sum(a[0] == b[0] for a, b in pairs)
    common = sum(bool(set(a) & set(b)) for a, b in pairs)
    return np.array([first, common]) / len(pairs)


def _repetition(chosen, lengths):
    return _rates(_pairs(chosen, lengths))


def _with_padding(chosen, lengths):
    return _rates(_pairs(chosen, [chosen.shape[1]] * len(chosen)))


def _across_borders(chosen, lengths):
    real = [token for text, n in zip(chosen.tolist(), lengths, strict=True) for token in text[:n]]
    return _rates(pairwise(real))


def _flattened(chosen, lengths):
    flat = chosen.reshape(-1, chosen.shape[-1]).tolist()
    return _rates(pairwise(flat))


def _mean_of_texts(chosen, lengths):
    rates = [_repetition(chosen[i : i + 1], [n]) for i, n in enumerate(lengths) if n > 1]
    return np.mean(rates, axis=0)


def _same_rank(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    same = sum(any(x == y for x, y in zip(a, b, strict=True)) for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], same / len(pairs)])


def _first_among_next(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    kept = sum(a[0] in b for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], kept / len(pairs)])


def _first_of_either(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    kept = sum(a[0] in b or b[0] in a for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], kept / len(pairs)])


def _into_padding(chosen, lengths):
    return _rates(_pairs(chosen, [min(n + 1, chosen.shape[1]) for n in lengths]))


def _all_the_same(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    same = sum(set(a) == set(b) for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], same / len(pairs)])


def _over_tokens(chosen, lengths):
    n_pairs = sum(n - 1 for n in lengths)
    return _repetition(chosen, lengths) * n_pairs / sum(lengths)


def _counted(chosen, lengths):
    pairs = list(_pairs(chosen, lengths))
    common = sum(len(set(a) & set(b)) for a, b in pairs)
    return np.array([_repetition(chosen, lengths)[0], common / len(pairs)])


def _chance(n_experts, k):
    """One minus the chance that none of k draws, one after another, meets a taken expert."""
    missed = 1.0
    for drawn in range(k):
        missed *= max(0, n_experts - k - drawn) / (n_experts - drawn)
    return np.array(1 - missed)


_SMALL = np.array(
    [
        [[0, 1], [0, 2], [2, 0], [5, 4], [5, 4]],
        [[3, 4], [4, 3], [0, 1], [0, 1], [0, 1]],
        [[0, 1], [6, 7], [7, 0], [1, 7], [1, 2]],
    ]
)


def _number(index):
    return ("the share of equal first choices", "the share with an expert in common")[index[0]]


def _four(value):
    return f"{value:.4f}"


EXERCISES = {
    "08.1": Oracle(
        expected=_repetition,
        show=lambda chosen, lengths: (
            f"repetition(chosen, lengths={lengths}) with chosen of shape {chosen.shape}"
        ),
        place=_number,
        name=_four,
        examples=(
            (_SMALL, [5, 2, 4]),
            (_SMALL[:2], [3, 4]),
            (_SMALL[[2, 1]], [4, 1]),
            (np.array([[[0, 1, 2], [3, 1, 4], [2, 5, 3], [2, 1, 0]]]), [4]),
        ),
        misconceptions=(
            Misconception(
                "you have counted padding, and compared across the borders of texts.", _flattened
            ),
            Misconception(
                "you have counted padding. What follows a text's last token says nothing about "
                "routing: cut each text to its length.",
                _with_padding,
            ),
            Misconception(
                "each text's last token is compared with the padding after it: n tokens have n - 1 "
                "pairs.",
                _into_padding,
            ),
            Misconception(
                "you ask that all choices agree. One expert in common is enough.", _all_the_same
            ),
            Misconception(
                "you compare across the borders of texts: the last token of one and the first of "
                "the next are no neighbours.",
                _across_borders,
            ),
            Misconception(
                "you take the mean over texts. Every pair of neighbours counts alike, so a long "
                "text counts more: add up first, divide once.",
                _mean_of_texts,
            ),
            Misconception(
                "an expert in common may have another rank in each token: first here, second "
                "there. Compare every choice with every choice.",
                _same_rank,
            ),
            Misconception(
                "your second number asks for equal first choices, too.",
                lambda chosen, lengths: _repetition(chosen, lengths)[[0, 0]],
            ),
            Misconception(
                "you ask only whether one token's first choice is among the other's. Its other "
                "choices count as well.",
                _first_of_either,
            ),
            Misconception(
                "you ask only whether the earlier token's first choice comes back. Its other "
                "choices may, too.",
                _first_among_next,
            ),
            Misconception(
                "n tokens have n - 1 pairs of neighbours, and you divide by tokens.", _over_tokens
            ),
            Misconception(
                "two tokens may have two experts in common, and that is one repetition, not two.",
                _counted,
            ),
            Misconception(
                "the two numbers are swapped: first choices come first.",
                lambda chosen, lengths: _repetition(chosen, lengths)[::-1],
            ),
        ),
    ),
    "08.2": Oracle(
        expected=_chance,
        show=lambda n, k: f"chance(n_experts={n}, k={k})",
        place=lambda index: "",
        name=lambda value: f"{value:.6f}",
        examples=((8, 2), (5, 2), (6, 3), (4, 3)),
        misconceptions=(
            Misconception(
                "k² / n is how many experts they have in common on average. Pairs with two in "
                "common count twice there.",
                lambda n, k: np.array(k * k / n),
            ),
            Misconception(
                "k / n is the chance that one given expert is among the k. The other token may "
                "have any of its own k in common.",
                lambda n, k: np.array(k / n),
            ),
            Misconception(
                "1 / n is right for the first choice alone.", lambda n, k: np.array(1 / n)
            ),
            Misconception(
                "you draw with replacement: a token could pick one expert twice. Its k experts "
                "are different, so after each draw there is one fewer to pick from.",
                lambda n, k: np.array(1 - (1 - k / n) ** k),
            ),
            Misconception(
                "this is the chance of nothing in common.",
                lambda n, k: 1 - _chance(n, k),
            ),
            Misconception(
                "this is the chance of exactly one in common. Two or more are a repetition, too.",
                lambda n, k: np.array(k * math.comb(n - k, k - 1) / math.comb(n, k)),
            ),
            Misconception(
                "this is the chance that both tokens pick the same k experts. One in common is "
                "enough.",
                lambda n, k: np.array(1 / math.comb(n, k)),
            ),
            Misconception(
                "right for k = 2 only: the second token draws k times, not twice.",
                lambda n, k: 1 - max(0, n - k) / n * max(0, n - k - 1) / (n - 1),
            ),
            Misconception(
                "right for k = 2 only: the first token takes k experts, and the second draws k.",
                lambda n, k: np.array(1 - (n - 2) * (n - 3) / (n * (n - 1))),
            ),
        ),
    ),
}
