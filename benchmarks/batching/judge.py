"""Judges a policy: `python -m tiffin.benchmarks.batching.judge [--seeds 40] [--family open] [--all]`.

Prints family × measure × bar, mean and worst over the seeds, and the scenarios that miss; exits 1 when one
does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from ...runtime.batching.policy import AdaptivePolicy
from .families import FAMILIES, Make
from .fixed import Fixed

POLICIES: dict[str, Make] = {
    "adaptive": AdaptivePolicy,
    "natural": lambda max_rows, _, workers: Fixed(max_rows, workers=workers),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=1000, help="the first seed")
    parser.add_argument("--family", default="", help="only families whose name starts so")
    parser.add_argument("--policy", default="adaptive", choices=POLICIES)
    parser.add_argument("--all", action="store_true", help="print every scenario")
    args = parser.parse_args()
    missed = False
    for family in FAMILIES:
        if not family.name.startswith(args.family):
            continue
        began = time.perf_counter()
        figures = [
            family.run(seed, POLICIES[args.policy]) for seed in range(args.first, args.first + args.seeds)
        ]
        figures.sort(key=lambda figure: figure.value, reverse=not family.most)
        values = [figure.value for figure in figures]
        mean, worst = statistics.fmean(values), values[0]
        sign = 1 if family.most else -1
        bad = [figure for figure in figures if sign * figure.value < sign * family.worst]
        missed |= bool(bad) or sign * mean < sign * family.mean
        print(
            f"{family.name:12} {family.measure:30} mean {mean:6.3f} (bar {family.mean:4.2f})  "
            f"median {statistics.median(values):6.3f}  worst {worst:6.3f} (bar {family.worst:4.2f})  "
            f"{len(bad)} of {len(values)} miss  {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        for figure in figures if args.all else bad[:8]:
            print(f"    {figure.value:6.3f}  {figure.scenario}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
