"""MLflow models: the folders that `mlflow.<flavor>.save_model` writes, called by `mlflow.pyfunc`.

Most of them hold a pickle or code of their own, and are marked so; XGBoost, LightGBM, CatBoost, ONNX and
skops inside a folder are not.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo, TypeSpec
from ..example import Example
from ..framework import Native, Saved, check_options, copy_folder, has_class_of, model_of
from ..pickles import check_allowed, check_pickle
from ..settings_file import settings_bytes
from ..signature import BATCH_AXIS, describe_call
from ..versions import versions_of

_FOLDER = "model"
_MANIFEST = "MLmodel"
_PYTHON_MODEL = "mlflow.pyfunc.model:PythonModel"
_LOADED = "mlflow.pyfunc:PyFuncModel"
_SAFE = frozenset({"catboost", "onnx"})
"""Flavors whose files are always the library's own, without a pickle."""
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class _Written(Native):
    """A model that `prepare` wrote to look at it as it will be loaded."""

    place: tempfile.TemporaryDirectory[str]
    """Removed with this object."""


class MlflowFramework:
    """Folders with an MLmodel file, and instances of `mlflow.pyfunc.PythonModel`."""

    name = "mlflow"
    extra = "mlflow"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _PYTHON_MODEL, _LOADED)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "an MLflow model")
        if has_class_of(obj, _LOADED):
            raise ModelError(
                "a loaded MLflow model does not know its files: save the folder, "
                "pathlib.Path(mlflow.artifacts.download_artifacts(uri))"
            )
        if isinstance(obj, Path):
            if _runs_code(obj):
                check_allowed(str(obj))
            return Native(obj.resolve(), _read(obj))
        check_allowed(type(obj).__qualname__)
        place = tempfile.TemporaryDirectory(prefix="tiffin-mlflow-")
        folder = Path(place.name) / _FOLDER
        pyfunc = _pyfunc()
        # Otherwise it loads the model in a process of its own, to see what that imports.
        needs = [f"{name}=={number}" for name, number in versions_of(["mlflow", "mlflow-skinny"]).items()]
        pyfunc.save_model(folder, python_model=obj, pip_requirements=needs)
        return _Written(path=folder, model=_read(folder), place=place)

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        copy_folder(obj.path, folder / _FOLDER)
        return Saved(
            pickled=_runs_code(folder / _FOLDER),
            versions=versions_of(["mlflow", "mlflow-skinny", "numpy", "pandas", *_needs(obj.path)]),
        )

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - the flavor's own matter
        if _runs_code(folder / _FOLDER):
            check_pickle(info)
        return _read(folder / _FOLDER)

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - the same for every flavor
        return ["predict"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(model_of(obj), method)(*args, **kwargs)
        if has_class_of(result, "pandas") and result.ndim == 1:
            return result.to_numpy()
        return result.toarray() if has_class_of(result, "scipy") and hasattr(result, "toarray") else result

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        schema = obj.metadata.get_input_schema()
        told = None if schema is None else _told(schema)
        if example is None and (own := _own_example(obj)) is not None:
            example = Example(args=(own,))
        spec = MethodSpec(inputs={"data": TypeSpec(kind="json")})
        if example is not None:
            result = self.call(obj, method, *example.args, **example.kwargs)
            spec = describe_call(obj.predict, example, result)
        elif told is not None:
            # A signature may promise what the model does not take: then its answer stays unknown.
            with contextlib.suppress(Exception):
                if (zeros := _zeros(told)) is not None:
                    result = self.call(obj, method, *zeros.args)
                    spec.output = describe_call(obj.predict, zeros, result).output
        if told is not None and spec.inputs:
            spec.inputs[next(iter(spec.inputs))] = told
        return spec


def _told(schema: Any) -> TypeSpec | None:
    """What a signature says of the input; None when it says nothing that is known here.

    Its columns count, not those of an example: a double may be 1 there.
    """
    if schema.has_input_names() and not schema.is_tensor_spec():
        if any(not column.required for column in schema.inputs):
            return TypeSpec(kind="dataframe")  # MLflow itself fills up what may be left out
        try:
            columns = {column.name: str(_dtype(column.type)) for column in schema.inputs}
        except AttributeError:  # lists and objects inside a column
            return TypeSpec(kind="dataframe")
        return TypeSpec(kind="dataframe", columns=columns, shape=[BATCH_AXIS, len(columns)])
    if schema.is_tensor_spec() and len(schema.inputs) == 1 and not schema.has_input_names():
        tensor = schema.inputs[0]
        shape = [size if size >= 0 else f"d{axis}" for axis, size in enumerate(tensor.shape)]
        return TypeSpec(
            kind="array",
            dtype=str(tensor.type),
            shape=[BATCH_AXIS if tensor.shape[0] < 0 else shape[0], *shape[1:]],
        )
    return None


def _zeros(told: TypeSpec) -> Example | None:
    """Two rows of what a signature tells; None when it leaves sizes open."""
    import numpy as np

    if told.columns:
        import pandas as pd

        return Example(args=(pd.DataFrame({name: np.zeros(2, of) for name, of in told.columns.items()}),))
    if told.kind != "array" or not told.shape or told.shape[0] != BATCH_AXIS:
        return None
    sizes = [size for size in told.shape[1:] if isinstance(size, int)]
    return Example(args=(np.zeros((2, *sizes), told.dtype),)) if len(sizes) + 1 == len(told.shape) else None


def _dtype(kind: Any) -> Any:
    """The dtype that pandas has for a type of MLflow's."""
    import numpy as np

    return np.dtype(kind.to_pandas())


def _own_example(model: Any) -> Any:
    """The example that was saved with it."""
    try:
        return model.input_example
    except Exception:  # noqa: BLE001 - one that cannot be read is as good as none
        return None


def _read(path: Path) -> Any:
    """The model in a folder.

    Raises:
        ModelError: it is no such folder, or cannot be loaded here.
    """
    _manifest(path)
    try:
        return _pyfunc().load_model(str(path))
    except MissingDependencyError:
        raise
    except Exception as error:  # flavors raise anything
        raise ModelError(f"{path} cannot be loaded by MLflow: {type(error).__name__}: {error}") from error


def _runs_code(path: Path) -> bool:
    """Whether loading unpickles, or imports code that lies in the folder."""
    flavors = _manifest(path)["flavors"]
    own = flavors["python_function"]
    if any(isinstance(flavor, dict) and flavor.get("code") for flavor in flavors.values()):
        return True
    name = str(own.get("loader_module", "")).removeprefix("mlflow.")
    flavor = flavors.get(name)
    if not isinstance(flavor, dict):
        return True
    as_skops = flavor.get("serialization_format") == "skops" and not flavor.get("skops_trusted_types")
    if name == "lightgbm":  # its boosters are text, its wrappers are not
        return not as_skops and flavor.get("model_class") != "lightgbm.basic.Booster"
    if name == "xgboost":  # UBJ or JSON, read by an object of the class that is named
        return not str(flavor.get("model_class", "xgboost.core.Booster")).startswith("xgboost.")
    return not as_skops if name == "sklearn" else name not in _SAFE


def _manifest(path: Path) -> dict[str, Any]:
    """MLmodel.

    Raises:
        ModelError: there is none, or it has no flavor that `mlflow.pyfunc` can call.
    """
    file = path / _MANIFEST
    if not file.is_file():
        raise ModelError(f"{path} is no folder of an MLflow model: it has no file {_MANIFEST}")
    try:
        found = yaml.safe_load(settings_bytes(file))
    except (UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ModelError(f"{path} is no folder of an MLflow model: {error}") from error
    flavors = found.get("flavors") if isinstance(found, dict) else None
    if not isinstance(flavors, dict) or not isinstance(flavors.get("python_function"), dict):
        raise ModelError(f"{file} names no flavor python_function, by which any MLflow model is called")
    return dict(found)


def _needs(path: Path) -> list[str]:
    """Distributions that its requirements.txt names."""
    file = path / "requirements.txt"
    lines = settings_bytes(file).decode("utf-8", errors="replace").splitlines() if file.is_file() else []
    return [found[1] for line in lines if (found := _REQUIREMENT.match(line.strip()))]


def _pyfunc() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a server calls nobody that it was not told to
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise MissingDependencyError("mlflow", "mlflow") from error
    return mlflow.pyfunc
