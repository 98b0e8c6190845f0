# %% [markdown] slide="slide"
# # 07 · Sparse mixture of experts
#
# *How can a model own 46.7 billion parameters and spend 12.9 billion on a token?*

# %% [markdown] slide="slide"
# **The problem.** In a plain transformer nearly every parameter takes part in every token: a model
# that is to know twice as much works twice as hard, for each word. Nearly four fifths of Mistral
# 7B's parameters sit in its feed-forward layers. Where Mistral has one of these, Mixtral 8x7B has
# eight, and sends each token through two of them. So it has more than one size. Which of them you
# pay for depends on what is scarce: room, arithmetic, or reading.

# %% [markdown]
# **You will be able to** write a router and a sparse layer, as a loop and as the sorted form that
# libraries run; prove which orders of softmax and top-k agree; count stored and active parameters,
# and say which of a model's costs follows which; watch a router play favourites, and mend it.
#
# **You need** Python and PyTorch tensors. No earlier chapter: attention is only mentioned.
#
# **Time**: 60 minutes, and as much again for the exercises in
# [work/07_sparse_moe.ipynb](../work/07_sparse_moe.ipynb), your copy of
# [these](../exercises/07_sparse_moe.ipynb).

# %% [markdown] slide="slide"
# ## One feed-forward layer
#
# A transformer block has two halves. Attention lets tokens exchange information. Then the
# *feed-forward layer* transforms every token by itself. Mistral's has three matrices:
#
# $$F(x) = W_2\,\big(\mathrm{silu}(W_1 x) \odot W_3 x\big)$$
#
# $W_1$ and $W_3$ make 14,336 numbers of a token's 4,096, and $W_2$ makes 4,096 of them again;
# $\odot$ multiplies number by number. $\mathrm{silu}(z) = z / (1 + e^{-z})$ is a soft switch: about
# 0 for very negative $z$, about $z$ for large ones.

# %%
import time

import numpy as np
import torch

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.sparse_moe import figures
from mixlab.chapters.sparse_moe.traces import layer_milliseconds, train_router
from mixlab.chapters.stage.host import piece
from mixlab.kernels import grouped_experts
from mixlab.small_mixtral import folder
from mixlab.traces.router import trace_router
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import FeedForward, swiglu
from mixlab.transformer.model import Transformer
from mixlab.transformer.router_losses import load_balancing_loss, router_z_loss
from mixlab.transformer.sparse_moe import SparseMoE, experts_grouped, route
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

# %% [markdown] slide="notes"
# (2 minutes.) Experts 1 and 3, with 0.73 and 0.27. Usual wrong answers: 3/5 and 2/5, the scores
# divided by their sum; 0.64 and 0.24, a softmax over all four, of which a part would be lost.

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
torch.manual_seed(15)
x = 2 * torch.randn(5, 64)[[0, 1, 2, 3, 0, 4]]  # The and the: one vector
moe = SparseMoE(TransformerConfig.tiny(n_experts=8, experts_per_token=2))
scores = moe.gate(x).detach()  # (6, 8): Mixtral's files name the router so; a gate here is a weight
chosen, gates = route(scores, k=2)
rows = zip("The cat sat on the mat".split(), chosen.tolist(), gates.tolist(), strict=True)
for word, experts, weights in rows:
    print(f"{word:>4}:", " + ".join(f"{g:.2f} E{e}" for e, g in zip(experts, weights, strict=True)))

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

# %% slide="slide" show="output" alt="Three panels of bars for one token over eight experts. Left and middle, Hugging Face's order: softmax over all eight, the best two coloured, then those two divided by their sum. Right, Mistral's order: softmax over the best two alone, the same two bars as in the middle."
many = torch.randn(1000, 8)
for k in range(1, 9):
    chosen_k, gates_k = route(many, k)
    kept, same = many.softmax(dim=1).topk(k, dim=1)
    assert torch.equal(same, chosen_k)
    assert torch.allclose(gates_k.sum(dim=1), torch.ones(1000))
    assert torch.allclose(kept / kept.sum(dim=1, keepdim=True), gates_k, atol=1e-6)
p, T = scores[3].softmax(dim=0).numpy(), chosen[3].tolist()
inside = np.isin(np.arange(8), T)
last = np.zeros(8)
last[T] = gates[3].numpy()
divided = np.where(inside, p / p[T].sum(), 0)
assert np.allclose(divided, last, atol=1e-6)
panels = {
    "Hugging Face<br>first, softmax<br>over all eight": p,
    f"Hugging Face<br>then, best two,<br>divided by {p[T].sum():.2f}": divided,
    "Mistral<br>softmax over<br>the best two": last,
}
figures.weights_side_by_side(
    panels, T, "Hugging Face's order and Mistral's end at the same two gates"
)

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

# %% [markdown] slide="notes"
# (2 minutes.) The gate is 1, whatever the scores, and the router learns nothing at all: it stays as
# chance made it. Usual wrong answers: 0.64, which is what *not* dividing gives; "it learns more
# slowly".

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


# %% [markdown] slide="slide"
# ## Tokens travel to their experts
#
# Below, a *trained* model runs in the page: the course's own small Mixtral, six layers of eight
# experts. Its tokens are parts of words: *cat* is *c·at*. A row is an expert with the tokens that
# chose it, underlined by their gates. **Predict:** nine tokens make 18 choices; how many experts
# stay empty in layer 0? Then step through the layers, drag k, and type.

# %% slide="slide" show="output" alt="The sentence The cat sat on the mat as nine tokens, and below it eight rows, the experts of layer 0. Expert 7 holds seven tokens, expert 5 five, expert 6 four, expert 1 two; the other four rows are empty. Stepping moves the tokens to other rows; dots set k; a bar shows what the text costs in nats a token."
small = load(folder(), dtype=torch.float32)
ids = [0, *tokenizer(folder()).encode("The cat sat on the mat").ids]  # 0 is the start
loads = trace_router(small, torch.tensor([ids])).chosen[0, 0, 1:].ravel()
assert np.bincount(loads, minlength=8).tolist() == [0, 2, 0, 0, 0, 5, 4, 7]
piece("router", "Each expert runs once, on all the tokens that chose it", step=0)

# %% [markdown] slide="notes"
# Predict (3 minutes): four stay empty. Two wrong answers that a class gives: "none, since a balance
# loss made them even" (over a batch of all kinds of text, not over nine tokens), and "one at most":
# choices at random would miss $8 \cdot 0.75^9 = 0.6$ experts. But equal tokens fall alike: all three
# *at* go to experts 7 and 6.
#
# Ask what a row is: the batch of one matrix product. Then k = 8: every row is full, and the text is
# no cheaper.

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
# lays out the rows, and sorting back restores their order. However unequal the runs, a GPU can take
# them all in one *grouped* product. (Gale et al., "MegaBlocks", 2022, section 4, do it with a
# block-sparse one.)

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
    router = moe.gate
    kept = router(inputs[0]).softmax(dim=-1).topk(2).values.sum(dim=-1, keepdim=True)
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
# A parameter is *active* for a token if it takes part in computing that token's output. The other
# ones are only *stored*. (The embedding counts as active, by custom, though a token reads one row.)
#
# **Predict:** "8x7B" sounds like 8 experts and 8 · 7 = 56 billion parameters. Is it fewer, or more?
# We build Mixtral on PyTorch's `meta` device, where tensors have a shape and no memory, and count.

# %% slide="same" show="output" myth="Mixtral 8x7B has eight experts of 7 billion parameters, 56 billion in all" said="its name, and most news of its release" truth="It has 32 · 8 = 256 experts of 0.18 billion each and shares the rest: 46,702,792,704 parameters, of which a token uses 12,879,925,248."
with torch.device("meta"):
    model = Transformer(mixtral)
stored = sum(p.numel() for p in model.parameters())
layer = model.layers[0].feed_forward
expert = sum(w[0].numel() for w in (layer.w1, layer.w2, layer.w3))  # of one layer
one = mixtral.n_layers * expert  # one expert in every layer
active = stored - 6 * one
shared = active - 2 * one
print(f"experts  {mixtral.n_layers} x 8 = {mixtral.n_layers * 8}, and a token meets 64")
print(f"stored   {stored:,}\nactive   {active:,}")
print(f"eight whole Mistrals would be {8 * mistral.n_parameters:,}")
assert mixtral.n_layers * mixtral.experts_per_token == 64
assert (stored, active) == (mixtral.n_parameters, mixtral.n_active_parameters)
assert (stored, active) == (46_702_792_704, 12_879_925_248)
assert mistral.n_parameters == 7_241_732_096
assert round(2 * stored / 1e9) == 93

# %% slide="slide" show="output" alt="Four horizontal bars of parameters in billions. Mistral 7B 7.2; Mixtral as one token uses it 12.9; Mixtral as stored 46.7, most of it grey experts that wait; eight whole Mistrals 57.9, because they repeat the blue shared part eight times."
rows = {
    "Mistral 7B": (mistral.n_parameters - one, one, 0),
    "Mixtral, used by a token": (shared, 2 * one, 0),
    "Mixtral, stored": (shared, 2 * one, 6 * one),
    "eight whole Mistrals": (8 * (mistral.n_parameters - one), 8 * one, 0),
}
parts = "attention, embeddings, norms, routers", "feed-forward that runs", "experts that wait"
figures.parameters(rows, parts, "Mixtral stores 46.7 billion and uses 12.9 for a token")

# %% [markdown] slide="notes"
# Two myths end here. **"It has 8 experts."** Each of the 32 layers has its own eight, and its own
# router: 256 experts. **"8x7B makes 56B."** Only the feed-forward layers come eightfold; attention,
# embeddings and norms are shared. So 46.7 billion, where eight whole Mistrals would have 57.9.
#
# At two bytes each, 46.7 billion take 93 GB, and all of it must lie ready: nobody knows whom the
# next token chooses.

# %% [markdown] slide="slide"
# ## How many experts does a batch touch?
#
# **"It costs what a 13B model costs."** In multiplications, yes. But a processor must also *read*
# the weights, and how many depends on who else is in the batch.
#
# Suppose $B$ tokens choose $k$ of $N$ experts at random. One token misses a given expert with
# probability $1 - k/N$; all $B$ miss it with $(1 - k/N)^B$. Otherwise it is *touched*, and must be
# read. So over all $N$ experts
#
# $$\text{expected number touched} = N\,\big(1 - (1 - k/N)^B\big)$$
#
# **Predict** for Mixtral ($N = 8$, $k = 2$): how many do 8 tokens touch? 16 choices, 8 experts…

# %% slide="slide" show="output" alt="Experts touched against tokens in the batch. The curve starts at 2 for one token, passes 5.5 at four and 7.2 at eight, and reaches the dashed line at 8 by thirty-two. Orange dots of a simulation lie on it." myth="It answers at the cost of a model of 13 billion parameters" said="Mixtral's announcement (at the same speed and for the same cost as a 12.9B model)" truth="In multiplications. A batch must also read every expert that anyone in it chose: 42.2 billion parameters for 8 tokens, all 46.7 for 32."
sizes = [1, 2, 4, 8, 16, 32, 64]
expected = [8 * (1 - (1 - 2 / 8) ** n) for n in sizes]
assert f"{expected[3]:.2f}" == "7.20"  # 8 tokens
draws = torch.rand(4000, max(sizes), 8).argsort(dim=2)[..., :2]  # two different experts a token
hit = [torch.zeros(4000, 8).scatter(1, draws[:, :n].flatten(1), 1.0).sum(dim=1) for n in sizes]
simulated = torch.stack(hit, dim=1).numpy()
assert np.allclose(simulated.mean(axis=0), expected, atol=0.1)
read = [f"{(shared + touched * one) / 1e9:.1f}" for touched in expected]  # billions, all layers
assert (read[0], read[3], read[5]) == ("12.9", "42.2", "46.7")  # 1, 8 and 32 tokens
title = "Eight tokens need seven of the eight experts"
figures.touched(sizes, expected, simulated, n_experts=8, title=title)

# %% slide="slide" show="output" alt="Time of a sparse layer as a multiple of a dense layer with the same active parameters, against batch size. It is about 1 for one token, about 3 for 16 tokens, near the line of all eight experts at 4, and falls again towards 1 at 256 tokens."
sizes = [1, 4, 16, 64, 256]
same = layer_milliseconds([torch.tensor([[0, 1]]).expand(n, 2) for n in sizes])
own = layer_milliseconds([torch.rand(n, 8).argsort(dim=1)[:, :2] for n in sizes])
every = layer_milliseconds([torch.arange(8).expand(n, 8) for n in sizes])
ratios = {
    "dense, the stored size: all eight for all": np.divide(every, same),
    "sparse: each token its own two": np.divide(own, same),
    "dense, the active size: the same two for all": np.divide(same, same),
}
hump = ratios["sparse: each token its own two"]
assert hump[0] < 1.6  # one token: two experts
assert hump[2] > 1.8  # 16 tokens: nearly all eight
assert hump[-1] < 0.8 * hump[2]  # 256 tokens: arithmetic decides
series.lines(
    sizes,
    ratios,
    title="Cheap for one token or for hundreds, dear for sixteen",
    x_title="tokens in the batch",
    y_title="time (dense, the active size = 1)",
    log_x=True,
)

# %% [markdown] slide="notes"
# All three lines run the same code on the same weights; only the choices differ. At one token, two
# experts are read. At 16, reading decides: nearly all eight come from memory, each for four tokens.
# At 256, arithmetic decides, and the cost returns to that of the active parameters. The times are
# this machine's. The tokens of a *prompt* are a batch as well; in real text they don't quite choose
# evenly and independently, as the formula supposes.

# %% [markdown]
# ## Three costs, three sizes
#
# | billions of parameters | Mixtral | dense 12.9B | dense 46.7B |
# |---|---|---|---|
# | **stored**: room in memory | 46.7 | 12.9 | 46.7 |
# | **active**: arithmetic for a token | 12.9 | 12.9 | 46.7 |
# | **touched**: read, for 1 token | 12.9 | 12.9 | 46.7 |
# | read, for 8 tokens together | 42.2 | 12.9 | 46.7 |
# | read, for 32 tokens together | 46.7 | 12.9 | 46.7 |
#
# So a mixture is never cheaper than a dense model of its *active* size, nor, routing aside, dearer
# than one of its *stored* size. It hopes to know as much as the large one for the small one's
# arithmetic. ("Mixtral of Experts", section 3, on room and batches.)

# %% [markdown] slide="slide"
# ## Why routers play favourites
#
# An expert that no token chose gets no gradient, and neither does its row of the router: no gate
# depends on its score. So those that happen to be chosen first improve, the router learns to prefer
# them, and they are chosen more (Shazeer et al. 2017, section 4).
#
# Watch it: a language model of one block with eight experts, trained on Python's manual, byte by
# byte, for 800 steps. **Predict:** which part of all choices will the two favourites have after 100
# steps? And in the end?

# %% slide="slide" show="output" alt="Stacked areas over 800 training steps, the share of choices of each of eight experts. Within fifty steps two colours fill nearly the whole panel. From step 300 on others come back, and at the end the two still have more than a half."
moe(x).square().sum().backward()  # the six tokens again: who gets a gradient?
touched = torch.isin(torch.arange(8), chosen.flatten())
assert torch.equal(moe.w1.grad.flatten(1).any(dim=1), touched)
assert torch.equal(moe.gate.weight.grad.any(dim=1), touched)

alone, alone_loss = train_router(0.0)
early, late = (
    np.sort(alone[at].mean(axis=0))[-2:].sum() for at in (slice(50, 150), slice(-50, None))
)
assert early > 0.9  # of two experts together; an even share is a quarter
assert 0.5 < late < early - 0.15
title = "Left alone, two experts take nearly all early on, and keep more than half"
figures.shares_over_time({"no balance loss": alone}, title)

# %% [markdown] slide="notes"
# Predict (2 minutes): nearly all; more than half. Wrong answers: "a quarter, they start alike", and
# "all, the others are dead for good". Each colour is an expert. Why do others come back? Every token
# has *two* experts: a token whose second choice changes sends a gradient to somebody new. This
# explanation is ours, and untested.
#
# It isn't the seed: with four of them (0 to 3) the two had 96% to 99% at their height, within 200
# steps, and 56% to 69% in the end.

# %% [markdown] slide="slide"
# ## The cure: make favourites expensive
#
# For expert $i$ let $f_i$ be the number of tokens that chose it over the number of tokens, and
# $P_i$ the mean of its full softmax $p_i$. Add to the loss a little of
#
# $$L = N \sum_{i=1}^{N} f_i\,P_i$$
#
# (Switch Transformer, section 2.2, equations 4–6, with coefficient $10^{-2}$.) $f_i$ counts, so it
# has no gradient. $P_i$ has one, for *every* score: $\partial L / \partial s_j \propto p_j\,(f_j -
# \sum_i p_i f_i)$. Whoever is chosen more than average is pushed down, the others up.
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

# %% slide="slide" show="output" alt="Stacked areas over 800 training steps, with a balance loss: eight bands of nearly equal height from the first steps to the last."
balanced, balanced_loss = train_router(0.01)
shares = balanced[-50:].mean(axis=0)
assert 0.08 < shares.min() < shares.max() < 0.17  # each near an eighth
price = np.mean(alone_loss[-100:]) - np.mean(balanced_loss[-100:])
assert 0.02 < price < 0.07  # nats a byte, of about 1.9; the balance loss itself not counted
title = "With the balance loss all eight work from the start, and it predicts better"
figures.shares_over_time({"balance loss × 0.01": balanced}, title)

# %% [markdown] slide="notes"
# What did going alone cost? Its *language* loss ends higher by 0.03 to 0.07 nats a byte with
# seeds 0 to 3, of about 1.9. In Shazeer et al. (2017, appendix A, table 6) perplexity ($e$ to the
# loss) is 39.8 without balancing, 35.6 or 35.7 with. Try `train_router(0.001, seed=7)`.

# %% slide="slide" show="output" alt="A grid of four layers against eight experts. In each layer two experts have half of the choices each, a different pair in every layer, the rest none. Below, the mean over layers: every expert has one eighth." myth="A load-balancing loss near its least means that no layer has collapsed" said="Hugging Face's `load_balancing_loss_func`, which pools all layers before it multiplies" truth="Pooled over 32 layers, one layer that sends all to two experts lifts the loss from 2 to 2.006; layer by layer it is 2.19. And its least is k, here 2, and not 1."
s = torch.randn(64, 8, requires_grad=True)  # first the gradient, as the text says
(pull,) = torch.autograd.grad(load_balancing_loss(s[None], 2), s)
p, f = s.softmax(dim=1), route(s, 2).chosen.flatten().bincount(minlength=8) / 64
assert torch.allclose(pull, 8 / 64 * p * (f - (p * f).sum(dim=1, keepdim=True)), atol=1e-6)

stuck = torch.full((4, 32, 8), -9.0)
for number in range(4):
    stuck[number, :, 2 * number : 2 * number + 2] = 9.0  # each layer its own two experts
assert abs(load_balancing_loss(stuck, k=2) - 8) < 1e-3
assert abs(load_balancing_loss(stuck, k=2, pooled=True) - 2) < 1e-3
chosen_stuck = route(stuck, k=2).chosen.flatten(1)
counts = torch.stack([layer.bincount(minlength=8) for layer in chosen_stuck])
loads = (counts / counts.sum(dim=1, keepdim=True)).numpy()

even = even.tile(32, 1, 1)  # 32 even layers…
even[5] = stuck[0].tile(2, 1)  # …but for one
mean, pooled = (load_balancing_loss(even, 2, pooled) for pooled in (False, True))
assert abs(mean - (2 + 6 / 32)) < 1e-3
assert abs(pooled - (2 + 6 / 32**2)) < 1e-3
figures.loads(loads, "Every layer has collapsed, and their mean looks perfectly even")

# %% [markdown] slide="notes"
# Even routing has $f_i = k/N$ and $P_i = 1/N$, so $L = k$. Who reads a 2 from Hugging Face's Mixtral
# and expects Switch's 1 looks for a fault that isn't there. Collapsed onto $k$ experts, $f_i = 1$
# and $P_i = 1/k$, so $L = N$.
#
# Hugging Face also takes $f$ and $P$ over the tokens of *all* layers at once. Of the picture that
# says 2.00, all is well; layer by layer it is 8. If one layer of 32 collapses, its own excess is
# $8 - 2 = 6$: the mean over layers shows 6/32 of it, the pooled loss $6/32^2$.

# %% [markdown]
# ## The other loss: keep scores small
#
# The same number added to all scores changes no choice, no gate, no balance loss. So nothing keeps
# scores from drifting. But bfloat16, the 16-bit format of training, steps by 1/64 near 2, and by
# 1/2 near 100. **Predict** the choice among 2.0, 2.1 and 0, and among these plus 100.
#
# Now $z = \log \sum_j e^{s_j}$ is the highest score, or up to $\log N$ more, and follows every
# shift. So the *router z-loss*, the mean of $z^2$, pulls scores back to where digits are dense
# (ST-MoE, 2022, section 3.3, equations 5 and 6, with coefficient 0.001).

# %%
for shift in (0, 100):
    row = (torch.tensor([[2.0, 2.1, 0.0]]) + shift).bfloat16()
    best = route(row, k=1).chosen.item()
    print(f"plus {shift:>3}: {row[0].tolist()}, best {best}, z-loss {router_z_loss(row):8.1f}")
assert torch.allclose(route(many + 9, 2).gates, route(many, 2).gates, atol=1e-4)
shifted, unshifted = (load_balancing_loss(rows[None], 2) for rows in (many + 9, many))
assert torch.allclose(shifted, unshifted, atol=1e-4)

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A router scores all experts, $k$ run. Top-k then softmax equals softmax, top-k, *divide*;
#    without the division it is another model, and at $k = 1$ with it the router learns nothing.
# 2. Of Mixtral's 46.7 billion parameters a token uses 12.9. Room follows the stored ones,
#    arithmetic the active ones, reading the touched ones: and a batch soon touches them all.
# 3. Left alone, a router plays favourites early and recovers only in part, at a price. The balance
#    loss is $k$ when even; watch it layer by layer.

# %% [markdown]
# ## Self-test
#
# 1. Four scores of 0, and $k = 2$: what are the gates, divided and not?
# 2. One token at a time: which of Mixtral's costs are a 47B model's, which a 13B's?
# 3. Why does the balance loss multiply $f$ by $P$, not by itself?
# 4. Balance loss 2.0: is every layer even?
#
# <details><summary>Answers</summary>
#
# 1. ½ and ½; ¼ and ¼.
# 2. Room; arithmetic and reading.
# 3. $f$ counts: no gradient.
# 4. If it was pooled, perhaps none is; and even is $k$.
#
# </details>
#
# **Next.** *Do a trained model's experts follow subject or syntax?* First
# [the exercises](../work/07_sparse_moe.ipynb), then [chapter 08](08_router_decisions.ipynb).

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
# Write the loss of one layer, $N \sum_i f_i P_i$. `scores` has shape (tokens, $N$). $f_i$ is the
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
