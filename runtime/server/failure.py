"""Why a process cannot start, told for a person."""

from __future__ import annotations

import traceback
from pathlib import Path

from ...errors import TiffinError, UsageError
from ..supervisor.control import Failed

_OURS = str(Path(__file__).resolve().parents[2]) + "/"


def failure(error: BaseException) -> Failed:
    """What to send: a usage error says all there is; of others the user's own frames are shown too."""
    if isinstance(error, UsageError):
        return Failed(error=str(error), usage=True)
    cause = error.__cause__ if isinstance(error, TiffinError) else error
    return Failed(
        error=str(error) if isinstance(error, TiffinError) else _named(error),
        traceback=user_frames(cause) if cause is not None else "",
    )


def _named(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def user_frames(error: BaseException) -> str:
    """The traceback without tiffin's frames and the import system's; empty when nothing else is left."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if not frames:
        return ""
    lines = traceback.StackSummary.from_list(frames).format()
    return "Traceback (most recent call last):\n" + "".join(lines).rstrip() + "\n" + _named(error)


def _is_users(file: str) -> bool:
    return not file.startswith((_OURS, "<frozen ")) and "/runpy.py" not in file
