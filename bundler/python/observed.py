"""Who imports what while a service is imported: https://docs.python.org/3/library/sys.html#sys.meta_path."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, TracebackType


class Observed:
    """A finder that finds nothing and remembers who asked; in use as a context."""

    def __init__(self, source: Path) -> None:
        self.found: list[tuple[str, str]] = []
        """Importer and imported, as top-level names; an empty importer lies in `source`."""
        self._source = str(source.resolve()) + "/"

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.meta_path.remove(self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Called for what is not imported yet."""
        if "." not in name and name not in sys.stdlib_module_names:
            importer = self._importer()
            if importer != name:
                self.found.append((importer, name))
        return None

    def _importer(self) -> str:
        """The top-level name of the first caller that is not the import system."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            module = str(frame.f_globals.get("__name__", ""))
            if not module.startswith(("importlib", "_frozen_importlib")):
                if str(frame.f_globals.get("__file__") or "").startswith(self._source):
                    return ""
                return module.partition(".")[0]
            frame = frame.f_back
        return "?"
