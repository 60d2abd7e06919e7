"""Modules beside a notebook that its code imports: they go along as source."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import BuildError
from ...runtime.model.versions import modules_of_distributions
from ..snapshot import list_sources

Imports = Sequence[tuple[int, str]]
"""How many dots before, and the dotted name."""
_INSTALLED = {"site-packages", "dist-packages"}


def local_modules(
    modules: Imports, folders: Sequence[Path], *, exclude: Sequence[str] = ()
) -> tuple[dict[str, Path], Imports]:
    """
    Args:
        modules: what the code imports.
        folders: where Python looks first: the notebook's, then others that are no installed ones.
        exclude: patterns of files of packages that stay behind.

    Returns:
        Path in the bundle's source to the file, and what these modules import besides one another.

    Raises:
        BuildError: a relative import, a module that is no Python, links in a package that cannot go along.
    """
    files: dict[str, Path] = {}
    others: list[tuple[int, str]] = []
    waiting = list(modules)
    done: set[str] = set()
    while waiting:
        level, name = waiting.pop()
        top = name.partition(".")[0]
        if level:
            raise BuildError(
                f"from {'.' * level}{name.lstrip('.')} import …: cells and scripts are in no package; "
                "write the name"
            )
        if top in done:
            continue
        done.add(top)
        found = _find(top, folders, exclude)
        files |= found
        inner = [each for path, file in found.items() if path.endswith(".py") for each in imports_of(file)]
        waiting += inner
        others += inner
    return files, tuple(dict.fromkeys(others))


def imports_of(file: Path) -> Iterator[tuple[int, str]]:
    """What a module imports from outside its package.

    Raises:
        BuildError: it is no Python.
    """
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        raise BuildError(f"{file}: not Python: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield 0, node.module


def session_folders() -> list[Path]:
    """Where this process looks for modules that nobody installed, in its order."""
    roots = [Path(sys.prefix), Path(sys.base_prefix)]
    found = []
    for entry in sys.path:
        folder = Path(entry or os.getcwd()).absolute()  # noqa: PTH109 - as Python reads it
        if folder.is_dir() and not _INSTALLED.intersection(folder.parts):
            inside = any(
                folder.is_relative_to(root / "lib") or folder.is_relative_to(root / "bin") for root in roots
            )
            found += [] if inside else [folder]
    return list(dict.fromkeys(found))


def _find(top: str, folders: Sequence[Path], exclude: Sequence[str]) -> dict[str, Path]:
    if top in sys.builtin_module_names or top == __name__.partition(".")[0]:
        return {}  # tiffin itself is a wheel of the bundle, wherever it runs from
    for number, folder in enumerate(folders):
        package, module = folder / top, folder / f"{top}.py"
        if number and (package.is_dir() or module.is_file()) and top in modules_of_distributions():
            return {}  # an editable install, which is a distribution
        if (package / "__init__.py").is_file():
            return {each.path: each.source for each in list_sources(package, exclude=exclude, at=top)}
        if module.is_file():
            return {f"{top}.py": module}
        if package.is_dir() and any(package.glob("*.py")):
            return {each.path: each.source for each in list_sources(package, exclude=exclude, at=top)}
    return {}
