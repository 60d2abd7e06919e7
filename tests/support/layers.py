"""The layers of an image, out of what `docker load` takes."""

from __future__ import annotations

import json
import posixpath
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple


class Entry(NamedTuple):
    """A file, folder or link of a layer."""

    kind: str
    mode: str
    """`0o755`"""
    owner: str
    """`0:0`"""
    mtime: float
    """Seconds since 1970."""
    size_bytes: int
    link: str
    sha256: str
    """Empty for what is no file."""

    @classmethod
    def of(cls, member: tarfile.TarInfo, content: IO[bytes] | None) -> Entry:
        return cls(
            member.type.decode(),
            oct(member.mode),
            f"{member.uid}:{member.gid}",
            member.mtime,
            member.size,
            member.linkname,
            sha256(content.read()).hexdigest() if content is not None else "",
        )


def differences(one: Saved, other: Saved) -> list[str]:
    """Each path that two images do not have alike, with what differs; for the message of a test."""
    found = [f"{len(one.digests())} and {len(other.digests())} layers"]
    pairs = zip(one.digests(), other.digests(), strict=False)
    for number in [number for number, (first, second) in enumerate(pairs) if first != second]:
        first, second = one.entries(number), other.entries(number)
        if first == second:
            found.append(f"layer {number}: the same entries; their order or the headers of the tar differ")
        found += [
            f"layer {number}: {path}: {first.get(path)} and {second.get(path)}"
            for path in sorted({*first, *second})
            if first.get(path) != second.get(path)
        ]
    return found


class Saved:
    """An image in a file."""

    def __init__(self, path: Path) -> None:
        self._archive = tarfile.open(path)  # noqa: SIM115 - closed by `close`
        (self._manifest,) = json.loads(self._read("manifest.json"))

    def close(self) -> None:
        self._archive.close()

    @property
    def config(self) -> dict[str, Any]:
        return dict(json.loads(self._read(self._manifest["Config"])))

    def digests(self) -> list[str]:
        """Of the unpacked layers."""
        return list(self.config["rootfs"]["diff_ids"])

    def sizes(self) -> dict[str, int]:
        """Digest to bytes, unpacked."""
        members = (self._archive.getmember(name) for name in self._manifest["Layers"])
        return dict(zip(self.digests(), (self._real(member).size for member in members), strict=True))

    def files(self) -> Iterator[tuple[str, str, IO[bytes]]]:
        """Digest of the layer, path and content of every file of every layer."""
        for digest, name in zip(self.digests(), self._manifest["Layers"], strict=True):
            stream = self._archive.extractfile(self._real(self._archive.getmember(name)))
            with tarfile.open(fileobj=stream) as layer:
                for member in layer:
                    content = layer.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield digest, member.name, content

    def entries(self, number: int) -> dict[str, Entry]:
        """What a layer, counted from 0, has at each path: all that its digest follows from."""
        with self._layer(number) as layer:
            return {
                member.name: Entry.of(member, layer.extractfile(member) if member.isreg() else None)
                for member in layer
            }

    def paths(self, number: int) -> list[str]:
        """In the order of the layer."""
        with self._layer(number) as layer:
            return layer.getnames()

    def orders(self, number: int) -> tuple[list[str], list[str]]:
        """The paths of a layer in the two orders that Docker before 23 writes them in: as texts, and
        folder by folder."""
        paths = self.paths(number)
        return sorted(paths), sorted(paths, key=lambda path: path.split("/"))

    def _layer(self, number: int) -> tarfile.TarFile:
        name = self._manifest["Layers"][number]
        return tarfile.open(fileobj=self._archive.extractfile(self._real(self._archive.getmember(name))))

    def _real(self, member: tarfile.TarInfo) -> tarfile.TarInfo:
        """Docker writes equal layers once, and links to them."""
        if not member.issym():
            return member
        folder = posixpath.dirname(member.name)
        return self._archive.getmember(posixpath.normpath(posixpath.join(folder, member.linkname)))

    def _read(self, name: str) -> bytes:
        file = self._archive.extractfile(name)
        assert file is not None
        return file.read()
