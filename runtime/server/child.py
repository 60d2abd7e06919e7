"""What every process with an event loop that the supervisor starts does first and last."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .. import logs
from ..supervisor.control import StartApi, StartGate
from ..supervisor.failure import failure
from ..supervisor.orphan import end_with_parent
from .control import Control
from .loop import run

S = TypeVar("S", StartApi, StartGate)


def child(name: str, message: type[S], serve: Callable[[Control, S], Coroutine[Any, Any, int]]) -> int:
    """Takes the supervisor's first message, serves, and tells it of a failure; the exit code.

    Args:
        name: for the log, before the process's number.
        message: the one that must come first.
        serve: imports what it needs, which may be the user's code, and gives what is to run.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    control = Control.inherited()
    start = control.receive()
    if not isinstance(start, message):
        raise TypeError(f"expected {message.__name__}, got {type(start).__name__}")
    logs.take_over(start.options.log_format, start.options.log_level, f"{name}-{start.index}")
    try:
        return run(serve(control, start))
    except EOFError:
        return 1
    except BaseException as error:  # noqa: BLE001 - user code; one that calls sys.exit fails to start as well
        control.send(failure(error, start.target.source))
        return 1
