"""Inputs for the exercises of chapter 06: lengths of prompts, rings, rules, layers to be judged."""

from collections.abc import Callable

import numpy as np
import torch

from mixlab.checks.cases import Cases, Unreadable, _array, _kind, read_mask, read_real, read_verdict
from mixlab.checks.cases.packed_forwards import LAYERS

_OURS = (
    "mixlab.transformer.packed_masks",
    "mixlab.transformer.packing",
    "mixlab.transformer.window",
    "mixlab.kernels.flex_attention",
    "mixlab.kernels.xformers_attention",
    "mixlab.chapters.packed_prompts.traces",
)
_LAYERS = "mixlab.checks.cases.packed_forwards"

NOTHING = -1  # pads the two lists of 06.1 to one width
WIDTH = 80


def _ints(rng: np.random.Generator, low: int, high: int, size: int) -> list[int]:
    return rng.integers(low, high, size).tolist()


def _draw_layout(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(6):
        prompts = int(rng.integers(1, 6))
        drawn.append((_ints(rng, 0, 30, prompts), _ints(rng, 1, 9, prompts)))
    prompts = int(rng.integers(3, 6))
    lengths = _ints(rng, 1, 7, prompts)
    lengths[int(rng.integers(prompts))] = 0
    return [*drawn, (_ints(rng, 0, 9, prompts), lengths), ([0] * prompts, [1] * prompts)]


def _read_layout(value) -> np.ndarray:
    """Positions and boundaries as two rows of one width."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unreadable(f"expected two results, `return positions, bounds`: got {_kind(value)}")
    rows = np.full((2, WIDTH), NOTHING)
    for row, (name, part) in enumerate(zip(("positions", "bounds"), value, strict=True)):
        try:
            array = _array(part)
        except (TypeError, ValueError):
            array = np.array("")
        if array.size == 0 and array.ndim == 1:
            continue
        if array.dtype.kind not in "iuf" or array.ndim != 1 or (array != array.astype(int)).any():
            raise Unreadable(f"expected {name} as one list of whole numbers: got {_kind(part)}")
        if len(array) > WIDTH or (array < 0).any():
            raise Unreadable(
                f"expected {name} of 0 or more: got {len(array)} numbers from {array.min():.0f} to "
                f"{array.max():.0f}"
            )
        rows[row, : len(array)] = array
    return rows


def _draw_blocks(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(6):
        prompts = int(rng.integers(1, 5))
        queries = _ints(rng, 1, 7, prompts)
        keys = [n + cached for n, cached in zip(queries, _ints(rng, 0, 7, prompts), strict=True)]
        drawn.append((queries, keys, int(rng.integers(1, 8))))
    queries = _ints(rng, 1, 6, 3)
    longer = [n + 1 + cached for n, cached in zip(queries, _ints(rng, 0, 6, 3), strict=True)]
    # The first chunk, a window of one, and a window that nothing leaves.
    return [*drawn, (queries, queries, 3), (queries, longer, 1), (queries, longer, 30)]


def _draw_rings(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(6):
        slots = int(rng.integers(2, 8))
        seen = _ints(rng, 1, 4 * slots, int(rng.integers(1, 5)))
        drawn.append((seen, slots, int(rng.integers(1, slots + 1))))
    slots = int(rng.integers(4, 8))
    wrapped = [slots + 2 + int(rng.integers(0, 9)), 1, slots]
    return [*drawn, (wrapped, slots, slots), (wrapped, slots, slots - 1), (wrapped, slots, 1)]


def _call_rule(answer, q_lengths, k_lengths, window):
    rule = answer(q_lengths, k_lengths, window)
    if not callable(rule):
        raise Unreadable(
            f"expected the function `sees`, as packed_rule returned it before: got {_kind(rule)}"
        )
    query = torch.arange(sum(q_lengths))[:, None]
    key = torch.arange(sum(k_lengths))[None, :]
    seen = _read_seen(rule, query, key)
    # A rule is asked about any places, in any order and shape, and not about the whole grid alone:
    # FlexAttention itself asks about a single query and a single key.
    pairs = [part.flatten().flip(0) for part in torch.broadcast_tensors(query, key)]
    asked = {
        "from the end": lambda: _read_seen(rule, query.flip(0), key.flip(1))[::-1, ::-1],
        "one query a time": lambda: np.array([_read_seen(rule, i, key[0]) for i in query[:, 0]]),
        "pair by pair, in two rows of one length": lambda: _read_seen(rule, *pairs)[::-1].reshape(
            seen.shape
        ),
        "in three axes": lambda: _read_seen(rule, query[..., None], key)[:, 0],
        "one query and one key a time": lambda: _ask_singly(rule, query[:, 0], key[0], seen),
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


def _ask_singly(rule: Callable, query: torch.Tensor, key: torch.Tensor, seen: np.ndarray):
    """`seen`, with what the rule says of each query and two keys: one that it sees, and another."""
    again = seen.copy()
    for i, row in zip(query, seen, strict=True):
        for j in {int(row.argmax()), 3 * int(i) % len(key)}:
            again[int(i), j] = _read_seen(rule, i, key[j])
    return again


def _read_seen(rule: Callable, query: torch.Tensor, key: torch.Tensor) -> np.ndarray:
    """What a rule says of these places, in the shape to which they broadcast."""
    shape = torch.broadcast_shapes(query.shape, key.shape)
    seen = read_mask(len(shape))(rule(torch.tensor(0), torch.tensor(0), query.clone(), key.clone()))
    try:
        return np.broadcast_to(seen, shape)
    except ValueError:
        raise Unreadable(f"expected shape: {tuple(shape)}, got shape: {seen.shape}") from None


def _draw_shares(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(7):
        lengths = _ints(rng, 1, 60, int(rng.integers(2, 15)))
        drawn.append((lengths, int(rng.integers(1, 6))))
    same = int(rng.integers(2, 40))
    return [*drawn, ([same] * 5, 3), (_ints(rng, 1, 60, 7), 3), (_ints(rng, 1, 60, 6), 50)]


def _draw_layers(rng: np.random.Generator) -> list[tuple]:
    return [(LAYERS[i],) for i in rng.permutation(len(LAYERS))]


def _call_verdict(answer, layer: Callable):
    # A name would tell the right layers from the wrong ones without a test.
    return answer(lambda tokens, lengths: layer(torch.as_tensor(tokens), lengths))


EXERCISES = {
    "06.1": Cases(
        draw=_draw_layout,
        read=_read_layout,
        forbids=_OURS,
        hints=(
            "Take it prompt by prompt. One that has seen 7 tokens and brings 3 gives them the "
            "positions 7, 8, 9: `range(7, 10)`.",
            "A boundary is how many tokens lie before it in the pack: 0, then after the first "
            "prompt its length, then a running sum.",
            "`itertools.accumulate(lengths, initial=0)` gives all boundaries; without it, start "
            "with `bounds = [0]` and append `bounds[-1] + n` for every length n, 0 included.",
        ),
    ),
    "06.2": Cases(
        draw=_draw_blocks,
        read=read_mask(),
        forbids=(*_OURS, _LAYERS),
        hints=(
            "Build one block alone first: n queries and m keys of one prompt, where the queries "
            "are the last n of the m positions. Which position is query 0 of the block?",
            "In a block, query r stands at position m - n + r and key c at position c. The rule "
            "of the window takes these two positions.",
            "Start with `torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)`, and "
            "write each block into its own rows and columns, both of which you count on as you go.",
        ),
    ),
    "06.3": Cases(
        draw=_draw_rings,
        read=read_mask(),
        forbids=(*_OURS, _LAYERS),
        hints=(
            "Which position does slot s hold, after `n` tokens? Try n = 8 and 3 slots: positions "
            "6, 7, 5. Each is the last position below n that leaves remainder s.",
            "The query stands at position n - 1. A key is visible if its position is 0 or more "
            "and less than `window` steps back.",
            "Loop over the last `min(window, n)` positions p of each sequence, and set column "
            "`row * slots + p % slots`. Everything else stays hidden.",
        ),
    ),
    "06.4": Cases(
        draw=_draw_blocks,
        read=read_mask(),
        call=_call_rule,
        forbids=(*_OURS, _LAYERS),
        hints=(
            "Evaluate the rule on a whole grid, as the lesson does, and print it as 0 and 1. Look "
            "at the first token of the second prompt: which block is it in?",
            "`torch.bucketize(5, torch.tensor([5, 7]))` is 0, and token 5 is the first of prompt "
            "1. The argument `right` changes that.",
            "A query and a key have comparable places only inside their own prompt. Both prompts "
            "end at the same token: measure each one's distance to the end of its block.",
        ),
    ),
    "06.5": Cases(
        draw=_draw_shares,
        read=read_real,
        atol=1e-6,
        seed=2,
        forbids=_OURS,
        hints=(
            "Count slots, batch by batch: a batch of three prompts, the longest of 7 tokens, "
            "takes 3 × 7 slots.",
            "Cut the list with `lengths[start : start + batch]`. The last piece may be shorter, "
            "and then takes fewer rows.",
            "Add up all slots and all tokens first, and divide once at the end: 1 - tokens / "
            "slots. A mean of the batches' shares would count small batches too much.",
        ),
    ),
    "06.6": Cases(
        draw=_draw_layers,
        read=read_verdict,
        call=_call_verdict,
        forbids=_OURS,
        hints=(
            "What would each prompt get alone? `layer(tokens_of_one_prompt, [its_length])`. The "
            "pack must give the same numbers, to rounding: `torch.allclose`.",
            "Two prompts hide much. Try four or more, two of them of one length above 1, others "
            "not, and a prompt of a single token that isn't the first.",
            "Take different tokens for lengths such as [3, 1, 5, 3]; run the pack once and every "
            "prompt alone; return False at the first prompt that differs, True at the end.",
        ),
    ),
}
