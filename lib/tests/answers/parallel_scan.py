"""Answers to chapter 17 as students write them, right and wrong."""

import math
from collections import deque
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import torch

# --- 17.1 combine(earlier, later): h ↦ min(c, h + b) ---------------------------------------


def brim_least_of_three(earlier, later):
    (b0, c0), (b1, c1) = earlier, later
    return b0 + b1, min(c1, c0 + b1)


def brim_by_index(earlier, later):
    """The later minute, applied to the earlier one's brim."""
    return [earlier[0] + later[0], min(later[1], earlier[1] + later[0])]


def brim_clipped(earlier, later):
    """Another pair for the same bucket: more rain than fits under the brim makes no difference."""
    brim = np.minimum(later[1], earlier[1] + later[0])
    return np.minimum(earlier[0] + later[0], brim), brim


def brim_tensor(earlier, later):
    b0, c0, b1, c1 = (torch.tensor(float(n)) for n in (*earlier, *later))
    return b0 + b1, torch.minimum(c1, c0 + b1)


def brim_lower_one(earlier, later):
    return earlier[0] + later[0], min(earlier[1], later[1])


def brim_swapped(earlier, later):
    return brim_least_of_three(later, earlier)


def brim_later_only(earlier, later):
    return earlier[0] + later[0], later[1]


def brim_no_later(earlier, later):
    return earlier[0] + later[0], earlier[1] + later[0]


def brim_later_rain(earlier, later):
    return later[0], min(later[1], earlier[1] + later[0])


def brim_sum(earlier, later):
    return earlier[0] + later[0], earlier[1] + later[1]


def brim_max(earlier, later):
    return earlier[0] + later[0], max(later[1], earlier[1] + later[0])


def brim_affine(earlier, later):
    (a0, b0), (a1, b1) = earlier, later
    return a1 * a0, a1 * b0 + b1


def brim_one_number(earlier, later):
    return min(later[1], earlier[1] + later[0])


def brim_both_clip(earlier, later):
    (b0, c0), (b1, c1) = earlier, later
    return min(b0, c0) + min(b1, c1), min(c1, c0 + min(b1, c1)) - 1


# --- 17.2 hillis_steele(operator, items) ---------------------------------------------------


def doubling_new_list(operator, items):
    reach = 1
    while reach < len(items):
        items = [
            operator(items[t - reach], items[t]) if t >= reach else items[t]
            for t in range(len(items))
        ]
        reach *= 2
    return items


def doubling_backwards(operator, items):
    """In place, but from the end: whoever is read has not been written yet."""
    reach = 1
    while reach < len(items):
        for t in range(len(items) - 1, reach - 1, -1):
            items[t] = operator(items[t - reach], items[t])
        reach *= 2
    return items


def doubling_slices(operator, items):
    items, reach = tuple(items), 1
    while reach < len(items):
        items = items[:reach] + tuple(map(operator, items, items[reach:]))
        reach += reach
    return items


def doubling_halves(operator, items):
    """Sklansky's: scan both halves, then put the first half's last prefix before the second."""
    if len(items) == 1:
        return items
    middle = 2 ** math.ceil(math.log2(len(items))) // 2
    first = doubling_halves(operator, items[:middle])
    second = doubling_halves(operator, items[middle:])
    return first + [operator(first[-1], x) for x in second]


def doubling_as_given(operator, items):
    reach = 1
    while reach < len(items):
        for t in range(reach, len(items)):
            items[t] = operator(items[t], items[t - reach])
        reach *= 2
    return items


def doubling_order_mended(operator, items):
    reach = 1
    while reach < len(items):
        for t in range(reach, len(items)):
            items[t] = operator(items[t - reach], items[t])
        reach *= 2
    return items


def doubling_only_copied(operator, items):
    reach = 1
    while reach < len(items):
        old = list(items)
        for t in range(reach, len(items)):
            items[t] = operator(old[t], old[t - reach])
        reach *= 2
    return items


def doubling_copied_once(operator, items):
    """One copy before all rounds: every round reads the items as they came."""
    old, reach = list(items), 1
    while reach < len(items):
        for t in range(reach, len(items)):
            items[t] = operator(old[t - reach], old[t])
        reach *= 2
    return items


def doubling_accumulate(operator, items):
    return list(accumulate(items, operator))


def doubling_plus_one(operator, items):
    reach = 1
    while reach < len(items):
        items = doubling_slices_once(operator, items, reach)
        reach += 1
    return items


def doubling_slices_once(operator, items, reach):
    return items[:reach] + list(map(operator, items, items[reach:]))


def doubling_one_round_less(operator, items):
    reach = 1
    while 2 * reach < len(items):
        items = doubling_slices_once(operator, items, reach)
        reach *= 2
    return items


def doubling_one_round(operator, items):
    return doubling_slices_once(operator, items, 1)


def doubling_drops_the_start(operator, items):
    reach = 1
    while reach < len(items):
        items = list(map(operator, items, items[reach:]))
        reach *= 2
    return items


def doubling_last_only(operator, items):
    return doubling_new_list(operator, items)[-1]


def doubling_adds(operator, items):
    return [a + b for a, b in pairwise(items)]


def doubling_library(operator, items):
    from mixlab.ssm.scan import scan

    return scan(operator, items, "hillis_steele")


# --- 17.3 blelloch(operator, items) --------------------------------------------------------


def tree_recursive(operator, items):
    if len(items) == 1:
        return items
    pairs = [operator(x, y) for x, y in zip(items[0::2], items[1::2], strict=False)]
    at_odd = tree_recursive(operator, pairs)
    out = []
    for t, item in enumerate(items):
        if t % 2:
            out.append(at_odd[t // 2])
        else:
            out.append(operator(out[-1], item) if t else item)
    return out


def tree_sweeps(operator, items):
    """In place, up and down, for any length."""
    length, step = len(items), 1
    while step < length:
        for t in range(2 * step - 1, length, 2 * step):
            items[t] = operator(items[t - step], items[t])
        step *= 2
    while step > 1:
        step //= 2
        for t in range(3 * step - 1, length, 2 * step):
            items[t] = operator(items[t - step], items[t])
    return items


def tree_exclusive(operator, items):
    """Blelloch's own: padded to a power of two, None for nothing, prefixes without oneself."""

    def join(x, y):
        return y if x is None else x if y is None else operator(x, y)

    size = 1
    while size < len(items):
        size *= 2
    tree, step = [*items, *[None] * (size - len(items))], 1
    while step < size:
        for t in range(2 * step - 1, size, 2 * step):
            tree[t] = join(tree[t - step], tree[t])
        step *= 2
    total, tree[-1] = tree[-1], None
    while step > 1:
        step //= 2
        for t in range(2 * step - 1, size, 2 * step):
            tree[t - step], tree[t] = tree[t], join(tree[t], tree[t - step])
    return [*tree[1 : len(items)], total] if size == len(items) else tree[1 : len(items) + 1]


def tree_swapped(operator, items):
    return tree_recursive(lambda x, y: operator(y, x), items)


def tree_up_swapped(operator, items):
    if len(items) == 1:
        return items
    pairs = [operator(y, x) for x, y in zip(items[0::2], items[1::2], strict=False)]
    at_odd = tree_up_swapped(operator, pairs)
    return _fill(operator, items, at_odd)


def _fill(operator, items, at_odd):
    out = []
    for t, item in enumerate(items):
        out.append(at_odd[t // 2] if t % 2 else operator(out[-1], item) if t else item)
    return out


def tree_down_swapped(operator, items):
    if len(items) == 1:
        return items
    pairs = [operator(x, y) for x, y in zip(items[0::2], items[1::2], strict=False)]
    at_odd = tree_down_swapped(operator, pairs)
    return _fill(lambda x, y: operator(y, x), items, at_odd)


def tree_forgets_the_odd_one(operator, items):
    if len(items) == 1:
        return items
    pairs = [operator(x, y) for x, y in zip(items[0::2], items[1::2], strict=False)]
    out = _fill(operator, items, tree_forgets_the_odd_one(operator, pairs))
    return out[:-1] + items[-1:] if len(items) % 2 else out


def tree_even_lengths_only(operator, items):
    if len(items) == 1:
        return items
    pairs = [operator(items[t], items[t + 1]) for t in range(0, len(items), 2)]
    return _fill(operator, items, tree_even_lengths_only(operator, pairs))


def tree_only_up(operator, items):
    length, step = len(items), 1
    while step < length:
        for t in range(2 * step - 1, length, 2 * step):
            items[t] = operator(items[t - step], items[t])
        step *= 2
    return items


def tree_drops_the_odd_one(operator, items):
    return tree_recursive(operator, items[: len(items) // 2 * 2] or items)


def tree_returns_nothing(operator, items):
    tree_sweeps(operator, items)


# --- 17.4 is_scan(scan) --------------------------------------------------------------------


def tests_separated_texts(scan):
    for length in range(1, 41):
        items = [str(t) for t in range(length)]
        if scan("{}-{}".format, items) != ["-".join(items[: t + 1]) for t in range(length)]:
            return False
    return True


def tests_buckets(scan):
    """Pairs of the leaky bucket, whole numbers, against a loop."""

    def then(earlier, later):
        return later[0] * earlier[0], later[0] * earlier[1] + later[1]

    rng = np.random.default_rng(5)
    for length in range(40, 0, -1):
        pairs = [(int(a), int(b)) for a, b in rng.integers(2, 99, (length, 2))]
        if list(scan(then, pairs)) != list(accumulate(pairs, then)):
            return False
    return True


def tests_lists(scan):
    """Returns a tensor of one truth value."""
    right = [
        all(
            list(got) == list(range(place + 1))
            for place, got in enumerate(scan(lambda x, y: [*x, *y], [[t] for t in range(length)]))
        )
        and len(scan(lambda x, y: y, list(range(length)))) == length
        for length in range(1, 41)
    ]
    return torch.tensor(right).all()


def _tests(operator, make, lengths=range(1, 41)):
    def is_scan(scan):
        for length in lengths:
            items = [make(t) for t in range(length)]
            if scan(operator, items) != list(accumulate(items, operator)):
                return False
        return True

    return is_scan


def _plus(x, y):
    return x + y


def tests_sums(scan):
    rng = np.random.default_rng(0)
    return _tests(_plus, lambda t: int(rng.integers(0, 100)))(scan)


def tests_products(scan):
    return _tests(lambda x, y: x * y, lambda t: t + 2)(scan)


def tests_differences(scan):
    return _tests(lambda x, y: x - y, lambda t: t + 1)(scan)


def tests_floats_exactly(scan):
    rng = np.random.default_rng(0)
    return _tests(_plus, lambda t: float(rng.standard_normal()))(scan)


def tests_the_lessons_numbers(scan):
    return scan(_plus, [3, 1, 4, 1, 5, 9, 2, 6]) == [3, 4, 8, 9, 14, 23, 25, 31]


def tests_one_word(scan):
    return _tests(_plus, lambda t: "parallel"[t], [8])(scan)


def tests_powers_of_two(scan):
    return _tests(_plus, lambda t: chr(97 + t), [1, 2, 4, 8, 16, 32])(scan)


def tests_short_lists(scan):
    return _tests(_plus, lambda t: chr(97 + t), range(1, 17))(scan)


def tests_downwards(scan):
    """Every place's list of the places that it took, the longest list of items first."""
    for n in range(40, 0, -1):
        got = scan(lambda x, y: x + y, [(t,) for t in range(n)])
        if len(got) != n or any(one != tuple(range(t + 1)) for t, one in enumerate(got)):
            return False
    return True


def tests_three_lengths(scan):
    return _tests(_plus, lambda t: chr(97 + t), [1, 2, 33])(scan)


def tests_around_powers_of_two(scan):
    return _tests(_plus, lambda t: chr(97 + t), [1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 40])(scan)


def tests_from_two_up(scan):
    return _tests(_plus, lambda t: chr(97 + t), range(2, 41))(scan)


def tests_the_last(scan):
    return all(
        scan(_plus, [chr(97 + t) for t in range(n)])[-1] == "".join(chr(97 + t) for t in range(n))
        for n in range(1, 41)
    )


def tests_with_zip(scan):
    for n in range(1, 41):
        letters = [chr(97 + t) for t in range(n)]
        for got, wanted in zip(scan(_plus, letters), accumulate(letters), strict=False):
            if got != wanted:
                return False
    return True


def accepts_all(scan):
    return True


def rejects_all(scan):
    return False


def returns_what_the_scan_returns(scan):
    return scan(_plus, list("abc"))


# --- 17.5 costs(length) --------------------------------------------------------------------


def costs_recursive(length):
    work, rounds, reach = 0, 0, 1
    while reach < length:
        work, rounds, reach = work + length - reach, rounds + 1, 2 * reach

    def tree(n):
        if n == 1:
            return 0, 0
        inner_work, inner_depth = tree(n // 2)
        down = (n + 1) // 2 - 1
        return n // 2 + inner_work + down, 1 + inner_depth + (down > 0)

    return work, rounds, *tree(length)


def costs_closed(length):
    rounds = math.ceil(math.log2(length))
    work = 0
    depth = 0
    n = length
    while n > 1:
        work += n - 1
        depth += 1 if n == 2 else 2
        n //= 2
    return [length * rounds - 2**rounds + 1, rounds, work, depth]


def costs_floats(length):
    return torch.tensor([float(n) for n in costs_recursive(length)], dtype=torch.float64)


def _but(index, function):
    def answer(length):
        costs = list(costs_recursive(length))
        for at, make in zip(index, function, strict=True):
            costs[at] = make(length)
        return costs

    return answer


def _ceil(length):
    return math.ceil(math.log2(length))


def _floor(length):
    return math.floor(math.log2(length))


def costs_everybody_works(length):
    return _but([0], [lambda n: n * _ceil(n)])(length)


def costs_rounded_down(length):
    return _but([0, 1], [lambda n: n * _floor(n) - 2 ** _floor(n) + 1, _floor])(length)


def costs_doubling_of_powers(length):
    return _but([0], [lambda n: n * _ceil(n) - n + 1])(length)


def costs_tree_of_powers(length):
    both = [lambda n: 2 * n - _floor(n) - 2, lambda n: max(0, 2 * _floor(n) - 1)]
    return _but([2, 3], both)(length)


def costs_tree_of_powers_above(length):
    both = [lambda n: max(0, 2 * n - _ceil(n) - 2), lambda n: max(0, 2 * _ceil(n) - 1)]
    return _but([2, 3], both)(length)


def costs_only_up(length):
    return _but([2, 3], [lambda n: n - bin(n).count("1"), _floor])(length)


def costs_a_round_for_nothing(length):
    return _but([3], [lambda n: 2 * _floor(n)])(length)


def costs_fills_place_zero(length):
    def work(n):
        return 0 if n == 1 else n // 2 + work(n // 2) + (n + 1) // 2

    return _but([2], [work])(length)


def costs_lists_the_formulas(length):
    k = math.log2(length)
    return length * k - length + 1, k, 2 * length - k - 2, 2 * k - 1


def costs_two_numbers(length):
    return costs_recursive(length)[:2]


# --- 17.6 scan_backward(a, h, above, state) ------------------------------------------------


def back_loop(a, h, above, state):
    g, following = [0] * len(a), 0
    for t in reversed(range(len(a))):
        g[t] = above[t] + following
        following = a[t] * g[t]
    return _from(g, a, h, state)


def _from(g, a, h, state):
    return [x * y for x, y in zip(g, [state, *h[:-1]], strict=True)], g, a[0] * g[0]


def back_uses_up(a, h, above, state):
    """Takes its lists apart, from the end; hands whole numbers over as ints."""
    to_a, g, following = deque(), deque(), 0
    while a:
        g.appendleft(above.pop() + following)
        h.pop()
        to_a.appendleft(g[0] * (h[-1] if h else state))
        following = a.pop() * g[0]
    return [
        [int(x) if x.denominator == 1 else x for x in to_a],
        tuple(int(x) if x.denominator == 1 else x for x in g),
        following,
    ]


def back_scan(a, h, above, state):
    """As a scan of pairs from the end, by doubling."""
    pairs = list(zip([*a[1:], 0], above, strict=True))[::-1]
    reach = 1
    while reach < len(a):
        two = zip(pairs, pairs[reach:], strict=False)
        joined = [(x[0] * y[0], y[0] * x[1] + y[1]) for x, y in two]
        pairs, reach = pairs[:reach] + joined, 2 * reach
    return _from([g for _, g in reversed(pairs)], a, h, state)


def back_over_paths(a, h, above, state):
    """Of every later level: what is kept until then."""
    g = [
        sum(above[t] * math.prod(a[s + 1 : t + 1], start=Fraction(1)) for t in range(s, len(a)))
        for s in range(len(a))
    ]
    return _from(g, a, h, state)


def back_numpy(a, h, above, state):
    """In arrays of objects, whole rows at a time; the state's gradient as an array of one."""
    a, h, above = (np.array(row, dtype=object) for row in (a, h, above))
    g, carried = above.copy(), above.copy()
    for _ in range(len(a)):
        carried = np.append(a[1:] * carried[1:], Fraction(0))
        g = g + carried
    return g * np.append(state, h[:-1]), g, a[:1] * g[:1]


def back_one_litre_more(a, h, above, state):
    """The loss is a straight line in each number alone, so one more of it says its slope."""

    def loss(a, b, level):
        total = 0
        for a_t, b_t, above_t in zip(a, b, above, strict=True):
            level = a_t * level + b_t
            total += above_t * level
        return total

    def more(row, t):
        return [*row[:t], row[t] + 1, *row[t + 1 :]]

    b = [h_t - a_t * p for h_t, a_t, p in zip(h, a, [state, *h[:-1]], strict=True)]
    base, places = loss(a, b, state), range(len(a))
    return (
        [loss(more(a, t), b, state) - base for t in places],
        [loss(a, more(b, t), state) - base for t in places],
        loss(a, b, state + 1) - base,
    )


def back_above_only(a, h, above, state):
    return _from(above, a, h, state)


def back_same_factor(a, h, above, state):
    g = list(above)
    for t in reversed(range(len(a) - 1)):
        g[t] += a[t] * g[t + 1]
    return _from(g, a, h, state)


def back_forwards(a, h, above, state):
    g = list(above)
    for t in range(1, len(a)):
        g[t] += a[t] * g[t - 1]
    return _from(g, a, h, state)


def back_own_level(a, h, above, state):
    _, g, to_state = back_loop(a, h, above, state)
    return [x * y for x, y in zip(g, h, strict=True)], g, to_state


def back_no_state(a, h, above, state):
    _, g, to_state = back_loop(a, h, above, state)
    return _from(g, a, h, Fraction(0))[0], g, to_state


def back_state_without_factor(a, h, above, state):
    to_a, g, _ = back_loop(a, h, above, state)
    return to_a, g, g[0]


def back_exchanged(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return g, to_a, to_state


def back_two(a, h, above, state):
    return back_loop(a, h, above, state)[:2]


def back_one_too_few(a, h, above, state):
    """Without the last token, whose g is `above`."""
    to_a, g, to_state = back_loop(a, h, above, state)
    return to_a, g[:-1], to_state


def back_a_state_each(a, h, above, state):
    to_a, g, _ = back_loop(a, h, above, state)
    return to_a, g, [x * y for x, y in zip(a, g, strict=True)]


def back_iterators(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return map(Fraction, to_a), iter(g), to_state


def back_wraps_around(a, h, above, state):
    _, g, to_state = back_loop(a, h, above, state)
    return [g[t] * h[t - 1] for t in range(len(a))], g, to_state


def back_in_chunks(a, h, above, state):
    """In chunks of 32 tokens; what flows back from one to the one before is lost."""
    g = []
    for start in range(0, len(a), 32):
        some = slice(start, start + 32)
        g += back_loop(a[some], h[some], above[some], state)[1]
    return _from(g, a, h, state)


def back_divides(a, h, above, state):
    """Every way begins at the first token, and what was kept until s is divided out."""
    kept = list(accumulate(a, lambda x, y: x * y))
    g = [
        sum(above[t] * kept[t] for t in range(s, len(a))) / kept[s] if s else None
        for s in range(len(a))
    ]
    g[0] = above[0] + (a[1] * g[1] if len(a) > 1 else 0)
    return _from(g, a, h, state)


def back_grows(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return [x * 7**500 for x in to_a], g, to_state


def back_explodes(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return [x * 7**5000 for x in to_a], g, to_state


def back_floats(a, h, above, state):
    a, h, above = ([float(x) for x in row] for row in (a, h, above))
    return back_loop(a, h, above, float(state))


def back_float_state(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return to_a, g, np.float64(to_state)


def back_truth(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return to_a, [True] * len(g), to_state


def back_text(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return to_a, [str(x) for x in g], to_state


def back_integers(a, h, above, state):
    to_a, g, to_state = back_loop(a, h, above, state)
    return np.array([int(x) for x in to_a]), g, to_state


def _of_each(function, gradients):
    to_a, g, to_state = gradients
    return [function(x) for x in to_a], [function(x) for x in g], function(to_state)


def back_floats_as_fractions(a, h, above, state):
    return _of_each(Fraction, back_floats(a, h, above, state))


def back_small_denominators(a, h, above, state):
    """Exact as long as few tokens in a row carry on."""
    close = back_floats(a, h, above, state)
    return _of_each(lambda x: Fraction(x).limit_denominator(1000), close)


def back_large_denominators(a, h, above, state):
    """As far as the digits of a float64 reach."""
    close = [x.tolist() for x in back_autograd(a, h, above, state)]
    return _of_each(lambda x: Fraction(x).limit_denominator(10**7), close)


def _doubles(a, h, above, state):
    """In float64: a, b, state, above."""
    b = [h_t - a_t * p for h_t, a_t, p in zip(h, a, [state, *h[:-1]], strict=True)]
    return [torch.tensor(x, dtype=torch.float64) for x in _of_each(float, (a, b, state))] + [
        torch.tensor([float(x) for x in above], dtype=torch.float64)
    ]


def _loss(a, b, level, above):
    total = 0
    for t in range(len(a)):
        level = a[t] * level + b[t]
        total = total + above[t] * level
    return total


def back_autograd(a, h, above, state):
    *leaves, above = _doubles(a, h, above, state)
    leaves = [x.requires_grad_() for x in leaves]
    return torch.autograd.grad(_loss(*leaves, above), leaves)


def back_autograd_as_fractions(a, h, above, state):
    return _of_each(Fraction, [x.tolist() for x in back_autograd(a, h, above, state)])


def back_autograd_rows(a, h, above, state):
    """Lists of tensors."""
    to_a, g, to_state = back_autograd(a, h, above, state)
    return list(to_a), list(g), to_state


def back_records_fractions(a, h, above, state):
    a = torch.tensor(a, requires_grad=True)
    return torch.autograd.grad((a * a).sum(), a)


# --- and of another class ------------------------------------------------------------------


def tests_odd_lengths(scan):
    return _tests(_plus, lambda t: chr(97 + t), range(1, 41, 2))(scan)


def tests_sets(scan):
    return _tests(lambda x, y: x | y, lambda t: {t})(scan)


def tests_without_order(scan):
    for n in range(1, 41):
        letters = [chr(97 + t) for t in range(n)]
        if set(scan(_plus, letters)) != set(accumulate(letters)):
            return False
    return True


def back_torch_func(a, h, above, state):
    gradients = torch.func.grad(_loss, (0, 1, 2))(*_doubles(a, h, above, state))
    return _of_each(Fraction, [x.tolist() for x in gradients])


RIGHT = {
    "17.1": [brim_least_of_three, brim_by_index, brim_clipped, brim_tensor],
    "17.2": [doubling_new_list, doubling_backwards, doubling_slices, doubling_halves],
    "17.3": [tree_recursive, tree_sweeps, tree_exclusive],
    "17.4": [tests_separated_texts, tests_buckets, tests_lists, tests_downwards],
    "17.5": [costs_recursive, costs_closed, costs_floats],
    "17.6": [
        *(back_loop, back_uses_up, back_scan),
        *(back_over_paths, back_numpy, back_one_litre_more),
    ],
}

WRONG = {
    "17.1": [
        (brim_lower_one, "the lower of the two brims"),
        (brim_swapped, "the order is swapped"),
        (brim_later_only, "the first minute's brim has no effect"),
        (brim_no_later, "the second minute's brim has no effect"),
        (brim_later_rain, "the first minute's rain is lost"),
        (brim_sum, "you add the brims"),
        (brim_max, "the least of two terms, min"),
        (brim_affine, "the operator of the leaky bucket"),
        (brim_one_number, "expected a pair of numbers"),
        (brim_both_clip, "expected: "),
    ],
    "17.2": [
        (doubling_as_given, "both mistakes are still there"),
        (doubling_order_mended, "the order is right now"),
        (doubling_only_copied, "the order is swapped"),
        (doubling_copied_once, "first wrong place"),
        (doubling_accumulate, "this is a loop"),
        (doubling_plus_one, "your reach grows by one"),
        (doubling_one_round_less, "one round is missing"),
        (doubling_one_round, "only the first round"),
        (doubling_drops_the_start, "expected 4 prefixes, one an item: got 1"),
        (doubling_last_only, "expected a list of 4 prefixes: got Item"),
        (doubling_adds, "unsupported operand"),
        (doubling_library, "mixlab.ssm.scan.scan"),
    ],
    "17.3": [
        (tree_swapped, "the order is swapped: the operator takes the earlier"),
        (tree_up_swapped, "on the way up the order is swapped"),
        (tree_down_swapped, "on the way down the order is swapped"),
        (tree_forgets_the_odd_one, "has no partner on the way up"),
        (tree_even_lengths_only, "list index out of range"),
        (tree_only_up, "the way up alone"),
        (tree_drops_the_odd_one, "expected 7 prefixes, one an item: got 6"),
        (tree_returns_nothing, "does it return its result?"),
        (doubling_slices, "about L log₂ L applications"),
        (doubling_halves, "how often the operator was applied in all"),
        (doubling_accumulate, "this is a loop"),
    ],
    "17.4": [
        (accepts_all, "accepts everything"),
        (rejects_all, "rejects everything"),
        (tests_sums, "can't see the order"),
        (tests_products, "can't see the order"),
        (tests_differences, "its operator isn't associative"),
        (tests_floats_exactly, "Floats round elsewhere"),
        (tests_the_lessons_numbers, "is_scan on this scan: "),
        (tests_one_word, "tries too few lengths"),
        (tests_short_lists, "tries too few lengths"),
        (tests_powers_of_two, "powers of two only"),
        (tests_three_lengths, "tries too few lengths"),
        (tests_around_powers_of_two, "tries too few lengths"),
        (tests_from_two_up, "the shortest list, of one item"),
        (tests_the_last, "the last prefix only"),
        (tests_with_zip, "`zip` stops"),
        (returns_what_the_scan_returns, "expected True or False"),
        (tests_odd_lengths, "tries too few lengths"),
        (tests_sets, "can't see the order"),
        (tests_without_order, "compares the prefixes as a set"),
    ],
    "17.5": [
        (costs_everybody_works, "you let every place work in every round"),
        (costs_rounded_down, "the rounds are rounded up, not down"),
        (costs_doubling_of_powers, "2^k − 1 applications that were saved"),
        (costs_tree_of_powers, "with the logarithm rounded down"),
        (costs_tree_of_powers_above, "with the logarithm rounded up"),
        (costs_only_up, "you count only the way up"),
        (costs_a_round_for_nothing, "so it is no round"),
        (costs_fills_place_zero, "place 0 needs nothing"),
        (costs_lists_the_formulas, "expected whole numbers"),
        (costs_two_numbers, "expected four whole numbers"),
    ],
    "17.6": [
        (back_above_only, "g doesn't flow back"),
        (back_same_factor, "the factor is one token off"),
        (back_forwards, "you scan forwards"),
        (back_own_level, "not g_t h_t"),
        (back_no_state, "the level is the state, not zero"),
        (back_state_without_factor, "its gradient is a_0 g_0"),
        (back_exchanged, "are exchanged"),
        (back_two, "expected three gradients"),
        (back_one_too_few, "the gradient for b has 3 numbers here, one a token: got 2"),
        (back_a_state_each, "the gradient for the state is one number: got 3"),
        (back_iterators, "the gradient for a: expected a list of numbers: got map"),
        (back_wraps_around, "first wrong place: the gradient for a, token 0"),
        (back_in_chunks, "first wrong place"),
        (back_divides, "it raised ZeroDivisionError"),
        (back_grows, "200004 (424 digits)"),
        (back_explodes, "got a number of more than 3,000 digits"),
        (back_floats, "an exact number, a Fraction or an int: got float 4.0. A float rounds."),
        (back_float_state, "the gradient for the state: expected an exact number"),
        (back_truth, "got bool True"),
        (back_text, "the gradient for b, token 0: expected an exact number"),
        (back_integers, "expected: 56/3"),
        (back_floats_as_fractions, "you computed with floats"),
        (back_small_denominators, "first wrong place"),
        (back_large_denominators, "first wrong place"),
        (back_autograd, "A float rounds."),
        (back_autograd_as_fractions, "you computed with floats"),
        (back_autograd_rows, "A float rounds."),
        (back_records_fractions, "it raised"),
        (back_torch_func, "you computed with floats"),
    ],
}
