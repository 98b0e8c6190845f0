"""11.4 Perplexity of a padded batch: one number for texts of several lengths."""

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_real

LARGEST = 1e38  # float32 holds little more, and little less than its inverse


def draw(rng):
    """Ragged batches, one text alone, texts of two tokens, and scores of any size."""
    kinds = [((2,), 1.0), ((9, 2), 1.0), ((5, 5, 5), 2.0), ((3, 12, 4), 20.0), ((7, 2), 1.0, 300.0)]
    for _ in range(6):
        lengths = rng.integers(2, 14, size=int(rng.integers(1, 5))).tolist()
        kinds.append((tuple(lengths), float(rng.uniform(0.5, 4))))
    return [batch(rng, *kind) for kind in kinds]


def batch(rng, lengths, scale=1.0, far=0.0, vocab=7):
    """Scores, tokens with padding of 0 behind, and the lengths.

    `far` lifts all scores, but not the first predicted token's: a surprise of about `far` that the
    others keep from being the mean.
    """
    rows, seq = len(lengths), max(lengths) + int(rng.integers(0, 2))
    tokens = rng.integers(0, vocab, size=(rows, seq))
    tokens[np.arange(seq) >= np.array(lengths)[:, None]] = 0
    scores = scale * rng.standard_normal((rows, seq, vocab)) + far
    scores[0, 0, tokens[0, 1]] -= far
    return torch.from_numpy(scores).float(), torch.from_numpy(tokens), list(lengths)


def read(value):
    """Its logarithm, so that a tolerance is one of ratios, as far as float32 reaches."""
    number = read_real(value)
    if np.isnan(number):
        raise Unreadable("a perplexity is a number: got nan, as of infinity / infinity or 0 / 0")
    if number < 0:
        raise Unreadable(f"a perplexity is a positive number: got {number:.4f}")
    return np.log(np.clip(number, 1 / LARGEST, LARGEST))


ASKED = Asked(
    draw=draw,
    read=read,
    atol=1e-3,
    examples=tuple(
        batch(np.random.default_rng(n), *kind, vocab=4)
        for n, kind in enumerate(
            (((3,), 1.0), ((4, 2), 1.0), ((2, 5, 3), 2.0), ((4, 3), 1.0, 200.0))
        )
    ),
    hints=(
        "Row i of the scores speaks of token i + 1. How many tokens of a text of 4 can be "
        "predicted?",
        "Take -log p of every predicted token of every text, and nothing of the padding. Which "
        "mean treats each token alike?",
        "Add up the surprises of all texts, and divide once by how many there are: the sum of "
        "length - 1. The exponential comes last. `log_softmax(-1)` stays finite where "
        "`softmax(-1).log()` doesn't.",
    ),
)

# --- kept back while grading ---


def surprises(scores, tokens, lengths, shift=1, log_p=None, beyond=0):
    """A text's surprises, `shift` from row to token, some tokens beyond its end: one array each."""
    log_p = (lambda x: x.double().log_softmax(-1)) if log_p is None else log_p
    found = []
    for row, ids, length in zip(
        log_p(scores).double().numpy(), tokens.numpy(), lengths, strict=True
    ):
        n = min(len(ids), length + beyond)
        places = [t for t in range(1, n) if t - shift < len(row)]
        found.append(-np.array([row[t - shift, ids[t]] for t in places]))
    return found


def pooled(end=lambda found: np.exp(np.concatenate(found).mean()), **how):
    return lambda *given: float(end(surprises(*given, **how)))


def in_torch(scores, tokens, lengths):
    log_p = scores[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    real = torch.arange(1, tokens.shape[1]) < torch.tensor(lengths)[:, None]
    return (-(log_p * real).sum() / real.sum()).exp()


def all_of(found):
    return np.concatenate(found)


MISTAKES = {
    "you look up a token's score in its own row, which has read it already. The row before speaks "
    "of it.": pooled(shift=0),
    "you score each text's first token too, and every token in its own row, which has read it "
    "already.": lambda scores, tokens, lengths: float(
        torch.cat(
            [
                F.cross_entropy(row[:n].double(), ids[:n], reduction="none")
                for row, ids, n in zip(scores, tokens, lengths, strict=True)
            ]
        )
        .mean()
        .exp()
    ),
    "you take every token 0 for padding. Token 0 may stand in a text: `lengths` says where it "
    "ends.": lambda scores, tokens, lengths: F.cross_entropy(
        scores[:, :-1].double().flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0
    ).exp(),
    "you average probabilities. The mean goes over their logarithms.": pooled(
        lambda found: 1 / max(np.exp(-all_of(found)).mean(), 1e-300)
    ),
    "you look a token up in the row behind it. The row before speaks of it.": (
        pooled(shift=-1),
        lambda scores, tokens, lengths: pooled(shift=0)(scores, tokens.roll(1, 1), lengths),
    ),
    "you count the padding.": (
        pooled(beyond=99),
        pooled(beyond=1),
        lambda scores, tokens, lengths: float(
            np.exp(sum(s.sum() for s in surprises(scores, tokens, lengths)) / tokens[:, 1:].numel())
        ),
    ),
    "you average text by text, and then over texts. A short text's tokens then count more than a "
    "long one's: divide once.": pooled(lambda found: np.exp(np.mean([s.mean() for s in found]))),
    "you average the texts' perplexities. The mean goes over surprises, before the exponential.": (
        pooled(lambda found: np.mean([np.exp(s.mean()) for s in found]))
    ),
    "you average the tokens' exponentials. The mean comes first, then the exponential.": pooled(
        lambda found: np.exp(all_of(found)).mean()
    ),
    "you return the mean surprise. Perplexity is its exponential.": pooled(
        lambda found: all_of(found).mean()
    ),
    "you mix logarithms: with natural ones goes e, with binary ones 2.": (
        pooled(lambda found: 2 ** all_of(found).mean()),
        pooled(lambda found: np.exp(all_of(found).mean() / np.log(2))),
    ),
    "you forgot a sign: surprise is minus the log-probability.": pooled(
        lambda found: np.exp(-all_of(found).mean())
    ),
    "you divide by all tokens. A text's first can't be predicted.": lambda *given: float(
        np.exp(all_of(surprises(*given)).sum() / sum(given[2]))
    ),
    "you add up and don't divide. The mean surprise goes into the exponential.": pooled(
        lambda found: np.exp(min(700.0, all_of(found).sum()))
    ),
    "you count one text only.": (
        pooled(lambda found: np.exp(found[0].mean())),
        pooled(lambda found: np.exp(found[-1].mean())),
    ),
    "you count each text's last token only.": pooled(
        lambda found: np.exp(np.mean([s[-1] for s in found]))
    ),
    "you leave each text's last token out.": pooled(
        lambda found: np.exp(np.mean([x for s in found for x in s[:-1]] or [0.0]))
    ),
    "you take scores for log-probabilities. `log_softmax` makes them so.": pooled(
        log_p=lambda x: x
    ),
    "your softmax goes along the tokens or the texts. It goes along the vocabulary, the last "
    "axis.": (
        pooled(log_p=lambda x: x.double().log_softmax(1)),
        pooled(log_p=lambda x: x.double().log_softmax(0)),
    ),
    "you take the logarithm of a probability that has underflowed to 0, and get infinity. "
    "`log_softmax` never computes that 0.": pooled(log_p=lambda x: x.float().softmax(-1).log()),
    "you add a small number to the probabilities before the logarithm. It hides how surprised the "
    "model is; `log_softmax` needs none.": (
        pooled(log_p=lambda x: (x.float().softmax(-1) + 1e-9).log()),
        pooled(log_p=lambda x: (x.float().softmax(-1) + 1e-6).log()),
        pooled(log_p=lambda x: x.float().softmax(-1).clamp(min=1e-12).log()),
    ),
}

KNOWN = Known(
    right=(pooled(), in_torch),
    mistakes=MISTAKES,
    slips={"expected one number": lambda *given: all_of(surprises(*given)).repeat(2)},
    show=lambda scores, tokens, lengths: (
        f"perplexity(logits of shape {tuple(scores.shape)}, tokens, lengths={lengths})"
    ),
    name=lambda value: f"{np.exp(value):.4g}",
)
