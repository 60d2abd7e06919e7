"""tiffin beside its peers on the same models and payloads, in interleaved rounds.

    python benchmarks/side_by_side.py [PEER ...] [--rounds 3] [--seconds 2] [--quick]

Without names, every folder of `benchmarks/peers`; tiffin always takes part. Each peer lives in a Python
environment of its own below `BENCH_HOME` (default `~/.cache/tiffin-bench`), made on first use from its pinned
requirements; one that does not install or start is shown with the reason. Servers, models and load share the
machine's cores. Prints tables, and writes them with every single measurement to `benchmarks/results/`.
Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from bars import OURS, Bar, bars
from environment import DidNotInstallError
from large_array import Trip, trips
from model_alone import model_alone
from payloads import ROWS
from peer import Peer, peers
from quota import QuotaRefusedError
from reference_models import BATCH
from report import Report
from rounds import Measured, measure
from scaling import Step, growth, scaling
from works import WORKS


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGTERM, _leave)  # so that every `with` ends its server
    began = time.monotonic()
    chosen, versions, absent = installed(choose(arguments.peers))
    report = Report("side_by_side")
    # A short name: Ray puts Unix sockets deep below it, whose paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tb-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        alone = {model: model_alone(model) for model in ROWS}
        measured = measure(chosen, arguments.rounds, arguments.seconds, scratch)
        large, refused = trips([peer for peer in chosen if not peer.arguments], arguments.trips, scratch)
        steps, no_steps = scaled(chosen[0], arguments, scratch)
    report.section("Who takes part")
    report.table(
        ["server", "version", "how it runs"],
        [[peer.title, versions[peer.name], peer.configuration] for peer in chosen],
        left=3,
    )
    report.lines([f"{title}: did not install: {reason}" for title, reason in absent.items()])
    report.section("The models alone, rows/s in one process without a server")
    report.table(
        ["model", "one by one", "in batches of 64"],
        [[model, f"{rates['1']:,.0f}", f"{rates['64']:,.0f}"] for model, rates in alone.items()],
    )
    titles = {peer.name: peer.title for peer in chosen}
    capacity_per_s = alone["slow"][str(BATCH)]
    tell_works(report, measured, chosen, capacity_per_s)
    tell_large(report, large, refused, titles)
    tell_scaling(report, steps, no_steps)
    verdicts = bars(measured, large, steps, capacity_per_s)
    tell_bars(report, verdicts)
    took_s = time.monotonic() - began
    report.lines(
        [
            f"medians of {arguments.rounds} interleaved rounds of {arguments.seconds} s; took {took_s:.0f} s",
            "wrk with one thread, on the same cores as the servers",
        ]
    )
    report.keep(
        {
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "versions": {peer.name: peer.environment.versions() for peer in chosen},
            "models_alone": alone,
            "did_not_install": absent,
            "did_not_start": {f"{peer} {model}": why for (peer, model), why in measured.failed.items()},
            "series": [one.raw() for one in measured.series.values()],
            "large_array": [asdict(one) for one in large],
            "large_array_refused": refused,
            "scaling": [asdict(one) for one in steps],
            "bars": [asdict(one) for one in verdicts],
        }
    )
    return 1 if any(one.met is False for one in verdicts) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="tiffin beside its peers")
    parser.add_argument("peers", nargs="*", help="folders of benchmarks/peers; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of load for each figure")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    arguments = parser.parse_args()
    arguments.trips = 2 if arguments.quick else 5
    if arguments.quick:
        arguments.rounds = arguments.seconds = 1
    return arguments


def choose(names: list[str]) -> list[Peer]:
    """tiffin, and those named; all when none is."""
    found = peers()
    known = {peer.folder.name for peer in found}
    if unknown := set(names) - known:
        raise SystemExit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [peer for peer in found if not names or peer.folder.name in {OURS, *names}]


def installed(chosen: list[Peer]) -> tuple[list[Peer], dict[str, str], dict[str, str]]:
    """Those whose environment is there, their versions, and why the others' is not."""
    there: list[Peer] = []
    versions: dict[str, str] = {}
    absent: dict[str, str] = {}
    for peer in chosen:
        print(f"  environment of {peer.title}", file=sys.stderr, flush=True)
        try:
            peer.environment.make()
        except DidNotInstallError as error:
            absent[peer.title] = str(error)
            continue
        there.append(peer)
        versions[peer.name] = peer.environment.version(peer.distribution)
    return there, versions, absent


def scaled(ours: Peer, arguments: argparse.Namespace, scratch: Path) -> tuple[list[Step], str]:
    try:
        return scaling(ours, arguments.rounds, arguments.seconds, scratch), ""
    except QuotaRefusedError as error:
        return [], f"not shown: this machine grants no quota of processor time ({error})"


def tell_works(report: Report, measured: Measured, chosen: list[Peer], capacity_per_s: float) -> None:
    titles = {peer.name: peer.title for peer in chosen}
    for work in WORKS:
        report.section(work.title)
        found = measured.of(work)
        ours = measured.best(OURS, work.key)
        rows = []
        for one in found:
            least, most = one.spread
            ratio = f"{ours.per_s / one.per_s:.2f}" if ours and one.per_s else "–"
            share = [f"{one.per_s / capacity_per_s:.1%}"] if work.model == "slow" else []
            rows.append(
                [
                    titles[one.peer] + (f", {one.form}" if work.binary else ""),
                    f"{one.per_s:,.0f}",
                    f"{least:,.0f}…{most:,.0f}",
                    ratio,
                    *share,
                    f"{one.p50_ms:.2f}",
                    f"{one.p99_ms:.2f}",
                    "–" if math.isnan(one.cpu) else f"{one.cpu:,.0f}",
                    str(one.errors),
                ]
            )
        extra = ["of capacity"] if work.model == "slow" else []
        head = [
            "server",
            "requests/s",
            "spread",
            "tiffin / it",
            *extra,
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "errors",
        ]
        there = {one.peer for one in found}
        for peer in chosen:
            if peer.name not in there and not peer.arguments:
                why = measured.failed.get((peer.name, work.model), "has no such form")
                rows.append([peer.title, "–", why[:60], *["–"] * (len(head) - 3)])
        report.table(head, rows)
    report.lines([f"{titles[name]}, {model}: {why}" for (name, model), why in measured.failed.items()])


def tell_large(report: Report, made: list[Trip], failed: dict[str, str], titles: dict[str, str]) -> None:
    report.section("38 MB of float32 there and back, one caller")
    report.table(
        ["server", "form", "s", "spread", "memory over idle, MB", "in arrays"],
        [
            [
                titles[one.peer],
                one.form,
                f"{one.median_s:.3f}",
                f"{min(one.seconds):.3f}…{max(one.seconds):.3f}",
                f"{one.peak_mb - one.idle_mb:,.0f}",
                f"{one.times:.1f}",
            ]
            for one in made
        ],
    )
    report.lines([f"{title}: {reason}" for title, reason in failed.items()])


def tell_scaling(report: Report, steps: list[Step], why_not: str) -> None:
    report.section(
        "tiffin with P API processes and P workers, W1, 64 connections, under a quota of processor time"
    )
    if not steps:
        report.lines([why_not])
        return
    report.table(
        ["P", "cores allowed", "requests/s", "requests/s a core", "of linear", "CPU µs"],
        [
            [
                str(step.pairs),
                f"{step.cores:.2f}",
                f"{step.median_per_s:,.0f}",
                f"{step.median_per_s / step.cores:,.0f}",
                f"{grown:.2f}",
                f"{sorted(step.cpu_us)[len(step.cpu_us) // 2]:.0f}",
            ]
            for step, grown in zip(steps, growth(steps), strict=True)
        ],
    )
    report.lines(
        [
            f"wrk shares the {len(os.sched_getaffinity(0))} cores, so a pair of processes gets a part of one",
            "this shows that nothing is serialised, not that caches and memory of more cores keep up",
        ]
    )


def tell_bars(report: Report, verdicts: list[Bar]) -> None:
    report.section("The bar")
    said = {True: "met", False: "MISSED", None: "–"}
    report.table(["asked", "seen", ""], [[one.asked, one.seen, said[one.met]] for one in verdicts], left=3)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
