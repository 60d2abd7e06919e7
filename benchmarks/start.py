"""From the command to ready, and the memory of each process, for a service without a framework.

    python benchmarks/start.py [rounds]

The bar: ready in under 1.5 s, supervisor under 60 MB, API process under 90 MB (10^6 bytes, resident).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from report import keep, table
from served import Served, rss_mb

SERVICE = """
import numpy as np
from jaxtyping import Float64

import tiffin


class Doubler:
    @tiffin.batch
    def double(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return 2 * x


@tiffin.service
class Plain:
    doubler = tiffin.runner(Doubler)

    @tiffin.api
    async def double(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return await self.doubler.double(x)
"""
BAR_READY_S = 1.5
BAR_MB = {"supervisor": 60.0, "api": 90.0}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    ready_s: list[float] = []
    memory_mb: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "service.py").write_text(SERVICE)
        for number in range(rounds + 1):
            with Served(scratch, home=folder / "home") as served:
                if number:  # the first one warms the page cache
                    ready_s.append(served.ready_s)
                for kind, pids in served.processes().items():
                    memory_mb.setdefault(kind, []).extend(rss_mb(pid) for pid in pids)
    median_s = statistics.median(ready_s)
    medians = {kind: statistics.median(values) for kind, values in memory_mb.items()}
    table(
        ["figure", "median", "least", "most"],
        [
            ["ready, s", f"{median_s:.2f}", f"{min(ready_s):.2f}", f"{max(ready_s):.2f}"],
            *(
                [f"{kind}, MB", f"{medians[kind]:.0f}", f"{min(values):.0f}", f"{max(values):.0f}"]
                for kind, values in memory_mb.items()
            ),
        ],
    )
    keep("start", {"ready_s": ready_s, "memory_mb": memory_mb})
    met = median_s < BAR_READY_S and all(medians[kind] < limit for kind, limit in BAR_MB.items())
    print(
        f"bar: ready < {BAR_READY_S} s, supervisor < 60 MB, API process < 90 MB: {'met' if met else 'MISSED'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
