"""Misuse of tiffin.runner and @tiffin.batch fails when the class is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tiffin
from tiffin.errors import NotFoundError, ServiceDefinitionError
from tiffin.runtime.service.batch import BatchMark, batch_mark
from tiffin.runtime.service.service import service_info

HERE = r"\S*test_service_runner\.py:\d+"


class Encoder:
    width = 4

    def __init__(self, path: str = "", *, scale: float = 1.0) -> None:
        self.scale = scale

    @tiffin.batch(max_size=32, max_latency_ms=5)
    def encode(self, texts: list[str]) -> np.ndarray:
        return np.zeros((len(texts), self.width))

    @tiffin.batch
    def lengths(self, texts: list[str], *, times=1):  # type: ignore[no-untyped-def]
        return [len(text) * times for text in texts]

    def size(self) -> int:
        return self.width

    def _private(self) -> int:
        return 0

    @property
    def shown(self) -> int:
        return 1


@tiffin.service
class Search:
    encoder = tiffin.runner(Encoder, workers="auto", max_batch_size=8, gpus=1, retry=False, scale=2.0)

    @tiffin.api
    def size(self) -> int:
        return int(self.encoder.size())


def test_spec_of_a_class_runner() -> None:
    spec = service_info(Search).spec()
    assert spec.name == "search"
    assert spec.cls.endswith(":Search")
    (runner,) = spec.runners
    assert runner.cls.endswith("test_service_runner:Encoder")
    assert runner.model == ""
    assert (runner.workers, runner.max_batch_size, runner.gpus, runner.retry) == ("auto", 8, 1, False)
    assert list(runner.methods) == ["encode", "lengths", "size"]
    encode, lengths, size = runner.methods.values()
    assert (encode.batch, encode.max_batch_size, encode.max_latency_ms) == (True, 32, 5.0)
    assert list(encode.inputs) == ["texts"]
    assert encode.output is not None
    assert encode.output.kind == "array"
    assert (lengths.batch, lengths.max_batch_size, lengths.output) == (True, None, None)
    assert size.batch is False


def test_batch_marks() -> None:
    assert batch_mark(Encoder.encode) == BatchMark(32, 5)
    assert batch_mark(Encoder.lengths) == BatchMark()
    assert batch_mark(Encoder.size) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, r"workers=0 .* from 1 to 1024"),
        ({"workers": 1025}, r"workers=1025 .* from 1 to 1024"),
        ({"workers": "many"}, r"workers='many' .*'auto'"),
        ({"workers": True}, r"workers=True"),
        ({"max_batch_size": 0}, r"max_batch_size=0 .* from 1 to 1000000"),
        ({"max_batch_size": 2.5}, r"max_batch_size=2\.5"),
        ({"max_latency_ms": 0}, r"max_latency_ms=0 .* milliseconds above 0"),
        ({"max_latency_ms": float("nan")}, r"max_latency_ms=nan"),
        ({"max_queue_rows": 0}, r"max_queue_rows=0"),
        ({"gpus": -1}, r"gpus=-1 .* from 0 to 64"),
        ({"gpus": 1.5}, r"gpus=1\.5 .* whole devices"),
        ({"threads": 0}, r"threads=0"),
        ({"start_timeout_s": 0}, r"start_timeout_s=0"),
        ({"retry": 1}, r"retry=1"),
        ({"max_batchsize": 3}, r"unknown option 'max_batchsize'; did you mean 'max_batch_size'"),
        ({"models": ["x:1"]}, r"models= is for classes"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: tiffin\.runner\('iris:latest'\): {says}"):
        tiffin.runner("iris:latest", **options)


@pytest.mark.parametrize("target", ["Iris", "iris:", "iris:x:y", "", "a/b", ":latest"])
def test_bad_tag(target: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: tiffin\.runner\('{target}'\): bad"):
        tiffin.runner(target)


@pytest.mark.parametrize("target", [7, None, Encoder.encode, Encoder()])
def test_bad_target(target: Any) -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .* is no target; .*or a class \(not an instance"
    ):
        tiffin.runner(target)


def test_class_without_methods() -> None:
    class Empty:
        value = 1

    with pytest.raises(ServiceDefinitionError, match=r"class .*Empty has no public method"):
        tiffin.runner(Empty)


def test_arguments_of_the_class_are_checked() -> None:
    class Needs(Encoder):
        def __init__(self, path: str, depth: int) -> None:
            super().__init__(path)

    with pytest.raises(ServiceDefinitionError, match=r"Needs\.__init__ needs depth; write .*depth=…"):
        tiffin.runner(Needs, path="x")
    with pytest.raises(ServiceDefinitionError, match=r"unknown option 'depht'; did you mean 'depth'"):
        tiffin.runner(Needs, path="x", depht=1)
    with pytest.raises(ServiceDefinitionError, match=r"unknown option 'worker'; did you mean 'workers'"):
        tiffin.runner(Encoder, worker=1)


def test_async_and_generator_methods_are_refused() -> None:
    class Async:
        async def run(self) -> int:
            return 1

    class Yields:
        def run(self) -> Iterator[int]:
            yield 1

    for cls in (Async, Yields):
        with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*\.run is async or yields"):
            tiffin.runner(cls)


def test_a_method_called_model_is_refused() -> None:
    class Odd:
        def model(self) -> int:
            return 1

    with pytest.raises(
        ServiceDefinitionError, match=r"Odd\.model: `self\.<runner>\.model` has a meaning already"
    ):
        tiffin.runner(Odd)


def test_models_must_be_a_list_of_tags() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"must be a list of tags: models=\['a:latest'\]"):
        tiffin.runner(Encoder, models="a:latest")
    with pytest.raises(ServiceDefinitionError, match=r"bad name 'A'"):
        tiffin.runner(Encoder, models=["A"])


def test_unknown_models_are_named_when_the_spec_is_made(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    with pytest.raises(NotFoundError, match="nowhere"):
        tiffin.runner(Encoder, models=["nowhere:latest"]).spec("encoder")
    with pytest.raises(NotFoundError, match="nowhere"):
        tiffin.runner("nowhere:latest").spec("encoder")


def test_a_class_inside_a_function_works_here_but_has_no_spec() -> None:
    class Local(Encoder):
        pass

    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: runner x: .*Local is defined inside a function"
    ):
        tiffin.runner(Local).spec("x")


def test_names_are_used_once() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*encoder is a runner already \({HERE}\); rename"
    ):

        @tiffin.service
        class First:
            encoder = tiffin.runner(Encoder)

            @tiffin.api
            def encoder(self) -> int:  # type: ignore[no-redef]  # noqa: F811
                return 1

    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: encoder is defined already \({HERE}\)"):

        @tiffin.service
        class Second:
            @tiffin.api
            def encoder(self) -> int:
                return 1

            encoder = tiffin.runner(Encoder)  # type: ignore[assignment]  # noqa: F811

            @tiffin.api
            def other(self) -> int:
                return 1

    with pytest.raises(ServiceDefinitionError, match="one runner has two names, a and b"):

        @tiffin.service
        class Third:
            a = b = tiffin.runner(Encoder)

            @tiffin.api
            def other(self) -> int:
                return 1


def test_a_runner_outside_of_a_service_says_so() -> None:
    with pytest.raises(
        AttributeError, match=rf"runner \({HERE}\) has no attribute 'encode'.*instance of the service"
    ):
        tiffin.runner(Encoder).encode(["a"])


def test_unknown_batch_option() -> None:
    with pytest.raises(
        ServiceDefinitionError,
        match=rf"{HERE}: @tiffin\.batch: unknown option 'max_sise'; did you mean 'max_size'",
    ):
        tiffin.batch(max_sise=3)  # type: ignore[call-overload]


@pytest.mark.parametrize("options", [{"max_size": 0}, {"max_size": 1_000_001}, {"max_latency_ms": -1}])
def test_batch_option_out_of_range(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: @tiffin\.batch: {name}={value} is out of range"
    ):
        tiffin.batch(**options)


def test_batch_needs_a_positional_parameter() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*no_rows: rows come in as positional arguments"
    ):

        class Bad:
            @tiffin.batch
            def no_rows(self, *, scale: float) -> list[int]:
                return []


def test_batch_stands_on_plain_methods() -> None:
    with pytest.raises(ServiceDefinitionError, match="put it directly on a method"):
        tiffin.batch(staticmethod(len))  # type: ignore[arg-type]
    with pytest.raises(ServiceDefinitionError, match="one batch at a time; write a plain `def`"):

        class Bad:
            @tiffin.batch
            async def encode(self, texts: list[str]) -> list[int]:
                return []
