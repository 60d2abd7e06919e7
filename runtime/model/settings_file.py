"""Settings beside or inside a model that somebody else wrote: JSON, YAML or text, which is read whole.

Such files are small. One that is not is no settings, or there to fill the memory, and is refused by its size
before it is read.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ...errors import ModelError

MAX_SETTINGS_BYTES = 64 * 1024 * 1024
"""Of one file. The largest known are a few MB: names of 100,000 classes, lists of the tensors of a model."""
_UNPACKED_TIMES = 100
_UNPACKED_FREE_BYTES = 1024**3
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)
"""What reading a damaged or encrypted archive raises, or one with a compression that is not here."""


def check_size(size_bytes: int, where: str) -> None:
    """
    Raises:
        ModelError: it is too large to be read whole.
    """
    if size_bytes > MAX_SETTINGS_BYTES:
        raise ModelError(
            f"{where} has {size_bytes:,} bytes, and settings have at most {MAX_SETTINGS_BYTES:,}: "
            "it is damaged or no such file"
        )


def settings_bytes(path: Path) -> bytes:
    """A file as it is.

    Raises:
        ModelError: it cannot be read, or is too large.
    """
    try:
        check_size(path.stat().st_size, str(path))
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def archived_bytes(path: Path, name: str) -> bytes:
    """A file of a zip archive.

    Raises:
        ModelError: the archive is damaged, has no such file, or one that is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(name)
            check_size(entry.file_size, f"{path}: {name}")
            return archive.read(entry)
    except KeyError as error:
        raise ModelError(f"{path} has no {name} in it") from error
    except UNREADABLE as error:
        raise ModelError(f"{path}: {name} in the archive cannot be read: {error}") from error


def json_value(data: bytes, where: object) -> Any:
    """What a text in JSON says.

    Args:
        where: it comes from, for the error.

    Raises:
        ModelError: it is damaged.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} is damaged: {error}") from error


def check_expansion(path: Path) -> None:
    """Refuses small archives that fill the memory when they are unpacked; other files are let through.

    Raises:
        ModelError: it is one, or its directory is damaged.
    """
    if not zipfile.is_zipfile(path):
        return
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except UNREADABLE as error:
        raise ModelError(f"{path} is an archive that cannot be read: {error}") from error
    if unpacked > _UNPACKED_FREE_BYTES + _UNPACKED_TIMES * size:
        raise ModelError(
            f"{path} has {size:,} bytes and unpacks to {unpacked:,}, as no model does: "
            "get it anew from its maker"
        )
