"""`pylock.toml`, the lock that all tools can read: https://packaging.python.org/en/latest/specifications/pylock-toml/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....errors import BuildError, ConfigError
from ....runtime.service.options import nearest
from ..environment import Environment
from ..indexes import without_password
from ..line import has_password
from ..lockfile import Locked
from ..needs import Local, Needs, canonical
from ..toml import read_toml, rows, table
from .pyproject import chosen

_PYPI = "https://pypi.org/simple"


def read_pylock(path: Path, where: Environment, *, extras: Sequence[str], groups: Sequence[str]) -> Needs:
    """
    Args:
        path: `pylock.toml` or `pylock.<name>.toml`.
        where: what it is read for.
        extras: to take along.
        groups: to take along; empty: the lock's `default-groups`.

    Raises:
        BuildError: a newer format, another Python, an environment that it was not made for, or a package
            that has no version, source or commit.
        ConfigError: no such extra or group.
    """
    document = read_toml(path)
    if str(document.get("lock-version", "")).partition(".")[0] != "1":
        raise BuildError(f"{path.name} has lock-version {document.get('lock-version')!r}, and 1.x is read")
    if document.get("requires-python"):
        where.check_python(str(document["requires-python"]), path.name)
    _check_chosen(extras, document.get("extras"), "extra", path.name)
    _check_chosen(groups, document.get("dependency-groups"), "group", path.name)
    environments = [str(marker) for marker in document.get("environments", [])]
    if environments and not any(where.holds(marker) for marker in environments):
        raise BuildError(
            f"{path.name} was made for other environments ({'; '.join(environments)}) than Linux on "
            f"{where.machine} with Python {where.python}"
        )
    context = {
        "extras": {canonical(extra) for extra in extras},
        "dependency_groups": {canonical(group) for group in groups or document.get("default-groups", [])},
    }
    needs = Needs(source=path.name + chosen(extras, groups))
    for package in rows(document.get("packages")):
        if where.holds(str(package.get("marker", "")), chosen=context):
            _add(needs, package, path, where)
    return needs


def _check_chosen(names: Sequence[str], known: Any, kind: str, where: str) -> None:
    have = [canonical(str(name)) for name in known or []]
    for name in names:
        if canonical(name) not in have:
            raise ConfigError(
                f"{where} has no {kind} {name!r}{nearest(name, have)} (has: {', '.join(have) or 'none'})"
            )


def _add(needs: Needs, package: dict[str, Any], path: Path, where: Environment) -> None:
    name, version = canonical(str(package["name"])), str(package.get("version", ""))
    if package.get("requires-python"):
        where.check_python(str(package["requires-python"]), f"{path.name}: {name}")
    directory, vcs, archive = (table(package.get(key)) for key in ("directory", "vcs", "archive"))
    if directory or archive.get("path"):
        place = directory or archive
        folder = path.parent / str(place.get("path", "")) / str(place.get("subdirectory", ""))
        needs.locals.append(
            Local(folder.resolve(), path.name, name=name, editable=bool(place.get("editable")))
        )
        return
    if vcs:
        commit, address = str(vcs.get("commit-id", "")), str(vcs.get("url", ""))
        if not commit or not address:
            raise BuildError(f"{path.name}: {name} comes from a repository without address or commit")
        _refuse_password(address, path.name, name)
        below = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
        needs.pin(Locked(name=name, url=f"{vcs.get('type', 'git')}+{address}@{commit}{below}"), path.name)
        return
    if archive:
        address = str(archive.get("url", ""))
        _refuse_password(address, path.name, name)
        below = f"#subdirectory={archive['subdirectory']}" if archive.get("subdirectory") else ""
        needs.pin(Locked(name=name, url=address + below, hashes=_hashes([archive])), path.name)
        return
    files = [*rows(package.get("wheels")), *([table(package["sdist"])] if "sdist" in package else [])]
    if not version:
        raise BuildError(f"{path.name}: {name} has no version")
    index = without_password(str(package.get("index", ""))).rstrip("/")
    if index and index != _PYPI:
        line = f"--extra-index-url {index}"
        needs.options += [line] if line not in needs.options else []
    needs.pin(Locked(name=name, version=version, hashes=_hashes(files)), path.name)


def _hashes(files: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    found = (str(table(file.get("hashes")).get("sha256", "")) for file in files)
    return tuple(digest for digest in found if digest)


def _refuse_password(address: str, where: str, name: str) -> None:
    if has_password(address):
        raise BuildError(
            f"{where}: the address of {name} carries a password; bundles are shared, so remove it"
        )
