"""A running server, started through the real command.

with Server(folder) as server:                     # bundle serve <folder> --port 0
    httpx.post(f"{server.base_url}/classify", json={...})
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any

START_LIMIT_S = 150.0
STOP_LIMIT_S = 90.0


class ServeFailedError(AssertionError):
    """The server was not ready in time, or ended; `code` is its exit code, None while it runs."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


class Server:
    """`bundle serve TARGET --port 0 --json …`, ready on entry, ended on exit.

    Args:
        target: folder, `module:Class`, tag or bundle folder.
        options: more of the command line, `"--workers", "forest=2"`.
        environ: added to this process's environment; `TIFFIN_HOME` for one.
        cwd: where the command is typed.
        wait: until ready; False: `wait_ready` later, or never.

    Attributes:
        base_url: `http://127.0.0.1:40001`.
        pid: of the supervisor.
        events: what `--json` told so far.
    """

    def __init__(
        self,
        target: str | Path,
        *options: str,
        environ: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        wait: bool = True,
    ) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tiffin",
            "serve",
            str(target),
            "--port",
            "0",
            "--json",
            *options,
        ]
        self._environ = {**os.environ, **(environ or {})}
        self._cwd = cwd
        self._wait = wait
        self._queue: Queue[dict[str, Any] | None] = Queue()
        self.events: list[dict[str, Any]] = []
        self.base_url = ""

    def __enter__(self) -> Server:  # noqa: PYI034 - Self came with 3.11
        self._log = tempfile.TemporaryFile()  # a pipe that nobody reads would fill
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environ,
            cwd=self._cwd,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        try:
            if self._wait:
                self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reading.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        if error is not None:
            sys.stderr.write(self.log())
        self._log.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """Standard error of all its processes so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def wait_ready(self, limit_s: float = START_LIMIT_S) -> dict[str, Any]:
        """The event `ready`."""
        return self.wait_event("ready", limit_s)

    def wait_event(self, kind: str, limit_s: float = START_LIMIT_S) -> dict[str, Any]:
        """The next event of this kind: `listening`, `ready`, `reloading`, `reloaded`, `draining` …

        Raises:
            ServeFailedError: it did not come, or the server ended first.
        """
        end = time.monotonic() + limit_s
        while True:
            try:
                event = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                raise ServeFailedError(f"no {kind!r} within {limit_s} s\n{self.log()}", None) from None
            if event is None:
                code = self.process.wait()
                raise ServeFailedError(f"ended with code {code} before {kind!r}\n{self.log()}", code)
            self.events.append(event)
            self.base_url = event.get("url", self.base_url)
            if event["event"] == kind:
                return event

    def stop(self, number: int = signal.SIGTERM, limit_s: float = STOP_LIMIT_S) -> int:
        """Sends a signal and gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(limit_s)

    def pids(self, kind: str = "") -> list[int]:
        """Children of the supervisor that run: `server` the API processes, `worker` the workers; else all."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue  # it ended just now
            modules = [word.decode() for word in command if word.startswith(b"tiffin.runtime.")]
            if parent == self.pid and modules and modules[0].endswith(kind):
                found.append(int(folder.name))
        return sorted(found)

    def memory_bytes(self, pid: int | None = None) -> int:
        """Resident memory of the supervisor, or of one of its children."""
        pages = int(Path(f"/proc/{pid or self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)
