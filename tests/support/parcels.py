"""A folder with a manifest and some files, and hostile archives made of it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import msgspec

from tiffin.bundler.archive_reading import read_archive
from tiffin.runtime.manifest import FileEntry

MANIFEST = "parcel.json"
FILES = {
    "a.txt": b"alpha\n",
    "deep/er/b.bin": bytes(range(256)) * 9,
    "deep/empty": b"",
    "run.sh": b"#!/bin/sh\n",
}


def entry(path: str, data: bytes, mode: str = "644") -> FileEntry:
    return FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mode=mode)


def make_folder(folder: Path, files: dict[str, bytes] | None = None) -> list[FileEntry]:
    """Writes files and their manifest; returns its entries."""
    entries = []
    for path, data in (FILES if files is None else files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        entries.append(entry(path, data, "755" if path.endswith(".sh") else "644"))
    (folder / MANIFEST).write_bytes(manifest_of(entries))
    return entries


def manifest_of(entries: list[FileEntry]) -> bytes:
    return msgspec.json.encode(entries)


def parse(data: bytes) -> list[FileEntry]:
    from tiffin.errors import IntegrityError

    try:
        return msgspec.json.decode(data, type=list[FileEntry])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(str(error)) from error


def regular(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def special(name: str, kind: bytes, linkname: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info, b""


def tar_of(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def unpack(data: bytes, folder: Path, **options: int) -> dict[str, bytes]:
    """Reads an archive in a folder of its own and returns what it wrote there."""
    folder.mkdir(parents=True)
    archive = folder / "in.tar"
    archive.write_bytes(data)
    into = folder / "sandbox" / "into"
    into.mkdir(parents=True)
    read_archive(archive, MANIFEST, into, parse, **options)
    return content(into)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
