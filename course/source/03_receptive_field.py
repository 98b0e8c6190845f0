# %% [markdown] slide="slide"
# # 03 · Receptive field
#
# *If every token sees only 4,096 tokens, how can Mistral read 32,768?*

# %% [markdown] slide="slide"
# **The problem.** Mistral 7B shows each token the nearest 4,096, and its released configuration
# allows texts of 32,768. In the last chapter we slid a window past a cat's name, and the model
# could no longer say it. Yet the paper promises an attention span of 131,000 tokens. Both are true.
# Between them lies a distinction that this chapter makes exact: how far information *can* travel
# through a stack of windows, and how far it *does*.

# %% [markdown]
# **You will be able to** count what a token can reach through any stack of windows; prove the
# count by induction, by matrices and by derivatives; test a model's reach without being fooled;
# explain why influence fades long before reach ends, and what training can do about it.
#
# **You need** the window's rule from [chapter 02](02_sliding_window.ipynb), and to have called
# `backward()` in PyTorch.
#
# **Time**: 50 minutes, of them 5 for an optional part, and 55 more for the exercises in
# [work/03_receptive_field.ipynb](../work/03_receptive_field.ipynb), your copy of
# [these](../exercises/03_receptive_field.ipynb).

# %%
import inspect
from pydoc_data.topics import topics

import numpy as np
import torch
from torch.nn.functional import conv1d, cross_entropy, pad

from mixlab import load, smollm2, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.receptive_field import effective_field, figures, traces
from mixlab.chapters.stage.host import piece
from mixlab.common.training import TrainingConfig, train
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.window import window_mask

generator = torch.manual_seed(0)

# %% [markdown] slide="slide"
# ## Six words, window three
#
# *The cat sat on the mat*, $W = 3$. In layer 1, *mat* reads *on*, *the* and itself. But layer 2
# does not read words any more. It reads *states*, the vectors that layer 1 wrote, one for each
# word; and the state of *on* has *cat* and *sat* in it.
#
# **Predict:** which words does *mat* know after two layers? After how many does it know *The*?

# %% slide="fragment" show="output"
words = "The cat sat on the mat".split()
window = 3
known = [{i} for i in range(6)]  # before any layer, each token knows itself
for layer in (1, 2, 3):
    seen = [[j for j in range(6) if 0 <= i - j < window] for i in range(6)]
    known = [set().union(*(known[j] for j in seen[i])) for i in range(6)]
    print(f"after layer {layer}, mat knows:", *(words[j] for j in sorted(known[5])))

# %% [markdown] slide="notes"
# After two layers five: *cat* to *mat*. After three, *The* too. *Usual wrong answers:* six after two
# layers, $2 \times 3$; or still three, "it sees no further". Two minutes. A rumour along a bench:
# nobody hears further than two seats, and still it crosses the room, two seats a round.
#
# The words that a token's state can depend on are its *receptive field*, as a nerve cell of the eye
# answers to one patch of the retina. The next figure's twelve words stay for all proofs: blue is what
# the last word's state is made from. Press play, drag $W$.

# %% slide="slide" show="output" alt="Twelve words bear a stack of five layers. From the last word's state at the top, blue lines fan out downwards, two words wider in every layer: 3, 5, 7, 9 and at the bottom 11 words. An orange way climbs from old, the second word, over that, next, sat and on, one layer at a time, to mat."
bench = "The old cat that lived next door sat down on the mat".split()
n_layers, window = 5, 3
assert traces.cone(window, n_layers, query=11).sum(axis=1).tolist() == [11, 9, 7, 5, 3, 1]
assert traces.relay(window, n_layers, key=1, query=11) == [1, 3, 5, 7, 9, 11]
reach = traces.reach([window] * n_layers, seq=12)  # (layers + 1, token, input token)
eleven = reach[5, -1].tolist()  # after five layers the last word knows all but the first
assert eleven == [False] + 11 * [True]
title = "Every layer lets the last word reach two words further"
piece("window", title, text=" ".join(bench), window=window, layers=n_layers)

# %% [markdown] slide="slide"
# ## You have seen this net before
#
# | | convolution of width $W$ | attention, window $W$ |
# |---|---|---|
# | reads | $W$ neighbours | $W$ neighbours |
# | with weights | learnt once, the same everywhere | computed afresh from the content |
# | five layers of width 3 reach | 11 inputs | 11 tokens |
#
# *How much* each neighbour counts differs. *Who* is read does not, so both stacks have the same
# reach. The cell stacks five convolutions, each padded on the left so that it never looks ahead,
# and asks by `backward()` which inputs the last output depends on.

# %% slide="same" show="both"
x = torch.randn(1, 1, 12, requires_grad=True)
y = x
for _ in range(n_layers):
    y = conv1d(pad(y, (window - 1, 0)), torch.rand(1, 1, window))
y[0, 0, -1].backward()
print((x.grad[0, 0] != 0).int().tolist())
assert (x.grad[0, 0] != 0).tolist() == eleven

# %% [markdown] slide="slide"
# ## The proof
#
# **Claim.** After $L$ layers, token $i$ can depend on tokens $i - L(W-1)$ to $i$, as far as the
# text goes back, and on no other.
#
# Only attention carries anything from token to token; the rest of a layer works on each by itself.
# **No layer:** a token knows itself. **One layer more:** token $i$ reads tokens $i-(W-1)$ to $i$. By
# the claim for $L - 1$ layers, the farthest of these reaches back to
#
# $$i - (W-1) - (L-1)(W-1) = i - L(W-1)$$
#
# and the others reach less far. So a layer adds $W - 1$ to the number $R_L$ of tokens:
#
# $$R_0 = 1,\quad R_L = R_{L-1} + (W-1) \quad\Rightarrow\quad R_L = L\,(W-1) + 1$$

# %%
# On our bench: in the fifth layer mat, token 11, reads tokens 9, 10 and 11.
after_four = [np.flatnonzero(row).tolist() for row in reach[4]]
for j in (9, 10, 11):
    print(f"after four layers, token {j:>2} depends on {after_four[j][0]} to {after_four[j][-1]}")
assert set().union(*after_four[9:]) == set(np.flatnonzero(eleven)) == set(range(1, 12))

for window in range(1, 9):
    field = traces.reach([window] * 8, seq=60)
    for n_layers in range(9):
        expected = range(59 - n_layers * (window - 1), 60)  # of the last of 60 tokens
        assert np.flatnonzero(field[n_layers, 59]).tolist() == list(expected)
        assert len(expected) == n_layers * (window - 1) + 1
print("as claimed, for every window from 1 to 8 and up to 8 layers")

# %% [markdown] slide="slide"
# ## The paper's 131K
#
# "Mistral 7B" (Jiang et al. 2023, section 2): with $W = 4096$, the last of 32 layers has "a
# theoretical attention span of approximately 131K tokens".
#
# **Predict:** after how many layers has a token read all of 32,768 tokens? Is it eight, since
# $8 \times 4096 = 32{,}768$?

# %% slide="fragment" show="output" myth="The last layer's attention spans 131K tokens: W times the number of layers" said="Mistral 7B, section 2" truth="W counts the token itself, so a layer adds W − 1, and the last token depends on at most 32 · 4,095 + 1 = 131,041."
mistral = TransformerConfig.mistral_7b()
n_layers, window = mistral.n_layers, mistral.window
print(f"W L           = {window * n_layers:,}")
print(f"L (W - 1) + 1 = {n_layers * (window - 1) + 1:,}")
assert (window * n_layers, n_layers * (window - 1) + 1) == (131_072, 131_041)
for k in (8, 9):
    print(f"after {k} layers: {k * (window - 1) + 1:,} of 32,768")
assert 8 * (window - 1) + 1 == 32_768 - 7

# %% [markdown] slide="notes"
# Nine. *Usual wrong answers:* eight; or one, "that is what attention is for". Two minutes. Neighbouring
# windows share a token, so eight layers fall seven short. (The paper's table 1 gives a context of
# 8,192; 32,768 stands in the configuration that was released with the weights.)
#
# Both 131,072 and 131,041 are "approximately 131K". The first is exact in the paper's own words:
# positions "between $i - W$ and $i$" let each of 32 layers step back by $W$. Its figures show $W$ keys,
# as we do: 131,040 earlier tokens and the token itself.

# %% [markdown] slide="slide"
# ## The same by matrices
#
# Write the mask $M$ with ones and zeros. Then
#
# $$(M\,M)_{ij} = \sum_k M_{ik}\,M_{kj}$$
#
# counts the tokens $k$ that $i$ sees and that see $j$: the *paths* from $i$ down to $j$ through two
# layers, the blue lines of the figure above. $M^L$ counts paths through $L$ layers, and token $i$
# can depend on $j$ where there is at least one. Our bench, $W = 3$, the last row of $M^5$:

# %% slide="same" show="output"
mask = window_mask(12, window=3).long()
paths = mask @ mask @ mask @ mask @ mask
print(paths[-1].tolist())
assert (paths[-1] > 0).tolist() == eleven
assert paths[-1].sum() == 3**5  # three ways on from each of five layers

# %% slide="slide" show="output" alt="A square grid of twelve tokens against twelve input tokens. A blue band along the diagonal grows two cells wider with every layer, its newest cells orange, until after six layers the lower triangle is full. A slider sets the number of layers from 0 to 6."
reach = traces.reach([3] * 6, seq=12)
assert reach[6].sum() == 12 * 13 // 2  # the whole triangle
assert not reach[5, 11, 0]
figures.filling(reach, "W = 3: each product with the mask adds a stripe of two")

# %% [markdown] slide="notes"
# Before you move the slider: when does the corner at the bottom left fill, where *mat* learns of
# *The*? Distance 11, two a layer: in layer 6, with one token to spare.
#
# If layers have different masks, the product has them in order, the first layer's on the right. An
# exercise asks for that.

# %% [markdown] slide="slide"
# ## The same by derivatives
#
# Counting assumes that we read the model's code rightly. A derivative asks the model itself: nudge
# the embedding of token $j$; does the state of token $i$ move? The table of all these derivatives
# is the *Jacobian*, and where $i$ can't be reached from $j$ its entry is 0.
#
# One row by hand: twelve different tokens, so that each has a row of the embedding matrix to
# itself, and that row's gradient answers for it. A random direction makes the last state, 64
# numbers, the one number that `backward()` wants.

# %% slide="same" show="both"
model = Transformer(TransformerConfig.tiny(window=3, n_layers=5))  # random weights
tokens = torch.arange(12)
state = model.hidden(tokens[None])[0, -1]  # of the last token, after the last layer
(state @ torch.randn(64)).backward()
size = model.tok_embeddings.weight.grad[tokens].norm(dim=1)
print("token 11 depends on tokens", size.nonzero().flatten().tolist())
assert (size > 0).tolist() == eleven

# %% slide="slide" show="output" alt="Two triangular grids of 12 tokens side by side. Left, the product of the masks: a blue band. Right, the sizes of the derivatives: the same band, brightest on the diagonal and several orders of magnitude darker at its far edge. A slider sets the number of layers."
norms = traces.jacobian_norms(model, tokens, generator)  # (layers + 1, token, input token)
reach = traces.reach([3] * 5, seq=12)
assert ((norms > 0) == reach).all()  # after each layer, for all 144 pairs
figures.support(reach, norms, "Derivatives live exactly where the masks' product says")

# %% [markdown] slide="notes"
# Left: who can be reached. Right: by how much, in powers of ten. The outlines are the same in every
# layer; the cell asserts all pairs. The induction gave an upper bound: who *can* matter. The
# derivatives show that in this network everyone who can, does. But look at the colours: the further
# from the diagonal, the weaker. Keep that in mind.

# %% [markdown] slide="slide"
# ## Now a trained model
#
# SmolLM2 has 30 layers. We impose $W = 4$, so its last token can reach back $30 \times 3 = 90$
# tokens. We take the model's best guess for the next token, and the gradient of its log-probability
# at every embedding. **Predict:** how far from the end of a story stands the farthest token whose
# gradient isn't 0?

# %%
story = (
    "The lighthouse keeper had a cat called Marmalade. Every evening she carried a lamp up the "
    "narrow stairs, and every evening the cat ran ahead of her into the dark. One night the wind "
    "was so loud that she could not hear the sea. She opened the door, looked out over the rocks, "
    "and saw nothing but rain. The lamp had gone out, and far below a ship was blowing its horn. "
    "She took the matches from her coat, but they were wet. She felt her way along the wall to "
    "the cupboard under the stairs, where her father had kept a tin box with a second bundle, "
    "wrapped in oilcloth. The cat would not move from the door. She struck a match, and cupped it "
    "in her hands until the wick took the flame. Slowly the great lens began to turn. Out on the "
    "water the horn stopped, then sounded twice, and the ship swung away from the rocks. When the "
    "morning came she found Marmalade asleep on the logbook, and beside him, still wet, a rope "
    "that she had never seen."
)
smol = load(smollm2())
encode = tokenizer(smollm2()).encode
manual = [topics[word] for word in ("with", "for", "class", "import")]
code = [inspect.getsource(one) for one in (window_mask, traces.ripple, traces.jacobian_norms)]
eight = [story, manual[0], code[0], *manual[1:], *code[1:]]
texts = torch.tensor([encode(text).ids[:212] for text in eight])

# %% slide="same" show="both" fails="AssertionError"
smol.set_window(4)
last = texts[:1, -96:]  # of the story, 90 tokens back from the last and five more
gradient = traces.prediction_gradient(smol, last)[0]  # (96, 576), nearest token first
size = gradient.square().sum(dim=1).sqrt()
farthest = int(size.nonzero().max())
assert farthest == 30 * (4 - 1), "the gradient of the story ends before distance 90"

# %% [markdown] slide="notes"
# The theorem says 90, and the cell fails. *Usual wrong answers:* 3, "the window"; 120, $30 \times 4$.
# Let the class argue before you go on: is the theorem false, does the model leak or lose something,
# or does the cell measure badly? Three minutes.

# %% [markdown] slide="slide"
# ## Who is wrong, the proof or the model?
#
# Neither: the ruler is. The gradient is there, and it is small. Its length is the root of a sum of
# *squares*, and the smallest positive number in float32 is $1.4 \times 10^{-45}$: anything below
# $10^{-23}$ squares to 0. Squared in double precision, the same gradient ends where it should.

# %% slide="same" show="both"
size = gradient.double().norm(dim=1)
assert int(size.nonzero().max()) == 90  # and not one token further
print("farthest token with a gradient:", int(size.nonzero().max()))
assert 0 < size[90] < 1e-30

# %% [markdown] slide="notes"
# A real network of 30 layers and 135 million trained parameters, and the reach is 90: to the token.
# So a test for zero is only as good as its arithmetic. The exercises show other ways to be fooled:
# dead ReLUs, sums that cancel, thresholds.
#
# And mark how little arrives from there: more than thirty zeros after the point. Can a
# prediction in float32 notice? We shall try it out below.

# %% [markdown] slide="slide"
# ## Why it fades: count the paths
#
# The row of $M^5$ above was 1, 5, 15, 30, 45, 51, 45, 30, 15, 5, 1: one path leads to the far end,
# most lead to the middle. Let every layer give its $W$ tokens equal weight. A token at distance $d$
# then has the share *paths to d* $/\, W^L$, which is the chance that $L$ random steps of $0$ to
# $W-1$ add up to $d$. Such sums pile up in a bell:
#
# $$\text{mean } \frac{L\,(W-1)}{2}, \qquad \text{spread } \sqrt{\frac{L\,(W^2-1)}{12}}$$

# %% [markdown]
# For Mistral that would be a gaze fixed 65,520 tokens back, and a share of $W^{-L}$ for the token
# itself. No model reads like that: the *residual connection* carries each token's own state past
# the attention. Say that a layer takes a part $a$ of its state from the window's mean and keeps the
# rest. Then a path hops in a part $a$ of the layers only, and the mean distance is $a\,L(W-1)/2$.


# %%
def shares(n_layers, window, attended):
    """The input's share at each distance after each layer; the rest of `attended` stays put."""
    step = np.full(window, attended / window)
    step[0] += 1 - attended
    after = [step]
    for _ in range(n_layers - 1):
        after.append(np.convolve(after[-1], step))
    return [np.pad(share, (0, n_layers * (window - 1) + 1 - len(share))) for share in after]


assert np.allclose(shares(5, 3, 1.0)[-1] * 3**5, paths[-1, 1:].flip(0))
alone, distance = shares(30, 8, 1.0), np.arange(30 * 7 + 1)
mean = alone[-1] @ distance
assert np.isclose(mean, 30 * 7 / 2)
assert np.isclose(alone[-1] @ (distance - mean) ** 2, 30 * (8**2 - 1) / 12)
assert mistral.n_layers * (mistral.window - 1) / 2 == 65_520

# %% slide="slide" show="output" alt="Two distributions over distance for a window of 8. Attention alone makes a light blue bell that moves back by three and a half tokens with each layer, to distance 105 after 30 layers. With a residual the green distribution stays near distance 0 and only grows a tail. A slider plays the layers."
held = shares(30, 8, 1 / 9)  # a ninth, as we shall measure
assert alone[-1].argmax() == 105
assert held[-1][:25].sum() > 0.9
assert np.isclose(held[-1] @ distance, 105 / 9)
effective_field.bell(
    np.stack(alone), np.stack(held), "Averaging looks ever further back; the residual looks here"
)

# %% [markdown] slide="notes"
# Light blue: attention without a residual; the gaze leaves the token, 3.5 tokens a layer.
# Green: every layer keeps eight ninths of what was there and takes one ninth from the window. After
# 30 layers a path has hopped 30/9 times on average, 3.5 tokens a hop: mean distance 11.7, with a
# tail of paths that hopped more often.
#
# Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"
# (2016), prove the bell for convolutions (sections 2.1–2.3), note that skip connections narrow it
# (2.5), and call the part that matters the *effective* receptive field.

# %% [markdown] slide="slide"
# ## How much of its reach does SmolLM2 use?
#
# Call a token's *influence* the length of that gradient at its embedding, as a share of the lengths
# of all tokens. We measure it on eight texts, a story, four pages of Python's manual and three
# functions of our library, for windows of 2, 4 and 8. And by the picture of paths we fit $a$, the
# part of its state that a layer takes from the window, to the mean distance.
#
# **Predict:** thirty layers are thirty steps of $W - 1$. Within how many lie nine tenths?

# %% slide="fragment" show="output" volatile=true
used, within, fits = {}, {}, []
for window in (2, 4, 8):
    span = 30 * (window - 1)
    smol.set_window(window)
    used[window] = traces.influence(smol, texts[:, -span - 2 :])  # in reach, and one token beyond
    a = used[window] @ np.arange(span + 2) / (span / 2)  # of each text
    mean = used[window].mean(axis=0)
    shares_within = np.stack([mean, *used[window]]).cumsum(axis=1)
    within[window] = (shares_within < 0.9).sum(axis=1) / span
    print(f"W = {window}: nine tenths within {30 * within[window][0]:.1f} of 30 steps; ", end="")
    print(f"a = 1/{1 / a[:3].mean():.1f} on three texts, 1/{1 / a.mean():.1f} on eight, ", end="")
    print(f"1/{1 / a.min():.1f} to 1/{1 / a.max():.1f} on one")
    fits.append(a)
smol.set_window(None)
three, eight = ([a[:n].mean() for a in fits] for n in (3, 8))
assert three[0] > three[1] > three[2]  # a trend …
assert three[2] / three[0] < 0.7 < eight[2] / eight[0]  # … of which five more texts leave little
assert all(a.max() - a.min() > max(eight) - min(eight) for a in fits)
assert 1 / 12 < min(eight) < max(eight) < 1 / 6

# %% [markdown] slide="notes"
# Within four or five. *Usual wrong answers:* 15, the middle of the bell; 27, nine tenths of thirty. Two
# minutes.
#
# On our first three texts $a$ falls steadily, from about a sixth at $W = 2$ to a twelfth at $W = 8$: it
# halves. Ask a class why: they find a reason, as we did. Then show eight texts: hardly a fall is
# left, and single texts differ more than windows do. Three were too few for a trend. About a ninth.
#
# Nor is the picture of paths a derivation: weights aren't equal, contributions cancel, feed-forward
# layers bend them.

# %% slide="slide" show="output" alt="Four bars as long as the reach. In the measured ones, for windows 2, 4 and 8, only the first seventh or so is blue, and the ticks of eight single texts stand near its end. In the fourth, attention alone, more than half is blue." myth="A receptive field of 131K tokens is an attention span of 131K tokens" said="readers of the same section" truth="It is a bound, and influence fades inside it: under windows of 2, 4 and 8 nine tenths of SmolLM2's lie within a quarter of its reach, on each of eight texts."
parts = {f"W = {w}, measured": (part[0], part[1:]) for w, part in within.items()}
assert max(mean for mean, _ in parts.values()) < 1 / 6
assert max(each.max() for _, each in parts.values()) < 1 / 4
parts["attention alone"] = (alone[-1].cumsum() < 0.9).sum() / (30 * 7), []
assert parts["attention alone"][0] > 1 / 2
effective_field.used(parts, "Nine tenths of the influence come from a sixth of the reach")

# %% slide="slide" show="output" alt="Share of influence against distance on a logarithmic axis, for window 4. The measured curve falls by more than thirty orders of magnitude and ends exactly at a dashed line at distance 90. The dashed path picture ends far below it."
picture, mean = shares(30, 4, 1 / 9)[-1], used[4].mean(axis=0)
assert ((mean > 0) == (np.arange(92) <= 90)).all()
assert picture[90] < mean[90] < 1e-30
curves = {
    "measured": (np.arange(91), mean[:91]),
    "paths, 1/9 attended": (np.arange(91), picture),
}
effective_field.fade(curves, 90, "W = 4: more than thirty powers of ten down, and at 90 it ends")

# %% [markdown] slide="slide"
# ## One word changes (optional)
#
# No derivatives now: in the story, *cat* becomes *dog*, and we compare all predictions. Each word's
# colour says how much the prediction after it changed, in *bits* (the Kullback-Leibler divergence:
# 1 bit turns a sure bet into an even one). Blank is what stayed the same to the last bit.

# %% slide="slide" show="output" alt="The story in rows of twelve tokens. For window 3, the tokens after the exchanged word glow yellow for a row or two, fade to dark blue, and turn blank, unchanged to the last bit, from the 61st on. A slider changes the window to 6 and 12: then the glow spreads further."
names = [token.replace("Ġ", "") for token in encode(story).tokens[:96]]  # Ġ stands for a space
at, dog = names.index("cat"), encode(" dog").ids[0]
bits = {}
for window in (3, 6, 12):
    smol.set_window(window)
    bits[str(window)] = traces.ripple(smol, texts[0, :96], at, dog)
smol.set_window(None)
assert (bits["3"][at + 61 :] == 0).all()  # beyond 30 (3 - 1): the same to the last bit
assert (bits["3"][at : at + 36] > 0).all()
assert bits["3"][at + 30 :].max() < 1e-5
effective_field.ripple(bits, names, at, "From cat to dog: a ripple, far shorter than the reach")

# %% [markdown] slide="notes"
# With $W = 3$ the change has sunk below a hundred-thousandth of a bit after thirty tokens. It isn't
# gone, though: a nudge too small to matter flips a rounding somewhere, and a flipped last digit is
# passed on as faithfully as any other. Such digits change at every one of 35 tokens and beyond;
# from the 61st on, out of reach, not one does.
#
# Below, in a notebook, try words of your own.

# %% widget=true
from ipywidgets import IntSlider, Text, interact


def exchange(text, position, word, window):
    typed = encode(text or "The")
    position = min(position, len(typed.ids) - 1)
    new = encode(" " + word).ids[0]
    if new == typed.ids[position]:
        return print("That is the token already there: choose another word.")
    smol.set_window(window)
    change = {str(window): traces.ripple(smol, torch.tensor(typed.ids), position, new)}
    smol.set_window(None)
    names = [token.replace("Ġ", "") for token in typed.tokens]
    return effective_field.ripple(change, names, position, f"“{word}” for “{names[position]}”")


interact(
    exchange,
    text=Text(" ".join(bench) + " until the cook came back", continuous_update=False),
    position=IntSlider(2, 0, 60, continuous_update=False),
    word=Text("dog", continuous_update=False),
    window=IntSlider(4, 1, 32, continuous_update=False),
)

# %% [markdown] slide="slide"
# ## A model that has to reach
#
# SmolLM2 was trained *without* a window: it could always look for itself, and never had to pass
# anything on. That it doesn't relay says little about a model that had to learn it. So let us ask
# one.
#
# We train four small ones, of one to four layers, with $W = 4$. The first token is one of eight
# messages, all others are noise, and after *every* token the model must say the message.
# **Predict:** how does the accuracy fall with distance?


# %% slide="fragment" show="output"
def draw(batch, seq=18):
    tokens = torch.randint(8, 16, (batch, seq))  # noise
    tokens[:, 0] = torch.randint(0, 8, (batch,))  # the message
    return tokens


def loss(model, tokens):
    said = model(tokens)  # (batch, seq, vocab)
    return cross_entropy(said.transpose(1, 2), tokens[:, :1].expand_as(tokens))


plan = TrainingConfig(steps=100, learning_rate=1e-2, warmup=10, weight_decay=0.0)
tiny = dict(dim=32, hidden_dim=64, n_heads=2, vocab_size=16, window=4)
accuracy = {}
for n_layers in (1, 2, 3, 4):
    model = Transformer(TransformerConfig.tiny(n_layers=n_layers, **tiny))
    train(model, loss, iter(lambda: draw(32), None), plan, progress=False)
    tokens = draw(1000)
    right = model(tokens).argmax(-1) == tokens[:, :1]
    accuracy[n_layers] = right.float().mean(dim=0)
    sure = (accuracy[n_layers] > 0.95).nonzero().flatten().tolist()
    print(f"L = {n_layers}: right up to distance {max(sure)}")

# %% [markdown] slide="notes"
# Not at all up to 3, 6, 9 and 12, which is $L(W-1)$, and then to guessing: cliffs. *Usual wrong answers:*
# slowly, as above; at 4, 8, 12 and 16. Two minutes. They learnt to hand the message on; beyond, nothing
# is left but to guess. So the fading above is no law: it belongs to a model that was never asked for
# more. One message in noise is the easiest to relay; a text holds thousands, and all must share the
# states on the way.
#
# How far Mistral 7B itself uses its 131,041 tokens, this laptop can't measure.

# %% slide="slide" show="output" alt="Accuracy against distance for models of one to four layers, window 4. Each is right every time up to distance 3, 6, 9 and 12, and falls at the next token to one in eight, the level of guessing."
for n_layers, right in accuracy.items():
    end = n_layers * (4 - 1)
    assert right[: end + 1].min() > 0.95
    assert right[end + 1 :].max() < 0.25  # guessing one message of eight: 0.125
series.lines(
    range(18),
    {f"L = {n}": right.tolist() for n, right in accuracy.items()},
    title="Trained with their window, four small models use all of their reach",
    x_title="distance to the message (tokens)",
    y_title="how often it says the message",
    marks={f"{n} · 3": n * 3 for n in accuracy},
    named_at_ends=False,  # they end together
)

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. A stack of $L$ windows reaches $L(W-1) + 1$ tokens: each layer reads what the one below has
#    gathered. For Mistral 7B that is 131,041.
# 2. Induction, the product of the masks and the Jacobian agree to the token. A test for a zero is
#    only as good as its arithmetic.
# 3. Reach is not use. Where a model never had to relay, most influence comes from a few windows back:
#    the residual stays where it is. One that is trained to relay can use all of its reach.

# %% [markdown]
# ## Self-test
#
# 1. $W = 5$. After which layer does token 40 depend on token 0?
# 2. One layer of a stack has no window. How far does it reach?
# 3. NaN in one embedding turns a masking model's earlier tokens NaN, too. Why?
#
# <details><summary>Answers</summary>
#
# 1. Layer 10: $40 / 4$.
# 2. All that is earlier.
# 3. A hidden token has weight 0, and 0 times NaN is NaN.
#
# </details>
#
# **Next.** *If nobody looks back further than W, what must a model keep in memory while it writes?*
# First [the exercises](../work/03_receptive_field.ipynb), then [chapter 04](04_rolling_cache.ipynb).

# %% [markdown] to="exercise"
# # 03 · Receptive field: exercises
#
# Five exercises on [the lesson](../course/03_receptive_field.ipynb), about 55 minutes. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("03.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="03.1" role="prompt" title="A stack of different windows" difficulty=1 minutes=8 points=2
# Some models give each layer a window of its own, and some layers none. `windows` lists them, one
# or more, the first layer first; `None` means that the layer sees every earlier token. How many
# input tokens does the token at `position` depend on after the last layer? Positions count from 0,
# the token itself counts, and the text begins at 0: `receptive_field([4, 2], 30)` is 5, and
# `receptive_field([4, 2], 2)` is 3.


# %% exercise="03.1" role="answer"
def receptive_field(windows, position):
    """Number of input tokens that the token at `position` depends on."""
    ### BEGIN SOLUTION
    if None in windows:
        return position + 1
    return min(position + 1, 1 + sum(window - 1 for window in windows))
    ### END SOLUTION


# %% exercise="03.1" role="check"
check("03.1", receptive_field)

# %% [markdown] exercise="03.2" role="prompt" title="Predict the layer" difficulty=2 minutes=8 points=2
# All layers have the same `window`. After how many layers does the state of token `i` depend on
# input token `j` for the first time? Return the number of layers: 0 if none is needed, and −1 if no
# number of layers is enough. The two may lie a million tokens apart, too far to visit every token
# between. Predict first: `i=10, j=3, window=4`.


# %% exercise="03.2" role="answer"
def layers_needed(i, j, window):
    """Fewest layers after which token i depends on token j; -1 if it never does."""
    ### BEGIN SOLUTION
    if i == j:
        return 0
    if i < j or window == 1:
        return -1
    return -(-(i - j) // (window - 1))
    ### END SOLUTION


# %% exercise="03.2" role="check"
check("03.2", layers_needed)

# %% [markdown] exercise="03.3" role="prompt" title="Reach through any masks" difficulty=2 minutes=12 points=3
# `masks` is a list of boolean tensors (seq, seq), one a layer, the first layer first. They need not
# be windows, and they differ: `masks[0][i, j]` is True where token `i` sees token `j` in the first
# layer. Every layer has a residual connection, so a token keeps what it knew even where its own
# mask hides it. Return a mask (seq, seq) of truth values: True where token `i` depends on input
# token `j` after the last layer. Some masks look ahead, too, and one stack has seventy layers.


# %% exercise="03.3" role="answer"
def reach(masks):
    """Which input token (column) each token (row) depends on, after all layers."""
    ### BEGIN SOLUTION
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        known = known | (mask.float() @ known.float() > 0)
    return known
    ### END SOLUTION


# %% exercise="03.3" role="check"
check("03.3", reach)

# %% [markdown] exercise="03.4" role="prompt" title="Find the bug: a test that is easily fooled" difficulty=3 minutes=12 points=3
# `f` is a stack of layers: it maps states (seq, dim) to states (seq, dim), in float32 or float64,
# whichever it is given. This function should return a mask (seq,): True at each input token that
# the *last* token's output depends on. It is right for some stacks and fooled by others: it has
# three mistakes, any of which can make a real dependence look like none. Mend them all.
#
# ```python
# def depends_on(f, seq, dim):
#     x = torch.zeros(seq, dim, requires_grad=True)
#     y = f(x)
#     y[-1].sum().backward()
#     return x.grad.norm(dim=1) > 1e-3
# ```


# %% exercise="03.4" role="answer"
def depends_on(f, seq, dim):
    """Mask (seq,): which input tokens the last output of f depends on."""
    ### BEGIN SOLUTION
    x = torch.randn(seq, dim, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(dim, dtype=torch.float64)
    (f(x)[-1] @ direction).backward()
    return (x.grad != 0).any(dim=1)
    ### END SOLUTION


# %% exercise="03.4" role="check"
check("03.4", depends_on)

# %% [markdown] exercise="03.5" role="prompt" title="Prove by test: has it this reach?" difficulty=3 minutes=15 points=4
# A `model` is said to have `n_layers` layers with this `window`. It maps states (seq, 4) to states
# (seq, 4), for up to 100 tokens, in float32 or float64. Return True only if each token depends on
# itself and the `n_layers * (window - 1)` tokens before it, as far as the text goes back, and on no
# other. The check hands you right models and wrong ones, some wrong at a single token. None hides a
# dependence as in exercise 03.4: random states will do. How long must your text be?


# %% exercise="03.5" role="answer"
def has_reach(model, n_layers, window):
    """Whether the model's tokens depend on exactly the tokens that this stack would reach."""
    ### BEGIN SOLUTION
    span = n_layers * (window - 1)
    seq = span + 6
    x = torch.randn(seq, 4, dtype=torch.float64)
    before = model(x)
    for j in range(seq):
        other = x.clone()
        other[j] = torch.randn(4, dtype=torch.float64)
        changed = (model(other) != before).any(dim=1)
        for i in range(seq):
            if bool(changed[i]) != (0 <= i - j <= span):
                return False
    return True
    ### END SOLUTION


# %% exercise="03.5" role="check"
check("03.5", has_reach)
