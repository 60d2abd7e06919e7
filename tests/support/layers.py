"""The layers of an image, out of what `docker load` takes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


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

    def _real(self, member: tarfile.TarInfo) -> tarfile.TarInfo:
        """Docker writes equal layers once, and links to them."""
        if not member.issym():
            return member
        folder = Path(member.name).parent
        return self._archive.getmember(str((folder / member.linkname).as_posix()).replace("/../", "/"))

    def _read(self, name: str) -> bytes:
        file = self._archive.extractfile(name)
        assert file is not None
        return file.read()
