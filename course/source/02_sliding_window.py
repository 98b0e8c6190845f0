# %% [markdown] slide="slide"
# # 02 · Sliding window attention
#
# *What does a model save, and what does it lose, when each token looks back at only a few?*

# %% [markdown] slide="slide"
# **The problem.** A language model reads *tokens*: words, or pieces of words. In a plain transformer
# every token is scored against every earlier one, so twice the text makes four times the scores. At
# 32,768 tokens that is half a billion, and Mistral 7B would compute them 32 times over in each of
# its 32 layers. A *sliding window* shows each token only the nearest $W$. It is one line of code, and
# the field writes that line in ten ways that mean two different things.

# %% [markdown]
# **You will be able to** write the window's mask and count what it shows; recognise which
# convention a code base uses, and the off-by-one that comes with it; say what a mask saves and
# what only a band saves; read what a window does to a real model's attention.
#
# **You need** Python, and PyTorch tensors and broadcasting. Attention itself is recalled below; it is
# a part of the block of [chapter 01](01_transformer_to_mistral.ipynb).
#
# **Time**: 55 minutes, and as much again for the exercises in
# [work/02_sliding_window.ipynb](../work/02_sliding_window.ipynb), your copy of
# [these](../exercises/02_sliding_window.ipynb).

# %% [markdown] slide="slide"
# ## Attention, in four sentences
#
# Every token makes three vectors of $head\_dim$ numbers: a *query* (what it looks for), a *key* (what
# it is found by) and a *value* (what it hands over). The *score* of a query and a key is their dot
# product, divided by $\sqrt{head\_dim}$. A softmax turns a query's scores into weights that sum to
# 1, and the token receives the values' weighted mean. One such computation is a *head*; each layer
# runs several.
#
# A *mask* hides a key by writing $-\infty$ over its score, since $e^{-\infty} = 0$. **Predict:** what
# becomes of the other weights?

# %%
import time
from itertools import product

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention as fused_kernel

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.sliding_window import figures, traces
from mixlab.chapters.stage.host import piece
from mixlab.traces.costs import measured
from mixlab.transformer.attention import banded_attention, dense_attention
from mixlab.transformer.window import n_visible_pairs, window_mask

torch.set_num_threads(1)  # for times that can be compared
generator = torch.manual_seed(0)

# %% slide="fragment" show="output"
query = torch.tensor([1.0, 1.0, 0.0, 0.0])  # head_dim 4, so its root is 2
keys = torch.tensor([[2.0, 0, 0, 0], [0, 2, 0, 0], [2, 2, 0, 0]])
values = torch.tensor([10.0, 20.0, 30.0])  # one number a token instead of four
print("dot products", (keys @ query).tolist(), "divided by 2, softmax, mean of 10, 20, 30:")
for name, hidden in [("all seen", [0, 0, 0]), ("0 hidden", [1, 0, 0])]:
    scores = (keys @ query / 2).masked_fill(torch.tensor(hidden).bool(), -torch.inf)
    weights = scores.softmax(0)
    print(name, scores.tolist(), "→", weights.numpy().round(2), f"→ {weights @ values:.1f}")

# %% [markdown] slide="notes"
# They grow, each by the same factor, so that they sum to 1 again: 0.21 and 0.58 become 0.27 and 0.73.
# *Usual wrong answers:* they stay as they are, and the sum is less than 1; or what was hidden is shared
# out in equal parts. Two minutes.

# %% [markdown] slide="slide"
# ## Six tokens, window three
#
# Take the sentence *The cat sat on the mat*, one token a word. No token sees a later one, and the
# window has $W = 3$. **Predict:** which words does *mat* see? And how many words does *cat* see?

# %% slide="fragment" show="output"
words = "The cat sat on the mat".split()
window = 3
for i, word in enumerate(words):
    seen = [words[j] for j in range(len(words)) if 0 <= i - j < window]
    print(f"{word:>4} sees {' '.join(seen)}")

# %% [markdown] slide="notes"
# *The usual slip:* half of a class says that $W = 3$ means three *earlier* tokens, and gives *mat*
# the four words *sat on the mat*. Count on your fingers: distance 0, the token itself, is the first
# finger. Others give *cat* three words, though only one stands before it. Two minutes. The paper on
# Mistral 7B makes the first slip between its text and its figures, as we shall see.

# %% [markdown] slide="slide"
# ## The rule
#
# Query $i$ sees key $j$ when
#
# $$0 \le i - j < W$$
#
# The left half says *not the future*. The right half says *not too far back*. The distance $i - j$
# takes the values $0, 1, \dots, W-1$, which are $W$ values: **the window counts the token itself**.
# So *mat* sees *on the mat*, and *cat* only two words, because the text begins there.

# %% slide="slide" show="output" alt="A grid of the sentence's six words, queries down and keys across. Pale blue cells form a band along the diagonal, three to a row, its lower edge a staircase. In the last row, of mat, the cells bear their distances 5 to 0, and 2, 1 and 0, under on, the and mat, are framed."
mask = window_mask(6, window=3)
assert mask[5].nonzero().flatten().tolist() == [3, 4, 5]  # of mat: on, the, mat
assert (int(mask.sum()), n_visible_pairs(6, None)) == (15, 21)
piece("window", "Each token sees itself and the W − 1 before it", text=" ".join(words), window=3)

# %% [markdown]
# ## From a loop to one line
#
# Point at a word, drag the band's edge, type a sentence. At $W = 1$ a token sees only itself; a window
# as long as the text is the full causal triangle.
#
# Such a grid is a *mask*: one row a query, one column a key, True where the query sees the key. First
# with two loops, as the rule reads. Then with broadcasting, which makes the whole table of distances
# at once: a column of query positions minus a row of key positions. The library's `window_mask` does
# the same; the cell asks whether all agree.


# %%
def mask_loop(seq, window):
    mask = torch.zeros(seq, seq, dtype=torch.bool)
    for i in range(seq):
        for j in range(seq):
            mask[i, j] = 0 <= i - j < window
    return mask


def mask_vectorised(seq, window):
    position = torch.arange(seq)
    distance = position[:, None] - position[None, :]  # (query, key)
    return (distance >= 0) & (distance < window)


print(mask_loop(6, 3).int())
for seq in range(1, 13):
    for window in range(1, seq + 3):
        assert torch.equal(mask_loop(seq, window), mask_vectorised(seq, window))
        assert torch.equal(mask_vectorised(seq, window), window_mask(seq, window=window))
print("loop = vectorised = library, for every seq up to 12 and every window")

# %% [markdown] slide="slide"
# ## How many scores is that?
#
# In a text of $L \ge W$ tokens the first $W$ queries see $1, 2, \dots, W$ keys; each of the other
# $L - W$ sees $W$:
#
# $$\frac{W(W+1)}{2} + (L - W)\,W \qquad\text{instead of}\qquad \frac{L(L+1)}{2}$$
#
# A triangle, then a band: for fixed $W$ that grows like $L$, not like $L^2$. "Mistral 7B" (section 2)
# reports its window attention as twice as fast at 16K tokens with $W = 4096$. The count allows:

# %% slide="same" show="output"
for seq in range(1, 13):
    for window in range(1, seq + 1):
        pairs = window * (window + 1) // 2 + (seq - window) * window
        assert pairs == int(mask_loop(seq, window).sum()) == n_visible_pairs(seq, window)
for seq in (4_096, 16_384, 32_768):
    full, band = n_visible_pairs(seq, None), n_visible_pairs(seq, 4096)
    print(f"{seq:>6,} tokens: {full:>11,} scores, {band:>11,} with W = 4096: {full / band:.1f}x")

# %% [markdown] slide="slide"
# ## One line, ten spellings
#
# "Mistral 7B" (Jiang et al. 2023, section 2) says that position $i$ attends to positions "between
# $i - W$ and $i$". **Predict:** how many keys is that?
#
# Below are ten spellings from papers and code, each as the mask that it makes. `triu(d)` keeps what
# lies on or right of a diagonal, $j - i \ge d$; `tril(d)` what lies on or left of it, $j - i \le d$.


# %%
def ring_decode(seq, window):
    """One token at a time; keys wait in W slots, and key i overwrites slot i % W."""
    mask, slots = torch.zeros(seq, seq, dtype=torch.bool), {}
    for i in range(seq):
        slots[i % window] = i
        mask[i, list(slots.values())] = True
    return mask


def causal(seq):
    return torch.ones(seq, seq, dtype=torch.bool).tril()


def distance(seq):
    return torch.arange(seq)[:, None] - torch.arange(seq)


# %% slide="same" show="code"
spellings = {
    "paper, text": lambda n, w: causal(n) & (distance(n) <= w),
    "paper, figures": lambda n, w: causal(n) & (distance(n) < w),
    "reference, pre-fill": lambda n, w: causal(n).triu(-w),
    "reference, decode": ring_decode,
    "PAI-Megatron": lambda n, w: causal(n) & ~(1 - torch.ones(n, n).triu(-w + 1)).bool(),
    "Hugging Face 2024": lambda n, w: causal(n) & ~causal(n).tril(-w - 1),
    "Hugging Face 2025": lambda n, w: causal(n) & (torch.arange(n) > torch.arange(n)[:, None] - w),
    "xformers, local": lambda n, w: causal(n).triu(-w + 1),
    "flash-attn (W−1, 0)": lambda n, w: causal(n) & (distance(n) <= w - 1),
    "flash-attn (W, 0)": lambda n, w: causal(n) & (distance(n) <= w),
}
keys = {name: int(make(10, 4)[8].sum()) for name, make in spellings.items()}
for name, count in keys.items():
    print(f"{name:<20} {count} keys")

# %% [markdown] slide="notes"
# From $i - W$ to $i$ there are $W + 1$ keys. *Usual wrong answers:* $W$, because it is called so; $W - 1$,
# with both ends left out. Two minutes.
#
# There are only two meanings. The worst pair is called *reference*: Mistral's first one-file program
# shows 5 keys while it reads the prompt in one go (*pre-fill*) and 4 while it writes token by token
# (*decode*). Its halves disagree about one key a token, and no error says so. Where a paper's text
# and figures disagree, code decides. This course uses $W$ keys everywhere.

# %% slide="slide" show="output" alt="Ten small masks for a window of 4, in two rows. The six above show 4 keys to a late query. The four below show 5: a red stripe marks the extra key, at distance W." myth="A window of W shows a token the positions from i − W to i" said="Mistral 7B, section 2, text; its figures show W keys; of ten public spellings four show W + 1, and Mistral's first one-file reference shows 5 while reading and 4 while writing for W = 4" truth="i − W to i are W + 1 keys. The course, and current code, mean W keys, the token itself counted."
assert sorted(keys.values()) == [4] * 6 + [5] * 4
for seq, window in [(1, 1), (5, 2), (9, 4), (12, 5), (6, 9)]:
    for name, make in spellings.items():
        more = keys[name] - 4  # none, or one key more than W
        assert torch.equal(make(seq, window), mask_loop(seq, window + more))
pictures = {name: make(10, 4).numpy() for name, make in spellings.items()}
figures.conventions(pictures, 4, "W = 4: six spellings show 4 keys, the other four 5")

# %% [markdown] slide="notes"
# Where they stand; the red stripe is the key at distance exactly $W$.
#
# | spelling | file | commit |
# |---|---|---|
# | paper | "Mistral 7B", section 2; its figures 1 and 2 | |
# | reference | mistralai/mistral-inference: `one_file_ref.py` | c18d5b9 |
# | PAI-Megatron | alibaba/Pai-Megatron-Patch: `megatron_patch/model/mistral/modeling_attn_mask_utils.py` | f12981d |
# | Hugging Face | huggingface/transformers: `src/transformers/modeling_attn_mask_utils.py` | c276655 |
# | | `src/transformers/masking_utils.py` | 2ccc6ca |
# | xformers | facebookresearch/xformers: `xformers/ops/fmha/attn_bias.py` | deebdef |
# | flash-attn | Dao-AILab/flash-attention: `flash_attn/flash_attn_interface.py` | 88c4e5d |

# %% [markdown] slide="slide"
# ## A real mask function, line by line
#
# PAI-Megatron trains Mistral with a function called `_make_causal_mask`, which equals Hugging
# Face's of October 2023. Its mask is made to be *added* to the scores: 0 where a key is
# visible, the most negative number of the dtype where it is hidden, so that softmax makes the
# weight 0. It also knows `past` keys, kept from earlier tokens in a cache. Here it is in our names,
# with a copy of the mask after each line that matters.


# %% slide="same" show="code"
def make_causal_mask(n_queries, past, window, dtype=torch.float32):
    lowest = torch.finfo(dtype).min  # -3.4e38 in float32
    mask = torch.full((n_queries, n_queries), lowest)
    steps = [mask.clone()]  # 1. hide everything
    position = torch.arange(n_queries)
    mask.masked_fill_(position < (position + 1)[:, None], 0)
    steps.append(mask.clone())  # 2. show the causal triangle
    mask = torch.cat([torch.zeros(n_queries, past), mask], dim=1)
    steps.append(mask.clone())  # 3. show every past key
    too_old = 1 - torch.triu(torch.ones_like(mask), diagonal=past - window + 1)
    mask.masked_fill_(too_old.bool(), lowest)
    steps.append(mask.clone())  # 4. hide the keys that are too old
    return steps


# %% slide="slide" show="output" alt="Four small masks of six queries over nine keys, as the code builds them. First all is hidden; then the causal triangle is newly shown; then three past keys on the left; last, the keys that are too old are newly hidden, and a band of four keys a row remains."
for past, window in product(range(5), range(1, 9)):
    mask = make_causal_mask(n_queries=6, past=past, window=window)[-1]
    ours = window_mask(6, n_keys=6 + past, window=window)  # the queries are the last 6 tokens
    assert torch.equal(mask == 0, ours)
captions = ["hide everything", "show the triangle", "show the past", "hide what is too old"]
pictures = [(step == 0).numpy() for step in make_causal_mask(n_queries=6, past=3, window=4)]
assert (pictures[-1].sum(axis=1) == 4).all()
figures.steps(pictures, captions, "Hide everything, show the past, hide what is too old")

# %% [markdown] slide="notes"
# **1–2.** `position < (position + 1)[:, None]` is a long way to say $j \le i$. **3.** Zeros join on
# the left: row $r$ now stands at position $i = r + past$. **4.** `triu` with diagonal $d$ keeps
# $j - r \ge d$. With $d = past - W + 1$ that is $i - j \le W - 1$, the recent keys; the rest is too
# old. Without the `+ 1` it would be $W + 1$ keys. The figure's cell holds the result against our rule.
#
# The same code base has a path through FlashAttention that is handed only queries, keys and values:
# there the window is silently dropped.

# %% [markdown] slide="slide"
# ## Why `masked_fill`, and not a sum?
#
# Two masks to add, causal and window: why not add them to each other? **Predict** what
# `lowest + lowest` is in float32, and what a softmax makes of a row in which every key is hidden.

# %% slide="fragment"
lowest = torch.finfo(torch.float32).min
print("lowest + lowest =", lowest + torch.tensor(lowest))
print("softmax of a row of -inf  :", torch.full((3,), -torch.inf).softmax(0).tolist())
print("softmax of a row of lowest:", torch.full((3,), lowest).softmax(0))
for window in (None, 2):
    mask = window_mask(5, window=window) & (torch.arange(5) < 2)  # keys 2, 3, 4 are padding
    print(f"W = {window}: does the row see nothing?", (~mask).all(dim=1).tolist())
assert window_mask(9, window=1).any(dim=1).all()  # without padding every query sees itself

# %% myth="Masks may be added to each other: causal plus window plus padding" said="Hugging Face's Mistral of October 2023, and copies of it, which add two masks of the lowest float" truth="The sum overflows to −∞, and a row of nothing but −∞ becomes NaN. Join masks by and; let a query without keys attend to nothing."
assert lowest + torch.tensor(lowest) == -torch.inf
assert torch.full((3,), -torch.inf).softmax(0).isnan().all()

# %% [markdown] slide="notes"
# The sum overflows to $-\infty$; a row of nothing but $-\infty$ divides zero by zero: NaN, which
# spreads upwards, since even weight 0 times NaN is NaN. *Usual wrong answers:* the sum stays at
# `lowest`; the softmax gives zeros. A row of finite numbers is quieter and worse: it attends evenly
# to keys that it must not see. Three minutes.
#
# Who makes such rows? *Padding*: short texts of a batch are filled up with tokens that nobody may
# see, here two to five. With $W = 2$, rows 3 and 4 see nothing. Unpadded, every query sees itself.

# %% [markdown] slide="slide"
# ## Does the mask make it faster?
#
# At 4,096 tokens a window of 128 leaves 1 score in 16. **Predict:** how much faster does attention
# run when we mask the other 15?
#
# We time four ways, and build the mask before the clock starts: all scores, then the mask; PyTorch's
# *fused kernel*, one routine for scores, softmax and mean that never stores the table of scores,
# with the same mask; that kernel with a *rule*, `is_causal`, in place of a mask, and no window; and
# the *band*, which we then take apart.


# %% slide="fragment" show="output" volatile=true
def all_scores(q, k, v, mask):
    return (q @ k.mT / q.shape[3] ** 0.5).masked_fill(~mask, -torch.inf).softmax(3) @ v


def milliseconds(method, seq, window):
    """Processor time of one thread, which other programs disturb less than a clock on the wall."""
    q, k, v = torch.randn(3, 1, 2, seq, 64)  # each (batch, heads, seq, head_dim)
    mask, times = window_mask(seq, window=window), []
    for _ in range(max(3, 8192 // seq)):
        start = time.process_time()
        method(q, k, v, mask)
        times.append(1000 * (time.process_time() - start))
    return min(times)


lengths = [512, 1024, 2048, 4096]
methods = {
    "all scores, then mask": all_scores,
    "fused kernel, mask": fused_kernel,
    "fused kernel, is_causal": lambda q, k, v, _: fused_kernel(q, k, v, is_causal=True),
    "band": lambda q, k, v, _: banded_attention(q, k, v, window=128),
}
for window in (None, 128):
    print(f"all scores, W = {window}: {milliseconds(all_scores, 4096, window):.0f} ms")

# %% [markdown] slide="notes"
# Masking saves nothing: a score must be computed before it can be hidden. *Usual wrong answers:* 16
# times, as the scores say; "a little, since 0 is easy to multiply". Two minutes.
#
# In the figure read the slopes, since both axes are logarithmic: for twice the length, a mask costs
# four times as much, the band twice. A fused kernel is cheaper by a factor, and as steep. The rule
# lets it skip the half above the diagonal without looking; a mask it must read. The times are this
# machine's.

# %% slide="slide" show="output" alt="Time of one attention layer against sequence length on logarithmic axes, beside two dotted guides. The two masked methods climb like the guide of slope 2, the band like the one of slope 1, and at 4,096 tokens the band is far below all others." myth="With a window, attention's time grows with n·W" said="descriptions of the window that show it as a mask over all scores" truth="A mask over all scores saves nothing: from length to length its time grows as without. Only what computes the band alone grows in proportion to n."
times = {name: [milliseconds(m, n, 128) for n in lengths] for name, m in methods.items()}
growth = {name: (t[-1] / t[0]) ** (1 / 3) for name, t in times.items()}  # for twice the length
assert growth["band"] < 3 < min(growth["all scores, then mask"], growth["fused kernel, mask"])
assert times["band"][-1] < min(t[-1] for name, t in times.items() if name != "band") / 2
title = "W = 128: masks cost the square, a band the length"
guides = {f"slope {n}": (n, times["band"][0] / 50) for n in (1, 2)}
axes = dict(x_title="tokens", y_title="milliseconds a layer", log_x=True, log_y=True)
series.lines(lengths, times, title=title, slopes=guides, **axes)

# %% [markdown] slide="slide"
# ## The band
#
# So don't compute what nobody sees. Cut the queries into blocks of $B$. A block needs only its own
# $B$ keys and the $W - 1$ before them: that makes $B\,(B + W - 1)$ scores. All $L / B$ blocks
# together compute $L\,(B + W - 1)$: for fixed $W$, linear in $L$.

# %% slide="same" show="output" alt="Two pictures of the same 48 by 48 scores with window 8. All scores: the whole square is computed, most of it orange, wasted. Band: only blocks along the diagonal are computed, most of them blue, used."
seq, window, block = 48, 8, 8
mask = window_mask(seq, window=window).numpy()
computed = {
    "all scores": np.ones((seq, seq), dtype=bool),
    "band": traces.computed_scores(seq, window, block),
}
assert not (mask & ~computed["band"]).any()  # nothing visible is left out
figures.computed(computed, mask, "A mask hides scores, a band skips most of them")

# %% [markdown] slide="slide"
# ## All blocks are one product
#
# All full blocks look alike: the same $B \times (B + W - 1)$ mask, shifted. So they can be one
# batched matrix product. For $W = 3$ and $B = 2$, `torch.arange(8).unfold(0, 4, 2)` gives keys 0–3,
# 2–5 and 4–7, which queries 2–3, 4–5 and 6–7 need. Nothing is copied: each stretch is a *view*, the
# same memory read from $B$ keys further on.


# %% slide="same" show="code"
def band(q, k, v, window, block):
    """One head, (seq, head_dim), without the first window - 1 queries: their band is cut off."""
    span = block + window - 1
    queries = q[window - 1 :].unflatten(0, (-1, block))  # (blocks, block, head_dim)
    keys, values = (x.unfold(0, span, block).transpose(1, 2) for x in (k, v))
    scores = queries @ keys.transpose(1, 2) / q.shape[1] ** 0.5  # (blocks, block, span)
    mask = window_mask(block, span, window)  # the same for every block
    return (scores.masked_fill(~mask, -torch.inf).softmax(-1) @ values).flatten(0, 1)


q, k, v = torch.randn(3, 55, 16)  # 7 queries before the first full window, then 6 blocks of 8
one_head = [x[None, None] for x in (q, k, v)]
expected = dense_attention(*one_head, window=8)[0, 0]
assert torch.allclose(band(q, k, v, window=8, block=8), expected[7:], atol=1e-5)

# %%
assert measured(band, q, k, v, 8, 8).exponentials == 6 * 8 * (8 + 8 - 1)  # counted as it runs
assert measured(dense_attention, *one_head, 8).exponentials == 55**2  # a mask spares nothing
assert torch.arange(8).unfold(0, 4, 2).tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
assert k.unfold(0, 15, 8).untyped_storage().data_ptr() == k.untyped_storage().data_ptr()
for window in range(1, 60):  # the library's band: any length, any window
    args = *one_head, window
    assert torch.allclose(banded_attention(*args), dense_attention(*args), atol=1e-5)

# %% [markdown] slide="notes"
# Neighbouring stretches share $W - 1$ keys, and `unfold` gives that overlap for nothing: the cell asks
# whether both tensors start at one address. It counts the scores as they are computed: 720 by the
# band, all 3,025 under the mask. What doesn't fill a block the library computes by itself. On a CUDA
# GPU it hands the job to xformers, whose kernel skips square tiles outside it.
#
# What is $B$? Of a block's $B\,(B + W - 1)$ scores, $B\,W$ are seen: 8 of 15 in the picture. Smaller
# blocks waste less, and make smaller products, which are slower. The library takes 64.

# %% [markdown] slide="slide"
# ## What a window does to a real model
#
# SmolLM2 is a small language model with Mistral's architecture: 30 layers of 9 heads. It was trained
# *without* a window. No parameter depends on the window, so we may impose one and read what
# happens. First without: **predict** which token of a sentence the others look at most.

# %%
model = load(smollm2())
encode = tokenizer(smollm2()).encode
sentence = (
    "The cat sat on the mat because the mat was warm, and the dog that had chased it all "
    "morning slept beside it."
)
encoded = encode(sentence)
tokens = torch.tensor(encoded.ids)
free = traces.attention_maps(model, tokens)
model.set_window(8)
windowed = traces.attention_maps(model, tokens)
model.set_window(None)
print(free.weights.shape, "layers, heads, queries, keys")
late = free.mean_over_heads()[:, 8:].mean(axis=1)  # (layers, keys): what queries from 8 on look at
for layer in (2, 12, 18, 29):
    print(f"layer {layer:>2}: {late[layer].max():.0%} on {encoded.tokens[late[layer].argmax()]}")

# %% [markdown] slide="notes"
# The first token, *The*, of all. *Usual wrong answers:* the token before, or the noun *cat*. Two minutes.
#
# It is called an *attention sink* (Xiao et al., "Efficient Streaming Language Models with Attention
# Sinks", section 3.1). Their explanation, a hypothesis: softmax weights must sum to 1, so a query that
# needs nothing in particular puts its weight where it does no harm, on a token that all can see. We
# measure where the weight lies, not why.

# %% slide="slide" show="output" alt="Two heat maps of attention over a sentence of 25 tokens, averaged over heads. Without a window a bright column stands at the first token. With a window of 8 the column is gone for later tokens and the weight has moved onto the diagonal band. A slider changes the layer."
maps = {"no window": free.mean_over_heads(), "window 8": windowed.mean_over_heads()}
assert (late[12:].argmax(axis=1) == 0).all()  # the brightest column, in every layer from 12 on
assert late[12:, 0].mean() > 0.5
assert (maps["window 8"][:, 8:, 0] == 0).all()
names = [token.replace("Ġ", "") for token in encoded.tokens]  # Ġ stands for a space
title = "From layer 12 on, the first token draws most attention"
figures.attention_maps(maps, names, layer=18, title=title)

# %% slide="slide" show="output" alt="Stacked bars for windows 2, 4, 8 and 16. The share of attention inside the window shrinks for late queries while a large orange part, around two fifths, always belongs to the first token outside the window."
windows = [2, 4, 8, 16]
inside = [float(free.share_within(w)[:, :, w:].mean()) for w in windows]
sink = [float(free.weights[:, :, w:, 0].mean()) for w in windows]
rest = [1 - a - b for a, b in zip(inside, sink, strict=True)]
assert all(b > c for b, c in zip(sink, rest, strict=True))  # the first token is most of the loss
parts = {"in the window": inside, "outside: first token": sink, "outside: all others": rest}
title = "Most of what a window cuts off went to the first token"
series.shares(windows, parts, title=title, x_title="window (tokens)", y_title="share of attention")

# %% [markdown] slide="notes"
# The maps: from layer 12 on the first column is the brightest in every layer, and takes more than
# half of a late query's attention in the mean of these layers, not in each. A window hides it from
# every query more than $W - 1$ steps in, and their weight must go elsewhere.
#
# The bars: the model *without* a window. Blue would stay visible under a window of $W$; the rest would
# be cut off, and orange is one token alone. That is why engines for endless text keep the first few
# tokens in sight (Xiao et al., section 3.2).

# %% [markdown] slide="slide"
# ## A name that leaves the window
#
# The tokenizer cuts a cat's name, *Marmalade*, into *Marm*, *al* and *ade*. A story gives the name
# once and stops in its second mention, after *Marm*, 63 tokens after the first *al*. **Predict:** the
# window shrinks. At which $W$ does the probability of the next piece, *al*, collapse?

# %%
story = (
    "The lighthouse keeper had a cat called Marmalade. Every evening she carried a lamp up the "
    "narrow stairs, and every evening the cat ran ahead of her into the dark. One night the wind "
    "was so loud that she could not hear the sea. She opened the door, looked out over the rocks, "
    "and saw nothing but rain. She was looking for Marm"
)
encoded = encode(story)
name = encoded.tokens.index("al")  # where the story gives the name's second piece
seq = len(encoded.ids)
distance_to_name = seq - 1 - name
print("tokens:", seq, " distance from the last token to the name:", distance_to_name)


@torch.inference_mode()
def probability(window):
    model.set_window(window)
    logits = model(torch.tensor([encoded.ids]))[0, -1]
    model.set_window(None)
    return float(logits.softmax(-1)[encoded.ids[name]])


# %% slide="fragment" show="output" alt="Probability of the right continuation against the window. It is near zero up to a window of 63 and jumps to about two thirds at 64, where a dashed line marks that the name enters the window. It rises again, to nearly one, at 72."
at_name = distance_to_name + 1  # the smallest window that still shows the name
windows = [16, 24, 32, 48, at_name - 1, at_name, 68, seq - 1, seq]
chances = [probability(w) for w in windows]
below = max(p for w, p in zip(windows, chances, strict=True) if w < at_name)
above = min(p for w, p in zip(windows, chances, strict=True) if w >= at_name)
assert above > 5 * below
assert 0.55 < chances[windows.index(at_name)] < 0.8
assert chances[-1] > 0.9 > chances[-2] + 0.05  # from W = seq on the first token is in sight
series.lines(
    windows,
    {"probability of “al”": chances},
    title="One key more, and the model knows the name again",
    x_title="window W (tokens)",
    y_title="probability of “al”",
    marks={f"W = {at_name}: the name is in sight": at_name},
)

# %% [markdown] slide="notes"
# At 64, for distance 63 needs $W = 64$. *Usual wrong answers:* at 63, the distance; gradually; at 72,
# the whole story. The last step, from 71 to 72, brings back a single key: the first token, the sink.
# Three minutes. One story, one model.
#
# Under a shorter window a token within reach of the name could still pass it on, layer by layer, and
# there are 30 layers. This model never learnt to, because it could always look for itself. Mistral
# was trained with its window, and had to. How far information travels that way is the next chapter's
# question.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. The rule is $0 \le i - j < W$. The window counts the token itself. Four of ten spellings show one
#    key more: count before you trust.
# 2. A mask saves nothing, because it hides scores that were already computed. A band of
#    $B + W - 1$ keys a block makes attention linear in the length.
# 3. A window imposed on a model that was trained without one takes away its attention sink, and
#    whatever has left the window is gone.

# %% [markdown]
# ## Self-test
#
# 1. With $W = 5$, which keys do queries 3 and 9 see?
# 2. A library takes `window_size=(left, right)`, both inclusive. What is our $W$ there?
# 3. Why can padding give NaN, and a window alone never?
# 4. A window mask makes training no faster. Why?
#
# <details><summary>Answers</summary>
#
# 1. 0–3: the text begins there. 5–9.
# 2. $(W - 1, 0)$.
# 3. Every query sees itself. In padding it may see only padding.
# 4. It hides scores that were computed; a band skips them.
#
# </details>
#
# **Next.** *If every token sees only $W$ keys, how can Mistral read 32,000 tokens?* First
# [the exercises](../work/02_sliding_window.ipynb), then [chapter 03](03_receptive_field.ipynb).

# %% [markdown] to="exercise"
# # 02 · Sliding window attention: exercises
#
# Five exercises on [the lesson](../course/02_sliding_window.ipynb), about 50 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("02.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="02.1" role="prompt" title="The window's mask" difficulty=1 minutes=8 points=2
# Write `window_mask(seq, window)`: a square mask of truth values, True where the row's query sees
# the column's key. The window counts the token itself. `window` may be longer than `seq`.


# %% exercise="02.1" role="answer"
def window_mask(seq, window):
    """Mask of shape (seq, seq): True where query i sees key j."""
    ### BEGIN SOLUTION
    position = torch.arange(seq)
    distance = position[:, None] - position[None, :]
    return (distance >= 0) & (distance < window)
    ### END SOLUTION


# %% exercise="02.1" role="check"
check("02.1", window_mask)

# %% [markdown] exercise="02.2" role="prompt" title="Find the bug: a chunk after a cache" difficulty=2 minutes=10 points=3
# A chunk of `n_queries` tokens follows `past` tokens whose keys are already cached, so keys
# outnumber queries: row 0 is the token at position `past`, column 0 the key at position 0. This
# function should return the mask of shape (n_queries, past + n_queries), True where a key is seen.
# It has two mistakes. Find and mend both.
#
# ```python
# def chunk_mask(n_queries, past, window):
#     ones = torch.ones(n_queries, past + n_queries)
#     not_future = ones.tril(0)
#     too_old = ones.tril(-window - 1)
#     return (not_future - too_old).bool()
# ```


# %% exercise="02.2" role="answer"
def chunk_mask(n_queries, past, window):
    """Mask of shape (n_queries, past + n_queries) for queries that follow `past` cached keys."""
    ### BEGIN SOLUTION
    everything = torch.ones(n_queries, past + n_queries, dtype=torch.bool)
    return everything.tril(past) & ~everything.tril(past - window)
    ### END SOLUTION


# %% exercise="02.2" role="check"
check("02.2", chunk_mask)

# %% [markdown] exercise="02.3" role="prompt" title="Predict the cost" difficulty=2 minutes=8 points=2
# How many (query, key) pairs does a window show in a sequence of `seq` tokens? Return the number
# without building a mask: the check also asks for sequences of a million tokens. Mind windows
# longer than the sequence.


# %% exercise="02.3" role="answer"
def n_scores(seq, window):
    """Number of visible pairs: 12 for seq = 5, window = 3."""
    ### BEGIN SOLUTION
    reach = min(window, seq)
    return reach * (reach + 1) // 2 + (seq - reach) * reach
    ### END SOLUTION


# %% exercise="02.3" role="check"
check("02.3", n_scores)

# %% [markdown] exercise="02.4" role="prompt" title="Attention that computes only the band" difficulty=3 minutes=15 points=4
# Write attention for one head under a window: scores divided by $\sqrt{head\_dim}$, softmax,
# weighted sum of the values. No tensor, array or list may hold all `seq × seq` scores, and you may
# not compute them all in pieces either: a loop over queries is fine, and so are `unfold` and blocks
# that take the keys of their own windows. The first queries have fewer keys than the rest, and
# `seq` need not be a multiple of anything.


# %% exercise="02.4" role="answer"
def banded(q, k, v, window):
    """Attention of one head: q, k, v of shape (seq, head_dim) to (seq, head_dim)."""
    ### BEGIN SOLUTION
    rows = []
    for i in range(len(q)):
        start = max(0, i - window + 1)
        weights = (k[start : i + 1] @ q[i] / q.shape[1] ** 0.5).softmax(dim=0)
        rows.append(weights @ v[start : i + 1])
    return torch.stack(rows)
    ### END SOLUTION


# %% exercise="02.4" role="check"
check("02.4", banded)

# %% [markdown] exercise="02.5" role="prompt" title="Prove by test: which masks keep the rule?" difficulty=2 minutes=10 points=3
# Write the test that would have caught every off-by-one of this lesson. `is_window_mask` gets a
# function: `make_mask(seq, window)` returns a tensor of truth values (seq, seq), for up to 64 tokens
# and any window from 1 on. Return True if all its masks keep the rule `0 <= i - j < window`, and
# False if any breaks it. The check hands your test right functions and wrong ones, some of them
# right at nearly every size. None is wrong in long texts only. Which sizes are worth trying?


# %% exercise="02.5" role="answer"
def is_window_mask(make_mask):
    """Whether make_mask(seq, window) returns the window's mask, for all sizes worth trying."""
    ### BEGIN SOLUTION
    for seq in range(1, 10):
        for window in range(1, seq + 2):
            mask = make_mask(seq, window)
            for i in range(seq):
                for j in range(seq):
                    if bool(mask[i, j]) != (0 <= i - j < window):
                        return False
    return True
    ### END SOLUTION


# %% exercise="02.5" role="check"
check("02.5", is_window_mask)
