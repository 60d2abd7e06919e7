"""Containers that a test starts, by the command lines of docker and podman, and ends again."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx
from typing_extensions import Self

READY_LIMIT_S = 180.0
# Root in a virtual machine may not raise its limits; podman needs systemd for health checks.
PODMAN = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--no-healthcheck"]


def ask(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


class Box:
    """One container, with `program` docker or podman."""

    def __init__(
        self, program: str, image: str, *arguments: str, options: Sequence[str] = (), port: int = 3000
    ) -> None:
        own = PODMAN if program == "podman" else []
        publish = ["--publish", f"127.0.0.1::{port}"]
        self.program = program
        self.id = ask(program, "run", "--detach", *own, *publish, *options, image, *arguments)
        self._port = port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.logs())
        ask(self.program, "rm", "--force", self.id)

    @property
    def url(self) -> str:
        lines = ask(self.program, "port", self.id, f"{self._port}/tcp").splitlines()
        return f"http://127.0.0.1:{lines[0].rpartition(':')[2]}"

    def wait_until_ready(self, path: str = "/readyz", limit_s: float = READY_LIMIT_S) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            assert self.state()["Running"], f"it ended: {self.logs()}"
            try:
                if httpx.get(f"{self.url}{path}", timeout=5).status_code == httpx.codes.OK:
                    return time.monotonic() - began
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready after {limit_s} s: {self.logs()}")

    def post(self, route: str, body: object, *, timeout_s: float = 30) -> httpx.Response:
        return httpx.post(f"{self.url}{route}", json=body, timeout=timeout_s)

    def stop(self, limit_s: int) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after the limit.

        Returns:
            Its exit code and the seconds it took.
        """
        began = time.monotonic()
        ask(self.program, "stop", "--time", str(limit_s), self.id)
        return int(self.state()["ExitCode"]), time.monotonic() - began

    def run(self, script: str) -> str:
        """What a shell in it prints."""
        return ask(self.program, "exec", self.id, "sh", "-c", script)

    def state(self) -> dict[str, Any]:
        (found,) = json.loads(ask(self.program, "container", "inspect", self.id))
        return dict(found["State"])

    def logs(self) -> str:
        done = subprocess.run(
            [self.program, "logs", self.id],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout
