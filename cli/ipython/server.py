"""A server that runs in the background of a notebook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any

from ...errors import ServerError
from ...runtime.card import Link, card

_POLL_S = 0.05
_STOP_LIMIT_S = 40.0
"""The server itself gives requests 30 s."""
_SHOWN_LINES = 30


class Server:
    """`bundle serve …` as a child of this process, which it does not outlive.

    Args:
        label: what a person calls it: the target.
        arguments: of `bundle serve`.
        held: closed when the server has ended: source that was written for it.
        written: its folder, which the server removes when this process cannot; empty: there is none.
    """

    def __init__(self, label: str, arguments: Sequence[str], held: ExitStack, written: str) -> None:
        self.label = label
        self._held = held
        # Files, not pipes: a cell that computes for minutes reads none, and neither does a dead kernel.
        self._events: IO[bytes] = TemporaryFile()  # noqa: SIM115 - they live as long as this
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115
        self._ready: dict[str, Any] = {}
        module = f"{__name__.rpartition('.')[0]}.child"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(os.getpid()), written, "serve", *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=self._events,
            stderr=self._log,
            env=_environment(),
            start_new_session=True,  # ^C, and Jupyter's interrupt, are meant for the cell
        )

    @property
    def url(self) -> str:
        """`http://127.0.0.1:3000`; empty until it is ready."""
        return str(self._ready.get("url", ""))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        """Of `url`; 0 until it is ready."""
        return int(self.url.rpartition(":")[2].partition("/")[0]) if self.url else 0

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def seconds(self) -> float:
        """From start to ready."""
        return float(self._ready.get("seconds", 0))

    def wait_ready(self, on_wait: Callable[[], None]) -> None:
        """Waits until it answers.

        Args:
            on_wait: called several times a second.

        Raises:
            ServerError: it ended instead; with the end of its log.
        """
        while not self._ready:
            ended = self._process.poll()
            for line in _content(self._events).splitlines(keepends=True):
                event = json.loads(line) if line.endswith("\n") else {}
                if event.get("event") == "ready":
                    self._ready = event
            if not self._ready and ended is not None:
                said = self.logs(_SHOWN_LINES).strip().removeprefix("error: ")
                raise ServerError(said or f"the server of {self.label} ended with exit code {ended}")
            on_wait()
            time.sleep(_POLL_S)

    def logs(self, lines: int | None = None) -> str:
        """What its processes have logged.

        Args:
            lines: only the last ones.
        """
        text = _content(self._log)
        return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:] if lines else [])

    def leave(self) -> None:
        """Asks it to stop, and does not wait."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Finishes the requests in hand, and stops it.

        Returns:
            Its exit code.
        """
        code = self.end()
        self._held.close()
        return code

    def end(self) -> int:
        """As `stop`, but for what was written for it."""
        self.leave()
        try:
            return self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def facts(self) -> list[tuple[str, str | Link]]:
        """Label and value, for a panel or a card."""
        told = self._ready
        if not self.running:
            return [("ended", f"with exit code {self._process.returncode}; %bundle logs tells more")]
        grpc = told.get("grpc", "")
        return [
            ("url", Link(self.url)),
            ("grpc", f"grpc://{grpc}" if grpc else ""),
            ("routes", "  ".join(f"POST {route}" for route in told.get("routes", ()))),
            ("docs", Link(f"{self.url}/docs")),
        ]

    def next_steps(self) -> list[str]:
        logs, stop = (f"%bundle {verb} {self.label}" for verb in ("logs", "stop"))
        return [f'tiffin.Client("{self.url}")', logs, stop] if self.running else [logs]

    def __repr__(self) -> str:
        return f"<server {self.label} {f'at {self.url}' if self.running else 'stopped'}>"

    def _repr_html_(self) -> str:
        title = f"{'Serving' if self.running else 'Served'} {self.label}"
        return card(title, self.facts(), next_steps=self.next_steps())


def _environment() -> dict[str, str]:
    """Without what is set for the notebook itself: its drawing of figures, colours for its cells."""
    environ = dict(os.environ)
    if environ.get("MPLBACKEND", "").startswith("module://"):
        del environ["MPLBACKEND"]
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        environ.pop(name, None)
    return environ


def _content(file: IO[bytes]) -> str:
    """All of a file that a child is writing, whose position must stay where it is."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")
