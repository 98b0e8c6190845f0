"""The caches that exercise 04.6 hands to an answer: right ones, written three ways, and wrong ones.

Each maker takes a window and returns a function. Called with the positions 0, 1, 2, … in order, it
takes a token in and returns the positions whose keys this token's query is handed. An answer gets
what they return as a table: nothing else tells a right one from a wrong one. The file stands apart
from the other cases because the right ones answer exercise 04.1.
"""

from collections import deque
from collections.abc import Callable
from functools import cache

WIDEST = 16  # window
LONGEST = 100  # tokens


@cache
def _table(make_cache: Callable) -> list[list[tuple[int, ...]]]:
    """What a cache hands over, by window and position."""
    rows = []
    for window in range(1, WIDEST + 1):
        see = make_cache(window)
        rows.append([tuple(see(position)) for position in range(LONGEST)])
    return rows


def recorded(make_cache: Callable) -> Callable:
    """A maker that does the same, and is the same code for every cache.

    >>> see = recorded(slots_by_position)(2)
    >>> [see(position) for position in range(3)]
    [[0], [0, 1], [2, 1]]
    """
    table = _table(make_cache)

    def make(window):
        if not 1 <= window <= WIDEST:
            raise ValueError(f"these caches are made for windows 1 to {WIDEST}: got {window}")

        def see(position):
            if not 0 <= position < LONGEST:
                raise ValueError(f"these caches take positions 0 to {LONGEST - 1}: got {position}")
            return list(table[window - 1][position])

        return see

    return make


def slots_by_position(window):
    """slot p % W, read as the slots lie"""
    slots = {}

    def see(position):
        slots[position % window] = position
        return list(slots.values())

    return see


def drops_the_oldest(window):
    """a queue of W positions, oldest first"""
    queue = deque(maxlen=window)

    def see(position):
        queue.append(position)
        return list(queue)

    return see


def newest_first(window):
    """the last W positions, newest first"""
    return lambda position: list(range(position, max(-1, position - window), -1))


def one_slot_more(window):
    """W + 1 slots"""
    return slots_by_position(window + 1)


def one_slot_less(window):
    """W - 1 slots, and one where W is 1"""
    return slots_by_position(max(1, window - 1))


def attends_before_writing(window):
    """what the ring held before the token was written"""
    write = slots_by_position(window)
    held = []

    def see(position):
        before, held[:] = list(held), write(position)
        return before

    return see


def never_overwrites(window):
    """the first W - 1 positions for good, and each token itself"""
    return lambda position: [*range(min(position, window - 1)), position]


def starts_anew_at_the_wrap(window):
    """nothing from before the last time that slot 0 was written"""
    return lambda position: list(range(position - position % window, position + 1))


def reads_empty_slots(window):
    """all W slots, those that are still empty as position 0"""
    slots = [0] * window

    def see(position):
        slots[position % window] = position
        return list(slots)

    return see


def newest_twice(window):
    """the right keys, and the newest of them twice once the ring is full"""
    see_right = newest_first(window)
    return lambda position: see_right(position) + [position] * (position >= window - 1)


def alone_until_full(window):
    """each token alone until the ring is full"""
    see_right = newest_first(window)
    return lambda position: see_right(position) if position >= window - 1 else [position]


def masks_bits(window):
    """slot p & (W - 1), which is p % W where W is a power of two"""
    slots = {}

    def see(position):
        slots[position & (window - 1)] = position
        return list(slots.values())

    return see


def wraps_once(window):
    """right until the ring wraps for the second time, then always the last slot"""
    slots = {}

    def see(position):
        slots[position if position < window else min(position - window, window - 1)] = position
        return list(slots.values())

    return see


def counts_to_32(window):
    """slot p % W, with a p that starts anew after 32 tokens"""
    slots = {}

    def see(position):
        slots[position % 32 % window] = position
        return list(slots.values())

    return see


def never_more_than_four(window):
    """at most four slots"""
    return slots_by_position(min(window, 4))


def at_least_two_slots(window):
    """W slots, and two where W is 1"""
    return slots_by_position(max(2, window))


def an_even_number_of_slots(window):
    """W slots where W is even and W + 1 where it is odd"""
    return slots_by_position((window + 1) // 2 * 2)


def an_odd_number_of_slots(window):
    """W slots where W is odd and W + 1 where it is even"""
    return slots_by_position(window // 2 * 2 + 1)


def never_forgets(window):
    """every position so far"""
    return lambda position: list(range(position + 1))


def middle_three_times(window):
    """the right number of keys, the middle one three times instead of it and its neighbours"""
    see_right = newest_first(window)

    def see(position):
        handed = see_right(position)
        middle = len(handed) // 2
        if len(handed) >= 5:
            handed[middle - 1 : middle + 2] = [handed[middle]] * 3
        return handed

    return see


def one_too_old_at_seven(window):
    """the right keys, but where W is 7 the oldest from one position further back"""
    see_right = newest_first(window)

    def see(position):
        handed = see_right(position)
        if window == 7 and position >= 7:
            handed[-1] -= 1
        return handed

    return see


def one_too_few_at_three(window):
    """the right keys, but where W is 3 a full ring hands over two"""
    see_right = newest_first(window)
    return lambda position: see_right(position)[: 2 if window == 3 else None]


CACHES = (
    slots_by_position,
    drops_the_oldest,
    newest_first,
    one_slot_more,
    one_slot_less,
    attends_before_writing,
    never_overwrites,
    starts_anew_at_the_wrap,
    reads_empty_slots,
    newest_twice,
    alone_until_full,
    masks_bits,
    wraps_once,
    counts_to_32,
    never_more_than_four,
    at_least_two_slots,
    an_even_number_of_slots,
    an_odd_number_of_slots,
    never_forgets,
    middle_three_times,
    one_too_old_at_seven,
    one_too_few_at_three,
)
