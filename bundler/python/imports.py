"""What code imports, from its source alone: https://docs.python.org/3/library/ast.html.

Only files that the service can reach count: a project also holds training scripts and tests, whose packages
no server needs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_IMPORTERS = {"import_module", "__import__"}


class Import(NamedTuple):
    """One import statement of a module that is not the project's own."""

    module: str
    """`google.cloud.storage`; for `from a import b` it is `a.b`, whether `b` is a module or not."""
    where: str
    """`service.py line 4`"""
    optional: bool
    """Whether the code is ready for its absence: in `try` with `except ImportError`, or below an `if`."""

    @property
    def top(self) -> str:
        """`google`"""
        return self.module.partition(".")[0]


def reachable_imports(source: Path, modules: Iterable[str]) -> list[Import]:
    """Follows imports from file to file; each module once, in the order of modules.

    Args:
        source: folder that is on `sys.path` when the service runs.
        modules: names of the project's own modules to begin with: the service's, and those that were imported
            by other means than a statement.
    """
    found: dict[str, Import] = {}
    pending = list(modules)
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        file = _file(source, name)
        if file is None:
            continue
        pending += [name.rpartition(".")[0]] if "." in name else []  # a package runs before what is in it
        for each in _imports(file, source, name):
            if _is_own(source, each.top):
                pending += [each.module, each.module.rpartition(".")[0]]
            elif each.module not in found or found[each.module].optional:
                found[each.module] = each
    known = sys.stdlib_module_names
    return [found[name] for name in sorted(found) if found[name].top not in known]


def _file(source: Path, module: str) -> Path | None:
    path = source.joinpath(*module.split("."))
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if module and file.is_file():
            return file
    return None


def _is_own(source: Path, top: str) -> bool:
    return bool(top) and ((source / top).is_dir() or (source / f"{top}.py").is_file())


def _imports(file: Path, source: Path, module: str) -> Iterator[Import]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # for another Python; what could be imported was imported
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    shown = file.relative_to(source).as_posix()
    for node, optional in _nodes(tree, optional=False):
        for name in _names(node, package):
            yield Import(name, f"{shown} line {getattr(node, 'lineno', 0)}", optional)


def _nodes(tree: ast.AST, *, optional: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes but those that only type checkers see, with whether they may be passed over."""
    if isinstance(tree, ast.If):
        typing_only, negated = _type_checking(tree.test)
        bodies = [*([] if typing_only and not negated else tree.body), *([] if negated else tree.orelse)]
        for child in (tree.test, *bodies):
            yield from _nodes(child, optional=optional or not typing_only)
        return
    if isinstance(tree, ast.Try) and any(map(_catches_imports, tree.handlers)):
        for child in (*tree.body, *tree.handlers):
            yield from _nodes(child, optional=True)
        for child in (*tree.orelse, *tree.finalbody):
            yield from _nodes(child, optional=optional)
        return
    yield tree, optional
    for child in ast.iter_child_nodes(tree):
        yield from _nodes(child, optional=optional)


def _type_checking(test: ast.expr) -> tuple[bool, bool]:
    """Whether a test is `TYPE_CHECKING`, and whether it is `not TYPE_CHECKING`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return (True, True) if _type_checking(test.operand)[0] else (False, False)
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING", False


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(getattr(kind, "id", getattr(kind, "attr", "")) in _IMPORT_ERRORS for kind in kinds)


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".") if package else []
            kept = parts[: len(parts) - node.level + 1]
            base = ".".join([*kept, base] if base else kept)
        for alias in node.names:
            yield base if alias.name == "*" else ".".join(filter(None, (base, alias.name)))
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        name = node.args[0].value
        if called in _IMPORTERS and isinstance(name, str) and not name.startswith("."):
            yield name
