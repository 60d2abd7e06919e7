"""scikit-learn estimators and pipelines: a pickle; code that is not installed travels along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..buffers import SUFFIX
from ..example import Example
from ..framework import Saved, check_options, has_class_of
from ..pickles import check_pickle, dump, load, pickle_options
from ..signature import describe_call, without_example
from ..versions import distributions_of, versions_of

_FILE = "model.pkl"
_METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score_samples",
    "kneighbors",
)


class SklearnFramework:
    """Estimators, transformers and pipelines that follow scikit-learn's interface."""

    name = "sklearn"
    extra = "sklearn"
    mapped: tuple[str, ...] = (f"model{SUFFIX}",)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, "sklearn") and not isinstance(obj, type)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a scikit-learn model")
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        versions = versions_of(["scikit-learn", "numpy", "scipy", "joblib", *_other_distributions(obj)])
        dump(obj, folder / _FILE)
        return Saved(options=pickle_options(folder / _FILE), pickled=True, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - CPU only
        check_pickle(info)
        try:
            import sklearn  # noqa: F401 - the unpickler would only say "No module named sklearn"
        except ImportError as error:
            raise MissingDependencyError("sklearn", "sklearn") from error
        return load(folder / _FILE)

    def methods(self, obj: Any) -> list[str]:
        found = [name for name in _METHODS if hasattr(obj, name)]
        if not found:
            raise ModelError(
                f"{type(obj).__qualname__} has none of {', '.join(_METHODS)}: it has no answer for new rows"
            )
        return found

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(obj, method)(*args, **kwargs)
        if type(result).__module__ == "numpy":  # nearly always
            return result
        if isinstance(result, list):
            # One array an output, each with all the rows: a list would be taken for a list of rows.
            return tuple(result)
        # Rows of many callers are split again, and no protocol here has a form for sparse matrices.
        return result.toarray() if has_class_of(result, "scipy") and hasattr(result, "toarray") else result

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        classes = class_count(obj) if method.startswith(("predict", "decision")) else None
        if example is None:
            return without_example(classes)
        import numpy as np

        with np.errstate(all="ignore"):  # the logarithm of a probability of 0 is no news
            result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result, classes=classes)


def class_count(obj: Any) -> int | None:
    """Length of `classes_`; None for no classifier, or for several outputs with classes of their own."""
    classes: Any = getattr(obj, "classes_", None)
    return len(classes) if getattr(classes, "ndim", 0) == 1 else None


def _other_distributions(obj: Any) -> list[str]:
    """Distributions of steps that come from elsewhere, such as xgboost in a pipeline."""
    steps = obj.get_params(deep=True).values() if hasattr(obj, "get_params") else []
    modules = {
        type(step).__module__.partition(".")[0] for step in [obj, *steps] if hasattr(step, "get_params")
    }
    others = modules - {"sklearn", "__main__"}
    return distributions_of(others) if others else []
