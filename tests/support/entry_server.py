"""A running `bundle-serve`, posing as some platform.

with EntryServer(bundle, "serve", SAGEMAKER_BIND_TO_PORT=str(port)) as server:
    httpx.get(f"{server.url}/ping")
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

LIMIT_S = 150.0
KEPT = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "LANG", "COVERAGE_PROCESS_START")
"""Of this process's environment: what else is there could give another platform away."""


def environment(bundle: Path | str, variables: Mapping[str, str | None]) -> dict[str, str]:
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    found |= {"TIFFIN_BUNDLE": str(bundle), "TIFFIN_HOST": "127.0.0.1", "TIFFIN_LOG_FORMAT": "json"}
    for name, value in variables.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


class EntryServer:
    """`python -m tiffin.runtime.entrypoint …` with an environment of its own.

    Args:
        bundle: folder.
        arguments: of the command.
        prefix: commands before it, `unshare …`.
        variables: of its environment; None: without it.

    Attributes:
        url: where it says that it serves.
        lines: of its log so far, decoded.
    """

    def __init__(
        self, bundle: Path | str, *arguments: str, prefix: tuple[str, ...] = (), **variables: str | None
    ) -> None:
        self._command = [*prefix, sys.executable, "-m", "tiffin.runtime.entrypoint", *arguments]
        self._environ = environment(bundle, variables)
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.lines: list[dict[str, Any]] = []
        self.url = ""

    def __enter__(self) -> EntryServer:  # noqa: PYI034 - Self came with 3.11
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._environ, cwd="/"
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reading.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        if error is not None:
            sys.stderr.write(self.log())

    def log(self) -> str:
        return "\n".join(json.dumps(line) for line in self.lines)

    def ready(self) -> EntryServer:
        """Waits until it serves."""
        self.url = self.wait_line("ready in")["url"]
        return self

    def wait_line(self, part: str) -> dict[str, Any]:
        """The next line of the log whose message has this in it."""
        end = time.monotonic() + LIMIT_S
        while True:
            line = self._queue.get(timeout=max(0.01, end - time.monotonic()))
            assert line is not None, f"ended with {self.process.wait()} before {part!r}\n{self.log()}"
            if part in line["msg"]:
                return line

    def said(self, part: str) -> bool:
        """Whether some line so far has this in its message."""
        return any(part in line["msg"] for line in self.lines)

    def ended(self) -> int:
        """Waits for its end; the exit code."""
        code = self.process.wait(LIMIT_S)
        self._reading.join()
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"msg": raw.decode("utf-8", "replace").rstrip(), "level": "text"}
            line.setdefault("msg", "")
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)
