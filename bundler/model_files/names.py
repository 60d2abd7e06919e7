"""Names for what came without one: of a model from its file, of a class and a route from the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from keyword import iskeyword
from pathlib import Path

from ...errors import UsageError
from ...runtime.tag import spelled

_ENDING = re.compile(
    r"\.(tar|gz|joblib|pkl|pickle|sav|ubj|json|onnx|ort|pt|pth|pt2|ts|txt|lgb|model|cbm|keras|h5|hdf5"
    r"|skops|xml|bin)$"
)
"""What names of model files end with; another ending stays in the name."""


def model_name(path: Path) -> str:
    """`My Forest.v2.joblib` → `my-forest.v2`: the file's name as the store takes it."""
    stem = path.resolve().name.lower()
    while (shorter := _ENDING.sub("", stem)) != stem:
        stem = shorter
    return spelled(stem) or "model"


def names_of(paths: Sequence[Path]) -> list[str]:
    """One each.

    Raises:
        UsageError: two files would have the same.
    """
    names = [model_name(path) for path in paths]
    for at, name in enumerate(names):
        if name in names[:at]:
            first = paths[names.index(name)]
            raise UsageError(
                f"{first.name} and {paths[at].name} would both be the model {name!r}: rename one of them"
            )
    return names


def class_name(name: str) -> str:
    """`my-forest.v2` → `MyForestV2`."""
    made = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
    if not made or made[0].isdigit() or iskeyword(made):
        made = f"Model{made}"
    return made


def attribute_name(name: str) -> str:
    """`my-forest.v2` → `my_forest_v2`."""
    made = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return f"model_{made}" if made[0].isdigit() or iskeyword(made) else made
