"""`environment.yml` of conda: names become those of PyPI, and what has no counterpart there is said.

https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/manage-environments.html,
https://docs.conda.io/projects/conda/en/latest/dev-guide/api/conda/models/match_spec/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import yaml

from ....errors import BuildError
from ..environment import Environment
from ..line import read_line
from ..lines import place, yaml_lines
from ..needs import Needs, Wanted
from .conda_names import IGNORED, NATIVE, NATIVE_PREFIXES, PYPI_NAMES
from .requirements_txt import read_requirements_txt

_SPEC = re.compile(r"(?:[\w./:+-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<rest>.*)")
_BRACKETS = re.compile(r"""version\s*=\s*(?:'([^']*)'|"([^"]*)"|([^,\]\s]+))""")
_VERSION = r"\d[\w.!+]*(?:\.\*)?\*?"
_CLAUSE = re.compile(rf"(?P<op>==|>=|<=|!=|~=|=|>|<|)(?P<version>{_VERSION})")
_PINNED_BUILD = re.compile(rf"={{1,2}}\s*(?P<version>{_VERSION})\s*=\s*\S+")
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(.+)")


def read_conda(path: Path, where: Environment) -> Needs:
    """
    Args:
        path: `environment.yml`.
        where: what it is read for; another `python` in the file is said.

    Raises:
        BuildError: no file of conda, or a requirement that cannot be told in pip's words.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BuildError(f"{path} is not YAML: {error}") from error
    entries = document.get("dependencies") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise BuildError(f"{path} has no list of dependencies")
    needs = Needs(source=path.name)
    absent: list[str] = []
    lines = yaml_lines(text, "dependencies") or repeat(0)
    for entry, line in zip(entries, lines, strict=False):
        if isinstance(entry, dict):
            needs.add(_pip(entry.get("pip"), path, line if isinstance(line, list) else []))
        elif isinstance(entry, str):
            said = place(path.name, line if isinstance(line, int) else 0)
            _add(needs, entry.strip(), said, path, where, absent)
    if absent:
        needs.notes.append(
            f"{path.name}: what has no counterpart on PyPI stays out: {', '.join(sorted(absent))}; libraries "
            "of the system are named in image: {system_packages: […]}"
        )
    return needs


def _pip(lines: Any, path: Path, numbers: Sequence[int]) -> Needs:
    needs = Needs(source=path.name)
    for line, number in zip(lines if isinstance(lines, list) else [], numbers or repeat(0), strict=False):
        text = " ".join(str(line).split())
        if included := _INCLUDE.fullmatch(text):
            needs.add(read_requirements_txt(path.parent / included[1], path.parent, (path.resolve(),)))
        else:
            needs.add(read_line(text, place(path.name, number), path.parent))
    return needs


def _add(  # noqa: PLR0917 - one caller
    needs: Needs, entry: str, said: str, path: Path, where: Environment, absent: list[str]
) -> None:
    found = _SPEC.fullmatch(entry)
    if found is None:
        raise BuildError(f"{said}: {entry!r} is no requirement of conda")
    name = found["name"].lower()
    if name == "python":
        _check_python(needs, entry, path, where)
        return
    if name in IGNORED:
        return
    if name not in PYPI_NAMES and (name in NATIVE or name.startswith(NATIVE_PREFIXES)):
        absent.append(name)
        return
    specifier = pip_specifier(found["rest"])
    if specifier is None:
        raise BuildError(
            f"{said}: {entry!r} has no form in pip's words: write the requirement under `- pip:`, "
            "or name a requirements.txt in bundlefile.yaml: python: {requirements: …}"
        )
    needs.wanted.append(Wanted(f"{PYPI_NAMES.get(name, name)}{specifier}", said))


def pip_specifier(text: str) -> str | None:
    """A version as pip says it, `==1.2.*` of conda's `=1.2`.

    Args:
        text: what stands behind the name: `>=1.2,<2`, `=1.2=py39_0`, ` 1.2.*`, `[version='>=1']`.

    Returns:
        Empty: any version; None: there is no such form (`1.0|1.2`).
    """
    text = text.strip()
    if text.startswith("["):
        inside = _BRACKETS.search(text)
        text = next((part for part in inside.groups() if part is not None), "") if inside else ""
    if text in {"", "*"}:
        return ""
    if found := _PINNED_BUILD.fullmatch(text):
        return f"=={found['version'].rstrip('*').rstrip('.')}"
    if re.fullmatch(rf"={{0,2}}{_VERSION}\s+\w+", text):  # `1.2 py39_0`, with a build
        text = text.partition(" ")[0]
    clauses = []
    for part in text.split(","):
        clause = _CLAUSE.fullmatch(part.strip().replace(" ", ""))
        if clause is None:
            return None
        operator, version = clause["op"], clause["version"].rstrip("*").rstrip(".")
        starred = clause["version"].endswith("*")
        if operator == "=" or (operator in {"", "=="} and starred):
            clauses.append(f"=={version}.*")
        elif operator == "!=" and starred:
            clauses.append(f"!={version}.*")
        else:
            clauses.append(f"{operator or '=='}{version}")
    return ",".join(clauses)


def _check_python(needs: Needs, entry: str, path: Path, where: Environment) -> None:
    rest = _SPEC.fullmatch(entry)
    specifier = pip_specifier(rest["rest"]) if rest else None
    if not specifier:
        return
    try:
        where.check_python(specifier, path.name)
    except BuildError:
        needs.notes.append(
            f"{path.name} asks for Python {specifier} and the bundle is for {where.python}: "
            "--python chooses another"
        )
