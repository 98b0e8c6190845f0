# %% [markdown] slide="slide"
# # 12 · Sequence models
#
# *Three ways to read a text: who waits, who pays, who sees too little?*

# %% [markdown] slide="slide"
# **The problem.** A recurrent network reads 1,024 tokens in 1,024 steps, each of which waits for
# the one before. Attention reads them in four, and compares each token with all others: a million
# scores. A convolution does neither, and is blind beyond its reach. This chapter counts the
# bargain, and finds steps that can be taken one by one *and* joined in a few rounds: the linear
# ones. They come from equations that say how fast something changes; those start here, from zero.

# %% [markdown]
# **You will be able to** count what waits, what is multiplied and what must be kept in an RNN, a
# convolution and attention; say why linear steps join and tanh ones don't; step a differential
# equation by hand, predict its error, and say at which step it rings or blows up.
#
# **You need** Python, PyTorch and powers; queries, keys and values from
# [chapter 04](04_rolling_cache.ipynb). No calculus: a derivative is made here, from a table.
#
# **Time**: 60 minutes, and an hour for the exercises in
# [work/12_sequence_models.ipynb](../work/12_sequence_models.ipynb), your copy of
# [these](../exercises/12_sequence_models.ipynb).

# %%
import math
from time import process_time
from timeit import repeat

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mixlab.chapters.kit import series
from mixlab.chapters.sequence_models import figures, last_capital, traces
from mixlab.chapters.stage.host import piece
from mixlab.ssm.discretize import discretize_diagonal
from mixlab.ssm.ode import growth_factor, integrate, observed_order
from mixlab.ssm.scan import affine, linear_recurrence

torch.set_num_threads(1)  # for times that can be compared
generator = torch.manual_seed(9)

# %% [markdown] slide="slide"
# ## One task: the last capital
#
# A text of capitals and dots. After each token, say which capital came last:
#
# `C · · F · · · A ·`
#
# `C C C F F F F A A`
#
# The answer may lie 0 tokens back, or 40. Nothing else has to be remembered.

# %%
example = torch.tensor([["ABCDEF·".index(token) for token in "C··F···A·"]])
assert "".join("ABCDEF"[token] for token in last_capital.answers(example)[0]) == "CCCFFFFAA"
assert last_capital.ages(example).tolist() == [[0, 1, 2, 0, 1, 2, 3, 0, 1]]

# %% [markdown] slide="slide"
# ## Reader 1: a recurrent network
#
# A *state* $h$ of 32 numbers is all that it remembers. A token $x_t$ and the state before make the
# next one, with two matrices and $\tanh$, which squeezes numbers between −1 and 1:
#
# $$h_t = \tanh(x_t W_x + h_{t-1} W_h)$$


# %% slide="same"
def recurrent(x, W_x, W_h):  # x: (batch, seq, dim)
    h, states = torch.zeros_like(x[:, 0]), []
    for from_token in (x @ W_x).unbind(1):
        h = torch.tanh(from_token + h @ W_h)  # waits for the h before
        states.append(h)
    return torch.stack(states, dim=1)


# %% [markdown] slide="slide"
# ## Readers 2 and 3: a convolution, attention
#
# A *convolution* gives each token a look at a fixed place before it. Ours has four layers, which
# look 1, 2, 4 and 8 places back. *Attention* compares each token's query with every key up to it;
# here each place of distance costs a score ⅛, so that nearer keys weigh more.


# %% slide="same"
def convolved(x, *W):
    for layer, (here, back) in enumerate(zip(W[::2], W[1::2], strict=True)):
        earlier = F.pad(x, (0, 0, 2**layer, 0))[:, : x.shape[1]]  # moved 1, 2, 4, 8 places
        x = x + torch.relu(x @ here + earlier @ back)
    return x


def attended(x, W_q, W_k, W_v, W_o):
    place = torch.arange(x.shape[1])
    distance = place[:, None] - place
    scores = (x @ W_q) @ (x @ W_k).mT / x.shape[2] ** 0.5 - distance / 8
    return scores.masked_fill(distance < 0, -torch.inf).softmax(-1) @ (x @ W_v) @ W_o


# %%
x, W = torch.randn(2, 20, 32), torch.randn(8, 32, 32) / 32**0.5
library = nn.RNN(32, 32, bias=False, batch_first=True)
library.weight_ih_l0.data, library.weight_hh_l0.data = W[0].T, W[1].T
assert torch.allclose(recurrent(x, W[0], W[1]), library(x)[0], atol=1e-5)
taps = torch.stack((W[1].T, W[0].T), dim=-1)  # (out, in, taps), the newest last
library = x + torch.relu(F.conv1d(F.pad(x.mT, (1, 0)), taps).mT)
assert torch.allclose(convolved(x, W[0], W[1]), library, atol=1e-5)
distance = torch.arange(20)[:, None] - torch.arange(20)
bias = (-distance / 8).masked_fill(distance < 0, -torch.inf)
library = F.scaled_dot_product_attention(x @ W[0], x @ W[1], x @ W[2], attn_mask=bias) @ W[3]
assert torch.allclose(attended(x, *W[:4]), library, atol=1e-5)

# %% [markdown] slide="slide"
# ## How far does each of them see?
#
# Embedding in front, scores of six capitals behind, 150 batches of 32 texts, three seeds each.
# **Predict:** the convolution looks 1, 2, 4 and 8 places back. How far back may a capital lie, to be
# named?

# %%
ways = {"recurrent": (recurrent, 2), "convolution": (convolved, 8), "attention": (attended, 4)}
readers = {
    name: [last_capital.trained(*way, seed) for seed in range(3)] for name, way in ways.items()
}
unseen, far = last_capital.texts(600, generator), range(0, 40, 4)
found = {
    name: np.array(
        [last_capital.right_by(reader, unseen, last_capital.ages(unseen), far) for reader in three]
    )
    for name, three in readers.items()
}

# %% slide="fragment" show="output" alt="Share of right answers against how far back the last capital lies, the worst of three seeds each. Recurrent and attention run along the top, at nearly 100 percent. The convolution runs with them up to 15 tokens, then drops to about one in six, as the line of guessing."
assert min(found["recurrent"].min(), found["attention"].min()) > 0.9
assert found["convolution"][:, :4].min() > 0.9  # 0 to 15 tokens back
assert found["convolution"][:, 4:].max() < 0.3  # 16 and more: about 1/6
figure = series.lines(
    [low + 1.5 for low in far],
    {name: shares.min(axis=0).tolist() for name, shares in found.items()}
    | {"guessing": [1 / 6] * len(far)},
    title="Beyond 15 tokens the convolution can only guess",
    x_title="how far back the last capital lies (tokens)",
    y_title="right answers, worst of three",
)
figure.update_layout(height=420)

# %% [markdown] slide="notes"
# (3 minutes.) 1 + 2 + 4 + 8 = 15. Common answers: 8, the longest look; 16, which counts the
# token itself. Beyond, the model isn't bad, it is blind: no path leads there, so it
# guesses one of six. In general $L$ layers of $k$ taps, each reaching twice as far as the last,
# see $(k-1)(2^L - 1)$ places back.
#
# The recurrent network holds a capital over 40 dots: one letter fits into 32 numbers.

# %% [markdown] slide="slide"
# ## Who waits for whom?
#
# Each result lies as high as the *round* in which it can be made, one after the last that it reads.
# What lies at one height can be made at once.

# %% slide="fragment" show="output" alt="Three panels for eight tokens. Recurrent: a staircase of eight steps, each standing on the one before. Convolution: three layers over eight inputs, so three rounds high. Attention: all eight results in one row, one round high, with lines to every earlier input."
pictures = {kind: traces.who_reads_whom(kind, 8) for kind in ways}
assert [max(traces.rounds(needs).values()) for needs in pictures.values()] == [8, 3, 1]
for n, layers in ((2, 1), (3, 2), (16, 4), (100, 7)):  # so that the last token sees all n
    assert max(traces.rounds(traces.who_reads_whom("convolution", n)).values()) == layers
title = "For eight tokens: eight rounds, three rounds, one round"
figures.waiting({kind: (pictures[kind], traces.rounds(pictures[kind])) for kind in pictures}, title)

# %% [markdown] slide="notes"
# In the staircase nobody can start before the one on the left has ended, however many processors
# there are. The convolution doubles its view with every layer, so $n$ tokens take $\log_2 n$
# layers, rounded up. Training goes through all this forwards, then backwards. Attention's one round hides four products in a row: queries and keys, scores, the weighted sum,
# the output.

# %% [markdown] slide="slide"
# ## Slow, or expensive?
#
# Count in the real code, for 1,024 tokens of 256 numbers; the convolution gets ten layers, to see
# them all. An $(n \times k)$ by $(k \times m)$ product takes $2nkm$ operations (*FLOPs*).
# **Predict:** who needs the fewest? And who does the most of them in a second?


# %%
def tensors_in(x):
    if isinstance(x, tuple | list):
        return [tensor for each in x for tensor in tensors_in(each)]
    return [x] if isinstance(x, Tensor) else []


class Counter(TorchFunctionMode):
    """Sees every call of torch: adds up FLOPs, and how many products wait for one another."""

    flops = chain = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        waited = max((getattr(x, "waited", 0) for x in tensors_in(args)), default=0)
        if "matmul" in function.__name__:  # also @
            waited += 1  # after the last of what it reads
            self.flops += 2 * args[0].numel() * out.shape[-1]
        for x in tensors_in(out):
            x.waited = waited
        self.chain = max(self.chain, waited)
        return out


# %%
def counted(mix, n_matrices, length, dim):
    x, W = torch.randn(1, length, dim), torch.randn(n_matrices, dim, dim) / dim**0.5
    with Counter() as counter:
        mix(x, *W)
    return counter.chain, counter.flops


def median_seconds(mix, *given):
    return sorted(repeat(lambda: mix(*given), timer=process_time, number=1, repeat=5))[2]


for T, d in ((64, 16), (100, 32)):
    assert counted(recurrent, 2, T, d) == (T, 4 * T * d**2)
    assert counted(convolved, 14, T, d) == (7, 4 * T * d**2 * 7)  # seven layers
    assert counted(attended, 4, T, d) == (4, 8 * T * d**2 + 4 * T**2 * d)

# %% slide="fragment" volatile=true
x, W, bill, rate = torch.randn(1, 1024, 256), torch.randn(20, 256, 256) / 16, {}, {}
for name, n in {"recurrent": 2, "convolution": 20, "attention": 4}.items():
    chain, flops = bill[name] = counted(ways[name][0], n, 1024, 256)
    seconds = median_seconds(ways[name][0], x, *W[:n])
    rate[name] = flops / seconds
    print(f"{name:<12} {chain:>5,} products in a row, {flops / 1e9:.2f} billion FLOPs:", end="")
    print(f"{1000 * seconds:5.0f} ms, {rate[name] / 1e9:.0f} billion a second")

# %% [markdown] slide="notes"
# (4 minutes.) The recurrent network needs the fewest, a sixth of attention's and a tenth of the
# convolution's. Common answers: "it is slow, so it must be expensive"; "attention, for it does
# everything at once". *Slow* is a chain, *expensive* a sum.
#
# Its products are thin, one row by a matrix: this thread does at least twice as many FLOPs a second
# in the convolution's wide ones. Even so it may end first here, having so much less to do. A machine
# with thousands of units would leave nearly all of them idle.

# %% slide="slide" show="output" alt="Three logarithmic panels against lengths from 16 to 16,384 tokens. Products in a row: the recurrent line climbs with the length, the other two stay low. FLOPs a token: attention climbs, the recurrent line is flat and lowest. Numbers kept: attention and convolution climb together, recurrent stays flat." myth="Recurrent networks train slowly because they compute more" said="comments under visual guides to Mamba" truth="Of 1,024 tokens of width 256 attention computes six times as much. The recurrent network has to wait: 1,024 products one after the other instead of four."
T, d = 2 ** np.arange(4, 15), 256
layers, chains, works, kept = np.log2(T).astype(int), {}, {}, {}
chains["recurrent"], works["recurrent"], kept["recurrent"] = T, 4 * d**2 + 0 * T, d + 0 * T
chains["convolution"], works["convolution"] = layers, 4 * d**2 * layers
chains["attention"], works["attention"] = 4 + 0 * T, 8 * d**2 + 4 * T * d
kept["convolution"], kept["attention"] = (T - 1) * d, 2 * T * d
for name in ways:
    assert bill[name] == (chains[name][6], 1024 * works[name][6])  # as counted
    assert (chains["recurrent"] >= chains[name]).all()
    assert (works["recurrent"] <= works[name]).all()
    assert (kept["recurrent"] <= kept[name]).all()
assert bill["attention"][1] == 6 * bill["recurrent"][1]
assert rate["recurrent"] < rate["convolution"] / 2
panels = {"products in a row": chains, "FLOPs a token": works, "numbers kept to write on": kept}
title = "The recurrent network is cheapest twice, and waits longest"
figures.bargain(T.tolist(), panels, title)

# %% [markdown] slide="notes"
# The third panel is what must be kept to write the next token. Attention keeps a key and a value of
# every token (chapter 04); the convolution what its layers look back at, $1 + 2 + 4 + \dots = T - 1$
# rows if it is to see $T$ tokens; the recurrent network one state.
#
# So transformers don't win by computing less, but by training in few rounds. Part III asks: can the
# left panel be mended, without losing the other two?

# %% [markdown] slide="slide"
# ## Two steps as one
#
# Why wait? Because $h_{t-1}$ isn't known. But take steps without $\tanh$, of one number: the first
# doubles and adds 1, the second takes three times as much and adds 5:
#
# $$h \;\mapsto\; 2h + 1 \;\mapsto\; 3(2h + 1) + 5 = 6h + 8$$
#
# Whatever $h$ will be, both together are known *now*: again a factor and an offset.
#
# $$a_1(a_0 h + b_0) + b_1 = (a_1 a_0)\,h + (a_1 b_0 + b_1)$$
#
# **Predict:** how many numbers say what 1,024 such steps do? And in how many rounds are they had,
# with pairs joined side by side?


# %% slide="fragment" show="output"
def joined(first, then):
    return then[0] * first[0], then[0] * first[1] + then[1]


row, n_rounds, h = [(0.9, math.sin(t)) for t in range(1024)], 0, 5.0
for a, b in row:
    h = a * h + b  # one after the other
while len(row) > 1:
    row = [joined(*pair) for pair in zip(row[::2], row[1::2], strict=True)]  # all at once
    n_rounds += 1
print(f"{n_rounds} rounds, {len(row[0])} numbers: {row[0][0] * 5.0 + row[0][1]:.6f} = {h:.6f}")

# %% [markdown] slide="notes"
# (3 minutes.) Two numbers, ten rounds. Common answers: 2,048 numbers; 512 rounds. With vectors the
# factor becomes a matrix (exercise 12.3). How to get *all* states in about as many rounds, and not
# only the last, is chapter 17.
#
# The joined factor says how much of the beginning is left: $0.9^{100} = 0.00003$, gone;
# $0.99^{100} = 0.37$; $1.01^{1000}$ is about 21,000. In training the same powers run backwards: the
# *vanishing* or *exploding gradient* of recurrent networks.

# %% [markdown] slide="slide"
# ## And with tanh?
#
# Send a line of starting states through the steps. A linear step makes a line of a line.
# **Predict:** one step of a tanh network with *two* numbers may make a hill. And six steps?

# %% slide="fragment" show="output" alt="Two panels: the state after 1, 3 and 6 steps against the starting state. Left, linear steps: three straight lines. Right, tanh steps: a curve with one hill, one with four hills, one with 32 narrow hills."
assert joined((2, 1), (3, 5)) == (6, 8) == affine((2, 1), (3, 5))  # the library's name for it
assert math.isclose(row[0][0] * 5.0 + row[0][1], h, abs_tol=1e-9)
assert f"{0.9**100:.5f} {0.99**100:.2f} {1.01**1000:.0f}" == "0.00003 0.37 20959"
place, states = traces.joined_steps(6)
assert [traces.hills(curve) for curve in states["tanh"]] == [1, 2, 4, 8, 16, 32]
assert all(np.abs(np.diff(curve, 2)).max() < 1e-12 for curve in states["linear"])  # straight
shown = {kind: {n: curves[n - 1] for n in (1, 3, 6)} for kind, curves in states.items()}
figures.after_steps(place, shown, "Joined, linear steps stay a line; tanh steps double their hills")

# %% [markdown] slide="notes"
# (3 minutes.) 32: each of these steps folds the line in two. Common answers: six; still one. A
# single step of two numbers has one hill at most, whatever its weights: along a line its slope is 0
# where $\cosh(ps + q) = k \cosh(rs + t)$, so at two places at most. No step of its form equals two of
# them, and what describes $n$ steps must grow with $n$.
#
# With one number there are no hills. A step $\tanh(ah + b)$, $a \ne 0$, takes
# every value between −1 and 1. After a second one only values between $\tanh(b_1 - |a_1|)$ and
# $\tanh(b_1 + |a_1|)$ are left: no single step does that.

# %% [markdown] slide="slide"
# ## Speed, from a table
#
# Where do linear steps come from? From what changes in time. A ball has rolled $t^2$ metres after
# $t$ seconds: 0, 1, 4, 9, 16. Differences, 1, 3, 5, 7, are metres in one second. How fast is it
# *at* $t = 3$? Look at a short stretch $h$ of time from there:
#
# $$\frac{(3 + h)^2 - 3^2}{h} = \frac{6h + h^2}{h} = 6 + h$$
#
# The shorter, the nearer to 6: that is its speed, the *derivative* of $t^2$ at 3. At any $t$ the
# quotient is $2t + h$. One writes $s(t) = t^2$, $s'(t) = 2t$.

# %% slide="same" show="both"
for h in (1, 0.1, 0.01, 0.001):
    print(f"h = {h:<6} {((3 + h) ** 2 - 3**2) / h:.3f} metres a second")

# %% [markdown] slide="slide"
# ## A rule for the speed
#
# A *differential equation* says how fast something changes, from what it is. Of 5 bacteria, each
# makes two more an hour, and so do these:
#
# $$b'(t) = 2\,b(t), \qquad b(0) = 5$$
#
# *Euler's rule*: for a short time $h$, keep the speed that it has now.
#
# $$b_{\text{new}} = b + h \cdot 2b = (1 + 2h)\,b$$
#
# **Predict** the colony after an hour in one step, and in two of half an hour. Is the truth more or
# less?

# %% slide="fragment" show="output"
runs = {}
for n in (1, 2, 4, 10, 64):
    b = [5.0]
    for _ in range(n):
        b.append(b[-1] + 1 / n * 2 * b[-1])
    runs[n] = b
    print(f"{n:>2} steps: {b[-1]:.2f}")

# %% slide="slide" show="output" alt="A colony over one hour, from 5. The true curve bends upwards to 36.9. Below it run polygons of Euler's steps: one straight line to 15, two pieces to 20, four pieces to 25.3."
slope, start, times = lambda t, x: 2 * x, torch.tensor(5.0, dtype=torch.float64), np.linspace(0, 1)
for n, b in runs.items():
    assert np.allclose(b, integrate(slope, start, 1.0, n))  # the library's
    assert (np.array(b)[1:] < 5 * np.exp(2 * np.arange(1, n + 1) / n)).all()  # below the truth
assert [round(runs[n][-1], 1) for n in (1, 2, 4)] == [15, 20, 25.3]
shown = {f"{n} step{'s' * (n > 1)}": runs[n] for n in (1, 2, 4)}
title = "Euler goes straight where the truth bends, and falls behind"
figures.polygons(times, 5 * np.exp(2 * times), shown, title)

# %% [markdown] slide="notes"
# (3 minutes.) 15; 5 → 10 → 20. Common answers: 15 both times; 25. The truth is more: the colony
# grows during the step too.

# %% [markdown] slide="slide"
# ## Where the steps lead
#
# $n$ steps an hour multiply by $(1 + \frac zn)^n$, with $z = 2$. Multiply out:
#
# $$\left(1 + \tfrac zn\right)^n = 1 + z + \tfrac{1 - \frac1n}{2}\,z^2
# + \tfrac{(1 - \frac1n)(1 - \frac2n)}{2 \cdot 3}\,z^3 + \dots
# \;\to\; 1 + z + \tfrac{z^2}{2} + \tfrac{z^3}{2 \cdot 3} + \dots$$
#
# for large $n$. This sum is called $e^z$. After $t$ hours there are $5\,e^{2t}$ bacteria. Do they
# keep the rule? In a time $h$ they become $e^{2h}$ times as many, so per hour and bacterium
#
# $$\frac{e^{2h} - 1}{h} = 2 + 2h + \dots \;\to\; 2$$

# %% slide="same" show="output"
assert math.isclose(sum(2.0**k / math.factorial(k) for k in range(30)), math.exp(2))
assert round(5 * math.exp(2), 4) == 36.9453
for n in (4, 64, 1024):
    print(f"(1 + 2/{n})^{n} = {(1 + 2 / n) ** n:.4f}", end="   ")
print(f"e^2 = {math.exp(2):.4f}")

# %% [markdown] slide="notes"
# The coefficients are the binomial theorem's: $\frac{n(n-1)}{2} \cdot \frac1{n^2}$, and so on. No
# term is ever larger than its limit $z^k/k!$, and these have a finite sum: so the tail is small for
# all $n$ at once, and each term may go to its own limit.
#
# That $e^{2(t + h)} = e^{2t}e^{2h}$ is joining again: first the steps of $t$ hours, then those of
# $h$ more. The factors multiply.

# %% [markdown] slide="slide"
# ## Half the step, half the error
#
# A step multiplies by $1 + 2h$, the truth by $1 + 2h + 2h^2 + \dots$ So a step loses a share of
# about $2h^2$, and $1/h$ steps lose $2h$: at 64 steps, 3%. An error like $h^p$ has *order* $p$.

# %% slide="fragment" show="output" alt="Error after an hour against the length of a step, both axes logarithmic. Euler's errors lie along a guide of slope 1. Those of Runge and Kutta's rule lie far below, along a guide of slope 4."
counts, errors = [4, 8, 16, 32, 64, 128], {"Euler": [], "Runge-Kutta": []}
for method, row in zip(("euler", "runge_kutta_4"), errors.values(), strict=True):
    row += [5 * math.exp(2) - integrate(slope, start, 1.0, n, method)[-1].item() for n in counts]
steps = torch.tensor([1 / n for n in counts])
orders = [observed_order(torch.tensor(row)[-3:], steps[-3:]) for row in errors.values()]
assert [round(order) for order in orders] == [1, 4]
assert round(errors["Euler"][3] / errors["Euler"][4], 2) == 1.93
assert round(100 * errors["Euler"][4] / (5 * math.exp(2))) == 3
figures.orders(
    steps.tolist(), errors, {"Euler": 1, "Runge-Kutta": 4}, "Half the step: half of Euler's error"
)

# %% [markdown] slide="notes"
# Runge and Kutta's rule averages four slopes: at the step's start, twice in its middle, at its end.
# Half the step divides its error by about 16: order 4. From 32 to 64 steps Euler's error falls by
# 1.93, not 2: the order is what the quotient tends to. `observed_order` is the slope of a straight
# line through logarithms.

# %% [markdown] slide="slide"
# ## What dies out, and blows up
#
# Now something that shrinks, and fast: $y' = -10\,y$ a second, from $y = 1$. The truth, $e^{-10t}$, is gone
# after half a second. An Euler step multiplies by $1 - 10h$. **Predict** for the steps 0.05, 0.1,
# 0.15, 0.2 and 0.25: what do the numbers do?

# %% slide="fragment" show="both"
for h in (0.05, 0.1, 0.15, 0.2, 0.25):
    y, values = 1.0, []
    for _ in range(5):
        y = y + h * (-10 * y)
        values.append(f"{y:6.2f}")
    print(f"h = {h:<5} times {1 - 10 * h:4.1f}: ", *values)

# %% slide="slide" show="output" alt="A decay that should die out, and Euler's polygon with steps of 0.22: it swings from side to side of the axis, farther each time. Below, a ruler of steps: up to 0.1 it holds, up to 0.2 it rings, beyond it blows up. The step can be dragged along it."
for notch in range(1, 31):  # as far as the step can be dragged
    y = traces.trace_euler("decay", notch / 100, "explicit").states[:, 0]
    assert (abs(y[-1]) < abs(y[0])) == (notch < 20) or notch == 20
    assert (y[1:] * y[:-1] < 0).all() == (notch > 10)  # from side to side
title = "Beyond h = 0.2, what should die out blows up"
piece("euler", title, problem="decay", h=0.22)

# %% [markdown] slide="notes"
# (4 minutes.) Halved; dead in one step; swinging and halved; swinging forever; growing. Common
# answers: "a larger step is only less exact"; "0.1 is best, for it gives 0".
#
# It shrinks where $-1 < 1 - 10h < 1$, so for $h < 0.2$. For a rate $a$ in place of 10 the borders
# are $1/a$ and $2/a$. Where many things decay side by side, **the fastest sets the step for all**,
# long after it is gone itself. Drag the step; choose the growth (R), where Euler never blows up.

# %% [markdown] slide="slide"
# ## Look from the end of the step
#
# *Implicit* Euler takes the speed where the step *ends*, which it has to solve for:
#
# $$y_{\text{new}} = y + h \cdot (-10\,y_{\text{new}})
# \quad\Rightarrow\quad y_{\text{new}} = \frac{y}{1 + 10h}$$
#
# A factor between 0 and 1, whatever the step: it never rings and never blows up. It is no more
# exact: its order is 1 as well. In the figure: E.

# %% slide="same" show="output"
factors = growth_factor(-10 * torch.tensor([0.05, 0.25, 1.0, 100.0]), "backward_euler")
assert ((factors > 0) & (factors < 1)).all()
ends = [(1 + 10 / n) ** -n for n in (200, 400, 800)]  # one second in n steps
order = observed_order(torch.tensor(ends) - math.exp(-10), 1 / torch.tensor([200.0, 400, 800]))
assert round(order) == 1
print("factors:", [round(factor, 3) for factor in factors.tolist()])

# %% [markdown] slide="slide"
# ## A spring
#
# A weight on a spring has a place $x$ and a speed $v$. The farther out, the harder the spring pulls
# back: $x' = v$, $v' = -x$. One Euler step, and how far from rest it leaves the pair:
#
# $$x_{\text{new}} = x + hv, \qquad v_{\text{new}} = v - hx$$
#
# $$x_{\text{new}}^2 + v_{\text{new}}^2
# = x^2 + 2hxv + h^2v^2 + v^2 - 2hxv + h^2x^2 = (1 + h^2)(x^2 + v^2)$$
#
# **Predict:** for which $h$ does a spring that should swing forever blow up?

# %% slide="slide" show="output" alt="Place and speed of a spring as a point in a plane. The truth runs round a circle; Euler's polygon, with steps of 0.2, spirals outwards. Beside it the place against time: Euler swings farther with each turn. A ruler below is one single region: for every step it spirals outwards."
for notch in range(1, 21):
    run = traces.trace_euler("spring", notch / 20, "explicit")
    radius = np.hypot(*run.states.T)
    assert np.allclose(radius, (1 + (notch / 20) ** 2) ** (np.arange(len(radius)) / 2))
    assert np.allclose(np.hypot(*run.exact.T), 1)
    inwards = traces.trace_euler("spring", notch / 20, "implicit").states
    assert np.allclose(radius * np.hypot(*inwards.T), 1)
assert (round(1.01 ** (1000 / 2)), round(1.01 ** (-1000 / 2), 3)) == (145, 0.007)
title = "Euler's spring spirals outwards, whatever the step"
piece("euler", title, problem="spring", h=0.2)

# %% [markdown] slide="notes"
# (4 minutes.) For every $h > 0$. Common answers: beyond 2, as for a decay; "small steps hold". 1,000
# steps of 0.1 leave it $1.01^{500} = 145$ times as far out. A time $t$ has $t/h$ steps, so the
# distance grows by $(1 + h^2)^{t/2h}$, about $1 + ht/2$: it tends to 1 as $h$ does to 0, so the
# truth stays on its circle.
#
# The implicit step solves $x = x_{\text{new}} - hv_{\text{new}}$, $v = v_{\text{new}} +
# hx_{\text{new}}$: the same sum, old and new exchanged. It spirals inwards for every $h$. A rule
# that keeps the circle comes in chapter 13.

# %% [markdown] slide="slide"
# ## The step that never blows up
#
# Let a level $h$ drift towards an input $u$, the faster the wider the gap: $h' = u - h$. Hold $u$
# still for a time $\Delta$. The gap $g = u - h$ obeys $g' = -h' = -g$, so $g_{\text{new}} =
# e^{-\Delta} g$:
#
# $$h_t = e^{-\Delta}\,h_{t-1} + (1 - e^{-\Delta})\,u_t$$
#
# A linear step, exact for any $\Delta > 0$, with a factor between 0 and 1. $\Delta$ is a time: how
# long a token lasts. **An equation for the speed, read at moments $\Delta$ apart, is a linear
# recurrence.** Part III is made of these.

# %% slide="same" show="output"
one = torch.tensor(1.0)
for delta in (0.1, 1.0, 3.0):
    keeps, lets_in = discretize_diagonal(-one, one, torch.tensor(delta))  # the library's step
    assert math.isclose(keeps, math.exp(-delta), rel_tol=1e-6)
    assert math.isclose(lets_in, 1 - math.exp(-delta), rel_tol=1e-6)
    print(
        f"Δ = {delta}: keeps {keeps:.3f}, lets in {lets_in:.3f}; Euler would keep {1 - delta:.1f}"
    )


# %% [markdown] slide="slide"
# ## Reader 4: linear
#
# Thirty-two levels side by side, each with a $\Delta$ of its own, from 0.03 to 3, stepped in rounds by
# the scan of chapter 17, and trained like the others; its weights learn the factor
# $1 - e^{-\Delta}$ too. **Predict:** is it blind somewhere? When is it wrong?


# %%
def linear(x, W):
    b = x @ W
    keeps = torch.exp(-torch.logspace(-1.5, 0.5, x.shape[2]))  # Δ from 0.03 to 3
    return linear_recurrence(keeps.expand_as(b), b, None, "hillis_steele")


b, h, x = torch.randn(2, 9, 32), torch.zeros(2, 32), []
for b_t in b.unbind(1):  # the same one by one
    h = torch.exp(-torch.logspace(-1.5, 0.5, 32)) * h + b_t
    x.append(h)
assert torch.allclose(linear(b, torch.eye(32)), torch.stack(x, dim=1), atol=1e-5)
readers["linear"] = [last_capital.trained(linear, 1, seed) for seed in range(3)]
assert (
    np.min(
        [
            last_capital.right_by(reader, unseen, last_capital.ages(unseen), far)
            for reader in readers["linear"]
        ]
    )
    > 0.8
)

# %% slide="fragment" show="output" alt="Share of right answers against how many tokens lie between the last capital and the one before, the mean of three seeds with bars from worst to best. The recurrent reader is right everywhere. The linear one is right in about four of five where the two came close together, and nearly always where they lie far apart."
near, both = range(1, 29, 4), ("recurrent", "linear")
apart = {
    name: np.array(
        [
            last_capital.right_by(reader, unseen, last_capital.gaps(unseen), near)
            for reader in readers[name]
        ]
    )
    for name in both
}
assert apart["recurrent"].min() > 0.95
assert apart["linear"][:, 0].max() < 0.92
assert apart["linear"][:, 4:].min() > 0.95
figure = series.lines(
    [low + 1.5 for low in near],
    {name: apart[name].mean(axis=0).tolist() for name in both},
    ends={n: (apart[n].min(axis=0).tolist(), apart[n].max(axis=0).tolist()) for n in both},
    title="The linear reader confuses capitals that came close together",
    x_title="from the capital before to the last one (tokens)",
    y_title="right answers, three seeds",
)
figure.update_layout(height=420, yaxis=dict(range=[0.75, 1.01]))

# %% [markdown] slide="notes"
# (3 minutes.) Blind nowhere: levels with a small $\Delta$ still hold something after 40 tokens.
# Common answers: blind, for it has no tanh; as good as the recurrent one. It is wrong where two
# capitals follow closely. A step with a fixed factor *adds* the new letter to what is left of the
# old, and can't wipe that out; the recurrent network has learnt to overwrite. Steps that stay
# linear in the state, and overwrite or hold still as the token says: chapter 16, and Mamba.

# %% [markdown] slide="slide"
# ## The bargain
#
# At 1,024 tokens of 256 numbers:
#
# | | in a row | billion FLOPs | numbers kept | pays with |
# |---|---|---|---|---|
# | recurrent | 1,024 | 0.27 | 256 | waiting |
# | convolution | 10 | 2.68 | 261,888 | layers, or a blind spot |
# | attention | 4 | 1.61 | 524,288 | the square of the length |
# | linear | 11 | 0.14 | 256 | never wiping out |

# %%
assert [round(flops / 1e9, 2) for _, flops in bill.values()] == [0.27, 2.68, 1.61]
assert [int(numbers[6]) for numbers in kept.values()] == [256, 261_888, 524_288]
chain, flops = counted(lambda x, W: x @ W, 1, 1024, 256)  # and then ten rounds of joining:
flops += 3 * 256 * (10 * 1024 - 1023)  # chapter 17 counts these
assert (chain + 10, round(flops / 1e9, 2)) == (11, 0.14)

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Slow isn't expensive: an RNN does the least work and keeps the least, in as many steps as there
#    are tokens. Attention and convolution wait for little and keep much.
# 2. Linear steps join into one of the same form, two numbers for any stretch of time; tanh steps
#    don't. So a linear recurrence needs $\log_2 T$ rounds.
# 3. Euler's error goes like the step. A decay of rate $a$ rings beyond $h = 1/a$ and blows up
#    beyond $2/a$; the exact factor, $e^{-\Delta}$ for rate 1, never does.

# %% [markdown]
# ## Self-test
#
# 1. Six layers look 1, 2, …, 32 places back. How far does their stack see?
# 2. Join "halve, then add 4" with "halve, then add 1".
# 3. Euler on $y' = -4y$: from which step on does it ring, from which does it grow?
# 4. Ten times as many steps of Euler: what becomes of the error?
#
# <details><summary>Answers</summary>
#
# 1. 63 places back.
# 2. $\frac12(\frac12 h + 4) + 1 = \frac14 h + 3$.
# 3. 0.25; 0.5.
# 4. About a tenth.
#
# </details>
#
# **Next.** *Which equation should a model's state follow, and how is it read at moments Δ apart?*
# First [the exercises](../work/12_sequence_models.ipynb), then
# [chapter 13](13_state_space_models.ipynb).

# %% [markdown] to="exercise"
# # 12 · Sequence models: exercises
#
# Six exercises on [the lesson](../course/12_sequence_models.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("12.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="12.1" role="prompt" title="Euler's steps" difficulty=1 minutes=8 points=2
# `slope(t, x)` says how fast the numbers `x`, a tensor of shape (size,), change at time `t`; it
# returns such a tensor. Write `euler(slope, start, h, n)`: take `n` steps of length `h` by Euler's
# rule, from `start` at time 0. Return all states, the first is `start`, as one tensor of shape
# (n + 1, size). `n` may be 0, and `start` itself must stay as it is.
#
# ```python
# euler(lambda t, x: 2 * x + t, torch.tensor([5.0]), 0.5, 2)  # [[5.0], [10.0], [20.25]]
# ```


# %% exercise="12.1" role="answer"
def euler(slope, start, h, n):
    """The states at times 0, h, 2h, …, n h, in one tensor."""
    ### BEGIN SOLUTION
    states = [start]
    for k in range(n):
        states.append(states[-1] + h * slope(k * h, states[-1]))
    return torch.stack(states)
    ### END SOLUTION


# %% exercise="12.1" role="check"
check("12.1", euler)

# %% [markdown] exercise="12.2" role="prompt" title="The fewest steps" difficulty=2 minutes=10 points=2
# Several things decay side by side, each by a rate of its own: $x_k' = -r_k\,x_k$. All are followed by
# Euler's rule, with the same `n` equal steps over `duration`. Write `fewest_steps(rates, duration)`:
# the smallest `n` of at least 1 with which every thing that decays is *nearer to 0 after one step*
# than it was at the start, ringing or not. `rates` are whole numbers of 0 or more; what has the rate 0 doesn't
# change, and asks for nothing. `duration` is a whole number of at least 1. Compute it: the numbers go
# up to billions.
#
# ```python
# fewest_steps([10, 1], duration=1)  # 6: steps of 1/6; with 5, of 0.2, the first swings forever
# ```


# %% exercise="12.2" role="answer"
def fewest_steps(rates, duration):
    """The smallest number of equal steps with which all that decays shrinks."""
    ### BEGIN SOLUTION
    return max(rates) * duration // 2 + 1  # h · rate < 2, so n > rate · duration / 2
    ### END SOLUTION


# %% exercise="12.2" role="check"
check("12.2", fewest_steps)

# %% [markdown] exercise="12.3" role="prompt" title="Join two steps of a vector" difficulty=2 minutes=10 points=2
# A spring's state is two numbers, and in chapter 13 it will be more: a vector $h$, and a step is $h
# \mapsto A h + b$ with a matrix $A$. Write `join(first, then)`: both are pairs `(A, b)` of tensors, (n, n)
# and (n,). Return the pair of the *one* step that does `first` and then `then`. It knows no $h$.
#
# ```python
# turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.zeros(2)
# push = torch.eye(2), torch.tensor([1.0, 0.0])
# join(push, turn)  # ([[0, 1], [-1, 0]], [0, -1])
# ```


# %% exercise="12.3" role="answer"
def join(first, then):
    """The pair (A, b) of both steps together."""
    ### BEGIN SOLUTION
    (A_0, b_0), (A_1, b_1) = first, then
    return A_1 @ A_0, A_1 @ b_0 + b_1
    ### END SOLUTION


# %% exercise="12.3" role="check"
check("12.3", join)

# %% [markdown] exercise="12.4" role="prompt" title="How long must we wait?" difficulty=2 minutes=12 points=3
# A computation has the parts 0, 1, 2, …; `needs[i]` is the list of the parts whose results part `i`
# reads, all with smaller numbers. Each part takes one round, and there are as many processors as you
# like. Write `rounds(needs)`: after how many rounds, at the earliest, is everything done?
#
# ```python
# rounds([[], [0], [1], [2]])  # 4: a chain
# rounds([[], [], [0, 1], []])  # 2
# ```


# %% exercise="12.4" role="answer"
def rounds(needs):
    """How many rounds it takes with any number of processors; 0 for no parts."""
    ### BEGIN SOLUTION
    done = []  # the round after which each part is done
    for reads in needs:
        done.append(1 + max((done[part] for part in reads), default=0))
    return max(done, default=0)
    ### END SOLUTION


# %% exercise="12.4" role="check"
check("12.4", rounds)

# %% [markdown] exercise="12.5" role="prompt" title="Predict: what must be kept?" difficulty=2 minutes=10 points=2
# `length` tokens have been read, of `dim` numbers each in every layer, and more will be written. How many numbers must the layers keep of what was read? A layer is one of
#
# - `("recurrent",)`: a state of `dim` numbers
# - `("convolution", taps, apart)`: reads its own token's input and `taps - 1` earlier ones, each `apart`
#   places before the next
# - `("attention",)`: a key and a value of `dim` numbers for each token
#
# A convolution keeps the inputs that some later token will read, as far as they exist. Write
# `kept(layers, length, dim)`; `length` is at least 1.
#
# ```python
# kept([("convolution", 2, 1), ("recurrent",)], length=9, dim=4)  # 4 + 4
# ```


# %% exercise="12.5" role="answer"
def kept(layers, length, dim):
    """Numbers that all layers keep together."""
    ### BEGIN SOLUTION
    rows = 0
    for kind, *sizes in layers:
        if kind == "recurrent":
            rows += 1
        elif kind == "attention":
            rows += 2 * length
        else:
            taps, apart = sizes
            rows += min(length, (taps - 1) * apart)
    return rows * dim
    ### END SOLUTION


# %% exercise="12.5" role="check"
check("12.5", kept)

# %% [markdown] exercise="12.6" role="prompt" title="Prove by test: does this step join?" difficulty=3 minutes=14 points=4
# `step(h)` makes the next state of a state `h`. Both are lists of two whole numbers. Write
# `is_linear(step)`: True only if there are a matrix $A$ and a vector $b$, the same for every state, so
# that `step(h)` is $A h + b$. Then a thousand such steps join into one. Return False, don't `assert`.
#
# The check hands it right steps and wrong ones. They take numbers from −20 to 20.


# %% exercise="12.6" role="answer"
def is_linear(step):
    """Whether step(h) = A h + b for one matrix A and one vector b."""
    ### BEGIN SOLUTION
    b = step([0, 0])
    by_first = [after - before for after, before in zip(step([1, 0]), b, strict=True)]
    by_second = [after - before for after, before in zip(step([0, 1]), b, strict=True)]
    for x in range(-20, 21):
        for y in range(-20, 21):
            line = [c + x * p + y * q for c, p, q in zip(b, by_first, by_second, strict=True)]
            if list(step([x, y])) != line:
                return False
    return True
    ### END SOLUTION


# %% exercise="12.6" role="check"
check("12.6", is_linear)
