"""XGBoost: boosters and their scikit-learn wrappers, in XGBoost's own UBJ format. No pickle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of, model_of
from ..import_path import find_class, path_of
from ..json_values import is_json
from ..pickles import importable
from ..signature import describe_call, without_example
from ..versions import versions_of

_FILE = "model.ubj"
_BOOSTER = "xgboost.core:Booster"
_WRAPPER = "xgboost.sklearn:XGBModel"
_METHODS = ("predict", "predict_proba", "apply")


class XGBoostFramework:
    """`Booster` and every class that derives from `XGBModel`."""

    name = "xgboost"
    extra = "xgboost"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _BOOSTER, _WRAPPER)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "an XGBoost model")
        if isinstance(obj, Path):
            return _read(obj)
        if not importable(type(obj)):
            raise ModelError(
                f"another process cannot import {path_of(type(obj))}; save a class of xgboost's own, "
                "install the module, or accept a pickle: framework='cloudpickle'"
            )
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        model = model_of(obj)
        if isinstance(obj, Native) and _is_binary(obj.path):
            copy_file(obj.path, folder / _FILE)
        else:
            model.save_model(folder / _FILE)
            # On a full disk it loses the last bytes without a word; a cut file does not load.
            _xgboost().Booster().load_model(folder / _FILE)
        saved: dict[str, Any] = {"class": path_of(type(model))}
        if has_class_of(model, _WRAPPER):
            saved["parameters"] = _parameters(model)
        return Saved(options=saved, versions=versions_of(["xgboost", "scikit-learn", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        xgboost = _xgboost()
        parameters = dict(info.options.get("parameters", {}))
        # A small batch of trees is faster on the CPU; a GPU is used when it was asked for by name.
        parameters["device"] = "cpu" if device == "auto" else device
        cls = find_class(info.options["class"], (xgboost.Booster, xgboost.XGBModel))
        if issubclass(cls, xgboost.Booster):
            booster = cls()
            booster.load_model(folder / _FILE)
            booster.set_param({"device": parameters["device"]})
            return booster
        model = cls(**parameters)
        model.load_model(folder / _FILE)
        model.get_booster().set_param({"device": parameters["device"]})
        return model

    def methods(self, obj: Any) -> list[str]:
        if has_class_of(obj, _BOOSTER):
            return ["predict"]
        # A linear booster has no trees, whose leaves `apply` would name.
        linear = getattr(obj, "booster", None) == "gblinear"
        return [name for name in _METHODS if hasattr(obj, name) and not (linear and name == "apply")]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if has_class_of(obj, _BOOSTER) and method == "predict":
            return _predict(obj, *args, **kwargs)
        return getattr(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        classes = _class_count(obj) if method.startswith("predict") else None
        if example is None:
            return without_example(classes)
        result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result, classes=classes)


def _read(path: Path) -> Native:
    """A file of XGBoost's own: a wrapper where the objective says which, so that classes come out."""
    xgboost = _xgboost()
    if not _is_whole(path):
        raise ModelError(f"{path} is cut, for its last byte is not the brace that closes it: save it again")
    booster = xgboost.Booster()
    booster.load_model(path)
    model = _wrapper(xgboost, _learner(booster)["learner_train_param"]["objective"])
    if model is not None:
        model.load_model(path)
    return Native(path, booster if model is None else model)


def _is_whole(path: Path) -> bool:
    """Whether the object is closed; XGBoost runs past the end of some cut files, and crashes."""
    with path.open("rb") as file:
        opened = file.read(64).lstrip().startswith(b"{")
        file.seek(max(path.stat().st_size - 64, 0))
        return not opened or file.read().rstrip().endswith(b"}")


def _is_binary(path: Path) -> bool:
    """JSON is read too, and stored as UBJ, which loads faster."""
    with path.open("rb") as file:
        return file.read(2)[1:2] not in {b'"', b"\n", b" "}


def _wrapper(xgboost: Any, objective: str) -> Any:
    try:
        import sklearn  # noqa: F401 - the wrappers need it
    except ImportError:
        return None
    if objective in {"binary:logistic", "multi:softprob"}:
        return xgboost.XGBClassifier()
    return xgboost.XGBRegressor() if objective.startswith(("reg:", "count:")) else None


def _predict(booster: Any, data: Any, **kwargs: Any) -> Any:
    """`Booster.predict` takes only its own matrix: made here from an array, list or data frame."""
    xgboost = _xgboost()
    if not isinstance(data, xgboost.DMatrix):
        named = has_class_of(data, "pandas")
        if isinstance(data, list):
            import numpy as np

            data = np.asarray(data, dtype=np.float32)
        data = xgboost.DMatrix(
            data,
            feature_names=None if named else booster.feature_names,
            feature_types=None if named else booster.feature_types,
            enable_categorical=True,
        )
    return booster.predict(data, **kwargs)


def _parameters(model: Any) -> dict[str, Any]:
    """What the wrapper was made with beyond its defaults; callables (objectives) serve only training."""
    defaults = type(model)().get_params()
    found = {}
    for name, value in model.get_params().items():
        plain = value.item() if hasattr(value, "item") else value
        same = plain == defaults.get(name) or (_is_nan(plain) and _is_nan(defaults.get(name)))
        if not same and is_json(plain):
            found[name] = plain
    return found


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _class_count(obj: Any) -> int | None:
    """From the objective: 2 for `binary:…`, `num_class` for `multi:…`."""
    learner = _learner(obj if has_class_of(obj, _BOOSTER) else obj.get_booster())
    objective = learner["learner_train_param"]["objective"]
    if objective.startswith("binary:"):
        return 2
    return int(learner["learner_model_param"]["num_class"]) if objective.startswith("multi:") else None


def _learner(booster: Any) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(booster.save_config())["learner"]
    return found


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise MissingDependencyError("xgboost", "xgboost") from error
    return xgboost
