"""What the tests of exercises 03.4 and 03.5 must say of a stack of layers, and the usual flaws."""

from itertools import combinations

import numpy as np
import torch

from mixlab.checks.cases.reach_stacks import (
    DIM,
    attention,
    averages,
    convolution,
    hiding,
    stack_of,
    visible,
)
from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.reach_makers import SIZES, described, inside, padded, right


def reach_of(masks, residual=True, known=None):
    """Which input tokens each token depends on: (seq, seq) of truth values, layer by layer."""
    known = np.eye(len(masks[0]), dtype=bool) if known is None else known
    for mask in masks:
        step = np.asarray(mask) | known.dtype.type(residual) * np.eye(len(known), dtype=bool)
        known = np.array([known[row].any(axis=0) for row in step])
    return known


def _matrix(stack, seq):
    return reach_of(list(visible(inside(stack)["tables"], seq).numpy()))


def _last_row(stack, seq, dim):
    return _matrix(stack, seq)[-1]


def _flawed(*, zeros=False, total=False, threshold=0.0, channel=None):
    """The test as given, with some of its mistakes left."""

    def gives(stack, seq, dim):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(seq, dim, dtype=torch.float64, generator=generator)
        x = (x * 0 if zeros else x).requires_grad_()
        direction = torch.randn(dim, dtype=torch.float64, generator=generator)
        if total:
            direction = torch.ones(dim, dtype=torch.float64)
        y = stack(x)
        (y[-1] @ direction if channel is None else y[-1, channel]).backward()
        return (x.grad.norm(dim=1) > threshold).numpy()

    return gives


_MISTAKES = {
    "zeros": "the states are still zeros, and at 0 a ReLU passes nothing on and a product is flat",
    "total": "the channels are still added up, and where a layer takes out their mean, that is 0",
    "threshold": "the threshold still throws away what is faint: a small derivative isn't none",
}


def _remaining() -> tuple[Misconception, ...]:
    """A message for every set of mistakes that may be left, the larger sets first."""
    found = []
    for count in (3, 2, 1):
        for left in combinations(_MISTAKES, count):
            said = "; ".join(_MISTAKES[name] for name in left)
            opening = "all three mistakes are still there: " if count == 3 else ""
            flaws = {name: 1e-3 if name == "threshold" else True for name in left}
            found.append(Misconception(f"{opening}{said}.", _flawed(**flaws)))
    return tuple(found)


def _has_reach(stack, n_layers, window):
    def right(seq):
        distance = np.subtract.outer(np.arange(seq), np.arange(seq))
        return (distance >= 0) & (distance <= n_layers * (window - 1))

    longest = n_layers * (window - 1) + 6
    return np.array(all((_matrix(stack, s) == right(s)).all() for s in range(1, longest)))


def _tests_only(choose):
    """A verdict from the part of the dependence at one length that `choose` looks at.

    `choose` maps (n_layers, window) to (seq, and from the table of distances to what is looked at).
    """

    def gives(stack, n_layers, window):
        seq, part = choose(n_layers, window)
        distance = np.subtract.outer(np.arange(seq), np.arange(seq))
        should = (distance >= 0) & (distance <= n_layers * (window - 1))
        looked = part(distance)
        return np.array(bool((_matrix(stack, seq) == should)[looked].all()))

    return gives


def _last_only(n_layers, window):
    seq = n_layers * (window - 1) + 5
    return seq, lambda distance: np.broadcast_to(np.arange(seq)[:, None] == seq - 1, (seq, seq))


def _edges_only(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance == reach) | (distance == reach + 1)


def _at_some_tokens(more, chosen):
    """Looks at what some tokens change, in a text of `more` tokens more than the reach."""

    def choose(n_layers, window):
        seq = n_layers * (window - 1) + more
        changed = np.isin(np.arange(seq), list(chosen(seq)))
        return seq, lambda distance: np.broadcast_to(changed, distance.shape)

    return choose


def _past_only(n_layers, window):
    return n_layers * (window - 1) + 5, lambda distance: distance >= 0


def _too_short(n_layers, window):
    return n_layers * (window - 1) + 1, lambda distance: distance == distance


def _nothing_beyond(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance > reach) | (distance < 0)


def _everything_within(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance >= 0) & (distance <= reach)


def _rows_count(stack, n_layers, window):
    seq = n_layers * (window - 1) + 5
    counts = _matrix(stack, seq).sum(axis=1)
    return np.array(bool(counts[-1] == min(seq, n_layers * (window - 1) + 1)))


_KINDS = {
    "attention": "attention",
    "averages": "averages",
    "relu": "ReLUs",
    "gate": "channels that multiply",
    "centred": "attention, each token's mean then taken out",
    "faint": "averages, of which a ten-thousandth is passed on",
    "one_channel": "attention, by which one channel alone looks around",
    "from_one_channel": "averages that see one channel of the others alone",
}


def _hidden(stack):
    """What a stack of 03.4 is, in words: its kind, and how far back each layer reads."""
    held = inside(stack)
    rows = held["tables"][:, 0, -1].numpy()  # of a token with a long past
    reads = [f"the token itself{_before(row[::-1].nonzero()[0][1:].tolist())}" for row in rows]
    each = reads[0] if len(set(reads)) == 1 else ", then ".join(reads)
    layers = f"{len(rows)} layer{'s' if len(rows) > 1 else ''}"
    return f"{layers} of {_KINDS[held['mix'].__name__]}, reading {each}"


def _before(distances):
    return f" and what stands {', '.join(map(str, distances))} before it" if distances else ""


def _examples():
    """Every maker's stack, the right ones mixed in all three ways."""
    found = []
    for number, ((n_layers, window), makers) in enumerate(SIZES.items()):
        for maker in makers:
            tables = padded(maker(n_layers, window), n_layers)
            ways = (attention, averages, convolution)
            for mix in ways if maker is right else ways[number % 3 : number % 3 + 1]:
                found.append((stack_of(tables, mix, seed=number), n_layers, window))
    return tuple(found)


TESTS = {
    "03.4": Oracle(
        expected=_last_row,
        show=lambda stack, seq, dim: (
            f"depends_on(f, seq={seq}, dim={dim}), f being {_hidden(stack)}"
        ),
        place=lambda index: f"token {index[0]}" if len(index) == 1 else "",
        name=lambda value: "True (depends on it)" if value else "False (doesn't)",
        examples=tuple((stack, 7, DIM) for stack in hiding(np.random.default_rng(0))),
        misconceptions=(
            *_remaining(),
            *(
                Misconception(f"{_MISTAKES['threshold']}.", _flawed(threshold=10.0**-power))
                for power in (2, 4, 5, 6, 7, 8)
            ),
            *(
                Misconception(
                    "you read one channel. Another may know more: in some of these stacks a "
                    "single channel looks around.",
                    _flawed(channel=channel),
                )
                for channel in range(DIM)
            ),
            Misconception(
                "you say that the last token depends on every token. Do you read all tokens, and "
                "not the last one alone? What that one never sees has a derivative of exactly 0. "
                "(If you put NaN into a token: a hidden one has weight 0, and 0 times NaN is NaN.)",
                lambda stack, seq, dim: np.ones(seq, dtype=bool),
            ),
        ),
    ),
    "03.5": Oracle(
        expected=_has_reach,
        show=lambda stack, n, w: (
            f"has_reach(model, n_layers={n}, window={w}), the model being {described(stack, n, w)}"
        ),
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=_examples(),
        misconceptions=(
            Misconception("your test accepts everything.", lambda s, n, w: np.array(True)),
            Misconception(
                "your test rejects everything, right models too. Print the first pair of tokens "
                "at which it thinks that the reach is wrong. (If it puts NaN into a token: a "
                "hidden one has weight 0, and 0 times NaN is NaN.)",
                lambda s, n, w: np.array(False),
            ),
            Misconception(
                "your sequence is not longer than the reach, so nothing lies beyond it.",
                _tests_only(_too_short),
            ),
            Misconception(
                "your test looks at the last token only. Some models are right there and wrong "
                "at an earlier one.",
                _tests_only(_last_only),
            ),
            Misconception(
                "your test looks at the two edges of the reach only. Some models have the right "
                "edge, and holes or a glimpse of something else.",
                _tests_only(_edges_only),
            ),
            *(
                Misconception(
                    "your test changes some tokens only, the first, the last or the middle ones. "
                    "Some models go wrong at a single token: change every one, one at a time.",
                    _tests_only(_at_some_tokens(*chosen)),
                )
                for more in (1, 2, 3, 4, 5, 6, 8, 10)
                for chosen in (
                    (more, lambda seq: (0, 1, 2, seq // 2, seq - 2, seq - 1)),
                    (more, lambda seq: (0, 1, seq // 2, seq - 2, seq - 1)),
                    (more, lambda seq: (0, seq // 2, seq - 1)),
                    (more, lambda seq: (0, seq - 1)),
                    (more, lambda seq: range(0, seq, 2)),
                )
            ),
            Misconception(
                "your test never asks whether a token depends on a later one.",
                _tests_only(_past_only),
            ),
            Misconception(
                "your test asks that nothing beyond the reach has an effect, and not that "
                "everything within has one: it accepts models that reach less.",
                _tests_only(_nothing_beyond),
            ),
            Misconception(
                "your test asks that everything within the reach has an effect, and not that "
                "nothing else has one: it accepts models that reach more.",
                _tests_only(_everything_within),
            ),
            Misconception(
                "your test counts how many tokens matter, and the right number can be made of "
                "the wrong ones: compare pair by pair.",
                _rows_count,
            ),
        ),
    ),
}
