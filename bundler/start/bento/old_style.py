"""`bentoml.Service` with runners and io descriptors (BentoML 1.0 and 1.1) as a tiffin service.

Its runners become runners, its apis methods of a class; `await` comes before every call of a runner.
"""

from __future__ import annotations

import ast
import re

from .arrays import array_hint
from .code import (
    BENTOML,
    OLD_DESCRIPTORS,
    OldRunner,
    OldService,
    Source,
    arguments,
    literal,
    old_runners,
)
from .edits import Edits, quoted
from .notes import Notes
from .service_options import batch_arguments

_PLAIN_HINTS = {"Image": "PIL.Image.Image", "Text": "str", "File": "bytes"}
_PLAIN = (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr, ast.Await, ast.keyword)


class OldStyle:
    """One file of the old style.

    Attributes:
        imports: lines that the new code needs besides.
    """

    def __init__(self, service: OldService, source: Source, edits: Edits, notes: Notes) -> None:
        self.imports: list[str] = []
        self._service = service
        self._source = source
        self._edits = edits
        self._notes = notes
        self._runners = old_runners(source)
        self._parents = {
            child: parent for parent in ast.walk(source.tree) for child in ast.iter_child_nodes(parent)
        }

    def carry(self) -> str:
        """Writes the edits.

        Returns:
            Name of the new class.
        """
        name = _class_name(self._service.name, self._taken())
        for runner in self._runners.values():
            self._drop(runner.node)
        self._drop(self._service.node)
        self._custom_runners()
        title = self._service.name.lower().replace("_", "-")
        lines = [f"@tiffin.service(name={quoted(title)})", f"class {name}:"]
        lines += [
            f"    {runner.variable} = tiffin.runner({self._runner(runner)})"
            for runner in self._runners.values()
        ]
        for api, options in self._service.apis:
            lines += ["", *self._route(api, options)]
            first = min([api.lineno, *(each.lineno for each in api.decorator_list)])
            self._edits.drop_lines(first, api.end_lineno or api.lineno)
        if not self._service.apis:
            self._notes.leave(
                self._source.where(self._service.node),
                f"{name} has no api here: those of other files were not found",
            )
        self._edits.replace_span(
            len(self._edits.text), len(self._edits.text), "\n\n" + "\n".join(lines) + "\n"
        )
        self._others()
        self._notes.took(self._source.where(self._service.node), f"{self._service.name} is the class {name}")
        return name

    def _taken(self) -> set[str]:
        """Names of the module: a second class of that name would hide the first, also from the workers."""
        body = self._source.tree.body
        return {*self._source.names, *(each.name for each in body if hasattr(each, "name"))}

    def _drop(self, node: ast.stmt) -> None:
        self._edits.drop_lines(node.lineno, node.end_lineno or node.lineno)

    def _runner(self, runner: OldRunner) -> str:
        given = [
            quoted(runner.tag if ":" in runner.tag else f"{runner.tag}:latest") if runner.tag else runner.cls
        ]
        for key, node in runner.options.items():
            value = literal(node)
            where = self._source.where(node)
            if key in {"max_batch_size", "max_latency_ms"} and value is not None:
                given.append(f"{key}={value}")
                self._notes.took(where, f"{key} {value}")
            elif key == "models":
                self._notes.leave(
                    where, f"models={ast.unparse(node)}: name their tags, tiffin.runner(…, models=[…])"
                )
            elif key == "runnable_init_params" and isinstance(value, dict):
                given += [f"{name}={each!r}" for name, each in value.items()]
            elif key != "name":
                self._notes.leave(where, f"{key} of the runner was not carried over")
        self._notes.took(
            self._source.where(runner.node), f"runner {runner.variable} ({runner.tag or runner.cls})"
        )
        return ", ".join(given)

    def _custom_runners(self) -> None:
        """`class X(bentoml.Runnable)`: a plain class, with `@tiffin.batch` where batches are taken."""
        for node in self._source.tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            bases = [base for base in node.bases if self._source.dotted(base) == f"{BENTOML}.Runnable"]
            if not bases:
                continue
            start = self._edits.span(node)[0]
            head = re.compile(rf"class\s+{node.name}\s*\([^)]*\)").match(self._edits.text, start)
            if head is not None:
                others = [self._edits.source(base) for base in node.bases if base not in bases]
                self._edits.replace_span(
                    start, head.end(), f"class {node.name}" + (f"({', '.join(others)})" if others else "")
                )
            for method in node.body:
                for decorator in getattr(method, "decorator_list", []):
                    call = decorator.func if isinstance(decorator, ast.Call) else decorator
                    if self._source.dotted(call) == f"{BENTOML}.Runnable.method":
                        batch = batch_arguments(arguments(decorator), self._source, self._notes)
                        if batch is None:
                            self._edits.drop_lines(decorator.lineno, decorator.end_lineno or decorator.lineno)
                        else:
                            self._edits.replace(decorator, f"tiffin.batch{batch}")
            self._notes.took(self._source.where(node), f"{node.name} runs in workers")

    def _route(self, api: ast.FunctionDef | ast.AsyncFunctionDef, options: dict[str, ast.expr]) -> list[str]:
        body = self._body(api)
        inputs = self._inputs(api, options.get("input"))
        back = self._hint(options.get("output"), api.returns, self._source.where(api), "the result")
        route = literal(options.get("route"))
        given = f"(route={quoted('/' + route.lstrip('/'))})" if isinstance(route, str) else ""
        for key, node in options.items():
            if key not in {"input", "output", "route"}:
                self._notes.leave(self._source.where(node), f"{key} of the api was not carried over")
        lines = [
            f"    @tiffin.api{given}",
            f"    async def {api.name}({', '.join(['self', *inputs])}) -> {back}:",
        ]
        return lines + [f"    {line}".rstrip() for line in body]

    def _inputs(self, api: ast.FunctionDef | ast.AsyncFunctionDef, descriptor: ast.expr | None) -> list[str]:
        parts = (
            arguments(descriptor) if self._kind(descriptor) == "Multipart" and descriptor is not None else {}
        )
        found = []
        for argument in [*api.args.posonlyargs, *api.args.args]:
            where = self._source.where(argument)
            if argument.arg in {"ctx", "context"}:
                self._notes.leave(
                    where, f"{argument.arg}: bentoml.Context is tiffin.request_context(), called in the api"
                )
                continue
            hint = self._hint(parts.get(argument.arg, descriptor), argument.annotation, where, argument.arg)
            found.append(f"{argument.arg}: {hint}")
        return found

    def _kind(self, descriptor: ast.expr | None) -> str:
        call = descriptor.func if isinstance(descriptor, ast.Call) else descriptor
        name = self._source.dotted(call)
        short = name.rpartition(".")[2]
        return short if name.startswith(f"{BENTOML}.") and short in OLD_DESCRIPTORS else ""

    def _hint(self, descriptor: ast.expr | None, written: ast.expr | None, where: str, what: str) -> str:
        """The type of a value: of its descriptor, which knows dtype and shape, else as it was hinted."""
        kind = self._kind(descriptor)
        given = {} if descriptor is None else arguments(descriptor)
        for key in given:
            if (
                key not in {"dtype", "shape", "pydantic_model", "enforce_dtype", "enforce_shape"}
                and kind != "Multipart"
            ):
                self._notes.leave(where, f"{key} of {kind} was not carried over")
        if kind == "NumpyNdarray":
            return self._array(given)
        told = given.get("pydantic_model") or (None if kind in {"Image", "File"} else written)
        if told is not None:
            return self._edits.source(told)
        if kind in {"PandasDataFrame", "PandasSeries"}:
            self._need("import pandas as pd", "pandas")
            if kind == "PandasSeries":
                self._notes.leave(where, f"{what} is a series: a data frame was written, take its column")
            return "pd.DataFrame"
        if kind in _PLAIN_HINTS:
            if kind == "Image":
                self._need("import PIL.Image", "PIL")
            return _PLAIN_HINTS[kind]
        return self._any(kind, where, what)

    def _any(self, kind: str, where: str, what: str) -> str:
        self._need("from typing import Any", "typing.Any")
        if kind != "JSON":
            self._notes.leave(where, f"{what} has no type that could be read: Any was written")
        return "dict[str, Any]" if kind == "JSON" and what != "the result" else "Any"

    def _array(self, given: dict[str, ast.expr]) -> str:
        node = given.get("dtype")
        dtype = literal(node) if node is not None else None
        if not isinstance(dtype, str):
            dtype = self._source.dotted(node).rpartition(".")[2] if node is not None else ""
        self._need("import numpy as np", "numpy")
        hint, name = array_hint(dtype, literal(given.get("shape")))
        if name:
            self._need(f"from jaxtyping import {name}", f"jaxtyping.{name}")
        return hint

    def _need(self, line: str, imported: str) -> None:
        name = line.rsplit(maxsplit=1)[-1]
        if self._source.names.get(name) != imported and line not in self.imports:
            self.imports.append(line)

    def _body(self, api: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
        """The function's lines after its head, with every call of a runner awaited."""
        edits = Edits(self._edits.text)
        for node in ast.walk(api):
            if isinstance(node, ast.Call) and (method := self._called(node)) is not None:
                runner, name = method
                if self._in_other_function(node, api):
                    self._notes.leave(
                        self._source.where(node),
                        f"{ast.unparse(node.func)} is called where no await can stand: move it into the api",
                    )
                    continue
                parent = self._parents.get(node)
                wait = "" if isinstance(parent, ast.Await) else "await "
                start, _ = edits.span(node)
                _, end = edits.span(node.func)
                close = isinstance(parent, _PLAIN) or not wait
                edits.replace_span(start, end, f"{'' if close else '('}{wait}self.{runner}.{name}")
                if not close:
                    at = edits.span(node)[1]
                    edits.replace_span(at, at, ")")
        lines = edits.result()
        # Only the body changed, so what comes before it has the same length.
        begin = edits.span(api.body[0])[0]
        begin = lines.rfind("\n", 0, begin) + 1
        after = len(edits.text) - edits.span(api)[1]
        return lines[begin : len(lines) - after].splitlines()

    def _called(self, node: ast.Call) -> tuple[str, str] | None:
        """`runner.predict.run(x)`, `runner.run(x)`: the runner, and the method that it is."""
        function = node.func
        if not (isinstance(function, ast.Attribute) and function.attr in {"run", "async_run"}):
            return None
        inner = function.value
        if isinstance(inner, ast.Name) and inner.id in self._runners:
            self._notes.leave(
                self._source.where(node),
                f"{inner.id}.{function.attr}() calls the model's only method; predict was written: look "
                "whether that is it",
            )
            return inner.id, "predict"
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.value, ast.Name)
            and inner.value.id in self._runners
        ):
            return inner.value.id, inner.attr
        return None

    def _in_other_function(self, node: ast.AST, api: ast.AST) -> bool:
        at = self._parents.get(node)
        while at is not None and at is not api:
            if isinstance(at, (ast.Lambda, ast.FunctionDef, ast.GeneratorExp)):
                return True
            at = self._parents.get(at)
        return False

    def _others(self) -> None:
        """`svc.mount_asgi_app(…)`, `svc.on_startup` …"""
        own = {api.name for api, _ in self._service.apis}
        for node in self._source.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name not in own:
                for decorator in node.decorator_list:
                    text = ast.unparse(decorator)
                    if text.startswith(f"{self._service.variable}."):
                        self._notes.leave(
                            self._source.where(decorator),
                            f"@{text}: @tiffin.on_start and @tiffin.on_stop are methods of the service",
                        )
                        self._edits.drop_lines(decorator.lineno, decorator.end_lineno or decorator.lineno)
            elif isinstance(node, ast.Expr) and ast.unparse(node).startswith(f"{self._service.variable}."):
                mend = (
                    "tiffin.mount(application, path)"
                    if "mount" in ast.unparse(node)
                    else "it has no counterpart"
                )
                self._notes.leave(self._source.where(node), f"{ast.unparse(node)}: {mend}")
                self._drop(node)


def _class_name(name: str, taken: set[str]) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(word[:1].upper() + word[1:] for word in words)
    found = found if found[:1].isalpha() else f"Service{found}"
    while found in taken:
        found += "Service"
    return found
