"""`uv.lock`: what uv chose for every platform; the part for one is taken as it is.

https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ....errors import BuildError, ConfigError
from ....runtime.service.options import nearest
from ..environment import Environment
from ..indexes import without_password
from ..lockfile import Locked
from ..needs import Index, Local, Needs, canonical
from ..toml import read_toml, rows, table
from .pyproject import chosen, read_indexes

_PYPI = "https://pypi.org/simple"
_VERSION = 1
# uv writes conflicting extras and groups into markers: `extra == 'extra-4-proj-cpu'`.
_CONFLICT = re.compile(r"extra (?P<is>==|!=) '(?P<kind>extra|group|project)-\d+-(?P<name>[^']+)'")

Package = dict[str, Any]


def read_uv_lock(path: Path, where: Environment, *, extras: Sequence[str], groups: Sequence[str]) -> Needs:
    """
    Args:
        path: `uv.lock`, beside its `pyproject.toml`.
        where: what it is read for.
        extras: of the project, to take along.
        groups: dependency groups to take along; none is taken that is not named, uv's `dev` neither.

    Raises:
        BuildError: a lock of another format or for another Python, or a package that it does not hold.
        ConfigError: no such extra or group.
    """
    document = read_toml(path)
    if document.get("version") != _VERSION:
        raise BuildError(
            f"{path.name} has format {document.get('version')}, and {_VERSION} is read: uv lock renews it"
        )
    if document.get("requires-python"):
        where.check_python(str(document["requires-python"]), path.name)
    packages = rows(document.get("package"))
    root = next((each for each in packages if _folder(each) == "."), None)
    if root is None:
        raise BuildError(f"{path.name} locks no project in this folder: build in a member of the workspace")
    walk = _Walk(packages, where, str(root["name"]), extras, groups)
    for edge in _roots(root, extras, groups, path.name):
        walk.follow(edge)
    needs = Needs(source=path.name + chosen(extras, groups))
    _add_indexes(needs, walk.found, path)
    for package in sorted(walk.found, key=lambda each: str(each["name"])):
        if package is not root:
            _add(needs, package, path, sorted(walk.extras[_key(package)]))
    if "editable" in table(root.get("source")) and (path.parent / "src").is_dir():
        needs.locals.append(
            Local(path.parent.resolve(), path.name, name=canonical(str(root["name"])), editable=True)
        )
    return needs


def _roots(root: Package, extras: Sequence[str], groups: Sequence[str], name: str) -> Iterator[Package]:
    yield from rows(root.get("dependencies"))
    for kind, key, names in (
        ("extra", "optional-dependencies", extras),
        ("group", "dev-dependencies", groups),
    ):
        known = {canonical(each): edges for each, edges in table(root.get(key)).items()}
        for each in names:
            if canonical(each) not in known:
                raise ConfigError(
                    f"{name} has no {kind} {each!r}{nearest(each, list(known))} "
                    f"(has: {', '.join(known) or 'none'})"
                )
            yield from rows(known[canonical(each)])


class _Walk:
    """From the project to all that it needs there."""

    def __init__(
        self,
        packages: Sequence[Package],
        where: Environment,
        root: str,
        extras: Sequence[str],
        groups: Sequence[str],
    ) -> None:
        self.found: list[Package] = []
        self.extras: dict[str, set[str]] = {}
        self._by_name: dict[str, list[Package]] = {}
        for package in packages:
            self._by_name.setdefault(str(package["name"]), []).append(package)
        self._where = where
        self._chosen = {f"{root}-{canonical(each)}" for each in (*extras, *groups)}

    def follow(self, edge: Package) -> None:
        """Adds what an edge leads to, and all behind it."""
        pending = [edge]
        while pending:
            edge = pending.pop()
            if not self._holds(str(edge.get("marker", ""))):
                continue
            package = self._package(edge)
            key = _key(package)
            if key not in self.extras:
                self.found.append(package)
                self.extras[key] = set()
                pending += rows(package.get("dependencies"))
            for extra in set(map(str, edge.get("extra", []))) - self.extras[key]:
                self.extras[key].add(extra)
                pending += rows(table(package.get("optional-dependencies")).get(extra))

    def _package(self, edge: Package) -> Package:
        name = str(edge["name"])
        fits = [
            each
            for each in self._by_name.get(name, [])
            if edge.get("version", each.get("version")) == each.get("version")
            and edge.get("source", each.get("source")) == each.get("source")
        ]
        if len(fits) > 1:
            marked = [each for each in fits if any(map(self._holds, each.get("resolution-markers", [])))]
            fits = marked or fits
        if not fits:
            raise BuildError(
                f"uv.lock is damaged: it needs {name} and does not hold it; uv lock writes it anew"
            )
        return fits[0]

    def _holds(self, marker: str) -> bool:
        def truth(found: re.Match[str]) -> str:
            yes = (found["name"] in self._chosen) == (found["is"] == "==")
            return "python_version >= '3'" if yes else "python_version < '3'"

        return self._where.holds(_CONFLICT.sub(truth, marker))


def _add(needs: Needs, package: Package, path: Path, extras: Sequence[str]) -> None:
    name, version = canonical(str(package["name"])), str(package.get("version", ""))
    source = table(package.get("source"))
    if "virtual" in source:  # a folder of a workspace that is no package
        return
    folder = _folder(package)
    local = folder or str(source.get("path", ""))
    if local:
        needs.locals.append(
            Local(
                (path.parent / local).resolve(),
                path.name,
                name=name,
                extras=tuple(extras),
                editable="editable" in source,
            )
        )
        return
    if "git" in source:
        needs.pin(Locked(name=name, url=_git(str(source["git"]))), path.name)
        return
    hashes = tuple(
        str(file["hash"]).removeprefix("sha256:")
        for file in (*rows(package.get("wheels")), table(package.get("sdist")))
        if str(file.get("hash", "")).startswith("sha256:")
    )
    if "url" in source:
        url = str(source["url"]) + (
            f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        )
        needs.pin(Locked(name=name, url=url, hashes=hashes), path.name)
        return
    needs.pin(Locked(name=name, version=version, hashes=hashes), path.name)


def _git(address: str) -> str:
    """`git+https://…@commit` of `https://…?tag=v1#commit`."""
    address, _, commit = address.partition("#")
    address, _, query = address.partition("?")
    folder = next((part for part in query.split("&") if part.startswith("subdirectory=")), "")
    return f"git+{address}@{commit}" + (f"#{folder}" if folder else "")


def _add_indexes(needs: Needs, packages: Sequence[Package], path: Path) -> None:
    """Those of the project by name; an address that only the lock knows becomes an option."""
    beside = path.parent / "pyproject.toml"
    known = read_indexes(read_toml(beside), beside.name) if beside.is_file() else []
    by_url = {index.url.rstrip("/"): index for index in known}
    for package in packages:
        url = without_password(str(table(package.get("source")).get("registry", ""))).rstrip("/")
        if not url or url == _PYPI:
            continue
        if "://" not in url:
            raise BuildError(
                f"{path.name}: {package['name']} comes from the folder {url}, which other machines lack"
            )
        index: Index | None = by_url.get(url)
        if index is None:
            line = f"--extra-index-url {url}"
            needs.options += [line] if line not in needs.options else []
            continue
        needs.indexes += [index] if index not in needs.indexes else []
        if not index.default:
            needs.routed[canonical(str(package["name"]))] = index.name


def _folder(package: Package) -> str:
    source = table(package.get("source"))
    return str(source.get("editable") or source.get("directory") or source.get("virtual") or "")


def _key(package: Package) -> str:
    return f"{package['name']} {package.get('version', '')} {sorted(table(package.get('source')).items())}"
