"""06.2 The mask of any chunk: blocks along the diagonal, each aligned at its end."""

import torch

from mixlab.chapters.packed_prompts.exercises import masks, packs
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask

ASKED = Asked(
    draw=packs.draw_blocks,
    read=read_mask(),
    examples=(([4, 4, 1], [4, 4, 1], 3), ([1, 3], [3, 5], 3), ([2, 1, 3], [2, 4, 6], 2)),
    hints=(
        "Build one block alone first: n queries and m keys of one prompt, where the queries "
        "are the last n of the m positions. Which position is query 0 of the block?",
        "In a block, query r stands at position m - n + r and key c at position c. The rule "
        "of the window takes these two positions.",
        "Start with `torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)`, and "
        "write each block into its own rows and columns, both of which you count on as you go.",
    ),
)

# --- kept back while grading ---


def by_blocks(q_lengths, k_lengths, window):
    parts = [torch.ones(n, m) for n, m in zip(q_lengths, k_lengths, strict=True)]
    return torch.block_diag(
        *(p.tril(p.shape[1] - len(p)).triu(p.shape[1] - len(p) - window + 1) for p in parts)
    )


MISTAKES = {
    **masks.NEARLY,
    "rows and columns are swapped: a row is a query.": lambda *given: masks.by_loops(*given).T,
    "your mask has a column for each query. It has one for each key, cached ones too.": (
        lambda queries, keys, window: masks.by_loops(queries, queries, window)
    ),
    "your mask has a row for each key. It has one for each query: cached tokens ask nothing.": (
        lambda queries, keys, window: masks.by_loops(keys, keys, window)
    ),
}

KNOWN = Known(
    right=(masks.by_loops, by_blocks, masks.banded(masks.steps)),
    mistakes=MISTAKES,
    slips={
        "the mask to add to the scores": lambda *given: torch.where(
            masks.by_loops(*given), 0.0, -torch.inf
        ),
        "expected a mask with 2 axes": lambda *given: masks.by_loops(*given)[None],
    },
    show=lambda q, k, w: f"packed_mask({q}, {k}, window={w})",
    place=masks.query_key,
    name=masks.visible,
    advice=masks.advice,
)
