"""TensorFlow modules and SavedModel folders: graphs that need no Python class. No pickle."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ....errors import ModelError
from ...manifest import MethodSpec, ModelInfo
from ..example import Example
from ..framework import Native, Saved, check_options, copy_folder, has_class_of
from ..signature import describe_call
from ..tensor_specs import array_type, fixed_rows, named
from ..tensorflow_library import place_of, tensorflow_or_error
from ..versions import versions_of

_MODULE = "tensorflow.python.trackable.autotrackable:AutoTrackable"
_FUNCTION = "tensorflow.python.eager.polymorphic_function.polymorphic_function:Function"
_FILE = "saved_model.pb"
_STAND_INS = ("__call__", "serving_default", "serve")
"""What `predict` is where there is no function of that name, the best first."""

_places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Module to the device that it was loaded to; none for `auto`."""


class TensorFlowFramework:
    """A `tf.Module` with methods of `tf.function`, what `tf.saved_model.load` gives, or a SavedModel folder.

    Its methods are those functions, and the signatures of the folder by their names. A function without
    `input_signature` is traced with the example, for any number of rows.
    """

    name = "tensorflow"
    extra = "tensorflow"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _MODULE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a TensorFlow module")
        if not isinstance(obj, Path):
            return obj
        if not (obj / _FILE).is_file():
            raise ModelError(f"{obj} is no SavedModel folder: it has no {_FILE}")
        return Native(obj, tensorflow_or_error().saved_model.load(str(obj)))

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        if isinstance(obj, Native):
            copy_folder(obj.path, folder)
        else:
            tensorflow_or_error().saved_model.save(obj, str(folder))
        return Saved(versions=versions_of(["tensorflow", "tensorflow-cpu", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - the files tell all
        tf = tensorflow_or_error()
        place = place_of(tf, device)
        with _on(tf, place):
            module = tf.saved_model.load(str(folder))
        if place:
            _places[module] = place
        return module

    def methods(self, obj: Any) -> list[str]:
        names = _functions(obj)
        if not names:
            raise ModelError(
                f"{type(obj).__qualname__} has no tf.function: SavedModel keeps graphs, no Python code; "
                "put @tf.function over the method that services call"
            )
        first = ["predict"] if "predict" in names or _stand_in(names) else []
        return [*first, *(name for name in names if name != "predict")]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        tf = tensorflow_or_error()
        function = _function(obj, method)
        with _on(tf, _places.get(obj, "")):
            specs = _specs(function)
            given = [_tensor(tf, value, spec) for value, spec in _paired(args, [*specs.values()])]
            by_name = {name: _tensor(tf, value, specs.get(name)) for name, value in kwargs.items()}
            if not has_class_of(function, _FUNCTION):  # a signature takes its tensors by name only
                by_name = {**dict(zip(specs, given, strict=False)), **by_name}
                given = []
            result = _arrays(function(*given, **by_name))
        return (
            next(iter(result.values())) if isinstance(result, dict) and [*result] == ["output_0"] else result
        )

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        function = _function(obj, method)
        if example is not None and not _specs(function):
            _trace(function, example)
        specs = _specs(function)
        inputs = {name: array_type(_dtype(one), one.shape) for name, one in specs.items()}
        spec = MethodSpec(inputs=inputs)
        if example is not None:
            result = self.call(obj, method, *example.args, **example.kwargs)
            spec = describe_call(named(inputs), example, result)
        rows = {one.shape[0] for one in specs.values() if one.shape.rank}
        if spec.batch and len(rows) == 1 and isinstance(size := rows.pop(), int):
            fixed_rows(spec, size)
        return spec


def _functions(module: Any) -> dict[str, Any]:
    """Name to `tf.function` or signature."""
    found = {}
    for name in ["__call__", *(name for name in dir(module) if not name.startswith("_"))]:
        value = getattr(module, name, None)
        if has_class_of(value, _FUNCTION):
            found[name] = value
    signatures = getattr(module, "signatures", None)
    return {**(dict(signatures) if signatures else {}), **found}


def _stand_in(names: dict[str, Any]) -> str:
    found = next((name for name in _STAND_INS if name in names), "")
    return found or (next(iter(names)) if len(names) == 1 else "")


def _function(module: Any, method: str) -> Any:
    names = _functions(module)
    name = method if method in names else _stand_in(names) if method == "predict" else ""
    if not name:
        raise ModelError(f"the module has no tf.function {method!r}; it has {', '.join(names) or 'none'}")
    return names[name]


def _specs(function: Any) -> dict[str, Any]:
    """Parameter to `tf.TensorSpec`; empty for a function that was not traced."""
    if has_class_of(function, _FUNCTION):
        if function.input_signature is not None:
            return {(one.name or f"x{at}"): one for at, one in enumerate(function.input_signature)}
        known = getattr(function, "concrete_functions", None) or function._list_all_concrete_functions()
        if not known:
            return {}
        function = known[0]
    positional, by_name = function.structured_input_signature
    found = [*((one.name or f"x{at}", one) for at, one in enumerate(positional)), *by_name.items()]
    return {name: one for name, one in found if hasattr(one, "shape") and hasattr(one, "dtype")}


def _trace(function: Any, example: Example) -> None:
    """For any number of rows, where the example would stand for its own number only."""
    import tensorflow as tf

    def spec(value: Any) -> Any:
        tensor = tf.convert_to_tensor(value)
        shape = [None, *tensor.shape[1:]] if tensor.shape.rank else []
        return tf.TensorSpec(shape, tensor.dtype)

    given = {name: spec(value) for name, value in example.kwargs.items()}
    function.get_concrete_function(*map(spec, example.args), **given)


def _paired(values: tuple[Any, ...], specs: list[Any]) -> list[tuple[Any, Any]]:
    return [(value, specs[at] if at < len(specs) else None) for at, value in enumerate(values)]


def _tensor(tf: Any, value: Any, spec: Any) -> Any:
    """Of the dtype that the graph takes: numpy computes in float64, and JSON knows one kind of number."""
    import numpy as np

    if spec is None or isinstance(value, tf.Tensor):
        return tf.convert_to_tensor(value)
    if spec.dtype == tf.string:
        return tf.convert_to_tensor(np.asarray(value, dtype=object), dtype=tf.string)
    return tf.convert_to_tensor(np.asarray(value, dtype=spec.dtype.as_numpy_dtype))


def _arrays(value: Any) -> Any:
    """Arrays; a list of outputs would be taken for a list of rows."""
    if isinstance(value, dict):
        return {name: _arrays(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_arrays(item) for item in value)
    array = value.numpy() if hasattr(value, "numpy") else value
    if getattr(getattr(array, "dtype", None), "kind", "") == "O":
        array = array.astype(bytes).astype(str)
    return array


def _dtype(spec: Any) -> str:
    return "str" if spec.dtype.name == "string" else str(spec.dtype.name)


def _on(tf: Any, place: str) -> contextlib.AbstractContextManager[Any]:
    return tf.device(place) if place else contextlib.nullcontext()
