"""01.5 Find the bugs: Mistral's block, wired."""

import torch

from mixlab.chapters.transformer_to_mistral.exercises import normal
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def part(matrix):
    """A part that mixes tokens or numbers, and isn't linear; it makes a new tensor."""
    return lambda x: torch.tanh(x @ matrix.to(x.dtype)) + 0.5 * x.roll(1, 0)


def norm(weight):
    """A norm with factors of its own; with none, it hands over what it got, the very tensor."""
    if weight is None:
        return lambda x: x
    return lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight.to(x.dtype)


def wired(rng, tokens, dim, bare=False):
    parts = [part(normal(rng, dim, dim)) for _ in range(2)]
    norms = [norm(None if bare else 1 + rng.random() + normal(rng, dim).abs()) for _ in range(2)]
    return 3 * normal(rng, tokens, dim), *parts, *norms


def draw(rng):
    sizes = [(3, 4), (1, 2), (5, 8), (2, 16)]
    return [*(wired(rng, *size) for size in sizes), wired(rng, 3, 4, bare=True)]


def simple(bare):
    numbers = torch.tensor([[1.0, 0.5], [-0.5, 2.0]]), torch.tensor([[0.2, 1.0], [1.5, -1.0]])
    factors = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.5])
    norms = (norm(None if bare else factor) for factor in factors)
    return torch.tensor([[3.0, 4.0], [1.0, -2.0]]), *map(part, numbers), *norms


def call(answer, x, *parts):
    """What the answer returns, and below it what has become of the stream that it was handed."""
    returned = answer(x, *parts)
    if not isinstance(returned, torch.Tensor) or returned.shape != x.shape:
        shape = tuple(x.shape)
        raise Unreadable(f"expected a stream of shape {shape}: got {kind_of(returned)}")
    return torch.cat([returned, x])


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=(simple(False), simple(True)),
    hints=(
        "Draw the stream as a straight line from the first x to the return. What may stand on it? "
        "What may only hang beside it?",
        "On the stream of a pre-norm block stand two additions and nothing else: a norm is on the "
        "branch, before its part. And each half has its own norm.",
        "`x += …` writes into the tensor that the caller still holds; `x = x + …` makes a new one.",
    ),
)

# --- kept back while grading ---


def block(x, attention, feed_forward, norm_1, norm_2):
    middle = x + attention(norm_1(x))
    return middle + feed_forward(norm_2(middle))


def in_a_loop(x, attention, feed_forward, norm_1, norm_2):
    for half, normed in ((attention, norm_1), (feed_forward, norm_2)):
        x = torch.add(x, half(normed(x)))
    return x


def as_given(x, attention, feed_forward, norm_1, norm_2):
    x = norm_1(x)
    x += attention(x)
    x += feed_forward(norm_1(x))
    return x


def in_place(x, attention, feed_forward, norm_1, norm_2):
    x += attention(norm_1(x))
    x += feed_forward(norm_2(x))
    return x


MISTAKES = {
    "you change the tensor that you were handed: the caller's stream is overwritten. `+=` does "
    "that, `x = x + …` doesn't.": in_place,
    "the code is as it was given.": as_given,
    "the stream itself is normalised: what goes past attention must be x as it came.": (
        lambda x, a, f, m, n: (lambda s: s + f(n(s)))(m(x) + a(m(x))),
        lambda x, a, f, m, n: (lambda s: s + f(m(s)))(m(x) + a(m(x))),
    ),
    "the stream itself is normalised before the feed-forward layer: only the branch may be.": (
        lambda x, a, f, m, n: (lambda s: n(s) + f(n(s)))(x + a(m(x)))
    ),
    "both halves take their norms onto the stream: what goes past a part must be what came.": (
        lambda x, a, f, m, n: (lambda s: n(s) + f(n(s)))(m(x) + a(m(x)))
    ),
    "that is 2017's block: the norms stand after the sums. Mistral's stand before the parts.": (
        lambda x, a, f, m, n: (lambda s: n(s + f(s)))(m(x + a(x)))
    ),
    "your norms stand after the parts, on what they return. They belong before them.": (
        lambda x, a, f, m, n: (lambda s: s + n(f(s)))(x + m(a(x)))
    ),
    "a norm stands before a part and another one after it. One before each is enough.": (
        lambda x, a, f, m, n: (lambda s: s + n(f(n(s))))(x + m(a(m(x)))),
        lambda x, a, f, m, n: (lambda s: s + f(n(m(s))))(x + a(n(m(x)))),
    ),
    "what came in is added once too often.": (
        lambda x, a, f, m, n: (lambda s: x + s + f(n(s)))(x + a(m(x)))
    ),
    "the second half uses the first one's norm: each has factors of its own.": (
        lambda x, a, f, m, n: (lambda s: s + f(m(s)))(x + a(m(x)))
    ),
    "the two norms have changed places.": (
        lambda x, a, f, m, n: (lambda s: s + f(m(s)))(x + a(n(x)))
    ),
    "the feed-forward layer gets the stream without a norm.": (
        lambda x, a, f, m, n: (lambda s: s + f(s))(x + a(m(x)))
    ),
    "attention gets the stream without a norm.": (
        lambda x, a, f, m, n: (lambda s: s + f(n(s)))(x + a(x))
    ),
    "no norm is left.": lambda x, a, f, m, n: (lambda s: s + f(s))(x + a(x)),
    "both halves read the same stream, side by side. The feed-forward layer comes after attention, "
    "and reads what attention has added.": (
        lambda x, a, f, m, n: x + a(m(x)) + f(n(x)),
        lambda x, a, f, m, n: x + a(m(x)) + f(m(x)),
    ),
    "the feed-forward layer's own way past is missing.": (
        lambda x, a, f, m, n: f(n(x + a(m(x)))),
        lambda x, a, f, m, n: x + f(n(x + a(m(x)))),
    ),
    "the way past attention is missing.": (
        lambda x, a, f, m, n: (lambda s: s + f(n(s)))(a(m(x))),
        lambda x, a, f, m, n: a(m(x)) + f(n(a(m(x)))),
        lambda x, a, f, m, n: x + f(n(a(m(x)))),
    ),
    "no way leads past the parts.": lambda x, a, f, m, n: f(n(a(m(x)))),
    "the feed-forward layer comes before attention.": (
        lambda x, a, f, m, n: (lambda s: s + a(m(s)))(x + f(n(x))),
        lambda x, a, f, m, n: (lambda s: s + a(n(s)))(x + f(m(x))),
    ),
    "you normalise the block's result: the stream leaves as it is, and one last norm stands at the "
    "end of the model.": (
        lambda x, a, f, m, n: n(block(x, a, f, m, n)),
        lambda x, a, f, m, n: m(block(x, a, f, m, n)),
    ),
}

KNOWN = Known(
    right=(block, in_a_loop),
    mistakes=MISTAKES,
    slips={"expected a stream of shape": lambda x, *parts: block(x, *parts)[0]},
    show=lambda x, *parts: f"block with a stream of {len(x)} tokens, {x.shape[1]} numbers each",
    place=lambda at: f"row {at[0]} of the result with the caller's stream below it" if at else "",
    name="{:.4f}".format,
)
