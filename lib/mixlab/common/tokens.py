"""From token ids to vectors: the first step of every model, and the first place for a mistake."""

from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mixlab.common.quantised import QuantisedEmbedding


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise ValueError unless `chunk_size` is None (a whole prompt in one pass) or at least 1."""
    if chunk_size is None:
        return
    if not isinstance(chunk_size, Integral) or chunk_size < 1:
        raise ValueError(
            f"chunk_size must be at least 1 token, or None for the whole prompt: got {chunk_size!r}"
        )


def embed(
    embedding: nn.Embedding | QuantisedEmbedding, tokens: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch dim"]:
    """The row of `embedding` that belongs to each token.

    Raises:
        ValueError: for what is no token id, or, on a CPU, an id that the model doesn't know. A GPU
            looks later, and stops the whole process.

    >>> embed(nn.Embedding(4, 2), torch.tensor([[1, 3, 0]])).shape
    torch.Size([1, 3, 2])
    """
    if tokens.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"token ids are whole numbers, of int64 or int32: got {tokens.dtype}. If they are "
            "ids, tokens.long() makes them so; a mask or text isn't"
        )
    try:
        return embedding(tokens)
    except IndexError as error:
        raise ValueError(
            f"this model knows tokens 0 to {embedding.num_embeddings - 1}: got ids from "
            f"{int(tokens.min())} to {int(tokens.max())}. Was the text tokenized for another model?"
        ) from error
