"""A reader of the tar archives that tiffin writes, for archives from strangers.

Python's `tarfile` reads headers of any size into memory, follows links and knows sparse files; here an
archive is a sequence of regular files and nothing else. Format: POSIX.1-2001 (pax) `ustar` headers, with an
extended header before a name that does not fit one.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from ..errors import IntegrityError, UnsafeArchiveError

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK_BYTES = 512
MAX_EXTENDED_BYTES = 64 * 1024
MAX_END_BYTES = 1 << 20
"""Zeros allowed after the last file; tar programs fill their last record up."""

_ZEROS = bytes(BLOCK_BYTES)
_GZIP_MAGIC = b"\x1f\x8b"
_REGULAR = (b"0", b"\0")
_EXTENDED = b"x"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"g": "a global header",
}
# Other programs note these down; they change nothing that is kept.
_HARMLESS_KEYS = {"atime", "comment", "ctime", "gid", "gname", "mtime", "uid", "uname"}


class Member(NamedTuple):
    """The header of one regular file; its bytes follow in the stream."""

    path: str
    size_bytes: int


class TarReader:
    """Reads headers and bytes in the order of the archive, never more than was asked for.

    Args:
        path: `.tar`, plain or gzipped; told apart by content.

    Raises:
        UnsafeArchiveError: links, devices, sparse files, oversized headers.
        IntegrityError: not a tar, damaged, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = path.open("rb")
        magic = self._raw.read(2)
        self._raw.seek(0)
        self.gzipped = magic == _GZIP_MAGIC
        self._stream = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if self.gzipped else self._raw
        self._padding = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the file on disk that were read so far."""
        return self._raw.tell()

    def next(self) -> Member | None:
        """The next file; None at the end. The bytes of the one before must have been read."""
        self._skip_padding()
        extended: dict[str, str] | None = None
        while True:
            block = self.read(BLOCK_BYTES)
            if block == _ZEROS:
                if extended is not None:
                    raise self._damaged("it ends after an extended header")
                self._check_end()
                return None
            kind = self._kind(block)
            if kind != _EXTENDED:
                return self._member(block, extended or {})
            if extended is not None:
                raise UnsafeArchiveError(f"{self._path}: two extended headers for one file")
            extended = self._read_extended(_number(block[124:136]))

    def read(self, size_bytes: int) -> bytes:
        """Exactly that many bytes."""
        try:
            data = self._stream.read(size_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(str(error)) from error
        if len(data) != size_bytes:
            raise self._damaged("it is cut short")
        return data

    def _kind(self, block: bytes) -> bytes:
        checksum = sum(block) - sum(block[148:156]) + 8 * 32
        if block[257:262] != b"ustar" or _number(block[148:156]) != checksum:
            raise self._damaged("a header is not one of tar")
        kind = block[156:157]
        if kind not in _REGULAR and kind != _EXTENDED:
            what = _KINDS.get(kind, f"an entry of kind {kind!r}")
            raise UnsafeArchiveError(
                f"{self._path} holds {what} ({block[:100].rstrip(bytes(1))!r}): only files may be in it"
            )
        return kind

    def _member(self, block: bytes, extended: dict[str, str]) -> Member:
        name, prefix = (_text(block[start:end]) for start, end in ((0, 100), (345, 500)))
        path = extended.get("path", f"{prefix}/{name}" if prefix else name)
        size = extended.get("size", "")
        if size and not (size.isascii() and size.isdigit() and len(size) < 20):
            raise self._damaged("a size is not a number")
        size_bytes = int(size) if size else _number(block[124:136])
        if size_bytes < 0:
            raise self._damaged("a size is not a number")
        self._padding = -size_bytes % BLOCK_BYTES
        return Member(path, size_bytes)

    def _read_extended(self, size_bytes: int) -> dict[str, str]:
        if not 0 < size_bytes <= MAX_EXTENDED_BYTES:
            raise UnsafeArchiveError(
                f"{self._path}: an extended header of {size_bytes} bytes, the limit is {MAX_EXTENDED_BYTES}"
            )
        self._padding = -size_bytes % BLOCK_BYTES
        data = self.read(size_bytes)
        self._skip_padding()
        found: dict[str, str] = {}
        while data:
            length_text, space, _ = data.partition(b" ")
            length = int(length_text) if length_text.isdigit() and len(length_text) < 8 else 0
            record = data[len(length_text) + 1 : length - 1]
            if not space or length > len(data) or data[length - 1 : length] != b"\n" or b"=" not in record:
                raise self._damaged("an extended header is malformed")
            key, _, value = record.partition(b"=")
            data = data[length:]
            name = _text(key)
            if name in _HARMLESS_KEYS:
                continue
            if name not in {"path", "size"} or name in found:
                raise UnsafeArchiveError(f"{self._path}: extended header {name!r} is not allowed")
            found[name] = _text(value, whole=True)
        return found

    def _skip_padding(self) -> None:
        padding, self._padding = self._padding, 0
        self.read(padding)

    def _check_end(self) -> None:
        """Only zeros may follow; reading them to the end makes gzip check its own checksum."""
        left = MAX_END_BYTES
        while True:
            try:
                data = self._stream.read(BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise self._damaged(str(error)) from error
            left -= len(data)
            if not data:
                return
            if data.strip(b"\0") or left < 0:
                raise UnsafeArchiveError(f"{self._path}: more bytes after its end")

    def _damaged(self, why: str) -> IntegrityError:
        return IntegrityError(f"{self._path} is damaged or no archive of tiffin: {why}")


def _number(field: bytes) -> int:
    """An octal field; -1 when it is none (as the binary form of GNU tar: pax `size` is the portable one)."""
    text = field.strip(b"\0 ")
    if not text or text.strip(b"01234567"):
        return -1
    return int(text, 8)


def _text(field: bytes, *, whole: bool = False) -> str:
    """Undecodable bytes become surrogates, which the check of paths refuses."""
    return (field if whole else field.split(b"\0", 1)[0]).decode("utf-8", "surrogateescape")
