"""The service of a live session: a class of a cell, of a prompt or of the script that runs."""

from __future__ import annotations

import sys
from pathlib import Path

from ...errors import BuildError
from ...runtime.service.service import service_info
from .history import executed_cells, notebook_path
from .live import LiveSession
from .local_modules import session_folders
from .script import script_path
from .source import module_of, source_of
from .values import Values
from .written import Captured, write


def capture_class(cls: type, folder: Path) -> Captured:
    """
    Args:
        cls: a service class of `__main__`, in a notebook, a script or at a prompt.
        folder: to write to.

    Raises:
        BuildError: the service needs what can neither be had from source nor be pickled.
    """
    service_info(cls)
    if "<locals>" in cls.__qualname__:
        raise BuildError(
            f"{cls.__qualname__} is defined inside a function, where a server cannot find it: "
            "move it to the top of a cell or file"
        )
    namespace = vars(sys.modules["__main__"])
    if namespace.get(cls.__name__) is not cls:
        raise BuildError(
            f"{cls.__name__} is not what that name stands for in this session now: run its cell again"
        )
    path = script_path(namespace) or notebook_path(namespace)
    title = path.name if path else "a session"
    source = source_of(executed_cells(namespace), cls.__name__, title=title, session=LiveSession(namespace))
    settings = path.parent if path else Path.cwd()
    values = Values(folder, module_of(source), namespace)
    for name in source.by_value:
        values.add(name, sourced=source.sourced[name])
    values.finish()
    return write(
        source,
        cls.__name__,
        folder,
        folders=session_folders(),
        settings=settings,
        file=path,
        values=values,
    )
