"""A process of its own for reading model files: libraries in C crash on damaged ones, or never end."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TypeVar

import msgspec

from ... import errors
from ...errors import ModelError, TiffinError
from ...runtime.supervisor.process import SAFE_PATH, Exit
from .. import child_process

LIMIT_S = 300.0
"""For reading a file, with imports of its library on a slow disk; and as many seconds more as it has MB."""
_BYTES_PER_S = 1e6
_INTERRUPTED = 128 + signal.SIGINT


class Question(msgspec.Struct, kw_only=True):
    """Comes on stdin, as msgpack."""

    answer: str = ""
    """File to write the `Answer` to, as msgpack; `ask` names it. stdout belongs to what a pickle prints."""


class Answer(msgspec.Struct, kw_only=True):
    """What the process gives, or why it gives nothing."""

    error: str = ""
    """Name of a class in `errors.py`; empty: none."""
    message: str = ""


A = TypeVar("A", bound=Answer)


def ask(
    module: str,
    question: Question,
    answer: type[A],
    subject: Path,
    environment: Mapping[str, str] | None = None,
) -> A:
    """Runs a module that reads a model file.

    Args:
        module: it calls `child_process.read_question` and `put_answer`.
        question: for it.
        answer: what it tells.
        subject: the file or folder.
        environment: of the process; None: this one's.

    Raises:
        TiffinError: what the module raised.
        ModelError: the process ended without an answer, or did not end.
    """
    limit_s = LIMIT_S + _size_bytes(subject) / _BYTES_PER_S
    with tempfile.TemporaryDirectory(prefix="tiffin-answer-") as folder:
        question.answer = str(Path(folder) / "answer")
        try:
            reply = child_process.ask(
                (sys.executable, *SAFE_PATH, "-m", module),
                question,
                answer,
                environment=environment,
                timeout_s=limit_s,
                aloud=True,
            )
        except TimeoutExpired as error:
            raise ModelError(
                f"{subject.name} was not read in {limit_s:.0f} s and reading it was given up: it is damaged, "
                "or the machine is too slow for it"
            ) from error
    if (found := reply.answer) is None:
        status = Exit(reply.code).signal or f"status {reply.code}"
        raise ModelError(
            f"loading {subject.name} ended the process ({status}): is it damaged, or too large for the "
            "memory?"
        )
    if found.error:
        kind: type[TiffinError] = getattr(errors, found.error)
        if kind is errors.MissingDependencyError:
            raise ModelError(f"{subject.name}: {found.message}")
        raise kind(found.message)
    return found


def run(main: Callable[[], None]) -> None:
    """In the process: Ctrl-C reaches it too, and ends it without a word, for the command tells of it."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


class Said(logging.Handler):
    """In the process: tells what is logged at once, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.texts.add(text)
        sys.stderr.write(f"warning: {text}\n")
        sys.stderr.flush()


def _size_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
