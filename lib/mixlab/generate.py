"""Generation: read the prompts, choose a token each, feed it back, until enough.

`generate` drives any model with three methods, which the transformer and Mamba share. A *state* is
what a model remembers of the tokens so far: a key/value cache, or a recurrent state.

    init_state(batch) -> state                              before the first token
    prefill(prompts, state, chunk_size) -> (logits, state)  lists of ids of any lengths, or rows
    step(tokens, state) -> (logits, state)                  tokens (batch,), one more each

Logits are those of the next token, (batch, vocab). How prompts of several lengths are laid out and
cut into chunks is the model's own business: the transformer packs them end to end, Mamba pads
them to one length. A state may be changed in place, so only the returned one is used;
`state.rows(index)` gives that of some of the sequences.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from numbers import Integral
from operator import index
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm.auto import tqdm

from mixlab.common.sampling import check_sampling, sample
from mixlab.common.tokens import check_chunk_size


@runtime_checkable
class StatefulModel(Protocol):
    """What `generate` asks of a model; shapes as in the module's docstring."""

    def init_state(self, batch: int) -> Any:
        """The state before the first token."""

    def prefill(
        self, prompts: Sequence[Sequence[int]], state: Any, *, chunk_size: int | None = None
    ) -> tuple[Tensor, Any]:
        """Read prompts: the logits after each one's last token, and the state there."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token a sequence: the logits after it, and the state there."""


@torch.inference_mode()
def generate(
    model: StatefulModel,
    prompts: Sequence[Sequence[int] | Int[Tensor, " seq"]] | Int[Tensor, "batch seq"],
    max_tokens: int,
    chunk_size: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    stop: Collection[int] = (),
    on_token: Callable[[int, int], object] | None = None,
    progress: bool = False,
) -> list[list[int]]:
    """Continue each prompt by up to `max_tokens` tokens, all prompts in one batch.

    Prompts of any lengths are read together, then every step adds one token to each sequence
    that hasn't met a stop token; those that have leave the batch. In float32, greedy choice gives
    each prompt what it would get alone, whatever `chunk_size`; in half precision two tokens that
    score nearly alike may change places with the company. Sampling draws for all sequences from
    one generator, so there the neighbours matter.

    Args:
        model: a model as the module's docstring describes, such as `mixlab.load` returns.
        prompts: token ids, of any lengths of at least one; lists or tensors.
        max_tokens: how many to add at most.
        chunk_size: tokens of a prompt read in one pass, to bound memory; None for all.
        temperature, top_p: as in `mixlab.common.sampling.sample`.
        generator: source of randomness, on the model's device.
        stop: tokens that end a sequence; the stop token itself is not returned.
        on_token: called with the prompt's number and each new token as it is chosen.
        progress: show a progress bar on runs that take longer than a second.

    Returns:
        The new tokens of each prompt, without the prompt.

    Raises:
        ValueError: for an empty prompt, what are no token ids or none that the model knows,
            numbers out of range, or a model without the three methods.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> from mixlab.transformer.model import Transformer
    >>> model = Transformer(TransformerConfig.tiny(window=4))
    >>> both = generate(model, [[1, 2, 3], [4, 5, 6, 7, 8]], max_tokens=3)
    >>> [len(new) for new in both], both[0] == generate(model, [[1, 2, 3]], max_tokens=3)[0]
    ([3, 3], True)
    """
    rows = _checked(model, prompts, max_tokens, chunk_size, stop)
    check_sampling(temperature, top_p)
    continued: list[list[int]] = [[] for _ in rows]
    if not rows or max_tokens == 0:
        return continued
    with tqdm(total=max_tokens, unit="token", delay=1.0, disable=not progress) as bar:
        logits, state = model.prefill(rows, model.init_state(len(rows)), chunk_size=chunk_size)
        active = list(range(len(rows)))  # which prompt each row of the batch belongs to
        for number in range(max_tokens):
            tokens = sample(logits, temperature, top_p, generator)
            chosen = tokens.tolist()
            going = [token not in stop for token in chosen]
            for prompt, token, goes in zip(active, chosen, going, strict=True):
                if goes:
                    continued[prompt].append(token)
                    if on_token is not None:
                        on_token(prompt, token)
            bar.update()
            if number + 1 == max_tokens or not any(going):
                break
            if not all(going):
                kept = torch.tensor(going, device=tokens.device)
                tokens, state = tokens[kept], state.rows(kept)
                active = [prompt for prompt, goes in zip(active, going, strict=True) if goes]
            logits, state = model.step(tokens, state)
    return continued


def _checked(
    model: StatefulModel, prompts, max_tokens: int, chunk_size: int | None, stop
) -> list[list[int]]:
    """The prompts as lists of whole numbers, after every check that needs no computing."""
    if not all(hasattr(model, name) for name in ("init_state", "prefill", "step")):
        raise ValueError(
            "model must have init_state, prefill and step, as what mixlab.load(path) returns: got "
            f"{type(model).__name__}"
        )
    if not isinstance(max_tokens, Integral) or max_tokens < 0:
        raise ValueError(f"max_tokens must be 0 or more, a whole number: got {max_tokens!r}")
    check_chunk_size(chunk_size)
    if isinstance(stop, str) or not isinstance(stop, Collection):
        raise ValueError(f"stop must be a collection of token ids, such as (2,): got {stop!r}")
    vocab_size, rows = model.config.vocab_size, []
    for token in stop:
        if not hasattr(token, "__index__") or not 0 <= token < vocab_size:
            raise ValueError(
                f"stop must hold token ids from 0 to {vocab_size - 1}, or it would never stop: got "
                f"{token!r}. A token's id is mixlab.tokenizer(path).token_to_id(token)"
            )
    if not isinstance(prompts, Iterable):
        raise ValueError(f"prompts must be a list of lists of token ids: got {prompts!r}")
    for number, prompt in enumerate(prompts):
        try:
            listed = prompt.tolist() if hasattr(prompt, "tolist") else prompt  # tensors, arrays
            row = [index(token) for token in listed]
        except TypeError as error:
            raise ValueError(
                "prompts must be a list of lists of token ids, one list a prompt: prompt "
                f"{number} is {prompt!r}. Text goes through mixlab.tokenizer(path).encode(text)"
                ".ids first, and a single prompt into a list of its own"
            ) from error
        if not row:
            raise ValueError(
                f"prompt {number} is empty: a model continues at least one token; start from the "
                "tokenizer's beginning-of-text token"
            )
        if unknown := [token for token in row if not 0 <= token < vocab_size]:
            raise ValueError(
                f"prompt {number} holds token {unknown[0]}, and this model knows tokens 0 to "
                f"{vocab_size - 1}: was it tokenized for another model?"
            )
        rows.append(row)
    longest = max(map(len, rows), default=0)
    if longest > (trained := getattr(model.config, "max_seq", longest)):
        warnings.warn(
            f"a prompt of {longest:,} tokens is longer than the {trained:,} that this model was "
            "trained for: what it continues with may make no sense",
            stacklevel=3,
        )
    return rows
