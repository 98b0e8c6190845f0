# %% [markdown] slide="slide"
# # 04 · The rolling cache
#
# *What must a model remember to write the next word, and what may it forget?*

# %% [markdown] slide="slide"
# **The problem.** A language model writes one token at a time: it reads the text, chooses a next
# token, appends it, and reads again. Done naively, the thousandth token costs a pass over a
# thousand tokens, of which all but one were there a moment ago. Keeping what doesn't change makes
# every token about equally cheap, and fills the memory instead: 128 KiB a token for Mistral 7B, 4
# GiB for a text of 32,768 tokens. A window permits a third way: a memory that forgets at the right
# moment.

# %% [markdown]
# **You will be able to** say what a K/V cache keeps and why that is enough; put a token into its
# slot and name the one that it overwrites; say when slots may be read in any order and when they
# must be unrotated; compute a cache's bytes from a model's configuration.
#
# **You need** queries, keys, values and the window's rule, from
# [chapter 02](02_sliding_window.ipynb).
#
# **Time**: 50 minutes, and an hour for the exercises in
# [work/04_rolling_cache.ipynb](../work/04_rolling_cache.ipynb), your copy of
# [these](../exercises/04_rolling_cache.ipynb).

# %%
import time
from itertools import permutations

import numpy as np
import torch

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.rolling_cache import figures
from mixlab.chapters.rolling_cache import slot_order as order_figures
from mixlab.chapters.stage.host import piece
from mixlab.traces.rolling_cache import trace_decode, trace_prefill, trace_ways
from mixlab.transformer.attention import dense_attention
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.growing_cache import GrowingCache
from mixlab.transformer.rolling_cache import cache_bytes
from mixlab.transformer.rolling_layer import unrotate
from mixlab.transformer.rope import rope_table, rotate
from mixlab.transformer.window import window_mask

torch.set_num_threads(1)  # for times that can be compared
generator = torch.manual_seed(0)
model = load(smollm2())  # 30 layers, Mistral's architecture, trained without a window
text_tokenizer = tokenizer(smollm2())

# %% [markdown] slide="slide"
# ## Word after word
#
# SmolLM2, a small model with Mistral's architecture, continues *Once upon a time*, four tokens, by
# twelve more. The loop knows no better: for each of them the whole text so far goes through the
# model. How many tokens pass through it in all?

# %% slide="fragment"
tokens, passed = text_tokenizer.encode("Once upon a time").ids, 0
for _ in range(12):
    logits = model(torch.tensor([tokens]))[0, -1]  # a score for each possible next token
    passed += len(tokens)
    tokens.append(int(logits.argmax()))
print(text_tokenizer.decode(tokens))
weights = model.config.n_parameters  # every token is multiplied by each of them
print(f"{passed} tokens passed: {passed * weights / 1e9:.1f} billion multiplications")

# %% [markdown] slide="slide"
# ## What does a new word change?
#
# $4 + 5 + \dots + 15 = 114$ tokens went through the model, and only 15 of them for the first time.
# Was anything new computed for the other 99?
#
# In each of 30 layers every token makes a key and a value. We read *The cat sat on the*, and then
# the same with *mat* behind it. **Predict:** the keys and values of the first five words, in the
# first layer and in the last: which of them have changed?

# %% slide="fragment"
assert sum(range(4, 16)) == passed == 114
text = torch.tensor([text_tokenizer.encode("The cat sat on the mat").ids])
_, five = model.prefill(text[:, :5])  # read words, and return what every layer keeps of them
_, six = model.prefill(text)
for before, after in zip(five.layers, six.layers, strict=True):  # (text, token, head, number)
    assert torch.allclose(before.keys[:, :5], after.keys[:, :5], atol=1e-3)
    assert torch.allclose(before.values[:, :5], after.values[:, :5], atol=1e-3)
print("30 layers: not one of the first five words' keys and values has changed")

# %% [markdown] slide="notes"
# Layer by layer: a key is made from its own token's vector. In the first layer that is the token's
# embedding. In every later one it is what the token has gathered so far, and a token gathers from
# itself and from earlier ones only. What comes later can't reach it. So a key is final once it is
# computed. The memory that keeps keys and values is the *K/V cache*.
#
# Queries aren't kept: each is asked once, by its own token. And a model whose tokens look both
# ways, such as BERT, can have no such cache.

# %% [markdown] slide="slide"
# ## A cache, in one head
#
# A new token brings one query, one key and one value. The key and the value join the others; the
# query is asked once, over all that are kept. Row by row that gives what
# [chapter 02](02_sliding_window.ipynb)'s attention gives for the whole text.


# %% slide="same"
def attend(q, keys, values):
    """One query over the keys and values it is handed, (n, head_dim) each."""
    return (keys @ q / len(q) ** 0.5).softmax(0) @ values


# %% slide="same"
def write_with_cache(q, k, v):
    """One token after the other, (seq, head_dim) each; nothing is computed twice."""
    keys, values, out = [], [], []
    for i in range(len(q)):
        keys.append(k[i])
        values.append(v[i])
        out.append(attend(q[i], torch.stack(keys), torch.stack(values)))
    return torch.stack(out)


# %% slide="same"
q, k, v = torch.randn(3, 20, 16)
whole = dense_attention(q[None, None], k[None, None], v[None, None])[0, 0]
assert torch.allclose(write_with_cache(q, k, v), whole, atol=1e-5)
print("token by token, with a cache = the whole text at once")


# %%
def milliseconds(run, *arguments):
    start = time.process_time()  # of this process: others disturb it less than a clock's
    run(*arguments)
    return 1000 * (time.process_time() - start)


text = torch.randint(0, 49_152, (1, 192), generator=generator)
lengths, recomputed, cached, cache, known = [16, 64, 128, 192], [], [], None, 0
for length in lengths:
    recomputed.append(milliseconds(model, text[:, :length]))
    _, cache = model.prefill(text[:, known : length - 1], cache)  # all but the last token
    cached.append(milliseconds(model.step, text[:, length - 1], cache))
    known = length

# %% slide="slide" show="output" alt="Processor time for one new token of a real model against the length of the text. Recomputing everything climbs steadily up to 192 tokens; with a cache the line stays flat near the bottom."
assert recomputed[-1] > 5 * cached[-1]
series.lines(
    lengths,
    {"recompute everything": recomputed, "with a cache": cached},
    title="With a cache, a longer text hardly makes the next word dearer",
    x_title="length of the text (tokens)",
    y_title="processor time for one more token (ms)",
)

# %% [markdown] slide="notes"
# SmolLM2 on this machine. Each token passes every weight of the model once, so recomputing a text
# of $n$ tokens takes $n$ times the work of one token. With the cache a new token does its own
# share and no other's; only its scores, one for each key that is kept, grow with the text. Reading
# many tokens at once is cheaper a token than one alone, because weights that have been fetched
# serve all of them: that is why the upper line doesn't end 192 times as high as the lower one.

# %% [markdown] slide="slide"
# ## What keeping costs
#
# In each layer a token leaves a key and a value for each *key/value head*. Mistral 7B has 32 query
# heads and only 8 of these: four queries share one key. By table 1 of its paper it has 32 layers,
# and 128 numbers a head; in fp16 a number takes two bytes:
#
# $$2 \times 32 \times 8 \times 128 \times 2 \text{ bytes} = 128 \text{ KiB a token}$$
#
# **Predict:** its weights fill 13.5 GiB. How many texts of 32,768 tokens, written side by side,
# fill as much again?

# %% slide="fragment"
mistral = TransformerConfig.mistral_7b()
assert mistral.n_heads == 4 * mistral.n_kv_heads == 32
token = 2 * mistral.n_layers * mistral.n_kv_heads * mistral.head_dim * torch.float16.itemsize
assert token == 128 * 1024
one_text, weights = 32_768 * token / 2**30, 2 * mistral.n_parameters / 2**30
print(f"one text {one_text:.1f} GiB, weights {weights:.1f} GiB: {weights / one_text:.1f} texts")

# %% [markdown] slide="notes"
# (3 minutes.) A little over three. Common answers: hundreds, since 128 KiB is little; 27, from the
# bytes of one head. A server with a handful of long texts spends more on caches than on the model.

# %% slide="slide" show="output" alt="The six words of The cat sat on the mat in three rows, token by token. Recompute everything: all words so far are computed again, 21 in the end. Keep everything: one computed, five kept. Keep the last four: one computed, three kept, and The and cat are grey, no longer in memory."
words = "The cat sat on the mat".split()
ways = trace_ways(len(words), window=4)
assert [numbers[-1] for numbers in ways.computed.values()] == [21, 6, 6]
assert [numbers[-1] for numbers in ways.held.values()] == [0, 6, 4]
title = "Compute it all again, keep it all, or keep what will be seen"
figures.three_ways(words, ways, title)

# %% [markdown] slide="slide"
# ## The key that nobody will ask for
#
# Take $W = 4$. *The*, position 0, is seen by the queries at 0, 1, 2 and 3. When *the* arrives,
# position 4, nobody will ask for *The* any more, and *the*'s own key needs a place: **write it
# where the useless one lies.**
#
# In general: query $i$ sees key $j$ when $0 \le i - j < W$. The last to see key $p - W$ is query
# $p - 1$, so when token $p$ arrives, that key is free to go.
#
# **Predict:** *mat* arrives, position 5. Whom does it overwrite? What do the four *slots*, the
# places of the memory, hold then?

# %% [markdown] slide="slide"
# ## Slot p mod W
#
# Give position $p$ the slot $p \bmod W$, the remainder of $p / W$: 0, 1, 2, 3, 0, 1, … Positions
# $p$ and $p - W$ share it, so the new key meets exactly the one that is no longer needed. And $W$
# positions in a row have $W$ different remainders, so nobody who is still seen gets overwritten.

# %% [markdown] slide="notes"
# (3 minutes.) *mat* overwrites *cat*: the slots hold the, mat, sat, on. Common answers: *The*, since
# "the oldest goes" (it has gone already); [sat, on, the, mat], as if all moved up by one.

# %% slide="same" show="both"
slots = ["·"] * 4
for position, word in enumerate(words):
    slots[position % 4] = word
    print(f"{word:>4} → slot {position % 4}:  " + "  ".join(f"{held:<4}" for held in slots))
assert slots == ["the", "mat", "sat", "on"]

# %% slide="slide" show="output" alt="The six words, and below them a ring of four slots. mat, position 5, has just taken slot 1, and cat, which lay there, is pushed out of the ring. The others hold the, sat and on. A bar marks the four words that mat's query sees; The and cat are struck out."
steps = trace_decode(range(len(words)), window=4)
last = steps[-1]
assert (last.slot, last.evicted) == (1, 1)
assert last.held == (4, 5, 2, 3)
assert last.seen == (2, 3, 4, 5)
for window in range(1, 13):  # as far as W can be dragged
    for step in trace_decode(range(24), window):
        assert step.slot == step.position % window
        assert step.evicted == max(-1, step.position - window)
        assert set(step.seen) == set(step.held) - {-1}
title = "Token p takes slot p mod W, over the token that just left"
piece("ring", title, text=" ".join(words), window=4)

# %% [markdown] slide="notes"
# Figure 2 of "Mistral 7B" (Jiang et al. 2023) has this sentence and this window; its section 2
# calls the ring a *rolling buffer cache*. The first four words fill the slots from left to right.
# Then the ring *wraps*: *the* lands on *The* and *mat* on *cat*, and the slots' order is no longer
# the text's. The cell asserts the rule on the library's own cache.
#
# Drag the $W$ under the text: at 1 only the token itself is left. A window of $W + 1$ keys, as the
# paper's text has it, would need one slot more.

# %% [markdown] slide="slide"
# ## A ring, in one head
#
# Two tensors of $W$ rows that never grow. A token writes its key and value first; then its query
# reads all slots in use. No mask is left: the ring holds what the window shows, and nothing else.


# %% slide="same"
def write_with_ring(q, k, v, window):
    keys, values = torch.zeros(2, window, q.shape[1])
    out = []
    for p in range(len(q)):
        keys[p % window], values[p % window] = k[p], v[p]
        used = min(p + 1, window)  # the others are still empty
        out.append(attend(q[p], keys[:used], values[:used]))
    return torch.stack(out)


# %% slide="same"
for window in range(1, 25):
    masked = dense_attention(q[None, None], k[None, None], v[None, None], window)[0, 0]
    assert torch.allclose(write_with_ring(q, k, v, window), masked, atol=1e-5)
print("ring = mask, for every window from 1 to beyond the text")

# %% [markdown] slide="slide"
# ## The same, in a real model
#
# The library keeps such a ring for every layer. We impose a window of 8 on SmolLM2 and read a
# sentence twice: whole, under a mask, and token by token through rings of eight slots. At every
# position, the scores of all 49,152 next tokens must agree.

# %% slide="same" show="both"
sentence = "The cat sat on the mat because the mat was warm, and the dog that had chased it "
sentence += "all morning slept beside it. "
model.set_window(8)
read = torch.tensor([text_tokenizer.encode(sentence).ids])
expected, ring = model(read)[0], model.init_state(batch=1)
for position, token in enumerate(read[0]):
    logits, ring = model.step(token[None], ring)
    assert torch.allclose(logits[0], expected[position], atol=1e-2)
print(read.shape[1], "tokens, and every score agrees")

# %%
_, everything = model.prefill(read, GrowingCache(model.config, batch=1))
print("keys of a layer:", tuple(ring.layers[0].keys.shape), "texts, slots, heads, numbers")
print(f"all keys and values: {everything.n_bytes:,} bytes; in the ring {ring.n_bytes:,}")
assert everything.n_bytes * 8 == ring.n_bytes * 26

# %% slide="slide" show="output" alt="Memory of Mistral 7B's cache against context up to 32,768 tokens. Without a window the line climbs straight to 4 GiB. The ring climbs with it to 512 MiB at 4,096 tokens, where a dashed line stands, and stays there."
free = TransformerConfig.mistral_7b(window=None)
contexts = [4096 * n for n in range(9)]
memory = {
    "no window, every key kept": [cache_bytes(free, n) / 2**30 for n in contexts],
    "a ring of 4,096 slots": [cache_bytes(mistral, n) / 2**30 for n in contexts],
}
assert cache_bytes(free, 32_768) == 32_768 * 128 * 1024 == 4 * 2**30
assert cache_bytes(mistral, 4096) == cache_bytes(mistral, 32_768) == 512 * 2**20
assert cache_bytes(free, 32_768) == 8 * cache_bytes(mistral, 32_768)
figures.memory(
    contexts,
    memory,
    title="At 32,768 tokens Mistral's ring takes an eighth of the memory",
    x_title="context (tokens)",
    y_title="cache of one text, fp16 (GiB)",
    window=4096,
    ends=["4 GiB", "512 MiB"],
)

# %% [markdown] slide="notes"
# "On a sequence length of 32k tokens, this reduces the cache memory usage by 8x", says section 2
# of "Mistral 7B"; the cell asserts it from the configuration. The factor is length over window,
# and it goes on growing.
#
# It saves time as well, because to write one token a machine has to read the whole cache. And where
# one such text finds room without a window, eight do with it.

# %% [markdown] slide="slide"
# ## In any order
#
# After *mat* the ring holds [the, mat, sat, on]. Must *mat*'s query sort it first? It wrote its own
# key before it asked, so the ring is its window: all of it, and nothing else. **Nothing is left to
# choose.** It takes the mean of all the values, with weights from its scores $s_4, s_5, s_2, s_3$,
# and a sum has no order:
#
# $$\frac{e^{s_4} v_4 + e^{s_5} v_5 + e^{s_2} v_2 + e^{s_3} v_3}{e^{s_4} + e^{s_5} + e^{s_2} + e^{s_3}}
# = \frac{e^{s_2} v_2 + e^{s_3} v_3 + e^{s_4} v_4 + e^{s_5} v_5}{e^{s_2} + e^{s_3} + e^{s_4} + e^{s_5}}$$

# %% slide="same" show="both"
in_order = attend(q[5], k[2:6], v[2:6])
orders = [list(order) for order in permutations([2, 3, 4, 5])]
for order in orders:
    assert torch.allclose(attend(q[5], k[order], v[order]), in_order, atol=1e-5)
print(len(orders), "orders, one result")

# %% [markdown] slide="slide"
# ## But who came first?
#
# *The cat sat on the mat* isn't *The mat sat on the cat*. A query must know who came first, and the
# key itself tells it. Before a key is cached, *RoPE* (rotary position embedding; "RoFormer",
# section 3.2.2) takes its numbers in pairs, each pair a point in the plane, and turns it around 0 by
# an angle that grows with its position, every pair at its own speed. Queries are turned likewise.
#
# Turning both by the same angle changes no score: the same words at the same distance score the
# same, wherever they stand.


# %% slide="slide" show="both"
def turned(x, position):
    """A query or key, (head_dim,), at its position."""
    half, out = len(x) // 2, x.clone()
    for pair in range(half):  # numbers `pair` and `pair + half` are the point (a, b)
        angle = torch.tensor(position * 10_000 ** (-pair / half))
        a, b = x[pair], x[pair + half]
        out[pair] = a * angle.cos() - b * angle.sin()
        out[pair + half] = a * angle.sin() + b * angle.cos()
    return out


# %% slide="same" show="both"
cos, sin = rope_table(torch.arange(20), head_dim=16)
for position, row in enumerate(rotate(q, cos, sin)):
    assert torch.allclose(turned(q[position], position), row, atol=1e-5)  # loop = library
for i, j in [(3, 0), (9, 6), (19, 16), (9, 5)]:
    score = turned(q[0], i) @ turned(k[0], j)
    print(f"query at {i:>2}, key at {j:>2}, distance {i - j}: score {score:5.2f}")
    assert torch.isclose(score, turned(q[0], i - j) @ k[0], atol=1e-4)  # the distance alone counts

# %% [markdown] slide="slide"
# ## Turned by the slot?
#
# **A key carries its position; its slot is only where it lies.** A hasty engine caches keys as they
# are, and turns key and query when it reads them, by the number of their *slot*. Its authors tried
# a short text, and all was well. **Predict:** with $W = 4$, at which positions does it go wrong?

# %% slide="fragment"
turned_q, turned_k = rotate(q, cos, sin), rotate(k, cos, sin)
right = dense_attention(turned_q[None, None], turned_k[None, None], v[None, None], 4)[0, 0]
slots, verdicts = {}, []
for p in range(12):
    slots[p % 4] = p
    number, held = list(slots), list(slots.values())
    late_k = rotate(k[held], cos[number], sin[number])
    late_q = rotate(q[p : p + 1], cos[[p % 4]], sin[[p % 4]])[0]
    verdicts.append(torch.allclose(attend(late_q, late_k, v[held]), right[p], atol=1e-4))
print("position  ", "  ".join(f"{p:>2}" for p in range(12)))
print("is right  ", "  ".join(" ✓" if verdict else " ✗" for verdict in verdicts))

# %% [markdown] slide="notes"
# Right up to position 3, because slot and position are still the same. At 4 the query stands in
# slot 0 and *on*, one step back in the text, in slot 3: distance $-3$ instead of 1. But at 7 and 11
# the ring lies in order again, every distance is right, and so is the result. A test at a handful
# of lengths can miss it.

# %% [markdown] slide="slide"
# ## Three queries, one ring
#
# *and saw the*, positions 6 to 8, are read at once, as a *chunk*, over the ring [the, mat, sat, on].
#
# | query | sees in the ring |
# |---|---|
# | and 6 | on 3, the 4, mat 5 |
# | saw 7 | the 4, mat 5 |
# | the 8 | mat 5 |
#
# A sum has no order. But each sum has **other terms**, so a mask must choose, and a mask knows
# columns, not keys. Chapter 02's band shows *and* the columns 1 to 4: in order, positions 3 to 6.
# Whom does it show *and* while the slots lie as they do?

# %%
story = "The cat sat on the mat and saw the dog go to".split()
lying, chunk = [4, 5, 2, 3, 6, 7, 8], [6, 7, 8]  # positions: the ring, then the chunk
assert tuple(lying[:4]) == steps[-1].held
band = window_mask(3, n_keys=7, window=4)  # (queries, keys)
print("the band shows *and*:", *(story[p] for p, seen in zip(lying, band[0], strict=True) if seen))

# %%
moved = band[:, [sorted(lying).index(p) for p in lying]]  # each column goes where its key lies
tries = {
    "slots as they lie": (lying, band),
    "keys in order": (sorted(lying), band),
    "slots as they lie, columns moved": (lying, moved),
}
for name, (keys, mask) in tries.items():
    scores = turned_q[chunk] @ turned_k[keys].T / 16**0.5
    out = scores.masked_fill(~mask, -torch.inf).softmax(1) @ v[keys]
    print(f"{name:<32}:", "right" if torch.allclose(out, right[chunk], atol=1e-5) else "wrong")

# %%
shown = list(tries)[:2]
needed = {n: np.array([[0 <= i - j < 4 for j in tries[n][0]] for i in chunk]) for n in tries}
wrong = {n: needed[n] != mask.numpy() for n, (_, mask) in tries.items()}
assert [int(cells.sum()) for cells in wrong.values()] == [8, 0, 0]
hidden_though_needed = wrong["slots as they lie"] & needed["slots as they lie"]
assert hidden_though_needed.sum() == 4

# %% slide="slide" show="output" alt="Two masks of three queries over seven keys. Left, over the slots as they lie, eight cells bear a cross: four needed keys are hidden, and four are seen that have left the window or come later. Right, over the keys in order, every cell is right."
order_figures.chunk_order(
    {name: [f"{story[p]}<br>{p}" for p in tries[name][0]] for name in shown},
    {name: tries[name][1].numpy() for name in shown},
    {name: needed[name] for name in shown},
    [f"{story[p]} {p}" for p in chunk],
    "A mask counts columns, so the keys must lie in order",
)

# %% slide="slide" show="output" alt="A ring of four slots, cut before its oldest key and laid flat. From left to right, the oldest first, lie slot 2 with and, slot 3 with saw, slot 0 with the and slot 1 with dog, the newest. Closed again, it is a circle; a slider runs through the first ten words."
for length, step in enumerate(trace_decode(range(10), window=4), start=1):
    oldest_first = list(range(max(0, length - 4), length))
    assert unrotate(torch.tensor(step.held), length).tolist() == oldest_first
assert [(p % 4, story[p]) for p in oldest_first] == [(2, "and"), (3, "saw"), (0, "the"), (1, "dog")]
title = "Unrotate: cut the ring before the oldest and lay it flat"
piece("ring", title, text=" ".join(story[:10]), window=4, cut=True)

# %% [markdown] slide="slide"
# ## Write first, or read first?
#
# One token may write first and read then: all that it overwrites has left its window. **Predict:**
# the ring holds *The cat sat*, and the chunk *on the mat* is written before it is read. What is
# missing when *on* asks?

# %% slide="fragment"
held, chunk = {0: 0, 1: 1, 2: 2}, [3, 4, 5]  # slot to position
written = held | {p % 4: p for p in chunk}
for i in chunk:
    needs = [j for j in range(6) if 0 <= i - j < 4]
    finds = [j for j in needs if j in written.values()]
    print(f"{words[i]:>3} needs {' '.join(words[j] for j in needs):<14}", end="")
    print(f" and finds {' '.join(words[j] for j in finds)}")

# %% [markdown] slide="notes"
# *the* and *mat* took the slots of *The* and *cat*, which *on* still sees. So a chunk reads first,
# over [the ring, unrotated | the chunk], up to $W - 1 + n$ keys for $n$ tokens, and writes then. An
# engine that joined only part of the ring lost words (ollama, pull request 15591).
#
# Why not move the mask's columns? Fast kernels such as flash-attn take no mask, only a window, and
# count distance by columns. Why not always read first? Joining copies the ring: 512 MiB for every
# token that Mistral 7B writes. One token writes first and copies nothing.

# %% slide="slide" show="output" alt="Twelve queries against twelve keys, read in three chunks of four. The second and third chunk see an orange triangle of themselves and a blue one of the three newest keys of the cache; together the three chunks make the window's band. The slider adds chunk after chunk."
chunks = trace_prefill(n_tokens=12, window=4, chunk_size=4)
together = np.vstack([chunk.sees for chunk in chunks])
assert (together == window_mask(12, window=4).numpy()).all()
for chunk_size in (3, 8, 25):  # the real model: as without a cache, whatever the chunk
    logits, _ = model.prefill(read, chunk_size=chunk_size)
    assert torch.allclose(logits[0], expected[-1], atol=1e-2)
order_figures.prefill(chunks, story, "A chunk sees itself, and the last W − 1 keys of the cache")

# %% [markdown] slide="notes"
# A prompt is known in advance, so it needn't be read word by word. *Pre-fill* reads it in chunks;
# this is figure 3 of "Mistral 7B", with its sentence and its chunks. The third sees itself through
# a causal triangle, and three of the cache's four keys through the window; the fourth has left it.
# Together the chunks are the band of chapter 02, cell for cell: the figure's cell asserts it, and
# that SmolLM2 computes the same scores in chunks of 3, 8 and 25 tokens.

# %% [markdown] slide="slide"
# ## No way back
#
# A user deletes the last three words of *The cat sat on the mat*, and wants to go on from *The cat
# sat*. Without a window one would drop three rows of the cache. **Predict** what a ring of four
# can do.

# %% slide="fragment" fails="ValueError"
model.set_window(4)
_, cache = model.prefill(torch.tensor([text_tokenizer.encode("The cat sat on the mat").ids]))
cache.truncate([3])

# %% [markdown] slide="notes"
# The next token would see positions 0 to 3, and *the* and *mat* lie where *The* and *cat* did. The
# ring of a prefix is not a prefix of the ring. The library refuses. Another engine moved only its
# counters back, and went on over the deleted words without an error (mlx-swift-lm, pull request
# 584).

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Keys and values never change once they are computed: keep them, and a new token costs one
#    token's work.
# 2. Under a window, token $p$ may take the slot $p \bmod W$: it overwrites just the key that nobody
#    will ask for. Mistral 7B's cache stays at 512 MiB.
# 3. One query writes first; the ring is then its window, and needs no mask and no order. A chunk
#    reads first, under a mask, and a mask counts columns: unrotate the keys, then write.

# %% [markdown]
# ## Self-test
#
# 1. $W = 6$. Where does position 20 go, over whom, and what is held then?
# 2. Why keep keys and values, and no queries?
# 3. 24 layers, 4 key/value heads of 64 numbers, two bytes each: how many bytes a token?
# 4. When may a wrapped ring forget its last token?
#
# <details><summary>Answers</summary>
#
# 1. Slot 2, over position 14; positions 15–20.
# 2. Each is asked once.
# 3. $2 \cdot 24 \cdot 4 \cdot 64 \cdot 2 = 24{,}576$.
# 4. Always: its successor sees the same $W - 1$ before it.
#
# </details>
#
# **Next.** *How is a long prompt read in pieces, so that nobody can tell?* First
# [the exercises](../work/04_rolling_cache.ipynb), then [chapter 05](05_chunked_prefill.ipynb).

# %% [markdown] to="exercise"
# # 04 · The rolling cache: exercises
#
# Six exercises on [the lesson](../course/04_rolling_cache.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("04.1")` gives
# a first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="04.1" role="prompt" title="A ring" difficulty=1 minutes=8 points=2
# Write the class `Ring`. `Ring(window)` has a list `slots` of `window` entries, all `None` at
# first. `write(item)` puts an item into its slot, the first one into slot 0, and returns the item
# that it overwrites, or `None` where the slot was empty. Items are whole numbers; 0 is one of
# them, and the same item may come twice.
#
# ```python
# ring = Ring(4)
# [ring.write(item) for item in (7, 0, 3, 5, 8, 2)]  # [None, None, None, None, 7, 0]
# ring.slots  # [8, 2, 3, 5]
# ```


# %% exercise="04.1" role="answer"
class Ring:
    """Slots that are written round and round."""

    def __init__(self, window):
        ### BEGIN SOLUTION
        self.slots = [None] * window
        self.length = 0
        ### END SOLUTION

    def write(self, item):
        """Store `item`, and return what it overwrites."""
        ### BEGIN SOLUTION
        slot = self.length % len(self.slots)
        overwritten = self.slots[slot]
        self.slots[slot] = item
        self.length += 1
        return overwritten
        ### END SOLUTION


# %% exercise="04.1" role="check"
check("04.1", Ring)

# %% [markdown] exercise="04.2" role="prompt" title="What the next token will see" difficulty=2 minutes=10 points=2
# `ring` is a tensor of shape (window, head_dim): `length` tokens have been written to it one by
# one, position p into slot p % window; rows that were never written are zeros. Write `past(ring,
# length)`, which returns the rows that the *next* token's query will see besides its own, oldest
# first. The window counts the token itself. A tensor with `head_dim` columns comes back; where
# nothing is to be seen, because `window` is 1 or `length` is 0, it has no rows: shape (0,
# head_dim).


# %% exercise="04.2" role="answer"
def past(ring, length):
    """The cached rows in the next token's window, oldest first."""
    ### BEGIN SOLUTION
    window = len(ring)
    positions = torch.arange(max(0, length - window + 1), length)
    return ring[positions % window]
    ### END SOLUTION


# %% exercise="04.2" role="check"
check("04.2", past)

# %% [markdown] exercise="04.3" role="prompt" title="Predict the memory" difficulty=2 minutes=10 points=2
# How many bytes do the keys and values of a batch take? `windows` has one entry a layer: the
# layer's window, or `None` for a layer that sees, and keeps, everything. `lengths` has one entry a
# sequence: how many tokens it has so far. Count only keys and values that are held: a layer's ring
# may not be full. The other four are whole numbers: query heads, key/value heads, numbers a head,
# bytes a number. For Mistral 7B, `cache_bytes((4096,) * 32, (32_768,), 32, 8, 128, 2)` is
# 536,870,912.


# %% exercise="04.3" role="answer"
def cache_bytes(windows, lengths, n_heads, n_kv_heads, head_dim, bytes_per_number):
    """Bytes of all keys and values of all layers and sequences."""
    ### BEGIN SOLUTION
    held = 0
    for window in windows:
        for length in lengths:
            held += length if window is None else min(length, window)
    return held * 2 * n_kv_heads * head_dim * bytes_per_number
    ### END SOLUTION


# %% exercise="04.3" role="check"
check("04.3", cache_bytes)

# %% [markdown] exercise="04.4" role="prompt" title="Find the bug: a chunk meets a ring" difficulty=3 minutes=15 points=4
# One head reads a text in chunks of any lengths, also longer than the ring. `keys` and `values`
# are its rings, (window, head_dim), zeros where nothing was written; `length` tokens came before;
# `q`, `k`, `v` are the chunk's, (n, head_dim), already turned by RoPE. `extend` should return what
# the chunk's queries receive under the window's rule, (n, head_dim), and leave the chunk in the
# rings, changed in place: position p in slot p % window.
#
# Token by token on a full ring, this passes. Chunks come out wrong, and so do a text's first
# tokens. Write it right.
#
# ```python
# def extend(keys, values, length, q, k, v):
#     window, n = len(keys), len(q)
#     slots = torch.arange(length, length + n) % window
#     keys[slots], values[slots] = k, v
#     scores = q @ keys.T / q.shape[1] ** 0.5
#     seen = torch.ones(n, window).tril(window - n).bool()
#     return scores.masked_fill(~seen, -torch.inf).softmax(1) @ values
# ```


# %% exercise="04.4" role="answer"
def extend(keys, values, length, q, k, v):
    """What a chunk's queries receive, (n, head_dim); the rings are changed in place."""
    ### BEGIN SOLUTION
    window, n = len(keys), len(q)
    held = torch.arange(max(0, length - window), length)  # positions, oldest first
    new = torch.arange(length, length + n)
    both_keys = torch.cat((keys[held % window], k))
    both_values = torch.cat((values[held % window], v))
    distance = new[:, None] - torch.cat((held, new))
    visible = (distance >= 0) & (distance < window)
    weights = (q @ both_keys.T / q.shape[1] ** 0.5).masked_fill(~visible, -torch.inf).softmax(1)
    last = min(n, window)  # of a longer chunk, only the end stays
    keys[new[-last:] % window] = k[-last:]
    values[new[-last:] % window] = v[-last:]
    return weights @ both_values
    ### END SOLUTION


# %% exercise="04.4" role="check"
check("04.4", extend)

# %% [markdown] exercise="04.5" role="prompt" title="Predict: can the ring go back?" difficulty=2 minutes=8 points=2
# A ring of `window` slots has taken in `length` tokens, one by one. The user takes back the last
# ones, so that `new` are left, 0 ≤ new ≤ length. Write `can_go_back(length, new, window)`: True if
# the ring still holds every earlier key that the next token, at position `new`, will see; and
# False if one of them has been overwritten. The next token's own key is written when it comes.


# %% exercise="04.5" role="answer"
def can_go_back(length, new, window):
    """Whether writing can go on after `new` tokens from what the ring holds."""
    ### BEGIN SOLUTION
    oldest_held = max(0, length - window)
    oldest_seen = max(0, new - window + 1)
    return oldest_seen >= oldest_held or oldest_seen >= new
    ### END SOLUTION


# %% exercise="04.5" role="check"
check("04.5", can_go_back)

# %% [markdown] exercise="04.6" role="prompt" title="Prove by test: is it a rolling cache?" difficulty=2 minutes=12 points=3
# `make_cache(window)` returns a fresh cache: a function that is called with the positions 0, 1, 2
# and so on, in order, and each time returns a list of the positions whose keys this token's query
# is handed. Write `is_rolling(make_cache)`: True only if every query gets exactly what the
# window's rule shows it, each key once, in whatever order. The check hands it right caches and
# wrong ones, made for windows from 1 to 16 and texts of up to 100 tokens. Every wrong one shows
# itself at some window from 1 to 9 within 40 tokens.


# %% exercise="04.6" role="answer"
def is_rolling(make_cache):
    """Whether make_cache(window) hands every query the keys of its window, for any window."""
    ### BEGIN SOLUTION
    for window in range(1, 10):
        see = make_cache(window)
        for position in range(40):
            first = max(0, position - window + 1)
            if sorted(see(position)) != list(range(first, position + 1)):
                return False
    return True
    ### END SOLUTION


# %% exercise="04.6" role="check"
check("04.6", is_rolling)
