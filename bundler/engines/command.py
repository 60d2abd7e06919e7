"""Programs of engines: asked for an answer, or run while their output is followed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from ...errors import ImageError
from . import guard

ASK_LIMIT_S = 60.0
PUSH_LIMIT_S = 6 * 3600.0
"""Images of tens of gigabytes over slow lines; a person can interrupt it."""
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")


def ask(command: Sequence[str], *, env: Mapping[str, str] | None = None, limit_s: float = ASK_LIMIT_S) -> str:
    """What it prints.

    Raises:
        ImageError: it failed, with the last lines of what it said.
    """
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise ImageError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"`{words(command)}` did not answer in {limit_s:.0f} s") from None
    if done.returncode != 0:
        said = last_lines(done.stderr or done.stdout) or f"exit code {done.returncode}"
        raise ImageError(f"`{words(command)}` failed: {said}")
    return done.stdout


def follow(
    command: Sequence[str],
    on_line: Callable[[str], None],
    *,
    feed: Callable[[], Iterator[bytes]] | None = None,
    env: Mapping[str, str] | None = None,
    stop: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> int:
    """Runs a command to its end, with its output, both streams together, line by line.

    It has a session of its own: Ctrl-C in a terminal reaches this process only, which ends it in order. A
    guard does that when this process is killed.

    Args:
        command: the program and its arguments.
        on_line: called with each line, without its end.
        feed: makes what goes to its stdin; what it raises ends the command and is raised here.
        env: added to the environment.
        stop: asks the command to end early; None: `interrupt`. One that does not follow is killed.

    Returns:
        Its exit code.
    """
    stdin = subprocess.PIPE if feed is not None else subprocess.DEVNULL
    environment = {**os.environ, **(env or {})}
    stop = stop or interrupt
    with (
        subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        ) as process,
        _guarded(process),
    ):
        feeder = _Feeder(process, feed, stop) if feed is not None else None
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            for line in process.stdout:
                on_line(line.decode(errors="replace").rstrip("\r\n"))
        except BaseException:
            threading.Thread(target=_drain, args=(process,), name="drain", daemon=True).start()
            _end(process, stop)
            raise
        finally:
            if feeder is not None:
                feeder.end()
    if feeder is not None and feeder.error is not None:
        raise feeder.error
    return process.returncode


@contextlib.contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within, the process does not outlive this one: see `guard.py`."""
    script = [sys.executable, "-I", "-S", guard.__file__, str(process.pid)]
    with subprocess.Popen(script, stdin=subprocess.PIPE, start_new_session=True) as watch:
        try:
            yield
        finally:
            process.wait()
            watch.communicate(b"ended")


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does: clients of BuildKit then tell the engine that nobody waits any more."""
    process.send_signal(signal.SIGINT)


def _end(process: subprocess.Popen[bytes], stop: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Ends a command that is not needed any more; somebody must read what it still says."""
    try:
        stop(process)
        process.wait(guard.PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
    except BaseException:  # Ctrl-C once more
        process.kill()
        raise


def _drain(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed when it has ended
        for _ in process.stdout or ():
            pass


class _Feeder:
    """Writes to a program from a thread of its own, because the program writes at the same time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        feed: Callable[[], Iterator[bytes]],
        stop: Callable[[subprocess.Popen[bytes]], None],
    ) -> None:
        self.error: BaseException | None = None
        self._stop = stop
        self._process = process
        self._feed = feed
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            for block in self._feed():
                stream.write(block)
            stream.flush()
        except BrokenPipeError:
            pass  # it ended before it had read all: its exit code and its words say why
        except BaseException as error:  # noqa: BLE001 - raised again by `follow`
            self.error = error
            _end(self._process, self._stop)
        finally:
            with contextlib.suppress(BrokenPipeError):  # what is left in the buffer of a program that ended
                stream.close()

    def end(self) -> None:
        self._thread.join()


def last_lines(text: str, count: int = 5) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return mask("\n".join(lines[-count:]))


def words(command: Sequence[str]) -> str:
    """A command for people, cut where it gets long; what a container's variables are stays out of it."""
    shown = [
        f"{part.partition('=')[0]}=…" if before == "--env" else part
        for before, part in zip(["", *command], command, strict=False)
    ]
    text = mask(" ".join(shown))
    return text if len(text) <= 120 else f"{text[:119]}…"


def mask(text: str) -> str:
    """Without the passwords that addresses carry: installers print them."""
    return _PASSWORD.sub("***@", text)
