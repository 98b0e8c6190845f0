# %% [markdown] slide="slide"
# # 20 · The capstone
#
# *Three ways to remember a text: which would you pay for?*

# %% [markdown] slide="slide"
# **The problem.** A window holds the last tokens word for word, and forgets the rest. A scan
# carries something on from all of them, in a state of one size. Experts keep nothing of a text:
# they know what training taught them. Each is a memory, and each sends another bill. Models on
# sale today mix them. Who needs which, and what does it cost?

# %% [markdown]
# **You will be able to** compute what Mistral, Mixtral, Jamba and Codestral Mamba keep, store and
# read, from their configurations; assemble a hybrid of this course's parts and train it; say which
# part answers which question, and what taking one away proves.
#
# **You need** the window ([02](02_sliding_window.ipynb)) and its cache
# ([04](04_rolling_cache.ipynb)), experts ([07](07_sparse_moe.ipynb)), and the Mamba block
# ([19](19_mamba.ipynb)).
#
# **Time**: 50 minutes, and as much again for the exercises in
# [work/20_capstone.ipynb](../work/20_capstone.ipynb), your copy of
# [these](../exercises/20_capstone.ipynb).

# %%
from statistics import median
from time import process_time
from timeit import repeat

import torch
from torch import nn

from mixlab.chapters.capstone import diary, figures
from mixlab.chapters.capstone.memory import LAYERS, trace_stack
from mixlab.chapters.capstone.parts import DIM, Experts, Scan, Window, kept, recall, seeds
from mixlab.chapters.kit import series
from mixlab.chapters.stage.host import piece
from mixlab.common.norm import RMSNorm
from mixlab.transformer.config import TransformerConfig

# %% [markdown] slide="slide"
# ## The first bill: bytes of the text
#
# Attention keeps a key and a value of each token, in each layer. In Mistral 7B a token takes, with
# 16 bits a number (and 32 in a state, which sums up many small steps),
#
# $$2 \cdot 32\ \text{layers} \cdot 8\ \text{heads} \cdot 128 \cdot 2\ \text{bytes} = 128\ \text{KiB}$$
#
# **Predict**, for a text of 262,144 tokens: what does Mistral 7B keep without its window, and with
# it ($W$ = 4,096)? And Codestral Mamba, Mistral AI's own Mamba of the same size?

# %% [markdown] slide="notes"
# (3 minutes.) 32 GiB; 0.5 GiB; 0.25 GiB. Common answers: 128 GiB, with a key for every query head
# (that is Llama 2); "a Mamba keeps nearly nothing": 256 MiB is a cache of 2,048 of Mistral's
# tokens. (An engine that keeps the state in 16 bits has half.)

# %%
GIB = 2**30
mistral = TransformerConfig.mistral_7b()
a_token = 2 * mistral.n_layers * mistral.n_kv_heads * mistral.head_dim * 2
llama = 2 * 32 * 32 * 128 * 2  # Llama-2-7B: 32 layers, a key for each of 32 query heads
jamba_cache = 2 * 4 * 8 * 128 * 2  # Jamba: 4 of its 32 layers attend
jamba_state = 28 * (8192 * 16 * 4 + 8192 * 3 * 2)  # 28 scan: state in float32, last inputs in 16
codestral_state = 64 * 128 * 64 * 128 * 4  # 64 layers, 128 heads of 64 with states of 128
tokens = 2**18
assert (llama * tokens, a_token * tokens) == (128 * GIB, 32 * GIB)  # Jamba paper, table 1
assert jamba_cache * tokens == 4 * GIB  # the same table
assert a_token * 4096 == GIB / 2 == 2 * codestral_state
assert codestral_state == 2048 * a_token

# %% slide="slide" show="output" alt="Bytes kept against tokens read, both logarithmic. Llama-2-7B and Mistral 7B without a window are straight rising lines that end at 128 and 32 GiB. Jamba bends up late and ends near 4 GiB. Mistral with its window turns flat at half a GiB, Codestral Mamba is flat at a quarter."
lengths = [2**power for power in range(8, 19)]
bills = {
    "Llama-2-7B": [n * llama / GIB for n in lengths],
    "Mistral 7B, no window": [n * a_token / GIB for n in lengths],
    "Jamba": [(n * jamba_cache + jamba_state) / GIB for n in lengths],
    "Mistral 7B": [min(n, 4096) * a_token / GIB for n in lengths],
    "Codestral Mamba": [codestral_state / GIB] * len(lengths),
}
ends = [round(sizes[-1], 2) for sizes in bills.values()]
assert ends == [128, 32, 4.01, 0.5, 0.25]
assert bills["Mistral 7B"][3] == bills["Codestral Mamba"][3]  # at 2,048 tokens
shown = series.lines(
    lengths,
    bills,
    title="A window's bill ends at 4,096 tokens, a Mamba's never begins to grow",
    x_title="tokens read",
    y_title="kept (GiB)",
    log_x=True,
    log_y=True,
)
shown.update_traces(marker_size=6)

# %% [markdown] slide="slide"
# ## The same company's Mamba
#
# Codestral Mamba (Mistral AI, July 2024) is a Mamba-2: 64 layers of width 4,096, no attention, no
# feed-forward layer. In its block one projection makes everything: gate $z$, input $x$, $B$, $C$
# and $\Delta$. Its 128 heads of 64 channels have one rate each; 16 heads share a $B$ and a $C$.


# %%
def mamba_2(dim, n_layers, n_heads, head_dim, d_state, n_groups, vocab, taps=4):
    inner, both = n_heads * head_dim, 2 * n_groups * d_state  # both: B and C
    block = dim * (2 * inner + both + n_heads)  # in_proj
    block += (inner + both) * (taps + 1)  # the convolution and its bias
    block += 3 * n_heads + inner + inner * dim + dim  # rates, Δ's bias, D; norm; out_proj; norm
    return n_layers * block + dim + 2 * vocab * dim


# %% slide="same" show="output"
codestral = mamba_2(4096, 64, 128, 64, 128, 8, 32_768)
print(f"Codestral Mamba: {codestral:,} parameters; Mistral 7B: {mistral.n_parameters:,}")
assert codestral == 7_285_403_648  # its model card

# %% [markdown] slide="slide"
# ## The second bill, and the third
#
# Experts keep nothing of a text. They are paid for in *stored* bytes, all of them, and in the
# *active* parameters that one token passes through. Attention's bill in time follows the context,
# up to $W$. A scan's is the same at every token.
#
# | | grows with | doesn't care for |
# |---|---|---|
# | window | context, up to $W$ | how many experts |
# | experts | how many: stored; how many chosen: read | context |
# | scan | nothing | context, experts |
#
# **Predict**: Jamba stores how many times as many parameters as one token of it uses?

# %% [markdown] slide="notes"
# (3 minutes.) 4.3 times; Mixtral 3.6. Common answers: 8, for 2 of 16 experts (only every second
# layer has them, and all else is used by every token); 52. The next cell counts.

# %% [markdown] slide="slide"
# ## Jamba, counted
#
# All sizes stand in its config.json; layers are numbered from 0.

# %% slide="same" myth="Jamba has experts in its attention layers" said="trustformers-models 0.1.1, jamba/config.rs, whose offset is 3" truth="Jamba-v0.1's config.json attends in layers 4, 12, 20, 28 and has experts in the odd ones: no layer has both."
attends = [i for i in range(32) if i % 8 == 4]  # attn_layer_period, attn_layer_offset
sparse = [i for i in range(32) if i % 2 == 1]  # expert_layer_period, expert_layer_offset
assert (attends, set(attends) & set(sparse)) == ([4, 12, 20, 28], set())
attention = 2 * 4096 * 128 * (32 + 8)
scan = 3 * 4096 * 8192 + 8192 * (4 + 1) + 8192 * (256 + 32) + 256 * 8192 + 8192 * (16 + 2)
scan += 256 + 16 + 16  # Jamba's norms of Δ, B and C
one = 3 * 4096 * 14_336  # a feed-forward part, or an expert
rest = 4 * attention + 28 * scan + 16 * one + 16 * 16 * 4096 + 65 * 4096 + 2 * 65_536 * 4096
stored, active = (rest + 16 * n * one for n in (16, 2))
print(f"Jamba: {stored:,} stored, {active:,} active: {stored / active:.1f} times")
assert (stored, active) == (51_570_323_328, 12_110_311_296)  # "52B, 12B": table 1
mixtral = TransformerConfig.mixtral_8x7b()
print(f"Mixtral: {mixtral.n_parameters / mixtral.n_active_parameters:.1f} times")

# %% [markdown] slide="notes"
# Sources: Jamba-v0.1's config.json, and "Jamba" (Lieber et al. 2024), table 1: 52B and 12B. A
# public library's page puts experts into the attention layers; the configuration has no such layer.

# %% slide="slide" show="output" alt="Eight layers in Jamba's order, from bottom to top: four scans, one layer that attends to everything, three scans; every second layer has experts. After 262,144 tokens each scan keeps 560 KiB, a short bar, and the attention layer 1 GiB, a bar to the end of the axis. The first word is held, word for word. Layers can be exchanged, and the text's length changed."
bill = trace_stack(*LAYERS["Jamba"], 2**18)
full = LAYERS["Jamba"][0].index("f")
others = sum(bill.kept) - bill.kept[full]
assert bill.kept[full] == GIB > 250 * others
assert bill.fate == "held"
title = "One layer that attends keeps more than 250 times as much as seven scans"
piece("stack", title, mixers=LAYERS["Jamba"][0], feeds=LAYERS["Jamba"][1], step=10)

# %% [markdown] slide="notes"
# Press M for the next model, click a part to exchange it, shorten the text. *Held*: a layer still
# has the first word's own key and value. *Carried*: it can have come here, in a state or from
# window to window (chapter 03), and nothing says that it did. All layers have Mistral's sizes here,
# with eight experts. **Predict** before you try: from which length on is the first word gone in
# Mistral's order?

# %%
last = 8 * (4096 - 1) + 1  # eight windows reach W - 1 tokens each
assert trace_stack(*LAYERS["Mistral"], 4096).fate == "held"
assert trace_stack(*LAYERS["Mistral"], last).fate == "carried"
assert trace_stack(*LAYERS["Mistral"], last + 1).fate == "gone"
assert trace_stack(*LAYERS["Samba"], 2**18).fate == "carried"
print(f"in eight windows gone from token {last + 1:,} on")

# %% [markdown] slide="slide"
# ## A diary
#
# To see what each memory is good for, ask for all three at once. A diary has *remarks* (a word, a
# digit) and one *vow* in its first third, `!`. Between them stand questions:
#
# - **near**, `w7?`: the digit of a remark among the last eight entries;
# - **far**, `!?`: the vow's digit, however long ago;
# - **known**, `Ab?`: a digit for two names, from a table that is the same in all diaries, and
#   stands in none.
#
# **Predict**: which of window, scan and experts, alone, answers which?

# %% [markdown] slide="notes"
# (3 minutes.) Most say: window near, scan far, experts known. That is what comes out; but any layer
# learns a part of the table. We made this task so that each memory has a question of its own. Text
# is a mixture that nobody made; what hybrids gain there is below.

# %% slide="same" show="output"
generator = torch.manual_seed(19)
page = diary.diaries(1, 24, generator)
words = diary.spell(page.tokens[0]).split()
answers = [str(n) if n != diary.NOT_ASKED else "" for n in page.answers[0].tolist()]
for row in (range(0, 12), range(12, 24)):
    print("".join(f"{words[t]:<7}" for t in row))
    print("".join(f"{answers[t]:<7}" for t in row).rstrip())

# %% [markdown] slide="slide"
# ## Assemble it
#
# Every part reads the normalised stream and adds to it: that is the whole interface, and why parts
# of three kinds fit into one slot. `Window` is chapter 02's attention, `Scan` chapter 19's block,
# `Experts` chapter 07's layer (here top-1 of 8), all with a stream of 32 numbers.


# %% slide="same" show="code"
class Hybrid(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        sizes = (5, diary.FIRST, diary.SECOND)  # kinds of token, its first and its second half
        self.tables = nn.ModuleList(nn.Embedding(size, DIM) for size in sizes)
        self.norms = nn.ModuleList(RMSNorm(DIM) for _ in parts)
        self.parts = nn.ModuleList(parts)
        self.scores = nn.Linear(DIM, diary.N_DIGITS)

    def forward(self, tokens):
        x = sum(table(tokens[..., n]) for n, table in enumerate(self.tables))
        for norm, part in zip(self.norms, self.parts, strict=True):
            x = x + part(norm(x))
        return self.scores(x)


# %% [markdown]
# Write a list of parts, and train it: 250 batches of 32 diaries of 24 tokens, the loss on answers
# alone, three seeds each. (On two cores this takes under a minute. Try your own order.)

# %%
recipes = {
    "window": lambda: Hybrid(Window(9)),
    "scan": lambda: Hybrid(Scan()),
    "experts": lambda: Hybrid(Experts()),
    "all three": lambda: Hybrid(Window(9), Scan(), Experts()),
}
trained = {name: seeds(make) for name, make in recipes.items()}
reached = {name: [recall(model) for model in three] for name, three in trained.items()}


# %% slide="slide" show="output" alt="Right answers to near, far and known questions, bars for four models with a point for each of three seeds. The window alone answers near questions, the scan alone far ones, and all three together answer near, far and most known ones. The rest of near and far stays close to guessing one of eight."
def column(name, question):
    return [shares[question] for shares in reached[name]]


assert min(column("window", "near") + column("all three", "near")) > 0.9
assert min(column("scan", "far") + column("all three", "far")) > 0.8
assert max(column("window", "far") + column("experts", "far") + column("experts", "near")) < 0.3
assert max(column("scan", "near")) < 0.5
alone = column("window", "known") + column("scan", "known")
assert min(column("experts", "known")) > 0.8 > max(alone)
questions = ("near", "far", "known")
shown = {name: {one: column(name, one) for one in questions} for name in reached}
title = "Each part answers its own question, and only together all of them"
figures.by_question(shown, 1 / 8, title, "right answers, three seeds")

# %% [markdown] slide="notes"
# Far questions count here only where the vow lies beyond the window. The scan fails at near
# questions: it would have to write down each of 48 words before it knows which is asked. The
# window's own answers to *known* come from what its layer can learn of the table, and a scan's
# gates learn more of it. Equal is the practice, 250 batches each; the hybrid has three layers.

# %% [markdown]
# But three layers stand here against one. Is it the mixture that wins, or the depth? We trained
# three of a kind, too, three seeds each. Three windows reach over all 24 tokens (chapter 03), in
# 3,456 bytes: they answer near and far, and 40% of *known* at most. Three scans answer far and
# known, and a fifth of *near*. So depth does a lot, and no kind alone does all. And order counts:
# with its scan lowest, the hybrid learned far questions on one seed of three.

# %% [markdown] slide="slide"
# ## Take a part away
#
# Which part answers what? The obvious proof: silence one part of the trained hybrid, let it add
# nothing, and see which question fails. **Predict**: without its window, which ones?


# %%
class Silent(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


def without(model, n):
    part, model.parts[n] = model.parts[n], Silent()
    shares = recall(model)
    model.parts[n] = part
    return shares


# %%
hybrids = trained["all three"]
taken = {"all three": reached["all three"]}
for n, name in enumerate(("window", "scan", "experts")):
    taken[f"without {name}"] = [without(model, n) for model in hybrids]

# %% slide="fragment" show="output" alt="Right answers of the trained hybrid to near, far and known questions, whole and with one part silenced, a point for each of three seeds. Without its window it loses near questions and far ones too. Without its scan it loses far ones. Without any part it knows less of the table, without experts least."
lost = {name: {q: [row[q] for row in rows] for q in questions} for name, rows in taken.items()}
assert max(lost["without window"]["near"] + lost["without scan"]["far"]) < 0.4
assert min(lost["without scan"]["near"] + lost["without experts"]["near"]) > 0.8
assert max(lost["without window"]["far"]) < 0.5 < 0.8 < min(lost["without experts"]["far"])
assert min(lost["all three"]["known"]) > max(
    share for name in taken if name != "all three" for share in lost[name]["known"]
)
title = "Without its window the hybrid loses far questions, too, which a scan answers alone"
figures.by_question(lost, 1 / 8, title, "right answers, three seeds")

# %% [markdown] slide="notes"
# (4 minutes.) Near *and far*. Common answers: near alone; "near, and a little of all". A scan that
# was trained alone answers every far question. This one was trained behind a window: it reads a
# stream into which the window has written, and so do the scores; neither has met one without. So
# taking a part away tells what the others have come to expect of it, not what it is needed for: for
# that, train without. Six more seeds all did the same. Chapter 08 took experts away in the same
# way: read its figures so.

# %% [markdown] slide="slide"
# ## What does an answer cost?
#
# Three seeds of *all three*, and of the window alone; now narrow or widen the window of the trained
# models, and count the bytes that they keep of 24 tokens. A token's key and value take 128 bytes,
# the scan's state and last inputs 896.
#
# **Predict**: one memory of 2 KiB: all of it window, or half window, half scan?


# %%
def under(model, window):
    for part in model.parts:
        if isinstance(part, Window):
            part.window = window
    shares = recall(model)
    return kept(model.parts, 24), (shares["near"] + shares["far"]) / 2


curves = {}
for name in ("window", "scan", "all three"):
    windows = (2, 4, 6, 9, 16, 24) if name != "scan" else (None,)
    points = [[under(model, window) for model in trained[name]] for window in windows]
    curves[name] = [three[0][0] for three in points], [[y for _, y in three] for three in points]
for model in trained["window"] + trained["all three"]:
    under(model, 9)

# %% slide="fragment" show="output" alt="Right answers to near and far questions, their mean, against bytes kept. Windows alone rise with their bytes: about half at 1,152 bytes, four fifths at 2,048, nearly all at 3,072, where they hold the whole text. The scan stands at one place, near 60 percent. Window and scan together begin at the same half, and reach more than 95 percent at 2,048."
alone, both = curves["window"], curves["all three"]
assert both[0][3] == 9 * 128 + 896 == 2048
assert alone[0][4] == 2048
assert min(both[1][3]) > 0.95 > max(alone[1][4]) + 0.1
assert both[0][0] == alone[0][3] == 1152
assert max(both[1][0]) < max(alone[1][3]) + 0.1
title = "Of 2 KiB, window and scan make more than a window alone; of 1 KiB, no more"
figures.against_memory(curves, title, "near and far questions, right")

# %% [markdown] slide="notes"
# (3 minutes.) Half and half; but at 1,152 bytes the scan leaves too little for the window, and
# nothing is won. Common answers: "all window, it is exact"; "no difference". These windows were
# narrowed or widened after training, at 9; one trained at 16 reaches no more at 2 KiB, and window
# and scan without experts no less. A cache of all 24 tokens answers near and far, and takes 128
# bytes more for every token that comes. The sentence holds for this task and these sizes, on three
# seeds.

# %% [markdown] slide="slide"
# ## Longer texts
#
# All practised on 24 tokens. Now 1, 4 and 16 times as many. **Predict** for *all three*: does near
# recall fall? Far recall? The bytes?

# %%
lengths = [24, 96, 384]
rows = {seq: [recall(model, seq, 96) for model in hybrids] for seq in lengths}
found = {one: [[row[one] for row in rows[seq]] for seq in lengths] for one in ("near", "far")}
assert {kept(hybrids[0].parts, seq) for seq in lengths} == {2048}

# %% slide="fragment" show="output" alt="Right answers of the model of all three parts against the length of a diary, 24, 96 and 384 tokens, the mean of three seeds with bars from worst to best. Near questions stay close to 100 percent, far ones fall below 60 at 384 tokens."
near, far = found["near"], found["far"]
assert min(map(min, near)) > 0.9
assert max(far[2]) < 0.6 < 0.9 < min(far[0])
series.lines(
    lengths,
    {one: [sum(shares) / 3 for shares in three] for one, three in found.items()},
    ends={one: ([*map(min, three)], [*map(max, three)]) for one, three in found.items()},
    title="In longer diaries near recall stays, and the vow fades; the bytes are 2,048 at each",
    x_title="length of the diary (tokens), practised at 24",
    y_title="right answers, three seeds",
    log_x=True,
)

# %% [markdown] slide="notes"
# (3 minutes.) Near recall stays: the window doesn't know how long the text is. Far recall falls:
# the vow lies up to 383 tokens back, and at no token time stands quite still (chapter 16). The
# bytes stay. Common answers: "all falls"; "a state of fixed size must forget the near first".

# %% [markdown]
# Quality has its price in time, too: until a text is read and its first answer there, and for each
# further token. Processor time of this machine, one thread, for 1, 4 and 16 times 256 tokens: read
# shapes, not levels. With 32 numbers a token, writing is mostly the cost of a dozen calls; only
# *all*, with 4,096 keys to read, shows its length. On a GPU writing is slow because memory is read,
# so bytes kept *are* time (chapter 18).


# %%
def milliseconds(run, x, times):
    return 1000 * median(repeat(lambda: run(x), timer=process_time, number=1, repeat=times))


# %% volatile=true
torch.set_num_threads(1)
single = {"window": Window(9), "scan": Scan(), "all": Window(None), "experts": Experts()}
with torch.no_grad():
    for name, part in single.items():
        for seq in (256, 1024, 4096):
            text = torch.randn(1, seq, DIM)
            first = milliseconds(part, text, 5)
            further = milliseconds(part.writer(text), text[:, :1], 51)
            print(f"{name:<8}{seq:>6,} tokens: read in {first:5.1f} ms,", end=" ")
            print(f"one more in {further:4.2f}, {part.kept(seq):>7,} bytes kept")

# %% [markdown] slide="slide"
# ## Experts: stored, not read
#
# The experts knew the table best. Is that because a token chooses, or because there are many
# parameters? Against them one feed-forward layer of the same width: as many *active* parameters, an
# eighth of the stored.

# %% slide="same" show="both" volatile=true
dense = seeds(lambda: Hybrid(Experts(1)))
known = {"1 of 8": column("experts", "known"), "1 of 1": [recall(m)["known"] for m in dense]}
for name, shares in known.items():
    print(
        f"{name}: knows more than 85% of the table on", sum(x > 0.85 for x in shares), "of 3 seeds"
    )
assert min(known["1 of 8"]) > max(known["1 of 1"])
assert kept([Experts()], 10**6) == kept([Experts(1)], 10**6) == 0

# %% [markdown] slide="slide"
# ## What they chose
#
# | | mixers | feed-forward | positions |
# |---|---|---|---|
# | Mistral 7B (2023) | window 4,096 | dense | RoPE |
# | Mixtral (2024) | attention, no window | 2 of 8 experts | RoPE |
# | Mamba (2023), Mamba-2 (2024) | scan | none | none |
# | Jamba (2024) | 7 scans, 1 attention | dense, 2 of 16 experts by turns | none |
# | Samba (2024) | scan, window 2,048 by turns | dense | RoPE in windows |
# | Codestral Mamba (2024) | Mamba-2 | none | none |
# | Mamba-3 (2026) | scan, no short convolution | dense | the state turns |

# %% [markdown] slide="notes"
# Sources: the papers' tables of sizes; Samba section 2.1. Jamba needs no positions (section 6.5):
# the scan before attention tells them. Mamba-3's rotations in the state are RoPE come back
# (chapters 01 and 13). NVIDIA trained 8B models side by side ("An Empirical Study of Mamba-based Language
# Models", 2024): 43% Mamba-2, 7% attention and 50% feed-forward layers beat the transformer on all
# 12 of its standard tasks, by 2.65 points on average; without any attention, models fell behind in
# looking up a phone book. That is our figure at scale: **a little attention buys the word-for-word
# part.**

# %% [markdown] slide="slide"
# ## Why not only a state?
#
# A state of $b$ bits tells at most $2^b$ texts apart, so it can't hold every text of more than $b$
# bits word for word. ("Repeat After Me", Jelassi et al. 2024, proves this, and that two layers of
# attention can copy.) **Predict**: how many tokens of a vocabulary of 32,768 could Codestral Mamba's
# state hold, at the very best?

# %% slide="fragment"
bits = 8 * codestral_state
most = bits // 15  # a token of 2**15 takes 15 bits
assert 2**15 == 32_768
print(f"at most {most:,} tokens, if no bit were wasted")
windowed = 4096  # what Mistral's window holds for certain, in twice the bytes
assert most > 10_000 * windowed

# %% [markdown] slide="notes"
# (3 minutes.) 143 million. Common answers: 2,048, as Mistral's cache of that size; 16,384. Then why
# do scans fail at phone books? Training finds no way to *write* so densely: what was written must
# be found again by a product with $C$, among all that lies on top. A cache is wasteful, and finds
# everything. So the bound proves that there is a wall, and says little about where practice stands
# before it.

# %% [markdown] slide="slide"
# ## Your certificate, and what to read next
#
# `make certificate` runs the checks of all chapters on your answers in `work/`, and draws one page:
# a badge a chapter, what passed, and what is open. It is your own machine's word; a teacher's is
# `make grade`.
#
# Read on: "Jamba" (Lieber et al. 2024) and "Samba" (Ren et al. 2024) for hybrids; "Transformers are
# SSMs" (Dao and Gu 2024), Mamba-2, where scan and attention are one matrix; "Mamba-3" (2026);
# "Zoology" (Arora et al. 2023) on recall; "Repeat After Me" on its wall; "An Empirical Study"
# (Waleffe et al. 2024) for the numbers.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Three memories, three bills: a window pays by the token, up to $W$; experts by what is stored;
#    a scan once.
# 2. A window holds the near word for word, a scan carries far what it was taught to keep, experts
#    know what training showed. In our diary, each alone answers one kind of question well, and not
#    the others.
# 3. A hybrid spends bytes where each is good: of 2 KiB, window and scan together recalled more than
#    a window alone.

# %% [markdown]
# ## Self-test
#
# 1. What do experts keep of a text?
# 2. Jamba's cache at 262,144 tokens is 4 GiB. Why an eighth of Mistral's without a window?
# 3. In a stack of eight windows, how far can a word's trace come?
# 4. Why can parts of three kinds fit into one slot?
#
# <details><summary>Answers</summary>
#
# 1. Nothing.
# 2. Four layers of 32 attend.
# 3. 8(W − 1) tokens.
# 4. Each reads the stream and adds to it.
#
# </details>
#
# **Next.** Which changes make Mixtral's block of 2017's was the question of
# [chapter 01](01_transformer_to_mistral.ipynb). Ask it again now; but first
# [the exercises](../work/20_capstone.ipynb).

# %% [markdown] to="exercise"
# # 20 · The capstone: exercises
#
# Five exercises on [the lesson](../course/20_capstone.ipynb), about 55 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("20.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass. When they all pass, `make certificate` has a page for you.

# %% to="exercise"
import torch  # noqa: F401

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="20.1" role="prompt" title="Jamba's schedule" difficulty=1 minutes=8 points=2
# Jamba's configuration says where its parts stand with four numbers: layer $i$, counted from 0,
# attends if its remainder on division by `attn_period` is `attn_offset`, and else has a scan. In
# the same way it has experts if its remainder by `expert_period` is `expert_offset`. An offset is
# always smaller than its period.
#
# Return a list with a row for each layer, and in it two truth values: does it attend, has it
# experts?
#
# Example: `schedule(3, 2, 1, 3, 0)` is `[[False, True], [True, False], [False, False]]`.


# %% exercise="20.1" role="answer"
def schedule(n_layers, attn_period, attn_offset, expert_period, expert_offset):
    """A row a layer: whether it attends, and whether it has experts."""
    ### BEGIN SOLUTION
    return [
        [i % attn_period == attn_offset, i % expert_period == expert_offset]
        for i in range(n_layers)
    ]
    ### END SOLUTION


# %% exercise="20.1" role="check"
check("20.1", schedule)

# %% [markdown] exercise="20.2" role="prompt" title="Predict the memory of a hybrid" difficulty=2 minutes=10 points=3
# `layers` names each layer's mixer: `"all"` attends to everything, `"window"` to the last `window`
# tokens, `"scan"` has a state. `texts` holds the lengths of several texts, which are read side by
# side. An attention layer keeps `token_bytes` for each token that it holds, key and value together;
# a scan keeps `state_bytes`. Return how many bytes are kept in all.
#
# Example: `kept_bytes(["window", "scan"], [9, 2], 4, 10, 7)` is 40 + 20 + 7 + 7 = 74.


# %% exercise="20.2" role="answer"
def kept_bytes(layers, texts, window, token_bytes, state_bytes):
    """Bytes that all layers keep of all texts."""
    ### BEGIN SOLUTION
    total = 0
    for length in texts:
        keeps = {
            "all": length * token_bytes,
            "window": min(length, window) * token_bytes,
            "scan": state_bytes,
        }
        total += sum(keeps[kind] for kind in layers)
    return total
    ### END SOLUTION


# %% exercise="20.2" role="check"
check("20.2", kept_bytes)

# %% [markdown] exercise="20.3" role="prompt" title="Predict when a cache outgrows a state" difficulty=2 minutes=10 points=3
# One layer attends and keeps `token_bytes` for each token that it holds: all of them if `window` is
# None, else the last `window`, itself included. Another layer scans and keeps `state_bytes`.
#
# After how many tokens does the first layer keep *more* than the second, for the first time? Return
# 0 if it never does. All sizes are whole numbers from 1 up, some of them large.
#
# Example: `outgrown(10, 35, None)` is 4, for 30 bytes are not more than 35, and 40 are. With a
# window of 3 it is 0.


# %% exercise="20.3" role="answer"
def outgrown(token_bytes, state_bytes, window):
    """The first number of tokens at which the cache is larger; 0 if there is none."""
    ### BEGIN SOLUTION
    tokens = state_bytes // token_bytes + 1
    if window is not None and tokens > window:
        return 0
    return tokens
    ### END SOLUTION


# %% exercise="20.3" role="check"
check("20.3", outgrown)

# %% [markdown] exercise="20.4" role="prompt" title="Find the bugs: one token through a hybrid" difficulty=3 minutes=15 points=4
# A hybrid writes. One token's vector `x` passes all layers. Layer n has a norm, `norms[n](x)`, and
# a part that remembers: `parts[n](input, state)` returns the pair of its output and its next state.
# Window, scan and experts can all be called like this. The layer reads the normalised stream, and
# adds its output to the stream. Return `x` after all layers and the list of new states.
#
# There are **four mistakes**. Mend them all. The caller may want to go on twice from the same `x`
# and `states`.
#
# ```python
# def step(x, parts, norms, states):
#     for n in range(len(parts)):
#         x = norms[0](x)
#         y, states[n] = parts[n](x, states[0])
#         x = x + y
#     return x, states
# ```


# %% exercise="20.4" role="answer"
def step(x, parts, norms, states):
    """One token: the stream after all layers, and each part's new state."""
    ### BEGIN SOLUTION
    after = []
    for run, norm, state in zip(parts, norms, states, strict=True):
        y, kept = run(norm(x), state)
        x = x + y
        after.append(kept)
    return x, after
    ### END SOLUTION


# %% exercise="20.4" role="check"
check("20.4", step)

# %% [markdown] exercise="20.5" role="prompt" title="Prove by test: can this be a hybrid's bill?" difficulty=2 minutes=12 points=3
# `kept(tokens)` says how many bytes something keeps of a text of 0 to 100 tokens. It can be a
# hybrid's bill if there is a stack of layers that keeps just that: scans, windows, attention over
# everything and experts, any number of each, every window as wide as it likes, every layer with as
# many bytes a token, or a state as large, as it likes (whole numbers, 0 or more).

# %% [markdown] exercise="20.5" role="prompt"
# Write the test. `is_bill(kept)` returns True only for such bills. The check hands it some of real
# stacks, and others; each of these shows itself within the first 64 tokens.


# %% exercise="20.5" role="answer"
def is_bill(kept):
    """Whether some stack of layers keeps kept(tokens) bytes of every text."""
    ### BEGIN SOLUTION
    if kept(0) < 0:
        return False
    before = None
    for tokens in range(1, 65):
        step = kept(tokens) - kept(tokens - 1)
        if step < 0 or (before is not None and step > before):
            return False
        before = step
    return True
    ### END SOLUTION


# %% exercise="20.5" role="check"
check("20.5", is_bill)
