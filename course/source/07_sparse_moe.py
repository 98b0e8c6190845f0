# %% [markdown] slide="slide"
# # 07 · Sparse mixture of experts
#
# *How can a model own 46.7 billion parameters and spend 12.9 billion on a token?*

# %% [markdown] slide="slide"
# **The problem.** In a plain transformer every token is multiplied by every parameter: a model that
# is to know twice as much works twice as hard, for each word. Nearly four fifths of Mistral 7B's
# parameters sit in its feed-forward layers. Where Mistral has one of these, Mixtral 8x7B has
# eight, and sends each token through two of them. Its name misleads, the size that people quote was
# never true, and its cost is only sometimes what they say.

# %% [markdown]
# **You will be able to** write a router and a sparse layer, as a loop and as the sorted form that
# libraries run; prove which orders of softmax and top-k agree; count stored and active parameters;
# say at which batch sizes a sparse layer is cheap; watch a router collapse, and mend it.
#
# **You need** Python and PyTorch tensors. No earlier chapter: attention is only mentioned.
#
# **Time**: 55 minutes, and as much again for the exercises in
# [exercises/07_sparse_moe.ipynb](../exercises/07_sparse_moe.ipynb).

# %% [markdown] slide="slide"
# ## One feed-forward layer
#
# A transformer block has two halves. Attention lets tokens exchange information. Then the
# *feed-forward layer* transforms every token by itself. Mistral's has three matrices:
#
# $$F(x) = W_2\,\big(\mathrm{silu}(W_1 x) \odot W_3 x\big)$$
#
# Here $\odot$ multiplies number by number, and $\mathrm{silu}(z) = z / (1 + e^{-z})$ is a soft
# switch. A token has 4,096 numbers; between the matrices there are 14,336.

# %%
import time
from pydoc_data.topics import topics

import numpy as np
import torch
from ipywidgets import interact_manual

from mixlab import load, smollm2, tokenizer
from mixlab.common.training import TrainingConfig, batches, train
from mixlab.figures import dispatch, series
from mixlab.figures import sparse_moe as figures
from mixlab.kernels import grouped_experts
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import FeedForward, swiglu
from mixlab.transformer.model import Transformer, next_token_loss
from mixlab.transformer.router_losses import load_balancing_loss, router_z_loss
from mixlab.transformer.sparse_moe import SparseMoE, experts_grouped, route, router_logits
from mixlab.transformer.upcycle import upcycle

torch.set_num_threads(1)  # we shall time processor work, which is simplest on one thread

# %% slide="same" show="output"
mistral, mixtral = TransformerConfig.mistral_7b(), TransformerConfig.mixtral_8x7b()
feed_forward = mistral.n_layers * 3 * mistral.dim * mistral.hidden_dim
share = feed_forward / mistral.n_parameters
print(f"feed-forward: {feed_forward:,} of {mistral.n_parameters:,} parameters, {share:.0%}")

torch.manual_seed(0)
dense, x = FeedForward(TransformerConfig.tiny()), torch.randn(6, 64)
assert torch.allclose(dense(x)[3], dense(x[3]), atol=1e-6)  # a token alone, or among others

# %% [markdown] slide="slide"
# ## From one to eight
#
# Since every token goes alone, nothing forces all of them through the *same* layer. Put eight side
# by side: the *experts*. Before them stands a *router*, one small matrix that gives a token one
# score for each expert. The $k$ experts with the highest scores run, and a softmax over these $k$
# scores says how much each one's result counts: its *gate*.
#
# **Predict:** four experts score 1, 3, 0 and 2, and $k = 2$. Which experts run, and with which
# gates? ($e \approx 2.7$)

# %% slide="fragment" show="output"
chosen, gates = route(torch.tensor([1.0, 3.0, 0.0, 2.0]), k=2)
for expert, gate in zip(chosen, gates, strict=True):
    print(f"expert {expert} with gate {gate:.2f}")

# %% [markdown] slide="slide"
# ## The layer in two formulas
#
# The router's scores are $s = W_r\,x$. Let $T$ be the set of the $k$ experts with the highest. Then
#
# $$y = \sum_{i \in T} g_i\,E_i(x) \qquad\qquad g_i = \frac{e^{s_i}}{\sum_{j \in T} e^{s_j}}$$
#
# So $e^3 : e^2 = 2.7 : 1$ makes 0.73 and 0.27. The other experts don't get weight 0, as masked keys
# do in attention: they are **never computed**, and that is the whole saving.
#
# ("Mixtral of Experts", 2024, section 2.1; top-k gating is from Shazeer et al. 2017, section 2.1.)

# %%
words = "The cat sat on the mat".split()
torch.manual_seed(15)
x = 2 * torch.randn(5, 64)[[0, 1, 2, 3, 0, 4]]  # The and the: one vector
moe = SparseMoE(TransformerConfig.tiny(n_experts=8, experts_per_token=2))
scores = moe.gate(x).detach()  # (6 tokens, 8 experts)
chosen, gates = route(scores, k=2)
for word, experts, weights in zip(words, chosen.tolist(), gates.tolist(), strict=True):
    print(f"{word:>4}:", " + ".join(f"{g:.2f} E{e}" for e, g in zip(experts, weights, strict=True)))

# %% slide="slide" show="output" alt="A grid of six tokens against eight experts. Each row has two blue cells whose numbers sum to 1, the other six are grey. A slider changes k from one blue cell a row to eight."
for k in range(1, 9):
    sums = route(scores, k).gates.sum(dim=1)
    assert torch.allclose(sums, torch.ones(6))
routings = [route(scores, k) for k in range(1, 9)]
figures.gates([r.chosen.numpy() for r in routings], [r.gates.numpy() for r in routings], words, k=2)

# %% [markdown] slide="slide"
# ## Two orders, one result
#
# Mistral's code takes the top $k$, then a softmax over them. Hugging Face's takes the softmax over
# all eight first, then the top $k$, and divides them by their sum. **Theorem:** both give the same.
#
# 1. With $Z = \sum_j e^{s_j}$ the full softmax is $p_i = e^{s_i} / Z$. It grows with $s_i$, so
#    both orders choose the same set $T$.
# 2. Dividing by the sum over $T$ cancels $Z$:
#
# $$\frac{p_i}{\sum_{j \in T} p_j} = \frac{e^{s_i} / Z}{\sum_{j \in T} e^{s_j} / Z} = g_i$$

# %% slide="slide" show="output" alt="Three panels of bars for one token over eight experts. Left: softmax over all eight, the best two marked, with less than all the weight. Middle: those two divided by their sum. Right: the softmax over the best two alone, equal to the middle panel."
many = torch.randn(1000, 8)
for k in range(1, 9):
    chosen_k, gates_k = route(many, k)
    kept, same = many.softmax(dim=1).topk(k, dim=1)
    assert torch.equal(same, chosen_k)
    assert torch.allclose(kept / kept.sum(dim=1, keepdim=True), gates_k, atol=1e-6)
p, T = scores[3].softmax(dim=0).numpy(), chosen[3].tolist()
inside = np.isin(np.arange(8), T)
last = np.zeros(8)
last[T] = gates[3].numpy()
panels = {
    f"softmax over all eight:<br>the best two have {p[T].sum():.2f}": p,
    "…divided by their sum": np.where(inside, p / p[T].sum(), 0),
    "softmax over the best two": last,
}
figures.weights_side_by_side(panels, T, "Both orders end at the same two gates, if you divide")

# %% [markdown] slide="slide"
# ## And if nobody divides?
#
# Then the gates sum to the kept part of the softmax, and the layer's output shrinks by that
# factor: for eight equal scores and $k = 2$, to a quarter. Yet the Switch Transformer, which has
# $k = 1$, does not divide (Fedus et al. 2021, section 2.1).
#
# **Predict:** what is the gate at $k = 1$ if we do divide? And what does a router learn from that?

# %% slide="fragment"
# Divided by itself, the one gate is always 1: a constant, from which a router learns nothing.
# No error says so. With k = 2 the gates compete, and dividing is safe.
four = torch.tensor([1.0, 3.0, 0.0, 2.0], requires_grad=True)
for name, gate in {"divided": route(four, k=1).gates, "not divided": four.softmax(0).max()}.items():
    (gradient,) = torch.autograd.grad(gate.sum(), four)
    print(f"{name:>11}: gate {gate.item():.2f}, gradient", [f"{g:+.2f}" for g in gradient + 0.0])
assert route(torch.zeros(8), k=2).gates.sum() == 1
assert torch.zeros(8).softmax(dim=0).topk(2).values.sum() == 0.25

# %% [markdown] slide="slide"
# ## First rung: token by token
#
# The formula read aloud. In the library the experts' matrices lie stacked, one tensor for all
# eight: `w1[e]` is expert $e$'s first matrix. 512 tokens make 1,024 passes of one token each, and
# every pass reads an expert's matrices anew. So turn the loop round: let each *expert* collect its
# tokens, and run once. First watch it, then write it.


# %% slide="same" show="code"
def loop_over_tokens(x, chosen, gates, w1, w2, w3):
    out = torch.zeros_like(x)
    for token in range(len(x)):
        for e, gate in zip(chosen[token], gates[token], strict=True):
            out[token] += gate * swiglu(x[token], w1[e], w2[e], w3[e])
    return out


# %% slide="slide" show="output" alt="Animation in six steps. Six coloured balls, the tokens, are scored by eight bins, the experts; each ball's two copies drop into the bins it chose, some bins hold three and some none; they turn into squares, and return scaled by their gates to six sums at the bottom."
title = "Tokens gather at their experts and return as weighted sums"
dispatch.dispatch(words, chosen.numpy(), gates.numpy(), n_experts=8, title=title)

# %% [markdown] slide="slide"
# ## Second rung: expert by expert
#
# *Gather*: `torch.where(chosen == e)` says which tokens chose expert $e$, and whether as their
# first or second choice. *Compute*: one matrix product for all of them. *Scatter* and *add*:
# `index_add_` adds each result to the row that it came from.


# %% slide="same" show="code"
def loop_over_experts(x, chosen, gates, w1, w2, w3):
    out = torch.zeros_like(x)
    for e in range(len(w1)):
        token, rank = torch.where(chosen == e)
        result = swiglu(x[token], w1[e], w2[e], w3[e])
        out.index_add_(0, token, gates[token, rank, None] * result)
    return out


# %% [markdown] slide="slide"
# ## Third rung: one sort
#
# Write all choices in one row, $k$ for each token, and sort them by expert. Every expert's tokens
# now lie side by side, as one *run*. Choice number $c$ belongs to token $c$ // $k$, so one gather
# lays out the rows, and sorting back restores their order. A GPU takes all runs in one *grouped*
# product (Gale et al., "MegaBlocks", 2022, section 5).

# %% slide="same" show="both"
flat = chosen.flatten()  # token 0's two experts, token 1's two, …
order = flat.argsort(stable=True)
print("expert", *flat[order].tolist())
print("token ", *(order // 2).tolist())

# %% volatile=true
weights = moe.w1.detach(), moe.w2.detach(), moe.w3.detach()
paths = loop_over_experts, experts_grouped, grouped_experts.experts_grouped
all_to_one = torch.full((6, 1), 3), torch.ones(6, 1)
for routing in ((chosen, gates), all_to_one, route(scores, k=8)):
    expected = loop_over_tokens(x, *routing, *weights)
    for path in paths:  # the last two: sorted, and as a GPU runs it
        assert torch.allclose(path(x, *routing, *weights), expected, atol=1e-6)
assert torch.allclose(moe(x), loop_over_tokens(x, chosen, gates, *weights), atol=1e-6)

crowd = torch.randn(512, 64)
routing = moe.route(crowd)
for path in (loop_over_tokens, loop_over_experts, experts_grouped):
    start = time.process_time()
    path(crowd, *routing, *weights)
    print(f"{path.__name__:>17}: {1000 * (time.process_time() - start):6.1f} ms for 512 tokens")

# %% [markdown] slide="slide"
# ## A real model, split in four
#
# SmolLM2 is a trained language model with Mistral's architecture and one feed-forward layer a block.
# Copy that layer into four identical experts, put a *random* router before them, and let two run
# for each token. That is how *sparse upcycling* starts (Komatsuzaki et al. 2022, section 3).
#
# **Predict:** how far do the logits (the scores of the next token) move? And if nobody divides?

# %% slide="fragment" show="output"
model = load(smollm2())
split = upcycle(model, n_experts=4, experts_per_token=2, generator=torch.manual_seed(0))
text = tokenizer(smollm2())
prompt = text.encode("The capital of France is Paris, and the capital of Italy is")


@torch.inference_mode()
def last_logits(model):
    return model(torch.tensor([prompt.ids]))[0, -1]


expected, found = last_logits(model), last_logits(split)
assert (found - expected).abs().max() < 1e-3  # of logits up to 29
print("one layer: next word", text.decode([expected.argmax().item()]))
print("split: logits moved by less than 0.001, next word", text.decode([found.argmax().item()]))


# %% slide="fragment" show="output"
def undo_division(moe, inputs, output):
    """What the layer would give with the full softmax's own numbers as gates."""
    kept = moe.gate(inputs[0]).softmax(dim=-1).topk(2).values.sum(dim=-1, keepdim=True)
    return output * kept


for block in split.layers:
    block.feed_forward.register_forward_hook(undo_division)
found = last_logits(split)
assert (found - expected).abs().max() > 5
print("undivided: logits moved by more than 5, next word", text.decode([found.argmax().item()]))
del model, split

# %% [markdown] slide="notes"
# Identical experts give identical results, and $g_1 F + g_2 F = F$ whenever the gates sum to 1. So
# a router that knows nothing does no harm, and training may begin. Undivided, four near-equal
# scores leave about half of each layer's output, thirty times over: the model has lost its way.

# %% [markdown] slide="slide"
# ## What is stored, what is used
#
# A parameter is *active* for a token if the token is multiplied by it. We build Mixtral without
# memory, on PyTorch's `meta` device, where tensors have shapes only, and count.

# %% slide="same" show="output"
with torch.device("meta"):
    model = Transformer(mixtral)
stored = sum(p.numel() for p in model.parameters())
layer = model.layers[0].feed_forward
expert = sum(w[0].numel() for w in (layer.w1, layer.w2, layer.w3))  # of one layer
idle = mixtral.n_layers * 6 * expert
print(f"stored {stored:,}\nactive {stored - idle:,}\neight Mistrals {8 * mistral.n_parameters:,}")
assert (stored, stored - idle) == (mixtral.n_parameters, mixtral.n_active_parameters)
assert (stored, stored - idle) == (46_702_792_704, 12_879_925_248)
assert mistral.n_parameters == 7_241_732_096
assert mixtral.n_layers * mixtral.n_experts == 256  # experts in all
assert mixtral.n_layers * mixtral.experts_per_token == 64  # met by one token

# %% slide="slide" show="output" alt="Four horizontal bars of parameters in billions. Mistral 7B 7.2; Mixtral as one token uses it 12.9; Mixtral as stored 46.7, most of it grey experts that wait; eight whole Mistrals 57.9, because they repeat the blue shared part eight times."
shared = stored - mixtral.n_layers * 8 * expert
one = mistral.n_layers * expert  # one expert in every layer
rows = {
    "Mistral 7B": (mistral.n_parameters - one, one, 0),
    "Mixtral, used by a token": (shared, 2 * one, 0),
    "Mixtral, stored": (shared, 2 * one, 6 * one),
    "eight whole Mistrals": (8 * (mistral.n_parameters - one), 8 * one, 0),
}
names = "attention, embeddings, norms, routers", "feed-forward that runs", "experts that wait"
rows = {model: dict(zip(names, parts, strict=True)) for model, parts in rows.items()}
figures.parameters(rows, "Mixtral stores 46.7 billion parameters and uses 12.9 for a token")

# %% [markdown] slide="slide"
# ## Three myths
#
# **"It has 8 experts."** Each of the 32 layers has its own eight, and its own router: 256 experts,
# of which a token meets 64.
#
# **"8x7B makes 56B."** Only the feed-forward layers come eightfold. Attention and embeddings are
# shared: 46.7 billion, where eight whole Mistrals would have 57.9.
#
# **"It costs what a 13B model costs."** In multiplications, yes. But a processor must also *read*
# the weights, and how many depends on who else is in the batch.

# %% [markdown] slide="slide"
# ## How many experts does a batch touch?
#
# Suppose $n$ tokens choose $k$ of $E$ experts at random. One token misses a given expert with
# probability $1 - k/E$; all $n$ miss it with $(1 - k/E)^n$. So it is *touched*, and must be read,
# with $1 - (1 - k/E)^n$, and over all $E$ experts
#
# $$\text{expected number touched} = E\,\big(1 - (1 - k/E)^n\big)$$
#
# **Predict** for Mixtral ($E = 8$, $k = 2$): how many do 8 tokens touch? 16 choices, 8 experts…

# %% slide="slide" show="output" alt="Experts touched against tokens in the batch. The curve starts at 2 for one token, passes 5.5 at four and 7.2 at eight, and reaches the dashed line at 8 by thirty-two. Orange dots of a simulation lie on it."
sizes = [1, 2, 4, 8, 16, 32, 64]
expected = [8 * (1 - (1 - 2 / 8) ** n) for n in sizes]
assert f"{expected[3]:.2f}" == "7.20"  # 8 tokens
draws = torch.rand(4000, max(sizes), 8).argsort(dim=2)[..., :2]  # two different experts a token
hit = [torch.zeros(4000, 8).scatter(1, draws[:, :n].flatten(1), 1.0).sum(dim=1) for n in sizes]
simulated = torch.stack(hit, dim=1).numpy()
assert np.allclose(simulated.mean(axis=0), expected, atol=0.1)
figures.touched(sizes, expected, simulated, n_experts=8)


# %%
def milliseconds(chosen, weights, repeats=3):
    """Processor time of one sparse layer on one thread."""
    x, gates = torch.randn(len(chosen), 768), torch.ones(chosen.shape)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        experts_grouped(x, chosen, gates, *weights)
        times.append(time.process_time() - start)
    return 1000 * min(times)


sizes = [1, 4, 16, 64, 256]
shapes = (8, 2688, 768), (8, 768, 2688), (8, 2688, 768)
big = [torch.empty(shape).uniform_(-0.02, 0.02) for shape in shapes]  # 25 MB an expert
same = [milliseconds(torch.tensor([[0, 1]]).expand(n, 2), big) for n in sizes]
own = [milliseconds(torch.rand(n, 8).argsort(dim=1)[:, :2], big) for n in sizes]
every = [milliseconds(torch.arange(8).expand(n, 8), big) for n in sizes]

# %% slide="slide" show="output" alt="Time of a sparse layer as a multiple of a dense layer with the same active parameters, against batch size. It is 1 for one token, rises above 3 at 16 tokens, close to the line of all eight experts at 4, and falls again towards 1 at 256 tokens."
ratios = {
    "all eight experts for every token": np.divide(every, same),
    "two of eight, each token its own": np.divide(own, same),
    "the same two for all: a dense layer": np.divide(same, same),
}
hump = ratios["two of eight, each token its own"]
assert hump[0] < 1.6  # one token: two experts
assert hump[2] > 1.8  # 16 tokens: nearly all eight
assert hump[-1] < 0.8 * hump[2]  # 256 tokens: arithmetic decides
series.lines(
    sizes,
    ratios,
    title="Two experts' time for one token, nearly eight's for sixteen",
    x_title="tokens in the batch",
    y_title="time, dense layer of the same active size = 1",
    log_x=True,
).update_layout(legend=dict(orientation="h", x=0, y=-0.2))

# %% [markdown] slide="notes"
# All three lines run the same code on the same weights; only the choices differ. At one token, two
# experts are read. At 16, reading decides: nearly all eight come from memory, each for four tokens.
# At 256, arithmetic decides, and the cost returns to that of the active parameters. The times are
# this machine's. The Mixtral paper says so too (section 3, "Size and Efficiency"): memory follows
# all 47B, and sparse layers suit large batches.
#
# The tokens of a *prompt* are a batch as well. In real text they don't quite choose evenly and
# independently, as the formula supposes.

# %% [markdown] slide="slide"
# ## Why routers collapse
#
# An expert that isn't chosen gets no gradient. So those that happen to be chosen first improve, the
# router learns to prefer them, and they are chosen more (Shazeer et al. 2017, section 4). The rest
# are stored, and never learn.
#
# Watch it: a language model of one block with eight experts, trained on Python's manual, byte by
# byte. Training takes seconds. The second run adds the cure, to be explained after it.


# %%
def loss_with_balance(coefficient, shares):
    def loss(model, tokens):
        with router_logits(model) as layers:  # (batch, seq, experts) of each layer
            logits = model(tokens)
        scores = torch.stack(layers).flatten(1, 2).float()
        chosen = route(scores.detach(), k=2).chosen
        shares.append(chosen.flatten().bincount(minlength=8) / chosen.numel())
        balance = load_balancing_loss(scores, k=2)
        return next_token_loss(logits, tokens) + coefficient * balance

    return loss


# %%
manual = "".join(topics.values()).encode()
data = torch.from_numpy(np.frombuffer(manual, dtype=np.uint8).astype(np.int64))
shape = dict(dim=32, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=16, hidden_dim=64)
config = TransformerConfig(**shape, vocab_size=256, n_experts=8, experts_per_token=2)


moe(x).square().sum().backward()  # the six tokens again: who gets a gradient?
touched = torch.zeros(8, dtype=torch.bool).index_fill(0, chosen.flatten(), True)
assert torch.equal(moe.w1.grad.flatten(1).any(dim=1), touched)


def train_router(coefficient, steps=250, seed=3):
    """The share of all choices that each expert gets at each step, and the losses."""
    torch.manual_seed(seed)
    model, shares = Transformer(config), []
    stretches = batches(data, batch=8, seq=64, generator=torch.Generator().manual_seed(seed))
    recipe = TrainingConfig(steps=steps, learning_rate=2e-3, warmup=10)
    loss = loss_with_balance(coefficient, shares)
    losses = train(model, loss, stretches, recipe, progress=False)
    return torch.stack(shares).numpy(), losses


# %% slide="slide" show="output" alt="Two panels of stacked areas, the share of choices of each of eight experts over 250 training steps. Without balance loss two colours soon fill almost the whole panel. With balance loss eight bands of about equal height go on to the end."
coefficients = {"without a balance loss": 0.0, "with a balance loss, × 0.01": 0.01}
runs = {name: train_router(c)[0] for name, c in coefficients.items()}
alone, even = (np.sort(run[-50:].mean(axis=0)) for run in runs.values())  # of the last 50 steps
assert alone[-2:].sum() > 0.5  # two experts have most of the choices; an even share is a quarter
assert (alone < 0.02).sum() >= 2  # others have next to none
assert 0.05 < even[0] < even[-1] < 0.22  # each near an eighth
figures.shares_over_time(runs, "Left to itself, the router settles on a few experts")

# %% [markdown] slide="notes"
# Each colour is an expert. Without help, two or three take nearly everything within fifty steps,
# and the rest of the layer is memory paid for nothing.
#
# The *language* losses hardly differ yet: two experts suffice for so short a training. Give both
# runs 1,200 steps in the widget below, and compare again. In Shazeer et al. (2017, appendix A, table
# 6) the model without any balancing ends at a perplexity of 39.8, all the balanced ones at about
# 35.6.


# %% widget=true
@interact_manual(coefficient=[0.0, 0.001, 0.01, 0.1, 1.0], steps=(100, 1200, 50), seed=(0, 9))
def retrain(coefficient=0.001, steps=250, seed=3):
    shares, losses = train_router(coefficient, steps, seed)
    print(f"loss of the last 50 steps, balance included: {np.mean(losses[-50:]):.3f}")
    return figures.shares_over_time({f"coefficient {coefficient}": shares}, "Your own run")


# %% [markdown] slide="slide"
# ## The cure: make favourites expensive
#
# For expert $i$ let $f_i$ be the number of tokens that chose it over the number of tokens, and
# $P_i$ the mean of its full softmax $p_i$. Add to the loss a little of
#
# $$L = E \sum_{i=1}^{E} f_i\,P_i$$
#
# (Switch Transformer, section 2.2, equations 4–6, with coefficient $10^{-2}$.) $f_i$ counts, so it
# has no gradient. $P_i$ has: each $P_i$ is pushed down with a force proportional to $f_i$.
#
# **Predict** $L$ for perfectly even routing, for Switch ($k = 1$) and for Mixtral ($k = 2$).

# %% slide="fragment" show="output"
for k in (1, 2):
    even = torch.zeros(1, 64, 8)  # (layers, tokens, experts): tokens take turns
    for token in range(64):
        even[0, token, [(k * token + rank) % 8 for rank in range(k)]] = 0.1
    print(f"k = {k}: even {load_balancing_loss(even, k):.2f},", end=" ")
    stuck = torch.tensor([9.0] * k + [-9.0] * (8 - k)).expand(1, 64, 8)
    print(f"all tokens on the same {k}: {load_balancing_loss(stuck, k):.2f}")

# %% slide="slide" show="output" alt="A grid of four layers against eight experts. In each layer two experts have half of the choices each, a different pair in every layer, the rest none. Below, the mean over layers: every expert has one eighth."
stuck = torch.full((4, 32, 8), -9.0)
for number in range(4):
    stuck[number, :, 2 * number : 2 * number + 2] = 9.0  # each layer its own two experts
assert abs(load_balancing_loss(stuck, k=2) - 8) < 1e-3
assert abs(load_balancing_loss(stuck, k=2, pooled=True) - 2) < 1e-3
chosen_stuck = route(stuck, k=2).chosen.flatten(1)
counts = torch.stack([layer.bincount(minlength=8) for layer in chosen_stuck])
loads = (counts / counts.sum(dim=1, keepdim=True)).numpy()

even = even.tile(32, 1, 1).clone()  # 32 even layers…
even[5] = stuck[0].tile(2, 1)  # …but for one
mean, pooled = (load_balancing_loss(even, 2, pooled) for pooled in (False, True))
assert abs(mean - (2 + 6 / 32)) < 1e-2
assert abs(pooled - (2 + 6 / 32**2)) < 1e-2
figures.loads(loads, "Every layer has collapsed, and their mean looks perfectly even")

# %% [markdown] slide="notes"
# Even routing has $f_i = k/E$ and $P_i = 1/E$, so $L = k$. Who reads a 2 from Hugging Face's Mixtral
# and expects Switch's 1 looks for a fault that isn't there. Collapsed onto $k$ experts, $f_i = 1$
# and $P_i = 1/k$, so $L = E$.
#
# That same loss takes $f$ and $P$ over the tokens of *all* layers at once. Of the picture it says
# 2.00, all is well; layer by layer it would say 8. If one layer of 32 collapses, its own excess is
# $8 - 2 = 6$: the mean over layers shows 6/32 of it, the pooled loss $6/32^2$.

# %% [markdown]
# ## The other loss: keep scores small
#
# Adding the same number to all scores changes no choice and no gate. But in bfloat16, the 16-bit
# format of training, large numbers have no digits left for small differences. **Predict** the
# choice among scores 2.0, 2.1 and 0, and among the same plus 100.
#
# The *router z-loss* (ST-MoE, 2022, section 3.3, equation 5) is the mean of $(\log \sum_j
# e^{s_j})^2$: a pull back to where digits are dense.

# %%
for shift in (0, 100):
    row = (torch.tensor([[2.0, 2.1, 0.0]]) + shift).bfloat16()
    best = route(row, k=1).chosen.item()
    print(f"plus {shift:>3}: {row[0].tolist()}, best {best}, z-loss {router_z_loss(row):8.1f}")

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A router scores all experts, $k$ run. Top-k then softmax equals softmax, top-k, *divide*;
#    without the division it is another model, and at $k = 1$ with it the router learns nothing.
# 2. Mixtral has 256 experts, 46.7 billion parameters stored, 12.9 active. Arithmetic follows the
#    active ones; reading follows the touched ones, and a batch soon touches them all.
# 3. Left alone, routers collapse. The balance loss is $k$ when even; watch it layer by layer.

# %% [markdown]
# ## Self-test
#
# 1. Scores are 0, 0, 0, 0 and $k = 2$. What are its gates, divided and not?
# 2. Which of Mixtral's experts does a prompt of 1,000 tokens leave unread?
# 3. Why does the balance loss multiply $f$ by $P$, not by itself?
# 4. A balance loss of 2.0: is every layer even?
#
# <details><summary>Answers</summary>
#
# 1. ½ and ½; ¼ and ¼.
# 2. Practically none.
# 3. $f$ counts: no gradient.
# 4. If it was pooled, perhaps none is; and even is $k$.
#
# </details>
#
# **Next.** *What do the experts of a trained model have in common, subject or syntax?* First
# [the exercises](../exercises/07_sparse_moe.ipynb).

# %% [markdown] to="exercise"
# # 07 · Sparse mixture of experts: exercises
#
# Six exercises on [the lesson](../course/07_sparse_moe.ipynb), about 60 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("07.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass. Scores and tokens are float32 tensors throughout.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="07.1" role="prompt" title="The table of gates" difficulty=1 minutes=8 points=2
# `scores` holds a router's scores, one row a token, one column an expert; no two scores of a row are
# equal. Return a table of the same shape: in each row the gates of the `k` experts with the highest
# scores (they sum to 1), and exactly 0 for all others. Scores may be negative, and may reach
# several hundred. `k` lies between 1 and the number of experts.


# %% exercise="07.1" role="answer"
def gate_table(scores, k):
    """Gates of shape (tokens, n_experts): k of them in each row, 0 elsewhere."""
    ### BEGIN SOLUTION
    values, experts = scores.topk(k, dim=1)
    return torch.zeros_like(scores).scatter(1, experts, values.softmax(dim=1))
    ### END SOLUTION


# %% exercise="07.1" role="check"
check("07.1", gate_table)

# %% [markdown] exercise="07.2" role="prompt" title="Experts with a limit" difficulty=2 minutes=15 points=4
# The Switch Transformer (section 2.2) gives every expert a *capacity*: it takes at most that many
# tokens, so that each device knows its work in advance. Write the sparse layer with such a limit.
#
# `experts` is a list of functions; each maps rows of shape (n, dim) to rows of the same shape.
# `chosen` and `gates` have shape (tokens, k), and no token chooses an expert twice. An expert serves
# its tokens in their order in the text, whether it was their first choice or a later one, and turns
# away those beyond `capacity` (1 or more).

# %% [markdown] exercise="07.2" role="prompt"
# A token's output is the sum of gate times result over the experts that served it, zeros if none
# did; its gates stay as given. Call each expert at most once, with exactly the tokens that it
# serves, and not at all if there are none.


# %% exercise="07.2" role="answer"
def sparse_feed_forward(x, chosen, gates, experts, capacity):
    """The weighted sum of the experts' results, (tokens, dim), with a limit on each expert."""
    ### BEGIN SOLUTION
    out = torch.zeros_like(x)
    for e, run in enumerate(experts):
        served, choice = (chosen == e).nonzero()[:capacity].T
        if len(served):
            out[served] += gates[served, choice, None] * run(x[served])
    return out
    ### END SOLUTION


# %% exercise="07.2" role="check"
check("07.2", sparse_feed_forward)

# %% [markdown] exercise="07.3" role="prompt" title="Count the parameters" difficulty=1 minutes=10 points=3
# Return two whole numbers, parameters stored and parameters active for one token, of a model with
#
# - an embedding and a separate output matrix, each vocab_size × dim (count both as active);
# - `n_layers` blocks, each with two norms of `dim` numbers; a query and an output matrix for
#   `n_heads` heads of width `head_dim`; a key and a value matrix for `n_kv_heads` such heads; a
#   router; and `n_experts` experts of three matrices, dim × hidden_dim;
# - one more norm at the end.
#
# There are no biases. Each token runs through `k` experts of each block, with `k < n_experts`.
# Mixtral's numbers should give (46702792704, 12879925248).


# %% exercise="07.3" role="answer"
def count_parameters(
    dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k
):
    """(stored, active)."""
    ### BEGIN SOLUTION
    attention = 2 * dim * head_dim * (n_heads + n_kv_heads)
    block = attention + dim * n_experts + 2 * dim
    shared = 2 * vocab_size * dim + n_layers * block + dim
    expert = n_layers * 3 * dim * hidden_dim
    return shared + n_experts * expert, shared + k * expert
    ### END SOLUTION


# %% exercise="07.3" role="check"
check("07.3", count_parameters)

# %% [markdown] exercise="07.4" role="prompt" title="The load-balancing loss" difficulty=2 minutes=12 points=3
# Write the loss of one layer, $E \sum_i f_i P_i$. `scores` has shape (tokens, n_experts). $f_i$ is the
# number of tokens that have expert $i$ among their `k` best, over the number of tokens; $P_i$ the
# mean over tokens of the softmax over all experts. Return a tensor of one number from which
# gradients flow back to `scores`: the check compares these too. Perfectly even routing gives `k`.


# %% exercise="07.4" role="answer"
def balance_loss(scores, k):
    """The load-balancing loss of one layer, a scalar tensor."""
    ### BEGIN SOLUTION
    tokens, n_experts = scores.shape
    best = scores.topk(k, dim=1).indices.flatten()
    f = best.bincount(minlength=n_experts) / tokens
    return n_experts * (f * scores.softmax(dim=1).mean(dim=0)).sum()
    ### END SOLUTION


# %% exercise="07.4" role="check"
check("07.4", balance_loss)

# %% [markdown] exercise="07.5" role="prompt" title="Find the bug: there and back again" difficulty=3 minutes=12 points=3
# This sparse layer sorts the choices by expert, runs each expert once, and sorts the results back.
# It should give what Mixtral's layer gives. It has two mistakes; find and mend both. `experts` is a
# list of functions from (n, dim) to (n, dim), which may be called without rows here.
#
# ```python
# def sorted_experts(x, scores, k, experts):
#     gates, chosen = scores.softmax(dim=1).topk(k, dim=1)
#     flat = chosen.flatten()
#     order = flat.argsort(stable=True)
#     runs = x[order // k].split(flat.bincount(minlength=len(experts)).tolist())
#     rows = torch.cat([expert(run) for expert, run in zip(experts, runs)])
#     results = rows[order].unflatten(0, (len(x), k))
#     return (gates[..., None] * results).sum(dim=1)
# ```


# %% exercise="07.5" role="answer"
def sorted_experts(x, scores, k, experts):
    """The sparse layer's output, (tokens, dim), with tokens sorted by expert on the way."""
    ### BEGIN SOLUTION
    kept, chosen = scores.topk(k, dim=1)
    choices = chosen.flatten()
    by_expert = choices.argsort(stable=True)
    counts = choices.bincount(minlength=len(experts)).tolist()
    runs = x[by_expert // k].split(counts)
    rows = torch.cat([run(tokens) for run, tokens in zip(experts, runs, strict=True)])
    results = rows[by_expert.argsort()].unflatten(0, (len(x), k))
    return (kept.softmax(dim=1)[..., None] * results).sum(dim=1)
    ### END SOLUTION


# %% exercise="07.5" role="check"
check("07.5", sorted_experts)

# %% [markdown] exercise="07.6" role="prompt" title="Predict the reading: uneven routers" difficulty=2 minutes=8 points=2
# Real routers have favourites. `chances` is a list with one number an expert: the probability that a
# token chooses it among its experts (so the numbers sum to $k$). Return how many different experts a
# batch of `n_tokens` tokens touches on average, if tokens choose independently of each other. For
# chances of 0.25, 0.75 and 1 and two tokens it is 2.375.


# %% exercise="07.6" role="answer"
def expected_touched(chances, n_tokens):
    """The expected number of different experts that n_tokens tokens choose."""
    ### BEGIN SOLUTION
    return sum(1 - (1 - q) ** n_tokens for q in chances)
    ### END SOLUTION


# %% exercise="07.6" role="check"
check("07.6", expected_touched)
