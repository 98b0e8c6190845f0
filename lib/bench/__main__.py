"""`python -m bench`: measure the speed table side by side with other implementations.

Prints a table and writes build/bench/cpu.json (with --gpu: cuda.json). Ends with 0 even if a row
misses its target, unless --strict is given.
"""

import argparse
import sys
import warnings
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from bench import machine
from bench.discover import discover
from bench.measure import CLOCKS, run_row
from bench.report import lines, table, write_json
from bench.row import Row, Unavailable

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__.split("\n\n")[0].split(": ")[1]
    )
    add = parser.add_argument
    add("--gpu", action="store_true", help="the rows that need a CUDA device")
    add("--rows", nargs="+", metavar="PATTERN", help="only rows whose name matches, e.g. 'decode*'")
    add("--quick", action="store_true", help="smaller sizes: seconds a row instead of a minute")
    add("--tiny", action="store_true", help="the tests' sizes, whose figures say nothing")
    add("--runs", type=int, default=5, help="rounds; at least 5 for figures worth quoting")
    add("--threads", type=int, help="PyTorch's threads; all cores by default")
    add("--clock", choices=[*CLOCKS], default="wall", help="on busy machines: see bench.measure")
    add("--strict", action="store_true", help="end with 1 if a row misses a target or has none")
    add("--list", action="store_true", help="name the rows and what they measure")
    add("--profile", metavar="ROW", help="where the time of one row goes, ours and each peer's")
    add("--output", type=Path, help="where to write the JSON")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    chosen = arguments(given)
    device = "cuda" if chosen.gpu else "cpu"
    if chosen.gpu and not torch.cuda.is_available():
        print("No CUDA device here: the GPU rows are skipped. `python -m bench` measures the CPU.")
        return 0
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    size = "tiny" if chosen.tiny else "quick" if chosen.quick else "full"
    try:
        rows = discover(device, [chosen.profile] if chosen.profile else chosen.rows)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if chosen.list:
        for row in rows:
            print(f"{row.name}: {row.work}")
        return 0
    # Peers warn about settings of theirs; that is no news for whoever reads a table.
    warnings.simplefilter("ignore")
    if chosen.profile:
        for row in rows:
            print_profile(row, size)
        return 0
    rates = None if chosen.gpu else machine.Rates.measure()
    about = machine.describe(device, rates)
    print(*(f"{key}: {value}" for key, value in about.items()), sep="\n", end="\n\n")
    outcomes = []
    for row in rows:
        print(f"{row.name} …", flush=True)
        torch.manual_seed(0)
        outcomes.append(run_row(row, size, chosen.runs, chosen.clock, rates))
        for line in lines(outcomes[-1]):
            print("  " + "  ".join(filter(None, line[1:])), flush=True)
    print("\n" + table(outcomes))
    settings = {"size": size, "clock": chosen.clock, "runs": chosen.runs}
    path = chosen.output or BUILD / f"{device}.json"
    write_json(path, about, settings, outcomes)
    print(f"\nwritten to {path}")
    return 1 if chosen.strict and not all(outcome.met for outcome in outcomes) else 0


def print_profile(row: Row, size: str, n_lines: int = 15) -> None:
    """PyTorch's profile of one call, ours and each peer's, after one to warm up."""
    try:
        contest = row.setup(size)
    except Unavailable as missing:
        print(f"{row.name}: {missing}")
        return
    activities, order = [ProfilerActivity.CPU], "self_cpu_time_total"
    if row.device == "cuda":
        activities, order = [*activities, ProfilerActivity.CUDA], "self_device_time_total"
    everyone = {"ours": contest.ours}
    everyone |= {f"{peer.name}, {peer.setting}": peer.run for peer in contest.peers}
    for who, run in everyone.items():
        run()
        with profile(activities=activities) as record:
            run()
        print(f"\n{row.name}: {who}")
        print(
            record.key_averages().table(sort_by=order, row_limit=n_lines, max_name_column_width=45)
        )


if __name__ == "__main__":
    sys.exit(main())
