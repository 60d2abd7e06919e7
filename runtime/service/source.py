"""Which services a file holds, told without running it: the supervisor never imports user code."""

from __future__ import annotations

import ast
from pathlib import Path

from ...errors import ServiceDefinitionError
from .where import at

_PACKAGE = __name__.partition(".")[0]


def services_in(path: Path) -> list[str]:
    """Names of the classes with `@tiffin.service` at the top of a file, in their order.

    Raises:
        ServiceDefinitionError: the file is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ServiceDefinitionError(f"{at(str(path), line)}: not Python: {error}") from error
    names = _names_of_decorator(tree)
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and node in tree.body
        and any(_written(decorator) in names for decorator in node.decorator_list)
    ]


def _names_of_decorator(tree: ast.Module) -> set[str]:
    """How this file may write the decorator: `tiffin.service`, or under the name it was imported as."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                f"{alias.asname or alias.name}.service" for alias in node.names if alias.name == _PACKAGE
            }
        elif isinstance(node, ast.ImportFrom) and node.module == _PACKAGE:
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "service"}
    return names


def _written(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
