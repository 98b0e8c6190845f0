# %% [markdown] slide="slide"
# # 18 · Kernel fusion
#
# *Why does a program that computes a lot often take no longer than one that computes little?*

# %% [markdown] slide="slide"
# **The problem.** While one number comes from its memory, an H100 has time for 80 operations. A
# selective scan does seven for each number of its state. Written as three steps, each of which
# writes its result for the next to read, it would wait 99% of its time. Mamba's scan is the same
# arithmetic, with 33 times fewer bytes on the way. This chapter counts them, and builds that
# scan in Triton, from a sum of a row to its backward pass.

# %% [markdown]
# **You will be able to** say what limits a program from its bytes and its operations; draw a
# machine's roofline, and this one's; fuse kernels, and count what that saves; read a GPU kernel; say
# how much a backward pass must keep, and what recomputing the rest costs.
#
# **You need** Python, PyTorch and autograd; the scan of [chapter 17](17_parallel_scan.ipynb), and
# its backward pass. The selective scan, of [chapter 16](16_selection.ipynb), is shown again. No GPU: Triton's
# interpreter stands in for it.
#
# **Time**: 55 minutes, and an hour for the exercises in
# [work/18_kernel_fusion.ipynb](../work/18_kernel_fusion.ipynb), your copy of
# [these](../exercises/18_kernel_fusion.ipynb).

# %%
import os
from importlib.util import find_spec

import torch

device = "cuda" if torch.cuda.is_available() and find_spec("triton") else "cpu"
if device == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported: no GPU, run it as Python

# %%
from statistics import median

from mixlab.chapters.kernel_fusion import figures, traces, triton_here
from mixlab.chapters.kernel_fusion.chip import Memory
from mixlab.chapters.kernel_fusion.published import LEVELS, ROOFS
from mixlab.chapters.kernel_fusion.traces import reference, scan_inputs, seconds
from mixlab.chapters.kernel_fusion.triton_here import INTERPRETED, TRITON, jit, tl
from mixlab.chapters.kit import series
from mixlab.chapters.stage.host import piece
from mixlab.ssm.scan import affine, scan
from mixlab.ssm.selective_scan import selective_scan
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

torch.set_num_threads(1)  # for times that can be compared
generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## Once there and back, or twice?
#
# Sixteen million numbers, 64 MB: $y = 2x + 1$. PyTorch runs `2 * x` and `… + 1` as two *kernels*. A
# kernel (not chapter 14's) goes over all numbers: it reads, computes, writes. Between two kernels
# everything lies in memory.
#
# `torch.add(one, x, alpha=2)` does both in *one* kernel. The operations are the same, two a number.
# **Predict:** how many bytes do the two kernels move, how many the one, and what does that do to the
# time?


# %% slide="fragment" show="output" volatile=true
x, one = torch.rand(2**24), torch.tensor(1.0)
h, y = torch.ones(2, 2**24)  # places for results: new ones would have to be made first


def two_kernels():
    torch.mul(x, 2, out=h)
    torch.add(h, 1, out=y)


def one_kernel():
    torch.add(one, x, alpha=2, out=y)


ratio = median(seconds(one_kernel, 1) / seconds(two_kernels, 1) for _ in range(5))
moved = {"two": 4 * x.nbytes, "one": 2 * x.nbytes}  # read x, write h, read h, write y
print(f"bytes {moved['one'] / moved['two']:.2f}, time {ratio:.2f}: one kernel against two")
assert 0.3 < ratio < 0.85

# %% [markdown] slide="notes"
# (3 minutes.) 256 MB against 128: half the bytes, half the time. Common answers: the same time, for
# the operations are the same; a third, counting reads alone. Two become one: that is *fusion*.

# %% [markdown] slide="slide"
# ## Sixteen times the work
#
# Now a chain: $x \leftarrow \frac x2 + 1$, `k` times over. Each link is a multiplication and an
# addition. Two ways: every link goes over all 64 MB; or we take 65,536 numbers, which fit
# into the *cache*, a small fast memory on the chip, do all links with them, and take the next. **Predict** for both: how much longer do 16 links take than one?


# %%
def over_all(k):
    torch.add(one, x, alpha=0.5, out=y)
    for _ in range(k - 1):
        torch.add(one, y, alpha=0.5, out=y)


def in_blocks(k, size=2**16):
    for some, out in zip(x.split(size), y.split(size), strict=True):
        torch.add(one, some, alpha=0.5, out=out)
        for _ in range(k - 1):
            torch.add(one, out, alpha=0.5, out=out)


over_all(5)
expected = y.clone()
in_blocks(5)
assert torch.equal(y, expected)
links = [1, 2, 4, 8, 16]
chains = {
    "over all": [seconds(lambda k=k: over_all(k), 3) for k in links],
    "block by block": [seconds(lambda k=k: in_blocks(k), 3) for k in links],
}

# %% slide="fragment" show="output" alt="Time of a chain against its number of links, from 1 to 16. Over all 64 MB the time climbs steadily. Block by block it starts at about the same height, climbs less steeply, and ends below."
assert chains["over all"][-1] > max(1.2 * chains["block by block"][-1], 5 * chains["over all"][0])
series.lines(
    links,
    {name: [1000 * time for time in times] for name, times in chains.items()},
    title="The same operations: what stays in the cache is cheap",
    x_title="links in the chain",
    y_title="processor time (ms)",
)

# %% [markdown] slide="notes"
# (3 minutes.) Over all about ten times (later links write where they read: two bytes move where the
# first moves three, since a cache fetches a place before it writes there). Block by block four times or
# so: from memory a number comes once. Common answers: 16 times both, "it's the
# same work"; no longer at all. Links cost something too, and at some length of chain it is they that
# take the time: that border is this chapter's subject.

# %% [markdown] slide="slide"
# ## Stairs
#
# How fast do numbers arrive from how large a place? Read the same $n$ bytes over and over, for $n$
# from 16 KB to 256 MB. In the table below all rows are one and the same memory.


# %% slide="same" show="code"
def reading_rate(n_bytes):
    rows = max(1, 2**27 // n_bytes)
    table = torch.ones(n_bytes // 4).as_strided((rows, n_bytes // 4), (0, 1))  # each row the same
    return 4 * table.numel() / seconds(lambda: table.sum(1))


sizes = [2**power for power in range(14, 29, 2)]
rates = [reading_rate(size) for size in sizes]

# %% slide="slide" show="output" alt="Reading rate against the size of what is read, logarithmic. This machine's measured line is high for small sizes, and lower at 256 MB. Far above it an A100's stairs: 19 TB a second up to 20 MB on the chip, then 1.5 TB a second up to 40 GB." myth="A GPU's fast memory is a hundred times as fast as its large one" said="essays on FlashAttention (such as The Memory Hierarchy: a hundred times slower to access)" truth="By FlashAttention's own figure 1 it is 19 against 1.5 TB/s on an A100: 12 to 13 times. It is 2,000 times as small."
assert max(rates[:3]) > 1.2 * rates[-1]
assert 12 < 19 / 1.5 < 13
assert 40_000 / 20 == 2000
assert 108 * 192 // 1024 == 20  # MB: multiprocessors, and KB of shared memory in each
assert LEVELS["A100"][1][1] > 3 * max(rates)
title = "Near numbers come faster, on a laptop as on a GPU"
figures.stairs(sizes, rates, LEVELS, title)

# %% [markdown] slide="notes"
# Each step down is a cache that has become too small. How many steps, and how high, is your machine's
# own; other programs share the largest cache and the memory with this one. The A100's two levels are
# those of "FlashAttention" (Dao et al. 2022), figure 1.

# %% [markdown] slide="slide"
# ## Inside a GPU
#
# A GPU is a hundred processors, *multiprocessors*, around one memory (*HBM*). A kernel is started as
# thousands of *programs*; each runs on one multiprocessor, from beginning to end.
#
# A program's numbers are shared out over *threads*; 32 of them step together, a *warp*. A thread keeps
# its numbers in *registers*, for nothing. Between programs there is only HBM.
#
# | | an A100 has |
# |---|---|
# | registers | 108 × 256 KB |
# | memory shared by a program's threads | 108 × 192 KB, at 19 TB/s |
# | HBM | 40 GB, at 1.5 TB/s |

# %% [markdown] slide="slide"
# ## The roofline
#
# A program that moves $b$ bytes and does $f$ operations (*FLOPs*), on a machine of $R$ bytes and $F$
# operations a second, takes at least
#
# $$\max\left(\frac bR,\; \frac fF\right) \text{ seconds, and so does at most }
# \min\left(R \cdot \frac fb,\; F\right) \text{ FLOPs a second.}$$
#
# Against $f/b$, *FLOPs a byte*, that is a slope and a flat roof. They meet at the *ridge*, $F/R$. Left
# of it bytes decide (*memory-bound*), right of it operations (*compute-bound*).
#
# Our chain moves 8 bytes a number (read 4, write 4) and does $2k$ operations: $k/4$ FLOPs a byte. An
# H100: $67 / 3.35 = 20$ FLOPs a byte, so 80 a number, as said.

# %% slide="slide" show="output" alt="A roofline of this machine: a slope, then a flat roof. Five measured points, chains of 1 to 16 links, from a quarter to four FLOPs a byte, climb below the slope and bend towards the roof."
block = torch.rand(2**16)
link = min(seconds(lambda: torch.add(one, block, alpha=0.5, out=block), 99) for _ in range(5))
operations, copied = 2 * len(block) / link, 2 * x.nbytes / seconds(lambda: y.copy_(x))
points = {}
for k, time in zip(links, chains["block by block"], strict=True):
    points[f"{k}"] = k / 4, 2 * k * len(x) / time
    assert points[f"{k}"][1] < 3 * min(copied * k / 4, operations)  # measured at different moments
assert 1.3 < points["16"][1] / points["1"][1] < 12
title = "A longer chain climbs the slope, then bends under the roof"
here = {"this machine": (copied, operations)}
figures.roofs(here, points, {}, title=title, least=0.1, most=20)

# %% [markdown] slide="notes"
# The flat roof here isn't the processor's, but what PyTorch's calls reach in the cache: each link
# reads and writes its block there. Points lie below their roof where both limits are near, since
# waiting and computing overlap only in part. Williams, Waterman and Patterson, "Roofline" (2009).

# %% [markdown] slide="slide"
# ## Published roofs
#
# From data sheets, bytes and float32 operations a second. **Predict:** a scan that does 0.28
# FLOPs a byte is rewritten to do 9.3. Does it become compute-bound?


# %% slide="fragment" show="output" alt="Rooflines of an A100, an H100 and an H200 in float32, with ridges at 12.5, 20 and 14 FLOPs a byte. Dashed lines mark the scan as three kernels at 0.28 and the fused scan at 9.3: both lie left of all three ridges." myth="An H100 does 590 FLOPs while a byte arrives" said="glossaries of GPU terms, which divide the data sheet's 1,979 TFLOP/s by 3.35 TB/s; one has 310 and 590 on one page" truth="1,979 counts multiplications by zeros that a sparse format leaves out. Dense 16-bit products reach 989: 295 FLOPs a byte. In float32, outside of its matrix units, it is 20."
assert [round(top / rate, 1) for rate, top in ROOFS.values()] == [12.5, 20, 14]
batch, L, D, N = 8, 2048, 2048, 16
scan_flops = 7 * batch * L * D * N  # Δ·A, exp, · h, + , Δx · B, h · C, +
fewest = 4 * batch * L * (3 * D + 2 * N)  # read Δ, x, B and C, write y
most = 4 * batch * L * (3 * D + 6 * D * N + 2 * N)  # and Ā, B̄x and h, written and read
assert (round(scan_flops / most, 2), round(scan_flops / fewest, 1)) == (0.28, 9.3)
assert all(scan_flops / fewest < top / rate for rate, top in ROOFS.values())
assert (round(989 / 3.35), round(1979 / 3.35, -1)) == (295, 590)
assert round(1 - scan_flops / most / 20, 2) == 0.99  # waits, as three kernels on an H100
assert round(most / fewest) == 33
assert 4 * batch * L * D * N == 2 * 2**30 == 32 * 64 * 2**20  # every h of the layer
assert (round(most / 3.35e9, 1), round(fewest / 3.35e9, 2)) == (4.0, 0.12)  # ms on an H100
title = "Fused, the scan is 33 times as far up, and still on the slope"
marks = {"three kernels: 0.28": scan_flops / most, "fused: 9.3": scan_flops / fewest}
figures.roofs(ROOFS, {}, marks, title=title, least=0.05, most=200)

# %% [markdown] slide="notes"
# (3 minutes.) No: all three ridges lie right of 9.3. Common answers: yes, for 33 times is a lot; and
# "so fusing was in vain". On an H100 the three kernels take at least 4.0 ms, the fused one 0.12.
#
# The names: three kernels, *discretise*, *recur* and *read out*, come next.

# %% [markdown] slide="slide"
# ## The scan again
#
# A layer has $D$ channels. Each keeps $N$ numbers $h$. A token brings $\Delta$ and $x$ for every
# channel, and $B$ and $C$, $N$ numbers each, for all together:
#
# $$h_t = \underbrace{e^{\Delta_t A}}_{\bar A_t}\, h_{t-1} + \underbrace{\Delta_t B_t x_t}_{\bar B_t x_t}
# \qquad y_t = C_t \cdot h_t$$
#
# Three formulas, so three kernels? We run them on a chip of Python. Its `Memory` holds arrays by
# name: `memory["x", t]` reads a row, `memory["y", t] = …` writes one, and both are counted in bytes. A
# Python variable is a register, and free:
#
# ```python
# numbers = self.arrays[name][index]  # what memory[name, index] does
# self.read[name] += numbers.nbytes
# ```


# %% slide="slide"
def discretise(memory):
    A = memory["A"]
    for t in range(len(memory.arrays["x"])):
        step = memory["delta", t]
        memory["A_bar", t] = torch.exp(step[:, None] * A)
        memory["Bx", t] = (step * memory["x", t])[:, None] * memory["B", t]


def recur(memory):
    h = 0.0
    for t in range(len(memory.arrays["x"])):
        h = memory["A_bar", t] * h + memory["Bx", t]
        memory["h", t] = h


def read_out(memory):
    for t in range(len(memory.arrays["x"])):
        memory["y", t] = memory["h", t] @ memory["C", t]


# %% [markdown] slide="slide"
# ## One kernel
#
# Nobody but `recur` ever wants $\bar A$, and nobody but `read_out` wants $h$. So don't put them away.
# **Predict:** with $N = 16$, how many times fewer bytes does this move?


# %% slide="same"
def fused(memory):
    A, h = memory["A"], 0.0
    for t in range(len(memory.arrays["x"])):
        step = memory["delta", t]
        written = (step * memory["x", t])[:, None] * memory["B", t]
        h = torch.exp(step[:, None] * A) * h + written
        memory["y", t] = h @ memory["C", t]


# %%
def moved(kernels, given):
    (L, D), N = given["x"].shape, given["A"].shape[1]
    between = {name: torch.zeros(L, D, N) for name in ("A_bar", "Bx", "h")}
    memory = Memory(**given, **between, y=torch.zeros(L, D))
    for kernel in kernels:
        kernel(memory)
    assert torch.allclose(memory.arrays["y"], reference(**given), atol=1e-4)
    return memory.moved


# %% slide="fragment" show="output"
for L, D, N in ((5, 3, 2), (9, 1, 4)):
    given = scan_inputs(L, D, N)
    assert moved([fused], given) == 4 * (L * (3 * D + 2 * N) + D * N)
    three = 4 * (L * (3 * D + 6 * D * N + 2 * N) + D * N)
    assert moved([discretise, recur, read_out], given) == three
for N in (1, 4, 16, 64):  # wide and long, so that A, B and C hardly count
    ratio = (3 * 10**6 + 6 * 10**6 * N + 2 * N) / (3 * 10**6 + 2 * N)
    print(f"N = {N:>2}: {ratio:.1f} times fewer bytes, 1 + 2N = {1 + 2 * N}")

# %% [markdown] slide="notes"
# (4 minutes.) 33. Common answers: 16, one for each state; 3, for three kernels became one. Each of three
# arrays of $DN$ numbers a token is written and read, six times $DN$; what remains are $\Delta$, $x$ and
# $y$, three times $D$: $(3 + 6N)/3 = 1 + 2N$.
#
# The paper's "20-40×" (Mamba, section 4.5) compares its kernel with a scan in PyTorch, at $N = 16$: where
# the bytes alone are 33 times fewer. It isn't a comparison with attention.

# %% slide="slide" show="output" alt="Left the memory, a table of nine arrays by six tokens; right the chip. The rows of Ā, B̄x and h, which three kernels write for each other, are filled. Two bars below show the bytes moved: that of three kernels is seven times as long as that of one. One button shows the one kernel, where those three rows stay empty."
shape = dict(tokens=6, d_inner=64, d_state=4)
totals = {way: traces.trace_traffic(way, **shape)[-1].moved for way in ("three", "fused")}
given = scan_inputs(**shape)
assert totals["fused"] == moved([fused], given)
assert totals["three"] == moved([discretise, recur, read_out], given)
assert 7 < totals["three"] / totals["fused"] < 9  # A, B and C count a little here
piece("traffic", "What nobody else wants need not leave the chip", **shape)

# %% volatile=true
given, room = scan_inputs(1024, 512, 16), torch.ones(3, 1024, 512, 16)


@torch.inference_mode()
def library(x, delta, A, B, C):  # a few tokens at a time, so that states stay in the cache
    return selective_scan(x[None], delta[None], A, B[None], C[None], path="chunked")[0][0]


assert torch.allclose(traces.unfused(**given, room=room), library(**given), atol=1e-3)
ways = (lambda: traces.unfused(**given, room=room)), (lambda: library(**given))
ratio = median(seconds(ways[0], 1) / seconds(ways[1], 1) for _ in range(5))
print(f"all in memory, against kept in the cache: {ratio:.1f} times the time")
assert 0.8 < ratio < 12

# %% [markdown] slide="notes"
# And on this machine? PyTorch's calls with everything between them in memory (`unfused`), against the
# library's scan, which fuses through the cache: about twice,
# not 33 times. A core of a laptop computes so slowly, beside its memory, that the exponentials take
# their time in both. The wider the gap between chip and memory, the more fusion is worth.

# %% [markdown] slide="slide"
# ## A first kernel in Triton
#
# Triton is Python that is compiled for a GPU. `@jit` marks a kernel; `kernel[n,](…)` starts $n$
# programs, which all run the same text with another `program_id`. A program handles a *block* of
# numbers at once: `tl.arange(0, 8)` are eight places, `tl.load` fetches eight numbers into registers,
# the mask says which exist. Sizes of blocks are powers of two, known when it is compiled
# (`constexpr`).
#
# Each program sums a row of five:


# %% slide="same"
@jit
def row_sums(x, out, L, BLOCK: tl.constexpr):
    row, place = tl.program_id(0), tl.arange(0, BLOCK)
    numbers = tl.load(x + row * L + place, mask=place < L, other=0.0)
    tl.store(out + row, tl.sum(numbers, 0))


rows, out = torch.randn(3, 5, device=device), torch.empty(3, device=device)
if TRITON:  # it is made for Linux: elsewhere read on, nothing below needs what it computes
    row_sums[3,](rows, out, 5, BLOCK=8)
    assert torch.allclose(out, rows.sum(1), atol=1e-6)

# %% [markdown] slide="notes"
# `x` is an address, the row's first number lies `row * L` further on. A masked place isn't read, and
# counts as `other`. Leave the mask out, and row 0 gets numbers of row 1, while the last row reads what
# lies behind the array.

# %% [markdown] slide="slide"
# ## An average, and a state
#
# A running average needs the one before: a loop over time, inside of the program. The programs share
# out the channels. Then the state: $N$ numbers a channel, which keep different shares $a$, read by
# $C$. `h` never leaves the registers.


# %% slide="same"
@jit
def averages(x, y, L, D, BLOCK: tl.constexpr):
    d = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)  # channels side by side
    h = tl.zeros((BLOCK,), tl.float32)
    for t in range(L):
        h = 0.5 * h + 0.5 * tl.load(x + t * D + d, mask=d < D, other=0.0)
        tl.store(y + t * D + d, h, mask=d < D)


@jit
def state_space(x, y, a, C, L, D, N: tl.constexpr):
    d, n = tl.program_id(0), tl.arange(0, N)
    h = tl.zeros((N,), tl.float32)
    for t in range(L):
        h = tl.load(a + n) * h + tl.load(x + t * D + d)
        tl.store(y + t * D + d, tl.sum(tl.load(C + n) * h, 0))


# %%
(x_, y_), (a, C) = torch.randn(2, 7, 5, device=device), torch.rand(2, 4, device=device)
h = scan(affine, (a.expand(7, 5, 4), x_[:, :, None].expand(7, 5, 4)))[1]
if TRITON:
    averages[2,](x_, y_, 7, 5, BLOCK=4)  # five channels: a program of four, and one of one
    assert torch.allclose(y_, scan(affine, (x_ * 0 + 0.5, x_ / 2))[1], atol=1e-6)
    state_space[5,](x_, y_, a, C, 7, 5, N=4)
    assert torch.allclose(y_, h @ C, atol=1e-5)

# %% [markdown] slide="notes"
# The last rung, on the next slide: the shares follow $\Delta$, and $B$ and $C$ are read at every token.
# Every few tokens the state is written out too, for the backward pass. Compare with `fused`: line by
# line the same.


# %% slide="slide"
@jit
def selective(x, delta, A, B, C, y, kept, L, D, N: tl.constexpr, EVERY: tl.constexpr):
    d, n = tl.program_id(0), tl.arange(0, N)
    rates = tl.load(A + d * N + n)
    h = tl.zeros((N,), tl.float32)
    for t in range(L):
        if t % EVERY == 0:
            tl.store(kept + (t // EVERY * D + d) * N + n, h)
        step, now = tl.load(delta + t * D + d), tl.load(x + t * D + d)
        h = tl.exp(step * rates) * h + step * now * tl.load(B + t * N + n)
        tl.store(y + t * D + d, tl.sum(h * tl.load(C + t * N + n), 0))


(L, D, N), every = (20, 4, 4), 6
given = {name: tensor.to(device) for name, tensor in scan_inputs(L, D, N).items()}
y_, kept = torch.empty(L, D, device=device), torch.empty(4, D, N, device=device)
if TRITON:
    selective[D,](*given.values(), y_, kept, L, D, N=N, EVERY=every)
    assert torch.allclose(y_, reference(**given), atol=1e-5)

# %% slide="slide"
L, D, N = 16, 32, 16  # the library's own kernel: what does it load and store?
if INTERPRETED:
    x_, delta, A, B, C = scan_inputs(L, D, N).values()
    with triton_here.counted() as traffic:
        triton_here.library_kernel()(x_[None], delta[None], A, B[None], C[None])
    assert traffic["read"] == 4 * (L * (2 * D + 2 * N) + D * N)  # x, Δ, B, C at each token; A
    assert traffic["written"] == 4 * (L * D + D * N)  # y at each token, the last state

# %% [markdown] slide="notes"
# Not a byte more than the formula. The kernel gives each program 32 channels, one a thread, and a
# thread's 16 numbers of state lie in its registers. `tile`, `chunk` and warps in its source are about *when* it reads.
# With more than 32 channels every program reads $B$ and $C$ again: $2N$ for 32 channels, beside the
# $3 \cdot 32$ that belong to them.

# %% [markdown] slide="slide"
# ## Right here, wrong on a GPU
#
# Someone writes the leaky sum $h_t = \frac12 h_{t-1} + x_t$ as a scan with the operator
# $a, b \mapsto \frac12 a + b$, in one line of Triton, `tl.associative_scan`. For 1, 2, 3, 4 it should
# give 1, 2.5, 4.25, 6.125. **Predict:** what does the interpreter say? And a GPU?

# %% slide="fragment" show="output" myth="tl.associative_scan is wrong for a · γ + b" said="Triton's issue 3485 (1, 2.5, 4.5, 6.75 where 4.25 and 6.125 were expected)" truth="The operator isn't associative, so a scan may give anything; Hillis and Steele's gives exactly the reported numbers. With pairs (γ, x) it is right."


@jit
def leaky(a, b):
    return 0.5 * a + b


@jit
def leaky_scan(x, out, L: tl.constexpr):
    place = tl.arange(0, L)
    tl.store(out + place, tl.associative_scan(tl.load(x + place), 0, leaky))


numbers, out = torch.arange(1.0, 5, device=device), torch.empty(4, device=device)
if INTERPRETED:
    leaky_scan[1,](numbers, out, L=4)
    assert out.tolist() == [1, 2.5, 4.25, 6.125]  # the interpreter goes from left to right
rounds = scan(lambda a, b: (0.5 * a[0] + b[0],), (numbers.cpu(),), "hillis_steele")[0].tolist()
print("from left to right:", [1, 2.5, 4.25, 6.125], " in rounds:", rounds)
assert rounds == [1, 2.5, 4.5, 6.75]
assert 0.5 * (0.5 * 1 + 2) + 3 != 0.5 * 1 + (0.5 * 2 + 3)

# %% [markdown] slide="notes"
# (4 minutes.) The interpreter says what was hoped for: it goes from left to right. In rounds, as a GPU
# joins, the third is 4.5. Common answers: both right; both wrong. $\frac12(\frac12 \cdot 1 + 2) + 3 =
# 4.25$ and $\frac12 \cdot 1 + (\frac12 \cdot 2 + 3) = 4.5$: brackets matter. Chapter 17's pairs
# are the cure. **An interpreter proves that a kernel's indices are right, not that it is right on a
# GPU.**

# %% [markdown] slide="slide"
# ## What does training keep?
#
# The backward pass needs every $h_{t-1}$ (chapter 17). Kept in memory they are back: for a batch of
# 8 texts of 2,048 tokens, $D = 2048$ and $N = 16$, 2 GiB a layer. Mamba keeps inputs, and computes the
# states a second time (section 3.3.2): *recomputation*.
#
# From one state kept every $k$ tokens, the $k$ after it can be had again. **Predict:** what happens to
# what is held, and to the time, as $k$ grows?


# %%
def walk(h, A, x, delta, B, C):
    y = []
    for x_t, step, B_t, C_t in zip(x, delta, B, C, strict=True):
        h = torch.exp(step[:, None] * A) * h + (step * x_t)[:, None] * B_t
        y.append(h @ C_t)
    return torch.stack(y), h


# %% slide="slide"
class Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, every, A, *tokens):
        h, kept, y = torch.zeros_like(A), [], []
        for some in zip(*(x.split(every) for x in tokens), strict=True):
            kept.append(h)
            part, h = walk(h, A, *some)
            y.append(part)
        ctx.every = every
        ctx.save_for_backward(A, *tokens, torch.stack(kept))
        return torch.cat(y)

    @staticmethod
    def backward(ctx, above):
        A, *tokens, kept = ctx.saved_tensors
        carried, to_A, parts = torch.zeros_like(A), torch.zeros_like(A), []
        chunks = zip(kept, *(x.split(ctx.every) for x in (above, *tokens)), strict=True)
        for h, above_here, *some in reversed(list(chunks)):  # the last chunk first
            leaves = [x.detach().requires_grad_() for x in (h, A, *some)]
            with torch.enable_grad():
                y, last = walk(*leaves)  # once more, and now autograd looks on
            carried, more, *rest = torch.autograd.grad((y, last), leaves, (above_here, carried))
            to_A, parts = to_A + more, [rest, *parts]
        return None, to_A, *map(torch.cat, zip(*parts, strict=True))


# %%
x_, delta, A, B, C = (v.requires_grad_() for v in scan_inputs(400, 128, 16).values())
start, above = torch.zeros(128, 16, requires_grad=True), torch.randn(400, 128)
tokens = (x_, delta, B, C)
given = sum(tensor.nbytes for tensor in (start, A, *tokens))


def plain(length=400):
    return walk(start, A, *(tensor[:length] for tensor in tokens))[0]


# %%
distances, parts = [1, 4, 10, 16, 25, 50, 200, 400], {"kept states": [], "the chunk in work": []}
for every in distances:
    held, _ = traces.kept_for_backward(lambda: Recomputed.apply(every, A, *tokens))  # noqa: B023
    parts["kept states"].append(held - given + start.nbytes)
    parts["the chunk in work"].append(traces.kept_for_backward(lambda: plain(every))[0] - given)  # noqa: B023
found = torch.autograd.grad(Recomputed.apply(30, A, *tokens), (A, *tokens), above)
for ours, theirs in zip(found, torch.autograd.grad(plain(), (A, *tokens), above), strict=True):
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3)

# %% slide="slide" show="output" alt="Stacked bars of bytes held at most, against the distance of kept states from 1 to 400 tokens. Kept states shrink from left to right, the chunk in work grows. The sum is least at 16 tokens, and highest at the right end."
state, sums = start.nbytes, [sum(pair) for pair in zip(*parts.values(), strict=True)]
best = distances[sums.index(min(sums))]
assert parts["kept states"] == [state * -(-400 // every) for every in distances]
c = parts["the chunk in work"][-1] / 400 / state  # what autograd saves of a token, in states
assert 2 < c < 2.2
assert 13 < (400 / c) ** 0.5 < 15  # where L/k + ck is least
assert (best, round(sums[-1] / min(sums))) == (16, 14)
figures.kept(distances, parts, best, "A state every 16 tokens: 14 times less is held")


# %% volatile=true
def training(run):
    return lambda: torch.autograd.grad(run(), (A, *tokens), above)


again, once = training(lambda: Recomputed.apply(16, A, *tokens)), training(plain)
paid = median(seconds(again, 1) / seconds(once, 1) for _ in range(5))
print(f"a state every 16 tokens: {paid:.2f} times the time")
assert 0.4 < paid < 3

# %% [markdown] slide="notes"
# (4 minutes.) Common answers: the farther apart the better; twice the time. $L/k$ states lie in memory,
# and while a chunk is walked back, what autograd saves of its $k$ tokens, some $c = 2$ states each.
# $L/k + ck$ is least at $k = \sqrt{L/c}$: for 400 tokens 14. The forward pass runs twice, and the
# backward pass, the larger part, once: a third more operations. Measured it is often less, for
# new memory costs time too.
#
# The library's kernel keeps a state every 32 tokens: 64 MiB, where all would be 2 GiB.

# %% [markdown] slide="slide"
# ## Backwards in Triton
#
# Chapter 17's rule, $g_t = above_t\,C_t + \bar A_{t+1}\,g_{t+1}$, chunk by chunk from the end. `carried` is
# the second term.


# %% slide="same"
@jit
def backward(x, delta, A, B, C, kept, above, h_, dx, dd, L, D, N: tl.constexpr, K: tl.constexpr):
    d, n = tl.program_id(0), tl.arange(0, N)
    rates, h_ = tl.load(A + d * N + n), h_ + d * K * N + n
    carried = tl.zeros((N,), tl.float32)
    for start in range((L - 1) // K * K, -1, -K):
        h, end = tl.load(kept + (start // K * D + d) * N + n), tl.minimum(start + K, L)
        for t in range(start, end):  # once more
            tl.store(h_ + (t - start) * N, h)
            step, now = tl.load(delta + t * D + d), tl.load(x + t * D + d)
            h = tl.exp(step * rates) * h + step * now * tl.load(B + t * N + n)
        tl.debug_barrier()  # all threads have written before any reads
        for t in range(end - 1, start - 1, -1):
            step, now = tl.load(delta + t * D + d), tl.load(x + t * D + d)
            g = carried + tl.load(above + t * D + d) * tl.load(C + t * N + n)
            carried = tl.exp(step * rates) * g
            by_drive = tl.sum(g * tl.load(B + t * N + n), 0)  # the derivative by Δx
            by_rate = tl.sum(carried * tl.load(h_ + (t - start) * N) * rates, 0)
            tl.store(dx + t * D + d, by_drive * step)
            tl.store(dd + t * D + d, by_drive * now + by_rate)
        tl.debug_barrier()  # and all have read before any writes the next chunk's


# %%
(L, D, N), K = (20, 4, 4), 6
given = {name: tensor.to(device).requires_grad_() for name, tensor in scan_inputs(L, D, N).items()}
above = torch.randn(L, D, device=device)
expected = torch.autograd.grad(reference(**given), (given["x"], given["delta"]), above)
y_, kept = torch.empty(L, D, device=device), torch.empty(4, D, N, device=device)
found = torch.empty(2, L, D, device=device)
if TRITON:
    plain = [tensor.detach() for tensor in given.values()]
    selective[D,](*plain, y_, kept, L, D, N=N, EVERY=K)
    scratch = torch.empty(D, K, N, device=device)
    backward[D,](*plain, kept, above, scratch, *found, L, D, N=N, K=K)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)

# %% [markdown] slide="notes"
# `h_` is a small scratch memory for the states of one chunk, which the caches hold; `dx` and `dd` are the
# derivatives by $x$ and $\Delta$. $\Delta$ acts in two places: in $\Delta x B$, and in $e^{\Delta A}$, whose derivative is $A e^{\Delta
# A}$. $B$ and $C$ are shared by all channels, so theirs are sums over programs; the library lets every
# program write its part, and adds them up.

# %% [markdown] slide="slide"
# ## Why writing is slow
#
# A transformer that writes one text reads every weight for each token: SmolLM2's shape has 134.5
# million, 538 MB in float32, each for one multiplication and one addition. That is ½ FLOP a byte, far
# down the slope. **Predict:** eight texts at once, so that each weight serves eight. How much longer
# does a step take?

# %%
model = Transformer(TransformerConfig.smollm2())  # random weights: time doesn't look at values
weights, square = torch.ones(model.config.n_parameters), torch.randn(1024, 1024)


@torch.inference_mode()
def step_seconds(n_texts):
    cache, first = model.init_state(n_texts), torch.zeros(n_texts, dtype=torch.long)
    return seconds(lambda: model.step(first, cache), 3)


steps = {n_texts: step_seconds(n_texts) for n_texts in (1, 2, 8, 32)}
reads = weights.nbytes / seconds(weights.sum)
products = 2 * 1024**3 / seconds(lambda: square @ square)

# %% slide="fragment" show="output" alt="This machine's roofline for products: reading rate as the slope, matrix products as the roof. Four measured points, from 1 to 32 texts at once, start at half a FLOP a byte near the slope and climb to the right."
assert weights.nbytes == 4 * 134_515_008
assert 0.12 < weights.nbytes / steps[1] / reads < 2  # measured at different moments
assert steps[8] < 6 * steps[1]
points = {f"{n}": (n / 2, 2 * len(weights) * n / time) for n, time in steps.items()}
assert points["32"][1] > 3 * points["1"][1]
here = {"this machine": (reads, products)}
title = "One text is written on the slope, 32 together climb"
figures.roofs(here, points, {}, title=title, least=0.2, most=100)

# %% [markdown] slide="notes"
# (3 minutes.) Between once and three times, for eight times the tokens. Common answers: eight times;
# "no longer". That is why servers write many texts at once, why fewer bits a weight make writing
# faster, and why Mamba's step, whose state is small, reads its weights and little else. One text reaches
# a good part of what memory allows. The rest is calling many small operations; `mixlab.compiled` fuses
# these on a CPU, and then nothing but fewer bytes helps.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A program takes at least bytes over $R$, and operations over $F$. Left of the ridge, $F/R$, only
#    fewer bytes help, and operations are free.
# 2. Fusion keeps in registers what nobody else wants. A selective scan moves $1 + 2N$ times fewer
#    bytes, 33 for $N = 16$, and is still memory-bound.
# 3. What can be computed again needn't be kept: a state every $\sqrt{L/c}$ tokens for about a third
#    more operations.

# %% [markdown]
# ## Self-test
#
# 1. $y = \sqrt{x^2 + 1}$ as three kernels, and as one: bytes a number, in float32?
# 2. A machine does 10 FLOPs while a byte arrives. A kernel reads two numbers, writes one, and does 6
#    operations. What share of its time does it compute?
# 3. Double $N$: what happens to the bytes of the fused scan?
#
# <details><summary>Answers</summary>
#
# 1. 24 and 8.
# 2. ½ FLOP a byte: at most 5%.
# 3. Hardly anything: only $A$, $B$ and $C$ grow.
#
# </details>
#
# **Next.** *The scan is fast. What must be around it to make a language model?* Now
# [the exercises](../work/18_kernel_fusion.ipynb), then [chapter 19](19_mamba.ipynb).

# %% [markdown] to="exercise"
# # 18 · Kernel fusion: exercises
#
# Six exercises on [the lesson](../course/18_kernel_fusion.ipynb), about 66 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("18.1")` gives a
# first hint, called again a further one. None needs a GPU, or Triton.

# %% to="exercise"
import math

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="18.1" role="prompt" title="Count the bytes" difficulty=1 minutes=10 points=2
# A program is a list of kernels, in order: `(result, inputs)`, names of arrays of `n_bytes` bytes each.
# A kernel reads each of its different inputs once and writes its result. Names that no kernel makes lie
# in memory from the start. `wanted` are the results that must be in memory in the end.
#
# Return two numbers of bytes: what the kernels move one by one, each on its own; and what one fused
# kernel moves, which reads and writes only what it must, once.
#
# `bytes_moved([("h", ["x"]), ("y", ["h"])], ["y"], 64)` is `(256, 128)`.


# %% exercise="18.1" role="answer"
def bytes_moved(kernels, wanted, n_bytes):
    """Bytes moved one by one, and fused."""
    ### BEGIN SOLUTION
    separate = sum(len(set(inputs)) + 1 for _, inputs in kernels)
    made = {result for result, _ in kernels}
    read = {name for _, inputs in kernels for name in inputs} - made
    return separate * n_bytes, (len(read) + len(wanted)) * n_bytes
    ### END SOLUTION


# %% exercise="18.1" role="check"
check("18.1", bytes_moved)

# %% [markdown] exercise="18.2" role="prompt" title="Three kernels into one" difficulty=2 minutes=12 points=3
# `load("x", t)` reads a number of array x, `store("y", t, number)` writes one; places count from 0 to
# `n - 1`. Three kernels compute, for each place $t$:
#
# $$m_t = \max(x_0, \dots, x_t), \qquad d_t = m_t - x_t, \qquad y_t = d_t + d_{t-1}, \qquad d_{-1} = 0$$
#
# Write one kernel that stores all $y_t$ and reads and writes as little as possible. Variables are free, but
# hold no whole array: store $y_t$ before you read $x_{t+4}$. For 3, 1, 4, 1, 5 it stores 0, 2, 2, 3, 3.


# %% exercise="18.2" role="answer"
def fused(load, store, n):
    """Store y; nothing is returned."""
    ### BEGIN SOLUTION
    highest, before = -float("inf"), 0
    for t in range(n):
        x = load("x", t)
        highest = max(highest, x)
        store("y", t, highest - x + before)
        before = highest - x
    ### END SOLUTION


# %% exercise="18.2" role="check"
check("18.2", fused)

# %% [markdown] exercise="18.3" role="prompt" title="Predict: where does a chip compute?" difficulty=2 minutes=12 points=3
# A model writes $b$ texts at once. In a step it reads all its `weights` once, in float32, and each text's
# cache, `cache` bytes. It does two operations a weight and text. The chip reads `rate` bytes a second and
# does `flops` operations a second, both at once.
#
# Return the smallest number of texts from which on computing takes at least as long as reading; 0 if
# none will do. All numbers are whole; the result must be exact for large ones, too.
#
# `texts(100, cache=0, flops=40, rate=10)` is 8: then both take 40 seconds.


# %% exercise="18.3" role="answer"
def texts(weights, cache, flops, rate):
    """The smallest number of texts for which the chip is compute-bound; 0 if there is none."""
    ### BEGIN SOLUTION
    gain = 2 * weights * rate - cache * flops
    return -(-4 * weights * flops // gain) if gain > 0 else 0
    ### END SOLUTION


# %% exercise="18.3" role="check"
check("18.3", texts)

# %% [markdown] exercise="18.4" role="prompt" title="Predict: what is held?" difficulty=2 minutes=10 points=2
# A scan keeps the state before every chunk of `every` tokens, also before the first. The last chunk may be
# shorter. The backward pass takes the chunks from the last to the first. For each it computes the states
# after all of the chunk's tokens again, and holds them while it walks back; then it lets go of them, and
# of the state that was kept before this chunk.
#
# How many states are held at once, at most? `held(12, every=4)` is 7: three kept, four of the last chunk.
# For 10 tokens it is 6.


# %% exercise="18.4" role="answer"
def held(length, every):
    """The most states in memory at one time."""
    ### BEGIN SOLUTION
    chunks = -(-length // every)
    last = length - (chunks - 1) * every
    return max(chunks + last, chunks - 1 + every if chunks > 1 else 0)
    ### END SOLUTION


# %% exercise="18.4" role="check"
check("18.4", held)

# %% [markdown] exercise="18.5" role="prompt" title="A softmax in pieces" difficulty=2 minutes=12 points=3
# A row of scores is too long for one program. Each takes a part and hands on a pair: the largest score $m$
# of its part, and $s = \sum e^{x - m}$ over its part. Of two such pairs make that of both parts together,
# so that any number of programs can be joined, in a tree as well: this is how FlashAttention reads a row
# once.
#
# Scores may be thousands, above or below 0. A part in which all is masked is empty: its pair is
# $(-\infty, 0)$, `(-math.inf, 0.0)`. Return a pair of numbers.


# %% exercise="18.5" role="answer"
def merge(first, second):
    """(m, s) of both parts together."""
    ### BEGIN SOLUTION
    (m_0, s_0), (m_1, s_1) = first, second
    m = max(m_0, m_1)
    if m == -math.inf:
        return m, 0.0
    return m, s_0 * math.exp(m_0 - m) + s_1 * math.exp(m_1 - m)
    ### END SOLUTION


# %% exercise="18.5" role="check"
check("18.5", merge)

# %% [markdown] exercise="18.6" role="prompt" title="Prove by test: may it be scanned?" difficulty=2 minutes=10 points=2
# The interpreter said yes, a GPU said no. Write the test that would have told: `is_associative(f)` gets an
# operator on the whole numbers from 0 to 8, `f(a, b)`, whose results are such numbers, too. Return True
# only if brackets may be moved for all of them.
#
# The check hands over operators that may be scanned and operators that may not; some of these go wrong at
# a few numbers only.


# %% exercise="18.6" role="answer"
def is_associative(f):
    """Whether f(f(a, b), c) and f(a, f(b, c)) are always the same."""
    ### BEGIN SOLUTION
    numbers = range(9)
    for a in numbers:
        for b in numbers:
            for c in numbers:
                if f(f(a, b), c) != f(a, f(b, c)):
                    return False
    return True
    ### END SOLUTION


# %% exercise="18.6" role="check"
check("18.6", is_associative)
