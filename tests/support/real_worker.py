"""Starts real worker processes the way the supervisor does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tiffin.runtime.manifest import RunnerSpec
from tiffin.runtime.supervisor.control import (
    CONTROL_FD,
    Message,
    Reader,
    ServerOptions,
    StartWorker,
    Target,
    WorkerAddress,
    encode,
)


class RealWorker:
    """One worker process; ends with `stop()`."""

    def __init__(
        self,
        folder: Path,
        runner: RunnerSpec,
        service: str,
        source: Path,
        *,
        number: int = 0,
        log: int | None = None,
        **env: str,
    ) -> None:
        self.id = f"{runner.name}-0-{number}"
        self.address = WorkerAddress(id=self.id, runner=runner.name, address=str(folder / f"{self.id}.sock"))
        self.control, theirs = socket.socketpair()
        self.control.settimeout(120)
        self._reader = Reader()
        self._unread: list[Message] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tiffin.runtime.worker"],
            env={**os.environ, CONTROL_FD: str(theirs.fileno()), "OMP_NUM_THREADS": "1", **env},
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            stderr=log,
        )
        theirs.close()
        start = StartWorker(
            target=Target(source=str(source), service=service),
            options=ServerOptions(drain_s=5.0),
            runner=runner,
            address=self.address.address,
            run_folder=str(folder),
            index=0,
        )
        self.control.sendall(encode(start))

    def message(self) -> Any:
        """The next message to the supervisor."""
        while not self._unread:
            data = self.control.recv(65536)
            if not data:
                raise EOFError("the worker closed its control socket")
            self._unread += self._reader.feed(data)
        return self._unread.pop(0)

    def send(self, message: Message) -> None:
        self.control.sendall(encode(message))

    def stop(self) -> int:
        """Ends it as the supervisor's death would; gives the exit code."""
        self.control.close()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
            raise
