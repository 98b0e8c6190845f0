# %% [markdown] slide="slide"
# # 14 · A state space model as a convolution
#
# *A layer that steps: can all its outputs be had at once, without a single state?*

# %% [markdown] slide="same"
# **The problem.** Chapter 13's layer reads 4,096 tokens in 4,096 steps, each of which waits for the
# one before. In training all tokens are known: why wait? Unrolled, each output is a sum over
# inputs, with weights that can be had beforehand, a *convolution*; a *Fourier transform* makes
# products of single numbers of it. But the end of a text may reach its beginning, a loud token may
# be heard before it comes, and there is no state to go on from.

# %% [markdown]
# **You will be able to** read a layer's kernel off its recurrence, with proof; explain the FFT; say
# how many zeros keep a text's ends apart, and what rounding leaks into the past; make the kernel of
# dense, diagonal and nearly diagonal systems; continue a text.
#
# **You need** [chapter 12](12_sequence_models.ipynb), matrices and eigenvectors. Of [chapter
# 13](13_state_space_models.ipynb) this: a state space model's step of length $\Delta$ makes $\bar
# A$ and $\bar B$ of its equation $h' = Ah + Bx$.
#
# **Time**: 55 minutes, and 65 more for the exercises in
# [work/14_ssm_convolution.ipynb](../work/14_ssm_convolution.ipynb), your copy of
# [these](../exercises/14_ssm_convolution.ipynb).


# %%
import itertools
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
# Let the state be one number, at first 0, with $\bar A = \tfrac12$, $\bar B = 1$, $C = 4$. The
# inputs are 3, 0, 1, 2. **Predict** the outputs. And how much of the last is owed to the first
# input?

# %% slide="fragment" show="output"
h, y = 0.0, []
for x_t in (3, 0, 1, 2):
    h = 0.5 * h + x_t
    y.append(4 * h)
unrolled = 4 * 2 + 2 * 1 + 1 * 0 + 0.5 * 3
assert y[-1] == unrolled
print(f"outputs: {y}\nthe last, unrolled: 4·2 + 2·1 + 1·0 + ½·3 = {unrolled}")

# %% [markdown] slide="notes"
# (3 minutes.) 12, 6, 7, 11.5; the first input has been halved three times and makes 4 · 3 / 8 = 1.5
# of it. Common answers: 12, "it is still in there"; nothing, "it was overwritten". From the
# inside: $y_3 = 4(2 + \frac12(1 + \frac12(0 + \frac12 \cdot 3)))$. The weights 4, 2, 1, ½ know
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
# A row, matrices, a column: each $K_j$ is *one number*, whatever the size of the state. They are
# the layer's *kernel*, its *taps*: what an input still does after $j$ steps.


# %% [markdown] slide="slide"
# ## Knock it once
#
# Chapter 12's weight on a spring, now with friction: its state is a place and a speed, an input
# pushes it, the output is its place. Let the input be 1 once, and then 0. **Predict:** what comes
# out?


# %%
def kernel_of(A_bar, B_bar, C, length):
    column, taps = B_bar, []
    for _ in range(length):
        taps.append(C @ column)
        column = A_bar @ column  # Ā^j B̄: no power is ever made
    return torch.stack(taps)


# %%
B, C = torch.tensor([0.0, 1.0], dtype=double), torch.tensor([1.0, 0.0], dtype=double)
springs = {}
for name, friction in (("little friction", 0.4), ("much friction", 8.0)):
    A = torch.tensor([[0.0, 1.0], [-4.0, -friction]], dtype=double)  # v' = −4 place − friction · v
    springs[name] = *discretize_dense(A, B, 0.25), C
kernels = {name: kernel_of(*system, 48) for name, system in springs.items()}

knock = torch.zeros(1, 48, 1, dtype=double)
knock[0, 0] = 1
for name, system in springs.items():
    of_channel = [part[None] for part in system]  # the library has a system for each channel
    assert torch.allclose(recurrence(*of_channel, knock)[0][0, :, 0], kernels[name])
    assert torch.allclose(ssm_kernel(*of_channel, 48)[0], kernels[name])

# %% slide="fragment" show="output" alt="Output of two springs after one knock, over 48 tokens. With little friction a wave that dies out slowly, going above and below 0; with much friction a small bump that creeps back to 0 from above."
assert (kernels["little friction"] < -0.01).any()
assert (kernels["much friction"] > 0).all()
title = "Knocked once, a layer plays its kernel"
shown = {name: taps.tolist() for name, taps in kernels.items()}
series.lines(range(48), shown, title=title, x_title="token", y_title="the place")

# %% [markdown] slide="notes"
# (3 minutes.) The kernel: with $x_0 = 1$ alone the sum has one term, $y_t = K_t$, the *impulse
# response*. Common answers: one 1 and then 0; a wave that never ends. Two numbers of state, and as
# many taps as there are tokens, none of them stored.

# %% slide="slide" show="output" alt="A row of six inputs and three zeros; below it the kernel of four taps, turned round so that its first tap stands under the newest input. Products of what lies one above the other add up to one output; six outputs as bars, all right. The kernel slides by one place a step."
trace = traces.trace_kernel([3, 0, 1, 2, 1, 2], [8, 4, 2, 1], 9)
assert trace.wrong == []
title = "The kernel slides; each output is a sum of products"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=9, view="slide", step=4)

# %% [markdown] slide="notes"
# Turned round, tap 0 lies under the newest input.


# %%
def slid(x, K):
    """y_t = Σ_j K_j x_{t−j}: a sum for each output, none waits for another."""
    return torch.stack([sum(K[j] * x[t - j] for j in range(t + 1)) for t in range(len(x))])


x, K = torch.randn(48, dtype=double), kernels["little friction"]
y, tokens = slid(x, K), x[None, :, None]  # (batch, seq, channels)
of_channel = [part[None] for part in springs["little friction"]]
assert torch.allclose(y, recurrence(*of_channel, tokens)[0][0, :, 0])  # the steps
assert torch.allclose(y, convolve(tokens, K[None])[0, :, 0])  # the library's sum

# %% [markdown] slide="slide"
# ## You have done it at school
#
# These sums take $L^2/2$ products. Can it be less? Multiply 21 by 13 without carrying. Ones: $1
# \cdot 3$. Tens: $1 \cdot 1 + 2 \cdot 3$. Hundreds: $2 \cdot 1$. That is 3, 7, 2: the digits 1, 2
# slid over 3, 1. With $z$ for 10: $(1 + 2z)(3 + z) = 3 + 7z + 2z^2$. In general
#
# $$K(z)\,x(z) = \sum_j \sum_s K_j x_s z^{j+s}, \quad\text{where } z^t
# \text{ has the factor } \sum_j K_j x_{t-j} = y_t$$
#
# **A convolution is a product of polynomials.** And at *one* $z$ it is one product of two numbers:
# $21 \cdot 13 = 273$.

# %% [markdown] slide="slide"
# ## Points in place of powers
#
# So: put $n$ numbers in for $z$, multiply value by value, find the polynomial with these $n$
# values. Powers of 10 grow; those of 1 and −1 don't, but we need $n$.
#
# A *complex number* is an arrow in the plane. Multiplied, **lengths multiply, angles add**. `1j`,
# of length 1 straight up, is a quarter turn; its square is −1. Let $w = \cos\frac{2\pi}{n} + i
# \sin\frac{2\pi}{n}$, the $n$-th part of a turn. So $w^n = 1$, and $1, w, \dots, w^{n-1}$ stay on
# the circle.

# %% [markdown] slide="notes"
# Of the polynomials with $n$ coefficients only one has these values: the difference of two would be
# 0 at $n$ places.

# %% [markdown] slide="slide"
# ## There, and back
#
# The values of $x$ at these points are its *discrete Fourier transform*, $\hat x_k = \sum_s x_s
# w^{-ks}$. The way back is $x_t = \frac1n \sum_k \hat x_k w^{kt}$. Put in the first:
#
# $$\frac1n \sum_k \hat x_k w^{kt} = \frac1n \sum_s x_s \sum_{k=0}^{n-1} r^k, \qquad r = w^{t-s}$$
#
# As $r^n = 1$, the inner sum $S$ has $rS = S$: it is 0, unless $r = 1$. That is so for $s = t$
# alone, and then $S = n$. What remains is $x_t$. So $x$ is a sum of waves, and $\hat x_k$ says how
# much of the one that turns $k$ times.

# %% [markdown] slide="slide"
# ## The fast way
#
# Each way takes $n^2$ products, so far. Split $x(z) = e(z^2) + z\,o(z^2)$ into even and odd places.
# **Predict:** for 8 points $z$, how many different $z^2$ are there?

# %% slide="fragment" show="output" alt="Left, eight points evenly on a circle, numbered 0 to 7. Right, their squares: only four places on the circle, each hit twice, by points 0 and 4, 1 and 5, 2 and 6, 3 and 7."
points = torch.exp(2j * math.pi * torch.arange(8, dtype=double) / 8)
assert abs(points**8 - 1).max() < 1e-12
assert abs(points[:4] ** 2 - points[4:] ** 2).max() < 1e-12  # each hit twice
assert abs(points[:4] ** 2 - points[::2]).max() < 1e-12  # on four places
figures.squared(points.numpy(), "Squared, eight points lie on four")

# %% [markdown] slide="notes"
# (3 minutes.) Four: $z$ and $-z$ have one square. Common answers: eight; sixteen. So two transforms
# of half the length, and a product for each pair of points: $M(n) = 2M(\frac n2) + \frac n2 = \frac
# n2 \log_2 n$: 11,264 products instead of four million for $n = 2048$. This *fast* way is the FFT.


# %% [markdown] slide="slide"
# ## The FFT, and what it is for


# %% slide="same"
def fft(x):
    n = len(x)
    if n == 1:
        return x
    even, odd = fft(x[::2]), fft(x[1::2])
    odd = torch.exp(-2j * math.pi * torch.arange(n // 2, dtype=double) / n) * odd
    return torch.cat((even + odd, even - odd))  # at z, and at −z


# %% slide="same"
def by_products(x, K, n):
    padded = [torch.cat((part, part.new_zeros(n - len(part)))) + 0j for part in (x, K)]
    product = fft(padded[0]) * fft(padded[1])  # value by value
    return (fft(product.conj()).conj() / n).real[: len(x)]  # the same points, the other way round


assert torch.allclose(fft(x[:32] + 0j), torch.fft.fft(x[:32]))
assert torch.allclose(by_products(x, K, 128), y)
assert torch.allclose(fft_convolve(tokens, K[None])[0, :, 0], y)  # the library's
assert 2048 // 2 * 11 == 11_264

# %% slide="slide" show="output" alt="The same inputs and kernel. Five columns of three clock hands each, one for each frequency: the kernel's hand, the inputs' hand, and the product's. In each column lengths multiply and angles add. Below, six outputs as bars, summed from the waves so far."
assert abs(trace.kernel * trace.inputs - trace.product).max() < 1e-12
assert abs(trace.partial[-1] - trace.truth).max() < 1e-9  # all waves: the outputs
title = "At each frequency one product: lengths multiply, angles add"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=9, view="product", step=2)

# %% [markdown] slide="notes"
# Each wave that is added bends the bars towards the outputs; with the last they are right. T goes
# back to the slide. For real numbers frequencies $k$ and $n - k$ are mirror images, so half of them
# is enough: `rfft`.

# %% [markdown] slide="slide"
# ## The end reaches the beginning
#
# By hand, with $n = 2$: at 1 and −1, $3 + z$ is 4 and 2, $1 + 2z$ is 3 and −1. Products: 12 and −2.
# So $y_0 + y_1 = 12$, $y_0 - y_1 = -2$: 5, 7. Not 3, 7, 2! Here $z^2 = 1$, so the 2 has fallen on
# the 3. What belongs to place $t + n$ is added at place $t$: the places form a circle.
#
# **Predict** for six inputs and four taps: how many of the six outputs are wrong on a circle of 6?
# Of 8? On which size are all right?

# %% slide="slide" show="output" alt="The same row closed to a circle of six places, with no zeros. The kernel stands at output 2; its last tap has left on the left and come in again on the right, in red, under the last input. The first three bars of the outputs are red and too high; lines show what they should be." myth="An FFT convolution needs zeros up to twice the length" said="state-spaces/s4 103, of S4's code" truth="L inputs and M taps need L + M − 1 places. With n places the first L + M − 1 − n outputs are wrong, and no others."
assert traces.trace_kernel([3, 1], [1, 2], 2).outputs.round(9).tolist() == [5, 7]
trace = traces.trace_kernel([3, 0, 1, 2, 1, 2], [8, 4, 2, 1], 6)
assert trace.wrong == [0, 1, 2]
assert (trace.outputs[:3] > trace.truth[:3]).all()
for L, M, n in itertools.product(range(1, 8), range(1, 8), range(1, 16)):
    if M <= L <= n:
        wrong = traces.trace_kernel([1.0] * L, [2.0] * M, n).wrong
        assert wrong == list(range(max(0, L + M - 1 - n)))
title = "Without zeros the last inputs act on the first outputs"
piece("kernel", title, text="3 0 1 2 1 2 * 8 4 2 1", n=6, view="slide", step=2)

# %% [markdown] slide="notes"
# (4 minutes.) Three; one; nine. $L$ inputs and $M$ taps make $L + M - 1$ numbers. Output $t$ also
# gets what belongs to $t + n$, and there is something as long as $t + n \le L + M - 2$. So outputs
# 0 to $L + M - 2 - n$ are wrong, and $n = L + M - 1$ is enough: $M - 1$ zeros. A kernel as long as
# the text needs $2L - 1$ places; with $L$ of them all outputs but the *last* are wrong. The library
# takes $2L$, as S4's authors do (state-spaces/s4, issue 103). Common answers: six wrong; "twice the
# length is needed, always". Drag the circle's end.

# %% [markdown] slide="slide"
# ## A brilliant model
#
# Toss a coin sixteen times. A layer with a kernel of 16 taps is trained to say each *next* toss,
# which nobody can know. One convolves on a circle of 16, one with zeros. **Predict:** which share
# do they get right on new rows? And while the rest of a row isn't tossed yet?

# %% slide="fragment" show="output"
for name, convolution in (("circle of 16", circular_convolve), ("with zeros", fft_convolve)):
    whole, begun = torch.tensor([traces.foretold(convolution, seed) for seed in range(3)]).T
    knows = 1.0 if name == "circle of 16" else 0.5
    assert (whole - knows).abs().max() < 0.05 > (begun - 0.5).abs().max()
    print(f"{name}: {whole.mean():.1f} right in whole rows, {begun.mean():.1f} while tossing")

# %% [markdown] slide="notes"
# (4 minutes.) On the circle all, and half where it counts. It has learnt $K_{15} = 1$: fifteen
# back, on a circle of 16, is one ahead. Common answers: half both times; "training would show it":
# training is where it shines, the loss falls to 0. **Test a model for causality: change its
# future.**

# %% [markdown] slide="slide"
# ## Zeros enough, and still
#
# Now $2L$ places, in float32: 4,096 tokens, $K_j = 0.99^j$. Silence, and from token 2,048 on inputs
# of 10,000. **Predict:** what are the outputs *before* token 2,048? And if only the last token is
# NaN, "not a number": how many outputs are NaN?

# %% slide="fragment" show="output" volatile=true
K = 0.99 ** torch.arange(4096, dtype=double)[None]
loud = torch.zeros(1, 4096, 1, dtype=double)
loud[:, 2048:] = 1e4
decay, one = torch.tensor([[[0.99]]]), torch.ones(1, 1)
stepped, _ = recurrence(decay, one, one, loud.float())
by_fft = fft_convolve(loud.float(), K.float())
steps_say, fft_says = (out[:, :2048].abs().max().item() for out in (stepped, by_fft))
print(f"before token 2,048: the steps say {steps_say:.0f}, the FFT up to {fft_says:.2f}")

# %% slide="same" show="output" myth="Zeros at the end make a convolution by FFT causal" said="derivations of S4's training" truth="In exact numbers. In float32 a loud token is heard before it comes, in proportion to its loudness, and one NaN spoils every output."
broken = torch.where(torch.arange(4096)[:, None] == 4095, math.nan, loud.float())
nan = [int(way(broken, K.float()).isnan().sum()) for way in (convolve, fft_convolve)]
print(f"last token NaN: {nan[0]} output by the sum, {nan[1]:,} by the FFT")
assert steps_say == 0
assert 1e-3 < fft_says < 100
assert nan == [1, 4096]

# %% slide="slide" show="output" alt="Largest output in each stretch of 64 tokens, upwards in powers of ten. Before token 2,048, where the truth is 0, the FFT in float32 says more than a thousandth, over the whole silence; in float64 less than a ten-millionth. From token 2,048 on both climb together, beyond half a million."
drawn = {}
for name, way in (("float32", by_fft), ("float64", fft_convolve(loud, K))):
    drawn[name] = way[0, :, 0].abs().reshape(64, 64).amax(1).tolist()
assert min(drawn["float32"][:32]) > 1e-3
assert max(drawn["float64"][:32]) < 1e-7
assert max(drawn["float32"]) > 5e5
figures.silence(drawn, 2048, "The FFT hears a loud token before it comes")

# %% [markdown] slide="notes"
# (4 minutes.) Some tenths here, and all 4,096. Common answers: 0, "there are zeros enough"; one
# NaN. Each value of a spectrum is a sum over *all* tokens, rounded to 24 bits of its own size. On
# the way back that rounding is spread evenly over quiet places and loud ones.

# %% [markdown] slide="slide"
# ## How much can leak?
#
# Let $\varepsilon = 2^{-24}$, one rounding's relative error in float32, and $\|x\|$ the root of a
# sum of squares. Our FFT of $n$ numbers, a power of 2, errs by at most $7\varepsilon \log_2 n$ of
# its result's $\|\cdot\|$ (Higham, *Accuracy and Stability of Numerical Algorithms*, theorem 24.2).
# Two of them, a product, the way back:
#
# $$\max_t |\text{error}_t| \;\le\; 7\varepsilon \log_2 n\,\bigl(2\,\|K\|\,\|x\| + \|y\|\bigr)$$
#
# No $t$ on the right: **the error is relative to the loudest, not to each.** A recurrence errs
# relative to what it holds, and nothing comes before its time.

# %% slide="slide" show="output" alt="Largest leak into the silence against how loud the tokens after it are, both axes in powers of ten. The leak rises in proportion to the loudness, along a line of slope 1; the bound runs parallel, far above it."
loudness = [10.0**k for k in range(-2, 7)]
leak, bound = zip(*(traces.leak(loud * (size / 1e4), K, 2048) for size in loudness), strict=True)
shares = [out / size for out, size in zip(leak, loudness, strict=True)]
assert max(shares) < 5 * min(shares)  # in proportion
assert all(10 < most / out < 1e5 for most, out in zip(bound, leak, strict=True))
knocked, truth = loud.roll(2048, dims=1) * (torch.arange(4096) == 0)[:, None], 1e4 * 0.99**3000
late = recurrence(decay, one, one, knocked.float())[0][0, 3000].item()
assert abs(late / truth - 1) < 1e-3  # the steps hold what is left, however little
assert abs(fft_convolve(knocked.float(), K.float())[0, 3000].item() / truth - 1) > 1
figures.leaks(loudness, leak, bound, "Ten times as loud: about ten times the leak")

# %% [markdown] slide="notes"
# The derivation, to first order, with $\delta$ for errors and $c = 7\varepsilon\log_2 n$. At each
# frequency $\delta\hat y = \hat K\,\delta\hat x + \delta\hat K\,\hat x$. An output is
# $\frac1n\sum_k \hat y_k w^{kt}$, so it errs by at most $\frac1n \sum_k |\delta\hat y_k| \le
# \frac1n(\|\hat K\|\|\delta\hat x\| + \|\delta\hat K\|\|\hat x\|) \le \frac{2c}n\|\hat K\|\|\hat
# x\| = 2c\,\|K\|\|x\|$: Cauchy and Schwarz, then $\|\hat x\| = \sqrt n\,\|x\|$.

# %% [markdown] slide="notes"
# The way back adds $c\,\|y\|$, over the whole circle; the product's own rounding is smaller by
# $\log_2 n$. Roundings mostly cancel, hence the distance. PyTorch's FFT splits
# otherwise; for it the bound is measured. Where layers normalise, tokens are about
# equally loud, and it is rounding like any other. It matters with spikes, and in tests of
# causality.

# %% [markdown] slide="slide"
# ## D is one tap; channels are many layers
#
# Most layers hand the input on beside the state, $y_t = C h_t + D x_t$. As $x_t$ meets tap 0 alone,
# that is $K_0 + D$ in place of $K_0$.
#
# A token has many numbers, *channels*. S4 (Gu, Goel and Ré, 2022) gives **each channel a system of
# its own**: $H$ channels hold $H$ states of $N$ numbers, and none sees another; the next layer
# mixes them. A few numbers a channel make a kernel of any length.

# %% slide="same" show="both"
x, K, D = torch.randn(2, 100, 5), torch.randn(5, 100), torch.randn(5)
with_D = torch.cat((K[:, :1] + D[:, None], K[:, 1:]), dim=1)
assert torch.allclose(fft_convolve(x, K, D), fft_convolve(x, with_D), atol=1e-4)

layer = S4D(channels=5, d_state=16)
moved = layer(x + torch.tensor([1.0, 0, 0, 0, 0])) - layer(x)
assert moved[..., 1:].abs().max() < 1e-4 < moved[..., 0].abs().max()
assert sum(p.numel() for p in layer.parameters()) == 5 * (2 * 16 + 2)  # 2N + 2 a channel

# %% [markdown] slide="slide"
# ## A kernel without powers
#
# With a full matrix each tap costs $N^2$ products, one tap after the other. Let $\bar A = V \Lambda
# V^{-1}$ with a diagonal $\Lambda$. Then $\bar A^j = V \Lambda^j V^{-1}$, and
#
# $$K_j = \sum_n (CV)_n (V^{-1}\bar B)_n\,\lambda_n^j$$
#
# $N$ products a tap, and no tap waits. The spring's two $\lambda$ are arrows that turn and shrink,
# mirror images of each other: that is its dying wave. **S4D** learns $\Lambda$ at once, and never a
# full matrix.


# %% slide="same" show="output"
def from_eigenvalues(A_bar, B_bar, C, length):
    values, V = torch.linalg.eig(A_bar)
    weights = (C + 0j) @ V * torch.linalg.solve(V, B_bar + 0j)
    return (weights[:, None] * values[:, None] ** torch.arange(length)).sum(0), values, V


taps, values, _ = from_eigenvalues(*springs["little friction"], 48)
turn = values[0].angle().abs().item() * 180 / math.pi
print(f"each step: length times {values[0].abs():.3f}, turned by {turn:.0f}°")
assert torch.allclose(taps.real, kernels["little friction"])
assert taps.imag.abs().max() < 1e-12 > abs(values[0] - values[1].conj())

# %% [markdown] slide="slide"
# ## Straight to the spectrum
#
# We need $\hat K$, not $K$. At a point with $z^L = 1$ the taps are a geometric sum of matrices:
#
# $$\sum_{j=0}^{L-1} C \bar A^j z^j \bar B
# = \underbrace{C (I - \bar A^L)}_{\tilde C}\,(I - \bar A z)^{-1} \bar B$$
#
# With chapter 13's bilinear step, $\bar A = (I - \frac\Delta2 A)^{-1}(I + \frac\Delta2 A)$ and
# $\bar B = (I - \frac\Delta2 A)^{-1}\Delta B$,
#
# $$(I - \bar A z)^{-1} \bar B = \bigl[(1 - z) I - (1 + z)\tfrac\Delta2 A\bigr]^{-1} \Delta B$$
#
# With a diagonal $A$ that is **one division** for each $n$ and $z$: a *Cauchy matrix*. S4's $A$ is
# diagonal plus a matrix of rank 1, which costs one correction (S4 paper, section 3).

# %% [markdown] slide="notes"
# Why the sum: $(I + M + \dots + M^{L-1})(I - M) = I - M^L$ with $M = \bar A z$, and $z^L = 1$. Why
# the second: $I - \bar A z = (I - \frac\Delta2 A)^{-1}\bigl[(I - \frac\Delta2 A) - z (I +
# \frac\Delta2 A)\bigr]$; its inverse ends in $(I - \frac\Delta2 A)$, which meets the inverse of
# that in $\bar B$. Rank 1: $(G + pq)^{-1} = G^{-1} - G^{-1}p\,(1 + qG^{-1}p)^{-1}qG^{-1}$ with a
# column $p$ and a row $q$; multiply by $G + pq$ to see it.

# %%
rates, C = torch.tensor([-0.5 + 3j, -0.5 - 3j, -2]), torch.tensor([1 + 1j, 1 - 1j, 2])
rates, C, B = (part.to(torch.complex128)[None] for part in (rates, C, torch.ones(3)))
delta, L = torch.tensor([0.1], dtype=double), 64
A_bar, _ = discretize_diagonal(rates, B, delta, "bilinear")
z = torch.exp(-2j * math.pi * torch.arange(L, dtype=double) / L)[:, None]
spectrum = (C * (1 - A_bar**L) * delta / ((1 - z) - (1 + z) * delta / 2 * rates)).sum(1)
powers = s4d_kernel(rates, B, C, delta, L, "bilinear")[0]
assert torch.allclose(2 * torch.fft.ifft(spectrum).real, powers)  # S4D doubles the real part

# %% slide="same" show="output"
Lambda, P, B = (part[None] for part in nplr_legs(8))  # chapter 15's matrix, 8 × 8
C, delta = torch.randn(1, 4, dtype=torch.complex128), torch.tensor([0.05], dtype=double)
A, B_full, C_full = dense_system(Lambda, P, B, C)
A_bar, B_bar = discretize_dense(A, B_full, delta, "bilinear")
dense = ssm_kernel(A_bar, B_bar, C_full, 500)[0]
diagonal, _, V = from_eigenvalues(A_bar[0], B_bar[0], C_full[0], 500)
cauchy = s4_kernel(Lambda, P, B, C, delta, 500)[0]
for name, taps in {"powers": dense, "diagonal": diagonal.real, "Cauchy": cauchy}.items():
    print(f"{name:>8}:", *(f"{tap:.6f}" for tap in taps[:5]))
assert (dense - diagonal.real).abs().max() < 1e-9 > (dense - cauchy).abs().max()
assert round(torch.linalg.cond(V).item(), -3) == 77_000

# %% [markdown] slide="notes"
# Three ways, the same 500 taps. The middle one may lose five digits here, the condition of $V$
# being 77,000, and all of them for larger matrices of this kind: hence S4's detour. Why is chapter
# 15's.

# %% [markdown] slide="slide"
# ## What does it cost?
#
# A row of $L$ tokens, the kernel given: as a product with an $L \times L$ matrix, $L^2$; by FFT,
# three transforms of $2L$; step by step, $L$ times $N^2$. **Predict:** from which length on does
# the FFT overtake the matrix? 16, 128, 2,048?


# %%
def milliseconds(work, *given):
    return 1000 * sorted(repeat(lambda: work(*given), timer=process_time, number=1, repeat=5))[2]


def matrix_of(K):  # (channels, L, L), with K_{t−s} in row t, column s
    lag = torch.arange(K.shape[1])[:, None] - torch.arange(K.shape[1])
    return torch.where(lag >= 0, K[:, lag.clamp(min=0)], 0.0)


# %%
lengths, times = [2**k for k in range(4, 12)], {"matrix": [], "FFT": [], "steps": []}
system = 0.2 * torch.rand(8, 4, 4), torch.randn(8, 4), torch.randn(8, 4)
for L in lengths:
    x, K = torch.randn(4, L, 8), torch.randn(8, L)
    matrix, rows = matrix_of(K), x.permute(2, 1, 0).contiguous()
    assert torch.allclose((matrix @ rows).permute(2, 1, 0), fft_convolve(x, K), atol=1e-2)
    times["matrix"].append(milliseconds(torch.matmul, matrix, rows))
    times["FFT"].append(milliseconds(fft_convolve, x, K))
    times["steps"].append(milliseconds(recurrence, *system, x))

# %% slide="fragment" show="output" alt="Milliseconds against the length from 16 to 2,048 tokens, both axes logarithmic. The matrix is fastest for short rows and climbs steeply, along a guide of slope 2; the FFT climbs slowly and is far below it at 2,048; the steps, token by token in Python, climb with slope 1."
assert times["matrix"][0] < times["FFT"][0]
assert times["FFT"][-1] < times["matrix"][-1] / 4
assert times["FFT"][-1] < times["steps"][-1] / 10
assert times["matrix"][-1] > 8 * times["matrix"][-3]  # four times the length, about 16
assert 40 < times["steps"][-1] / times["steps"][0] < 400  # 128 times the length
figures.costs(lengths, times, "Short rows favour the matrix, long ones the FFT")

# %% [markdown] slide="notes"
# (3 minutes.) Near 128 where this was written, with 4 texts of 8 channels. Common answers: 16, "the
# logarithm always wins"; 2,048. The steps' line is Python's: thousands of small products.

# %% [markdown] slide="slide"
# ## And the next token?
#
# A prompt of 200 tokens has been convolved, all its outputs are there. **Predict:** what do you
# need for the output of token 200? The last output? The last *state*? All inputs?

# %% slide="fragment" show="code"
layer, x = S4D(channels=3, d_state=8).requires_grad_(False), torch.randn(1, 300, 3)
whole = layer(x)  # trained like this: no state is ever made
rates, B, _, delta = layer.system()
A_bar, B_bar = discretize_diagonal(rates, B, delta[:, None])
powers = A_bar[..., None] ** torch.arange(199, -1, -1)  # input s has 199 − s steps to go
state = torch.einsum("cnl,blc->bcn", powers, x[:, :200] + 0j) * B_bar
for t in range(200, 300):
    y_t, state = layer.step(x[:, t], state)  # a token's work, whatever came before
    assert torch.allclose(y_t, whole[:, t], atol=1e-4)

# %% [markdown] slide="notes"
# (4 minutes.) All inputs, and 201 products a channel; *or* the state, 4 complex numbers a channel,
# which the convolution has never formed. It is one weighted sum, $h_{199} = \sum_j \bar A^j \bar B
# x_{199-j}$: no FFT, as only the last is asked. Common answers: the last output, which is one
# number of it; "start again".

# %% [markdown] slide="slide"
# ## When steps change
#
# A kernel is a matrix with one number on each diagonal. Mamba (chapter 19) chooses $\Delta$ for
# each token, so each step has an $\bar A_t$ of its own: input $s$ acts on output $t$ by $C \bar A_t
# \cdots \bar A_{s+1} \bar B_s$. **Predict:** is there still a matrix? A kernel? An FFT?

# %%
rates = torch.tensor([-0.3 + 1j, -0.15 + 2j], dtype=torch.complex128)  # two pairs: N = 4
C, pair, spread = torch.randn(1, 2, dtype=torch.complex128).expand(16, 2), {}, {}
for name, deltas in (("a fixed step", torch.full((16,), 1.2)), ("changing steps", torch.rand(16))):
    A_bar = torch.exp(2 * deltas[:, None].to(double) * rates)
    matrix = traces.matrix_of_steps(A_bar, torch.ones_like(A_bar), C).real
    assert torch.linalg.matrix_rank(matrix[8:, :8], rtol=1e-9) == 4
    spread[name] = max(matrix.diagonal(-lag).std().item() for lag in range(1, 12))
    pair[name] = matrix.abs().numpy()

# %% slide="fragment" show="output" alt="Two lower triangles of 16 by 16 squares, the darker the more an input does to an output. Left, with a fixed step, every diagonal has one shade. Right, with changing steps, the diagonals are mottled. In both the lower left quarter is framed, and marked rank 4."
assert spread["a fixed step"] < 1e-12 < 0.1 < spread["changing steps"]
title = "Changing steps break the diagonals, not the rank"
figures.matrices(pair, 8, "rank 4", title)

# %% [markdown] slide="notes"
# (3 minutes.) A matrix, yes; no kernel, so no FFT. Common answers: "then it isn't linear"; "one
# kernel a token". The frame is what the first half does to the second: $N$ columns times $N$ rows,
# since all of it passes through the state at the border. So its rank is at most $N$: that little is
# handed on. Mamba-2 computes blocks of this matrix; Mamba, a scan.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. From an empty state, steps that don't change *are* a convolution, with $K_j = C\bar A^j\bar B$
#    and $D$ on $K_0$. Train it as one, run it as the other, and hand over the state.
# 2. The FFT makes $n$ products of it, on a circle. $L + M - 1$ places keep the ends apart; fewer let a
#    model read its future.
# 3. In float32 a convolution by FFT isn't causal: at every place it errs relative to the loudest.

# %% [markdown]
# ## Self-test
#
# 1. $\bar A = 0.9$, $\bar B = 2$, $C = 1$, $D = 5$: the first three taps?
# 2. A thousand inputs, ten taps, a circle of 1,004: which outputs are wrong?
# 3. Two such layers, nothing between them: what are they?
#
# <details><summary>Answers</summary>
#
# 1. 7, 1.8, 1.62.
# 2. The first five: 0 to 4.
# 3. One: its kernel is the convolution of both.
#
# </details>
#
# **Next.** *Which $A$ should a model begin with, so that its state remembers the past?* First
# [the exercises](../work/14_ssm_convolution.ipynb), then [chapter 15](15_hippo.ipynb).
# [Chapter 17](17_parallel_scan.ipynb) is the other way to be parallel.

# %% [markdown] to="exercise"
# # 14 · A state space model as a convolution: exercises
#
# Six exercises on [the lesson](../course/14_ssm_convolution.ipynb), about 65 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("14.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="14.1" role="prompt" title="The kernel, with its skip" difficulty=1 minutes=8 points=2
# One layer, one channel: $h_t = \bar A h_{t-1} + \bar B x_t$ and $y_t = C h_t + D x_t$, from
# $h_{-1} = 0$. Write `kernel(A_bar, B_bar, C, D, length)`: the first `length` taps of the kernel
# that gives the same outputs, $D$ included, as one tensor. `A_bar` is (n, n), `B_bar` and `C` are
# (n,), `D` is a number, `length` is at least 1. $\bar A$ may be any matrix: not every one has a
# basis of eigenvectors, or an inverse.
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
# `n_inputs` inputs are convolved with a kernel of `n_taps` taps on a circle of $n$ places, and its
# first `n_inputs` places are read as the outputs. Taps that could only act after the last output
# are cut off beforehand. Of the outputs, those before number `first` will be thrown away: they may
# be wrong. Write `fewest_places(n_inputs, n_taps, first)`: the smallest $n$, at least `n_inputs`,
# with which all the others are right, *whatever* the inputs and the taps. `first` is from 0 to
# `n_inputs - 1`. The numbers go up to billions.
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
# `x` is (seq, channels), `kernel` (channels, taps) with one kernel a channel, `D` (channels,). Any
# of the three sizes may be 1, and there may be more taps than tokens. The function should return
# the outputs $y_t = \sum_j K_j x_{t-j} + D x_t$ of each channel, (seq, channels). It has several
# mistakes. Mend them, or write it anew, without the FFT if you like.
#
# ```python
# def long_convolution(x, kernel, D):
#     places = max(len(x), kernel.shape[1])
#     spectrum = torch.fft.rfft(x, places)
#     response = torch.fft.rfft(kernel, places).T
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
# Nearly all inputs of a layer are 0. `knocks` is a list of pairs `(s, value)`: $x_s$ = value, for
# tokens $s \ge 0$ in any order; no token stands twice. Write `output_at(A_bar, B_bar, C, knocks,
# t)`: the output $y_t$ alone, a number. The state was 0 before token 0, and there is no $D$. `t`
# may be a billion: don't step there. The tensors are those of 14.1, in float64.
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
# The state is one number, and every step has an $a_t$, $b_t$ and $c_t$ of its own: $h_t = a_t
# h_{t-1} + b_t x_t$ and $y_t = c_t h_t$, from $h_{-1} = 0$. Write `matrix(a, b, c)`: the $L \times
# L$ tensor $M$ with $y = M x$ for every $x$. `a`, `b`, `c` are tensors of $L \ge 1$ numbers in
# float64. An $a_t$ may be 0, which forgets all before it, or below 0.
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
# `has_kernel(layer)`: True only if there are taps $K_0, \dots, K_{11}$, the same for every list, so
# that the outputs are $y_t = \sum_{j=0}^{t} K_j x_{t-j}$, *exactly*. Return False, don't `assert`.
#
# The check hands over layers that have a kernel, and others. Each of the others is wrong for at
# least one in four of the lists of some length.


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
