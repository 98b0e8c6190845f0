"""Oracle of exercise 19.5: after how many tokens a cache outgrows a Mamba's memory."""

import numpy as np

from mixlab.checks.cases.mamba import EQUAL_AT_175
from mixlab.checks.oracles import Misconception, Oracle


def _crossing(
    mamba,
    transformer,
    scan_bytes=4,
    pairs=2,
    past=None,
    layers=None,
    depth=None,
    equal=False,
    rounded=False,
):
    n_layers, d_inner, d_state, d_conv = mamba
    n_layers, depth = layers or n_layers, depth or transformer[0]
    past = d_conv - 1 if past is None else past(d_conv)
    state = n_layers * d_inner * (scan_bytes * d_state + 2 * past)
    token = depth * transformer[1] * transformer[2] * pairs * 2
    if rounded:
        return np.array(round(state / token))
    return np.array(-(-state // token) if equal else state // token + 1)


EXERCISES = {
    "19.5": Oracle(
        expected=_crossing,
        show=lambda mamba, transformer: f"crossing(mamba={mamba}, transformer={transformer})",
        place=lambda index: "",
        examples=(
            EQUAL_AT_175,
            ((2, 8, 4, 4), (1, 1, 16)),
            ((24, 1536, 16, 4), (30, 3, 64)),
            ((4, 64, 2, 5), (1, 1, 2)),
            ((1, 10, 2, 4), (1, 1, 8)),
        ),
        misconceptions=(
            Misconception(
                "at your number of tokens the two can take equally many bytes. The cache has to "
                "take more.",
                lambda m, t: _crossing(m, t, equal=True),
            ),
            Misconception(
                "you round to the nearest number of tokens. The cache has to take more bytes than "
                "the state, be it by one.",
                lambda m, t: _crossing(m, t, rounded=True),
            ),
            Misconception(
                "at your number of tokens the cache isn't larger yet. The first that is larger "
                "has one token more.",
                lambda m, t: _crossing(m, t) - 1,
            ),
            Misconception(
                "you count one number a token, head and channel. A cache holds two: a key and a "
                "value.",
                lambda m, t: _crossing(m, t, pairs=1),
            ),
            Misconception(
                "the scan's state is kept in float32: 4 bytes a number, not 2.",
                lambda m, t: _crossing(m, t, scan_bytes=2),
            ),
            Misconception(
                "the history holds d_conv - 1 inputs: the newest comes with the token.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: d_conv),
            ),
            Misconception(
                "the convolution's history is missing from the state.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: 0),
            ),
            Misconception(
                "the history is kept in bfloat16: 2 bytes a number, not 4.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: 2 * (d_conv - 1)),
            ),
            Misconception(
                "every layer keeps a state of its own: count all of Mamba's.",
                lambda m, t: _crossing(m, t, layers=1),
            ),
            Misconception(
                "you compare one layer with one layer: both models have several, and not equally "
                "many.",
                lambda m, t: _crossing(m, t, layers=1, depth=1),
            ),
        ),
    ),
}
