"""`make bench`: every benchmark, one after the other, with the machine; exits 1 when a bar is missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from machine import machine

BENCHMARKS = ["import_time.py", "start.py", "serving.py", "large_model.py", "wire.py"]


def main() -> int:
    for name, value in machine().items():
        print(f"{name:<9} {value}")
    missed = []
    for name in BENCHMARKS:
        print(f"\n== {name.removesuffix('.py')}", flush=True)
        if subprocess.run([sys.executable, str(Path(__file__).parent / name)], check=False).returncode:
            missed.append(name)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery bar met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
