"""What 06.6 must return: which of the layers keep packed prompts apart."""

import numpy as np
import torch

from mixlab.checks.cases.packed_forwards import KEEP_APART, LAYERS
from mixlab.checks.oracles import Misconception, Oracle


def _verdict(layer):
    return np.array(any(layer.__doc__ == right.__doc__ for right in LAYERS[:KEEP_APART]))


def _tokens(lengths):
    return torch.from_numpy(np.random.default_rng(len(lengths)).integers(0, 50, sum(lengths)))


def _equal_alone(layer, lengths, atol=1e-9, judged=None):
    """Whether prompts get in this pack what they get alone; `judged` picks some of them."""
    tokens = _tokens(lengths)
    packed = layer(tokens, lengths).split(lengths)
    alone = [layer(part, [len(part)]) for part in tokens.split(lengths)]
    pairs = list(zip(packed, alone, strict=True))
    return np.array(
        all(float((a - b).abs().max()) <= atol for a, b in (pairs[judged] if judged else pairs))
    )


def _tokens_alike(layer, lengths=(3, 1, 5, 3)):
    """Whether packed = alone where every token is the same."""
    tokens = torch.zeros(sum(lengths), dtype=torch.long)
    alone = torch.cat([layer(part, [len(part)]) for part in tokens.split(lengths)])
    return np.array(torch.allclose(layer(tokens, list(lengths)), alone))


def _in_any_order(layer, lengths=(3, 1, 5, 3)):
    """Whether each prompt gets the same when the pack is turned round."""
    parts = _tokens(lengths).split(lengths)
    there = layer(torch.cat(parts), list(lengths)).split(lengths)
    back = layer(torch.cat(parts[::-1]), list(lengths[::-1])).split(lengths[::-1])
    pairs = zip(there, back[::-1], strict=True)
    return np.array(all(torch.allclose(one, other) for one, other in pairs))


def _no_influence(layer, lengths=(3, 1, 5, 2)):
    """Whether other tokens in one prompt leave the rest as they are, wherever they stand."""
    tokens, start = _tokens(lengths), 0
    before = layer(tokens, lengths)
    for n in lengths:
        changed = tokens.clone()
        changed[start : start + n] = (changed[start : start + n] + 7) % 50
        moved = (layer(changed, lengths) - before).abs().amax(dim=1) > 1e-9
        moved[start : start + n] = False
        if moved.any():
            return np.array(False)
        start += n
    return np.array(True)


_ONE_PACK = (
    "your test looks at one kind of pack only. Some layers are right there and leak elsewhere: "
    "try four prompts and more, equal and unequal lengths, a single token in the middle, and look "
    "at every token of every prompt."
)

EXERCISES = {
    "06.6": Oracle(
        expected=_verdict,
        show=lambda layer: f"keeps_apart on a layer of {layer.__doc__}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((layer,) for layer in LAYERS),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere, in a pack in which "
                "a leak shows?",
                lambda layer: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right layers too. Print the largest difference "
                "that it finds: is it a leak, or the last bit of a rounded number?",
                lambda layer: np.array(False),
            ),
            Misconception(
                "your test asks for equality to the last bit. A pack adds up the same numbers in "
                "another order: use torch.allclose.",
                lambda layer: _equal_alone(layer, [3, 1, 5, 2], atol=0.0),
            ),
            Misconception(
                "all tokens of your packs are alike. One that reads a foreign one then averages "
                "equal values, and no difference shows: take tokens that differ.",
                _tokens_alike,
            ),
            Misconception(
                "your test puts the prompts in another order and compares. A layer that lets every "
                "token see the whole pack treats all orders alike: compare with the prompt alone.",
                _in_any_order,
            ),
            Misconception(
                "your test changes one prompt and looks at the others, and finds every leak. But "
                "a prompt must get what it would get alone, and a layer that adds absolute "
                "positions and doesn't start them anew fails that without leaking.",
                _no_influence,
            ),
            *(
                Misconception(
                    "your test looks at the last prompt only. A prompt may also see the one after "
                    "it.",
                    lambda layer, pack=pack: _equal_alone(
                        layer, list(pack), judged=slice(-1, None)
                    ),
                )
                for pack in ((3, 1, 5, 2), (3, 2, 4, 2), (3, 5), (3, 3), (3, 4, 5), (3, 3, 3))
            ),
            Misconception(
                "your test looks at the first prompt only, and that one has nobody before it.",
                lambda layer: _equal_alone(layer, [3, 1, 5, 2], judged=slice(0, 1)),
            ),
            *(
                Misconception(_ONE_PACK, lambda layer, pack=pack: _equal_alone(layer, list(pack)))
                for pack in (
                    (4,),
                    (3, 5),
                    (3, 3),
                    (3, 3, 3),
                    (3, 1),
                    (1, 1),
                    (3, 4, 5),
                    (3, 1, 5),
                    (3, 4, 4),
                    (1, 1, 1),
                    (1, 2, 1),
                    (2, 1, 2),
                    (3, 3, 3, 3),
                    (3, 1, 5, 2),
                    (4, 1, 6, 2, 1, 3),
                )
            ),
        ),
    ),
}
