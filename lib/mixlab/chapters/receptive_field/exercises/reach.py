"""03.3 Reach through any masks: products of who sees whom."""

from operator import itemgetter

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    """Stacks of masks that differ from layer to layer, some hiding the token itself."""

    def mask(seq, chance):
        return torch.from_numpy(np.tril(rng.random((seq, seq)) < chance))

    sizes = [(2, 6, 0.35), (3, 9, 0.25), (2, 12, 0.2), (4, 7, 0.2), (1, 5, 0.5), (3, 5, 0.1)]
    drawn = [([mask(seq, chance) for _ in range(n)],) for n, seq, chance in sizes]
    # So many layers that the number of paths outgrows 64 bits.
    deep = [mask(12, 0.9) for _ in range(int(rng.integers(68, 76)))]
    for layer in deep:  # their number doubles at every layer here: in 64 bits it comes to 0
        layer[:2, :2] = True
    both_ways = [torch.from_numpy(rng.random((8, 8)) < 0.15) for _ in range(2)]
    long = [mask(140, 0.02) for _ in range(3)]
    return [*drawn, (both_ways,), (long,), (deep,)]


def mask_of(*rows):
    return torch.tensor([[cell == "x" for cell in row] for row in rows])


ASKED = Asked(
    draw=draw,
    read=read_mask(),
    examples=(
        ([mask_of("x...", "xx..", ".xx.", "..xx"), mask_of("x...", "xx..", "x.x.", ".x.x")],),
        ([mask_of("x..", "x..", ".x."), mask_of("x..", ".x.", ".xx")],),
        ([mask_of("x...", "x...", ".x..", "..x.")] * 2,),
        ([mask_of(".x.", "..x", "..."), mask_of("...", "x..", ".x.")],),
        ([torch.ones(12, 12).tril() + torch.eye(12).roll(1, 1).tril(1) > 0] * 70,),
    ),
    hints=(
        "Keep a table `known`: row i says which input tokens token i knows. Before the first "
        "layer it is the identity. How does one mask change it?",
        "After a layer, token i knows what any token it sees knew before: that is `mask @ known`, "
        "with the layer's mask on the left, wherever it is above 0. torch multiplies numbers, not "
        "truth values: `mask.float() @ known.float()`.",
        "Turn the product into True and False after every layer, or seventy layers of counts "
        "overflow. And the residual: `known` itself stays known.",
    ),
)

# --- kept back while grading ---


def token_by_token(masks):
    """Each token's set of known inputs, layer by layer."""
    known = [{i} for i in range(len(masks[0]))]
    for mask in masks:
        seen = [row.nonzero().flatten().tolist() for row in mask]
        known = [known[i].union(*(known[j] for j in seen[i])) for i in range(len(known))]
    return [[j in known[i] for j in range(len(known))] for i in range(len(known))]


def itself(table):
    return np.eye(len(table), dtype=bool)


def through(mask, known):
    """What each token is told by those that it sees."""
    return mask.astype(float) @ known > 0


def layered(
    step=lambda mask, known: known | through(mask, known),
    order=lambda masks: masks,
    start=lambda masks: itself(masks[0]),
    end=lambda known: known,
):
    """Layer by layer, with another idea of a layer, of which come, of the start or the end."""

    def reach(masks):
        masks = [np.asarray(mask) for mask in masks]
        known = start(masks)
        for mask in order(masks):
            known = step(mask, known)
        return end(known)

    return reach


def in_place(mask, known):
    for i, row in enumerate(mask):
        known[i] |= known[row].any(axis=0)
    return known


def counting(kind, known_where):
    """Paths counted in numbers of a kind, which has an end."""
    return layered(
        lambda mask, paths: torch.from_numpy(mask | itself(mask)).to(kind) @ paths,
        start=lambda masks: torch.from_numpy(itself(masks[0])).to(kind),
        end=lambda paths: known_where(paths, 0),
    )


MISTAKES = {
    "the product runs the wrong way round. The first layer's mask stands on the right: mask_2 @ "
    "mask_1.": layered(order=lambda masks: masks[::-1]),
    "the residual is missing, after the first layer or in all. A token whose mask hides it still "
    "keeps what it knew.": (
        layered(through),
        layered(through, lambda masks: masks[1:], start=lambda masks: masks[0] | itself(masks[0])),
    ),
    "the residual is missing, and the product runs the wrong way round: mask_2 @ mask_1.": (
        layered(through, order=lambda masks: masks[::-1])
    ),
    "your residual keeps the token itself, and not what else it knew.": layered(
        lambda mask, known: through(mask, known) | itself(mask)
    ),
    "the residual is there from the second layer on, or at the end, and not in the first: begin "
    "with the identity, not with the first mask.": (
        layered(order=lambda masks: masks[1:], start=itemgetter(0)),
        layered(through, end=lambda known: known | itself(known)),
    ),
    "you use the first mask for every layer.": layered(order=lambda m: m[:1] * len(m)),
    "you use the last mask for every layer.": layered(order=lambda m: m[-1:] * len(m)),
    "you leave out a layer, the first or the last: there are as many steps as masks.": (
        layered(order=lambda masks: masks[1:]),
        layered(order=lambda masks: masks[:-1]),
        layered(order=lambda masks: masks[-1:]),
        layered(order=lambda masks: masks[:1]),
    ),
    "you join the masks, as if all stood in one layer. The second layer reads what the first has "
    "gathered: that takes a product.": (
        layered(np.logical_or),
        layered(np.logical_or, start=itemgetter(0)),
    ),
    "you follow the masks in any order, and again and again. Each layer is passed once, the first "
    "layer first.": (
        layered(order=lambda masks: [np.any(masks, axis=0)] * len(masks)),
        layered(order=lambda masks: [np.any(masks, axis=0)] * len(masks[0])),
    ),
    "you keep only pairs that every mask shows. The second layer reads what the first has "
    "gathered: that takes a product.": (
        layered(np.logical_and, start=itemgetter(0)),
        layered(np.logical_and, start=itemgetter(0), end=lambda known: known | itself(known)),
    ),
    "your tables are multiplied place by place, so nothing is passed on: that takes `@`.": (
        layered(lambda mask, known: known | (mask & known))
    ),
    "rows and columns are swapped: a row is the token that knows.": layered(end=np.transpose),
    "you read each mask's columns as its rows: the row is the token that sees.": (
        layered(order=lambda masks: [mask.T for mask in masks])
    ),
    "a layer changes what it is still reading: a token takes over what another has learnt in the "
    "same layer. Keep what was known before the layer.": layered(in_place),
    "you hide what is ahead. These masks need not be causal.": layered(end=np.tril),
    "every layer is right, and seventy of them are not: so many paths fit in no number, and become "
    "negative, 0 or NaN. Make them True and False after every layer.": (
        counting(torch.float32, torch.gt),
        *(counting(kind, torch.gt) for kind in (torch.int64, torch.int32, torch.int16, torch.int8)),
        *(
            counting(kind, torch.ne)
            for kind in (torch.int64, torch.int32, torch.int16, torch.uint8)
        ),
    ),
}


def show(masks):
    drawn = " then ".join("/".join("".join(".x"[s] for s in row) for row in m.int()) for m in masks)
    small = len(masks) < 4 and len(masks[0]) < 6
    return f"reach([{drawn}])" if small else f"reach of {len(masks)} masks of {len(masks[0])}"


KNOWN = Known(
    right=(token_by_token, layered()),
    mistakes=MISTAKES,
    slips={
        "Are they counts?": layered(lambda mask, paths: paths + mask @ (1 * paths)),
        "multiplies matrices of numbers, not of truth values": lambda masks: masks[0] @ masks[-1],
        "expected shape": lambda masks: token_by_token(masks)[-1:],
    },
    show=show,
    place=lambda at: f"token {at[0]}, input {at[1]}" if at else "",
    name=lambda value: "known (True)" if value else "unknown (False)",
)
