"""Right caches with sinks and wrong ones, made of what each hands to its queries."""

WIDEST, LONGEST = 12, 60  # window, position


def seen(window, sinks, position):
    """What the rule shows a query, sinks first, then oldest first."""
    return [j for j in range(position + 1) if j < sinks or position - j < window - sinks]


def ring(window, position, slot):
    """What lies in a ring after `position`, each token written to its slot."""
    held = {}
    for p in range(position + 1):
        held[slot(p)] = p
    return list(held.values())


def right_but(change, when):
    """The rule, changed where `when` says so."""
    return lambda w, s, p, m: (
        change(seen(w, s, p), w, s, p, m) if when(w, s, p, m) else seen(w, s, p)
    )


def rolling(p, w, s):
    """The slot of a position in a ring whose first `s` slots stay."""
    return p if p < s else s + (p - s) % (w - s)


# What a cache hands to the query at p, for window w and s sinks; m is one of the family's NUMBERS.
FAMILIES = {
    "the sinks, then the newest": lambda w, s, p, m: seen(w, s, p),
    "the newest key first": lambda w, s, p, m: seen(w, s, p)[::-1],
    "the slots of a ring with its first ones pinned": lambda w, s, p, m: ring(
        w, p, lambda q: rolling(q, w, s)
    ),
    "a window without sinks": lambda w, s, p, m: seen(w, 0, p),
    "the newest alone, without the sinks' share": lambda w, s, p, m: [
        j for j in range(p + 1) if p - j < w - s
    ],
    "the sinks on top of the window": lambda w, s, p, m: seen(w + s, s, p),
    "one sink too many": lambda w, s, p, m: sorted({*seen(w, s, p), min(s, p)}),
    "one key too few once it is full": right_but(
        lambda keys, w, s, p, m: keys[1:] if len(keys) > 1 else keys, lambda w, s, p, m: p >= w
    ),
    "all sinks, even before they come": lambda w, s, p, m: sorted({*range(s), *seen(w, s, p)}),
    "a sink twice while the window reaches it": right_but(
        lambda keys, *_: [0, *keys], lambda w, s, p, m: s and p < w - s
    ),
    "the slots of a ring that rolls over its sinks": lambda w, s, p, m: ring(w, p, lambda q: q % w),
    "the slots of a ring where a wrapped token stops at the first rolling slot": (
        lambda w, s, p, m: ring(w, p, lambda q: q if q < w else max(q % w, s))
    ),
    "the rule up to position {m}, then no sinks": lambda w, s, p, m: seen(w, s if p < m else 0, p),
    "at most {m} sinks": lambda w, s, p, m: seen(w, min(s, m), p),
    "the rule for up to {m} sinks, and none where more are asked for": lambda w, s, p, m: seen(
        w, s if s <= m else 0, p
    ),
    "one key too few for windows over {m}": right_but(
        lambda keys, *_: keys[1:], lambda w, s, p, m: w > m and p >= w
    ),
    "at W = 1 the key before as well": right_but(
        lambda keys, w, s, p, m: [p - 1, p], lambda w, s, p, m: w == 1 and p > 0
    ),
    "at W = 2 the sink alone, twice": right_but(
        lambda keys, *_: [0, 0], lambda w, s, p, m: w == 2 and s == 1 and p > 1
    ),
    "one key too few at every {m}th position": right_but(
        lambda keys, *_: keys[1:], lambda w, s, p, m: p >= w and p % m == 0
    ),
    "token 0, even where no sinks are asked for": right_but(
        lambda keys, *_: sorted({0, *keys[1:]}), lambda w, s, p, m: s == 0 and p >= w > 1
    ),
    "not the query's own key where one slot rolls": right_but(
        lambda keys, w, s, p, m: [*keys[:-1], p - 1], lambda w, s, p, m: w - s == 1 and p > s > 0
    ),
    "a stale key where window - sinks is {m} and the ring has wrapped": right_but(
        lambda keys, w, s, p, m: [*keys[:s], s, *keys[s + 1 :]],
        lambda w, s, p, m: w - s == m and p >= w + m,
    ),
    "tokens from 1 on for sinks": right_but(
        lambda keys, w, s, p, m: [j + (j < s) for j in keys], lambda w, s, p, m: s and p >= w
    ),
}
NUMBERS = {
    "the rule up to position {m}, then no sinks": (20, 16, 24),
    "at most {m} sinks": (1, 2, 3),
    "the rule for up to {m} sinks, and none where more are asked for": (3, 2),
    "one key too few for windows over {m}": (4, 5),
    "one key too few at every {m}th position": (7, 6, 8),
    "a stale key where window - sinks is {m} and the ring has wrapped": (3, 2, 4),
}


def cache_of(family, m):
    """A cache, the same code for all: what it hands to its queries follows from positions."""

    def see(window, sinks, position, hand=FAMILIES[family]):
        window, sinks, position = int(window), int(sinks), int(position)
        if not (1 <= window <= WIDEST and 0 <= sinks < window and 0 <= position <= LONGEST):
            raise ValueError(
                f"these caches take windows from 1 to {WIDEST}, sinks from 0 to window - 1 and "
                f"positions from 0 to {LONGEST}: got {window}, {sinks} and {position}"
            )
        return [int(j) for j in hand(window, sinks, position, m)]

    see.__doc__ = family.format(m=m)
    return see
