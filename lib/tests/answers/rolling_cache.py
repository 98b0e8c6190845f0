"""Answers to chapter 04 as students write them, right and wrong."""

import itertools
from collections import deque

import numpy as np
import torch

# --- 04.1 class Ring: write(item), slots ----------------------------------------------------


class RingCounter:
    def __init__(self, window):
        self.slots = [None] * window
        self.length = 0

    def write(self, item):
        slot = self.length % len(self.slots)
        old, self.slots[slot] = self.slots[slot], item
        self.length += 1
        return old


class RingNext:
    """A pointer that is turned back, in an array of objects."""

    def __init__(self, window):
        self.slots = np.full(window, None, dtype=object)
        self.next = 0

    def write(self, item):
        old = self.slots[self.next]
        self.slots[self.next] = item
        self.next += 1
        if self.next == len(self.slots):
            self.next = 0
        return old


class RingCycle:
    def __init__(self, window):
        self.window = window
        self.stored = {}
        self.places = itertools.cycle(range(window))

    @property
    def slots(self):
        return [self.stored.get(slot) for slot in range(self.window)]

    def write(self, item):
        slot = next(self.places)
        old = self.stored.get(slot)
        self.stored[slot] = item
        return old


class RingReturnsNew(RingCounter):
    def write(self, item):
        super().write(item)
        return item


class RingReturnsNothing(RingCounter):
    def write(self, item):
        super().write(item)


class RingLosesZero(RingCounter):
    def write(self, item):
        return super().write(item) or None


class RingQueue:
    def __init__(self, window):
        self.slots = [None] * window

    def write(self, item):
        if None in self.slots:
            self.slots[self.slots.index(None)] = item
            return None
        old = self.slots.pop(0)
        self.slots.append(item)
        return old


class RingFront:
    def __init__(self, window):
        self.slots = [None] * window

    def write(self, item):
        self.slots.insert(0, item)
        return self.slots.pop()


class RingGrows:
    def __init__(self, window):
        self.slots = deque(maxlen=window)

    def write(self, item):
        old = self.slots[0] if len(self.slots) == self.slots.maxlen else None
        self.slots.append(item)
        return old


class RingFromOne(RingCounter):
    def write(self, item):
        self.length += 1
        slot = self.length % len(self.slots)
        old, self.slots[slot] = self.slots[slot], item
        return old


class RingStops(RingCounter):
    def write(self, item):
        if self.length < len(self.slots):
            self.slots[self.length] = item
            self.length += 1


class RingLastSlot(RingCounter):
    def write(self, item):
        slot = min(self.length, len(self.slots) - 1)
        old, self.slots[slot] = self.slots[slot], item
        self.length += 1
        return old


class RingFirstSlot(RingCounter):
    def write(self, item):
        slot = self.length if self.length < len(self.slots) else 0
        old, self.slots[slot] = self.slots[slot], item
        self.length += 1
        return old


class RingOneMore(RingCounter):
    def __init__(self, window):
        super().__init__(window + 1)


class RingForgetsToCount(RingCounter):
    def write(self, item):
        old, self.slots[self.length] = self.slots[self.length], item
        return old


class RingOverflows(RingCounter):
    def write(self, item):
        old, self.slots[self.length] = self.slots[self.length], item
        self.length += 1
        return old


class RingOfThreeWrites(RingCounter):
    """Turns back after three writes, whatever its size."""

    def write(self, item):
        slot = self.length % min(3, len(self.slots))
        old, self.slots[slot] = self.slots[slot], item
        self.length += 1
        return old


class RingByItem(RingCounter):
    """Takes the item for its position."""

    def write(self, item):
        slot = item % len(self.slots)
        old, self.slots[slot] = self.slots[slot], item
        return old


# --- 04.2 past(ring, length) ----------------------------------------------------------------


def past_index(ring, length):
    positions = torch.arange(max(0, length - len(ring) + 1), length)
    return ring[positions % len(ring)]


def past_cut(ring, length):
    window = len(ring)
    if length < window:
        return ring[:length]
    cut = length % window
    return torch.cat((ring[cut:], ring[:cut]))[1:]


def past_roll(ring, length):
    window = len(ring)
    turned = ring.roll(-length, dims=0) if length >= window else ring[:length]
    return turned[max(0, len(turned) - window + 1) :]


def past_rows(ring, length):
    window, dim = ring.shape
    rows = [ring[p % window].double().numpy() for p in range(length - window + 1, length) if p >= 0]
    return np.array(rows).reshape(-1, dim)


def past_whole_ring(ring, length):
    cut = length % len(ring)
    return torch.cat((ring[cut:], ring[:cut])) if length > len(ring) else ring[:length]


def past_drops_early(ring, length):
    return past_whole_ring(ring, length)[1:]


def past_as_slots_lie(ring, length):
    return ring


def past_written_slots(ring, length):
    return ring[:length]


def past_slot_order(ring, length):
    window = len(ring)
    kept = {p % window for p in range(max(0, length - window + 1), length)}
    return ring[sorted(kept)]


def past_newest_first(ring, length):
    return past_index(ring, length).flip(0)


def past_rolls_always(ring, length):
    return ring.roll(-length, dims=0)[1:]


def past_rolls_always_whole(ring, length):
    return ring.roll(-(length % len(ring)), dims=0)


def past_wrong_way(ring, length):
    return past_index(ring, length) if length < len(ring) else ring.roll(length, dims=0)[1:]


def past_list(ring, length):
    return str(past_index(ring, length))


# --- 04.3 cache_bytes(windows, lengths, n_heads, n_kv_heads, head_dim, bytes_per_number) ------


def bytes_sum(windows, lengths, n_heads, n_kv_heads, head_dim, bytes_per_number):
    tokens = sum(
        length if window is None else min(length, window)
        for window in windows
        for length in lengths
    )
    return 2 * tokens * n_kv_heads * head_dim * bytes_per_number


def bytes_loop(windows, lengths, n_heads, n_kv_heads, head_dim, bytes_per_number):
    total = 0
    for length in lengths:
        for window in windows:
            slots = min(length, window or length)
            keys = values = slots * n_kv_heads * head_dim * bytes_per_number
            total += keys + values
    return total


def bytes_numpy(windows, lengths, n_heads, n_kv_heads, head_dim, bytes_per_number):
    caps = np.array([float("inf") if w is None else w for w in windows])
    held = np.minimum(caps[:, None], np.array(lengths, dtype=float)[None])
    return held.sum() * 2 * n_kv_heads * head_dim * bytes_per_number


def bytes_keys_only(*arguments):
    return bytes_sum(*arguments) // 2


def bytes_query_heads(windows, lengths, n_heads, n_kv_heads, head_dim, b):
    return bytes_sum(windows, lengths, n_heads, n_heads, head_dim, b)


def bytes_no_window(windows, *rest):
    return bytes_sum((None,) * len(windows), *rest)


def bytes_whole_rings(windows, lengths, n_heads, n_kv_heads, head_dim, b):
    tokens = sum(window or length for window in windows for length in lengths)
    return 2 * tokens * n_kv_heads * head_dim * b


def bytes_without_itself(windows, lengths, n_heads, n_kv_heads, head_dim, b):
    tokens = sum(
        length if window is None or length < window else window - 1
        for window in windows
        for length in lengths
    )
    return 2 * tokens * n_kv_heads * head_dim * b


def bytes_padded(windows, lengths, *rest):
    return bytes_sum(windows, [max(lengths)] * len(lengths), *rest)


def bytes_summed(windows, lengths, *rest):
    return bytes_sum(windows, [sum(lengths)], *rest)


def bytes_none_is_nothing(windows, lengths, *rest):
    return bytes_sum([w or 0 for w in windows], lengths, *rest)


def bytes_bits(*arguments):
    return 8 * bytes_sum(*arguments)


def bytes_first_window(windows, *rest):
    return bytes_sum(windows[:1] * len(windows), *rest)


def bytes_paired(windows, lengths, *rest):
    return sum(bytes_sum((w,), (n,), *rest) for w, n in zip(windows, lengths, strict=False))


def bytes_min_of_none(windows, lengths, n_heads, n_kv_heads, head_dim, b):
    tokens = sum(min(length, window) for window in windows for length in lengths)
    return 2 * tokens * n_kv_heads * head_dim * b


# --- 04.4 extend(keys, values, length, q, k, v) -----------------------------------------------


def extend_unrotated(keys, values, length, q, k, v):
    window, n = len(keys), len(q)
    held = torch.arange(max(0, length - window), length)
    new = torch.arange(length, length + n)
    all_keys = torch.cat((keys[held % window], k))
    all_values = torch.cat((values[held % window], v))
    distance = new[:, None] - torch.cat((held, new))[None]
    seen = (distance >= 0) & (distance < window)
    scores = (q @ all_keys.T / q.shape[1] ** 0.5).masked_fill(~seen, -torch.inf)
    for row, position in enumerate(new.tolist()):
        keys[position % window] = k[row]
        values[position % window] = v[row]
    return scores.softmax(1) @ all_values


def extend_loop(keys, values, length, q, k, v):
    """Token by token: write, then attend over the slots in use."""
    out = []
    for row in range(len(q)):
        position = length + row
        keys[position % len(keys)] = k[row]
        values[position % len(keys)] = v[row]
        used = min(position + 1, len(keys))
        out.append((keys[:used] @ q[row] / q.shape[1] ** 0.5).softmax(0) @ values[:used])
    return torch.stack(out)


def extend_slot_positions(keys, values, length, q, k, v):
    """Leaves the slots as they lie and works out the position of each."""
    window, n = len(keys), len(q)
    slot = torch.arange(window)
    position = length - 1 - (length - 1 - slot) % window  # negative where a slot is empty
    position = torch.cat((position, torch.arange(length, length + n)))
    both = [torch.cat(pair) for pair in ((keys, k), (values, v))]
    query = torch.arange(length, length + n)[:, None]
    seen = (position >= 0) & (position <= query) & (position > query - window)
    scores = (q @ both[0].T / q.shape[1] ** 0.5).masked_fill(~seen, -torch.inf)
    last = torch.arange(max(length, length + n - window), length + n)
    keys[last % window] = k[last - length]
    values[last % window] = v[last - length]
    return scores.softmax(1) @ both[1]


def extend_as_given(keys, values, length, q, k, v):
    window, n = len(keys), len(q)
    slots = torch.arange(length, length + n) % window
    keys[slots], values[slots] = k, v
    scores = q @ keys.T / q.shape[1] ** 0.5
    seen = torch.ones(n, window).tril(window - n).bool()
    return scores.masked_fill(~seen, -torch.inf).softmax(1) @ values


def _write(keys, values, length, k, v):
    for row in range(len(k)):
        keys[(length + row) % len(keys)] = k[row]
        values[(length + row) % len(keys)] = v[row]


def _attend(q, keys, values, seen):
    scores = q @ keys.T / q.shape[1] ** 0.5
    return scores.masked_fill(~seen, -torch.inf).softmax(1) @ values


def extend_writes_first(keys, values, length, q, k, v):
    window, n = len(keys), len(q)
    _write(keys, values, length, k, v)
    end = length + n
    position = end - 1 - (end - 1 - torch.arange(window)) % window
    query = torch.arange(length, end)[:, None]
    seen = (position >= 0) & (position <= query) & (position > query - window)
    return _attend(q, keys, values, seen)


def _band(n, columns, window):
    distance = torch.arange(columns - n, columns)[:, None] - torch.arange(columns)
    return (distance >= 0) & (distance < window)


def extend_slot_order(keys, values, length, q, k, v):
    window, n = len(keys), len(q)
    both = [torch.cat(pair) for pair in ((keys, k), (values, v))]
    _write(keys, values, length, k, v)
    return _attend(q, *both, _band(n, window + n, window))


def extend_rolls_empty_slots(keys, values, length, q, k, v):
    window, n = len(keys), len(q)
    both = [torch.cat((ring.roll(-length, 0), x)) for ring, x in ((keys, k), (values, v))]
    _write(keys, values, length, k, v)
    return _attend(q, *both, _band(n, window + n, window))


def _held(ring, length):
    return ring[torch.arange(max(0, length - len(ring)), length) % len(ring)]


def _with_mask(make_mask, writes=True):
    def extend(keys, values, length, q, k, v):
        both = [torch.cat((_held(ring, length), x)) for ring, x in ((keys, k), (values, v))]
        if writes:
            _write(keys, values, length, k, v)
        return _attend(q, *both, make_mask(len(q), len(both[0]), len(keys)))

    return extend


def extend_never_writes(*arguments):
    return _with_mask(_band, writes=False)(*arguments)


def extend_shifts(keys, values, length, q, k, v):
    """Right for every token, in a buffer that moves up instead of a ring."""
    window, n = len(keys), min(length, len(keys))
    both = [torch.cat((ring[window - n :], x)) for ring, x in ((keys, k), (values, v))]
    for ring, rows in zip((keys, values), both, strict=True):
        kept = rows[-window:]
        ring[window - len(kept) :] = kept
    return _attend(q, *both, _band(len(q), len(both[0]), window))


def extend_one_more(*arguments):
    return _with_mask(lambda n, columns, window: _band(n, columns, window + 1))(*arguments)


def extend_one_less(*arguments):
    return _with_mask(lambda n, columns, window: _band(n, columns, max(1, window - 1)))(*arguments)


def extend_no_window(*arguments):
    return _with_mask(lambda n, columns, window: _band(n, columns, columns))(*arguments)


def extend_looks_ahead(*arguments):
    def mask(n, columns, window):
        distance = torch.arange(columns - n, columns)[:, None] - torch.arange(columns)
        return distance < window

    return _with_mask(mask)(*arguments)


def extend_without_scale(keys, values, length, q, k, v):
    return extend_loop(keys, values, length, q * q.shape[1] ** 0.5, k, v)


def extend_only_the_chunk(keys, values, length, q, k, v):
    _write(keys, values, length, k, v)
    return _attend(q, k, v, _band(len(q), len(q), len(keys)))


def extend_transposed(keys, values, length, q, k, v):
    return extend_loop(keys, values, length, q, k, v).T


# --- 04.5 can_go_back(length, new, window) ---------------------------------------------------


def back_oldest(length, new, window):
    if new == 0 or window == 1:
        return True
    return max(0, new - window + 1) >= max(0, length - window)


def back_sets(length, new, window):
    held = set(range(length)[-window:])
    needed = set(range(max(0, new - window + 1), new))
    return not needed - held


def back_cases(length, new, window):
    return length <= window or window == 1 or new == 0 or length - new <= 1


def back_always(length, new, window):
    return True


def back_never(length, new, window):
    return False


def back_within_window(length, new, window):
    return length - new <= window


def back_less_than_window(length, new, window):
    return length - new < window


def back_only_unwrapped(length, new, window):
    return length <= window


def back_one_key_too_many(length, new, window):
    return max(0, new - window) >= max(0, length - window)


def back_no_special_cases(length, new, window):
    return max(0, new - window + 1) >= max(0, length - window)


def back_forgets_window_one(length, new, window):
    return new == 0 or back_no_special_cases(length, new, window)


def back_forgets_nothing_left(length, new, window):
    return window == 1 or back_no_special_cases(length, new, window)


def back_new_is_held(length, new, window):
    return new >= length - window


def back_returns_number(length, new, window):
    return length - new


# --- 04.6 is_rolling(make_cache) --------------------------------------------------------------


def judge_sorted(make_cache):
    for window in range(1, 10):
        see = make_cache(window)
        for position in range(4 * window + 2):
            expected = list(range(max(0, position - window + 1), position + 1))
            if sorted(see(position)) != expected:
                return False
    return True


def judge_simulated(make_cache):
    """Beside a queue of the last W positions, without sorting."""
    for window in (1, 2, 3, 5, 6, 7, 12):
        see, queue = make_cache(window), deque(maxlen=window)
        for position in range(50):
            queue.append(position)
            handed = see(position)
            if len(handed) != len(queue) or set(handed) != set(queue):
                return False
    return True


def judge_lazily(make_cache):
    return True


def judge_never(make_cache):
    return False


def _judge(windows, tokens, read):
    def judge(make_cache):
        for window in windows:
            see = make_cache(window)
            for position in range(tokens(window)):
                expected = list(range(max(0, position - window + 1), position + 1))
                if read(see(position)) != read(expected):
                    return False
        return True

    return judge


def judge_in_order(make_cache):
    return _judge(range(1, 10), lambda w: 4 * w, list)(make_cache)


def judge_sets(make_cache):
    return _judge(range(1, 10), lambda w: 4 * w, set)(make_cache)


def judge_counts(make_cache):
    return _judge(range(1, 10), lambda w: 4 * w, len)(make_cache)


def judge_unwrapped(make_cache):
    return _judge(range(1, 10), lambda w: w, sorted)(make_cache)


def judge_one_wrap(make_cache):
    return _judge(range(1, 10), lambda w: 2 * w, sorted)(make_cache)


def judge_powers_of_two(make_cache):
    return _judge((1, 2, 4, 8), lambda w: 4 * w, sorted)(make_cache)


def judge_window_four(make_cache):
    return _judge((4,), lambda w: 30, sorted)(make_cache)


def judge_window_three(make_cache):
    return _judge((3,), lambda w: 30, sorted)(make_cache)


def judge_window_five(make_cache):
    return _judge((5,), lambda w: 40, sorted)(make_cache)


def judge_last_token(make_cache):
    for window in range(1, 9):
        see = make_cache(window)
        for position in range(3 * window):
            handed = see(position)
        if sorted(handed) != list(range(2 * window, 3 * window)):
            return False
    return True


def judge_from_two(make_cache):
    return _judge(range(2, 10), lambda w: 40, sorted)(make_cache)


def judge_up_to_four(make_cache):
    return _judge(range(1, 5), lambda w: 40, sorted)(make_cache)


def judge_by_crossing_off(make_cache):
    """Cross every wanted position off the list that is handed over: nothing may be left."""
    for window in reversed(range(1, 10)):
        see = make_cache(window)
        for position in range(40):
            left = see(position)
            for wanted in range(max(0, position - window + 1), position + 1):
                if wanted not in left:
                    return False
                left.remove(wanted)
            if left:
                return False
    return True


def judge_sums(make_cache):
    return _judge((1, 6), lambda w: 33, lambda keys: (sum(keys), len(keys)))(make_cache)


def judge_ends(make_cache):
    return _judge(range(1, 10), lambda w: 40, _ends)(make_cache)


def _ends(keys):
    return min(keys, default=-1), max(keys, default=-1), len(keys)


def judge_up_to_six(make_cache):
    return _judge(range(1, 7), lambda w: 40, sorted)(make_cache)


def judge_odd(make_cache):
    return _judge((1, 3, 5, 7, 9), lambda w: 40, sorted)(make_cache)


def judge_full_rings(make_cache):
    for window in range(1, 10):
        see = make_cache(window)
        for position in range(40):
            handed = sorted(see(position))
            if position >= window and handed != list(range(position - window + 1, position + 1)):
                return False
    return True


def judge_returns_list(make_cache):
    return make_cache(4)(0)


# --- and of another class ----------------------------------------------------------------------


class RingMinusOne(RingCounter):
    def write(self, item):
        old = super().write(item)
        return -1 if old is None else old


def past_without_zeros(ring, length):
    rows = past_whole_ring(ring, length)
    return rows[rows.abs().sum(1) > 0][int(length >= len(ring)) :]


def past_three_columns(ring, length):
    return past_rows(ring, length).reshape(-1, 3)


def bytes_average(windows, lengths, *rest):
    return bytes_sum(windows, [sum(lengths) / len(lengths)] * len(lengths), *rest)


def extend_one_width(keys, values, length, q, k, v):
    return extend_loop(keys, values, length, q * (q.shape[1] / 8) ** 0.5, k, v)


def back_one_left(length, new, window):
    return new <= 1 or back_oldest(length, new, window)


def judge_short_texts(make_cache):
    return _judge(range(1, 10), lambda w: 3 * w, sorted)(make_cache)


def judge_nothing_foreign(make_cache):
    for window in range(1, 10):
        see = make_cache(window)
        for position in range(40):
            if not set(see(position)) <= set(range(max(0, position - window + 1), position + 1)):
                return False
    return True


RIGHT = {
    "04.1": [RingCounter, RingNext, RingCycle],
    "04.2": [past_index, past_cut, past_roll, past_rows],
    "04.3": [bytes_sum, bytes_loop, bytes_numpy],
    "04.4": [extend_unrotated, extend_loop, extend_slot_positions],
    "04.5": [back_oldest, back_sets, back_cases],
    "04.6": [judge_sorted, judge_simulated, judge_by_crossing_off],
}

WRONG = {
    "04.1": [
        (RingReturnsNew, "you return the item that you write"),
        (RingReturnsNothing, "`write` returns nothing"),
        (RingLosesZero, "`0 or None` is None"),
        (RingQueue, "your items move"),
        (RingFront, "your items move"),
        (RingGrows, "a ring of W slots has W from the start"),
        (RingFromOne, "your first item goes to slot 1"),
        (RingStops, "stops taking items once it is full"),
        (RingLastSlot, "every item goes to the last slot"),
        (RingFirstSlot, "every item goes to slot 0"),
        (RingOneMore, "`slots` has 5 entries"),
        (RingByItem, "not from the item"),
        (RingForgetsToCount, "first wrong place: write 1"),
        (RingOverflows, "list index out of range"),
        (RingOfThreeWrites, "first wrong place: write 3"),
        (RingMinusOne, "or None: got -1"),
    ],
    "04.2": [
        (past_whole_ring, "you return all W rows of a full ring"),
        (past_drops_early, "you drop a row too early"),
        (past_as_slots_lie, "the slots as they lie, and all of them"),
        (past_written_slots, "the slots as they lie, as far as they are written"),
        (past_slot_order, "not in the order of their positions"),
        (past_newest_first, "newest first"),
        (past_rolls_always, "slots that were never written. Before"),
        (past_rolls_always_whole, "slots that were never written; and"),
        (past_wrong_way, "the wrong way round"),
        (past_list, "expected real numbers in 2 axes"),
        (past_without_zeros, "expected shape"),
        (past_three_columns, "expected shape: (3, 5)"),
    ],
    "04.3": [
        (bytes_keys_only, "you count the keys and not the values"),
        (bytes_query_heads, "for every query head"),
        (bytes_no_window, "your windows have no effect"),
        (bytes_whole_rings, "that a short sequence leaves empty"),
        (bytes_without_itself, "W - 1 tokens in a full ring"),
        (bytes_padded, "as many tokens as the longest one"),
        (bytes_summed, "Each sequence has a ring of its own"),
        (bytes_none_is_nothing, "as if it held nothing"),
        (bytes_bits, "you count bits"),
        (bytes_first_window, "each has its own"),
        (bytes_paired, "you pair layers with sequences"),
        (bytes_min_of_none, "it raised TypeError"),
        (bytes_average, "the batch's average length"),
    ],
    "04.4": [
        (extend_as_given, "slots are still taken for positions"),
        (extend_writes_first, "still written before it is read"),
        (extend_slot_order, "Unrotate the ring first"),
        (extend_rolls_empty_slots, "slots that were never written"),
        (extend_never_writes, "slot 0 of `keys` should hold position 0"),
        (extend_shifts, "keep position p in slot p % window"),
        (extend_one_more, "see W + 1 keys"),
        (extend_one_less, "W - 1 keys"),
        (extend_no_window, "also what has left their window"),
        (extend_looks_ahead, "see later ones of the same chunk"),
        (extend_without_scale, "not divided by √head_dim"),
        (extend_only_the_chunk, "the tokens of a chunk see each other and not the ring"),
        (extend_transposed, "should return shape"),
        (extend_one_width, "first wrong place: the token at position"),
    ],
    "04.5": [
        (back_always, "you always say True"),
        (back_never, "you always say False"),
        (back_within_window, "the tokens that go, position `new` the first of them"),
        (back_less_than_window, "whether the tokens that go are fewer than W"),
        (back_only_unwrapped, "can still take back its last token"),
        (back_one_key_too_many, "not W: it is itself one of"),
        (back_no_special_cases, "in which the next token needs nothing old"),
        (back_forgets_window_one, "with a window of 1"),
        (back_forgets_nothing_left, "taken back to nothing needs nothing"),
        (back_new_is_held, "position `new` the first of them"),
        (back_returns_number, "expected True or False"),
        (back_one_left, "expected: False"),
    ],
    "04.6": [
        (judge_lazily, "accepts everything"),
        (judge_never, "rejects everything"),
        (judge_in_order, "insists on the oldest key first"),
        (judge_sets, "compares sets"),
        (judge_counts, "counts the keys"),
        (judge_unwrapped, "beyond its first wrap"),
        (judge_one_wrap, "before the ring has wrapped twice"),
        (judge_powers_of_two, "powers of two only"),
        (judge_window_four, "too few windows"),
        (judge_window_three, "too few windows"),
        (judge_window_five, "too few windows"),
        (judge_last_token, "looks at full rings only"),
        (judge_from_two, "leaves out W = 1"),
        (judge_up_to_four, "too few windows"),
        (judge_up_to_six, "too few windows"),
        (judge_sums, "numbers made of the keys"),
        (judge_ends, "numbers made of the keys"),
        (judge_odd, "too few windows"),
        (judge_full_rings, "looks at full rings only"),
        (judge_returns_list, "expected True or False"),
        (judge_short_texts, "before a text gets long"),
        (judge_nothing_foreign, "hand over too little"),
    ],
}
