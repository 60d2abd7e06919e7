"""Asks a question of a process of its own, and takes its answer from a file: stdout is the user's code's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar

import msgspec

from .. import errors
from ..errors import TiffinError

A = TypeVar("A", bound=msgspec.Struct)
Q = TypeVar("Q", bound=msgspec.Struct)
_OUTPUT_LINES = 20
_OUTPUT_BYTES = 1024 * 1024


class Reply(NamedTuple, Generic[A]):
    """What came of it."""

    answer: A | None
    """None: the process ended without one."""
    output: str
    """What it printed; of more than 1 MiB the end."""
    code: int
    """Its exit code; below 0 the signal that ended it."""

    @property
    def status(self) -> str:
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"

    @property
    def tail(self) -> str:
        """The end of what it printed, indented, with a line break before it; empty when that is nothing."""
        return output_tail(self.output)


def output_tail(output: str | bytes | None) -> str:
    """As `Reply.tail`."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    lines = text.strip().splitlines()[-_OUTPUT_LINES:]
    return "".join(f"\n  {line}" for line in lines)


def ask(
    command: Sequence[str | Path],
    question: Any,
    kind: type[A],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float,
    aloud: bool = False,
) -> Reply[A]:
    """Runs a module that reads a question from stdin and writes its answer to the file that this names.

    Args:
        command: the interpreter, and what it runs.
        question: with `answer`, the path of that file.
        kind: of the answer.
        cwd: working folder; None: this process's.
        environment: all of it; None: this process's.
        timeout_s: seconds.
        aloud: what it prints goes to stderr at once, and is not kept.

    Raises:
        TimeoutExpired: it took longer, and was killed; has the output.
    """
    # A pipe would be waited for as long as a process has it that the user's code started and left.
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                [str(each) for each in command],
                cwd=cwd,
                env=None if environment is None else dict(environment),
                input=msgspec.msgpack.encode(question),
                stdout=2 if aloud else output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            error.output = _written(output)
            raise
        text = _written(output).decode(errors="replace")
    path = Path(question.answer)
    answer = msgspec.msgpack.decode(path.read_bytes(), type=kind) if path.exists() else None
    return Reply(answer, text, done.returncode)


def read_question(kind: type[Q]) -> Q:
    """In the process: what is asked."""
    return msgspec.msgpack.decode(sys.stdin.buffer.read(), type=kind)


def put_answer(path: str, answer: msgspec.Struct) -> None:
    """The last that such a process does: writes its answer, and ends where a thread of the user's code would
    keep it, as one of a scheduler does."""
    Path(path).write_bytes(msgspec.msgpack.encode(answer))
    if any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)


def name_of(error: TiffinError) -> str:
    """In the process: the nearest class that `errors.py` has; the user's code may raise one of its own."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)


def _written(output: IO[bytes]) -> bytes:
    """The end of it."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _OUTPUT_BYTES))
    return output.read()
