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
        ask: maps args, kwargs, the order of a derivative (0 for none) and its vectors to what the
            function's home answers; see `derivative`.
    """
    leaves, spec = tree_flatten((args, kwargs))
    call = _Call(ask, [None if _varies(leaf) else leaf for leaf in leaves], spec)
    found = list(_Step.apply(call, *filter(_varies, leaves)))
    return tree_unflatten([found.pop(0) if _varies(x) else x for x in call.out], call.out_spec)


@dataclass
class _Call:
    """A call whose tensors stand apart, or one of its derivatives.

    `plain` are the arguments but for those tensors, `out` what came back.
    """

    ask: Callable
    plain: list
    spec: object
    order: int = 0
    out: list = field(default_factory=list)
    out_spec: object = None


class _Step(torch.autograd.Function):
    """A call to another process, as one step of PyTorch's graph."""

    @staticmethod
    def forward(call: _Call, *tensors):
        n_own = sum(leaf is None for leaf in call.plain)
        own = [tensor.detach().requires_grad_() for tensor in tensors[:n_own]]
        leaves = [own.pop(0) if leaf is None else leaf for leaf in call.plain]
        vectors = [tensor.detach() for tensor in tensors[n_own:]]
        found = call.ask(*tree_unflatten(leaves, call.spec), call.order, vectors)
        call.out, call.out_spec = tree_flatten(found)
        return tuple(leaf.detach() for leaf in call.out if _varies(leaf))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.call, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.zeros = [torch.zeros(one.shape, dtype=one.dtype) for one in output]
        if not ctx.call.order:
            made = zip(output, filter(_varies, ctx.call.out), strict=True)
            ctx.mark_non_differentiable(*(one for one, leaf in made if not leaf.requires_grad))

    @staticmethod
    def backward(ctx, *vectors):
        if any(map(_in_a_batch, vectors)):
            return _row_by_row(partial(_Step.backward, ctx), vectors)
        call = replace(ctx.call, order=ctx.call.order + 1)
        return None, *_Step.apply(call, *ctx.saved_tensors, *vectors)

    @staticmethod
    def jvp(ctx, _, *vectors):
        # What pulls a vector back is linear in it: pulled back in turn, it pushes one forward.
        call, tensors = replace(ctx.call, order=ctx.call.order + 2), ctx.saved_tensors
        pairs = zip(tensors, vectors, strict=True)
        given = (torch.zeros_like(one) if vector is None else vector for one, vector in pairs)
        return _Step.apply(call, *tensors, *ctx.zeros, *given)[len(tensors) :]

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


def derivative(function: Callable, args: tuple, kwargs: dict, order: int, vectors: list) -> list:
    """A derivative of a function that lives here, by all real tensors among its arguments.

    By autograd alone, as everybody does it: an answer may use what torch.func does not allow.

    Args:
        order: how often a vector is pulled back, each time through all that stands before it: once
            for the product of a vector and the Jacobian.
        vectors: for each time one for each output, in a row.

    Returns:
        A tensor for each of the arguments and earlier vectors: zeros for one that moves nothing.
    """
    leaves, spec = tree_flatten((args, kwargs))
    inputs = [leaf.detach().requires_grad_() for leaf in leaves if _varies(leaf)]
    own, given = iter(inputs), iter(vectors)
    args, kwargs = tree_unflatten([next(own) if _varies(x) else x for x in leaves], spec)
    with torch.enable_grad():
        outputs = list(filter(_varies, tree_flatten(function(*args, **kwargs))[0]))
        for _ in range(order):
            pulled = [next(given).detach().requires_grad_() for _ in outputs]
            moved = [pair for pair in zip(outputs, pulled, strict=True) if pair[0].requires_grad]
            outputs = [torch.zeros_like(one) for one in inputs]
            if moved:
                outs, pulls = zip(*moved, strict=True)
                keep = dict(create_graph=True, materialize_grads=True)
                outputs = list(torch.autograd.grad(outs, inputs, pulls, **keep))
            inputs = [*inputs, *pulled]
    return outputs
