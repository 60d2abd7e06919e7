"""Writes `service.py` for models: a route for each of their methods that callers mostly want."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...runtime.manifest import MethodSpec, TypeSpec
from ...runtime.model.model import Model
from ..rendering import environment
from .found import Found
from .hints import Imports, input_hint, output_hint
from .inputs import parameter
from .names import attribute_name, class_name
from .task_source import OWN_WORDS, task_source

TEMPLATE = "service/models.py.j2"
MODULE = "service"
_OFFERED = ("predict", "predict_proba", "transform")
"""What becomes a route when a model has it; else its first method does."""
_NAMED_SCORES = ("probabilities", "output_probability")
"""What converters to ONNX call the output with the scores, beside the one with the class."""
_SCORES = ("predict_proba", "predict")


@dataclass(frozen=True)
class Served:
    """A model that was saved from a file."""

    model: Model
    found: Found
    tag: str
    """As the service names it, `iris:latest`."""
    words: Sequence[str] = ()
    """For the classes, where the model itself cannot keep them."""
    supposed: str = ""
    """What was supposed to go in, for a task, as the file does not say: `x:float32[n,24]`."""


@dataclass(frozen=True)
class Api:
    """One route, as text."""

    name: str
    route: str
    """Empty: the name's."""
    parameters: str
    returns: str
    doc: str
    body: Sequence[str]
    waits: bool = True
    """`async def`; else the method runs in a thread, where pixels and words may take their time."""


@dataclass(frozen=True)
class Written:
    """A service that was written."""

    text: str
    name: str
    """Of the service."""
    cls: str
    """Name of the class."""
    imports: frozenset[str]
    """Top-level modules that it imports."""


def write_service(served: Sequence[Served], name: str, task: str = "") -> Written:
    """The source of a service with a runner for each model.

    Args:
        served: one or more.
        name: of the service.
        task: what the models are for, one of `TASKS`; empty: arrays in, arrays out.
    """
    imports = Imports()
    many = len(served) > 1
    attributes = [attribute_name(each.model.tag.name) if many else "model" for each in served]
    apis: list[Api] = []
    lines: list[str] = []
    for each, attribute in zip(served, attributes, strict=True):
        lines.append(f'{attribute} = tiffin.runner("{each.tag}")')
        own = _apis(each, attribute, imports, many=many)
        if task:
            more, of_task = _task(each, attribute, task, imports, many=many)
            lines += more
            taken = {api.name for api in of_task}
            own = [api for api in own if api.name not in taken] + of_task
        apis += own
    cls = class_name(name)
    text = _render(
        what=", ".join(each.found.path.resolve().name for each in served),
        name=name,
        cls=cls,
        docs=[_doc(each, many=many) for each in served],
        many=many,
        attributes=lines,
        apis=apis,
        standard=imports.standard,
        imports=imports.others,
    )
    modules = {line.split()[1] for line in imports.others} | {"tiffin"}
    return Written(text, name, cls, frozenset(modules))


def _apis(served: Served, attribute: str, imports: Imports, *, many: bool) -> list[Api]:
    info = served.model.info
    methods = [name for name in _OFFERED if name in info.methods] or [*info.methods][:1]
    found = [_api(served, attribute, method, imports, many=many) for method in methods]
    scores = next((name for name in _SCORES if _gives_scores(info.methods.get(name), info.classes)), None)
    if scores is None and info.classes and _named_scores(info.methods.get("predict")):
        scores = "predict"
    if scores is not None:
        found.append(_classify(served, attribute, scores, imports, many=many))
    return found


def _task(
    served: Served, attribute: str, task: str, imports: Imports, *, many: bool
) -> tuple[list[str], list[Api]]:
    """Attributes and routes of a task."""
    prefix = f"{attribute}_" if many else ""
    own = task in OWN_WORDS
    source = task_source(
        task,
        served.model.info,
        runner=f"self.{attribute}",
        attribute=f"self.{prefix}task",
        words=f"self.{prefix}words" if own else f"self.{attribute}.model.classes",
        imports=imports,
    )
    words = ", ".join(json.dumps(word, ensure_ascii=False) for word in served.words)
    lines = [f"{prefix}task = {source.task}", *([f"{prefix}words = [{words}]"] if own else [])]
    apis = [
        Api(
            name=f"{prefix}{api.name}",
            route=f"/{served.model.tag.name}/{api.name}" if many else "",
            parameters=f"self, {api.parameters}",
            returns=api.returns,
            doc=api.doc,
            body=api.body,
            waits=False,
        )
        for api in source.apis
    ]
    return lines, apis


def _api(served: Served, attribute: str, method: str, imports: Imports, *, many: bool) -> Api:
    spec = served.model.info.methods[method]
    name = "predict" if method.startswith("_") else method
    parameters, arguments = _parameters(spec, imports)
    returns = output_hint(spec, imports)
    call = f"await self.{attribute}.{method}({arguments})"
    words = spec.output is not None and spec.output.dtype in {"str", "object"}
    body = [f"return ({call}).tolist()" if words else f"return {call}"]
    return Api(
        name=f"{attribute}_{name}" if many else name,
        route=f"/{served.model.tag.name}/{name}" if many else "",
        parameters=parameters,
        returns=returns,
        doc=_method_doc(name, served),
        body=body,
    )


def _classify(served: Served, attribute: str, method: str, imports: Imports, *, many: bool) -> Api:
    spec = served.model.info.methods[method]
    parameters, arguments = _parameters(spec, imports)
    named = _named_scores(spec)
    call = f"await self.{attribute}.{method}({arguments})"
    return Api(
        name=f"{attribute}_classify" if many else "classify",
        route=f"/{served.model.tag.name}/classify" if many else "",
        parameters=parameters,
        returns="list[tiffin.tasks.Label]",
        doc="The likeliest class of each row, in words, with its probability.",
        body=[
            f'scores = ({call})["{named}"]' if named else f"scores = {call}",
            f"return tiffin.tasks.labelled(scores, self.{attribute}.model.classes)",
        ],
    )


def _parameters(spec: MethodSpec, imports: Imports) -> tuple[str, str]:
    """Parameters with hints, and the arguments of the call."""
    inputs = spec.inputs or {"x": TypeSpec(kind="json")}
    names: list[str] = []
    for given in inputs:
        names.append(parameter(given, names))
    hints = [input_hint(each, imports) for each in inputs.values()]
    shown = ", ".join(f"{name}: {hint}" for name, hint in zip(names, hints, strict=True))
    return f"self, {shown}", ", ".join(names)


def _gives_scores(spec: MethodSpec | None, classes: Sequence[str]) -> bool:
    if spec is None or spec.output is None or not classes or not spec.output.dtype.startswith("float"):
        return False
    shape = spec.output.shape or []
    return (len(shape) == 2 and shape[1] == len(classes)) or (len(shape) == 1 and len(classes) == 2)


def _named_scores(spec: MethodSpec | None) -> str:
    """The output with the scores, of a graph with several outputs; empty: there is none."""
    if spec is None or spec.output is None or spec.output.kind != "json":
        return ""
    outputs = spec.output.json_schema.get("properties", {})
    return next((name for name in _NAMED_SCORES if name in outputs), "")


def _method_doc(name: str, served: Served) -> str:
    info = served.model.info
    what = {
        "predict_proba": "Probability of each class, for each row",
        "transform": "The features that each row becomes",
    }.get(name, "What the model says of each row")
    classes = ", ".join(info.classes[:10]) + (" …" if len(info.classes) > 10 else "")
    shown = f"; the classes are {classes}" if classes and name.startswith("predict") else ""
    columns = [spec.columns for spec in info.methods.get(name, MethodSpec()).inputs.values() if spec.columns]
    named = f"; its columns are {', '.join(columns[0])}" if columns else ""
    return _plain(f"{what}{shown}{named}.")


def _doc(served: Served, *, many: bool) -> str:
    what, file = served.found.what, served.found.path.resolve().name
    return _plain(f"{file}: {what}" if many else f"{what[:1].upper()}{what[1:]}, {file}")


def _plain(text: str) -> str:
    """Text of a file's, in a docstring: it must not end it."""
    return text.replace("\\", "\\\\").replace('"', "'").replace("\n", " ")


def _render(**values: Any) -> str:
    return environment({"plain": _plain}).get_template(TEMPLATE).render(**values)
