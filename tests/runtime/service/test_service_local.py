"""Runners in this process: a service works in a plain unit test, by the rules of a server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiffin
from tiffin.errors import InferenceError, InvalidInputError, ResultMismatchError, UsageError
from tiffin.runtime.service.context import current_context
from tiffin.runtime.service.service import service_info


class Scale:
    made = 0

    def __init__(self, by: float = 2.0) -> None:
        type(self).made += 1
        self.by = by

    @tiffin.batch
    def apply(self, rows: np.ndarray, *, plus: float = 0.0) -> np.ndarray:
        return rows * self.by + plus

    @tiffin.batch
    def both(self, rows: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
        return rows * self.by, [name.upper() for name in names]

    @tiffin.batch
    def short(self, rows: list[int]) -> list[int]:
        return rows[:-1]

    @tiffin.batch
    def fails(self, rows: list[int]) -> list[int]:
        raise KeyError(f"no {rows[0]}")

    @tiffin.batch
    def refuses(self, rows: list[int]) -> list[int]:
        raise InvalidInputError("too small", path="$.rows[0]")

    def describe(self, prefix: str, suffix: str = "") -> str:
        return f"{prefix}{self.by}{suffix}"

    def context(self) -> bool:
        return current_context() is None

    def _secret(self) -> int:
        return 1

    @property
    def hidden(self) -> int:
        return 1


@tiffin.service
class Pipeline:
    scale = tiffin.runner(Scale, by=3.0)
    again = tiffin.runner(Scale)

    @tiffin.api
    def plain(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.again.apply(self.scale.apply(x), plus=1.0))

    @tiffin.api
    async def awaited(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(await self.again.apply(await self.scale.apply(x), plus=1.0))

    @tiffin.api
    async def row(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(await self.scale.apply.one(x))

    @tiffin.api
    async def stream(self, x: np.ndarray) -> AsyncIterator[float]:
        for value in x:
            yield float(await self.scale.apply.one(np.asarray(value)))


def test_sync_and_async_apis_give_the_same() -> None:
    x = np.arange(4.0)
    np.testing.assert_array_equal(Pipeline().plain(x), x * 6 + 1)
    np.testing.assert_array_equal(asyncio.run(Pipeline().awaited(x)), x * 6 + 1)


def test_one_row() -> None:
    row = np.array([1.0, 2.0])
    np.testing.assert_array_equal(asyncio.run(Pipeline().row(row)), row * 3)
    np.testing.assert_array_equal(Pipeline().scale.apply.one(row, plus=1.0), row * 3 + 1)
    values, names = Pipeline().scale.both.one(row, "a")
    np.testing.assert_array_equal(values, row * 3)
    assert names == "A"


def test_streams() -> None:
    async def collect() -> list[float]:
        return [item async for item in Pipeline().stream(np.array([1.0, 2.0]))]

    assert asyncio.run(collect()) == [3.0, 6.0]


def test_inside_a_loop_a_call_is_awaited() -> None:
    async def call() -> tuple[bool, int]:
        pending = Pipeline().scale.describe("x")
        return inspect.isawaitable(pending), len(await pending)

    assert asyncio.run(call()) == (True, 4)


def test_the_class_is_constructed_once_an_instance_and_only_when_called() -> None:
    Scale.made = 0
    service = Pipeline()
    assert service.scale is service.scale
    assert Scale.made == 0
    service.scale.describe("a")
    service.scale.apply(np.zeros(1))
    assert Scale.made == 1
    service.again.describe("a")
    Pipeline().scale.describe("a")
    assert Scale.made == 3


def test_what_a_server_puts_into_the_instance_wins() -> None:
    class Fake:
        def describe(self, prefix: str) -> str:
            return f"fake {prefix}"

    service = Pipeline()
    service.__dict__["scale"] = Fake()
    assert service.scale.describe("x") == "fake x"


def test_methods_without_batch_take_arguments_as_they_are() -> None:
    assert Pipeline().scale.describe("<", suffix=">") == "<3.0>"
    with pytest.raises(UsageError, match=r"scale\.describe takes no batches, so it has no \.one"):
        Pipeline().scale.describe.one("x")


def test_one_of_a_method_without_batch_fails_when_awaited_as_in_a_server() -> None:
    async def main() -> None:
        call = Pipeline().scale.describe.one("x")
        with pytest.raises(UsageError, match=r"no \.one"):
            await call

    asyncio.run(main())


def test_positional_arguments_are_rows() -> None:
    scale = Pipeline().scale
    with pytest.raises(UsageError):
        scale.apply()
    with pytest.raises(UsageError):
        scale.apply(np.zeros((2, 3)), 1.0)
    with pytest.raises(UsageError):
        scale.both(np.zeros((2, 3)), ["a"])
    with pytest.raises(UsageError):
        scale.apply("text")


def test_a_wrong_number_of_rows_is_an_error_here_too() -> None:
    with pytest.raises(ResultMismatchError):
        Pipeline().scale.short([1, 2, 3])


def test_exceptions_of_the_model_are_inference_errors_with_their_cause() -> None:
    with pytest.raises(InferenceError, match="no 7") as caught:
        Pipeline().scale.fails([7])
    assert caught.value.remote_type == "KeyError"
    assert "fails" in caught.value.traceback
    assert isinstance(caught.value.__cause__, KeyError)


def test_errors_for_the_caller_pass_through() -> None:
    with pytest.raises(InvalidInputError, match="too small") as caught:
        Pipeline().scale.refuses([7])
    assert caught.value.path == "$.rows[0]"


@pytest.mark.parametrize("name", ["_secret", "__wrapped__", "hidden", "by", "made"])
def test_only_public_methods_are_reachable(name: str) -> None:
    with pytest.raises(AttributeError, match="has no method"):
        getattr(Pipeline().scale, name)


def test_unknown_methods_name_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"runner 'scale' has no method 'aply'; did you mean 'apply'\?"):
        _ = Pipeline().scale.aply
    assert {"apply", "describe", "model"} <= set(dir(Pipeline().scale))
    assert "_secret" not in dir(Pipeline().scale)


def test_a_class_runner_has_no_model() -> None:
    with pytest.raises(AttributeError, match="has no m"):
        _ = Pipeline().scale.model


def test_the_request_stays_outside_of_the_runner() -> None:
    with tiffin.RequestContext():
        assert Pipeline().scale.context() is True


@pytest.fixture
def iris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from sklearn.datasets import load_iris
    from sklearn.tree import DecisionTreeClassifier

    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    monkeypatch.delenv("TIFFIN_BUNDLE", raising=False)
    data = load_iris()
    tree = DecisionTreeClassifier(random_state=0).fit(data.data, data.target)
    saved = tiffin.models.save("iris", tree, example=data.data[:2], classes=list(data.target_names))
    tiffin.models.save("bare", tree)
    return saved, data


@tiffin.service
class Iris:
    forest = tiffin.runner("iris:latest")
    bare = tiffin.runner("bare")

    @tiffin.api
    async def classify(self, flowers: np.ndarray) -> list[str]:
        classes = await self.forest.predict(flowers)
        return [self.forest.model.classes[i] for i in classes]

    @tiffin.api
    def sure(self, flower: np.ndarray) -> float:
        return float(self.forest.predict_proba.one(flower).max())


def test_a_saved_model(iris: Any) -> None:
    saved, data = iris
    service = Iris()
    assert asyncio.run(service.classify(data.data[[0, 60, 120]])) == ["setosa", "versicolor", "virginica"]
    assert service.sure(data.data[0]) == 1.0
    assert service.forest.model.tag == saved.tag
    with pytest.raises(
        AttributeError, match=r"runner 'forest' has no method 'predit'; did you mean 'predict'"
    ):
        _ = service.forest.predit


def test_a_model_without_example_offers_the_methods_of_its_framework(iris: Any) -> None:
    _, data = iris
    assert list(Iris().bare.predict(data.data[:2])) == [0, 0]
    assert Iris().bare.predict_proba(data.data[:2]).shape == (2, 3)


def test_spec_has_resolved_tags_and_the_methods_of_the_model(iris: Any) -> None:
    saved, _ = iris
    forest, bare = service_info(Iris).spec().runners
    assert forest.model == str(saved.tag)
    assert forest.methods["predict"].inputs
    assert "predict" in bare.methods
    spec = tiffin.runner(Scale, models=["iris", f"{saved.tag}"]).spec("scale")
    assert spec.models == [str(saved.tag)] * 2
