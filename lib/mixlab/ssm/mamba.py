"""Mamba: embed the tokens, pass them through blocks of selective scans, read out.

All that a layer remembers is the last d_conv − 1 inputs of its convolution and the state of its
scan: a constant size, where a transformer's cache grows with every token.

Source: Gu and Dao, "Mamba" (2023), section 3.4. Embedding, norm and output are named as in
`mixlab.transformer.model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mixlab.common.linear import Linear
from mixlab.common.norm import RMSNorm
from mixlab.common.tokens import check_chunk_size, embed
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba_block import Block, LayerState
from mixlab.ssm.packing import pad, real_ends


@dataclass(frozen=True)
class MambaState:
    """What a model remembers of the tokens before, the same size after any number of them.

    States are never changed: every call returns a new one, so an old one can be gone back to.
    """

    layers: tuple[LayerState, ...]

    @property
    def n_bytes(self) -> int:
        """Memory that the state takes."""
        return sum(x.nbytes for layer in self.layers for x in (layer.history, layer.scan))

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "MambaState":
        """The state of some sequences of the batch."""
        return MambaState(
            tuple(LayerState(layer.history[index], layer.scan[index]) for layer in self.layers)
        )


class Mamba(nn.Module):
    """The model: tokens (batch, seq) in, logits (batch, seq, vocab) out.

    To generate, `prefill` the prompt and `step` token by token, handing on the state:

    >>> model = Mamba(MambaConfig.tiny())
    >>> tokens = torch.tensor([[5, 3, 8, 1]])
    >>> model(tokens).shape
    torch.Size([1, 4, 256])
    >>> _, state = model.prefill(tokens[:, :3])
    >>> logits, state = model.step(tokens[:, 3], state)
    >>> torch.allclose(logits, model(tokens)[:, -1], atol=1e-5)
    True
    """

    # Where weight decay would pull it: A to −1 in every state, all memories of one length.
    no_weight_decay = ("A_log", "D")

    def __init__(self, config: MambaConfig):
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = Linear(config.dim, config.vocab_size)
        if config.tie_embeddings:
            self.output.weight = self.tok_embeddings.weight
        nn.init.normal_(self.tok_embeddings.weight, std=0.02)

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"] | None = None,
        starts: Bool[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token after every position.

        Args:
            tokens: token ids below `config.vocab_size`.
            mask: True at real tokens, where rows are padded at their left or right end.
            starts: True at first tokens, where sequences are packed into one row.

        Raises:
            ValueError: if there are no tokens, tokens that the model doesn't know (on a CPU) or
                of another shape, or mask or starts of another shape or dtype.
        """
        x, _ = self.hidden(tokens, self.init_state(len(tokens)), mask, starts)
        return self.output(self.norm(x.to(self.norm.weight.dtype)))

    def init_state(self, batch: int) -> MambaState:
        """The state before the first token: all zeros."""
        config, weight = self.config, self.tok_embeddings.weight
        history = weight.new_zeros(batch, config.d_conv - 1, config.d_inner)
        dtype = torch.promote_types(weight.dtype, torch.float32)
        # Channels lie next to each other in memory, as every operation of the scan wants them.
        scan = weight.new_zeros(batch, config.d_state, config.d_inner, dtype=dtype).mT
        return MambaState((LayerState(history, scan),) * config.n_layers)

    @torch.no_grad()
    def prefill(
        self,
        prompts: Sequence[Sequence[int]] | Int[Tensor, "batch seq"],
        state: MambaState | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
        chunk_size: int | None = None,
    ) -> tuple[Float[Tensor, "batch vocab"], MambaState]:
        """Read prompts, or parts of them: the logits after each one's last token, and the state.

        Args:
            prompts: token ids of any lengths as lists, or as rows; any number of calls may share a
                prompt among them.
            state: what an earlier call returned; `init_state` by default.
            mask: True at real tokens, where rows are padded. Padding on the left belongs before a
                sequence's first token only. A row without a real token keeps its state, and its
                logits mean nothing.
            chunk_size: tokens of a prompt in one pass; smaller takes less memory. The result
                is the same for every size.

        Raises:
            ValueError: as in calling the model, for a chunk size below 1, and for the state of
                another batch or model.

        >>> model = Mamba(MambaConfig.tiny())
        >>> model.prefill([[5, 3, 8], [1]], chunk_size=2)[0].shape
        torch.Size([2, 256])
        """
        check_chunk_size(chunk_size)
        if not isinstance(prompts, Tensor):
            prompts, mask = pad(prompts, self.tok_embeddings.weight.device)
        _check_rows(prompts, mask=mask)
        state = self.init_state(len(prompts)) if state is None else state
        chunk_size = chunk_size or prompts.shape[1]
        chunks = prompts.split(chunk_size, dim=1)
        masks = [None] * len(chunks) if mask is None else mask.split(chunk_size, dim=1)
        last = None
        for chunk, real in zip(chunks, masks, strict=True):
            x, state = self.hidden(chunk, state, real)
            last = _last(x, real, last)
        return self.output(self.norm(last.to(self.norm.weight.dtype))), state

    @torch.no_grad()
    def step(
        self, tokens: Int[Tensor, " batch"], state: MambaState
    ) -> tuple[Float[Tensor, "batch vocab"], MambaState]:
        """One more token a sequence: the logits after it, and the next state.

        Raises:
            ValueError: for tokens that the model doesn't know (on a CPU) or of another shape, and
                for the state of another batch or model.
        """
        x = self.begin_step(tokens, state)
        layers = []
        for layer, layer_state in zip(self.layers, state.layers, strict=True):
            x, layer_state = layer.step(x, layer_state)
            layers.append(layer_state)
        logits = self.output(self.norm(x.to(self.norm.weight.dtype)))
        return logits, MambaState(tuple(layers))

    def begin_step(
        self, tokens: Int[Tensor, " batch"], state: MambaState
    ) -> Float[Tensor, "batch dim"]:
        """What enters the first layer in a step.

        Raises:
            ValueError: as `step`.
        """
        if tokens.dim() != 1:
            raise ValueError(
                "a step takes one token a sequence, along one axis: got tokens of shape "
                f"{tuple(tokens.shape)}. Several tokens of a sequence go to prefill"
            )
        self._check_state(len(tokens), state)
        return self._embed(tokens)

    def hidden(
        self,
        tokens: Int[Tensor, "batch seq"],
        state: MambaState,
        mask: Bool[Tensor, "batch seq"] | None = None,
        starts: Bool[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq dim"], MambaState]:
        """The residual stream after the last block, before the final norm, and the state.

        Raises:
            ValueError: as in calling the model, and for the state of another batch or model.
        """
        _check_rows(tokens, mask=mask, starts=starts)
        self._check_state(len(tokens), state)
        x = self._embed(tokens)
        layers = []
        for layer, layer_state in zip(self.layers, state.layers, strict=True):
            x, layer_state = layer(x, layer_state, mask=mask, starts=starts)
            layers.append(layer_state)
        return x, MambaState(tuple(layers))

    def _embed(self, tokens: Tensor) -> Tensor:
        x = embed(self.tok_embeddings, tokens)
        return x.float() if self.config.residual_in_fp32 and x.dtype.itemsize < 4 else x

    def _check_state(self, batch: int, state: MambaState) -> None:
        config = self.config
        if not isinstance(state, MambaState):
            raise ValueError(
                f"the state must be a MambaState, from init_state or an earlier call: got "
                f"{type(state).__name__}"
            )
        expected = (config.n_layers, batch, config.d_inner, config.d_state)
        got = (len(state.layers), *(state.layers[0].scan.shape if state.layers else ()))
        if got != expected:
            raise ValueError(
                f"the state must be of (n_layers, batch, d_inner, d_state) = {expected}: got {got}."
                " Does it belong to another batch or model?"
            )
        if (past := state.layers[0].history.shape[1]) != config.d_conv - 1:
            raise ValueError(
                f"a model with d_conv = {config.d_conv} remembers {config.d_conv - 1} inputs of "
                f"its convolution: got a state with {past}. Does it belong to another model?"
            )


def _last(
    x: Float[Tensor, "batch seq dim"],
    mask: Bool[Tensor, "batch seq"] | None,
    before: Float[Tensor, "batch dim"] | None,
) -> Float[Tensor, "batch dim"]:
    """What stands at each row's last real token; `before` for rows without any."""
    if mask is None:
        return x[:, -1]
    ends = real_ends(mask)
    last = x[torch.arange(len(x), device=x.device), (ends - 1).clamp(min=0)]
    return last if before is None else torch.where(ends[:, None] > 0, last, before)


def _check_rows(tokens: Tensor, **marks: Tensor | None) -> None:
    """Raise ValueError unless tokens are rows, and each mark a boolean for every token."""
    if tokens.dim() != 2 or tokens.shape[1] == 0:
        raise ValueError(
            "tokens must be rows (batch, seq) of at least one token each: got shape "
            f"{tuple(tokens.shape)}. A single sequence is a batch of one: tokens[None]"
        )
    for name, flags in marks.items():
        if flags is not None and flags.shape != tokens.shape:
            raise ValueError(
                f"{name} must have the shape of the tokens, {tuple(tokens.shape)}: "
                f"got {tuple(flags.shape)}"
            )
        if flags is not None and flags.dtype != torch.bool:
            raise ValueError(
                f"{name} must hold True and False: got {flags.dtype}. An attention_mask of "
                "ones and zeros becomes one by .bool()"
            )
