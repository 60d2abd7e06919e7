"""The process that saves the model of a file; `saving.py` starts it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from ...errors import TiffinError
from .. import models
from ..child_process import name_of, put_answer, read_question
from .child import Said, run
from .saving import Question, Saved


def main() -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[Said()])
    question = read_question(Question)
    sys.path[:] = question.modules
    put_answer(question.answer, _saved(question))


def _saved(question: Question) -> Saved:
    try:
        model = models.save(
            question.name,
            Path(question.target),
            framework=question.framework,
            classes=question.classes,
            inputs=question.inputs,
            reuse=question.reuse,
        )
    except TiffinError as error:
        return Saved(error=name_of(error), message=str(error))
    return Saved(tag=str(model.tag))


if __name__ == "__main__":
    run(main)
