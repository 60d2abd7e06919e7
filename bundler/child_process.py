"""Asks a question of a process of its own, and takes its answer from a file: stdout is the user's code's."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

A = TypeVar("A", bound=msgspec.Struct)
_OUTPUT_LINES = 20


class Reply(NamedTuple, Generic[A]):
    """What came of it."""

    answer: A | None
    """None: the process ended without one."""
    output: str
    """What it printed."""
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
    cwd: Path,
    environment: Mapping[str, str],
    timeout_s: float,
) -> Reply[A]:
    """Runs a module that reads a question from stdin and writes its answer to the file that this names.

    Args:
        command: the interpreter, and what it runs.
        question: with `answer`, the path of that file.
        kind: of the answer.
        cwd: working folder.
        environment: all of it.
        timeout_s: seconds.

    Raises:
        TimeoutExpired: it took longer, and was killed; has the output.
    """
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=dict(environment),
        input=msgspec.msgpack.encode(question),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
        check=False,
    )
    path = Path(question.answer)
    answer = msgspec.msgpack.decode(path.read_bytes(), type=kind) if path.exists() else None
    return Reply(answer, done.stdout.decode(errors="replace"), done.returncode)
