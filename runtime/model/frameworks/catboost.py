"""CatBoost models, in CatBoost's own binary format. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..import_path import find_class, path_of
from ..pickles import importable
from ..signature import describe_call, without_example
from ..threads import thread_count
from ..versions import versions_of
from ..zero_rows import zero_rows

_FILE = "model.cbm"
_BASE = "catboost.core:CatBoost"
_CLASSIFIER = "catboost.core:CatBoostClassifier"
_METHODS = ("predict", "predict_proba", "predict_log_proba")
_OF_CLASSIFIERS = ("Logloss", "CrossEntropy", "Multi")
_OF_RANKERS = ("YetiRank", "PairLogit", "Query", "StochasticRank", "LambdaMart")


class CatBoostFramework:
    """`CatBoost` and every class that derives from it."""

    name = "catboost"
    extra = "catboost"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _BASE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a CatBoost model")
        if isinstance(obj, Path):
            return Native(obj, _read_any(obj))
        if not importable(type(obj)):
            raise ModelError(
                f"another process cannot import {path_of(type(obj))}; save a class of catboost's own, "
                "install the module, or accept a pickle: framework='cloudpickle'"
            )
        if not obj.is_fitted():
            raise ModelError(f"this {type(obj).__qualname__} was not trained: call fit first")
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        if isinstance(obj, Native):
            copy_file(obj.path, folder / _FILE)
            obj = obj.model
        else:
            obj.save_model(str(folder / _FILE), format="cbm")
            _read(type(obj)(), folder / _FILE)  # a disk that was full is noticed here
        return Saved(options={"class": path_of(type(obj))}, versions=versions_of(["catboost", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - it predicts on the CPU
        cls = find_class(info.options["class"], (_catboost().CatBoost,))
        return _read(cls(), folder / _FILE)

    def methods(self, obj: Any) -> list[str]:
        return [name for name in _METHODS if hasattr(obj, name)]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if threads := thread_count():  # it would take every core
            kwargs.setdefault("thread_count", threads)
        return getattr(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        classes = len(obj.classes_) if has_class_of(obj, _CLASSIFIER) else None
        example = example or zero_rows(obj)
        if example is None:
            return without_example(classes)
        result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result, classes=classes)


def _read(model: Any, path: Path) -> Any:
    try:
        model.load_model(str(path), format="cbm")
    except _catboost().CatBoostError as error:
        raise ModelError(f"{path} cannot be read as a CatBoost model (cbm): {error}") from error
    return model


def _read_any(path: Path) -> Any:
    """With the class that its loss function belongs to, so that classes come out as classes."""
    catboost = _catboost()
    loss = str(_read(catboost.CatBoost(), path).get_all_params().get("loss_function", ""))
    if loss.startswith(_OF_CLASSIFIERS):
        return _read(catboost.CatBoostClassifier(), path)
    made = catboost.CatBoostRanker() if loss.startswith(_OF_RANKERS) else catboost.CatBoostRegressor()
    return _read(made, path)


def _catboost() -> Any:
    try:
        import catboost
    except ImportError as error:
        raise MissingDependencyError("catboost", "catboost") from error
    return catboost
