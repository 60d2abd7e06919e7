"""A clean Python environment with what a lock names and nothing else; kept by the lock's content.

    <home>/cache/environments/<key>/          a virtual environment, made by uv
    <home>/cache/environments/<key>.lock      held while it is made or used

tiffin itself is not in it: the bundle's own wheel is unpacked beside it for every check, so that a new
version of tiffin needs no new environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from typing import NamedTuple

from ...errors import BuildError
from ...runtime.home import home
from ..python.indexes import CONFIG_FILE, config_indexes, index_flags
from ..python.lockfile import LOCK_FILE, PYTHON_FOLDER, WHEELS_FOLDER, from_any_index, read_lock, without_hash
from ..python.uv import MISSING, find_uv, run_uv
from ..python.wheel import DISTRIBUTION

_RECIPE = "1"
"""Changes when the same lock makes another environment."""
_WHOLE = ".tiffin-whole"
KEPT = 4
"""Environments that stay; of more the one that was not used for longest goes."""
_TAIL_LINES = 12


class CleanEnvironment(NamedTuple):
    """Where a bundle's own dependencies are, and nothing of this process's."""

    python: Path
    """Its interpreter."""
    packages: int
    """Of the lock."""
    cached: bool
    """Whether it was there already."""


@contextmanager
def clean_environment(folder: Path, python: str) -> Iterator[CleanEnvironment]:
    """The environment of a bundle; it stays while the block runs.

    Args:
        folder: of the bundle, or its draft.
        python: `3.11`

    Raises:
        BuildError: there is no lock, no uv, or the lock cannot be installed here; says what uv says.
    """
    lock = folder / LOCK_FILE
    if not lock.is_file():
        raise BuildError("a check needs locked requirements: build with --lock, and with an index in reach")
    uv = find_uv()
    if uv is None:
        raise BuildError(MISSING)
    text = lock.read_text(encoding="utf-8")
    wheels = [path for path in _wheels(folder) if not path.name.startswith(f"{DISTRIBUTION}-")]
    place = home() / "cache" / "environments" / _key(text, wheels, python)
    _make_room(place.parent)
    with _held(place):
        cached = (place / _WHOLE).is_file()
        if not cached:
            shutil.rmtree(place, ignore_errors=True)
            try:
                _make(uv, folder, place, text, wheels, python)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
        (place / _WHOLE).touch()
        _prune(place)
        yield CleanEnvironment(place / "bin" / "python", len(read_lock(text)), cached)


def _make_room(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BuildError(
            f"environments for checks are kept in {folder}, which cannot be written: {error.strerror}; "
            "import the bundle into a TIFFIN_HOME of yours and check it there"
        ) from error


def unpack_runtime(folder: Path, into: Path) -> Path:
    """tiffin as the bundle brings it, for `PYTHONPATH`.

    Raises:
        BuildError: the bundle has no wheel of tiffin, or one that is too old to be checked.
    """
    for wheel in _wheels(folder):
        if wheel.name.startswith(f"{DISTRIBUTION}-"):
            with zipfile.ZipFile(wheel) as archive:
                if f"{DISTRIBUTION}/bundler/check/child.py" not in archive.namelist():
                    raise BuildError(f"{wheel.name} of the bundle is too old to be checked: build it again")
                archive.extractall(into)
            return into
    raise BuildError(f"the bundle has no wheel of {DISTRIBUTION}: build it again")


def _wheels(folder: Path) -> list[Path]:
    return sorted((folder / WHEELS_FOLDER).glob("*.whl"))


def _key(text: str, wheels: list[Path], python: str) -> str:
    parts = [_RECIPE, python, sys.platform, os.uname().machine, text]
    parts += [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in wheels]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _make(  # noqa: PLR0917 - one caller
    uv: str, folder: Path, place: Path, text: str, wheels: list[Path], python: str
) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = getattr(sys, "_base_executable", sys.executable) if python == here else python
    _run(uv, ["venv", "--quiet", "--no-project", "--python", interpreter, str(place)], folder)
    inside = ["--quiet", "--python", str(place / "bin" / "python")]
    packages = read_lock(text)
    hashed = ["--require-hashes"] if packages and not without_hash(packages) else []
    hashed += ["--index-strategy", "unsafe-best-match"] if from_any_index(text) else []
    config = folder / CONFIG_FILE
    indexes = config_indexes(config.read_text(encoding="utf-8")) if config.is_file() else []
    if packages:
        flags = [*hashed, *index_flags(indexes)]
        _run(uv, ["pip", "sync", *inside, *flags, str(folder / LOCK_FILE)], folder)
    if wheels:
        _run(uv, ["pip", "install", *inside, "--no-deps", "--offline", *map(str, wheels)], folder)


def _run(uv: str, arguments: list[str], folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        # Paths in a lock are relative to it.
        done = run_uv(
            [uv, *arguments], cwd=folder / PYTHON_FOLDER, environment={**environment, "NO_COLOR": "1"}
        )
    except TimeoutExpired as error:
        raise BuildError(f"uv {arguments[0]} took more than {error.timeout:.0f} s") from error
    if done.returncode != 0:
        tail = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-_TAIL_LINES:])
        raise BuildError(f"the environment of the lock could not be made here; uv says:\n{tail}")


@contextmanager
def _held(place: Path) -> Iterator[None]:
    handle = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _prune(used: Path) -> None:
    """Environments are large; one that is held by another check stays."""
    marks = sorted(used.parent.glob(f"*/{_WHOLE}"), key=lambda mark: -mark.stat().st_mtime)
    for mark in marks[KEPT:]:
        place = mark.parent
        handle = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if place != used:
                shutil.rmtree(place, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)
