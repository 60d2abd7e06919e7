"""`python -m tiffin.runtime.worker`: one process of a runner, started by the supervisor."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from ...errors import ServerError, TiffinError, UsageError
from .. import logs
from ..roles.handover import Door
from ..supervisor.control import Drained, Failed, Ready, StartWorker
from ..supervisor.failure import user_frames
from ..supervisor.orphan import end_with_parent
from .control import Control
from .inference import load
from .serve import Server

log = logging.getLogger("tiffin.worker")

BACKLOG = 128


def main() -> int:
    """Serves until told to stop; the exit code."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    control = Control.inherited()
    start = control.start()
    logs.take_over(start.options.log_format, start.options.log_level, f"{start.runner.name}-{start.index}")
    drain = _Drain()
    signal.signal(signal.SIGTERM, drain.on_signal(start.options.drain_s))
    control.watch(drain.order)
    try:
        inference = load(start.target, start.runner)
        inference.warm()
        gc.collect()
        gc.freeze()  # what was loaded stays: the collector need not walk it again and again
        listener = listen(start.address)
        if start.gated:
            listener = Door.of(listener)
    except BaseException as error:  # noqa: BLE001 - user code; one that calls sys.exit fails to start as well
        control.send(_failed(start, error))
        return 1
    server = Server(inference, listener)
    drain.begin(server)
    control.send(Ready())
    abandoned = server.run()
    Path(start.address).unlink(missing_ok=True)
    control.send(Drained(abandoned=abandoned))
    return 0


class _Drain:
    """An order to stop may come before there is anything to stop."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._limit_s: float | None = None

    def begin(self, server: Server) -> None:
        self._server = server
        if self._limit_s is not None:
            server.stop(self._limit_s)

    def order(self, limit_s: float) -> None:
        self._limit_s = limit_s
        if self._server is not None:
            self._server.stop(limit_s)

    def on_signal(self, limit_s: float) -> Callable[[int, object], None]:
        def handle(number: int, _: object) -> None:
            signal.signal(number, signal.SIG_DFL)  # a second one ends the process
            self.order(limit_s)

        return handle


def listen(address: str) -> socket.socket:
    """A listening Unix socket that only this user may connect to.

    Raises:
        ServerError: the path is taken, too long, or not writable.
    """
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        end.bind(address)
    except OSError as error:
        end.close()
        raise ServerError(f"cannot listen on {address}: {error.strerror or error}") from error
    finally:
        os.umask(mask)
    end.listen(BACKLOG)
    return end


def _failed(start: StartWorker, error: BaseException) -> Failed:
    what = f"runner {start.runner.name!r} ({start.runner.model or start.runner.cls}) could not be loaded"
    said = str(error) if isinstance(error, TiffinError) else f"{type(error).__name__}: {error}"
    return Failed(
        error=f"{what}: {said}",
        traceback=user_frames(error, start.target.source),
        usage=isinstance(error, UsageError),
    )


if __name__ == "__main__":
    sys.exit(main())
