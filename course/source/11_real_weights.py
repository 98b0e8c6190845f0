# %% [markdown] slide="slide"
# # 11 · Real weights
#
# *Others trained a model without a window. What does our engine make of it, and what does a window
# take away?*

# %% [markdown] slide="slide"
# **The problem.** SmolLM2 has Mistral's architecture, 134,515,008 parameters, and weights that
# somebody else trained, without a window. Put a window of 32 tokens over it: on a page of the Bible
# it becomes 13 times as unsure of the next word, though hardly anything that it needs stands so far
# back. Chapter 02 saw the logits move; here we find the token that is missed, and keep it.

# %% [markdown]
# **You will be able to** read 4-bit weights from a file's bytes; prove an engine by logits; measure
# perplexity with and without a window; find a model's attention sinks, and pin them in a ring of the
# same size; tell a masked window from a recomputed one; turn a real layer into experts and say why
# its router learns nothing at first.
#
# **You need** [the window](02_sliding_window.ipynb), [its reach](03_receptive_field.ipynb),
# [the ring](04_rolling_cache.ipynb), [experts](07_sparse_moe.ipynb).
#
# **Time**: 55 minutes, 5 of them for two optional parts, which the slides leave out; and an hour for
# the exercises in [work/11_real_weights.ipynb](../work/11_real_weights.ipynb), your copy of
# [these](../exercises/11_real_weights.ipynb).

# %%
import numpy as np
import torch
from gguf import dequantize

from mixlab import chat, generate, load, smollm2, stop_tokens, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.real_weights import figures, traces, upcycling
from mixlab.common.perplexity import perplexity, surprise
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.transformer.rope import half_to_interleaved, interleaved_to_half, rope_table, rotate
from mixlab.transformer.sink_cache import SinkCache, sink_slot
from mixlab.transformer.window import window_mask
from mixlab.weights.gguf_file import open_gguf

torch.set_num_threads(1)  # threads that wait for a busy core cost more than they gain
model = load(smollm2())
encode, decode = tokenizer(smollm2()).encode, tokenizer(smollm2()).decode

# %% [markdown] slide="slide"
# ## How many bits has a weight?
#
# The file is called `SmolLM2-135M-Instruct.Q4_1.gguf`: *quantised* to 4 bits, so most weights are
# one of 16 values. It has 98,362,432 bytes, tokenizer included. **Predict:** how many bits of it fall on
# each parameter?

# %% slide="fragment"
file, n = smollm2().stat().st_size, model.config.n_parameters
tensors = {tensor.name: tensor for tensor in open_gguf(smollm2()).tensors}
print(f"{8 * file / n:.2f} bits a parameter")
for kind in ("Q4_1", "Q8_0", "F32"):
    these = [t for t in tensors.values() if t.tensor_type.name == kind]
    bits = 8 * sum(t.data.nbytes for t in these) / sum(int(t.n_elements) for t in these)
    print(f"{kind}: {len(these):>3} tensors, {bits:.1f} bits a number")

# %% [markdown] slide="notes"
# 5.85 (two minutes). Wrong answers: 4, by the name; 32. Q4_1 takes 5 bits, because every block of
# weights also brings its scale, as the next slide shows. The largest matrix, the embedding that is
# the output layer too, is stored in 8.5 bits, and the norms in 32.

# %% [markdown] slide="slide"
# ## A block by hand
#
# In Q4_1, 32 weights of a row make a block of 20 bytes: a *step* and a *lowest* value in fp16, then
# 16 bytes of two *levels* each, 0 to 15. Weight = lowest + level × step. The low halves of the
# bytes are weights 0 to 15, the high halves 16 to 31. So $20 \cdot 8 / 32 = 5$ bits a weight.

# %% slide="same" show="both"
gate = tensors["blk.0.ffn_gate.weight"]  # w1 of the first layer's feed-forward
block = gate.data[0, :20]
step, lowest = block[:4].view(np.float16).astype(np.float32)
levels = [int(byte) % 16 for byte in block[4:]] + [int(byte) // 16 for byte in block[4:]]
print("bytes:", *block[4:8], "…  levels 0 to 3:", levels[:4], " 16 to 19:", levels[16:20])
print(f"weight 0 = {lowest:.4f} + {levels[0]} × {step:.4f} = {lowest + levels[0] * step:.4f}")

# %% slide="slide" show="output" alt="Thirty-two dots, one a weight, each exactly on one of sixteen evenly spaced level lines. The lowest rung is 0 at minus 0.33, the highest 15 at plus 0.39; both are taken."
assert {0, 15} <= set(levels) <= set(range(16))
weights = lowest + np.array(levels) * step
assert np.allclose(weights, dequantize(gate.data, gate.tensor_type)[0, :32], atol=1e-6)
title = "Thirty-two weights on sixteen rungs, of which the lowest and the highest are taken"
figures.rungs(levels, float(lowest), float(step), title)

# %% [markdown] slide="slide"
# ## All blocks at once
#
# The same for a whole matrix, and it is what our model holds. Then read the halves in the order in
# which they lie in the bytes, low, high, low, high. **Predict:** does anything complain?


# %% slide="fragment" show="both"
def read_blocks(data, in_pairs=False):
    blocks = data.reshape(-1, 20)
    scale = blocks[:, :4].copy().view(np.float16).astype(np.float32)
    low, high = blocks[:, 4:] & 15, blocks[:, 4:] >> 4
    levels = np.stack((low, high), -1).reshape(-1, 32) if in_pairs else np.hstack((low, high))
    return (scale[:, 1:] + levels * scale[:, :1]).reshape(len(data), -1)


read, shuffled = read_blocks(gate.data), read_blocks(gate.data, in_pairs=True)
ours = model.layers[0].feed_forward.w1.weight.numpy()
assert np.array_equal(read, ours)
assert np.allclose(read, dequantize(gate.data, gate.tensor_type), atol=1e-6)
share = (read == shuffled).mean()
print(f"in pairs: no error, the same mean ({read.mean():.5f}, {shuffled.mean():.5f}),")
print(f"and {share:.0%} of the weights right")

# %% [markdown] slide="notes"
# Nothing complains (one minute). Every block keeps its 32 values, mean and spread; they only change
# places, so no statistic of the weights shows it.

# %% [markdown]
# ## Optional: what four bits cost
#
# A rounded weight is off by at most half a step, and an error that is even between −½ and ½ step
# spreads by $\mathrm{step}/\sqrt{12}$ ($\int_{-1/2}^{1/2} x^2\,dx = 1/12$). What the weights were
# before, this file doesn't say; but its embedding is stored in 8 bits, and rounding 4,000 rows of
# *that* to 4 shows the price: 8.5%. In a sum of hundreds of products errors of both signs largely
# cancel. What
# the rounding did to the model's answers isn't measured here: there is no full-precision copy.

# %%
embedding = tensors["token_embd.weight"]
blocks = dequantize(embedding.data[:4000], embedding.tensor_type).reshape(-1, 32)
low = blocks.min(1, keepdims=True)
steps = (blocks.max(1, keepdims=True) - low) / 15
error = low + ((blocks - low) / steps).round() * steps - blocks
assert np.abs(error / steps).max() < 0.501
sizes = [np.sqrt((x**2).mean()) for x in (error, steps / 12**0.5, blocks)]
print(f"error {sizes[0] / sizes[2]:.1%} of the weights' size; step / √12 {sizes[1] / sizes[2]:.1%}")

# %% [markdown] slide="slide"
# ## The engine, whole
#
# Two prompts, and a window of 8 over the real weights. One pass under a mask is the truth; against
# it the ring, chunks of three, and both prompts packed into one pass. What is compared is the
# scores of all 49,152 tokens.

# %% slide="same" show="both"
prompts = ["The capital of France is", "Once upon a time, in a village by the sea,"]
rows = [encode(text).ids for text in prompts]
model.set_window(8)
plain = torch.stack([model(torch.tensor([ids]))[0, -1] for ids in rows])
stepped = []
for ids in rows:
    ring = model.init_state(batch=1)
    for token in ids:
        logits, ring = model.step(torch.tensor([token]), ring)
    stepped.append(logits[0])
chunked = [model.prefill([ids], chunk_size=3)[0][0] for ids in rows]
ways = {"ring": stepped, "chunks": chunked, "packed": model.prefill(rows)[0]}
for name, found in ways.items():
    assert torch.allclose(torch.stack(list(found)), plain, atol=1e-2)
    print(f"{name:>6} = plain, for {plain.numel():,} scores")
model.set_window(None)

# %% [markdown] slide="slide"
# ## Words prove nothing
#
# GGUF stores query and key rows for the other layout of RoPE, and our loader reorders them. Leave
# that out: every angle then turns the wrong pair of numbers, in all 30 layers. **Predict:** how does
# the model continue *The capital of France is*?


# %% slide="fragment" show="both" myth="It says Paris, so the weights are read rightly" said="smoke tests of converted models" truth="With rows of queries and keys laid out for the other RoPE, logits move by more than 3 and it still says Paris. Compare logits."
def change_layout(change):
    for layer in model.layers:
        for weight, heads in ((layer.attention.wq.weight, 9), (layer.attention.wk.weight, 3)):
            weight.data = change(weight.data, heads)


right = model.prefill(rows[:1])[0][0]
change_layout(half_to_interleaved)
wrong = model.prefill(rows[:1])[0][0]
change_layout(interleaved_to_half)
assert torch.equal(model.prefill(rows[:1])[0][0], right)
words = [decode([int(logits.argmax())]) for logits in (right, wrong)]
assert words == [" Paris", " Paris"]
assert (wrong - right).abs().max() > 3
print(
    f"right:{words[0]}, wrong:{words[1]}; scores differ by up to {(wrong - right).abs().max():.0f}"
)

# %% [markdown] slide="notes"
# " Paris", both times (two minutes). Wrong answers: nonsense; an error. A short prompt with one
# strong association survives much. So every "the same" in this course is about logits, at every
# position, never about words that look right.

# %% [markdown] slide="slide"
# ## The form of a question
#
# *Instruct* in the name: the model was trained to answer, on conversations in a form of their own,
# which the file holds as a template. `mixlab.chat` fills it in. **Predict:** what comes without the
# form? And what, if nobody stops the model after its answer?

# %% slide="fragment" show="output"
question = "What is the capital of France?"
prompt, stop = chat(smollm2(), question), stop_tokens(smollm2())
print(decode(prompt, skip_special_tokens=False)[-83:])
bare, formed, unstopped = (
    generate(model, [ids], tokens, stop=ends)[0]
    for ids, tokens, ends in [
        (encode(question).ids, 12, ()),
        (prompt, 20, stop),
        (prompt, 14, ()),
    ]
)
for name, ids in {"bare": bare, "form": formed, "no stop": unstopped}.items():
    print(f"{name}:", repr(decode(ids, skip_special_tokens=False)))
assert {unstopped[len(formed)], bare[0]} == set(stop)

# %% [markdown] slide="notes"
# Bare, this model ends the user's turn and opens its own: it writes the missing form itself, and
# then answers. Wrong answers that a class gives: a second question; nonsense (two minutes). Others
# simply go on asking: don't count on it. Unstopped, it goes on behind its answer, turn after turn,
# and may play the user too. `stop_tokens` names the token that ends a turn.

# %% [markdown] slide="slide"
# ## One number for a text
#
# The *surprise* at a token is $-\ln p$, with $p$ what the model gave it before reading it. A text's
# *perplexity* is the exponential of the mean surprise. Two tokens with $p = 1/2$ and $1/8$: the
# mean of $\ln 2$ and $\ln 8$ is $\ln 4$, so perplexity 4, as if the model had hesitated between four
# equal tokens.

# %% slide="same" show="both"
kinds = ["english_bible", "python_manual", "python"]
names = [KINDS[kind] for kind in kinds]
texts = [encode("\n\n".join(documents(kind, "held_out")[:2])).ids for kind in kinds]
texts = torch.tensor([ids[:144] for ids in texts])
watched = traces.watch(model, texts)  # reads them, and keeps what each layer looked at
full = surprise(model.output(model.norm(watched.stream)), texts)  # of tokens 1 to 143
for name, text, one in zip(names, texts, full, strict=True):
    print(f"{name}: begins with {decode(text[:1].tolist())!r}, perplexity {perplexity(one):.0f}")

# %% [markdown] slide="notes"
# The course carries these texts, so the numbers are the same everywhere; the model may have read
# them in training. Wherever this lesson claims a trend, it does so of all three.

# %% [markdown] slide="slide"
# ## A window over a model that never had one
#
# $W = 32$, all 30 layers; through the layers information still travels $30 \cdot 31$ tokens back.
# **Predict:** does surprise grow slowly as the text leaves the window, or at once? From which token
# on?

# %% slide="slide" show="output" alt="Mean surprise of three texts along 144 positions, in stretches of sixteen tokens. Without a window the line stays between 2 and 4 nats. With a window of 32 it is the same line up to 32, where a dashed line says that the first token leaves; from there it jumps to about 6 nats and stays above 3."
model.set_window(32)
alone = traces.surprises(model, texts, start=1)
assert (alone - full)[:, :32].abs().max() < 0.01  # tokens 1 to 32: their queries see all
stretches = {"no window": full, "W = 32": alone}
curves = {name: s[:, 15:].unflatten(1, (-1, 16)).mean(2) for name, s in stretches.items()}
worse = curves["W = 32"] - curves["no window"]  # (texts, stretches of 16 from token 16 on)
assert worse[:, 1].min() > 0.9
assert worse[:, 1:].mean(1).min() > 1.2
title = "Not slowly: surprise jumps when the first token leaves the window"
shown = {name: curve.mean(0) for name, curve in curves.items()}
assert 2 < shown["no window"].min() <= shown["no window"].max() < 4
assert 3 < shown["W = 32"][1:].min() < 5 < shown["W = 32"].max() < 7
figures.by_position([24 + 16 * n for n in range(8)], shown, 32, title)

# %% [markdown] slide="notes"
# At once, where the *first* token drops out (two minutes). Wrong answers: slowly; only after 930
# tokens, the receptive field. Nothing special stands in the Bible 32 tokens back. What is special
# is not what the window loses later on, but the very first thing that it loses.

# %% slide="slide" show="output" alt="Attention weights of layer 20 for the first sixteen tokens of a Bible text, queries as rows and keys as columns. The first column is dark from top to bottom: each query's largest weight lies on the first token, Now. The rest of the triangle is pale."
first = watched.attention[20, 0, :16, :16]
assert (first.argmax(1) == 0).all()
assert round((1 / torch.arange(17.0, 145)).mean().item(), 3) == 0.017  # if it were even
title = "In layer 20 each query looks at the first token more than at any other"
figures.attention_map(first.numpy(), [decode([t]) for t in texts[0, :16].tolist()], title)

# %% [markdown] slide="notes"
# The mean over nine heads. *Now* has nothing to say to most of these words. In the Python manual
# the first token is *Ass*, of *Assignment*, in the code *def*: the column is there all the same.

# %% [markdown] slide="slide"
# ## Found: a sink
#
# Take all queries from 16 on. Spread evenly, the first token would get 1.7% of their attention.
# **Predict:** how much does it get, and in which of the 30 layers?

# %% slide="fragment" show="output" alt="Two panels over thirty layers, three texts. Left: the share of attention on the first token is near 0 in layers 0, 1, 10 and 11, and from layer 12 on between a fifth and four fifths. Right, logarithmic: the length of the first token's vector over the median token's is below 3 in layers 9 and 10, jumps above 100 in layer 11, and falls again."
share = watched.attention[:, :, 16:, 0].mean(2)  # (layers, texts)
length = watched.lengths[:, :, 0] / watched.lengths.median(2).values
assert torch.cat((share[:2], share[10:12])).max() < 0.08
assert 0.2 < share[12:].min() <= share[12:].max() < 0.8
assert share.mean(0).min() > 0.33
assert length[9:11].max() < 3 < 100 < length[11].min()
title = "Block 11 makes the first token's vector huge, and every later layer looks at it"
figures.through_layers(names, share.numpy(), length.numpy(), title)

# %% [markdown] slide="notes"
# More than a third of all attention, in each text (two minutes). Wrong answers: "in the first
# layer, where nothing is known yet" (there it gets hardly any); 5%. An *attention sink*: the
# name is from Xiao et al., "Efficient Streaming Language Models with Attention Sinks" (2023),
# section 3.1. Sun et al., "Massive Activations in Large Language Models" (2024), describe the huge
# vectors.

# %% [markdown] slide="slide"
# ## What is known, and what is guessed
#
# **Measured here**, on three texts: whatever comes first is a sink. From block 11 to 28 its vector is
# the longest, and the *value* that it hands over is short: whoever looks there adds little.
#
# **Guessed**: why. The weights of a softmax add up to 1, also where a head has found nothing.
# They must go somewhere, and the first token is the only one that every query sees (Xiao et al.,
# section 3.1). It fits the short values; it isn't proved by them.

# %% slide="same" show="both"
value = watched.values[:, :, 0] / watched.values.median(2).values  # length of the value
later = value[12:29]
assert later.max() < 0.4
assert (watched.lengths[11:29].argmax(2) == 0).all()
print(f"layers 12 to 28: the first token's value is {later.min():.0%} to {later.max():.0%} as long")

# %% [markdown] slide="slide"
# ## The same budget, spent otherwise
#
# Keep the first $s$ tokens for good, and take their places from the window: query $i$ sees key $j$
# when $0 \le i - j < W - s$, or $j < s$ and $j \le i$. Never more than $W$ keys. For six tokens,
# $W = 3$ and $s = 1$:


# %% slide="same" show="both"
def sees(i, j, window, sinks):
    return 0 <= i - j < window - sinks or (j < sinks and j <= i)


print(*("".join(".#"[sees(i, j, 3, 1)] for j in range(6)) for i in range(6)), sep="\n")
for window in range(1, 9):
    for sinks in range(window):
        loop = [[sees(i, j, window, sinks) for j in range(12)] for i in range(12)]
        assert torch.equal(torch.tensor(loop), window_mask(12, window=window, sinks=sinks))

# %%
windows, found = (16, 32, 64), {(32, 0): alone[:, 63:]}  # tokens 64 to 143, in every budget
for window, sinks in [(16, 0), (64, 0), (16, 1), (64, 1), (32, 1), (32, 4)]:
    model.set_window(window)  # the last, 32, stays
    found[window, sinks] = traces.surprises(model, texts, start=64, sinks=sinks)
scores = {budget: [perplexity(one) for one in of] for budget, of in found.items()}
whole = [perplexity(one) for one in full[:, 63:]]

# %% [markdown] slide="slide"
# ## One key for the first token
#
# **Predict:** a window of 32 makes the Bible's perplexity 13 times as high. One of the 32 keys now
# goes to *Now*, the first token. What is left of the factor?

# %% slide="fragment" show="output" alt="Perplexity against budgets of 16, 32 and 64 keys, three panels of one logarithmic scale. With the newest tokens alone the line lies far above: 32 to 573. With the first token among them it lies between 10 and 80 and comes close to the dashed line of no window at 64 keys."
for n in range(3):
    for window in windows:
        assert scores[window, 0][n] > 2 * scores[window, 1][n]
    assert scores[64, 0][n] > 3 * whole[n] > 2 * scores[64, 1][n]
assert [round(scores[32, kept][0] / whole[0], 1) for kept in (0, 1)] == [13.0, 2.4]
alone, kept = ([scores[window, sinks] for window in windows] for sinks in (0, 1))
title = "One of the window's keys for the first token, and it reads again"
figures.budgets(windows, names, alone, kept, whole, title)

# %% [markdown] slide="notes"
# A factor of 2.4 (two minutes). Wrong answers: 7, "half of it at best"; 1. At 64 keys each text is
# within 1.5 times of no window. What remains is the real price of forgetting.

# %% [markdown] slide="slide"
# ## Four? And why the first?
#
# "Four sinks are needed", one reads. In the paper's table 2, Llama-2-7B does need them (11.88 with
# one, 9.59 with four), Falcon-7B doesn't. Ours: one against four at $W = 32$. And the control: does
# *any* old token help? We keep token 5 for good, in the first one's place.

# %% slide="same" show="both" myth="A window needs four sink tokens" said="StreamingLLM, section 3, of the models it tried" truth="SmolLM2 needs one: four kept tokens do as well as the first alone, on three texts. That it is the first matters; a later one in its stead helps far less."
mask = window_mask(144, window=31) | window_mask(144) & (torch.arange(144) == 5)  # and token 5
fifth = traces.surprises(model, texts, 64, cache=traces.RuleCache(model.config, 3, mask))
kept = {"none": found[32, 0], "token 5": fifth, "token 0": found[32, 1], "0 to 3": found[32, 4]}
factors = {name: (of.mean(1) - full[:, 63:].mean(1)).exp() for name, of in kept.items()}
for name, of in factors.items():
    print(f"{name:>8} kept: perplexity", *(f"× {factor:4.1f}" for factor in of))
assert (factors["token 5"] > 2 * factors["token 0"]).all()
assert (factors["0 to 3"] / factors["token 0"]).log().abs().max() < 0.22

# %% [markdown] slide="notes"
# Table 2 is Xiao et al.'s; we cite it from a text that quotes it. How many tokens a model needs
# depends on how it was trained; ask the model, not the paper.

# %% [markdown] slide="slide"
# ## A ring that keeps its first slots
#
# Of $W$ slots, the first $s$ are written once; the rest roll. Position $p \ge s$ lies in slot
#
# $$s + (p - s) \bmod (W - s)$$
#
# That is all there is to `SinkCache`. The real model, token by token through 8 slots of which 2 are
# pinned, gives every score that it gives under the mask.

# %% slide="same" show="both"
print("W = 4, s = 1: positions 0 to 9 in slots", sink_slot(torch.arange(10), 4, 1).tolist())
model.set_window(8)
ids = texts[0, :14]
ring = SinkCache(model.config, batch=1, sinks=2)
expected = model.output(model.norm(traces.states(model, ids[None], sinks=2)))[0]
for position, token in enumerate(ids):
    logits, ring = model.step(token[None], ring)
    assert torch.allclose(logits[0], expected[position], atol=1e-2)

# %% [markdown] slide="slide"
# ## Two windows that are not the same
#
# *Masking* keeps each token's state, which saw further back (chapter 03). *Recomputing* forgets it:
# for each word the last $W$ tokens are read afresh. **Predict:** which one needs a sink?

# %% slide="slide" show="output" alt="Bars of perplexity for three texts on a logarithmic scale: no window 12 to 44, a masked window of 32 more than 150, masked with the first token kept 15 to 89, recomputed 15 to 60. Masked alone towers over the other three in each text." myth="Masking the keys beyond a window gives what reading the last W tokens afresh gives" said="asked again and again of StreamingLLM (streaming-llm 33)" truth="They are two models. Under a mask the first token of the text is gone and the sink with it; read afresh, the window's own first token becomes one."
at = torch.arange(64, 144, 16)  # five positions a text: recomputing is dear
model.set_window(None)
again = traces.recomputed(model, texts, at, window=32)
ways = {
    "no window": full[:, at - 1],
    "masked": found[32, 0][:, at - 64],
    "masked, first kept": found[32, 1][:, at - 64],
    "recomputed": again,
}
bars = {name: [perplexity(one) for one in of] for name, of in ways.items()}
for n in range(3):
    assert bars["masked"][n] > 5 * bars["recomputed"][n]
    assert 0.6 < bars["masked, first kept"][n] / bars["recomputed"][n] < 1.7
figures.bars(names, bars, "A recomputed window needs no sink: it begins with one")

# %% [markdown] slide="notes"
# Masking (two minutes). Wrong answer: recomputing, "because it forgets more". Each recomputed piece
# has a first token, and so it has a sink. It costs $W$ times as much a token. 15 tokens say
# which is far off, not which of the two good ones is better.

# %% [markdown]
# ## Optional: where is the first token, by now?
#
# Mistral turns a key by its position in the *text* and caches it so. StreamingLLM counts places in
# the *cache* (section 3.2): it caches keys unturned, and the sink's distance stops at $W - 1$. Read
# one cache as the other, and every score is wrong. Turning the *query* back, towards the
# sinks alone, bridges the two; so the cell below measures both. Up to 144 tokens it hardly matters.
# Past the 8,192 that this model was trained for it may; that isn't measured here.

# %%
q, k = torch.randn(2, 1, 64, generator=torch.manual_seed(0)).unbind()
turn = lambda x, by: rotate(x, *rope_table(torch.tensor([by]), 64))  # noqa: E731
in_text, in_cache = turn(q, 500) @ turn(k, 490).T, turn(q, 31) @ turn(k, 21).T
misread = turn(q, 31) @ turn(turn(k, 490), 21).T  # a turned key, turned by its place again
assert torch.allclose(in_text, in_cache, atol=1e-4)
assert (misread - in_text).abs() > 1
model.set_window(32)
places = traces.PlacedCache(model.config, 3, seq=144, sinks=1)
placed = [perplexity(one) for one in traces.surprises(model, texts, 64, cache=places)]
for name, text, cache in zip(names, scores[32, 1], placed, strict=True):
    assert 0.9 < cache / text < 1.1
    print(f"{name}: {text:.0f} by the text's positions, {cache:.0f} by the cache's")

# %% [markdown] slide="slide"
# ## One feed-forward layer becomes four
#
# *Upcycling* (chapter 07): four copies of a trained layer, a router of random numbers, two experts
# a token. Equal experts and gates that add up to 1: at birth it computes what the dense layer did.
# We do it to the last layer, on the Bible and on Python code. **Predict:** in the first training
# step, which gradient does the router get?

# %% slide="fragment" show="both"
model.set_window(None)
pair = ["english_bible", "python"]
pieces = [encode(documents(kind, "train")[n]).ids[:128] for kind in pair for n in (0, 1)]
pieces, held = torch.tensor(pieces), texts[[0, 2]]
used = torch.cat((pieces.flatten(), held.flatten())).unique()
before = traces.watch(model, pieces).before_last
given = upcycling.task(model, pieces, before, [0, 0, 1, 1], used)
held_out = upcycling.task(model, held, watched.before_last[[0, 2]], [0, 1], used)
layer, dense = upcycling.copies(model, seed=0), model.layers[-1].feed_forward
assert torch.allclose(layer(given.x), dense(given.x), atol=1e-3)
upcycling.loss(model, layer, given).backward()
pulls = {name: p.grad.norm().item() for name, p in layer.named_parameters()}
assert pulls["gate.weight"] < 1e-5
assert min(pulls["w1"], pulls["w2"], pulls["w3"]) > 0.1
print("length of the gradient: router", round(pulls["gate.weight"], 4), "experts over 0.1")

# %% [markdown] slide="notes"
# None (two minutes). Wrong answers: the largest, "it is random and has most to learn". With equal
# experts $\sum_e g_e E(x) = E(x) \sum_e g_e = E(x)$, whatever the scores: moving them changes
# nothing. But the experts get different tokens, so after one step they differ, and from then on
# the router has something to choose between.

# %% [markdown] slide="slide"
# ## Watch it learn
#
# Fifteen steps, three seeds, each with another random router. On held-out text: how much does a
# token's first expert tell of the kind of its text, in bits? 1 would be all. **Predict:** how many
# bits before the first step?

# %% slide="fragment" show="output" alt="Bits between a held-out token's first expert and the kind of its text, against training steps 0 to 15, one line for each of three seeds. They begin at about 0, 0.1 and 0.5 and end between 0.6 and 0.9."
runs = []
for seed in range(3):
    layer = upcycling.copies(model, seed)
    runs.append(upcycling.learn(model, layer, given, held_out, steps=15, every=5, seed=seed))
bits = {f"seed {seed}": [b for _, b in run] for seed, run in enumerate(runs)}
for run in bits.values():
    assert max(run[0] + 0.1, 0.4) < run[-1] < 1
assert bits["seed 2"][0] > 0.3 > bits["seed 0"][0]
words = dict(x_title="training steps", y_title="kind told by the first expert (bits)")
title = "In fifteen steps the choice of expert comes to tell the kind of text"
series.lines(range(0, 16, 5), bits, title=title, **words)

# %% [markdown] slide="notes"
# It depends on the seed: from almost none to half a bit (two minutes). Wrong answer: 0 by
# definition, "it hasn't learnt". A random map of vectors already parts what lies apart, so what
# counts is the rise. Code has tokens of its own, and part of the bits is their doing (chapter 08).

# %% [markdown] slide="slide"
# ## Are four experts better than one layer?
#
# The control: one dense layer, the same last layer, learns on the same tokens in the same order.
# **Predict:** whose held-out loss falls further?

# %% slide="fragment" show="both"
layer = upcycling.dense_copy(model)
single = upcycling.learn(model, layer, given, held_out, steps=15, every=15, seed=0)
born, ended = single[0][0], [run[-1][0] for run in runs]
assert max(single[-1][0], *ended) < born - 0.05
assert abs(single[-1][0] - sum(ended) / 3) < 0.04
print("both fall by more than 0.05 nats, and end within 0.04 of each other")

# %% [markdown] slide="notes"
# About equally far (two minutes). Wrong answer: the experts, "they have four times the parameters".
# After fifteen steps the experts *differ*; that they are *better* takes a training run, not a
# lesson: upcycled models gain over thousands of steps (Komatsuzaki et al., "Sparse Upcycling", 2022,
# section 4). A router that sorts is no proof that sorting pays.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. An engine is the same machine when its logits are. Weights read with the halves or RoPE's pairs
#    exchanged raise no error, and may still say *Paris*.
# 2. A model trained without a window parks a third of its attention on the first token. A window
#    that drops it breaks the model; one of the window's keys, pinned, mends it.
# 3. Copies under a router compute the dense layer, so the router's first gradient is zero. Only
#    experts that differ give it a choice, and differing is not yet being better.

# %% [markdown]
# ## Self-test
#
# 1. $W = 6$, $s = 2$. Which keys does query 9 see, and in which slots do they lie?
# 2. Why does a recomputed window need no sink?
# 3. A block's step is 0.1 and its lowest value −0.7. Which weights can it hold?
#
# <details><summary>Answers</summary>
#
# 1. 0, 1, 6, 7, 8, 9: slots 0, 1, 2, 3, 4, 5.
# 2. It begins with a token that is the first.
# 3. −0.7, −0.6, … 0.8.
#
# </details>
#
# **Next.** *What else can remember a text, if not attention?* First
# [the exercises](../work/11_real_weights.ipynb), then Part III, which begins with
# [chapter 12](12_sequence_models.ipynb).

# %% [markdown] to="exercise"
# # 11 · Real weights: exercises
#
# Six exercises on [the lesson](../course/11_real_weights.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("11.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import numpy as np
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="11.1" role="prompt" title="Read a block" difficulty=1 minutes=8 points=2
# `block` is a `bytes` object of 20 bytes, one block of Q4_1. Write `decode(block)`: its 32 weights,
# in order, as a list, an array or a tensor. Two fp16 numbers, little-endian, come first: the step
# and the lowest value. Then come 16 bytes of two levels each. Their low halves are the levels of
# weights 0 to 15, their high halves those of 16 to 31.


# %% exercise="11.1" role="answer"
def decode(block):
    """The 32 weights of a block of Q4_1."""
    ### BEGIN SOLUTION
    step, lowest = (float(x) for x in np.frombuffer(block[:4], dtype="<f2"))
    halves = np.frombuffer(block[4:], dtype=np.uint8)
    levels = np.concatenate((halves % 16, halves // 16))
    return lowest + levels * step
    ### END SOLUTION


# %% exercise="11.1" role="check"
check("11.1", decode)

# %% [markdown] exercise="11.2" role="prompt" title="A mask with sinks" difficulty=1 minutes=8 points=2
# Write `sink_mask(n, window, sinks)`: an (n, n) mask, True where the query of the row sees the key
# of the column. A query sees the text's first `sinks` tokens and the newest ones, itself among
# them, never what comes later: `window` keys in all, or as many as there are; 0 ≤ sinks < window.


# %% exercise="11.2" role="answer"
def sink_mask(n, window, sinks):
    """Who sees whom, under a window that keeps its first tokens."""
    ### BEGIN SOLUTION
    at = torch.arange(n)
    distance = at[:, None] - at
    return (distance >= 0) & ((distance < window - sinks) | (at < sinks))
    ### END SOLUTION


# %% exercise="11.2" role="check"
check("11.2", sink_mask)

# %% [markdown] exercise="11.3" role="prompt" title="Find the bug: pinned slots" difficulty=2 minutes=8 points=2
# A ring of `window` slots keeps the text's first `sinks` tokens for good, 0 ≤ sinks < window. The
# first `window` positions fill slots 0, 1, 2, … Every later one takes the slot of the oldest token
# that isn't a sink. This `slot` saves the sinks, but loses keys that are still in the window. Write
# it right.
#
# ```python
# def slot(position, window, sinks):
#     if position < window:
#         return position
#     return max(position % window, sinks)
# ```


# %% exercise="11.3" role="answer"
def slot(position, window, sinks):
    """Where a position is written, in a ring whose first `sinks` slots are pinned."""
    ### BEGIN SOLUTION
    if position < sinks:
        return position
    return sinks + (position - sinks) % (window - sinks)
    ### END SOLUTION


# %% exercise="11.3" role="check"
check("11.3", slot)

# %% [markdown] exercise="11.4" role="prompt" title="Perplexity of a padded batch" difficulty=2 minutes=12 points=3
# `logits` (batch, seq, vocab) are a model's scores, `tokens` (batch, seq) what it read, and
# `lengths` says how many tokens of each row are text; the rest is padding. Each text has at least
# two tokens. Row i of a text's scores speaks of its token i + 1. Write `perplexity(logits, tokens,
# lengths)`: one number for the whole batch, in which every predicted token counts alike. Scores may
# be large.


# %% exercise="11.4" role="answer"
def perplexity(logits, tokens, lengths):
    """The exponential of the mean surprise of all predicted tokens."""
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(-1)
    found = []
    for row, length in enumerate(lengths):
        for at in range(1, length):
            found.append(-log_p[row, at - 1, tokens[row, at]])
    return torch.stack(found).double().mean().exp()
    ### END SOLUTION


# %% exercise="11.4" role="check"
check("11.4", perplexity)

# %% [markdown] exercise="11.5" role="prompt" title="How much attention a key gets" difficulty=2 minutes=10 points=3
# `weights` (heads, n, n) are the causal attention weights of one layer: a row is a query, a column
# a key, n ≥ 2. A late key is seen by few queries, so a plain mean makes early tokens look popular.
# Write `received(weights)`: for each key but the last, the mean weight that **later** queries give
# it, its own not counted, over all heads: n − 1 numbers.


# %% exercise="11.5" role="answer"
def received(weights):
    """What each key but the last gets of the queries after it, on average."""
    ### BEGIN SOLUTION
    mean = weights.mean(0)
    n = len(mean)
    return torch.stack([mean[key + 1 :, key].mean() for key in range(n - 1)])
    ### END SOLUTION


# %% exercise="11.5" role="check"
check("11.5", received)

# %% [markdown] exercise="11.6" role="prompt" title="Prove by test: does it keep its sinks?" difficulty=3 minutes=14 points=4
# `see(window, sinks, position)` returns the list of the positions whose keys a cache hands to the
# query at `position`. Write `keeps_sinks(see)`: True only if every query gets just the first
# `sinks` tokens and the newest ones, each key once, in any order, as many of them as the budget
# `window` allows, and none that comes later. The caches are made for windows from 1 to 12, sinks
# from 0 to window − 1, and positions from 0 to 60. Return False, don't `assert`.


# %% exercise="11.6" role="answer"
def keeps_sinks(see):
    """Whether a cache hands every query its window's keys, sinks included."""
    ### BEGIN SOLUTION
    for window in range(1, 7):
        for sinks in range(window):
            for position in range(30):
                newest = range(max(0, position - (window - sinks) + 1), position + 1)
                first = range(min(sinks, position + 1))
                if sorted(see(window, sinks, position)) != sorted({*first, *newest}):
                    return False
    return True
    ### END SOLUTION


# %% exercise="11.6" role="check"
check("11.6", keeps_sinks)
