"""Which file says what a project needs, and who reads it."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ConfigError
from ...runtime.service.bundlefile import PythonOptions
from .environment import Environment
from .needs import Needs
from .readers.pyproject import has_dependencies

LOCKS = ("uv.lock", "pylock.toml", "poetry.lock")
REQUIREMENTS = "requirements.txt"
PYPROJECT = "pyproject.toml"
CONDA = ("environment.yml", "environment.yaml")
_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")


def source_file(project: Path, options: PythonOptions) -> Path | None:
    """The file that counts; None: there is none, so imports tell.

    The one that the bundlefile names; else the first of a lock (`uv.lock`, `pylock.toml`, `poetry.lock`),
    `requirements.txt`, `pyproject.toml` with dependencies, `environment.yml`.

    Raises:
        ConfigError: the named file does not exist, or is of a kind that is not known.
    """
    if options.requirements:
        path = project / options.requirements
        if not path.is_file():
            raise ConfigError(f"python.requirements: there is no file {path}")
        return path
    return next(iter(_present(project)), None)


def _present(project: Path) -> list[Path]:
    """All files that could tell, the one that does first."""
    found = [project / name for name in (*LOCKS, REQUIREMENTS) if (project / name).is_file()]
    found += [project / PYPROJECT] if has_dependencies(project / PYPROJECT) else []
    return found + [project / name for name in CONDA if (project / name).is_file()]


def read_source(file: Path, project: Path, options: PythonOptions, where: Environment) -> Needs:
    """
    Args:
        file: as `source_file` found it.
        project: no included file outside of this folder is read.
        options: extras and groups.
        where: what it is read for: a lock has another part for each platform and Python.

    Raises:
        BuildError: the file is damaged, not for that Python, or asks for what no other machine could get.
        ConfigError: extras or groups that the file does not have, or none can have.
    """
    name = file.name
    chosen = {"extras": options.extras, "groups": options.groups}
    if name == "uv.lock":
        from .readers.uv_lock import read_uv_lock as read
    elif _PYLOCK.fullmatch(name):
        from .readers.pylock import read_pylock as read
    elif name == "poetry.lock":
        from .readers.poetry_lock import read_poetry_lock as read
    elif name == PYPROJECT:
        from .readers.pyproject import read_pyproject as read
    else:
        _refuse_choice(name, options)
        if file.suffix in {".yml", ".yaml"}:
            from .readers.conda import read_conda

            needs = read_conda(file, where)
        else:
            from .readers.requirements_txt import read_requirements_txt

            needs = read_requirements_txt(file, project)
        return _with_others(needs, file, project, options)
    return _with_others(read(file, where, **chosen), file, project, options)


def _refuse_choice(name: str, options: PythonOptions) -> None:
    for key, names in (("extras", options.extras), ("groups", options.groups)):
        if names:
            raise ConfigError(
                f"python.{key}: {name} has none; name a pyproject.toml or a lock: python.requirements"
            )


def _with_others(needs: Needs, file: Path, project: Path, options: PythonOptions) -> Needs:
    """Says which files are there besides, when nobody chose."""
    # A lock belongs to its pyproject.toml, so naming that one would say nothing.
    pair = {PYPROJECT} if file.name in LOCKS else set()
    others = (
        [] if options.requirements else [path.name for path in _present(project)[1:] if path.name not in pair]
    )
    if others:
        needs.notes.append(
            f"requirements are read from {file.name}, not from {', '.join(others)}: "
            f"python: {{requirements: {others[0]}}} in bundlefile.yaml chooses that"
        )
    return needs
