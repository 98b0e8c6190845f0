"""How long a model takes to read a text and to write one more token, at several lengths.

Processor time on one thread: other programs on the machine disturb it least.
"""

import time
from collections.abc import Sequence

import torch

from mixlab.generate import StatefulModel


@torch.inference_mode()
def reading_and_writing(
    model: StatefulModel, lengths: Sequence[int], steps: int = 40
) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time that one token takes.

    Args:
        model: as `mixlab.generate` drives them.
        lengths: how many tokens are read before the first is written; the quicker of two readings
            counts.
        steps: tokens written at each length; the quickest counts.

    Returns:
        For each length: of a token read, and of a token written.

    Raises:
        ValueError: for a length or a number of steps below 1.

    >>> from mixlab.ssm.config import MambaConfig
    >>> from mixlab.ssm.mamba import Mamba
    >>> reading, writing = reading_and_writing(Mamba(MambaConfig.tiny()), [4, 8], steps=2)
    >>> len(reading), len(writing)
    (2, 2)
    """
    if steps < 1 or min(lengths) < 1:
        raise ValueError(
            f"lengths and steps must be at least 1: got lengths {list(lengths)}, steps {steps}"
        )
    generator = torch.Generator().manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    reading, writing = [], []
    try:
        for length in lengths:
            tokens = torch.randint(model.config.vocab_size, (1, length), generator=generator)
            real, quickest = torch.ones_like(tokens) > 0, float("inf")
            for _ in range(2):
                start = time.process_time()
                _, state = model.prefill(tokens, model.init_state(1), real)
                quickest = min(quickest, time.process_time() - start)
            reading.append(1000 * quickest / length)
            quickest = float("inf")
            for step in range(steps):
                start = time.process_time()
                _, state = model.step(tokens[:, step % length], state)
                quickest = min(quickest, time.process_time() - start)
            writing.append(1000 * quickest)
    finally:
        torch.set_num_threads(threads)
    return reading, writing
