"""Captures a notebook anew whenever it is saved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import TiffinError
from ...runtime.supervisor.reload import SETTLE_MS, matters
from .origin import capture_notebook

logger = logging.getLogger(__name__)


@contextmanager
def following(path: Path, name: str, folder: Path) -> Iterator[None]:
    """Within, `folder` holds what the notebook has of its service, a moment after it or a module is saved.

    Files are written only when they differ: outputs of cells change nothing. A notebook that cannot be
    captured is logged, and what was written before stays.

    Args:
        path: the notebook.
        name: class of the service.
        folder: that it was captured into.
    """
    stop = threading.Event()
    path = path.resolve()
    thread = threading.Thread(target=_follow, args=(path, name, folder, stop), name="notebook", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _follow(path: Path, name: str, folder: Path, stop: threading.Event) -> None:
    from watchfiles import watch

    def wanted(_: object, changed: str) -> bool:
        return Path(changed) == path or (changed.endswith(".py") and matters(changed, path.parent))

    for _ in watch(path.parent, watch_filter=wanted, step=SETTLE_MS, stop_event=stop, raise_interrupt=False):
        _capture(path, name, folder)


def _capture(path: Path, name: str, folder: Path) -> None:
    try:
        capture_notebook(path, name, folder)
    except TiffinError as error:
        why = f"{path.name} cannot be served as it is now, the version before keeps serving\n{error}"
        logger.error("%s", why)  # noqa: TRY400 - it says all
