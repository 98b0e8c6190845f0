"""17.6 The backward pass by hand."""

from collections import deque
from fractions import Fraction
from itertools import accumulate
from operator import mul

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of

# What a token may keep, and what may come in. Floats hold the others exactly, but not thirds.
SHARES = sorted({Fraction(n, d) for d in (2, 3, 4, 8) for n in range(1, d + 1)})
LITRES = sorted({Fraction(n, d) for d in (2, 3, 4, 8) for n in range(-3 * d, 3 * d + 1)})


def draw(rng):
    drawn = []
    for seq in (1, 2, 3, int(rng.integers(4, 20)), int(rng.integers(60, 121))):
        a = [SHARES[n] for n in rng.integers(len(SHARES), size=seq)]
        for t in [*np.flatnonzero(rng.random(seq) < 0.1), *rng.integers(seq, size=int(seq > 3))]:
            a[t] = Fraction(0)
        state, *litres = (LITRES[n] for n in rng.integers(len(LITRES), size=1 + 2 * seq))
        drawn.append((a, levels(a, litres[:seq], state), litres[seq:], state))
    return drawn


def levels(a, b, state):
    """h_t = a_t h_{t−1} + b_t, forwards."""
    h = [state]
    for a_t, b_t in zip(a, b, strict=True):
        h.append(a_t * h[-1] + b_t)
    return h[1:]


def call(answer, *arguments):
    """(3, seq): ∂a, ∂b, and ∂state with nothing behind it; each number as text, '3/7'."""
    seq = len(arguments[0])  # before the answer: a list may be used up
    value = answer(*arguments)
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise Unreadable(f"expected three gradients, for a, b and the state: got {kind_of(value)}")
    a, b, state = map(exact, ("a", "b", "the state"), value, (seq, seq, 1))
    return np.array([a, b, state + [""] * (seq - 1)])


def exact(name, value, count):
    """So many exact numbers as text: '3/7', or '2' where it is whole."""
    row = value.tolist() if hasattr(value, "tolist") else value
    row = row if isinstance(row, list | tuple | deque) else [row]
    if len(row) != count:
        raise Unreadable(f"the gradient for {name}: expected {count} in a list: got {len(row)}")
    row = [number.item() if hasattr(number, "item") else number for number in row]
    for number in row:
        if isinstance(number, bool) or not isinstance(number, Fraction | int):
            raise Unreadable(
                f"the gradient for {name}: expected exact numbers, Fractions or ints. A float "
                f"rounds, and so does int / int: got {kind_of(number)}"
            )
    return [str(Fraction(number)) for number in row]


def example(a, b, above, state):
    a, b, above = ([Fraction(number) for number in row.split()] for row in (a, b, above))
    return a, levels(a, b, Fraction(state)), above, Fraction(state)


ASKED = Asked(
    draw=draw,
    call=call,
    read=lambda texts: texts,
    examples=(
        example("1/2 1/4 1/2 1", "1 2 4 1", "1 3 2 5", 2),
        example("1/2 0 1 1/3", "4 1 2 1", "1 0 2 1", 8),
        example("1/2", "3", "2", 4),
    ),
    hints=(
        "Start at the end: nothing comes after the last token, so g there is just `above` "
        "there. Then walk back.",
        "g_t = above_t + a_{t+1} g_{t+1}: the factor is the *next* token's, because that is "
        "the one that carried h_t on.",
        "∂b_t = g_t, and ∂a_t = g_t h_{t−1}, where before the first token h is the state. The "
        "state itself entered through a_0 alone.",
    ),
)

# --- kept back while grading ---


def all_ways(a, above):
    """g_t, the sum over the later levels of their `above` times what is kept on the way there."""
    return [
        sum(map(mul, accumulate(a[t + 1 :], mul, initial=Fraction(1)), above[t:]))
        for t in range(len(a))
    ]


def back(a, above):
    return levels([*a[1:], 0][::-1], above[::-1], 0)[::-1]


def gradients(
    g_is=back,
    before=lambda h, state: [state, *h[:-1]],
    to_state=lambda a, g, above: a[0] * g[0],
    hand=lambda *three: three,
):
    """The three gradients, with another idea of g, of the levels before, or of the state's part."""

    def answer(a, h, above, state):
        g = g_is(a, above)
        to_a = [x * level for x, level in zip(g, before(h, state), strict=True)]
        return hand(to_a, g, to_state(a, g, above))

    return answer


MISTAKES = {
    "g doesn't flow back: you return `above` alone, as if h_t had no effect on later "
    "tokens.": gradients(lambda a, above: above),
    "the factor is one token off. What carried h_t on to the next token is a_{t+1}, so "
    "g_t = above_t + a_{t+1} g_{t+1}.": gradients(
        lambda a, above: levels(a[::-1], above[::-1], 0)[::-1]
    ),
    "you scan forwards. What h_t causes happens later, so g must be collected from the "
    "end.": gradients(lambda a, above: levels(a, above, 0)),
    "g_t is what the loss makes of h_t and b_t. Yours is multiplied by a_t already, as what flows "
    "on to h_{t−1} is.": gradients(lambda a, above: [*map(mul, a, back(a, above))]),
    "g flows back whole: you add up `above` from the end, as if a were 1. On its way back it is "
    "multiplied by a_{t+1}, as the level was on its way on.": gradients(
        lambda a, above: back([1] * len(a), above)
    ),
    "your g is in the order in which you found it, the last token first. Turn it round.": (
        gradients(lambda a, above: back(a, above)[::-1]),
        gradients(hand=lambda to_a, g, to_state: (to_a[::-1], g[::-1], to_state)),
    ),
    "only the last token's `above` flows back. Each token's own joins in on the way.": gradients(
        lambda a, above: back(a, [*[0] * (len(a) - 1), above[-1]])
    ),
    "a_t multiplied the level *before* token t: ∂a_t = g_t h_{t−1}, not g_t h_t.": gradients(
        before=lambda h, state: h
    ),
    "∂a lacks its level, or has the next token's: ∂a_t = g_t h_{t−1}.": (
        gradients(before=lambda h, state: [1] * len(h)),
        gradients(before=lambda h, state: [*h[1:], 0]),
    ),
    "before the first token the level is the state, not zero: ∂a_0 = g_0 · state.": gradients(
        before=lambda h, state: [0, *h[:-1]]
    ),
    "before the first token the level is the state: h[t - 1] at t = 0 is h[-1], and Python takes "
    "that for the last level.": gradients(before=lambda h, state: [h[-1], *h[:-1]]),
    "the state came in through a_0: its gradient is a_0 g_0, not g_0.": gradients(
        to_state=lambda a, g, above: g[0]
    ),
    "the state lives on in all later levels, by way of h_0 alone: its gradient is a_0 g_0.": (
        gradients(to_state=lambda a, g, above: a[0] * above[0]),
        gradients(to_state=lambda a, g, above: sum(g)),
    ),
    "the gradients come in the order a, b, state: yours for a and b are exchanged.": gradients(
        hand=lambda to_a, to_b, to_state: (to_b, to_a, to_state)
    ),
    "you computed with floats, which had rounded before you made fractions of them. Compute with "
    "the fractions themselves.": gradients(
        hand=lambda a, b, s: [[Fraction(float(x)) for x in row] for row in (a, b, [s])]
    ),
}


def show(a, h, above, state):
    if len(a) > 5:
        return f"scan_backward(a, h, above, state) on {len(a)} tokens"
    a, h, above = (", ".join(map(str, row)) for row in (a, h, above))
    return f"scan_backward(a=[{a}], h=[{h}], above=[{above}], state={state})"


KNOWN = Known(
    right=(gradients(all_ways), gradients()),
    mistakes=MISTAKES,
    slips={
        "a, b and the state: got tuple": gradients(hand=lambda a, b, state: (a, b)),
        "b: expected 4 in a list: got 3": gradients(hand=lambda a, b, s: (a, b[:-1], s)),
        "exact numbers, Fractions or ints": gradients(
            hand=lambda a, b, state: (a, [*map(float, b)], state)
        ),
    },
    show=show,
    place=lambda at: f"the gradient for {('a', 'b', 'the state')[at[0]]}, token {at[1]}",
    name=lambda text: text if len(text) < 42 else f"{text[:9]}…{text[-9:]} ({len(text)} signs)",
)
