"""Misuse of @tiffin.api fails when the class is made; each message says what, where and how to mend it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

import tiffin
from tiffin.errors import ServiceDefinitionError
from tiffin.runtime.service.service import service_info

HERE = r"\S*test_service_api\.py:\d+"


class Opaque:
    def __init__(self, inner: object) -> None: ...


def made(body: dict[str, Any]) -> type:
    return tiffin.service(type("Made", (), body))


def test_bare_and_with_options() -> None:
    @tiffin.service
    class Iris:
        @tiffin.api
        def classify(self, x: float, times: int = 2) -> float:
            """Doubles.

            Twice.
            """
            return x * times

        @tiffin.api(route="/v/deep:predict", timeout_s=2, max_body_bytes=10)
        async def other(self) -> str:
            return "x"

        @tiffin.api
        async def count(self, upto: int) -> AsyncIterator[int]:
            for i in range(upto):
                yield i

    apis = service_info(Iris).apis
    assert list(apis) == ["classify", "other", "count"]
    assert apis["classify"].route == "/classify"
    assert (apis["classify"].timeout_s, apis["classify"].max_body_bytes) == (30.0, 100 * 1024 * 1024)
    assert apis["classify"].doc == "Doubles.\n\nTwice."
    assert (apis["other"].route, apis["other"].timeout_s, apis["other"].max_body_bytes) == (
        "/v/deep:predict",
        2.0,
        10,
    )
    assert [(a.is_async, a.stream) for a in apis.values()] == [(False, False), (True, False), (True, True)]
    spec = apis["classify"].spec()
    assert spec.defaults == {"times": 2}
    assert list(spec.inputs) == ["x", "times"]
    assert Iris().classify(2.0) == 4.0


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: @tiffin\.api: unknown option 'rout'; did you mean 'route'"
    ):
        tiffin.api(rout="/x")  # type: ignore[call-overload]


def test_a_route_given_by_position_is_explained() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"write @tiffin\.api\(route='/x'\)"):
        tiffin.api("/x")  # type: ignore[call-overload]


def test_missing_parameter_hint() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*classify.*flowers.*hint"):

        @tiffin.service
        class Iris:
            @tiffin.api
            def classify(self, flowers) -> int:  # type: ignore[no-untyped-def]
                return 1


def test_missing_return_hint() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*classify.*result.*hint"):

        @tiffin.service
        class Iris:
            @tiffin.api
            def classify(self, x: int):  # type: ignore[no-untyped-def]
                return 1


def test_unsupported_hint() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*classify.*'f'"):

        @tiffin.service
        class Iris:
            @tiffin.api
            def classify(self, f: Opaque) -> int:
                return 1


@pytest.mark.parametrize(
    "hint",
    [Opaque, list[Opaque], "Opaque | None", Callable, Callable[[int], int], type[int], Path, Iterable[int]],
)
def test_a_hint_that_no_request_can_fill(hint: Any) -> None:
    """msgspec itself takes any class and would fail at the first request."""

    def classify(self: object, f: Any) -> int:
        return 1

    classify.__annotations__["f"] = hint
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*classify.*'f'.*cannot be read from a req"):
        tiffin.service(type("Iris", (), {"classify": tiffin.api(classify)}))


def test_self_may_have_a_hint() -> None:
    @tiffin.service
    class Iris:
        @tiffin.api
        def classify(self: Self, x: int) -> int:
            return x

    assert service_info(Iris).apis["classify"].inputs.names == ("x",)


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"timeout_s": -1}, {"timeout_s": 86401}, {"timeout_s": True}]
)
def test_timeout_out_of_range_names_bound_and_value(options: dict[str, Any]) -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"timeout_s={options['timeout_s']!r} .*above 0 and up to 86400"
    ):
        tiffin.api(**options)


def test_body_limit_out_of_range() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"max_body_bytes=0 .* from 1 to 68719476736"):
        tiffin.api(max_body_bytes=0)


@pytest.mark.parametrize(
    "route",
    [
        "classify",
        "/a/{id}",
        "/a?b=c",
        "/a b",
        "/a/",
        "//a",
        "/a/../b",
        "/./a",
        "",
        "/é",
        "/a%2fb",
        "/a#b",
        "/a\n",
        7,
    ],
)
def test_bad_route(route: Any) -> None:
    with pytest.raises(ServiceDefinitionError, match=HERE):
        tiffin.api(route=route)


@pytest.mark.parametrize(
    "route",
    [
        "/",
        "/livez",
        "/readyz",
        "/healthz",
        "/metrics",
        "/docs",
        "/schema",
        "/schema.yaml",
        "/pages",
        "/pages/service.json",
        "/v1/x",
        "/v2/models/x",
        "/debug/p",
        "/v2",
    ],
)
def test_reserved_route(route: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=HERE):
        tiffin.api(route=route)


def test_a_reserved_name_is_a_reserved_route() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*'/metrics' belongs to the server.*route='/…'"
    ):

        @tiffin.api
        def metrics(self: object) -> int:
            return 1


def test_two_apis_on_one_route_are_both_named() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"one \({HERE}\) and two \({HERE}\) are both on route '/one'"
    ):

        @tiffin.service
        class Iris:
            @tiffin.api
            def one(self) -> int:
                return 1

            @tiffin.api(route="/one")
            def two(self) -> int:
                return 2


def test_two_apis_of_one_name() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*classify is an api already \({HERE}\); rename"
    ):

        class Iris:
            @tiffin.api
            def classify(self, x: int) -> int:
                return x

            @tiffin.api  # type: ignore[no-redef]
            def classify(self, y: str) -> str:  # noqa: F811
                return y


def test_private_names_are_refused() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"_hidden: names with a leading underscore are private"):

        class Iris:
            @tiffin.api
            def _hidden(self) -> int:
                return 1


def plain(self: object) -> int:
    return 1


@pytest.mark.parametrize("wrap", [staticmethod, classmethod, property])
def test_only_plain_methods_below_the_decorator(wrap: Any) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: @tiffin\.api stands on a {wrap.__name__}"):
        tiffin.api(wrap(plain))


@pytest.mark.parametrize("wrap", [staticmethod, classmethod, property])
def test_only_plain_methods_above_the_decorator(wrap: Any) -> None:
    def classify(self: object) -> int:
        return 1

    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*api classify is a {wrap.__name__}"):
        made({"classify": wrap(tiffin.api(classify))})


def test_a_class_is_no_api() -> None:
    with pytest.raises(ServiceDefinitionError, match="stands on a type"):
        tiffin.api(int)


def test_forgotten_self() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=r"first parameter must be self; write `def classify\(self, …\)`"
    ):

        class Iris:
            @tiffin.api
            def classify(x: int) -> int:
                return x


def test_async_generator_without_a_stream_hint() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*count: .*AsyncIterator"):

        @tiffin.service
        class Iris:
            @tiffin.api
            async def count(self) -> list[int]:  # type: ignore[misc]
                yield 1


def test_stream_hint_without_yield() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*count: .*`async def` with `yield`"):

        @tiffin.service
        class Iris:
            @tiffin.api
            async def count(self) -> AsyncIterator[int]:
                return None  # type: ignore[return-value]


def test_plain_generator() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=r"streams are async generators; write `async def count`"
    ):

        @tiffin.service
        class Iris:
            @tiffin.api
            def count(self) -> Iterator[int]:
                yield 1


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def test_other_decorators_keep_name_and_hints() -> None:
    @tiffin.service
    class Iris:
        @tiffin.api
        @logged
        def inner(self, x: int) -> int:
            return x

        @logged
        @tiffin.api
        def outer(self, x: int) -> int:
            return x

    apis = service_info(Iris).apis
    assert list(apis) == ["inner", "outer"]
    assert list(apis["outer"].inputs.names) == ["x"]


def test_a_decorator_that_hides_async_is_refused() -> None:
    with pytest.raises(
        ServiceDefinitionError, match="a decorator turned this `async def` into a plain function"
    ):

        @tiffin.service
        class Iris:
            @tiffin.api
            @logged
            async def classify(self, x: int) -> int:
                return x


def test_hints_may_name_local_classes_and_classes_inside_the_service() -> None:
    import msgspec

    class Flower(msgspec.Struct):
        petal_cm: float

    @tiffin.service
    class Iris:
        class Answer(msgspec.Struct):
            name: str

        @tiffin.api
        def classify(self, flower: Flower) -> Answer:
            return Iris.Answer(str(flower.petal_cm))

    inputs = service_info(Iris).apis["classify"].inputs
    assert inputs.decode_json(b'{"flower": {"petal_cm": 1.5}}') == {"flower": Flower(1.5)}


def test_defaults_are_described_as_json_has_them() -> None:
    import numpy as np

    @tiffin.service
    class Iris:
        @tiffin.api
        def classify(self, x: np.ndarray = np.zeros(2), more: list[int] | None = None) -> int:  # noqa: B008
            return 1

    assert service_info(Iris).apis["classify"].spec().defaults == {"x": [0.0, 0.0], "more": None}
