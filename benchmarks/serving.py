"""Iris over HTTP JSON: tiffin beside a plain Litestar application that calls the same model itself.

    python benchmarks/serving.py [rounds] [seconds]

Both run on the machine's cores together with the load generator; rounds are interleaved, medians are shown
and every round is kept. One API process, one worker. The bar: 12,000 requests/s at 64 connections, p50 under
1 ms at one, no errors.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from report import keep, table
from served import Served, rss_mb
from wrk import Load, wrk

EXAMPLE = Path(__file__).parents[1] / "examples" / "iris_sklearn"
BODY = '{"flowers": [[5.1, 3.5, 1.4, 0.2]]}'
CONNECTIONS = (1, 64)
BAR_PER_S = 12_000
BAR_P50_MS = 1.0
BAR_MB = {"supervisor": 60.0, "api": 90.0}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    loads: dict[tuple[str, int], list[Load]] = {}
    cpu_ms: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        environment = {**os.environ, "TIFFIN_HOME": scratch}
        subprocess.run(
            [sys.executable, "train.py"], cwd=EXAMPLE, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        model = next(home.glob("models/iris/*/*.joblib"))
        peer = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "plain_litestar.py"), str(model)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert peer.stdout is not None
            peer_url = peer.stdout.readline().strip()
            with Served(str(EXAMPLE), home=home) as served:
                urls = {"tiffin": served.url, "Litestar alone": peer_url}
                for url in urls.values():
                    wrk(f"{url}/classify", BODY, connections=8, seconds=1)
                for _ in range(rounds):
                    for connections in CONNECTIONS:
                        for name, url in urls.items():
                            before = served.cpu_s()
                            load = wrk(f"{url}/classify", BODY, connections=connections, seconds=seconds)
                            loads.setdefault((name, connections), []).append(load)
                            if name == "tiffin" and connections == max(CONNECTIONS):
                                cpu_ms.append((served.cpu_s() - before) * 1000 / load.requests)
                memory = {
                    kind: max(rss_mb(pid) for pid in pids)
                    for kind, pids in served.processes().items()
                    if pids
                }
        finally:
            peer.terminate()
            peer.wait()

    table(
        ["server", "connections", "requests/s", "p50 ms", "p99 ms", "errors"],
        [
            [
                name,
                str(connections),
                f"{statistics.median(load.requests_per_s for load in runs):,.0f}",
                f"{statistics.median(load.p50_ms for load in runs):.2f}",
                f"{statistics.median(load.p99_ms for load in runs):.2f}",
                str(sum(load.errors for load in runs)),
            ]
            for (name, connections), runs in loads.items()
        ],
    )
    print(f"CPU a request at 64 connections, all processes: {statistics.median(cpu_ms):.3f} ms")
    print("memory after the load: " + ", ".join(f"{kind} {mb:.0f} MB" for kind, mb in memory.items()))
    keep(
        "serving",
        {
            "loads": [
                {"server": n, "connections": c, "rounds": [asdict(r) for r in runs]}
                for (n, c), runs in loads.items()
            ],
            "cpu_ms": cpu_ms,
            "memory_mb": memory,
        },
    )
    fast = statistics.median(load.requests_per_s for load in loads["tiffin", 64]) >= BAR_PER_S
    prompt = statistics.median(load.p50_ms for load in loads["tiffin", 1]) < BAR_P50_MS
    clean = not any(load.errors for (name, _), runs in loads.items() if name == "tiffin" for load in runs)
    small = all(memory[kind] < limit for kind, limit in BAR_MB.items())
    print(
        f"bar: ≥ {BAR_PER_S:,} requests/s {said(fast)}, p50 < {BAR_P50_MS} ms {said(prompt)}, "
        f"no errors {said(clean)}, supervisor < 60 MB and API process < 90 MB {said(small)}"
    )
    return 0 if fast and prompt and clean and small else 1


def said(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
