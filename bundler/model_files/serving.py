"""A bare model file as something to serve: a bundle in a home of its own, which is gone when serving ends.

The user's store stays as it is. The files are loaded in another process, so that the supervisor stays small.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import TiffinError
from ...runtime.supervisor import running
from ...runtime.supervisor.admin import Reload
from ..bundles import bundle_store
from .child import ask
from .serving_child import Made, Question
from .wishes import FileOptions

log = logging.getLogger("tiffin.model_files")

RELOAD_LIMIT_S = 600.0


@contextmanager
def temporary_bundle(target: str, files: FileOptions, name: str | None, *, follow: bool) -> Iterator[Path]:
    """A bundle of model files.

    Args:
        target: a model file, or a folder of them.
        files: what the user says of them.
        name: of the service; None: the file's.
        follow: make another bundle when a file changes, and swap the server of this process to it.

    Raises:
        ModelError: no model that can be served.
        TiffinError: what else `build` raises.
        StoreError: there is no room in `TIFFIN_HOME`, whose `.tmp` holds it meanwhile.
    """
    with bundle_store().begin() as draft:  # what a killed server leaves of it is swept by the next command
        maker = _Maker(Path(target).absolute(), files, name, draft.folder)
        first = maker.make()
        if not follow:
            yield first
            return
        stop = threading.Event()
        following = threading.Thread(target=_follow, args=(maker, stop), name="model-files", daemon=True)
        following.start()
        try:
            yield first
        finally:
            stop.set()
            following.join()


class _Maker:
    """Makes bundles of the same files, into a home of their own."""

    def __init__(self, target: Path, files: FileOptions, name: str | None, home: Path) -> None:
        self.target = target
        self._files = files
        self._name = name
        self._home = home

    def make(self) -> Path:
        """Folder of a new bundle."""
        question = Question(
            target=str(self.target),
            name=self._name,
            inputs=[*self._files.inputs],
            classes=[*self._files.classes],
            task=self._files.task,
        )
        home = {**os.environ, "TIFFIN_HOME": str(self._home)}
        return Path(ask(f"{__package__}.serving_child", question, Made, self.target, home).bundle)


def _follow(maker: _Maker, stop: threading.Event) -> None:
    """Swaps the server of this process to each new state of the files."""
    from watchfiles import watch

    watched = maker.target if maker.target.is_dir() else maker.target.parent
    for burst in watch(watched, stop_event=stop, recursive=maker.target.is_dir(), raise_interrupt=False):
        changed = {Path(path) for _, path in burst}
        if maker.target.is_dir() or maker.target in changed:
            try:
                log.info("%s changed", maker.target.name)
                bundle = maker.make()
                server = running.find(pid=os.getpid())
                server.ask(Reload(text=str(bundle), folder=str(watched), limit_s=RELOAD_LIMIT_S))
            except (TiffinError, OSError) as error:
                log.error("%s: the server goes on with what it has: %s", maker.target.name, error)  # noqa: TRY400
