"""Gradients pass from one process to another, however they are asked for."""

import pytest
import torch

from mixlab.checks.exercise import find
from tests.examination.examined import examined


def _through(way):
    """What `way` gets for the first stack of exercise 03.4, in another process and in this one."""
    found = []

    def answer(f, seq, dim):
        torch.manual_seed(len(found))
        found.append(way(f, torch.randn(seq, dim, dtype=torch.float64)))
        return torch.ones(seq, dtype=torch.bool)

    with examined("03.4", 5) as candidate:
        candidate.request("examine", "03.4", answer)
    there, found = found, []
    for number, arguments in enumerate(find("03.4").ASKED.inputs(5)):
        torch.manual_seed(number)
        f, seq, dim = arguments
        found.append(way(f, torch.randn(seq, dim, dtype=torch.float64)))
    return there, found


def _last(f):
    return lambda x: f(x)[-1].sin().sum()


def by_backward(f, x):
    x.requires_grad_()
    _last(f)(x).backward()
    return x.grad


def by_grad_of_the_input(f, x):
    x.requires_grad_()
    return torch.autograd.grad(f(2 * x)[-1].sum(), x)[0]


def by_jacobian(f, x):
    return torch.autograd.functional.jacobian(f, x)


def by_vectorised_jacobian(f, x):
    return torch.autograd.functional.jacobian(f, x, vectorize=True)


def by_jacrev(f, x):
    return torch.func.jacrev(f)(x)


def by_func_grad(f, x):
    return torch.func.grad(_last(f))(x)


def by_jvp(f, x):
    return torch.func.jvp(f, (x,), (torch.ones_like(x),))[1]


def by_forward_mode(f, x):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        return torch.autograd.forward_ad.unpack_dual(f(dual)).tangent


def by_second_derivative(f, x):
    return torch.autograd.functional.hvp(_last(f), x, torch.ones_like(x))[1]


def by_hessian(f, x):
    return torch.func.grad(lambda y: torch.func.grad(_last(f))(y).square().sum())(x)


def without_gradients(f, x):
    with torch.no_grad():
        return torch.from_numpy(f(x.requires_grad_()).numpy())


WAYS = [
    *(by_backward, by_grad_of_the_input, by_jacobian, by_jacrev, by_func_grad),
    *(by_jvp, by_forward_mode, by_second_derivative, by_hessian),
    *(by_vectorised_jacobian, without_gradients),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_gradient_is_the_same_there_and_here(way):
    there, here = _through(way)
    assert len(there) == len(here) > 10
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
