"""Signals that end a command in order: what it has begun is ended and cleared away first, as on Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP (a closed terminal) raise `SystemExit` with the code that shells expect; one
    that is ignored, as under `nohup`, stays so. In another thread than the first, as of a notebook, nothing
    is changed: only that one gets signals."""
    main = threading.current_thread() is threading.main_thread()
    taken = [number for number in _SIGNALS if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    raise SystemExit(128 + number)
