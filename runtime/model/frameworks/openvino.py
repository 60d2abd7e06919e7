"""OpenVINO graphs in its IR: model.xml and model.bin. No pickle."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import ModelInfo
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..graph import TEXT, GraphFramework, GraphModel, Port
from ..threads import thread_count
from ..versions import versions_of

_FILE, _WEIGHTS = "model.xml", "model.bin"
_MODELS = ("openvino._ov_api:Model", "openvino.runtime.ie_api:Model")
_COMPILED = ("openvino._ov_api:CompiledModel", "openvino.runtime.ie_api:CompiledModel")


class OpenVinoModel(GraphModel):
    """A compiled graph; its attribute `native` is the `openvino.CompiledModel`."""

    graph: Any = None
    """The `openvino.Model` that is to be saved; None for one that was loaded."""


class OpenVinoFramework(GraphFramework):
    """`openvino.Model`, and files in IR."""

    name = "openvino"
    extra = "openvino"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, *_MODELS, *_COMPILED)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"device"}, "an OpenVINO model")
        if has_class_of(obj, *_COMPILED):
            raise ModelError(
                "a compiled model is for this machine only: save the openvino.Model it was made of"
            )
        if isinstance(obj, Path):
            path = _xml(obj)
            return Native(path, _compiled(_read(path), _device("cpu", {})))
        model = _compiled(obj.clone(), _device("cpu", {}))  # compiling may change the graph
        model.graph = obj
        return model

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        if isinstance(obj, Native):
            copy_file(obj.path, folder / _FILE)
            copy_file(obj.path.with_suffix(".bin"), folder / _WEIGHTS)
        else:
            _openvino().save_model(obj.graph, folder / _FILE, compress_to_fp16=False)
        return Saved(options=dict(options), versions=versions_of(["openvino", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        return _compiled(_read(folder / _FILE), _device(device, info.options))


def _device(device: str, options: dict[str, Any]) -> str:
    """OpenVINO's name of it: the one that was chosen when saving, else the CPU.

    Raises:
        ModelError: it has no such kind of device.
    """
    if device.startswith("cuda"):
        raise ModelError(
            f"device {device!r}: OpenVINO has none of NVIDIA's; use cpu, or choose one of its when saving, "
            "options={'device': 'GPU'}"
        )
    return "CPU" if device == "cpu" else str(options.get("device", "CPU"))


def _compiled(graph: Any, device: str) -> OpenVinoModel:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU" and (threads := thread_count()):
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = _openvino().Core().compile_model(graph, device, settings)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot compile the graph for {device!r}: {error}") from error
    request, lock = compiled.create_infer_request(), threading.Lock()
    inputs = _ports(compiled.inputs, "input")
    count = len(compiled.outputs)

    def run(feeds: dict[str, Any]) -> list[Any]:
        given = {
            place: feeds[port.name].astype("U") if port.dtype == TEXT else feeds[port.name]
            for place, port in enumerate(inputs)
        }
        with lock:  # a request computes one thing at a time
            found = request.infer(given, share_inputs=True)
            return [found[place] for place in range(count)]

    return OpenVinoModel(run, compiled, inputs, _ports(compiled.outputs, "output"))


def _ports(nodes: Sequence[Any], what: str) -> list[Port]:
    """Some have no name, and are told by their place."""
    found = []
    for place, node in enumerate(nodes):
        name = min(node.names) if node.names else f"{what}{place}"
        partial = node.partial_shape
        shape: list[int | str] | None = None
        if not partial.rank.is_dynamic:
            shape = [
                f"d{axis}" if size.is_dynamic else size.get_length() for axis, size in enumerate(partial)
            ]
        found.append(Port(name, _dtype(node.element_type), shape))
    return found


def _dtype(kind: Any) -> str:
    if kind.get_type_name() == "string":
        return TEXT
    try:
        return str(kind.to_dtype())
    except RuntimeError:
        return ""  # bfloat16, four bits: numpy has none


def _xml(path: Path) -> Path:
    """The graph's file, when a folder has one.

    Raises:
        ModelError: no such file, or no weights beside it.
    """
    found = [path] if path.is_file() else sorted(path.glob("*.xml"))
    if len(found) != 1:
        raise ModelError(f"{path} has {len(found)} .xml files; give the path of the graph, model.xml")
    if not found[0].with_suffix(".bin").is_file():
        raise ModelError(
            f"{found[0]} has no weights beside it: {found[0].with_suffix('.bin').name} is missing"
        )
    return found[0].resolve()


def _read(path: Path) -> Any:
    try:
        return _openvino().Core().read_model(path)
    except RuntimeError as error:
        raise ModelError(f"{path} cannot be read as an OpenVINO graph: {error}") from error


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError("openvino", "openvino") from error
    return openvino
