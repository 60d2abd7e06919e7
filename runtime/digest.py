"""Bytes and their sha256: reading a file once, and summing up a list of files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..errors import IntegrityError
from .manifest import FileEntry

CHUNK_BYTES = 1 << 20


def hash_stream(source: BinaryIO, copy_to: BinaryIO | None = None) -> tuple[str, int]:
    """Reads a file to its end once.

    Args:
        source: opened for reading in binary mode.
        copy_to: also gets every byte.

    Returns:
        sha256 as 64 hexadecimal digits, and the number of bytes.
    """
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    size = 0
    while count := source.readinto(view):  # type: ignore[attr-defined]
        digest.update(view[:count])
        if copy_to is not None:
            copy_to.write(view[:count])
        size += count
    return digest.hexdigest(), size


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading, unbuffered; a link, pipe or device is refused.

    Raises:
        IntegrityError: not a regular file.
        FileNotFoundError: no such file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise IntegrityError(f"{path} is a link; only regular files are allowed here") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IntegrityError(f"{path} is not a regular file")
    return os.fdopen(handle, "rb", buffering=0)


def content_digest(files: Iterable[FileEntry], **fields: Any) -> str:
    """`sha256:…` over the files (in order of path) and the fields; equal content has an equal digest.

    Args:
        files: path, size, sha256 and mode of each count.
        fields: anything JSON can hold; the order of keys does not count.
    """
    rows = sorted((entry.path, entry.size_bytes, entry.sha256, entry.mode) for entry in files)
    text = msgspec.json.encode({"files": rows, **fields}, order="sorted")
    return "sha256:" + hashlib.sha256(text).hexdigest()
