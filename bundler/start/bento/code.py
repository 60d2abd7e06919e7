"""What a BentoML service says, read from its syntax tree: nothing of it is imported or run."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....errors import ConfigError

BENTOML = "bentoml"
OLD_DESCRIPTORS = (
    "NumpyNdarray",
    "PandasDataFrame",
    "PandasSeries",
    "JSON",
    "Text",
    "Image",
    "File",
    "Multipart",
)


@dataclass(frozen=True)
class Source:
    """A parsed file."""

    name: str
    """Relative to the project."""
    text: str
    tree: ast.Module
    names: dict[str, str]
    """Name in this file to what it was imported from: `JSON` → `bentoml.io.JSON`."""

    def where(self, node: ast.AST) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}"

    def dotted(self, node: ast.AST | None) -> str:
        """`bentoml.sklearn.get` of the expression, with imports followed; empty for what is no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])


@dataclass
class NewService:
    """A class with `@bentoml.service`."""

    node: ast.ClassDef
    options: dict[str, ast.expr]
    apis: dict[str, tuple[ast.FunctionDef | ast.AsyncFunctionDef, dict[str, ast.expr]]] = field(
        default_factory=dict
    )
    """Method to its node and the arguments of its `@bentoml.api`."""


@dataclass
class OldRunner:
    """`bentoml.<framework>.get(tag).to_runner(…)`, or `bentoml.Runner(Class, …)`."""

    variable: str
    node: ast.stmt
    tag: str
    """Of a saved model; empty for a class."""
    cls: str
    options: dict[str, ast.expr]


@dataclass
class OldService:
    """`svc = bentoml.Service(name, runners=[…])`."""

    variable: str
    node: ast.stmt
    name: str
    options: dict[str, ast.expr]
    apis: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, dict[str, ast.expr]]] = field(
        default_factory=list
    )


def read_source(path: Path, name: str) -> Source:
    """
    Raises:
        ConfigError: it is missing, or no Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=name)
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}") from None
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{name}:{getattr(error, 'lineno', 1)}: not Python: {error}") from error
    return Source(name, text, tree, _imports(tree))


def _imports(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def new_services(source: Source) -> list[NewService]:
    found = []
    for node in source.tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if source.dotted(_function(decorator)) == f"{BENTOML}.service":
                service = NewService(node, arguments(decorator))
                for method in node.body:
                    if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        for each in method.decorator_list:
                            if source.dotted(_function(each)) == f"{BENTOML}.api":
                                service.apis[method.name] = (method, arguments(each))
                found.append(service)
    return found


def old_service(source: Source) -> OldService | None:
    found: OldService | None = None
    for node in source.tree.body:
        name, call = assigned(node)
        if call is not None and source.dotted(call.func) in {
            f"{BENTOML}.Service",
            f"{BENTOML}.legacy.Service",
        }:
            options = arguments(call)
            title = literal(call.args[0] if call.args else options.get("name"))
            found = OldService(name, node, str(title or name), options)
        elif found is not None and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                if source.dotted(_function(decorator)) == f"{found.variable}.api":
                    found.apis.append((node, arguments(decorator)))
    return found


def old_runners(source: Source) -> dict[str, OldRunner]:
    """Variable to its runner; a model that was put into a variable first is followed."""
    models: dict[str, str] = {}
    found: dict[str, OldRunner] = {}
    for node in source.tree.body:
        name, call = assigned(node)
        if call is None:
            continue
        if (tag := model_tag(source, call)) is not None:
            models[name] = tag
        elif isinstance(call.func, ast.Attribute) and call.func.attr == "to_runner":
            of = call.func.value
            tag = model_tag(source, of) if isinstance(of, ast.Call) else models.get(ast.unparse(of))
            if tag is not None:
                found[name] = OldRunner(name, node, tag, "", arguments(call))
        elif source.dotted(call.func) == f"{BENTOML}.Runner" and call.args:
            found[name] = OldRunner(name, node, "", ast.unparse(call.args[0]), arguments(call))
    return found


def model_tag(source: Source, call: ast.expr) -> str | None:
    """`iris:latest` of `bentoml.sklearn.get("iris:latest")` and of `bentoml.models.get("iris")`."""
    if not isinstance(call, ast.Call):
        return None
    name = source.dotted(call.func)
    if not (name.startswith(f"{BENTOML}.") and name.endswith(".get")):
        return None
    tag = literal(call.args[0] if call.args else arguments(call).get("tag"))
    return tag if isinstance(tag, str) else None


def loaded_tag(source: Source, node: ast.AST) -> str:
    """Tag of the model that a call gets or loads, `bentoml.sklearn.load_model("iris")` too; else empty."""
    if not isinstance(node, ast.Call):
        return ""
    name = source.dotted(node.func)
    if name.startswith(f"{BENTOML}.") and name.endswith(".load_model"):
        given = arguments(node)
        first = node.args[0] if node.args else given.get("bento_model") or given.get("tag")
        return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return model_tag(source, node) or ""


def arguments(node: ast.expr) -> dict[str, ast.expr]:
    """Keyword arguments of a call; of what is no call none."""
    if not isinstance(node, ast.Call):
        return {}
    return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}


def assigned(node: ast.stmt) -> tuple[str, ast.Call | None]:
    """`x` and the call, of `x = call(…)`."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value if isinstance(node.value, ast.Call) else None
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value if isinstance(node.value, ast.Call) else None
    return "", None


def literal(node: ast.expr | None) -> Any:
    """Its value; None for what has to be run to know."""
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _function(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator
