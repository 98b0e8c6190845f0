"""Generation: run the model, choose a token, append it, again.

Each step here runs the whole sequence anew, which is the plainest form: what a key/value cache
saves is the subject of the lesson rolling_cache.
"""

from collections.abc import Sequence

import torch
from torch import nn

from mixlab.common.sampling import sample


@torch.inference_mode()
def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Continue each prompt by `max_tokens` tokens.

    Args:
        model: maps tokens (batch, seq) to logits (batch, seq, vocab).
        prompts: token ids, of any lengths of at least one.
        max_tokens: how many to add.
        temperature: as in `mixlab.common.sampling.sample`.
        generator: source of randomness, on the model's device.

    Returns:
        The new tokens of each prompt, without the prompt.

    Raises:
        ValueError: for an empty prompt or a negative `max_tokens`.
    """
    if max_tokens < 0:
        raise ValueError(f"max_tokens must be 0 or more: got {max_tokens}")
    for number, prompt in enumerate(prompts):
        if not len(prompt):
            raise ValueError(
                f"prompt {number} is empty: a model continues at least one token; start from the "
                "tokenizer's beginning-of-text token"
            )
    device = next(model.parameters()).device
    continued = []
    for prompt in prompts:
        tokens = torch.tensor([list(prompt)], device=device)
        for _ in range(max_tokens):
            following = sample(model(tokens)[:, -1], temperature, generator)
            tokens = torch.cat((tokens, following[:, None]), dim=1)
        continued.append(tokens[0, len(prompt) :].tolist())
    return continued
