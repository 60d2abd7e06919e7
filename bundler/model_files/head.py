"""The beginning of a file, and what lies in it when it is an archive: all that is needed to recognise it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...runtime.model.settings_file import UNREADABLE, json_value, settings_bytes

HEAD_BYTES = 64 * 1024
MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Of a pickle or text: longest part that is read to recognise it."""


@dataclass(frozen=True)
class Head:
    """A file or folder before anything of it is loaded.

    Args:
        path: where it lies.
        folder: whether it is a folder.
        data: its first 64 KiB; empty for a folder.
        size_bytes: of the file; 0 for a folder.
    """

    path: Path
    folder: bool
    data: bytes
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> Head:
        """Reads the beginning.

        Raises:
            ModelError: there is nothing there, or nothing that could be read.
        """
        try:
            if path.is_dir():
                return cls(path, True, b"", 0)
            if not path.is_file():
                raise ModelError(f"there is no file or folder {path}")
            with path.open("rb") as file:
                return cls(path, False, file.read(HEAD_BYTES), path.stat().st_size)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names in a zip archive; none when it is no archive, or a cut one."""
        if not self.data.startswith(b"PK\x03\x04"):
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return tuple(archive.namelist())
        except UNREADABLE:
            return ()

    def member(self, end: str) -> str:
        """The shortest name in the archive that is `end` or ends with `/end`; empty: there is none."""
        fitting = [name for name in self.members if name == end or name.endswith(f"/{end}")]
        return min(fitting, key=len, default="")

    def read(self, member: str) -> bytes:
        """The beginning of one file of the archive.

        Raises:
            ModelError: it is encrypted, compressed in a way that Python has not, or damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as file:
                return file.read(MAX_TEXT_BYTES)
        except UNREADABLE as error:
            raise ModelError(f"{self.path.name}: {member} in the archive cannot be read: {error}") from error

    def has(self, *names: str) -> bool:
        """Whether a folder holds every one of these files or folders."""
        return self.folder and all((self.path / name).exists() for name in names)

    def settings(self, name: str) -> dict[str, Any]:
        """What a JSON file in the folder says; empty when it is damaged or no object.

        Raises:
            ModelError: it is too large to be settings, or cannot be read.
        """
        data = settings_bytes(self.path / name)
        try:
            found = json_value(data, name)
        except ModelError:
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        """The beginning of a text file in the folder; empty when it cannot be read."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(MAX_TEXT_BYTES).decode("utf-8", errors="replace")
        except OSError:
            return ""
