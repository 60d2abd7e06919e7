"""Builds a bundle around a model of 1 GB: none of it may be copied, or even read.

    python benchmarks/large_model.py [megabytes]

Disk use is what the file system says before and after; bytes read are the kernel's count for the process
that builds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import keep, table

SAVE = """
import sys

import numpy as np

import tiffin

weights = np.random.default_rng(0).integers(0, 2**63, size=int(sys.argv[1]) * 125_000, dtype=np.int64)


class Large:
    def __init__(self, weights):
        self.weights = weights

    def predict(self, x):
        return x + self.weights[0]


tiffin.models.save("large", Large(weights))
"""
SERVICE = """
import numpy as np
from jaxtyping import Int64

import tiffin


@tiffin.service
class Large:
    model = tiffin.runner("large:latest")

    @tiffin.api
    async def predict(self, x: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
        return await self.model.predict(x)
"""
BUILD = """
import sys
from pathlib import Path

import tiffin

bundle = tiffin.build(sys.argv[1], lock=False)
counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
print(bundle.path, counts["rchar"])
"""


def main() -> int:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "TIFFIN_HOME": f"{scratch}/home"}
        project = Path(scratch) / "project"
        project.mkdir()
        (project / "service.py").write_text(SERVICE)

        def python(code: str, *arguments: str) -> tuple[str, float]:
            began = time.perf_counter()
            run = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            return run.stdout, time.perf_counter() - began

        _, save_s = python(SAVE, str(megabytes))
        before = used_bytes(Path(scratch))
        output, build_s = python(BUILD, str(project))
        path, read = output.split()[-2:]
        grown = used_bytes(Path(scratch)) - before
        apparent = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    table(
        ["figure", "value"],
        [
            ["model, MB", f"{megabytes:,}"],
            ["save, s", f"{save_s:.2f}"],
            ["build, s", f"{build_s:.2f}"],
            ["bundle's files, MB", f"{apparent / 1e6:,.1f}"],
            ["disk taken by the bundle, MB", f"{grown / 1e6:.2f}"],
            ["read by the build, MB", f"{int(read) / 1e6:.1f}"],
        ],
    )
    keep(
        "large_model",
        {"megabytes": megabytes, "save_s": save_s, "build_s": build_s, "disk": grown, "read": int(read)},
    )
    met = grown < 5e6 and int(read) < megabytes * 1e6 / 10
    print(f"bar: building copies none of the model: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def used_bytes(folder: Path) -> int:
    """Disk blocks of everything below, each inode once: hard links count as the one file they are."""
    blocks = {status.st_ino: status.st_blocks for file in folder.rglob("*") for status in [file.lstat()]}
    return 512 * sum(blocks.values())


if __name__ == "__main__":
    sys.exit(main())
