"""Starts a server as a user would, tells what its processes cost, and ends it by its id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

START_LIMIT_S = 60.0


class Served:
    """`bundle serve TARGET` on a free port of the loopback.

    Args:
        target: what to serve.
        options: more of the command line.
        home: `TIFFIN_HOME`.
    """

    def __init__(self, target: str, *options: str, home: Path) -> None:
        self.command = [sys.executable, "-m", "tiffin", "serve", target, "--port", "0", "--json", *options]
        self.environment = {**os.environ, "TIFFIN_HOME": str(home)}

    def __enter__(self) -> Served:  # noqa: PYI034 - Self is from Python 3.11 on
        began = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "ready":
                self.ready_s = time.perf_counter() - began
                self.url: str = event["url"]
                self.grpc: str = event.get("grpc", "")
                """`127.0.0.1:3001`; empty: off."""
                return self
        raise SystemExit(f"{' '.join(self.command)} ended with {self.process.wait()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def processes(self) -> dict[str, list[int]]:
        """`supervisor`, `api` and `worker` to process ids."""
        found: dict[str, list[int]] = {"supervisor": [self.process.pid], "api": [], "worker": []}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            for kind, module in (("api", b"tiffin.runtime.server"), ("worker", b"tiffin.runtime.worker")):
                if module in command:
                    found[kind].append(int(child))
        return found

    def cpu_s(self) -> float:
        """User and system seconds of all processes so far."""
        ticks = 0
        for pids in self.processes().values():
            for pid in pids:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory in 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
