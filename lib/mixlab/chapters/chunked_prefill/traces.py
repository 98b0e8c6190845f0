"""What one pass over a chunk costs: processor time and memory, by the chunk's size."""

import time
from collections.abc import Sequence

import torch

from mixlab.traces.memory import peak_bytes
from mixlab.transformer.model import Transformer


def pass_costs(
    model: Transformer, sizes: Sequence[int], held: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time, and megabytes of tensors, that a pass takes.

    Args:
        model: with a window, so that a pass costs the same however long the text has become.
        sizes: tokens a chunk; short passes are timed twice, and the quicker one counts.
        held: tokens that are read before.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> taken, megabytes = pass_costs(Transformer(TransformerConfig.tiny(window=4)), [1, 8], held=4)
    >>> len(taken), megabytes[0] < megabytes[1]
    (2, True)
    """
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(model.config.vocab_size, (max(*sizes, held),), generator=generator)
    _, cache = model.prefill(text[None, :held])

    def read(n: int) -> None:
        model.extend(text[:n], cache, [n], last_only=True)

    def milliseconds(n: int) -> float:
        start = time.process_time()  # other programs on the machine disturb it least
        read(n)
        return 1000 * (time.process_time() - start)

    times = [min(milliseconds(n) for _ in range(1 + (n < 64))) for n in sizes]
    return times, [peak_bytes(read, n) / 1e6 for n in sizes]
