"""05.3 Across the border: the log-probability of every token but the first."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """Chunks of 1, of the whole prompt and longer; a last chunk of 1; one token; huge scores."""
    kinds = [(1, 3, 1), (2, 1, 1), (9, 4, 1), (8, 4, 1), (6, 6, 2), (5, 9, 1), (7, 3, 400)]
    for _ in range(6):
        kinds.append((int(rng.integers(2, 20)), int(rng.integers(1, 9)), float(rng.integers(1, 4))))
    return [prompt(rng, length, size, scale) for length, size, scale in kinds]


def prompt(rng, length, size, scale=1.0, vocab=11):
    tokens = torch.from_numpy(rng.integers(0, vocab, size=length))
    return tokens, torch.from_numpy(scale * rng.standard_normal((length, vocab))), size


def call(answer, tokens, scores, size):
    """The answer reads the prompt through a model that knows its scores by heart."""
    read = 0

    def model(chunk):
        nonlocal read
        chunk = torch.as_tensor(chunk)
        n, left = len(chunk), len(tokens) - read
        if not 1 <= n <= size:
            raise ValueError(f"this model reads 1 to {size} tokens at a time: got {n}")
        if n < size and n < left - 1:
            raise ValueError(
                f"{left} tokens are left, and a chunk of {n} came: each but the last has {size}"
            )
        if not torch.equal(chunk, tokens[read : read + n]):
            raise ValueError(
                f"this model has read {read} tokens and goes on with {tokens[read:].tolist()[:n]}: "
                f"got {chunk.tolist()}. It takes the prompt in order, each token once"
            )
        read += n
        return scores[read - n : read].clone()

    return answer(model, tokens.clone(), size)


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(1),
    examples=tuple(
        prompt(np.random.default_rng(length), length, size, vocab=3)
        for length, size in ((4, 2), (5, 2), (3, 3), (3, 1), (1, 2))
    ),
    hints=(
        "Row i of a pass scores the token after its i-th. Which row of which pass scores the "
        "first token of the second chunk?",
        "Keep the last row of each pass for the next one. The rows that speak of a chunk's tokens "
        "are then: the kept one, and the chunk's own rows but the last.",
        "`rows = torch.cat((kept, rows))`, with `kept` empty before the first pass; then "
        "`rows[:-1]` belongs to the chunk's tokens, but for the prompt's first. log_softmax goes "
        "along the vocabulary.",
    ),
)

# --- kept back while grading ---


def rows_of(model, tokens, size):
    return [model(chunk) for chunk in tokens.split(size)]


def together(model, tokens, size, scored=lambda rows: rows.log_softmax(-1), shift=1):
    rows = scored(torch.cat(rows_of(model, tokens, size)))
    return torch.stack([rows[i - shift, tokens[i]] for i in range(1, len(tokens))] or [rows[0, :0]])


def carried(model, tokens, size):
    kept, found = None, []
    for chunk in tokens.split(size):
        rows = model(chunk)
        rows = rows - rows.logsumexp(-1, keepdim=True)
        before = rows[:0] if kept is None else kept[None]
        for row, token in zip(torch.cat((before, rows)), chunk[kept is None :], strict=False):
            found.append(float(row[token]))
        kept = rows[-1]
    return np.array(found)


def first_apart(value):
    """Empty for one token, and otherwise what `value` makes of them."""
    return lambda model, tokens, size: (
        torch.zeros(0) if len(tokens) == 1 else value(model, tokens, size)
    )


def scoring(scored):
    return first_apart(lambda *given: together(*given, scored=scored))


def by_chunk(found, at_border, shift=1):
    """Each chunk by itself: its own rows, and something for its first token."""

    def answer(model, tokens, size):
        out, before = [], None
        for chunk in tokens.split(size):
            rows = model(chunk).log_softmax(-1)
            own = [rows[i, chunk[i + shift]] for i in range(len(chunk) - 1)]
            edge = [] if before is None else at_border(before, rows, chunk)
            out, before = found(out, edge + own), rows
        return torch.tensor(out, dtype=torch.float64)

    return answer


def add(out, more):
    return out + more


MISTAKES = {
    "you look inside each chunk only. The first token of a chunk is scored by the last row of the "
    "chunk before: keep it.": by_chunk(add, lambda before, rows, chunk: []),
    "you score the first token of a chunk by the chunk's own first row, which already knows it.": (
        by_chunk(add, lambda before, rows, chunk: [rows[0, chunk[0]]])
    ),
    "you score the first token of a chunk by another row than the last of the chunk before.": (
        by_chunk(add, lambda before, rows, chunk: [before[0, chunk[0]]]),
        by_chunk(add, lambda before, rows, chunk: [before[-2:][0, chunk[0]]]),
        by_chunk(add, lambda before, rows, chunk: [before[-1, chunk[-1]]]),
    ),
    "you put a zero where a chunk begins. The chunk before scores that token.": by_chunk(
        add, lambda before, rows, chunk: [0.0]
    ),
    "only your last chunk's tokens are left: begin the list before the loop.": by_chunk(
        lambda out, more: more, lambda before, rows, chunk: [before[-1, chunk[0]]]
    ),
    "you look up each token in its own row, which was computed after it was read. Its score stands "
    "one row before.": (
        first_apart(lambda *given: together(*given, shift=0)),
        by_chunk(add, lambda before, rows, chunk: [before[-1, chunk[0]]], shift=0),
    ),
    "you also return a value for the first token. Nothing comes before it, so nothing scores it.": (
        lambda *given: torch.cat((torch.zeros(1), torch.as_tensor(carried(*given))))
    ),
    "you return probabilities. Asked are their logarithms.": scoring(lambda rows: rows.softmax(-1)),
    "you take the logarithm of a softmax that has underflowed to 0: -inf. `log_softmax` never "
    "computes that 0.": scoring(lambda rows: rows.float().softmax(-1).log()),
    "you return the scores as they are. They become log-probabilities by `log_softmax`.": scoring(
        lambda rows: rows
    ),
    "your softmax goes along the tokens. It goes along the vocabulary, the last axis.": scoring(
        lambda rows: rows.log_softmax(0)
    ),
    "you return surprise, minus the log-probability.": scoring(lambda rows: -rows.log_softmax(-1)),
    "your logarithm has base 2 or 10. Asked is the natural one.": (
        scoring(lambda rows: rows.log_softmax(-1) / np.log(2)),
        scoring(lambda rows: rows.log_softmax(-1) / np.log(10)),
    ),
    "you return the best token's log-probability, and not that of the token which stands there.": (
        scoring(lambda rows: rows.log_softmax(-1).amax(-1, keepdim=True).expand_as(rows))
    ),
    "you add the log-probabilities up as you go. Asked is one for each token.": first_apart(
        lambda *given: torch.as_tensor(carried(*given)).cumsum(0)
    ),
}

KNOWN = Known(
    right=(first_apart(together), carried),
    mistakes=MISTAKES,
    slips={
        "tokens at a time": lambda model, tokens, size: model(tokens[:0]),
        "each but the last has": lambda model, tokens, size: (
            model(tokens[:1]),
            model(tokens[1:2]),
        ),
        "each token once": lambda model, tokens, size: (model(tokens[:size]), model(tokens[:size])),
        "expected real numbers in 1 axis": lambda *given: float(np.sum(carried(*given))),
    },
    show=lambda tokens, scores, size: (
        f"log_probabilities(model, tensor({tokens.tolist()}), size={size})"
    ),
    place=lambda at: f"the log-probability of token {at[0] + 1}" if at else "",
    name="{:.4f}".format,
)
