from __future__ import annotations

from typing import Any

import pytest

import tiffin
from tiffin.errors import ServiceDefinitionError
from tiffin.runtime.service.service import service_info

HERE = r"\S*test_service_class\.py:\d+"


class Doubler:
    def __init__(self, by: int = 2) -> None:
        self.by = by

    @tiffin.batch
    def times(self, numbers: list[int]) -> list[int]:
        return [number * self.by for number in numbers]


def test_the_class_stays_itself() -> None:
    @tiffin.service(name="my-service", processes="auto", timeout_s=5, max_body_bytes=1)
    class Iris:
        """Doc."""

        @tiffin.api
        def ping(self) -> str:
            return "pong"

    assert isinstance(Iris, type)
    assert Iris().ping() == "pong"
    info = service_info(Iris)
    assert (info.name, info.cls, info.doc) == ("my-service", Iris, "Doc.")
    assert info.options.processes == "auto"
    assert info.apis["ping"].timeout_s == 5.0


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        ("Iris", "iris"),
        ("TwoStage", "two-stage"),
        ("HTTPThing2Go", "http-thing2-go"),
        ("_My_Service", "my-service"),
    ],
)
def test_names_are_kebab_case(cls: str, name: str) -> None:
    assert service_info(tiffin.service(type(cls, (OneApi,), {}))).name == name


class OneApi:
    __slots__ = ()

    @tiffin.api
    def ping(self) -> int:
        return 1


def one_api(**body: Any) -> type:
    return type("Made", (OneApi,), body)


@pytest.mark.parametrize("name", ["Iris", "", "a b", 7])
def test_bad_name(name: Any) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*set one with @tiffin\.service\(name='…'\)"):
        tiffin.service(name=name)(one_api())


def test_unknown_option_names_the_nearest() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*unknown option 'timeout'; did you mean 'timeout_s'"
    ):
        tiffin.service(timeout=3)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"processes": 0}, r"processes=0 .* from 1 to 1024"),
        ({"processes": "all"}, r"processes='all' .*'auto'"),
        ({"timeout_s": 0}, r"timeout_s=0 .*above 0 and up to 86400"),
        ({"max_body_bytes": -5}, r"max_body_bytes=-5"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: @tiffin\.service: {says}"):
        tiffin.service(**options)


def test_without_an_api() -> None:
    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*Empty: it has no api; put @tiffin\.api on"):

        @tiffin.service
        class Empty:
            def classify(self) -> int:
                return 1


def test_not_on_a_class() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: @tiffin\.service stands on .*put it on a class"
    ):
        tiffin.service(lambda: None)  # type: ignore[type-var]


def test_init_must_need_no_arguments() -> None:
    def init(self: object, path: str, depth: int = 3) -> None: ...

    with pytest.raises(ServiceDefinitionError, match=rf"{HERE}: .*__init__ needs path; give them defaults"):
        tiffin.service(one_api(__init__=init))


def test_slots_are_refused() -> None:
    with pytest.raises(ServiceDefinitionError, match="__slots__ leave no room for runners"):
        tiffin.service(one_api(__slots__=("a",)))


def test_own_init_sees_the_runners() -> None:
    @tiffin.service
    class Iris:
        doubler = tiffin.runner(Doubler)

        def __init__(self, start: int = 4) -> None:
            self.first = self.doubler.times.one(start)

        @tiffin.api
        def show(self) -> int:
            return int(self.first)

    assert Iris().show() == 8


def test_apis_and_runners_are_inherited_and_can_be_replaced() -> None:
    class Mixin:
        tripler = tiffin.runner(Doubler, by=3)

        @tiffin.api
        def mixed(self, x: int) -> int:
            return int(self.tripler.times.one(x))

    @tiffin.service(timeout_s=3)
    class Base(Mixin):
        doubler = tiffin.runner(Doubler)

        @tiffin.api(route="/base")
        def calc(self, x: int) -> int:
            """Base."""
            return int(self.doubler.times.one(x))

        @tiffin.api
        def gone(self) -> int:
            return 1

    @tiffin.service(timeout_s=7)
    class Derived(Base):
        doubler = tiffin.runner(Doubler, by=10)

        @tiffin.api
        def calc(self, x: int) -> int:
            """Derived."""
            return super().calc(x) + 1

        gone = None  # type: ignore[assignment]

    base, derived = service_info(Base), service_info(Derived)
    assert list(base.apis) == ["mixed", "calc", "gone"]
    assert list(derived.apis) == ["mixed", "calc"]
    assert list(derived.runners) == ["tripler", "doubler"]
    assert (base.apis["calc"].route, derived.apis["calc"].route) == ("/base", "/calc")
    assert (derived.apis["calc"].doc, derived.apis["mixed"].timeout_s) == ("Derived.", 7.0)
    assert (Base().calc(2), Derived().calc(2), Derived().mixed(2)) == (4, 21, 6)


def test_replacing_an_api_without_saying_so_is_refused() -> None:
    @tiffin.service
    class Base:
        @tiffin.api
        def calc(self) -> int:
            return 1

    with pytest.raises(
        ServiceDefinitionError, match=r"Derived\.calc replaces an api .*or write `calc = None`"
    ):

        @tiffin.service
        class Derived(Base):
            def calc(self) -> int:
                return 2


def test_only_decorated_classes_have_info() -> None:
    @tiffin.service
    class Base:
        @tiffin.api
        def calc(self) -> int:
            return 1

    class Below(Base):
        pass

    with pytest.raises(
        ServiceDefinitionError, match=r"Below is not a service, only a class below one; put @tiffin\.service"
    ):
        service_info(Below)
    with pytest.raises(ServiceDefinitionError, match="int is not a service; put"):
        service_info(int)


def test_a_service_inside_a_function_has_no_spec() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"service made: .*inside a function"):

        @tiffin.service(name="made")
        class Local:
            @tiffin.api
            def calc(self) -> int:
                return 1

        service_info(Local).spec()
