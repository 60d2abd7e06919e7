"""An image as files: for `docker load`, as an OCI archive, or the folder that a container would see.

Every engine can write the archive of `docker load`; the other two are made of it here, so that they are the
same whatever the engine and its version.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ...errors import ImageError, UsageError
from ..bar import Progress
from .engine import Engine

KINDS = ("dir", "tar", "oci")
_BLOCK_BYTES = 1 << 20
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class Output(NamedTuple):
    """Where an image is written to, and how."""

    kind: str
    """`dir`: its files; `tar`: what `docker load` takes; `oci`: an OCI image layout in a tar."""
    path: Path

    @staticmethod
    def parse(text: str) -> Output:
        """
        Args:
            text: `tar=iris.tar`

        Raises:
            UsageError: another kind, or no path.
        """
        kind, equals, path = text.partition("=")
        if kind not in KINDS or not equals or not path:
            raise UsageError(f"--output {text!r}: use dir=FOLDER, tar=FILE or oci=FILE")
        return Output(kind, Path(path))


def check_place(output: Output) -> None:
    """
    Raises:
        ImageError: the folder has something in it.
    """
    target = output.path.absolute()
    if output.kind == "dir" and target.is_dir() and any(target.iterdir()):
        raise ImageError(f"{target} is not empty")


def write_output(engine: Engine, image: str, output: Output, on_progress: Progress) -> None:
    """
    Args:
        engine: that has the image.
        image: its name.
        output: a file is replaced; a folder must be empty or not exist.
        on_progress: told what is going on.

    Raises:
        ImageError: the folder has something in it, or the place cannot be written.
    """
    target = output.path.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_place(output)
        # Beside the target: the same disk, and most likely one with room.
        with tempfile.TemporaryDirectory(prefix=".tiffin-", dir=target.parent) as scratch:
            archive = Path(scratch) / "image.tar"
            engine.save(image, archive, on_progress)
            if output.kind == "tar":
                archive.replace(target)
            elif output.kind == "oci":
                on_progress(f"write {target.name}", 0, 0)
                to_oci(archive, Path(scratch) / "oci.tar", image)
                (Path(scratch) / "oci.tar").replace(target)
            else:
                on_progress(f"unpack to {target.name}", 0, 0)
                unpack(archive, target)
    except OSError as error:
        raise ImageError(f"cannot write {target}: {error}") from error


def to_oci(archive: Path, target: Path, name: str) -> None:
    """An OCI image layout, with layers as they are in the image's configuration: unpacked.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    with tarfile.open(archive) as source, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as made:
        described = _manifest(source)
        config = _read(source, described["Config"])
        _put(made, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        layers = []
        for layer in described["Layers"]:
            digest, size = _digest(_member(source, layer))
            blob = {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size}
            if blob not in layers:
                info = tarfile.TarInfo(f"blobs/sha256/{digest}")
                info.size = size
                made.addfile(info, _member(source, layer))
            layers.append(blob)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _blob(made, config, _CONFIG),
                "layers": layers,
            }
        ).encode()
        entry = {
            **_blob(made, manifest, _MANIFEST),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }
        _put(
            made,
            "index.json",
            json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}).encode(),
        )


def unpack(archive: Path, folder: Path) -> None:
    """The files of the image, as a container sees them: layer over layer, without what later ones removed.

    Owners are kept when root does it; device files are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as source:
        for layer in _manifest(source)["Layers"]:
            with tarfile.open(fileobj=_member(source, layer), mode="r:*") as files:
                for member in files:
                    _unpack(files, member, folder)


def _unpack(files: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if path.name == _OPAQUE:
        for old in _inside(folder, path.parent).iterdir():
            _remove(old)
        return
    if path.name.startswith(_WHITEOUT):
        _remove(_file_inside(folder, path.parent, path.name.removeprefix(_WHITEOUT)))
        return
    if member.isdev() or not path.name:  # the folder itself
        return
    target = _file_inside(folder, path.parent, path.name)
    # Not written over: the old file may have another name (a hard link), which keeps what it had.
    if target.is_symlink() or (target.exists() and not (target.is_dir() and member.isdir())):
        _remove(target)
    if member.islnk():
        # By hand: tarfile would link to files outside of the folder.
        target.parent.mkdir(parents=True, exist_ok=True)
        source = PurePosixPath(member.linkname)
        os.link(_file_inside(folder, source.parent, source.name), target, follow_symlinks=False)
        return
    try:
        files.extract(member, folder, **_FILTER)
    except tarfile.TarError as error:
        raise ImageError(f"{member.name} of the image cannot be unpacked safely: {error}") from error


# Python 3.12 warns when nobody says how far an archive is trusted; 3.10.12 and 3.11.4 know the word.
_FILTER: dict[str, Any] = (
    {"filter": "tar"} if sys.version_info >= (3, 12) or hasattr(tarfile, "tar_filter") else {}
)


def _inside(folder: Path, relative: PurePosixPath) -> Path:
    """A folder of the image; an image may not lead out of it by its links."""
    path = folder.joinpath(*[part for part in relative.parts if part not in {"/", "."}])
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ImageError(f"{relative} of the image leads out of it")
    return path


def _file_inside(folder: Path, parent: PurePosixPath, name: str) -> Path:
    """What has this name in a folder of the image; a link itself, not what it leads to."""
    if name in {"", ".", ".."}:
        raise ImageError(f"{parent / name} of the image leads out of it")
    return _inside(folder, parent) / name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    (found,) = json.loads(_read(archive, "manifest.json"))
    return dict(found)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.getmember(name)
    # Docker before 25 writes equal layers once, and links to them.
    file = archive.extractfile(member)
    if file is None:
        raise ImageError(f"{name} of the image is no file")
    return file


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    with _member(archive, name) as file:
        return file.read()


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = sha256(), 0
    with file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _blob(archive: tarfile.TarFile, data: bytes, kind: str) -> dict[str, Any]:
    digest = sha256(data).hexdigest()
    _put(archive, f"blobs/sha256/{digest}", data)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
