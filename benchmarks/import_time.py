"""What `import tiffin` and `bundle --help` cost over a bare interpreter.

    python benchmarks/import_time.py [rounds]

Every round starts each command once, in an order drawn anew, so that a machine that slows down or speeds up
half-way does so for all of them. Medians and the spread of the middle half are printed, in milliseconds.
The bar: under 200 ms more than the bare interpreter.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time

BAR_MS = 200.0
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import tiffin": ["-c", "import tiffin"],
    "import click": ["-c", "import click"],
    "bundle --help": ["-m", "tiffin", "--help"],
    "bundle --version": ["-m", "tiffin", "--version"],
}
BARE = "python -c pass"
BARRED = ("import tiffin", "bundle --help")


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds from start to end of each command, one a round; a first round warms up and is dropped."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name in random.sample(list(COMMANDS), len(COMMANDS)):
            begun = time.perf_counter()
            subprocess.run([sys.executable, *COMMANDS[name]], check=True, stdout=subprocess.DEVNULL)
            if number:
                taken[name].append((time.perf_counter() - begun) * 1000)
    return taken


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    taken = measure(rounds)
    bare = statistics.median(taken[BARE])
    print(f"{'command':<18} {'median ms':>9} {'middle half':>15} {'over bare':>9}   ({rounds} rounds)")
    for name, times in taken.items():
        low, median, high = statistics.quantiles(times, n=4)
        print(f"{name:<18} {median:>9.1f} {f'{low:.1f}…{high:.1f}':>15} {median - bare:>9.1f}")
    over = {name: statistics.median(taken[name]) - bare for name in BARRED}
    missed = [name for name, extra in over.items() if extra >= BAR_MS]
    print(f"bar: {' and '.join(BARRED)} under {BAR_MS:.0f} ms over bare: {'missed' if missed else 'met'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
