"""A schedule run by real processes: each rank a stage, with its layers, its cache and its clock.

What is done with microbatches is a `Work`: `Training` carries them forward and gradients
back, `Reading` carries the chunks of one prompt, whose keys and values lie in the stages' own
caches, and `Answering` carries the tokens of several requests in turns. `run_stage` does one
rank's actions in the order of a schedule, waits for what each takes in, sends on what it makes
without waiting for the taker, and writes down when each began and ended.

    def train(communicator):
        work = Training(Stage(model, communicator.rank, communicator.world_size), tokens, 4)
        return run_stage(communicator, schedule, work)

    with Ranks(4) as ranks:
        timeline = Timeline(ranks.run(train))

Sources: Huang et al., "GPipe" (2019), section 2.3; Narayanan et al., "Efficient Large-Scale
Language Model Training on GPU Clusters" (2021), section 2.2. Left out: recomputing activations,
tied embeddings (their gradients lie on two ranks) and anything that hides the time of messages.
"""

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from numbers import Real

import torch
from jaxtyping import Int
from torch import Tensor

from mixlab.parallel.communicator import Communicator
from mixlab.parallel.schedules import FORWARD, Action, Schedule, waits_for
from mixlab.parallel.stage import Stage
from mixlab.parallel.timeline import Span
from mixlab.transformer.model import next_token_loss


class Work(ABC):
    """What a stage does with microbatches. What comes in has a shape that both sides know.

    Attributes:
        stage: the rank's own.
        n_requests: where the first stage waits for the last one's tokens; None elsewhere.
    """

    stage: Stage
    n_requests: int | None = None

    @abstractmethod
    def shape(self, action: Action) -> tuple[int, ...]:
        """The shape of what an action gets from another rank."""

    @abstractmethod
    def forward(self, microbatch: int, x: Tensor | None) -> Tensor | None:
        """What goes on, of what came, of any shape; None where nothing comes or goes."""

    def backward(self, microbatch: int, gradient: Tensor | None) -> Tensor | None:
        """What goes back, of what came, of any shape; None where nothing comes or goes.

        Raises:
            ValueError: unless the work is one that learns.
        """
        raise ValueError(f"{type(self).__name__} goes forward only: it needs no backward actions")


class Training(Work):
    """Microbatches forward, gradients back; they add up in the parameters of the stage.

    Args:
        stage: the rank's own.
        tokens: the whole batch; cut into microbatches of equally many rows.
        n_microbatches: how many.

    Attributes:
        kept: by microbatch, what came in and what went out: the activations that backward needs.

    Raises:
        ValueError: if the rows don't share out evenly: a mean of means is no mean then.
    """

    def __init__(self, stage: Stage, tokens: Int[Tensor, "batch seq"], n_microbatches: int):
        if len(tokens) % n_microbatches:
            raise ValueError(
                "microbatches must be of equally many rows, or the mean of their losses isn't the "
                f"batch's: got {len(tokens)} rows for {n_microbatches} microbatches"
            )
        self.stage, self.microbatches = stage, tokens.chunk(n_microbatches)
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def shape(self, action: Action) -> tuple[int, ...]:
        """Hidden states, or their gradients: (rows, seq, dim)."""
        return (*self.microbatches[action.microbatch].shape, self.stage.config.dim)

    def forward(self, microbatch: int, x: Tensor | None) -> Tensor | None:
        """Hidden states (rows, seq, dim); the last stage keeps the loss instead."""
        tokens = self.microbatches[microbatch]
        x = tokens if self.stage.first else x.requires_grad_()
        out = self.stage(x)
        if self.stage.last:
            out = next_token_loss(out, tokens) / len(self.microbatches)
        self.kept[microbatch] = x, out
        return None if self.stage.last else out.detach()

    def backward(self, microbatch: int, gradient: Tensor | None) -> Tensor | None:
        """The loss's gradient by what came in, (rows, seq, dim); by tokens there is none."""
        x, out = self.kept.pop(microbatch)
        out.backward(gradient)
        return x.grad


class Reading(Work):
    """One prompt in chunks: each finds the keys of those before in its stage's own cache.

    Args:
        stage: the rank's own.
        tokens: the prompt.
        chunk_size: tokens a chunk; the last may be shorter.

    Attributes:
        logits: at the last stage, of each chunk read so far.
    """

    def __init__(self, stage: Stage, tokens: Int[Tensor, " seq"], chunk_size: int):
        self.stage, self.cache = stage, stage.init_state()
        self.chunks: Sequence[Tensor] = tokens.split(chunk_size)
        self.logits: list[Tensor] = []

    def shape(self, action: Action) -> tuple[int, ...]:
        """Hidden states of the chunk: (tokens, dim)."""
        return len(self.chunks[action.microbatch]), self.stage.config.dim

    def forward(self, microbatch: int, x: Tensor | None) -> Tensor | None:
        """Hidden states (tokens, dim) of the chunk; the last stage keeps its logits."""
        x = self.chunks[microbatch] if self.stage.first else x
        out = self.stage.extend(x, self.cache)
        if not self.stage.last:
            return out
        self.logits.append(out)
        return None


class Answering(Work):
    """Several requests in turns: first each one's prompt, then one token of each after the other.

    The last stage chooses the likeliest token and sends its number, 8 bytes, to the first.

    Args:
        stage: the rank's own.
        prompts: the token ids of each request, one at least.

    Attributes:
        written: at the last stage, the tokens that each request got.
    """

    def __init__(self, stage: Stage, prompts: Sequence[Sequence[int]]):
        self.stage, self.prompts, self.n_requests = stage, prompts, len(prompts)
        self.caches = [stage.init_state() for _ in prompts]
        self.written: list[list[int]] = [[] for _ in prompts]

    def shape(self, action: Action) -> tuple[int, ...]:
        """A token's number for the first stage, (1,), and hidden states (tokens, dim) elsewhere."""
        if self.stage.first:
            return (1,)
        request, turn = action.microbatch % self.n_requests, action.microbatch // self.n_requests
        return (1 if turn else len(self.prompts[request])), self.stage.config.dim

    def forward(self, microbatch: int, x: Tensor | None) -> Tensor:
        """Hidden states (tokens, dim), and at the last stage the number (1,) of the next token."""
        request = microbatch % self.n_requests
        if x is None:
            x = torch.tensor(self.prompts[request])
        out = self.stage.extend(x, self.caches[request])
        if not self.stage.last:
            return out
        token = out[-1:].argmax(-1)
        self.written[request].append(int(token))
        return token


def run_stage(
    communicator: Communicator, schedule: Schedule, work: Work, at_least: Real = 0
) -> list[Span]:
    """Do this rank's actions of a schedule; for each, when it began and ended on the shared clock.

    Args:
        communicator: this rank's.
        schedule: of all stages, one a rank.
        work: what the actions do.
        at_least: seconds that each action takes: what is left of them is slept, so that more
            stages than the machine has cores run side by side, each as if it had one of its own.

    Raises:
        ValueError: if there isn't a stage for each rank, or the ranks are fewer than two.
    """
    n_stages, own = communicator.world_size, communicator.rank
    if n_stages != len(schedule) or n_stages < 2:
        raise ValueError(
            "a schedule runs on as many ranks as it has stages, two at least: got "
            f"{len(schedule)} stages on {n_stages} ranks"
        )
    takers = defaultdict(list)
    for actions in schedule:
        for action in actions:
            for needed in waits_for(action, n_stages, work.n_requests):
                takers[needed].append(action.stage)
    spans, sending = [], []
    communicator.barrier()
    for action in schedule[own]:
        x = None
        for needed in waits_for(action, n_stages, work.n_requests):
            if needed.stage != own:
                dtype = torch.long if _is_token(action, needed) else torch.get_default_dtype()
                x = communicator.recv(work.shape(action), needed.stage, dtype)
        start = time.monotonic()
        act = work.forward if action.kind == FORWARD else work.backward
        made = act(action.microbatch, x)
        time.sleep(max(0, start + at_least - time.monotonic()))
        spans.append(Span(action, start, time.monotonic()))
        for taker in takers[action]:
            if taker != own:
                sending.append(communicator.isend(made, taker))
    for finish in sending:
        finish()
    return spans


def _is_token(action: Action, needed: Action) -> bool:
    """Whether what comes is the number of a token: from the last stage to the first."""
    return action.kind == needed.kind == FORWARD and action.stage < needed.stage
