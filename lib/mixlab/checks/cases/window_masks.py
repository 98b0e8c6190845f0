"""The masks that exercise 02.5 hands to an answer: right ones, written three ways, and wrong ones.

They stand apart from the other cases because the right ones answer exercise 02.1: a grader leaves
this file out where they would help.
"""

import torch


def _pairs(seq: int) -> tuple[torch.Tensor, torch.Tensor]:
    position = torch.arange(seq)
    return position[:, None], position[None, :]


def keeps_distance_below_window(seq, window):
    """keys at distance 0 to W - 1"""
    query, key = _pairs(seq)
    return (query >= key) & (query < key + window)


def subtracts_two_triangles(seq, window):
    """keys at distance 0 to W - 1, as one triangle less another"""
    ones = torch.ones(seq, seq, dtype=torch.bool)
    return ones.tril() & ~ones.tril(-window)


def loops_over_rows(seq, window):
    """keys at distance 0 to W - 1, row by row"""
    mask = torch.zeros(seq, seq, dtype=torch.bool)
    for row in range(seq):
        mask[row, max(0, row - window + 1) : row + 1] = True
    return mask


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


def never_more_than_four(seq, window):
    """at most four keys, even where W is larger"""
    return keeps_distance_below_window(seq, min(window, 4))


def swaps_queries_and_keys(seq, window):
    """rows and columns swapped"""
    return keeps_distance_below_window(seq, window).T


MASKS = (
    keeps_distance_below_window,
    subtracts_two_triangles,
    loops_over_rows,
    keeps_one_key_more,
    keeps_one_key_less,
    looks_ahead,
    hides_the_token_itself,
    forgets_the_window,
    cuts_into_blocks,
    keeps_the_oldest,
    rounds_the_window_up_to_odd,
    rounds_the_window_up_to_even,
    never_more_than_four,
    swaps_queries_and_keys,
)


def described(mask) -> str:
    """What an anonymous mask, or one of MASKS, shows, in words; for messages."""
    body = (mask.__code__.co_code, mask.__code__.co_consts[1:], mask.__code__.co_names)
    for known in MASKS:
        code = known.__code__
        if body == (code.co_code, code.co_consts[1:], code.co_names):
            return known.__doc__
    raise ValueError("this mask is none of those that exercise 02.5 hands out")
