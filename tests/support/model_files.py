"""Small model files of several libraries, written once a test session."""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = 4
CLASSES = ("setosa", "versicolor", "virginica")


def flowers() -> tuple[Any, Any]:
    """float64[30, 4] of three classes that lie apart, and their numbers."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    return rng.normal(size=(30, FEATURES)) * 0.1 + labels[:, None], labels


@cache
def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    x, y = flowers()
    return RandomForestClassifier(3, random_state=0).fit(x, y)


@cache
def named_pipeline() -> Any:
    """A pipeline over columns with names, one of them of words; its classes are words too."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.DataFrame({"age": [20.0, 30.0, 50.0, 60.0], "city": ["Bern", "Oslo", "Bern", "Oslo"]})
    prepare = ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["city"])])
    return make_pipeline(prepare, LogisticRegression()).fit(table, ["young", "young", "old", "old"])


def boosted() -> Any:
    import xgboost

    x, y = flowers()
    return xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(x, y)


def net() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(FEATURES, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()


def write_script(path: Path, *, traced: bool = False) -> Path:
    """The net as TorchScript."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.trace(net(), torch.zeros(1, FEATURES)) if traced else torch.jit.script(net())
        module.save(str(path))
    return path


def write_pickle(path: Path, obj: Any, protocol: int = 4) -> Path:
    with path.open("wb") as file:
        pickle.dump(obj, file, protocol=protocol)
    return path


def onnx_bytes() -> bytes:
    """A graph that gives back its input float32[n, 4], written field by field: no library is needed."""
    shape = _field(1, _field(2, b"n")) + _field(1, _number(1, FEATURES))
    kind = _field(1, _number(1, 1) + _field(2, shape))

    def value(name: bytes) -> bytes:
        return _field(1, name) + _field(2, kind)

    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Identity")
    graph = _field(1, node) + _field(2, b"g") + _field(11, value(b"x")) + _field(12, value(b"y"))
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 17))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
