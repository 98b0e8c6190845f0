"""Inputs for the exercises of chapter 08: choices of routers, labels of tokens, router logits."""

from contextlib import suppress

import numpy as np
import torch

from mixlab.checks.cases import Cases, Unreadable, _kind, read_mask, read_real, read_reals

_OURS = (
    "mixlab.traces.router",
    "mixlab.traces.router_decisions",
    "mixlab.chapters.router_decisions.repetition",
)


def read_pair(value) -> np.ndarray:
    """A reader of two real numbers, as a tuple, a list or an array."""
    try:
        numbers = [read_real(part) for part in value]
    except (TypeError, Unreadable):
        numbers = []
    if len(numbers) != 2:
        raise Unreadable(f"expected two numbers: got {_kind(value)}")
    return np.stack(numbers)


def read_table(value) -> np.ndarray:
    """A reader of truth values, in rows as asked or in one row, a usual mistake."""
    try:
        return read_mask(2)(value)
    except Unreadable:
        with suppress(Unreadable):
            return read_mask(1)(value)
        raise


def choices(
    rng: np.random.Generator, shape: tuple[int, ...], n_experts: int, k: int, stay: float = 0.4
) -> np.ndarray:
    """Choices (*shape, k) of different experts, best first; neighbours often share them."""
    scores = rng.standard_normal((*shape, n_experts))
    for at in range(1, shape[-1]):
        kept = rng.random((*shape[:-1], 1)) < stay
        mixed = 0.9 * scores[..., at - 1, :] + 0.5 * scores[..., at, :]
        scores[..., at, :] = np.where(kept, mixed, scores[..., at, :])
    return np.argsort(-scores, axis=-1)[..., :k]


def _draw_repetition(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for k in (2, 1, 3, 2, 3):
        texts, seq, n_experts = (int(rng.integers(*ends)) for ends in ((2, 7), (6, 30), (4, 9)))
        chosen = choices(rng, (texts, seq), n_experts, k)
        lengths = rng.integers(1, seq + 1, size=texts)
        lengths[int(rng.integers(texts))] = seq  # one text fills its row
        lengths[0] = max(2, seq // 2)
        for row, length in zip(chosen, lengths, strict=True):
            row[length:] = np.arange(k)  # padding looks like one choice, again and again
        drawn.append((chosen, lengths.tolist()))
    return drawn


def _draw_chance(rng: np.random.Generator) -> list[tuple]:
    drawn = [(8, 2), (8, 1), (16, 2), (64, 6), (256, 8)]
    for _ in range(5):
        n_experts = int(rng.integers(3, 40))
        drawn.append((n_experts, int(rng.integers(1, max(2, n_experts // 2)))))
    n_experts = int(rng.integers(4, 20))
    return [*drawn, (n_experts, n_experts), (n_experts, n_experts // 2 + 1)]


def _draw_dead(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for number in range(6):
        layers, tokens = int(rng.integers(2, 6)), int(rng.integers(30, 120))
        n_experts, k = int(rng.integers(6, 10)), int(rng.integers(2, 4))
        scores = rng.standard_normal((layers, tokens, n_experts))
        for layer in range(layers):
            dead = rng.permutation(n_experts)[: int(rng.integers(0, n_experts - k - 1))]
            scores[layer][:, dead] = -np.inf
        # In one layer the highest number never comes up, and once in none of them.
        scores[: layers if number == 0 else 1, :, n_experts - 1] = -np.inf
        # In another, expert 0 runs, and only ever as the last of a token's k.
        scores[1, :, 0] = np.sort(scores[1, :, 1:], axis=1)[:, -(k - 1)] - 0.001
        scores[-1, :, 1] = -np.inf  # And one runs a single time, which is enough.
        scores[-1, (0, -1, int(rng.integers(tokens)))[number % 3], 1] = 9.0
        drawn.append((np.argsort(-scores, axis=-1)[..., :k], n_experts))
    return drawn


def _draw_error(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(6):
        texts, seq = int(rng.integers(3, 20)), int(rng.integers(8, 40))
        n_experts, k = int(rng.integers(4, 9)), int(rng.integers(2, 4))
        chosen = choices(rng, (texts, seq), n_experts, k, stay=0.8)
        drawn.append((chosen, int(chosen[0, 0, 0])))
    return drawn


def _draw_labels(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(5):
        n = int(rng.integers(200, 600))
        n_tokens, n_kinds, n_experts = (int(rng.integers(3, 9)) for _ in range(3))
        kind = rng.integers(n_kinds, size=n)
        weight = rng.random((n_kinds, n_tokens)) ** 3  # kinds use tokens unequally
        weight /= weight.sum(axis=1, keepdims=True)
        token = np.array([rng.choice(n_tokens, p=weight[at]) for at in kind])
        expert = (token + (rng.random(n) < 0.4) * (kind + 1) + (rng.random(n) < 0.2)) % n_experts
        ids = rng.permutation(100)[:n_tokens]  # of tokens that occur, others don't
        drawn.append((expert, kind, ids[token]))
    return drawn


def _draw_lonely(rng: np.random.Generator) -> list[tuple]:
    """Twice a single expert that is left and the worst of all, among as many.

    Whoever gives the removed ones the worst score makes every score of a token the same, and which
    of them `topk` then takes is the same both times: it can't be the one that is left in both.
    """
    n_experts, drawn = int(rng.integers(4, 10)), []
    for left in rng.permutation(n_experts)[:2]:
        logits = torch.from_numpy(rng.standard_normal((int(rng.integers(3, 9)), n_experts))).float()
        logits[:, left] = logits.min(dim=1).values - 1
        removed = [expert for expert in rng.permutation(n_experts).tolist() if expert != left]
        drawn.append((logits, removed, 1))
    return drawn


def _draw_logits(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for number in range(7):
        n_experts = int(rng.integers(4, 10))
        tokens = n_experts if number == 1 else int(rng.integers(1, 12))
        k = int(rng.integers(1, 4)) if number else 2
        n_removed = int(rng.integers(1, n_experts - k + 1)) if number < 6 else 0
        if number in (2, 3):  # nobody is left to choose from
            n_removed = n_experts - k
        logits = torch.from_numpy(rng.standard_normal((tokens, n_experts)) - number % 2 * 3).float()
        removed = rng.permutation(n_experts)[:n_removed].tolist()
        if number in (2, 3):  # and who is left is the worst, so that the worst score is no way out
            kept = [expert for expert in range(n_experts) if expert not in removed]
            logits[:, kept[-1]] = logits.min(dim=1).values - 1
        if removed:  # what the first token would choose is gone
            logits[0, removed[0]] = logits[0].max() + (30 if number > 3 else 1)
        drawn.append((logits, removed, k))
    return [*drawn, *_draw_lonely(rng)]


EXERCISES = {
    "08.1": Cases(
        draw=_draw_repetition,
        read=read_pair,
        atol=1e-6,
        seed=1,
        forbids=_OURS,
        hints=(
            "A text of n tokens has n - 1 pairs of neighbours. Cut every text to its length "
            "first, then compare it with itself moved by one.",
            "For one text: `before, after = text[:-1], text[1:]`. First choices agree where "
            "`before[:, 0] == after[:, 0]`.",
            "Any expert in common: compare every choice with every choice, "
            "`before[:, :, None] == after[:, None, :]`, and ask for any() over the last two axes. "
            "Add up over the texts, and divide once, by the number of pairs.",
        ),
    ),
    "08.2": Cases(
        draw=_draw_chance,
        read=read_real,
        atol=1e-6,
        seed=0,
        forbids=_OURS,
        hints=(
            "Having something in common is many cases. Having nothing in common is one: find its "
            "probability and subtract it from 1.",
            "The first token's k experts are taken. In how many ways can the second token pick "
            "k of the others, and in how many can it pick k of all?",
            "`math.comb(n, k)` counts the ways to pick k of n, and is 0 where k is larger than n.",
        ),
    ),
    "08.3": Cases(
        draw=_draw_dead,
        read=read_table,
        forbids=_OURS,
        hints=(
            "Ask of each line: which axis disappears here, and should it? An expert's number "
            "means nothing outside its layer.",
            "An expert that is only ever a second choice runs all the same.",
            "`np.bincount(x)` is as long as the largest number that it meets, plus one. What if "
            "the last expert is the dead one? `minlength=` helps.",
        ),
    ),
    "08.4": Cases(
        draw=_draw_error,
        read=read_pair,
        atol=1e-6,
        seed=6,
        forbids=_OURS,
        hints=(
            "Which are the independent observations? Not the tokens. Make one number of each text.",
            "A text's number is the share of its seq · k choices that fell on the expert. The "
            "share of all choices is the mean of these numbers.",
            "The standard error of a mean of n observations is their standard deviation over √n, "
            "with n - 1 below the sum of squares: `std(ddof=1)`.",
        ),
    ),
    "08.5": Cases(
        draw=_draw_labels,
        read=read_real,
        atol=1e-5,
        seed=1,
        forbids=_OURS,
        hints=(
            "Look at one token alone: keep the positions where it stands, and compute the mutual "
            "information of expert and kind among them. Do that for every token.",
            "A token that occurs often must count more: weight its bits with its share of all "
            "positions, then add up.",
            "Mutual information is H(expert) + H(kind) - H(both), each H = -Σ p log2 p over the "
            "counts of that label. `np.unique(..., return_counts=True)` counts pairs, too.",
        ),
    ),
    "08.6": Cases(
        draw=_draw_logits,
        read=read_reals(2),
        atol=1e-5,
        seed=3,
        forbids=(*_OURS, "mixlab.transformer.sparse_moe"),
        hints=(
            "The router should choose as if the removed experts had never been offered. What must "
            "a score be so that no softmax and no top-k can pick it?",
            "`masked_fill` or an assignment with `-torch.inf` comes first, then `topk`, then the "
            "softmax of the k scores that are left.",
            "Put the k weights back in their experts' columns: "
            "`torch.zeros_like(logits).scatter(1, chosen, weights)`.",
        ),
    ),
}
