"""What exercise 08.5 must return: bits about the expert, with the token held fixed."""

import math

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle


def _bits(*labels):
    counts = np.unique(np.stack(labels), axis=1, return_counts=True)[1]
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())


def _information(x, y):
    return _bits(x) + _bits(y) - _bits(x, y)


def _given(expert, kind, token, weighted=True):
    total, each = 0.0, []
    for value in np.unique(token):
        here = token == value
        each.append(_information(expert[here], kind[here]))
        total += here.mean() * each[-1]
    return np.array(total if weighted else np.mean(each))


_RNG = np.random.default_rng(8)
_KIND = _RNG.integers(3, size=90)
_TOKEN = np.where(_RNG.random(90) < 0.6, _KIND, _RNG.integers(5, size=90))
_EXPERT = (_TOKEN + (_RNG.random(90) < 0.5) * _KIND) % 4

EXERCISES = {
    "08.5": Oracle(
        expected=_given,
        show=lambda expert, kind, token: (
            f"information_given_token(expert, kind, token) with {len(expert)} positions and "
            f"{len(set(token.tolist()))} different tokens"
        ),
        place=lambda index: "",
        name=lambda value: f"{value:.5f} bits",
        examples=(
            (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])),
            (np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])),
            (_EXPERT, _KIND, _TOKEN),
        ),
        misconceptions=(
            Misconception(
                "the token isn't held fixed: this is the information of kind about expert in all. "
                "Where kinds use different tokens, it counts the tokens' work as the kinds'.",
                lambda e, k, t: np.array(_information(e, k)),
            ),
            Misconception(
                "this is in nats: use the logarithm to base 2.",
                lambda e, k, t: _given(e, k, t) * math.log(2),
            ),
            Misconception(
                "every token counts alike in your mean. A token that stands at half of all "
                "positions has half of the weight.",
                lambda e, k, t: _given(e, k, t, weighted=False),
            ),
            Misconception(
                "this is what the token tells once the kind is known. Here the token is known.",
                lambda e, k, t: _given(e, t, k),
            ),
            Misconception(
                "this is what token and kind tell together. Take away what the token tells alone.",
                lambda e, k, t: np.array(_bits(e) + _bits(k, t) - _bits(e, k, t)),
            ),
            Misconception(
                "this is what the token tells about the expert. Hold the token fixed, and ask what "
                "the kind adds.",
                lambda e, k, t: np.array(_information(e, t)),
            ),
            Misconception(
                "this is how uncertain the expert stays when token and kind are both known: the "
                "part that neither explains.",
                lambda e, k, t: np.array(_bits(e, k, t) - _bits(k, t)),
            ),
            Misconception(
                "this is how uncertain the expert is once the token is known, H(expert | token). "
                "How much of that does the kind take away?",
                lambda e, k, t: np.array(_bits(e, t) - _bits(t)),
            ),
            Misconception(
                "the tokens' bits are added up without weights.",
                lambda e, k, t: _given(e, k, t, weighted=False) * len(np.unique(t)),
            ),
        ),
    ),
}
