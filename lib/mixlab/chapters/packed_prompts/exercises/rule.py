"""06.4 Find the bug: a rule for FlexAttention."""

import numpy as np
import torch

from mixlab.chapters.packed_prompts.exercises import masks, packs
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_mask


def call(answer, q_lengths, k_lengths, window):
    rule = answer(q_lengths, k_lengths, window)
    if not callable(rule):
        raise Unreadable(
            f"expected the function `sees`, as packed_rule returned it before: got {kind_of(rule)}"
        )
    query = torch.arange(sum(q_lengths))[:, None]
    key = torch.arange(sum(k_lengths))[None, :]
    seen = read_seen(rule, query, key)
    # A rule is asked about any places, in any order and shape, and not about the whole grid alone:
    # FlexAttention itself asks about a single query and a single key.
    pairs = [part.flatten().flip(0) for part in torch.broadcast_tensors(query, key)]
    asked = {
        "from the end": lambda: read_seen(rule, query.flip(0), key.flip(1))[::-1, ::-1],
        "one query a time": lambda: np.array([read_seen(rule, i, key[0]) for i in query[:, 0]]),
        "pair by pair, in two rows of one length": lambda: read_seen(rule, *pairs)[::-1].reshape(
            seen.shape
        ),
        "in three axes": lambda: read_seen(rule, query[..., None], key)[:, 0],
        "one query and one key a time": lambda: ask_singly(rule, query[:, 0], key[0], seen),
    }
    for how, ask in asked.items():
        if ((again := ask()) != seen).any():
            i, j = np.argwhere(again != seen)[0]
            raise Unreadable(
                f"asked about all places at once, `sees` says {seen[i, j]} for query {i} and key "
                f"{j}, and {again[i, j]} when it is asked {how}: it has to answer for the places "
                "`query` and `key` that it is given"
            )
    return seen


def ask_singly(rule, query, key, seen):
    """`seen`, with what the rule says of some queries and two keys: one that it sees, another."""
    again = seen.copy()
    for i in query[:: 1 + len(query) // 25]:
        for j in {int(seen[i].argmax()), 3 * int(i) % len(key)}:
            again[i, j] = read_seen(rule, i, key[j])
    return again


def read_seen(rule, query, key):
    """What a rule says of these places, in the shape to which they broadcast."""
    shape = torch.broadcast_shapes(query.shape, key.shape)
    seen = read_mask(len(shape))(rule(torch.tensor(0), torch.tensor(0), query.clone(), key.clone()))
    try:
        return np.broadcast_to(seen, shape)
    except ValueError:
        raise Unreadable(f"expected shape: {tuple(shape)}, got shape: {seen.shape}") from None


ASKED = Asked(
    draw=packs.draw_blocks,
    read=read_mask(),
    call=call,
    examples=(([2, 3], [2, 3], 2), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
    hints=(
        "Evaluate the rule on a whole grid, as the lesson does, and print it as 0 and 1. Look "
        "at the first token of the second prompt: which block is it in?",
        "`torch.bucketize(5, torch.tensor([5, 7]))` is 0, and token 5 is the first of prompt "
        "1. The argument `right` changes that.",
        "A query and a key have comparable places only inside their own prompt. Both prompts "
        "end at the same token: measure each one's distance to the end of its block.",
    ),
)

# --- kept back while grading ---


def looked_up(mask):
    """The rule that looks up a mask's truth values."""

    def packed_rule(*given):
        table = mask(*given)
        return lambda batch, head, query, key: table[query, key]

    return packed_rule


def measured(distance=lambda to_q_end, to_k_end: to_k_end - to_q_end, right=(True, True)):
    """The exercise's function, with one distance or another, by how far both ends are off."""

    def packed_rule(q_lengths, k_lengths, window):
        q_ends, k_ends = torch.tensor(q_lengths).cumsum(0), torch.tensor(k_lengths).cumsum(0)

        def sees(batch, head, query, key):
            q_prompt = torch.bucketize(query, q_ends, right=right[0])
            k_prompt = torch.bucketize(key, k_ends, right=right[1])
            to_ends = q_ends[q_prompt] - query, k_ends[k_prompt] - key
            far = distance(*to_ends) if distance else query - key
            return (q_prompt == k_prompt) & (far >= 0) & (far < window)

        return sees

    return packed_rule


MISTAKES = {
    "both mistakes are still there, border and distance.": measured(None, right=(False, False)),
    masks.PACKED: measured(None),
    "the first token of each prompt still belongs to the prompt before it: bucketize puts what "
    "equals a border to its left, unless told otherwise.": measured(right=(False, False)),
    "one of the two borders is mended: queries and keys are both put into prompts.": (
        measured(right=(True, False)),
        measured(right=(False, True)),
    ),
    **{
        words: tuple(map(looked_up, made if isinstance(made, tuple) else (made,)))
        for words, made in masks.NEARLY.items()
        if words != masks.PACKED
    },
}

KNOWN = Known(
    right=(looked_up(masks.by_loops), measured()),
    mistakes=MISTAKES,
    slips={
        "expected the function `sees`": masks.by_loops,
        "when it is asked from the end": lambda *given: lambda *places: masks.by_loops(*given),
        "one truth value, and a tensor or array has many": lambda *given: (
            lambda batch, head, query, key: bool(query >= key and query - key < 3)
        ),
    },
    show=lambda q, k, w: f"the rule of packed_rule({q}, {k}, window={w})",
    place=masks.query_key,
    name=masks.visible,
    advice=masks.advice,
)
