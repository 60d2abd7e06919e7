"""Images that stand in for public ones where no registry can be reached: Dockerfiles build unmodified.

    python tests/image/stand_ins.py docker python:3.11-slim ghcr.io/astral-sh/uv:0.9.0
    python tests/image/stand_ins.py podman --dockerfile Dockerfile

A Debian is made once with debootstrap (as root) and kept in `~/.cache/tiffin-stand-ins`. From it come

- `python:X.Y-slim`: with the interpreter that runs this script in /usr/local, as the official image has it
- `nvidia/cuda:…`, `debian:…`, `ubuntu:…`: the same without Python
- `ghcr.io/astral-sh/uv:VERSION`: nothing but /uv, out of the wheel of that version

What belongs to this machine rides in them: its CA file, the settings of pip and uv that name it, the wheels
that pip finds beside the index, and the archive from which `uv python install` installs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from arm64_roots import arm64_python_root, arm64_uv_root
from stand_in_roots import (
    CACHE,
    RECIPE,
    VERSION,
    CannotStandInError,
    bare_root,
    machine_key,
    python_root,
    run,
    uv_root,
    wheel_folders,
)

__all__ = ["CannotStandInError", "full_name", "images_of", "maker_of", "stand_in", "wheel_folders"]

LABEL = "tiffin.stand-in"
_HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def images_of(dockerfile: str) -> list[str]:
    """Every image of others that a Dockerfile takes: `FROM` and `--from=`, but its own stages."""
    stages = set(re.findall(r"(?im)^FROM\s+(?:--\S+\s+)*\S+\s+AS\s+(\S+)", dockerfile))
    named = re.findall(r"(?im)^FROM\s+(?:--\S+\s+)*(\S+)", dockerfile)
    named += re.findall(r"(?:--|,)from=([^\s,]+)", dockerfile)
    return sorted({name for name in named if name not in stages and name != "scratch"})


def stand_in(engine: str, images: Iterable[str], *, arch: str = "") -> None:
    """Makes the images that the engine does not have yet.

    Args:
        engine: the command, `docker`, `podman` or `buildah`; the last two share their images.
        images: names as a Dockerfile writes them.
        arch: `arm64`, for Python and uv; empty: this machine's.

    Raises:
        CannotStandInError: not root, no debootstrap, no network, or an image of no known kind.
    """
    for image in images:
        kind = maker_of(image)
        if arch:
            kind = _for_arm64(kind)
        mark = f"{RECIPE}-{machine_key()}{arch}"
        if _label(engine, image) != mark:
            _import(engine, image, kind(image), mark, arch or _HERE)


def maker_of(image: str) -> Callable[[str], Path]:
    """What makes the root of an image."""
    name, _, tag = image.partition("@")[0].removeprefix("docker.io/").removeprefix("library/").rpartition(":")
    if name == "python" and re.fullmatch(r"[\d.]+-slim(-bookworm)?", tag):
        if not tag.startswith(f"{VERSION}-") and not tag.startswith(f"{VERSION}."):
            raise CannotStandInError(
                f"{image}: this interpreter is Python {VERSION}: run the tests with {tag}"
            )
        return python_root
    if name in {"nvidia/cuda", "debian", "ubuntu"}:
        return bare_root
    if name == "ghcr.io/astral-sh/uv":
        return uv_root
    raise CannotStandInError(f"{image}: there is no stand-in for this image")


def _for_arm64(kind: Callable[[str], Path]) -> Callable[[str], Path]:
    makers = {python_root: arm64_python_root, uv_root: arm64_uv_root}
    if kind not in makers:
        raise CannotStandInError("there are stand-ins for arm64 of Python and uv only")
    return makers[kind]


def _label(engine: str, image: str) -> str:
    """The mark on an image of the engine; empty: no such image, or it is no stand-in."""
    command = [engine, "inspect", "--type", "image", full_name(image)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return ""
    found = json.loads(done.stdout)
    config = (found[0]["Config"] if isinstance(found, list) else found["Docker"]["config"]) or {}
    return str((config.get("Labels") or {}).get(LABEL, "a real one"))


def _import(engine: str, image: str, root: Path, mark: str, arch: str) -> None:
    if _label(engine, image) == "a real one":
        return
    bare = maker_of(image) is uv_root
    config = {
        "architecture": arch,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {
            "Labels": {LABEL: mark},
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/uv"] if bare else ["/bin/sh"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(root)}"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/image/stand_ins.py"}],
    }
    text = json.dumps(config).encode()
    name = f"{sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [full_name(image)], "Layers": ["layer.tar"]}]
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        path = Path(scratch) / "image.tar"
        with tarfile.open(path, "w") as archive:
            for member, data in ((name, text), ("manifest.json", json.dumps(manifest).encode())):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            archive.add(root, "layer.tar")
        load = (
            ["pull", "--quiet", f"docker-archive:{path}"]
            if engine == "buildah"
            else ["load", "--input", str(path)]
        )
        run([engine, *load])


def full_name(image: str) -> str:
    """`docker.io/library/python:3.11-slim`: podman and buildah look for short names under it."""
    first = image.partition("/")[0]
    if "/" in image and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image if '/' in image else f'library/{image}'}"


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engine", choices=["docker", "podman", "buildah"])
    parser.add_argument("images", nargs="*")
    parser.add_argument("--dockerfile", type=Path, help="make every image that it takes")
    arguments = parser.parse_args()
    images = list(arguments.images)
    if arguments.dockerfile:
        images += images_of(arguments.dockerfile.read_text())
    try:
        stand_in(arguments.engine, images)
    except CannotStandInError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for image in images:
        print(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
