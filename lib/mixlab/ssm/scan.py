"""Scans: every prefix of a sequence under an associative operator, in parallel.

The prefixes of x_0, x_1, … are x_0, x_0∘x_1, x_0∘x_1∘x_2, … A loop finds them one by one; because
(x∘y)∘z = x∘(y∘z), they can also be found in about log₂ L rounds. `work` counts applications of the
operator, `depth` the rounds, each of which could run at once on enough processors.

| method | work for L = 2^k | depth |
|---|---|---|
| sequential | L − 1 | L − 1 |
| hillis_steele | L log₂ L − L + 1 | log₂ L |
| blelloch | 2L − log₂ L − 2 | 2 log₂ L − 1 |
| chunked, C a chunk | that of the chunks, plus L − C | that of a chunk, plus one, a chunk |

The recurrence h_t = a_t h_{t−1} + b_t is such a scan: the pair (a, b) stands for the function
h ↦ a h + b, and functions compose associatively. They don't commute: the order matters.

Sources: Hillis and Steele, "Data Parallel Algorithms" (1986); Blelloch, "Prefix Sums and Their
Applications" (1990), sections 1.3–1.4, here in the inclusive form, which needs no identity element,
so that any length and operator will do; Gu and Dao, "Mamba" (2023), section 3.3.2. Mamba's own
kernel is the chunked one: it scans blocks, and carries a running prefix from each to the next.
"""

from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

Elements = tuple[Tensor, ...]  # one sequence: a tuple of tensors whose axis 0 is time
Operator = Callable[[Elements, Elements], Elements]  # (earlier, later) → both together


def affine(earlier: Elements, later: Elements) -> Elements:
    """Compose h ↦ a h + b: first the earlier function, then the later one.

    >>> affine((torch.tensor(2.0), torch.tensor(1.0)), (torch.tensor(3.0), torch.tensor(5.0)))
    (tensor(6.), tensor(8.))
    """
    (a_earlier, b_earlier), (a_later, b_later) = earlier, later
    return a_later * a_earlier, a_later * b_earlier + b_later


def scan(
    operator: Operator,
    elements: Elements,
    method: str = "sequential",
    chunk_size: int | None = None,
) -> Elements:
    """All prefixes of `elements` under `operator`; entry t combines elements 0 … t.

    Args:
        operator: associative, not necessarily commutative; is given (earlier, later), tuples of
            tensors with an equal number of entries along axis 0, and combines them entry by entry.
        elements: a tuple of tensors with time along axis 0, of any equal length.
        method: "sequential", "hillis_steele", "blelloch" or "chunked".
        chunk_size: for "chunked": tokens a chunk, each of which is scanned by Blelloch's method.

    Returns:
        The prefixes, shaped like `elements`.

    Raises:
        ValueError: for an empty sequence, unequal lengths, an unknown method, or a missing or
            needless chunk size.

    >>> scan(lambda x, y: (x[0] + y[0],), (torch.tensor([3, 1, 4, 1, 5]),), "blelloch")
    (tensor([ 3,  4,  8,  9, 14]),)
    """
    lengths = {len(part) for part in elements}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "a scan needs one or more tensors of one length, at least 1, along axis 0: "
            f"got lengths {[len(part) for part in elements]}"
        )
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    if method != "chunked":
        if chunk_size is not None:
            raise ValueError(f"chunk_size belongs to the method chunked, not to {method}")
        return METHODS[method](operator, elements)
    if chunk_size is None or chunk_size < 1:
        raise ValueError(f"the method chunked needs a chunk_size of at least 1: got {chunk_size}")
    return _chunked(operator, elements, chunk_size)


def _sequential(operator: Operator, elements: Elements) -> Elements:
    """One after the other: the definition."""
    prefixes = [_cut(elements, 0, 1)]
    for t in range(1, len(elements[0])):
        prefixes.append(operator(prefixes[-1], _cut(elements, t, t + 1)))
    return _join(*prefixes)


def _hillis_steele(operator: Operator, elements: Elements) -> Elements:
    """Reach back 1, 2, 4, …: after k rounds every entry covers the last 2^k elements."""
    length, reach = len(elements[0]), 1
    while reach < length:
        combined = operator(_cut(elements, 0, length - reach), _cut(elements, reach, length))
        elements = _join(_cut(elements, 0, reach), combined)
        reach *= 2
    return elements


def _blelloch(operator: Operator, elements: Elements) -> Elements:
    """Up: combine neighbours into half as many. Scan those. Down: fill in every other entry."""
    length = len(elements[0])
    if length == 1:
        return elements
    even, odd = _cut(elements, 0, None, 2), _cut(elements, 1, None, 2)
    pairs = operator(_cut(even, 0, len(odd[0])), odd)
    at_odd = _blelloch(operator, pairs)  # pairs end at 1, 3, 5, …: final there
    at_even = _cut(even, 0, 1)
    if length > 2:
        rest = _cut(even, 1, None)
        at_even = _join(at_even, operator(_cut(at_odd, 0, len(rest[0])), rest))
    return tuple(_interleave(x, y) for x, y in zip(at_even, at_odd, strict=True))


def _chunked(operator: Operator, elements: Elements, chunk_size: int) -> Elements:
    """Scan a chunk in parallel, put the prefix of all earlier chunks before it, go on."""
    chunks = []
    for start in range(0, len(elements[0]), chunk_size):
        chunk = _blelloch(operator, _cut(elements, start, start + chunk_size))
        if chunks:
            carried = _cut(chunks[-1], -1, None)
            carried = tuple(part.expand_as(x) for part, x in zip(carried, chunk, strict=True))
            chunk = operator(carried, chunk)
        chunks.append(chunk)
    return _join(*chunks)


METHODS = {
    "sequential": _sequential,
    "hillis_steele": _hillis_steele,
    "blelloch": _blelloch,
    "chunked": _chunked,
}


def linear_recurrence(
    a: Float[Tensor, "batch seq *channels"] | Complex[Tensor, "batch seq *channels"],
    b: Float[Tensor, "batch seq *channels"] | Complex[Tensor, "batch seq *channels"],
    state: Tensor | None = None,
    method: str = "blelloch",
    chunk_size: int | None = None,
) -> Float[Tensor, "batch seq *channels"] | Complex[Tensor, "batch seq *channels"]:
    """h_t = a_t h_{t−1} + b_t for every t, by any scan, with a backward pass of its own.

    The gradient of a linear recurrence is a linear recurrence that runs the other way. With g_t the
    loss's derivative by h_t, through every later token,

        g_t = (from above)_t + a_{t+1} g_{t+1},   ∂b_t = g_t,   ∂a_t = g_t h_{t−1},

    so backward is one more scan, and needs nothing beyond a and h.

    Args:
        a, b: factors and inputs, of one shape; time along axis 1.
        state: h before the first token, (batch, *channels); zero by default.
        method, chunk_size: as in `scan`.

    Raises:
        ValueError: as in `scan`, and for unequal shapes or dtypes.

    >>> linear_recurrence(torch.full((1, 4), 0.5), torch.ones(1, 4))
    tensor([[1.0000, 1.5000, 1.7500, 1.8750]])
    """
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(
            "a and b must have one shape, (batch, seq, …), and one dtype: "
            f"got {tuple(a.shape)} {a.dtype} and {tuple(b.shape)} {b.dtype}"
        )
    shape = (b.shape[0], *b.shape[2:])
    if state is None:
        state = b.new_zeros(shape)
    if state.shape != shape:
        raise ValueError(
            f"the state must have shape {shape}: got {tuple(state.shape)}. Does it belong to "
            "another batch?"
        )
    return _LinearRecurrence.apply(a, b, state, method, chunk_size)


class _LinearRecurrence(torch.autograd.Function):
    """`linear_recurrence` with its derivative written out by hand."""

    @staticmethod
    def forward(ctx, a, b, state, method, chunk_size):
        a, b = a.transpose(0, 1), b.transpose(0, 1)  # (seq, batch, …)
        first = a[:1] * state + b[:1]
        _, h = scan(affine, (a, torch.cat((first, b[1:]))), method, chunk_size)
        ctx.save_for_backward(a, h, state)
        ctx.how = method, chunk_size
        return h.transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, above):
        a, h, state = ctx.saved_tensors
        ahead = torch.cat((a[1:], torch.zeros_like(a[:1]))).conj()  # a_{t+1}; 0 after the end
        backwards = ahead.flip(0), above.transpose(0, 1).flip(0)
        g = scan(affine, backwards, *ctx.how)[1].flip(0)
        before = torch.cat((state[None], h[:-1]))  # h_{t−1}
        grad_a = (g * before.conj()).transpose(0, 1)
        return grad_a, g.transpose(0, 1), a[0].conj() * g[0], None, None


def _cut(elements: Elements, start: int, stop: int | None, step: int = 1) -> Elements:
    return tuple(part[start:stop:step] for part in elements)


def _join(*pieces: Elements) -> Elements:
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def _interleave(even: Tensor, odd: Tensor) -> Tensor:
    """e_0, o_0, e_1, o_1, …, where there may be one more of the even ones."""
    dtype = torch.promote_types(even.dtype, odd.dtype)  # the operator may have changed it
    both = even.new_empty(len(even) + len(odd), *even.shape[1:], dtype=dtype)
    both[0::2], both[1::2] = even, odd
    return both
