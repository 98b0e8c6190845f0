# %% [markdown] slide="slide"
# # 14 · A state space model as a convolution
#
# *A layer that steps: can all its outputs be had at once, without a single state?*

# %% [markdown] slide="slide"
# **The problem.** Chapter 13's layer reads a text of 4,000 tokens in 4,000 steps, each of which waits
# for the one before. In training every token is known from the start; why wait? Written out, each
# output is a sum over inputs, with weights that can be had beforehand: a *convolution*, and that a
# *Fourier transform* turns into products of single numbers. Three things can go wrong on the way: the
# end of the text may reach its beginning, a loud token may be heard before it comes, and when the
# text is to be continued there is no state to go on from.

# %% [markdown]
# **You will be able to** read a layer's kernel off its recurrence, and prove that they agree; explain
# the FFT from school multiplication; say how many zeros keep a text's ends apart; bound what rounding
# leaks into the past; make the kernel of dense, diagonal and almost diagonal systems; continue a
# text.
#
# **You need** [chapter 12](12_sequence_models.ipynb), vectors and matrices. Of chapter 13 only this: a
# state space model holds a state $h$, and a step of length $\Delta$ makes matrices $\bar A$ and
# $\bar B$ of its equation $h' = Ah + Bx$.
#
# **Time**: 60 minutes, and an hour for the exercises in
# [work/14_ssm_convolution.ipynb](../work/14_ssm_convolution.ipynb), your copy of
# [these](../exercises/14_ssm_convolution.ipynb).

# %%
import math
from time import process_time
from timeit import repeat

import torch

from mixlab.chapters.kit import series
from mixlab.chapters.ssm_convolution import figures, traces
from mixlab.chapters.stage.host import piece
from mixlab.ssm.convolution import circular_convolve, convolve, fft_convolve, recurrence, ssm_kernel
from mixlab.ssm.discretize import discretize_dense, discretize_diagonal
from mixlab.ssm.s4 import dense_system, nplr_legs, s4_kernel
from mixlab.ssm.s4d import S4D, s4d_kernel

torch.set_num_threads(1)  # for times that can be compared
torch.manual_seed(0)
double = torch.float64

# %% [markdown] slide="slide"
# ## Four tokens on paper
#
# $$h_t = \bar A\,h_{t-1} + \bar B\,x_t, \qquad y_t = C\,h_t$$
#
# Let the state be one number, at first 0, with $\bar A = \tfrac12$, $\bar B = 1$, $C = 4$. The inputs
# are 3, 0, 1, 2. **Predict** the outputs. And how much of the last is owed to the first input?

# %% slide="fragment" show="output"
h, y = 0.0, []
for x_t in (3, 0, 1, 2):
    h = 0.5 * h + x_t
    y.append(4 * h)
print("outputs:", y)
print("the last, unrolled: 4·2 + 2·1 + 1·0 + ½·3 =", 4 * 2 + 2 * 1 + 1 * 0 + 0.5 * 3)
assert y[-1] == 4 * 2 + 2 * 1 + 1 * 0 + 0.5 * 3

# %% [markdown] slide="notes"
# (3 minutes.) 12, 6, 7, 11.5; the first input has been halved three times and makes ½ · 3 = 1.5 of
# it. Common answers: 3 · 4 = 12, "it is still in there"; nothing, "it was overwritten". Unroll from
# the inside: $y_3 = 4(2 + \frac12(1 + \frac12(0 + \frac12 \cdot 3)))$. The weights 4, 2, 1, ½ know
# nothing of the inputs.

# %% [markdown] slide="slide"
# ## The kernel, and the proof
#
# **Claim.** From an empty state, $h_t = \sum_{j=0}^{t} \bar A^j \bar B\,x_{t-j}$.
#
# For $t = 0$ it says $h_0 = \bar B x_0$. If it holds for $t - 1$, one step makes
#
# $$h_t = \bar A \sum_{j=0}^{t-1} \bar A^j \bar B\,x_{t-1-j} + \bar B x_t
# = \sum_{i=1}^{t} \bar A^i \bar B\,x_{t-i} + \bar A^0 \bar B\,x_t \qquad (i = j + 1)$$
#
# which is the claim for $t$. Multiply by $C$:
#
# $$y_t = \sum_{j=0}^{t} K_j\,x_{t-j}, \qquad K_j = C \bar A^j \bar B$$
#
# A row, matrices, a column: each $K_j$ is *one number*, whatever the size of the state. They are the
# layer's *kernel*, its *taps*: what an input still does after $j$ steps.


# %% slide="slide" show="both"
def kernel_of(A_bar, B_bar, C, length):
    column, taps = B_bar, []
    for _ in range(length):
        taps.append(C @ column)
        column = A_bar @ column  # Ā^j B̄: no power is ever made
    return torch.stack(taps)


C = torch.tensor([1.0, 0.0], dtype=double)  # we see the place
B = torch.tensor([0.0, 1.0], dtype=double)  # the input pushes: it acts on the speed
springs = {}
for name, friction in (("little friction", 0.4), ("much friction", 8.0)):
    A = torch.tensor([[0.0, 1.0], [-4.0, -friction]], dtype=double)  # v' = −4 place − friction · v
    springs[name] = *discretize_dense(A, B, 0.25), C
kernels = {name: kernel_of(*system, 48) for name, system in springs.items()}

# %% [markdown] slide="slide"
# ## Knock it once
#
# Chapter 12's weight on a spring, now with friction: its state is a place and a speed, an input pushes
# it, the output is its place. Let the input be 1 once, and then 0. **Predict:** what comes out?

# %% slide="fragment" show="output" alt="Output of two springs after one knock, over 48 tokens. With little friction a wave that dies out slowly, going above and below 0; with much friction a small bump that creeps back to 0 from above."
knock = torch.zeros(1, 48, 1, dtype=double)
knock[0, 0] = 1
for name, system in springs.items():
    A_bar, B_bar, row = (part[None] for part in system)  # the library's have one system a channel
    out, _ = recurrence(A_bar, B_bar, row, knock)
    assert torch.allclose(out[0, :, 0], kernels[name])
    assert torch.allclose(ssm_kernel(A_bar, B_bar, row, 48)[0], kernels[name])
assert (kernels["little friction"] < -0.01).any()
assert (kernels["much friction"] > 0).all()
title = "Knocked once, a layer plays its kernel"
shown = {name: taps.tolist() for name, taps in kernels.items()}
series.lines(range(48), shown, title=title, x_title="token", y_title="output: the place")

# %% [markdown] slide="notes"
# (3 minutes.) The kernel: with $x_0 = 1$ alone the sum has one term, $y_t = K_t$. It is called the
# *impulse response* too. Common answers: one 1 and then 0, as a filter of one tap would; a wave that
# never ends. Two numbers of state, and the layer answers for 48 tokens; the kernel has as many taps as
# the text has tokens, and was never stored.

# %% slide="slide" show="output" alt="A row of six inputs and three zeros; below it the kernel of four taps, turned round so that its first tap stands under the newest input. Products of what lies one above the other add up to one output; six outputs as bars, all right. The kernel slides by one place a step."
x, K = [3, 0, 1, 2, 1, 2], [8, 4, 2, 1]
trace = traces.trace_kernel(x, K, 9)
assert trace.wrong == []
title = "The kernel slides; each output is a sum of products"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=9, view="slide", step=4)

# %% [markdown] slide="notes"
# Turned round, tap 0 lies under the newest input. Step it: a tap and an input that lie one above the
# other make a product; the sum is the output. The three zeros at the end do nothing yet.


# %%
def slid(x, K):
    """y_t = Σ_j K_j x_{t−j}: a sum for each output, none waits for another."""
    return torch.stack([sum(K[j] * x[t - j] for j in range(t + 1)) for t in range(len(x))])


x, K = torch.randn(48, dtype=double), kernels["little friction"]
system = [part[None] for part in springs["little friction"]]
y = slid(x, K)
assert torch.allclose(y, recurrence(*system, x[None, :, None])[0][0, :, 0])  # the steps
assert torch.allclose(y, convolve(x[None, :, None], K[None])[0, :, 0])  # the library

# %% [markdown] slide="slide"
# ## You have done it at school
#
# $L$ outputs of up to $L$ products each: $L^2/2$. Can it be cheaper? Multiply 21 by 13 without
# carrying. Ones: $1 \cdot 3$. Tens: $1 \cdot 1 + 2 \cdot 3$. Hundreds: $2 \cdot 1$. That is 3, 7, 2: the
# digits 1, 2 slid over 3, 1. With $z$ in place of 10:
#
# $$(1 + 2z)(3 + z) = 3 + 7z + 2z^2$$
#
# So it is with all digits: in $K(z)\,x(z) = \sum_j \sum_s K_j x_s z^{j+s}$ the factor at $z^t$ collects
# $j + s = t$, and is $y_t = \sum_j K_j x_{t-j}$. **A convolution is a product of polynomials.**
#
# And at *one* $z$, say 10, that is one product of two numbers, $21 \cdot 13 = 273$.

# %% [markdown] slide="slide"
# ## Points in place of powers
#
# So: put $n$ numbers in for $z$, multiply value by value, and find the polynomial that has these $n$
# values. (With fewer than $n + 1$ coefficients there is only one, since the difference of two would be
# 0 at $n$ places.) Which numbers? Powers of 10 grow without bounds. Those of 1 and −1 don't, but we
# need $n$.
#
# A *complex number* is an arrow in the plane. Multiplied, **lengths multiply and angles add**. Python
# writes `1j` for the arrow of length 1 up: a quarter turn, and twice that is −1. Let
# $w = \cos\frac{2\pi}{n} + i \sin\frac{2\pi}{n}$ be the $n$-th part of a turn. Then $w^n = 1$, and
# $1, w, w^2, \dots, w^{n-1}$ are $n$ points that never leave the circle.

# %% [markdown] slide="slide"
# ## There, back, and how fast
#
# The values of $x$ at these points are its *discrete Fourier transform*, $\hat x_k = \sum_t x_t w^{-kt}$.
# The way back is $x_t = \frac1n \sum_k \hat x_k w^{kt}$: put in the first, and
#
# $$\frac1n \sum_s x_s \sum_k w^{k(t-s)} = x_t, \qquad \text{since}\quad
# S = \sum_{k=0}^{n-1} r^k, \quad rS = S \;\text{ if }\; r^n = 1$$
#
# so $S = 0$, unless $r = w^{t-s}$ is 1, which it is for $s = t$ alone; then $S = n$. So $x$ is a sum of
# waves, and $\hat x_k$ says how much of the one that turns $k$ times.
#
# Each way $n^2$ products, so far. Split $x(z) = e(z^2) + z\,o(z^2)$ into even and odd places. **Predict:**
# for 8 points $z$, how many different $z^2$ are there?

# %% slide="fragment" show="output" alt="Left, eight points evenly on a circle, numbered 0 to 7. Right, their squares: only four places on the circle, each hit twice, by points 0 and 4, 1 and 5, 2 and 6, 3 and 7."
points = torch.exp(2j * math.pi * torch.arange(8, dtype=double) / 8)
squares = (points**2).numpy().round(9)
assert abs(points**8 - 1).max() < 1e-12
assert len(set((squares + 0).tolist())) == 4
assert all(abs(squares[k] - squares[k + 4]) < 1e-9 for k in range(4))
figures.squared(points.numpy(), "Squared, eight points lie on four")

# %% [markdown] slide="notes"
# (3 minutes.) Four: $z$ and $-z$ have one square. Common answers: eight; sixteen. So two transforms of
# half the length, and one product for each pair of points: $M(n) = 2M(\frac n2) + \frac n2$, and that is
# $\frac n2 \log_2 n$: 10,240 products instead of four million for $n = 2048$. This *fast* way is the FFT.


# %% slide="slide"
def fft(x):
    n = len(x)
    if n == 1:
        return x
    even, odd = fft(x[::2]), fft(x[1::2])
    odd = torch.exp(-2j * math.pi * torch.arange(n // 2, dtype=double) / n) * odd
    return torch.cat((even + odd, even - odd))  # at z, and at −z


def by_products(x, K, n):
    padded = [torch.cat((part, part.new_zeros(n - len(part)))) + 0j for part in (x, K)]
    product = fft(padded[0]) * fft(padded[1])  # value by value
    back = fft(product.conj()).conj() / n  # the same points, run the other way
    return back.real[: len(x)]


assert torch.allclose(fft(x[:32] + 0j), torch.fft.fft(x[:32]))
assert torch.allclose(by_products(x, K, 128), y)
assert torch.allclose(fft_convolve(x[None, :, None], K[None])[0, :, 0], y)  # the library

# %% slide="slide" show="output" alt="The same inputs and kernel. Four columns of three clock hands each, for four frequencies: the kernel's hand, the inputs' hand, and the product's. In each column lengths multiply and angles add. Below, six outputs as bars, summed from the waves so far."
trace = traces.trace_kernel([3, 0, 1, 2, 1, 2], [8, 4, 2, 1], 9)
assert abs(trace.kernel * trace.inputs - trace.product).max() < 1e-12
assert abs(trace.partial[-1] - trace.truth).max() < 1e-9  # all waves: the outputs
title = "At each frequency one product: lengths multiply, angles add"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=9, view="product", step=2)

# %% [markdown] slide="notes"
# Step from frequency to frequency: the wave that is added bends the bars below towards the outputs,
# and the last one makes them right. V goes back to the slide. For real numbers frequencies $k$ and
# $n - k$ are mirror images, so half of them is enough: `rfft`.

# %% [markdown] slide="slide"
# ## The end reaches the beginning
#
# At these points $z^n = 1$, so $z^{t+n} = z^t$: no value tells power $t + n$ from power $t$. What would
# come *after* place $n - 1$ is added at the *beginning*: the row of places is a circle.
#
# $L$ inputs and $M$ taps make $L + M - 1$ numbers. **Predict** for six inputs and four taps: how many of
# the six outputs are wrong on a circle of 6? Of 8? Which is the first circle on which all are right?

# %% slide="fragment" show="output" alt="The same row closed to a circle of six places, with no zeros. The kernel stands at output 2; its last tap has left on the left and come in again on the right, in red, under the last input. The first three bars of the outputs are red and too high; outlines show what they should be."
trace = traces.trace_kernel([3, 0, 1, 2, 1, 2], [8, 4, 2, 1], 6)
assert trace.wrong == [0, 1, 2]
assert (trace.outputs[:3] > trace.truth[:3]).all()
title = "Without zeros the last inputs act on the first outputs"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=6, view="slide", step=2)

# %% slide="slide" show="output"
for L in (1, 2, 5, 6, 9):
    for M in range(1, L + 1):
        for n in range(L, 2 * L + 2):
            wrong = traces.trace_kernel([1.0] * L, [2.0] * M, n).wrong
            assert wrong == list(range(max(0, L + M - 1 - n)))
print("six inputs, four taps: circles of", [(n, max(0, 9 - n)) for n in (6, 7, 8, 9)], "(n, wrong)")

# %% [markdown] slide="notes"
# (4 minutes.) Three; one; nine. Output $t$ also gets what belongs at $t + n$, and there is something
# as long as $t + n \le L + M - 2$. So outputs 0 to $L + M - 2 - n$ are wrong, and $n = L + M - 1$ is
# enough: that is $M - 1$ zeros. A kernel as long as the text needs $2L - 1$; without zeros all outputs
# but the *last* are wrong. The library takes $2L$, one more, as S4's code does. Common answers: six
# wrong; "twice the length is needed, always". Drag the circle's end.

# %% [markdown] slide="slide"
# ## A brilliant model
#
# Toss a coin sixteen times. A layer with a kernel of 16 taps is trained to say each *next* toss; nobody
# can know it. One layer convolves on a circle of 16, one with zeros. **Predict:** which shares do they
# get right on new rows? And when the rest of the row hasn't been tossed yet?

# %% slide="fragment" show="output"
for name, convolution in (("circle of 16", circular_convolve), ("with zeros", fft_convolve)):
    shares = torch.tensor([traces.foretold(convolution, seed) for seed in range(3)])
    whole, begun = shares.T
    assert (whole.min() > 0.99) == (name == "circle of 16")
    assert (shares[:, 1] - 0.5).abs().max() < 0.05
    print(f"{name}: whole rows {whole.mean():.0%} right, not yet tossed {begun.mean():.0%}")

# %% [markdown] slide="notes"
# (4 minutes.) On the circle 100%, and 50% where it counts. It has learnt $K_{15} = 1$: fifteen back, on
# a circle of 16, is one ahead. Common answers: both 50%; "training would show it": training is where it
# shines. The loss of such a model falls to 0, and no curve warns you: **test a model for causality by
# changing its future**.

# %% [markdown] slide="slide"
# ## Zeros enough, and still
#
# Now with $2L$ places, in float32. 4,000 tokens, $K_j = 0.99^j$. Silence, and from token 2,000 on inputs
# of 10,000. **Predict:** what are the outputs *before* token 2,000? And if only the last token is NaN,
# "not a number": how many outputs are NaN?

# %% slide="fragment" show="both" volatile=true
K = 0.99 ** torch.arange(4000, dtype=double)[None]
loud = torch.zeros(1, 4000, 1, dtype=double)
loud[:, 2000:] = 1e4
decay, one = torch.tensor([[[0.99]]]), torch.ones(1, 1)
stepped, _ = recurrence(decay, one, one, loud.float())
by_fft = fft_convolve(loud.float(), K.float())
before = by_fft[0, :2000, 0].abs()
print(
    f"before token 2,000: steps say {stepped[0, :2000].abs().max():.0f}, the FFT {before.max():.3f}"
)
broken = torch.where(torch.arange(4000)[:, None] == 3999, math.nan, loud.float())
nan = [
    int(made.isnan().sum())
    for made in (convolve(broken, K.float()), fft_convolve(broken, K.float()))
]
print(f"last token NaN: {nan[0]} output by the sum, {nan[1]:,} by the FFT")
assert stepped[0, :2000].abs().max() == 0
assert 1e-3 < before.max() < 100
assert nan == [1, 4000]

# %% slide="slide" show="output" alt="Largest output in each stretch of 50 tokens, upwards in powers of ten. Before token 2,000, where the truth is 0, the FFT in float32 says about a tenth, over the whole silence; in float64 below a billionth. From token 2,000 on both climb together to a million."
exact = fft_convolve(loud, K)[0, :, 0].abs()
single = by_fft[0, :, 0].abs()
stretches = {"float32": single, "float64": exact}
drawn = {name: part.reshape(80, 50).amax(1).tolist() for name, part in stretches.items()}
assert min(drawn["float32"][:40]) > 1e-3
assert max(drawn["float64"][:40]) < 1e-7
assert max(drawn["float32"][41:]) > 5e5
title = "The FFT hears a loud token before it comes"
series.lines(
    range(0, 4000, 50),
    drawn,
    title=title,
    x_title="token (from 2,000 on the inputs are 10,000)",
    y_title="largest output of 50",
    marks={"silence ends": 2000},
    log_y=True,
).update_yaxes(exponentformat="power", dtick=3).update_traces(mode="lines")

# %% [markdown] slide="notes"
# (4 minutes.) 0.1 to 1, and all 4,000. Common answers: 0, "there are zeros enough"; one NaN. Each value
# of a spectrum is a sum over *all* tokens, and rounded to 24 bits of its own size. Back in time that
# rounding is spread over all places: it is as large at the quiet ones as at the loud ones.


# %% [markdown] slide="slide"
# ## How much can leak?
#
# Let $\varepsilon = 2^{-24}$, the relative error of one rounding in float32, and $\|x\|$ the root of the sum of squares. An FFT of
# $n$ numbers errs by at most about $7\varepsilon\log_2 n$ of its result's $\|\cdot\|$ (Higham, *Accuracy and
# Stability of Numerical Algorithms*, section 24.1). Follow it: two transforms, a product, the way back,
# which divides by $n$, while $\|\hat x\| = \sqrt n\,\|x\|$:
#
# $$\max_t |\text{error}_t| \;\le\; 7\varepsilon\log_2 n\,\bigl(2\,\|K\|\,\|x\| + \|y\|\bigr)$$
#
# No $t$ on the right: **the error is relative to the loudest, not to each.** A recurrence errs relative
# to what it still holds, and nothing comes before its time.

# %% slide="slide" show="output" alt="Largest leak into the silence against how loud the tokens after it are, both axes in powers of ten. The leak rises in proportion to the loudness, along a line of slope 1; the bound runs parallel, some hundred times higher."
loudness, leak, bound = [10.0**k for k in range(-2, 7)], [], []
unit, n = 2.0**-24, 8000
for size in loudness:
    x = loud * (size / 1e4)
    leak.append(fft_convolve(x.float(), K.float())[0, :2000].abs().max().item())
    circle = torch.fft.irfft(torch.fft.rfft(x[0, :, 0], n) * torch.fft.rfft(K[0], n), n)
    bound.append((7 * unit * math.log2(n) * (2 * K.norm() * x.norm() + circle.norm())).item())
quotients = [small / size for small, size in zip(leak, loudness, strict=True)]
assert max(quotients) < 10 * min(quotients)
assert all(1 < most / small < 1e5 for most, small in zip(bound, leak, strict=True))
title = "Ten times as loud: ten times the leak, and far below the bound"
series.lines(
    loudness,
    {"leak": leak, "bound": bound},
    title=title,
    x_title="inputs after the silence",
    y_title="largest output before",
    slopes={"slope 1": (1, leak[0] / 5)},
    log_x=True,
    log_y=True,
).update_yaxes(exponentformat="power", dtick=2)

# %% [markdown] slide="notes"
# The derivation. With $\delta$ for errors and $c = 7\varepsilon\log_2 n$, to first order: $\delta\hat y = \hat K\,
# \delta\hat x + \delta\hat K\,\hat x$ at each frequency. A value of a row is the mean of $\hat y_k w^{kt}$, so
# it errs by at most $\frac1n \sum_k |\delta\hat y_k| \le \frac1n(\|\hat K\|\|\delta\hat x\| +
# \|\delta\hat K\|\|\hat x\|)$ (Cauchy and Schwarz), and $\le \frac1n \cdot 2c\,\|\hat K\|\|\hat x\| =
# 2c\,\|K\|\|x\|$. The way back adds $c\,\|y\|$, over the whole circle. The product's own rounding is
# smaller by $\log_2 n$. Higham proves it for lengths that are powers of two; for others it is measured
# here. Roundings mostly cancel, hence the distance.
#
# Does it matter? Where layers normalise, all tokens are about equally loud, and it is rounding like any
# other. It matters with spikes, and in tests: "the past may not change at all" fails.

# %% [markdown] slide="slide"
# ## D is one tap; channels are many layers
#
# Most layers hand the input on beside the state, $y_t = C h_t + D x_t$. As $x_t$ meets tap 0 alone, that is
# $K_0 + D$ in place of $K_0$. "Skip", says the literature, for this and two other things.
#
# A token has many numbers, *channels*. S4 gives **each channel a system of its own**: $H$ channels with
# states of $N$ numbers keep $H N$, and no channel sees another; the next layer mixes them.

# %% slide="same" show="both"
x, K, D = torch.randn(2, 100, 5), torch.randn(5, 100), torch.randn(5)
with_D = K.clone()
with_D[:, 0] += D
assert torch.allclose(fft_convolve(x, K, D), fft_convolve(x, with_D), atol=1e-4)

layer = S4D(channels=5, d_state=16)
moved = layer(x + torch.tensor([1.0, 0, 0, 0, 0])) - layer(x)
assert moved[..., 1:].abs().max() < 1e-4 < moved[..., 0].abs().min()
per_channel = sum(p.numel() for p in layer.parameters()) / 5
assert per_channel == 2 * 16 + 2
print(f"a kernel of any length from {per_channel:.0f} numbers a channel")

# %% [markdown] slide="slide"
# ## A kernel without powers
#
# With a full matrix each tap costs $N^2$ products, one tap after the other. Let $\bar A = V \Lambda V^{-1}$
# with a diagonal $\Lambda$. Then $\bar A^j = V \Lambda^j V^{-1}$, and
#
# $$K_j = \sum_n (CV)_n (V^{-1}\bar B)_n\,\lambda_n^j$$
#
# $N$ products a tap, and no tap waits. The spring's two $\lambda$ are arrows that turn and shrink, mirror
# images of each other: that is its dying wave. **S4D** learns $\Lambda$ at once, and never a full matrix.

# %% slide="same" show="output"
A_bar, B_bar, C = springs["little friction"]
values, V = torch.linalg.eig(A_bar)
weights = (C + 0j) @ V * torch.linalg.solve(V, B_bar + 0j)
taps = (weights[:, None] * values[:, None] ** torch.arange(48)).sum(0)
assert torch.allclose(taps.real, kernels["little friction"])
assert taps.imag.abs().max() < 1e-12
assert abs(values[0] - values[1].conj()) < 1e-12
turn = values[0].angle().abs().item() * 180 / math.pi
print(
    f"each step: length times {values[0].abs():.3f}, {turn:.0f}° on; {360 / turn:.1f} steps a turn"
)

# %% [markdown] slide="slide"
# ## Straight to the spectrum
#
# We need $\hat K$, not $K$. At a point with $z^L = 1$ the taps are a geometric sum of matrices:
#
# $$\sum_{j=0}^{L-1} C \bar A^j z^j \bar B = \underbrace{C (I - \bar A^L)}_{\tilde C}\,(I - \bar A z)^{-1} \bar B$$
#
# The bilinear step of chapter 13, $\bar A = (I - \frac\Delta2 A)^{-1}(I + \frac\Delta2 A)$,
# $\bar B = (I - \frac\Delta2 A)^{-1}\Delta B$, put in and multiplied out:
#
# $$(I - \bar A z)^{-1} \bar B = \bigl[(1 - z) I - (1 + z)\tfrac\Delta2 A\bigr]^{-1} \Delta B$$
#
# With a diagonal $A$ that is **one division** for each $n$ and $z$: a *Cauchy matrix*. S4's $A$ is diagonal
# plus a matrix of rank 1, which costs one correction (S4 paper, section 3).

# %% slide="same" show="both"
rates, C = torch.tensor([-0.5 + 3j, -0.5 - 3j, -2]), torch.tensor([1 + 1j, 1 - 1j, 2])
rates, C = (part.to(torch.complex128) for part in (rates, C))
delta, L = torch.tensor(0.1, dtype=double), 64
A_bar, _ = discretize_diagonal(rates, torch.ones_like(rates), delta, "bilinear")
z = torch.exp(-2j * math.pi * torch.arange(L, dtype=double) / L)[:, None]
spectrum = (C * (1 - A_bar**L) * delta / ((1 - z) - (1 + z) * delta / 2 * rates)).sum(1)
powers = s4d_kernel(rates[None], torch.ones_like(rates)[None], C[None], delta[None], L, "bilinear")
assert torch.allclose(2 * torch.fft.ifft(spectrum).real, powers[0])  # it doubles the real part

# %% [markdown] slide="notes"
# Why the sum: $(I + M + \dots + M^{L-1})(I - M) = I - M^L$ with $M = \bar A z$, and $z^L = 1$. Why the second
# line: $I - \bar A z = (I - \frac\Delta2 A)^{-1}\bigl[(I - \frac\Delta2 A) - z (I + \frac\Delta2 A)\bigr]$,
# whose inverse ends in $(I - \frac\Delta2 A)$, and meets $\bar B$'s inverse of it. Rank 1: $(G + PQ)^{-1} =
# G^{-1} - G^{-1}P(1 + QG^{-1}P)^{-1}QG^{-1}$, Woodbury's identity; multiply by $G + PQ$ to see it.

# %% slide="slide" show="output"
Lambda, P, B = (part[None] for part in nplr_legs(8))  # chapter 15's matrix, 8 × 8
C, delta = torch.randn(1, 4, dtype=torch.complex128), torch.tensor([0.05], dtype=double)
A_full, B_full, C_full = dense_system(Lambda, P, B, C)
A_bar, B_bar = discretize_dense(A_full, B_full, delta, "bilinear")
dense = ssm_kernel(A_bar, B_bar, C_full, 500)[0]
values, V = torch.linalg.eig(A_bar[0])
weights = C_full[0] @ V * torch.linalg.solve(V, B_bar[0])
diagonal = (weights[:, None] * values[:, None] ** torch.arange(500)).sum(0).real
cauchy = s4_kernel(Lambda, P, B, C, delta, 500)[0]
assert (dense - diagonal).abs().max() < 1e-9 > (dense - cauchy).abs().max()
assert 1e4 < torch.linalg.cond(V) < 1e6
print("one kernel, three ways:", [f"{tap:.4f}" for tap in dense[:4]])

# %% [markdown] slide="notes"
# Powers of a full matrix, a sum of eight exponentials, Cauchy's divisions: the same 500 taps. The middle
# way loses about five digits here, the condition of $V$ being near 77,000, and all of them for larger
# matrices of this kind; hence S4's detour. Why is chapter 15's.

# %% [markdown] slide="slide"
# ## What does it cost?
#
# A row of $L$ tokens, the kernel given: as a product with an $L \times L$ matrix, $L^2$; by FFT, three
# transforms of $2L$; step by step, $L$ times $N^2$. **Predict:** from which length on does the FFT
# overtake the matrix? 16, 128, 2,048?


# %%
def milliseconds(work):
    return 1000 * sorted(repeat(work, timer=process_time, number=1, repeat=5))[2]


lengths, times = [2**k for k in range(4, 12)], {"matrix": [], "FFT": [], "steps": []}
A_bar, B_bar = 0.2 * torch.rand(8, 4, 4), torch.randn(8, 4)
for L in lengths:
    x, K = torch.randn(4, L, 8), torch.randn(8, L)
    lag = torch.arange(L)[:, None] - torch.arange(L)
    matrix = torch.where(lag >= 0, K[:, lag.clamp(min=0)], 0.0)  # K_{t−s}, (channels, L, L)
    rows = x.permute(2, 1, 0).contiguous()
    assert torch.allclose((matrix @ rows).permute(2, 1, 0), fft_convolve(x, K), atol=1e-2)
    times["matrix"].append(milliseconds(lambda: matrix @ rows))  # noqa: B023
    times["FFT"].append(milliseconds(lambda: fft_convolve(x, K)))  # noqa: B023
    times["steps"].append(milliseconds(lambda: recurrence(A_bar, B_bar, B_bar, x)))  # noqa: B023

# %% slide="fragment" show="output" alt="Milliseconds against the length from 16 to 2,048 tokens, both axes logarithmic. The matrix is fastest for short rows and climbs steeply, along a guide of slope 2; the FFT climbs slowly and is far below it at 2,048; the steps, token by token in Python, climb with slope 1."
assert times["matrix"][0] < times["FFT"][0]
assert times["FFT"][-1] < times["matrix"][-1] / 4
assert times["FFT"][-1] < times["steps"][-1] / 10
title = "Short rows favour the matrix, long ones the FFT"
series.lines(
    lengths,
    times,
    title=title,
    x_title="tokens",
    y_title="milliseconds",
    slopes={"slope 2": (2, times["matrix"][-1] / 3 / 128**2)},
    log_x=True,
    log_y=True,
).update_yaxes(exponentformat="power")

# %% [markdown] slide="notes"
# (3 minutes.) Between 64 and 256 on most laptops, with 4 texts of 8 channels. Common answers: 16, "the
# logarithm always wins"; 2,048. The steps' line is Python's: 2,048 small products that wait for each
# other. A step does less arithmetic than either; chapter 17 has the other way to be parallel.

# %% [markdown] slide="slide"
# ## And the next token?
#
# A prompt of 200 tokens has been convolved, all its outputs are there. **Predict:** what do you need for
# the output of token 200? The last output? The last *state*? All inputs?


# %% slide="fragment" show="both"
layer, x = S4D(channels=3, d_state=8), torch.randn(1, 300, 3)
with torch.no_grad():
    whole = layer(x)  # trained like this: no state was ever made
    rates, B, _, delta = layer.system()
    A_bar, B_bar = discretize_diagonal(rates, B, delta[:, None])
    powers = A_bar[..., None] ** torch.arange(199, -1, -1)  # input s has 199 − s steps to go
    state = torch.einsum("cnl,blc->bcn", powers, x[:, :200] + 0j) * B_bar
    for t in range(200, 300):
        y_t, state = layer.step(x[:, t], state)  # a token's work, whatever came before
        assert torch.allclose(y_t, whole[:, t], atol=1e-4)
print(f"kept a channel: {state.shape[-1]} complex numbers, not 200 inputs")

# %% [markdown] slide="notes"
# (4 minutes.) All inputs, and 201 products for each channel; *or* the state, 8 numbers a channel, which
# the convolution has never formed. It is one weighted sum, $h_{199} = \sum_j \bar A^j \bar B x_{199-j}$:
# no FFT, as only the last is asked. The last output is one number of it and doesn't do. Common answers:
# the last output; "start again". Same weights: trained as a convolution, run as a recurrence.

# %% [markdown] slide="slide"
# ## When steps change
#
# $y = Kx$ with a matrix whose every diagonal is one number: that is a kernel. Mamba (chapter 19) chooses
# $\Delta$ for each token, so each step has an $\bar A_t$ of its own: input $s$ acts on output $t$ by $C \bar
# A_t \cdots \bar A_{s+1} \bar B_s$. **Predict:** is there still a matrix? A kernel? An FFT?

# %% slide="fragment" show="output" alt="Two lower triangles of 16 by 16 coloured squares: what each input does to each output. Left, with a fixed step, every diagonal has one colour. Right, with changing steps, the diagonals are mottled. In both the lower left quarter is framed, and marked rank 4."
rates = torch.tensor([-0.3 + 1j, -0.15 + 2j], dtype=torch.complex128)  # two pairs: N = 4
C, pair, spread = torch.randn(1, 2, dtype=torch.complex128).expand(16, 2), {}, {}
for name, deltas in (("a fixed step", torch.full((16,), 0.6)), ("changing steps", torch.rand(16))):
    A_bar = torch.exp(2 * deltas[:, None].to(double) * rates)
    matrix = traces.matrix_of_steps(A_bar, torch.ones_like(A_bar), C).real
    assert torch.linalg.matrix_rank(matrix[8:, :8], rtol=1e-9) == 4
    spread[name] = max(matrix.diagonal(-lag).std().item() for lag in range(1, 12))
    pair[name] = matrix.numpy()
assert spread["a fixed step"] < 1e-12 < 0.1 < spread["changing steps"]
title = "Changing steps break the diagonals; the corner keeps its rank"
figures.matrices(pair, 8, "rank 4", title)

# %% [markdown] slide="notes"
# (3 minutes.) A matrix, yes; no kernel, so no FFT. Common answers: "then it isn't linear"; "one kernel a
# token", which is the matrix. The frame is what the first half does to the second: a factor of $N$
# columns times one of $N$ rows, since all of it passes through the state at the border. So its rank is
# $N$ at most: that little is the price of a continuation. Mamba-2 computes with this matrix; Mamba, with
# a scan.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. From an empty state a recurrence with a fixed step *is* a convolution, with $K_j = C\bar A^j\bar B$;
#    $D$ is one more on $K_0$. Train it as one, run it as the other, and hand over the state.
# 2. An FFT turns it into $n$ products on a circle. $L + M - 1$ places keep the ends apart; fewer let a
#    model read its future.
# 3. In float32 a convolution by FFT isn't causal: it errs relative to the loudest output, at every place.

# %% [markdown]
# ## Self-test
#
# 1. $\bar A = 0.9$, $\bar B = 2$, $C = 1$, $D = 5$: the first three taps?
# 2. A thousand inputs, ten taps, a circle of 1,004: which outputs are wrong?
# 3. Two such layers one after the other, nothing between them: what are they?
# 4. One spike of $10^6$ in a text of ones: would you use the FFT?
#
# <details><summary>Answers</summary>
#
# 1. 7, 1.8, 1.62.
# 2. The first five: 0 to 4.
# 3. One: its kernel is the convolution of both. So real models put something that isn't linear between.
# 4. Not in float32: an error near 0.1 falls on every output.
#
# </details>
#
# **Next.** *Which $A$ should a model begin with, so that its state remembers the past?* (Chapter 15.)
# First [the exercises](../work/14_ssm_convolution.ipynb); [chapter 17](17_parallel_scan.ipynb) has the
# other way to be parallel, for steps that change.

# %% [markdown] to="exercise"
# # 14 · A state space model as a convolution: exercises
#
# Six exercises on [the lesson](../course/14_ssm_convolution.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("14.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only the
# example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="14.1" role="prompt" title="The kernel, with its skip" difficulty=1 minutes=8 points=2
# One layer, one channel: $h_t = \bar A h_{t-1} + \bar B x_t$ and $y_t = C h_t + D x_t$, from $h_{-1} = 0$.
# Write `kernel(A_bar, B_bar, C, D, length)`: the first `length` taps of the kernel that gives the same
# outputs, $D$ included, as one tensor. `A_bar` is (n, n), `B_bar` and `C` are (n,), `D` is a number,
# `length` is at least 1. $\bar A$ may be any matrix: not every one has a basis of eigenvectors, or an inverse.
#
# ```python
# half, one = torch.tensor([[0.5]]), torch.tensor([1.0])
# kernel(half, one, 4 * one, 3.0, 4)  # [7.0, 2.0, 1.0, 0.5]
# ```


# %% exercise="14.1" role="answer"
def kernel(A_bar, B_bar, C, D, length):
    """The taps K_0 … K_{length − 1}, the skip folded in."""
    ### BEGIN SOLUTION
    column, taps = B_bar, []
    for _ in range(length):
        taps.append(C @ column)
        column = A_bar @ column
    taps[0] = taps[0] + D
    return torch.stack(taps)
    ### END SOLUTION


# %% exercise="14.1" role="check"
check("14.1", kernel)

# %% [markdown] exercise="14.2" role="prompt" title="Predict the smallest circle" difficulty=2 minutes=10 points=2
# `n_inputs` inputs are convolved with a kernel of `n_taps` taps on a circle of $n$ places, and its first
# `n_inputs` places are read as the outputs. Taps that could only act after the last output are cut off
# beforehand. Of the outputs, those before number `first` will be thrown away: they may be wrong. Write
# `fewest_places(n_inputs, n_taps, first)`: the smallest $n$, at least `n_inputs`, with which all the others are
# right, *whatever* the inputs and the taps. `first` is from 0 to `n_inputs - 1`. The numbers go up to
# billions.
#
# ```python
# fewest_places(6, 4, first=0)  # 9
# fewest_places(6, 4, first=1)  # 8
# ```


# %% exercise="14.2" role="answer"
def fewest_places(n_inputs, n_taps, first):
    """The smallest circle on which outputs `first` and later are right."""
    ### BEGIN SOLUTION
    taps = min(n_taps, n_inputs)
    return max(n_inputs, n_inputs + taps - 1 - first)
    ### END SOLUTION


# %% exercise="14.2" role="check"
check("14.2", fewest_places)

# %% [markdown] exercise="14.3" role="prompt" title="Find the bugs: many channels by FFT" difficulty=2 minutes=12 points=3
# `x` is (seq, channels), `kernel` (channels, taps) with one kernel a channel, `D` (channels,). Any of the
# three sizes may be 1, and there may be more taps than tokens. The function should return the outputs
# $y_t = \sum_j K_j x_{t-j} + D x_t$ of each channel, (seq, channels). It has several mistakes. Mend them, or
# write it anew, without the FFT if you like.
#
# ```python
# def long_convolution(x, kernel, D):
#     places = max(len(x), kernel.shape[1])
#     spectrum = torch.fft.rfft(x, n=places)
#     response = torch.fft.rfft(kernel, n=places).T
#     y = torch.fft.irfft(spectrum * response, dim=0)
#     return y + D
# ```


# %% exercise="14.3" role="answer"
def long_convolution(x, kernel, D):
    """The outputs of all channels, (seq, channels)."""
    ### BEGIN SOLUTION
    places = len(x) + kernel.shape[1] - 1
    spectrum = torch.fft.rfft(x, n=places, dim=0)
    response = torch.fft.rfft(kernel, n=places).T
    y = torch.fft.irfft(spectrum * response, n=places, dim=0)[: len(x)]
    return y + D * x
    ### END SOLUTION


# %% exercise="14.3" role="check"
check("14.3", long_convolution)

# %% [markdown] exercise="14.4" role="prompt" title="Straight to token one billion" difficulty=2 minutes=10 points=3
# Nearly all inputs of a layer are 0. `knocks` is a list of pairs `(s, value)`: $x_s$ = value, for tokens
# $s \ge 0$ in any order; no token stands twice. Write `output_at(A_bar, B_bar, C, knocks, t)`: the output $y_t$
# alone, a number. The state was 0 before token 0, and there is no $D$. `t` may be a billion: don't step
# there. The tensors are those of 14.1, in float64.
#
# ```python
# half, one = torch.tensor([[0.5]]).double(), torch.tensor([1.0]).double()
# output_at(half, one, one, [(0, 8.0), (2, 1.0)], t=3)  # 1.5
# ```


# %% exercise="14.4" role="answer"
def output_at(A_bar, B_bar, C, knocks, t):
    """y_t of inputs that are nearly all 0."""
    ### BEGIN SOLUTION
    y = 0.0
    for s, value in knocks:
        if s <= t:
            y += value * (C @ torch.linalg.matrix_power(A_bar, t - s) @ B_bar).item()
    return y
    ### END SOLUTION


# %% exercise="14.4" role="check"
check("14.4", output_at)

# %% [markdown] exercise="14.5" role="prompt" title="The matrix of changing steps" difficulty=3 minutes=12 points=3
# The state is one number, and every step has an $a_t$, $b_t$ and $c_t$ of its own: $h_t = a_t h_{t-1} + b_t
# x_t$ and $y_t = c_t h_t$, from $h_{-1} = 0$. Write `matrix(a, b, c)`: the $L \times L$ tensor $M$ with $y = M x$
# for every $x$. `a`, `b`, `c` are tensors of $L \ge 1$ numbers in float64. An $a_t$ may be 0, which forgets all
# before it, or below 0.
#
# ```python
# a, one = torch.tensor([9.0, 0.5, 0.0]).double(), torch.ones(3).double()
# matrix(a, one, one)  # [[1, 0, 0], [0.5, 1, 0], [0, 0, 1]]
# ```


# %% exercise="14.5" role="answer"
def matrix(a, b, c):
    """M with y = M x."""
    ### BEGIN SOLUTION
    columns = []
    for s in range(len(a)):
        h, outputs = 0.0, []
        for t in range(len(a)):
            h = a[t] * h + (b[t] if t == s else 0.0)
            outputs.append(float(c[t] * h))
        columns.append(outputs)
    return torch.tensor(columns, dtype=torch.float64).T
    ### END SOLUTION


# %% exercise="14.5" role="check"
check("14.5", matrix)

# %% [markdown] exercise="14.6" role="prompt" title="Prove by test: is there a kernel?" difficulty=3 minutes=14 points=4
# `layer(x)` takes a list of 1 to 12 whole numbers from −9 to 9 and returns a list as long. Write
# `has_kernel(layer)`: True only if there are taps $K_0, \dots, K_{11}$, the same for every list, so that the
# outputs are $y_t = \sum_{j=0}^{t} K_j x_{t-j}$, *exactly*. Return False, don't `assert`.
#
# The check hands over layers that have a kernel, and others. Each of the others is wrong for at least one
# in four of the lists of some length.


# %% exercise="14.6" role="answer"
def has_kernel(layer):
    """Whether layer(x) is a causal convolution with one kernel."""
    ### BEGIN SOLUTION
    taps = layer([1] + [0] * 11)
    draw = torch.Generator().manual_seed(0)
    for length in list(range(1, 13)) * 20:
        x = torch.randint(-9, 10, (length,), generator=draw).tolist()
        y = [sum(taps[j] * x[t - j] for j in range(t + 1)) for t in range(length)]
        if list(layer(x)) != y:
            return False
    return True
    ### END SOLUTION


# %% exercise="14.6" role="check"
check("14.6", has_kernel)
