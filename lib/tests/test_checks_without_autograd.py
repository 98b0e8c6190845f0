"""Exercise 17.6 asks for gradients by hand: every way to PyTorch's own is refused."""

import pytest
import torch
from torch.autograd import grad as taken_before_the_check

from mixlab.checks import CheckFailed, check


def _inputs(a, h, above, state):
    """Leaves that record, outside the inference mode in which answers are called."""
    a, h, above, state = (x.clone() for x in (a, h, above, state))
    return a, torch.cat([h[:1] - a[:1] * state, h[1:] - a[1:] * h[:-1]]), state, above


def _levels(a, b, state):
    rows = []
    for a_t, b_t in zip(a, b, strict=True):
        state = a_t * state + b_t
        rows.append(state)
    return torch.stack(rows)


def _taken_early(a, b, state, above):
    leaves = [x.requires_grad_() for x in (a, b, state)]
    return taken_before_the_check(_levels(*leaves), leaves, above)


def _by_a_tensors_method(a, b, state, above):
    leaves = [x.requires_grad_() for x in (a, b, state)]
    (_levels(*leaves) * above).sum().backward()
    return tuple(x.grad for x in leaves)


def _by_torch_func(a, b, state, above):
    _, vjp = torch.func.vjp(_levels, a, b, state)
    return vjp(above)


def _forwards(a, b, state, above):
    def total(*given):
        return (_levels(*given) * above).sum()

    return torch.func.jacfwd(total, argnums=(0, 1, 2))(a, b, state)


@pytest.mark.parametrize("way", [_taken_early, _by_a_tensors_method, _by_torch_func, _forwards])
def test_autograd_is_refused_however_it_is_reached(way):
    def answer(*arguments):
        with torch.inference_mode(False), torch.enable_grad():
            return way(*_inputs(*arguments))

    with pytest.raises(CheckFailed, match="asks autograd"):
        check("17.6", answer)
    x = torch.ones(1, requires_grad=True)
    x.sum().backward()  # and is there again behind the check
    assert x.grad.item() == 1
