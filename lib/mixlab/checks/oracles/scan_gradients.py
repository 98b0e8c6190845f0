"""What exercise 17.6 must return: gradients by all ways on which a level is carried on."""

from fractions import Fraction
from itertools import accumulate
from operator import mul

import numpy as np

from mixlab.checks.cases.parallel_scan import levels
from mixlab.checks.oracles import Misconception, Oracle


def _all_ways(a, above):
    """g_s, the sum over all t ≥ s of above_t times what is kept on the way, a_{s+1} … a_t."""
    return [
        sum(map(mul, accumulate(a[s + 1 :], mul, initial=Fraction(1)), above[s:]))
        for s in range(len(a))
    ]


def _gradients(a, h, above, state, g_is=_all_ways, before="previous", state_by=True):
    g = g_is(a, above)
    previous = {"previous": [state, *h[:-1]], "no state": [0, *h[:-1]], "own": h}[before]
    to_state = a[0] * g[0] if state_by else g[0]
    rows = [map(mul, g, previous), g, [to_state]]
    texts = [[str(number) for number in row] for row in rows]
    return np.array([row + [""] * (len(a) - len(row)) for row in texts])


def _unreversed(a, above):
    """g_t = above_t + a_t g_{t−1}: the same scan, forwards."""
    g, out = Fraction(0), []
    for a_t, from_above in zip(a, above, strict=True):
        g = from_above + a_t * g
        out.append(g)
    return out


def _same_factor(a, above):
    """g_t = above_t + a_t g_{t+1}: the factor of this token instead of the next one's."""
    return _unreversed(a[::-1], above[::-1])[::-1]


def _through_floats(a, h, above, state):
    """The loop on floats, whose results are then turned into fractions: too late."""
    a, h, above = ([float(number) for number in row] for row in (a, h, above))
    g = _same_factor([*a[1:], 0.0], above)
    to_a = map(mul, g, [float(state), *h[:-1]])
    rows = [[str(Fraction(number)) for number in row] for row in (to_a, g, [a[0] * g[0]])]
    return np.array([row + [""] * (len(a) - len(row)) for row in rows])


def _example(a, b, above, state):
    a, b, above = ([Fraction(number) for number in row.split()] for row in (a, b, above))
    return a, levels(a, b, Fraction(state)), above, Fraction(state)


def _show_backward(a, h, above, state):
    if len(a) > 5:
        return f"scan_backward(a, h, above, state) on {len(a)} tokens"
    rows = {"a": a, "h": h, "above": above}
    given = ", ".join(f"{name}=[{', '.join(map(str, row))}]" for name, row in rows.items())
    return f"scan_backward({given}, state={state})"


def _place_of_gradient(index):
    return f"the gradient for {('a', 'b', 'the state')[index[0]]}" + (
        f", token {index[1]}" if index[0] < 2 else ""
    )


def _brief(text):
    """A fraction that fits in a line: of long numbers the two ends."""
    parts = (
        part if len(part) <= 20 else f"{part[:6]}…{part[-6:]} ({len(part.lstrip('-'))} digits)"
        for part in text.split("/")
    )
    return " / ".join(parts) if len(text) > 41 else text


EXERCISES = {
    "17.6": Oracle(
        expected=_gradients,
        show=_show_backward,
        place=_place_of_gradient,
        name=_brief,
        examples=(
            _example("1/2 1/4 1/2", "1 2 4", "1 3 2", 2),
            _example("1/2 0 1 1/3", "4 1 2 1", "1 0 2 1", 8),
            _example("1/2", "3", "2", 4),
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
            Misconception(
                "you computed with floats, which had rounded before you made fractions of them. "
                "Compute with the fractions themselves.",
                _through_floats,
            ),
        ),
    ),
}
