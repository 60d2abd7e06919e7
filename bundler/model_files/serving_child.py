"""The process that loads model files and makes a bundle of them; `serving.py` starts it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from ...errors import TiffinError
from ..build import build
from ..child_process import name_of, put_answer, read_question
from ..words import NOTES
from . import child
from .child import Answer, Said, run
from .wishes import FileOptions


class Question(child.Question, kw_only=True):
    target: str
    """Absolute path of a model file, or of a folder of them."""
    name: str | None
    inputs: list[str]
    classes: list[str]
    task: str


class Made(Answer, kw_only=True):
    bundle: str = ""
    """Its folder."""
    notes: list[str] = msgspec.field(default_factory=list)


def main() -> None:
    said = Said()
    logging.basicConfig(level=logging.WARNING, handlers=[said])
    question = read_question(Question)
    sys.path.append(str(Path.cwd()))  # classes of a pickle may lie there; last, to shadow nothing
    answer = _made(question)
    for note in answer.notes:
        if note not in said.texts:
            logging.getLogger(__name__).warning("%s", note)
    put_answer(question.answer, answer)


def _made(question: Question) -> Made:
    files = FileOptions(inputs=question.inputs, classes=question.classes, task=question.task)
    try:
        made = build(question.target, name=question.name, files=files, lock=False)
    except TiffinError as error:
        return Made(error=name_of(error), message=str(error))
    return Made(bundle=str(made.path), notes=made.info.options.get(NOTES, []))


if __name__ == "__main__":
    run(main)
