"""What exercise 17.6 must return: gradients by the matrix of who reaches whom."""

import numpy as np
import torch

from mixlab.checks.cases.parallel_scan import levels
from mixlab.checks.oracles import Misconception, Oracle


def _gradients(a, h, above, state, shift=1, before="previous", g_is=None, state_by=True):
    a, h, above, state = (x.double().numpy() for x in (a, h, above, state))
    seq = len(a)
    reach = np.zeros((seq, seq))
    for s in range(seq):
        reach[s:, s] = np.cumprod(np.append(1.0, a[s + shift :]))[: seq - s]
    g = reach.T @ above if g_is is None else g_is(a, above)
    previous = {
        "previous": np.append(state, h)[:-1],
        "no state": np.append(0.0, h)[:-1],
        "own": h,
    }[before]
    to_state = a[0] * g[0] if state_by else g[0]
    return np.stack([g * previous, g, np.pad([to_state], (0, seq - 1))])


def _unreversed(a, above):
    """g_t = above_t + a_t g_{t−1}: the same scan, forwards."""
    g, out = 0.0, []
    for a_t, from_above in zip(a, above, strict=True):
        g = from_above + a_t * g
        out.append(g)
    return np.array(out)


def _same_factor(a, above):
    """g_t = above_t + a_t g_{t+1}: the factor of this token instead of the next one's."""
    return _unreversed(a[::-1], above[::-1])[::-1]


def _example(*numbers):
    a, b, above = (torch.tensor(part) for part in numbers[:3])
    state = torch.tensor(numbers[3])
    return a, levels(a, b, state), above, state


def _show_backward(a, h, above, state):
    if len(a) > 5:
        return f"scan_backward(a, h, above, state) on {len(a)} tokens"
    given = ", ".join(
        f"{name}={[round(x, 3) for x in part.tolist()]}"
        for name, part in (("a", a), ("h", h), ("above", above))
    )
    return f"scan_backward({given}, state={state.item():.3g})"


def _place_of_gradient(index):
    return f"the gradient for {('a', 'b', 'the state')[index[0]]}" + (
        f", token {index[1]}" if index[0] < 2 else ""
    )


EXERCISES = {
    "17.6": Oracle(
        expected=_gradients,
        show=_show_backward,
        place=_place_of_gradient,
        name=lambda value: f"{value:.4f}",
        examples=(
            _example([0.5, 0.25, 0.5], [1.0, 2.0, 4.0], [1.0, 3.0, 2.0], 2.0),
            _example([0.5, 0.0, 1.0, 0.25], [4.0, 1.0, 2.0, 1.0], [1.0, 0.0, 2.0, 1.0], 8.0),
            _example([0.5], [3.0], [2.0], 4.0),
        ),
        misconceptions=(
            Misconception(
                "g doesn't flow back: you return `above` alone, as if h_t had no effect on later "
                "tokens.",
                lambda *x: _gradients(*x, g_is=lambda a, above: above),
            ),
            Misconception(
                "the factor is one token off. What carried h_t on to the next token is a_{t+1}, "
                "so g_t = above_t + a_{t+1} g_{t+1}.",
                lambda *x: _gradients(*x, g_is=_same_factor),
            ),
            Misconception(
                "you scan forwards. What h_t causes happens later, so g must be collected from "
                "the end.",
                lambda *x: _gradients(*x, g_is=_unreversed),
            ),
            Misconception(
                "a_t multiplied the level *before* token t: ∂a_t = g_t h_{t−1}, not g_t h_t.",
                lambda *x: _gradients(*x, before="own"),
            ),
            Misconception(
                "before the first token the level is the state, not zero: ∂a_0 = g_0 · state.",
                lambda *x: _gradients(*x, before="no state"),
            ),
            Misconception(
                "the state came in through a_0: its gradient is a_0 g_0, not g_0.",
                lambda *x: _gradients(*x, state_by=False),
            ),
            Misconception(
                "the gradients come in the order a, b, state: yours for a and b are exchanged.",
                lambda *x: _gradients(*x)[[1, 0, 2]],
            ),
        ),
    ),
}
