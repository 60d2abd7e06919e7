"""Why a child cannot start, told for a person."""

from __future__ import annotations

import traceback
from pathlib import Path

from ...errors import TiffinError, UsageError
from .control import Failed


def failure(error: BaseException, source: str) -> Failed:
    """What a child says before it ends: usage errors say all there is, others come with the user's frames.

    Args:
        source: folder of the service, `Target.source`.
    """
    if isinstance(error, UsageError):
        return Failed(error=str(error), usage=True)
    cause = error.__cause__ if isinstance(error, TiffinError) else error
    return Failed(
        error=str(error) if isinstance(error, TiffinError) else _named(error),
        traceback=user_frames(cause, source) if cause is not None else "",
    )


def user_frames(error: BaseException, source: str) -> str:
    """The traceback from the user's first frame on; empty when the user's code had no part in it."""
    frames = traceback.extract_tb(error.__traceback__)
    while frames and not Path(frames[0].filename).is_relative_to(source):
        del frames[0]
    if not frames:
        return ""
    return "Traceback (most recent call last):\n" + "".join(frames.format()).rstrip() + "\n" + _named(error)


def _named(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()
