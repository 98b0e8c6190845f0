# %% [markdown] slide="slide"
# # 05 · Chunked pre-fill
#
# *How is a long prompt read in pieces, so that nobody can tell?*

# %% [markdown] slide="slide"
# **The problem.** A prompt of 32,768 tokens is there at once. In one pass, a plain kernel writes
# down $32{,}768^2$ scores for each of Mistral 7B's 32 heads: 64 GiB in fp16, layer after layer.
# Token by token, all seven billion weights are fetched 32,768 times. Between the two lie *chunks*
# of some hundred tokens, read one after the other over the ring of chapter 04. Whatever their size,
# the answer must be the same. In six public engines it wasn't, in nine ways that you will meet.

# %% [markdown]
# **You will be able to** say which keys each query of a chunk needs, and draw its mask; count what
# a chunk loses when it is written too early, and what it computes in vain; choose a chunk size from
# a machine's two limits; carry log-probabilities across a border; find nine real faults with one
# test.
#
# **You need** the window's rule from [chapter 02](02_sliding_window.ipynb), and from
# [chapter 04](04_rolling_cache.ipynb) the ring: slot $p \bmod W$, keys turned by their position.
#
# **Time**: 50 minutes, and an hour for the exercises in
# [work/05_chunked_prefill.ipynb](../work/05_chunked_prefill.ipynb), your copy of
# [these](../exercises/05_chunked_prefill.ipynb).

# %%
from itertools import product

import numpy as np
import torch

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.chunked_prefill import figures
from mixlab.chapters.chunked_prefill.faults import with_fault
from mixlab.chapters.chunked_prefill.figures import CACHED, HIDDEN, LOST, OWN, UNUSED, Grid
from mixlab.chapters.chunked_prefill.traces import pass_costs
from mixlab.chapters.stage.host import piece
from mixlab.traces.rolling_cache import trace_prefill
from mixlab.transformer.attention import dense_attention
from mixlab.transformer.packing import pack
from mixlab.transformer.rope import rope_table, rotate
from mixlab.transformer.window import n_visible_pairs, visible, window_mask

torch.set_num_threads(1)  # for times that can be compared
generator = torch.manual_seed(0)
model = load(smollm2())  # 30 layers, Mistral's architecture
text_tokenizer = tokenizer(smollm2())

# %% [markdown] slide="slide"
# ## Four words, four words, three
#
# Reading a prompt is called *pre-fill*, writing the answer *decoding*. Say each word is a token,
# $W = 4$, and a chunk has four tokens:
#
# *Can you tell me · who is the richest · man in history*
#
# When the third chunk arrives, the ring holds *who is the richest*. **Predict:** which words does
# *man* see? And which word of the ring is seen by none of the three?

# %% slide="fragment"
prompt = "Can you tell me who is the richest man in history".split()
for chunk in torch.arange(11).split(4)[1:]:  # positions: 4–7, 8–10
    for i in chunk.tolist():
        seen = [j for j in range(11) if 0 <= i - j < 4]
        ring = " ".join(prompt[j] for j in seen if j < chunk[0])
        own = " ".join(prompt[j] for j in seen if j >= chunk[0])
        print(f"{prompt[i]:>8} sees  {ring:<15} | {own}")

# %% [markdown] slide="notes"
# *man* sees *is the richest* and itself; *who* has left every window. Usual wrong answers: all of
# the ring (that would be five keys with its own), and *richest* alone, "the last one". Three
# minutes.
#
# Prompt and chunks are those of a well-known lecture on Mistral. So a chunk needs $W - 1$ of the
# ring's $W$ keys. Mistral's own code hands all $W$ to the kernel (mistral-inference, `cache.py`,
# `interleave_kv`), and the mask hides the oldest from everybody.

# %% slide="slide" show="output" alt="Four masks from left to right. First chunk: four queries over their own four keys, an orange triangle. Second chunk: four queries over four keys of the ring, of which the oldest column is hidden from all, and four of their own. Third chunk: three queries over four and three keys. Decoding: one query, which sees all four slots."
chunks = trace_prefill(n_tokens=11, window=4, chunk_size=4)  # the library's own cache
panels = [figures.chunk_grid(c, prompt, f"chunk {n}") for n, c in enumerate(chunks, start=1)]
seen = np.vstack([chunk.sees for chunk in chunks])
assert (seen == window_mask(11, window=4).numpy()).all()
assert seen.sum() == n_visible_pairs(11, 4) == 10 + 16 + 12 == 38
assert [(p.cells[:, 0] == HIDDEN).all() for p in panels[1:]] == [True, True]  # the oldest
slots = [*prompt[8:], "?"]  # the answer's first token, position 11, has taken slot 3
panels.append(Grid(np.array([[CACHED] * 3 + [OWN]]), "<b>decoding</b>: 1 × 4", "", ["?"], slots))
figures.grids(panels, "Whole or in chunks, the same 38 pairs are seen")

# %% [markdown] slide="notes"
# The three regimes of a request. **First chunk**: no ring yet, a causal triangle. **Later chunks**:
# [the ring, oldest first | the chunk], under the window's band. **Decoding**: one query that has
# written its own key first; the ring is its window, and no mask is left.
#
# Three questions that students ask. *Why is the mask wider than the ring?* Because four queries
# together see $W - 1 + 4$ keys. *Why read first here and write first there?* See below. *Does a
# larger chunk see more?* No: the mask decides, and a chunk is only a way to share the work.

# %% [markdown] slide="slide"
# ## A chunker, in one head
#
# A chunk reads [the ring, in order | itself] and is then written. The gallery's faults will
# all sit in these lines.


# %% slide="same"
def attend(q, keys, values, mask):
    scores = q @ keys.T / q.shape[1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(1) @ values


def read(q, k, v, window, size):
    """One head, (seq, head_dim) each, in chunks of `size` tokens."""
    ring, out = torch.zeros(2, window, q.shape[1]), []  # keys and values
    for at in torch.arange(len(q)).split(size):  # the chunk's positions
        start, end = int(at[0]), int(at[-1]) + 1
        oldest = max(0, start - window + 1)
        held, seen = torch.arange(oldest, start), torch.arange(oldest, end)
        rope = rope_table(at, q.shape[1])  # how far each position turns
        new = torch.stack((rotate(k[at], *rope), v[at]))
        keys, values = torch.cat((ring[:, held % window], new), dim=1)
        mask = visible(at[:, None], seen, window)
        out.append(attend(rotate(q[at], *rope), keys, values, mask))
        ring[:, at[-window:] % window] = new[:, -window:]  # of a longer chunk, the end
    return torch.cat(out)


# %% [markdown] slide="slide"
# ## Any chunking = whole
#
# That is all we want of it, so that is the test: random queries, keys and values, many lengths and
# windows, and **every** chunk size. A chunk of 1 is decoding that reads first. Of one longer than
# $W$, the late queries see nothing of the ring, and only the last $W$ keys are kept.


# %% slide="same"
def whole(q, k, v, window):
    rope = rope_table(torch.arange(len(q)), q.shape[1])
    q, k = rotate(q, *rope), rotate(k, *rope)
    return dense_attention(q[None, None], k[None, None], v[None, None], window)[0, 0]


def same(reader, length, window, size):
    q, k, v = torch.randn(3, length, 8, generator=torch.manual_seed(length))
    return torch.allclose(reader(q, k, v, window, size), whole(q, k, v, window), atol=1e-4)


for length in (1, 2, 5, 17):
    for window in range(1, length + 2):
        for size in range(1, length + 2):
            assert same(read, length, window, size)
print("in chunks = whole, for every window and every chunk size")

# %% slide="slide" show="output" alt="A prompt of eleven words above a mask over seven keys, in chunks of three. The third chunk, the richest man, has come down from the prompt; before it stand the three newest keys, lifted from a ring of four slots on the left and put in order. Cells show what each of the three queries sees."
for window, size in product(range(1, 7), repeat=2):  # as far as both can be dragged
    for chunk in trace_prefill(len(prompt), window, size):
        first, last = chunk.positions[0], chunk.positions[-1]
        assert chunk.unrotated == tuple(range(max(0, first - window + 1), first))
        assert set(chunk.held) - {-1} == set(range(max(0, last - window + 1), last + 1))
title = "A chunk reads the ring in order, then itself, and is written last"
piece("chunks", title, text=" ".join(prompt), window=4, size=3, step=5)

# %% [markdown] slide="notes"
# Step through it. Words come down from the prompt and stand behind those of the ring; the mask
# forms; then the chunk falls into its slots, over what has left the window. In chunks of three over
# four slots a chunk lands across the wrap (slots 3, 0, 1), so the ring's order is not the text's,
# and reading means to unrotate. Drag both sizes, and type a prompt of your own. The page computes
# what you see; the cell asserts the rule on the library's own cache.

# %% [markdown] slide="slide"
# ## What writing first would lose
#
# Chapter 04 wrote a chunk first, and its first query missed keys. How many pairs are lost? The ring
# holds $W$ keys, and a chunk of three arrives, $W \ge 3$. Once it is written, the ring holds just
# what its **last** query sees. The one before sees one key more, to the left; the first sees two
# more:
#
# $$2 + 1 + 0 = 3 \qquad\text{and in general}\qquad \sum_{r=1}^{n} (n - r) = \frac{n(n-1)}{2}$$
#
# **Predict:** what is lost for $n$ = 1, 2, 4 and 8?

# %% slide="fragment" myth="A chunk may be written into the ring before it attends, as a token is" said="MLX-examples 931, transformers 37574 and kin" truth="The chunk's last tokens push out keys that its first still need: n(n − 1)/2 pairs are lost in a chunk of n ≤ W. That is 0 for one token, so decoding hides it."
for n in (1, 2, 4, 8):
    for window in range(n, 20):  # a full ring, and then a chunk that fits into it
        chunk = range(40, 40 + n)
        kept = range(40 + n - window, 40 + n)  # once the chunk has been written
        lost = sum(0 <= i - j < window and j not in kept for i in chunk for j in range(48))
        assert lost == n * (n - 1) // 2
    print(f"a chunk of {n} loses {lost} pairs")

# %% slide="slide" show="output" alt="A mask of four queries over eight keys, W = 4. In the left half, the ring's keys, six cells form an orange-red triangle: needed and overwritten. In the right half the chunk's own triangle of ten cells is still found."
needs = window_mask(4, n_keys=8, window=4).numpy()  # positions 4 to 7 over 0 to 7
overwritten = np.arange(8) < 4
cells = np.where(needs, np.where(overwritten, LOST, OWN), HIDDEN)
assert [(cells == kind).sum() for kind in (LOST, OWN)] == [6, 10]
found = Grid(cells, "written first, then read", "", prompt[4:8], prompt[:8])
figures.grids([found], "Written first, a chunk of 4 loses a triangle of 6 pairs", height=470)

# %% [markdown] slide="notes"
# 0, 1, 6, 28 (two minutes). Wrong answers: $n^2/2$ (the diagonal is not lost), "none for 2". With
# $n = 1$ nothing is lost: that is why decoding may write first, and copies nothing. Over a full ring
# every longer chunk must read first. An engine tested by writing one token at a time never sees the
# difference.

# %% [markdown] slide="slide"
# ## Computed and thrown away
#
# Each query sees $W$ keys, once a text is long enough. But a plain matrix product scores all $n$
# queries of a chunk against all $W - 1 + n$ keys, and the mask hides the rest. Take $W = 4$, $n =
# 4$: $4 \cdot 7 = 28$ scores, $4 \cdot 4 = 16$ of them of use. In general
#
# $$\text{useful share} = \frac{n\,W}{n\,(W - 1 + n)} = \frac{W}{W - 1 + n}$$
#
# **Predict:** Mistral's paper suggests $n = W = 4096$. Which share is of use? And with $n = 512$?

# %% slide="fragment"
for n in (4096, 512, 256):
    print(f"chunks of {n:>5,}: {4096 / (4096 - 1 + n):.1%} of the scores are of use")

# %% slide="slide" show="output" alt="Three rectangles of scores for a window of eight. Chunks of 2: eighteen scores, 16 of them used. Chunks of 4: 44 scores, 32 used. Chunks of 8: 120 scores, 64 used; the rest, two pink triangles, is thrown away."
panels = []
for n in (2, 4, 8):
    band = window_mask(n, 8 - 1 + n, window=8).numpy()
    own = np.arange(8 - 1 + n) >= 8 - 1
    cells = np.where(band, np.where(own, OWN, CACHED), UNUSED)
    assert band.sum() == 8 * n
    title = f"<b>chunks of {n}</b>: {band.mean():.0%} of use"
    panels.append(Grid(cells, title, f"{band.sum()} of {band.size} scores"))
assert [round(100 * (p.cells != UNUSED).mean()) for p in panels] == [89, 73, 53]
title = "The larger the chunk, the more scores are thrown away"
figures.grids(panels, title, left=0.6, heads=0.6, gap=1.6)

# %% [markdown] slide="notes"
# 50.0%, 88.9%, 94.1% (two minutes). Wrong answers: 100% ("the chunk fits the window"), and 25%.
# "Mistral 7B", section 2, "Pre-fill and Chunking": the window size itself may be taken as the chunk
# size. Half would be wasted, if the kernel weren't *banded*: the kernels of chapter 02 and
# flash-attn skip what the mask hides, and waste only at the band's two edges.

# %% [markdown] slide="slide"
# ## Two limits
#
# What else does a chunk's size change? **Memory**: everything that a pass holds grows with $n$:
# scores, if a kernel writes them down, and the feed-forward's wide vectors. **Time**: a pass
# fetches each weight from memory *once*, and multiplies it with all $n$ tokens. While fetching
# takes longer than multiplying, more tokens cost next to nothing.
#
# **Predict:** SmolLM2 reads one token, and then a chunk of 16. How many times as long does the
# chunk take: once, 4 times, 16 times?

# %% slide="fragment" volatile=true
score = 32 * 2  # bytes for one query and one key: 32 heads, fp16
assert 32_768**2 * score == 64 * 2**30  # whole
assert 4096 * (4096 + 4096) * score == 2 * 2**30  # a chunk and all of the ring: a 32nd
model.set_window(128)
sizes = [1, 4, 16, 64, 256]
passes, megabytes = pass_costs(model, sizes, held=128)
print(f"16 tokens take {passes[2] / passes[0]:.1f} times as long as one")

# %% slide="slide" show="output" alt="Two logarithmic panels against chunk sizes from 1 to 256. Left, time a token: the measured line falls steeply at first and then flattens; a falling dashed line shows fetching alone, a level dotted one multiplying alone. Right, memory of a pass: it climbs, from 64 to 256 tokens in proportion."
each = [taken / n for taken, n in zip(passes, sizes, strict=True)]
assert passes[2] < 10 * passes[0]
assert each[0] > 4 * each[3]  # 64 tokens a pass: each is several times as cheap
assert each[3] < 2.5 * each[4]  # four times as many: hardly cheaper
assert 3 < megabytes[4] / megabytes[3] < 5  # and four times the memory
times = {
    "measured": each,
    "if fetching weights were all": [each[0] / n for n in sizes],
    "if multiplying were all": [each[4]] * len(sizes),
}
title = "From 64 to 256 tokens a chunk: little time saved, four times the memory"
figures.costs(sizes, times, megabytes, title)

# %% [markdown] slide="notes"
# A few times as long (two minutes). Wrong answers: 16 times (that counts multiplications only),
# once (a laptop's processor is soon busy). SmolLM2 on one thread of this machine, $W = 128$; only
# the shape of the curves carries over. What a fused kernel holds to itself isn't counted.
#
# A server has one more reason to chunk: while it reads one long prompt whole, nobody else gets a
# word. So each pass holds a token of everybody who is writing, and fills up with a chunk of
# somebody's prompt (Agrawal et al., "SARATHI", 2023, "Decode-maximal batching"; exercise 05.4).

# %% [markdown] slide="slide"
# ## Where the two limits meet
#
# In fp16 a weight is two bytes, and for each of $n$ tokens it is multiplied and added: $2n$
# operations for 2 bytes, so **$n$ operations a byte**. A machine that does $F$ operations a second
# and fetches $B$ bytes a second is busy with both at $n = F / B$. Smaller chunks wait for memory.

# %% slide="same" show="both"
machines = {  # operations a second (dense fp16), bytes a second; NVIDIA's data sheets
    "T4": (65e12, 320e9),
    "A100": (312e12, 2039e9),  # with 80 GB
    "H100": (989e12, 3350e9),
}
ridges = {name: round(F / B) for name, (F, B) in machines.items()}
assert ridges == {"T4": 203, "A100": 153, "H100": 295}
print("tokens a pass at which neither waits:", ridges)

# %% [markdown] slide="slide"
# ## A short prompt, a long one
#
# Two prompts are read together, in chunks of five: one of 4 tokens, one of 9. The first loop below
# is how Mistral's reference cuts them. **Predict:** what happens in its second pass?

# %% slide="fragment" fails="AssertionError"
ragged = [list(range(1, 5)), list(range(11, 20))]
for start in range(0, 9, 5):
    parts = [ids[start : start + 5] for ids in ragged]
    assert min(len(part) for part in parts) > 0, "a prompt has ended before the other"

# %% slide="same" show="both"
for part in pack(ragged).chunks(5):
    print("tokens of each prompt in this pass:", part.lengths)
together, _ = model.prefill(ragged, chunk_size=5)
for row, ids in zip(together, ragged, strict=True):
    assert torch.allclose(row, model.prefill([ids])[0][0], atol=1e-2)

# %% [markdown] slide="notes"
# The first prompt has nothing left, and the reference stops (mistral-inference, `generate.py`,
# `generate`: `assert all(len(p) > 0 …)`). Its default, `chunk_size=None`, is one chunk as long as
# the longest prompt, and then there is no second pass. Wrong answers: "it waits", "it is padded"
# (one minute). A prompt that has ended brings 0 tokens, keeps its logits, and waits for the others.
# How several share a pass and its mask is chapter 06.

# %% [markdown] slide="slide"
# ## Who predicts the first word of a chunk?
#
# How likely was each token of a text? Row $i$ of a pass holds the scores of token $i + 1$. So the
# last row of a chunk speaks of a token that this pass hasn't seen. A hasty loop looks inside its
# chunk only. **Predict:** 26 tokens in chunks of eight: how many log-probabilities does it find?


# %% slide="fragment" show="both"
def log_probabilities(tokens, size, carry=True):
    cache, last, found = model.init_state(batch=1), None, []
    for chunk in tokens.split(size):
        rows = model.output(model.norm(model.extend(chunk, cache, [len(chunk)])))
        rows = rows.log_softmax(-1)  # (n, vocab)
        if carry and last is not None:
            found.append(last[chunk[0]])  # from the pass before
        found += [rows[i, chunk[i + 1]] for i in range(len(chunk) - 1)]
        last = rows[-1]
    return torch.stack(found)


# %% slide="same" show="output"
story = "The cat sat on the mat because the mat was warm, and the dog that had chased it all"
story = torch.tensor(text_tokenizer.encode(story + " morning slept beside it. ").ids)
right = model(story[None])[0, :-1].log_softmax(-1).gather(1, story[1:, None])[:, 0]
assert torch.allclose(log_probabilities(story, 8), right, atol=1e-3)
hasty = log_probabilities(story, 8, carry=False)
print(len(story), "tokens: carried", len(right), "hasty", len(hasty))

# %% slide="slide" show="output" alt="Bars of a model's surprise at each token of a sentence about a cat and a dog. Most are blue; three, at the ninth, seventeenth and twenty-fifth token, are orange-red: each comes first in its chunk, and the chunk before predicts it."
pieces = [text_tokenizer.decode([token]).strip() or "␣" for token in story.tolist()]
border = [position % 8 == 0 for position in range(1, len(story))]
assert sum(border) == len(right) - len(hasty) == 3
assert torch.allclose(hasty, right[~torch.tensor(border)], atol=1e-3)
title = f"A hasty loop drops {sum(border)} of {len(border)}: each is predicted across a border"
figures.surprises(pieces[1:], (-right).tolist(), border, title)

# %% [markdown] slide="notes"
# 25 tokens can be predicted, and the hasty loop finds 22 (two minutes): one is lost at each of
# three borders. Wrong answers: 26 (the first has no prediction), 25. Nothing crashes, and a mean
# over 22 looks like one over 25. Mistral's reference keeps the last row (`last_token_prelogits`);
# vLLM had it wrong at first (pull request 4139).

# %% [markdown] slide="slide"
# ## The gallery
#
# Eight faults of public engines, rebuilt in our chunker by one line each:
#
# | engine | what a chunk did |
# |---|---|
# | ExecuTorch 21857 | gave every row the first row's window |
# | ExecuTorch 21384 | left the window to the cache |
# | ExecuTorch 20346 | wrote first, over a ring of $2W$ |
# | SGLang 8649 | kept a chunk, not a window |
# | mlxcel 678 | gave every row the last row's keys |
# | mlxcel 885 | threw its mask away, from chunk 2 on |
# | nano-vllm 213 | counted keys not yet written |
# | mistral.rs 2083 | took the prompt's last positions |

# %% slide="slide" show="code"
mask, oldest = "visible(at[:, None], seen, window)", "max(0, start - window + 1)"
faults = {  # engine: (part of a line of `read`, what stood there)
    "ExecuTorch 21857": (mask, "(seen <= at[:, None]) & (start - seen < window)"),
    "ExecuTorch 21384": (mask, "visible(at[:, None], seen, None)"),
    "ExecuTorch 20346": (oldest, "max(0, start - window + 1, min(start, end - 2 * window))"),
    "SGLang 8649": (oldest, "max(0, start - size)"),
    "mlxcel 678": (mask, "visible(at[:, None], seen, window) & (seen > at[-1] - window)"),
    "mlxcel 885": (mask, "visible(at[:, None], seen, window) | (start > 0)"),
    "nano-vllm 213": (mask, "visible(at[:, None] + len(q) - end, seen, window)"),
    "mistral.rs 2083": ("rope_table(at,", "rope_table(at + len(q) - end,"),
}
readers = {engine: with_fault(read, *change) for engine, change in faults.items()}

# %% [markdown] slide="notes"
# Each is the smallest rebuild of what a report describes, not the engine's own code. ExecuTorch:
# pytorch/executorch, pull requests 21857, 21384 and 20346. SGLang: sgl-project/sglang, issue 8649.
# mlxcel: lablup/mlxcel, issues 678 and 885. nano-vllm: GeeeekExplorer/nano-vllm, pull request 213.
# mistral.rs: EricLBuehler/mistral.rs, pull request 2083 (not by Mistral AI). The ninth is exercise
# 05.5. All are from 2025 and 2026.

# %% [markdown] slide="slide"
# ## Which test finds them?
#
# The usual test of a cache writes a text token by token, chunks of 1, and compares. **Predict:**
# how many of the eight does it find? And is there one chunk size that finds all?

# %% slide="slide" show="output" alt="A table of eight faults against chunk sizes from 1 to 12, for a window of 4. Orange-red cells are found faults, grey ones look right. At size 1 only three are found. The row of ExecuTorch 20346 is grey up to 5, the row of SGLang 8649 is grey from 3 on. The row of mlxcel 678 says NaN from 5 on, that of nano-vllm 213 everywhere." myth="If one chunk size gives the right text, chunked pre-fill works" said="the tests of six public engines, in which nine such faults shipped (ExecuTorch, SGLang, mlxcel, nano-vllm, MLX, transformers)" truth="No single size finds all of the eight that the lesson rebuilds. The property 'any chunking gives what one pass gives', over many sizes, does."
q, k, v = torch.randn(3, 24, 8, generator=generator)
sizes, verdicts = range(1, 13), {}
for engine, reader in readers.items():
    outs = [reader(q, k, v, 4, size) for size in sizes]
    verdicts[engine] = [
        "NaN" if out.isnan().any() else "right" if torch.allclose(out, y, atol=1e-4) else "wrong"
        for y in [whole(q, k, v, 4)]
        for out in outs
    ]
caught = [sum(row[n] != "right" for row in verdicts.values()) for n in range(12)]
assert (caught[0], max(caught)) == (3, 7)  # no size finds all eight
assert {*verdicts["ExecuTorch 20346"][:5], *verdicts["SGLang 8649"][2:]} == {"right"}
assert {*verdicts["mlxcel 678"][4:], *verdicts["nano-vllm 213"]} == {"NaN"}
title = "Token by token finds three of eight; no chunk size finds all"
figures.gallery(list(verdicts), sizes, list(verdicts.values()), title)

# %% [markdown] slide="notes"
# Three (two minutes): SGLang 8649, nano-vllm 213, mistral.rs 2083. Wrong answers: eight ("it
# compares every token"), none. In a chunk of 1 the first row is the last one, so whoever confuses
# rows is right. ExecuTorch 20346 needs chunks of more than $W + 1$, SGLang 8649 chunks of less than
# $W - 1$. So draw the chunk size as well: **any chunking = whole** finds each of them.

# %% [markdown] slide="slide"
# ## The smallest witness
#
# A report that says "24 tokens, $W = 4$, chunks of 6" helps less than the smallest case. So let the
# test look in order: short texts first, then small windows, then small chunks.


# %% slide="same" show="both"
def smallest(reader):
    for length in range(1, 13):
        for window, size in product(range(1, length + 1), repeat=2):
            if not same(reader, length, window, size):
                return length, window, size


for engine, reader in readers.items():
    print("{:<17} {:>2} tokens, W = {}, chunks of {}".format(engine, *smallest(reader)))

# %% [markdown] slide="slide"
# ## Why nobody saw it
#
# In mlxcel's fault a row may keep no key at all. Its softmax divides 0 by 0, and the NaN travels up
# through the layers. **Predict:** which token does a model choose from scores that are all NaN?

# %% slide="fragment"
print("chosen:", torch.full((49_152,), torch.nan).argmax().item())

# %% [markdown] slide="notes"
# Token 0, which in Gemma's vocabulary is `<pad>`: an endless row of `<pad>`. Short trial runs never
# showed it, says the fix (pull request 679), because a long prompt went bad only some ten tokens
# into the answer. The other faults don't even do that: the model goes on from slightly wrong
# states. A look at the text proves nothing; comparing numbers with the plain pass does. Wrong
# answers: "the last token", and "it raises an error" (one minute).

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A chunk reads the ring's newest $W - 1$ keys and itself, under the window's band, and is
#    written afterwards. Written first, it would lose $n(n-1)/2$ pairs.
# 2. A larger chunk shares each fetched weight among more tokens, up to $n = F/B$; beyond that it
#    only takes memory, and throws away more scores where the kernel is dense.
# 3. One property, **any chunking = whole**, finds all of the gallery's faults. A test at one chunk
#    size finds some.

# %% [markdown]
# ## Self-test
#
# 1. $W = 6$, chunks of 4, 10 tokens have been read. Which keys does the next chunk need?
# 2. How many pairs does a chunk of 10 lose if it is written first into a full ring of 64?
# 3. Why keep the scores of a chunk's last row?
#
# <details><summary>Answers</summary>
#
# 1. 5–9 of the ring, and its own, 10–13.
# 2. $10 \cdot 9 / 2 = 45$.
# 3. They predict the first token of the next chunk.
#
# </details>
#
# **Next.** *How do prompts of different lengths share one pass?* First
# [the exercises](../work/05_chunked_prefill.ipynb), then [chapter 06](06_packed_prompts.ipynb).

# %% [markdown] to="exercise"
# # 05 · Chunked pre-fill: exercises
#
# Six exercises on [the lesson](../course/05_chunked_prefill.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("05.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="05.1" role="prompt" title="Where the borders lie" difficulty=1 minutes=8 points=2
# A prompt of `length` tokens is read in chunks of `size`, over a ring of `window` slots that is
# empty at first. Write `borders(length, window, size)`: for each chunk, in order, `(start, tokens,
# keys)`: the position of its first token, how many tokens it has, and how many keys it needs from
# the ring, so that each of its queries finds all that the window shows. `length` is at least 1, and
# `size` may be larger.
#
# ```python
# borders(11, window=4, size=4)  # [(0, 4, 0), (4, 4, 3), (8, 3, 3)]
# ```


# %% exercise="05.1" role="answer"
def borders(length, window, size):
    """(start, tokens, keys from the ring) of each chunk."""
    ### BEGIN SOLUTION
    chunks = []
    for start in range(0, length, size):
        chunks.append((start, min(size, length - start), min(start, window - 1)))
    return chunks
    ### END SOLUTION


# %% exercise="05.1" role="check"
check("05.1", borders)

# %% [markdown] exercise="05.2" role="prompt" title="Predict: what does writing first lose?" difficulty=2 minutes=10 points=2
# `length` tokens have been written into a ring of `window` slots that was empty at first; position p
# lies in slot p % window. A chunk of `n` more tokens comes, and a hasty engine writes all of it
# before anybody reads. Write `lost(length, n, window)`: how many pairs of a query
# of the chunk and a key in its window are lost, because the key isn't in the ring any more. The
# chunk may be longer than the ring, and then loses keys of its own; the ring may not be full yet.
#
# ```python
# lost(8, n=4, window=4)  # 6
# ```


# %% exercise="05.2" role="answer"
def lost(length, n, window):
    """Pairs that a chunk loses if it is written before it is read."""
    ### BEGIN SOLUTION
    oldest_held = length + n - window
    pairs = 0
    for query in range(length, length + n):
        for key in range(max(0, query - window + 1), query + 1):
            pairs += key < oldest_held
    return pairs
    ### END SOLUTION


# %% exercise="05.2" role="check"
check("05.2", lost)

# %% [markdown] exercise="05.3" role="prompt" title="Across the border" difficulty=2 minutes=12 points=3
# `model(chunk)` reads the next tokens of a prompt and remembers them: it takes a tensor of 1 to
# `size` token ids and returns their rows of scores, (n, vocab), of any size. Row i scores the token
# that follows the chunk's i-th. It takes the prompt in order, each token once, every chunk but the
# last of `size` tokens. Write `log_probabilities(model, tokens, size)`:
# the natural logarithm of the probability of each token but the first, in order, as a tensor of
# `len(tokens) - 1` numbers. A prompt of one token gives an empty one.


# %% exercise="05.3" role="answer"
def log_probabilities(model, tokens, size):
    """The log-probability of tokens 1, 2, …, read in chunks of `size`."""
    ### BEGIN SOLUTION
    kept, found = [], []
    for chunk in tokens.split(size):
        rows = model(chunk).log_softmax(-1)
        rows = torch.cat((*kept, rows))  # the last row of the chunk before speaks of this one
        targets = chunk if kept else chunk[1:]
        found.append(rows[torch.arange(len(targets)), targets])
        kept = [rows[-1:]]
    return torch.cat(found)
    ### END SOLUTION


# %% exercise="05.3" role="check"
check("05.3", log_probabilities)

# %% [markdown] exercise="05.4" role="prompt" title="A budget for each pass" difficulty=2 minutes=12 points=3
# A server takes at most `budget` tokens in one pass. Every prompt that had been read to its end
# **before** the pass takes one of them, because it writes a token. The rest goes to the prompts
# still to be read, in order: the first takes as much as it can use, then the next, while there is
# any. Write `passes(lengths, budget)`: for each pass a list with the tokens of every prompt, until
# all have been read. `lengths` has one number of at least 1 a prompt, and
# `budget` is larger than the number of prompts.
#
# ```python
# passes([3, 4], budget=5)  # [[3, 2], [1, 2]]
# ```


# %% exercise="05.4" role="answer"
def passes(lengths, budget):
    """How many tokens each prompt takes in each pass."""
    ### BEGIN SOLUTION
    left, out = list(lengths), []
    while any(left):
        taken = [0 if n else 1 for n in left]  # those who write come first
        room = budget - sum(taken)
        for prompt, n in enumerate(left):
            if n:
                taken[prompt] = min(n, room)
                room -= taken[prompt]
                left[prompt] -= taken[prompt]
        out.append(taken)
    return out
    ### END SOLUTION


# %% exercise="05.4" role="check"
check("05.4", passes)

# %% [markdown] exercise="05.5" role="prompt" title="Find the bug: rolled once too often" difficulty=2 minutes=8 points=2
# The gallery's ninth (transformers, issue 37574). This cache keeps its keys in order, the oldest in
# row 0. While there are empty rows, a key takes the first of them; once it is full, all move one
# row up, the oldest is gone, and the new key takes the last row. `cache`, (window, head_dim), is
# zero at first; `length` keys have come before; `new`, (n, head_dim), are the next, perhaps more
# than `window`. The cache is changed in place. Short texts pass, and the end of long ones too. For
# some lengths it is wrong. Write it right.
#
# ```python
# def keep(cache, length, new):
#     window = len(cache)
#     for position, key in enumerate(new, length):
#         if position >= window - 1:
#             cache.copy_(cache.roll(-1, 0))
#         cache[min(position, window - 1)] = key
# ```


# %% exercise="05.5" role="answer"
def keep(cache, length, new):
    """Take in the next keys, in order, the oldest in row 0; changes the cache in place."""
    ### BEGIN SOLUTION
    window = len(cache)
    held = cache[: min(length, window)]
    newest = torch.cat((held, new))[-window:]
    cache[: len(newest)] = newest
    ### END SOLUTION


# %% exercise="05.5" role="check"
check("05.5", keep)

# %% [markdown] exercise="05.6" role="prompt" title="Prove by test: is any chunking the whole?" difficulty=3 minutes=14 points=4
# `read(window, lengths)` reads a prompt in chunks of these lengths, such as `read(4, [5, 1, 3])`,
# and returns a list for each token, in order: the positions of the keys that its query was handed.
# Write `is_exact(read)`: True only if every query gets just what the window shows it, each key
# once, in any order, **however the prompt is cut**. The chunkers are made for windows from 1 to 12
# and up to 40 tokens. Return False, don't `assert`.


# %% exercise="05.6" role="answer"
def is_exact(read):
    """Whether any chunking hands every query the keys of its window."""
    ### BEGIN SOLUTION
    chunkings = [[size] * (24 // size) + [24 % size] * (24 % size > 0) for size in range(1, 25)]
    chunkings += [[1, 9, 2, 12], [5, 1, 4, 13, 1], [13, 11]]
    for window in range(1, 7):
        for lengths in chunkings:
            for position, handed in enumerate(read(window, lengths)):
                first = max(0, position - window + 1)
                if sorted(handed) != list(range(first, position + 1)):
                    return False
    return True
    ### END SOLUTION


# %% exercise="05.6" role="check"
check("05.6", is_exact)
