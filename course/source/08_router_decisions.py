# %% [markdown] slide="slide"
# # 08 · What the router decides
#
# *Does a mixture of experts have an expert for Python, one for mathematics and one for prose?*

# %% [markdown] slide="slide"
# **The problem.** Eight experts a layer, and a router that sends each token to two of them: one
# imagines eight specialists, each with a subject. The authors of Mixtral looked ("Mixtral of
# Experts", 2024, section 5) and found no such thing: experts followed *syntax* more than subject.
# How does one look? How much of it is chance, or vocabulary?

# %% [markdown]
# **You will be able to** read a trained router's decisions token by token; put honest error bars on
# them; measure in bits what experts follow, with the token's identity held fixed; compare
# neighbours with chance, by formula and by shuffling; take experts away and price the loss.
#
# **You need** Python, PyTorch, and how a router picks the best $k$ of its experts and weighs them
# with a softmax.
#
# **Time**: 60 minutes, 10 of them for the optional parts, which the slides leave out; and as much
# again for the exercises in
# [work/08_router_decisions.ipynb](../work/08_router_decisions.ipynb), your copy of
# [these](../exercises/08_router_decisions.ipynb).

# %% [markdown] slide="slide"
# ## A trained mixture that fits in 6 MB
#
# Mixtral's 46.7 billion numbers fill 93 GB. So the course brings its own: Mixtral's architecture, 6
# layers of 8 experts, 2 a token, trained for a quarter of an hour on eight kinds of text in equal
# parts. Seven were collected; arithmetic is *synthetic*: a program wrote it. `make train` repeats
# it, and the [model card](../lib/mixlab/small_mixtral/README.md) says what is in it.

# %%
import numpy as np
import torch

from mixlab import load, tokenizer
from mixlab.chapters.kit import series
from mixlab.chapters.kit.colored_text import colored_text
from mixlab.chapters.router_decisions import figures
from mixlab.chapters.router_decisions import repetition as router_repetition
from mixlab.chapters.router_decisions.prices import (
    own_and_dearest,
    prices,
    surely_dearest,
    without_favourites,
)
from mixlab.chapters.stage.host import piece
from mixlab.small_mixtral import card, folder
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.small_mixtral.sample import sample
from mixlab.traces import router_decisions as traces
from mixlab.traces.router import trace_router, twins
from mixlab.transformer.config import TransformerConfig

# %% slide="same" show="output"
model = load(folder(), dtype=torch.float32)
encode, decode = tokenizer(folder()).encode, tokenizer(folder()).decode
config, kinds = model.config, list(KINDS.values())
assert config.n_parameters == sum(p.numel() for p in model.parameters())
assert TransformerConfig.mixtral_8x7b().n_parameters * 2 // 10**9 == 93  # two bytes a number
print(f"{config.n_layers} layers of {config.n_experts} experts, {config.experts_per_token} a token")
print(f"{config.n_parameters:,} parameters, {config.n_active_parameters:,} of them for each token")
print("kinds of text:", ", ".join(kinds))

# %% [markdown] slide="slide"
# ## One sentence first
#
# `trace_router` runs the model and keeps every decision: for each layer and token the two experts,
# the better one first, and the weights of their results.
#
# Our tokens are parts of words: *The c·at s·at on the m·at*. Three of the nine are *at*.
# **Predict:** in how many of the six layers do all three have the same two experts?

# %% slide="slide" show="output" alt="The sentence The cat sat on the mat as nine tokens, and below it eight rows, the experts of layer 0, with the tokens that chose them. The three tokens at lie in the rows of experts 6 and 7, and so does on; four rows are empty. Stepping to other layers moves tokens to other rows; experts can be switched off, and a bar shows what that costs."
start = [0]  # <s>, which stood before every text in training
ids = encode("The cat sat on the mat").ids
trace = trace_router(model, torch.tensor([start + ids]))
assert trace.gates.sum(axis=-1).round(5).min() == 1
chosen = trace.chosen[:, 0, 1:]  # (layers, tokens, 2)
at = [place for place, i in enumerate(ids) if decode([i]) == "at"]
same = [set(at) <= set(twins(layer, at[0])) for layer in chosen]
assert same == [True, False, False, False, False, False]
on = [decode([i]) for i in ids].index(" on")
assert set(twins(chosen[0], at[0])) == {*at, on}
assert (np.bincount(chosen[0].ravel(), minlength=8) == 0).sum() == 4
piece("router", "Only in layer 0 have all three at the same two experts", step=0)

# %% [markdown] slide="notes"
# Predict (2 minutes): in one, layer 0. Wrong answers that a class gives: "in all, a token is a
# token", and "in none, each stands elsewhere". Layer 0 sees little but the token; above it, what
# stood before has been mixed in.
#
# Then let them play. The model itself runs in the page, and chooses as in the notebook. Rest on a
# token: its twins light up. Switch expert 7 off in layer 0 (key 7), then in layer 3. Type one word
# in English, in Spanish and inside a sum.

# %% [markdown] slide="slide"
# ## Text, coloured by expert
#
# The paper's figure 8 colours each token by its first expert. Ours does it for Python, arithmetic
# and the Bible, none of it seen in training. **Predict:** where will the colours change in layer 0,
# and where in layer 5: at sentences, at words, or by the token?

# %% slide="slide" show="output" alt="Three short texts in Python, arithmetic and Bible English, twice side by side. Every token stands on the colour of its first expert. On the left, in layer 0, each text is a mosaic in which equal tokens share a colour. On the right, in layer 5, two colours cover most of each text, and the texts differ."
shown = {"Python code": 130, "arithmetic": 60, "English Bible": 110}
texts, experts = {}, {}
for kind, letters in shown.items():
    name = list(KINDS)[kinds.index(kind)]
    ids = encode(documents(name, "held_out")[1][:letters]).ids
    texts[kind] = [decode([i]) for i in ids]
    experts[kind] = trace_router(model, torch.tensor([start + ids])).chosen[[0, 5], 0, 1:, 0]
for kind, (low, high) in experts.items():
    pairs = set(zip(texts[kind], low.tolist(), strict=True))
    assert len(pairs) < 1.1 * len(set(texts[kind]))  # layer 0: a token has its colour
    assert np.sort(np.bincount(high))[-2:].sum() > 0.8 * len(high)  # layer 5: two have most
colored_text(texts, experts, (0, 5), "Layer 0 colours tokens, layer 5 colours texts")

# %% [markdown] slide="notes"
# Predict (2 minutes). In layer 0 follow one token: the comma, the line's end, the spaces that indent
# Python. It keeps its colour, whatever surrounds it. In the last layer most of a text has two or
# three colours. Wrong: "at sentences", "alike in both". The paper sees indentation always go to the
# same experts (section 5).

# %% [markdown] slide="slide"
# ## From looking to counting
#
# Colours persuade too easily. So take 32 held-out documents of each kind, the first 256 tokens of
# each, and count: 65,536 tokens, with two choices each in every layer. **Predict:** eight kinds of
# text and eight experts: does each kind get an expert of its own?

# %%
held_out = sample(tokenizer(folder()))
choices = [trace_router(model, held_out.tokens[held_out.kind == n]).chosen for n in range(8)]
chosen = np.concatenate(choices, axis=1)
print(chosen.shape, "layers, texts, tokens, choices")

rng = np.random.default_rng(0)
shares, low, high = traces.kind_shares(choices, 8, rng)  # each (layers, kinds, experts)
assert np.allclose(shares.sum(axis=-1), 1)

# %% slide="slide" show="output" alt="Eight panels, one for each kind of text, with eight bars each: the share of choices that went to each expert, with error bars, and a dashed line at one eighth. In layer 0 prose and code look alike and arithmetic differs. In layer 5 most kinds have one or two tall bars. A player steps through the layers."
assert abs(((low > 1 / 8) | (high < 1 / 8)).mean() - 0.9) < 0.03  # bars that leave out 1/8
assert shares[5].max(axis=-1).min() > 0.3  # in layer 5 every kind has a favourite
favourite = shares[5].argmax(axis=-1)
assert len(set(favourite)) == 7  # but not each its own:
assert favourite[0] == favourite[2]
assert (choices[1][5, ..., 0] == favourite[1]).mean() > 0.9  # first choices in Spanish
figures.kind_shares(shares, low, high, kinds, "In the last layer kinds have favourites")

# %% [markdown] slide="notes"
# Predict (2 minutes): nearly; two share one. Dashed: 1/8, an even share. Both choices count, so no
# share is above 1/2. In layer 0 arithmetic stands apart, as DM Mathematics does in the paper. In layer 5 every
# kind has a favourite: Spanish sends nine of ten first choices to one expert. But the English Bible
# and the Jargon File share theirs.
#
# Nine bars in ten leave out 1/8; by chance one in twenty would. The balance loss asks for even use
# over a *batch*, and every batch held all kinds: it never forbade favourites.

# %% [markdown]
# ## Optional: how long is an honest error bar?
#
# 32 texts of 256 tokens make 8,192 tokens a kind. Were they independent, the error of a share
# would be the spread of single tokens over $\sqrt{8192}$. They aren't: a text about shepherds
# keeps talking about shepherds. The figure's bars come from a *bootstrap*: draw 32 texts out of
# the 32, with repetition, whole; take the mean; do that 2,000 times; keep the middle 95%. Such a
# bar speaks for other pages of the same sources, no further. **Predict:** how much longer are
# they?

# %%
spread = [[(c[..., None] == np.arange(8)).mean(2).std((0, 1)) for c in kind] for kind in choices]
naive = 2 * 1.96 * np.swapaxes(spread, 0, 1) / np.sqrt(32 * 256)  # (layers, kinds, experts)
longer = (high - low) / naive
print(f"layer 5: about {np.median(longer[5]):.0f} times as long, in the middle case")
print(f"all layers: one bar in ten about {np.quantile(longer, 0.9):.0f} times as long, or more")
assert np.median(longer[0]) < np.median(longer[5])

# %% [markdown] slide="slide"
# ## The same subject, or the same language?
#
# Two of our kinds are a gift: the same chapters of the Bible, in English and in Spanish. The Jargon
# File is English too, about hackers. So ask of each layer: is the English Bible routed like the
# *same subject* in another language, or like the *same language* on another subject?
#
# Distance: the part of all choices that would have to change experts to make the shares equal,
# $\frac12 \sum_e |p_e - q_e|$. **Predict** which is nearer.


# %% slide="slide" show="output" alt="Two lines over the six layers, each with its name and error bars: how many of the English Bible's choices would have to move to match the Jargon File, and the Spanish Bible. At layers 0, 4 and 5 the Jargon File lies lower, it is nearer. At layers 1 to 3 the Spanish Bible does."
assert kinds[:3] == ["English Bible", "Spanish Bible", "Jargon File"]
subject = traces.distance(choices[0], choices[1], 8, rng, paired=True)  # chapter by chapter
language = traces.distance(choices[0], choices[2], 8, rng)
assert np.allclose(subject[0], np.abs(shares[:, 0] - shares[:, 1]).sum(axis=1) / 2)
# Rows 1 and 2 are the ends of 95% intervals. In no layer do the two intervals meet.
assert (language[2] < subject[1]).tolist() == [True, False, False, False, True, True]
assert (subject[2] < language[1]).tolist() == [False, True, True, True, False, False]
apart = {
    "the Spanish Bible:<br>same subject": subject,
    "the Jargon File:<br>same language": language,
}
lines, ends = ({name: d[part] for name, d in apart.items()} for part in (0, slice(1, 3)))
title = "At both ends language is nearer, in layers 1 to 3 the same chapters are"
moves = "choices that would have to move"
figures.by_layer(lines, ends=ends, title=title, y_title=moves)

# %% [markdown] slide="notes"
# Predict (2 minutes): it depends on the layer, which one number averaged over layers would hide.
# First and last layers stand next to tokens: embeddings below, predictions above, and tokens have a
# language. Is the middle layers' likeness *subject*? Not proven: the Bibles also share names, verses
# and colons. To tell, one must hold something fixed.

# %% [markdown] slide="slide"
# ## One table by hand
#
# A hundred choices, between two experts, in two kinds of text:
#
# | | expert A | expert B |
# |---|---|---|
# | prose | 40 | 10 |
# | code | 10 | 40 |
#
# Before the kind is known, A and B are as likely: the uncertainty of a coin, 1 *bit*. In prose alone
# A has 0.8 and B 0.2. Each outcome surprises by $-\log_2$ of its chance, 0.32 bits and 2.32 bits, and
# on average by $0.8 \cdot 0.32 + 0.2 \cdot 2.32 = 0.72$. In code likewise. So the kind tells
# $1 - 0.72 = 0.28$ bits. **Predict:** what does it tell if the table says 50, 0, 0, 50? And 25 four
# times?

# %% [markdown] slide="notes"
# Predict (2 minutes): 1 bit, all there is; 0 bits. Wrong answers: "0.5", and "2, one for each kind".
# The average surprise is the *entropy*; what the kind takes off it, the *mutual information*.

# %% [markdown] slide="slide"
# ## Bits
#
# How much does the kind $D$ of a text tell about the expert $E$? Their *mutual information*: how
# many bits of uncertainty about $E$ vanish when $D$ is known,
#
# $$I(E; D) = \sum_{e,\,d} p(e, d)\, \log_2 \frac{p(e, d)}{p(e)\, p(d)} = H(E) + H(D) - H(E, D)$$
#
# with the *entropy* $H(X) = -\sum_x p(x) \log_2 p(x)$. Eight experts used evenly have 3 bits. In a
# sample the information is never below 0, and by chance above it: shuffle to see how far.


# %% slide="same" show="code"
def information(table):
    """Bits between the row and the column of a table of counts."""
    p = table / table.sum()
    apart = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    seen = p > 0
    return (p[seen] * np.log2(p[seen] / apart[seen])).sum()


assert round(information(np.array([[40, 10], [10, 40]])), 2) == 0.28
assert information(np.array([[50, 0], [0, 50]])) == 1
assert information(np.array([[25, 25], [25, 25]])) == 0

# %%
kind = np.repeat(held_out.kind, 256)  # the kind of each token's text
token = held_out.tokens.numpy().ravel()
first = chosen[..., 0].reshape(6, -1)  # (layers, tokens): first choices
about_kind = np.array([traces.mutual_information(experts, kind) for experts in first])
table = np.histogram2d(first[5], kind, bins=8)[0]
assert np.isclose(information(table), about_kind[5])
assert abs(about_kind[5] - 1.57) < 0.01
print("bits about the kind:", np.round(about_kind, 1))

by_chance = traces.information_by_lot(first, held_out.kind, rng, draws=19)
assert (about_kind > by_chance.max(axis=0)).all()
assert 0.05 < by_chance.max() < 0.15
assert traces.mutual_information(first[5], rng.permutation(kind)) < 0.002  # single tokens

# %% [markdown] slide="slide"
# ## The confound
#
# In the last layer the first choice tells 1.57 bits about the kind. That isn't chance: kinds given
# to whole *texts* by lot never told over 0.15, in 19 tries. (Given to single *tokens*: 0.001, a
# false comfort, since texts hang together.)
#
# A specialist after all? Spanish words stand in Spanish texts, `::` in C++. An expert that follows
# *tokens* follows kinds by accident. So hold the token fixed. The comma is in all eight kinds:
# **predict** where it goes, in layers 0, 3 and 5.

# %% slide="fragment" show="output" alt="Three panels of stacked bars for the comma, one bar a kind of text. In layer 0 all eight bars have one colour, expert 7. In layer 3 two colours dominate: one mostly in prose, one mostly in code and arithmetic. In layer 5 the kinds have different colours."
layers, comma = [0, 3, 5], {}
for n, name in enumerate(kinds):
    here = (token == encode(",").ids[0]) & (kind == n)
    comma[name] = np.array([np.bincount(f[here], minlength=8) for f in first[layers]]) / here.sum()
assert all(part[0].max() > 0.99 for part in comma.values())
assert len({int(part[2].argmax()) for part in comma.values()}) >= 4
assert [comma[name][1, 1] > 0.45 for name in kinds] == [False] * 4 + [True] * 4  # to expert 1
figures.token_shares(comma, layers, "One comma: one expert in layer 0, many in layer 5")

# %% [markdown] slide="notes"
# Predict (2 minutes). In layer 0 the router doesn't care where the comma stands. In layer 3 code and sums send half of
# their commas, or nearly, to an expert that prose hardly uses: that is syntax. In layer 5 there are
# commas of the English and the Spanish Bible: token identity can't explain that, since the token is
# the same.

# %% [markdown] slide="slide"
# ## What decides, in bits
#
# The *chain rule* splits the expert's uncertainty into what the token $T$ tells, what the kind
# $D$ tells **once the token is known**, and what neither explains, the context:
#
# $$H(E) = I(E; T) + I(E; D \mid T) + H(E \mid T, D)$$
#
# $I(E; D \mid T)$ takes each token alone, computes the information there, and averages. What token
# and kind could both claim goes to the token. Rare tokens look informative by chance, so take off
# what *shuffled* labels give: tokens shuffled among all places for the first term, kinds among one
# token's places for the second.

# %% myth="Each expert of a mixture knows a subject" said="popular accounts; Mixtral, section 5, finds no such pattern" truth="In the course's small Mixtral the first layer decides by the token itself, and less so layer by layer; beyond the token, the kind of text decides little before the last layer."
bits_of = np.array([traces.explained(experts, token, kind, rng) for experts in first])
uncertain = np.array([traces.entropy(experts) for experts in first])
by_token, by_kind = (bits_of / uncertain[:, None]).T
assert (np.diff(by_token) < 0).all()  # less and less, layer by layer
assert by_kind[0] < 0.05 < by_kind[1:5].min() < by_kind[1:5].max() < 0.17 < 0.25 < by_kind[5]

by_lot = traces.information_by_lot(first, held_out.kind, rng, draws=5, given=token).mean(axis=0)
told = [traces.conditional_information(experts, kind, given=token) for experts in first]
strict = (told - by_lot) / uncertain  # kinds given to whole texts
assert strict[5] > 0.2 > 0.11 > strict[1:5].max()
assert 0.95 < traces.mutual_information(first[0], token) / uncertain[0] < 0.96  # nothing taken off

seeds = card.read_numbers()["runs"][1:]  # measured alike on two other trainings
assert [round(100 * run["by_token"][0]) for run in seeds] == [86, 89]
assert [round(100 * run["by_kind"][5]) for run in seeds] == [23, 22]
assert seeds[1]["by_kind"][2] > seeds[1]["by_kind"][5]

# %% slide="slide" show="output" alt="Stacked bars over six layers. The blue part, which token, falls from nine tenths in layer 0 to under half in layer 5. The orange part, which kind once the token is known, is a few percent in layer 0, about an eighth in the middle and almost a third in layer 5. The rest is context."
context = 1 - by_token - by_kind
parts = {"which token": by_token, "which kind, the token known": by_kind, "context": context}
title = "The token decides below; the kind has a say at the top"
axes = dict(x_title="layer", y_title="part of the uncertainty H(E)")
series.shares(range(6), parts, title=title, **axes)

# %% [markdown] slide="notes"
# Much of the specialisation *was* vocabulary, not all. How firm is that? Where the token decides,
# shuffling takes off too much: plainly counted, layer 0's part is 95%. And it tears texts apart:
# kinds given to whole texts by lot leave 20% in layer 5, at most 10% in the middle.
#
# In two other seeds (model card) layer 0 follows the token as closely, by 86% and 89%. But the
# kind's part at the top is 22% or 23%, and in one of them layer 2 has more.

# %% [markdown] slide="slide"
# ## Neighbours
#
# How often do neighbouring tokens share an expert by chance? The first choice of eight: $1/8$. For
# *any* expert in common the second token must not miss both of the first's:
#
# $$1 - \frac{6}{8} \cdot \frac{5}{7} = 1 - \frac{\binom{6}{2}}{\binom{8}{2}} = \frac{13}{28} = 46.4\%$$
#
# The paper's table 5 gives both rates for eight parts of The Pile, at layers 0, 15 and 31. Its
# caption calls layer 0 close to random, and 15 and 31 significantly higher. **Predict:** does every
# cell bear that out?

# %% slide="same" show="output"
pairs = [{a, b} for a in range(8) for b in range(a)]
shared = sum(bool(one & other) for one in pairs for other in pairs)
assert shared / len(pairs) ** 2 == 13 / 28
print(f"{shared} of {len(pairs) ** 2} pairs of choices share an expert: {13 / 28:.1%}")

# %% slide="slide" show="output" alt="Two panels from the Mixtral paper's table 5 over layers 0, 15 and 31: seven thin grey lines, and DM Mathematics thick and named with its numbers. First choices: all lines lie above the dashed 12.5 percent. Any choice in common: all peak at layer 15 above 60 percent; at layers 0 and 31 DM Mathematics, 44.9 and 44.5 percent, lies below the dashed 46.4." myth="At layers 15 and 31 neighbouring tokens share experts significantly more often than by chance" said="Mixtral, caption of table 5" truth="Not in every domain: of DM Mathematics at layer 31 the table itself has 44.5% for first or second choices, where chance gives 46.4%."
paper = {name: np.array(part) / 100 for name, part in router_repetition.MIXTRAL_REPETITION.items()}
chance = np.array([1 / 8, 13 / 28])
below = {name: part < chance[:, None] for name, part in paper.items()}
assert sum(int(cells.sum()) for cells in below.values()) == 2
assert below["DM Mathematics"][1].tolist() == [True, False, True]
assert min(part[1, 1] for part in paper.values()) > 0.6
title = "In Mixtral neighbours share experts, but mathematics falls below chance twice"
figures.repetition(paper, chance, (0, 15, 31), "DM Mathematics", title)

# %% [markdown] slide="notes"
# Predict (2 minutes): two cells of 48 lie *below* chance. The second contradicts the caption. Perhaps
# digits, operators and words take turns, and a router that follows tokens changes experts at each
# step; perhaps its experts come in fixed pairs. Both guesses are ours; the table has no error bars.

# %% [markdown]
# ## Optional: which chance?
#
# 13/28 supposes that all pairs of experts are equally popular. Let $p_e$ be the part of first
# choices that fall on $e$, $q_e$ the part of tokens that use $e$ at all, $r_{ef}$ the part that
# use the pair. Two tokens that know nothing of each other agree with probability
#
# $$\text{first: } \sum_e p_e^2 \qquad\quad \text{any: } \sum_e q_e^2 - \sum_{\{e, f\}} r_{ef}^2$$
#
# ($\sum q_e^2$ counts a whole pair in common twice.) Even use: $8/16 - 28/28^2 = 13/28$. Favourites
# raise it. Four fixed pairs lower it: $8/16 - 4/16 = 1/4$.
#
# **Predict:** in layer 0 the English Bible repeats its first choice at 27% of neighbours, twice
# 1/8. How much of that is popularity?

# %% alt="Four named lines over six layers: how often neighbours have the same first choice, in the mean over kinds of text. Chance for even use is flat at 12.5 percent. Popularity alone lies above it. Tokens alone give as much as the written text in layer 0. From layer 2 on the text as written lies clearly above all." myth="By chance two neighbours share their first expert one time in eight" said="Mixtral, section 5" truth="Only if experts are equally popular. Where they aren't, chance alone gives more, in every layer of ours; shuffle the tokens, and compare with that."
of_kinds = [
    router_repetition.explained_repetitions(made, held_out.tokens[held_out.kind == n].numpy(), rng)
    for n, made in enumerate(choices)
]
written, exchanged, shuffled = np.swapaxes(of_kinds, 0, 1)  # each (kinds, first or any, layers)
popularity = router_repetition.repetition_of_strangers(choices[0][0].reshape(-1, 2))
assert np.allclose(popularity, shuffled[0, :, 0], atol=0.02)  # formula and shuffling agree
assert 0.26 < written[0, 0, 0] < 0.275 < shuffled[0, 0, 0]
assert np.abs(written - exchanged)[:, 0, 0].max() < 0.015  # in layer 0, for every kind
gain = (written - exchanged)[:, 0].mean(axis=0)
assert gain[4] > 0.06 > gain[2:].min() > 0.02 > gain[:2].max()
lines = {
    "as written": written[:, 0].mean(axis=0),
    "tokens alone": exchanged[:, 0].mean(axis=0),
    "popularity alone": shuffled[:, 0].mean(axis=0),
    "even use: 1/8": np.full(6, 1 / 8),
}
assert (lines["popularity alone"] > 1 / 8).all()
assert (lines["as written"] - lines["popularity alone"])[2:].min() > 0.02
title = "Ours: tokens explain layer 0, context adds above layer 1"
figures.by_layer(lines, title=title, y_title="same first choice as the token before")

# %% [markdown]
# All of it, and more: shuffled, the Bible's rate is higher than in the text, which avoids saying
# one thing twice in a row. 1/8 would have announced a discovery.
#
# *Popularity alone*: all places shuffled. But *which tokens* stand side by side? Hold the token fixed
# again: give each the choices that it got at another of its places (*tokens alone*). That explains layer 0, for every kind. Above layer 1 the text stays
# ahead: there context repeats experts, by that gap at least, as a token that occurs once keeps its
# own.

# %% [markdown] slide="slide"
# ## A mistake to explain
#
# Someone sums the choices over all layers, finds that every expert gets about an eighth, and
# concludes that routing ignores the kind of text. **Explain** the two lines.

# %% slide="same" show="output"
pooled = shares.mean(axis=0)
print(f"all layers pooled: shares from {pooled.min():.0%} to {pooled.max():.0%}")
print(f"layer 5 alone:     shares from {shares[5].min():.0%} to {shares[5].max():.0%}")
assert np.ptp(pooled) < np.ptp(shares[5]) / 2

# %% [markdown] slide="slide"
# ## Taking one expert away
#
# Expert 3 of layer 0 and expert 3 of layer 5 share nothing but a number: averaging over layers
# averages strangers. So take experts away one layer at a time. Set the expert's score to $-\infty$
# before the router chooses: its tokens take their next best, and the weights add up to 1 again. The
# price is in *bits per byte* of text: $-\log_2$ of each token's probability, summed, over the
# bytes. **Predict:** of 48 experts, whose loss costs most?

# %% slide="slide" show="output" alt="Heat map of six layers by eight experts: how many bits per byte more the model needs without that expert. The first row, layer 0, is dark, a tenth to two fifths of a bit each. Rows 1 to 3 are near zero, rows 4 and 5 slightly above."
two = sample(tokenizer(folder()), each=2, seq=96)  # enough for a mean over all kinds
every = [{at: [expert]} for at in range(6) for expert in range(8)]
cost = prices(model, two, every).mean(axis=(1, 2)).reshape(6, 8)
assert cost[0].min() > cost[1:].max()  # any of layer 0 costs more than any other
assert cost[1:4].mean() < 0.01 < cost[5].mean()
words = dict(row_title="layer", column_title="expert removed", unit="more bits per byte")
figures.heat(cost, range(6), range(8), title="Only layer 0 can't spare an expert", **words)

# %% [markdown] slide="notes"
# (2 minutes.) Layer 0's. Usual: the last's.

# %% [markdown] slide="slide"
# ## Taking favourites away
#
# Expert numbers mean nothing across layers, so "expert 3 everywhere" is an arbitrary set. Better:
# from every layer take the *favourite of one kind of text*, and see who pays. **Predict:** does each
# kind pay most for its own? And which layer sets the price?

# %% slide="slide" show="output" alt="Two panels, a row for each kind whose favourites are taken: an orange dot for what the kind itself pays, a blue square for whoever else pays most, with error bars. Left, layers 1 to 5: the dot is right of the square in all eight rows, by far for the Spanish Bible, JSON, arithmetic and C++. Right, all six layers: for the Jargon File and Python code the square is right of the dot."
favourites = shares.argmax(axis=2)  # (layers, kinds)
eight = sample(tokenizer(folder()), each=8, seq=96)
above, everywhere = (
    prices(model, eight, without_favourites(favourites, layers))
    for layers in (range(1, 6), range(6))
)  # each (whose favourites, who pays, texts)
mean, total = above.mean(axis=2), everywhere.mean(axis=2)
assert (mean.argmax(axis=1) == range(8)).all()  # whoever's favourites go pays most…
assert (mean.argmax(axis=0) == range(8)).all()  # …and for nobody else's as much
wrong = [kinds[n] for n in range(8) if total[n].argmax() != n]
assert wrong == ["Jargon File", "Python code"]
assert 0.14 < mean.mean() / total.mean() < 0.19
assert [kinds[n] for n in range(8) if not surely_dearest(above)[n]] == ["Python manual"]
panels = {"layers 1 to 5": above, "all six layers, at seven times the price": everywhere}
panels = {name: own_and_dearest(found) for name, found in panels.items()}
title = "Above layer 0 each kind pays most for its own favourites"
figures.who_pays(panels, kinds, title)

# %% [markdown] slide="notes"
# Predict (2 minutes): yes; layer 0, with five sixths of it. That layer is nearly a table from tokens
# to experts, and the next best never learnt the entry. Kinds that share words share its favourites,
# so over all six layers the Jargon File's cost the English Bible more than itself. From that picture
# one concludes, wrongly, that kinds have no experts of their own.
#
# Above layer 0 the same eight texts lose most without their own kind's favourites, by two standard
# errors or more, but for the Python manual: a tie.

# %% [markdown] slide="slide"
# ## What carries over to Mixtral
#
# **Method, all of it**: error bars over texts, shuffled baselines, tokens held fixed, each layer by
# itself.
#
# **Agreeing**: the first layer follows tokens; synthetic mathematics stands apart there; neighbours
# share experts most above it.
#
# **Not claimed**: that Mixtral's last layer specialises as ours does. Ours saw eight narrow kinds,
# for a quarter of an hour, and is one seed. Mixtral saw a world, and the paper finds no such
# pattern. A small model is a place to learn how to measure.

# %% [markdown] slide="slide"
# ## Takeaways
#
# 1. An expert for Python? In layer 0 the token decides; above, context joins in, and the kind too,
#    even with the token held fixed. Where it has most say depends on the seed; Mixtral's authors
#    saw no such thing.
# 2. Chance is not a constant. Shuffle what you suspect of doing nothing, and resample texts, not
#    tokens.
# 3. Experts' numbers mean nothing across layers. Average over layers, and you average strangers.

# %% [markdown]
# ## Self-test
#
# 1. One expert gets 60% of a kind's first choices, the other seven share the rest. What repetition
#    of first choices does chance give?
# 2. $I(E; D) = 1.5$ bits and $I(E; D \mid T) = 0$. Who decides?
#
# <details><summary>Answers</summary>
#
# 1. $0.36 + 7 \cdot (0.4/7)^2 = 38\%$.
# 2. The token: kinds matter only through their words.
#
# </details>
#
# **Next.** *A model with all these experts no longer fits on one device. Who holds what?* First
# [the exercises](../work/08_router_decisions.ipynb), then [chapter 09](09_model_sharding.ipynb).

# %% [markdown] to="exercise"
# # 08 · What the router decides: exercises
#
# Six exercises on [the lesson](../course/08_router_decisions.ipynb), about an hour. Replace each
# `raise NotImplementedError(…)` with your answer and run the check below it. `hint("08.1")` gives a
# first hint, called again a further one. The checks draw random inputs: an answer that fits only
# the example doesn't pass.

# %% to="exercise"
import math

import numpy as np
import torch

from mixlab.checks import check, hint  # noqa: F401

# %% [markdown] exercise="08.1" role="prompt" title="Neighbours in a padded batch" difficulty=1 minutes=10 points=2
# `chosen` holds one layer's choices for a batch of texts: a NumPy array (texts, seq, k), best
# first. Text $t$ has `lengths[t]` tokens; what follows them is padding, and its numbers mean
# nothing. Among all pairs of neighbouring tokens of the same text, return two shares: pairs whose
# first choices are equal, and pairs with at least one expert in common, whatever its rank. Every
# pair counts alike. A text of one token has no pair; at least one text has two.


# %% exercise="08.1" role="answer"
def repetition(chosen, lengths):
    """Two shares of neighbouring pairs: the same first choice, and any expert in common."""
    ### BEGIN SOLUTION
    first, common = [], []
    for text, length in zip(chosen, lengths, strict=True):
        before, after = text[: length - 1], text[1:length]
        first.append(before[:, 0] == after[:, 0])
        common.append((before[:, :, None] == after[:, None, :]).any(axis=(1, 2)))
    return np.concatenate(first).mean(), np.concatenate(common).mean()
    ### END SOLUTION


# %% exercise="08.1" role="check"
check("08.1", repetition)

# %% [markdown] exercise="08.2" role="prompt" title="Predict chance for any mixture" difficulty=2 minutes=10 points=2
# Mixtral has 8 experts, 2 a token; other models have 64 and 6, or 256 and 8. Two tokens each get
# `k` different experts out of `n_experts`, all choices equally likely, independently of each
# other. Return the probability that they have at least one expert in common: exactly, not
# simulated. For 8 and 2 it is 13/28. Mind `k` above half of `n_experts`.


# %% exercise="08.2" role="answer"
def chance(n_experts, k):
    """Probability that two random choices of k experts out of n_experts share one or more."""
    ### BEGIN SOLUTION
    return 1 - math.comb(n_experts - k, k) / math.comb(n_experts, k)
    ### END SOLUTION


# %% exercise="08.2" role="check"
check("08.2", chance)

# %% [markdown] exercise="08.3" role="prompt" title="Find the bug: dead experts" difficulty=2 minutes=8 points=3
# `chosen` is a NumPy array (layers, tokens, k). This function should return a table of truth values
# (layers, n_experts): True where an expert of a layer never ran, as first or as later choice. It
# has three mistakes. Find and mend them all.
#
# ```python
# def dead_experts(chosen, n_experts):
#     counts = np.bincount(chosen[..., 0].ravel())
#     return counts == 0
# ```


# %% exercise="08.3" role="answer"
def dead_experts(chosen, n_experts):
    """Table (layers, n_experts), True where an expert never ran."""
    ### BEGIN SOLUTION
    counts = [np.bincount(layer.ravel(), minlength=n_experts) for layer in chosen]
    return np.stack(counts) == 0
    ### END SOLUTION


# %% exercise="08.3" role="check"
check("08.3", dead_experts)

# %% [markdown] exercise="08.4" role="prompt" title="An honest error" difficulty=2 minutes=10 points=3
# `chosen` (texts, seq, k) holds one layer's choices on texts that were drawn independently; the
# tokens of a text depend on each other. Return two numbers: the share of all choices that fell on
# `expert`, and its standard error, taking each text's own share as one observation: the standard
# deviation of the texts' shares (with $n - 1$ below the sum of squares) over $\sqrt n$, $n$ being
# the number of texts.


# %% exercise="08.4" role="answer"
def share_and_error(chosen, expert):
    """The share of choices on `expert`, and its standard error over texts."""
    ### BEGIN SOLUTION
    by_text = (chosen == expert).mean(axis=(1, 2))
    return by_text.mean(), by_text.std(ddof=1) / np.sqrt(len(by_text))
    ### END SOLUTION


# %% exercise="08.4" role="check"
check("08.4", share_and_error)

# %% [markdown] exercise="08.5" role="prompt" title="Bits, with the token held fixed" difficulty=3 minutes=15 points=4
# Three NumPy arrays of whole numbers say, for each place in some texts, the expert that was chosen,
# the kind of text, and the token. Return $I(E; D \mid T)$ in bits: for each token, the mutual
# information of expert and kind among the places where it stands; then the mean over tokens, each
# weighted with its number of places. No correction for chance.


# %% exercise="08.5" role="answer"
def information_given_token(expert, kind, token):
    """Bits that the kind tells about the expert once the token is known."""

    ### BEGIN SOLUTION
    def entropy(*labels):
        counts = np.unique(np.stack(labels), axis=1, return_counts=True)[1]
        return -(counts / counts.sum() * np.log2(counts / counts.sum())).sum()

    total = 0.0
    for value in np.unique(token):
        here = token == value
        e, d = expert[here], kind[here]
        total += here.mean() * (entropy(e) + entropy(d) - entropy(e, d))
    return total
    ### END SOLUTION


# %% exercise="08.5" role="check"
check("08.5", information_given_token)

# %% [markdown] exercise="08.6" role="prompt" title="Route around missing experts" difficulty=2 minutes=12 points=3
# `logits` is a tensor (tokens, n_experts) of a router's scores, `removed` a list of experts that
# are gone, perhaps empty. Route as if they had never been offered: each token runs its `k` best of
# the others, weighted with the softmax of those `k` scores. Return the weights as a table
# (tokens, n_experts), 0 where an expert doesn't run. At least `k` experts are left, and no two
# scores of a token are equal. Leave `logits` as it is.


# %% exercise="08.6" role="answer"
def weights_without(logits, removed, k):
    """Weights (tokens, n_experts) after routing without the removed experts; rows sum to 1."""
    ### BEGIN SOLUTION
    left = logits.clone()
    left[:, removed] = -torch.inf
    scores, chosen = left.topk(k, dim=-1)
    return torch.zeros_like(logits).scatter(-1, chosen, scores.softmax(dim=-1))
    ### END SOLUTION


# %% exercise="08.6" role="check"
check("08.6", weights_without)
