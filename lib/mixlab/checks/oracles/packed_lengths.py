"""What 06.1 and 06.5 must return: numbers that follow from the prompts' lengths alone."""

import numpy as np

from mixlab.checks.cases.packed_prompts import NOTHING, WIDTH
from mixlab.checks.oracles import Misconception, Oracle


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
                "you return the bounds first: `return positions, bounds`.",
                lambda seen, lengths: _layout(seen, lengths)[::-1],
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
    "06.5": Oracle(
        expected=_share,
        show=lambda lengths, batch: f"padded_share({list(lengths)}, batch={batch})",
        place=lambda index: "",
        name=lambda value: f"{value:.4f}",
        examples=(([3, 5, 2], 3), ([5, 8, 1, 6, 2], 2), ([4, 4, 9], 2)),
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
                "that is rounded. Return the share as it is.",
                lambda lengths, batch: np.round(_share(lengths, batch), 2),
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
}
