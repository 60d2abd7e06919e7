"""`env/python/requirements.lock`: every package with its version and the hashes of its files, made by `uv`.

https://docs.astral.sh/uv/pip/compile/. A lock is for one platform: which packages there are, and which
versions have files, differs; so a bundle has one more, `requirements.linux-arm64.lock`, for each other
platform that is asked for. What another tool locked stays as it is, hashes included. Versions that are
installed here are preferred for the rest, because the service was checked with them. The result is kept in
`<home>/cache/locks` by everything that it depends on, so that nothing is asked of the network when nothing
changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...errors import BuildError
from ...runtime.home import home
from .conflict import culprits, opposed, refused
from .environment import Environment
from .indexes import config_text, index_flags
from .installed import installed, public_version
from .line import name_of
from .lockfile import read_lock, with_hashes, with_names
from .needs import Index, Needs, canonical
from .requirements import Collected
from .uv import MISSING, find_uv, reason, run_uv, unreached
from .wheel import Wheel

log = logging.getLogger(__name__)

_WAY_OUT = (
    "Mend the requirements, or build without a lock: --no-lock, or python: {lock: false} in bundlefile.yaml."
)
_RECIPE = "3"
"""Changes when the same inputs give another lock."""
_IN, _OUT, _PROJECT, _WHEELS = "requirements.in", "requirements.lock", "pyproject.toml", "wheels"
_INDEX_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


class Lock(NamedTuple):
    """A lock, or why there is none."""

    text: str
    """Empty when there is none."""
    reason: str = ""


class _Kept(msgspec.Struct):
    """An entry of the cache."""

    text: str
    installed: dict[str, str]
    """Version here of each package that it names, as it was then; empty: not installed."""


def make_lock(
    collected: Collected,
    where: Environment,
    *,
    needs: Needs | None = None,
    wheels: Sequence[Wheel] = (),
    platform: str = "",
    required: bool = False,
) -> Lock:
    """Resolves requirements for Linux.

    Only where nobody can be asked, without uv or a network, there may be no lock: what an index answers
    is final. What uv has in its cache counts as asked.

    Args:
        collected: what is asked for.
        where: what it is for.
        needs: indexes, and what is kept of another tool's lock.
        wheels: of the packages that no index has.
        platform: for messages, when it is not this machine's.
        required: an error, in place of no lock.

    Raises:
        BuildError: requirements exclude each other, or there is no such package; or `required`, and there is
            no `uv` or no index could be reached.
    """
    needs = needs or Needs()
    uv = find_uv()
    if uv is None:
        return _without(MISSING, collected, where, required=required, platform=platform)
    cached = home() / "cache" / "locks" / f"{_key(collected.text, where, needs, wheels)}.json"
    if (kept := _read(cached)) is not None:
        return Lock(kept)
    with tempfile.TemporaryDirectory(prefix="tiffin-lock-") as name:
        folder = Path(name)
        _write_inputs(folder, collected.text, needs, wheels)
        try:
            made = _compile(uv, folder, where, needs.indexes)
            if isinstance(made, str) and unreached(made):
                kept_by_uv = _compile(uv, folder, where, needs.indexes, offline=True)
                made = kept_by_uv if isinstance(kept_by_uv, Lock) else made
        except subprocess.TimeoutExpired as error:
            why = f"uv took more than {error.timeout:.0f} s"
            return _without(why, collected, where, required=required, platform=platform)
    if isinstance(made, str) and unreached(made):
        return _without(reason(made), collected, where, required=required, platform=platform)
    if isinstance(made, str):
        sentence = (
            opposed(collected.wanted, where)
            or refused(made, needs.indexes)
            or culprits(made, collected.wanted, where)
        )
        raise BuildError(_explained(sentence, platform, words=made))
    text = _options(needs) + with_hashes(with_names(made.text, wheels), needs.pinned)
    _keep(cached, text)
    return Lock(text)


def _write_inputs(folder: Path, requirements: str, needs: Needs, wheels: Sequence[Wheel]) -> None:
    (folder / _WHEELS).mkdir()
    for wheel in wheels:
        (folder / _WHEELS / wheel.name).write_bytes(wheel.data)
    routed = [line for line in requirements.splitlines() if name_of(line) in needs.routed]
    rest = [line for line in requirements.splitlines() if line not in routed]
    (folder / _IN).write_text("".join(f"{line}\n" for line in rest), encoding="utf-8")
    (folder / _OUT).write_text(_installed(), encoding="utf-8")  # uv keeps the versions that it finds here
    if routed:
        (folder / _PROJECT).write_text(_project(routed, needs), encoding="utf-8")


def _project(routed: Sequence[str], needs: Needs) -> str:
    """Which index a package is from can only be said in a pyproject.toml."""
    lines = ["[project]", 'name = "bundle"', 'version = "0"']
    lines.append(f"dependencies = {json.dumps(list(routed))}")
    for index in needs.indexes:
        lines += ["[[tool.uv.index]]", f"name = {json.dumps(index.name)}", f"url = {json.dumps(index.url)}"]
        lines += ["default = true"] if index.default else []
        lines += ["explicit = true"] if index.explicit else []
    lines.append("[tool.uv.sources]")
    lines += [
        f"{json.dumps(name)} = {{ index = {json.dumps(index)} }}" for name, index in needs.routed.items()
    ]
    return "".join(f"{line}\n" for line in lines)


def _compile(
    uv: str, folder: Path, where: Environment, indexes: Sequence[Index], *, offline: bool = False
) -> Lock | str:
    """The lock, or what uv said."""
    inputs = [_IN, *([_PROJECT] if (folder / _PROJECT).exists() else [])]
    command = [uv, "pip", "compile", *inputs, "--output-file", _OUT, "--generate-hashes"]
    command += [*index_flags(indexes), "--no-header", "--no-annotate", "--quiet", "--no-python-downloads"]
    command += ["--python-version", where.python, "--python-platform", f"{where.machine}-manylinux_2_28"]
    # Offline is common here and a lock is not vital: do not spend ten seconds on finding out.
    environment = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "15", **os.environ, "NO_COLOR": "1"}
    if offline:
        environment["UV_OFFLINE"] = "1"
    done = run_uv(command, cwd=folder, environment=environment)
    if done.returncode != 0:
        log.debug("uv failed: %s", done.stderr)
        return done.stderr
    return Lock((folder / _OUT).read_text(encoding="utf-8"))


def _options(needs: Needs) -> str:
    """Where the packages are: the hashes are those of the files there, and who installs the lock has nothing
    else. Indexes of this machine's environment are not among them: they may hold passwords."""
    lines = [*needs.options]
    lines += [f"--{'index' if index.default else 'extra-index'}-url {index.url}" for index in needs.indexes]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _explained(sentence: str, platform: str, *, words: str = "") -> str:
    """Of an error: the culprits, the way out, then uv's own words."""
    there = f" for {platform}" if platform else ""
    first = f"{sentence}, so nothing can be installed" if sentence else "the requirements cannot be locked"
    said = "".join(f"\n  {line}" for line in words.strip().splitlines())
    return f"{first}{there}\n{_WAY_OUT}" + (f"\nuv says:{said}" if said else "")


def _without(
    why: str, collected: Collected, where: Environment, *, required: bool, platform: str = ""
) -> Lock:
    """No lock, unless it is plain without asking anybody that there can be none."""
    if sentence := opposed(collected.wanted, where):
        raise BuildError(_explained(sentence, platform))
    if required:
        there = f" for {platform}" if platform else ""
        raise BuildError(f"the requirements could not be locked{there}: {why}")
    return Lock("", why)


def _installed() -> str:
    """What is installed here, as pins; without the local part (`+cpu`), which indexes do not have."""
    pins = set()
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            pins.add(f"{canonical(name)}=={public_version(distribution.version)}\n")
    return "".join(sorted(pins))


def _key(requirements: str, where: Environment, needs: Needs, wheels: Sequence[Wheel]) -> str:
    parts = [_RECIPE, requirements, where.python, where.machine, config_text(needs.indexes)]
    parts += [f"{name}={os.environ.get(name, '')}" for name in _INDEX_VARIABLES]
    parts += [f"{index.name} {index.explicit}" for index in needs.indexes]
    parts += [f"{name} {index}" for name, index in sorted(needs.routed.items())]
    parts += [str(msgspec.to_builtins(needs.pinned[name])) for name in sorted(needs.pinned)]
    parts += [f"{wheel.name} {wheel.sha256}" for wheel in wheels]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read(path: Path) -> str | None:
    """A lock that is still right: the environment matters as far as the lock names its packages."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
    return kept.text if kept.installed == _versions(kept.installed) else None


def _versions(names: Sequence[str] | dict[str, str]) -> dict[str, str]:
    found = {name: installed(name) for name in names}
    return {name: each.version if each is not None else "" for name, each in found.items()}


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = _Kept(text, _versions([package.name for package in read_lock(text)]))
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(entry))
    Path(name).replace(path)
