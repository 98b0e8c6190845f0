# %% [markdown] slide="slide"
# # 06 · Packed prompts
#
# *How do prompts of different lengths share one pass without paying for padding?*

# %% [markdown] slide="slide"
# **The problem.** A server reads many prompts at once, because matrix products are fast when many
# tokens go through them together. But prompts differ in length, and a tensor is a rectangle: short
# prompts are filled up with padding, which is computed and thrown away. Mistral's code lays all
# prompts end to end instead, as one sequence, and lets a mask keep them apart. The mask has three
# forms. Whoever takes the wrong one gets no error, only an answer that quotes somebody else's
# prompt, or forgets its own.

# %% [markdown]
# **You will be able to** say what padding costs; pack prompts, number their tokens and build the
# mask that keeps them apart; name the mask that a request meets at each stage of its life, and why;
# recognise a leak and a wrong alignment; write the same masks for PyTorch's FlexAttention.
#
# **You need** attention and its mask from [chapter 02](02_sliding_window.ipynb). What we need of
# RoPE and of the cache, from [chapter 04](04_rolling_cache.ipynb), is recalled below.
#
# **Time**: 50 minutes, and 65 more for the exercises in
# [work/06_packed_prompts.ipynb](../work/06_packed_prompts.ipynb), your copy of
# [these](../exercises/06_packed_prompts.ipynb).

# %%
import time
from functools import partial

import numpy as np
import torch
from torch.nn.attention.flex_attention import create_block_mask
from torch.nn.utils.rnn import pad_sequence

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.packed_prompts import figures
from mixlab.chapters.packed_prompts import masks as packed_masks
from mixlab.chapters.packed_prompts import request as packed_request
from mixlab.chapters.packed_prompts.layouts import influence, layout_scores
from mixlab.chapters.packed_prompts.traces import trace_request
from mixlab.chapters.stage.host import piece
from mixlab.kernels import flex_attention, xformers_attention
from mixlab.transformer import packing
from mixlab.transformer.packed_masks import causal_block_mask, padded_keys_mask
from mixlab.transformer.rope import rope_table, widen

generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## Three prompts, one rectangle
#
# Three people write at once: *My cat chases every mouse*, *The dog next door sleeps all day*,
# *Hello*. Say each word is a token. **Predict:** as rows of one rectangle, how many slots do they
# need, and how many hold padding?

# %% [markdown] slide="notes"
# (2 minutes.) 21 slots, 8 of padding. Common answers: 13, which counts words; 15, three rows of five.

# %% slide="fragment" show="output" alt="Above, three prompts of 5, 7 and 1 words as rows of a rectangle of 21 slots; 8 slots are filled with padding, in pink. Below, the same 13 words end to end in one row, each prompt in its colour. A slider lays the rows down one after the other."
prompts = ["My cat chases every mouse", "The dog next door sleeps all day", "Hello"]
words = [prompt.split() for prompt in prompts]
lengths = [len(prompt) for prompt in words]
slots, total = len(lengths) * max(lengths), sum(lengths)
assert (lengths, slots, total) == ([5, 7, 1], 21, 13)
figures.packing(words, f"{slots} slots as rows, {total} end to end")

# %% [markdown] slide="slide"
# ## What padding wastes
#
# $B$ prompts of $n_1, \dots, n_B$ tokens fill $B \cdot \max n_i$ slots. The share that is padding:
#
# $$1 - \frac{\sum n_i}{B \cdot \max n_i} = 1 - \frac{\text{mean length}}{\text{longest}}$$
#
# For our three, $1 - 13/21$, more than a third. A larger batch is likelier to hold one long prompt,
# and everybody is padded to that one. Sorting prompts by length helps in training; a server can't
# let people wait for others who write as much. Next, eight prompts as people send them, cut into
# tokens by a real tokenizer.

# %%
text_tokens = tokenizer(smollm2())
encode, decode = text_tokens.encode, text_tokens.decode
chat = [
    "Hello!",
    "What is the capital of Australia?",
    "Give me three names for a grey cat.",
    "Translate into French: the train is late again.",
    "Why is the sky blue? Explain it to a child of six.",
    "Correct the spelling: I recieved teh parcel yesterday evning.",
    "Write a haiku about rain on a tin roof.",
    "Summarise this letter in one sentence. Dear neighbours, on Saturday the water will be turned "
    "off from eight in the morning until noon, because the pipe under the bakery has to be "
    "replaced. Please fill a bucket the evening before, don't start a washing machine, and let the "
    "tap run for a minute afterwards until the water is clear again. We are sorry for the trouble "
    "and will bring cake. Your caretakers, Ines and Paul.",
]
chat_ids = [encode(text).ids for text in chat]

# %% slide="slide" show="output" alt="Eight horizontal bars, one a prompt. Seven short prompts fill only the left end of their bar, and the rest is padding, in pink, up to the length of the one long prompt."
chat_lengths = [len(ids) for ids in chat_ids]
share = 1 - np.mean(chat_lengths) / max(chat_lengths)
assert 0.7 < share < 0.85
title = f"One long prompt among eight: {share:.0%} of the slots are padding"
first_words = [f"{text.split()[0]} …" for text in chat]
slots_each, parts = [max(chat_lengths)] * 8, ("tokens", "padding")
figures.used_and_wasted(chat_lengths, slots_each, first_words, parts, title, "slots (tokens)")

# %% [markdown] slide="slide"
# ## Who needs the rows?
#
# Embedding, norms, projections and feed-forward treat every token by itself: they never ask in
# which row it stands. Only attention looks across tokens. So lay the prompts end to end, and tell
# attention what the rows used to say: **which prompt** a token belongs to, and **at which
# position** in it. The *bounds* hold both: prompt $b$ takes the packed places from `bounds[b]` up
# to, and without, `bounds[b + 1]`. (xformers says `seqstart`, FlashAttention `cu_seqlens`.)

# %% slide="same" show="output"
prompt = np.repeat(range(len(lengths)), lengths)
position = np.concatenate([np.arange(n) for n in lengths])
bounds = np.cumsum([0, *lengths])
print("prompt  ", *prompt)
print("position", *position)
print("bounds  ", *bounds)

# %% [markdown] slide="slide"
# ## The mask is made of blocks
#
# Let $i$ and $j$ be places in the pack, and $b_i$ the prompt that place $i$ belongs to. Query $i$
# sees key $j$ when both belong to the same prompt and the key is not later:
#
# $$b_i = b_j \quad\text{and}\quad j \le i$$
#
# Each prompt gets its causal triangle, and the triangles stand along the diagonal: the mask is
# *block-diagonal*. Without $b_i = b_j$ it would be one large triangle, and every prompt would read
# all those before it.


# %%
def mask_loop(lengths):
    mask, start = torch.zeros(sum(lengths), sum(lengths), dtype=torch.bool), 0
    for n in lengths:
        for i in range(start, start + n):
            for j in range(start, i + 1):
                mask[i, j] = True
        start += n
    return mask


def mask_vectorised(lengths):
    prompt = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    index = torch.arange(len(prompt))
    return (prompt[:, None] == prompt) & (index[:, None] >= index)


rng = np.random.default_rng(0)
for _ in range(50):
    some = rng.integers(1, 8, rng.integers(1, 6)).tolist()
    assert torch.equal(mask_loop(some), mask_vectorised(some))
    assert torch.equal(mask_vectorised(some), causal_block_mask(some))
print("loop = vectorised = library, for fifty packs")

# %% slide="slide" show="output" alt="Two masks over the thirteen packed words. One causal triangle: the 47 cells in which a prompt reads another are red. Blocks: three triangles along the diagonal, each in its prompt's colour, nothing red."
triangle = torch.ones(total, total, dtype=torch.bool).tril()
blocks = causal_block_mask(lengths)
crossing = int((triangle & ~blocks).sum())
assert crossing == 5 * 7 + (5 + 7) * 1  # every later token sees every earlier prompt
pictures = {"one triangle": triangle.numpy(), "blocks": blocks.numpy()}
title = f"One triangle lets {crossing} scores cross from prompt to prompt"
packed_masks.leaks(pictures, prompt, [word for row in words for word in row], title)

# %% [markdown] slide="slide"
# ## A real model over a pack
#
# Here is SmolLM2, of Mistral's architecture, layer by layer. It turns queries and keys by an angle
# that grows with the position (RoPE, chapter 04), so it asks for positions, and attention asks for
# a mask. Nothing else knows of prompts.

# %% slide="same" show="code"
model = load(smollm2())
config = model.config


@torch.inference_mode()
def logits_of_pack(tokens, positions, mask):
    """Logits after every packed token: (total, vocab)."""
    table = rope_table(positions, config.head_dim, config.rope_theta)
    cos, sin = widen(*table, dtype=torch.float32)
    x = model.tok_embeddings(tokens)
    for layer in model.layers:  # turn queries and keys, attend under the mask, feed forward
        x = layer(x, cos, sin, partial(packing.masked_attention, mask=mask))
    return model.output(model.norm(x))


# %% [markdown] slide="slide"
# ## Packed = alone
#
# Three letters, each read by itself and all in one pack: every token gets the same logits.

# %% slide="same" show="both"
letters = [
    "Dear doctor, my name is Eleanor Whitcombe.",
    "Paris is the capital of",
    "Dear doctor, my name is Eleanor",
]
mail = packing.pack([encode(letter).ids for letter in letters])
restarting = torch.cat([torch.arange(n) for n in mail.lengths])
packed = logits_of_pack(mail.tokens, restarting, causal_block_mask(mail.lengths))
with torch.inference_mode():  # `model` takes rows; here, rows of one letter each
    alone = [model(part[None])[0] for part in mail.tokens.split(mail.lengths)]
# Logits here reach 20 and more. The same sums in another order differ in the fourth decimal.
assert torch.allclose(packed, torch.cat(alone), atol=2e-3)
print("lengths:", *mail.lengths, "- packed = alone, for all", len(packed), "tokens")

# %% [markdown] slide="slide"
# ## Forget the blocks
#
# Two patients by the name of Eleanor write to the same clinic. The second letter breaks off after
# the first name. Now pack the letters and leave the causal triangle as it is, one for all, with
# positions that simply run on.
#
# **Predict:** how does the model continue the second patient's name?

# %% slide="fragment" show="output"
n, surname = len(mail.tokens), encode(letters[0]).ids[7]  # ' Whit'
running, triangle = torch.arange(n), torch.ones(n, n, dtype=torch.bool).tril()
leaked = logits_of_pack(mail.tokens, running, triangle)
for name, logits in {"alone": alone[-1], "packed": packed, "no blocks": leaked}.items():
    chances = logits[-1].softmax(-1)
    best = decode([int(chances.argmax())])
    print(f"{name:<10} next: {best!r:<8} chance of ' Whit': {float(chances[surname]):.1f}")
assert leaked[-1].argmax() == surname

# %% [markdown] slide="notes"
# (3 minutes; common answers: with any surname; with nonsense, or an error.)
# Without blocks the model completes the second patient's name with the first one's: *Whitcombe*. It
# did what it was trained for, it read on in what it took for one text. On a server these are two
# customers. Nothing crashed, every shape was right, and a test with one prompt would have passed.

# %% [markdown] slide="slide"
# ## A test for leaks
#
# Change one token of one letter, and see whose logits move. Own ones should. Others must not, not
# even in the last digit: a hidden key has weight 0, exactly.

# %% slide="same" show="output" alt="Two three by three tables. Rows: which letter is changed; columns: whose logits move. One triangle: the diagonal and everything right of it is filled, red where a later letter moved. Blocks: only the diagonal is filled, all else is 0."
ways = {
    "one triangle": dict(positions=running, mask=triangle),
    "blocks": dict(positions=restarting, mask=causal_block_mask(mail.lengths)),
}
moved = {
    name: influence(partial(logits_of_pack, **way), mail, surname) for name, way in ways.items()
}
assert (moved["blocks"][~np.eye(3, dtype=bool)] == 0).all()
assert (moved["one triangle"][np.triu_indices(3)] > 0.1).all()
title = "Without blocks, a letter moves the logits of all later ones"
packed_masks.influence(moved, ["letter 0", "letter 1", "letter 2"], title)

# %% [markdown] slide="slide"
# ## Forget the positions
#
# Now keep the blocks, but number the tokens 0, 1, 2, … through the whole pack, as if positions
# never started anew.
#
# **Predict:** how far off are the logits? And after one more token, which the model writes with the
# cached keys, at its own letter's position?

# %% slide="fragment" show="output"
wrong = logits_of_pack(mail.tokens, running, causal_block_mask(mail.lengths))
assert torch.allclose(wrong, packed, atol=2e-3)
print("reading the letters: no difference")
longer = torch.cat([mail.tokens, alone[-1][-1:].argmax(-1)])  # the last letter goes on
last = mail.lengths[-1]  # the new token's position; keys before it stay turned as they were read
mask = causal_block_mask([*mail.lengths[:-1], last + 1])
right = logits_of_pack(longer, torch.cat([restarting, torch.tensor([last])]), mask)[-1]
wrong = logits_of_pack(longer, torch.cat([running, torch.tensor([last])]), mask)[-1]
print("one token later: off by more than 5?", bool((wrong - right).abs().max() > 5))

# %% [markdown] slide="notes"
# (4 minutes; common answers: both are far off; neither is.)
# RoPE turns query and key by their own angles, and a score depends on the difference alone. Inside
# a block all positions are shifted alike: the shift cancels. So the mistake survives every test
# that only reads prompts. It shows at the first token that is written, because that one counts its
# own letter, while the cached keys were turned by the count of the pack. In a model with learnt,
# absolute positions it would have shown at once.

# %% [markdown] slide="slide"
# ## What gets computed?
#
# A mask hides scores that were computed before (chapter 02). **Predict:** which computes the most:
# padded rows, a pack under one mask, or a pack block by block?

# %% slide="fragment" show="output" alt="Three bars of scores that are computed. In each the same 44 are seen by a token. Padded rows compute 103 more, 147 in all; the pack under one mask 125 more, 169 in all; the pack block by block 31 more, 75 in all."
scores = layout_scores(lengths)
computed = {name: int(picture.sum()) for name, (picture, _) in scores.items()}
assert list(computed.values()) == [3 * 7**2, 13**2, 5**2 + 7**2 + 1]
assert {int((used > 0).sum()) for _, used in scores.values()} == {int(blocks.sum())} == {44}
title = "A pack under one mask computes more scores than padding did"
figures.used_and_wasted(
    [44] * 3, list(computed.values()), list(computed), ("seen", "for nothing"), title, "scores"
)

# %% [markdown] slide="notes"
# (3 minutes; common answers: padded rows, for their padding; all the same.)
# $B \max(n)^2$, $(\sum n)^2$ and $\sum n^2$ scores. The middle one grows with the square of
# *everyone's* tokens. So the mask must not be a table that is applied afterwards: it must be a
# description by which a kernel skips. That is why xformers' masks are objects made of lengths, and
# why the library hands each block to the banded kernel of chapter 02 on a CPU.

# %% slide="slide" show="output" alt="Two bars of processor time. The padded rows take about four times as long as the packed tokens."
rows = pad_sequence([torch.tensor(ids) for ids in chat_ids], batch_first=True)
batch, threads = packing.pack(chat_ids), torch.get_num_threads()
torch.set_num_threads(1)
with torch.inference_mode():
    clock = [time.process_time()]
    as_rows = model.hidden(rows)  # padding stands on the right, where no causal token looks
    clock.append(time.process_time())
    as_pack = model.extend(batch.tokens, model.init_state(len(chat)), batch.lengths)
    clock.append(time.process_time())
torch.set_num_threads(threads)
real = torch.arange(max(chat_lengths)) < torch.tensor(chat_lengths)[:, None]
assert torch.allclose(as_rows[real], as_pack, rtol=1e-3, atol=2e-2)
names = [f"{rows.numel()} slots as rows", f"{len(batch.tokens)} packed tokens"]
seconds = dict(zip(names, np.diff(clock).round(2).tolist(), strict=True))  # as they are labelled
assert seconds[names[1]] < seconds[names[0]] / 2
title = f"Rows take {seconds[names[0]] / seconds[names[1]]:.1f} times as long as the pack"
figures.clock(seconds, title)

# %% [markdown] slide="slide"
# ## The cache, in four sentences
#
# An answer is written token by token, and each new token attends to all before it, so their keys
# and values are kept: the *cache*. Under a window $W$ only the last $W$ can still be seen, so it is
# a *ring* of $W$ slots, and the token at position $p$ overwrites slot $p \bmod W$. Prompts are read
# first (*pre-fill*), long ones in *chunks*, to bound memory. A chunk sees keys from the ring and
# its own.
#
# So a request meets three masks. xformers, whose kernels Mistral's code calls, has names for them.

# %% slide="slide" show="output" alt="A diagram from left to right, with a bar over each key: from the ring, or the chunk's own. First chunk: nine by nine, three triangles on the diagonal, all keys own. An arrow to later chunks: four queries over eight keys, in each prompt two from the ring, then its own. An arrow to decoding: three queries over nine keys, all from three rings. Under each stands xformers' mask."
passes = trace_request(lengths, window=3, chunk_size=4, n_decode=4)
assert [one.stage for one in passes[:3]] == ["first chunk", "later chunk", "decode"]
title = "A request meets three masks, by where its keys come from"
packed_request.life(passes[:3], [f"{prompt[0]} …" for prompt in words], title)

# %% [markdown] slide="notes"
# $W = 3$, chunks of 4; numbers are positions in the prompt. **First chunk**: queries and keys are
# the same tokens, so blocks are square. **Later chunks**: one token of the first prompt, three of
# the second, each after two keys from the ring, put back in order (no new query sees an older one).
# Blocks are wider than high. *Hello* has ended. **Decoding**: one query a prompt, over the slots of
# its ring in whatever order; an empty one (–) is hidden. What left the window was overwritten.
# "Mistral 7B" (section 2, figure 3) draws a later chunk of one prompt.

# %% [markdown] slide="slide"
# ## In xformers' words
#
# A mask there is an object made of lengths: how many queries and keys each prompt has.
# `materialize` turns it into a table of 0 and $-\infty$ to look at, on any machine; the attention
# kernel itself runs on CUDA GPUs only. (xformers isn't made for macOS: there you see our masks
# alone.)

# %% slide="same" show="code"
xformers, theirs = xformers_attention.masks(), {}  # None where it isn't installed
new, with_ring = [1, 3], [3, 5]  # later chunks: tokens, and keys, of which two are the ring's
in_use = [3, 3, 2]  # decoding: how many of a ring's three slots are filled
if xformers:
    blocks_of = xformers.BlockDiagonalMask.from_seqlens
    rings_of = xformers.BlockDiagonalCausalWithOffsetPaddedKeysMask.from_seqlens
    first = xformers.BlockDiagonalCausalMask.from_seqlens([4, 4, 1])
    theirs = {
        "first chunk": first.make_local_attention(3),
        "later chunks": blocks_of(new, with_ring).make_local_attention_from_bottomright(3),
        "decoding": rings_of([1, 1, 1], 3, in_use),
    }
ours = {
    "first chunk": causal_block_mask([4, 4, 1], window=3),
    "later chunks": causal_block_mask(new, with_ring, window=3),
    "decoding": padded_keys_mask([1, 1, 1], in_use, 3),
}

# %%
for mask, one in zip(ours.values(), passes[:3], strict=True):
    assert (mask.numpy() == one.mask).all()  # the diagram's, of the library's own cache
for name, bias in theirs.items():
    assert torch.equal(bias.materialize(ours[name].shape) == 0, ours[name])
    print(f"{name:<13} ours = xformers', all {ours[name].numel()} cells: {type(bias).__name__}")
whole_ring = causal_block_mask(new, [4, 6], window=3)  # three cached keys each, not two
assert not whole_ring[:, [0, 4]].any()  # nobody sees the oldest

# %% [markdown] slide="notes"
# Read a name from behind: a *Mask* of *PaddedKeys*, because each ring has the same number of slots,
# filled or not; *WithOffset*, because the queries are the last of the tokens; *Causal* blocks on
# the *Diagonal*. `BlockDiagonalMask` alone is not causal at all: it becomes so by
# `make_local_attention_from_bottomright`. The library's tests compare hundreds of random requests
# besides the one you see. In Mistral's code the three stand in `cache.py`, `get_input_metadata`; to
# a later chunk it hands all $W$ keys of the ring, of which the mask hides the oldest.

# %% [markdown] slide="slide"
# ## Pass by pass
#
# The masks that the library's cache meets while it reads our prompts, in chunks of 4, and writes four
# tokens to each. **Predict:** in which pass do the keys of a prompt stop standing in order?
#
# Step or play; point at a query; type prompts of your own, drag window and chunk.

# %% [markdown] slide="notes"
# (3 minutes.) In the third, the first that writes: *day* and the new token lie in slots 0 and 1, *all* in slot 2.
# Common answers: the second, because it reads from rings (but a chunk's keys are put in order first);
# never.


# %% slide="slide" show="output" alt="Above, the words of three prompts: orange frames around the three new tokens, grey what has left the window. Below, the first pass that writes: three queries over the slots of three rings, which hold positions 3 4 5, then 6 7 5, then 0, 1 and an empty slot. Each query sees its own ring. Steps show all six passes, from nine queries of the first chunk on."
def in_order(one):
    prompts = [one.key_position[one.key_prompt == prompt] for prompt in range(3)]
    return all((np.diff(keys[keys >= 0]) > 0).all() for keys in prompts)


assert [in_order(one) for one in passes[:3]] == [True, True, False]
assert passes[2].key_position.tolist() == [3, 4, 5, 6, 7, 5, 0, 1, -1]
title = "Chunks have their keys in order, a ring as they lie"
piece("requests", title, text=" / ".join(prompts), window=3, chunk=4, step=3)

# %% [markdown] slide="slide"
# ## The wrong corner
#
# xformers' `make_local_attention` counts queries from a block's first key;
# `make_local_attention_from_bottomright` lets them end where the keys end. A chunk of 3 follows 4
# cached keys, $W = 3$. **Predict:** which keys does its first query see in each?

# %% slide="fragment" show="output" alt="Two masks of three queries over seven keys. Top-left: the queries see keys 0 to 2, the first marked red as too old, and the cells of their own keys are empty. Bottom-right: a blue band ends at the lower right corner."
right = causal_block_mask([3], [7], window=3)
wrong = causal_block_mask([3], [7], window=3, align="top_left")
if xformers:
    chunk = blocks_of([3], [7])
    assert (chunk.make_local_attention(3).materialize((3, 7)) == 0).equal(wrong)
    assert (chunk.make_local_attention_from_bottomright(3).materialize((3, 7)) == 0).equal(right)
pictures = {"make_local_attention": wrong.numpy(), "… _from_bottomright": right.numpy()}
packed_masks.alignment(pictures, right.numpy(), "Top-left alignment hides a chunk's own keys")

# %% [markdown] slide="notes"
# (3 minutes; common answers: 2, 3, 4 in both; all seven.)
# Among $m$ keys, query $r$ of $n$ stands at position $m - n + r$: here query 0 at $7 - 3 + 0 = 4$,
# and it sees 2, 3 and 4. Top-left forgets the $m - n$ cached keys: query 0 sees one token that is
# too old, and not itself. With as many keys as queries the two agree. There is no error, only an answer from stale keys: in the next cell the model counts to
# nine, and reads the last three tokens as a chunk. With the right mask it says *ten*.

# %%
tokens = torch.tensor(encode("One, two, three, four, five, six, seven, eight, nine,").ids)
n = len(tokens)
for align in ("bottom_right", "top_left"):
    mask = torch.ones(n, n, dtype=torch.bool).tril()
    mask[-3:] = causal_block_mask([3], [n], align=align)  # a chunk of 3 after all others
    best = int(logits_of_pack(tokens, torch.arange(n), mask)[-1].argmax())
    print(f"{align:<12} next: {decode([best])!r}")

# %% [markdown] slide="slide"
# ## The mask as a function
#
# PyTorch's FlexAttention takes the rule itself: a function from batch, head, query and key, as
# tensors of numbers, to *seen or not*. Compiled for a GPU it becomes part of the kernel; on a CPU
# we can evaluate it on a grid. `create_block_mask` does so too, and notes which tiles of 128 × 128
# hold any visible cell. The others are never computed. Next, three longer prompts with $W = 256$,
# under the library's rule, which also knows of windows and of keys before a chunk.

# %% slide="same" show="both"
prompt_of = torch.from_numpy(prompt)


def sees(batch, head, query, key):
    return (prompt_of[query] == prompt_of[key]) & (query >= key)


assert sees(0, 0, torch.arange(total)[:, None], torch.arange(total)).equal(blocks)

# %% slide="slide" show="output" alt="A grid of 16 by 16 tiles of 128 tokens. Most are empty, skipped. Along the diagonal, inside three outlined prompts, lie light blue tiles under the mask and a few dark ones that are seen whole."
long = [300, 900, 848]
rule = flex_attention.packed_rule(long, long, window=256)
found = create_block_mask(rule, None, None, 2048, 2048, device="cpu")
cut = causal_block_mask(long, window=256).unflatten(1, (16, 128)).unflatten(0, (16, 128))
state = cut.any(3).any(1).int() + cut.all(3).all(1)  # (query tiles, key tiles)
assert torch.equal(found.to_dense()[0, 0] > 0, state > 0)
title = f"FlexAttention computes {int((state > 0).sum())} of {state.numel()} tiles"
packed_masks.tiles(state.numpy(), 128, np.cumsum(long).tolist(), title)

# %%
q = torch.randn(8, 9, 64)  # 8 queries of three prompts, 9 heads
k, v = torch.randn(2, 16, 3, 64)  # 16 keys, 3 heads: each serves three of the queries' heads
request = [1, 3, 4], [3, 5, 8], 3
flex = flex_attention.packed_attention(q, k, v, *request)
for attend in (packing.packed_attention_dense, packing.packed_attention):
    assert torch.allclose(flex, attend(q, k, v, *request), atol=1e-5)
print("FlexAttention = one mask over everything = prompt by prompt")

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Padding wastes $1 - \text{mean}/\text{longest}$. Packed prompts need none: only attention must
#    know which prompt a token belongs to, and RoPE its position there.
# 2. Three masks by where keys come from: causal blocks for the first chunk, blocks aligned
#    bottom-right for later ones, padded rings for decoding, where the ring is the window.
# 3. A wrong mask raises nothing. Test it: packed = alone, and no prompt moves another.

# %% [markdown]
# ## Self-test
#
# 1. Prompts of 10, 10, 10 and 50 tokens: what share of their rectangle is padding?
# 2. Why must a chunk's keys come in order, and a single token's need not?
# 3. When does `make_local_attention` do no harm?
# 4. Positions run on through the pack: what finds the mistake?
#
# <details><summary>Answers</summary>
#
# 1. $1 - 20/50 = 60\,\%$.
# 2. A chunk's mask counts by columns; one token sees every slot in use.
# 3. With as many keys as queries in each block.
# 4. The first token that is written.
#
# </details>
#
# **Next.** *One feed-forward for every token, or two of eight?* First
# [the exercises](../work/06_packed_prompts.ipynb), then [chapter 07](07_sparse_moe.ipynb).

# %% [markdown] to="exercise"
# # 06 · Packed prompts: exercises
#
# Six exercises on [the lesson](../course/06_packed_prompts.ipynb), about 65 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("06.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="06.1" role="prompt" title="Positions and bounds" difficulty=1 minutes=8 points=2
# A pass brings `lengths[b]` new tokens to prompt `b`, which has `seen[b]` tokens already. Both are
# lists of whole numbers. Return two lists, arrays or tensors of whole numbers: the position of each
# packed token in its own prompt, and the bounds of the prompts in this pack, from 0 to the number
# of packed tokens. With `seen = [4, 0]` and `lengths = [2, 3]`: `[4, 5, 0, 1, 2]` and `[0, 2, 5]`.
# A prompt that has ended brings 0 tokens, and keeps its place among the bounds.


# %% exercise="06.1" role="answer"
def layout(seen, lengths):
    """(positions, bounds) of the new tokens of all prompts, packed."""
    ### BEGIN SOLUTION
    positions, bounds = [], [0]
    for past, n in zip(seen, lengths, strict=True):
        positions += range(past, past + n)
        bounds.append(bounds[-1] + n)
    return positions, bounds
    ### END SOLUTION


# %% exercise="06.1" role="check"
check("06.1", layout)

# %% [markdown] exercise="06.2" role="prompt" title="The mask of any chunk" difficulty=2 minutes=12 points=3
# Write the mask of packed prompts under a window, True where the row's query sees the column's key.
# Prompt `b` has `q_lengths[b]` queries (at least 1) and `k_lengths[b]` keys (at least as many), of
# which the queries' own are the last. A query sees a key of its own prompt if the key is 0 to
# `window - 1` steps back. The shape is (sum of `q_lengths`, sum of `k_lengths`).


# %% exercise="06.2" role="answer"
def packed_mask(q_lengths, k_lengths, window):
    """Block-diagonal mask of truth values, aligned bottom-right in each block."""
    ### BEGIN SOLUTION
    mask = torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)
    row = column = 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        distance = torch.arange(m - n, m)[:, None] - torch.arange(m)
        mask[row : row + n, column : column + m] = (distance >= 0) & (distance < window)
        row, column = row + n, column + m
    return mask
    ### END SOLUTION


# %% exercise="06.2" role="check"
check("06.2", packed_mask)

# %% [markdown] exercise="06.3" role="prompt" title="Decoding from rings" difficulty=3 minutes=15 points=4
# Every sequence owns a ring of `slots` slots; its token at position $p$ is written to slot
# `p % slots`, over whatever was there. Sequence `b` has `seen[b]` tokens (at least 1), all written,
# at positions 0 to `seen[b] - 1`. The last is the query. It sees the keys 0 to `window - 1` steps
# back. `window` may be *smaller* than `slots`, never larger: a slot may hold a key that is too old.
# Return the mask, one row a sequence; its columns are the slots of the first ring, then of the
# second, and so on.


# %% exercise="06.3" role="answer"
def decode_mask(seen, slots, window):
    """Which slots of all rings the newest token of each sequence sees."""
    ### BEGIN SOLUTION
    mask = torch.zeros(len(seen), len(seen) * slots, dtype=torch.bool)
    for row, n in enumerate(seen):
        for position in range(max(0, n - window), n):
            mask[row, row * slots + position % slots] = True
    return mask
    ### END SOLUTION


# %% exercise="06.3" role="check"
check("06.3", decode_mask)

# %% [markdown] exercise="06.4" role="prompt" title="Find the bug: a rule for FlexAttention" difficulty=3 minutes=12 points=3
# `packed_rule` should return FlexAttention's rule for the masks of exercise 06.2. `query` and `key`
# are tensors of places in the pack, of any shapes that broadcast. The function has two mistakes.
# One lets a token into a neighbouring prompt, the other shows only when some keys come from a
# cache. Find and mend both.
#
# ```python
# def packed_rule(q_lengths, k_lengths, window):
#     q_ends = torch.tensor(q_lengths).cumsum(0)
#     k_ends = torch.tensor(k_lengths).cumsum(0)
#
#     def sees(batch, head, query, key):
#         q_prompt = torch.bucketize(query, q_ends)
#         k_prompt = torch.bucketize(key, k_ends)
#         distance = query - key
#         return (q_prompt == k_prompt) & (distance >= 0) & (distance < window)
#
#     return sees
# ```


# %% exercise="06.4" role="answer"
def packed_rule(q_lengths, k_lengths, window):
    """A function sees(batch, head, query, key) of truth values."""
    q_ends = torch.tensor(q_lengths).cumsum(0)
    k_ends = torch.tensor(k_lengths).cumsum(0)

    def sees(batch, head, query, key):
        ### BEGIN SOLUTION
        q_prompt = torch.bucketize(query, q_ends, right=True)
        k_prompt = torch.bucketize(key, k_ends, right=True)
        distance = (k_ends[k_prompt] - key) - (q_ends[q_prompt] - query)
        ### END SOLUTION
        return (q_prompt == k_prompt) & (distance >= 0) & (distance < window)

    return sees


# %% exercise="06.4" role="check"
check("06.4", packed_rule)

# %% [markdown] exercise="06.5" role="prompt" title="Predict the waste" difficulty=1 minutes=8 points=2
# A server takes prompts in the order in which they come, `batch` at a time; the last batch takes
# what is left. Each batch is padded to its own longest prompt. Which share of all slots, over all
# batches together, holds padding? Return a number between 0 and 1. For `lengths = [3, 5, 2]` and
# `batch = 2` the rectangles have 10 and 2 slots, and the share is 2 / 12.


# %% exercise="06.5" role="answer"
def padded_share(lengths, batch):
    """Share of padding among all slots of all batches."""
    ### BEGIN SOLUTION
    slots = 0
    for start in range(0, len(lengths), batch):
        rows = lengths[start : start + batch]
        slots += len(rows) * max(rows)
    return 1 - sum(lengths) / slots
    ### END SOLUTION


# %% exercise="06.5" role="check"
check("06.5", padded_share)

# %% [markdown] exercise="06.6" role="prompt" title="Prove by test: are prompts kept apart?" difficulty=2 minutes=12 points=4
# `layer(tokens, lengths)` is one layer of a model over packed prompts: token ids of shape (total,),
# each from 0 to 49, and a list with the length of each prompt, to numbers of shape (total, 4).
# Write `keeps_apart(layer)`: True if each prompt gets in a pack what it would get alone, to
# rounding, and False otherwise. The check hands it layers that are right in different ways, and
# layers that leak, some of them only in packs of a certain kind. Which kinds are worth trying is
# for you to find.


# %% exercise="06.6" role="answer"
def keeps_apart(layer):
    """Whether packed = alone, for all packs worth trying."""
    ### BEGIN SOLUTION
    for lengths in ([3, 1, 5, 3], [2, 6], [1, 1, 4]):
        tokens = torch.arange(sum(lengths))  # no two alike
        alone = [layer(part, [len(part)]) for part in tokens.split(lengths)]
        if not torch.allclose(layer(tokens, lengths), torch.cat(alone)):
            return False
    return True
    ### END SOLUTION


# %% exercise="06.6" role="check"
check("06.6", keeps_apart)
