"""04.4 Find the bug: a chunk meets a ring."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    schedules = [(4, (3, 3, 2)), (5, (1, 4, 5, 1, 3)), (3, (7, 2, 6)), (1, (2, 1, 3)), (6, (4,))]
    for _ in range(3):
        window = int(rng.integers(2, 7))
        chunks = tuple(rng.integers(1, window + 3, size=int(rng.integers(3, 7))).tolist())
        schedules.append((window, chunks))
    schedules.append((140, (135, 2, 20)))
    dims = rng.permutation([2, 3, 4, 5, 6, 8, 10, 12, 16])
    return [
        (window, chunks, *qkv(rng, sum(chunks), int(head_dim)))
        for (window, chunks), head_dim in zip(schedules, dims, strict=True)
    ]


def qkv(rng, seq, head_dim=8):
    """Random queries, keys and values of one head, (seq, head_dim) each."""
    return list(torch.from_numpy(1.5 * rng.standard_normal((3, seq, head_dim))).float())


def call(answer, window, chunks, q, k, v):
    """The text read chunk by chunk through the answer's own rings: one row a token."""
    keys, values = torch.zeros(window, q.shape[1]), torch.zeros(window, q.shape[1])
    parts, length = [], 0
    for n in chunks:
        now = slice(length, length + n)
        out = answer(keys, values, length, q[now].clone(), k[now].clone(), v[now].clone())
        part = read_reals(2)(out)
        if part.shape != (n, q.shape[1]):
            raise Unreadable(
                f"a chunk of {n} tokens should return shape ({n}, {q.shape[1]}): got {part.shape}"
            )
        parts.append(part)
        length += n
        for name, ring, rows in (("keys", keys, k), ("values", values, v)):
            for position in range(max(0, length - window), length):
                slot = position % window  # the outputs alone wouldn't tell
                if not torch.allclose(ring[slot], rows[position], atol=1e-5):
                    there = [p for p in range(length) if torch.allclose(ring[slot], rows[p])]
                    holds = f"holds position {there[0]}" if there else "doesn't"
                    raise Unreadable(
                        f"after the chunk of positions {length - n} to {length - 1}, slot {slot} "
                        f"of `{name}` should hold position {position}, and {holds}. Change the "
                        "rings that came in, in place, and keep position p in slot p % window"
                    )
    return np.concatenate(parts)


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=tuple(
        (window, chunks, *qkv(np.random.default_rng(sum(chunks)), sum(chunks)))
        for window, chunks in ((4, (3, 3)), (3, (1, 1, 1, 1, 2)), (4, (4, 3, 4)), (2, (1, 2, 1)))
    ),
    hints=(
        "Ring of 4, after *The cat sat*: the chunk *on the mat* arrives. Which keys does *on* "
        "need? Which of them are left once the whole chunk has been written?",
        "Attend first: over the ring's keys and the chunk's, end to end. Give every column its "
        "position, and let the window's rule decide which query sees which column.",
        "What the ring holds are the positions from `max(0, length - window)` to `length - 1`: "
        "index the ring with them modulo W, and they come out in order. Join the chunk's own "
        "keys to them, and write into the ring last.",
    ),
)

# --- kept back while grading ---


def token_by_token(keys, values, length, q, k, v):
    """Write one token, then attend over the slots in use: one ring does, without a mask."""
    out = []
    for row, position in enumerate(range(length, length + len(q))):
        keys[position % len(keys)], values[position % len(keys)] = k[row], v[row]
        used = min(position + 1, len(keys))
        weights = (keys[:used].double() @ q[row].double() / q.shape[1] ** 0.5).softmax(0)
        out.append(weights @ values[:used].double())
    return torch.stack(out)


def write(ring, rows, length):
    for position, row in enumerate(rows, length):
        ring[position % len(ring)] = row
    return ring


# What a chunk finds, by what the ring held and the chunk's own rows: rows, and their positions.


def unrotated(ring, rows, length):
    held = torch.arange(max(0, length - len(ring)), length + len(rows))
    return torch.cat((ring[held[: -len(rows)] % len(ring)], rows)), held


def as_they_lie(ring, rows, length):
    return torch.cat((ring, rows)), torch.arange(length - len(ring), length + len(rows))


def written(ring, rows, length):
    last = length + len(rows) - 1
    return write(ring, rows, length), last - (last - torch.arange(len(ring))) % len(ring)


def attending(sees=lambda i, j, start, w: (j <= i) & (i - j < w), finds=unrotated, writes=True):
    """A chunk that attends and then writes, with another idea of what a query sees or finds."""

    def extend(keys, values, length, q, k, v):
        (all_keys, at), (all_values, _) = finds(keys, k, length), finds(values, v, length)
        query = torch.arange(length, length + len(q))[:, None]
        seen = sees(query, at[None], length, len(keys))
        scores = (q @ all_keys.T / q.shape[1] ** 0.5).masked_fill(~seen, -torch.inf)
        out = scores.softmax(1) @ all_values
        if writes:
            write(keys, k, length), write(values, v, length)
        return out

    return extend


def scaled(power, unit=1):
    return lambda keys, values, length, q, k, v: token_by_token(
        keys, values, length, q * (q.shape[1] / unit) ** power, k, v
    )


MISTAKES = {
    "the chunk is still written first, and slots are still taken for positions. List what the "
    "slots hold after each of the two steps.": attending(
        finds=lambda r, new, n: (write(r, new, n), torch.arange(len(r)) + n + len(new) - len(r))
    ),
    "the chunk's first tokens miss keys that its last ones have pushed out: the chunk is still "
    "written before it is read, or its last token's window is used for all.": attending(
        lambda i, j, start, w: (j >= 0) & (j <= i) & (i - j < w), finds=written
    ),
    "you attend before you write, and over the slots as they lie, while your mask takes them to "
    "be in order. Unrotate the ring first.": (
        attending(finds=as_they_lie),
        attending(finds=lambda ring, rows, length: as_they_lie(ring[:length], rows, length)),
    ),
    "your first tokens also attend to slots that were never written. A key of zeros scores 0, not "
    "-inf, so the softmax gives it weight: leave it out.": attending(
        finds=lambda ring, rows, length: as_they_lie(ring.roll(-length, 0), rows, length)
    ),
    "the first tokens of a chunk see W + 1 keys: the ring still holds the one at distance W.": (
        attending(lambda i, j, start, w: (j <= i) & (i - j <= w))
    ),
    "your queries see everything in the ring, also what has left their window: the mask must hide "
    "distances of W and more.": (
        attending(lambda i, j, start, w: j <= i),
        attending(lambda i, j, start, w: (j <= i) & (j > start - w)),
    ),
    "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1.": attending(
        lambda i, j, start, w: (j <= i) & (i - j < max(1, w - 1))
    ),
    "a chunk's tokens see later ones of it.": attending(lambda i, j, start, w: i - j < w),
    "the tokens of a chunk see each other and not the ring.": attending(
        lambda i, j, start, w: (j >= start) & (j <= i) & (i - j < w)
    ),
    "the tokens of a chunk see the ring and not each other.": attending(
        lambda i, j, start, w: ((j < start) | (j == i)) & (i - j < w)
    ),
    "the scores are not divided by √head_dim, so the softmax is too sharp.": scaled(0.5),
    "the scores are divided by head_dim and not by its root.": scaled(-0.5),
}

KNOWN = Known(
    right=(token_by_token, attending()),
    mistakes=MISTAKES,
    slips={
        "slot 0 of `keys` should hold position 0": attending(writes=False),
        "should return shape": lambda *given: token_by_token(*given).T,
        "first wrong place: the token at position": scaled(0.5, unit=8),
    },
    show=lambda w, chunks, q, k, v: (
        f"extend on chunks of {', '.join(map(str, chunks))} tokens, one after the other, "
        f"with rings of {w} slots"
    ),
    place=lambda at: f"the token at position {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
)
