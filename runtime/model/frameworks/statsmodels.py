"""statsmodels results: a pickle, for the library has no other format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..buffers import SUFFIX
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..pickles import check_allowed, check_pickle, dump, load, pickle_options
from ..signature import describe_call
from ..versions import versions_of

_FILE = "results.pkl"
_BASES = ("statsmodels.base.wrapper:ResultsWrapper", "statsmodels.base.model:Results")
_WITH_INTERVALS = (
    "statsmodels.regression.linear_model:RegressionResultsWrapper",
    "statsmodels.genmod.generalized_linear_model:GLMResultsWrapper",
)
_SERIES = ("forecast", "get_forecast")
"""Of time series: a number of steps in, that many values out."""


class StatsmodelsFramework:
    """What `fit()` gives: of regressions, generalized linear models, discrete models, time series."""

    name = "statsmodels"
    extra = "statsmodels"
    mapped: tuple[str, ...] = (f"results{SUFFIX}",)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, *_BASES)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"remove_data"}, "results of statsmodels")
        remove = bool(options.get("remove_data"))
        if isinstance(obj, Path):
            if remove:
                raise ModelError(
                    "a path is copied as it is: give the results themselves to remove their data"
                )
            return Native(obj, _read(obj))
        return _without_data(obj) if remove else obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - prepare used them
        if isinstance(obj, Native):
            copy_file(obj.path, folder / _FILE)
        else:
            dump(obj, folder / _FILE)
        versions = versions_of(["statsmodels", "numpy", "scipy", "pandas", "patsy", "formulaic"])
        return Saved(options=pickle_options(folder / _FILE), pickled=True, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - CPU only
        check_pickle(info)
        _statsmodels()
        return load(folder / _FILE)

    def methods(self, obj: Any) -> list[str]:
        series = [name for name in _SERIES if hasattr(obj, name)]
        if series:
            return series
        if not hasattr(obj, "predict"):
            raise ModelError(f"{type(obj).__qualname__} has no predict: it has no answer for new rows")
        intervals = has_class_of(obj, *_WITH_INTERVALS) and hasattr(obj, "get_prediction") and _has_data(obj)
        return ["predict", *(["get_prediction"] if intervals else [])]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """Arrays, for the rows' labels are the library's own; intervals are a data frame."""
        result = getattr(obj, method)(*args, **kwargs)
        if hasattr(result, "summary_frame"):
            result = result.summary_frame()
        if has_class_of(result, "pandas"):
            return result.to_numpy() if result.ndim == 1 else result.reset_index(drop=True)
        return result

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec(batch=method not in _SERIES)
        result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result)


def _read(path: Path) -> Any:
    """The results in a pickle, which runs its code.

    Raises:
        ModelError: pickles are forbidden here, or it holds something else.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    check_allowed(str(path))
    _statsmodels()
    try:
        found = load(path)
    except Exception as error:  # an unpickler raises anything
        raise ModelError(f"{path} cannot be read as a pickle: {type(error).__name__}: {error}") from error
    if not has_class_of(found, *_BASES):
        raise ModelError(f"{path} holds a {type(found).__qualname__}, no results of statsmodels")
    return found


def _without_data(obj: Any) -> Any:
    """A copy without the rows it was trained on; the user's own keeps them."""
    import pickle

    copied = pickle.loads(pickle.dumps(obj))  # noqa: S301 - an object of this process
    copied.remove_data()
    return copied


def _has_data(obj: Any) -> bool:
    return getattr(getattr(obj, "model", None), "exog", None) is not None


def _statsmodels() -> Any:
    try:
        import statsmodels.api
    except ImportError as error:
        raise MissingDependencyError("statsmodels", "statsmodels") from error
    return statsmodels.api
