# %% [markdown] slide="slide"
# # 02 · Sliding window attention
#
# *How can a model read 32,000 tokens when each token looks back at only a few?*

# %% [markdown] slide="slide"
# **The problem.** In a plain transformer every token scores every earlier token. Double the
# text and the scores quadruple: at 32,768 tokens, one head of one layer of Mistral 7B would
# compute half a billion of them, and the model has 32 × 32 such heads. A *sliding window* lets
# each token look back only $W$ steps. It is one line of code, and the field writes that line in
# ten ways that mean two different things.

# %% [markdown]
# **You will be able to** write the window's mask and count what it shows; recognise which
# convention a code base uses, and the off-by-one that comes with it; say why a mask alone saves
# nothing, and build the band that does; read what a window does to a real model's attention.
#
# **You need** Python, PyTorch tensors and broadcasting, and the idea of queries, keys and values.
#
# **Time**: 55 minutes, and as much again for the exercises in
# [exercises/02_sliding_window.ipynb](../exercises/02_sliding_window.ipynb).

# %%
import time

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from mixlab import load, smollm2, tokenizer
from mixlab.figures import sliding_window as figures
from mixlab.traces import sliding_window as traces
from mixlab.transformer.attention import attention_weights, banded_attention, dense_attention
from mixlab.transformer.window import n_visible_pairs, window_mask

generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## Six tokens, window three
#
# Take the sentence *The cat sat on the mat*. With $W = 3$ each token sees itself and the two
# before it. **Predict:** which words does *mat* see? And how many words does *cat* see?

# %% slide="fragment" show="output"
words = "The cat sat on the mat".split()
window = 3
for i, word in enumerate(words):
    seen = [words[j] for j in range(len(words)) if 0 <= i - j < window]
    print(f"{word:>4} sees {' '.join(seen)}")

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

# %% [markdown] slide="notes"
# Ask the class to count on their fingers: distance 0 is the token itself. Half of them will have
# said that W = 3 means three earlier tokens. That is exactly the paper's text against its figures,
# which comes later.

# %% [markdown]
# ## From a loop to one line
#
# A mask is a table: one row a query, one column a key, True where the row's query sees the
# column's key. First with two loops, exactly as the rule reads. Then with broadcasting, which makes
# the whole table of distances at once: a column of query positions minus a row of key positions.


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

# %% [markdown]
# The library has the same function, `window_mask`. Are the three equal? Not for one example: for
# every window, those longer than the sequence too. Then draw the mask, and move both sliders: at
# $W = 1$ each token sees only itself, and once $W$ reaches the sequence's length the band has become
# the full causal triangle.

# %%
for seq in range(1, 13):
    for window in range(1, seq + 3):
        assert torch.equal(mask_loop(seq, window), mask_vectorised(seq, window))
        assert torch.equal(mask_vectorised(seq, window), window_mask(seq, window=window))
print("loop = vectorised = library, for every seq up to 12 and every window")

# %% slide="slide" show="output" alt="A square grid of queries against keys. Blue cells form a diagonal band: each row has at most W blue cells ending on the diagonal. One slider changes the window, another the sequence length."
longest = 24
masks = np.stack([window_mask(longest, window=w).numpy() for w in range(1, longest + 1)])
figures.window_slider(masks, window=3)

# %% [markdown] slide="slide"
# ## How many scores is that?
#
# The first $W$ queries see $1, 2, \dots, W$ keys; each of the other $L - W$ sees $W$:
#
# $$\frac{W(W+1)}{2} + (L - W)\,W \qquad\text{instead of}\qquad \frac{L(L+1)}{2}$$
#
# A triangle, then a band: for fixed $W$ that grows like $L$, not like $L^2$.

# %% slide="same" show="output"
for seq in range(1, 13):
    for window in range(1, seq + 1):
        pairs = window * (window + 1) // 2 + (seq - window) * window
        assert pairs == int(mask_loop(seq, window).sum()) == n_visible_pairs(seq, window)
for seq in (4_096, 16_384, 32_768):
    full, band = n_visible_pairs(seq, None), n_visible_pairs(seq, 4096)
    print(f"{seq:>6,} tokens: {full:>11,} scores, {band:>11,} with W = 4096: {full / band:.1f}x")

# %% [markdown]
# The middle row explains a number of the paper. "Mistral 7B" (section 2) reports that at 16K tokens
# with $W = 4096$ its window attention runs twice as fast as full attention. The count allows 2.3x
# at that length, so nearly all of the saving was realised.

# %% [markdown] slide="slide"
# ## One line, ten spellings
#
# The paper's text says a query attends to positions "between $i - W$ and $i$". **Predict:** how
# many keys is that? Its figures draw something else.
#
# Each spelling below is the mask that the source's own expression gives.


# %%
def ring_decode(seq, window):
    """Mistral's first reference, one token at a time: whatever its W cache slots hold."""
    mask, slots = torch.zeros(seq, seq, dtype=torch.bool), {}
    for i in range(seq):
        slots[i % window] = i
        mask[i, list(slots.values())] = True
    return mask


def causal(seq):
    return torch.ones(seq, seq, dtype=torch.bool).tril()


def distance(seq):
    return torch.arange(seq)[:, None] - torch.arange(seq)


# %%
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

# %% slide="slide" show="output" alt="Ten small masks side by side for a window of 4. Row 8 is marked in orange: in six masks it has 4 visible keys, in four masks it has 5, because they also keep the key at distance W."
figures.conventions(
    {name: make(10, 4).numpy() for name, make in spellings.items()},
    query=8,
    title="W = 4 means four keys to six of these sources, and five to the other four",
)

# %%
assert sorted(keys.values()) == [4] * 6 + [5] * 4
four = [make for name, make in spellings.items() if keys[name] == 4]
five = [make for name, make in spellings.items() if keys[name] == 5]
for seq, window in [(1, 1), (5, 2), (9, 4), (12, 5), (6, 9)]:
    ours, one_more = mask_loop(seq, window), mask_loop(seq, window + 1)
    assert all(torch.equal(make(seq, window), ours) for make in four)
    assert all(torch.equal(make(seq, window), one_more) for make in five)
print("there are only two conventions: W keys, and W + 1 keys")

# %% [markdown]
# Ten spellings, two meanings; at the left end of an orange row of five stands the key at distance
# exactly $W$. The worst pair is the two rows called *reference*: one program that
# shows 5 keys while it reads the prompt and 4 while it writes the answer. Its two halves disagree
# about one key a token, and no error says so. This course uses $W$ keys everywhere.

# %% [markdown] slide="slide"
# ## A real mask function, line by line
#
# PAI-Megatron trains Mistral with a function called `_make_causal_mask`, which came from Hugging
# Face's code of October 2023. It works with the mask to *add* to the scores: 0 where a key is
# visible, the most negative number of the dtype where it is hidden. It also knows *past* keys,
# already in a cache.


# %%
def make_causal_mask(n_queries, past, window, dtype=torch.float32):
    steps, lowest = {}, torch.finfo(dtype).min
    mask = torch.full((n_queries, n_queries), lowest)
    steps["hide everything"] = mask.clone()
    position = torch.arange(n_queries)
    mask.masked_fill_(position < (position + 1)[:, None], 0)
    steps["show key j < i + 1: the causal triangle"] = mask.clone()
    mask = torch.cat([torch.zeros(n_queries, past), mask], dim=1)
    steps["show every past key, left of the triangle"] = mask.clone()
    recent = torch.triu(torch.ones_like(mask), diagonal=past - window + 1)
    steps["recent = triu(ones, past − W + 1), drawn as visible"] = (1 - recent) * lowest
    too_old = 1 - recent
    mask.masked_fill_(too_old.bool(), lowest)
    steps["hide what is too old: 1 − recent"] = mask.clone()
    return mask, steps


for past in range(5):
    for window in range(1, 9):
        mask, _ = make_causal_mask(n_queries=6, past=past, window=window)
        assert torch.equal(mask == 0, window_mask(6, n_keys=6 + past, window=window))

# %% slide="slide" show="output" alt="A mask of six queries over nine keys, built in five slider steps: all hidden, causal triangle, three past keys shown, the upper triangle of recent keys, and the final band of four keys a row."
mask, steps = make_causal_mask(n_queries=6, past=3, window=4)
pictures = {
    caption: np.pad((step == 0).int().numpy(), ((0, 0), (9 - step.shape[1], 0)))
    for caption, step in steps.items()
}
figures.steps(pictures, "Hide all, show the past, hide the distant past", ("hidden", "visible"))

# %% [markdown]
# The diagonal decides the convention. Query row $r$ stands at position $r + past$; `triu` with
# diagonal $d$ keeps $column - r \ge d$, so with $d = past - W + 1$ it keeps
# $i - j \le W - 1$: $W$ keys. One `+ 1` less, and it would be $W + 1$. The loop under the function
# has checked the result against our own rule, cached keys included, for every past and window tried.

# %% [markdown] slide="slide"
# ## Why `masked_fill`, and not a sum?
#
# Two masks to add, causal and window: why not add them to each other? **Predict** what
# `lowest + lowest` is in float32, and what a softmax makes of a row that is hidden throughout.

# %% slide="fragment"
lowest = torch.finfo(torch.float32).min
print("lowest + lowest =", lowest + torch.tensor(lowest))
print("softmax of a row of -inf  :", torch.full((3,), -torch.inf).softmax(0).tolist())
print("softmax of a row of lowest:", torch.full((3,), lowest).softmax(0))

q = k = torch.randn(1, 1, 9, 8)
assert attention_weights(q, k, window=1).isfinite().all()

# %% [markdown]
# The sum overflows to $-\infty$. A row with nothing but $-\infty$ divides zero by zero, and the NaN
# spreads to every layer above. The row of finite numbers is quieter and worse: it attends evenly to
# keys that it must not see. A padded batch under a narrow window has such rows. In a causal mask
# with $W \ge 1$ there are none: every query sees itself.

# %% [markdown] slide="slide"
# ## Does the mask make it faster?
#
# At 4,096 tokens a window of 128 leaves 1 score in 16. **Predict:** how much faster does attention
# run when we mask the other 15?
#
# We measure three ways to compute the same numbers: all scores then a mask, PyTorch's fused kernel
# given the mask, and a *band* that never computes what nobody sees.


# %%
def masked_kernel(q, k, v, window):
    return scaled_dot_product_attention(q, k, v, attn_mask=window_mask(q.shape[2], window=window))


def seconds(method, seq, window, repeats=3):
    """Processor time on one thread: other programs on the machine don't disturb it."""
    q, k, v = torch.randn(3, 1, 2, seq, 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        method(q, k, v, window)
        times.append(time.process_time() - start)
    torch.set_num_threads(threads)
    return min(times)


# %% slide="fragment" show="output" volatile=true
for window in (None, 128):
    print(f"all scores, W = {window}: {1000 * seconds(dense_attention, 4096, window):.0f} ms")

# %% slide="slide" show="output" alt="Time of one attention layer against sequence length on logarithmic axes. The two masked methods rise four times for every doubling, the band only two times, and at 4096 tokens the band is far below both."
lengths = [256, 512, 1024, 2048, 4096]
methods = {"all scores, then mask": dense_attention, "fused kernel with mask": masked_kernel}
methods["band"] = banded_attention
timed = {
    name: [seconds(method, length, 128) for length in lengths] for name, method in methods.items()
}
assert timed["band"][-1] < timed["all scores, then mask"][-1] / 3
figures.cost(lengths, timed, "W = 128: masks cost the square of the length, a band its length")

# %% [markdown] slide="slide"
# ## The band
#
# The mask hid scores that were already computed: nothing was saved. So don't compute them. Cut the queries into blocks of $B$. A block needs only the $B$ keys of its own and the $W - 1$
# before them: $B + W - 1$ in all. Everything left of that is never touched.

# %% slide="same" show="output" alt="Two pictures of the same 48 by 48 scores with window 8. All scores: the whole square is computed, most of it orange, wasted. Band: only blocks along the diagonal are computed, most of them blue, used."
seq, window, block = 48, 8, 8
mask = window_mask(seq, window=window).numpy()
computed = {
    "all scores": np.ones((seq, seq), dtype=bool),
    "band": traces.computed_scores(seq, window, block),
}
assert not (mask & ~computed["band"]).any()  # nothing visible is left out
figures.computed(computed, mask, "The mask hides scores, the band never computes them")

# %% [markdown] slide="slide"
# ## All blocks are one product
#
# All full blocks look alike: the same $B \times (B + W - 1)$ mask, shifted. So they can be one
# batched matrix product. `unfold` lays the overlapping stretches of keys side by side without
# copying them: each is a view that starts $B$ keys after the one before. On a CUDA GPU the library
# hands the same job to xformers, whose kernel skips the tiles outside the band.


# %% slide="same" show="code"
def band(q, k, v, window, block):
    """One head, (seq, head_dim), without the first window - 1 queries: their band is cut off."""
    span = block + window - 1
    queries = q[window - 1 :].unflatten(0, (-1, block))  # (blocks, block, head_dim)
    keys = k.unfold(0, span, block).transpose(1, 2)  # (blocks, span, head_dim), a view
    values = v.unfold(0, span, block).transpose(1, 2)
    scores = queries @ keys.transpose(1, 2) / q.shape[1] ** 0.5
    mask = window_mask(block, span, window)  # the same for every block
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    return (weights @ values).flatten(0, 1)


# %%
q, k, v = torch.randn(3, 55, 16)
expected = dense_attention(q[None, None], k[None, None], v[None, None], window=8)[0, 0]
assert torch.allclose(band(q, k, v, window=8, block=8), expected[7:], atol=1e-5)
assert k.unfold(0, 15, 8).untyped_storage().data_ptr() == k.untyped_storage().data_ptr()
for window in range(1, 60):  # the library's band: any length, any window
    args = q[None, None], k[None, None], v[None, None], window
    assert torch.allclose(banded_attention(*args), dense_attention(*args), atol=1e-5)
print("band = dense, for every window from 1 to beyond the sequence")

# %% [markdown] slide="slide"
# ## What a window does to a real model
#
# SmolLM2 has Mistral's architecture, 30 layers deep, and was trained *without* a window. No
# parameter depends on the window, so we may impose one and read what happens.

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

# %% slide="slide" show="output" alt="Two heat maps of attention over a sentence of 25 tokens. Without a window a bright column stands at the first token. With a window of 8 the column is gone for later tokens and the weight has moved onto the diagonal band. A slider changes the layer."
figures.attention_maps(
    {"no window": free.mean_over_heads(), "window 8": windowed.mean_over_heads()},
    [token.replace("Ġ", "") for token in encoded.tokens],
    layer=18,
    title="Without a window, half of the attention goes to the first token",
)

# %% [markdown]
# Step through the layers. From the middle of the stack on, the first column is the brightest thing
# in the picture: queries that need nothing in particular park their weight on the first token. It
# is called an *attention sink* (Xiao et al., "Efficient Streaming Language Models with Attention
# Sinks", section 3.1). A window takes it away from every query that is more than $W - 1$ steps in.

# %% slide="slide" show="output" alt="Stacked bars for windows 2, 4, 8 and 16. The share of attention inside the window shrinks for late queries while a large orange part, around two fifths, always belongs to the first token outside the window."
windows = [2, 4, 8, 16]
inside = [float(free.share_within(w)[:, :, w:].mean()) for w in windows]
sink = [float(free.weights[:, :, w:, 0].mean()) for w in windows]
parts = {
    "inside the window": inside,
    "outside: first token": sink,
    "outside: all others": [1 - a - b for a, b in zip(inside, sink, strict=True)],
}
# The first token alone is more than half of what each window cuts off.
assert all(b > (1 - a) / 2 for a, b in zip(inside, sink, strict=True))
figures.shares(windows, parts, "Most of what a window cuts off was spent on the first token")

# %% [markdown] slide="slide"
# ## A name that leaves the window
#
# A story names a cat at the start and needs the name again 63 tokens later, at *Marm*. **Predict:**
# what happens to the probability of the next piece, *al*, as the window shrinks?

# %%
story = (
    "The lighthouse keeper had a cat called Marmalade. Every evening she carried a lamp up the "
    "narrow stairs, and every evening the cat ran ahead of her into the dark. One night the wind "
    "was so loud that she could not hear the sea. She opened the door, looked out over the rocks, "
    "and saw nothing but rain. She was looking for Marm"
)
encoded = encode(story)
name = encoded.tokens.index("al")  # where the story gives the name's second piece
distance_to_name = len(encoded.ids) - 1 - name
print("tokens:", len(encoded.ids), " distance from the last token to the name:", distance_to_name)


@torch.inference_mode()
def probability(window):
    model.set_window(window)
    logits = model(torch.tensor([encoded.ids]))[0, -1]
    model.set_window(None)
    return float(logits.softmax(-1)[encoded.ids[name]])


# %% slide="fragment" show="output" alt="Probability of the right continuation against the window. It is near zero up to a window of 63 and jumps to about two thirds from 64 on, where a dashed line marks that the name enters the window."
at_name = distance_to_name + 1  # the smallest window that still shows the name
windows = [8, 16, 32, 48, at_name - 1, at_name, 66, 68, 72]
chances = [probability(w) for w in windows]
below = max(p for w, p in zip(windows, chances, strict=True) if w < at_name)
above = min(p for w, p in zip(windows, chances, strict=True) if w >= at_name)
assert above > 5 * below
figures.lines(
    windows,
    {"probability of “al”": chances},
    axis="probability of “al”",
    title="One key more, and the model knows the cat's name again",
    marks={f"W = {at_name}: the name is in sight": at_name},
)

# %% [markdown]
# The edge is sharp, and it stands exactly where the rule puts it. In principle the name could still
# arrive: a token within reach of the name could pass it on, layer by layer, and there are 30 layers.
# This model never learnt to, because it was trained to look for itself. Mistral was trained with
# its window, and had to. How far information can travel that way is the next chapter's question.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. The rule is $0 \le i - j < W$. The window counts the token itself, and half of the code in the
#    field disagrees by one key: count before you trust.
# 2. A mask saves nothing, because it hides scores that were already computed. A band of
#    $B + W - 1$ keys a block makes attention linear in the length.
# 3. A window imposed on a model that was trained without one takes away its attention sink, and
#    whatever has left the window is gone.

# %% [markdown]
# ## Self-test
#
# 1. With $W = 5$, which keys does query 3 see? And query 9?
# 2. A library calls its parameter `window_size=(left, right)`, both inclusive. What do you pass for
#    our $W$?
# 3. Why does a causal window mask never give a NaN row, and a padded batch may?
# 4. A colleague adds a window mask to speed up training and measures no change. Why?
#
# <details><summary>Answers</summary>
#
# 1. 0–3: the text begins there. 5–9.
# 2. $(W - 1, 0)$.
# 3. Every query sees itself; a padded one may see only padding.
# 4. The mask hides scores after they are computed; a band skips them.
#
# </details>

# %% [markdown]
# **Next.** *If every token sees only $W$ keys, how does Mistral use 32,000 tokens of context at all?* First
# do the exercises: [exercises/02_sliding_window.ipynb](../exercises/02_sliding_window.ipynb).

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
# outnumber queries. This function should return the mask of shape (n_queries, past + n_queries). It
# has two mistakes. Find and mend both.
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
# weighted sum of the values. No tensor may hold all `seq × seq` scores; a loop over queries is
# fine, and so is `unfold`. The first queries have fewer keys than the rest, and `seq` need not be a
# multiple of anything.


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
# function `make_mask(seq, window)` and returns True only if its masks keep the rule
# `0 <= i - j < window`. The check hands it right masks, written in several ways, and wrong ones:
# one key too many, one too few, looking ahead, cut into blocks and others.


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
