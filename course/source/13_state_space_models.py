# %% [markdown] slide="slide"
# # 13 · State space models
#
# *Time flows, tokens come one by one. What happens in between?*

# %% [markdown] slide="slide"
# **The problem.** Chapter 12 left a weight on a spring, and Euler's steps, which let it spiral
# outwards. A model pushes such springs, thousands of them, with what it reads; but it reads a
# token now and then, and nobody says what pushed in between. The models S4, Mamba and Mamba-3 each
# answer with a rule of their own. S4's is often called *second-order*. In the model it isn't, and
# this chapter finds out where the order goes.

# %% [markdown]
# **You will be able to** write a mechanism as four matrices; derive every rule that turns them into
# a recurrence, and say which blows up, which is exact and for what; step it by hand; answer "$x_t$
# or $x_{t-1}$?"; say what Δ does in a layer, and what a Δ for each token does.
#
# **You need** [chapter 12](12_sequence_models.ipynb)'s derivative, Euler's rule, order and $e^z$;
# products and inverses of 2×2 matrices; that an integral adds up many small pieces; Taylor's
# $f(s) = f + s f' + \frac{s^2}2 f'' + \dots$
#
# **Time**: 60 minutes, and 75 more for the exercises in
# [work/13_state_space_models.ipynb](../work/13_state_space_models.ipynb), your copy of
# [these](../exercises/13_state_space_models.ipynb).

# %%
import math

import numpy as np
import torch

from mixlab.chapters.kit import series
from mixlab.chapters.stage.host import piece
from mixlab.chapters.state_space_models import figures, traces
from mixlab.ssm.discretize import discretize_dense, discretize_diagonal, trapezoid
from mixlab.ssm.ode import growth_factor

torch.set_default_dtype(torch.float64)  # so that errors aren't those of rounding
generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## A spring that is pushed
#
# A weight is at place $p$ and has speed $v$. The spring pulls it back, friction brakes it, and you
# push with a force $x$. We see the place:
#
# $$p' = v, \qquad v' = -p - \tfrac12 v + x, \qquad y = p$$
#
# The *state* $h$ is all that must be known of the past: here two numbers. With $h = (p, v)$ as a
# column this is
#
# $$h' = \underbrace{\begin{pmatrix}0 & 1\\ -1 & -\frac12\end{pmatrix}}_{A} h +
# \underbrace{\begin{pmatrix}0\\1\end{pmatrix}}_{B} x, \qquad
# y = \underbrace{\begin{pmatrix}1 & 0\end{pmatrix}}_{C} h + \underbrace{0}_{D} \cdot x$$

# %%
A, B = torch.tensor([[0.0, 1.0], [-1.0, -0.5]]), torch.tensor([0.0, 1.0])
C, D = torch.tensor([1.0, 0.0]), 0.0
p, v, x = 0.3, -2.0, 1.5
assert torch.allclose(A @ torch.tensor([p, v]) + B * x, torch.tensor([v, -p - v / 2 + x]))
assert A.equal(traces.SPRING)
assert B.equal(traces.PUSH)

# %% [markdown] slide="slide"
# ## A state space model
#
# $$h' = A\,h + B\,x, \qquad y = C\,h + D\,x$$
#
# | | is | for the spring |
# |---|---|---|
# | $x(t)$ | input, one number | the push |
# | $h(t)$ | state, $N$ numbers | place and speed |
# | $A$ | what the state does by itself, $N \times N$ | pulls, brakes |
# | $B$ | how the input gets in, $N$ | pushes the speed |
# | $C$ | what is seen, $N$ | the place |
# | $D$ | what goes straight through | nothing |
#
# Sums of multiples, so *linear*; the same at all times, so *time-invariant*: LTI. A layer of S4 is
# a few hundred of these side by side, $N = 64$, all numbers *learnt*.

# %% [markdown] slide="notes"
# Letters clash. This course writes as Mamba does: input $x$, state $h$, output $y$, step Δ. S4's
# paper has $u$ for the input and $x$ for the state. In chapter 12, $h$ was the step's length, and
# $x$ a place.

# %% [markdown] slide="slide"
# ## Euler, in matrices
#
# Keep the speed for a step Δ, and the input as well:
#
# $$h_{\text{new}} = h + \Delta\,(A h + B x)
# = \underbrace{(I + \Delta A)}_{\bar A}\,h + \underbrace{\Delta B}_{\bar B}\,x$$
#
# Every rule of this chapter but the last ends like this, in a linear step of chapter 12:
#
# $$h_t = \bar A\,h_{t-1} + \bar B\,x_t, \qquad y_t = C\,h_t + D\,x_t$$
#
# Only $\bar A$ and $\bar B$ differ. To find them is to *discretise*.


# %% slide="same"
def euler(A, B, delta):
    return torch.eye(len(B)) + delta * A, delta * B


# %% slide="same"
def outputs(A_bar, B_bar, C, D, x):
    """All y_t, from rest."""
    h, y = torch.zeros_like(B_bar), []
    for x_t in x:
        h = A_bar @ h + B_bar * x_t
        y.append(C @ h + D * x_t)
    return torch.stack(y)


# %% [markdown] slide="slide"
# ## Bilinear: both ends
#
# Euler takes the slope at a step's start; backward Euler the one at its end, which it solves for.
# *Bilinear* averages the two:
#
# $$h_{\text{new}} = h + \tfrac\Delta2(A h + B x) + \tfrac\Delta2(A h_{\text{new}} + B x)$$
#
# Bring what is new to the left and solve:
#
# $$(I - \tfrac\Delta2 A)\,h_{\text{new}} = (I + \tfrac\Delta2 A)\,h + \Delta B\,x$$
#
# $$\bar A = (I - \tfrac\Delta2 A)^{-1}(I + \tfrac\Delta2 A), \qquad
# \bar B = (I - \tfrac\Delta2 A)^{-1}\,\Delta B$$
#
# These are S4's (Gu, Goel and Ré, "Efficiently Modeling Long Sequences with Structured State
# Spaces", 2022, equation 3).

# %% [markdown] slide="slide"
# ## One step by hand
#
# No friction, so $A = \begin{pmatrix}0 & 1\\ -1 & 0\end{pmatrix}$, and Δ = 1:
#
# $$I - \tfrac12 A = \begin{pmatrix}1 & -\frac12\\ \frac12 & 1\end{pmatrix}, \quad
# \text{its inverse} = \tfrac{1}{1 + \frac14}\begin{pmatrix}1 & \frac12\\ -\frac12 & 1\end{pmatrix}
# = \begin{pmatrix}0.8 & 0.4\\ -0.4 & 0.8\end{pmatrix}$$
#
# $$\bar A = \begin{pmatrix}0.8 & 0.4\\ -0.4 & 0.8\end{pmatrix}
# \begin{pmatrix}1 & \frac12\\ -\frac12 & 1\end{pmatrix}
# = \begin{pmatrix}0.6 & 0.8\\ -0.8 & 0.6\end{pmatrix}, \qquad
# \bar B = \begin{pmatrix}0.4\\ 0.8\end{pmatrix}$$
#
# From rest the spring reads the tokens $x = 1, 0, 0$. **Predict** its place after each, on paper.
# And its distance from rest, $\sqrt{p^2 + v^2}$: what becomes of it?


# %%
def bilinear(A, B, delta):
    eye = torch.eye(len(B))
    inverse = torch.linalg.inv(eye - delta / 2 * A)
    return inverse @ (eye + delta / 2 * A), inverse @ (delta * B)


swing = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])  # no friction
assert torch.allclose(bilinear(swing, B, 1.0)[0], torch.tensor([[0.6, 0.8], [-0.8, 0.6]]))
assert torch.allclose(bilinear(swing, B, 1.0)[1], torch.tensor([0.4, 0.8]))

# %% slide="fragment" show="output"
A_bar, B_bar = bilinear(swing, B, 1.0)
h = torch.zeros(2)
for x_t in (1.0, 0.0, 0.0):
    h = A_bar @ h + B_bar * x_t
    print(f"x = {x_t:.0f}: place {h[0]:.3f}, speed {h[1]:6.3f}, squares add up to {h @ h:.3f}")
assert torch.allclose(outputs(A_bar, B_bar, C, D, [1.0, 0.0, 0.0])[-1], h[0])

# %% [markdown] slide="notes"
# (4 minutes.) 0.4; then $0.6 \cdot 0.4 + 0.8 \cdot 0.8 = 0.88$; then
# $0.6 \cdot 0.88 + 0.8 \cdot 0.16 = 0.656$. Common answers: 0.4, 0, 0; or the push is added in
# every step. Once it has got in, $\bar A$ carries it on.
#
# The distance stays: 3, 4, 5 is a right triangle, and $\bar A$ turns without stretching. This is
# the rule that chapter 12 promised: it keeps the circle.

# %% [markdown] slide="slide"
# ## A spring is one complex number
#
# A *complex number* $a + ib$ has two parts, and $i^2 = -1$. Put the swing into one, $z = p - iv$:
#
# $$z' = p' - i v' = v + i p = i\,(p - iv) = i\,z$$
#
# A growth at the rate $i$! In general look for a row $w$ with $wA = \lambda w$. Then $z = wh$ obeys
#
# $$z' = w A h + w B\,x = \lambda\,z + (wB)\,x$$
#
# λ is an *eigenvalue*; $N$ different ones make the state $N$ lone numbers. With friction,
# $w = (1, -\lambda)$ gives $wA = (\lambda, 1 + \frac12\lambda)$; that is $\lambda w$ where
# $\lambda^2 + \frac12\lambda + 1 = 0$, so $\lambda = -0.25 \pm 0.97i$.

# %% slide="same" show="output"
rates, weights = torch.linalg.eig(A.T)  # wA = λw, so A's transpose times w is λw
for rate, w in zip(rates, weights.T, strict=True):
    assert torch.allclose(w @ A.to(w.dtype), rate * w)
    assert abs(rate**2 + rate / 2 + 1) < 1e-12
print("rates:", [f"{rate:.2f}" for rate in rates.tolist()])
print(f"e^λ: size {abs(rates[0].exp()):.3f}, and e^-0.25 is {math.exp(-0.25):.3f}")

# %% [markdown] slide="notes"
# Let go at 1, the swing has $p = \cos t$, $v = -\sin t$: so $e^{it} = z = \cos t + i \sin t$.
# $e^{(a + ib)t}$ shrinks by $e^{a}$ a second and turns by the angle $b$. Multiplying by $c + id$
# stretches by its size $\sqrt{c^2 + d^2}$.
#
# A real $A$ pairs its complex eigenvalues, $a \pm ib$. S4D keeps one of each pair; Mamba keeps
# only real ones; Mamba-3 brings the turning back.

# %% [markdown] slide="slide"
# ## What a step does to a rate
#
# Put λ for $A$: a step multiplies $z = wh$ by a number. If its size is above 1, $z$ grows.
#
# | rule | factor, with $q = \Delta\lambda$ | the swing, Δ = 0.1 |
# |---|---|---|
# | Euler | $1 + q$ | 1.00499 |
# | backward Euler | $1 / (1 - q)$ | 0.99504 |
# | bilinear | $(1 + \frac q2) / (1 - \frac q2)$ | 1 |
# | the truth | $e^q$ | 1 |
#
# **Predict:** a decay of rate 1, and a long step, Δ = 20. What does bilinear leave of it? The truth
# is $e^{-20}$.

# %%
for rule, size in {"euler": 1.00499, "backward_euler": 0.99504, "bilinear": 1, "zoh": 1}.items():
    assert round(growth_factor(torch.tensor(0.1j), rule).abs().item(), 5) == size
    left = torch.linspace(-3, 0, 31)[:, None] + 1j * torch.linspace(-5, 5, 41)
    assert (growth_factor(left, rule).abs() <= 1 + 1e-12).all() == (rule != "euler")
    factors = torch.linalg.eigvals(discretize_dense(A, B, 0.7, rule)[0])  # the matrix's own
    assert abs(factors.sum() - growth_factor(0.7 * rates, rule).sum()) < 1e-9

# %% slide="fragment" show="output" alt="What a step multiplies a decay by, against the step times the rate, from 0 to 8. Euler's line falls straight, leaves the shaded strip between minus 1 and 1 at 2 and goes on down. Bilinear crosses 0 at 2 and falls slowly towards minus 1, inside the strip. Backward Euler and the truth fall towards 0."
q = torch.linspace(0, -8, 161)
curves = {"truth": q.exp().tolist()}
for rule in ("bilinear", "backward_euler", "euler"):
    curves[traces.RULES[rule]] = growth_factor(q, rule).tolist()
assert all((factor >= -1) == (at >= -2) for at, factor in zip(q, curves["Euler"], strict=True))
assert min(curves["bilinear"]) > -1
assert min(curves["backward Euler"] + curves["truth"]) > 0
assert round(growth_factor(torch.tensor(-20.0), "bilinear").item(), 3) == -0.818
title = "Only Euler blows up; bilinear rings where it should be still"
figures.factors(q.tolist(), curves, title)

# %% [markdown] slide="notes"
# (4 minutes.) $(1 - 10)/(1 + 10) = -0.82$: nearly all of it, on the other side. Common answers: 0;
# it blows up. Stable isn't exact.
#
# Bilinear's size is a quotient of distances, from $q$ to $-2$ and to $2$. What decays lies on the
# left: it never grows. The swing, in the middle, stays.
#
# Why not Euler in a model? Mamba's rates go down to $-16$ and its first steps up to 0.1: Euler's
# factor is $1 - 1.6 = -0.6$, which rings. With rates to $-64$ it is $-5.4$. $e^{\Delta A}$ stays
# between 0 and 1.

# %% [markdown] slide="slide"
# ## Hold the input, and be exact
#
# Let the input be $x$ for the whole step, and approximate nothing else. During a short time $ds$ it
# pushes by $Bx\,ds$; $A$ carries that push on for the rest of the step, $\Delta - s$:
#
# $$h(\Delta) = e^{\Delta A}\,h(0) + \int_0^\Delta e^{(\Delta - s)A}\,ds\; B\,x, \qquad
# e^{\Delta A} = I + \Delta A + \tfrac{\Delta^2}{2}A^2 + \dots$$
#
# $$\int_0^\Delta e^{rA}\,dr = \Delta I + \tfrac{\Delta^2}{2} A + \tfrac{\Delta^3}{2 \cdot 3} A^2 + \dots
# = A^{-1}\left(e^{\Delta A} - I\right)$$
#
# $$\bar A = e^{\Delta A}, \qquad \bar B = A^{-1}(e^{\Delta A} - I)\,B$$
#
# This is *zero-order hold* (Gu and Dao, "Mamba", 2023, equation 4).

# %% [markdown] slide="notes"
# Strictly: power by power, $(e^{tA})' = A e^{tA}$. So $(e^{-tA} h)' = e^{-tA}(h' - Ah) =
# e^{-tA} B x$. Add up both sides from 0 to Δ: $e^{-\Delta A} h(\Delta) - h(0) = \int_0^\Delta
# e^{-sA}\,ds\,Bx$. Multiply by $e^{\Delta A}$.
#
# For $A = -1$ and $B = 1$ it is $e^{-\Delta}$ and $1 - e^{-\Delta}$: chapter 12's step that never
# blows up.


# %%
def by_the_sum(A, B, delta):
    A_bar, B_bar, term = torch.eye(len(B)), torch.zeros_like(B), delta * torch.eye(len(B))
    for k in range(1, 40):  # term: Δ^k / k! · A^(k − 1)
        A_bar, B_bar = A_bar + A @ term, B_bar + term @ B
        term = delta / (k + 1) * A @ term
    return A_bar, B_bar


A_bar, B_bar = by_the_sum(A, B, 0.5)
assert torch.allclose(A_bar, torch.matrix_exp(0.5 * A))
assert torch.allclose(B_bar, torch.linalg.inv(A) @ (A_bar - torch.eye(2)) @ B)

# %% [markdown] slide="slide"
# ## A weight on ice
#
# No spring, no friction: $p' = v$, $v' = x$, so $A = \begin{pmatrix}0 & 1\\ 0 & 0\end{pmatrix}$.
# Push it with a force of 1 for one second. **Predict:** where is it, how fast, and what does the
# last formula for $\bar B$ say?

# %% slide="fragment" fails="_LinAlgError"
ice = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
torch.linalg.inv(ice) @ (torch.matrix_exp(ice) - torch.eye(2)) @ B

# %% [markdown] slide="notes"
# (3 minutes.) Half a metre, one metre a second: the speed grows from 0 to 1, on average ½. Common
# answers: 1 and 1; it doesn't move. The formula divides by $A$; the sum before it doesn't.

# %% [markdown] slide="slide"
# ## The input as one more number
#
# While it is held, the input obeys an equation too: $x' = 0$. State and input are one state without
# input:
#
# $$\begin{pmatrix}h'\\ x'\end{pmatrix} = M \begin{pmatrix}h\\ x\end{pmatrix}, \qquad
# M = \begin{pmatrix}A & B\\ 0 & 0\end{pmatrix}, \qquad
# M^k = \begin{pmatrix}A^k & A^{k-1}B\\ 0 & 0\end{pmatrix}$$
#
# In the sum for $e^{\Delta M}$ the upper right corner is $\Delta B + \frac{\Delta^2}{2}AB + \dots =
# \bar B$. **One exponential holds both, and divides by nothing:**
#
# $$e^{\Delta M} = \begin{pmatrix}\bar A & \bar B\\ 0 & 1\end{pmatrix}$$


# %%
def hold(A, B, delta):
    n = len(B)
    whole = torch.zeros(n + 1, n + 1)
    whole[:n, :n], whole[:n, n] = A, B
    both = torch.matrix_exp(delta * whole)
    return both[:n, :n], both[:n, n]


assert torch.allclose(hold(ice, B, 1.0)[1], torch.tensor([0.5, 1.0]))
ours = {"euler": (euler,), "bilinear": (bilinear,), "zoh": (by_the_sum, hold)}
for matrix, delta in ((A, 0.1), (swing, 1.0), (ice, 2.0)):
    for rule, ways in ours.items():
        library = discretize_dense(matrix, B, delta, rule)
        for way in ways:
            for mine, its in zip(way(matrix, B, delta), library, strict=True):
                assert torch.allclose(mine, its)

# %% [markdown] slide="slide"
# ## The recurrence, stepped
#
# Now $\sin t$ pushes the spring. The recurrence reads it once a step, and holds that. Step,
# drag Δ, choose a rule (R) or the sample that a step is given (X). On the right, $\bar A$'s
# eigenvalue: outside of the circle the state grows.

# %%
for notch in range(1, traces.MOST + 1):
    for rule in traces.RULES:
        run = traces.trace_hold(rule, "now", notch / traces.NOTCHES)
        assert (math.hypot(*run.turn) < 1 - 1e-12) == (rule != "euler" or notch < 5)
run = traces.trace_hold("zoh", "now", 1.0)
later = traces.pushed(torch.tensor(run.times) + 0.5, torch.zeros(2), 1.0).numpy()
assert abs(run.states - later).max() < 0.15 * abs(run.states - run.exact).max()

# %% slide="slide" show="output" alt="A sine and its samples, held as a staircase; below, the place of a spring that the sine pushes, and the states of zero-order hold with steps of one second, which run ahead of the true curve. Beside them the unit circle with an eigenvalue inside, and the numbers of a step. The step can be dragged, rule and sample chosen."
title = "Hold new tokens, and the spring runs ahead"
piece("hold", title, rule="zoh", sample="now", delta=1.0)

# %% [markdown] slide="notes"
# (5 minutes.) A token is held for the step that *ends* where it was read.
# Euler leaves the circle at Δ = 0.5, where
# $|1 + \Delta\lambda|^2 = 1 - \frac\Delta2 + \Delta^2 = 1$; the others never do. Compare the
# states with the curve half a second later.

# %% [markdown] slide="slide"
# ## Errors, if nobody pushes
#
# Draw the spring out by 1 and let go. How far from the truth is each rule after 4 seconds? Half the
# step divides an error of order $p$ by $2^p$. Zero-order hold isn't in the figure: without input it
# has no error.

# %% slide="same" show="output" alt="Errors of a spring that is left to itself against steps from a half down to a 128th of a second, both axes logarithmic. Euler and backward Euler, in orange, fall along a guide of slope 1. Bilinear, in blue, falls twice as steeply, along a guide of slope 2, far below."
alone = {
    1: traces.bundle(("euler", "backward_euler"), "now", 0),
    2: traces.bundle(("bilinear",), "now", 0),
}
for order, curves in alone.items():
    assert {traces.order(errors) for errors in curves.values()} == {order}
assert max(traces.errors("zoh", "now", 0)) < 1e-8  # and this is rounding
figures.orders(traces.STEPS, alone, "Nobody pushes: Euler is of order 1, bilinear of order 2")

# %% [markdown] slide="notes"
# Why 2? $\frac{1 + q/2}{1 - q/2} = (1 + \frac q2)(1 + \frac q2 + \frac{q^2}4 + \dots) = 1 + q +
# \frac{q^2}{2} + \frac{q^3}{4} + \dots$, and $e^q$ has $\frac{q^3}{6}$. A step is off by
# $\frac{q^3}{12}$; $1/\Delta$ steps a second make that $\Delta^2$.

# %% [markdown] slide="slide"
# ## And now with a push
#
# The same spring, from rest, pushed by $\sin t$ for 4 seconds. Each step holds its token, $\sin t$
# at the step's end. **Predict** the slopes of bilinear and of zero-order hold, which is exact for a
# held input.

# %% slide="fragment" show="output" alt="Errors of a spring pushed by a sine against steps from a half down to a 128th of a second, both axes logarithmic. Five lines, Euler, backward Euler, bilinear, zero-order hold and Mamba's rule, all fall along one guide of slope 1; bilinear and zero-order hold coincide. Nothing falls faster." myth="S4's bilinear rule is of second order" said="texts on discretising state space models" truth="The spring left to itself is, and the textbook's rule, which reads the input at both ends of a step. S4's recurrence holds one sample, and then every rule is of first order, bilinear and zero-order hold alike."
held = traces.bundle(traces.RULES, "now", 1)
assert {traces.order(errors) for errors in held.values()} == {1.0}
for frequency in (0.5, 2, 3):  # however fast the push changes
    assert {
        traces.order(traces.errors(rule, "now", frequency)) for rule in ("bilinear", "zoh")
    } == {1}
figures.orders(traces.STEPS, {1: held}, "Hold the token, and every rule is of first order")

# %% [markdown] slide="notes"
# (5 minutes.) Both 1. Common answers: 2 and "no error"; 2 and 2. Zero-order hold is exact for an
# input that *is* a staircase; a sine isn't.
#
# "Second-order" is true of the textbook's bilinear rule, which reads the input at both ends
# of a step, and of the spring left to itself.

# %% [markdown] slide="slide"
# ## Where the order goes
#
# In the step that ends at $t$, $x_t$ is held. The true input $s$ seconds before the end was $x_t -
# s\,x'_t + \dots$ So too much is pushed:
#
# $$\int_0^\Delta \left(x_t - x(t - s)\right) ds = \int_0^\Delta s\,x'_t\,ds + \dots
# = \tfrac{\Delta^2}{2}\,x'_t + \dots$$
#
# $\Delta^2$ a step, and $1/\Delta$ steps a second: **an error like Δ, whatever a rule does with
# $A$.** Spread over the step it is $\frac\Delta2 x'$, and $x + \frac\Delta2 x'$ is about $x(t +
# \frac\Delta2)$: *a held input is the input half a step early.*

# %% slide="same" show="output"
for rule in ("bilinear", "zoh"):
    orders = [traces.order(traces.errors(rule, "now", 1, late)) for late in (0, -0.5)]
    print(f"{traces.RULES[rule]}: against the truth order {orders[0]}", end=", ")
    print(f"against the truth half a step later {orders[1]}")

# %% [markdown] slide="notes"
# A linear system that gets its input early answers early: from rest, the spring is where it should
# be half a step later. The other rules have further errors like Δ: the Eulers in $A$, Mamba's in
# how a push decays.

# %% [markdown] slide="slide"
# ## $x_t$ or $x_{t-1}$?
#
# Euler "keeps the input of the step's start", $x_{t-1}$. S4 and Mamba read $x_t$ instead.
# **Predict:** which is nearer to the truth? And what would half of each be?

# %% slide="fragment" show="output" alt="Place of a spring pushed by a sine over twelve seconds. The true curve runs in the middle. Zero-order hold with steps of one second that holds the new token runs ahead of it by half a second, the one that holds the old token lags behind by half a second, and the points made with half of each lie on the truth, a little lower at the peaks."
runs = {sample: traces.trace_hold("zoh", sample, 1.0) for sample in traces.SAMPLES}
places = {sample: run.states[:, 0] for sample, run in runs.items()}
times = np.linspace(0, 12, 121)
truth = {
    shift: traces.pushed(torch.tensor(times + shift), torch.zeros(2), 1.0)[:, 0].numpy()
    for shift in (-0.5, 0, 0.5)
}
for sample, shift in {"before": -0.5, "now": 0.5}.items():  # every tenth is a step's end
    assert abs(places[sample] - truth[shift][::10]).max() < 0.1
    assert 0.8 < abs(places[sample] - truth[0][::10]).max() < 0.9
assert abs(places["both"] - truth[0][::10]).max() < 0.3
title = "The new token acts half a step early, the old one half a step late"
named = {"new token": places["now"], "old token": places["before"], "half of each": places["both"]}
figures.early_and_late(times.tolist(), truth[0].tolist(), runs["now"].times.tolist(), named, title)

# %% [markdown] slide="notes"
# (4 minutes.) Neither: both are off by half a step, to opposite sides. Common answers: $x_{t-1}$;
# $x_t$, for it is newer. Half of each is right to second order, for
# bilinear and zero-order hold; long steps flatten its peaks a little.

# %% [markdown] slide="slide"
# ## One system, a step apart
#
# Delay the tokens by one place, and $x_{t-1}$ becomes $x_t$:

# %% slide="same" show="both" myth="Euler gives x_(t−1); that recurrences have x_t is an approximation" said="an answer in hkproj/mamba-notes 1: x_t is about x_(t+1)" truth="Nothing is approximated there: a layer that reads the old token is the one that reads the new one, a step later, digit for digit. Against a signal both are off by half a step, one late, one early."
x = torch.randn(50, generator=generator)
new = outputs(*hold(A, B, 0.4), C, D, x)
old = outputs(*hold(A, B, 0.4), C, D, [0.0, *x[:-1]])  # reads x_{t−1}
assert old[1:].equal(new[:-1])
print("one step apart, the difference is", (old[1:] - new[:-1]).abs().max().item())
print("the first output, if it reads x_(t−1):", old[0].item())

# %% [markdown] slide="notes"
# Why $x_t$? Between tokens there is no truth, and half a step means nothing. But an
# output made from $x_{t-1}$ hasn't seen its own token. The recurrence calls the input that acts
# *during* a step by the token at its end.

# %% [markdown] slide="slide"
# ## Mamba's mixture
#
# Mamba's paper has zero-order hold for both. Its released code has
#
# $$\bar A = e^{\Delta A}, \qquad \bar B = \Delta B$$
#
# Exact for $A$, Euler for $B$: a push doesn't decay within its own step. Take a rate of $-16$ and
# $B = 16$, so that a steady input of 1 fills the state to 1. **Predict:** to what does Mamba's
# rule fill it with Δ = 0.1, its largest first step?

# %% slide="fragment" show="output"
a, b, level = torch.tensor(-16.0), torch.tensor(16.0), {}
for delta in (0.1, 0.01, 0.001):
    for rule in ("zoh", "mamba"):
        keeps, lets_in = discretize_diagonal(a, b, torch.tensor(delta), rule)
        level[rule] = (lets_in / (1 - keeps)).item()  # h = keeps · h + lets_in
    print(f"Δ = {delta}: zero-order hold {level['zoh']:.3f}, Mamba {level['mamba']:.3f}")
smaller = discretize_diagonal(a, b / level["mamba"], torch.tensor(delta), "mamba")
assert torch.allclose(torch.stack(smaller), torch.stack(discretize_diagonal(a, b, delta)))

# %% [markdown] slide="notes"
# (4 minutes.) 2.0: it settles where $h = e^{-1.6}h + 1.6$. Common answers: 1; 1.6.
#
# A fault? With one Δ for all tokens it is none: $B$ is learnt, and a smaller $B$ makes it
# zero-order hold, as the cell shows. With a Δ for each token no $B$ does. Readers ask about it
# again and again (state-spaces/mamba, threads 114, 121, 129 and 524).

# %% [markdown] slide="slide"
# ## Mamba-3: both ends
#
# Nothing held, the push of a step adds up $f(s) = e^{(\Delta - s)A} B\,x(s)$. Mamba takes its end
# for all: $\Delta B x_t$. Mamba-3 weighs both ends, by a share that it calls λ, too:
#
# $$h_t = e^{\Delta A} h_{t-1} + (1 - \lambda)\,\Delta\,e^{\Delta A} B\,x_{t-1} +
# \lambda\,\Delta\,B\,x_t$$
#
# With Taylor's $f(s)$ the true sum and this stand-in are
#
# $$\Delta f + \tfrac{\Delta^2}{2} f' + \tfrac{\Delta^3}{6} f'' + \dots, \qquad
# \Delta f + \lambda \Delta^2 f' + \lambda\tfrac{\Delta^3}{2} f'' + \dots$$
#
# **Predict:** its order for $\lambda = 1$, 0.7 and ½?

# %% slide="slide" show="output" alt="Errors of a spring pushed by a sine against steps from a half down to a 128th of a second, both axes logarithmic, in two bundles. In orange what holds one token, S4's bilinear rule, zero-order hold and Mamba's, along a guide of slope 1. In blue what reads both ends, bilinear, zero-order hold and Mamba-3, along a guide of slope 2, hundreds of times lower at the right."
rules = ("bilinear", "zoh", "mamba")
one, two = (traces.bundle(rules, sample, 1) for sample in ("now", "both"))
assert {traces.order(errors) for errors in two.values()} == {2.0}
assert all(300 < one[name][-1] / two[name][-1] < 500 for name in one)
assert [traces.order(traces.errors("mamba", share, 1)) for share in (1.0, 0.7, 0.5)] == [1, 1, 2]
one = {"S4: bilinear": one["bilinear"], "hold": one["zero-order hold"], "Mamba": one["Mamba"]}
two = {
    "both: bilinear": two["bilinear"],
    "both: hold": two["zero-order hold"],
    "Mamba-3, λ = ½": two["Mamba"],
}
title = "Read both ends of a step, and the order is 2"
figures.orders(traces.STEPS, {1: one, 2: two}, title)

# %% [markdown] slide="notes"
# (5 minutes.) 1, 1, 2: only $\lambda = \frac12$ makes the $\Delta^2$ agree; a step is then off by
# $\Delta^3 f''/12$. Common answers: 2 each time; 1.3 for 0.7.
#
# Lahoti et al., "Mamba-3: Improved Sequence Modeling using State Space Principles" (2026), on
# exponential-trapezoidal discretisation. There λ is a sigmoid of the token, and nothing keeps it at
# ½. What a model surely gets is a step that reads two tokens, a convolution of length 2; Mamba-3
# has no other short convolution.


# %%
def mamba_3(a, b, x, delta, share):
    """The last state of one rate, from rest."""
    h = before = 0.0
    for x_t in x:
        old = (1 - share) * delta * b * before
        h, before = math.exp(delta * a) * (h + old) + share * delta * b * x_t, x_t
    return h


alpha, beta, gamma = trapezoid(torch.tensor(-2.0), 0.1, 0.7)  # the library's three numbers
two_steps = alpha * gamma * 3 * 1.0 + beta * 3 * 1.0 + gamma * 3 * -0.5
assert math.isclose(two_steps, mamba_3(-2.0, 3.0, [1.0, -0.5], 0.1, 0.7))

# %% [markdown] slide="slide"
# ## Does a layer need Δ?
#
# In every rule $A$ and $B$ come as $\Delta A$ and $\Delta B$. So these are the same layer:
#
# $$(A,\; B,\; \Delta) \qquad (cA,\; cB,\; \Delta / c)$$
#
# In an LTI layer Δ is redundant: whatever it learns, $A$ and $B$ could learn. It is a unit of
# time, one handle for all $N$ memories: read a signal at half the rate, and the same $A$ and $B$
# go on with twice the Δ.

# %% slide="same" show="output"
for rule in traces.RULES:
    one, other = discretize_dense(A, B, 0.3, rule), discretize_dense(3 * A, 3 * B, 0.1, rule)
    assert all(torch.allclose(mine, its) for mine, its in zip(one, other, strict=True))
x = torch.randn(50, generator=generator)
often = outputs(*hold(A, B, 0.1), C, D, x.repeat_interleave(2))  # each token twice
print("half the rate, twice Δ:", torch.allclose(often[1::2], outputs(*hold(A, B, 0.2), C, D, x)))

# %% [markdown] slide="slide"
# ## A Δ for each token
#
# Let Δ depend on the token, as Mamba does, and no $A$ and $B$ can stand in for it. With $A = -1$,
# $B = 1$ and zero-order hold
#
# $$h_t = e^{-\Delta_t}\,h_{t-1} + (1 - e^{-\Delta_t})\,x_t$$
#
# **Predict:** of forty noisy tokens the ninth is to be kept. Which $\Delta_t$ should it have, which
# the others? And what can one Δ for all do?


# %%
def gated(x, deltas):
    h, states = torch.tensor(0.0), []
    for x_t, delta in zip(x, deltas, strict=True):
        keeps, lets_in = discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), delta)
        h = keeps * h + lets_in * x_t
        states.append(h.item())
    return states


# %% slide="fragment" show="output" alt="State against token for forty noisy tokens. With a Δ for each token the state jumps to 1 at token 8 and stays there. With Δ equal to 2 for all it follows the noise up and down. With Δ equal to 0.1 for all it never comes near 1."
x, deltas = 2 * torch.rand(40, generator=generator) - 1, torch.full((40,), 0.001)
x[8], deltas[8] = 1.0, 8.0
levels = {"a Δ for each": gated(x, deltas)}
levels |= {f"Δ = {delta}": gated(x, torch.full((40,), delta)) for delta in (2.0, 0.1)}
far = {name: np.abs(np.array(states[8:]) - 1) for name, states in levels.items()}
assert far["a Δ for each"].max() < 0.05
assert far["Δ = 2.0"].max() > 1
assert far["Δ = 0.1"].min() > 0.5
title, words = "A Δ for each token takes one token and ignores the rest", ("token", "state h")
figure = series.lines(range(40), levels, title=title, x_title=words[0], y_title=words[1])
figure.update_traces(marker_size=5)

# %% [markdown] slide="notes"
# (4 minutes.) 8 for the ninth: $e^{-8}$ of the old is left. Next to 0 for the others. Common
# answers: the other way round; about 1 for all. One Δ for all takes quickly and forgets quickly,
# or neither.
#
# So Δ is a *gate* here. How a model makes it from the token, and why no LTI layer can do this, is
# chapter 16.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. $h' = Ah + Bx$, read at moments Δ apart, is $h_t = \bar A h_{t-1} + \bar B x_t$. Where the
#    truth decays, Euler can blow up; bilinear and zero-order hold can't. One exponential gives the
#    latter, dividing by nothing.
# 2. Holding a token costs the second order: the input acts half a step early, or late. $x_t$ and
#    $x_{t-1}$ are one system, a step apart. Reading both ends gives the order back.
# 3. Δ is redundant in an LTI layer, and a gate where each token has its own.

# %% [markdown]
# ## Self-test
#
# 1. A tank, $h' = -2h + x$, and Δ = 1: $\bar A$ by Euler, bilinear, zero-order hold?
# 2. For which rate is zero-order hold's $\bar B$ equal to $\Delta B$?
# 3. Bilinear, holding $x_t$, is off by 0.02 with Δ = 0.1. With 0.05?
#
# <details><summary>Answers</summary>
#
# 1. $-1$; 0; $e^{-2} = 0.135$.
# 2. 0.
# 3. About 0.01.
#
# </details>
#
# **Next.** *Unrolled, the recurrence is one sum over all tokens so far: a convolution. Which way
# is cheaper, and when?* First [the exercises](../work/13_state_space_models.ipynb), then
# [chapter 14](14_ssm_convolution.ipynb).

# %% [markdown] to="exercise"
# # 13 · State space models: exercises
#
# Six exercises on [the lesson](../course/13_state_space_models.ipynb), about 75 minutes. Replace
# each `raise NotImplementedError(…)` with your answer and run the check below it. `hint("13.1")`
# gives a first hint, called again a further one. The checks draw random inputs: an answer that
# fits only the example doesn't pass.

# %% to="exercise"
import math

import torch

from mixlab.checks import check, hint  # noqa: F401

torch.set_default_dtype(torch.float64)  # as in the lesson

# %% [markdown] exercise="13.1" role="prompt" title="A mechanism as matrices" difficulty=1 minutes=10 points=2
# Many mechanisms are one equation for one number $y$, its derivatives and a push $x$:
#
# $$y^{(n)} + a_{n-1}\,y^{(n-1)} + \dots + a_1\,y' + a_0\,y = x$$
#
# Write `matrices(coefficients)`: from the list $[a_0, a_1, \dots, a_{n-1}]$ the `(A, B, C)` of
# $h' = A h + B x$, $y = C h$. The state is $h = (y, y', \dots, y^{(n-1)})$, in this order. `A` has
# the shape (n, n), `B` and `C` have n numbers. `n` is at least 1.
#
# ```python
# matrices([1.0, 0.5])  # the lesson's spring: y'' + ½ y' + y = x
# ```


# %% exercise="13.1" role="answer"
def matrices(coefficients):
    """(A, B, C) of the equation with these coefficients, that of y first."""
    ### BEGIN SOLUTION
    n = len(coefficients)
    A = torch.diag(torch.ones(n - 1), 1)  # each number's speed is the next number
    A[-1] -= torch.tensor(coefficients)
    eye = torch.eye(n)
    return A, eye[-1], eye[0]
    ### END SOLUTION


# %% exercise="13.1" role="check"
check("13.1", matrices)

# %% [markdown] exercise="13.2" role="prompt" title="Exact for straight inputs" difficulty=3 minutes=14 points=4
# Zero-order hold lets the input stand still during a step. Let it go in a straight line instead,
# from $x_{t-1}$ at the step's start to $x_t$ at its end, and approximate nothing else:
#
# $$h_t = \bar A\,h_{t-1} + \text{before} \cdot x_{t-1} + \text{now} \cdot x_t$$
#
# Write `straight(A, B, delta)`: the triple `(A_bar, before, now)`. `A` is a tensor of shape (n,
# n), `B` one of shape (n,), as are `before` and `now`. `A` may have no inverse. Six digits behind
# the point must be right.
#
# ```python
# straight(torch.tensor([[0.0]]), torch.tensor([1.0]), 1.0)  # ([[1.0]], [0.5], [0.5])
# ```


# %% exercise="13.2" role="answer"
def straight(A, B, delta):
    """(Ā, before, now) of a step during which the input goes from one sample to the next."""
    ### BEGIN SOLUTION
    n = len(B)
    whole = torch.zeros(n + 2, n + 2)
    whole[:n, :n], whole[:n, n] = A, B
    whole[n, n + 1] = 1.0  # the input's speed is one more number, which stands still
    both = torch.matrix_exp(delta * whole)
    slope = both[:n, n + 1] / delta  # (now − before) / delta is the speed
    return both[:n, :n], both[:n, n] - slope, slope
    ### END SOLUTION


# %% exercise="13.2" role="check"
check("13.2", straight)

# %% [markdown] exercise="13.3" role="prompt" title="Predict: how long may Euler's step be?" difficulty=2 minutes=12 points=3
# A system's eigenvalues are known: `rates`, a list of numbers, real ones and complex ones. Their
# real parts are below 0, or 0 for a swing without friction; none is 0 itself. Euler's step
# multiplies each of them by $1 + \Delta\lambda$. Write `longest_step(rates)`: the border up to
# which Δ may grow before any of them grows in size. For a swing without friction that is 0.
# Compute it, don't search: the check wants seven digits.
#
# ```python
# longest_step([-10.0, -1.0])  # 0.2
# longest_step([-1 + 1j, -1 - 1j])  # 1.0
# ```


# %% exercise="13.3" role="answer"
def longest_step(rates):
    """The largest Δ with which Euler lets none of the rates grow."""
    ### BEGIN SOLUTION
    # |1 + Δλ|² = 1 + 2Δ Re λ + Δ² |λ|² is 1 at Δ = 0 and at −2 Re λ / |λ|²
    return min(-2 * complex(rate).real / abs(rate) ** 2 for rate in rates)
    ### END SOLUTION


# %% exercise="13.3" role="check"
check("13.3", longest_step)

# %% [markdown] exercise="13.4" role="prompt" title="Find the bugs: Mamba-3's steps" difficulty=2 minutes=12 points=3
# One state of Mamba-3, where each token $t$ brings its own $b_t$, $\Delta_t$ and share $\lambda_t$
# (`weight[t]`):
#
# $$h_t = \alpha_t h_{t-1} + (1 - \lambda_t)\,\Delta_t\,\alpha_t\,b_{t-1} x_{t-1} + \lambda_t\,\Delta_t\,b_t x_t,
# \qquad \alpha_t = e^{a \Delta_t}$$
#
# It begins at rest, and before the first token nothing was pushed. This function should return the
# list of all states. It has three mistakes. Find and mend them.
#
# ```python
# def states(a, b, x, delta, weight):
#     h, found = 0.0, []
#     for t in range(len(x)):
#         alpha = math.exp(a * delta[t])
#         old = (1 - weight[t]) * delta[t] * b[t] * x[t - 1]
#         h = alpha * h + old + weight[t] * delta[t] * b[t] * x[t]
#         found.append(h)
#     return found
# ```


# %% exercise="13.4" role="answer"
def states(a, b, x, delta, weight):
    """All states, from rest; a is one number, the others are lists with one a token."""
    ### BEGIN SOLUTION
    h, before, found = 0.0, 0.0, []
    for t in range(len(x)):
        alpha, pushed = math.exp(a * delta[t]), b[t] * x[t]
        old = (1 - weight[t]) * delta[t] * alpha * before
        h = alpha * h + old + weight[t] * delta[t] * pushed
        found.append(h)
        before = pushed
    return found
    ### END SOLUTION


# %% exercise="13.4" role="check"
check("13.4", states)

# %% [markdown] exercise="13.5" role="prompt" title="Another step, from what is stored" difficulty=2 minutes=12 points=3
# Of a layer with a diagonal $A$ only the Ā and B̄ of zero-order hold are stored, as lists with one
# number a state; $A$, $B$ and Δ are lost. Now it is to read with a step `ratio` times as long.
# Write `resample(A_bar, B_bar, ratio)`: the pair of lists `(A_bar, B_bar)` for that step. The
# numbers in `A_bar` are above 0 and at most 1; `ratio` is any positive number.
#
# ```python
# resample([0.25], [0.75], ratio=0.5)  # ([0.5], [0.5])
# ```


# %% exercise="13.5" role="answer"
def resample(A_bar, B_bar, ratio):
    """(Ā, B̄) of the same A and B for a step `ratio` times as long."""
    ### BEGIN SOLUTION
    new = [a**ratio for a in A_bar]  # e to the power of ratio · ΔA
    # B̄ = (Ā − 1) B/A, and B/A is the same for both steps; without decay, inputs add up
    grown = [ratio if a == 1 else (b - 1) / (a - 1) for a, b in zip(A_bar, new, strict=True)]
    return new, [b * g for b, g in zip(B_bar, grown, strict=True)]
    ### END SOLUTION


# %% exercise="13.5" role="check"
check("13.5", resample)

# %% [markdown] exercise="13.6" role="prompt" title="Prove by test: is it of second order?" difficulty=3 minutes=14 points=4
# A rule steps $h' = a\,h + x(t)$: `rule(a, delta, before, now, h)` takes the state `h` at the
# start of a step of length `delta`, and the input's samples at its start and at its end, and
# returns the state at the step's end. All are plain numbers; `a` is below 0, `delta` at most 1.
# Write `is_second_order(rule)`: True only if, for inputs that move smoothly, the rule's error
# falls like $\Delta^2$.
#
# The check hands it right rules and wrong ones. Each is of second order, of first, or doesn't come
# near the truth at all. Return False, don't `assert`.


# %% exercise="13.6" role="answer"
def is_second_order(rule):
    """Whether half the step leaves a quarter of the error."""

    ### BEGIN SOLUTION
    def error(n):  # of h' = −h + t from 0, at t = 1, where h = exp(−1)
        h = 0.0
        for k in range(n):
            h = rule(-1.0, 1 / n, k / n, (k + 1) / n, h)
        return abs(h - math.exp(-1))

    coarse, fine = error(100), error(200)
    return fine < 1e-11 or coarse / fine > 3
    ### END SOLUTION


# %% exercise="13.6" role="check"
check("13.6", is_second_order)
