"""The process that loads model files and makes a bundle of them; `serving.py` starts it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from ... import errors
from ...errors import TiffinError
from ..build import build
from ..words import NOTES
from .wishes import FileOptions


class Question(msgspec.Struct, kw_only=True):
    """Comes on stdin, as msgpack."""

    target: str
    """Absolute path of a model file, or of a folder of them."""
    name: str | None
    inputs: list[str]
    classes: list[str]
    task: str
    answer: str
    """File to write the `Answer` to; stdout belongs to what a pickle may print."""


class Answer(msgspec.Struct, kw_only=True):
    """The bundle, or why there is none."""

    bundle: str = ""
    """Its folder."""
    notes: list[str] = []
    error: str = ""
    """Class name in `errors.py`."""
    message: str = ""


def main() -> None:
    said = _Said()
    logging.basicConfig(level=logging.WARNING, handlers=[said])
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    answer = _answer(question)
    for note in answer.notes:
        if note not in said.texts:
            logging.getLogger(__name__).warning("%s", note)
    Path(question.answer).write_bytes(msgspec.msgpack.encode(answer))


class _Said(logging.Handler):
    """Tells at once, and remembers: what must be said before a pickle is loaded is also among the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.texts.add(text)
        sys.stderr.write(f"warning: {text}\n")
        sys.stderr.flush()


def _answer(question: Question) -> Answer:
    files = FileOptions(inputs=question.inputs, classes=question.classes, task=question.task)
    try:
        made = build(question.target, name=question.name, files=files, lock=False)
    except TiffinError as error:
        names = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        return Answer(error=next(names), message=str(error))
    return Answer(bundle=str(made.path), notes=made.info.options.get(NOTES, []))


if __name__ == "__main__":
    main()
