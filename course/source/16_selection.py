# %% [markdown] slide="slide"
# # 16 · Selection
#
# *Which texts are too hard for a memory that treats all tokens alike?*

# %% [markdown] slide="slide"
# **The problem.** Three letters lie scattered among thirteen dots; name them in order. A child can.
# A layer of chapters 13 to 15 stays near 60%, and why it must fail takes three lines. The cure is
# one idea: let the *token* say how long it lasts, how it is written down, how the memory is read.
# With it, 200 small batches lead to 100%, in two seconds.

# %% [markdown]
# **You will be able to** prove what no linear time-invariant layer can do; build a selective one
# beside S4's algorithm, with all shapes; say what $\Delta$ does at its two ends; train both on the
# two tasks that made Mamba, and read the paper's tables; name a task that selection doesn't solve.
#
# **You need** a layer's recurrence and its $\Delta$
# ([chapter 13](13_state_space_models.ipynb)), its kernel ([14](14_ssm_convolution.ipynb)), and the
# rates $-1 \dots -N$ ([15](15_hippo.ipynb)).
# [Chapter 12](12_sequence_models.ipynb) has what a linear recurrence is.
#
# **Time**: 60 minutes, and an hour for the exercises in
# [work/16_selection.ipynb](../work/16_selection.ipynb), your copy of
# [these](../exercises/16_selection.ipynb).

# %%
from itertools import combinations, product

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mixlab.chapters.kit import series
from mixlab.chapters.selection import figures
from mixlab.chapters.selection.practice import Constant, right, trained
from mixlab.chapters.selection.slots import by_hand, trace_slots
from mixlab.chapters.selection.tasks import COPYING, INDUCTION
from mixlab.chapters.stage.host import piece
from mixlab.ssm.convolution import convolve, fft_convolve
from mixlab.ssm.discretize import discretize_diagonal, log_steps
from mixlab.ssm.s4d import S4D, s4d_kernel, s4d_rates
from mixlab.ssm.selective_scan import selective_scan

generator = torch.manual_seed(16)

# %% [markdown] slide="slide"
# ## Three letters among dots
#
# Three letters of A, B, C, D, perhaps the same one twice, lie at places that are drawn anew for
# every text of 16 tokens. Behind it stand three questions: the first? the second? the third?
#
# `··C·A·····D·····123`
#
# `················CAD` (the answers)
#
# Dots are *noise*. This is *selective copying*, in small.

# %%
text = "··C·A·····D·····123"
answers = COPYING.answers(COPYING.encode(text)[None])[0]
assert COPYING.spell(answers) == " " * 16 + "CAD"
for tokens in COPYING.texts(3, 16, generator):
    print(COPYING.spell(tokens), " ", COPYING.spell(COPYING.answers(tokens[None])[0]).strip())

# %% [markdown] slide="slide"
# ## A kernel with one tap
#
# A linear time-invariant (LTI) layer is a convolution (chapter 14):
#
# $$y_t = \sum_{k \ge 0} K_k\,x_{t-k}$$
#
# Let letters always stand at places 2, 4 and 10, as above, and the first question at place 16. One
# tap at $k = 14$ fetches the first letter. **Predict:** how often does that tap answer the first
# question if letters stand anywhere?


# %% slide="fragment" show="code"
def by_taps(tokens, taps):
    """Answers of three kernels, one a question, each with a single tap."""
    x = F.one_hot(tokens, 8)[..., :4].float()  # (batch, seq, letter); a dot is 0
    scores = []
    for question, k in enumerate(taps, start=16):
        kernel = F.one_hot(torch.tensor([k] * 4), 19).float()  # (letter, tap)
        scores.append(convolve(x, kernel)[:, question])
    return torch.stack(scores, dim=1).argmax(-1)


# %% slide="same" show="output"
tokens = COPYING.texts(4000, 16, generator)
wanted = COPYING.answers(tokens)[:, 16:]
fixed = torch.full_like(tokens, 4)
fixed[:, [2, 4, 10]], fixed[:, 16:] = wanted, tokens[:, 16:]
for name, texts in {"fixed places": fixed, "any places": tokens}.items():
    shares = (by_taps(texts, (14, 13, 8)) == wanted).float().mean(0)
    print(
        f"{name:<13}", "  ".join(f"question {n}: {share:.0%}" for n, share in enumerate(shares, 1))
    )
    assert shares.min() == 1 if name == "fixed places" else shares.max() < 0.4

# %% [markdown] slide="notes"
# (3 minutes.) About one in three: mostly the tap finds a dot, or another letter, and one guess of
# four is right. Common answers: "never"; "3 of 16". Copying from *fixed* places is no test of a
# memory: a shift does it (paper, section 3.1 and figure 2).

# %% [markdown] slide="slide"
# ## Many taps, and four scores
#
# Let the kernel be any, let vectors be any, read scores with any linear map. Sums of sums are a
# sum: **each place adds its own part to A's lead over B**, whatever stands elsewhere.
#
# $$\text{lead} = \text{score}_A - \text{score}_B = c + \sum_k \varphi_k(\text{token at place } k)$$
#
# Put an A where a B stood, at place $k$: the lead grows by
# $d_k = \varphi_k(A) - \varphi_k(B)$, in every text by the same.
#
# **Predict:** for some question of the three there are weights $d_k$ that answer it in *all* texts.
# Which?

# %% slide="fragment" show="code"
for n, weights in ((0, [8, 4, 2, 1]), (2, [1, 2, 4, 8])):  # what each of four places weighs
    for where, letters in product(combinations(range(4), 3), product("ABCD", repeat=3)):
        scores = dict.fromkeys("ABCD", 0)
        for place, letter in zip(where, letters, strict=True):
            scores[letter] += weights[place]
        assert max(scores, key=scores.get) == letters[n]

# %% [markdown] slide="notes"
# (4 minutes.) The first and the third. Common answers: none; only the third. If each place
# outweighs all places behind it together, the first letter wins; mirrored, the last. The second is
# another matter.

# %% [markdown] slide="slide"
# ## The second letter, in three lines
#
# Take texts of As and Bs at the places $i < j < k$. Exchange every A and B: the wanted letter
# changes, so the lead must change its sign.
#
# 1. A in the middle: lead minus lead of the exchanged text,
#    $\;\pm d_i + d_j \pm d_k > 0$, for all four signs. So $d_j > |d_i| + |d_k|$.
# 2. Letters at places 1, 2, 3: $\;d_2 > |d_3|$.
# 3. Letters at places 2, 3, 4: $\;d_3 > |d_2|$. Both can't be. ∎
#
# **A place has one weight for all texts; the task asks place 2 to outweigh place 3, and place 3
# place 2.**

# %%
letters = [*product((1.0, -1.0), repeat=3)]  # A is 1, B is -1, a dot 0
texts = torch.tensor([(*x, 0) for x in letters] + [(0, *x) for x in letters]).double()
middle = torch.tensor([x[1] for x in letters] * 2)
d = torch.randn(4, 200_000, generator=generator, dtype=torch.double)
n_right = ((texts @ d) * middle[:, None] > 0).sum(0)
print(f"200,000 random weightings of 16 texts: the best names {n_right.max()}")
assert n_right.max() == 14

# %% [markdown] slide="notes"
# No kernel helps, of any length, real or complex, diagonal or HiPPO's, with any number of channels.
# What the proof needs is that nothing *bends* the sum before scores are compared. Two layers with a
# nonlinearity between them are free of it; still, S4 in two layers reached 18.3% in the paper
# (table 1).

# %% [markdown] slide="slide"
# ## What if dots took no time?
#
# A token lasts for a time $\Delta$. LTI layers give all tokens the same. Give each its
# own, and look at the two ends, for the rate $-1$:

# %% slide="same" show="output"
for delta in (1e-6, 0.1, 1.0, 20.0):
    keeps, takes = discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), delta)
    print(f"Δ = {delta:<6g} keeps {keeps:.3f} of the state, takes {takes:.3f} of the token")

# %% [markdown] slide="slide"
# ## Skip, or forget
#
# $\Delta \to 0$: the token is ignored, the state stays as it is. $\Delta \to \infty$: all is
# forgotten, only the token counts. **Predict:** let dots have $\Delta = 0$ and letters
# $\Delta = 0.7$. How does the state after `··C·A·····D` differ from that after `CAD`?

# %% slide="fragment"
vectors, A = torch.randn(8, 5, generator=generator), -torch.rand(5, 3)
B, C = torch.randn(8, 3, generator=generator), torch.randn(8, 3, generator=generator)


def after(text):
    tokens = COPYING.encode(text)[None]
    lasts = torch.where(tokens == 4, 0.0, 0.7)[..., None].expand(-1, -1, 5)
    return selective_scan(vectors[tokens], lasts, A, B[tokens], C[tokens])[1]  # the state


assert torch.allclose(after("··C·A·····D"), after("CAD"), atol=1e-6)
assert not torch.allclose(after("CAD"), after("CDA"), atol=0.01)
print("by no more than rounding")

# %% [markdown] slide="notes"
# (3 minutes.) Not at all, but for rounding: $e^{0} = 1$, and $0 \cdot B x = 0$. Common answers: "a
# little, the dots age it"; "they add something". Without dots, letters stand at fixed distances
# from the questions: a kernel in *letters* rather than tokens does it.
#
# A long Δ resets the state. A layer can learn that at a border between documents, for which chapter
# 06 built a mask.

# %% slide="slide" show="output" alt="A text of three letters and dots, and below it two memories of three slots. In the selective one each slot is filled by one letter, C, A and D. In the even one every slot is a striped average, most of it dots."
text = "··C·A·····D···"
selective, even = trace_slots(text), trace_slots(text, delta=0.2)
letters = [text.index(letter) for letter in "CAD"]
assert [row.argmax() for row in selective.shares[-1]] == letters
assert selective.shares[-1].max(axis=1).min() > 0.999
of_letters = even.shares[-1][:, letters].sum(axis=1)
of_all = even.shares[-1].sum(axis=1)
assert (of_letters < of_all / 2).all()  # dots have the larger part of each slot
title = "Where dots take no time, each slot keeps a letter; run evenly, slots smear"
piece("copying", title, text=text)

# %% [markdown] slide="notes"
# Both have the rates −1, −2, −3, and average what passes. In the even one every token lasts 0.2:
# drag it. In the selective one a dot lasts 0, a letter long, in slots whose turn isn't over: slot
# $n$ closes behind the $n$th letter. Type your own text.
#
# To know how many letters came, a gate needs a layer before it that counts. `by_hand` is both, two
# selective scans whose weights were set by hand.


# %%
for length in (4, 16, 300):
    tokens = COPYING.texts(500, length, generator)
    assert torch.equal(by_hand(tokens), COPYING.answers(tokens)[:, -3:])

# %% [markdown] slide="slide"
# ## Let the token choose
#
# Who says that a dot takes no time? The token itself. A *selective* layer computes from its input
# $x_t$ how long it lasts, $\Delta_t$, where in the state it is written, $B_t$, and where that is
# read, $C_t$.
#
# $$h_t = e^{\Delta_t A} \odot h_{t-1} + (\Delta_t x_t) \otimes B_t, \qquad y_t = h_t\,C_t$$
#
# $\otimes$ multiplies each channel's $\Delta_t x_t$ by all of $B_t$. $A$ needn't be chosen: it acts
# as $\Delta_t A$ only. $\Delta$ passes softplus, $\log(1 + e^r)$, to be positive.

# %% [markdown] slide="same"
# | | S4D (algorithm 1) | selective, *S6* (algorithm 2) |
# |---|---|---|
# | $A$ | (D, N), learnt | (D, N), learnt |
# | $B$, $C$ | (D, N), learnt | (batch, L, N), linear maps of the token |
# | $\Delta$ | (D,), learnt | (batch, L, D), softplus of a linear map |
# | $\bar A$, $\bar B$ | (D, N) | (batch, L, D, N) |
# | computed | as a convolution, or step by step | step by step: a scan |
#
# L tokens, D channels, N numbers of state in each.


# %% [markdown]
# First the loop as the equation stands, for one text. With the same $\Delta$, $B$ and $C$ at every
# token it must be chapter 14's convolution.


# %% slide="slide"
def s6_loop(x, delta, A, B, C):
    h, y = torch.zeros_like(A), []  # (D, N)
    for t in range(len(x)):
        A_bar = torch.exp(delta[t, :, None] * A)
        h = A_bar * h + (delta[t] * x[t])[:, None] * B[t]
        y.append(h @ C[t])
    return torch.stack(y)  # (L, D)


L, D, N = 50, 6, 4
x, delta = torch.randn(L, D, generator=generator), torch.rand(L, D, generator=generator)
A, B, C = -torch.rand(D, N), torch.randn(L, N), torch.randn(L, N)
library, _ = selective_scan(x[None], delta[None], A, B[None], C[None])
assert torch.allclose(s6_loop(x, delta, A, B, C), library[0], atol=1e-5)

# %% slide="same"
kernel = s4d_kernel(A, B[0].expand(D, N), C[0].expand(D, N), delta[0], L, method="mamba")
constant = [part[:1].expand_as(part) for part in (delta, B, C)]
scanned = s6_loop(x, constant[0], A, *constant[1:])
assert torch.allclose(scanned, fft_convolve(x[None], kernel)[0], atol=1e-5)
print("loop = library; with constants it is S4D's convolution")

# %% [markdown] slide="notes"
# The price of selection: $\bar A$ differs at every token, no kernel exists. Written out, $\bar A$
# is N times as large as the layer's input; so the library never does. S6 is the paper's name for
# this layer, Mamba is the block around it (chapter 19), where $\Delta$'s map is a product of two
# thin ones. $\bar B = \Delta B$ is the released code's rule.

# %% [markdown] slide="slide"
# ## Which letter of LTI is gone?
#
# The paper calls S6 time-varying. An LTI layer commutes with shifts: let a text start five places
# later, and its outputs come five places later. **Predict:** does a selective layer break that? We
# assert it.


# %%
class S6(nn.Module):
    """A selective layer; what isn't `chosen` by the token is a learnt constant."""

    def __init__(self, dim, d_state, chosen="ΔBC"):
        super().__init__()
        sizes = {"Δ": dim, "B": d_state, "C": d_state}
        maps = {n: nn.Linear(dim, k) if n in chosen else Constant(k) for n, k in sizes.items()}
        self.delta, self.B, self.C = maps.values()
        with torch.no_grad():  # before training Δ lies between 0.1 and 1: short texts
            self.delta.bias.copy_(log_steps(dim, 0.1, 1.0).exp().expm1().log())
        self.A_log = nn.Parameter((-s4d_rates(d_state, "real")).log().repeat(dim, 1))
        self.D = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        delta, A = F.softplus(self.delta(x)), -self.A_log.exp()
        return selective_scan(x, delta, A, self.B(x), self.C(x), self.D)[0]


# %% slide="fragment" fails="AssertionError"
layer = S6(dim=16, d_state=4).requires_grad_(False)
x = torch.randn(1, 20, 16, generator=generator)
shifted = layer(F.pad(x, (0, 0, 5, 0)))[:, 5:]
assert not torch.allclose(shifted, layer(x), atol=1e-5), "its outputs are shifted, and the same"

# %%
other = torch.randn(1, 20, 16, generator=generator)
both, sum_of_both = layer(x + other), layer(x) + layer(other)
assert (both - sum_of_both).abs().max() > 0.5
lti = S4D(16, 8, "lin", 0.1, 1.0).requires_grad_(False)
assert torch.allclose(lti(x + other), lti(x) + lti(other), atol=1e-4)

# %% [markdown] slide="notes"
# (3 minutes.) No: five zeros in front write nothing, and it commutes too. Common answers: "yes, its
# factors change with $t$"; "only $\Delta$ does". They change with the *token*. What is gone is the
# L: the output of a sum isn't the sum of outputs, so the proof's first step fails. In its *state*
# the recurrence is still linear: a scan can share it out (chapters 12 and 17).

# %% [markdown] slide="slide"
# ## Practice
#
# Embedding, one layer of 16 channels, a linear map to scores; nothing else. Three layers to
# compare:
#
# - **LTI**: S4D, eight numbers a channel, complex rates;
# - **C alone**: the token chooses how the memory is *read*, $\Delta$ and $B$ are learnt constants;
# - **selective**: the token chooses $\Delta$, $B$ and $C$, four numbers a channel.
#
# 200 batches of 64 texts, three seeds. **Predict:** which questions can "C alone" answer? For each
# question it has a kernel of its own.

# %%
layers = {
    "LTI": lambda: S4D(16, 8, "lin", 0.1, 1.0),
    "C alone": lambda: S6(16, 4, chosen="C"),
    "selective": lambda: S6(16, 4),
}
how = dict(steps=200, learning_rate=0.08)
copiers = {
    name: [trained(COPYING, layer, seed, **how) for seed in range(3)]
    for name, layer in layers.items()
}
copied = {
    name: np.array([right(reader, COPYING) for reader in three]) for name, three in copiers.items()
}

# %% slide="fragment" show="output" alt="Right answers to the first, second and third question, a bar for each model and a point for each of three seeds. LTI answers about 60 percent of each. C alone answers nine in ten of the first and the third, and about 60 percent of the second. The selective layer answers all."
assert copied["selective"].min() > 0.97
assert 0.4 < copied["LTI"].min() <= copied["LTI"].max() < 0.75
assert copied["C alone"][:, [0, 2]].min() > 0.8 > 0.7 > copied["C alone"][:, 1].max()
questions = ("first", "second", "third")
shown = {
    name: {which: shares[:, n].tolist() for n, which in enumerate(questions)}
    for name, shares in copied.items()
}
title = "Only the selective layer names the second letter"
figures.seeds(shown, 1 / 4, title, "right answers, three seeds")

# %% [markdown] slide="notes"
# (4 minutes.) The first and the third, as the theorem allows: its memory is LTI, and each question
# reads it with a kernel of its own. Common answers: "all, it is selective"; "none". The LTI layer
# has one kernel for all three questions. Swept before, its learning rates 0.003 and 0.01 gave fewer
# right answers.

# %% [markdown] slide="slide"
# ## What did it learn?
#
# The selective reader has learnt a $\Delta$ for each token and channel. The longest memory in a
# channel keeps $e^{\Delta A}$ of itself, with its slowest rate $A$. **Predict:** in which rows is
# most kept?

# %% slide="fragment" show="output" alt="A heat map of what a trained selective layer keeps of its longest memory, a row a token, a column a channel. In the row of the dot nearly all channels keep everything. In the rows of the four letters most keep clearly less."
slowest = [(-reader.layer.A_log.exp()).max(1).values for reader in copiers["selective"]]
kept = [
    torch.exp(rate * F.softplus(reader.layer.delta(reader.embedding.weight)))
    for rate, reader in zip(slowest, copiers["selective"], strict=True)
]  # (token, channel) for each seed
for shares in kept:
    dot, of_letters = shares[4], shares[:4].mean(0)
    assert ((dot > 0.97) & (of_letters < 0.9)).sum() >= 4
    assert dot.median() > of_letters.median() + 0.05
assert (kept[0][4] > 0.95).sum() >= 12  # the one that is drawn
assert (kept[0][:4] < 0.9).float().mean() > 0.6
order = kept[0][4].argsort()
rows = ["A", "B", "C", "D", "dot", "1?", "2?", "3?"]
title = "Learnt: at a dot time stands nearly still, at a letter it runs"
figures.kept(rows, kept[0][:, order].tolist(), title, "channel, seed 0, by what it keeps at a dot")

# %% [markdown] slide="notes"
# (3 minutes.) In the dot's: of 16 channels at least four in each seed keep 97% of their longest
# memory at a dot, and less than 90% at a letter. Common answers: "the letters', they are to be
# kept"; "the questions'". Kept is the *old* state: a letter must age it, or "how many letters ago"
# couldn't be told.

# %% [markdown] slide="slide"
# ## Task two: what followed the star?
#
# `cfh*eabbdgcafed*` → `e`
#
# A star somewhere in a text of eight letters, and again at its end: what followed the first? The
# paper calls it *induction heads*. Here noise is made of the same letters as the answer.
#
# Additive scores fail in two lines. Star before place 2, letters at 2, 3, 4, exchanged:
# $d_2 > |d_3| + |d_4|$. Star at place 3, letters at 1, 2, 4: $d_4 > |d_1| + |d_2|$. Both can't be.
# ∎
#
# **Predict:** at which token must a gate open? Can S6, as built above, know?

# %%
tokens = INDUCTION.encode("cfh*eabbdgcafed*")
assert INDUCTION.spell(INDUCTION.answers(tokens[None])[0]).strip() == "e"
runs = {
    "LTI": dict(layer=layers["LTI"], look_back=True),
    "selective, no look back": dict(layer=layers["selective"]),
    "selective": dict(layer=layers["selective"], look_back=True),
}
how = dict(steps=100, learning_rate=0.05)
readers = {
    name: [trained(INDUCTION, seed=seed, **run, **how) for seed in range(3)]
    for name, run in runs.items()
}
followed = {
    name: [right(reader, INDUCTION)[0] for reader in three] for name, three in readers.items()
}

# %% slide="fragment" show="output" alt="Right answers for three models, three seeds each. LTI and the selective layer without a look back stay below one in three. With a look one place back the selective layer answers nearly everything."
assert max(followed["LTI"] + followed["selective, no look back"]) < 0.35
assert min(followed["selective"]) > 0.97
shown = {name: {"what followed the star": shares} for name, shares in followed.items()}
title = "A gate that sees the token before finds what followed the star"
figures.seeds(shown, 1 / 8, title, "right answers, three seeds")

# %% [markdown] slide="notes"
# (4 minutes.) At the token *behind* the star; $\Delta_t$ sees its own token only, so it can't.
# Common answers: "at the star"; "yes, the state remembers". So two models got a *look back*: each
# vector also tells of the token before, a sum of two embeddings. H3, an older block, has a shift
# there, Mamba a convolution of four taps (chapter 19). It doesn't help the LTI layer: sums stay
# sums.

# %% [markdown] slide="slide"
# ## Where is the loss taken?
#
# So far only answers were scored. A language model is scored at every token: the next. **Predict**
# for both tasks: same layer, same steps, but now *every* token is asked for the next one. Better or
# worse?

# %%
whole = {
    "selective copying": [
        trained(COPYING, layers["selective"], seed, 200, learning_rate=0.08, every_token=True)
        for seed in range(3)
    ],
    "induction heads": [
        trained(INDUCTION, seed=seed, **runs["selective"], **how, every_token=True)
        for seed in range(3)
    ],
}
tasks = {"selective copying": COPYING, "induction heads": INDUCTION}
spread = {
    name: [float(np.mean(right(reader, tasks[name]))) for reader in three]
    for name, three in whole.items()
}

# %% slide="fragment" show="output" alt="Right answers in both tasks, three seeds each. With the loss on answers alone, all are right in both. With the loss on every token, copying reaches less on some seed, and induction heads stay near guessing."
focused = {"selective copying": copied["selective"].mean(1).tolist()}
focused["induction heads"] = followed["selective"]
assert max(spread["induction heads"]) < 0.5 < 0.97 < min(focused["induction heads"])
assert np.mean(spread["selective copying"]) < np.mean(focused["selective copying"])
shown = {"loss on answers": focused, "loss on every token": spread}
title = "After as many steps, a loss on every token has taught less"
figures.seeds(shown, None, title, "right answers, three seeds")

# %% [markdown] slide="notes"
# (3 minutes.) Worse: most of the second task's tokens are random letters, and guessing them drowns
# the one that counts. Common answers: "better, more signal"; "the same". Users of Mamba's code (its
# issues 62 and 298) met both sides: induction heads learnt with the loss on the last token only,
# associative recall only with the loss on all. So say where the loss was taken.

# %% [markdown] slide="slide"
# ## Longer texts (optional)
#
# All have seen 16 tokens. **Predict:** and at 32, 64, … 512?

# %%
lengths = [16, 32, 64, 128, 256, 512]
contenders = {
    "copying, selective": (COPYING, copiers["selective"]),
    "induction, selective": (INDUCTION, readers["selective"]),
    "copying, LTI": (COPYING, copiers["LTI"]),
}
far = {
    name: np.array([[np.mean(right(r, task, n, 128)) for n in lengths] for r in three])
    for name, (task, three) in contenders.items()
}

# %% slide="fragment" show="output" alt="Right answers against the length of the text, from 16 to 512 tokens, the mean of three seeds with bars from worst to best. In copying the selective layer stays near 100 percent. In induction heads it falls, with wide bars. The LTI layer falls from about 60 percent to a quarter."
copy, induct, lti = far.values()
assert min(copy[:, :4].min(), copy[:, -1].min() + 0.15) > 0.95
assert induct[:, -1].mean() < copy[:, -1].mean() - 0.1
assert lti[:, 2:].max() < lti[:, 0].min()
assert lti[:, -1].max() < 0.35
series.lines(
    lengths,
    {name: shares.mean(0).tolist() for name, shares in far.items()},
    ends={name: (s.min(0).tolist(), s.max(0).tolist()) for name, s in far.items()},
    title="Dots are skipped for hundreds of tokens, other letters not on every seed",
    x_title="length of the text (tokens), practised at 16",
    y_title="right answers, three seeds",
    log_x=True,
)

# %% [markdown] slide="notes"
# (3 minutes.) Copying hardly falls, with 30 times the length: at a dot time nearly stands still.
# In induction each of eight letters must be skipped, and softplus is never 0: what keeps 99.9% at a
# token keeps 60% over 500. Common answers: "they collapse at 17"; "for ever". The paper's Mamba,
# trained at $2^8$ tokens, holds to $2^{20}$ (table 2).

# %% [markdown] slide="slide"
# ## Beside the paper
#
# "Mamba" (Gu and Dao 2023), table 1, selective copying, right answers in %:
#
# | around it | LTI: S4 | selective: S6 |
# |---|---|---|
# | nothing | 18.3 | 97.0 |
# | H3, older | 57.0 | 99.7 |
# | Mamba block | 56.4 | 99.8 |
#
# Table 7, perplexity on text, what the token chooses: nothing 10.93; $B$ 10.15; $C$ 9.98; $\Delta$
# 9.81; all 8.71.
#
# | | the paper | here |
# |---|---|---|
# | text | 4,096 tokens, 16 of them letters | 16 tokens, 3 of them letters |
# | model, practice | 2 layers, 400,000 steps | 1 layer, 200 steps |

# %% myth="A state of 16 numbers instead of 1 improves Mamba's perplexity by 1.17" said="texts that quote Mamba's table 10" truth="1.17 subtracts across its two columns. From 1 to 16 numbers it is 0.07 with constant B and C, and 1.02 with chosen ones."
constant_B_C, chosen_B_C = (9.88, 9.81), (9.73, 8.71)  # table 10: N = 1, N = 16
print(
    f"N from 1 to 16: {constant_B_C[0] - constant_B_C[1]:.2f} with constant B and C, "
    f"{chosen_B_C[0] - chosen_B_C[1]:.2f} with chosen ones"
)
assert round(constant_B_C[0] - chosen_B_C[1], 2) == 1.17  # across the columns: no gain of N's

# %% [markdown] slide="notes"
# Small size changes levels: guessing is right in 25% here, in 7% there, and sixteen places leave an
# LTI layer much to gain by weights alone. The order is the same. The code for the paper's selective
# copying was never released (mamba, issue 343).
#
# Texts that say "N from 1 to 16 improves perplexity by 1.17" subtract across table 10's columns.

# %% [markdown] slide="slide"
# ## Out of reach: odd or even?
#
# A text of ones: is their number odd? At each one the state must change sides. But
# $e^{\Delta A} > 0$: a state number under ones is $h_n = p + q\,a^n$ with $0 < a < 1$, and creeps
# to one side.
#
# **Claim.** A score from $M$ such numbers, $f(n) = c + \sum_{i=1}^{M} c_i\,a_i^n$, changes its sign
# at most $M$ times, however long the text. **Predict:** what is the smallest recurrence that does
# it?

# %%
ones, changes = torch.arange(1.0, 61.0, dtype=torch.double), []
for _ in range(3000):  # four numbers of state under ones, and a score
    a = torch.exp(-torch.rand(4, generator=generator, dtype=torch.double) * 2)
    weights = torch.randn(5, generator=generator, dtype=torch.double)
    scores = weights[0] + (weights[1:, None] * a[:, None] ** ones).sum(0)
    changes.append(int((scores[1:] * scores[:-1] < 0).sum()))
assert max(changes) <= 4 < 59  # which 60 ones would need

# %% slide="fragment" show="output" alt="A state number under twelve ones. With the factors 0.9 and 0.5 it falls and stays above 0. With the factor minus 1 it changes sides at every one."
factors = {"factor −1": -1, "factor 0.9": 0.9, "factor 0.5": 0.5}
shown = {name: [a**n for n in range(13)] for name, a in factors.items()}
assert all(h > 0 for name in list(shown)[1:] for h in shown[name])
assert all((h > 0) == (n % 2 == 0) for n, h in enumerate(shown["factor −1"]))
title = "Under ones a positive factor never changes sides, −1 does each time"
series.lines(range(13), shown, title=title, x_title="ones read", y_title="state, from 1")

# %% [markdown] slide="notes"
# (4 minutes.) $h \leftarrow -h$: one number, the factor −1. Common answers: "a counter" (its score
# must still go up and down); "more state" (a sign change a number).
#
# Proof: let $f$, read at real $n$, have $z$ zeros. Between two of them its derivative
# $\sum c_i \ln(a_i)\,a_i^n$ has one: $z - 1$ in all. Divide by $a_1^n > 0$: a constant and $M - 1$
# powers. After $M$ rounds a constant is left, without a zero; so $z \le M$.
#
# Mamba and Mamba-2 have positive factors only; Mamba-3's rotations can turn a state round (its
# paper, 2026, abstract and section 3).

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A score read linearly from an LTI layer is a sum over places. So it can't name the second of
#    three letters, nor what followed a star.
# 2. Selection lets the token choose $\Delta$, $B$ and $C$. At $\Delta = 0$ a token is skipped, at a
#    large one all else is forgotten. The price: no kernel, only a scan.
# 3. Small selective layers learnt both tasks on three seeds of three, with the loss on the answers.
#    Odd from even stays out of reach.

# %% [markdown]
# ## Self-test
#
# 1. Which of three letters can sums over places name, with which weights?
# 2. What becomes of a state at $\Delta = 0$? At a very large one?
# 3. What has the shape (batch, L, D, N)?
# 4. Does a selective layer commute with shifts? Is it linear in its input?
#
# <details><summary>Answers</summary>
#
# 1. The first and the third; weights that double.
# 2. It stays; the token replaces it.
# 3. $\bar A$ and $\bar B$.
# 4. Yes; no.
#
# </details>
#
# **Next.** *No kernel: must the scan wait for every token?* First
# [the exercises](../work/16_selection.ipynb), then [chapter 17](17_parallel_scan.ipynb).

# %% [markdown] to="exercise"
# # 16 · Selection: exercises
#
# Five exercises on [the lesson](../course/16_selection.ipynb), about 55 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("16.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
from itertools import combinations, product

import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="16.1" role="prompt" title="How often is the second letter wrong?" difficulty=2 minutes=12 points=3
# An LTI layer should name the **second** of three letters. `weights` are its $d_k$, whole numbers,
# one for each place. A text has exactly three letters, each an A or a B, at any three places, and
# dots elsewhere. The lead is the sum of $d_k$ over the As' places, minus that over the Bs'. Above 0
# the layer names A, below 0 B, at 0 nothing, which is wrong.
#
# Return in how many texts the second letter isn't named. For `[1, 1, 1]` the layer is wrong at
# ABA and BAB: 2 of 8 texts.


# %% exercise="16.1" role="answer"
def n_wrong(weights):
    """In how many texts the second letter isn't named."""
    ### BEGIN SOLUTION
    wrong = 0
    for places in combinations(range(len(weights)), 3):
        for signs in product((1, -1), repeat=3):
            lead = sum(sign * weights[k] for sign, k in zip(signs, places, strict=True))
            wrong += lead * signs[1] <= 0
    return wrong
    ### END SOLUTION


# %% exercise="16.1" role="check"
check("16.1", n_wrong)

# %% [markdown] exercise="16.2" role="prompt" title="Set the gate" difficulty=2 minutes=8 points=2
# A number of state has the rate $A = -a$. At some token it should keep the share $p$ of itself,
# $0 < p < 1$. The layer computes a number $r$ from the token, and $\Delta = \mathrm{softplus}(r) =
# \log(1 + e^r)$. Which $r$ does it need? Return one number.
#
# For $a = 1$ and $p = \frac12$ it is 0. `share` may be as small as $10^{-300}$ or as near to 1 as
# $1 - 10^{-12}$, and `rate`, which is $a > 0$, as small as 0.01: your formula must not overflow.


# %% exercise="16.2" role="answer"
def before_softplus(share, rate):
    """The r with which a number of rate -rate keeps that share."""
    ### BEGIN SOLUTION
    delta = -torch.tensor(share, dtype=torch.float64).log() / rate
    return (delta + torch.log(-torch.expm1(-delta))).item()
    ### END SOLUTION


# %% exercise="16.2" role="check"
check("16.2", before_softplus)

# %% [markdown] exercise="16.3" role="prompt" title="Whose share is in the state?" difficulty=2 minutes=10 points=3
# One number of state, from 0: $h_t = a_t\,h_{t-1} + b_t\,x_t$. After the last token it is a
# weighted sum of all inputs. Return the weights, one for each token, as a tensor of shape (seq,):
# `a` and `b` are tensors (seq,), and $a_t$ may be **0**, where a token resets the state.
#
# For `a` = ½, ½, ½ and `b` = 1, 1, 2 they are ¼, ½, 2.


# %% exercise="16.3" role="answer"
def weights_in_state(a, b):
    """How much of each input is in the last state."""
    ### BEGIN SOLUTION
    weights, kept = [], 1.0
    for a_t, b_t in zip(a.flip(0), b.flip(0), strict=True):
        weights.append(kept * b_t)
        kept = kept * a_t
    return torch.stack(weights[::-1])
    ### END SOLUTION


# %% exercise="16.3" role="check"
check("16.3", weights_in_state)

# %% [markdown] exercise="16.4" role="prompt" title="What a recall task asks" difficulty=2 minutes=10 points=3
# *Associative recall*: whoever meets a token again should say what followed it. Write the answers
# of such a task. `tokens` is a tensor (seq,) of ids. At each token that has occurred before, the
# answer is the token that followed its **latest** earlier occurrence; elsewhere it is −100, which
# the loss passes over. Return a tensor (seq,) of whole numbers.
#
# For `3 8 5 3 3` the answers are `-100 -100 -100 8 3`: before the last 3 another stands at place 3,
# followed by the last 3 itself.


# %% exercise="16.4" role="answer"
def recall_answers(tokens):
    """What followed the latest earlier occurrence, -100 where there is none."""
    ### BEGIN SOLUTION
    answers, latest = [], {}
    for t, token in enumerate(tokens.tolist()):
        answers.append(int(tokens[latest[token] + 1]) if token in latest else -100)
        latest[token] = t
    return torch.tensor(answers, dtype=torch.long)
    ### END SOLUTION


# %% exercise="16.4" role="check"
check("16.4", recall_answers)

# %% [markdown] exercise="16.5" role="prompt" title="Prove by test: is it LTI?" difficulty=3 minutes=15 points=4
# `layer(x)` maps a list of 1 to 24 numbers between −50 and 50 to as many outputs. It is *linear* if a
# sum of inputs gives the sum of outputs, and a multiple the multiple; *time-invariant* if zeros in
# front of $x$ move its outputs back by as many places, and change nothing else. All layers here are
# causal.
#
# Write the test. `is_lti(layer)` returns True only for layers that are both. The check hands it LTI
# layers of several kinds, and others; some go wrong for some inputs only, or late. Compare with
# a tolerance.


# %% exercise="16.5" role="answer"
def is_lti(layer):
    """Whether the layer is linear and time-invariant, for all inputs worth trying."""
    ### BEGIN SOLUTION
    kernel = layer([1.0] + [0.0] * 23)

    def convolved(x):
        return [sum(kernel[k] * x[t - k] for k in range(t + 1)) for t in range(len(x))]

    torch.manual_seed(0)
    for length, scale in product((1, 7, 24), (0.01, 1, 50)):
        for _ in range(20):
            x = (scale * (2 * torch.rand(length) - 1)).tolist()
            for given, wanted in zip(layer(x), convolved(x), strict=True):
                if abs(given - wanted) > 1e-5 * (1 + scale):
                    return False
    return True
    ### END SOLUTION


# %% exercise="16.5" role="check"
check("16.5", is_lti)
