"""What a shared object asks the loader for, read from its file: nothing is loaded and no program is run.

The format: System V ABI, chapters 4 and 5 (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

_MAGIC = b"\x7fELF"
_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_NULL, _NEEDED, _STRTAB, _STRSZ = 0, 1, 5, 10  # tags of the dynamic section
_MOST_BYTES = 1 << 22


def libraries_of(path: Path) -> tuple[str, ...]:
    """Names of what it needs: `libgomp.so.1`; none of what is no ELF file of 64 bits, or is damaged."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except (OSError, struct.error, UnicodeDecodeError):
        return ()


def _read(file: IO[bytes]) -> tuple[str, ...]:
    head = file.read(64)
    if len(head) < 64 or head[:4] != _MAGIC or head[4] != 2 or head[5] != 1:
        return ()
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    file.seek(offset)
    table = file.read(size * count)
    segments = [struct.unpack_from("<IIQQQQ", table, size * index) for index in range(count)]
    loads = [(address, at, length) for kind, _, at, address, _, length in segments if kind == _LOAD]
    dynamic = next(((at, length) for kind, _, at, _, _, length in segments if kind == _DYNAMIC), None)
    if dynamic is None or dynamic[1] > _MOST_BYTES:
        return ()
    file.seek(dynamic[0])
    entries = []
    for tag, value in struct.iter_unpack("<qQ", file.read(dynamic[1] // 16 * 16)):
        if tag == _NULL:
            break
        entries.append((tag, value))
    facts = dict(entries)
    at = _file_offset(facts.get(_STRTAB, 0), loads)
    length = facts.get(_STRSZ, 0)
    if at is None or length > _MOST_BYTES * 16:
        return ()
    file.seek(at)
    names = file.read(length)
    return tuple(_name(names, value) for tag, value in entries if tag == _NEEDED)


def _file_offset(address: int, loads: list[tuple[int, int, int]]) -> int | None:
    for start, at, length in loads:
        if start <= address < start + length:
            return at + address - start
    return None


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode() if b"\0" in names[at:] else ""
