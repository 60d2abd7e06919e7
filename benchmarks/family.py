"""All processes that came of one command, whoever their parent is now: they carry a mark as a variable."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

END_LIMIT_S = 2.0


class Family:
    """Linux only: reads /proc.

    Args:
        mark: a word that no other family has; the command must be started with it in the variable `VARIABLE`.
    """

    VARIABLE = "TIFFIN_BENCH_FAMILY"

    def __init__(self, mark: str) -> None:
        self.mark = f"{self.VARIABLE}={mark}".encode()

    def pids(self) -> list[int]:
        """Process ids that are alive now."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    variables = (entry / "environ").read_bytes()
                except OSError:
                    continue  # gone, or not ours
                if self.mark in variables.split(b"\0"):
                    found.append(int(entry.name))
        return found

    def cpu_s(self) -> float:
        """User and system seconds so far, those of children that have ended included."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Memory of all of them: see `memory_of_mb`."""
        return self.memory_of_mb(self.pids())

    @staticmethod
    def memory_of_mb(pids: list[int]) -> float:
        """Proportional set size in 10^6 bytes: pages that several processes share count once."""
        kib = 0
        for pid in pids:
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            kib += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        return kib * 1024 / 1e6

    def end(self) -> None:
        """SIGTERM to each, and after a while SIGKILL."""
        limit = time.monotonic() + END_LIMIT_S
        number = signal.SIGTERM
        told: set[tuple[int, int]] = set()
        while pids := self.pids():
            if time.monotonic() > limit:
                number = signal.SIGKILL
            for pid in pids:
                if (pid, number) not in told:
                    told.add((pid, number))
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        continue
            time.sleep(0.05)
