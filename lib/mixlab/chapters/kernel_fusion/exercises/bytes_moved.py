"""18.1 Count the bytes: kernels one by one, and fused."""

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """Programs of one to nine kernels: inputs used twice, in one kernel and in several; results
    that are wanted and used on. No kernel works for nothing."""
    drawn = [
        ([("a", ["x", "y", "x"])], ["a"], 4),
        ([(f"r{k}", [f"r{k - 1}" if k else "x"]) for k in range(40)], ["r39"], 2**30),
    ]
    for _ in range(10):
        made, kernels = [], []
        for k in range(int(rng.integers(1, 10))):
            known = [*made, "x", "y", "z"]
            chosen = rng.integers(0, len(known), int(rng.integers(1, 4)))
            kernels.append((f"r{k}", [known[at] for at in chosen]))
            made.append(f"r{k}")
        used = {name for _, inputs in kernels for name in inputs}
        wanted = [name for name in made if rng.random() < 0.3 or name not in used]
        drawn.append((kernels, wanted, int(rng.integers(1, 10**6))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_reals(1),
    atol=0.1,
    examples=(
        ([("h", ["x"]), ("y", ["h"])], ["y"], 64),
        ([("y", ["x", "x"])], ["y"], 10),
        ([("a", ["x"]), ("b", ["x", "a"])], ["b"], 1),
        ([("a", ["x"]), ("b", ["a", "z"])], ["b"], 2),
        ([("a", ["x"]), ("b", ["a", "z"]), ("c", ["b"])], ["a", "c"], 3),
        ([("a", ["x", "z"]), ("b", ["a", "x"])], ["a"], 5),
    ),
    hints=(
        "Take a pencil: for each kernel alone, which arrays does it read, and what does it write?",
        "One by one: each kernel's different inputs, and one result. Fused: which names does no "
        "kernel make? Each of them is read once. And who asks for a result?",
        "`{name for _, inputs in kernels for name in inputs} - {name for name, _ in kernels}` are "
        "the arrays that the fused kernel reads.",
    ),
)

# --- kept back while grading ---


def one_by_one(kernels):
    return sum(len(set(inputs)) + 1 for _, inputs in kernels)


def outside(kernels):
    made = {result for result, _ in kernels}
    return {name for _, inputs in kernels for name in inputs} - made


def moved(kernels, wanted, n_bytes, separate=None, fused=None):
    """Both numbers, or with another idea of one, in arrays."""
    first = (separate or one_by_one)(kernels)
    second = fused(kernels, wanted) if fused else len(outside(kernels)) + len(wanted)
    return first * n_bytes, second * n_bytes


def by_walking(kernels, wanted, n_bytes):
    separate, read, made = 0, [], []
    for result, inputs in kernels:
        different = []
        for name in inputs:
            if name not in different:
                different.append(name)
            if name not in made and name not in read:
                read.append(name)
        made.append(result)
        separate += n_bytes * (len(different) + 1)
    return [separate, n_bytes * (len(read) + len(wanted))]


def separately(idea):
    return lambda kernels, wanted, n: moved(kernels, wanted, n, separate=idea)


def together(idea):
    return lambda kernels, wanted, n: moved(kernels, wanted, n, fused=idea)


def uses(kernels):
    """Uses of arrays that nobody makes, each of them."""
    return [name for _, inputs in kernels for name in inputs if name in outside(kernels)]


MISTAKES = {
    "you count an array twice that one kernel uses twice. It is read once, and then in a "
    "register.": (
        separately(lambda kernels: sum(len(inputs) + 1 for _, inputs in kernels)),
        lambda kernels, wanted, n: (
            sum(len(inputs) + 1 for _, inputs in kernels) * n,
            (len(uses(kernels)) + len(wanted)) * n,
        ),
    ),
    "one by one, you let an array be read once in all. Kernels share no registers: each reads "
    "anew what it needs.": (
        separately(lambda kernels: len({n for _, i in kernels for n in i}) + len(kernels)),
        separately(lambda kernels: len(outside(kernels)) + len(kernels)),
    ),
    "one by one, you write only what is wanted. The next kernel finds nothing else but what was "
    "written.": lambda kernels, wanted, n: (
        (one_by_one(kernels) - len(kernels) + len(wanted)) * n,
        moved(kernels, wanted, n)[1],
    ),
    "one by one, you count one input a kernel. It may have more.": (
        separately(lambda kernels: 2 * len(kernels)),
        lambda kernels, wanted, n: (2 * len(kernels) * n, 2 * n),
    ),
    "one by one, you count as if it were fused already.": (lambda *given: (moved(*given)[1],) * 2),
    "one by one, you write once in all. Each kernel writes its result.": separately(
        lambda kernels: one_by_one(kernels) - len(kernels) + 1
    ),
    "one by one, you count the reads and not the writes.": separately(
        lambda kernels: one_by_one(kernels) - len(kernels)
    ),
    "one by one, you count the writes and not the reads.": separately(len),
    "fused, you read an array as often as it is used. Once is enough.": (
        together(lambda kernels, wanted: len(uses(kernels)) + len(wanted)),
        together(
            lambda kernels, wanted: (
                sum(len(set(i) & outside(kernels)) for _, i in kernels) + len(wanted)
            )
        ),
    ),
    "fused, you write every result. What nobody wants stays in registers.": together(
        lambda kernels, wanted: len(outside(kernels)) + len(kernels)
    ),
    "fused, you write the last result alone. Others may be wanted too.": (
        together(lambda kernels, wanted: len(outside(kernels)) + 1)
    ),
    "fused, you take a write and a read off between kernels. An array may be read by several, or "
    "be wanted.": together(lambda kernels, wanted: one_by_one(kernels) - 2 * (len(kernels) - 1)),
    "fused, you leave out results that are used on. What is wanted is written.": together(
        lambda kernels, wanted: (
            len(outside(kernels)) + len(set(wanted) - {n for _, i in kernels for n in i})
        )
    ),
    "fused, you read what the kernel itself has made.": (
        lambda kernels, wanted, n: (
            sum(len(inputs) + 1 for _, inputs in kernels) * n,
            (len({name for _, i in kernels for name in i}) + len(wanted)) * n,
        ),
        together(lambda kernels, wanted: len({n for _, i in kernels for n in i}) + len(wanted)),
        together(
            lambda kernels, wanted: (
                len(outside(kernels) | set(wanted) & {n for _, i in kernels for n in i})
                + len(wanted)
            )
        ),
    ),
    "fused, you count the inputs of the first kernel alone. Later ones bring arrays of their "
    "own.": together(lambda kernels, wanted: len(set(kernels[0][1])) + len(wanted)),
    "fused, you count the reads and not the writes.": together(
        lambda kernels, wanted: len(outside(kernels))
    ),
    "fused, you count the writes and not the reads.": together(lambda kernels, wanted: len(wanted)),
    "you count the reads and not the writes.": lambda kernels, wanted, n: (
        (one_by_one(kernels) - len(kernels)) * n,
        len(outside(kernels)) * n,
    ),
    "you count arrays. Asked are bytes.": lambda kernels, wanted, n: moved(kernels, wanted, 1),
    "the two numbers are exchanged: one by one first, then fused.": (
        lambda *given: moved(*given)[::-1]
    ),
}

KNOWN = Known(
    right=(moved, by_walking),
    mistakes=MISTAKES,
    slips={"expected real numbers in 1 axis": lambda *given: moved(*given)[0]},
    show=lambda kernels, wanted, n: (
        f"bytes_moved({kernels if len(kernels) < 10 else f'[…], {len(kernels)} kernels'}, "
        f"{wanted}, n_bytes={n})"
    ),
    place=lambda at: ("one by one", "fused")[at[0]],
    name="{:,.0f}".format,
)
