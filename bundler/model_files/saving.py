"""Saving the model of a file in a process of its own, which a damaged file may end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ...runtime.model.model import Model
from .. import models
from . import child
from .child import Answer, ask


class Question(child.Question, kw_only=True):
    name: str
    target: str
    """Absolute path of a model file, or of a folder that is one model."""
    framework: str | None
    classes: list[str] | None
    inputs: list[str]
    reuse: bool
    modules: list[str]
    """Where the classes of a pickle may lie: folders to import from."""


class Saved(Answer, kw_only=True):
    tag: str = ""


def save_apart(
    name: str,
    path: Path,
    *,
    framework: str | None = None,
    classes: Sequence[str] | None = None,
    inputs: Sequence[str] = (),
    reuse: bool = False,
) -> Model:
    """`models.save`, of a file or folder. Warnings go to stderr.

    Raises:
        TiffinError: as `models.save`.
        ModelError: reading it ended the process, or took too long.
    """
    question = Question(
        name=name,
        target=str(path.absolute()),
        framework=framework,
        classes=None if classes is None else [*classes],
        inputs=[*inputs],
        reuse=reuse,
        modules=sys.path,
    )
    return models.get(ask(f"{__package__}.saving_child", question, Saved, path).tag)
