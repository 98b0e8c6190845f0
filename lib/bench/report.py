"""The measured rows as a table for people and as JSON for programs."""

import json
from dataclasses import asdict
from pathlib import Path

from bench.measure import Outcome, Spread

HEAD = (
    *("row", "ours", "peer", "peer's best", "ratio (least–most)", "target", "met", "peak memory"),
    "machine's limit",
)


def quantity(figure: float, unit: str) -> str:
    """Seconds or bytes with three digits and a fitting unit.

    >>> quantity(0.01234, "s"), quantity(2_500_000, "bytes")
    ('12.3 ms', '2.50 MB')
    """
    steps = {
        "s": [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
        "bytes": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")],
    }[unit]
    step, name = next((s for s in steps if figure >= s[0]), steps[-1])
    return f"{figure / step:#.3g} {name}".replace(". ", " ")


def spread(figure: Spread) -> str:
    """A ratio with how far its rounds reach.

    >>> spread(Spread(2.0, 1.5, 2.5, runs=7))
    '2.00x (1.50–2.50)'
    """
    reach = f" ({figure.least:.2f}–{figure.most:.2f})" if figure.runs > 1 else ""
    return f"{figure.median:.2f}x{reach}"


def limit(outcome: Outcome, theirs: float) -> str:
    """The machine's least time, what share of its rate ours reaches, and the ratio at all of it.

    >>> limit(Outcome("r", "", ours=Spread(2.0, 2.0, 2.0, runs=1), least=1.5), theirs=3.0)
    '1.50 s: at 75% of it, 2.00x at most'
    """
    if outcome.least is None:
        return ""
    share = outcome.least / outcome.ours.median
    most = theirs / outcome.least
    return f"{quantity(outcome.least, 's')}: at {share:.0%} of it, {most:.2f}x at most"


def lines(outcome: Outcome) -> list[tuple[str, ...]]:
    """A row's lines: one a peer, in that peer's best setting."""
    if outcome.problem:
        return [(outcome.name, outcome.problem, *[""] * (len(HEAD) - 2))]
    found = []
    for peer in (peer for peer in outcome.against if peer.counts):
        peaks = [outcome.peak, peer.peak]
        found.append(
            (
                outcome.name,
                quantity(outcome.ours.median, outcome.unit),
                f"{peer.name}, {peer.setting}" if peer.setting else peer.name,
                quantity(peer.figure.median, outcome.unit),
                spread(peer.ratio),
                "" if peer.target is None else f"{peer.target:g}x",
                {True: "yes", False: "no", None: ""}[peer.met],
                "" if None in peaks else " / ".join(quantity(peak, "bytes") for peak in peaks),
                limit(outcome, peer.figure.median),
            )
        )
    return found


def table(outcomes: list[Outcome]) -> str:
    """Every row as aligned text, then what was measured, at which sizes, and how equal it was."""
    rows = [HEAD, *(line for outcome in outcomes for line in lines(outcome))]
    # A problem is a sentence: it may run on over the empty columns to its right.
    plain = [row for row in rows if any(row[2:])]
    widths = [max(len(row[column]) for row in plain) for column in range(len(HEAD))]
    widths[0] = max(len(row[0]) for row in rows)
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    text.append("")
    for outcome in outcomes:
        equal = ""
        if outcome.difference is not None:
            equal = f" Results equal to {outcome.difference:.1e}."
        text.append(f"{outcome.name}: {outcome.work}. {outcome.note}{equal}".replace("  ", " "))
    return "\n".join(text)


def write_json(path: Path, machine: dict, settings: dict, outcomes: list[Outcome]) -> None:
    """Everything measured, with the machine and the settings, for a program to read."""
    rows = []
    for outcome in outcomes:
        row = asdict(outcome) | {"met": outcome.met}
        row["against"] = [asdict(peer) | {"met": peer.met} for peer in outcome.against]
        rows.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "settings": settings, "rows": rows}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
