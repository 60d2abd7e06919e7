"""What a model says of its inputs, as an example call of zeros: rows of the right number, type and names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ...errors import ModelError
from ...runtime.manifest import TypeSpec
from ...runtime.model.example import Example
from ...runtime.model.framework import has_class_of
from ...runtime.model.signature import BATCH_AXIS
from ...runtime.model.zero_rows import zero_rows

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_ROWS = 2
"""Two, so that a result with one row for each is told from one that has a single one."""
_TEXT_STEPS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")


def said_example(inputs: Mapping[str, TypeSpec]) -> Example | None:
    """Zeros that look like what the user said; None when a shape is not known."""
    if not inputs or any(_open(spec) for spec in inputs.values()):
        return None
    return Example(args=tuple(_zeros(spec) for spec in inputs.values()))


def own_example(obj: Any) -> Example | None:
    """Zeros that look like what a fitted model was trained on; None when it does not say."""
    if (own := zero_rows(obj)) is not None:
        return own
    names = _feature_names(obj)
    if names and has_class_of(obj, "sklearn") and not has_class_of(obj, "xgboost", "lightgbm", "catboost"):
        return Example(args=(_frame(obj, names),))
    width = _width(obj)
    if width:
        import numpy as np

        single = has_class_of(obj, "xgboost", "lightgbm", "catboost")
        return Example(args=(np.zeros((_ROWS, width), np.float32 if single else np.float64),))
    if _takes_texts(obj):
        return Example(args=(["a text", "another one"],))
    return None


def forward_names(obj: Any) -> list[str]:
    """What the arguments of a torch module are called; none for anything else."""
    forward = getattr(obj, "forward", None)
    if forward is None or not has_class_of(obj, "torch"):
        return []
    schema = getattr(forward, "schema", None)  # of TorchScript
    if schema is not None:
        arguments = schema.arguments[1:]
        return [each.name for each in arguments if not each.has_default_value()]
    parameters = inspect.signature(forward).parameters.values()
    return [each.name for each in parameters if each.default is each.empty and each.kind in _POSITIONAL]


def _open(spec: TypeSpec) -> bool:
    return spec.shape is None or any(axis != BATCH_AXIS and not isinstance(axis, int) for axis in spec.shape)


def _zeros(spec: TypeSpec) -> Any:
    import numpy as np

    shape = [axis if isinstance(axis, int) else _ROWS for axis in spec.shape or []]
    return np.zeros(shape, dtype=np.dtype(spec.dtype))


def _feature_names(obj: Any) -> list[str]:
    try:
        names = obj.feature_names_in_
    except AttributeError:  # sklearn's pipelines ask their first step, which may not know
        return []
    return [str(name) for name in names]


def _width(obj: Any) -> int:
    """Number of features; 0 when it is not known."""
    for name in ("n_features_in_", "num_features", "num_feature"):
        try:
            value = getattr(obj, name)
            value = value() if callable(value) else value
        except (AttributeError, TypeError, ValueError):
            continue
        if isinstance(value, int) and value > 0:
            return value
    names = getattr(obj, "feature_names_", None)  # CatBoost
    return len(names) if isinstance(names, list) else 0


def _takes_texts(obj: Any) -> bool:
    if has_class_of(obj, "transformers", "sentence_transformers", "spacy"):
        return True
    steps = getattr(obj, "steps", None)
    first = steps[0][1] if steps else obj
    return type(first).__name__ in _TEXT_STEPS and has_class_of(first, "sklearn")


def _frame(obj: Any, names: list[str]) -> Any:
    """Zeros in every column but those that an encoder knows the words of."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ModelError(
            "the model was trained on columns with names, which need pandas: pip install 'tiffin[pandas]'"
        ) from error
    words = _categories(obj)
    return pd.DataFrame({name: [words.get(name, 0.0)] * _ROWS for name in names})


def _categories(obj: Any) -> dict[str, Any]:
    """Column to the first value that an encoder below this estimator was fitted with."""
    found: dict[str, Any] = {}
    for step in _steps(obj):
        for _, inner, columns in getattr(step, "transformers_", ()):
            first = next((each for each in _steps(inner) if hasattr(each, "categories_")), None)
            if first is None or isinstance(columns, (str, slice)):
                continue
            for column, known in zip(columns, first.categories_, strict=False):
                if len(known):
                    found[str(column)] = known[0].item() if hasattr(known[0], "item") else known[0]
    return found


def _steps(obj: Any) -> list[Any]:
    return [step for _, step in getattr(obj, "steps", [])] or [obj]
