"""The masks that exercise 02.5 hands out, one right and the others wrong, as they were made.

An answer never meets these functions: their names and their code would tell it what it is to find
out. It meets tables of what they return (cases/window_masks.py). `python -m
mixlab.checks.oracles.window_masks` writes those anew.
"""

from hashlib import sha256

import numpy as np
import torch

from mixlab.checks.cases.window_masks import FILE, LONGEST


def _pairs(seq: int) -> tuple[torch.Tensor, torch.Tensor]:
    position = torch.arange(seq)
    return position[:, None], position[None, :]


def keeps_distance_below_window(seq, window):
    """keys at distance 0 to W - 1"""
    query, key = _pairs(seq)
    return (query >= key) & (query < key + window)


def keeps_one_key_more(seq, window):
    """the token itself and W earlier keys"""
    query, key = _pairs(seq)
    return (query >= key) & (query <= key + window)


def keeps_one_key_less(seq, window):
    """the token itself and W - 2 earlier keys"""
    query, key = _pairs(seq)
    return (query >= key) & (query < key + max(1, window - 1))


def looks_ahead(seq, window):
    """keys on both sides, nearer than W"""
    query, key = _pairs(seq)
    return (query - key).abs() < window


def hides_the_token_itself(seq, window):
    """the W earlier keys, without the token itself"""
    query, key = _pairs(seq)
    return (query > key) & (query <= key + window)


def forgets_the_window(seq, window):
    """every earlier key, however far"""
    query, key = _pairs(seq)
    return query >= key


def cuts_into_blocks(seq, window):
    """the earlier keys of its own block of W tokens"""
    query, key = _pairs(seq)
    return (query >= key) & (query // window == key // window)


def keeps_the_oldest(seq, window):
    """the first W keys of the sequence instead of the last W"""
    query, key = _pairs(seq)
    return (query >= key) & (key < window)


def rounds_the_window_up_to_odd(seq, window):
    """W keys where W is odd and W + 1 where it is even"""
    return keeps_distance_below_window(seq, window // 2 * 2 + 1)


def rounds_the_window_up_to_even(seq, window):
    """W keys where W is even and W + 1 where it is odd"""
    return keeps_distance_below_window(seq, (window + 1) // 2 * 2)


def rounds_the_window_up_to_a_power_of_two(seq, window):
    """W keys where W is a power of two, and more, up to the next one, where it isn't"""
    return keeps_distance_below_window(seq, 1 << (window - 1).bit_length())


def never_more_than_four(seq, window):
    """at most four keys, even where W is larger"""
    return keeps_distance_below_window(seq, min(window, 4))


def swaps_queries_and_keys(seq, window):
    """rows and columns swapped"""
    return keeps_distance_below_window(seq, window).T


def loses_the_first_key_at_the_full_length(seq, window):
    """W keys, and W - 1 where W is the text's length"""
    return keeps_distance_below_window(seq, max(1, window - (window == seq)))


def loses_the_first_key_in_a_short_text(seq, window):
    """W keys, and not the first one for the last token where W is longer than the text"""
    return keeps_distance_below_window(seq, max(1, seq - 1) if window > seq else window)


def one_more_in_a_text_of_five(seq, window):
    """W keys, and W + 1 where the text has five tokens"""
    return keeps_distance_below_window(seq, window + (seq == 5))


def one_more_from_the_seventh_query_on(seq, window):
    """W keys for the first six queries, W + 1 for the others"""
    late = torch.arange(seq)[:, None] >= 6
    return torch.where(
        late, keeps_one_key_more(seq, window), keeps_distance_below_window(seq, window)
    )


def one_less_at_window_five(seq, window):
    """W keys, and four where W is five"""
    return keeps_distance_below_window(seq, window - (window == 5))


def one_query_of_one_size(seq, window):
    """W keys, but for one query at one length and one window"""
    mask = keeps_distance_below_window(seq, window)
    if (seq, window) == (7, 3):
        mask[4, 2] = False
    return mask


MASKS = (
    keeps_distance_below_window,
    keeps_one_key_more,
    keeps_one_key_less,
    looks_ahead,
    hides_the_token_itself,
    forgets_the_window,
    cuts_into_blocks,
    keeps_the_oldest,
    rounds_the_window_up_to_odd,
    rounds_the_window_up_to_even,
    rounds_the_window_up_to_a_power_of_two,
    never_more_than_four,
    swaps_queries_and_keys,
    loses_the_first_key_at_the_full_length,
    loses_the_first_key_in_a_short_text,
    one_more_in_a_text_of_five,
    one_more_from_the_seventh_query_on,
    one_less_at_window_five,
    one_query_of_one_size,
)


def described(make_mask) -> str:
    """What a mask shows, in words; for messages."""
    sizes = [(seq, window) for seq in (5, 7, 9) for window in range(1, 11)]
    for known in MASKS:
        if all(torch.equal(make_mask(*size), known(*size)) for size in sizes):
            return known.__doc__
    raise ValueError("this mask is none of those that exercise 02.5 hands out")


def tables() -> np.ndarray:
    """What every mask shows: (mask, first key and one past the last, seq, query, window - 1).

    Every row of every mask is one run of keys. The masks stand in an order that says nothing.
    """
    found = np.zeros((len(MASKS), 2, LONGEST + 1, LONGEST, LONGEST + 1), dtype=np.uint8)
    for (first, end), make_mask in zip(found, MASKS, strict=True):
        for seq in range(1, LONGEST + 1):
            for window in range(1, LONGEST + 2):
                shown = make_mask(seq, window).numpy()
                n_keys = shown.sum(axis=1)
                first[seq, :seq, window - 1] = np.where(n_keys, shown.argmax(axis=1), 0)
                end[seq, :seq, window - 1] = first[seq, :seq, window - 1] + n_keys
    return np.stack(sorted(found, key=lambda table: sha256(table.tobytes()).digest()))


if __name__ == "__main__":
    np.savez_compressed(FILE, tables=tables())
