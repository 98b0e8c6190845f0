"""What the exercises of chapter 06 must return, in NumPy."""

import numpy as np
import torch

from mixlab.checks.cases.packed_forwards import KEEP_APART, LAYERS
from mixlab.checks.cases.packed_prompts import NOTHING, WIDTH
from mixlab.checks.oracles import Misconception, Oracle

# --- 06.1 positions and boundaries ---------------------------------------------------------


def _rows(positions, bounds):
    rows = np.full((2, WIDTH), NOTHING)
    rows[0, : len(positions)] = positions
    rows[1, : len(bounds)] = bounds
    return rows


def _layout(seen, lengths):
    positions = [past + i for past, n in zip(seen, lengths, strict=True) for i in range(n)]
    return _rows(positions, np.cumsum([0, *lengths]))


def _layout_of(positions, bounds=lambda seen, lengths: np.cumsum([0, *lengths])):
    return lambda seen, lengths: _rows(positions(seen, lengths), bounds(seen, lengths))


def _right_positions(seen, lengths):
    return [past + i for past, n in zip(seen, lengths, strict=True) for i in range(n)]


def _without_empty(seen, lengths):
    return np.cumsum([0, *(n for n in lengths if n)])


def _layout_place(index):
    if len(index) != 2:
        return ""
    return f"{('positions', 'bounds')[index[0]]}[{index[1]}]"


def _layout_name(value):
    return "nothing there" if value == NOTHING else str(int(value))


# --- 06.2 and 06.4 block-diagonal masks ----------------------------------------------------


def _blocks(q_lengths, k_lengths, inside):
    """`inside(queries' places, keys' places, surplus)` gives each block; elsewhere hidden."""
    mask = np.zeros((sum(q_lengths), sum(k_lengths)), dtype=bool)
    row = column = 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        block = inside(np.arange(n)[:, None], np.arange(m)[None, :], m - n)
        mask[row : row + n, column : column + m] = block
        row, column = row + n, column + m
    return mask


def _distances(low, high):
    """The mask of distances from low(W) to below high(W), aligned bottom-right."""

    def mask(q_lengths, k_lengths, window):
        def inside(i, j, surplus):
            return (i + surplus - j >= low(window)) & (i + surplus - j < high(window))

        return _blocks(q_lengths, k_lengths, inside)

    return mask


_mask = _distances(lambda w: 0, lambda w: w)


def _top_left(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, lambda i, j, s: (i - j >= 0) & (i - j < window))


def _packed_distance(q_lengths, k_lengths):
    return np.subtract.outer(np.arange(sum(q_lengths)), np.arange(sum(k_lengths)))


def _packed_index(q_lengths, k_lengths, window):
    distance = _packed_distance(q_lengths, k_lengths)
    same = _blocks(q_lengths, k_lengths, lambda i, j, s: True)
    return same & (distance >= 0) & (distance < window)


def _one_sequence(q_lengths, k_lengths, window):
    distance = _packed_distance(q_lengths, k_lengths) + sum(k_lengths) - sum(q_lengths)
    return (distance >= 0) & (distance < window)


def _owner(lengths, right):
    """Which prompt an index is put into, with the first of each prompt in the one before or not."""
    return np.searchsorted(
        np.cumsum(lengths), np.arange(sum(lengths)), "right" if right else "left"
    )


def _rule(mended_owner, distance):
    def mask(q_lengths, k_lengths, window):
        q, k = _owner(q_lengths, mended_owner), _owner(k_lengths, mended_owner)
        far = distance(q_lengths, k_lengths, q, k)
        return (q[:, None] == k[None, :]) & (far >= 0) & (far < window)

    return mask


def _from_ends(q_lengths, k_lengths, q, k):
    before_end_q = np.cumsum(q_lengths)[q] - np.arange(len(q))
    before_end_k = np.cumsum(k_lengths)[k] - np.arange(len(k))
    return before_end_k[None, :] - before_end_q[:, None]


def _query_key(index):
    return f"query {index[0]}, key {index[1]}" if len(index) == 2 else ""


def _seen_name(value):
    return "visible (True)" if value else "hidden (False)"


# --- 06.3 decoding from rings --------------------------------------------------------------


def _ring(seen, slots, window, row_of=lambda row: row, kept=None):
    """Marks the slots of positions `kept(n, slots, window)`, a sequence each."""
    kept = kept or (lambda n, slots, window: range(max(0, n - window), n))
    mask = np.zeros((len(seen), len(seen) * slots), dtype=bool)
    for row, n in enumerate(seen):
        for position in kept(n, slots, window):
            mask[row, row * slots + position % slots] = True
    return mask


def _in_slots(seen, slots, chosen):
    """Marks the slots `chosen(n)` of each sequence's stretch, by number."""
    mask = np.zeros((len(seen), len(seen) * slots), dtype=bool)
    for row, n in enumerate(seen):
        mask[row, row * slots + np.array([s for s in chosen(n) if 0 <= s < slots], int)] = True
    return mask


def _slot(index):
    return f"sequence {index[0]}, column {index[1]}" if len(index) == 2 else ""


# --- 06.5 shares of padding ----------------------------------------------------------------


def _batches(lengths, batch):
    return [lengths[at : at + batch] for at in range(0, len(lengths), batch)]


def _slots(lengths, batch):
    return sum(len(part) * max(part) for part in _batches(lengths, batch))


def _share(lengths, batch):
    return np.array(1 - sum(lengths) / _slots(lengths, batch))


def _mean_of_shares(lengths, batch):
    shares = [1 - sum(part) / (len(part) * max(part)) for part in _batches(lengths, batch)]
    return np.array(np.mean(shares))


def _full_batches(lengths, batch):
    slots = sum(batch * max(part) for part in _batches(lengths, batch))
    return np.array(1 - sum(lengths) / slots)


# --- 06.6 prompts kept apart ---------------------------------------------------------------


def _verdict(layer):
    return np.array(any(layer.__doc__ == right.__doc__ for right in LAYERS[:KEEP_APART]))


def _tokens(lengths):
    return torch.from_numpy(np.random.default_rng(len(lengths)).integers(0, 50, sum(lengths)))


def _equal_alone(layer, lengths, atol=1e-9, judged=None):
    """Whether prompts get in this pack what they get alone; `judged` picks some of them."""
    tokens = _tokens(lengths)
    packed = layer(tokens, lengths).split(lengths)
    alone = [layer(part, [len(part)]) for part in tokens.split(lengths)]
    pairs = list(zip(packed, alone, strict=True))
    return np.array(
        all(float((a - b).abs().max()) <= atol for a, b in (pairs[judged] if judged else pairs))
    )


def _no_influence(layer, lengths=(3, 1, 5, 2)):
    """Whether other tokens in one prompt leave the rest as they are, wherever they stand."""
    tokens, start = _tokens(lengths), 0
    before = layer(tokens, lengths)
    for n in lengths:
        changed = tokens.clone()
        changed[start : start + n] = (changed[start : start + n] + 7) % 50
        moved = (layer(changed, lengths) - before).abs().amax(dim=1) > 1e-9
        moved[start : start + n] = False
        if moved.any():
            return np.array(False)
        start += n
    return np.array(True)


_ONE_MORE = (
    "your window has W + 1 keys. It counts the token itself: distances 0 to W - 1 are visible."
)
_ONE_LESS = "your window has W - 1 keys. It counts the token itself: distances 0 to W - 1."
_TOP_LEFT = (
    "your blocks are aligned top-left: query 0 of a block stands at position 0. The queries are "
    "a block's last tokens, so with m keys and n queries the first one stands at m - n."
)
_PACKED = (
    "you measure distance in the pack. A query's row and a key's column count different things "
    "once some keys come from a cache: measure inside each prompt."
)
_LEAK = (
    "your mask leaks: it treats the pack as one sequence, so a prompt sees the end of the one "
    "before it."
)
_AHEAD = "your queries also see later keys of their own prompt: a distance may not be negative."
_NO_WINDOW = "the window has no effect: keys W or more steps back must be hidden too."
_NOT_CAUSAL = (
    "every query sees the whole of its own block. That is what BlockDiagonalMask does by itself; "
    "the future and the keys beyond the window must be hidden inside the block."
)
_INVERTED = "your mask is True where the key is hidden. Here True means visible."
_FIRST_TOKEN = (
    "the first token of each prompt still belongs to the prompt before it: bucketize puts a "
    "number that equals a border to its left, unless it is told otherwise."
)
_ONE_PACK = (
    "your test looks at one kind of pack only. Some layers are right there and leak elsewhere: "
    "try three prompts and more, equal and unequal lengths, a single token in the middle."
)

EXERCISES = {
    "06.1": Oracle(
        expected=_layout,
        show=lambda seen, lengths: f"layout(seen={list(seen)}, lengths={list(lengths)})",
        place=_layout_place,
        name=_layout_name,
        examples=(([0, 0, 0], [3, 5, 2]), ([4, 4, 1], [2, 3, 0]), ([9], [4])),
        misconceptions=(
            Misconception(
                "your positions run on through the whole pack. Each prompt counts for itself.",
                _layout_of(lambda seen, lengths: range(sum(lengths))),
            ),
            Misconception(
                "your positions start at 0 in every chunk. A prompt that has seen 4 tokens goes "
                "on at position 4: its cached keys have been rotated to 0, 1, 2 and 3.",
                _layout_of(lambda seen, lengths: [i for n in lengths for i in range(n)]),
            ),
            Misconception(
                "your positions start one too far: after 4 tokens, 0 to 3, the next one is 4.",
                _layout_of(lambda s, n: [p + 1 for p in _right_positions(s, n)]),
            ),
            Misconception(
                "your bounds lack the last one, the end of the pack: B prompts have B + 1 bounds.",
                _layout_of(_right_positions, lambda s, n: np.cumsum([0, *n])[:-1]),
            ),
            Misconception(
                "your bounds lack the first one: the pack starts at 0, so B prompts have B + 1.",
                _layout_of(_right_positions, lambda s, n: np.cumsum(n)),
            ),
            Misconception(
                "your bounds are the lengths themselves. A bound says how many tokens lie before "
                "it: sum up as you go.",
                _layout_of(_right_positions, lambda s, n: n),
            ),
            Misconception(
                "a prompt without a token has no bound in your list. It still is a prompt: its "
                "start and its end are the same number.",
                _layout_of(_right_positions, _without_empty),
            ),
            Misconception(
                "your bounds count the cached tokens too. They bound this pack, which holds only "
                "the new ones.",
                _layout_of(
                    _right_positions,
                    lambda seen, lengths: np.cumsum([0, *np.add(seen, lengths)]),
                ),
            ),
        ),
    ),
    "06.2": Oracle(
        expected=_mask,
        show=lambda q, k, w: f"packed_mask({list(q)}, {list(k)}, window={w})",
        place=_query_key,
        name=_seen_name,
        examples=(([4, 4, 1], [4, 4, 1], 3), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
        misconceptions=(
            Misconception(_TOP_LEFT, _top_left),
            Misconception(_PACKED, _packed_index),
            Misconception(_LEAK, _one_sequence),
            Misconception(_ONE_MORE, _distances(lambda w: 0, lambda w: w + 1)),
            Misconception(_ONE_LESS, _distances(lambda w: 0, lambda w: w - 1)),
            Misconception(_AHEAD, _distances(lambda w: 1 - w, lambda w: w)),
            Misconception(_AHEAD, _distances(lambda w: -999, lambda w: w)),
            Misconception(_NO_WINDOW, _distances(lambda w: 0, lambda w: 999)),
            Misconception(_NOT_CAUSAL, lambda q, k, w: _blocks(q, k, lambda i, j, s: True)),
            Misconception(_INVERTED, lambda q, k, w: ~_mask(q, k, w)),
        ),
    ),
    "06.3": Oracle(
        expected=_ring,
        show=lambda seen, s, w: f"decode_mask(seen={list(seen)}, slots={s}, window={w})",
        place=_slot,
        name=_seen_name,
        examples=(([6, 8, 2], 3, 3), ([6, 9, 2], 4, 2), ([1, 7], 5, 4)),
        misconceptions=(
            Misconception(
                "every slot is visible, even those that no token has been written to.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(s)),
            ),
            Misconception(
                "every slot in use is visible. That is right while window equals slots; with a "
                "shorter window the older ones must be hidden.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(min(n, s))),
            ),
            Misconception(
                "you take the last slots in use. A ring that has wrapped isn't in order: slot s "
                "holds the last position that leaves remainder s.",
                lambda seen, s, w: _in_slots(
                    seen, s, lambda n: range(max(0, min(n, s) - w), min(n, s))
                ),
            ),
            Misconception(
                "you take the first slots. They hold the newest keys only by chance: position p "
                "is in slot p % slots.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(min(n, w))),
            ),
            Misconception(
                "you look for positions up to `seen`, but the query, the newest token, stands at "
                "position seen - 1: you show the slot of a token that isn't there yet.",
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n + 1 - w), n + 1)
                ),
            ),
            Misconception(
                "your queries don't see themselves: the newest token has been written to its slot "
                "before it attends.",
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n - w), n - 1)
                ),
            ),
            Misconception(
                _ONE_MORE,
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n - min(w + 1, s)), n)
                ),
            ),
            Misconception(
                "positions below 0 don't exist: a young sequence shows slots that nothing has "
                "been written to.",
                lambda seen, s, w: _ring(seen, s, w, kept=lambda n, s, w: range(n - w, n)),
            ),
            Misconception(
                "every sequence sees the slots of all the others too: row r may only see columns "
                "r * slots to (r + 1) * slots - 1.",
                lambda seen, s, w: np.tile(
                    np.stack([_ring([n], s, w)[0] for n in seen]), (1, len(seen))
                ),
            ),
            Misconception(_INVERTED, lambda seen, s, w: ~_ring(seen, s, w)),
        ),
    ),
    "06.4": Oracle(
        expected=_mask,
        show=lambda q, k, w: f"the rule of packed_rule({list(q)}, {list(k)}, window={w})",
        place=_query_key,
        name=_seen_name,
        examples=(([2, 3], [2, 3], 2), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
        misconceptions=(
            Misconception(
                "both mistakes are still there: the border between prompts, and the distance.",
                _rule(False, lambda ql, kl, q, k: _packed_distance(ql, kl)),
            ),
            Misconception(_PACKED, _rule(True, lambda ql, kl, q, k: _packed_distance(ql, kl))),
            Misconception(_FIRST_TOKEN, _rule(False, _from_ends)),
            Misconception(_TOP_LEFT, _top_left),
            Misconception(_LEAK, _one_sequence),
            Misconception(_ONE_MORE, _distances(lambda w: 0, lambda w: w + 1)),
            Misconception(_AHEAD, _distances(lambda w: -999, lambda w: w)),
            Misconception(_NO_WINDOW, _distances(lambda w: 0, lambda w: 999)),
        ),
    ),
    "06.5": Oracle(
        expected=_share,
        show=lambda lengths, batch: f"padded_share({list(lengths)}, batch={batch})",
        place=lambda index: "",
        name=lambda value: f"{value:.4f}",
        examples=(([3, 5, 2], 3), ([5, 8, 1, 2, 6], 2), ([4, 4, 9], 2)),
        misconceptions=(
            Misconception(
                "that is the share of tokens. Padding is the rest.",
                lambda lengths, batch: 1 - _share(lengths, batch),
            ),
            Misconception(
                "that is the share in percent: a share lies between 0 and 1.",
                lambda lengths, batch: 100 * _share(lengths, batch),
            ),
            Misconception(
                "you divide padding by tokens. The share is of all slots, tokens and padding.",
                lambda lengths, batch: np.array(_slots(lengths, batch) / sum(lengths) - 1),
            ),
            Misconception(
                "you pad every batch to the longest prompt of all. Each has a longest of its own.",
                lambda lengths, batch: np.array(1 - np.mean(lengths) / max(lengths)),
            ),
            Misconception(
                "you fill the last batch up with empty rows. It has as many rows as there are "
                "prompts left.",
                _full_batches,
            ),
            Misconception(
                "you sort the prompts first. That is a good idea, but they are served in the "
                "order in which they came.",
                lambda lengths, batch: _share(sorted(lengths), batch),
            ),
            Misconception(
                "you sort the prompts first. That is a good idea, but they are served in the "
                "order in which they came.",
                lambda lengths, batch: _share(sorted(lengths, reverse=True), batch),
            ),
            Misconception(
                "you take the mean of the batches' shares. A batch with more slots counts more: "
                "add up slots and tokens of all batches, then divide.",
                _mean_of_shares,
            ),
            Misconception(
                "your last, shorter batch is missing.",
                lambda lengths, batch: (
                    _share(lengths[: len(lengths) // batch * batch], batch)
                    if len(lengths) >= batch
                    else np.array(0.0)
                ),
            ),
        ),
    ),
    "06.6": Oracle(
        expected=_verdict,
        show=lambda layer: f"keeps_apart on a layer of {layer.__doc__}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((layer,) for layer in LAYERS),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere, in a pack in which "
                "a leak shows?",
                lambda layer: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right layers too. Print the largest difference "
                "that it finds: is it a leak, or the last bit of a rounded number?",
                lambda layer: np.array(False),
            ),
            Misconception(
                "your test asks for equality to the last bit. A pack adds up the same numbers in "
                "another order: use torch.allclose.",
                lambda layer: _equal_alone(layer, [3, 1, 5, 2], atol=0.0),
            ),
            Misconception(
                "your test changes one prompt and looks at the others, and finds every leak. But "
                "a prompt must get what it would get alone, and a layer that adds absolute "
                "positions and doesn't start them anew fails that without leaking.",
                _no_influence,
            ),
            *(
                Misconception(
                    "your test looks at the last prompt only. A prompt may also see the one after "
                    "it.",
                    lambda layer, pack=pack: _equal_alone(
                        layer, list(pack), judged=slice(-1, None)
                    ),
                )
                for pack in ((3, 1, 5, 2), (3, 2, 4, 2), (3, 5), (3, 3), (3, 4, 5), (3, 3, 3))
            ),
            Misconception(
                "your test looks at the first prompt only, and that one has nobody before it.",
                lambda layer: _equal_alone(layer, [3, 1, 5, 2], judged=slice(0, 1)),
            ),
            *(
                Misconception(_ONE_PACK, lambda layer, pack=pack: _equal_alone(layer, list(pack)))
                for pack in (
                    (4,),
                    (3, 5),
                    (3, 3),
                    (3, 1),
                    (1, 1),
                    (3, 4, 5),
                    (3, 1, 5),
                    (3, 4, 4),
                    (1, 1, 1),
                )
            ),
        ),
    ),
}
