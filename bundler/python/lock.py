"""`env/python/requirements.lock`: every package with its version and the hashes of its files, made by `uv`.

https://docs.astral.sh/uv/pip/compile/. A lock is for one platform: which packages there are, and which
versions have files, differs; so a bundle has one more, `requirements.linux-arm64.lock`, for each other
platform that is asked for. Versions that are installed here are preferred, because the service was checked
with them. The result is kept in `<home>/cache/locks` by everything that it depends on.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from platform import machine as this_machine
from typing import NamedTuple

from ...errors import BuildError, ConfigError
from ...runtime.home import home
from .requirements import EDITABLE

log = logging.getLogger(__name__)

TIMEOUT_S = 300.0
_RECIPE = "2"
"""Changes when the same inputs give another lock."""
_REASON_LINES = 3
_IN, _OUT = "requirements.in", "requirements.lock"
_INDEX_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Lock(NamedTuple):
    """A lock, or why there is none."""

    text: str
    """Empty when there is none."""
    reason: str = ""


def make_lock(requirements: str, *, python: str, platform: str = "", required: bool = False) -> Lock:
    """Resolves requirements for Linux.

    Args:
        requirements: the text of `requirements.in`.
        python: `3.11`
        platform: `linux/arm64`; empty: that of this machine.
        required: an error, in place of no lock.

    Raises:
        BuildError: `required`, and there is no `uv`, no index could be reached or nothing fits.
    """
    uv = _find_uv()
    if uv is None:
        return _without("uv is not installed: pip install 'tiffin[lock]'", required)
    installed = _installed()
    machine = machine_of(platform) if platform else _machine()
    cached = home() / "cache" / "locks" / f"{_key(requirements, python, machine, installed)}.lock"
    if cached.is_file():
        return Lock(cached.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="tiffin-lock-") as folder:
        kept = Path(folder)
        (kept / _IN).write_text(requirements, encoding="utf-8")
        (kept / _OUT).write_text(installed, encoding="utf-8")  # uv keeps the versions that it finds here
        made = _compile(uv, kept, python, machine, _indexes(requirements))
    if not made.text:
        return _without(made.reason, required, platform)
    _keep(cached, made.text)
    return made


def _compile(uv: str, folder: Path, python: str, machine: str, head: str) -> Lock:
    command = [uv, "pip", "compile", _IN, "--output-file", _OUT, "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--quiet", "--no-python-downloads"]
    command += ["--python-version", python, "--python-platform", f"{machine}-manylinux_2_28"]
    # Offline is common here and a lock is not vital: do not spend ten seconds on finding out.
    environment = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "15", **os.environ, "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Lock("", f"uv took more than {TIMEOUT_S:.0f} s")
    if done.returncode != 0:
        log.debug("uv failed: %s", done.stderr)
        return Lock("", _reason(done.stderr))
    return Lock(head + (folder / _OUT).read_text(encoding="utf-8"))


def _indexes(requirements: str) -> str:
    """Where the packages are: the hashes are those of the files there, and who installs the lock has nothing
    else. Indexes of this machine's environment are not among them: they may hold passwords."""
    lines = [
        line for line in requirements.splitlines() if line.startswith("-") and not line.startswith(EDITABLE)
    ]
    return "".join(f"{line}\n" for line in lines)


def _without(reason: str, required: bool, platform: str = "") -> Lock:
    if required:
        there = f" for {platform}" if platform else ""
        raise BuildError(f"the requirements could not be locked{there}: {reason}")
    return Lock("", reason)


def _reason(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return "uv: " + "; ".join(lines[:_REASON_LINES])[:500] if lines else "uv failed and did not say why"


def _find_uv() -> str | None:
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def _installed() -> str:
    """What is installed here, as pins; without the local part (`+cpu`), which indexes do not have."""
    pins = set()
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            canonical = re.sub(r"[-_.]+", "-", name).lower()
            pins.add(f"{canonical}=={distribution.version.partition('+')[0]}\n")
    return "".join(sorted(pins))


def _key(requirements: str, python: str, machine: str, installed: str) -> str:
    indexes = [f"{name}={os.environ.get(name, '')}" for name in _INDEX_VARIABLES]
    parts = [_RECIPE, requirements, python, machine, installed, *indexes]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def machine_of(platform: str) -> str:
    """`aarch64` of `linux/arm64`.

    Raises:
        ConfigError: no platform that images are made for.
    """
    system, _, machine = platform.partition("/")
    if system != "linux" or machine not in _MACHINES:
        raise ConfigError(f"platform {platform!r}: use linux/amd64 or linux/arm64")
    return _MACHINES[machine]


def this_platform() -> str:
    """`linux/amd64`: of the lock that every bundle has."""
    machine = _machine()
    return f"linux/{next((name for name, other in _MACHINES.items() if other == machine), machine)}"


def _machine() -> str:
    machine = this_machine().lower()
    return _MACHINES.get(machine, machine)


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
