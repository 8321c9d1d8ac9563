"""What each layer costs, before and after: `python benchmarks/micro [--before DIR]`, in a minute.

CPU microseconds of each layer of a request by itself (``layers.py``), the best of many batches, so
that what else the machine does falls out. With ``--before``, another checkout is timed in turns
with this one, and beside its figures stands the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent


def timed(tree: Path, seconds: float) -> dict[str, float]:
    """The layers of the package in ``tree``, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "layers.py"), str(seconds)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), str(HERE.parent)])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout")
    parser.add_argument("--seconds", type=float, default=0.6, help="for a layer (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    options = parser.parse_args()
    trees = [TREE] if options.before is None else [options.before.resolve(), TREE]
    best: list[dict[str, float]] = [{} for _ in trees]
    for _ in range(options.rounds):
        for tree, found in zip(trees, best, strict=True):
            for name, once in timed(tree, options.seconds).items():
                found[name] = min(once, found.get(name, once))
    head = ["layer", "CPU us"] if len(trees) == 1 else ["layer", "before", "after", "ratio"]
    print(f"| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}")
    for name, after in best[-1].items():
        row = [f"{found[name]:.2f}" for found in best]
        if len(trees) > 1:
            row.append(f"{after / best[0][name]:.2f}")
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
