"""`make bench`: every benchmark, one after the other, with the machine; exits 1 when a bar is missed.

python benchmarks/run.py [options and peers of side_by_side.py]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from machine import machine

ALONE = ["import_time.py", "start.py", "large_model.py", "builds.py", "wire.py", "hop.py", "codecs.py"]
BESIDE_PEERS = "side_by_side.py"


def main() -> int:
    for name, value in machine().items():
        print(f"{name:<9} {value}")
    missed = [name for name in ALONE if not met(name)]
    if not met(BESIDE_PEERS, *sys.argv[1:]):
        missed.append(BESIDE_PEERS)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery bar met")
    return 1 if missed else 0


def met(name: str, *arguments: str) -> bool:
    print(f"\n== {name.removesuffix('.py')}", flush=True)
    command = [sys.executable, str(Path(__file__).parent / name), *arguments]
    return not subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
