# %% [markdown] slide="slide"
# # 01 · From the transformer to Mistral
#
# *Which seven changes make Mixtral's block of 2017's, and what does each one buy?*

# %% [markdown] slide="slide"
# **The problem.** Every large language model is a stack of *blocks*, all alike. The block was
# described in 2017; those of Mistral 7B and Mixtral 8x7B, six years later, differ from it in seven
# places. The names are quickly learned by heart: RMSNorm, RoPE, SwiGLU. What each change does, what it
# costs and what it saves, the names don't say. So we take a block of 2017 that runs, change it seven
# times, and measure each time. In the end a trained model's weights run in it.

# %% [markdown]
# **You will be able to** write a transformer's block, and turn 2017's into Mistral's; say of each
# change what it does and what it costs; prove that RoPE knows distances only; count every parameter
# of Mistral 7B and of Mixtral 8x7B from their configurations.
#
# **You need** Python, and PyTorch's tensors: the product of matrices, broadcasting, softmax.
#
# **Time**: 50 minutes, and an hour for the exercises in
# [work/01_transformer_to_mistral.ipynb](../work/01_transformer_to_mistral.ipynb), your copy of
# [these](../exercises/01_transformer_to_mistral.ipynb).

# %%
import math
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.stage.host import piece
from mixlab.chapters.transformer_to_mistral import block as ours
from mixlab.chapters.transformer_to_mistral import figures, traces
from mixlab.chapters.transformer_to_mistral.forms import costs, of_layer, parts, shapes, weights
from mixlab.small_mixtral.corpus import documents
from mixlab.transformer.attention import dense_attention
from mixlab.transformer.config import TransformerConfig

generator = torch.manual_seed(0)
torch.set_grad_enabled(False)  # nothing is trained here
model = load(smollm2())  # a small model with Mistral's architecture, trained by others
text_tokenizer = tokenizer(smollm2())

# %% [markdown] slide="slide"
# ## From a text to the next word
#
# A *tokenizer* cuts a text into *tokens*, words or pieces of words. Each has a number, and the number
# picks a row of a table, the *embedding*: a vector. SmolLM2 knows 49,152 tokens; its vectors have 576
# numbers. They pass through 30 blocks, and each *adds* something to them: one speaks of a *residual
# stream*. At its end each vector is multiplied by each row of such a table: the *logits*, scores of
# the tokens that may come next. A softmax makes probabilities.
#
# **Predict:** six tokens go in. How many logits come out?

# %% slide="fragment"
sentence = "The cat sat on the mat"
ids = torch.tensor(text_tokenizer.encode(sentence).ids)
embedding = model.tok_embeddings.weight
logits = model(ids[None])[0]
print(f"tokens {ids.tolist()}, vectors {tuple(embedding[ids].shape)}, logits {tuple(logits.shape)}")
for share, token in zip(*logits[4].softmax(0).topk(3), strict=True):
    print(f"after 'The cat sat on the': {share:.1%} for{text_tokenizer.decode([int(token)])!r}")
assert logits.shape == (6, 49_152)

# %% [markdown] slide="notes"
# 6 × 49,152 = 294,912: a row for each token, about what follows it. Only the last row is about a word
# that isn't there yet; training learns from the others, where the answer is known. A class says 49,152
# (one row for the whole text), or 6 (a word each). Three minutes.

# %% [markdown] slide="slide"
# ## Seven changes
#
# A block has two halves: *attention*, where tokens hand each other something, and a *feed-forward
# layer*, where each is transformed alone. Next it is drawn with Mistral's sizes: on the left attention,
# on the right the feed-forward layer, above them the stream, with a + where something is added to it.
# Step through its seven changes. What each word means comes with the change.

# %% slide="slide" show="output" alt="The wiring of one block in Mistral's form: on the left attention with heads of queries, keys and values and a table of who sees whom, on the right the feed-forward layer, both hanging from the residual stream. Three bars below show parameters, cache and work, each beside 2017's. Seven steps lead from 2017 to Mixtral."
mistral, mixtral = TransformerConfig.mistral_7b(), TransformerConfig.mixtral_8x7b()
sized = replace(mixtral, window=mistral.window)  # has what any of the eight forms asks for
forms = [costs(form, sized, 32_768) for form in range(8)]
assert forms[0].cache_bytes == 32 * forms[6].cache_bytes
assert forms[0].work > 1.8 * forms[6].work == 1.8 * min(form.work for form in forms)
assert forms[7].parameters > 7 * forms[0].parameters
title = "Mistral's changes save cache and work; Mixtral's stores seven times as much"
piece("block", title, step=6)

# %% [markdown] slide="slide"
# ## One head, by a loop
#
# In a *head* each token makes three vectors: a *query*, what it looks for; a *key*, what it is found
# by; a *value*, what it hands over. Its query is multiplied with its own key and those of *earlier*
# tokens. A softmax makes weights of these scores, and the token receives the values' weighted mean.
# A layer runs several heads, and a last matrix mixes what they bring.


# %% slide="same" show="both"
def one_head(q, k, v):  # (tokens, head_dim) each
    received = []
    for i in range(len(q)):
        scores = torch.stack([q[i] @ k[j] / len(q[i]) ** 0.5 for j in range(i + 1)])
        received.append(scores.softmax(0) @ v[: i + 1])
    return torch.stack(received)


q, k, v = torch.randn(3, 4, 6, 16)  # 4 heads, 6 tokens, 16 numbers
by_loop = torch.stack([one_head(*head) for head in zip(q, k, v, strict=True)])
assert torch.allclose(by_loop, dense_attention(q[None], k[None], v[None])[0], atol=1e-5)
print("one head's loop, four times = the library's attention")

# %% [markdown] slide="slide"
# ## The block of 2017
#
# Its feed-forward layer: a matrix to four times the width, negative numbers to 0 (*ReLU*), a matrix
# back. Around each part leads a way past it: $x + part(x)$. After each sum stands a *norm*. LayerNorm
# takes off a vector's mean, divides by its spread, and applies learned factors and offsets.
#
# ("Attention Is All You Need", section 3; without its attention to an encoder, which language models
# don't have.)


# %% slide="same" show="code"
def block(x, w, form):  # w: the block's weights by name
    attend = partial(ours.attention, form=form)
    for part, name in ((attend, "norm_1"), (form.feed_forward, "norm_2")):
        norm = partial(form.norm, weight=w[name])
        x = x + part(norm(x), w) if form.norm_first else norm(x + part(x, w))
    return x


tiny = TransformerConfig.tiny(hidden_dim=224, n_experts=4, experts_per_token=2)
vanilla = ours.Form(head_dim=16)  # 2017's parts
w, x = weights(0, tiny), torch.randn(6, 64)
q, k, v = ((x @ w[n].T).view(6, 4, 16).transpose(0, 1) for n in ("wq", "wk", "wv"))
heads = torch.cat([one_head(*head) for head in zip(q, k, v, strict=True)], dim=1)
assert torch.allclose(ours.attention(x, w, vanilla), heads @ w["wo"].T, atol=1e-5)
assert torch.equal(block(x, w, vanilla), ours.block(x, w, vanilla))

# %% [markdown] slide="slide"
# ## Change 1: the norm moves
#
# Mistral, like most models since GPT-2, normalises what goes *into* a part, and leaves the stream
# alone: *pre-norm*. No parameter changes.
#
# If a part returns a vector as long as the one that it got, the sum is $\sqrt 2$ times as long, and
# 2017's norm divides it by that. **Predict:** after 12 fresh blocks, 24 sums, about which share of a
# token's vector is still its own embedding, before and after the change?

# %% slide="slide" show="output" alt="The share of a token's own embedding in its vector against the number of blocks, logarithmic. With post-norm it falls steadily to below one in a hundred after twelve blocks; with pre-norm it flattens at about a quarter. Bars show five seeds."
pre_norm, kept = replace(vanilla, norm_first=True), {}
for name, form in {"2017: norm after the sum": vanilla, "pre-norm": pre_norm}.items():
    kept[name] = np.stack([traces.own_share(tiny, form, seed) for seed in range(5)])
post, pre = (of[:, -1] for of in kept.values())
assert 1 / 1000 < post.min() <= post.max() < 1 / 100 < 1 / 5 < pre.min() <= pre.max() < 1 / 3
title = "2017's norm washes the embedding out, pre-norm carries it along"
lines = {name: of.mean(0).tolist() for name, of in kept.items()}
ends = {name: (of.min(0), of.max(0)) for name, of in kept.items()}
y = "embedding's share of the vector"
series.lines(range(13), lines, title=title, x_title="blocks", y_title=y, ends=ends, log_y=True)

# %% [markdown] slide="notes"
# A few thousandths, against a quarter. 24 divisions by $\sqrt 2$ would leave $2^{-12}$; attention's
# means are shorter than what they are made of, so it is more. A class says "half", or "nothing in
# both". Pre-norm's stream is a sum in which everything stays, and gradients go back the same way. 2017's
# recipe has to raise its learning rate slowly (section 5.3); Xiong et al. ("On Layer Normalization in
# the Transformer Architecture", 2020) do without. The price: a last norm before the logits. Five
# fresh starts. Four minutes.

# %% [markdown] slide="slide"
# ## Change 2: a shorter norm
#
# RMSNorm divides a vector by its root mean square, and has factors only. The numbers 3 and 4: the mean
# of 9 and 16 is 12.5, its root 3.54, so they become 0.85 and 1.13. Nothing is centred:
# LayerNorm *is* RMSNorm, of the centred vector. Half of its parameters go.


# %% slide="same" show="both"
def rms_norm(x, factors):
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * factors


wide, ones = x.double(), torch.ones(64).double()
its_own = torch.nn.functional.layer_norm(wide, (64,), ones, eps=1e-5)
assert torch.allclose(its_own, rms_norm(wide - wide.mean(-1, keepdim=True), ones), atol=1e-14)
assert torch.allclose(rms_norm(1000 * x, 1), rms_norm(x, 1), atol=1e-4)  # size is forgotten
stream = model.hidden(ids[None])[0]  # SmolLM2's, after 30 blocks
mean_part = stream.mean(-1).square() / stream.square().mean(-1)
print(f"what centring would take off a real stream: at most {mean_part.max():.2%} of its square")

# %% [markdown] slide="slide"
# ## Change 3: who comes first?
#
# A feed-forward layer sees one token, and attention takes a mean. So far nobody knows a *position*. We
# swap two words, *The sat cat on*, and move their vectors with them. **Predict:** does *on* receive
# something else than from *The cat sat on*?

# %% slide="fragment"
received = [ours.attention(x[order], w, vanilla)[3] for order in ([0, 1, 2, 3], [0, 2, 1, 3])]
assert torch.allclose(*received, atol=1e-5)
print("'on' receives the same")

# %% [markdown] slide="notes"
# Attention is a mean over a *set*. Usual answers: "yes, the keys come in another order" (a sum has
# none), and "yes, for no token sees a later one" (*on* sees them all; only from the
# second block on does it tell something). Two minutes.

# %% [markdown] slide="slide"
# ## Clock hands, added or turned
#
# Think of clock hands, each with a speed: the first turns 1 radian a token, the last about 1/10,000.
#
# **2017:** their points at time $p$, $(\cos p\,\omega,\ \sin p\,\omega)$ for each speed $\omega$, are
# added to the embedding of token $p$. Once, at the bottom.
#
# **RoPE**, *rotary position embedding* (Su et al. 2021): in every block, two numbers of a query or a
# key are taken as a hand, and turned by $p\,\omega$. Values aren't: they are handed over, not compared.


# %% slide="same" show="code"
def turned(pair, position, speed):
    (a, b), angle = pair, position * speed
    cos, sin = math.cos(angle), math.sin(angle)
    return a * cos - b * sin, a * sin + b * cos


# %% [markdown] slide="slide"
# ## Only the distance counts
#
# Let $R_p$ turn by $p\,\omega$. To turn forth and back is to turn by the difference:
#
# $$(R_m q) \cdot (R_n k) = q^\top R_m^\top R_n\, k = q^\top R_{n-m}\, k$$
#
# And $R_k$ turns 2017's pattern of $p$ into that of $p + k$: **it is one idea.** Added, the model
# must learn to use it; turned, every score has it. Move a text by 1,000 tokens: with the pattern, what
# a fresh attention returns changes by more than 1, with RoPE by nothing.

# %% slide="same" show="output" alt="Three dials, each with a query's hand and a key's hand. At positions 3 and 0, 8 and 5, and 20 and 17 the hands point elsewhere, and the grey wedge between them is the same; so is the score under each dial."
w, form, p = weights(3, tiny), replace(pre_norm, norm=ours.rms_norm), torch.arange(50)
at = [replace(form, turn=partial(ours.rope, first=n)) for n in (0, 1000)]
assert torch.allclose(*(ours.attention(x, w, f) for f in at), atol=1e-4)
old = [ours.attention(x + ours.sinusoids(p[:6] + n, 64).float(), w, form) for n in (0, 1000)]
assert (old[0] - old[1]).abs().max() > 1
pattern = ours.sinusoids(p, 128)
assert torch.allclose(ours.rope(pattern[:, None], 1000)[:, 0], ours.sinusoids(p + 1000, 128))
assert torch.allclose(ours.rope(pattern)[5, 0], turned(pattern[5, [0, 64]], 5, 1.0)[0])
slow = [(2 * math.pi / ours.angles(torch.ones(1), 128, t) > 8192).sum() for t in (1e4, 1e6)]
assert slow == [14, 30]
hands = {f"q at {n + 3}, k at {n}": (0.2 + (n + 3) * 0.4, 1.0 + n * 0.4) for n in (0, 5, 17)}
scores = {f"q · k = {math.cos(query - key):.3f}" for query, key in hands.values()}
assert len(scores) == 1
figures.dials(
    hands, scores.pop(), "Both hands turn with their position; the angle between them stays"
)

# %% [markdown] slide="slide"
# ## "RoPE decays with distance"
#
# So say its paper (sections 3.3 and 3.4.3) and most who quote it: far keys would score lower. **Predict:** for
# $q = k = (1, 1, \dots, 1)$, 128 numbers, is the score at distance 2,500 lower than at 2,000? And where
# do a query and a key drawn at random score highest?

# %% slide="fragment" show="output" alt="A score against distance up to 8,192 tokens for a query and key of ones: it falls steeply, crosses zero at 1,707, dips and rises in waves. Below it two hundred orange ticks, the best distances of random pairs, spread over the whole axis." myth="RoPE makes attention fade with distance" said="introductions to RoPE, after RoFormer, section 3.4.3, which bounds the sum and no more" truth="Only the bound falls. For equal queries and keys the mean over all pairs is negative from distance 1,707 on and rises in 4,029 of the first 8,192 steps; a head finds any distance it likes."
mean = ours.angles(torch.arange(8193), 128).cos().mean(1)
zero, rising = int((mean < 0).nonzero()[0]), int((mean[1:] > mean[:-1]).sum())
assert (zero, rising) == (1707, 4029)
assert mean.min() < -0.2 < 0 < mean[2000] < mean[2500] < mean[1000] < 0.17
best = traces.best_distances(200, 128, longest=8192, seed=0)
assert np.histogram(best, bins=4, range=(0, 8193))[0].min() > 30  # in each quarter of the axis
title = "One pair's score fades and comes back; others are highest anywhere"
figures.decay(mean.numpy(), best, zero, title)

# %% [markdown] slide="notes"
# Below 0 from 1,707 on; it rises in 4,029 of 8,192 steps. What decays is a *bound* on sums of many
# hands. Training can make a key that is found at any distance: turn it by that distance. Heads that look
# near have learned to. A class says "lower, always", and "at distance 0". Four minutes.
#
# Slow hands matter for long texts: of 64 pairs 14 don't complete a turn in 8,192 tokens with Mistral's
# base of 10,000, and 30 with Mixtral's million; exercise 01.2 takes the base as an argument.

# %% [markdown] slide="slide"
# ## Change 4: queries share keys
#
# A model that writes keeps the keys and values of all earlier tokens in a *cache*, or would compute
# them again for each new word ([chapter 04](04_rolling_cache.ipynb)). *Grouped queries* share: in
# Mistral 7B, 32 query heads share 8 key and value heads, four queries each (Ainslie et al., "GQA",
# 2023). **Predict:** which part of the cache does that save, and which part of all parameters?

# %% slide="fragment"
before, after = costs(3, sized, 4096), costs(4, sized, 4096)
saved = 32 * (before.parameters - after.parameters)
cached = [32 * one.cache_bytes // 2**20 for one in (before, after)]
print(f"4,096 tokens: {cached[0]} → {cached[1]} MiB; {saved:,} parameters saved")
print(f"that is {saved / (mistral.n_parameters + saved):.0%} of {mistral.n_parameters + saved:,}")
w, form = weights(4, tiny), replace(form, turn=ours.rope)  # 4 query heads, 2 key heads
copied = {n: w[n].view(2, 16, 64).repeat_interleave(2, 0).flatten(0, 1) for n in ("wk", "wv")}
assert torch.allclose(ours.attention(x, w, form), ours.attention(x, w | copied, form), atol=1e-5)

# %% [markdown] slide="notes"
# Three quarters of the cache, a tenth of the parameters. A class says "three quarters of both", or "a
# quarter of the cache, for queries are cached too" (they aren't). The last line: shared heads compute
# what heads with copied matrices compute. Nothing new becomes possible; it is a saving. Three minutes.

# %% [markdown] slide="slide"
# ## Change 5: a product in the middle
#
# SwiGLU has three matrices, no offsets, and multiplies two views of a token, number by number:
#
# $$W_2\,\big(\mathrm{silu}(W_1 x) \odot W_3 x\big), \qquad \mathrm{silu}(z) = \frac{z}{1 + e^{-z}}$$
#
# silu is a soft ReLU: about 0 for very negative $z$, about $z$ for large ones. And
# $\mathrm{silu}(z) - \mathrm{silu}(-z) = z$. So two such numbers, $\mathrm{silu}(z)\,y$ and
# $\mathrm{silu}(-z)(-y)$, add up to $z\,y$: it can *multiply*. Why that helps, its author doesn't say:
# "divine benevolence" (Shazeer, "GLU Variants Improve Transformer", 2020, section 4). Mistral's three
# matrices of $3.5\,d$ have 1.3125 times the parameters of 2017's two of $4\,d$.

# %% slide="slide" show="output" alt="The curve of x times x from minus 4 to 4. A broad blue parabola, two SwiGLU numbers, is exact. A thin orange polygon, five ReLUs, follows it between minus 2 and 2 with corners, and leaves it on straight lines outside."
t, one = torch.linspace(-4, 4, 161)[:, None], torch.tensor([[1.0], [-1.0]])
exact = ours.swiglu_layer(t, dict(w1=one, w3=one, w2=torch.ones(1, 2)))
polygon = traces.five_relus(t)
assert torch.allclose(exact, t * t, atol=1e-5)
assert (polygon - exact)[t.abs() <= 2].max() < 0.26 < 4 < (exact - polygon)[0]
curves = {"2 of SwiGLU's": exact[:, 0].tolist(), "5 ReLUs": polygon[:, 0].tolist()}
title = "Two of SwiGLU's inner numbers multiply exactly; ReLUs draw corners"
figures.product(t[:, 0].tolist(), curves, title)

# %% [markdown] slide="slide"
# ## Change 6: a window
#
# Each token sees itself and the few before it: 4,096 in Mistral 7B, three in our example. Further back
# it hears at second hand: what it sees has itself seen others. Chapters
# [02](02_sliding_window.ipynb), [03](03_receptive_field.ipynb) and [04](04_rolling_cache.ipynb) are
# about this. Here only what it saves: a key in sight costs 2 × 4,096 multiplications in a block of
# 218 million.

# %% slide="same" show="both"
sees = ours.seen(6, window=3)
print("mat sees:", *(word for word, s in zip(sentence.split(), sees[5], strict=True) if s))
print(f"scores of a head: {ours.seen(6).sum()} → {sees.sum()}")
per_key = costs(5, mistral, 2).work - costs(5, mistral, 1).work
matrices = costs(5, mistral, 1).parameters - 2 * mistral.dim
assert matrices == 26_624 * per_key
print(f"26,624 keys cost as much as all matrices; 4,096 keys {4096 * per_key / matrices:.1%} of it")

# %% [markdown] slide="slide"
# ## Change 7: experts
#
# Mixtral has eight feed-forward layers in each block, the *experts*. A small matrix, the *router*,
# scores them for each token; the best two run, and a softmax over their two scores says how much each
# one counts ([chapter 07](07_sparse_moe.ipynb)). Its window is gone: it sees all 32,768 tokens.

# %% slide="same" show="both"
w, form = weights(5, tiny), replace(form, feed_forward=ours.swiglu_layer)
copies = {n: w[n].expand(4, -1, -1) for n in ("w1", "w2", "w3")} | dict(router=torch.randn(4, 64))
routed = replace(form, feed_forward=ours.experts_layer)
assert torch.allclose(block(x, w | copies, routed), block(x, w, form), atol=1e-4)
print("four experts that are copies = the one layer that they are copies of")

# %% [markdown] slide="slide"
# ## Real weights
#
# SmolLM2 has Mistral's architecture without a window: our form after five changes. Its 30 layers'
# matrices run in the block above, between its embedding and its last norm.


# %% slide="same" show="both"
def read(ids, form, layers):
    x = embedding[ids]
    for w in layers:
        x = block(x, w, form)
    return form.norm(x, model.norm.weight) @ embedding.T  # logits


layers = [of_layer(layer) for layer in model.layers]
assert {name: tuple(t.shape) for name, t in layers[0].items()} == shapes(5, model.config)
theta = model.config.rope_theta
real = replace(form, head_dim=64, turn=partial(ours.rope, theta=theta))
assert torch.allclose(read(ids, real, layers), logits, atol=1e-2)
print(f"{logits.numel():,} logits, the library's and ours: equal")

# %% [markdown] slide="slide"
# ## Which two make a pair?
#
# RoPE turns pairs. Ours are the numbers $c$ and $c + 32$ of 64; Mistral's own files pair neighbours,
# $2c$ and $2c + 1$. It is only a numbering, if the rows of `wq` and `wk` are numbered alike. Now somebody
# takes our weights, and pairs neighbours. **Predict:** an error? Nonsense? What follows *The capital of
# France is*?

# %% slide="fragment"
wrong = replace(real, turn=lambda x: ours.rope(traces.evens_first(x), theta=theta))
question = torch.tensor(text_tokenizer.encode("The capital of France is").ids)
answers = [read(question, form, layers) for form in (real, wrong)]
print("right, then wrong:", [text_tokenizer.decode([int(a[-1].argmax())]) for a in answers])
print(f"logits differ by up to {(answers[0] - answers[1]).abs().max():.0f}")

# %% [markdown] slide="notes"
# No error, and "Paris" both times: five words are answered from content, hardly from order. On longer
# text the model is broken; the next figure measures it. So compare logits, never the first word. A class
# says "the shapes won't fit" or "nonsense at once". Three minutes.

# %% [markdown] slide="slide"
# ## Exchange a part of a trained model
#
# We exchange one part at a time, leave the weights as they are, and read a manual, a program and a
# Bible. The *loss* is minus the logarithm of the probability of the token that came. **Predict:** which
# exchange does no harm, and which most?

# %% slide="fragment" show="output" alt="Bars of SmolLM2's loss, each the mean of three texts. As trained, and with a key head for each query: the same. LayerNorm for RMSNorm: hardly more. Neighbours paired, no positions, a window of 16: up to three more. ReLU for silu: five to six more, the highest."
texts = [documents(kind, "held_out")[0] for kind in ("python_manual", "python", "english_bible")]
texts = [torch.tensor(text_tokenizer.encode(text).ids[:64]) for text in texts]
swaps = {
    "as it was trained": (real, layers),
    "a key head for each query": (real, [traces.own_keys(w, 3, 3) for w in layers]),
    "LayerNorm for RMSNorm": (replace(real, norm=traces.centred), layers),
    "neighbours paired": (wrong, layers),
    "no positions": (replace(real, turn=ours.unturned), layers),
    "a window of 16": (replace(real, window=16), layers),
    "ReLU for silu": (replace(real, feed_forward=traces.relu_gated), layers),
}
loss = {
    name: np.array([cross_entropy(read(t, *how)[:-1], t[1:]).item() for t in texts])
    for name, how in swaps.items()
}
rise = [of - loss["as it was trained"] for of in loss.values()]
assert abs(rise[1]).max() < 1e-3 < abs(rise[2]).max() < 0.25 < 0.5 < np.min(rise[3:])
assert max(map(max, rise[:6])) < 3 < 5 < min(rise[6]) <= max(rise[6]) < 6.5
figures.swaps(loss, math.log(49_152), "Copies do no harm; most parts can't be exchanged afterwards")

# %% [markdown] slide="notes"
# One model, three texts of 64 tokens, a dot each. LayerNorm changes a loss by −0.01 to +0.14. The others
# break what the weights were trained for; ReLU most. **This doesn't say which part is better:** a model
# trained with LayerNorm or ReLU lives with it. It says that a part can't be exchanged *afterwards*. A
# class says "the window does most", or "LayerNorm does". Three minutes.

# %% [markdown] slide="slide"
# ## Two tables, every number
#
# | | Mistral 7B | Mixtral 8x7B |
# |---|---|---|
# | numbers of a token, `dim` | 4,096 | 4,096 |
# | blocks, `n_layers` | 32 | 32 |
# | query heads; key and value heads | 32; 8 | 32; 8 |
# | numbers of a head, `head_dim` | 128 | 128 |
# | width inside a feed-forward layer | 14,336 | 14,336 |
# | tokens in the vocabulary | 32,000 | 32,000 |
# | window; trained for | 4,096; 8,192 | none; 32,768 |
# | experts a block; run | – | 8; 2 |
#
# **Predict:** 8 × 7 = 56. Is 8x7B a model of 56 billion parameters?

# %% slide="slide" show="output" alt="Two rectangles of tiles on one scale. The small one, Mistral 7B: 32 orange feed-forward tiles, attention in green, and the embedding and output tables. The other, more than six times as large, Mixtral 8x7B: 256 tiles, of which 64 are orange and the others light blue, and the same attention and tables."
d, blocks = mistral.dim, mistral.n_layers
attention = blocks * (2 * d * d + 2 * d * 8 * 128)  # wq and wo; wk and wv
feed_forward = blocks * 3 * d * mistral.hidden_dim  # w1, w2, w3: one layer a block
assert 3 * mistral.hidden_dim == 1.3125 * 2 * 4 * d  # SwiGLU against 2017's
tables, norms, routers = 2 * 32_000 * d, (2 * blocks + 1) * d, blocks * 8 * d
dense = attention + feed_forward + tables + norms
sparse, active = (attention + n * feed_forward + routers + tables + norms for n in (8, 2))
assert (dense, sparse, active) == (7_241_732_096, 46_702_792_704, 12_879_925_248)
assert (dense, sparse) == (sum(parts(mistral).values()), sum(parts(mixtral).values()))
assert mixtral.n_active_parameters == active
assert [round(n / dense, 2) for n in (sparse, active)] == [6.45, 1.78]
assert round(8 * feed_forward / sparse, 3) == 0.966
chosen = [8 * layer + e for layer in range(32) for e in torch.randperm(8)[:2].tolist()]
models = {"Mistral 7B": (parts(mistral), 32), "Mixtral 8x7B": (parts(mixtral), 256)}
title = "Mixtral is 256 experts and little else; a token runs through 64"
figures.sizes(models, chosen, title)

# %% [markdown] slide="notes"
# Tables 1 of "Mistral 7B" and "Mixtral of Experts". 46.7 billion, 6.45 Mistrals: only feed-forward
# layers come eightfold. A class says "yes", or "8 × 7.24". Nor are there eight experts, but eight in
# each of 32 blocks. And not always the cost of 13 billion: 12,879,925,248 are the
# *arithmetic* of a token, 1.78 Mistrals. All must be stored, and a batch reads nearly all (chapter 07).
# Three minutes.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A block adds to a stream: attention, then a feed-forward layer. Pre-norm leaves the stream alone;
#    RMSNorm is LayerNorm without the centring.
# 2. RoPE turns queries and keys, never values. Scores then know the distance, and don't decay by
#    themselves. Grouped queries and a window save cache and work.
# 3. A configuration says everything: 7,241,732,096 and 46,702,792,704 parameters. Experts are 96.6% of
#    Mixtral.

# %% [markdown]
# ## Self-test
#
# 1. Which of the seven changes alter the number of parameters?
# 2. What does RMSNorm make of a vector multiplied by 10? By −1?
# 3. Why does RoPE turn no values?
# 4. 16 query heads, 4 key heads: which share of the cache is left?
#
# <details><summary>Answers</summary>
#
# 1. RMSNorm, grouped queries, SwiGLU, experts. (Pre-norm: one norm a model.)
# 2. The same; the opposite.
# 3. They are handed over, not compared.
# 4. A quarter.
#
# </details>
#
# **Next.** *What does a model save, and what does it lose, when each token looks back at only a few?*
# First [the exercises](../work/01_transformer_to_mistral.ipynb), then
# [chapter 02](02_sliding_window.ipynb).

# %% [markdown] to="exercise"
# # 01 · From the transformer to Mistral: exercises
#
# Six exercises on [the lesson](../course/01_transformer_to_mistral.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("01.1")` gives
# a first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="01.1" role="prompt" title="A norm that disappears" difficulty=1 minutes=8 points=2
# LayerNorm ends with `z * factors + offsets`, where `z` is the centred vector, divided by its spread.
# A layer `matrix @ … + bias` often comes next. Both steps can be one: write `fold(matrix, bias, factors,
# offsets)`, which returns a new matrix and new offsets, so that for every `z`
#
# ```python
# new_matrix @ z + new_bias == matrix @ (z * factors + offsets) + bias
# ```
#
# Engines do this before they run a model. `matrix` has a row for each number that leaves.


# %% exercise="01.1" role="answer"
def fold(matrix, bias, factors, offsets):
    """The matrix and the offsets of both steps in one."""
    ### BEGIN SOLUTION
    return matrix * factors, matrix @ offsets + bias
    ### END SOLUTION


# %% exercise="01.1" role="check"
check("01.1", fold)

# %% [markdown] exercise="01.2" role="prompt" title="RoPE at any positions" difficulty=2 minutes=12 points=3
# `x` holds queries of one head, (tokens, head_dim), and `positions` says where each token stands, in
# any order, from 0 to 4,000. Turn them: number c is paired with number c + head_dim / 2, and pair c of
# a token at position p is turned by p · theta^(−c / (head_dim / 2)) radians. A pair (a, b) turned by
# an angle α is (a cos α − b sin α, a sin α + b cos α).


# %% exercise="01.2" role="answer"
def turn(x, positions, theta):
    """The queries, turned to their positions."""
    ### BEGIN SOLUTION
    half = x.shape[1] // 2
    speed = theta ** (-torch.arange(half) / half)
    angle = positions[:, None] * speed
    a, b = x[:, :half], x[:, half:]
    one = a * angle.cos() - b * angle.sin()
    other = a * angle.sin() + b * angle.cos()
    return torch.cat([one, other], dim=1)
    ### END SOLUTION


# %% exercise="01.2" role="check"
check("01.2", turn)

# %% [markdown] exercise="01.3" role="prompt" title="Find the bug: who shares a key?" difficulty=2 minutes=8 points=2
# `q` is (n_heads, tokens, head_dim), `k` is (n_kv_heads, tokens, head_dim), and n_heads is a multiple
# of n_kv_heads. Neighbouring query heads share a key head: of six query heads and two key heads, 0, 1
# and 2 read key head 0. `scores` should return each query's score with each key, (n_heads, tokens,
# tokens), a row a query, divided by the root of head_dim; nothing is hidden. The shapes are right, and a
# trained model talks nonsense. Mend it.
#
# ```python
# def scores(q, k):
#     shared = k.repeat(len(q) // len(k), 1, 1)
#     return q @ shared.transpose(1, 2) / q.shape[1] ** 0.5
# ```


# %% exercise="01.3" role="answer"
def scores(q, k):
    """Scores of every query head, (n_heads, tokens, tokens)."""
    ### BEGIN SOLUTION
    shared = k.repeat_interleave(len(q) // len(k), dim=0)
    return q @ shared.transpose(1, 2) / q.shape[2] ** 0.5
    ### END SOLUTION


# %% exercise="01.3" role="check"
check("01.3", scores)

# %% [markdown] exercise="01.4" role="prompt" title="Count every parameter" difficulty=2 minutes=12 points=3
# Count the parameters of a model like Mistral 7B, without experts, and return four whole numbers: the
# tables (embedding and output; if they are `tied`, they are one tensor), attention, feed-forward
# layers, norms. No matrix has offsets. n_heads · head_dim need not be dim. Of SmolLM2, `count(576, 30,
# 9, 3, 64, 1536, 49_152, True)`, the four add up to 134,515,008.


# %% exercise="01.4" role="answer"
def count(dim, n_layers, n_heads, n_kv_heads, head_dim, hidden_dim, vocab_size, tied):
    """Parameters of all tables, attention layers, feed-forward layers and norms."""
    ### BEGIN SOLUTION
    tables = vocab_size * dim if tied else 2 * vocab_size * dim
    queries, keys = n_heads * head_dim, n_kv_heads * head_dim
    attention = n_layers * 2 * dim * (queries + keys)
    feed_forward = n_layers * 3 * dim * hidden_dim
    norms = (2 * n_layers + 1) * dim
    return tables, attention, feed_forward, norms
    ### END SOLUTION


# %% exercise="01.4" role="check"
check("01.4", count)

# %% [markdown] exercise="01.5" role="prompt" title="Find the bugs: a block's wiring" difficulty=2 minutes=10 points=3
# This should be Mistral's block: pre-norm, attention first. `attention`, `feed_forward`, `norm_1` and
# `norm_2` are functions from a stream to a stream, each norm with factors of its own. The stream that
# comes in still belongs to the caller, who may read it afterwards. Three things are wrong. Mend them.
#
# ```python
# def block(x, attention, feed_forward, norm_1, norm_2):
#     x = norm_1(x)
#     x += attention(x)
#     x += feed_forward(norm_1(x))
#     return x
# ```


# %% exercise="01.5" role="answer"
def block(x, attention, feed_forward, norm_1, norm_2):
    """The stream after both halves of the block."""
    ### BEGIN SOLUTION
    x = x + attention(norm_1(x))
    return x + feed_forward(norm_2(x))
    ### END SOLUTION


# %% exercise="01.5" role="check"
check("01.5", block)

# %% [markdown] exercise="01.6" role="prompt" title="Prove by test: is it the distance alone?" difficulty=3 minutes=12 points=4
# `score(q, k, m, n)` is a number: how well a query at position m meets a key at position n. `q` and
# `k` are tensors of 8 numbers, m and n whole numbers from 0 to 4,095; the key may be the later one.
# Write `knows_distance_only(score)`: True only if the score depends on the vectors and on m − n, and
# on nothing else: both moved by the same number of tokens, it stays. The check hands it right scores,
# RoPE among them, and wrong ones.


# %% exercise="01.6" role="answer"
def knows_distance_only(score):
    """Whether moving both tokens by the same number leaves every score as it is."""
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 8, generator=generator, dtype=torch.float64)
    for distance in (0, 1, -1, 2, 5, -30, 300):
        first = max(0, -distance)
        expected = score(q, k, first + distance, first)
        for n in range(first, 4096 - max(0, distance), 9):
            if abs(score(q, k, n + distance, n) - expected) > 1e-6:
                return False
    return True
    ### END SOLUTION


# %% exercise="01.6" role="check"
check("01.6", knows_distance_only)
