# %% [markdown] slide="slide"
# # 15 · HiPPO
#
# *How can a handful of numbers remember all that was heard?*

# %% [markdown] slide="slide"
# **The problem.** A state space model steps $h' = Ah + Bx$. With an $A$ chosen carelessly its state
# forgets, or explodes. What should $N$ numbers hold of a signal of 10,000 samples? HiPPO,
# *high-order polynomial projection operators*, asks for the *best* that they can hold, and derives
# the $A$ that keeps it up to date. S4 starts from there, and Mamba's $A$, the numbers −1, −2, …,
# −16, is what is left of it.

# %% [markdown]
# **You will be able to** say a signal in polynomials; derive HiPPO's $A$ and $B$ to the last entry;
# step them, and say which steps go wrong; say what dropping the $1/t$ does to the past, what S4 and
# Mamba keep of it, and why.
#
# **You need** $h' = Ah + Bx$ and its exact step, from [chapter 13](13_state_space_models.ipynb);
# Euler's rule, from [chapter 12](12_sequence_models.ipynb). The derivation takes integration by
# parts; the last part takes eigenvalues.
#
# **Time**: 55 minutes, and 70 for the exercises in [work/15_hippo.ipynb](../work/15_hippo.ipynb),
# your copy of [these](../exercises/15_hippo.ipynb).

# %%
import math

import numpy as np
import torch

from mixlab.chapters.hippo import figures, traces
from mixlab.chapters.kit import series
from mixlab.chapters.stage.host import piece
from mixlab.ssm.discretize import discretize_dense
from mixlab.ssm.hippo import legendre, legs, project, recall, remember, remember_fading
from mixlab.ssm.ode import observed_order
from mixlab.ssm.s4 import nplr_legs
from mixlab.ssm.s4d import s4d_rates

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## Four samples, two numbers
#
# Heard so far: **1, 3, 7, 5**, each for a quarter of the time. Call a moment of this past $s$, from
# 0, the beginning, to 1, now. Two numbers make a straight line over it. Which line is nearest, if
# all moments count alike?
#
# **Predict:** where does the best line begin, and where does it end?

# %% [markdown] slide="notes"
# (2 minutes.) From 1 to 7. Common answers: from 1 to 5, through the first and last sample; flat at
# 4, the mean, which is the best that *one* number can do.

# %% [markdown] slide="slide"
# ## Numbers that don't disturb each other
#
# Write $⟨f, g⟩ = \int_0^1 f(s)\,g(s)\,ds$, the mean of a product. Take functions with
# $⟨p_n, p_n⟩ = 1$ that are *orthogonal*, $⟨p_n, p_k⟩ = 0$ for $n \ne k$; both together is
# *orthonormal*. How far is $\sum a_n p_n$ from the signal $x$? Let $d$ be the difference, and
# $h_n = ⟨x, p_n⟩$. Multiply out:
#
# $$⟨d, d⟩
# = ⟨x, x⟩ - 2\sum a_n h_n + \sum a_n^2
# = ⟨x, x⟩ - \sum h_n^2 + \sum (a_n - h_n)^2$$
#
# So $a_n = h_n$ is best, each for itself: a further number changes none of those before it. And
# $⟨x, x⟩ - \sum h_n^2$ is exactly what isn't remembered.

# %% [markdown] slide="slide"
# ## By hand
#
# $p_0 = 1$ and $p_1 = \sqrt3\,(2s - 1)$ are orthonormal: $\int_0^1 (2s - 1)\,ds = 0$ and
# $\int_0^1 (2s - 1)^2 ds = \frac13$.
#
# $h_0$ is the mean, 4. Over the four quarters $\int (2s - 1)\,ds = s^2 - s$ grows by
# $-\frac3{16}, -\frac1{16}, \frac1{16}, \frac3{16}$:
#
# $$h_1 = \sqrt3\;\frac{-3 \cdot 1 - 1 \cdot 3 + 1 \cdot 7 + 3 \cdot 5}{16} = \sqrt3$$
#
# The line is $4 + \sqrt3 \cdot \sqrt3\,(2s - 1)$, from 1 to 7. Of $⟨x, x⟩ =
# \frac{1 + 9 + 49 + 25}{4} = 21$ the numbers hold $16 + 3$; 2 is left.

# %% [markdown] slide="slide"
# ## The next ones
#
# $s^2$ isn't orthogonal to these. Take away its mean, $\frac13$, and its share of $p_1$, which is
# $⟨s^2, p_1⟩\,p_1 = s - \frac12$, and scale what is left:
#
# $$s^2 - \tfrac13 - \left(s - \tfrac12\right) = s^2 - s + \tfrac16
# \quad\Rightarrow\quad p_2 = \sqrt5\,(6s^2 - 6s + 1)$$
#
# and so on with $s^3$, $s^4$, … These are *Legendre's polynomials*, moved to $[0, 1]$. $p_n$ has
# degree $n$; we let its leading coefficient be positive.


# %% slide="same"
def orthonormal(N):
    """Row n: p_n's coefficients of 1, s, s², …"""
    power = np.arange(N)
    mean = 1 / (power[:, None] + power + 1)  # of s^i times s^j
    rows = []
    for row in np.eye(N):
        for earlier in rows:
            row = row - (row @ mean @ earlier) * earlier
        rows.append(row / (row @ mean @ row) ** 0.5)
    return np.stack(rows)


# %%
def projected(x, edges, N):
    """h_0 … h_{N−1} of samples, each held from one edge to the next."""
    power = np.arange(1, N + 1)
    integrals = edges[:, None] ** power / power @ orthonormal(N).T  # of each p_n, from 0
    return x @ np.diff(integrals, axis=0)


# %%
four, shares = np.array([1.0, 3, 7, 5]), np.linspace(0, 1, 201)
h = projected(four, np.arange(5) / 4, 3)
assert np.allclose(h, [4, 3**0.5, -0.375 * 5**0.5])
assert np.allclose(np.mean(four**2) - [h[0] ** 2, (h[:2] ** 2).sum()], [5, 2])
assert np.allclose(h, project(torch.tensor(four), 3))  # the library's

# %%
polynomials = shares[:, None] ** np.arange(5) @ orthonormal(5).T
assert np.allclose(polynomials, legendre(torch.tensor(shares), 5))  # the library's
assert np.allclose(polynomials[:, 2], 5**0.5 * (6 * shares**2 - 6 * shares + 1))

# %% slide="slide" show="output" alt="Four samples, 1, 3, 7 and 5, as a staircase over the share of the past from 0 to 1. One number is a flat line at 4. Two numbers are a straight line from 1 to 7. Three are a curve that bends down at both ends and passes nearer to the stairs."
curves = {}
for N, name in ((1, "one number"), (2, "two"), (3, "three")):
    curves[name] = polynomials[:, :N] @ h[:N]
assert np.allclose(curves["two"], 1 + 6 * shares)
assert curves["three"][0] < curves["two"][0]
assert curves["three"][-1] < curves["two"][-1]
left = np.mean(four**2) - np.cumsum(h**2)
assert (np.diff(left) < 0).all()
figures.approximations(four, shares, curves, "Each number takes the curve nearer to what was heard")

# %% [markdown] slide="slide"
# ## How many numbers does a past need?
#
# Three signals: a *jump*, from 0 to 1; a *kink*, $|s - 0.4|$; a *wave*, $\sin 12s$. **Predict:**
# for each of them, what do twice as many numbers make of the error?

# %%
signals = {
    "jump": lambda s: (s > 0.4).double(),
    "kink": lambda s: (s - 0.4).abs(),
    "wave": lambda s: torch.sin(12 * s),
}


# %%
def sampled(signal, n):
    return signal((torch.arange(n) + 0.5) / n)  # each in the middle of its stretch


def error(h, signal):
    points = (torch.arange(4000) + 0.5) / 4000
    return (recall(h, points) - signal(points)).square().mean().sqrt().item()


# %% slide="fragment" show="output" alt="Root mean square error against N from 2 to 64, both axes logarithmic. The jump's error falls along a guide of slope minus one half, the kink's along one of minus three halves. The wave's drops steeply between 4 and 16 to far below both."
sizes, lost = [2, 4, 8, 16, 32, 64], {}
for name, signal in signals.items():
    lost[name] = [error(project(sampled(signal, 8000), N), signal) for N in sizes]
falls = [observed_order(torch.tensor(lost[name]), 1 / torch.tensor(sizes)) for name in lost]
assert abs(falls[0] - 0.5) < 0.05
assert abs(falls[1] - 1.5) < 0.2
assert lost["wave"][3] < 1e-4 * lost["wave"][1]
slopes = {"slope −1/2": (-0.5, 1.0), "slope −3/2": (-1.5, 0.3)}
figure = series.lines(
    sizes,
    lost,
    title="The smoother the past, the faster its error falls",
    x_title="numbers N",
    y_title="error (root mean square)",
    slopes=slopes,
    log_x=True,
    log_y=True,
)
figure.update_layout(margin_r=100).update_yaxes(exponentformat="power")

# %% [markdown] slide="notes"
# (3 minutes.) The jump's is divided by $\sqrt2$, the kink's by about 3, the wave's by far more,
# until sampling limits it. Common answers: halved, for all; the same for all. With 4 numbers the
# wave is hardly there: they have too few bends.
#
# HiPPO's proposition 6 promises $N^{-1/2}$ where slopes are bounded; the kink does better.

# %% [markdown] slide="slide"
# ## And the signal goes on
#
# Now all that was heard moves towards 0, and every $h_n$ changes. Must the past be read again? Not
# for $h_0$, the mean:
#
# $$h_0(t) = \frac1t \int_0^t x(\tau)\,d\tau \quad\Rightarrow\quad
# h_0' = -\frac1{t^2} \int_0^t x\,d\tau + \frac{x(t)}{t} = \frac{x(t) - h_0}{t}$$
#
# **Predict:** nine samples have the mean 4, the tenth is 14. What is the mean now? And which of
# $h_0$, $h_1$, $h_2$ must be known, to say how $h_1$ changes?

# %% [markdown] slide="notes"
# (3 minutes.) 5, a tenth of the way from 4 to 14. $h_0$ and $h_1$, as the next slides derive.
# Common answers: 9; "all three"; "the old samples too".

# %% [markdown] slide="slide"
# ## Three things move
#
# $$h_n(t) = \frac1t \int_0^t x(\tau)\,p_n\!\left(\frac\tau t\right) d\tau$$
#
# As $t$ grows, the factor $\frac1t$ shrinks, the end of the integral moves on, and the polynomial
# is stretched: $\frac{d}{dt}\,p_n(\frac\tau t) = -\frac{\tau}{t^2}\,p_n'(\frac\tau t)$. So
#
# $$h_n' = -\frac1{t^2}\int_0^t x\,p_n\,d\tau \;+\; \frac1t\,x(t)\,p_n(1)
# \;-\; \frac1t \int_0^t x(\tau)\,\frac{\tau}{t^2}\,p_n'\!\left(\frac\tau t\right) d\tau$$
#
# Multiply by $t$, and write $\tau = ts$, $d\tau = t\,ds$:
#
# $$t\,h_n' = p_n(1)\,x(t) \;-\; h_n \;-\; \int_0^1 x(ts)\,s\,p_n'(s)\,ds$$

# %% [markdown] slide="slide"
# ## What is s · p′(s)?
#
# A polynomial of degree $n$, so $s\,p_n' = \sum_{k \le n} a_k\,p_k$ with $a_k = ⟨s\,p_n',
# p_k⟩$. By parts:
#
# $$a_k = \Big[\,s\,p_n\,p_k\Big]_0^1 - \int_0^1 p_n\,\big(p_k + s\,p_k'\big)\,ds$$
#
# *For $k < n$* the bracket has degree $k$, and $p_n$ is orthogonal to all that has a lower degree:
# $a_k = p_n(1)\,p_k(1)$.
#
# *For $k = n$* compare leading coefficients: $s\,p_n'$ has $n$ times that of $p_n$, so $a_n = n$.
# By parts it is $p_n(1)^2 - 1 - a_n$. Both are true, so $p_n(1)^2 = 2n + 1$, and $p_n(1)$ is
# positive, as the leading coefficient is.

# %% [markdown] slide="notes"
# Why positive: all $n$ zeros lie inside $[0, 1]$, and beyond them the leading coefficient
# decides. (With fewer changes of sign, a polynomial of lower degree could change sign
# with $p_n$, and wouldn't be orthogonal to it.) Nothing about Legendre was looked up: degree and
# orthogonality were enough.
#
# $x$ need not be smooth: its derivative was never taken.

# %% [markdown] slide="slide"
# ## LegS
#
# Put together, the integral becomes $\sum a_k h_k$:
#
# $$t\,h_n' = \sqrt{2n + 1}\;x(t) \;-\; (n + 1)\,h_n \;-\; \sum_{k < n}
# \sqrt{2n + 1}\,\sqrt{2k + 1}\;h_k$$
#
# One matrix, one column, and no memory of anything but $h$:
#
# $$h'(t) = \frac{A\,h(t) + B\,x(t)}{t} \qquad\qquad
# A = \begin{pmatrix} -1 & 0 & 0 \\ -\sqrt3 & -2 & 0 \\ -\sqrt5 & -\sqrt{15} & -3 \end{pmatrix},
# \quad B = \begin{pmatrix} 1 \\ \sqrt3 \\ \sqrt5 \end{pmatrix}$$

# %% slide="same"
p = orthonormal(5)
s_slope = p * np.arange(5)  # of s p_n': each power s^j gets the factor j
parts = np.linalg.solve(p.T, (p + s_slope).T).T  # in terms of p_0 … p_4
A, B = legs(5)  # the library's
assert np.allclose(-parts, A)
assert np.allclose(p.sum(1), B)  # p_n(1)
assert np.allclose(A[:3, :3] ** 2, [[1, 0, 0], [3, 4, 0], [5, 15, 9]])

# %% [markdown] slide="notes"
# This is theorem 2 of "HiPPO: Recurrent Memory with Optimal Polynomial Projections" (Gu, Dao,
# Ermon, Rudra and Ré 2020); the *S* is for scaled. Paper and library write $c$ for our $h$, $f$ for
# $x$; and the paper's $A$ is minus ours, with a minus before it. LegT is another memory, over a
# *sliding window*: chapter 02's, in continuous time. S4's section 2.2 shows LegS, its appendix C.1
# speaks of LegT.

# %% [markdown] slide="slide"
# ## A clock that slows down
#
# Watch with a clock that shows $r = \ln t$. Since $\frac{dt}{dr} = t$,
#
# $$\frac{dh}{dr} = t\,h' = A\,h + B\,x$$
#
# Chapter 13's equation, without any $t$. A sample held still from $k$ to $k + 1$ lasts
# $\ln\frac{k + 1}{k}$ on this clock, and chapter 13's exact step does the rest. The first sample
# needs no step: a constant past is $(x, 0, 0, \dots)$.
#
# **Predict:** the same signal is played at half the speed, each sample twice. Which of the five
# numbers change?


# %% slide="same"
def heard(x, N):
    A, B = legs(N)
    h = [x[0] * torch.eye(N)[0]]
    for k in range(1, len(x)):
        keeps, lets_in = discretize_dense(A, B, math.log((k + 1) / k))
        h.append(keeps @ h[-1] + lets_in * x[k])
    return torch.stack(h)


# %% slide="fragment" show="output"
x = sampled(signals["wave"], 60) + torch.rand(60)
for k, h in enumerate(heard(x, 5), start=1):
    assert np.allclose(h, projected(x[:k].numpy(), np.arange(k + 1) / k, 5))  # the whole past anew
assert torch.allclose(heard(x, 5), remember(x, 5, "zoh"))  # the library's
assert torch.allclose(heard(x.repeat_interleave(2), 5)[-1], heard(x, 5)[-1])
print("step by step = projected anew, after each of 60 samples; at half the speed: the same")

# %% [markdown] slide="notes"
# (3 minutes.) None: only shares of the past count. Common answers: all; all but the mean. LegS has
# no time scale that could be chosen wrongly: HiPPO's proposition 3.

# %% [markdown] slide="slide"
# ## Without the 1/t
#
# S4 drops it: $\frac{dh}{dr} = Ah + Bx$, where $r$ is now the ordinary, even time. By the last
# slide that is LegS in the time $t = e^r$. What was heard a time $\ell$ ago, at $r - \ell$, was
# heard at $t\,e^{-\ell}$: at the share
#
# $$s = e^{-\ell}$$
#
# of the past. The same polynomials, the same projection; but the last $\ln 2 = 0.69$ of time fill
# half of all the room there is, and what is older than 3 shares 5%.


# %% slide="same"
def faded_edges(n, delta):
    return np.exp(-delta * np.arange(n, -1, -1))  # n samples of length delta, the oldest first


# %% slide="same"
x = sampled(signals["wave"], 80) + torch.rand(80)
for delta in (0.02, 0.1):
    expected = projected(x.numpy(), faded_edges(80, delta), 5)
    assert np.allclose(remember_fading(x, 5, delta)[-1], expected)  # the library's steps
print("room for what is older than 0, 1, 2, 3, 4:", np.exp(-np.arange(5.0)).round(3))

# %%
ones = np.eye(64)  # signals of one sample each
even = np.linalg.norm(projected(ones, np.arange(65) / 64, 5), axis=1)
fading = np.linalg.norm(projected(ones, faded_edges(64, 1 / 16), 5), axis=1)
assert np.isclose(even[0], even[-1])
assert even.max() < 3 * even.min()
assert fading[-1] > 40 * fading[0]

# %% [markdown] slide="notes"
# In five numbers with the $1/t$ the oldest of 64 samples weighs as much as the newest; without, not
# a fortieth (at $\Delta = 1/16$). Before the recording the signal counts as 0. A sample leaves
# $e^{\ell A}B$, which is $e^{-\ell}\,p_n(e^{-\ell})$: differentiate it by $\ell$, and use $p_n +
# s\,p_n' = -(Ap)_n$. "How to Train Your HiPPO" (Gu et al. 2022) finds these exponentially warped
# polynomials.

# %% [markdown] slide="slide"
# ## Draw a past
#
# 64 samples, $N$ numbers of each kind; without the $1/t$ a time unit is 16 samples. Draw into
# either panel, or choose a signal (R).
#
# **Predict:** with 12 numbers, which of three waves does each memory give back? And does a larger
# $N$ bring back the others?

# %% slide="slide" show="output" alt="Two panels over 64 samples with three waves. Left, with the 1/t, the curve of what is remembered runs along the signal from the beginning to now. Right, without, it follows the last wave, and lies nearly flat under the first. Below each, twelve bars show the numbers that are all there is. One can draw another signal and choose how many numbers."
waves = traces.trace_memory(traces.shape("waves"), d_state=12, heard=64)
assert max(waves["whole"].errors) < 0.03
assert waves["fading"].errors[0] > 6 * waves["fading"].errors[1]
assert np.abs(waves["fading"].recalled[:16]).max() < 0.3  # the first wave, of 0.8
chirp = traces.trace_memory(traces.shape("chirp"), d_state=16, heard=64)
assert chirp["fading"].errors[1] < 0.6 * chirp["whole"].errors[1]
more = traces.trace_memory(traces.shape("waves"), d_state=24, heard=64)
assert more["fading"].errors[0] < 0.3 * waves["fading"].errors[0]
title = "With the 1/t the whole past stays, without it the recent"
piece("hippo", title, shape="waves", numbers=12)

# %% [markdown] slide="notes"
# (6 minutes; let a student draw.) Left all, right the newest. Common answers: right, all three, but
# smaller; right, none. A larger $N$ reaches back further. Of the *chirp* (R), which turns faster
# and faster, 16 numbers without the $1/t$ give the newer half back *better*: they are spent there.
# Step back (,) to watch the left memory squeeze its past. Neither is the better one: a language
# model may well want the recent past.

# %% [markdown] slide="slide"
# ## Euler on the slow clock
#
# The plainest step of all: $h_{k+1} = h_k + \frac1k\,(A h_k + B x_k)$. $A$ has $-1, \dots, -N$ on
# its diagonal, so $h_n$ is multiplied by $1 - \frac{n + 1}{k}$. **Predict** for $N = 32$: how large
# do the numbers get? And what is left of that after 400 samples?


# %%
def euler(x, N, start=None):
    A, B = legs(N, x.dtype)
    one = torch.eye(N, dtype=x.dtype)
    h = [x[0] * one[0] if start is None else start]
    for k in range(1, len(x)):
        h.append((one + A / k) @ h[-1] + B / k * x[k])
    return torch.stack(h)


# %% slide="fragment" show="output" alt="The largest of N numbers against samples heard, both axes logarithmic. Euler with 8, 16 and 32 numbers climbs to about a hundred, to 10 to the 8 and beyond 10 to the 19, and falls back just as steeply to below 10 once N samples are heard. From there on all run together at about one."
x = sampled(signals["wave"], 400)
runs = {N: euler(x, N) for N in (8, 16, 32)}
largest = {f"Euler, N = {N}": run.abs().amax(1).tolist() for N, run in runs.items()}
assert [round(math.log10(max(row)), 1) for row in largest.values()] == [2.2, 7.9, 19.7]
assert all(max(row[N:]) < 10 for N, row in zip(runs, largest.values(), strict=True))
assert remember(x, 32).abs().max() < 2  # chapter 13's rule
figure = series.lines(
    range(1, 401),
    largest,
    title="Euler blows up, and heals after N steps",
    x_title="samples heard",
    y_title="largest number",
    named_at_ends=False,
    log_x=True,
    log_y=True,
)
figure.update_traces(mode="lines")
ticks = [1, 2, 4, 8, 16, 32, 100, 400]
figure.update_xaxes(tickvals=ticks, ticktext=[str(tick) for tick in ticks])
figure.update_yaxes(dtick=4, exponentformat="power", tickformat=None)

# %% [markdown] slide="notes"
# (4 minutes.) Beyond $10^{19}$; and nothing: what is left at the end is Euler's ordinary error, the
# same for 16 numbers and for 32. Common answers: "it is lost for ever"; "it never blows up, for all
# rates are negative". Chapter 12's border for the step is $2/a$; here the step is $1/k$ and the
# rate $N$, so the first $N/2$ steps are too long. Chapter 13's bilinear rule doesn't grow.

# %% [markdown] slide="slide"
# ## Why it heals
#
# Step $k$ multiplies $h$ by $I + A/k$. Its row $n$ reads numbers $0 \dots n$, and has
# $1 - \frac{n + 1}{k}$ on the diagonal: **at $k = n + 1$ that is 0.** There $h_n$ is made anew, from
# the numbers before it and the sample.
#
# At step 1 $h_0$ is made anew. At step 2 $h_1$ is, from $h_0$, which is clean. At step 3 $h_2$ …
# After step $N$ nothing of what was there at the start is left: below, numbers of a million, and
# not one bit of the result depends on them.
#
# **Predict:** and 64 numbers in float32? Does that heal, too?

# %% slide="fragment" show="output"
garbage = euler(x, 32, start=1e6 * torch.randn(32))
same = [torch.equal(*pair) for pair in zip(garbage, runs[32], strict=True)]
assert same == [False] * 32 + [True] * 368
print("equal in every bit from sample", same.index(True) + 1, "on")
print("error:", [f"N = {N}: {error(run[-1], signals['wave']):.3f}" for N, run in runs.items()])
print("float32, N = 64:", euler(x.float(), 64)[-1, -1].item())

# %% [markdown] slide="notes"
# (3 minutes.) No: the numbers pass $3 \cdot 10^{38}$ on the way. That is infinity, and $0 \cdot
# \infty$ is no number, for ever. Common answers: "yes, to fewer digits"; "yes, but later".
#
# Cayley and Hamilton say the same: $(A + I)(A + 2I) \cdots (A + NI) = 0$. Written as `h + (A @ h +
# B * x) / k` the 0 is only nearly one. Garbage that comes later may stay: exercise 15.4.

# %% [markdown] slide="slide"
# ## Are more numbers better?
#
# The wave again, heard in 50 to 400 samples by chapter 13's bilinear rule: slopes at both ends,
# averaged. **Predict:** of 100 samples, do 64 numbers remember it better than 16?

# %% slide="fragment" show="output" alt="Error of the wave against N from 4 to 64, logarithmic axes, one curve for 50, 100, 200 and 400 samples. All fall together to N = 8, reach their lowest between 10 and 24, the lower the more samples, and rise again towards 64, most with few samples."
sizes, lost = [4, 6, 8, 10, 12, 16, 24, 32, 48, 64], {}
for n in (50, 100, 200, 400):
    heard_by = [remember(sampled(signals["wave"], n), N)[-1] for N in sizes]
    lost[f"{n} samples"] = [error(h, signals["wave"]) for h in heard_by]
best = [sizes[int(np.argmin(row))] for row in lost.values()]
assert all(10 <= N <= 24 for N in best)
assert all(row[-1] > 2 * min(row) for row in lost.values())
assert lost["100 samples"][-1] > 8 * lost["100 samples"][5]
assert sorted(lost.values(), key=min, reverse=True) == [*lost.values()]
series.lines(
    sizes,
    lost,
    title="Beyond what the signal needs, more numbers remember worse",
    x_title="numbers N",
    y_title="error (root mean square)",
    log_x=True,
    log_y=True,
).update_yaxes(exponentformat="power")

# %%
x = sampled(signals["wave"], 100)
off = (remember(x, 64)[-1] - project(x, 64)).abs()  # each number's own error
assert off[48:].square().sum() > off.square().sum() / 2
assert error(project(x, 64), signals["wave"]) < error(remember(x, 64)[-1], signals["wave"]) / 5

# %% [markdown] slide="notes"
# (3 minutes.) No: about nine times worse. Common answers: "better"; "not worse, for a further
# number changes none before it". That is true of exact numbers. $h_n$ moves at the rate $n + 1$,
# and a step of $1/k$ is short for that only when $k$ is far above $n$. So high numbers start wrong;
# the cell finds most of the error in the last 16. Choose $N$ for the signal, and more samples for
# the step. (Exact steps rise a little, too: they remember the held samples' staircase.)

# %% [markdown] slide="slide"
# ## N rates, and no use of them
#
# A triangular $A$ shows its eigenvalues, $-1, -2, \dots, -N$: all different, so $A = V \Lambda
# V^{-1}$ with a diagonal $\Lambda$. In that basis a step takes $N$ products in place of $N^2$.
# **Predict:** multiply the three back together in float64. At which $N$ is half of the digits gone,
# at which are all?

# %% slide="fragment" show="output" volatile=true
off = {}
for N in (4, 8, 16, 24, 32):
    A, _ = legs(N)
    rates, V = torch.linalg.eig(A)
    back = V @ torch.diag(rates) @ torch.linalg.inv(V)
    off[N] = (back - A).abs().max() / A.abs().max()
    print(f"N = {N:>2}: off by {off[N]:.0e} of the largest entry")
assert off[4] < 1e-13
assert 1e-10 < off[16] < 1e-4
assert off[24] > 0.01

# %% [markdown] slide="notes"
# (2 minutes.) Half of the digits at 16, all at about 24. Common answers: "never: it is an exact
# identity"; "a few digits".

# %% [markdown] slide="slide"
# ## Powers all look alike
#
# What are these eigenvectors? A stretch acts on a power by a factor alone: $s^j + s\,(s^j)' = (j +
# 1)\,s^j$. So with the *moments* $m_j = \int_0^1 x(ts)\,s^j\,ds$ the derivation ends at once:
#
# $$t\,m_j' = x - (j + 1)\,m_j$$
#
# Diagonal! $h = Vm$, where row $n$ of $V$ has $p_n$'s coefficients, so $V$'s columns are the
# eigenvectors. $p_{31}$'s coefficients pass $10^{22}$, with alternating signs: $s^{30}$ and
# $s^{31}$ hardly differ, and a memory in powers hides what it knows behind the last digits.


# %%
def coefficients(N):
    """V: row n holds p_n's coefficients, which have a formula."""
    V = torch.zeros(N, N)
    for n in range(N):
        for j in range(n + 1):
            V[n, j] = (-1) ** (n + j) * float(math.comb(n, j) * math.comb(n + j, j))
        V[n] *= (2 * n + 1) ** 0.5
    return V


assert np.allclose(coefficients(5), orthonormal(5))
assert coefficients(32).abs().max() > 1e22

# %% slide="same" show="output" volatile=true
x, points = sampled(signals["wave"], 2000), torch.linspace(0, 1, 2001)
for N in (8, 12, 16):
    A, V = legs(N)[0], coefficients(N)
    power = torch.arange(1, N + 1)
    assert (A @ V + V * power).abs().max() < 1e-13 * V.abs().max()  # A V = −V diag(1 … N)
    moments = x @ (points[:, None] ** power / power).diff(dim=0)
    told = error(project(x, N).float().double(), signals["wave"])
    hidden = error(V @ moments.float().double(), signals["wave"])
    print(f"N = {N:>2}, kept in float32: error {told:.0e} as polynomials, {hidden:.0e} as powers")
    assert told < 0.04
assert hidden > 1  # of a wave between −1 and 1

# %% [markdown] slide="slide"
# ## Normal, plus one column
#
# Add $PP^\top$ with $P_n = \sqrt{n + \frac12}$, so $P = B / \sqrt2$, to $A$:
#
# $$A + PP^\top = \begin{pmatrix}
# -\frac12 & \frac{\sqrt3}2 & \frac{\sqrt5}2 \\
# -\frac{\sqrt3}2 & -\frac12 & \frac{\sqrt{15}}2 \\
# -\frac{\sqrt5}2 & -\frac{\sqrt{15}}2 & -\frac12 \end{pmatrix}$$
#
# Half of each entry below the diagonal is left, and the same appears above with a plus: $-\frac12
# I$ and a $K$ with $K^\top = -K$. Such a *skew* matrix only turns: its eigenvalues are $\pm
# i\omega$, its eigenvectors orthonormal. **That** basis loses nothing.
#
# $A$ is *normal plus low rank*: diagonal in that basis, but for one column, $P$.

# %% slide="slide" show="output" alt="Eigenvalues for N = 16 in the plane. Those of A lie on the real axis, at −1 to −16. Those of A + P P-transposed stand on the vertical line at −1/2, in conjugate pairs, up to 81 above and below the axis." myth="Mamba's A should begin as −arange(N) − 0.5" said="an accepted answer: state-spaces/mamba, issue 950" truth="That mixes two spectra. HiPPO's A has the eigenvalues −1, −2, … −N, and Mamba's A begins as these; −1/2 is the real part of every eigenvalue of A + P Pᵀ, S4's normal part."
A, B = legs(16)
P = B / 2**0.5
normal = A + torch.outer(P, P)
skew = normal + torch.eye(16) / 2
assert torch.allclose(skew, -skew.T)
assert torch.allclose(normal @ normal.T, normal.T @ normal)
both = {"A": torch.linalg.eigvals(A), "A + P Pᵀ": torch.linalg.eigvals(normal)}
assert torch.allclose(both["A"].real.sort().values, -torch.arange(16.0, 0, -1), atol=1e-4)
assert torch.allclose(both["A + P Pᵀ"].real, torch.tensor(-0.5))
assert round(both["A + P Pᵀ"].imag.max().item()) == 81
assert torch.allclose(nplr_legs(16)[0].imag, both["A + P Pᵀ"].imag.sort().values[8:])  # S4's
title = "One column apart: rates that only fade, and rates that turn"
figures.spectra({name: values.tolist() for name, values in both.items()}, title)

# %% [markdown] slide="notes"
# Why $\pm i\omega$: for an eigenvector $v$ of $K$ with $v^*v = 1$ the eigenvalue is $v^*Kv$, whose
# conjugate is $v^*K^\top v = -v^*Kv$. And $iK$ is Hermitian: its eigenvectors are orthonormal.
#
# Two spectra, often mixed up: $-1 \dots -N$ are $A$'s own, $-\frac12 \pm i\omega$ the normal
# part's. An accepted answer (state-spaces/mamba, issue 950) advises `A = -np.arange(N) - 0.5`: that
# is neither's.

# %% [markdown] slide="slide"
# ## What became of it
#
# | model | state | of HiPPO it keeps |
# |---|---|---|
# | HiPPO | $h' = (Ah + Bx)/t$ | the whole past, evenly |
# | S4 | $h' = Ah + Bx$, as $\Lambda - PP^*$ | the warped past: recent fine, old coarse |
# | S4D | $\Lambda$ alone, as $-\frac12 + i\pi n$ | rates that turn; $P$ is dropped |
# | Mamba | $-1, -2, \dots, -N$ | $A$'s diagonal |
#
# A diagonal $A$ with $B = 1$ *is* the memory in powers: $m_j$ forgets at the rate $j + 1$. On paper
# it holds what LegS holds; of 16 numbers in float32 nobody gets that out again. What is left is $N$
# levels that forget slowly to fast.

# %%
x, delta = sampled(signals["wave"], 80), 0.05
levels = torch.zeros(6)
for x_t in x:
    keeps = torch.exp(-delta * torch.arange(1, 7))
    levels = keeps * levels + (1 - keeps) / torch.arange(1, 7) * x_t  # B = 1
assert torch.allclose(coefficients(6) @ levels, remember_fading(x, 6, delta)[-1])
assert s4d_rates(16, "real").tolist() == torch.diagonal(legs(16)[0]).tolist()

# %% [markdown] slide="notes"
# S4 reports, of an earlier model, 60% on sequential MNIST with a random matrix and 98% with HiPPO's
# (section 2.2). In Mamba $\Delta$, $B$ and $C$ follow the token, and the start hardly matters:
# perplexity 9.16 with S4D's complex rates, 8.71 with $-(n + 1)$, 8.71 with random real ones (table
# 8).

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Memory as projection: $h_n = ⟨x, p_n⟩$ is the best that $N$ numbers can hold of the
#    whole past, and $t\,h' = Ah + Bx$ keeps it so, from the newest sample alone.
# 2. Without the $1/t$ the same $A$ and $B$ see the past through $s = e^{-\ell}$: the recent fine,
#    the old coarse. That is what S4 steps.
# 3. On paper $A$ is diagonal in powers; in floats it is normal plus one column. Mamba keeps the
#    rates $-(n + 1)$ and leaves the polynomials.

# %% [markdown]
# ## Self-test
#
# 1. The signal was 2 all the time. What are $h_0, h_1, h_2$?
# 2. Ten samples have the mean 3, the eleventh is 14. $h_0$?
# 3. Without the $1/t$, which share of the room do the last two time units fill?
# 4. Euler, $N = 10$: after which step is $h_4$ clean?
#
# <details><summary>Answers</summary>
#
# 1. 2, 0, 0.
# 2. $3 + \frac{14 - 3}{11} = 4$.
# 3. $1 - e^{-2} = 0.86$.
# 4. Step 5.
#
# </details>
#
# **Next.** *All these memories treat every token alike. What must a model do that should remember
# one token and forget the next?* First [the exercises](../work/15_hippo.ipynb), then
# [chapter 16](16_selection.ipynb).

# %% [markdown] to="exercise"
# # 15 · HiPPO: exercises
#
# Six exercises on [the lesson](../course/15_hippo.ipynb), about 70 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("15.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import math
from fractions import Fraction

import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="15.1" role="prompt" title="Three numbers for a signal" difficulty=1 minutes=10 points=2
# `samples` is a list of at least one number, the oldest first; each is held for an equal part of
# the time from $s = 0$ to $s = 1$. Write `three_numbers(samples)`: the means, over that time, of
# the signal times
#
# $$p_0 = 1, \qquad p_1 = \sqrt3\,(2s - 1), \qquad p_2 = \sqrt5\,(6s^2 - 6s + 1)$$
#
# as $h_0, h_1, h_2$. They must be exact: the signal is constant while a sample is held, and the
# polynomials aren't.
#
# ```python
# three_numbers([1, 3, 7, 5])  # [4.0, 1.7321, -0.8385]
# ```


# %% exercise="15.1" role="answer"
def three_numbers(samples):
    """h_0, h_1 and h_2 of samples that are held for equal times."""
    ### BEGIN SOLUTION
    s = torch.linspace(0, 1, len(samples) + 1, dtype=torch.float64)
    up_to_s = torch.stack((s, 3**0.5 * (s**2 - s), 5**0.5 * (2 * s**3 - 3 * s**2 + s)))
    return up_to_s.diff(dim=1) @ torch.tensor(samples, dtype=torch.float64)
    ### END SOLUTION


# %% exercise="15.1" role="check"
check("15.1", three_numbers)

# %% [markdown] exercise="15.2" role="prompt" title="Find the bugs: one sample more" difficulty=2 minutes=12 points=3
# `h` holds the LegS numbers of a past of `heard` samples, at least one: a tensor of float64. `hear`
# should return the numbers after one sample more, `x`, which is held still for its whole length:
# exactly, and without changing `h`. It has three mistakes. Find them, and write it right.
#
# ```python
# def hear(h, heard, x):
#     n = torch.arange(len(h), dtype=h.dtype)
#     B = torch.sqrt(2 * n + 1)
#     A = -torch.tril(torch.outer(B, B))
#     duration = 1 / heard
#     keeps = torch.matrix_exp(A * duration)
#     return keeps @ h + duration * B * x
#
# hear(torch.tensor([4.0]), 9, 14.0)  # should be [5.0]
# ```


# %% exercise="15.2" role="answer"
def hear(h, heard, x):
    """The numbers after one sample more."""
    ### BEGIN SOLUTION
    B = (2 * torch.arange(len(h), dtype=h.dtype) + 1).sqrt()
    A = -torch.outer(B, B).tril(-1) - torch.diag((B**2 + 1) / 2)
    keeps = torch.matrix_exp(A * math.log((heard + 1) / heard))
    constant = torch.zeros_like(h)
    constant[0] = x  # a past of nothing but x, which stays where it is
    return keeps @ (h - constant) + constant
    ### END SOLUTION


# %% exercise="15.2" role="check"
check("15.2", hear)

# %% [markdown] exercise="15.3" role="prompt" title="What do the numbers say?" difficulty=2 minutes=10 points=3
# `h` is a list of $N$ numbers that remember a signal of `heard` samples. Write `recall(h, ago,
# heard, delta)`: the value that they give for the moment `ago` samples before now, `0 <= ago <=
# heard`. `ago` needn't be whole. If `delta` is `None`, they were kept with the $1/t$. If it is a
# number, they were kept without, by $h' = Ah + Bx$ and samples that last for `delta`.
#
# ```python
# recall([4.0, 3**0.5], 1.0, 4, None)  # 5.5: the line from 1 to 7, at three quarters of the past
# recall([0.0, 1.0], 3.0, 10, 0.5)  # -0.9591
# ```


# %% exercise="15.3" role="answer"
def recall(h, ago, heard, delta):
    """What the numbers say of a moment of the past."""
    ### BEGIN SOLUTION
    s = 1 - ago / heard if delta is None else math.exp(-ago * delta)
    P = [1.0, 2 * s - 1]
    for k in range(1, len(h)):
        P.append(((2 * k + 1) * P[1] * P[k] - k * P[k - 1]) / (k + 1))
    return sum(h_n * math.sqrt(2 * n + 1) * P[n] for n, h_n in enumerate(h))
    ### END SOLUTION


# %% exercise="15.3" role="check"
check("15.3", recall)

# %% [markdown] exercise="15.4" role="prompt" title="Predict: when is it clean again?" difficulty=3 minutes=12 points=3
# Euler's rule for LegS: the first sample needs no step; the step from $k$ samples to $k + 1$
# multiplies $h$ by $I + A/k$ and adds $B x/k$. After `heard` samples, at least one, an accident
# overwrites all $h_i$ with $i \ge$ `first_bad` by whatever numbers. The steps go on, and nothing
# rounds.
#
# Write `clean_after(heard, first_bad, n)`: how many samples have been heard in all when $h_n$ first
# is, whatever was written, what it would have been? That is `heard` if it wasn't hit, and −1 if it
# never will be.
#
# ```python
# clean_after(1, 0, 2)  # 4
# ```


# %% exercise="15.4" role="answer"
def clean_after(heard, first_bad, n):
    """How many samples have been heard when h_n is clean; -1 for never."""
    ### BEGIN SOLUTION
    if n < first_bad:
        return heard
    if heard <= first_bad + 1:  # the step that makes h_first_bad anew is still to come
        return n + 2
    return -1
    ### END SOLUTION


# %% exercise="15.4" role="check"
check("15.4", clean_after)

# %% [markdown] exercise="15.5" role="prompt" title="A memory in powers" difficulty=3 minutes=14 points=4
# `moments` is a list of $N$ fractions, $m_j = \int_0^1 x\,s^j\,ds$ for $j < N$: all that is left of
# a signal. Write `read_powers(moments, s)`: the value, at the share `s` of the past, of the
# polynomial of degree $N - 1$ that is nearest to the signal. `s` is a fraction, too.
#
# The check hands over up to 30 moments. Return a fraction: nothing may round.
#
# ```python
# read_powers([Fraction(4), Fraction(5, 2)], Fraction(0))  # 1: the line from 1 to 7 begins there
# ```


# %% exercise="15.5" role="answer"
def read_powers(moments, s):
    """The value at s of the best polynomial for a signal with these moments."""
    ### BEGIN SOLUTION
    value = Fraction(0)
    for n in range(len(moments)):
        P = [(-1) ** (n + j) * math.comb(n, j) * math.comb(n + j, j) for j in range(n + 1)]
        held = sum(P[j] * moments[j] for j in range(n + 1))
        value += (2 * n + 1) * held * sum(P[j] * s**j for j in range(n + 1))
    return value
    ### END SOLUTION


# %% exercise="15.5" role="check"
check("15.5", read_powers)

# %% [markdown] exercise="15.6" role="prompt" title="Prove by test: is it the whole past?" difficulty=2 minutes=12 points=3
# `remember(samples)` takes a list of 1 to 40 numbers, a signal, and returns a list of three
# numbers. Write `is_whole_memory(remember)`: True only if these are, for every such signal and up
# to rounding, the three numbers of 15.1. Return False, don't `assert`.
#
# The check hands it right memories and wrong ones. Each returns sums of samples times weights,
# which depend on how many samples there are. A wrong one is off by more than a thousandth of a
# sample somewhere.


# %% exercise="15.6" role="answer"
def is_whole_memory(remember):
    """Whether remember(samples) keeps h_0, h_1 and h_2 of the whole signal."""
    ### BEGIN SOLUTION
    for length in range(1, 41):
        samples = torch.rand(length, dtype=torch.float64)
        s = torch.linspace(0, 1, length + 1, dtype=torch.float64)
        up_to_s = torch.stack((s, 3**0.5 * (s**2 - s), 5**0.5 * (2 * s**3 - 3 * s**2 + s)))
        expected = up_to_s.diff(dim=1) @ samples
        got = torch.tensor(remember(samples.tolist()), dtype=torch.float64)
        if not torch.allclose(got, expected, rtol=0, atol=1e-6):
            return False
    return True
    ### END SOLUTION


# %% exercise="15.6" role="check"
check("15.6", is_whole_memory)
