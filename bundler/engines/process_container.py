"""A container that is watched over by a command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from ...errors import ImageError
from .command import ask

_MARGIN_S = 30.0


class CommandContainer:
    def __init__(self, program: str, container_id: str, port: int) -> None:
        self.id = container_id
        self._program = program
        self._port = port

    def port(self) -> int:
        lines = ask([self._program, "port", self.id, f"{self._port}/tcp"]).split()
        return int(lines[0].rpartition(":")[2]) if lines else 0

    def exit_code(self) -> int | None:
        (found,) = json.loads(ask([self._program, "container", "inspect", self.id]))
        state = found["State"]
        return int(state["ExitCode"]) if state["Status"] in {"exited", "stopped", "dead"} else None

    def logs(self) -> Iterator[bytes]:
        command = [self._program, "logs", "--follow", self.id]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            try:
                yield from process.stdout
            finally:
                process.terminate()

    def stop(self, limit_s: float) -> None:
        ask([self._program, "stop", "--time", str(int(limit_s)), self.id], limit_s=limit_s + _MARGIN_S)

    def remove(self) -> None:
        try:
            ask([self._program, "rm", "--force", self.id])
        except ImageError as error:
            if "no such container" not in str(error).lower():
                raise
