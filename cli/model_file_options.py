"""What commands take that a model file may be given to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def model_file_options(command: F) -> F:
    """Adds `--input` and `--classes`, for model files."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME:DTYPE[SHAPE]",
        help="Model file: what goes in, x:float32[n,4]. Repeatable.  [what the file says]",
    ),
    click.option(
        "--classes",
        multiple=True,
        metavar="FILE",
        help="Model file: the word for each class, one a line, or a JSON list.",
    ),
)
task_option = click.option(
    "--task",
    default="",
    metavar="TASK",
    help="Model file: what it is for: image-classification, object-detection, segmentation, "
    "text-classification, tabular, time-series, embedding, audio-classification, ocr.",
)
