"""The file trees of stand-ins: a Debian, an interpreter in it, the uv of a wheel; archives in a cache."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

CACHE = Path(os.environ.get("TIFFIN_STAND_INS") or Path.home() / ".cache" / "tiffin-stand-ins")
MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")
RECIPE = "3"
"""Changes when the same machine would get other images."""
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
LITTER = ("usr/share/doc", "usr/share/man", "usr/share/locale")
PACKAGES = ["ca-certificates", "netbase", "tzdata", *LIBRARIES]
NOT_IN_AN_IMAGE = re.compile(
    r"site-packages|test|tests|idlelib|tkinter|turtledemo|config-.*|__pycache__|_tkinter.*|nis.*"
)

PIP_CONF = f"[global]\ncert = {CA_FILE}\nfind-links = /opt/wheels\n"
UV_TOML = f'system-certs = true\nfind-links = ["/opt/wheels"]\npython-downloads-json-url = "file://{ARCHIVE}.json"\n'


class CannotStandInError(Exception):
    """No stand-in can be made here; the message says why."""


def bare_root(image: str) -> Path:
    return cached("bare.tar", _make_bare)


def python_root(image: str) -> Path:
    return cached(f"python-{VERSION}.tar", _make_python)


def uv_root(image: str) -> Path:
    version = image.rpartition(":")[2].partition("-")[0]
    return cached(f"uv-{version}.tar", lambda path: _make_uv(path, version))


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """A file of the cache, made when it is not there; whole or not at all, and by one process."""
    path = CACHE / f"{RECIPE}-{machine_key()}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
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
        run(["debootstrap", "--variant=minbase", include, SUITE, str(root), MIRROR])
        for litter in ("var/cache/apt/archives", "var/lib/apt/lists", *LITTER):
            shutil.rmtree(root / litter, ignore_errors=True)
            (root / litter).mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir()
        (root / "var/cache/apt/archives/partial").mkdir()
        unfinished = Path(scratch) / "root.tar"
        run(["tar", "--numeric-owner", "--one-file-system", "-C", str(root), "-cf", str(unfinished), "."])
        unfinished.replace(path)
    return path


def _make_bare(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch)
        _furnish(root)
        _python_archive(root / ARCHIVE.lstrip("/"))
        # uv's managed interpreter finds its library here.
        for library in _libraries():
            copy(library, root / "usr/lib" / library.name)
        pack(root, path)


def _make_python(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        root = Path(scratch)
        _furnish(root)
        _interpreter(root / "usr/local")
        for library in _libraries():
            copy(library, root / "usr/local/lib" / library.name)
        run(["chroot", str(root), "ldconfig"])
        run(["chroot", str(root), "/usr/local/bin/python3", "-m", "ensurepip", "--default-pip"])
        pack(root, path)


def _make_uv(path: Path, version: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        put_uv(root, version)
        pack(root, path)


def put_uv(root: Path, version: str, *options: str) -> None:
    """
    Args:
        root: a new folder, for nothing but uv.
        version: of uv.
        options: of `pip download`: `--platform=…`.
    """
    root.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        download = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *options]
        run([sys.executable, "-m", *download, "--dest", scratch, f"uv=={version}"])
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            for name in ("uv", "uvx"):
                (root / name).write_bytes(files.read(f"uv-{version}.data/scripts/{name}"))
                (root / name).chmod(0o755)


def _furnish(root: Path) -> None:
    """Debian, and what belongs to this machine."""
    run(["tar", "--numeric-owner", "-C", str(root), "-xf", str(_debian())])
    settle(root)


def settle(root: Path) -> None:
    """Puts in what belongs to this machine."""
    copy(CA_FILE, root / str(CA_FILE).lstrip("/"))
    wheels = root / "opt/wheels"
    wheels.mkdir(parents=True)
    for wheel in _wheels():
        copy(wheel, wheels / wheel.name)
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
    copy(home / "bin" / f"python{VERSION}", prefix / "bin" / f"python{VERSION}")
    for name in ("python3", "python"):
        (prefix / "bin" / name).symlink_to(f"python{VERSION}")


def _python_archive(path: Path) -> None:
    """What `uv python install` fetches, and the list that it looks it up in."""
    path.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _interpreter(Path(scratch))
        for library in _libraries():
            copy(library, Path(scratch) / "lib" / library.name)
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


def machine_key() -> str:
    parts = [
        CA_FILE.read_bytes() if CA_FILE.exists() else b"",
        sys.base_prefix.encode(),
        sys.version.encode(),
    ]
    parts += [wheel.name.encode() for wheel in _wheels()]
    parts += [PIP_CONF.encode(), UV_TOML.encode()]
    return sha256(b"\0".join(parts)).hexdigest()[:12]


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def pack(root: Path, path: Path) -> None:
    root.chmod(0o755)
    run(["tar", "--numeric-owner", "--owner=0", "--group=0", "-C", str(root), "-cf", str(path), "."])


def run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).splitlines()[-5:])
        raise CannotStandInError(f"{' '.join(command)[:200]}: exit code {done.returncode}\n{last}")
