"""LightGBM: boosters and their scikit-learn wrappers, in LightGBM's own text format. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..import_path import find_class, path_of
from ..json_values import is_json
from ..pickles import importable
from ..signature import describe_call, without_example
from ..threads import thread_count
from ..versions import versions_of
from ..zero_rows import zero_rows

_FILE = "model.txt"
_BOOSTER = "lightgbm.basic:Booster"
_WRAPPER = "lightgbm.sklearn:LGBMModel"
_ENCODER = "sklearn.preprocessing._label:LabelEncoder"
_METHODS = ("predict", "predict_proba")
# Not stored: the trees, which are in the file, and what only training looks at.
_LEFT_OUT = frozenset({"_Booster", "_evals_result", "_best_score", "_class_map", "_class_weight"})


class LightGBMFramework:
    """`Booster` and every class that derives from `LGBMModel`."""

    name = "lightgbm"
    extra = "lightgbm"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _BOOSTER, _WRAPPER)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a LightGBM model")
        if isinstance(obj, Path):
            return Native(obj, _read(obj))
        if not importable(type(obj)):
            raise ModelError(
                f"another process cannot import {path_of(type(obj))}; save a class of lightgbm's own, "
                "install the module, or accept a pickle: framework='cloudpickle'"
            )
        if has_class_of(obj, _WRAPPER):
            if not hasattr(obj, "fitted_"):
                raise ModelError(f"this {type(obj).__qualname__} was not trained: call fit first")
            if callable(getattr(obj, "_objective", None)):
                raise ModelError(
                    "a function as objective is not in the text format, and the wrapper answers by it: "
                    "save the booster, model.booster_"
                )
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        versions = versions_of(["lightgbm", "scikit-learn", "numpy"])
        if isinstance(obj, Native):
            copy_file(obj.path, folder / _FILE)
            return Saved(options={"class": path_of(type(obj.model))}, versions=versions)
        wrapped = has_class_of(obj, _WRAPPER)
        text = (obj.booster_ if wrapped else obj).model_to_string()
        # Not save_model: it says nothing of a disk that is full.
        (folder / _FILE).write_text(text, encoding="utf-8")
        saved: dict[str, Any] = {"class": path_of(type(obj))}
        if wrapped:
            saved.update(_state(obj))
        return Saved(options=saved, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - it predicts on CPUs only
        lightgbm = _lightgbm()
        cls = find_class(info.options["class"], (lightgbm.Booster, lightgbm.LGBMModel))
        booster = _read(folder / _FILE)
        if issubclass(cls, lightgbm.Booster):
            return booster
        model = cls()
        _give_back(model, info.options)
        model._Booster = booster
        if threads := thread_count():
            model.n_jobs = threads
        return model

    def methods(self, obj: Any) -> list[str]:
        return (
            ["predict"] if has_class_of(obj, _BOOSTER) else [name for name in _METHODS if hasattr(obj, name)]
        )

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if has_class_of(obj, _BOOSTER) and method == "predict":
            return _predict(obj, *args, **kwargs)
        return getattr(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        classes = _class_count(obj)
        example = example or zero_rows(obj)
        if example is None:
            return without_example(classes)
        result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result, classes=classes)


def _predict(booster: Any, data: Any, **kwargs: Any) -> Any:
    """`Booster.predict`, of lists too; with as many threads as the worker may use."""
    if isinstance(data, list):
        import numpy as np

        data = np.asarray(data, dtype=np.float64)
    if threads := thread_count():
        kwargs.setdefault("num_threads", threads)
    return booster.predict(data, **kwargs)


def _read(path: Path) -> Any:
    """A booster from its text.

    Raises:
        ModelError: it is no such file.
    """
    lightgbm = _lightgbm()
    try:
        text = path.read_text(encoding="utf-8")
        # LightGBM reads trees in threads, and an error in one of them ends the process; so does a cut end.
        for begun, ended in (("\ntree_sizes=", "\nend of trees"), ("\nparameters:", "\nend of parameters")):
            if begun in text and ended not in text:
                raise ModelError(f"{path} is cut: {ended.strip()!r} is missing; save it again")
        return lightgbm.Booster(model_str=text)
    except (OSError, UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise ModelError(f"{path} cannot be read as a LightGBM model in text form: {error}") from error


def _state(model: Any) -> dict[str, Any]:
    """What a wrapper knows beside its trees: parameters, classes, numbers of features."""
    plain: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    encoders: dict[str, Any] = {}
    for name, value in vars(model).items():
        if name in _LEFT_OUT:
            continue
        if has_class_of(value, _ENCODER):
            encoders[name] = _lowered(value.classes_)
        elif has_class_of(value, "numpy:ndarray"):
            arrays[name] = _lowered(value)
        elif is_json(number := value.item() if hasattr(value, "item") else value):
            plain[name] = number  # what is not plain, callbacks and generators, served only training
    return {"state": plain, "arrays": arrays, "encoders": encoders}


def _lowered(array: Any) -> dict[str, Any]:
    return {"dtype": "O" if array.dtype.kind == "O" else array.dtype.str, "values": array.tolist()}


def _raised(array: dict[str, Any]) -> Any:
    import numpy as np

    return np.array(array["values"], dtype=array["dtype"])


def _give_back(model: Any, options: dict[str, Any]) -> None:
    """What `_state` took."""
    from sklearn.preprocessing import LabelEncoder

    vars(model).update(options.get("state", {}))
    vars(model).update({name: _raised(array) for name, array in options.get("arrays", {}).items()})
    for name, array in options.get("encoders", {}).items():
        encoder = LabelEncoder()
        encoder.classes_ = _raised(array)
        vars(model)[name] = encoder


def _class_count(obj: Any) -> int | None:
    """Of a wrapper its own; of a booster from its objective."""
    if not has_class_of(obj, _BOOSTER):
        return int(obj.n_classes_) if hasattr(obj, "predict_proba") else None
    objective = str(obj.dump_model(num_iteration=1).get("objective", ""))
    if objective.startswith(("binary", "cross_entropy")):
        return 2
    return int(obj.num_model_per_iteration()) if objective.startswith("multiclass") else None


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise MissingDependencyError("lightgbm", "lightgbm") from error
    return lightgbm
