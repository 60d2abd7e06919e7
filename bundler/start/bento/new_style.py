"""`@bentoml.service` classes as tiffin services: the class becomes a runner, and a service calls it.

A BentoML service loads its models and computes in one process. Here the class runs in workers, unchanged but
for its decorators and for how it gets models, and a short service in front of it has its routes. Methods of a
worker are plain: a class with `async` or streaming apis stays a service, and loads its models itself.
"""

from __future__ import annotations

import ast

from .arrays import annotated_array
from .bundlefile import Carrying
from .code import BENTOML, NewService, Source, literal, loaded_tag
from .edits import Edits, documented, quoted
from .notes import Notes
from .service_options import ServiceOptions, batch_arguments

_HOOKS = {
    "on_startup": "@tiffin.on_start",
    "on_shutdown": "@tiffin.on_stop",
    "on_deployment": "`bundle build` or a job before the server",
}
_STREAMS = ("Generator", "AsyncGenerator", "Iterator", "AsyncIterator")


def carry_class(service: NewService, source: Source, edits: Edits, notes: Notes, carrying: Carrying) -> None:
    """Writes the edits that make one class a runner with a service, or a service."""
    options = ServiceOptions(source, edits, notes, carrying)
    options.carry(service.options)
    _inside(service, source, edits, notes)
    _drop_decorator(service.node, f"{BENTOML}.service", source, edits)
    name = service.node.name
    if not service.apis or any(_must_stay(method) for method, _ in service.apis.values()):
        if service.apis:
            notes.leave(
                source.where(service.node),
                f"{name} has async or streaming apis, so its model runs in the API process: move what "
                "computes into "
                "a class of its own, and call it by tiffin.runner",
            )
        _as_service(service, source, edits, options, notes)
        return
    for method, arguments in service.apis.values():
        batch = batch_arguments(arguments, source, notes)
        _drop_decorator(
            method,
            f"{BENTOML}.api",
            source,
            edits,
            instead=None if batch is None else f"@tiffin.batch{batch}",
        )
    _rename(service.node, f"{name}Worker", edits)
    end = edits.span(service.node)[1]
    edits.replace_span(end, end, _front(service, source, edits, options, notes))
    notes.took(source.where(service.node), f"{name} is a service that calls {name}Worker in worker processes")


def _front(service: NewService, source: Source, edits: Edits, options: ServiceOptions, notes: Notes) -> str:
    """The service in front of the runner, as source."""
    node = service.node
    models = sorted({_full(tag) for each in ast.walk(node) if (tag := loaded_tag(source, each))})
    runner = dict(options.runner)
    if models:
        runner["models"] = f"[{', '.join(quoted(tag) for tag in models)}]"
    given = ", ".join([f"{node.name}Worker", *(f"{key}={value}" for key, value in runner.items())])
    lines = [
        "",
        "",
        "",
        f"@tiffin.service({', '.join(f'{key}={value}' for key, value in options.service.items())})"
        if options.service
        else "@tiffin.service",
        f"class {node.name}:",
    ]
    if doc := ast.get_docstring(node):
        lines += [f"    {documented(doc)}", ""]
    lines.append(f"    worker = tiffin.runner({given})")
    for method, arguments in service.apis.values():
        lines += ["", *_route(method, arguments, source, edits, notes)]
    return "\n".join(lines)


def _route(
    method: ast.FunctionDef | ast.AsyncFunctionDef,
    arguments: dict[str, ast.expr],
    source: Source,
    edits: Edits,
    notes: Notes,
) -> list[str]:
    parameters, names = [], []
    spec = method.args
    defaults: list[ast.expr | None] = [None] * (len(spec.posonlyargs + spec.args) - len(spec.defaults))
    defaults += spec.defaults
    for argument, default in list(zip(spec.posonlyargs + spec.args, defaults, strict=True))[1:]:
        if argument.annotation is not None and source.dotted(argument.annotation) == f"{BENTOML}.Context":
            notes.leave(
                source.where(argument),
                f"{argument.arg}: bentoml.Context is tiffin.request_context(), in the service and not in a "
                "worker",
            )
            _drop_argument(method, argument, edits)
            continue
        annotation = _hint(
            argument.annotation, source, edits, notes, where=source.where(argument), what=argument.arg
        )
        text = f"{argument.arg}: {annotation}"
        parameters.append(text + (f" = {edits.source(default)}" if default is not None else ""))
        names.append(argument.arg)
    back = _hint(method.returns, source, edits, notes, where=source.where(method), what="the result")
    if spec.vararg or spec.kwarg or spec.kwonlyargs:
        notes.leave(
            source.where(method), f"{method.name} takes * arguments: write out what a request may have"
        )
    decorator = _api(arguments, source, notes)
    lines = [
        f"    {decorator}",
        f"    async def {method.name}({', '.join(['self', *parameters])}) -> {back}:",
    ]
    if doc := ast.get_docstring(method):
        lines.append(f"        {documented(doc)}")
    lines.append(f"        return await self.worker.{method.name}({', '.join(names)})")
    return lines


def _hint(node: ast.expr | None, source: Source, edits: Edits, notes: Notes, *, where: str, what: str) -> str:
    if node is None:
        notes.leave(where, f"{what} has no type hint, and a route needs one: Any was written")
        return "Any"
    if (array := annotated_array(node, source)) is not None:
        edits.replace(node, array[0])  # in the worker too
        return array[0]
    text = edits.source(node)
    if f"{BENTOML}." in text or any(source.dotted(each).startswith(f"{BENTOML}.") for each in ast.walk(node)):
        notes.leave(
            where, f"{what} has a hint of BentoML's, {text}: docs/02-service.md has ours; Any was written"
        )
        return "Any"
    if any(source.dotted(each) == "pathlib.Path" for each in ast.walk(node)):
        notes.leave(
            where,
            f"{what} is a path in BentoML, and the file's content here: tiffin.File was written, use its "
            "data",
        )
        return (
            text.replace("pathlib.Path", "tiffin.File").replace("Path", "tiffin.File")
            if "tiffin.File" not in text
            else text
        )
    return text


def _api(arguments: dict[str, ast.expr], source: Source, notes: Notes) -> str:
    route = literal(arguments.get("route"))
    for key, node in arguments.items():
        if key in {"input_spec", "output_spec"}:
            notes.leave(source.where(node), f"{key}: write the type as hints of {ast.unparse(node)}")
        elif key == "name":
            notes.leave(source.where(node), f"name={ast.unparse(node)} of an api: the route is its name here")
    if isinstance(route, str):
        notes.took(source.where(arguments["route"]), f"route {route}")
        return f"@tiffin.api(route={quoted('/' + route.lstrip('/'))})"
    return "@tiffin.api"


def _as_service(
    service: NewService, source: Source, edits: Edits, options: ServiceOptions, notes: Notes
) -> None:
    given = dict(options.service)
    if "workers" in options.runner:
        given["processes"] = options.runner["workers"]
    if "gpus" in options.runner:
        notes.leave(
            source.where(service.node), f"gpus={options.runner['gpus']}: only workers are given devices"
        )
    text = ", ".join(f"{key}={value}" for key, value in given.items())
    first = min([service.node.lineno, *(each.lineno for each in service.node.decorator_list)])
    edits.insert_before(first, f"@tiffin.service({text})\n" if text else "@tiffin.service\n")
    for method, arguments in service.apis.values():
        if batch_arguments(arguments, source, Notes()) is not None:
            notes.leave(
                source.where(method),
                f"{method.name} is batchable: only methods of a runner are, with @tiffin.batch",
            )
        _drop_decorator(method, f"{BENTOML}.api", source, edits, instead=_api(arguments, source, notes))


def _must_stay(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    yields = any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in ast.walk(method))
    returns = ast.unparse(method.returns) if method.returns is not None else ""
    return (
        isinstance(method, ast.AsyncFunctionDef) or yields or returns.rpartition(".")[2].startswith(_STREAMS)
    )


def _inside(service: NewService, source: Source, edits: Edits, notes: Notes) -> None:
    """What of the class is neither an api nor plain Python."""
    for method in service.node.body:
        for decorator in getattr(method, "decorator_list", []):
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            kind = source.dotted(call).removeprefix(f"{BENTOML}.")
            if kind in _HOOKS:
                notes.leave(source.where(decorator), f"@bentoml.{kind}: use {_HOOKS[kind]}")
                edits.drop_lines(decorator.lineno, decorator.end_lineno or decorator.lineno)
            elif kind == "task":
                notes.leave(
                    source.where(decorator),
                    "@bentoml.task: there is no queue of jobs; an api answers its caller",
                )
                edits.drop_lines(decorator.lineno, decorator.end_lineno or decorator.lineno)
    for each in ast.walk(service.node):
        if isinstance(each, ast.Call) and source.dotted(each.func) == f"{BENTOML}.depends":
            notes.leave(
                source.where(each),
                f"{ast.unparse(each)}: another service is not called from here; make it a runner of this one",
            )


def _rename(node: ast.ClassDef, name: str, edits: Edits) -> None:
    start = edits.span(node)[0]
    at = edits.text.index(f"class {node.name}", start) + len("class ")
    edits.replace_span(at, at + len(node.name), name)


def _drop_decorator(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    name: str,
    source: Source,
    edits: Edits,
    *,
    instead: str | None = None,
) -> None:
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if source.dotted(call) == name:
            if instead is None:
                edits.drop_lines(decorator.lineno, decorator.end_lineno or decorator.lineno)
            else:
                edits.replace(decorator, instead.removeprefix("@"))


def _drop_argument(method: ast.FunctionDef | ast.AsyncFunctionDef, argument: ast.arg, edits: Edits) -> None:
    every = [*method.args.posonlyargs, *method.args.args]
    at = every.index(argument)
    start, end = edits.span(argument)
    if at + 1 < len(every):
        edits.replace_span(start, edits.span(every[at + 1])[0], "")
    else:
        edits.replace_span(edits.span(every[at - 1])[1], end, "")


def _full(tag: str) -> str:
    return tag if ":" in tag else f"{tag}:latest"
