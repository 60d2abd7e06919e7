"""Standard output and error that never hold the process up, whoever reads them.

A log pipe that nobody reads fills within seconds; a plain write then blocks for ever, and with it the event
loop, a drain, or the supervisor. Here a line goes straight to the kernel while that takes it, so that the
last words of a process that crashes are not lost; else it waits in memory for a thread, and beyond a limit
lines are dropped and their number is told.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import socket
import stat
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

LIMIT_BYTES = 1024 * 1024
"""What may wait; what comes beyond is dropped."""
EXIT_LIMIT_S = 1.0
"""How long the end of the process waits for a slow reader."""
PORTION_BYTES = 4096
"""A pipe takes this much in one piece or not at all (PIPE_BUF): lines of several processes do not mix."""


def dropped_text(lines: int) -> str:
    """What the reader of a stream is told when it reads again."""
    return f"{lines} lines of the log were dropped: nobody read them in time\n"


class LogStream(io.BufferedIOBase):
    """Takes bytes, whole lines as a rule, and always at once.

    Args:
        descriptor: to write to; stays open.
        on_dropped: gives the text that tells how many lines were dropped.
    """

    def __init__(self, descriptor: int, on_dropped: Callable[[int], str] = dropped_text) -> None:
        self.on_dropped = on_dropped
        self._descriptor = descriptor
        self._write = _writer(descriptor)
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)  # the thread stays in the parent
        atexit.register(self._finish)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def write(self, data: Buffer, *, lines: int = 1) -> int:
        """Writes, queues or drops it; `lines`: how many lines it is, to tell how many were dropped."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        with self._lock:
            if not self._waiting:
                rest = rest[self._write(rest) :]
            if rest and len(self._waiting) + len(rest) > LIMIT_BYTES:
                self._dropped += lines
            elif rest:
                self._waiting += rest
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write_on, name="log-stream", daemon=True)
                    self._thread.start()
        return size

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def _finish(self) -> None:
        """Gives a slow reader a moment."""
        thread = self._thread
        if thread is not None:
            thread.join(EXIT_LIMIT_S)

    def _write_on(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while True:
            poll.poll()
            with self._lock:
                del self._waiting[: self._write(self._portion())]
                if not self._waiting and self._dropped:
                    self._waiting += self.on_dropped(self._dropped).encode()
                    self._dropped = 0
                if not self._waiting:
                    self._thread = None
                    return

    def _portion(self) -> bytes:
        """Whole lines, as many as go in one piece."""
        head = bytes(self._waiting[:PORTION_BYTES])
        return head[: head.rfind(b"\n") + 1] or head


def _writer(descriptor: int) -> Callable[[memoryview | bytes], int]:
    """A function that gives the kernel what it takes now and returns how many bytes that were."""

    def direct(data: memoryview | bytes) -> int:
        return os.write(own, data)

    def to_socket(data: memoryview | bytes) -> int:
        return end.send(data, socket.MSG_DONTWAIT)

    def when_ready(data: memoryview | bytes) -> int:
        return os.write(own, data[:PORTION_BYTES]) if select.select((), (own,), (), 0)[1] else 0

    own, how = descriptor, when_ready
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISREG(kind):
            how = direct
        elif stat.S_ISSOCK(kind):
            end, how = socket.socket(fileno=os.dup(descriptor)), to_socket
        else:
            # A description of our own: O_NONBLOCK on the shared one would surprise whoever else has it.
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            how = direct
    except OSError:  # closed, no /proc, or another user's terminal
        pass

    def write(data: memoryview | bytes) -> int:
        try:
            return how(data)
        except BlockingIOError:
            return 0
        except (OSError, ValueError):  # closed, or its reader is gone: there is nowhere to complain
            return len(data)

    return write


def take_over() -> None:
    """`sys.stdout` and `sys.stderr` of this process never block from now on."""
    sys.stdout.flush()
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            LogStream(number),  # type: ignore[type-var]  # what it asks for beyond is for reading
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            line_buffering=True,
        )
        for number in (1, 2)
    )
