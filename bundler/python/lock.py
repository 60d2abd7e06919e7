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
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...errors import BuildError
from ...runtime.home import home
from .conflict import culprits, opposed, refused
from .environment import Environment
from .indexes import config_text
from .installed import installed
from .lockfile import read_lock, with_hashes, with_names
from .needs import Needs
from .requirements import Collected
from .resolve import resolve, write_inputs
from .uv import MISSING, find_uv, reason, unreached
from .wheel import Wheel

_WAY_OUT = (
    "Mend the requirements, or build without a lock: --no-lock, or python: {lock: false} in bundlefile.yaml."
)
_RECIPE = "3"
"""Changes when the same inputs give another lock."""
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
        write_inputs(folder, collected.text, needs, wheels)
        try:
            made = resolve(uv, folder, where, needs.indexes)
            if unreached(made.words):
                kept_by_uv = resolve(uv, folder, where, needs.indexes, "--offline")
                made = made if kept_by_uv.words else kept_by_uv
        except subprocess.TimeoutExpired as error:
            why = f"uv took more than {error.timeout:.0f} s"
            return _without(why, collected, where, required=required, platform=platform)
    if unreached(made.words):
        return _without(reason(made.words), collected, where, required=required, platform=platform)
    if made.words:
        sentence = (
            opposed(collected.wanted, where)
            or refused(made.words, needs.indexes)
            or culprits(made.words, collected.wanted, where)
        )
        raise BuildError(_explained(sentence, platform, words=made.words))
    text = _options(needs) + with_hashes(with_names(made.text, wheels), needs.pinned)
    _keep(cached, text)
    return Lock(text)


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
