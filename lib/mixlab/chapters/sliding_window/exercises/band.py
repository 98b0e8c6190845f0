"""02.4 Attention that computes only the band."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.sliding_window.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import TooCostly, Unreadable
from mixlab.checks.readers import read_reals
from mixlab.examination.channel import at_home
from mixlab.traces.costs import measured

# So many tokens that full scores show in an answer's tensors; and so many that they show from
# outside the process, which no answer can talk out of it: 484 MB in float32, 242 MB in half. A loop
# over all pairs, which holds nothing, still takes seconds only.
WATCHED, LONG = 1_000, 11_000


def given(rng, seq, window, head_dim):
    """Random queries, keys and values of one head, (seq, head_dim) each, and the window."""
    return (*torch.from_numpy(rng.standard_normal((3, seq, head_dim))).float(), window)


def draw(rng):
    """Windows of 1, of the text's length and longer; a text to watch, and a long one."""
    small = [(int(rng.integers(3, 40)), int(rng.integers(1, 9)), 8) for _ in range(4)]
    small += [(7, 1, 8), (6, 6, 8), (5, 9, 8), (int(rng.integers(20, 40)), 4, 3), (1, 3, 5)]
    more, window = int(rng.integers(0, 60)), int(rng.integers(2, 5))
    large = [(WATCHED + more, 8, 8), (LONG + more, window, 2)]
    return [given(rng, *size) for size in small + large]


def call(answer, q, k, v, window):
    seq = len(q)
    # Only a long sequence tells the band from the whole: small ones have more channels than keys.
    if not WATCHED <= seq < LONG:
        return answer(q, k, v, window)
    out, elements, held, *counted = at_home(measured, answer, q, k, v, window)
    scores = max(counted)  # whatever makes scores, a product, or what takes them, an exponential
    # All scores in blocks of rows hold little at a time. Blocks with the keys of their own windows
    # are well below the last limit, up to a quarter of the sequence a block.
    for much, took in (
        (elements > seq**2 // 4, f"the result took a tensor of {elements:,} numbers"),
        (held > 3 * seq**2, f"the result took {held / 1e6:.0f} MB of arrays or lists"),
        (scores > seq**2 // 3, f"{scores:,} scores were computed in all, a few at a time,"),
    ):
        if much:
            raise TooCostly(
                f"{took} for {seq:,} tokens and a window of {window}. Only the scores inside the "
                f"window should ever be computed, and not all {seq:,} × {seq:,}"
            )
    return out


def read(value):
    rows = read_reals(2)(value)
    for at in np.isnan(rows).any(1).nonzero()[0]:
        raise Unreadable(f"query {at} has NaN, as a softmax over no key gives: each sees one")
    return rows


ASKED = Asked(
    draw=draw,
    call=call,
    read=read,
    room=192 * 2**20,  # a plot and all that it imports takes half of it
    examples=tuple(
        given(np.random.default_rng(7), *size, 4) for size in ((6, 3), (5, 1), (4, 7), (40, 3))
    ),
    hints=(
        "Start with a loop over queries: query i needs only `k[start : i + 1]`. What is `start`?",
        "`start` is `max(0, i - window + 1)`. Inside the slice nothing has to be masked: all its "
        "keys are visible.",
        "One query: `scores = k[start : i + 1] @ q[i] / head_dim ** 0.5`, softmax over them, then "
        "the weighted sum of `v[start : i + 1]`. Stack the results.",
    ),
)

# --- kept back while grading ---


def over(keys=lambda i, window: slice(max(0, i - window + 1), i + 1)):
    """One query after the other, over the keys `keys(i, window)`."""

    def banded(q, k, v, window):
        rows = []
        for i, query in enumerate(q.double()):
            seen = keys(i, window)
            weights = (k[seen].double() @ query / q.shape[1] ** 0.5).softmax(0)
            rows.append(weights @ v[seen].double())
        return torch.stack(rows)

    return banded


def gathered(q, k, v, window, axis=1):
    key = torch.arange(len(q))[:, None] - torch.arange(min(window, len(q)))  # (seq, window)
    scores = torch.einsum("qd, qwd -> qw", q, k[key.clamp(min=0)]) / q.shape[1] ** 0.5
    weights = scores.masked_fill(key < 0, -torch.inf).softmax(axis)
    return torch.einsum("qw, qwd -> qd", weights, v[key.clamp(min=0)])


def shares(scores, seen=True, axis=1):
    weights = np.exp(scores) * seen
    return weights / weights.sum(axis, keepdims=True)


def full(sees=shared.keeps, by=lambda q: q.shape[1], weigh=shares):
    """All scores at once, with another idea of who is seen, whose root divides, or weights."""

    def banded(q, k, v, window):
        q, k, v = (x.double().numpy() for x in (q, k, v))
        return weigh(q @ k.T / by(q) ** 0.5, sees(shared.distances(len(q)), window)) @ v

    return banded


def of_a_block(i, window, size):
    """The keys of all windows of a block of `size` queries (0: of W), to be seen by all of it."""
    start = i - i % (size or window)
    return slice(max(0, start - window + 1), start + (size or window))


MISTAKES = {
    "the scores are not divided by √head_dim, so the softmax is too sharp.": full(by=lambda q: 1),
    "the scores are divided by √seq. head_dim is the last axis, q.shape[1].": full(by=len),
    "the scores are divided by √window. head_dim is the last axis, q.shape[1].": (
        lambda q, k, v, w: over()(q * (q.shape[1] / w) ** 0.5, k, v, w)
    ),
    "the scores are divided by head_dim, not by its root.": full(by=lambda q: q.shape[1] ** 2),
    shared.ONE_MORE: full(lambda d, w: shared.keeps(d, w + 1)),
    shared.ONE_LESS: full(lambda d, w: shared.keeps(d, max(1, w - 1))),
    shared.FROM_THE_END: over(lambda i, w: slice(i - w + 1, i + 1)),
    "your queries don't see themselves. Distance 0, the token itself, is inside every window.": (
        over(lambda i, w: slice(max(0, i - w), i)),
        over(lambda i, w: slice(max(0, i - w + 1), i)),
    ),
    "every query sees every key: nothing is hidden, neither later keys nor what has left the "
    "window.": full(lambda d, w: d == d),
    "the window has no effect: every query still sees all earlier keys.": full(lambda d, w: d >= 0),
    "you take blocks without a mask: a query sees all that its block sees, later keys too.": tuple(
        over(partial(of_a_block, size=size)) for size in (0, 2, 3, 4, 8, 16, 32)
    ),
    "your blocks are walls: no query sees a key before its own block. A window reaches back "
    "across.": over(lambda i, w: slice(i - i % w, i + 1)),
    shared.AHEAD: tuple(map(full, shared.RULES[shared.AHEAD][:8])),
    "the first queries share their attention with padding. A key of zeros scores 0, not -inf, so "
    "the softmax gives it weight: hide it, or cut it off.": (
        lambda q, k, v, w: over()(*(F.pad(x, (0, 0, w - 1, 0)) for x in (q, k, v)), w)[w - 1 :]
    ),
    "a hidden key scores 0, not -inf, with you.": full(weigh=lambda s, seen: shares(s * seen)),
    "hidden keys took part in the softmax, so the weights of the visible ones don't sum to 1: hide "
    "a key before the softmax, not after it.": full(weigh=lambda s, seen: shares(s) * seen),
    "the scores are the weights with you, without a softmax.": full(weigh=lambda s, seen: s * seen),
    "your weights don't add up to 1: divide by their sum.": full(weigh=lambda s, m: np.exp(s) * m),
    "your softmax runs over the queries. Each query shares its weight out among its keys.": (
        full(weigh=lambda s, seen: shares(s, seen, axis=0)),
        partial(gathered, axis=0),
    ),
    "the last queries, which fill no block of W, are left out. `seq` may be any number.": (
        lambda q, k, v, w: over()(q, k, v, w)[: len(q) // w * w],
        lambda q, k, v, w: over()(q, k, v, w) * (torch.arange(len(q)) < len(q) // w * w)[:, None],
    ),
    "all seen keys weigh the same with you.": full(weigh=lambda s, seen: shares(0 * s, seen)),
    "inputs have changed places: q is scored with k, and v is added up.": (
        lambda q, k, v, w: over()(q, k, k, w),
        lambda q, k, v, w: over()(k, q, v, w),
    ),
    "the first queries, whose window isn't full, are left out. They attend to what there is.": (
        lambda q, k, v, w: over()(q, k, v, w)[w - 1 :],
        lambda q, k, v, w: over()(q, k, v, w) * (torch.arange(len(q)) >= w - 1)[:, None],
    ),
}

KNOWN = Known(
    right=(over(), gathered),
    mistakes=MISTAKES,
    slips={
        "window should ever be computed": full(),
        "query 0 has NaN": lambda q, k, v, w: over()(q, k, v, w) * torch.nan,
    },
    show=lambda q, k, v, window: f"banded(q, k, v, window={window}) with {len(q)} tokens",
    place=lambda at: f"query {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
)
