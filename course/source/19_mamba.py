# %% [markdown] slide="slide"
# # 19 · Mamba
#
# *If a model may remember only a fixed number of numbers, who decides what is worth keeping?*

# %% [markdown] slide="slide"
# **The problem.** A transformer keeps two vectors, a key and a value, of every token it has read,
# in every layer: 128 KiB a token in Mistral 7B, 4 GiB after 32,768 tokens without a window. A
# *recurrent* model keeps a *state* of one size, however long the text. That is cheap, and it
# forces a choice: most of what is read can't be kept. In Mamba each token makes that choice itself:
# numbers computed from it, first of all one called $\Delta$, say what is kept and what is let in.

# %% [markdown]
# **You will be able to** derive a selective state space model from a leaky memory; wire a Mamba
# block and say which of its three skips is which; read $\Delta$ as a clock, and say where the
# paper's theorem and the released code part; compute when a state is cheaper than a cache.
#
# **You need** a rate and a held input ([13](13_state_space_models.ipynb), here in short), why a
# token should choose ([16](16_selection.ipynb)), a loop that becomes a scan (17), the cache (04).
#
# **Time**: 60 minutes, and 70 more for the exercises in
# [work/19_mamba.ipynb](../work/19_mamba.ipynb), your copy of
# [these](../exercises/19_mamba.ipynb).

# %%
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mixlab import generate
from mixlab.chapters.kit import series
from mixlab.chapters.mamba import figures
from mixlab.chapters.mamba.bucket import kinds_of, trace_bucket
from mixlab.chapters.mamba.traces import trace_layers
from mixlab.chapters.mamba.wiring import wiring
from mixlab.chapters.stage.host import piece
from mixlab.ssm.config import PUBLISHED, MambaConfig
from mixlab.ssm.discretize import discretize_diagonal
from mixlab.ssm.mamba import Mamba
from mixlab.ssm.scan import linear_recurrence
from mixlab.ssm.selective_scan import selective_scan
from mixlab.traces import recall
from mixlab.traces.timing import reading_and_writing
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## A memory of one number
#
# Six tokens come in, each a number $u$. Two are worth remembering, 8 and 3; the rest is noise. The
# memory $h$ is chapter 17's leaky bucket: it keeps a share of itself and lets in a share of the
# token,
#
# $$h_t = a\,h_{t-1} + b\,u_t$$
#
# **Predict:** with $a = b = \frac12$, how much of the 8 is left just before the 3 arrives? And which
# $a$ and $b$, if they could change from token to token, would hold the 8 until then?


# %%
def bucket(u, a, b):
    h, levels = 0.0, []
    for u_t, a_t, b_t in zip(u, a, b, strict=True):
        h = a_t * h + b_t * u_t
        levels.append(h)
    return levels


# %%
u, noise = [8.0, 1.0, 1.0, 3.0, 1.0, 1.0], [0, 1, 1, 0, 1, 1]
whose = {"of the 8": [8, 0, 0, 0, 0, 0], "of the 3": [0, 0, 0, 3, 0, 0], "noise": noise}
halves, chosen = [0.5] * 6, [1, 0, 0, 1, 0, 0]
rules = {
    "a = b = ½ at every token": (halves, halves),
    "a and b chosen by the token": ([1 - b for b in chosen], chosen),
}
leaky, choosing = (bucket(u, *rule) for rule in rules.values())

# %% slide="fragment" show="output" alt="Two memories on one scale, six stacked bars each, for the tokens 8, 1, 1, 3, 1, 1. Left, the leaky one: of the 8 there are 4, 2, 1 and falling, and noise comes on top. Right, the choosing one: 8, 8, 8 of the 8, then 3, 3, 3 of the 3, and never any noise."
shares = {
    name: {who: bucket(part, *rule) for who, part in whose.items()} for name, rule in rules.items()
}
for levels, parts in zip((leaky, choosing), shares.values(), strict=True):
    assert np.allclose(levels, np.sum(list(parts.values()), axis=0))  # the shares add up
assert shares["a = b = ½ at every token"]["of the 8"][:4] == [4, 2, 1, 0.5]
assert choosing == [8, 8, 8, 3, 3, 3]
title = "A memory that chooses holds the 8, a leaky one loses it"
figures.held([f"{x:g}" for x in u], shares, title=title, y_title="memory h")

# %% [markdown] slide="notes"
# (3 minutes.) Of the 8, four were let in, and two more steps leave 1. Common answers: 2, a step
# forgotten; 8/2 = 4, as if nothing faded. The leaky memory is *linear and time-invariant*, LTI for
# short: its $a$ and $b$ are the same at every token. The other's depend on the token: it is
# *selective*. Mamba is that difference, and a way to learn it. Because both are linear, the shares
# of the inputs add up to the level.

# %% [markdown] slide="slide"
# ## One knob for both: Δ
#
# Chapter 13, in three slides. Instead of two numbers, give the token one: a time. Let $h$ drift towards $u$, the faster the larger
# the gap: in a short time it closes that share of the gap. **Predict:** in a time of 1, taken in 10
# short steps, how much of the gap is left? In 1,000?

# %% slide="fragment" show="both"
for steps in (1, 10, 1000):
    gap = 1.0
    for _ in range(steps):
        gap -= gap * (1 / steps)  # a step's time is also the share that it closes
    print(f"{steps:>5} steps: {gap:.4f} of the gap is left")
assert abs(gap - np.exp(-1)) < 2e-4
print(f"  e^-1     : {np.exp(-1):.4f}")

# %% [markdown] slide="notes"
# (3 minutes.) Common answers: 0, as for one step; "less and less, towards 0". Ten steps leave
# $(1 - \frac1{10})^{10}$, and shorter ones tend to $1/e$. A time of $\Delta$ leaves $e^{-\Delta}$:
# that is the one fact about derivatives that this chapter uses.

# %% [markdown] slide="slide"
# ## A token lasts for a time Δ
#
# After it $e^{-\Delta}$ of the gap is left: $u_t - h_t = e^{-\Delta}(u_t - h_{t-1})$. Solved for $h_t$:
#
# $$h_t = e^{-\Delta}\,h_{t-1} + (1 - e^{-\Delta})\,u_t$$
#
# A token with $\Delta = 0$ takes no time: nothing fades, nothing enters. A large $\Delta$ overwrites
# all that was there. In between lies the leak. The two memories above are such, each with a $\Delta$ of
# its own at every token:

# %% slide="fragment"
for delta, memory in (([np.log(2)] * 6, leaky), ([50, 0, 0, 50, 0, 0], choosing)):
    kept = np.exp(-np.array(delta))
    assert np.allclose(bucket(u, kept, 1 - kept), memory)
print("leaky: Δ = ln 2 throughout.  choosing: Δ large, 0, 0, large, 0, 0")

# %% [markdown] slide="slide"
# ## A rate, and an input weight
#
# In general the level moves at the speed $A h + B u$, with a rate $A < 0$. It rests at $-B u / A$,
# where that is 0, and the gap to *this* level shrinks like $e^{At}$. If $u$ is held still for a time
# $\Delta$ (*zero-order hold*):
#
# $$\bar A = e^{\Delta A}, \qquad \bar B = (1 - e^{\Delta A})\cdot\frac{-B}{A}$$
#
# *Euler's rule* is one long step, the speed at the start times $\Delta$; so $\bar B = \Delta B$.
# "Mamba" (Gu and Dao 2023, equation 4) has zero-order hold for both. **Its released code has
# zero-order hold for $A$ and Euler for $B$.** Training starts with $\Delta \le 0.1$ and $|A| \le 16$:

# %% slide="fragment" myth="Mamba discretises A and B by zero-order hold" said="Mamba, section 2, equation 4" truth="A, yes. For B the released code takes Euler's Δ·B; readers ask why in its tracker (mamba 114, 121, 129). At the largest Δ of a new model's fastest state that is 2.0 times as much."
for size in (0.001, 0.1, 1.6):
    rate, one, delta = torch.tensor(-size / 0.1), torch.tensor(1.0), torch.tensor(0.1)
    A_paper, B_paper = discretize_diagonal(rate, one, delta, "zoh")
    A_code, B_code = discretize_diagonal(rate, one, delta, "mamba")
    assert A_paper == A_code == torch.exp(delta * rate)
    assert torch.isclose(B_paper, (1 - A_paper) * -one / rate, rtol=1e-3)
    assert B_code == delta * one
    print(f"Δ|A| = {size:<5}  the code's B is {B_code / B_paper:.2f} times the paper's")

# %%
text = "C·····F···A··"
traced = trace_bucket(text, delta=[1, 0])  # Δ of a capital, Δ of a dot; a capital brings u = 1
before = np.r_[0, traced.levels[:-1]]
for letter, was, level in zip(text, before, traced.levels, strict=True):
    assert np.isclose(level, was if letter == "·" else np.exp(-1) * was + 1)
parts = traced.shares[-1] / traced.levels[-1]
assert [f"{parts[text.index(letter)]:.0%}" for letter in "CFA"] == ["9%", "24%", "67%"]

# %% slide="slide" show="output" alt="A text of three capitals and ten dots, a bar of its delta above each token: 1 at capitals, 0 at dots. Below, the level: it stays flat under dots and changes at capitals alone. At the end the bucket holds 67 percent A, 24 percent F and 9 percent C, each in its colour."
leaking = trace_bucket(text, delta=[1, 0.3])
assert leaking.levels[5] < traced.levels[5] / 4  # five dots later
assert trace_bucket("C", [2, 0]).levels[0] == 2  # the code's B: above the largest input
assert trace_bucket("C" * 24, [2, 0], method="zoh").levels.max() <= 1  # the paper's: never
title = "Where Δ is 0 time stands still, and the level holds"
piece("bucket", title, text=text, delta=[1, 0])

# %% [markdown] slide="notes"
# Drag the dots' $\Delta$ up: the level leaks, although a dot brings nothing. Type capitals and dots;
# point at one and see its share. Then set $\Delta = 2$ at capitals: with the code's $\bar B$ the level
# passes 2, with the paper's it never passes 1, because zero-order hold takes averages.

# %% [markdown] slide="slide"
# ## Δ sets a gate
#
# A *gate* is a factor that is computed from the token and says how much passes. $\Delta$ must be
# positive, so Mamba computes a number $r$ of either sign from the token and takes
# $\Delta = \mathrm{softplus}(r) = \log(1 + e^r)$. With one number of state, $A = -1$ and $B = 1$:
#
# $$e^{-\Delta} = \frac{1}{1 + e^{r}} = 1 - \sigma(r), \qquad \sigma(r) = \frac{1}{1 + e^{-r}}$$
#
# Zero-order hold lets in the rest, $\sigma(r)$. So $h_t = (1 - g)\,h_{t-1} + g\,u_t$ with
# $g = \sigma(r)$, the gate of older recurrent networks (LSTM, GRU): the paper's Theorem 1 (section
# 3.5.1). We assert it of the code, for $h_{t-1} = 0$, $u_t = 1$, $r = 6$.

# %% slide="same" fails="AssertionError"
one = torch.ones(1, 1, 1)
r = torch.tensor([[[6.0]]])
let_in, _ = selective_scan(one, r, torch.tensor([[-1.0]]), one, one, delta_softplus=True)
assert torch.allclose(let_in, torch.sigmoid(r)), (
    f"theorem: σ(6) = 0.9975, code: {let_in.item():.1f}"
)

# %% myth="Mamba's gate is a sigmoid" said="Mamba, section 3.5.1, Theorem 1" truth="Of zero-order hold it is, and what is kept follows it in the code too. But the code lets in by Euler's rule, so its input gate is softplus: 6.0 against 0.9975 at 6."
r = torch.linspace(-6, 6, 25)
kept = torch.exp(-F.softplus(r))
assert torch.allclose(kept, 1 - torch.sigmoid(r), atol=1e-6)
exact = discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), F.softplus(r), "zoh")[1]
assert torch.allclose(exact, torch.sigmoid(r), atol=1e-6)  # Theorem 1 holds for zero-order hold
code = discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), F.softplus(r), "mamba")[1]
assert torch.allclose(code, F.softplus(r))

# %% slide="slide" show="output" alt="Three curves against r from minus 6 to 6. What is kept falls from 1 to 0. The theorem's input weight, a sigmoid, rises from 0 to 1 and stays there. The code's, softplus, follows it up to about minus 1 and then rises without bound, to 6."
assert 0.1 / (1 - np.exp(-0.1)) < 1.051  # code over theorem at the largest Δ of training's start
series.lines(
    r.tolist(),
    {"kept, 1 − σ(r)": kept.tolist(), "let in, theorem: σ(r)": exact.tolist()}
    | {"let in, code: softplus(r)": code.tolist()},
    title="The theorem's gate stops at 1, the released code's goes on to 6",
    x_title="r, computed from the token",
    y_title="share kept, or weight of the token",
)

# %% [markdown] slide="notes"
# What is *kept* is the same in both. What is let in parts: $1 - e^{-\Delta} = \sigma(r)$ under
# zero-order hold, with which the paper proves the theorem (appendix C); $\Delta =
# \mathrm{softplus}(r)$ in the code, at $r = 6$ six times as much. For this $A = -1$ the two agree to 5%
# where training starts, with $\Delta \le 0.1$; for $A = -16$ it was a factor of 2. So $\Delta$ closes
# like a sigmoid and, opened wide, also turns the volume up.

# %% [markdown] slide="slide"
# ## From one number to a state
#
# A Mamba layer has `d_inner` *channels*, memories side by side. Each keeps `d_state` $= N$ numbers
# with rates of their own: at $\Delta = 0.5$ one with $A = -1$ keeps 61% of itself, one with $A = -4$
# only 14%. A token brings $u_t$ and $\Delta_t$ for every channel; for all together $B_t$, where in
# the $N$ numbers to write, and $C_t$, where to read:
#
# $$h_t = e^{\Delta_t A} \odot h_{t-1} + (\Delta_t u_t) \otimes B_t, \qquad y_t = h_t\, C_t$$
#
# $h_t$ and $A$ are (`d_inner`, `d_state`): a row a channel. $\odot$ multiplies number by number,
# $\otimes$ each channel's $\Delta_t u_t$ by all of $B_t$.

# %% [markdown]
# ## Loop, scan, library
#
# $\Delta$, $B$ and $C$ depend on the token; $A$ needn't, since it only appears as $\Delta_t A$.
#
# First a loop, as the equation reads. Then without one: every number of $h$ is a leaky bucket with
# factors of its own, which chapter 17 scans in a few rounds for each doubling of the length. That
# factors differ costs nothing. Earlier state space models kept them constant: then an input's weight
# depends on its distance alone, the model is a convolution, and was computed as one. Last the
# library, which never writes all states to memory.


# %%
def scan_loop(u, delta, A, B, C):
    h, y = torch.zeros_like(A), []
    for t in range(len(u)):
        h = torch.exp(delta[t, :, None] * A) * h + (delta[t] * u[t])[:, None] * B[t]
        y.append(h @ C[t])
    return torch.stack(y)


# %%
def scan_vectorised(u, delta, A, B, C):
    A_bar = torch.exp(delta[:, :, None] * A)  # (seq, d_inner, d_state)
    written = (delta * u)[:, :, None] * B[:, None]
    h = linear_recurrence(A_bar[None], written[None], None, "blelloch")[0]
    return torch.einsum("tdn,tn->td", h, C)


# %%
assert np.allclose(np.exp(0.5 * np.array([-1, -4])), [0.61, 0.14], atol=0.005)
seq, d_inner, d_state = 50, 6, 4
u, delta = torch.randn(seq, d_inner), torch.rand(seq, d_inner)
A, B, C = -torch.rand(d_inner, d_state), torch.randn(seq, d_state), torch.randn(seq, d_state)
expected = scan_loop(u, delta, A, B, C)
assert torch.allclose(scan_vectorised(u, delta, A, B, C), expected, atol=1e-5)
library, _ = selective_scan(u[None], delta[None], A, B[None], C[None])
assert torch.allclose(library[0], expected, atol=1e-5)
print("loop = scan = library, for", seq, "tokens")

# %% slide="slide" show="output" alt="Wiring diagram of a Mamba block, from top to bottom, drawn in nine pieces: norm, in_proj, convolution with silu, x_proj and dt_proj, the selective scan, and three paths past it: times D on its left, the silu gate on its right, and the residual around everything."
config = MambaConfig.published("130m")
widths = {
    name: getattr(config, name) for name in ("dim", "d_inner", "d_state", "dt_rank", "d_conv")
}
wiring(widths, "The block, piece by piece: three paths lead past the scan")

# %% [markdown] slide="slide"
# ## The same in code
#
# A layer's weights bear the names of the boxes (section 3.4 and figure 3 of the paper). The scan's
# input $u$ has passed a short convolution: each channel sees its own last 4 inputs, so $\Delta$, $B$
# and $C$ are chosen from four tokens. These four places are its *taps*. `silu`, which stands twice, is
# $\mathrm{silu}(x) = x\,\sigma(x)$. $A$ is stored as a logarithm, so that it stays negative; training
# starts from $-1, \dots, -N$. This is the reference that we hold the library to.


# %% slide="same" show="code"
def block(x, layer, n):
    w, inner = layer.mixer, layer.mixer.in_proj.out_features // 2
    normed = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.norm.weight
    xs, z = (normed @ w.in_proj.weight.T).split(inner, dim=-1)
    padded = F.pad(xs, (0, 0, 3, 0))  # three zeros before the text
    taps = w.conv1d.weight[:, 0]  # (d_inner, 4), the newest input's last
    u = F.silu(sum(padded[k : k + len(x)] * taps[:, k] for k in range(4)) + w.conv1d.bias)
    rank, B, C = (u @ w.x_proj.weight.T).split([w.dt_proj.in_features, n, n], dim=-1)
    delta = F.softplus(rank @ w.dt_proj.weight.T + w.dt_proj.bias)
    y = scan_loop(u, delta, -torch.exp(w.A_log), B, C)
    y = y + w.D * u  # skip one
    y = y * F.silu(z)  # skip two
    return x + y @ w.out_proj.weight.T  # skip three


# %%
model = Mamba(MambaConfig.tiny(n_layers=3)).requires_grad_(False)
tokens = torch.randint(256, (40,))
x = model.tok_embeddings.weight[tokens]
for layer in model.layers:
    x = block(x, layer, n=8)
logits = model.norm(x) @ model.output.weight.T
assert torch.allclose(logits, model(tokens[None])[0], atol=1e-5)
assert torch.allclose(-layer.mixer.A_log.exp(), -torch.arange(1.0, 9).expand(128, 8))
print("block by block = library, for 3 layers and 40 tokens")

# %% [markdown] slide="slide"
# ## Three things called skip
#
# | | goes past | what it does | without it |
# |---|---|---|---|
# | $D \cdot u$ | the scan | adds the input, a factor a channel | the state must carry the present too |
# | $\mathrm{silu}(z)$ | conv and scan | multiplies: opens and shuts each channel | everything read is passed on |
# | residual | the block | adds the block's input | what came in is lost |
#
# What does a block return if we set (1) $B$ and $C$, (2) $z$, (3) `out_proj` to zero?

# %% slide="fragment"
layer, x, state = model.layers[0], torch.randn(1, 40, 64), model.init_state(1).layers[0]
no_scan, no_gate, no_output = (deepcopy(layer) for _ in range(3))
no_scan.mixer.x_proj.weight[no_scan.mixer.dt_proj.in_features :] = 0  # the rows of B and C
no_gate.mixer.in_proj.weight[128:] = no_output.mixer.out_proj.weight[:] = 0  # the first: z
assert not torch.allclose(no_scan(x, state)[0], x, atol=1e-3)
no_scan.mixer.D[:] = 0  # take D·u away too, and nothing is left
assert all(torch.equal(shut(x, state)[0], x) for shut in (no_scan, no_gate, no_output))
print("(1) x plus D·u, gated and narrowed  (2) x alone, for silu(0) = 0  (3) x alone")

# %% [markdown] slide="slide"
# ## A task that needs selection
#
# A text of capitals among dots. After every token, name **the last capital but one** (below, a dot
# under a token: none yet):
#
# `· C · · F · · · A ·`
#
# `· · · · C C C C F F`
#
# The wanted capital may be 3 tokens back or 30. A memory with fixed rates knows how many *tokens*
# ago something came. If time stood still at the dots, it would know how many *capitals* ago.

# %% [markdown] slide="slide"
# ## Two models that differ in one thing
#
# One Mamba block of 32 channels with 8 numbers each; $\Delta$ starts between 0.1 and 1, since our
# texts are short. The second model is the same, except that its $\Delta$, $B$ and $C$ are learnt
# constants that never look at the token: it is time-invariant again. It keeps the convolution, the
# gate and all three skips, and has 744 parameters fewer. The first is trained three times, from
# three seeds, and twice more with shorter convolutions, for later.


# %%
class Constant(nn.Module):  # stands for x_proj, and gives every token the same numbers
    def __init__(self, size):
        super().__init__()
        self.value = nn.Parameter(torch.randn(size))

    def forward(self, u):
        return self.value.expand(*u.shape[:-1], -1)


# %%
shape = dict(dim=32, n_layers=1, vocab_size=7, d_state=8, expand=1, dt_rank=8, dt_min=0.1, dt_max=1)


def trained(seed, taps=4, constant=False):
    generator = torch.manual_seed(seed)
    model = Mamba(config := MambaConfig(**shape, d_conv=taps))
    if constant:
        model.layers[0].mixer.x_proj = Constant(config.dt_rank + 2 * config.d_state)
    recall.practise(model, generator, steps=160)
    return model


# %%
selective = [trained(seed) for seed in range(3)]
shorter, fixed = {taps: trained(0, taps) for taps in (3, 2)}, trained(0, constant=True)
print([sum(p.numel() for p in m.parameters()) for m in (selective[0], fixed)], "parameters")

# %% slide="slide" show="output" alt="Accuracy against how many tokens back the wanted capital lies. The selective model stays at 100 percent for all distances. The model with constant delta, B and C starts near 80 percent and falls to about 20 percent, close to guessing one of six."
assert recall.spell(recall.answers(recall.encode("·C··F···A·")[None])[0]) == "····CCCCFF"
tokens = recall.texts(400, 96, torch.Generator().manual_seed(0))
edges = [*range(1, 30, 4)]
seeds = [recall.scores(model, tokens, edges) for model in selective]
assert min(overall for overall, _ in seeds) > 0.97
overall, far = recall.scores(fixed, tokens, edges)
assert (overall < 0.75, far[-1] < 0.45) == (True, True)
worst = [min(shares) for shares in zip(*(shares for _, shares in seeds), strict=True)]
assert min(worst) > 0.9
lines = {"selective, the worst of three": worst, "Δ, B, C constant": far}
series.lines(
    [low + 1.5 for low in edges[:-1]],
    lines | {"guessing": [1 / 6] * (len(edges) - 1)},
    title="With constant Δ, B and C a capital is lost among the dots",
    x_title="how far back the wanted capital lies (tokens)",
    y_title="share of right answers",
)

# %% [markdown] slide="notes"
# The constant model does well only where its convolution, which still sees four tokens, can help.
# (Five times as many steps helped it with near capitals; far ones stayed close to guessing.)
#
# This is the ordering of the paper's Table 1 (section 4.1.1): on *selective copying*, 16 tokens
# recalled in order from a noisy text of 4,096, a Mamba block reaches 56.4% with a time-invariant S4
# layer inside and 99.8% with the selective scan. Our task is a small relative, with texts of 32
# tokens and 160 steps where the paper took 400,000: we reproduced the ordering, not the setting.

# %% [markdown] slide="slide"
# ## Reading Δ
#
# In some channels of every trained model $\Delta$ is below 0.01 while only dots are under the taps:
# they *wait*, and age by capitals. The others run on. Training found the two groups; a constant
# $\Delta$ can't make them.
#
# **Predict:** a capital comes, and dots follow. Where is the waiting channels' $\Delta$ largest: at
# the capital, or one, two or three dots later?

# %%
text = "C·········F·········A··········B··········D·········"
since = np.array(kinds_of(text, 7))


def waiting(model, taps=4):
    (traced,) = trace_layers(model, recall.encode(text))
    waits = traced.delta[since >= taps].max(axis=0) < 0.01
    assert 4 <= waits.sum() < 32
    return [traced.delta[since == age][:, waits].mean() for age in range(7)]


# %% slide="fragment" show="output" alt="Delta against tokens since the last capital, for five trained models. Three with four taps: low at the capital, highest three tokens later, zero from the fourth on. One with three taps is highest after two tokens, one with two taps after one token."
runs = {"4 taps, three seeds": [waiting(model) for model in selective]}
runs |= {f"{taps} taps": [waiting(model, taps)] for taps, model in shorter.items()}
for taps, profiles in zip((4, 3, 2), runs.values(), strict=True):
    for profile in profiles:
        assert np.argmax(profile) == taps - 1  # the capital lies under the oldest tap
        assert profile[taps - 1] > 2 * profile[0] > 10 * profile[taps]
figures.after_capital(runs, title="Δ is largest as a capital is about to leave the taps")

# %% [markdown] slide="notes"
# (4 minutes.) Most say "at the capital", and some "at no dot". While a capital is under the taps,
# the block sees it and need not remember it. Before it leaves, it must be written: so with 3 taps
# the peak comes after two tokens, with 2 after one. That is our reading. Of three training recipes
# that we tried, this is the one in which all five runs agree; in two of the ten other runs the peak came
# one token after the capital, and with 6 taps in two of three. Most found it; it is no law.

# %% slide="slide" show="output" alt="A bucket with the delta that a model has learnt, over a text of three capitals. Each capital is poured in three tokens late, as it lies under the oldest of four taps, where the bar of delta is highest. Under the dots after that the level stays flat."
learnt = [round(float(delta), 3) for delta in runs["4 taps, three seeds"][0][:5]]
text = "C······F······A·······"
traced = trace_bucket(text, learnt, taps=4)
assert [text[t - 3] for t in np.flatnonzero(traced.written)] == ["C", "F", "A"]
quiet = np.array(kinds_of(text, 5)) == 4  # only dots under the taps
assert np.allclose(traced.kept[quiet], 1, atol=0.01)
logits, whole = selective[0].prefill(recall.encode(text)[None])
state = selective[0].init_state(1)
for token in recall.encode(text):
    stepped, state = selective[0].step(token[None], state)
(ours,), (at_once,) = state.layers, whole.layers
assert torch.allclose(stepped, logits, atol=1e-4)
assert torch.allclose(ours.scan, at_once.scan, atol=1e-4)
assert (ours.history.shape, ours.scan.shape) == ((1, 3, 32), (1, 32, 8))
title = "Learnt Δ: a capital pours in as it leaves the taps"
piece("bucket", title, text=text, delta=learnt, taps=4)

# %% [markdown] slide="notes"
# One bucket stands for a waiting channel: its $\Delta$ is seed 0's mean over them, what it pours is
# ours. A model that writes keeps two things of one size: the **history**, three inputs, which with
# the newest lie under the four taps; and the **state**, 8 numbers in each of 32 channels. The cell
# asserts that stepping gives what reading at once gives.

# %% [markdown] slide="slide"
# ## Padding leaks
#
# Prompts of unequal length are filled up to one length (chapter 06). An attention mask hides filler.
# A state has no mask: filler is one more token. **Predict:** does it help to set the filler's input
# to zero?

# %% slide="fragment" myth="Pads are zeros, and zeros leave a state alone" said="batches padded on the left, in public trackers" truth="A zero writes nothing, but its Δ is softplus of something, so above 0, and the level leaks. Stop the clock: Δ itself must be 0 there."
model = Mamba(MambaConfig.tiny()).requires_grad_(False)
mixer, state, x = model.layers[0].mixer, model.init_state(1).layers[0], torch.randn(1, 25, 64)
mask = torch.arange(25)[None] < 5  # 5 tokens, then 20 fillers
alone, zeroed = mixer(x[:, :5], state)[1].scan, mixer(x * mask[..., None], state)[1].scan
masked = mixer(x, state, mask=mask)[1].scan  # Δ = 0 at filler, softplus of minus infinity
assert torch.allclose(masked, alone, atol=1e-6)
change = (zeroed - alone).norm() / alone.norm()
print(f"zeroed filler changes the state by {change:.0%}, Δ = 0 not at all")
prompts = [[3, 1, 4], [1, 5, 9, 2, 6, 5, 3, 5], [8]]  # three lengths, one batch
together = generate(model, prompts, max_tokens=6)
assert together == [generate(model, [prompt], max_tokens=6)[0] for prompt in prompts]

# %% [markdown] slide="notes"
# (3 minutes.) No: an input of 0 writes nothing, but its $\Delta$ is softplus of something, and the
# level leaks, as in the bucket under dots. Common answers: "yes, zero adds nothing"; "yes, with the
# convolution's bias at 0 too". The mask must stop the clock: softplus of minus infinity.

# %% [markdown] slide="slide"
# ## The published sizes
#
# The paper's models were published as mamba-130m to mamba-2.8b. In the library the history is kept in
# bfloat16, the state in float32. SmolLM2-135M, which chapter 02 uses, is about as large as
# mamba-130m. **Predict:** after how many tokens does its cache outgrow that state?

# %% slide="fragment" show="output" alt="Memory against context, both logarithmic. The states of five Mambas are flat lines between 2.5 and 22 MiB. The cache of SmolLM2-135M crosses the smallest after 112 tokens, Mistral 7B's the largest after 175. With a window of 4096 Mistral's turns flat at 512 MiB."
contexts, memory = [2**power for power in range(3, 18)], {}
for name in PUBLISHED:
    with torch.device("meta"):  # shapes without numbers
        model = Mamba(MambaConfig.published(name)).to(torch.bfloat16)
    memory[f"mamba-{name}"] = model.init_state(1).n_bytes / 2**20
mistral = TransformerConfig.mistral_7b()
a_token = 2 * mistral.n_layers * mistral.n_kv_heads * mistral.head_dim * 2 / 2**20
smollm = 2 * 30 * 3 * 64 * 2 / 2**20  # 30 layers, 3 key/value heads of 64, two bytes a number
growing = {
    "SmolLM2-135M": [n * smollm for n in contexts],
    "Mistral 7B, no window": [n * a_token for n in contexts],
    "Mistral 7B, W = 4096": [4096 * a_token if n >= 4096 else None for n in contexts],
}
assert (a_token, growing["Mistral 7B, W = 4096"][-1]) == (128 / 1024, 512)
equal = {
    size / a: size
    for size, a in zip((min(memory.values()), max(memory.values())), (smollm, a_token), strict=True)
}
crossings = {f"{n:.0f} tokens": (n, size) for n, size in equal.items()}
assert list(crossings) == ["112 tokens", "175 tokens"]
title = "After one or two hundred tokens the cache is larger than the state"
figures.memory(contexts, growing, memory, crossings, title=title)

# %% [markdown] slide="notes"
# (3 minutes.) After little more than a hundred. Common answers: thousands; "never, it is the smaller
# model". (Exercise 19.5 asks for the exact number.) A window makes a cache constant too, at 512 MiB.
# What a state can't do is what a cache does well: look up, word for word, something that it had no
# reason to keep.

# %% [markdown] slide="slide"
# ## Does it show in time?
#
# Three models with equally many parameters: a Mamba of 4 blocks, and a transformer of 2 layers, with
# and without a window; two blocks stand for attention and feed-forward. **Predict** the shape of
# three curves: the time to write one more token, against what was read before.
#
# The times are this machine's, one thread, random weights: read shapes, not levels.


# %% volatile=true
shape = dict(dim=128, n_layers=2, n_heads=4, n_kv_heads=4, head_dim=32, hidden_dim=436)
shape |= dict(vocab_size=256, tie_embeddings=True)
rivals = {
    "Mamba": Mamba(config := MambaConfig(dim=128, n_layers=4, vocab_size=256)),
    "transformer": Transformer(TransformerConfig(**shape)),
    "transformer, W = 512": Transformer(TransformerConfig(**shape, window=512)),
}
counts = {sum(p.numel() for p in model.parameters()) for model in rivals.values()}
assert (counts, config.n_layers * config.d_inner * config.d_state) == ({499_328}, 16_384)
lengths, reading, writing = [1024, 2048, 4096, 8192, 16_384], {}, {}
for name, model in rivals.items():
    reading[name], writing[name] = reading_and_writing(model, lengths)
growth = {name: values[-1] / values[0] for name, values in writing.items()}
assert growth["transformer"] > max(3, 2 * growth["Mamba"])
assert reading["transformer, W = 512"][-1] < reading["Mamba"][-1]
level, slope = np.polyfit(lengths, reading["transformer"], 1)[::-1]  # attention's share grows
crossing = (np.median(reading["Mamba"]) - level) / slope
print(f"Mamba reads faster than the transformer from about {round(crossing, -3):,.0f} tokens on")

# %% slide="fragment" show="output" alt="Time of writing one token against the length of the context. The transformer without a window rises with the length. The one with a window of 512 and Mamba stay flat."
series.lines(
    lengths,
    writing,
    title="A token costs Mamba the same after 1,024 tokens and after 16,384",
    x_title="context (tokens)",
    y_title="processor time of one more token (ms)",
    log_x=True,
)

# %% [markdown] slide="notes"
# Plainly: on this CPU Mamba reads *slower* than full attention up to some ten thousand tokens; the
# timing cell has printed where the lines cross on yours. With a window the transformer is always
# ahead. The weight matrices are equally large. On top, Mamba moves $4 \times 256 \times 16 = 16{,}384$
# numbers of state a token, each with its own exponential, and processors are built for matrix
# products. On an A100, the paper's fused scan overtakes FlashAttention-2 beyond 2,000 tokens
# (section 4.5).

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Selection is one change to a linear memory: $\Delta$, $B$ and $C$ depend on the token. With it
#    a block recalled what it should among noise; with constants it could not.
# 2. $\Delta$ is a clock, and sets a gate. For $A = -1$ it keeps $1 - \sigma(r)$, as in Theorem 1; it lets
#    in $\sigma(r)$ in the theorem and $\mathrm{softplus}(r)$ in the code.
# 3. What Mamba remembers has one size, and every token costs the same. In memory that wins after
#    one or two hundred tokens; in time to read, on a CPU, only with prompts of many thousands.

# %% [markdown]
# ## Self-test
#
# 1. What do $\Delta = 0$ and a very large $\Delta$ do to a state?
# 2. Name the three skips, from the innermost out.
# 3. Why must filler have $\Delta = 0$, rather than an input of 0?
# 4. Why `A_log`, and not $A$?
#
# <details><summary>Answers</summary>
#
# 1. Nothing; overwrite it.
# 2. $D \cdot u$, the gate silu(z), the residual.
# 3. Softplus of anything finite is positive: the state fades.
# 4. $-e^{x}$ is always negative: no state can explode.
#
# </details>
#
# **Next.** *Window, experts and scan each give up something else. What happens if one model uses all
# three?* First [the exercises](../work/19_mamba.ipynb), then [chapter 20](20_capstone.ipynb).

# %% [markdown] to="exercise"
# # 19 · Mamba: exercises
#
# Six exercises on [the lesson](../course/19_mamba.ipynb), about 70 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("19.1")` gives a
# first hint, called again a further one. The checks draw random inputs of many sizes: an answer that
# fits only the example doesn't pass. Any floating-point precision will do.

# %% to="exercise"
import torch
from torch.nn import functional as F

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="19.1" role="prompt" title="One step of the selective scan" difficulty=1 minutes=10 points=2
# One token reaches one layer. `h` is the state so far, (d_inner, d_state). The token brings `u` and
# `delta`, (d_inner,), where `delta` is positive already, and `B` and `C`, (d_state,). `A` is
# (d_inner, d_state) and negative, `D` is (d_inner,).
#
# Discretise as Mamba's released code does: $A$ by zero-order hold, $B$ by Euler. Update the state,
# read it with $C$, add the skip $D \cdot u$. Return the pair `y, h`: output (d_inner,) and new state
# (d_inner, d_state). There is no gate.


# %% exercise="19.1" role="answer"
def scan_step(h, u, delta, A, B, C, D):
    """One token: the output (d_inner,) and the new state (d_inner, d_state)."""
    ### BEGIN SOLUTION
    A_bar = torch.exp(delta[:, None] * A)
    h = A_bar * h + torch.outer(delta * u, B)
    return h @ C + D * u, h
    ### END SOLUTION


# %% exercise="19.1" role="check"
check("19.1", scan_step)

# %% [markdown] exercise="19.2" role="prompt" title="The scan as a table" difficulty=3 minutes=15 points=4
# Once $\Delta$, $B$ and $C$ are given, a scan is linear in its input: there is a table $M$ with
# $y = M u$, like attention's weights. `M[t, s]` says how much of input $s$ reaches output $t$.
#
# Write it for one channel. `delta` is (seq,), not negative; `A` is (d_state,); `B` and `C` are
# (seq, d_state). Return `M`, (seq, seq), with 0 where $s > t$. The scan starts from an empty state;
# no skip, no gate. The discretisation is that of 19.1.
#
# Example: with `delta` = 1, 2, 3, what token 0 wrote has aged by $2 + 3 = 5$ when token 2 reads it.


# %% exercise="19.2" role="answer"
def influence(delta, A, B, C):
    """M of shape (seq, seq) with y = M @ u: row t is an output, column s an input."""
    ### BEGIN SOLUTION
    elapsed = delta.cumsum(dim=0)
    age = (elapsed[:, None] - elapsed[None, :]).tril()  # time from s to t, 0 above the diagonal
    kept = torch.exp(age[:, :, None] * A)  # (t, s, d_state)
    table = torch.einsum("tn, tsn, sn, s -> ts", C, kept, B, delta)
    return table.tril()
    ### END SOLUTION


# %% exercise="19.2" role="check"
check("19.2", influence)

# %% [markdown] exercise="19.3" role="prompt" title="Find the bugs: a block" difficulty=2 minutes=12 points=4
# This function should do what a Mamba block does between its norm and its residual, for one
# sequence `x` of shape (seq, dim). `scan(u, delta, A, B, C)` is handed to you and is right: it
# returns $h_t C_t$ for every token, without skip and gate. The weights `w`: `in_proj` (2 d_inner, dim),
# x above z; `conv` (d_inner, d_conv), the newest input's tap last; `conv_bias`; `x_proj` (dt_rank +
# 2 d_state, d_inner), the rows of Δ, B and C in this order; `dt_proj` (d_inner, dt_rank); `dt_bias`;
# `A_log` (d_inner, d_state); `D`; `out_proj` (dim, d_inner).
#
# There are **four mistakes**. Mend them all.
#
# ```python
# def mixer(x, w, scan):
#     x, z = (x @ w["in_proj"].T).chunk(2, dim=1)
#     taps = w["conv"].shape[1]
#     padded = F.pad(x, (0, 0, taps // 2, taps - 1 - taps // 2))
#     u = sum(padded[k : k + len(x)] * w["conv"][:, k] for k in range(taps))
#     u = F.silu(u + w["conv_bias"])
#     rank, n = w["dt_proj"].shape[1], w["A_log"].shape[1]
#     delta, B, C = (u @ w["x_proj"].T).split([rank, n, n], dim=1)
#     delta = delta @ w["dt_proj"].T + w["dt_bias"]
#     y = scan(u, delta, torch.exp(w["A_log"]), B, C)
#     y = y * F.silu(z) + w["D"] * u
#     return y @ w["out_proj"].T
# ```


# %% exercise="19.3" role="answer"
def mixer(x, w, scan):
    """The block between norm and residual: (seq, dim) to (seq, dim)."""
    ### BEGIN SOLUTION
    d_inner, taps = w["conv"].shape
    x, z = F.linear(x, w["in_proj"]).split(d_inner, dim=1)
    past = F.pad(x, (0, 0, taps - 1, 0))
    u = F.silu((past.unfold(0, taps, 1) * w["conv"]).sum(dim=-1) + w["conv_bias"])
    n = w["A_log"].shape[1]
    rank, B, C = F.linear(u, w["x_proj"]).tensor_split([-2 * n, -n], dim=1)
    delta = F.softplus(F.linear(rank, w["dt_proj"], w["dt_bias"]))
    y = scan(u, delta, -w["A_log"].exp(), B, C)
    return F.linear((y + u * w["D"]) * F.silu(z), w["out_proj"])
    ### END SOLUTION


# %% exercise="19.3" role="check"
check("19.3", mixer)

# %% [markdown] exercise="19.4" role="prompt" title="The block, one token at a time" difficulty=3 minutes=15 points=4
# Now the same block as a step. `x` is one token, (dim,); `history` holds the convolution's last
# d_conv - 1 inputs, (d_conv - 1, d_inner), oldest first; `h` is the state of 19.1, (d_inner,
# d_state). Both begin as zeros, but your step must go on from any. `w` holds 19.3's weights.
#
# Return three things: the output, (dim,), the new history and the new state. Called token by token,
# the outputs must be those of the block on the whole sequence: in_proj, convolution with bias, silu,
# x_proj, Δ through dt_proj, dt_bias and softplus, one step of the scan, $+ D \cdot u$,
# $\cdot\,\mathrm{silu}(z)$, out_proj.


# %% exercise="19.4" role="answer"
def step(x, history, h, w):
    """One token through the block: output (dim,), new history, new state."""
    ### BEGIN SOLUTION
    x, z = (w["in_proj"] @ x).chunk(2)
    window = torch.cat([history, x[None]])  # (d_conv, d_inner), what lies under the taps
    u = F.silu((window * w["conv"].T).sum(dim=0) + w["conv_bias"])
    n = w["A_log"].shape[1]
    rank, B, C = (w["x_proj"] @ u).tensor_split([-2 * n, -n])
    delta = F.softplus(w["dt_proj"] @ rank + w["dt_bias"])
    decay = torch.exp(-torch.exp(w["A_log"]) * delta[:, None])
    h = decay * h + torch.outer(delta * u, B)
    y = (h @ C + w["D"] * u) * F.silu(z)
    return w["out_proj"] @ y, window[1:], h
    ### END SOLUTION


# %% exercise="19.4" role="check"
check("19.4", step)

# %% [markdown] exercise="19.5" role="prompt" title="Predict the crossing" difficulty=2 minutes=8 points=2
# After how many tokens does a transformer's cache take **more** bytes than a Mamba's memory? Return
# the smallest whole number of tokens. `mamba` is `(n_layers, d_inner, d_state, d_conv)`,
# `transformer` is `(n_layers, n_kv_heads, head_dim)`, without a window.
#
# Every layer of the Mamba keeps its state, d_inner × d_state numbers, in float32, 4 bytes each, and
# its convolution's history, the last d_conv - 1 inputs of d_inner numbers, in bfloat16, 2 bytes each.
# The cache is bfloat16. For mamba-2.8b, `(64, 5120, 16, 4)`, and Mistral 7B,
# `(32, 8, 128)`, both take 22,937,600 bytes at 175 tokens, so the answer is 176.


# %% exercise="19.5" role="answer"
def crossing(mamba, transformer):
    """The smallest number of tokens whose cache takes more bytes than the Mamba's memory."""
    ### BEGIN SOLUTION
    n_layers, d_inner, d_state, d_conv = mamba
    memory = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    depth, n_kv_heads, head_dim = transformer
    a_token = depth * n_kv_heads * head_dim * 2 * 2  # a key and a value, 2 bytes each number
    return memory // a_token + 1
    ### END SOLUTION


# %% exercise="19.5" role="check"
check("19.5", crossing)

# %% [markdown] exercise="19.6" role="prompt" title="Prove by test: does filler leak?" difficulty=2 minutes=12 points=3
# `read(x, mask)` is a layer with a short convolution and a selective scan. `x` is (batch, seq, 4),
# `mask` (batch, seq) is True at real tokens; each row has at least one, and they stand together, with
# filler before them, behind them, or both. It returns the state of each row after its real tokens,
# (batch, 4). A layer keeps filler out if that is, for every row of any batch, what it returns for the
# row's real tokens alone, with a mask all True: whatever the filler holds, wherever it stands, and
# whatever rows stand beside it.

# %% [markdown] exercise="19.6" role="prompt"
# Write the test. `keeps_filler_out(read)` returns True only for such layers. The check hands it safe
# ones, written in several ways, and leaking ones; each of these leaks in some batch of three rows of
# at most ten tokens. Compare with a tolerance: rounding may differ.


# %% exercise="19.6" role="answer"
def keeps_filler_out(read):
    """Whether no row's state depends on filler, for all batches worth trying."""
    ### BEGIN SOLUTION
    for start, filler in [(0, 0.0), (0, 3.0), (1, 0.0), (2, 3.0), (4, -2.0)]:
        x, mask = torch.full((3, 10, 4), filler), torch.zeros(3, 10, dtype=torch.bool)
        for row, length in enumerate((1, 3, 6)):
            place = slice(start, start + length)
            x[row, place], mask[row, place] = torch.randn(length, 4), True
        together = read(x, mask)
        for row in range(3):
            alone = x[row, mask[row]][None]
            expected = read(alone, torch.ones(1, alone.shape[1], dtype=torch.bool))
            if not torch.allclose(together[row], expected[0], atol=1e-5):
                return False
    return True
    ### END SOLUTION


# %% exercise="19.6" role="check"
check("19.6", keeps_filler_out)
