"""Held-out text of every kind, cut to equal length: what the model is measured on.

Each text is the beginning of a document that the model never saw, after a start token. Tokens of
one text hang together, so the texts, not the tokens, are what error bars count.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor

from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.small_mixtral.recipe import START
from mixlab.transformer.model import Transformer


@dataclass(frozen=True)
class Sample:
    """As many texts of each kind, all of one length.

    Attributes:
        tokens: (texts, seq); the texts of one kind stand together, kinds in the order of `KINDS`.
        n_bytes: how many bytes of text each token stands for, the same shape; 0 for the start.
        kind: the number of each text's kind, (texts,).
    """

    tokens: Int[Tensor, "texts seq"]
    n_bytes: Int[Tensor, "texts seq"]
    kind: Int[np.ndarray, " texts"]

    def first(self, each: int) -> "Sample":
        """The first `each` texts of every kind, for what takes longer.

        Raises:
            ValueError: if there are fewer.
        """
        have = len(self.tokens) // len(KINDS)
        if not 1 <= each <= have:
            raise ValueError(f"each kind has {have} texts: got each={each}")
        kept = np.flatnonzero(np.arange(len(self.kind)) % have < each)
        return Sample(self.tokens[kept], self.n_bytes[kept], self.kind[kept])


def sample(tokenizer: Tokenizer, each: int = 32, seq: int = 256) -> Sample:
    """The first `seq` tokens of `each` held-out documents of every kind.

    Args:
        tokenizer: the shipped one, or one of its training.
        each: texts of a kind.
        seq: tokens of a text, the start token included. Shorter documents are passed over.

    Raises:
        ValueError: if some kind has too few documents of that length.
    """
    start = tokenizer.token_to_id(START)
    rows = []
    for kind in KINDS:
        encoded = tokenizer.encode_batch(documents(kind, "held_out"))
        long = [[start, *one.ids[: seq - 1]] for one in encoded if len(one.ids) >= seq - 1]
        if len(long) < each:
            raise ValueError(
                f"{kind} has {len(long)} held-out documents of {seq} tokens or more: got "
                f"each={each}. Take fewer or shorter texts"
            )
        rows += long[:each]
    tokens = torch.tensor(rows)
    # At the byte level a token is written with one character a byte.
    sizes = torch.tensor([len(tokenizer.id_to_token(i)) for i in range(tokenizer.get_vocab_size())])
    sizes[start] = 0
    return Sample(tokens, sizes[tokens], np.repeat(np.arange(len(KINDS)), each))


@torch.inference_mode()
def bits(model: Transformer, texts: Sample) -> Float[np.ndarray, "texts seq"]:
    """What each token costs, in bits: -log2 of the probability that the model gave it.

    The start token is given, and costs nothing. Divided by `n_bytes`, summed over a text, this is
    the text's bits per byte, which don't depend on how text is cut into tokens.
    """
    costs = []
    for tokens in texts.tokens.split(32):
        logits = model(tokens)[:, :-1].float()
        nats = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        )
        costs.append(nats.view(len(tokens), -1) / np.log(2))
    return torch.nn.functional.pad(torch.cat(costs), (1, 0)).double().numpy()


def bits_per_byte(costs: Float[np.ndarray, "texts seq"], texts: Sample) -> dict[str, float]:
    """Bits per byte of every kind, from the costs that `bits` found."""
    sizes = texts.n_bytes.numpy()
    return {
        kind: float(costs[texts.kind == n].sum() / sizes[texts.kind == n].sum())
        for n, kind in enumerate(KINDS)
    }
