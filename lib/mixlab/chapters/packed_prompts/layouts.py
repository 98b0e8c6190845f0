"""What packing computes, and whether prompts touch each other in a pack, as plain arrays."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixlab.transformer.packed_masks import (
    block_mask,
    block_positions,
    causal_block_mask,
    check_lengths,
)
from mixlab.transformer.packing import Packed

Logits = Callable[[Int[Tensor, " total"]], Float[Tensor, "total vocab"]]


def layout_scores(lengths: Sequence[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Which scores three layouts of the same prompts compute, and which of them are of use.

    Args:
        lengths: of the prompts, in tokens.

    Returns:
        Layout to two (slots, slots) arrays: whether a score is computed, and who uses it: 1 +
        the prompt of the token that sees it, or 0. Rows of a rectangle stand one after the other.

    Raises:
        ValueError: for a negative length.

    >>> {name: int(computed.sum()) for name, (computed, _) in layout_scores([2, 1]).items()}
    {'padded rows': 8, 'pack, one mask': 9, 'pack, block by block': 5}
    """
    check_lengths(lengths)
    longest, total = max(lengths), sum(lengths)
    rows = [longest] * len(lengths)
    real = (torch.arange(longest) < torch.tensor(list(lengths))[:, None]).flatten()
    used = _by_prompt(causal_block_mask(lengths), lengths)
    in_rows = _by_prompt(causal_block_mask(rows) & real[:, None] & real, rows)
    return {
        "padded rows": (block_mask(rows).numpy(), in_rows),
        "pack, one mask": (np.ones((total, total), dtype=bool), used),
        "pack, block by block": (block_mask(lengths).numpy(), used),
    }


def _by_prompt(mask: Tensor, lengths: Sequence[int]) -> np.ndarray:
    """1 + the query's prompt where the mask is True."""
    prompt, _ = block_positions(lengths)
    return (mask * (1 + prompt[:, None])).numpy()


def influence(logits: Logits, packed: Packed, token: int, place: int = 1) -> np.ndarray:
    """Change one token of one prompt, and see whose logits move.

    Args:
        logits: maps packed tokens to the logits after each of them.
        packed: the prompts, each longer than `place`.
        token: what the changed token becomes.
        place: which token of a prompt is changed.

    Returns:
        (changed prompt, prompt looked at): the largest change of any logit of that prompt.

    Raises:
        ValueError: if a prompt has no token at `place`.
    """
    if min(packed.lengths) <= place:
        raise ValueError(
            f"every prompt must have a token at place {place} to change: got lengths "
            f"{packed.lengths}"
        )
    before = logits(packed.tokens).split(packed.lengths)
    moves = []
    for changed in range(len(packed.lengths)):
        tokens = packed.tokens.clone()
        tokens[sum(packed.lengths[:changed]) + place] = token
        after = logits(tokens).split(packed.lengths)
        pairs = zip(before, after, strict=True)
        moves.append([float((new - old).abs().max()) for old, new in pairs])
    return np.array(moves)
