"""Rows of zeros for models that know their own columns: boosted trees of LightGBM and CatBoost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .example import Example
from .framework import has_class_of

_ROWS = 2
"""Two, so that a result with one row for each is told from one that has a single one."""
_UNNAMED = re.compile(r"(Column_)?\d+")
"""What the libraries call columns that have no name."""


_CATEGORICAL = re.compile(r"^\[categorical_feature: ([\d,]+)\]$", re.MULTILINE)
"""In LightGBM's text; where its object has them differs between versions."""


def zero_rows(obj: Any) -> Example | None:
    """Two rows that look like what the model was trained on.

    Returns:
        An array, or a data frame where columns had names or categories; None for another library's model, or
        where pandas is missing.
    """
    if has_class_of(obj, "catboost"):
        placed = [*obj.get_cat_feature_indices(), *obj.get_text_feature_indices()]
        return _rows(obj.feature_names_, dict.fromkeys(placed))
    if not has_class_of(obj, "lightgbm"):
        return None
    booster = getattr(obj, "booster_", obj)
    known = booster.pandas_categorical or []
    places = _CATEGORICAL.search(booster.model_to_string(num_iteration=1)) if known else None
    words = dict(zip(map(int, places[1].split(",")), known, strict=False)) if places else {}
    return _rows(booster.feature_name(), words)


def _rows(names: Sequence[str], words: Mapping[int, Sequence[Any] | None]) -> Example | None:
    """`words`: place of a column to the categories that it had; None: words of any kind."""
    import numpy as np

    if not words and all(_UNNAMED.fullmatch(name) for name in names):
        return Example(args=(np.zeros((_ROWS, len(names))),))
    try:
        import pandas as pd
    except ImportError:
        return None
    columns: dict[str, Any] = {name: [0.0] * _ROWS for name in names}
    for place, categories in words.items():
        columns[names[place]] = (
            pd.Series(["0"] * _ROWS, dtype=object)
            if categories is None
            else pd.Categorical([categories[0]] * _ROWS, categories=categories)
        )
    return Example(args=(pd.DataFrame(columns),))
