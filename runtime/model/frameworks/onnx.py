"""ONNX graphs, run by onnxruntime. No pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import ModelInfo
from ..device import kind_and_number
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..graph import TEXT, GraphFramework, GraphModel, Port
from ..threads import thread_count
from ..versions import versions_of

_FILE, _ORT_FILE, _SHARED = "model.onnx", "model.ort", "weights.bin"
_PROTO = "onnx.onnx_ml_pb2:ModelProto"
_SESSION = "onnxruntime.capi.onnxruntime_inference_collection:InferenceSession"
_CUDA = "CUDAExecutionProvider"
_SHARED_FROM_BYTES = 4096
"""Smaller weights stay in the graph: each in a file of its own pages costs a page at least."""
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "string": TEXT,
    **{
        name: name
        for name in ("float16", "bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)))
    },
}


class OnnxFramework(GraphFramework):
    """`onnx.ModelProto`, an `InferenceSession` made from a file, and files (`.onnx`, `.ort`)."""

    name = "onnx"
    extra = "onnx"
    mapped: tuple[str, ...] = (_SHARED,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _PROTO, _SESSION)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"shared"}, "an ONNX model")
        shared = bool(options.get("shared"))
        if has_class_of(obj, _SESSION):
            path = getattr(obj, "_model_path", None)
            if not path:
                raise ModelError(
                    "an InferenceSession that was made from bytes does not give them back: "
                    "save the ModelProto, or the path of the file"
                )
            obj = Path(path)
        if isinstance(obj, Path):
            if shared:
                raise ModelError(
                    "options={'shared': True} writes the weights into a file of their own, and a path is "
                    "copied as it is: give the model, onnx.load(path)"
                )
            if not obj.is_file():
                raise ModelError(f"there is no ONNX file {obj}")
            return Native(obj.resolve(), _model(obj, "cpu", shared=False))
        try:
            data = obj.SerializeToString()
        except ValueError as error:  # protobuf's limit
            raise ModelError(
                "the ModelProto is larger than 2 GB: write it with "
                "onnx.save_model(model, 'model.onnx', save_as_external_data=True) and save its path"
            ) from error
        model = _model(data, "cpu", shared=False)
        model.proto = obj
        return model

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        shared = bool(options.get("shared"))
        versions = versions_of(["onnxruntime", "onnxruntime-gpu", "numpy"])
        if isinstance(obj, Native):
            file = _ORT_FILE if _is_ort(obj.path) else _FILE
            for name in () if file == _ORT_FILE else _external_files(obj.path):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                copy_file(obj.path.parent / name, folder / name)
            copy_file(obj.path, folder / file)
            return Saved(options={"file": file}, versions=versions)
        _write(obj.proto, folder, shared=shared)
        saved = {"file": _FILE, **({"shared": True} if shared else {})}
        return Saved(options=saved, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        name = _ORT_FILE if info.options.get("file") == _ORT_FILE else _FILE
        return _model(folder / name, device, shared=bool(info.options.get("shared")))


class OnnxModel(GraphModel):
    """A graph in an `onnxruntime.InferenceSession`, its attribute `native`."""

    proto: Any = None
    """The `ModelProto` that is to be saved; None for one that was loaded."""


def _model(source: Path | bytes, device: str, *, shared: bool) -> OnnxModel:
    """Reads a graph.

    Args:
        shared: weights stay where they lie in the mapped file; else each process lays them out anew, which
            multiplies matrices up to 2.6 times as fast.
    """
    ort = _onnxruntime()
    settings = ort.SessionOptions()
    settings.log_severity_level = 3  # errors: a warning about a graph that runs is nobody's to mend here
    if threads := thread_count():
        settings.intra_op_num_threads = threads
    if shared:
        settings.add_session_config_entry("session.disable_prepacking", "1")
    what = source if isinstance(source, bytes) else str(source)
    providers = _providers(ort, device)
    try:
        session = ort.InferenceSession(what, settings, providers=providers)
    except Exception as error:  # its classes of errors have no common one of their own
        named = "the ONNX graph" if isinstance(source, bytes) else str(source)
        raise ModelError(f"{named} cannot be read by onnxruntime: {error}") from error
    if device.startswith("cuda") and session.get_providers()[0] != _CUDA:
        raise ModelError(f"onnxruntime could not use {device!r}; what it says is in the log of this process")
    names = [output.name for output in session.get_outputs()]

    def run(feeds: dict[str, Any]) -> Any:
        return session.run(names, feeds)

    return OnnxModel(
        run,
        session,
        [_port(node) for node in session.get_inputs()],
        [_port(node) for node in session.get_outputs()],
    )


def _providers(ort: Any, device: str) -> list[Any]:
    """In the order in which onnxruntime tries them."""
    kind, number = kind_and_number(device)
    here = _CUDA in ort.get_available_providers()
    if kind == "cpu" or (kind == "auto" and (not here or os.environ.get("CUDA_VISIBLE_DEVICES") == "")):
        return ["CPUExecutionProvider"]
    if not here:
        raise ModelError(
            f"device {device!r}: the onnxruntime that is installed has no CUDA; "
            "install onnxruntime-gpu instead"
        )
    return [(_CUDA, {"device_id": number}), "CPUExecutionProvider"]


def _port(node: Any) -> Port:
    """Of `tensor(float)` and `[None, 4]`, `['batch', 4]`."""
    kind = node.type
    if not kind.startswith("tensor("):
        return Port(node.name, "", None)
    shape = [size if isinstance(size, int) else size or f"d{place}" for place, size in enumerate(node.shape)]
    # An output of an unknown rank is told as one without axes.
    return Port(node.name, _DTYPES.get(kind[len("tensor(") : -1], ""), shape or None)


def _write(proto: Any, folder: Path, *, shared: bool) -> None:
    onnx = _onnx()
    if not shared:
        onnx.save_model(proto, folder / _FILE)
        return
    copied = type(proto)()  # onnx moves the weights out of the object that it is given
    copied.CopyFrom(proto)
    onnx.save_model(
        copied,
        folder / _FILE,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=_SHARED,
        size_threshold=_SHARED_FROM_BYTES,
    )


def _is_ort(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ORTM"


def _external_files(path: Path) -> list[str]:
    """Files beside a graph that hold its weights, relative to its folder.

    Raises:
        ModelError: one lies elsewhere.
    """
    proto = _onnx().load(path, load_external_data=False)
    found = {
        entry.value
        for tensor in _tensors(proto.graph)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for name in found:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ModelError(f"{path} keeps weights in {name!r}, outside its own folder: put them beside it")
    return sorted(found)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inside in (attribute.g, *attribute.graphs) if attribute.type in {5, 10} else ():
                yield from _tensors(inside)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", "onnx") from error
    return onnxruntime


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError("onnx", "onnx") from error
    return onnx
