"""Keras 3 on TensorFlow, JAX or torch: the `.keras` archive. No pickle, but for layers made of a lambda."""

from __future__ import annotations

import platform
import zipfile
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ....errors import IntegrityError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..keras_library import keras_or_error, on, place_of
from ..pickles import check_allowed, check_pickle
from ..settings_file import archived_bytes, json_value
from ..signature import describe_call
from ..sizes import SIZES
from ..tensor_specs import array_type, fixed_rows, named
from ..versions import minor, versions_of

_FILE = "model.keras"
_MODEL = "keras.src.models.model:Model"
_LAMBDA = "__lambda__"

_places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Model to the device that it was loaded to; none for `auto`."""


class KerasFramework:
    """Any `keras.Model`, or a `.keras` file. Several inputs are several arguments, in the model's order.

    `predict` is `predict_on_batch`, compiled by the backend; `__call__` the model itself, in inference mode.
    """

    name = "keras"
    extra = "keras"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _MODEL)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a Keras model")
        if not isinstance(obj, Path):
            return obj
        unsafe = _holds_lambda(_settings(obj))
        if unsafe:
            check_allowed(f"{obj}, which has a layer made of a lambda,")
        return Native(obj, _read(obj, "", "auto", safe=not unsafe))

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        path = folder / _FILE
        if isinstance(obj, Native):
            copy_file(obj.path, path)
        else:
            obj.save(path)
        settings = _settings(path)
        _check_classes(settings)
        pickled = _holds_lambda(settings)
        backend = keras_or_error().backend.backend()
        names = ["keras", "h5py", "numpy", "tensorflow", "tensorflow-cpu"] if backend == "tensorflow" else []
        names = names or ["keras", "h5py", "numpy", backend]
        saved: dict[str, Any] = {"backend": backend}
        if pickled:  # marshalled code, which only this version of Python can run
            saved["bytecode"] = minor(platform.python_version())
        return Saved(options=saved, pickled=pickled, versions=versions_of(names))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        path = folder / _FILE
        if info.pickled:
            check_pickle(info)
        elif _holds_lambda(_settings(path)):
            raise IntegrityError(f"{info.name}:{info.version} holds code and its manifest denies it")
        return _read(path, info.options["backend"], device, safe=not info.pickled)

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - the same for every model
        return ["predict", "__call__"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        keras = keras_or_error()
        with on(keras, _places.get(obj, "")):
            given = _inputs(keras, obj, args, kwargs)
            if method == "predict":
                return _outputs(keras, obj.predict_on_batch(given))
            if method != "__call__":
                return _outputs(keras, getattr(obj, method)(given))
            return _outputs(keras, obj(given, training=False))

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        names = [tensor.name for tensor in _tensors(obj, "inputs")]
        spec = MethodSpec(
            inputs={tensor.name: array_type(tensor.dtype, tensor.shape) for tensor in _tensors(obj, "inputs")}
        )
        outputs = _tensors(obj, "outputs")
        if len(outputs) == 1:
            spec.output = array_type(outputs[0].dtype, outputs[0].shape)
        if example is not None:
            result = self.call(obj, method, *example.args, **example.kwargs)
            spec = describe_call(named(names), example, result)
        rows = {tensor.shape[0] for tensor in _tensors(obj, "inputs") if tensor.shape}
        if len(rows) == 1 and isinstance(size := rows.pop(), int):
            fixed_rows(spec, size)
        elif spec.batch and keras_or_error().backend.backend() == "jax":
            spec.sizes, spec.max_batch_size = list(SIZES), SIZES[-1]
        return spec


def _read(path: Path, backend: str, device: str, *, safe: bool) -> Any:
    keras = keras_or_error(backend)
    place = place_of(keras, device)
    with on(keras, place):
        model = keras.saving.load_model(path, compile=False, safe_mode=safe)
    if place:
        _places[model] = place
    return model


def _tensors(model: Any, which: str) -> list[Any]:
    """Symbolic inputs or outputs; none of a class of the user's, which has no graph."""
    found = getattr(model, which, None)
    return list(found) if found else []


def _inputs(keras: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One array, or a list or dict of them, as the model was built."""
    if len(args) == 1 and not kwargs:
        return _array(keras, args[0])
    struct = getattr(model, "_inputs_struct", None)
    names = [tensor.name for tensor in _tensors(model, "inputs")]
    if kwargs or isinstance(struct, dict):
        order = [*struct] if isinstance(struct, dict) else names
        return {
            name: _array(keras, value)
            for name, value in {**dict(zip(order, args, strict=False)), **kwargs}.items()
        }
    return [_array(keras, value) for value in args]


def _array(keras: Any, value: Any) -> Any:
    import numpy as np

    if isinstance(value, dict):
        return {name: _array(keras, item) for name, item in value.items()}
    if isinstance(value, list):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == np.float64:
        value = value.astype(keras.config.floatx())
    # A batch off the wire is read-only memory, of which torch warns.
    return value if value.flags.writeable or keras.backend.backend() != "torch" else value.copy()


def _outputs(keras: Any, value: Any) -> Any:
    """Arrays; a list of outputs would be taken for a list of rows."""
    import numpy as np

    if isinstance(value, dict):
        return {name: _outputs(keras, item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_outputs(keras, item) for item in value)
    return value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)


def _settings(path: Path) -> Any:
    """`config.json` of the archive.

    Raises:
        ModelError: no such archive.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ModelError(f"{path} is no .keras archive: load the model and save it with Keras 3")
    name = "config.json"
    return json_value(archived_bytes(path, name), f"{name} in {path}")


def _holds_lambda(settings: Any) -> bool:
    """Python's bytecode, which Keras runs when it is told that it may."""
    if isinstance(settings, dict):
        return settings.get("class_name") == _LAMBDA or any(map(_holds_lambda, settings.values()))
    return isinstance(settings, list) and any(map(_holds_lambda, settings))


def _check_classes(settings: Any) -> None:
    """
    Raises:
        ModelError: a class that no other process can import.
    """
    if isinstance(settings, dict):
        if settings.get("module") == "__main__":
            raise ModelError(
                f"another process cannot import {settings.get('class_name')!r} from __main__: "
                "define it at the top of a module file"
            )
        settings = list(settings.values())
    for item in settings if isinstance(settings, list) else []:
        _check_classes(item)
