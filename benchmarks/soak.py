"""`make soak`: a real server for long, in peace and under fire; exits 1 when something was lost or grows.

Parts, each on a server of its own: `calm` (memory over time), `fire` (kill -9 of anything), `reload` (swap
after swap), `stop` (SIGTERM under load), `idle` (connections that say nothing), `full` (how soon a full queue
refuses).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import crowd
from fire import Fire
from report import keep, table
from server import Server

SAMPLE_S = 1.0
SETTLE = 0.25
"""Share of a calm soak that is left out: pools and caches fill at first."""
LATE = 2 / 3
"""From here on the slope is told once more: what only fills up has a smaller one then, what leaks has not."""
SLOPE_BAR_MB_H = 20.0
IDLE_BAR_BYTES = 16 * 1024
REFUSAL_BAR_S = 0.005

BLOCKED = """
import threading

import tiffin


class Blocked:
    def wait(self, x: int) -> int:
        threading.Event().wait(3600)
        return x


@tiffin.service(timeout_s=600)
class Full:
    blocked = tiffin.runner(Blocked, max_queue_rows=16)

    @tiffin.api
    async def score(self, x: int) -> int:
        return await self.blocked.wait(x)
"""


def slope(samples: list[tuple[float, int]]) -> tuple[float, float]:
    """Least squares: MB (10^6 bytes) an hour, and its standard error.

    Args:
        samples: (seconds, bytes), at least three.
    """
    mean_t = statistics.fmean(t for t, _ in samples)
    mean_y = statistics.fmean(y for _, y in samples)
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    rate = sum((t - mean_t) * (y - mean_y) for t, y in samples) / spread
    residual = sum((y - mean_y - rate * (t - mean_t)) ** 2 for t, y in samples)
    error = (residual / (len(samples) - 2) / spread) ** 0.5
    return rate * 3600 / 1e6, error * 3600 / 1e6


class Memory:
    """Resident memory of every process of a server, once a second."""

    def __init__(self, server: Server) -> None:
        self.samples: dict[str, list[tuple[float, int]]] = {}
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:  # noqa: PYI034 - Self is from Python 3.11 on
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(SAMPLE_S):
            pids = {"supervisor": [self._server.pid]}
            pids |= {kind: self._server.pids(kind) for kind in ("server", "worker")}
            for kind, found in pids.items():
                for pid in found:
                    name = f"{kind} {pid}"
                    sample = (time.monotonic() - began, self._server.memory_bytes(pid))
                    self.samples.setdefault(name, []).append(sample)


async def asked(server: Server, callers: int, part: Any, burst: int = 1, pause_s: float = 0.0) -> crowd.Crowd:
    """A crowd that asks while a part is played, and a while afterwards."""
    one = crowd.Crowd(server.base_url, callers, burst=burst, pause_s=pause_s)
    stop = asyncio.Event()
    asking = asyncio.ensure_future(one.ask_until(stop))
    await one.more(callers)
    await part(one)
    stop.set()
    await asking
    return one


def calm(folder: Path, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    with Server(folder, "--no-access-log", "--processes", "2") as server, Memory(server) as memory:

        async def rest(_: crowd.Crowd) -> None:
            await asyncio.sleep(options.calm_s)

        one = asyncio.run(asked(server, options.callers, rest, pause_s=options.pause_s))
    print(dict(one.counts), f"slowest {one.slowest_s * 1000:.0f} ms")
    rows, fine = [], set(one.counts) == {"right"}
    for name, samples in memory.samples.items():
        kept = [sample for sample in samples if sample[0] > SETTLE * options.calm_s]
        if len(kept) > 2:
            rate, error = slope(kept)
            fine = fine and rate - 2 * error < SLOPE_BAR_MB_H
            late, _ = slope([sample for sample in samples if sample[0] > LATE * options.calm_s])
            rows.append([name, f"{kept[-1][1] / 1e6:.1f}", f"{rate:+.2f}", f"± {error:.2f}", f"{late:+.2f}"])
    table(["process", "MB", "MB/h", "standard error", "MB/h at the end"], rows)
    return fine, {"counts": one.counts, "memory": memory.samples}


def fire(folder: Path, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    with Server(folder, "--no-access-log", "--processes", "2") as server:
        killer = Fire(server, options.kill_every_s, options.seed)
        one = asyncio.run(asked(server, options.callers, lambda crowd: killer.burn(crowd, options.fire_s)))
        log = server.log()
    print(dict(one.counts), "killed", dict(killer.counts()), f"slowest {one.slowest_s:.2f} s")
    try:
        killer.judge(one)
    except AssertionError as error:
        print(error)
        kept = {"cuts": [vars(cut) for cut in one.cuts], "kills": [vars(kill) for kill in killer.kills]}
        return False, {"counts": one.counts, **kept, "log": log}
    return True, {"counts": one.counts, "kills": killer.counts()}


def reload(folder: Path, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    with Server(folder, "--no-access-log", "--processes", "2") as server:

        async def swaps(_: crowd.Crowd) -> None:
            for version in range(2, 2 + options.reloads):
                crowd.write(folder, crowd.SOURCE.replace("VERSION = 1", f"VERSION = {version}"))
                server.process.send_signal(signal.SIGHUP)
                await asyncio.to_thread(server.wait_event, "reloaded")

        one = asyncio.run(asked(server, options.callers, swaps))
    crowd.write(folder)
    print(dict(one.counts), f"{options.reloads} reloads, versions seen in the order {one.versions}")
    return set(one.counts) == {"right"}, {"counts": one.counts, "versions": one.versions}


def stop(folder: Path, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    total: Counter[str] = Counter()
    for _ in range(options.stops):
        with Server(folder, "--no-access-log", "--processes", "2") as server:

            async def end(_: crowd.Crowd, server: Server = server) -> None:
                server.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.process.wait, 60)

            total += asyncio.run(asked(server, options.callers, end, options.burst)).counts
    print(dict(total), f"in {options.stops} stops")
    return set(total) <= {"right", "not connected"}, {"counts": total}


def idle(folder: Path, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(options.idle, hard - 200)
    with Server(folder, "--no-access-log") as server:
        (pid,) = server.pids("server")

        grown = 0

        async def part(one: crowd.Crowd) -> None:
            nonlocal grown
            before = server.memory_bytes(pid)
            held = [(await asyncio.open_connection(one.host, one.port))[1] for _ in range(number)]
            while _open_files(pid) < number:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            grown = server.memory_bytes(pid) - before
            await one.more(10 * one.size)
            for writer in held:
                writer.close()

        one = asyncio.run(asked(server, options.callers, part))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    each = grown / number
    print(f"{number} idle connections: {each:.0f} bytes each; meanwhile {dict(one.counts)}")
    return each < IDLE_BAR_BYTES and set(one.counts) == {"right"}, {"connections": number, "bytes_each": each}


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def full(folder: Path, _: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    crowd.write(folder, BLOCKED)
    with Server(folder, "--no-access-log", "--drain-s", "0") as server:
        took = asyncio.run(_refusals(server))
    crowd.write(folder)
    ordered = sorted(took)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    worst = ordered[-1]
    print(f"refused in {p50 * 1e3:.2f} ms (median), {p99 * 1e3:.2f} ms (99 %), {worst * 1e3:.2f} ms (worst)")
    return p99 < REFUSAL_BAR_S, {"seconds": took}


async def _refusals(server: Server, number: int = 2000) -> list[float]:
    """Seconds until 503 on one connection, while the queue is full."""
    host, port = server.base_url.removeprefix("http://").split(":")
    blocked = []
    while True:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(crowd.request(1))
        blocked.append(writer)
        try:
            status, _, _ = await asyncio.wait_for(crowd.answer(reader), 0.3)
        except asyncio.TimeoutError:
            continue  # it waits in the queue
        assert status == 503
        break
    took = []
    for _ in range(number):
        began = time.perf_counter()
        writer.write(crowd.request(1))
        status, _, _ = await crowd.answer(reader)
        took.append(time.perf_counter() - began)
        assert status == 503
    for writer in blocked:
        writer.close()
    return took


PARTS = {"calm": calm, "fire": fire, "reload": reload, "stop": stop, "idle": idle, "full": full}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when not given")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--calm-s", type=float, default=600.0)
    parser.add_argument("--pause-s", type=float, default=0.0, help="longest that a calm caller pauses")
    parser.add_argument("--fire-s", type=float, default=60.0)
    parser.add_argument("--kill-every-s", type=float, default=0.6)
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--burst", type=int, default=1, help="requests sent in one go when the server stops")
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}")
    missed, figures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        crowd.write(Path(folder))
        for name in options.parts or PARTS:
            print(f"\n== {name}", flush=True)
            fine, figures[name] = PARTS[name](Path(folder), options)
            if not fine:
                missed.append(name)
    keep("soak", {"options": vars(options), **figures})
    print(f"missed: {', '.join(missed)}" if missed else "every bar met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
