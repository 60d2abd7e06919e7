"""scikit-learn estimators and pipelines: a pickle, with which code that is not installed travels along; or a
skops file, which holds no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..buffers import SUFFIX
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of, model_of
from ..pickles import check_allowed, check_pickle, dump, load, pickle_options
from ..signature import describe_call, without_example
from ..skops_file import is_skops, read, untrusted_types, write
from ..versions import distributions_of, versions_of

_FILE, _SKOPS = "model.pkl", "model.skops"
_JOBLIB, _COMPRESSED = "model.joblib", "model.joblib.z"
_LOGARITHMS = "predict_log_proba"
_METHODS = (
    "predict",
    "predict_proba",
    _LOGARITHMS,
    "decision_function",
    "transform",
    "score_samples",
    "kneighbors",
)


class SklearnFramework:
    """Estimators, transformers and pipelines that follow scikit-learn's interface."""

    name = "sklearn"
    extra = "sklearn"
    mapped: tuple[str, ...] = (f"model{SUFFIX}", _JOBLIB)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, "sklearn") and not isinstance(obj, type)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"format", "trusted"}, "a scikit-learn model")
        format_ = options.get("format", "pickle")
        if format_ not in {"pickle", "skops"}:
            raise ModelError(f"options format={format_!r} is not known; use 'pickle' or 'skops'")
        if isinstance(options.get("trusted"), str):
            raise ModelError("options trusted= is a list of types, ['package.module.Class']")
        if "trusted" in options and format_ != "skops" and not isinstance(obj, Path):
            raise ModelError("options trusted= lists types of a skops file; a pickle makes any")
        if isinstance(obj, Path):
            return Native(obj, _read(obj, options))
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        model = model_of(obj)
        versions = versions_of(["scikit-learn", "numpy", "scipy", "joblib", *_other_distributions(model)])
        trusted = options.get("trusted", ())
        if isinstance(obj, Native):
            file = _file_for(obj.path)
            copy_file(obj.path, folder / file)
            listed = untrusted_types(folder / file, trusted) if file == _SKOPS else []
        elif options.get("format") == "skops":
            file, listed = _SKOPS, write(obj, folder / _SKOPS, trusted)
        else:
            file, listed = _FILE, []
            dump(obj, folder / _FILE)
        if file == _SKOPS:
            versions.update(versions_of(["skops"]))
            return Saved(options={"file": file, "trusted": listed}, versions=versions)
        saved = {**({"file": file} if file != _FILE else {}), **pickle_options(folder / file)}
        return Saved(options=saved, pickled=True, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - CPU only
        file = info.options.get("file", _FILE)
        if file == _SKOPS:
            return read(folder / _SKOPS, info.options.get("trusted", []))
        check_pickle(info)
        _need_sklearn()
        return _unpickled(folder, file)

    def methods(self, obj: Any) -> list[str]:
        found = [name for name in _METHODS if hasattr(obj, name)]
        if not found:
            raise ModelError(
                f"{type(obj).__qualname__} has none of {', '.join(_METHODS)}: it has no answer for new rows"
            )
        return found

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == _LOGARITHMS:
            result = _quiet_logarithms(obj, *args, **kwargs)
        else:
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

        with np.errstate(all="ignore"):  # an example is run for its form, not for its numbers
            result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(getattr(obj, method), example, result, classes=classes)


def _quiet_logarithms(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The logarithm of a probability of 0 is -inf and no news: not of the zeros that a worker warms itself
    with, nor of a caller's rows. All other warnings stay."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return obj.predict_log_proba(*args, **kwargs)


def class_count(obj: Any) -> int | None:
    """Length of `classes_`; None for no classifier, or for several outputs with classes of their own."""
    classes: Any = getattr(obj, "classes_", None)
    return len(classes) if getattr(classes, "ndim", 0) == 1 else None


def _read(path: Path, options: dict[str, Any]) -> Any:
    """The estimator in a file of skops, joblib or pickle.

    Raises:
        ModelError: pickles are forbidden here, types in a skops file are not listed, or it is something else.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    _need_sklearn()
    file = _file_for(path)
    if file == _SKOPS:
        return read(path, untrusted_types(path, options.get("trusted", ())))
    if options.get("format") == "skops":
        raise ModelError(f"{path} is no skops file")
    check_allowed(str(path))
    try:
        return _unpickled(path.parent, file, path.name)
    except Exception as error:  # an unpickler raises anything
        raise ModelError(f"{path} cannot be read as a pickle: {type(error).__name__}: {error}") from error


def _file_for(path: Path) -> str:
    """The name under which a file is kept, which says how it is read: by its content."""
    if is_skops(path):
        return _SKOPS
    with path.open("rb") as file:
        plain = file.read(1) == b"\x80"  # a pickle of protocol 2 or newer, which is not compressed
    return _JOBLIB if plain else _COMPRESSED


def _unpickled(folder: Path, file: str, name: str = "") -> Any:
    """Arrays of an uncompressed joblib file stay in it, mapped; a page that is written to is copied."""
    if file == _FILE:
        return load(folder / _FILE)
    import joblib

    return joblib.load(folder / (name or file), mmap_mode="c" if file == _JOBLIB else None)


def _need_sklearn() -> None:
    try:
        import sklearn  # noqa: F401 - the unpickler would only say "No module named sklearn"
    except ImportError as error:
        raise MissingDependencyError("sklearn", "sklearn") from error


def _other_distributions(obj: Any) -> list[str]:
    """Distributions of steps that come from elsewhere, such as xgboost in a pipeline."""
    steps = obj.get_params(deep=True).values() if hasattr(obj, "get_params") else []
    modules = {
        type(step).__module__.partition(".")[0] for step in [obj, *steps] if hasattr(step, "get_params")
    }
    others = modules - {"sklearn", "__main__"}
    return distributions_of(others) if others else []
