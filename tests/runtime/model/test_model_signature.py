from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tiffin.runtime.manifest import TypeSpec
from tiffin.runtime.model.example import Example
from tiffin.runtime.model.signature import arguments, describe_call, spec_of


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (np.zeros((2, 3), np.float32), TypeSpec(kind="array", dtype="float32", shape=["n", 3])),
        (np.zeros(2, "<U5"), TypeSpec(kind="array", dtype="str", shape=["n"])),
        (np.array(["a", None]), TypeSpec(kind="array", dtype="object", shape=["n"])),
        (np.float64(1.0), TypeSpec(kind="number", dtype="float64")),
        (np.float32(1.0), TypeSpec(kind="array", dtype="float32", shape=[])),
        (torch.zeros(2, 3, dtype=torch.bfloat16), TypeSpec(kind="tensor", dtype="bfloat16", shape=["n", 3])),
        (
            pd.DataFrame({"a": [1], "b": [2.0]}),
            TypeSpec(kind="dataframe", columns={"a": "int64", "b": "float64"}, shape=["n", 2]),
        ),
        (pd.Series([1.0]), TypeSpec(kind="array", dtype="float64", shape=["n"])),
        (Image.new("L", (2, 2)), TypeSpec(kind="image")),
        (b"x", TypeSpec(kind="bytes")),
        ("x", TypeSpec(kind="text")),
        (True, TypeSpec(kind="boolean")),
        (3, TypeSpec(kind="number", dtype="int64")),
        (["a", "b"], TypeSpec(kind="json", json_schema={"type": "array", "items": {"type": "string"}})),
        ([1, "b"], TypeSpec(kind="json", json_schema={"type": "array"})),
        (
            {"a": 1.5},
            TypeSpec(kind="json", json_schema={"type": "object", "properties": {"a": {"type": "number"}}}),
        ),
    ],
)
def test_spec_of(value: Any, spec: TypeSpec) -> None:
    assert spec_of(value) == spec


def test_what_an_example_means() -> None:
    rows = [[1.0]]
    assert Example.of(rows) == Example(args=(rows,))
    assert Example.of((rows, rows)) == Example(args=(rows, rows))
    assert Example.of({"x": rows}) == Example(kwargs={"x": rows})
    assert Example.of(({"x": rows},)) == Example(args=({"x": rows},))
    assert Example.of({"not a name": 1}) == Example(args=({"not a name": 1},))


def test_parameters_are_named_as_in_the_function() -> None:
    def function(images: Any, *more: Any, mask: Any = None, **rest: Any) -> None: ...

    example = Example(args=(1, 2, 3), kwargs={"mask": 4, "other": 5})
    named = arguments(function, example)
    assert named == {"images": 1, "more0": 2, "more1": 3, "mask": 4, "other": 5}
    assert list(arguments(max, Example(args=(1, 2)))) == ["x", "x1"]


@pytest.mark.parametrize(
    ("args", "result", "batch"),
    [
        (([1, 2],), [1, 2], True),
        (([1, 2],), [1], False),
        (([1, 2],), 3, False),
        (([1, 2], np.zeros((2, 2))), (np.zeros(2), [1, 2]), True),
        (([1, 2], np.zeros((3, 2))), [1, 2], False),
        (([1, 2], 0.5), [1, 2], False),
        (([1, 2],), {"a": np.zeros((2, 4)), "b": [1, 2]}, True),
        (({"a": 1},), {"a": 1}, False),
    ],
)
def test_rows_in_and_rows_out_make_a_batch(args: tuple[Any, ...], result: Any, batch: bool) -> None:
    def function(x: Any, y: Any = None) -> None: ...

    assert describe_call(function, Example(args=args), result).batch is batch
