# %% [markdown] slide="slide"
# # 09 · Model sharding
#
# *One model on four devices: who holds what, and what must they tell each other?*

# %% [markdown] slide="slide"
# **The problem.** Mixtral 8x7B has 46.7 billion parameters: 87 GiB in fp16. A card of 80 GB (74.5
# GiB) can't hold them, and the keys and values of its texts come on top. So the model is cut up and
# laid on several devices. Each holds a part, none can compute a token alone, and between them there
# is nothing but a wire. What must go over it? Is the answer still the same, to the last bit? And why
# do such programs hang?

# %% [markdown]
# **You will be able to** cut a model by layers, by tensors and by experts, and say what each device
# holds; count the bytes that a token costs on the wire; say which cut is exact to the last bit and
# why the others aren't; find out why ranks hang, and let them.
#
# **You need** the block and its parameters from [chapter 01](01_transformer_to_mistral.ipynb), the
# cache from [chapter 04](04_rolling_cache.ipynb), experts from [chapter 07](07_sparse_moe.ipynb).
#
# **Time**: 60 minutes, and an hour for the exercises in
# [work/09_model_sharding.ipynb](../work/09_model_sharding.ipynb), your copy of
# [these](../exercises/09_model_sharding.ipynb).

# %%
import os

import numpy as np
import torch

from mixlab import generate, load, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.model_sharding import figures
from mixlab.chapters.model_sharding.traces import device_memory
from mixlab.chapters.stage.host import piece
from mixlab.common.sampling import sample
from mixlab.parallel.expert_sharding import ExpertShard
from mixlab.parallel.plan import CUTS, plan, token_numbers
from mixlab.parallel.processes import RankError, Ranks
from mixlab.parallel.sharding import LayerShard, TensorShard, spans
from mixlab.small_mixtral import folder
from mixlab.traces.router import trace_router
from mixlab.transformer.config import TransformerConfig

torch.set_num_threads(1)  # as each rank has: another number might round otherwise
torch.manual_seed(0)
model = load(folder(), dtype=torch.float32)  # chapter 08's small Mixtral: 6 layers, 8 experts
text_tokenizer = tokenizer(folder())

# %% [markdown] slide="slide"
# ## Where memory goes
#
# A layer of Mixtral is attention, eight experts and a router. Three ways to cut 32 of them over four
# devices:
#
# - **by layers**: eight whole layers each;
# - **by tensors**: a quarter of every matrix;
# - **by experts**: two of the eight experts of every layer. The rest stands on every device, and each
#   reads texts of its own.
#
# Eight texts of 32,768 tokens add 32 GiB of keys and values. **Predict:** which cut leaves a device
# the most to hold?

# %% slide="slide" show="output" alt="Four horizontal bars. Uncut, one device holds 87 GiB of weights and 32 GiB of keys and values, far beyond a dashed line at 74.5. Cut over four by layers a device holds 29.9, by tensors 30.1, by experts 32.0; there, 3.0 GiB are weights that every device has."
mixtral = TransformerConfig.mixtral_8x7b()
devices = {"all on one": (2 * mixtral.n_parameters / 2**30, 0.0, 8 * 4.0)}
for cut in CUTS:
    devices[f"by {cut}"] = device_memory(mixtral, cut, 4, texts=8, seq=32_768)
assert [round(sum(parts), 1) for parts in devices.values()] == [119.0, 29.9, 30.1, 32.0]
assert [parts[2] for parts in devices.values()] == [32, 8, 8, 8]
title = "Cut over four devices it fits, and the cuts hardly differ in memory"
figures.memory(devices, 80e9 / 2**30, "a card of 80 GB", title)

# %% [markdown] slide="notes"
# (2 minutes.) By experts, since attention, embedding and norms (3.0 GiB) stand four times; but experts
# are 96.6% of Mixtral, so it matters little. Usual answers: layers (the first has the embedding too:
# 0.24 GiB); "all exactly a quarter". The cache follows the cut: a quarter of the layers, of the heads,
# or of the texts. What passes over the wire differs a hundredfold, and that is the rest of the lesson.

# %% [markdown] slide="slide"
# ## Ranks
#
# A device with its program is a *rank*: a process with a number, and memory of its own. Four of
# them, on this machine; they stay for most of the lesson. `run` calls a function on every rank, and
# hands it a *communicator*, its end of the wire.
#
# **Predict:** rank 0 changes `shared`. What do the other three see?

# %% slide="fragment"
ranks = Ranks(4, timeout=60)
shared = [0]


def touch(communicator):
    if communicator.rank == 0:
        shared[0] = 7
    return os.getpid(), shared[0]


pids, seen = zip(*ranks.run(touch), strict=True)
assert len({*pids, os.getpid()}) == 5
print("ranks see", seen, "and this notebook sees", shared)

# %% [markdown] slide="notes"
# (1 minute.) Each has a copy: 7, 0, 0, 0, and the notebook 0. Wrong: "7 everywhere", as with threads.
# What a rank is to know must be sent. The ranks are joined by torch.distributed, with gloo, its way for
# processors; on GPUs it would be NCCL, and the calls are the same. Should a rank raise, die or hang, all
# are ended and the error says where each stood: we shall need that.


# %%
def pass_on(communicator, x):
    """Rank 0 sends x to rank 1, that one to rank 2, …; each adds its number."""
    rank, last = communicator.rank, communicator.world_size - 1
    if rank > 0:
        x = communicator.recv(x.shape, source=rank - 1)  # waits
    x = x + rank
    if rank < last:
        communicator.send(x, to=rank + 1)  # waits until it has been taken
    return x


results = ranks.run(pass_on, torch.zeros(128))
assert [x[0].item() for x in results] == [0, 1, 3, 6]
for rank, sent in enumerate(ranks.sent):
    print("rank", rank, "sent", dict(sent))

# %% [markdown] slide="slide"
# ## Six layers, four ranks
#
# The communicator counts: 128 numbers of four bytes, 512 bytes a message.
#
# Now let layers be what is passed through. Who gets which? Mistral's own code slices them with
# $c = \lceil L / R \rceil$ for $L$ layers on $R$ ranks: rank $r$ takes layers $rc$ to
# $\min(L, (r + 1)c) - 1$.
#
# **Predict:** six layers on four ranks: how many does each get? Is there a count of ranks for which
# someone gets none of Mistral's 32?

# %% slide="fragment"
print("as Mistral slices:", *[len(span) for span in spans(6, 4, ceiling=True)])
print("as evenly as can be:", *[len(span) for span in spans(6, 4)])

# %% slide="slide" show="output" alt="Bars of the ranks that get no layer, for 1 to 32 ranks. Up to 8 ranks there are none, marked by blue points on the axis; so too at 11, 16 and 32. Everywhere else orange-red bars stand: 4 at 15 ranks, and from 17 on they climb to 15 at 31 ranks." myth="ceil(layers / ranks) layers for each rank divides a model over any number of ranks" said="mistral-inference, `transformer.py`" truth="With 32 layers 21 of the 32 possible numbers of ranks leave ranks without any, and no error says so."
empty = [sum(not span for span in spans(32, n, ceiling=True)) for n in range(1, 33)]
assert sum(count > 0 for count in empty) == 21
assert [n for n, count in enumerate(empty, 1) if not count] == [*range(1, 9), 11, 16, 32]
assert (empty[14], empty[16], empty[30]) == (4, 1, 15)
figures.empty_ranks(empty, "For 21 of 32 counts of ranks, someone gets no layer at all")

# %% [markdown] slide="notes"
# (2 minutes.) 2, 2, 2, 0. Wrong: 2, 2, 1, 1; and "an error". Nothing complains: past the end the range
# runs from 6 to 6, on five ranks from 8 to 6, and is empty (mistral-inference, `transformer.py`, commit 16bb637).
# The idle rank still takes and hands on. With 17 ranks two layers each leave one rank empty; with 31
# still two each, and 15 are empty.

# %% [markdown] slide="slide"
# ## Cut by layers
#
# A token's *hidden state* is the vector that it carries from layer to layer. A rank takes it, runs
# its own layers and hands it on; the first has the embedding, the last the output. That is all a
# `LayerShard` does. Each rank keeps one, and a cache for its own layers.
#
# The small Mixtral of chapter 08 reads *In the beginning God* on four ranks, and here, whole.
# **Predict:** the last rank's logits, 2,048 a token: are they equal to six digits, to the last bit, or
# a little off?


# %%
def hold(communicator, kind, **options):
    whole = load(folder(), dtype=torch.float32)
    shard = kind(whole, communicator.world_size, communicator.rank, **options)
    communicator.kept["shard"] = shard  # stays on this rank; the rest is let go
    return sum(weight.numel() for weight in shard.parameters())


# %%
def read(communicator, tokens):
    shard = communicator.kept["shard"]
    cache = shard.init_state(batch=1)
    logits = shard(communicator, tokens, cache, [len(tokens)])
    return logits, cache.n_bytes if cache else 0


# %%
prompt = text_tokenizer.encode("In the beginning God").ids
tokens = torch.tensor(prompt)
print("parameters:", ranks.run(lambda c: hold(c, LayerShard, ceiling=True)))
logits, cached = zip(*ranks.run(read, tokens), strict=True)
print("bytes of cache:", cached)

# %% slide="fragment"
state = model.init_state(batch=1)
whole = model.output(model.norm(model.extend(tokens, state, [len(tokens)])))
assert torch.equal(logits[3], whole)
print("difference:", (logits[3] - whole).abs().max().item())
each = len(tokens) * model.config.dim * 4  # a hidden state a token, four bytes a number
assert [sent["send"].bytes for sent in ranks.sent[:3]] == [each] * 3
print(f"{len(tokens)} tokens: {each:,} bytes over each border")

# %% [markdown] slide="notes"
# (2 minutes.) Exactly 0.0: the same instructions on the same numbers, and a float arrives as it was
# sent. Wrong: "about 1e-6, float32 always wobbles". (With another number of threads a product may be
# added up in another order: so one thread here, as on the ranks.) The wire is cheap: Mistral 7B sends 4,096 numbers of two bytes, 8,192 bytes a token and border.

# %% alt="Four devices in a row, each a frame with the rows of layers that it holds. Devices 0, 1 and 2 have two of six layers each, lower and lower; device 3 is dashed, says no layer, and holds the output alone. The token has crossed three borders and is there."
six = TransformerConfig.mixtral_8x7b(n_layers=6)
shares = plan(six, "layers", 4, ceiling=True)
assert [share.cached for share in shares] == [2 * 2 * 8 * 128] * 3 + [0]
assert 2 * token_numbers(six, "layers", 4) == 3 * 8192
title = "Cut by layers, a token visits one device after the other"
piece("ranks", title, cut="layers", devices=4, layers=6, ceiling=True)

# %% [markdown] slide="slide"
# ## Each rank's cache, positions, window
#
# A rank caches keys of its own layers: three have 2 of 6, rank 3 nothing. It is told how many
# tokens come, not where they stand: each rank counts along, and finds positions by itself.
#
# What is numbered by layer must be cut with the layers. Let windows alternate, 4, 16, 4, 16, 4, 16,
# on *two* ranks. The slip: each rank takes its windows from the list's beginning. **Predict:** does
# something crash?

# %% slide="fragment"
text, rows = torch.arange(100, 120)[None], []
for windows in [(4, 16, 4, 16, 4, 16), (4, 16, 4, 4, 16, 4)]:
    model.set_window(windows)
    rows.append(model(text)[0])
model.set_window(None)
change = (rows[0] - rows[1]).abs().amax(1)  # of each position's logits
assert change[:4].max() < 1e-3 < 0.1 < change[4:].max()
print(f"positions 0–3 change by {change[:4].max():.1f}, later ones by up to {change.max():.1f}")

# %% [markdown] slide="notes"
# (2 minutes.) Nothing crashes: rank 1 uses 4, 16, 4 where 16, 4, 16 is due, and short texts show nothing.
# Wrong: "the cache would complain". Mistral's code repeats its list of windows over the rank's *own*
# layers (`cache.py`, `get_cache_sizes`), and an assertion asks that their number be a multiple of the
# list's length: then the restart is harmless. Exercise 09.4.

# %% [markdown] slide="slide"
# ## Who chooses the next token?
#
# The last rank has the logits, and the first one needs the token. Mistral's code *broadcasts* the
# logits, from the last rank to all others, for every token that is read. Mistral 7B has a vocabulary
# of 32,000, and a hidden state of 4,096 numbers, all of two bytes.
#
# **Predict:** how many times a hidden state is that? What would be enough?

# %% slide="fragment"
mistral = TransformerConfig.mistral_7b()
hidden, row, name = 2 * mistral.dim, 2 * mistral.vocab_size, 8  # bytes; a token's number takes 8
assert (hidden, row) == (8192, 64_000)
assert 4096 * row == 262_144_000
print(
    f"hidden state {hidden:,}, logits {row:,} ({row / hidden:.1f} times), a token's number {name}"
)
print(f"a prompt of 4,096 tokens: {4096 * row / 1e6:.0f} MB to each other rank")

# %% [markdown] slide="notes"
# (2 minutes.) 7.8 times; eight bytes would do, once a new token. Wrong: "the same, it's one vector";
# "less, it's only one row". The logits of a prompt's tokens are used for log-probabilities, so they have a use, on one
# rank. In `transformer.py`, `forward`: `torch.distributed.broadcast(outs, src=…)`.

# %% [markdown] slide="slide"
# ## Everybody samples
#
# Since all ranks have the logits, each samples the next token by itself, from a generator of its
# own: in Mistral's code nobody tells the others. At temperature 0 all take the largest logit.
#
# **Predict** for temperature 1: do four ranks write one text? Which of their choices does the model
# read? Does anything hang?


# %% slide="same"
def write(communicator, prompt, n, temperature, stop=None, together=False):
    shard, last = communicator.kept["shard"], communicator.world_size - 1
    own_chance = torch.Generator().manual_seed(communicator.rank)
    cache, tokens, written = shard.init_state(batch=1), torch.tensor(prompt), []
    for _ in range(n):
        logits = shard(communicator, tokens, cache, [len(tokens)])
        if logits is None:
            logits = torch.zeros(len(tokens), 2048)  # says what is to come
        if not together:
            logits = communicator.broadcast(logits, root=last)
        tokens = sample(logits[-1:], temperature, generator=own_chance)
        if together:  # the cure, later
            tokens = communicator.broadcast(tokens, root=last)
        if tokens.item() == stop:
            break
        written.append(tokens.item())
    return written


# %% slide="slide" show="output" alt="Four rows of twelve tokens. Rank 0's row is orange: as one gold by the house of the come unto me. Most tokens of ranks 1 to 3 stand on orange-red, since they differ; a few are grey, where a rank chose by chance what rank 0 chose." myth="Every rank may choose the next token for itself" said="mistral-inference, `generate.py`, where all ranks hold the logits and each samples" truth="Above temperature 0 they choose differently, for each process has its own generator. In the lesson's run they disagree on more than 24 of 36 tokens."
cold, warm = (ranks.run(write, prompt, 12, temperature) for temperature in (0.0, 1.0))
assert cold[0] == cold[1] == cold[2] == cold[3]
differ = sum(mine != theirs for row in warm[1:] for mine, theirs in zip(row, warm[0], strict=True))
assert differ > 24  # of 36
parts = [[text_tokenizer.decode([token]).strip() for token in row] for row in warm]
chance = torch.Generator().manual_seed(0)  # rank 0's: the whole model writes the same with it
assert generate(model, [prompt], 12, temperature=1.0, generator=chance) == [warm[0]]
figures.choices(parts, "Four ranks believe in four texts, and only rank 0's is read")

# %% [markdown] slide="notes"
# (3 minutes.) Four texts, and no error. Only rank 0 embeds tokens, so its choice is what the model
# reads; the others' next logits follow *rank 0's* text. So *wreinhis* is no text at all: each word
# was drawn after words that this rank never wrote. Wrong: "they agree, the logits are equal"; "it
# hangs". Printed by rank 0 the text is fine; printed by any other it is nonsense.

# %% [markdown] slide="slide"
# ## When somebody stops
#
# Mistral's loop ends when its own sample is the end-of-text token (`generate.py`, commit 2f8b5b2).
# Let a full stop be that. Rank 1 draws one at step 5; rank 0 never does. **Predict** what happens
# then, and in which operation each rank is found three seconds later.

# %% slide="fragment"
stop = text_tokenizer.encode(".").ids[0]
assert warm[1].index(stop) == 4
assert stop not in warm[0]
with Ranks(4) as doomed:
    doomed.run(hold, LayerShard)
    doomed.timeout = 3  # seconds
    try:
        doomed.run(write, prompt, 12, 1.0, stop)
    except RankError as error:
        for rank, stood in error.standing.items():
            print("rank", rank, stood)

# %% [markdown] slide="notes"
# (3 minutes.) Rank 1 has left, rank 0 goes on and wants to send to it, the others wait for what rank 1
# would have sent: for ever, had we no timeout. Wrong: "rank 1 gets an error"; "the others go on". On a
# cluster one sees busy GPUs and no progress. Cure: one rank chooses and *broadcasts the token*, eight
# bytes; the same choice, the same end.

# %%
same = ranks.run(write, prompt, 12, 1.0, stop, True)
assert same[0] == same[1] == same[2] == same[3]
assert ranks.sent[3]["broadcast"].bytes == 3 * 8 * min(12, len(same[0]) + 1)
print(text_tokenizer.decode(same[2]))

# %% [markdown] slide="slide"
# ## Send meets send
#
# Two ranks want to swap a vector of ten numbers. Both call `send`, then `recv`. **Predict:** what
# happens?


# %% slide="fragment"
def swap(communicator, send_first):
    me, other = communicator.rank, 1 - communicator.rank
    if send_first[me]:
        communicator.send(torch.full((10,), float(me)), to=other)
        return communicator.recv((10,), source=other)[0].item()
    got = communicator.recv((10,), source=other)
    communicator.send(torch.full((10,), float(me)), to=other)
    return got[0].item()


with Ranks(2, timeout=2) as pair:
    print("one after the other:", pair.run(swap, (True, False)))
    try:
        pair.run(swap, (True, True))
    except RankError as error:
        print("both send first:", error.standing)

# %% [markdown] slide="notes"
# (2 minutes.) Both wait until the other takes, and neither gets to it. Wrong: "ten numbers fit into some
# buffer": with some libraries they do, and the program hangs only when messages grow. Cures: one sends
# first, the other takes first; or begin to send and go on (`isend`), take, then wait. The communicator's
# `exchange` is the latter. Exercise 09.5.

# %% [markdown] slide="slide"
# ## Cut by tensors
#
# Can all ranks work on one matrix? Take $y = Wx$ with two rows and two columns:
#
# $$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}\begin{pmatrix} 5 \\ 6 \end{pmatrix} =
# \begin{pmatrix} 5 + 12 \\ 15 + 24 \end{pmatrix}$$
#
# **By outputs**: a rank has some rows of $W$, all of $x$, and makes some of $y$: 17 or 39. **By inputs**:
# it has some columns, that part of $x$, and makes a *summand* of all of $y$: (5, 15) or (12, 24).
#
# Cut `w1` and `w3` of the feed-forward layer by outputs and `w2` by inputs: between them each rank has
# just the channels that it needs. (The cell does without `w3`.)

# %% slide="same"
x, w1, w2 = torch.randn(16), torch.randn(64, 16), torch.randn(16, 64)
summands = []
for span in spans(64, 4):
    mine = slice(span.start, span.stop)
    channels = torch.relu(w1[mine] @ x)  # needs no other rank
    summands.append(w2[:, mine] @ channels)
assert torch.allclose(sum(summands), w2 @ torch.relu(w1 @ x), atol=1e-4)

# %% [markdown] slide="notes"
# Papers write $y = xA$ with $A = W^\top$, and call the first *column-parallel* and the second
# *row-parallel* ("Megatron-LM", Shoeybi et al. 2019, section 3). Attention is cut alike: heads are
# outputs of `wq`, `wk`, `wv`, and inputs of `wo`. Each rank has its own heads, and their cache.

# %% [markdown] slide="slide"
# ## Exact to the last bit?
#
# **Predict:** in float32, which of the two gives exactly the whole product? Cut by outputs, by inputs,
# both, neither?


# %% slide="fragment"
def product(w, x):
    """Each output is a sum of products, added in an order that depends on its length alone."""
    return (w * x).sum(1)


w, x = torch.randn(256, 4096), torch.randn(4096)
for n in (2, 3, 4, 8):
    by_outputs = torch.cat([product(part, x) for part in w.tensor_split(n)])
    halves = zip(w.tensor_split(n, 1), x.tensor_split(n), strict=True)
    by_inputs = sum(product(*half) for half in halves)
    assert by_outputs.equal(product(w, x))
    assert 1e-6 < (by_inputs - product(w, x)).abs().max() < 1e-3
print("0.1 + (0.2 + 0.3) =", 0.1 + (0.2 + 0.3), "and (0.1 + 0.2) + 0.3 =", 0.1 + 0.2 + 0.3)

# %% [markdown] slide="notes"
# (3 minutes.) By outputs exactly: each output is the same sum in the same order. By inputs the brackets
# move, and float addition isn't associative (chapter 17 will say more). Wrong: "both, it's the
# same sum"; "neither". A fast kernel may choose another order for another shape, so a library promises
# neither; what is asserted here is arithmetic.

# %% [markdown] slide="slide"
# ## All-reduce, in a circle
#
# Every rank has a summand of the whole vector, and all need the sum: an *all-reduce*. Rank 0 could
# collect and send it back, but its wire would carry $R - 1$ vectors each way. So cut the vector into $R$
# pieces, and let the ranks stand in a circle: a *ring all-reduce*, whose ring isn't the cache's. In each
# round everybody sends one piece to the next rank, which adds it to its own.
#
# **Predict** for four ranks: after how many rounds is a piece complete? And when have all everything?


# %% slide="same"
def ring(communicator, x):
    n, rank = communicator.world_size, communicator.rank
    pieces, history = list(x.tensor_split(n)), []
    for step in range(2 * (n - 1)):
        out, at = (rank - step) % n, (rank - step - 1) % n
        new = communicator.exchange(pieces[out], (rank + 1) % n, pieces[at].shape, (rank - 1) % n)
        pieces[at] = pieces[at] + new if step < n - 1 else new  # add, then only pass on
        history.append(torch.cat(pieces))
    return history


# %% slide="slide" show="output" alt="Three tables of four ranks by four pieces. At the start every cell says 1. After three rounds each row has one dark cell that says 4, on a diagonal, and others of 1, 2 and 3. After six rounds every cell says 4."
mine = ranks.run(lambda c: ring(c, torch.full((4,), 2.0**c.rank)))  # a bit for each rank
held = np.array([[[int(x).bit_count() for x in row] for row in rows] for rows in mine])
held = held.swapaxes(0, 1)  # (round, rank, piece): how many ranks' numbers are in it
assert [(step == 4).sum() for step in held] == [0, 0, 4, 8, 12, 16]
assert [sent["exchange"].bytes for sent in ranks.sent] == [6 * 4] * 4
moments = {"at the start": np.ones((4, 4), int), "after 3 rounds": held[2], "after 6": held[5]}
figures.ring(moments, "Three rounds finish a piece on every rank, three more spread them")

# %% [markdown] slide="notes"
# (3 minutes.) Three, and six. Wrong: two (that is a tree); four. The first three rounds are called
# *reduce-scatter*, the others *all-gather*. Each rank sends $2(R - 1)$ pieces of $1/R$ of the vector:
# $2\frac{R-1}{R}$ vectors, never two, however many ranks ("Bandwidth optimal all-reduce", Patarasuk and
# Yuan 2009). Every piece is added up once and then copied: all ranks hold the same bits, and so their
# routers decide alike. The communicator's `all_reduce` is this loop; gloo's and NCCL's own may take other ways.

# %% [markdown] slide="slide"
# ## The real model, by tensors
#
# The small Mixtral has two key/value heads, so two ranks take one each, and half of every expert. A
# layer needs two all-reduces, one after attention and one after the experts:
#
# $$2 \cdot 2\,\tfrac{R-1}{R} \cdot d \text{ numbers a layer, token and rank}$$
#
# For Mistral 7B on four ranks: $2 \cdot 2 \cdot \tfrac34 \cdot 8192 \text{ bytes} \cdot 32 = 786{,}432$,
# 96 times a border between layers.


# %% slide="same"
def hold_and_read(communicator):
    return hold(communicator, TensorShard), *read(communicator, tokens)


with Ranks(2, timeout=60) as pair:
    answers = pair.run(hold_and_read)
    moved = [sent["all_reduce"].bytes for sent in pair.sent]
parameters, both, _ = zip(*answers, strict=True)
assert torch.equal(*both)  # the same bits on both ranks
difference = (both[0] - whole).abs().max().item()
assert 0 < difference < 1e-4
assert moved == [6 * 2 * 2 * len(tokens) * 128 * 4 // 2] * 2  # layers, sums, 2(R-1)/R = 1
assert 2 * token_numbers(mistral, "tensors", 4) / 4 == 786_432 == 96 * 8192
print(f"{moved[0]:,} bytes a rank; equal to rounding, and not to the last bit")

# %% [markdown] slide="slide"
# ## Cut by experts
#
# Each rank holds two of the eight experts, and all of attention. It reads a text of its own. Where a
# token's expert lives elsewhere, its hidden state travels there and comes back: an *all-to-all*, in
# which every rank has something for every other. Were all experts chosen equally often, $1/R$ of the
# choices, here a quarter, would stay at home.


# %% slide="same"
def hold_and_read_own(communicator, texts):
    hold(communicator, ExpertShard)
    return read(communicator, texts[communicator.rank])[0]


sentences = [
    "And he said unto them, Go ye into all the world",
    "def read(self, path): return self.files[path]",
    "The method returns a new list of the items",
    "En el principio creó Dios los cielos y la tierra",
]
texts = [torch.tensor(text_tokenizer.encode(sentence).ids) for sentence in sentences]
answers = ranks.run(hold_and_read_own, texts)
moved = sum(sent["all_to_all"].bytes for sent in ranks.sent)

# %% slide="slide" show="output" alt="A table of four ranks by four: how many choices of experts went from each rank's tokens to each rank's experts. The diagonal, what stays at home, is grey and holds about a quarter; the twelve other cells are orange."
sent = np.zeros((4, 4), int)
for rank, text in enumerate(texts):
    alone = model(text[None])[0]
    assert torch.allclose(answers[rank], alone, atol=1e-4)  # its own text, as the whole model
    chosen = trace_router(model, text[None]).chosen.flatten()  # expert e lives on rank e // 2
    sent[rank] = np.bincount(chosen // 2, minlength=4)
home, away = sent.trace(), sent.sum() - sent.trace()
assert sent.sum() == 6 * 2 * sum(map(len, texts))
assert 0.15 < home / sent.sum() < 0.35
# Out, back, the expert's number; and before each of these, 8 bytes to every other rank: how many.
assert moved == away * (2 * 128 * 4 + 8) + 6 * 3 * 4 * 3 * 8
title = f"{away / sent.sum():.0%} of the choices travel, and come back"
figures.travels(sent, title)

# %% [markdown] slide="notes"
# A token sends $2 \cdot k \cdot \frac{R-1}{R}$ hidden states a layer, out and back, with $k$ experts a
# token: on eight devices 0.875 MiB for Mixtral, all layers. Routers aren't fair
# (chapter 08), and the slowest rank decides; "Mixtral of Experts", section 2.1, names balancing as the
# difficulty of this cut. Results agree to rounding: an expert multiplies other rows together.

# %% slide="slide" show="output" alt="Four devices, each with all of attention in blue and two of eight experts in every layer. The token is at home on device 0; dots on two experts show its visits in the last layer, and arcs lead to their devices. Buttons change the cut; devices and layers are dragged."
chosen = trace_router(model, tokens[None]).chosen[:, 0, -1].tolist()  # of the prompt's last token
away = sum(expert > 1 for pair in chosen for expert in pair)  # device 0 has experts 0 and 1
assert 0 < away <= 12
assert all(share.cached == 6 * 2 * 8 * 128 for share in plan(six, "experts", 4))
title = "Cut by experts, attention stands everywhere, and tokens travel"
piece("ranks", title, cut="experts", devices=4, layers=6, chosen=chosen)

# %% [markdown] slide="notes"
# Parts are drawn to one scale, and numbers are those of Mixtral 8x7B with six layers; which experts the
# token visits is what the small Mixtral chose for *God*. Press M for another cut: parts fly to where
# they belong. Point at a device, and all that it holds lights up. Drag devices to 8; then by layers, and
# E, which slices evenly.

# %% slide="slide" show="output" alt="Bytes that a token costs on the wire against 2 to 8 devices, logarithmic. By layers it rises from 8 to 56 KiB, by experts from 512 to 896 KiB, by tensors from 1,024 to 7,168 KiB."
counts = range(2, 9)
bills = {
    f"by {cut}": [2 * token_numbers(mixtral, cut, n) / 1024 for n in counts]
    for cut in ("tensors", "experts", "layers")
}
for tensors, experts, layers in zip(*bills.values(), strict=True):
    assert tensors == 128 * layers
    assert tensors > experts > 15 * layers
assert bills["by layers"][2] == 3 * 8
series.lines(
    counts,
    bills,
    title="One token of Mixtral: tensors send 128 times what layers do",
    x_title="devices",
    y_title="KiB a token, all devices together",
    log_y=True,
)

# %% [markdown] slide="slide"
# ## What is it good for?
#
# | cut | hidden states sent a token | exact | at work |
# |---|---|---|---|
# | layers | $R - 1$ | to the bit | one after another |
# | tensors | $4(R - 1)$ a layer | to rounding | all at once |
# | experts | $2k\frac{R-1}{R}$ a layer | to rounding | all, if balanced |
#
# So tensors are cut where the wire is fast, inside one machine, and layers between machines. But by
# layers **one rank in four works** while a token passes: memory is gained, and no time.

# %%
ranks.close()
assert not ranks.processes
for pid in pids:  # nobody is left
    try:
        os.kill(pid, 0)
        raise AssertionError(f"process {pid} is still there")
    except ProcessLookupError:
        pass

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A cut decides memory and traffic: layers send a hidden state a border, tensors two all-reduces a
#    layer, experts two all-to-alls.
# 2. Layers elsewhere are exact to the last bit. Split a sum, and it rounds otherwise.
# 3. What ranks decide apart, they decide differently: let one choose and tell the others. Sends need an
#    order in which somebody takes.

# %% [markdown]
# ## Self-test
#
# 1. 10 layers on 4 ranks, by Mistral's slicing: who holds which?
# 2. $R = 8$, $d = 4096$, two bytes: what does one all-reduce of a token cost a rank?
# 3. Three ranks in a circle all send to the next before they take. What happens?
#
# <details><summary>Answers</summary>
#
# 1. 0–2, 3–5, 6–8, 9.
# 2. $2 \cdot \frac78 \cdot 8192 = 14{,}336$ bytes.
# 3. All wait, for ever.
#
# </details>
#
# **Next.** *By layers, one rank in four works. How do the other three get something to do?* First
# [the exercises](../work/09_model_sharding.ipynb), then
# [chapter 10](10_pipeline_parallelism.ipynb).

# %% [markdown] to="exercise"
# # 09 · Model sharding: exercises
#
# Six exercises on [the lesson](../course/09_model_sharding.ipynb), about an hour. None starts a
# process: ranks are lists here, one entry each. Replace each `raise NotImplementedError(…)` with your
# answer and run the check below it. `hint("09.1")` gives a first hint, called again a further one.
# The checks draw random inputs: an answer that fits only the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="09.1" role="prompt" title="Who holds which layer" difficulty=1 minutes=8 points=2
# Write `layers_of(rank, n_layers, n_ranks, ceiling)`: a list of the layers that a rank holds, in order,
# perhaps an empty one. With `ceiling=True` every rank takes ⌈n_layers / n_ranks⌉ layers in a row, as
# long as there are any. Otherwise ranks differ by one layer at most, and the larger shares come first.
#
# ```python
# [layers_of(rank, 6, 4, ceiling=True) for rank in range(4)]  # [[0, 1], [2, 3], [4, 5], []]
# [layers_of(rank, 6, 4, ceiling=False) for rank in range(4)]  # [[0, 1], [2, 3], [4], [5]]
# ```


# %% exercise="09.1" role="answer"
def layers_of(rank, n_layers, n_ranks, ceiling):
    """The layers of a rank, in order."""
    ### BEGIN SOLUTION
    if ceiling:
        each = -(-n_layers // n_ranks)
        return list(range(rank * each, min(n_layers, (rank + 1) * each)))
    small, larger = divmod(n_layers, n_ranks)
    start = rank * small + min(rank, larger)
    return list(range(start, start + small + (rank < larger)))
    ### END SOLUTION


# %% exercise="09.1" role="check"
check("09.1", layers_of)

# %% [markdown] exercise="09.2" role="prompt" title="Predict the bytes of a token" difficulty=2 minutes=10 points=3
# One token goes through a model of `n_layers` layers with hidden states of `dim` numbers. Write
# `token_bytes(n_ranks, n_layers, dim, bytes_per_number, away)`, which returns three whole numbers: what
# **all ranks together** send, cut by layers (every rank has some), by tensors (two ring all-reduces a
# layer), and by experts, where `away` of the token's choices of an expert, all layers together, live on
# another rank. Count hidden states only, no logits and no token numbers.
#
# ```python
# token_bytes(4, n_layers=32, dim=4096, bytes_per_number=2, away=48)  # (24576, 3145728, 786432)
# ```


# %% exercise="09.2" role="answer"
def token_bytes(n_ranks, n_layers, dim, bytes_per_number, away):
    """Bytes that all ranks send for one token: by layers, by tensors, by experts."""
    ### BEGIN SOLUTION
    state = dim * bytes_per_number
    borders = n_ranks - 1
    all_reduce = 2 * borders * state  # 2 (R - 1) / R a rank, R ranks
    return borders * state, 2 * n_layers * all_reduce, 2 * away * state
    ### END SOLUTION


# %% exercise="09.2" role="check"
check("09.2", token_bytes)

# %% [markdown] exercise="09.3" role="prompt" title="A feed-forward layer from shards" difficulty=2 minutes=10 points=3
# A layer computes $x + W_2\,\text{relu}(W_1 x) + b$ for each token. It has been cut over ranks: `ups[r]`
# holds some rows of $W_1$, (channels of rank r, dim), and `downs[r]` the matching columns of $W_2$,
# (dim, channels of rank r). Ranks may have different numbers of channels. `x` is (tokens, dim), `b`
# (dim,), both whole on every rank. Write `layer(x, ups, downs, b)`: what every rank holds after one
# all-reduce, (tokens, dim). Leave `x` as it is.


# %% exercise="09.3" role="answer"
def layer(x, ups, downs, b):
    """The layer's output, (tokens, dim), from every rank's shards."""
    ### BEGIN SOLUTION
    summands = []
    for up, down in zip(ups, downs, strict=True):  # one rank after the other
        summands.append(torch.relu(x @ up.T) @ down.T)
    return x + sum(summands) + b  # once, after the sum
    ### END SOLUTION


# %% exercise="09.3" role="check"
check("09.3", layer)

# %% [markdown] exercise="09.4" role="prompt" title="Find the bug: windows that restart" difficulty=2 minutes=10 points=3
# `windows` has one entry a layer: its window, or `None` for a layer that keeps everything. Layers are cut
# by ⌈n_layers / n_ranks⌉, as in 09.1. `slots` should return how many keys each of a rank's layers holds
# of a text of `length` tokens, a list with one number for each of **this rank's** layers, in order. On one
# rank, if every layer has a window, it passes. Write it right.
#
# ```python
# def slots(rank, n_ranks, windows, length):
#     each = -(-len(windows) // n_ranks)
#     start = rank * each
#     held = []
#     for local, layer in enumerate(range(start, start + each)):
#         held.append(min(length, windows[local]))
#     return held
# ```


# %% exercise="09.4" role="answer"
def slots(rank, n_ranks, windows, length):
    """How many keys each of this rank's layers holds."""
    ### BEGIN SOLUTION
    share = (len(windows) + n_ranks - 1) // n_ranks
    own = windows[rank * share : (rank + 1) * share]
    return [length if window is None else min(length, window) for window in own]
    ### END SOLUTION


# %% exercise="09.4" role="check"
check("09.4", slots)

# %% [markdown] exercise="09.5" role="prompt" title="An order in which nothing hangs" difficulty=3 minutes=12 points=4
# `transfers` is a list of messages (source, to), each from one rank to another. Both `send` and `recv`
# wait until the partner does the other. Write `programs(n_ranks, transfers)`: for every rank the list of
# what it does, in order, such as `[("send", 1), ("recv", 2)]`. Each message is sent once and taken once,
# and nobody may wait for ever. A pair may occur several times.
#
# ```python
# programs(2, [(0, 1), (1, 0)])  # [[("send", 1), ("recv", 1)], [("recv", 0), ("send", 0)]]
# ```


# %% exercise="09.5" role="answer"
def programs(n_ranks, transfers):
    """What each rank does, in order, so that nothing hangs."""
    ### BEGIN SOLUTION
    does = [[] for _ in range(n_ranks)]
    for source, to in transfers:  # everybody follows one list
        does[source].append(("send", to))
        does[to].append(("recv", source))
    return does
    ### END SOLUTION


# %% exercise="09.5" role="check"
check("09.5", programs)

# %% [markdown] exercise="09.6" role="prompt" title="Parcels for the experts' ranks" difficulty=2 minutes=10 points=3
# Rank r holds `held[r]` experts, in order: with `held = [3, 3, 2]`, rank 1 has experts 3, 4, 5. A rank may
# have none. `chosen`, a tensor (tokens, k), says which k different experts each token of this text
# goes to. Write `parcels(chosen, held)`: for every rank a list of the tokens that are sent to it, in
# order. A token whose experts live on one rank travels there **once**.
#
# ```python
# parcels(torch.tensor([[0, 7], [1, 2], [5, 0]]), [3, 3, 2])  # [[0, 1, 2], [2], [0]]
# ```


# %% exercise="09.6" role="answer"
def parcels(chosen, held):
    """The tokens that are sent to each rank."""
    ### BEGIN SOLUTION
    sent, first = [], 0
    for n_experts in held:
        lives_here = (chosen >= first) & (chosen < first + n_experts)
        sent.append(lives_here.any(dim=1).nonzero().flatten().tolist())
        first += n_experts
    return sent
    ### END SOLUTION


# %% exercise="09.6" role="check"
check("09.6", parcels)
