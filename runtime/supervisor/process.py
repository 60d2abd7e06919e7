"""One child process: started, spoken to, and its end explained."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from .control import CONTROL_FD, Message, Reader, encode
from .groups import Groups

SAFE_PATH = ["-P"] if sys.version_info >= (3, 11) else []
"""The folder the command was typed in must not shadow anybody's modules; the service's own is added later."""


@dataclass(frozen=True)
class Exit:
    """How a child ended."""

    code: int
    """Exit status, or minus the signal's number."""
    out_of_memory: bool = False
    """Killed by the kernel because the container ran out of memory."""
    ordered: str = ""
    """Why the supervisor ended it: `stuck`, `start timeout`, `drain`; empty when it ended by itself."""

    @property
    def signal(self) -> str:
        """`SIGKILL`; empty when no signal ended it."""
        if self.code >= 0:
            return ""
        with contextlib.suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"

    @property
    def reason(self) -> str:
        """For the label of a metric: few values, no numbers of processes."""
        return self.ordered or ("out of memory" if self.out_of_memory else self.signal or f"exit {self.code}")

    def __str__(self) -> str:
        if self.out_of_memory:
            return (
                "killed by the kernel: out of memory (SIGKILL); give the container more, or run fewer workers"
            )
        how = f"ended by {self.signal}" if self.code < 0 else f"exited with code {self.code}"
        return f"{how} by the supervisor: {self.ordered}" if self.ordered else how


class Reaper:
    """Collects ended children on SIGCHLD, so that none stays a zombie.

    Args:
        loop: of the main thread.
        oom_kills: the container's count of out-of-memory kills.
        orphans: also collect processes that were handed to this one when their parent died: needed as PID 1.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, oom_kills: Callable[[], int], *, orphans: bool | None = None
    ) -> None:
        self._loop = loop
        self._oom_kills = oom_kills
        self._oom_seen = oom_kills()
        self._orphans = os.getpid() == 1 if orphans is None else orphans
        self._children: dict[int, Child] = {}
        self._groups = Groups(guarded=not self._orphans)
        loop.add_signal_handler(signal.SIGCHLD, self.collect)

    def watch(self, child: Child) -> None:
        self._children[child.pid] = child
        self._groups.add(child.pid)

    def collect(self) -> None:
        for pid in list(self._children):
            self._collect(pid)
        self._groups.look()
        while self._orphans:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if info is None:
                break
            if info.si_pid in self._children:
                self._collect(info.si_pid)  # ended since the loop above
            else:
                os.waitpid(info.si_pid, 0)

    def _collect(self, pid: int) -> None:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return
        # While the child is a zombie its number cannot be another's: what it started goes with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self._groups.discard(pid)
        _, status = os.waitpid(pid, 0)
        child = self._children.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        child.ended(Exit(code, self._was_oom(code, child), child.ordered))

    def _was_oom(self, code: int, child: Child) -> bool:
        if code != -signal.SIGKILL or child.ordered or self._oom_kills() <= self._oom_seen:
            return False
        self._oom_seen += 1  # one kill explains one end
        return True

    def close(self) -> None:
        self._loop.remove_signal_handler(signal.SIGCHLD)
        self._groups.close()


class Child:
    """A child process and the supervisor's end of its control socket.

    The child leads a session of its own: a Ctrl-C in the terminal reaches the supervisor alone, and what the
    child started can be ended with it. Its standard output goes to the log (standard error), so that the
    command's own stays readable for machines.

    Args:
        name: `api-0`, `forest-1`: for the log.
        module: what `python -m` runs.
        environ: the whole environment.
        pass_fds: listening sockets that it inherits under the same numbers.
        on_message: called for every message, in order.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *,
        reaper: Reaper,
        environ: Mapping[str, str],
        on_message: Callable[[Child, Message], None],
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self.started = time.monotonic()
        self.ordered = ""
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._on_message = on_message
        self._reader = Reader()
        self._loop = asyncio.get_running_loop()
        self._outgoing = bytearray()
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(self._control.close)
            self._process = subprocess.Popen(
                [sys.executable, *SAFE_PATH, "-m", module],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**environ, CONTROL_FD: str(theirs.fileno()), "PYTHONUNBUFFERED": "1"},
                pass_fds=(theirs.fileno(), *pass_fds),
                start_new_session=True,
            )
            undo.pop_all()
        self.pid = self._process.pid
        self._loop.add_reader(self._control, self._readable)
        reaper.watch(self)

    @property
    def alive(self) -> bool:
        return not self.exit.done()

    def send(self, message: Message) -> None:
        """Queues a message; a child that is gone does not get it, and its exit tells."""
        if self._control.fileno() < 0:
            return
        if not self._outgoing:
            self._loop.add_writer(self._control, self._writable)
        self._outgoing += encode(message)
        self._writable()

    def _writable(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._control.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing.clear()
        self._loop.remove_writer(self._control)

    def _readable(self) -> bool:
        """Takes in what has come; False when nothing more is there."""
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            return False
        try:
            messages = self._reader.feed(data)
        except (ValueError, msgspec.DecodeError):
            self.kill("broken control message")
            return False
        for message in messages:
            self._on_message(self, message)
        return True

    def kill(self, reason: str) -> None:
        """Ends it and whatever it started, now."""
        if self.alive:
            self.ordered = self.ordered or reason
            os.killpg(self.pid, signal.SIGKILL)

    def ended(self, how: Exit) -> None:
        """Called by the reaper, once."""
        self._process.returncode = how.code
        while self._readable():
            pass  # its last words: they may say why
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        self.exit.set_result(how)
