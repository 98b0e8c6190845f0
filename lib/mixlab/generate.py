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
from jaxtyping import Bool, Int
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from torch import Tensor
from tqdm.auto import tqdm

from mixlab.common.sampling import Generators, check_sampling, penalise, sample
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
    generator: Generators = None,
    stop: Collection[int] = (),
    on_token: Callable[[int, int], object] | None = None,
    progress: bool = False,
    *,
    top_k: int | None = None,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    log_probabilities: bool = False,
) -> list[list[int]] | tuple[list[list[int]], list[list[float]]]:
    """Continue each prompt by up to `max_tokens` tokens, all prompts in one batch.

    Prompts of any lengths are read together, then every step adds one token to each sequence
    that hasn't met a stop token; those that have leave the batch. In float32, greedy choice gives
    each prompt what it would get alone, whatever `chunk_size`; in half precision two tokens that
    score nearly alike may change places with the company (in bfloat16, 5 of 12 prompts went on
    otherwise within 24 tokens of SmolLM2; in float32 none).

    Args:
        model: a model as the module's docstring describes, such as `mixlab.load` returns.
        prompts: token ids, of any lengths of at least one; lists or tensors.
        max_tokens: how many to add at most.
        chunk_size: tokens of a prompt read in one pass, to bound memory; None for all.
        temperature, top_p, top_k, min_p: as in `mixlab.common.sampling.sample`.
        generator: source of randomness, on the model's device: one for all prompts, or one a
            prompt, and then no prompt's draws depend on its neighbours.
        stop: tokens that end a sequence; the stop token itself is not returned.
        on_token: called with the prompt's number and each new token as it is chosen, such as
            `stream(tokenizer)`.
        progress: show a progress bar on runs that take longer than a second.
        repetition_penalty: divide the logits of tokens that a sequence holds already, its prompt
            included, by this; 1 changes nothing.
        log_probabilities: return those of the new tokens, too: natural logarithms, under the
            model itself, so before penalty, temperature and filters.

    Returns:
        The new tokens of each prompt, without the prompt; with `log_probabilities` a pair of
        these and of a number for each of them.

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
    check_sampling(temperature, top_p, top_k, min_p, repetition_penalty)
    alone = isinstance(generator, Sequence)
    if alone and len(generator) != len(rows):
        raise ValueError(
            "generator must be one for all prompts, or one a prompt: got "
            f"{len(generator)} for {len(rows)} prompts"
        )
    continued: list[list[int]] = [[] for _ in rows]
    scored: list[list[float]] = [[] for _ in rows]
    result = (continued, scored) if log_probabilities else continued
    if not rows or max_tokens == 0:
        return result
    with tqdm(total=max_tokens, unit="token", delay=1.0, disable=not progress) as bar:
        logits, state = model.prefill(rows, model.init_state(len(rows)), chunk_size=chunk_size)
        active = list(range(len(rows)))  # which prompt each row of the batch belongs to
        said = _said(rows, logits) if repetition_penalty != 1 else None
        for number in range(max_tokens):
            scores = logits if said is None else penalise(logits, said, repetition_penalty)
            drawn = [generator[prompt] for prompt in active] if alone else generator
            tokens = sample(scores, temperature, top_p, drawn, top_k, min_p)
            chosen = tokens.tolist()
            going = [token not in stop for token in chosen]
            for prompt, token, goes in zip(active, chosen, going, strict=True):
                if goes:
                    continued[prompt].append(token)
                    if on_token is not None:
                        on_token(prompt, token)
            if log_probabilities:
                own = logits.float().log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]
                for prompt, score, goes in zip(active, own.tolist(), going, strict=True):
                    scored[prompt] += [score] * goes
            bar.update()
            if number + 1 == max_tokens or not any(going):
                break
            if not all(going):
                kept = torch.tensor(going, device=tokens.device)
                tokens, state = tokens[kept], state.rows(kept)
                said = None if said is None else said[kept]
                active = [prompt for prompt, goes in zip(active, going, strict=True) if goes]
            if said is not None:
                said.scatter_(1, tokens[:, None], True)
            logits, state = model.step(tokens, state)
    return result


def stream(
    tokenizer: Tokenizer, show: Callable[[int, str], object] | None = None
) -> Callable[[int, int], None]:
    """For `generate`'s `on_token`: what is said, as text, while it is said.

    A token may be a part of a character, such as a quarter of an emoji: text is shown once its
    characters are whole. Of each `generate`, make a new one.

    Args:
        tokenizer: the model's.
        show: called with the prompt's number and a piece of text; by default, it is printed.

    >>> from mixlab.weights import smollm2, tokenizer
    >>> encode, shown = tokenizer(smollm2()), []
    >>> on_token = stream(encode, lambda prompt, text: shown.append(text))
    >>> for token in encode.encode("so 🙂!").ids:
    ...     on_token(0, token)
    >>> shown
    ['so', ' 🙂', '!']
    """
    streams: dict[int, DecodeStream] = {}

    def on_token(prompt: int, token: int) -> None:
        whole = streams.setdefault(prompt, DecodeStream(skip_special_tokens=True))
        if text := whole.step(tokenizer, token):
            if show is None:
                print(text, end="", flush=True)
            else:
                show(prompt, text)

    return on_token


def _said(rows: list[list[int]], logits: Tensor) -> Bool[Tensor, "batch vocab"]:
    """Which tokens each row holds."""
    said = torch.zeros_like(logits, dtype=torch.bool)
    for marks, row in zip(said, rows, strict=True):
        marks[row] = True
    return said


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
