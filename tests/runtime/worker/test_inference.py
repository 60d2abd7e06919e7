from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tiffin.errors import InvalidInputError
from tiffin.runtime.manifest import MethodSpec, PaddingSpec, RunnerSpec, TypeSpec
from tiffin.runtime.worker.inference import Inference, typed
from tiffin.runtime.worker.warming import zeros


def test_one_row_of_zeros_is_made_from_the_signature() -> None:
    method = MethodSpec(
        inputs={
            "x": TypeSpec(kind="array", dtype="float32", shape=["n", 4, 2]),
            "y": TypeSpec(kind="array", dtypes=["int8", "int16"], shape=["n"]),
        }
    )
    made = zeros(method)
    assert made is not None
    assert [(value.shape, value.dtype) for value in made] == [((1, 4, 2), np.float32), ((1,), np.int8)]


@pytest.mark.parametrize(
    "spec",
    [
        TypeSpec(kind="text"),
        TypeSpec(kind="array", shape=["n", 4]),
        TypeSpec(kind="array", dtype="float32"),
        TypeSpec(kind="array", dtype="float32", shape=["n", "m"]),
        TypeSpec(kind="array", dtype="float32", shape=["...", 4]),
    ],
)
def test_what_is_not_known_is_not_warmed(spec: TypeSpec) -> None:
    assert zeros(MethodSpec(inputs={"x": spec})) is None


def test_warming_runs_batch_methods_once_and_survives_their_errors() -> None:
    ran: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str) -> Any:
        def method(x: np.ndarray) -> np.ndarray:
            ran.append((name, x.shape))
            if name == "picky":
                raise ValueError("zeros")
            if name == "leaver":
                raise SystemExit("zeros")
            return x

        return method

    inputs = {"x": TypeSpec(kind="array", dtype="float32", shape=["n", 4])}
    specs = {
        "picky": MethodSpec(inputs=inputs),
        "leaver": MethodSpec(inputs=inputs),
        "good": MethodSpec(inputs=inputs),
        "single": MethodSpec(batch=False, inputs=inputs),
    }
    Inference(RunnerSpec(name="r", methods=specs), {name: note(name) for name in specs}).warm()
    assert ran == [("picky", (1, 4)), ("leaver", (1, 4)), ("good", (1, 4))]


def test_every_bucket_and_size_is_warmed() -> None:
    """A compiled model compiles for each: not while somebody waits."""
    seen: list[Any] = []

    def tag(tokens: Any, bias: Any, *, lengths: Any) -> Any:
        seen.append((tokens.shape, tokens.dtype, bias.shape, lengths.tolist()))
        return tokens

    spec = MethodSpec(
        inputs={
            "tokens": TypeSpec(kind="array", dtype="int32", shape=["n", "t"]),
            "bias": TypeSpec(kind="array", dtype="float32", shape=["n"]),
            "scale": TypeSpec(kind="number"),
        },
        padding=PaddingSpec(value=0, arguments=["tokens", "bias"], buckets=[4, 8], lengths=True),
        sizes=[1, 2],
    )
    Inference(RunnerSpec(name="r", methods={"tag": spec}), {"tag": tag}).warm()
    assert seen == [
        ((rows, length), np.int32, (rows,), [length] * rows) for length in (4, 8) for rows in (1, 2)
    ]
    inputs = {"tokens": spec.inputs["tokens"]}
    made = zeros(MethodSpec(inputs=inputs, padding=PaddingSpec(values={"other": 0})), 1, 4)
    assert made is None


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: float


class Picky:
    def plain(self, x: np.ndarray, names: list[str]) -> None: ...

    def rich(self, points: list[Point], *, colour: Colour = Colour.RED) -> Any:
        return points, colour


def test_only_hints_with_classes_are_converted() -> None:
    picky = Picky()
    assert typed(picky.plain) == picky.plain
    assert typed(picky.rich)([{"x": 1}], colour="red") == ([Point(1.0)], Colour.RED)
    with pytest.raises(InvalidInputError):
        typed(picky.rich)([{"x": "one"}])


def test_the_worker_imports_no_server() -> None:
    code = (
        "import sys; import tiffin.runtime.worker.__main__; "
        "print(sorted({'litestar', 'uvicorn', 'uvloop', 'asyncio', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
