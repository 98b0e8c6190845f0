# %% [markdown] slide="slide"
# # 10 · Pipeline parallelism
#
# *Four devices hold a quarter of the model each. What keeps all four at work?*

# %% [markdown] slide="slide"
# **The problem.** Mixtral's weights take 87 GiB in fp16, and a device of 80 GB doesn't hold them.
# So its layers lie on several: a *stage* is a device with its run of layers. A batch goes through
# stage 0, then 1, then 2, then 3, and while one computes, three wait: four devices do the work of
# one. Mistral's own code stops here: it "favours simplicity over throughput efficiency", says its
# README, and "does not include microbatching". This lesson adds what is missing, for training, for
# answering, and for one long prompt.

# %% [markdown]
# **You will be able to** say when each stage does what, for any schedule; compute what idles, in
# the two ways that papers do; choose between GPipe and 1F1B by what a stage keeps; accumulate
# gradients so that they are the whole batch's; pipeline many requests, and one prompt.
#
# **You need** layers over devices as real processes ([chapter 09](09_model_sharding.ipynb)), a prompt
# in chunks over a cache ([chapter 05](05_chunked_prefill.ipynb)), and what `backward()` does.
#
# **Time**: 50 minutes, and an hour for the exercises in
# [work/10_pipeline_parallelism.ipynb](../work/10_pipeline_parallelism.ipynb), your copy of
# [these](../exercises/10_pipeline_parallelism.ipynb).

# %%
import os
import socket
import subprocess
import sys
from itertools import product
from multiprocessing import active_children
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F

# %%
from mixlab import generate
from mixlab.chapters.kit import series
from mixlab.chapters.pipeline_parallelism import figures
from mixlab.chapters.pipeline_parallelism.figures import Chart
from mixlab.chapters.stage.host import piece
from mixlab.parallel.pipeline import Answering, Reading, Stage, Training, run_stage
from mixlab.parallel.processes import Ranks
from mixlab.parallel.schedules import Action, forward_only, gpipe, kept_after, one_f_one_b
from mixlab.parallel.simulator import simulate
from mixlab.parallel.timeline import Timeline
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss

torch.set_num_threads(1)
torch.manual_seed(0)
assert round(2 * TransformerConfig.mixtral_8x7b().n_parameters / 2**30) == 87  # GiB in fp16

# %% [markdown] slide="slide"
# ## One batch, four stages
#
# To train, a batch goes **forward** through stages 0, 1, 2, 3; then its gradient comes **back**
# through 3, 2, 1, 0. Say each takes one *step* of time. **Predict:** how many steps is that, and
# which share of the time does a stage work?

# %% slide="fragment"
for stage in range(4):
    steps = ["·"] * 8
    steps[stage], steps[7 - stage] = "F", "B"  # forward, backward
    print(f"stage {stage}  ", *steps)

# %% [markdown] slide="notes"
# 8 steps, and every stage works in 2 of them: a quarter (1 minute). Wrong answers: 4 steps (the way
# back is forgotten), a half.
#
# The README's sentence: mistral-inference, from commit b818190 to 0e5b458.

# %% [markdown] slide="slide"
# ## Cut the batch
#
# Stage 0 could begin with something else while stage 1 has the batch. But with what? With another
# part of the same batch, a *microbatch*. With four of them a step takes a quarter of the time. A
# stage does one thing at a time, so for stage $s$ and microbatch $m$
#
# $$\text{begin}(s, m) = \max\bigl(\text{end}(s-1, m),\ \text{end}(s, m-1)\bigr)$$
#
# its input must be there, and the stage must be free. **Predict:** how many times as fast is it,
# there and back?

# %% slide="fragment"
begin = torch.zeros(4, 4, dtype=torch.long)  # (stage, microbatch), forward
for s, m in product(range(4), range(4)):
    its_input = begin[s - 1, m] + 1 if s else 0
    is_free = begin[s, m - 1] + 1 if m else 0
    begin[s, m] = max(its_input, is_free)
print(begin.numpy())
there = int(begin.max()) + 1
print(f"{there} steps there, {2 * there} there and back, of a quarter: {8 / (2 * there / 4):.2f}x")

# %% slide="slide" show="output" alt="Two charts of four stages on one axis of time, up to 32 quarter steps. Above, one batch: each stage has one wide forward and one wide backward bar, the rest is grey, and it ends at 32. Below, four microbatches: narrow bars overlap like stairs, forward and then backward, and it ends at 14."
whole = simulate(gpipe(4, 1), forward=4, backward=4)  # the library's simulator; ours comes below
parts = simulate(gpipe(4, 4))
assert (whole.length, parts.length, 2 * there) == (32, 14, 14)
assert torch.tensor([[span.start for span in s[:4]] for s in parts.stages]).equal(begin)
charts = [Chart("one batch", whole, name=lambda action: action.kind), Chart("cut in four", parts)]
title = "Cut in four, 14 quarter steps do what took 32: 2.29 times as fast, not 4"
figures.gantt(charts, title, x_title="time (quarter steps)", every=2)

# %% [markdown] slide="notes"
# 2.29 times (2 minutes). Wrong answers: 4 times, "as all four work"; 8/7. All four stages work only
# in the middle: the pipeline has to fill, and to drain. It fills and drains twice here, once each
# way. This schedule is GPipe's (Huang et al., "GPipe", 2019, section 2.3 and figure 2).
#
# Students ask whether the way back must begin with the last microbatch, as that figure draws it. It
# need not: here, and in PyTorch, the first goes first, and takes as long.

# %% [markdown] slide="slide"
# ## The bubble
#
# In one direction $P$ stages take $M + P - 1$ steps: $M$ microbatches, and the last one's way
# through $P - 1$ more stages. Each stage works in $M$ of them and idles in $P - 1$: the *bubble*.
# Two definitions are in use:
#
# $$\frac{P-1}{M+P-1} \text{ of all time (GPipe)} \qquad \frac{P-1}{M} \text{ of the useful time
# (Megatron)}$$
#
# For $P = M = 4$ the same pipeline has 42.9% of the one and 75% of the other. **Predict:** GPipe's
# paper calls the bubble negligible from $M = 4P$ on. How large is it then, for $P = 4$ and for very
# many stages?

# %% slide="fragment"
for P, M, dear in product((1, 2, 4, 8), (1, 3, 4, 16, 40), (1, 2)):
    timeline = simulate(gpipe(P, M), forward=1, backward=dear)
    assert abs(timeline.bubble - (P - 1) / (M + P - 1)) < 1e-12
    assert abs(timeline.bubble_to_work - (P - 1) / M) < 1e-12
for P in (4, 8, 1000):
    print(f"P = {P:>4}, M = 4P: {(P - 1) / (5 * P - 1):.1%} of all time")

# %% [markdown] slide="notes"
# 15.8%, and up to 20%: (P − 1)/(5P − 1) (2 minutes). Wrong answers: "under 5%", "0". Even P = 8
# and M = 64 leave 9.9%. The sentence is in section 2.3 of "GPipe", which names a reason that is
# missing here: it computes activations anew, and that needn't wait for gradients.
# The other definition: Narayanan et al., "Efficient Large-Scale Language Model Training on GPU
# Clusters Using Megatron-LM" (2021), section 2.2.1.
#
# In the cell backward is as dear as forward, and then twice as dear, which is about right: no share
# changes, since work and idling grow alike.

# %% slide="slide" show="output" alt="Idle share of all time against microbatches a stage, from a half to 64, for two, four, eight and 64 stages. All lines fall. At the dashed line, four microbatches a stage, they lie between 11 and 20 percent; at 64 a stage all are under 2 percent." myth="The bubble is negligible from four times as many microbatches as stages" said="GPipe, section 2.3" truth="It is (P − 1)/(5P − 1) there: 16% for four stages, towards 20% for many."
per_stage = [0.5, 1, 2, 4, 8, 16, 32, 64]
lines = {f"P = {P}": [(P - 1) / (M * P + P - 1) for M in per_stage] for P in (2, 4, 8, 64)}
at_four = [line[3] for line in lines.values()]
assert 0.11 < min(at_four) < max(at_four) < 0.2
assert max(line[-1] for line in lines.values()) < 0.02
title = "At four microbatches a stage, 11 to 20% of the time is still idle"
axes = dict(x_title="microbatches a stage, M / P", y_title="idle share of all time")
marks = {"M = 4P": 4}
axes |= dict(log_x=True, named_at_ends=False)  # they end together
shown = series.lines(per_stage, lines, title=title, **axes, marks=marks)
shown.update_yaxes(tickformat=".0%")

# %% [markdown] slide="slide"
# ## A schedule is a list of actions
#
# For each stage a list: `F2` carries microbatch 2 forward, `B2` its gradient back. One rule says what
# an action takes in: forward, what the stage above has made; backward, what the stage itself has
# kept, and the gradient from the stage below.


# %% slide="same"
def takes_in(action, n_stages):
    stage, kind, m = action
    if kind == "F":
        return [Action(stage - 1, "F", m)] if stage else []
    gradient = [Action(stage + 1, "B", m)] if stage + 1 < n_stages else []
    return [Action(stage, "F", m), *gradient]


# %% [markdown] slide="slide"
# ## Let the lists run
#
# The other rule says when it begins: once its stage is free and what it takes in is there.


# %% slide="same"
def run(schedule):
    """When each action ends, if each takes one step."""
    todo, free, ends = [list(actions) for actions in schedule], [0] * len(schedule), {}
    while any(todo):
        heads = [actions[0] for actions in todo if actions]
        needs = {head: takes_in(head, len(schedule)) for head in heads}
        ready = [head for head in heads if all(need in ends for need in needs[head])]
        if not ready:
            raise ValueError("nobody can go on: " + ", ".join(f"{a.stage}: {a}" for a in heads))
        for head in ready:
            ends[head] = 1 + max([free[head.stage], *(ends[need] for need in needs[head])])
            free[head.stage] = ends[head]
            todo[head.stage].pop(0)
    return ends


# %%
for make, P, M in product((gpipe, one_f_one_b), range(1, 6), range(1, 8)):
    theirs = simulate(make(P, M))  # the library's, with a duration for each stage and kind
    assert run(make(P, M)) == {span.action: span.end for spans in theirs.stages for span in spans}

# %% [markdown] slide="slide"
# ## A schedule that never ends
#
# A thrifty stage 0 brings each microbatch home before it sends the next: F0 B0 F1 B1. Stage 1 likes
# to do all forward first, F0 F1 B0 B1. **Predict:** how many steps do the two take?


# %% slide="fragment" fails="ValueError"
def listed(stage, text):
    return [Action(stage, word[0], int(word[1:])) for word in text.split()]


run([listed(0, "F0 B0 F1 B1"), listed(1, "F0 F1 B0 B1")])

# %% [markdown] slide="notes"
# None: they never end (2 minutes). Stage 0 waits for B0, which stage 1 does after F1, which waits
# for stage 0. Wrong answers: 8, "one after the other"; 6. Each list alone is a fine order; two
# lists must fit together. Real processes would wait for each other until somebody ends them, as
# where *send* met *send* in chapter 09. A simulator finds it beforehand, in microseconds.

# %% [markdown] slide="slide"
# ## What a stage keeps
#
# Backward needs what forward computed, the *activations* inside the stage's layers. They are kept
# from F to B. In GPipe stage 0 does all forward first, so it keeps all $M$.
#
# From stage $s$ to the last and back are $P - s$ forward and $P - s$ backward steps. In that time
# stage $s$ can do $P - s$ microbatches. So many on their way are enough: more would queue. From then
# on take turns, **one backward, one forward**: 1F1B. **Predict:** $P = 4$, $M = 8$. How many does
# stage 0 keep in 1F1B, how many stage 3? Which schedule is faster?

# %% slide="fragment"
for stage, actions in enumerate(one_f_one_b(4, 8)):
    print(f"stage {stage} keeps {max(kept_after(actions))}:  ", *actions)
for P, M in product(range(1, 7), range(1, 20)):
    theirs, ours = simulate(gpipe(P, M), 1, 2), simulate(one_f_one_b(P, M), 1, 2)
    assert theirs.length == ours.length == 3 * (M + P - 1)
    assert theirs.in_flight() == [M] * P
    assert ours.in_flight() == [min(M, P - s) for s in range(P)]

# %% slide="slide" show="output" alt="Microbatches kept by stage 0 of 4 over its 16 actions. GPipe's line climbs to 8 and comes down again. That of 1F1B climbs to 4, goes to and fro between 4 and 3, and comes down at the end."
counts = {
    "GPipe": kept_after(gpipe(4, 8)[0]),
    "1F1B": kept_after(one_f_one_b(4, 8)[0]),
}
assert [max(kept) for kept in counts.values()] == [8, 4]
figures.kept(counts, "Equally fast, but stage 0 keeps 4 microbatches in 1F1B and 8 in GPipe")

# %% [markdown] slide="notes"
# 4 and 1, and neither is faster (3 minutes). Wrong answers: "1 everywhere" (one forward, one
# backward), "1F1B is faster, since it begins earlier with backward". "7, or stage 0 waits for its
# first gradient": so it does, that is the bubble, and microbatches sent on meanwhile would only be
# kept. The gain is memory: it no
# longer grows with M, so M may grow until the bubble is small. The order is PipeDream's (Narayanan
# et al., 2019, section 3.2); with all weights updated together, at the end, Megatron's (2021,
# section 2.2.1).

# %% slide="slide" show="output" alt="The 1F1B schedule of four stages and eight microbatches as a chart: forward in blue, backward in green, idle in grey at both ends; 22 steps in all. Beside the stages stands what each keeps: 4, 3, 2 and 1. Stages and microbatches can be dragged, and the schedule chosen."
for P, M in product(range(1, 7), range(1, 13)):  # as far as both can be dragged
    for make in (gpipe, one_f_one_b):
        assert simulate(make(P, M)).length == 2 * (M + P - 1)
    assert simulate(forward_only(P, M)).length == M + P - 1
title = "An action begins when its stage is free and what it takes in is there"
piece("schedule", title, kind="1f1b", stages=4, parts=8)

# %% [markdown] slide="notes"
# Point at an action: what it waits for lights up, and the sentence says since when it could have
# begun. Drag M: the bubble shrinks, the kept ones don't grow. Drag P: it grows. "GPipe" has the same
# bubble in another place. "Answers" and "One prompt" come at the end of the lesson.

# %% [markdown] slide="slide"
# ## Gradients add up
#
# A stage's weights change once a batch. Until then, where are the gradients of $M$ microbatches?
# In `.grad`, to which every `backward()` *adds*. For $M$ equal microbatches the batch's mean loss
# is the mean of theirs, so divide each by $M$: what adds up is the gradient of the whole batch.

# %% slide="same" show="both"
model = Transformer(TransformerConfig.tiny(n_layers=4)).double()  # random weights, float64
batch = torch.randint(256, (8, 16))


def gradient(model, losses):
    model.zero_grad()
    for loss in losses:
        loss.backward()  # adds to what is there
    return torch.cat([weight.grad.flatten() for weight in model.parameters()])


large = gradient(model, [next_token_loss(model(batch), batch)])
small = gradient(model, [next_token_loss(model(part), part) / 4 for part in batch.chunk(4)])
assert (small - large).abs().max() < 1e-15
print("four microbatches = the whole batch, to rounding")

# %%
normed = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)).double()
x, y = torch.randn(8, 8).double(), torch.randn(8, 1).double()
large = gradient(normed, [F.mse_loss(normed(x), y)])
pairs = zip(x.chunk(4), y.chunk(4), strict=True)
small = gradient(normed, [F.mse_loss(normed(part), target) / 4 for part, target in pairs])
assert (small - large).norm() > 0.1 * large.norm()  # BatchNorm looks at the whole microbatch

# %% [markdown] slide="notes"
# The optimiser waits for the last gradient, on all stages: that is the flush. The next cell shows
# when it isn't exact: BatchNorm takes the mean over a *microbatch*, so its gradients are off by more
# than a tenth. RMSNorm looks at one token, and doesn't care how a batch is cut.

# %% [markdown] slide="slide"
# ## Texts of different lengths
#
# Four microbatches, one text each, of 2, 3, 4 and 40 tokens to predict. Each loss is a mean over
# its own tokens; their mean is taken over four. **Predict:** which share of the gradient comes from
# one token of the shortest text, and which from one of the longest? What should it be?

# %% slide="fragment" show="output" alt="Bars for four microbatches of 2, 3, 4 and 40 tokens. By the mean of means a token of the first weighs 12.5 percent, of the second 8.3, of the third 6.2 and of the last 0.6. By the sum over all tokens each weighs 2.0 percent."
lengths = [2, 3, 4, 40]
ways = {
    "mean of means": [1 / 4 / n for n in lengths],
    "sum, divided by all tokens": [1 / sum(lengths)] * 4,
}
assert abs(sum(n * w for n, w in zip(lengths, ways["mean of means"], strict=True)) - 1) < 1e-12
assert ways["mean of means"][0] == 20 * ways["mean of means"][-1]
title = "In a mean of means a token of the shortest text weighs 20 times as much"
figures.weights(lengths, ways, title, "weight of one token")

# %% myth="Accumulated gradients equal those of the large batch, if each microbatch's mean loss is divided by their number" said="transformers 34191, trl 2175, mlx-lm 1413 and nanochat 59 shipped it" truth="Not where texts differ in length: a token in a short microbatch then weighs more. Sum the losses, and divide by all tokens once."
texts = [torch.randint(256, (1, n + 1)) for n in lengths]


def summed(text):
    return F.cross_entropy(model(text)[0, :-1], text[0, 1:], reduction="sum")


one_pass = gradient(model, [sum(summed(text) for text in texts) / sum(lengths)])
right = gradient(model, [summed(text) / sum(lengths) for text in texts])
wrong = gradient(model, [next_token_loss(model(text), text) / 4 for text in texts])
assert (right - one_pass).abs().max() < 1e-15
error = (wrong - one_pass).norm() / one_pass.norm()
print(f"mean of means: off by {error:.0%} of the gradient's own length")

# %% [markdown] slide="notes"
# 12.5% and 0.6%; it should be 1/49, 2.0%, for each (3 minutes). Wrong answers: 25% (that is the
# text), 2% for all. The error depends on the lengths; here it is larger than the gradient itself,
# and nothing in the loss curve shows it. It was reported of four public trainers: transformers
# (pull request 34191) and trl (issue 2175) in 2024, nanochat (pull request 59) in 2025, mlx-lm
# (pull request 1413) in 2026.

# %% [markdown] slide="slide"
# ## Real processes
#
# Now four ranks train. Each holds one layer of a small model and runs its list: receive, compute,
# send. Four stages can't compute at once on two cores, so each action computes its milliseconds and
# sleeps until 60 have passed, as long as a larger stage might take. The messages are real, and so
# are the gradients.

# %% slide="same"
model = Transformer(TransformerConfig.tiny(n_layers=4))
batch = torch.randint(256, (8, 16))
expected = torch.autograd.grad(next_token_loss(model(batch), batch), list(model.parameters()))
STEP = 0.06  # seconds


def train(rank, schedule):
    stage = Stage(model, rank.rank, rank.world_size)  # its share of the layers
    spans = run_stage(rank, schedule, Training(stage, batch, 4), at_least=STEP)
    return spans, [weight.grad for weight in model.parameters()]


def measured(results):
    return Timeline([spans for spans, _ in results])


# %%
with Ranks(4, timeout=120.0) as ranks:
    ranks.run(train, gpipe(4, 1))  # what a process does for the first time takes longer
    runs = {make.__name__: ranks.run(train, make(4, 4)) for make in (gpipe, one_f_one_b)}
assert active_children() == []  # every rank has ended
for results in runs.values():
    for n, whole in enumerate(expected):  # each weight's gradient, from the rank that has it
        found = next(grads[n] for _, grads in results if grads[n] is not None)
        assert torch.allclose(found, whole, atol=1e-6)

# %% slide="slide" show="output" alt="Two charts of four stages, 1F1B with four microbatches. Above, as simulated: 14 steps of 60 milliseconds. Below, as four processes measured it: the same actions in the same order, with gaps between them."
took = measured(runs["one_f_one_b"])
ends = {span.action: span.end for spans in took.stages for span in spans}
for stage, spans in enumerate(took.stages):
    assert [span.action for span in spans] == one_f_one_b(4, 4)[stage]
    assert all(ends[need] <= span.start for span in spans for need in takes_in(span.action, 4))
simulated = simulate(one_f_one_b(4, 4), forward=STEP, backward=STEP)
assert took.length >= simulated.length
charts = [Chart("simulated", simulated), Chart("measured, four processes", took)]
figures.gantt(charts, "Four processes do what the simulator says, in its order", x_title="time (s)")

# %% [markdown] slide="notes"
# The cell holds the measured chart to the rules exactly: each stage's list, and no action before
# what it takes in has ended. Its length is compared loosely: it can't be shorter than the simulated
# one, and on a busy machine it may be longer. Gaps are messages, and a Python process that wakes up
# late. All gradients are those of one process with the whole batch (the cell before).

# %% [markdown] slide="slide"
# ## The same, under torchrun
#
# On real machines nobody starts ranks from a notebook. PyTorch's `torchrun` starts the same program
# as often as there are ranks, and tells each its number. `mixlab.parallel` is such a program.

# %% slide="same" volatile=true
torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
torchrun += ["-m", "mixlab.parallel", "one_f_one_b", "4"]
loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
here = os.environ | {"GLOO_SOCKET_IFNAME": loopback, "OMP_NUM_THREADS": "1"}
done = subprocess.run(torchrun, env=here, timeout=300, capture_output=True, text=True, check=True)
assert done.stdout.startswith("simulated 10 steps, measured")
print(done.stdout)

# %% [markdown] slide="slide"
# ## What PyTorch brings along
#
# `torch.distributed.pipelining` has these schedules, for any modules. Our stages fit. Three things
# to know: `Schedule1F1B` refuses fewer microbatches than stages (it used to hang), though 1F1B
# itself has no such rule; `ScheduleGPipe` takes any number; and gradients are divided by $M$
# (`scale_grads=True`), which is right for a *mean* loss over *equal* microbatches.


# %%
def train_by_torch(rank, kind, n_microbatches, scale):
    from torch.distributed import pipelining

    stage = Stage(model, rank.rank, rank.world_size)
    wrapped = pipelining.PipelineStage(stage, rank.rank, rank.world_size, torch.device("cpu"))
    try:
        schedule = getattr(pipelining, kind)(
            wrapped, n_microbatches, loss_fn=next_token_loss, scale_grads=scale
        )
    except ValueError as error:
        return " ".join(str(error).split())
    schedule.step(batch) if rank.rank == 0 else schedule.step(target=batch)
    return torch.cat([weight.grad.flatten() for weight in stage.parameters()])


with Ranks(2, timeout=120.0) as ranks:
    by_torch = {
        call: ranks.run(train_by_torch, *call)
        for call in product(("ScheduleGPipe", "Schedule1F1B"), (1, 4), (True, False))
    }
assert active_children() == []

# %% slide="same" show="output"
whole_batch = torch.cat([gradient.flatten() for gradient in expected])
for (kind, M, scale), parts in by_torch.items():
    if isinstance(parts[0], str):
        print(f"{kind}, M = {M}: {parts[0]}")
        continue
    factor = 1 if scale else M
    assert torch.allclose(torch.cat(parts), factor * whole_batch, atol=1e-5)
    print(f"{kind}, M = {M}, scale_grads={scale}: {factor} times the batch's gradient")

# %% [markdown] slide="notes"
# The hang is issue 775 of pytorch/torchtitan; the check that refuses came with pull request 144702
# of pytorch/pytorch. With ragged microbatches scale_grads=True is the mean of means again: use
# False, a summed loss, and divide by all tokens yourself.

# %% [markdown] slide="slide"
# ## Answering: many requests
#
# An answer is written token by token: the number of token $t$ leaves stage 3 and enters stage 0,
# and only then token $t + 1$ can begin. One request, however long, is a batch that can't be cut.
# But while it is at stage 1, stage 0 may take **another request**.
#
# **Predict:** four stages. Which share of them is busy with one request? With four? And how much
# sooner do the first one's tokens come then?

# %% slide="slide" show="output" alt="Two charts of four stages. Above, one request: its three tokens walk down the stages like stairs, one after the other, 12 steps, three quarters grey. Below, four requests: the first one's stairs are the same, and the others' fill the gaps; 15 steps for twelve tokens."
charts = []
for R in (1, 4):
    timeline = simulate(forward_only(4, 3 * R), n_requests=R)
    of_a = [[s for s in spans if s.action.microbatch % R == 0] for spans in timeline.stages]
    assert [span.end for span in of_a[3]] == [4, 8, 12]  # A's tokens
    charts.append(figures.requests(timeline, R))
for P, R in product(range(1, 6), range(1, 8)):
    long = simulate(forward_only(P, 40 * R), n_requests=R)  # 40 tokens each
    assert abs((1 - long.bubble) - min(R, P) / P) < 0.025
title = "Four requests keep four stages busy; A's tokens come no sooner"
figures.gantt(charts, title, every=4, meanings=figures.REQUESTS)

# %% [markdown] slide="notes"
# A quarter; nearly all; no sooner (3 minutes). Wrong answers: "four times as fast for everybody". R
# requests keep min(R, P)/P of the stages busy (the cell asserts it for 40 tokens, to a fortieth), and
# one request's token takes P steps, as alone. With more requests than stages it takes R steps: they
# queue. This is what the reference's README says it leaves out. It runs one batch through all
# ranks, then the next token.


# %%
def answer(rank, prompts, n_tokens):
    work = Answering(Stage(model, rank.rank, rank.world_size), prompts)
    schedule = forward_only(rank.world_size, n_tokens * len(prompts))
    return run_stage(rank, schedule, work, at_least=STEP), work.written


prompts = [[1, 2, 3], [4, 5], [6], [7, 8, 9, 10]]
with Ranks(4, timeout=120.0) as ranks:
    ranks.run(answer, prompts, 1)
    results = {R: ranks.run(answer, prompts[:R], 3) for R in (1, 4)}
assert active_children() == []
for R, by_rank in results.items():
    assert by_rank[-1][1] == generate(model, prompts[:R], 3)
    assert measured(by_rank).length >= simulate(forward_only(4, 3 * R), STEP, n_requests=R).length
print("tokens as one process writes them, with one request and with four")

# %% volatile=true
for R, by_rank in results.items():
    took = measured(by_rank)
    print(f"{R} request(s): {3 * R} tokens in {took.length:.2f} s, {1 - took.bubble:.0%} busy")

# %% [markdown] slide="slide"
# ## Reading: one prompt
#
# A prompt is there at once. Cut it into *chunks*, as in chapter 05: at each layer a chunk reads
# that layer's keys of the chunks before, and nothing else. And where do these lie? In **the
# same stage**, which has done those chunks already. So chunk $c$ may enter stage 0 while $c - 1$ is
# at stage 1: no request but this one, and yet a full pipeline.
#
# **Predict:** 6 chunks, 3 stages. How many steps, if each chunk waits until the one before is
# through, and how many in a pipeline?

# %% slide="fragment" show="output" alt="Two charts of three stages for one prompt of six chunks. Above, one after the other: stairs of single bars, 18 steps. Below, pipelined: six bars in a row at each stage, each stage one step later than the one above, 8 steps."
alone = simulate(forward_only(3, 6), n_requests=1)  # as if a chunk needed the one before, whole
piped = simulate(forward_only(3, 6))
assert (alone.length, piped.length) == (6 * 3, 6 + 3 - 1) == (18, 8)
charts = [Chart("one chunk after the other", alone), Chart("pipelined", piped)]
figures.gantt(charts, "Six chunks pass three stages in 8 steps, not 18", every=2)

# %% [markdown] slide="notes"
# 18 and 8: C·P and C + P − 1 (2 minutes). Wrong answers: 6, as if no filling were needed; "it can't
# be done, a token needs all tokens before it": it needs their keys *in its own layer*. Whole, the
# prompt would take the time of 18 such steps as well, a third of it at each stage.
#
# What chapter 05 said of small chunks holds: below some hundred tokens each fetches all weights for
# too little work. And where C = 1 there is nothing to overlap.

# %% [markdown] slide="slide"
# ## One prompt, two processes, exactly
#
# Two stages can compute at once on two cores, so nothing sleeps here: real layers, one thread each,
# a window of 256 over rings, and 768 tokens in chunks of 128. Is every logit as in one pass?

# %% slide="same"
reader = TransformerConfig.tiny(dim=256, n_layers=8, head_dim=64, hidden_dim=896, window=256)
reader = Transformer(reader)  # random weights: that chunks are exact doesn't need learnt ones
prompt = torch.randint(256, (768,))


def read(rank, prompt, size):
    work = Reading(Stage(reader, rank.rank, rank.world_size), prompt, size)
    schedule = forward_only(rank.world_size, len(work.chunks))
    return run_stage(rank, schedule, work), work.logits


with Ranks(2, timeout=120.0) as ranks:
    ranks.run(read, prompt[:8], 4)
    results = ranks.run(read, prompt, 128)
assert active_children() == []
with torch.no_grad():
    one_pass = reader(prompt[None])[0]
assert torch.allclose(torch.cat(results[-1][1]), one_pass, atol=1e-4)
print(len(one_pass), "tokens in chunks over two processes: every logit as in one pass")

# %% slide="slide" show="output" alt="Two charts of two stages, six chunks. Above, simulated from each stage's median time: six bars in a row, the second stage's one bar later. Below, measured: the same order, bars of slightly different lengths, some of the two stages' at the same time."
took = measured(results)
first, second = took.stages
typical = [median(span.end - span.start for span in spans) for spans in took.stages]
simulated = simulate(forward_only(2, 6), forward=typical)
for c in range(6):
    assert first[c].end <= second[c].start  # a chunk's way
overlaps = [
    min(ahead.end, here.end) - max(ahead.start, here.start)  # chunk c + 1 above, c below
    for ahead, here in zip(first[1:], second, strict=False)
]
assert max(overlaps) > 0
charts = [Chart("simulated, from median times", simulated), Chart("measured", took)]
figures.gantt(charts, "Two processes read one prompt at once", x_title="time (s)", row=44)

# %% [markdown] slide="notes"
# Exact means: equal to rounding, 1e-4 of a logit; the sums are the same, in other blocks. The first
# chunk is a little shorter (it sees fewer keys), so the simulated chart, from medians, is a little
# off. A server fills the pipeline with chunks of other requests as well.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. An action begins when its stage is free and what it takes in is there. With $M$ microbatches
#    over $P$ stages $(P-1)/(M+P-1)$ of all time is idle, in GPipe and in 1F1B. 1F1B keeps
#    $\min(M, P-s)$ microbatches, GPipe all.
# 2. Accumulated gradients are the batch's if losses are *summed* and divided by all tokens.
# 3. Answering overlaps different requests: $\min(R, P)/P$ busy, no token sooner. One prompt
#    overlaps with itself: $C + P - 1$ steps, because a chunk's keys lie where they are needed.

# %% [markdown]
# ## Self-test
#
# 1. $P = 8$, $M = 8$: both bubbles?
# 2. $P = 4$, $M = 2$: how many microbatches does stage 0 keep in 1F1B?
# 3. Two microbatches of 10 and 30 tokens: what does a token of the first weigh in a mean of means,
#    and what should it?
# 4. 10 chunks over 4 stages: how many steps?
#
# <details><summary>Answers</summary>
#
# 1. 7/15 = 46.7% of all time, 7/8 = 87.5% of the useful.
# 2. Two: there are no more.
# 3. 1/20; 1/40.
# 4. 13.
#
# </details>
#
# **Next.** *All of this runs on weights made of chance. What changes on real ones?* First
# [the exercises](../work/10_pipeline_parallelism.ipynb), then
# [chapter 11](11_real_weights.ipynb).

# %% [markdown] to="exercise"
# # 10 · Pipeline parallelism: exercises
#
# Six exercises on [the lesson](../course/10_pipeline_parallelism.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("10.1")` gives a
# first hint, called again a further one. No processes are needed.

# %% to="exercise"
import math
from fractions import Fraction  # noqa: F401

import torch  # noqa: F401

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="10.1" role="prompt" title="How many microbatches does it take?" difficulty=1 minutes=8 points=2
# At most `share` may idle. Write `fewest(n_stages, share)`: the smallest number of microbatches for
# which the bubble is at most `share`, once by GPipe's definition (of all time), once by Megatron's
# (of the useful time), in this order. `share` is a `Fraction` between 0 and 1: exact in sums,
# products and quotients.
#
# ```python
# fewest(4, Fraction(1, 5))  # (12, 15)
# ```


# %% exercise="10.1" role="answer"
def fewest(n_stages, share):
    """The fewest microbatches for a bubble of at most `share`: GPipe's, Megatron's."""
    ### BEGIN SOLUTION
    idle = n_stages - 1
    by_all = math.ceil(idle * (1 - share) / share)
    by_useful = math.ceil(idle / share)
    return max(1, by_all), max(1, by_useful)
    ### END SOLUTION


# %% exercise="10.1" role="check"
check("10.1", fewest)

# %% [markdown] exercise="10.2" role="prompt" title="When does each forward begin?" difficulty=2 minutes=10 points=2
# Stage s takes `times[s]` for each microbatch, and what it makes is at the next stage `passing`
# later; sending keeps nobody busy. Every stage takes the microbatches in order, each as soon as it
# can, and the first begins at 0. Write `begins(times, n_microbatches, passing)`: when each begins,
# a list for each stage with a number for each microbatch.
#
# ```python
# begins([2, 3], n_microbatches=3, passing=1)  # [[0, 2, 4], [3, 6, 9]]
# ```


# %% exercise="10.2" role="answer"
def begins(times, n_microbatches, passing):
    """When each stage begins with each microbatch."""
    ### BEGIN SOLUTION
    begin = [[0] * n_microbatches for _ in times]
    for s in range(len(times)):
        for m in range(n_microbatches):
            if s > 0:
                begin[s][m] = begin[s - 1][m] + times[s - 1] + passing
            if m > 0:
                begin[s][m] = max(begin[s][m], begin[s][m - 1] + times[s])
    return begin
    ### END SOLUTION


# %% exercise="10.2" role="check"
check("10.2", begins)

# %% [markdown] exercise="10.3" role="prompt" title="One forward, one backward" difficulty=2 minutes=10 points=3
# Write `order(stage, n_stages, n_microbatches)`: what one stage does in 1F1B, a list of texts. It
# sends ahead only as many microbatches as must be on their way for it to work without a pause once it
# takes turns; then it goes back and forward in turns. Stages and microbatches count from 0.
#
# ```python
# order(0, n_stages=2, n_microbatches=3)  # ["F0", "F1", "B0", "F2", "B1", "B2"]
# ```


# %% exercise="10.3" role="answer"
def order(stage, n_stages, n_microbatches):
    """The actions of one stage, such as ["F0", "B0"]."""
    ### BEGIN SOLUTION
    ahead = min(n_microbatches, n_stages - stage)
    actions = [f"F{m}" for m in range(ahead)]
    for m in range(n_microbatches):
        actions.append(f"B{m}")
        if m + ahead < n_microbatches:
            actions.append(f"F{m + ahead}")
    return actions
    ### END SOLUTION


# %% exercise="10.3" role="check"
check("10.3", order)

# %% [markdown] exercise="10.4" role="prompt" title="Find the bug: ragged microbatches" difficulty=2 minutes=10 points=3
# A microbatch is `(x, y, real)`: rows (n, dim), targets (n,), and which rows are real; the others are
# padding, and a microbatch may be all padding. The loss of a row is $(x \cdot w - y)^2$. Wanted is
# the gradient by `weight` of the mean loss **over all real rows of all microbatches**, of which
# there is one at least. This function is right while all microbatches have equally many real rows.
# Mend it, and leave `weight` as it is.
#
# ```python
# def accumulate(weight, microbatches):
#     weight = weight.clone().requires_grad_()
#     for x, y, real in microbatches:
#         errors = (x @ weight - y)[real]
#         loss = (errors**2).mean() / len(microbatches)
#         loss.backward()
#     return weight.grad
# ```


# %% exercise="10.4" role="answer"
def accumulate(weight, microbatches):
    """The gradient of the mean loss over all real rows, (dim,)."""
    ### BEGIN SOLUTION
    total = sum(int(real.sum()) for *_, real in microbatches)
    leaf = weight.clone().requires_grad_()
    for rows, targets, real in microbatches:
        squares = (rows @ leaf - targets)[real] ** 2
        (squares.sum() / total).backward()
    return leaf.grad
    ### END SOLUTION


# %% exercise="10.4" role="check"
check("10.4", accumulate)

# %% [markdown] exercise="10.5" role="prompt" title="Predict: how long does a prompt take?" difficulty=2 minutes=10 points=3
# A prompt of `length` tokens is read in chunks of `size` over `n_stages` equal stages, pipelined; the
# last chunk may be shorter. A chunk of n tokens takes each stage `fixed + n` microseconds: `fixed`
# to fetch the weights. Messages take no time. Write `reading_time(length, size, n_stages, fixed)`:
# after how many microseconds the last stage is done.
#
# ```python
# reading_time(9, size=4, n_stages=2, fixed=3)  # 25
# ```


# %% exercise="10.5" role="answer"
def reading_time(length, size, n_stages, fixed):
    """Microseconds until the last stage has done the last chunk."""
    ### BEGIN SOLUTION
    times = [fixed + min(size, length - start) for start in range(0, length, size)]
    return sum(times) + (n_stages - 1) * max(times)
    ### END SOLUTION


# %% exercise="10.5" role="check"
check("10.5", reading_time)

# %% [markdown] exercise="10.6" role="prompt" title="Prove by test: can this schedule run?" difficulty=3 minutes=15 points=4
# `schedule` has a list for each stage: what it does, in order, such as `["F0", "F1", "B0", "B1"]`.
# Write `can_run(schedule, n_microbatches)`: True only if each stage goes forward and back **once**
# with each microbatch from 0 to `n_microbatches - 1`, and nothing else, and if the lists, each done
# in its order, come to their ends. Any such order is fine, not only GPipe's and 1F1B's. The check
# has schedules of both kinds. Return False, don't `assert`.


# %% exercise="10.6" role="answer"
def can_run(schedule, n_microbatches):
    """Whether every stage can do its list, and the lists are complete."""
    ### BEGIN SOLUTION
    wanted = sorted(f"{kind}{m}" for kind in "FB" for m in range(n_microbatches))
    if any(sorted(actions) != wanted for actions in schedule):
        return False
    todo, done = [list(actions) for actions in schedule], set()

    def ready(stage, action):
        if action[0] == "F":
            return stage == 0 or (stage - 1, action) in done
        last = stage == len(schedule) - 1
        return (stage, "F" + action[1:]) in done and (last or (stage + 1, action) in done)

    while any(todo):
        going = [s for s, actions in enumerate(todo) if actions and ready(s, actions[0])]
        if not going:
            return False
        for stage in going:
            done.add((stage, todo[stage].pop(0)))
    return True
    ### END SOLUTION


# %% exercise="10.6" role="check"
check("10.6", can_run)
