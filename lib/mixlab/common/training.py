"""A small training loop: AdamW, warm-up and cosine, clipping, and checkpoints to go on from.

Sources: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, for
AdamW; the same, "SGDR" (2017), equation 5, for the cosine; Pascanu et al., "On the Difficulty of
Training Recurrent Neural Networks" (2013), section 3.2, for clipping. Left out: many devices.

The loop knows nothing of models: it takes one, a loss function and batches.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from mixlab.common.checkpoint import read_description, restore_checkpoint, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train.

    Attributes:
        steps: updates of the parameters.
        learning_rate: the largest one, reached at the end of the warm-up.
        warmup: steps over which it rises from 0.
        final: the last learning rate, as a part of the largest.
        weight_decay: for matrices only; see `parameter_groups`.
        betas: AdamW's two memories.
        clip: largest norm of all gradients together; longer ones are scaled down to it.
        accumulate: batches whose gradients are averaged into one step.

    Raises:
        ValueError: if a number is out of its range.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 0
    final: float = 0.1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name, low in [("steps", 1), ("warmup", 0), ("accumulate", 1)]:
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be {low} or more: got {getattr(self, name)}")
        if self.warmup >= self.steps:
            raise ValueError(
                f"the warm-up must end before training does: got warmup={self.warmup} and "
                f"steps={self.steps}"
            )
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive: got {getattr(self, name)}")


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The learning rate of update `step`, counted from 0: a line up, then half a cosine down.

    >>> config = TrainingConfig(steps=5, warmup=2, learning_rate=1.0, final=0.0)
    >>> [round(learning_rate(step, config), 3) for step in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - 1 - config.warmup)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final + (1 - config.final) * cosine)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters that learn, in two groups for an optimizer: with weight decay and without.

    Decay pulls towards 0, which suits matrices and harms what has another resting place: norms'
    scales and other vectors, and what `model.no_weight_decay` names, such as Mamba's `A_log`.

    Args:
        model: may have an attribute `no_weight_decay`, the last parts of parameters' names.
        weight_decay: for the first group.

    Raises:
        ValueError: if nothing in the model wants a gradient.

    >>> groups = parameter_groups(nn.Linear(2, 3), 0.1)
    >>> [(group["weight_decay"], len(group["params"])) for group in groups]
    [(0.1, 1), (0.0, 1)]
    """
    spared = set(getattr(model, "no_weight_decay", ()))
    decayed, kept = [], []
    for name, parameter in _learning(model).items():
        matrix = parameter.ndim >= 2 and name.rpartition(".")[2] not in spared
        (decayed if matrix else kept).append(parameter)
    groups = [(decayed, weight_decay), (kept, 0.0)]
    return [dict(params=params, weight_decay=decay) for params, decay in groups if params]


def batches(
    tokens: Int[Tensor, " n"], batch: int, seq: int, generator: torch.Generator
) -> Iterator[Int[Tensor, "batch seq"]]:
    """Endless random stretches of `seq` tokens, `batch` at a time.

    The generator is read only when a batch is asked for, so that its state says which comes next.

    Args:
        tokens: the text, on the CPU.
        batch: stretches in one batch.
        seq: tokens in one stretch.
        generator: source of the stretches' beginnings.

    Raises:
        ValueError: if the text is shorter than one stretch.

    >>> next(batches(torch.arange(9), 2, 4, torch.Generator().manual_seed(0)))
    tensor([[2, 3, 4, 5],
            [3, 4, 5, 6]])
    """
    if not 1 <= seq <= len(tokens):
        raise ValueError(
            f"a stretch must have between 1 and all {len(tokens)} tokens of the text: got {seq}"
        )
    return _draw(tokens, batch, seq, generator)


def _draw(tokens: Tensor, batch: int, seq: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        first = torch.randint(len(tokens) - seq + 1, (batch, 1), generator=generator)
        yield tokens[first + torch.arange(seq)]


def train(
    model: nn.Module,
    loss: Callable[[nn.Module, Tensor], Float[Tensor, ""]],
    batches: Iterator[Tensor],
    config: TrainingConfig,
    *,
    generator: torch.Generator | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    on_step: Callable[[int, float], None] | None = None,
    progress: bool = True,
) -> list[float]:
    """Train `model` in place, and return the loss of every step.

    Batches go to the model's device; on CUDA the loss is computed in bfloat16 where PyTorch's
    autocast finds that safe. If `checkpoint` exists, training goes on from it, and on a CPU ends
    where it would have ended without the break, to the last bit.

    Args:
        model: whose parameters learn.
        loss: maps the model and a batch to a scalar, such as the mean cross-entropy.
        batches: gives `config.accumulate` batches a step.
        config: how to train.
        generator: what `batches` draws from; its state is kept in the checkpoint.
        checkpoint: a file to write, every `checkpoint_every` steps and at the end.
        checkpoint_every: in steps.
        on_step: called with the number of steps done and the last loss.
        progress: show a progress bar.

    Raises:
        ValueError: if nothing in the model wants a gradient, or the checkpoint is of another
            model or configuration.
        FloatingPointError: if the loss is infinite or not a number.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> def square(model, x):
    ...     return (model(x) - 2 * x).square().mean()
    >>> ones = iter(lambda: torch.ones(4, 1), None)
    >>> losses = train(model, square, ones, TrainingConfig(steps=200, learning_rate=0.1,
    ...                weight_decay=0.0), progress=False)
    >>> len(losses), round(model.weight.item(), 2)
    (200, 2.0)
    """
    optimizer = torch.optim.AdamW(
        parameter_groups(model, config.weight_decay), lr=config.learning_rate, betas=config.betas
    )
    path = None if checkpoint is None else Path(checkpoint)
    losses = [] if path is None else _resume(path, model, optimizer, config, generator)
    device = next(model.parameters()).device
    bfloat16 = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
    parameters = list(_learning(model).values())
    was_training = model.training
    model.train()
    steps = range(len(losses), config.steps)
    for step in tqdm(steps, initial=len(losses), total=config.steps, disable=not progress):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.zero_grad()
        total = 0.0
        for _ in range(config.accumulate):
            with bfloat16:
                part = loss(model, next(batches).to(device)) / config.accumulate
            part.backward()
            total += part.item()
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss of step {step + 1} is {total}: expected a number. Is the learning rate "
                f"({learning_rate(step, config):.2g}) too high, or a target without a weight?"
            )
        nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        losses.append(total)
        done = step + 1
        if path is not None and (done % checkpoint_every == 0 or done == config.steps):
            description = dict(config=asdict(config), losses=losses)
            save_checkpoint(path, model, optimizer, generator, description)
        if on_step is not None:
            on_step(done, total)
    model.train(was_training)
    return losses


def _learning(model: nn.Module) -> dict[str, nn.Parameter]:
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not learning:
        raise ValueError(
            "no parameter of this model wants a gradient; a loaded model learns after "
            "model.requires_grad_(True)"
        )
    return learning


def _resume(path: Path, model, optimizer, config: TrainingConfig, generator) -> list[float]:
    """Restore everything from a checkpoint, if there is one; the losses of the steps it has."""
    if not path.exists():
        return []
    written = read_description(path)
    now = json.loads(json.dumps(asdict(config)))  # tuples become lists, as in the file
    if changed := [
        f"{key} was {written['config'].get(key)}, is {value}"
        for key, value in now.items()
        if written["config"].get(key) != value
    ]:
        raise ValueError(
            f"{path} was written with another configuration ({'; '.join(changed)}), so going on "
            "from it would be neither run. Delete it or give another path"
        )
    restore_checkpoint(path, model, optimizer, generator)
    return written["losses"]
