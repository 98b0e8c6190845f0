"""Ways of calling an answer that must be had in the answer's own process."""

import tracemalloc

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mixlab.examination.channel import RemoteFunction

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "vdot")
_POWERS = ("_softmax", "_safe_softmax", "_log_softmax", "logsumexp", "exp", "exp_", "exp2")


def _scores_in(name: str, args: tuple, made: list[torch.Tensor]) -> tuple[int, int]:
    """Numbers that an operation makes by products of matrices, and that it puts through exp.

    Of one that does both, and holds the scores to itself, the scores that its shapes imply.
    """
    if "scaled_dot_product" in name:
        return 0, args[0].shape[:-1].numel() * args[1].shape[-2]
    made_of = sum(tensor.numel() for tensor in made)
    if name == "logsumexp":
        made_of = args[0].numel()
    return made_of * (name in _PRODUCTS), made_of * (name in _POWERS)


class _Watch(TorchDispatchMode):
    """Notes, of all operations, the largest tensor that one creates, and counts scores.

    A score is made by a product and then put through a softmax: whichever of the two counts is the
    larger tells how many scores there were. The products of weights and values count too, with no
    more numbers than the result has.
    """

    elements = products = powers = 0

    @property
    def scores(self) -> int:
        return max(self.products, self.powers)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip torch's compiler is to import it: four seconds, 80 MB

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        several = out if isinstance(out, tuple | list) else (out,)
        made = [tensor for tensor in several if isinstance(tensor, torch.Tensor)]
        for tensor in made:
            # A broadcast view has many elements and no memory of its own.
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            self.elements = max(self.elements, min(size, tensor.numel()))
        products, powers = _scores_in(function.overloadpacket.__name__, args, made)
        self.products, self.powers = self.products + products, self.powers + powers
        return out


def _memory_of(function, *arguments) -> int:
    """The most bytes that a call held in NumPy's arrays and Python's lists; torch's not."""
    traced = tracemalloc.is_tracing()
    tracemalloc.start()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def measured(answer, *arguments) -> tuple:
    """(result, numbers in the largest tensor, bytes of arrays and lists, scores) of a call.

    Scores are counted where torch computes them, and not in arrays or lists.

    Measured where the answer lives, which an answer that takes its process apart can prevent: what
    must not be prevented is measured from outside (`Asked.room`).
    """
    if isinstance(answer, RemoteFunction):
        out, *costs = answer.under("measured", *arguments)
        elements, held, scores = map(int, costs)
        return out, elements, held, scores
    again = [one.clone() if isinstance(one, torch.Tensor) else one for one in arguments]
    with _Watch() as watched:
        out = answer(*arguments)
    return out, watched.elements, _memory_of(answer, *again), watched.scores


MANNERS = {"measured": measured}
