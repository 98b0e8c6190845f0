"""Window, scan and experts as parts that fit into one slot, and how a stack of them practises.

Each is the library's own, made small: `Attention`, `MambaMixer`, `SparseMoE`. A part maps a
normalised stream (batch, seq, dim) to what is added to it, and says how many bytes it keeps.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.chapters.capstone import diary
from mixlab.common.training import TrainingConfig, train
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba_block import LayerState, MambaMixer
from mixlab.transformer.attention import Attention, attend_rows, attention
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import FeedForward
from mixlab.transformer.rope import rope_table, widen
from mixlab.transformer.sparse_moe import SparseMoE

DIM, HEAD_DIM = 32, 16
LENGTH, BATCH, STEPS = 24, 32, 250
NUMBER = 4  # bytes

Stream = Float[Tensor, "batch seq dim"]


def _shape(**changes) -> TransformerConfig:
    heads = dict(n_heads=2, n_kv_heads=1, head_dim=HEAD_DIM)
    small = dict(dim=DIM, n_layers=1, hidden_dim=8, vocab_size=8)
    return TransformerConfig(**(heads | small | changes))


def _turns(positions: Int[Tensor, " seq"]) -> tuple[Tensor, Tensor]:
    return widen(*rope_table(positions, HEAD_DIM), torch.float32)


class Window(nn.Module):
    """Attention under a window; None for all that came before."""

    def __init__(self, window: int | None):
        super().__init__()
        self.window, self.attention = window, Attention(_shape())

    def forward(self, x: Stream) -> Stream:
        """Every token reads those that its window shows."""
        turns = _turns(torch.arange(x.shape[1]))
        return self.attention(x, *turns, partial(attend_rows, window=self.window))

    def writer(self, read: Stream) -> Callable[[Stream], Stream]:
        """Writes the token behind a text, over and over: its key and value take one slot."""
        seq = read.shape[1]
        slots = min(seq + 1, self.window or seq + 1)  # chapter 04's ring
        held = torch.arange(max(0, seq - slots), seq)
        keys, values = read.new_zeros(2, len(read), 1, slots, HEAD_DIM)
        _, k, v = self.attention.project(read[:, held], *_turns(held))
        keys[:, 0, held % slots], values[:, 0, held % slots] = k[:, :, 0], v[:, :, 0]
        turns = _turns(torch.tensor([seq]))

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys[:, :, seq % slots], values[:, :, seq % slots] = k[:, 0], v[:, 0]
            return attention(q.transpose(1, 2), keys, values).transpose(1, 2)

        return lambda x: self.attention(x, *turns, attend)

    def kept(self, tokens: int) -> int:
        """Bytes of keys and values."""
        return 2 * HEAD_DIM * NUMBER * min(tokens, self.window or tokens)


class Scan(nn.Module):
    """The inside of a Mamba block: a short convolution, a selective scan, a gate."""

    def __init__(self, d_state: int = 4):
        super().__init__()
        self.config = MambaConfig(
            **dict(dim=DIM, n_layers=1, vocab_size=8, d_state=d_state, expand=1, dt_rank=8),
            **dict(dt_min=0.1, dt_max=1.0),  # short texts
        )
        self.mixer = MambaMixer(self.config)

    def forward(self, x: Stream) -> Stream:
        """From an empty state through the whole text."""
        return self._read(x)[0]

    def _read(self, x: Stream) -> tuple[Stream, LayerState]:
        config, n = self.config, len(x)
        history = x.new_zeros(n, config.d_conv - 1, config.d_inner)
        state = LayerState(history, x.new_zeros(n, config.d_state, config.d_inner).mT)
        return self.mixer(x, state)

    def writer(self, read: Stream) -> Callable[[Stream], Stream]:
        """Writes the token behind a text, over and over, from the state that the text left."""
        state = self._read(read)[1]
        return lambda x: self.mixer.step(x[:, 0], state)[0][:, None]

    def kept(self, tokens: int) -> int:
        """Bytes of the state and of the convolution's last inputs, at any length."""
        config = self.config
        return NUMBER * config.d_inner * (config.d_state + config.d_conv - 1)


class Experts(nn.Module):
    """Feed-forward layers of which each token passes one; with `n` = 1 there is no choice."""

    def __init__(self, n: int = 8):
        super().__init__()
        config = _shape(n_experts=n, experts_per_token=1)
        self.layer = SparseMoE(config) if n > 1 else FeedForward(config)

    def forward(self, x: Stream) -> Stream:
        """Each token by itself."""
        return self.layer(x)

    def writer(self, read: Stream) -> Callable[[Stream], Stream]:
        """Itself: of a text nothing is kept."""
        return self

    def kept(self, tokens: int) -> int:
        """Nothing of the text."""
        return 0


def practise(model: nn.Module, generator: torch.Generator, steps: int = STEPS) -> None:
    """Train on batches of 32 diaries of 24 tokens, the loss on answers alone; then freeze.

    Args:
        model: maps tokens (batch, seq, 3) to scores (batch, seq, digits).
        generator: source of the diaries.
        steps: how many batches.
    """

    def loss(model: nn.Module, batch: diary.Diaries) -> Tensor:
        scores = model(batch.tokens).flatten(0, 1)
        return F.cross_entropy(scores, batch.answers.flatten(), ignore_index=diary.NOT_ASKED)

    recipe = TrainingConfig(
        steps=steps,
        learning_rate=0.02,
        final=0.02,
        warmup=min(10, steps - 1),
        weight_decay=0.0,
    )
    batches = iter(lambda: diary.diaries(BATCH, LENGTH, generator), None)
    train(model, loss, batches, recipe, progress=False)
    model.requires_grad_(False)


def seeds(make: Callable[[], nn.Module], n: int = 3) -> list[nn.Module]:
    """A model made and practised n times, from n seeds."""
    trained = []
    for seed in range(n):
        generator = torch.manual_seed(seed)
        trained.append(make())
        practise(trained[-1], generator)
    return trained


@torch.no_grad()
def recall(
    model: nn.Module, seq: int = LENGTH, n: int = 256, beyond: int = diary.REACH + 1
) -> dict[str, float]:
    """The share of right answers to near, far and known questions.

    Args:
        model: as in `practise`.
        seq: tokens of a diary.
        n: how many diaries.
        beyond: far questions count only if the vow stands further back than this many tokens.
    """
    drawn = diary.diaries(n, seq, torch.Generator().manual_seed(2026))
    right = (model(drawn.tokens).argmax(-1) == drawn.answers).float()
    kind = drawn.tokens[..., 0]
    asked = {
        "near": kind == diary.NEAR,
        "far": (kind == diary.FAR) & (drawn.ages > beyond),
        "known": kind == diary.KNOWN,
    }
    return {name: right[chosen].mean().item() for name, chosen in asked.items()}


def kept(parts: Sequence[nn.Module], tokens: int) -> int:
    """Bytes that all parts keep of a text."""
    return sum(part.kept(tokens) for part in parts)
