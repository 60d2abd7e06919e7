"""Where the user's code stands, so that every error can name file and line."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = __name__.partition(".")[0]


def user_frame() -> FrameType:
    """The nearest frame that is not tiffin's own: the line that called the SDK."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """`service.py:12` of the line that called the SDK."""
    frame = user_frame()
    return at(frame.f_code.co_filename, frame.f_lineno)


def line_of(function: Callable[..., Any] | type) -> str:
    """`service.py:12` where a function starts; a class that has no code object is named by its file."""
    target = inspect.unwrap(function)
    code = getattr(target, "__code__", None)
    if code is not None:
        return at(code.co_filename, code.co_firstlineno)
    module = sys.modules.get(target.__module__)
    return at(getattr(module, "__file__", None) or target.__module__)


def at(filename: str, line: int | None = None) -> str:
    """Paths below the working folder are shown relative to it."""
    path = Path(filename)
    if path.is_absolute() and path.is_relative_to(here := Path(os.getcwd())):  # noqa: PTH109 - cwd as the shell has it
        path = path.relative_to(here)
    return f"{path}:{line}" if line is not None else str(path)


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")
