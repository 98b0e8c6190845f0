"""20.4 Find the bugs: one token through a hybrid."""

import torch

from mixlab.chapters.capstone.exercises.layers import made
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def draw(rng):
    """Stacks of 1 to 5 layers, and texts of up to 4 tokens."""
    seeds = [torch.Generator().manual_seed(int(rng.integers(2**31))) for _ in range(5)]
    sizes = [(2, 3, 3), (3, 2, 4), (5, 4, 2), (1, 3, 3), (4, 2, 1)]
    return [made(seed, *size) for seed, size in zip(seeds, sizes, strict=True)]


def call(answer, tokens, parts, norms, states):
    """What comes out for each token, the new states, and what was handed over, afterwards."""
    rows, now = [], list(states)
    for x in tokens:
        given = x.clone()
        found = answer(given, parts, norms, now)
        if not isinstance(found, list | tuple) or len(found) != 2:
            raise Unreadable(f"expected the pair (x, states): got {kind_of(found)}")
        y, after = found
        if not isinstance(y, torch.Tensor) or y.shape != x.shape:
            raise Unreadable(f"expected an x of shape {tuple(x.shape)}: got {kind_of(y)}")
        if not isinstance(after, list | tuple) or [s.shape for s in after] != [x.shape] * len(
            parts
        ):
            raise Unreadable(f"expected {len(parts)} states, one a part: got {kind_of(after)}")
        rows.append(torch.stack([y, *after, *now, given]))
        now = after
    return torch.stack(rows)


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(3),
    examples=(
        made(torch.Generator().manual_seed(1), 2, 2, 2),
        made(torch.Generator().manual_seed(2), 3, 2, 2),
    ),
    hints=(
        "Follow two layers by hand. Which state does the second part get? What does the third "
        "line add to x?",
        "The residual is x as it came; only the part sees it normalised, by its own layer's norm. "
        "Each part continues its own state.",
        "A list that you were handed belongs to the caller, who may want to go on from it twice. "
        "Build a new one.",
    ),
)

# --- kept back while grading ---


def step(x, parts, norms, states):
    after = []
    for run, scaled, state in zip(parts, norms, states, strict=True):
        y, kept = run(scaled(x), state)
        x = x + y
        after.append(kept)
    return x, after


def by_number(x, parts, norms, states):
    states = list(states)
    for n in range(len(parts)):
        out = parts[n](norms[n](x), states[n])
        x, states[n] = torch.add(out[0], x), out[1]
    return x, tuple(states)


def other(
    given=lambda states, n, kept: states[n],
    scaled=lambda norms, n, x: norms[n](x),
    add=lambda x, y, norm: x + y,
    last=lambda states, after: after,
):
    """A step that differs in one thing."""

    def idea(x, parts, norms, states):
        after = []
        for n, run in enumerate(parts):
            y, kept = run(scaled(norms, n, x), given(states, n, after))
            x = add(x, y, norms[n])
            after.append(kept)
        return x, last(states, after)

    return idea


def in_place(x, parts, norms, states, keep=False):
    for n, run in enumerate(parts):
        normed = norms[n](x)
        y, states[n] = run(normed, states[n])
        x = (normed if keep else x) + y
    return x, states


def as_given(x, parts, norms, states):
    for n in range(len(parts)):
        x = norms[0](x)
        y, states[n] = parts[n](x, states[0])
        x = x + y
    return x, states


def as_given_but(own_norm, own_state, keep):
    """The code with some of its mistakes mended: 1 for a norm or a state of its own."""

    def idea(x, parts, norms, states):
        states = list(states)
        for n in range(len(parts)):
            normed = norms[own_norm * n](x)
            y, states[n] = parts[n](normed, states[own_state * n])
            x = (normed if keep else x) + y
        return x, states

    return idea


MISTAKES = {
    "the code is as it was given.": as_given,
    "you write into the list that you were handed: the caller's states are gone.": (
        in_place,
        lambda x, parts, norms, states: in_place(x, parts, norms[:1] * len(parts), states),
        lambda x, parts, norms, states: in_place(x, parts, norms, states, keep=True),
    ),
    "every part is handed the first one's state, already continued: each has its own.": (
        as_given_but(1, 0, keep=False),
        as_given_but(0, 0, keep=False),
    ),
    "the stream itself is normalised: what goes past a part must be x as it came.": (
        as_given_but(1, 1, keep=True),
        as_given_but(1, 0, keep=True),
    ),
    "every layer uses the first one's norm: each has factors of its own.": other(
        scaled=lambda norms, n, x: norms[0](x)
    ),
    "each part is handed what the part below has just kept; its own past is lost.": other(
        given=lambda states, n, after: after[n - 1] if n else states[0]
    ),
    "every part is handed the first one's old state: each has its own.": other(
        given=lambda states, n, after: states[0]
    ),
    "no part sees its past: you begin each step with an empty state.": other(
        given=lambda states, n, after: torch.zeros_like(states[n])
    ),
    "the states that you return are those from before the token.": other(
        last=lambda states, after: list(states)
    ),
    "parts get x without a norm.": other(scaled=lambda norms, n, x: x),
    "nothing leads past the parts: the residual is missing.": other(add=lambda x, y, norm: y),
    "each output is added to x as it was at first: the parts below are lost.": (
        lambda x, *rest: other(add=lambda _, y, norm: x + y)(x, *rest)
    ),
    "your norms stand behind the parts: they belong before them.": (
        other(scaled=lambda norms, n, x: x, add=lambda x, y, norm: x + norm(y)),
        other(scaled=lambda norms, n, x: x, add=lambda x, y, norm: norm(x + y)),
    ),
    "you add into the caller's own x, in place.": other(add=lambda x, y, norm: x.add_(y)),
    "all parts read the same x, side by side: each reads what the one below has added.": (
        lambda x, parts, norms, states: (
            lambda outs: (x + sum(y for y, _ in outs), [kept for _, kept in outs])
        )([run(norms[n](x), states[n]) for n, run in enumerate(parts)])
    ),
}


def place(token, row):
    return f"token {token}, {f'row {row} of x, new states, old states, old x' if row else 'x'}"


KNOWN = Known(
    right=(step, by_number),
    mistakes=MISTAKES,
    show=lambda tokens, parts, *rest: (
        f"{len(tokens)} tokens through {len(parts)} parts, one by one"
    ),
    place=lambda at: place(*at[:2]) if at else "",
    name="{:.4f}".format,
)
