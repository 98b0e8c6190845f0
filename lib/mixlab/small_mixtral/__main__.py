"""`make train`: train the small Mixtral again, from scratch, and hold it against its card."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from mixlab.small_mixtral import card, folder, recipe


def main() -> int:
    """Train, or go on where an interrupted training stopped, and compare with the card."""
    parser = argparse.ArgumentParser(prog="make train", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/train"), help="where to write")
    parser.add_argument("--seed", type=int, default=recipe.SEED, help="another one to compare")
    parser.add_argument(
        "--ship",
        type=float,
        metavar="MINUTES",
        help="train nothing; put the finished run of --seed in the place of the shipped model, "
        "and write its card, with the other finished runs in --out",
    )
    options = parser.parse_args()
    out = options.out / f"small_mixtral_{options.seed}"
    if options.ship is not None:
        return ship(out, options.ship)
    start = time.perf_counter()
    print(f"{recipe.TRAINING.steps:,} steps; stop it whenever you like, it goes on from {out}")
    recipe.fit(out, options.seed)
    print(f"trained in {(time.perf_counter() - start) / 60:.1f} minutes; measuring")
    table, good = card.compare(card.measure(out), card.read_numbers()["runs"])
    print(table)
    return 0 if good else 1


def ship(run: Path, minutes: float) -> int:
    """Put a run in the place of the shipped model and write the card."""
    others = sorted(p.parent for p in run.parent.glob("*/model.safetensors") if p.parent != run)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(run / name, folder() / name)
        (folder() / name).chmod(0o644)
    card.write_card([card.measure(each) for each in (run, *others)], minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
