"""How long a model takes to read a text and to write one more token, at several lengths.

Processor time on one thread: other programs on the machine disturb it least.
"""

import time
from collections.abc import Sequence

import torch

from mixlab.generate import StatefulModel


@torch.inference_mode()
def reading_and_writing(
    model: StatefulModel, lengths: Sequence[int], steps: int = 20
) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time that one token takes.

    Args:
        model: as `mixlab.generate` drives them.
        lengths: how many tokens are read before the first is written; everything is done twice, and
            the quicker reading counts.
        steps: tokens written after each reading; the quickest of all counts.

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
    prompts = [torch.randint(model.config.vocab_size, (1, n), generator=generator) for n in lengths]
    reading, writing = [float("inf")] * len(prompts), [float("inf")] * len(prompts)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(2):  # a disturbance seldom lasts until the same length comes again
            for number, tokens in enumerate(prompts):
                start = time.process_time()
                _, state = model.prefill(tokens, model.init_state(1))
                taken = time.process_time() - start
                reading[number] = min(reading[number], 1000 * taken / tokens.shape[1])
                for step in range(steps):
                    start = time.process_time()
                    _, state = model.step(tokens[:, step % tokens.shape[1]], state)
                    writing[number] = min(writing[number], 1000 * (time.process_time() - start))
    finally:
        torch.set_num_threads(threads)
    return reading, writing
