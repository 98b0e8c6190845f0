"""14.2 Predict the smallest circle."""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Few taps, many, one; nothing thrown away, nearly all; up to billions."""
    drawn = [
        (1, 1, 0),
        (1, 9, 0),
        (3 * 10**9, 3 * 10**9, 0),
        (10**9, 4096, 10**6),
        (4096, 10**9, 17),
    ]
    for most in (8, 30, 10**3, 10**6, 10**9):
        for _ in range(3):
            n_inputs = int(rng.integers(2, most))
            n_taps = int(rng.integers(1, 2 * n_inputs))
            drawn.append((n_inputs, n_taps, int(rng.integers(0, n_inputs))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (6, 4, 0),
        (6, 4, 1),
        (6, 4, 5),
        (8, 8, 0),
        (5, 9, 0),
        (5, 9, 2),
        (7, 1, 0),
        (7, 1, 3),
        (9, 6, 2),
        (12, 3, 11),
        (10, 10, 4),
        (9, 30, 5),
    ),
    hints=(
        "How many numbers do all inputs and all taps make on a line? What becomes of those that "
        "don't fit on the circle?",
        "What belongs to place t + n falls on place t. So the wrong outputs are the first ones: "
        "how many are there on a circle of n places?",
        "L inputs and M taps make L + M - 1 numbers, and L + M - 1 - n outputs are "
        "wrong, if that is "
        "above 0. At most `first` may be. M is never more than L, and n never less.",
    ),
)

# --- kept back while grading ---


def fewest(n_inputs, n_taps, first):
    taps = min(n_taps, n_inputs)
    return max(n_inputs, n_inputs + taps - 1 - first)


def halving(n_inputs, n_taps, first):
    """Looks for the first circle on which output `first` gets nothing from behind."""
    low, high = n_inputs, 2 * n_inputs
    while low < high:
        middle = (low + high) // 2
        clean = first + middle > n_inputs + min(n_taps, n_inputs) - 2
        low, high = (low, middle) if clean else (middle + 1, high)
    return low


def places(of, cut=min, least=max):
    """Another formula of inputs, taps and first; another cut, another least size."""
    return lambda n, taps, first: least(n, of(n, cut(taps, n), first))


def uncut(taps, n):
    return taps


def powers_of_two(n):
    return 1 << (n - 1).bit_length()


MISTAKES = {
    "you leave out `first`: outputs that are thrown away may be wrong.": (
        places(lambda n, m, first: n + m - 1),
        places(lambda n, m, first: n + m - 1, uncut),
    ),
    "you always take twice the inputs. How many numbers are there on a line?": (
        lambda n, m, first: 2 * n,
        lambda n, m, first: 2 * n - 1,
        lambda n, m, first: 2 * max(n, m),
        places(lambda n, m, first: 2 * n - first),
    ),
    "you count as if there were as many taps as inputs.": places(
        lambda n, m, first: 2 * n - 1 - first
    ),
    "one place too many: L inputs and M taps make L + M - 1 numbers.": (
        places(lambda n, m, first: n + m - first),
        places(lambda n, m, first: n + m - first, uncut),
        places(lambda n, m, first: n + m),
        places(lambda n, m, first: n + m - first, least=lambda n, found: found),
        places(lambda n, m, first: n + m, uncut),
        lambda n, m, first: fewest(n, m, first) + 1,
    ),
    "one place too few: output number `first` itself must be right.": (
        places(lambda n, m, first: n + m - 2 - first),
        places(lambda n, m, first: n + m - 2),
        places(lambda n, m, first: n + m - 2 - first, uncut),
    ),
    "your circle gets smaller than the inputs. It needs a place for each.": places(
        lambda n, m, first: n + m - 1 - first, least=lambda n, found: found
    ),
    "you don't cut the taps. Those beyond the number of inputs act on no output.": places(
        lambda n, m, first: n + m - 1 - first, uncut
    ),
    "you don't cut the taps, and your circle gets smaller than the inputs.": places(
        lambda n, m, first: n + m - 1 - first, uncut, lambda n, found: found
    ),
    "you go by all or nothing. Each output that is thrown away saves a place.": (
        lambda n, m, first: n if first >= min(n, m) - 1 else n + min(n, m) - 1,
        lambda n, m, first: n if first >= m - 1 else n + m - 1,
        lambda n, m, first: n if first else n + min(n, m) - 1,
    ),
    "you add `first`. The more may be wrong, the fewer places are needed.": places(
        lambda n, m, first: n + m - 1 + first
    ),
    "you cut the taps to the outputs that are kept. The kept ones need all that reach "
    "back to input "
    "0.": lambda n, m, first: max(n, n + min(m, n - first) - 1 - first),
    "you round up to a power of two. That is what an FFT likes, not what is needed.": (
        lambda n, m, first: powers_of_two(fewest(n, m, first)),
        lambda n, m, first: powers_of_two(n + min(m, n) - 1),
        lambda n, m, first: powers_of_two(2 * n),
    ),
    "you take the larger of inputs and taps. On such a circle the end meets the beginning.": (
        lambda n, m, first: max(n, m),
        lambda n, m, first: max(n, m) + first,
    ),
    "you take as many places as inputs. Then the last taps come in round the end.": (
        lambda n, m, first: n
    ),
    "you count the zeros, and not the places.": (
        lambda n, m, first: max(0, min(n, m) - 1 - first),
        lambda n, m, first: max(0, m - 1 - first),
    ),
    "you count the outputs that are kept, and the taps. The others have their places, too.": (
        lambda n, m, first: max(n - first, m),
        places(lambda n, m, first: n - first + m - 1 - first),
    ),
    "you take an even number of places. An odd circle is as good.": (
        lambda n, m, first: (fewest(n, m, first) + 1) // 2 * 2
    ),
}

KNOWN = Known(
    right=(fewest, halving),
    mistakes=MISTAKES,
    slips={"expected one whole number": lambda n, m, first: None},
    show=lambda n, taps, first: f"fewest_places({n}, {taps}, first={first})",
)
