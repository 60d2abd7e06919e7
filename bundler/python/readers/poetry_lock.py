"""`poetry.lock` of Poetry 1.x and 2.x, with the roots that `pyproject.toml` names.

https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock; the format has no published
specification: keys are those that Poetry writes as lock-version 1.1 to 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ....errors import BuildError, ConfigError
from ....runtime.service.options import nearest
from ..environment import Environment
from ..indexes import without_password
from ..line import has_password, name_of
from ..lockfile import Locked
from ..needs import Local, Needs, canonical
from ..toml import read_toml, rows, table
from .pyproject import chosen, group_lines, own_package

Package = dict[str, Any]
_PYPI = {"", "https://pypi.org/simple", "https://pypi.org"}


def read_poetry_lock(
    path: Path, where: Environment, *, extras: Sequence[str], groups: Sequence[str]
) -> Needs:
    """
    Args:
        path: `poetry.lock`, beside its `pyproject.toml`.
        where: what it is read for.
        extras: of the project, to take along.
        groups: of the project, to take along besides the main one.

    Raises:
        BuildError: no pyproject.toml beside it, a lock for another Python, or a package that it lacks.
        ConfigError: no such extra or group.
    """
    beside = path.parent / "pyproject.toml"
    if not beside.is_file():
        raise BuildError(
            f"{path.name} has no pyproject.toml beside it, which says what the project needs itself"
        )
    document, project = read_toml(path), read_toml(beside)
    metadata = table(document.get("metadata"))
    if "lock-version" not in metadata:
        raise BuildError(f"{path.name} has no lock-version: poetry lock writes it anew")
    if metadata.get("python-versions"):
        where.check_python(_pep440(str(metadata["python-versions"])), path.name)
    packages: dict[str, list[Package]] = {}
    for package in rows(document.get("package")):
        packages.setdefault(canonical(str(package["name"])), []).append(package)
    old_files = {canonical(name): files for name, files in table(metadata.get("files")).items()}
    needs = Needs(source=path.name + chosen(extras, groups))
    pending: list[tuple[str, tuple[str, ...]]] = list(_roots(project, where, groups, path.name))
    pending += [(name_of(str(line)), ()) for line in _of_extras(document, project, extras, path.name)]
    seen: dict[str, set[str]] = {}
    while pending:
        name, wanted = pending.pop()
        package = _package(packages.get(name, []), name, where, extras)
        if name not in seen:
            seen[name] = set()
            pending += _dependencies(table(package.get("dependencies")), where, optional=False)
            _add(needs, package, path, old_files.get(name, []))
        for extra in {canonical(each) for each in wanted} - seen[name]:
            seen[name].add(extra)
            tables = {canonical(each): lines for each, lines in table(package.get("extras")).items()}
            names = {name_of(str(line)) for line in tables.get(extra, [])}
            more = _dependencies(table(package.get("dependencies")), where, optional=True, extra=extra)
            pending += [(each, more_extras) for each, more_extras in more if each in names]
    needs.locals += own_package(beside, project)
    needs.wanted.sort(key=lambda wanted: wanted.text)
    return needs


def _roots(
    project: dict[str, Any], where: Environment, groups: Sequence[str], name: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and extras of what the project needs itself."""
    poetry = table(table(project.get("tool")).get("poetry"))
    lines = list(table(project.get("project")).get("dependencies", []))
    yield from _dependencies(table(poetry.get("dependencies")), where, optional=False)
    tables = {canonical(each): value for each, value in table(poetry.get("group")).items()}
    if "dev-dependencies" in poetry:
        tables.setdefault("dev", {"dependencies": poetry["dev-dependencies"]})
    standard = {canonical(each): value for each, value in table(project.get("dependency-groups")).items()}
    for group in groups:
        if canonical(group) in tables:
            yield from _dependencies(
                table(tables[canonical(group)].get("dependencies")), where, optional=True
            )
        elif canonical(group) in standard:
            lines += group_lines(standard, group, "pyproject.toml")
        else:
            have = [*tables, *standard]
            raise ConfigError(
                f"{name} has no group {group!r}{nearest(group, have)} (has: {', '.join(have) or 'none'})"
            )
    for line in lines:
        yield from _line(str(line), where)


def _line(line: str, where: Environment) -> Iterator[tuple[str, tuple[str, ...]]]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
    except InvalidRequirement as error:
        raise BuildError(f"pyproject.toml: {line!r} is no requirement: {error}") from error
    if where.holds(str(wanted.marker or "")):
        yield canonical(wanted.name), tuple(wanted.extras)


def _of_extras(
    document: dict[str, Any], project: dict[str, Any], extras: Sequence[str], name: str
) -> Iterator[str]:
    known = {canonical(each): lines for each, lines in table(document.get("extras")).items()}
    standard = table(table(project.get("project")).get("optional-dependencies"))
    known = {**{canonical(each): lines for each, lines in standard.items()}, **known}
    for extra in extras:
        if canonical(extra) not in known:
            raise ConfigError(
                f"{name} has no extra {extra!r}{nearest(extra, list(known))} "
                f"(has: {', '.join(known) or 'none'})"
            )
        yield from known[canonical(extra)]


def _dependencies(
    edges: dict[str, Any], where: Environment, *, optional: bool, extra: str = ""
) -> list[tuple[str, tuple[str, ...]]]:
    """Those that hold there; `optional` ones only when asked for."""
    found = []
    for name, value in edges.items():
        if name.lower() == "python":
            continue
        for row in value if isinstance(value, list) else [value]:
            edge = row if isinstance(row, dict) else {}
            if edge.get("optional") and not optional:
                continue
            if not where.holds(str(edge.get("markers", "")), extra=extra) or not _python_fits(
                str(edge.get("python", "")), where
            ):
                continue
            found.append((canonical(name), tuple(map(str, edge.get("extras", [])))))
    return found


def _package(candidates: Sequence[Package], name: str, where: Environment, extras: Sequence[str]) -> Package:
    """The one for that Python and platform; of several, the newest."""
    from packaging.version import InvalidVersion, Version

    fits = [
        each
        for each in candidates
        if _python_fits(str(each.get("python-versions", "")), where)
        and _marked(each.get("markers"), where, extras)
    ]
    if not fits:
        raise BuildError(
            f"poetry.lock needs {name} and has none for Python {where.python}: poetry lock writes it anew"
        )
    try:
        return max(fits, key=lambda each: Version(str(each.get("version", "0"))))
    except InvalidVersion:
        return fits[0]


def _marked(markers: Any, where: Environment, extras: Sequence[str]) -> bool:
    each = (
        list(markers.values()) if isinstance(markers, dict) else [markers or ""]
    )  # a map: one for each group
    return any(where.holds(str(marker), extra=extra) for marker in each for extra in ("", *extras))


def _python_fits(versions: str, where: Environment) -> bool:
    if versions in {"", "*"}:
        return True
    try:
        where.check_python(_pep440(versions), "")
    except BuildError:
        return False
    return True


def _pep440(versions: str) -> str:
    """`>=3.10,<4.0` of Poetry's `^3.10`; other forms as they are."""
    parts = []
    for each in versions.split(","):
        text = each.strip()
        numbers = text[1:].split(".")
        if text[:1] == "^" and numbers[0].isdecimal():
            parts.append(f">={text[1:]},<{int(numbers[0]) + 1}")
        elif text[:1] == "~" and text[:2] != "~=" and len(numbers) > 1 and numbers[1].isdecimal():
            parts.append(f">={text[1:]},<{numbers[0]}.{int(numbers[1]) + 1}")
        elif text != "*":
            parts.append(text)
    return ",".join(parts)


def _add(needs: Needs, package: Package, path: Path, old_files: Any) -> None:
    name, version = canonical(str(package["name"])), str(package["version"])
    source = table(package.get("source"))
    kind, url = str(source.get("type", "")), str(source.get("url", ""))
    hashes = tuple(
        str(file.get("hash", "")).removeprefix("sha256:")
        for file in rows(package.get("files")) or rows(old_files)
        if str(file.get("hash", "")).startswith("sha256:")
    )
    if has_password(url):
        raise BuildError(
            f"{path.name}: the address of {name} carries a password; bundles are shared, so remove it"
        )
    folder = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
    if kind == "git":
        commit = source.get("resolved_reference") or source.get("reference")
        needs.pin(Locked(name=name, url=f"git+{url}@{commit}{folder}"), path.name)
    elif kind == "url":
        needs.pin(Locked(name=name, url=url + folder, hashes=hashes), path.name)
    elif kind in {"directory", "file"}:
        place = (path.parent / url / str(source.get("subdirectory", ""))).resolve()
        needs.locals.append(Local(place, path.name, name=name))
    else:
        index = without_password(url).rstrip("/")
        if index not in _PYPI:
            line = f"--extra-index-url {index}"
            needs.options += [line] if line not in needs.options else []
        needs.pin(Locked(name=name, version=version, hashes=hashes), path.name)
