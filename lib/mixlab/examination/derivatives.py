"""Differentiate what lives in another process.

A borrowed function whose tensors somebody follows, by autograd or by torch.func, becomes one step
of PyTorch's graph here. Its derivatives are asked for where it lives, each by a call of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch.autograd import forward_ad
from torch.utils._pytree import tree_flatten, tree_unflatten


def _varies(leaf) -> bool:
    """Whether it is a tensor by which one can differentiate."""
    return isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def followed(args: tuple, kwargs: dict) -> bool:
    """Whether somebody here follows what becomes of a call's tensors."""
    leaves = tree_flatten((args, kwargs))[0]
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if not tensors:
        return False
    # Neither torch.func nor forward mode marks a tensor; both know whether they are at work.
    if torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def call_followed(ask: Callable, args: tuple, kwargs: dict):
    """Call a borrowed function so that gradients pass.

    Args:
        ask: maps args, kwargs, the derivative's name ("" for none) and its vectors to what the
            function's home answers; see `derivative`.
    """
    leaves, spec = tree_flatten((args, kwargs))
    call = _Call(ask, [None if _varies(leaf) else leaf for leaf in leaves], spec)
    found = list(_Step.apply(call, *filter(_varies, leaves)))
    return tree_unflatten([found.pop(0) if _varies(x) else x for x in call.out], call.out_spec)


@dataclass
class _Call:
    """A call whose tensors stand apart, and one of its derivatives.

    `plain` are the arguments but for those tensors, `out` what came back; `fixed` says which of the
    outputs no tensor moves, and of the gradients, which there are none of.
    """

    ask: Callable
    plain: list
    spec: object
    way: str = ""
    out: list = field(default_factory=list)
    out_spec: object = None
    fixed: list[bool] = field(default_factory=list)

    def __call__(self, tensors: tuple) -> tuple:
        """The outputs by which one can differentiate; `fixed`, which of them nothing moves."""
        n_own = sum(leaf is None for leaf in self.plain)
        own = [tensor.detach().requires_grad_() for tensor in tensors[:n_own]]
        leaves = [own.pop(0) if leaf is None else leaf for leaf in self.plain]
        args, kwargs = tree_unflatten(leaves, self.spec)
        more = [tensor.detach() for tensor in tensors[n_own:]]
        value = self.ask(args, kwargs, self.way, more)
        if self.way:
            self.fixed = [part is None for part in value]
            return tuple(
                torch.zeros_like(tensors[at]) if part is None else part.detach()
                for at, part in enumerate(value)
            )
        self.out, self.out_spec = tree_flatten(value)
        found = [leaf for leaf in self.out if _varies(leaf)]
        self.fixed = [not leaf.requires_grad for leaf in found]
        return tuple(leaf.detach() for leaf in found)


class _Step(torch.autograd.Function):
    """A call to another process, as one step of PyTorch's graph."""

    @staticmethod
    def forward(call: _Call, *tensors):
        return call(tensors)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.call, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        if not ctx.call.way:
            still = [one for one, fixed in zip(output, ctx.call.fixed, strict=True) if fixed]
            ctx.mark_non_differentiable(*still)

    @staticmethod
    def backward(ctx, *vectors):
        if any(map(_in_a_batch, vectors)):
            return _row_by_row(partial(_Step.backward, ctx), vectors)
        call = replace(ctx.call, way=f"{ctx.call.way}v")
        found = _Step.apply(call, *ctx.saved_tensors, *vectors)
        return None, *(None if fixed else g for g, fixed in zip(found, call.fixed, strict=True))

    @staticmethod
    def jvp(ctx, _, *vectors):
        call = replace(ctx.call, way=f"{ctx.call.way}j")
        tensors = ctx.saved_tensors
        pairs = zip(tensors, vectors, strict=True)
        given = (torch.zeros_like(one) if vector is None else vector for one, vector in pairs)
        return _Step.apply(call, *tensors, *given)

    @staticmethod
    def vmap(info, in_dims, call: _Call, *tensors):
        rows = []
        for row in range(info.batch_size):
            dims = zip(tensors, in_dims[1:], strict=True)
            picked = (t if dim is None else t.select(dim, row) for t, dim in dims)
            rows.append(_Step.apply(call, *picked))
        return tuple(torch.stack(column) for column in zip(*rows, strict=True)), 0


_in_a_batch = torch._C._functorch.is_legacy_batchedtensor


def _row_by_row(pull: Callable, vectors: tuple) -> tuple:
    """Pull many vectors back, which autograd hands over at once if it is asked to (vectorize)."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    whole = [torch._remove_batch_dim(v, level, -1, 0) if _in_a_batch(v) else v for v in vectors]
    pairs = list(zip(whole, map(_in_a_batch, vectors), strict=True))
    n_rows = next(len(vector) for vector, batched in pairs if batched)
    rows = [pull(*(v[row] if batched else v for v, batched in pairs)) for row in range(n_rows)]
    return tuple(
        None if column[0] is None else torch._add_batch_dim(torch.stack(column), 0, level)
        for column in zip(*rows, strict=True)
    )


def derivative(function: Callable, args: tuple, kwargs: dict, way: str, vectors: list) -> list:
    """A derivative of a function that lives here, by all real tensors among its arguments.

    By autograd alone, as everybody does it: an answer may use what torch.func does not allow.

    Args:
        way: each "v" is the product of a vector and the Jacobian of what stands before it, each "j"
            that of the Jacobian and a vector.
        vectors: for each letter in turn.

    Returns:
        A tensor for each output of the derivative, None for one that no input moves.

    Raises:
        ValueError: for another letter.
    """
    leaves, spec = tree_flatten((args, kwargs))
    inputs = [leaf.detach().requires_grad_() for leaf in leaves if _varies(leaf)]
    own, given = iter(inputs), iter(vectors)
    with torch.enable_grad():
        filled = [next(own) if _varies(leaf) else leaf for leaf in leaves]
        args, kwargs = tree_unflatten(filled, spec)
        outputs = list(filter(_varies, tree_flatten(function(*args, **kwargs))[0]))
        for step in way:
            if step not in "vj":
                raise ValueError(f"nobody here knows this manner of calling: {way!r}")
            like = outputs if step == "v" else inputs
            new = [next(given).detach().requires_grad_() for _ in like]
            # What pulls a vector back is linear in it: pulled back in turn, it pushes one forward.
            pulls = (
                new if step == "v" else [torch.zeros_like(out).requires_grad_() for out in outputs]
            )
            pulled = _pulled_back(outputs, inputs, pulls)
            outputs = pulled if step == "v" else _pulled_back(pulled, pulls, new)
            inputs = [*inputs, *new]
    return outputs


def _pulled_back(outputs: list, inputs: list, vectors: list) -> list:
    """Gradients of outputs by inputs; None where nothing depends on one."""
    pairs = zip(outputs, vectors, strict=True)
    moved = [(out, vector) for out, vector in pairs if out is not None and out.requires_grad]
    if not moved:
        return [None] * len(inputs)
    outs, pulls = zip(*moved, strict=True)
    return list(torch.autograd.grad(outs, inputs, pulls, create_graph=True, allow_unused=True))
