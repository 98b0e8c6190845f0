"""What a trained small Mixtral measures, and the model card that says so.

`numbers.json` holds what was measured, the shipped model first and then models from other seeds;
`README.md` is written from it, so that no number of the card is typed by hand.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixlab.common.checkpoint import read_description
from mixlab.small_mixtral import folder as shipped
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.small_mixtral.recipe import BALANCE, CONFIG, SEED, SEQ, TRAINING, Z_LOSS, encode
from mixlab.small_mixtral.sample import bits, bits_per_byte, sample
from mixlab.traces.router import trace_router
from mixlab.traces.router_decisions import entropy, explained, mutual_information
from mixlab.weights import load, tokenizer

WINDOW = 100  # steps that one number of the loss curve is the mean of


def measure(folder: Path) -> dict[str, Any]:
    """The numbers of the model in `folder`: its held-out text, its routers, its training.

    Args:
        folder: written by `recipe.fit`, with the checkpoint or without.
    """
    model = load(folder, dtype=torch.float32)
    texts = sample(tokenizer(folder))
    costs = bits_per_byte(bits(model, texts), texts)
    traces = [trace_router(model, texts.tokens[texts.kind == n]) for n in range(len(KINDS))]
    chosen = np.concatenate([trace.chosen for trace in traces], axis=1)
    load_ = np.mean([trace.load for trace in traces], axis=0)
    kind = np.repeat(texts.kind, texts.tokens.shape[1])
    token, rng = texts.tokens.numpy().ravel(), np.random.default_rng(0)
    first = [layer[..., 0].ravel() for layer in chosen]
    told = [mutual_information(choice, kind) for choice in first]
    parts = [np.divide(explained(choice, token, kind, rng), entropy(choice)) for choice in first]
    measured = dict(
        bits_per_byte={name: round(cost, 4) for name, cost in costs.items()},
        mean=round(float(np.mean(list(costs.values()))), 4),
        least_used=[round(float(share), 4) for share in load_.min(axis=1)],
        most_used=[round(float(share), 4) for share in load_.max(axis=1)],
        bits_about_kind=[round(bit, 3) for bit in told],
        by_token=[round(float(part), 3) for part, _ in parts],
        by_kind=[round(float(part), 3) for _, part in parts],
    )
    if (checkpoint := folder / "checkpoint.safetensors").exists():
        losses = read_description(checkpoint)["losses"]
        windows = (losses[at : at + WINDOW] for at in range(0, len(losses), WINDOW))
        measured["losses"] = [round(float(np.mean(window)), 3) for window in windows]
    return measured


def read_numbers() -> dict[str, Any]:
    """What was measured: "runs", the shipped model's first, and the "minutes" of a training."""
    return json.loads((shipped() / "numbers.json").read_text(encoding="utf-8"))


def tolerance(runs: list[dict[str, Any]]) -> float:
    """How far bits per byte may be from the card's: twice what a seed was seen to change, or 0.05.

    >>> runs = [{"bits_per_byte": {"json": bits}} for bits in (0.70, 0.73, 0.71)]
    >>> tolerance(runs)
    0.06
    """
    spread = [
        max(run["bits_per_byte"][kind] for run in runs)
        - min(run["bits_per_byte"][kind] for run in runs)
        for kind in runs[0]["bits_per_byte"]
    ]
    return max(0.05, math.ceil(round(2 * max(spread) * 100, 6)) / 100)


def compare(run: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[str, bool]:
    """A table of a new run beside the card's, and whether it lies within the stated spread.

    Args:
        run: from `measure`.
        runs: the card's.
    """
    card, within = runs[0]["bits_per_byte"], tolerance(runs)
    lines = [f"{'bits per byte':<16} {'card':>7} {'here':>7} {'apart':>7}"]
    apart = {kind: run["bits_per_byte"][kind] - card[kind] for kind in card}
    for kind, difference in apart.items():
        here = run["bits_per_byte"][kind]
        lines.append(f"{KINDS[kind]:<16} {card[kind]:>7.3f} {here:>7.3f} {difference:>+7.3f}")
    alive = min(run["least_used"]) > 0
    good = alive and all(abs(difference) <= within for difference in apart.values())
    lines.append(
        f"{'within' if good else 'OUTSIDE'} the card's spread of ±{within:.2f} bits per byte; "
        f"the least used expert gets {min(run['least_used']):.1%} of its layer's choices"
    )
    return "\n".join(lines), good


def write_card(runs: list[dict[str, Any]], minutes: float) -> None:
    """Write numbers.json and README.md beside the shipped model.

    Args:
        runs: the shipped model's numbers, then those of other seeds.
        minutes: what a training took on two cores.
    """
    numbers = dict(minutes=minutes, runs=runs)
    text = json.dumps(numbers, indent=1) + "\n"
    (shipped() / "numbers.json").write_text(text, encoding="utf-8")
    (shipped() / "README.md").write_text(render(numbers), encoding="utf-8")


def render(numbers: dict[str, Any]) -> str:
    """The model card as Markdown: the text in `card.md` with these numbers."""
    first, *others = numbers["runs"]
    kinds = [
        f"| {name} | {_size(kind, 'train')} | {_times_seen(kind):.1f} "
        f"| {_size(kind, 'held_out')} | {_repeated(kind):.0%} | {first['bits_per_byte'][kind]:.3f} "
        f"| {_spread([run['bits_per_byte'][kind] for run in others])} |"
        for kind, name in KINDS.items()
    ]
    layers = [
        f"| {number} | {least:.1%} | {most:.1%} |"
        for number, (least, most) in enumerate(
            zip(first["least_used"], first["most_used"], strict=True)
        )
    ]
    decides = [
        f"| {number} | "
        + " | ".join(
            f"{first[name][number]:{form}} | {_spread([run[name][number] for run in others], form)}"
            for name, form in (("by_token", ".0%"), ("by_kind", ".0%"), ("bits_about_kind", ".2f"))
        )
        + " |"
        for number in range(CONFIG.n_layers)
    ]
    steps = [
        f"| {number * WINDOW + 1}–{(number + 1) * WINDOW} | {loss:.2f} |"
        for number, loss in enumerate(first["losses"])
        if number % 3 == 0 or number == len(first["losses"]) - 1
    ]
    return (
        (shipped() / "card.md")
        .read_text(encoding="utf-8")
        .format(
            config=CONFIG,
            even=1 / CONFIG.n_experts,
            seed=SEED,
            warmup=TRAINING.warmup,
            final=TRAINING.final,
            parameters=f"{CONFIG.n_parameters:,}",
            active=f"{CONFIG.n_active_parameters:,}",
            training=TRAINING,
            steps=f"{TRAINING.steps:,}",
            tokens=f"{TRAINING.steps * SEQ * len(KINDS) / 1e6:.1f}",
            seq=SEQ,
            batch=SEQ * len(KINDS),
            balance=BALANCE,
            z_loss=Z_LOSS,
            minutes=f"{numbers['minutes']:.0f}",
            kinds="\n".join(kinds),
            mean=f"{first['mean']:.3f}",
            mean_spread=_spread([run["mean"] for run in others]),
            layers="\n".join(layers),
            decides="\n".join(decides),
            curve="\n".join(steps),
            others="another seed" if len(others) == 1 else f"{len(others)} other seeds",
            tolerance=f"{tolerance(numbers['runs']):.2f}",
        )
    )


def _size(kind: str, part: str) -> str:
    return f"{sum(len(text.encode()) for text in documents(kind, part)) / 1000:.0f} kB"


def _times_seen(kind: str) -> float:
    """How often training goes through the kind's text, in the mean."""
    return TRAINING.steps * SEQ / len(encode(tokenizer(shipped()), documents(kind)))


def _repeated(kind: str, letters: int = 20) -> float:
    """Which part of the held-out lines of `letters` and more also stands in the training text."""
    trained, held_out = (
        [line.strip() for text in documents(kind, part) for line in text.splitlines()]
        for part in ("train", "held_out")
    )
    known = set(trained)
    return float(np.mean([line in known for line in held_out if len(line) >= letters]))


def _spread(values: list[float], form: str = ".3f") -> str:
    if not values:
        return "not measured"
    ends = [f"{end:{form}}" for end in (min(values), max(values))]
    return " to ".join(dict.fromkeys(ends))
