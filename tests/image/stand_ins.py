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
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

CACHE = Path(os.environ.get("TIFFIN_STAND_INS") or Path.home() / ".cache" / "tiffin-stand-ins")
MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")
RECIPE = "3"
"""Changes when the same machine would get other images."""
LABEL = "tiffin.stand-in"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ARCHIVE = "/opt/stand-in/python.tar.gz"
# What interpreters are linked against; the official images have them too.
LIBRARIES = [
    "libbz2-1.0",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "zlib1g",
    "libgomp1",
]
PACKAGES = ["ca-certificates", "netbase", "tzdata", *LIBRARIES]
NOT_IN_AN_IMAGE = re.compile(
    r"site-packages|test|tests|idlelib|tkinter|turtledemo|config-.*|__pycache__|_tkinter.*|nis.*"
)

PIP_CONF = f"[global]\ncert = {CA_FILE}\nfind-links = /opt/wheels\n"
UV_TOML = f'system-certs = true\nfind-links = ["/opt/wheels"]\npython-downloads-json-url = "file://{ARCHIVE}.json"\n'


class CannotStandInError(Exception):
    """No stand-in can be made here; the message says why."""


def images_of(dockerfile: str) -> list[str]:
    """Every image of others that a Dockerfile takes: `FROM` and `--from=`, but its own stages."""
    stages = set(re.findall(r"(?im)^FROM\s+(?:--\S+\s+)*\S+\s+AS\s+(\S+)", dockerfile))
    named = re.findall(r"(?im)^FROM\s+(?:--\S+\s+)*(\S+)", dockerfile)
    named += re.findall(r"(?:--|,)from=([^\s,]+)", dockerfile)
    return sorted({name for name in named if name not in stages and name != "scratch"})


def stand_in(engine: str, images: Iterable[str]) -> None:
    """Makes the images that the engine does not have yet.

    Args:
        engine: the command, `docker`, `podman` or `buildah`; the last two share their images.
        images: names as a Dockerfile writes them.

    Raises:
        CannotStandInError: not root, no debootstrap, no network, or an image of no known kind.
    """
    for image in images:
        kind = maker_of(image)
        mark = f"{RECIPE}-{_machine_key()}"
        if _label(engine, image) != mark:
            _import(engine, image, kind(image), mark)


def maker_of(image: str) -> Callable[[str], Path]:
    """What makes the root of an image."""
    name, _, tag = image.partition("@")[0].removeprefix("docker.io/").removeprefix("library/").rpartition(":")
    if name == "python" and re.fullmatch(r"[\d.]+-slim(-bookworm)?", tag):
        if not tag.startswith(f"{VERSION}-") and not tag.startswith(f"{VERSION}."):
            raise CannotStandInError(
                f"{image}: this interpreter is Python {VERSION}: run the tests with {tag}"
            )
        return _python_root
    if name in {"nvidia/cuda", "debian", "ubuntu"}:
        return _bare_root
    if name == "ghcr.io/astral-sh/uv":
        return _uv_root
    raise CannotStandInError(f"{image}: there is no stand-in for this image")


def _bare_root(image: str) -> Path:
    return _cached("bare.tar", _make_bare)


def _python_root(image: str) -> Path:
    return _cached(f"python-{VERSION}.tar", _make_python)


def _uv_root(image: str) -> Path:
    version = image.rpartition(":")[2].partition("-")[0]
    return _cached(f"uv-{version}.tar", lambda path: _make_uv(path, version))


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """A file of the cache, made when it is not there; whole or not at all."""
    path = CACHE / f"{RECIPE}-{_machine_key()}" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            make(unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def _debian() -> Path:
    """The archive of a fresh Debian; the slow part, the same for every machine."""
    path = CACHE / f"{SUITE}-{sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}.tar"
    if path.exists():
        return path
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise CannotStandInError("debootstrap is needed, and root: apt-get install debootstrap")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch) / "root"
        include = f"--include={','.join(PACKAGES)}"
        _run(["debootstrap", "--variant=minbase", include, SUITE, str(root), MIRROR])
        for litter in (
            "var/cache/apt/archives",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
        ):
            shutil.rmtree(root / litter, ignore_errors=True)
            (root / litter).mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir()
        (root / "var/cache/apt/archives/partial").mkdir()
        unfinished = Path(scratch) / "root.tar"
        _run(["tar", "--numeric-owner", "--one-file-system", "-C", str(root), "-cf", str(unfinished), "."])
        unfinished.replace(path)
    return path


def _make_bare(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch)
        _furnish(root)
        _python_archive(root / ARCHIVE.lstrip("/"))
        # uv's managed interpreter finds its library here.
        for library in _libraries():
            _copy(library, root / "usr/lib" / library.name)
        _pack(root, path)


def _make_python(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch)
        _furnish(root)
        _interpreter(root / "usr/local")
        for library in _libraries():
            _copy(library, root / "usr/local/lib" / library.name)
        _run(["chroot", str(root), "ldconfig"])
        _run(["chroot", str(root), "/usr/local/bin/python3", "-m", "ensurepip", "--default-pip"])
        _pack(root, path)


def _make_uv(path: Path, version: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
                scratch,
                f"uv=={version}",
            ]
        )
        (wheel,) = Path(scratch).glob("*.whl")
        root = Path(scratch) / "root"
        root.mkdir()
        with zipfile.ZipFile(wheel) as files:
            for name in ("uv", "uvx"):
                (root / name).write_bytes(files.read(f"uv-{version}.data/scripts/{name}"))
                (root / name).chmod(0o755)
        _pack(root, path)


def _furnish(root: Path) -> None:
    """Debian, and what belongs to this machine."""
    _run(["tar", "--numeric-owner", "-C", str(root), "-xf", str(_debian())])
    _copy(CA_FILE, root / str(CA_FILE).lstrip("/"))
    wheels = root / "opt/wheels"
    wheels.mkdir(parents=True)
    for wheel in _wheels():
        _copy(wheel, wheels / wheel.name)
    (root / "etc/uv").mkdir()
    (root / "etc/uv/uv.toml").write_text(UV_TOML)
    (root / "etc/pip.conf").write_text(PIP_CONF)


def _interpreter(prefix: Path) -> None:
    """This interpreter, as it is before anything is installed into it."""
    home = Path(sys.base_prefix)
    if home == Path("/usr"):
        raise CannotStandInError(
            "this Python is the distribution's, which cannot be moved: use pyenv's or uv's"
        )
    library = f"lib/python{VERSION}"
    shutil.copytree(
        home / library,
        prefix / library,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda _, names: [name for name in names if NOT_IN_AN_IMAGE.fullmatch(name)],
    )
    (prefix / library / "site-packages").mkdir()
    (prefix / "bin").mkdir(exist_ok=True)
    _copy(home / "bin" / f"python{VERSION}", prefix / "bin" / f"python{VERSION}")
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(f"python{VERSION}")


def _python_archive(path: Path) -> None:
    """What `uv python install` fetches, and the list that it looks it up in."""
    path.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _interpreter(Path(scratch))
        for library in _libraries():
            _copy(library, Path(scratch) / "lib" / library.name)
        archive.add(scratch, "python")
    major, minor, patch = sys.version_info[:3]
    machine = os.uname().machine
    entry = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"file://{ARCHIVE}",
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "variant": None,
        "build": "20260101",
    }
    key = f"cpython-{major}.{minor}.{patch}-linux-{machine}-gnu"
    path.with_name(f"{path.name}.json").write_text(json.dumps({key: entry}))


def _libraries() -> list[Path]:
    return sorted((Path(sys.base_prefix) / "lib").glob(f"libpython{VERSION}*.so*"))


@cache
def wheel_folders() -> list[str]:
    """Where pip of this machine looks for wheels besides the index: for packages that no index has."""
    named = os.environ.get("PIP_FIND_LINKS", "")
    if not named:
        command = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
        named = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return [folder for folder in named.split() if Path(folder).is_dir()]


def _wheels() -> list[Path]:
    return sorted(wheel for folder in wheel_folders() for wheel in Path(folder).glob("*.whl"))


def _machine_key() -> str:
    parts = [
        CA_FILE.read_bytes() if CA_FILE.exists() else b"",
        sys.base_prefix.encode(),
        sys.version.encode(),
    ]
    parts += [wheel.name.encode() for wheel in _wheels()]
    parts += [PIP_CONF.encode(), UV_TOML.encode()]
    return sha256(b"\0".join(parts)).hexdigest()[:12]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _pack(root: Path, path: Path) -> None:
    root.chmod(0o755)
    _run(["tar", "--numeric-owner", "--owner=0", "--group=0", "-C", str(root), "-cf", str(path), "."])


def _label(engine: str, image: str) -> str:
    """The mark on an image of the engine; empty: no such image, or it is no stand-in."""
    command = [engine, "inspect", "--type", "image", full_name(image)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return ""
    found = json.loads(done.stdout)
    config = (found[0]["Config"] if isinstance(found, list) else found["Docker"]["config"]) or {}
    return str((config.get("Labels") or {}).get(LABEL, "a real one"))


def _import(engine: str, image: str, root: Path, mark: str) -> None:
    if _label(engine, image) == "a real one":
        return
    bare = maker_of(image) is _uv_root
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
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
        _run([engine, *load])


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


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        raise CannotStandInError(f"{' '.join(command)[:200]}: exit code {done.returncode}\n{last}")


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
