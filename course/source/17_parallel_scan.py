# %% [markdown] slide="slide"
# # 17 · The parallel scan
#
# *Each state waits for the one before it. How can a thousand processors help?*

# %% [markdown] slide="slide"
# **The problem.** A model with a *state* reads a text token by token: the state after token $t$ is
# made from the state after token $t - 1$. A text of 100,000 tokens is then 100,000 steps, each of
# which waits for the one before, and a GPU's thousands of processors stand by and watch. One property
# of the step lets the work be shared out after all: every state of that text in 17 rounds.
# The method is called a *scan*, and Mamba stands on it.

# %% [markdown]
# **You will be able to** say which recurrences can run in parallel, and prove it; follow two
# famous scans round by round and count what each costs; choose between loop, tree and chunks for
# a machine; derive the backward pass of a recurrence and run it as one more scan.
#
# **You need** Python and PyTorch tensors, and the chain rule for the last part. That two linear
# steps make one is shown in [chapter 12](12_sequence_models.ipynb), and again here.
#
# **Time**: 55 minutes, and 75 more for the exercises in
# [work/17_parallel_scan.ipynb](../work/17_parallel_scan.ipynb), your copy of
# [these](../exercises/17_parallel_scan.ipynb).

# %%
import math
import time
from itertools import product
from operator import add

import torch

from mixlab.chapters.kit import series
from mixlab.chapters.parallel_scan import figures
from mixlab.chapters.parallel_scan.traces import (
    borders,
    racers,
    rounding_errors,
    schedule,
    trace_scan,
)
from mixlab.chapters.stage.host import piece
from mixlab.ssm.scan import affine, scan

generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## A leaky bucket
#
# Every minute a bucket keeps a share $a_t$ of its water, and $b_t$ litres come in. After minute $t$
# its level is
#
# $$h_t = a_t\,h_{t-1} + b_t$$
#
# It begins empty. With $a_t = 1$ nothing leaks, with ½ half does, with 0 it is emptied. Mamba
# (chapter 19) carries thousands of such levels, and chooses $a_t$ and $b_t$ for each token.
#
# Six minutes: $a$ = ½, ½, 1, ½, 0, ½; $b$ = 4, 2, 1, 0, 3, 2. **Predict** the last level.

# %% [markdown] slide="notes"
# (2 minutes.) 3.5 litres: minute 4 empties it, so only 3 and 2 count. Common answers: 12, the sum of the
# rain; 4.75, which overlooks the 0.

# %% slide="fragment" show="output" alt="Stacked bars of a bucket's level over six minutes: what was kept in blue, what came in in orange. The levels are 4, 4, 5, 2.5, 3 and 3.5; at minute 4 nothing was kept."
a = torch.tensor([0.5, 0.5, 1.0, 0.5, 0.0, 0.5])  # the share that is kept
b = torch.tensor([4.0, 2.0, 1.0, 0.0, 3.0, 2.0])  # litres that come in


def loop(a, b):
    """h_t = a_t h_{t−1} + b_t from an empty bucket; time along axis 0."""
    h, levels = torch.zeros_like(b[0]), []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        levels.append(h)
    return torch.stack(levels)


h = loop(a, b)
figures.bucket((h - b).tolist(), b.tolist(), "Each level is a share of the last one, plus new rain")

# %% [markdown] slide="slide"
# ## All sums of eight numbers
#
# First a bucket that never leaks: every $a_t = 1$. Its levels are *prefix sums*. From
# 3, 1, 4, 1, 5, 9, 2, 6 they are 3, 4, 8, 9, 14, 23, 25, 31, and a loop needs seven additions, one
# after the other.
#
# Now eight people stand in a row with one number each. In a *round* everyone may read the number
# of one other person and add it to their own. **Predict:** after how many rounds can everyone hold
# their prefix sum?

# %% slide="slide" show="output" alt="Hillis and Steele's scan of the eight numbers. Left, who reads whom: in round 1 each place reads the one before it, in round 2 the place two back, in round 3 four back. Right, a full triangle: row t holds items 0 to t and their sum. The last round brought four items into each of places 4 to 7. Other numbers, letters and methods can be chosen."
numbers = [3, 1, 4, 1, 5, 9, 2, 6]
trace = trace_scan("hillis_steele", 8)
back = [{b - a for a, b in zip(s.earlier, s.later, strict=True)} for s in trace.steps]
assert back == [{1}, {2}, {4}]
assert trace.coverage[-2].tolist() == [0, 0, 0, 0, 1, 2, 3, 4]  # before the last round
title = "Reach back 1, 2, 4: all sums in three rounds"
piece("scan", title, text="3 1 4 1 5 9 2 6", method="hillis_steele")

# %% [markdown] slide="notes"
# (3 minutes.) Three. Common answers: seven, as the loop; four, pair by pair. In the first round everyone adds their left neighbour's number, in the second that of the
# person two places away, then four. After two rounds nobody can know of more than four numbers. (`trace_scan` writes down who
# reads whom in the library's scan.)
#
# W. Daniel Hillis and Guy Steele wrote it for a machine with 65,536 processors ("Data Parallel
# Algorithms", 1986). In tensors a round is one line: everybody reads the values from *before* it.


# %%
def hillis_steele_sums(x):
    reach = 1
    while reach < len(x):
        x = torch.cat([x[:reach], x[:-reach] + x[reach:]])
        reach *= 2
    return x


assert hillis_steele_sums(torch.tensor(numbers)).tolist() == [3, 4, 8, 9, 14, 23, 25, 31]
assert trace.work == 17
assert math.ceil(math.log2(100_000)) == 17  # rounds for 100,000 tokens

# %% [markdown] slide="slide"
# ## Three rounds, but 17 additions
#
# The loop made 7. Can all sums be had in few rounds *and* with few additions?
#
# **Up.** Join neighbours: eight numbers become four sums of pairs, 4, 5, 14, 8. That is the same
# problem, half as large. Solve it in the same way: *their* prefix sums are 4, 9, 23, 31.
#
# **Down.** These are the prefix sums of places 1, 3, 5, 7. Each place between them reads the finished
# one on its left and adds its own number: place 4 makes 9 + 5 = 14.

# %% slide="slide" show="output" alt="Blelloch's scan of the eight numbers, joined like a tree. In rounds 1 to 3 places 1, 3, 5, 7, then 3 and 7, then 7 read what stands left of them; in round 4 place 5 and in round 5 places 2, 4 and 6 read a finished sum. Right, a full triangle of what each place holds."
trace = trace_scan("blelloch", 8)
assert [step.later for step in trace.steps] == [(1, 3, 5, 7), (3, 7), (7,), (5,), (2, 4, 6)]
assert (trace.depth, trace.work) == (5, 11)
title = "Up, then down: five rounds, only 11 additions"
piece("scan", title, text="3 1 4 1 5 9 2 6", method="blelloch")

# %% [markdown] slide="notes"
# Follow place 5: round 1 joins places 4 and 5; round 4 reads place 3, finished since round 2. Point at
# a place, and all that its value is made of lights up.
#
# In code the half as large problem needs no list of its own: a pair's sum stays where its right
# partner stood, and the stride doubles. Lay it beside the figure: each round is one line, `reach` how
# far back it reads.


# %% slide="slide"
def up_and_down(x):
    """All sums of 1, 2, 4, 8, … numbers."""
    x, reach = x.clone(), 1
    while reach < len(x):  # up: of 8, places 1, 3, 5, 7; then 3, 7; then 7
        x[2 * reach - 1 :: 2 * reach] += x[reach - 1 :: 2 * reach]
        reach *= 2
    while reach > 1:  # down: place 5; then 2, 4, 6
        reach //= 2
        x[3 * reach - 1 :: 2 * reach] += x[2 * reach - 1 : -reach : 2 * reach]
    return x


assert up_and_down(torch.tensor(numbers)).tolist() == [3, 4, 8, 9, 14, 23, 25, 31]
for length in (1, 2, 4, 1024):
    x = torch.randint(100, (length,))
    assert up_and_down(x).equal(x.cumsum(0))

# %% [markdown] slide="notes"
# Guy Blelloch, "Prefix Sums and Their Applications" (1990), section 1.3, has the sums *without* one's
# own number, and needs a zero for that. This form needs none. Lengths other than powers of two want
# more care: exercise 17.3. [A spreadsheet](spreadsheets/parallel_scan.xlsx) has both scans of sixteen
# numbers, and the leaky bucket's, in formulas: type other numbers.

# %% [markdown] slide="slide"
# ## What did they use of +?
#
# Only that brackets may be moved: $(x + y) + z = x + (y + z)$. An operator with this property is
# *associative*. That $x + y = y + x$ was never used: the earlier item always stood on the left.
#
# So let the scans join letters. A text says which items were joined, in which order, each how often.
# Only the brackets don't show, and those may be moved. **A scan that is right for letters is right
# for every associative operator.** Below, Blelloch's rounds on a word.

# %% slide="same" show="output"
for row in trace.replay(add, "parallel"):
    print("  ".join(f"{text:<8}" for text in row))
for method in ("hillis_steele", "blelloch"):
    for length in range(1, 70):
        letters = [chr(97 + t) for t in range(length)]
        final = trace_scan(method, length).replay(add, letters)[-1]
        assert final == ["".join(letters[: t + 1]) for t in range(length)]

# %% [markdown] slide="slide"
# ## A minute is a function
#
# The leaky bucket isn't a sum. What could we join? Not levels, but *minutes*. Minute 0 turns any
# level $h$ into $a_0 h + b_0$, and the next minute turns that into
#
# $$a_1(a_0 h + b_0) + b_1 \;=\; (a_1 a_0)\,h + (a_1 b_0 + b_1)$$
#
# again one factor and one offset. A pair stands for a stretch of time, and two pairs join:
#
# $$(a_1, b_1) \circ (a_0, b_0) \;=\; (a_1 a_0,\;\; a_1 b_0 + b_1)$$
#
# Our minutes (½, 4) and (½, 2) make (¼, 4): 8 litres become 6, either way. As with functions, $\circ$
# has the later one on its left. In code, names keep them apart: `then(earlier, later)`.


# %% [markdown] slide="slide"
# ## Is it associative?
#
# Bracket three minutes either way, and multiply out: both give
#
# $$\left(a_2 a_1 a_0,\;\; a_2 a_1 b_0 + a_2 b_1 + b_2\right)$$
#
# Of course: both say *first minute 0, then 1, then 2*. And in code, 64 cases are a proof. Each side
# is a polynomial in six numbers in which none is squared, and such a polynomial is fixed by its
# values where each number is 0 or 1.


# %% slide="same"
def then(earlier, later):
    (a_0, b_0), (a_1, b_1) = earlier, later
    return a_1 * a_0, a_1 * b_0 + b_1


for x in product((0, 1), repeat=6):
    assert then(then(x[:2], x[2:4]), x[4:]) == then(x[:2], then(x[2:4], x[4:]))
print(then((0.5, 4), (0.5, 2)), "and the other way round", then((0.5, 2), (0.5, 4)))

# %% [markdown] slide="notes"
# Why 0 and 1 suffice: in each of the six numbers, the others fixed, both sides are straight lines,
# and two lines that agree at 0 and at 1 agree everywhere.
#
# What can be scanned? Steps that, joined, are as brief as one step: two straight lines make a
# straight line. With $h_t = \tanh(a_t h_{t-1} + b_t)$, a classical recurrent network, they only grow.
#
# Now scan pairs. Place $t$ gets minutes 0 to $t$ in one; as the bucket began empty, the offset is its
# level. The library's `scan` takes an operator (`affine` is our `then`), tensors with time first, and
# a method.

# %%
assert 0.25 * 8 + 4 == 0.5 * (0.5 * 8 + 4) + 2 == 6  # two minutes as one
factor, offset = scan(affine, (a, b), "blelloch")
print("levels:", offset.tolist(), " factors:", factor.tolist())
methods = {"Hillis-Steele": ("hillis_steele", None), "Blelloch": ("blelloch", None)}
for length in (1, 2, 3, 100, 1000):
    pairs = torch.rand(length, 5), torch.randn(length, 5)  # five buckets side by side
    for how in methods.values():
        assert torch.allclose(scan(affine, pairs, *how)[1], loop(*pairs), atol=1e-5)

# %% [markdown] slide="slide"
# ## Swap the two, by mistake
#
# A slip of the pen: $(a_0 a_1,\; a_0 b_1 + b_0)$. **Predict:** does something crash? Do the two
# scans still agree with each other? Does the result look wrong?

# %% slide="fragment"
slow = 0.9 + 0.1 * torch.rand(120), torch.sin(torch.arange(120) / 8) + torch.rand(120)


def swapped(earlier, later):
    return affine(later, earlier)


right, wrong = loop(*slow), [scan(swapped, slow, *how)[1] for how in methods.values()]
print("the scans agree:", torch.allclose(*wrong, atol=1e-4))
print("right:", [f"{x:.2f}" for x in right[:4]], " swapped:", [f"{x:.2f}" for x in wrong[0][:4]])

# %% slide="slide" show="output" alt="The bucket's level over 120 minutes. The right level follows a wave of rain up and down. The swapped one follows it for the first minutes, then settles and stays nearly flat." myth="The order of the two arguments in a scan's operator doesn't matter" said="implementations that pass every test with equal decays" truth="It does as soon as a changes from token to token; with one constant a both orders give the same, and hide the fault."
assert (wrong[0][-30:].max() - wrong[0][-30:].min()) < 0.2 * (right[-30:].max() - right[-30:].min())
same = [torch.full((50,), 0.9), torch.full((50,), 0.3)]  # a test that sees nothing
assert torch.allclose(scan(swapped, same, "blelloch")[1], loop(*same), atol=1e-5)
lines = {"right": right.tolist(), "swapped": wrong[0].tolist()}
title = "Swapped, the bucket remembers its first minutes and ignores the rest"
shown = series.lines(range(120), lines, title=title, x_title="minute", y_title="level h")
shown.update_traces(mode="lines")

# %% [markdown] slide="notes"
# (3 minutes; common answers: the scans disagree; every level looks wrong.)
# No crash, and both scans agree: the swapped operator is associative too. It lets the minutes happen
# *last first*, so level $t$ is $b_0 + a_0 b_1 + a_0 a_1 b_2 + \dots$: the newest rain weighs least.
# It is of the right size, and right wherever all minutes are alike. **So compare with the loop, on
# random numbers;** that scans agree proves nothing.

# %% [markdown] slide="slide"
# ## What does a scan cost?
#
# *Work* is how often the operator is applied, *depth* how many rounds must wait for one another. Let
# $L = 2^k$. Hillis and Steele take $k$ rounds, in which the first 1, 2, 4, … places do nothing:
#
# $$\sum_{i=0}^{k-1} (L - 2^i) = L\log_2 L - L + 1$$
#
# Blelloch joins $\tfrac L2$ pairs, scans those, and fills in $\tfrac L2 - 1$ places:
#
# $$W(L) = (L - 1) + W(\tfrac L2) = (L - 1) + (\tfrac L2 - 1) + \dots + 1 = 2L - \log_2 L - 2$$
#
# That is a round up and a round down a halving, but for the last: depth $2\log_2 L - 1$.

# %% slide="same" show="output"
for k in range(1, 11):
    L = 2**k
    doubling, tree = trace_scan("hillis_steele", L), trace_scan("blelloch", L)
    assert (doubling.work, doubling.depth) == (L * k - L + 1, k)
    assert (tree.work, tree.depth) == (2 * L - k - 2, 2 * k - 1)
print(f"L = 1024   work: loop 1023, Blelloch {tree.work}, Hillis-Steele {doubling.work}")
print(f"          depth: loop 1023, Blelloch {tree.depth}, Hillis-Steele {doubling.depth}")

# %% [markdown] slide="slide"
# ## What a GPU does: chunks
#
# A GPU's fast memory holds only so many pairs. So cut the text into *chunks* of $C$ tokens, scan one
# by a tree, and put in front of all its places what the chunk before handed on: the *running prefix*.
# For a bucket that is just its level.


# %% slide="same"
def chunked_levels(a, b, chunk_size):
    level, chunks = torch.zeros_like(b[0]), []
    for start in range(0, len(a), chunk_size):
        some = slice(start, start + chunk_size)
        factor, offset = scan(affine, (a[some], b[some]), "blelloch")
        chunks.append(factor * level + offset)  # every place of the chunk at once
        level = chunks[-1][-1]
    return torch.cat(chunks)


for chunk_size in (1, 7, 64, 1000, 2048):
    assert torch.allclose(chunked_levels(*pairs, chunk_size), loop(*pairs), atol=1e-5)
methods["chunked, C = 64"] = ("chunked", 64)  # the library's, for any operator

# %% slide="slide" show="output" alt="A chunked scan of nine numbers in chunks of three, with dashed lines between them. Each chunk is scanned by a small tree in two rounds; then all three of its places read the last finished place of the chunk before, the last three in round 8. The chunk size can be dragged."
trace = trace_scan("chunked", 9, chunk_size=3)
assert [step.earlier for step in trace.steps[-1:]] == [(5, 5, 5)]
assert trace.depth == 3 * 2 + 2
title = "One chunk after the other, each handed the prefix so far"
piece("scan", title, text="3 1 4 1 5 9 2 6 5", method="chunked", chunk=3)

# %% [markdown] slide="notes"
# Mamba's CUDA kernel is this scan, not one tree over the whole text. (Chapter 18 has the words.) A block of up to 128 threads takes up to 16 tokens a thread, 2,048 a chunk, and keeps a running prefix from chunk to chunk
# (`selective_scan_fwd_kernel.cuh`). Each thread loops over its own 16; the 32 of a *warp* use Hillis and Steele's pattern. With $C = 1$ this is the loop,
# with $C = L$ one tree: drag $C$, and see.

# %% [markdown] slide="slide"
# ## How many processors does it take?
#
# Work is what one processor has to do, depth what a crowd has to wait for. A real machine has some
# number $P$ between. So let $P$ processors carry out the traces: in every round each applies the
# operator once, to any two values that are there already.
#
# **Predict** for 1,024 tokens: which needs the fewest rounds with $P = 2$? And from how many processors
# on does Hillis and Steele's need the fewest?

# %% [markdown] slide="notes"
# (3 minutes.) Blelloch's, narrowly; and 545, about half as many as tokens. Common answers: the loop for
# two, because a tree makes twice as many joins (but two share them); 1,024, one for every token.

# %% slide="slide" show="output" alt="Four lanes, each as long as its rounds with 545 processors and filled where they are busy. The loop runs off its lane, 1,023 rounds. Blelloch's, 18 rounds, is busy at both ends of its first half and mostly empty, 21 per cent; chunks of 64, 21 rounds. Hillis and Steele's is full to 99 per cent and the shortest, 17 rounds. On an axis below, the loop wins at one processor, Blelloch's from 2, Hillis and Steele's from 545. Their number is dragged."
traces = racers(1024, chunk_size=64)
assert borders(traces, 1024) == [(1, "sequential"), (2, "blelloch"), (545, "hillis_steele")]
rounds_of = {
    P: {name: len(schedule(trace, P)) for name, trace in traces.items()}
    for P in (1, 2, 100, 545, 1024)
}
for P, taken in rounds_of.items():
    for name, trace in traces.items():  # Brent's bounds
        chain = len(schedule(trace, trace.work))
        assert max(trace.work / P, chain) <= taken[name] <= trace.work / P + chain
assert list(rounds_of[545].values()) == [1023, 18, 21, 17]
assert rounds_of[2]["blelloch"] == 1018
assert round(rounds_of[100]["sequential"] / rounds_of[100]["blelloch"]) == 46
assert round(100 * traces["blelloch"].work / (545 * 18)) == 21
assert round(100 * traces["hillis_steele"].work / (545 * 17)) == 99
piece("race", "Hillis and Steele's scan wins from 545 processors on, for 1,024 tokens")

# %% [markdown] slide="notes"
# What is filled is work, and no processor changes it; what is empty waits. Blelloch's two processors
# share twice the loop's work, and win 5 rounds of 1,023; a hundred need 22, 46 times fewer. Hillis and Steele's keeps all busy, with nine times the loop's joins.
# Chunks of 128 tokens (+) win from 152 processors to 725.
#
# No schedule beats $\max(\text{work}/P, \text{chain})$, and a greedy one never needs more than
# $\text{work}/P + \text{chain}$ (Brent 1974). Blelloch's chain is 18, one less than its rounds: the
# last up and the first down don't need each other.

# %%
longer = borders(racers(1024, chunk_size=128), 1024)
assert longer[2:] == [(152, "chunked"), (726, "hillis_steele")]
for length in (16, 64, 256):
    least = borders(racers(length, chunk_size=length), length)[-1][0]
    print(f"{length:,} tokens: Hillis and Steele's from {least} processors, {least / length:.0%}")

# %% [markdown]
# ## And on this machine?
#
# In PyTorch a round is a few calls, here on one thread. **Predict** which way
# wins for 1024 tokens of *one* bucket, and which for 4096 buckets side by side.


# %% slide="slide" show="output" alt="Two panels of time against length, logarithmic. With one bucket the loop is the slowest and Hillis and Steele's scan the fastest by far. With 4096 buckets the order is reversed: the loop is the fastest and Hillis and Steele's the slowest."
def milliseconds(name, width, length):
    """Processor time on one thread: other programs on the machine don't disturb it."""
    pairs = torch.rand(length, width), torch.randn(length, width)
    torch.set_num_threads(1)
    start = time.process_time()
    for _ in range(3):
        loop(*pairs) if name == "loop" else scan(affine, pairs, *methods[name])
    return 1000 * (time.process_time() - start) / 3


lengths, times = [64, 128, 256, 512, 1024], {}
for width, words in [(1, "1 bucket"), (4096, "4096 buckets side by side")]:
    times[words] = {
        name: [milliseconds(name, width, length) for length in lengths]
        for name in ("loop", *methods)
    }
assert 2 * 768 * 16 == 24_576  # buckets a layer in mamba-130m: d_inner · d_state
assert times["1 bucket"]["loop"][-1] > 2 * times["1 bucket"]["Hillis-Steele"][-1]
title = "Few buckets: fewest rounds win. Many: least work wins"
y_titles = ["processor time (ms)", ""]
figures.panels(lengths, times, title=title, x_title="length (tokens)", y_titles=y_titles)

# %% [markdown] slide="notes"
# (3 minutes; common answers: the same one both times, for its work or for its rounds.)
# With one bucket a call costs the same for 10 numbers or 1000:
# rounds count. With 4096, one step of the loop keeps the processor busy by itself: work counts.
#
# Mamba is of the second kind: its smallest published size has 24,576 buckets a layer. So this library's
# fast paths, on CPU and GPU, loop over time and share out the buckets. A scan over time pays when
# there is little else to share.

# %% [markdown] slide="slide"
# ## A tempting shortcut
#
# Let $P_t = a_0 a_1 \cdots a_t$. Divide the recurrence by it, and it becomes a plain sum:
#
# $$\frac{h_t}{P_t} = \frac{h_{t-1}}{P_{t-1}} + \frac{b_t}{P_t}
# \qquad\Rightarrow\qquad h_t = P_t \sum_{s \le t} \frac{b_s}{P_s}$$
#
# Two library calls. **Predict** what it makes of our six minutes, where
# $a_4 = 0$; and for how long it works where a bucket keeps 90% a minute.


# %% slide="same" show="output" myth="A linear recurrence is two library calls: cumulative product, cumulative sum" said="short Mamba implementations on code hosts" truth="The quotient overflows float32 after 88.7 / (−ln a) tokens: less than 56 for the fastest states of a newly made Mamba. One a = 0 ruins the rest."
def shortcut(a, b):
    P = a.cumprod(0)
    return P * (b / P).cumsum(0)


print("six minutes:", shortcut(a, b).tolist())
print("the bucket: ", h.tolist())
for share in (0.99, 0.9, 0.5, math.exp(-1.6)):
    levels = shortcut(torch.full((10_000,), share), torch.ones(10_000))
    failed = int(levels.isfinite().int().argmin())
    assert 0.9 < failed * -math.log(share) / 88.7 < 1.01
    print(f"a = {share:.2f}: no number from token {failed:,} on")

# %% [markdown] slide="notes"
# (3 minutes; common answers: only minute 4 is wrong; it never fails.)
# With $a_4 = 0$ it divides 0 by 0 at once. Else $P_t$ shrinks until the sum of $b/P$ passes the
# greatest float32, $e^{88.7}$: after at most $88.7 / (-\ln a)$ tokens. A
# freshly initialised Mamba has states that keep $e^{-1.6} = 0.2$ a token (Δ = 0.1, A = −16). A scan
# only ever multiplies neighbours; a product that underflows to 0 is harmless, for its water is gone.
#
# Real numbers are associative, floats not quite: `(x + y) + z` rounds in another
# place than `x + (y + z)`. **Predict** who sums 32,768 numbers better, loop or scans.

# %% slide="slide" show="output" alt="Greatest relative error of float32 prefix sums against position, logarithmic axes. The loop's error climbs steadily; those of Hillis-Steele, Blelloch and chunked stay about ten times lower at the end."
ways = {"loop": ("sequential", None)} | methods
at, x = [2**k for k in range(4, 16)], torch.rand(2**15)
errors = rounding_errors(torch.ones(2**15), x, ways, at)
leaking = rounding_errors(torch.full((4096,), 0.9), x[:4096], ways, at[:9])
assert all(errors["loop"][-1] > 5 * errors[name][-1] for name in methods)
assert max(map(max, leaking.values())) < 1e-6
title = "Sums in float32: a long chain drifts, short chains don't"
figures.error_lines(at, errors, title)

# %% [markdown] slide="notes"
# (2 minutes; common answers: the loop, for it keeps the order; no difference.)
# In the loop an item passes through up to 32,767 roundings, in a tree through 15 to 30. A bucket that
# leaks forgets its errors with its water: the cell finds all four ways right to a millionth. But bits
# differ: compare scans with `allclose`, never with `==`.

# %% [markdown] slide="slide"
# ## Backwards: one litre more
#
# Training asks how a loss changes with every $a_t$ and $b_t$. Let the loss be the sum of our six
# levels. **Predict:** by how much does it rise if one more litre falls in minute 1?
#
# $$a = (½, ½, 1, ½, 0, ½)$$

# %% [markdown] slide="notes"
# (3 minutes.) 2.5: minutes 1 and 2 keep all of it, minute 3 half, minute 4 nothing. Common answers: 1,
# without the later levels; 5, without the leak.

# %% slide="slide" show="output" alt="A lower triangular table of six by six weights: how much of what came in at minute s is still there at minute t. Row 2 is outlined and adds up to the level 5 at minute 2; column 1 is outlined and adds up to 2.5, the loss's derivative by the rain of minute 1."
weights = torch.stack([loop(a, one) for one in torch.eye(6)], dim=1)  # (minute t, minute s)
assert torch.equal(weights @ b, h)
assert (loop(a, b + torch.eye(6)[1]) - h).sum() == 2.5  # one litre more in minute 1
assert torch.equal(weights.T @ torch.ones(6), torch.tensor([2.25, 2.5, 1.5, 1.0, 1.5, 1.0]))
forward = "<b>forward</b>: row 2, times the rain,<br>gives h = 5"
back = "<b>back</b>: column 1<br>gives g = 2.5"
title = "Levels add up rows, gradients add up columns"
figures.reach(weights.numpy(), 2, 1, (forward, back), title)

# %% [markdown] slide="slide"
# ## The backward pass
#
# Let $g_t$ be the loss's derivative by $h_t$. A part of it, $above_t$, doesn't go by way of later
# levels; here it is 1. The rest has one way: $h_{t+1} = a_{t+1} h_t + b_{t+1}$. By the chain rule
#
# $$g_t = above_t + a_{t+1}\,g_{t+1}, \qquad g_{L-1} = above_{L-1}$$
#
# And $a_t$, $b_t$ act on nothing but $h_t = a_t h_{t-1} + b_t$, where $h_{-1} = 0$:
#
# $$\frac{\partial loss}{\partial b_t} = g_t \qquad\qquad \frac{\partial loss}{\partial a_t} = g_t\,h_{t-1}$$
#
# A leaky bucket again: filled by $above$, run from the end, its factors one place on. Ours goes
# 1, 1 + ½·1 = 1.5, 1 + 0·1.5 = 1, 1.5, 2.5, 2.25: the columns' sums.


# %%
def gradients(a, h, above):
    """The loss's derivatives by a and b."""
    later = torch.cat([a[1:], torch.zeros_like(a[:1])])  # a_{t+1}; after the end, nothing
    _, g = scan(affine, (later.flip(0), above.flip(0)), "blelloch")
    g = g.flip(0)
    before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])  # h_{t−1}; at first, empty
    return g * before, g


print("by b:", gradients(a, h, torch.ones(6))[1].tolist())
print("by a:", gradients(a, h, torch.ones(6))[0].tolist())
leaves = [x.double().requires_grad_() for x in (torch.rand(500, 3), torch.randn(500, 3))]
levels, above = loop(*leaves), torch.randn(500, 3, dtype=torch.float64)
expected = torch.autograd.grad((levels * above).sum(), leaves)  # autograd, through the loop
for ours, theirs in zip(gradients(leaves[0], levels, above), expected, strict=True):
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-9)

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. Whatever can be joined associatively can be scanned: for $h_t = a_t h_{t-1} + b_t$ the pairs
#    $(a, b)$, the earlier one first. Swapped, every scan still agrees, and is wrong.
# 2. Hillis and Steele: $\log_2 L$ rounds, $L\log_2 L$ work. Blelloch: twice the rounds, $2L$ work.
#    One processor favours the loop, a few hundred the tree, one for every second token Hillis and
#    Steele's. GPUs scan chunks and hand on a running prefix.
# 3. The backward pass is one more scan, from the end: $g_t = above_t + a_{t+1} g_{t+1}$. It needs $a$
#    and $h$; Mamba's kernel finds $h$ anew rather than keep it (Mamba paper, section 3.3.2).

# %% [markdown]
# ## Self-test
#
# 1. Is $\max(x, y)$ associative? Is the mean $(x + y)/2$?
# 2. Six rounds of Hillis and Steele: how long a text?
# 3. What does a chunk need to know of all before it?
# 4. $a_t = 0$: what does that do to $g_{t-1}$?
#
# <details><summary>Answers</summary>
#
# 1. Yes. No: try 0, 0, 4.
# 2. 64 tokens.
# 3. One pair; for a bucket, its level.
# 4. It is $above_{t-1}$ alone: nothing passes an emptied bucket, either way.
#
# </details>
#
# **Next.** *A scan reads and writes far more than it computes. How do GPUs keep it in fast memory?*
# Now [the exercises](../work/17_parallel_scan.ipynb), then [chapter 18](18_kernel_fusion.ipynb).

# %% [markdown] to="exercise"
# # 17 · The parallel scan: exercises
#
# Six exercises on [the lesson](../course/17_parallel_scan.ipynb), about 75 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("17.1")` gives a
# first hint, called again a further one.
#
# In 17.2 and 17.3 `items` is a list of things that only `operator(earlier, later)` can join. Try your
# scans on letters: `operator = lambda x, y: x + y`, `items = list("abcdefg")`. The checks do, too.

# %% to="exercise"
from fractions import Fraction  # noqa: F401

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="17.1" role="prompt" title="A bucket with a brim" difficulty=2 minutes=10 points=2
# This bucket doesn't leak, but it overflows: what would stand above the brim is lost. In minute $t$,
# $b_t$ litres come in under a brim at $c_t$ litres:
#
# $$h_t = \min(c_t,\; h_{t-1} + b_t)$$
#
# Two such minutes, one after the other, are again *one* such minute, with some other rain and brim.
# Write the operator that finds it: `earlier` and `later` are pairs of numbers `(b, c)`, and so is the
# result. All numbers are whole, 0 or greater.


# %% exercise="17.1" role="answer"
def combine(earlier, later):
    """The pair (b, c) of both minutes together."""
    ### BEGIN SOLUTION
    (b_0, c_0), (b_1, c_1) = earlier, later
    return b_0 + b_1, min(c_1, c_0 + b_1)
    ### END SOLUTION


# %% exercise="17.1" role="check"
check("17.1", combine)

# %% [markdown] exercise="17.2" role="prompt" title="Find the bugs: Hillis and Steele" difficulty=2 minutes=12 points=3
# This function should return the list of all prefixes of `items`, for any number of items from 1
# up and any associative operator, and no prefix may wait for more than $\lceil\log_2 L\rceil$
# applications of the operator, one after the other. It has two mistakes. Find and mend both.
#
# ```python
# def hillis_steele(operator, items):
#     reach = 1
#     while reach < len(items):
#         for t in range(reach, len(items)):
#             items[t] = operator(items[t], items[t - reach])
#         reach *= 2
#     return items
# ```


# %% exercise="17.2" role="answer"
def hillis_steele(operator, items):
    """All prefixes of a list of items, in the same order."""
    ### BEGIN SOLUTION
    reach = 1
    while reach < len(items):
        joined = [operator(x, y) for x, y in zip(items, items[reach:], strict=False)]
        items = items[:reach] + joined
        reach *= 2
    return items
    ### END SOLUTION


# %% exercise="17.2" role="check"
check("17.2", hillis_steele)

# %% [markdown] exercise="17.3" role="prompt" title="Blelloch's scan, for any length" difficulty=3 minutes=15 points=4
# Return the list of all prefixes of `items`, for any number $L$ of items from 1 up and any
# associative operator. Apply the operator at most $2L$ times in all, and let no prefix wait for more
# than $2\lceil\log_2 L\rceil$ applications, one after the other. There is no zero to fill up with:
# only `operator` makes new items.


# %% exercise="17.3" role="answer"
def blelloch(operator, items):
    """All prefixes of a list of items, in the same order."""
    ### BEGIN SOLUTION
    if len(items) == 1:
        return items
    pairs = [operator(items[t - 1], items[t]) for t in range(1, len(items), 2)]
    finished = blelloch(operator, pairs)  # of places 1, 3, 5, …
    prefixes = [items[0]]
    for t in range(1, len(items)):
        prefixes.append(operator(prefixes[-1], items[t]) if t % 2 == 0 else finished[t // 2])
    return prefixes
    ### END SOLUTION


# %% exercise="17.3" role="check"
check("17.3", blelloch)

# %% [markdown] exercise="17.4" role="prompt" title="Prove by test: is it a scan?" difficulty=2 minutes=12 points=3
# Write the test that a scan must pass. `is_scan` gets a function `scan(operator, items)`, which takes
# lists of 1 to 40 items. Return True only if it gives the list of all prefixes, in order, for every
# such list and every associative operator.
#
# The check hands over right scans, among them a loop, a tree and chunks, and wrong ones. All make new
# items with `operator` alone and leave `items` as it is. Each wrong one gives a wrong list at one
# length at least.


# %% exercise="17.4" role="answer"
def is_scan(scan):
    """Whether scan(operator, items) returns all prefixes, for lists of 1 to 40 items."""
    ### BEGIN SOLUTION
    for length in range(1, 41):
        items = [str(t) for t in range(length)]
        expected = ["-".join(items[: t + 1]) for t in range(length)]
        if scan(lambda x, y: f"{x}-{y}", items) != expected:
            return False
    return True
    ### END SOLUTION


# %% exercise="17.4" role="check"
check("17.4", is_scan)

# %% [markdown] exercise="17.5" role="prompt" title="Predict work and depth" difficulty=2 minutes=12 points=3
# The lesson has formulas for powers of two. Predict the four numbers for *any* length $L \ge 1$,
# without running a scan: the check asks for lengths of millions.
#
# *Hillis and Steele:* reach 1, 2, 4, … as long as it is below $L$. In the round with reach $r$ every
# place but the first $r$ applies the operator.
#
# *Blelloch:* one round joins $\lfloor L/2 \rfloor$ pairs; scan the pairs in the same way; one round
# fills in the places 2, 4, 6, … that exist, and is no round if none does. A single item costs nothing.


# %% exercise="17.5" role="answer"
def costs(length):
    """Hillis and Steele's work and depth, then Blelloch's: (17, 3, 11, 5) for 8 items."""
    ### BEGIN SOLUTION
    work, depth, reach = 0, 0, 1
    while reach < length:
        work, depth, reach = work + length - reach, depth + 1, 2 * reach

    def tree(n):
        if n == 1:
            return 0, 0
        inner, rounds_inside = tree(n // 2)
        filled = (n - 1) // 2
        return n // 2 + inner + filled, 1 + rounds_inside + (filled > 0)

    return work, depth, *tree(length)
    ### END SOLUTION


# %% exercise="17.5" role="check"
check("17.5", costs)

# %% [markdown] exercise="17.6" role="prompt" title="The backward pass by hand" difficulty=3 minutes=15 points=4
# A bucket begins with `state` litres in it: $h_0 = a_0 \cdot state + b_0$, then
# $h_t = a_t h_{t-1} + b_t$. The forward pass has been done, and `above[t]` is the loss's derivative by
# $h_t$ that doesn't go by way of later levels. Return the loss's derivatives by `a`, `b` and `state`,
# in this order: two lists and a number.
#
# `a`, `h` and `above` are lists of Python's `Fraction`, and `state` is one. Fractions don't round, and
# your result must be exact: autograd, which knows only floats, is no help. A loop is fine, and so is a
# scan. Don't divide by $a_t$, which may be 0.


# %% exercise="17.6" role="answer"
def scan_backward(a, h, above, state):
    """The derivatives by a (a list), by b (a list) and by the state (a number)."""
    ### BEGIN SOLUTION
    g = list(above)
    for t in reversed(range(len(a) - 1)):
        g[t] += a[t + 1] * g[t + 1]
    previous = [state, *h[:-1]]
    return [x * y for x, y in zip(g, previous, strict=True)], g, a[0] * g[0]
    ### END SOLUTION


# %% exercise="17.6" role="check"
check("17.6", scan_backward)
