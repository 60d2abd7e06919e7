"""Log settings: which levels every API process writes, and in what form, changed while they run.

They are kept in a file of the run folder, `log_settings.json`, so that they hold after a restart of a
process, too; `peers` tells the others that it has changed. Workers and the supervisor keep theirs; the access
log follows the form, and is written or not as the server was started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ....errors import InvalidInputError
from ... import logs
from .unsupported import UnsupportedError

FILE = "log_settings.json"
WORD = "log settings"
"""What `peers` say when the file has changed."""
_FORMATS = {"default": "text", "json": "json"}
_UINT32_MAX = 2**32 - 1


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """In the words of the protocol."""

    log_file: str = ""
    """The log goes to standard error."""
    log_info: bool = True
    log_warning: bool = True
    log_error: bool = True
    log_verbose_level: int = 0
    """From 1 on debug records are written, too."""
    log_format: str = "default"
    """`default`: lines of text; `json`: an object a line."""

    @classmethod
    def of(cls, log_format: str, log_level: str) -> Settings:
        """Those of `--log-format` and `--log-level`."""
        shown = logs.LEVELS[logs.LEVELS.index(log_level) :]
        return cls(
            log_info="info" in shown,
            log_warning="warning" in shown,
            log_verbose_level=int("debug" in shown),
            log_format="json" if log_format == "json" else "default",
        )

    @property
    def form(self) -> str:
        return _FORMATS[self.log_format]

    @property
    def shown(self) -> list[str]:
        told = {
            "debug": self.log_verbose_level > 0,
            "info": self.log_info,
            "warning": self.log_warning,
            "error": self.log_error,
        }
        return [level for level, is_on in told.items() if is_on]


class LogSettings:
    """Those of a server, as one API process sees them; the file is heeded as soon as this is made.

    Args:
        run_folder: of the server.
        settings: that it was started with.
        on_form: told the form, `text` or `json`, when settings are heeded.
    """

    def __init__(self, run_folder: Path, settings: Settings, on_form: Callable[[str], None]) -> None:
        self._path = run_folder / FILE
        self._settings = settings
        self._on_form = on_form
        self.heed()

    def all(self) -> dict[str, Any]:
        """By name, as every API process has them."""
        found: dict[str, Any] = msgspec.to_builtins(self._current())
        return found

    def change(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Changes some, here and in the file, and gives all; the other processes are to be told `WORD`.

        Raises:
            InvalidInputError: no such setting, or a value that it cannot have.
            UnsupportedError: `log_file`: the log goes to standard error, for others to keep.
        """
        checked = {name: _checked(name, value) for name, value in wanted.items() if value is not None}
        current = self._current()
        fresh = msgspec.structs.replace(current, **checked)
        if fresh != current:
            partial = self._path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(msgspec.json.encode(fresh))
            partial.replace(self._path)
        self.heed()
        return self.all()

    def heed(self) -> None:
        """Does what the file says; without one, nothing has been changed."""
        if self._path.exists():
            settings = self._current()
            logs.change(settings.form, settings.shown)
            self._on_form(settings.form)

    def _current(self) -> Settings:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Settings)
        except FileNotFoundError:
            return self._settings


def _checked(name: str, value: Any) -> Any:
    path = f"$.{name[:80]}"
    if name not in Settings.__struct_fields__:
        known = ", ".join(Settings.__struct_fields__)
        raise InvalidInputError(f"unknown log setting {name[:80]!r}; there are {known}", path=path)
    if name == "log_file":
        if value != "":
            raise UnsupportedError(
                "log_file cannot be set: the log goes to standard error; send that to a file"
            )
    elif name == "log_format":
        if not isinstance(value, str) or value not in _FORMATS:
            raise InvalidInputError(
                f"log_format is one of {', '.join(_FORMATS)}, not {_short(value)}", path=path
            )
    elif name == "log_verbose_level":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _UINT32_MAX:
            raise InvalidInputError(
                f"log_verbose_level is a whole number from 0 on, not {_short(value)}", path=path
            )
    elif not isinstance(value, bool):
        raise InvalidInputError(f"{name} is true or false, not {_short(value)}", path=path)
    return value


def _short(value: Any) -> str:
    return repr(value)[:80]
