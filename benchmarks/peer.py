"""A server to compare with: how it is started, what it is asked, and how it is ended.

Each folder of `benchmarks/peers` is one: `peer.py` says what this module needs to know, `server.py` serves
one model at one port in the peer's own environment, `requirements.txt` pins that environment.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from environment import Environment
from family import Family
from payloads import REFERENCE, right

PEERS = Path(__file__).parent / "peers"
START_LIMIT_S = 120.0
END_LIMIT_S = 2.0
FINAL = (415, 422)
"""No use to ask again; others (400, 404, 500, 503) may only mean that the model is not loaded yet."""


class DidNotStartError(Exception):
    """The server ended, or gave no right answer in time."""


@dataclass(frozen=True)
class Request:
    """One request of a model in one form, and how its answer is read."""

    path: str
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    read: Callable[[bytes], Any] = json.loads
    """From the body of the answer to its rows."""


@dataclass(frozen=True)
class Peer:
    """Args:
    name: as `PEERS=` takes it.
    title: as tables show it.
    folder: of `peer.py`, `server.py` and `requirements.txt`.
    distribution: on PyPI; its version is shown.
    configuration: what was set, in one line.
    requests: model → form (`json`, `npy`, …) → request; the first one tells whether the server is ready.
    arguments: more of the command line of `server.py`.
    """

    name: str
    title: str
    folder: Path
    distribution: str
    configuration: str
    requests: dict[str, dict[str, Request]]
    arguments: tuple[str, ...] = ()

    @property
    def environment(self) -> Environment:
        return Environment(self.folder)

    def start(self, model: str, scratch: Path) -> Running:
        """The server of one model, to be used in a `with`: ready inside, ended after."""
        return Running(self, model, scratch)


class Running:
    """A peer's server while it runs.

    Raises:
        DidNotStartError: with the end of what it printed.
    """

    def __init__(self, peer: Peer, model: str, scratch: Path) -> None:
        self.peer = peer
        self.model = model
        self.folder = scratch / peer.folder.name
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / f"{peer.name}-{model}.log"
        self.port = free_port()
        mark = uuid.uuid4().hex
        self.family = Family(mark)
        python = peer.environment.python
        self.command = [str(python), str(peer.folder / "server.py"), model, str(self.port), *peer.arguments]
        self.variables = {
            **os.environ,
            Family.VARIABLE: mark,
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REFERENCE),
            "OMP_NUM_THREADS": "1",  # one BLAS thread for every model, ours too
            "BENCH_MODEL": model,
            "BENCH_SCRATCH": str(self.folder),
        }

    def __enter__(self) -> Running:  # noqa: PYI034 - Self is from Python 3.11 on
        began = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        self.ready_s = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def url(self, request: Request) -> str:
        return f"http://127.0.0.1:{self.port}{request.path}"

    def ask(self, request: Request, timeout_s: float = 30.0) -> bytes:
        """One request on a connection of its own.

        Raises:
            OSError, http.client.HTTPException: no answer, or one that is not 200.
            DidNotStartError: an answer that says that it does not understand us.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            headers = {"content-type": request.content_type, **request.headers}
            connection.request("POST", request.path, request.body, headers)
            response = connection.getresponse()
            body = response.read()
            if response.status in FINAL:
                raise DidNotStartError(f"{request.path}: {response.status} {body[:300]!r}")
            if response.status != 200:
                raise http.client.HTTPException(f"{request.path}: {response.status} {body[:300]!r}")
            return body
        finally:
            connection.close()

    def _wait(self) -> None:
        """Ready is who gives the right answer."""
        request = next(iter(self.peer.requests[self.model].values()))
        limit = time.monotonic() + START_LIMIT_S
        said: object = ""
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise DidNotStartError(f"ended with {self.process.returncode}: {self._last_words()}")
            try:
                answer = self.ask(request, START_LIMIT_S)
                if right(self.model, request.read(answer)):
                    return
                raise DidNotStartError(f"wrong answer: {answer[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                said = error
            time.sleep(0.1)
        raise DidNotStartError(f"no answer in {START_LIMIT_S:.0f} s: {said}; {self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
        return lines[-1][-300:]

    def _end(self) -> None:
        """First the one that was started, which ends its own; then whoever is left of the family."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.family.end()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def peers() -> list[Peer]:
    """All of `benchmarks/peers`, ours first."""
    found: list[Peer] = []
    for path in sorted(PEERS.glob("*/peer.py"), key=lambda path: (path.parent.name != "tiffin", path)):
        spec = importlib.util.spec_from_file_location(f"peer_{path.parent.name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        found += module.PEERS
    return found
