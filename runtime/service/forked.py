"""A copy of an API process that the user's code made with `os.fork`, and that comes back from there.

It has the sockets of its parent: went it on, both would read what callers and workers send, each a part of
it. Such a copy has to end inside the user's code (`os._exit`, as `multiprocessing` does, or `exec`); one that
returns or raises is ended here.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn

logger = logging.getLogger("tiffin.server")

_server = 0


def serves_here() -> None:
    """This process answers from now on; one that only imports or makes things may be forked to serve."""
    global _server  # noqa: PLW0603 - a process has one number
    _server = os.getpid()


def end_copy(error: BaseException | None = None) -> None:
    """Ends this process if it was forked from one that answers.

    Args:
        error: what came out of the user's code.
    """
    if _server not in (0, os.getpid()):
        leave(error)


def leave(error: BaseException | None = None) -> NoReturn:
    """Ends it.

    Args:
        error: what came out of the user's code; `SystemExit` gives the exit code, as anywhere.
    """
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    else:
        code = 1
        logger.error(
            "a forked copy of this process came back from the service: it must end there, with os._exit",
            exc_info=error,
        )
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # it is the user's by now
            stream.flush()
    os._exit(code & 0xFF)
