from __future__ import annotations

import asyncio
import logging
import threading

import pytest

import tiffin
from tiffin.errors import ServerError, ServiceDefinitionError
from tiffin.runtime.service.hooks import run_hooks
from tiffin.runtime.service.service import service_info

HERE = r"\S*test_service_hooks\.py:\d+"


class Base:
    def __init__(self) -> None:
        self.log: list[str] = []

    @tiffin.on_start
    async def connect(self) -> None:
        self.log.append("connect")

    @tiffin.api
    def ping(self) -> int:
        return 1


@tiffin.service
class Service(Base):
    @tiffin.on_stop
    @tiffin.on_start
    def twice(self) -> None:
        self.log.append(f"twice {threading.current_thread() is threading.main_thread()}")

    @tiffin.on_ready
    def warm(self) -> None:
        self.log.append("warm")

    @tiffin.on_start
    async def last(self) -> None:
        self.log.append("last")


def run(service: Base, phase: str) -> None:
    asyncio.run(run_hooks(service, service_info(type(service)), phase))


def test_order_and_threads() -> None:
    service = Service()
    run(service, "start")
    assert service.log == ["connect", "twice False", "last"]
    run(service, "ready")
    run(service, "stop")
    assert service.log[3:] == ["warm", "twice False"]


def test_a_failing_start_stops_the_rest_and_is_named() -> None:
    @tiffin.service
    class Broken(Base):
        @tiffin.on_start
        def load(self) -> None:
            raise ValueError("no file")

        @tiffin.on_start
        def never(self) -> None:
            self.log.append("never")

    service = Broken()
    with pytest.raises(
        ServerError, match=rf"{HERE}: on_start hook .*Broken\.load failed: ValueError: no file"
    ) as caught:
        run(service, "start")
    assert isinstance(caught.value.__cause__, ValueError)
    assert service.log == ["connect"]


def test_every_stop_hook_runs_and_the_first_failure_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    @tiffin.service
    class Broken(Base):
        @tiffin.on_stop
        def first(self) -> None:
            raise ValueError("one")

        @tiffin.on_stop
        async def second(self) -> None:
            self.log.append("second")
            raise ValueError("two")

    service = Broken()
    with caplog.at_level(logging.ERROR), pytest.raises(ServerError, match="one"):
        run(service, "stop")
    assert service.log == ["second"]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_a_hook_takes_no_arguments() -> None:
    with pytest.raises(
        ServiceDefinitionError, match=rf"{HERE}: .*this one needs app; write `def load\(self\)`"
    ):

        class Bad:
            @tiffin.on_start
            def load(self, app: object) -> None: ...


def test_a_hook_is_a_method() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"write `def load\(self\)`"):

        class Bad:
            @tiffin.on_start
            def load() -> None: ...  # type: ignore[misc]

    with pytest.raises(ServiceDefinitionError, match="without brackets, directly on a method"):
        tiffin.on_start(None)  # type: ignore[type-var]
    with pytest.raises(ServiceDefinitionError, match="remove the `yield`"):

        class Yields:
            @tiffin.on_ready
            async def load(self):  # type: ignore[no-untyped-def]
                yield 1
