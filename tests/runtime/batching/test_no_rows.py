"""A batch without rows: no rows come back, or the caller is told that the model needs some."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tiffin
from tiffin.errors import InvalidInputError, OutOfMemoryError, UnauthorizedError
from tiffin.runtime.batching.no_rows import with_no_rows
from tiffin.runtime.manifest import MethodSpec, RunnerSpec, TypeSpec
from tiffin.runtime.worker.inference import Inference

NONE = np.empty((0, 4), np.float32)


def test_what_the_method_answers_is_answered() -> None:
    method = with_no_rows(lambda x: {"sum": x.sum(axis=1), "words": ["a"] * len(x)})
    answer = method(NONE)
    assert (answer["sum"].shape, answer["words"]) == ((0,), [])
    assert method(np.ones((2, 4)))["sum"].tolist() == [4, 4]


def test_its_exception_is_the_callers_mistake_only_without_rows() -> None:
    method = with_no_rows(lambda x: x / x.max())
    with pytest.raises(InvalidInputError, match=r"there are no rows.*one or more.*ValueError: zero-size"):
        method(NONE)
    broken = with_no_rows(lambda x: x / None)
    with pytest.raises(TypeError):
        broken(np.ones((1, 4)))


@pytest.mark.parametrize("answer", [np.zeros(1), 3, {}, (), None])
def test_an_answer_that_is_no_rows_is_refused(answer: Any) -> None:
    with pytest.raises(InvalidInputError, match="its answer to them is no rows"):
        with_no_rows(lambda x: answer)(NONE)


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("no"), UnauthorizedError("who")])
def test_what_has_a_status_of_its_own_keeps_it(error: Exception) -> None:
    def method(x: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        with_no_rows(method)(NONE)


def test_a_worker_and_a_local_runner_do_so() -> None:
    class Picky:
        @tiffin.batch
        def go(self, x: np.ndarray) -> np.ndarray:
            return x / x.max()

        def single(self, x: np.ndarray) -> float:
            return float(x.max())

    @tiffin.service
    class Served:
        picky = tiffin.runner(Picky)

        @tiffin.api
        def ready(self) -> bool:
            return True

    inputs = {"x": TypeSpec(kind="array", dtype="float32", shape=["n", 4])}
    spec = RunnerSpec(
        name="picky", methods={"go": MethodSpec(inputs=inputs), "single": MethodSpec(batch=False)}
    )
    made = Inference(spec, {"go": Picky().go, "single": Picky().single})
    runner = Served().picky
    for call in (lambda: made.call("go", (NONE,), {}), lambda: runner.go(NONE)):
        with pytest.raises(InvalidInputError, match="there are no rows"):
            call()
    with pytest.raises(ValueError, match="zero-size"):  # it takes no rows, so it has none too few
        made.call("single", (NONE,), {})
