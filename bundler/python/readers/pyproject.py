"""`pyproject.toml`: `[project]`, its extras, `[dependency-groups]` (PEP 735), and uv's sources and indexes.

https://packaging.python.org/en/latest/specifications/pyproject-toml/,
https://packaging.python.org/en/latest/specifications/dependency-groups/,
https://docs.astral.sh/uv/concepts/projects/dependencies/#dependency-sources
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....errors import BuildError, ConfigError
from ....runtime.service.options import nearest
from ..environment import Environment
from ..indexes import index_of
from ..line import has_password, name_of, read_line
from ..lines import place, toml_line
from ..needs import Local, Needs, Wanted, canonical
from ..toml import read_toml, rows, table, texts
from .requirements_txt import read_requirements_txt


def has_dependencies(path: Path) -> bool:
    """Whether the file says what its project needs; many only configure tools."""
    if not path.is_file():
        return False
    document = read_toml(path)
    project = table(document.get("project"))
    return "dependencies" in project or "dependencies" in project.get("dynamic", [])


def read_pyproject(path: Path, where: Environment, *, extras: Sequence[str], groups: Sequence[str]) -> Needs:
    """
    Args:
        path: the file.
        where: what it is read for.
        extras: of `[project.optional-dependencies]`.
        groups: of `[dependency-groups]`.

    Raises:
        BuildError: a requirement that nobody could follow, or dependencies that only a build backend knows.
        ConfigError: an unknown extra or group, or one that includes itself.
    """
    document = read_toml(path)
    project = table(document.get("project"))
    if "requires-python" in project:
        where.check_python(str(project["requires-python"]), f"{path.name} (requires-python)")
    needs = Needs(source=path.name + chosen(extras, groups))
    needs.indexes = read_indexes(document, path.name)
    text = path.read_text(encoding="utf-8")
    own_lines = texts(project.get("dependencies", []), f"{path.name} [project] dependencies")
    lines = [(line, place(path.name, toml_line(text, line, "[project]"))) for line in own_lines]
    if "dependencies" in project.get("dynamic", []):
        needs.add(_dynamic(document, path))
    optional = {canonical(name): lines for name, lines in table(project.get("optional-dependencies")).items()}
    for extra in extras:
        found = _choose(optional, extra, f"{path.name} has no extra")
        for line in texts(found, f"{path.name} extra {extra}"):
            number = toml_line(text, line, "[project.optional-dependencies]")
            lines.append((line, place(path.name, number, f"extra {extra}")))
    own = canonical(str(project.get("name", "")))
    tables = {canonical(name): each for name, each in table(document.get("dependency-groups")).items()}
    for group in groups:
        for line in group_lines(tables, group, path.name):
            number = toml_line(text, line, "[dependency-groups]")
            lines.append((line, place(path.name, number, f"group {group}")))
    sources = {
        canonical(name): source
        for name, source in table(table(table(document.get("tool")).get("uv")).get("sources")).items()
    }
    pending = list(lines)
    seen: set[str] = set()
    while pending:
        line, said = pending.pop(0)
        if line in seen:
            continue
        seen.add(line)
        if own and name_of(line) == own:  # an extra that stands for others of the same project
            for extra in _extras(line):
                for each in optional.get(extra, []):
                    number = toml_line(text, each, "[project.optional-dependencies]")
                    pending.append((each, place(path.name, number, f"extra {extra}")))
            continue
        source = _source(sources.get(name_of(line)), where)
        needs.add(_sourced(line, source, said, path.parent) if source else read_line(line, said, path.parent))
    needs.locals += own_package(path, document)
    return needs


def own_package(path: Path, document: dict[str, Any]) -> list[Local]:
    """The project's own package, when it lies in `src/`, where only an installation finds it.

    Args:
        path: the pyproject.toml.
        document: its content.
    """
    if "build-system" not in document or not (path.parent / "src").is_dir():
        return []
    poetry = table(table(document.get("tool")).get("poetry"))
    name = str(table(document.get("project")).get("name") or poetry.get("name") or "")
    own = poetry.get("package-mode", True) and name
    return [Local(path.parent.resolve(), path.name, name=canonical(name), editable=True)] if own else []


def chosen(extras: Sequence[str], groups: Sequence[str]) -> str:
    """` (extra gpu, group serve)`"""
    words = [f"extra {extra}" for extra in extras] + [f"group {group}" for group in groups]
    return f" ({', '.join(words)})" if words else ""


def read_indexes(document: dict[str, Any], name: str) -> list[Any]:
    """`[[tool.uv.index]]`.

    Raises:
        BuildError: an address with a password.
    """
    indexes = []
    for row in rows(table(table(document.get("tool")).get("uv")).get("index")):
        url = str(row.get("url", ""))
        if has_password(url):
            raise BuildError(
                f"{name}: index {row.get('name', '')!r} carries a password in its address: remove it and set "
                "UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD in the environment"
            )
        indexes.append(
            index_of(
                str(row.get("name", "")),
                url,
                default=bool(row.get("default")),
                explicit=bool(row.get("explicit")),
            )
        )
    return indexes


def group_lines(groups: dict[str, Any], name: str, where: str, including: tuple[str, ...] = ()) -> list[str]:
    """Lines of a dependency group with those that it includes.

    Args:
        groups: canonical name to the list under it.
        name: the group.
        where: name of the file.
        including: groups that are being read.

    Raises:
        ConfigError: no such group, or one that includes itself.
    """
    if canonical(name) in including:
        raise ConfigError(f"{where}: group {name} includes itself")
    lines: list[str] = []
    for each in _choose(groups, name, f"{where} has no group"):
        if isinstance(each, dict):
            included = str(each.get("include-group", ""))
            lines += group_lines(groups, included, where, (*including, canonical(name)))
        else:
            lines.append(str(each))
    return lines


def _choose(tables: dict[str, Any], name: str, missing: str) -> list[Any]:
    found = tables.get(canonical(name))
    if not isinstance(found, list):
        raise ConfigError(
            f"{missing} {name!r}{nearest(name, list(tables))} (has: {', '.join(tables) or 'none'})"
        )
    return found


def _extras(line: str) -> list[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return sorted(canonical(extra) for extra in Requirement(line).extras)
    except InvalidRequirement:
        return []


def _dynamic(document: dict[str, Any], path: Path) -> Needs:
    """setuptools reads them from files; what other backends do, only they know."""
    dynamic = table(
        table(table(table(document.get("tool")).get("setuptools")).get("dynamic")).get("dependencies")
    )
    files = dynamic.get("file")
    if not files:
        raise BuildError(
            f"{path}: dependencies are dynamic, so only the build backend knows them: "
            "write them to requirements.txt, or lock the project (uv lock)"
        )
    needs = Needs()
    for name in [files] if isinstance(files, str) else files:
        needs.add(read_requirements_txt(path.parent / name, path.parent))
    return needs


def _source(source: Any, where: Environment) -> dict[str, Any]:
    """The source of a package that is right there."""
    for row in [source] if isinstance(source, dict) else rows(source):
        if where.holds(str(row.get("marker", ""))):
            return row
    return {}


def _sourced(line: str, source: dict[str, Any], said: str, folder: Path) -> Needs:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
    except InvalidRequirement as error:
        raise BuildError(f"{said}: {line!r} is no requirement: {error}") from error
    name = canonical(wanted.name)
    marker = f" ; {wanted.marker}" if wanted.marker else ""
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    if "index" in source:
        return Needs(wanted=[Wanted(line, said)], routed={name: str(source["index"])})
    if "git" in source:
        reference = source.get("rev") or source.get("tag") or source.get("branch") or ""
        address = f"git+{source['git']}" + (f"@{reference}" if reference else "")
        address += f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        return read_line(f"{name}{extras} @ {address}{marker}", said, folder)
    if "url" in source:
        return read_line(f"{name}{extras} @ {source['url']}{marker}", said, folder)
    if "path" in source:
        path = (folder / str(source["path"])).resolve()
        if not path.exists():
            raise BuildError(f"{said}: there is no {path}")
        return Needs(
            locals=[
                Local(
                    path,
                    said,
                    name=name,
                    extras=tuple(sorted(wanted.extras)),
                    marker=str(wanted.marker or ""),
                    editable=bool(source.get("editable")),
                )
            ]
        )
    if source.get("workspace"):
        raise BuildError(f"{said}: {name} is a member of a workspace: run uv lock, whose uv.lock is read")
    raise BuildError(f"{said}: the source of {name} in [tool.uv.sources] is not understood")
