"""A service for the tests of runtime/http: real contexts, small stand-ins for the schema and the metrics."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from tiffin.errors import (
    InvalidInputError,
    MalformedInputError,
    NotAcceptableError,
    OverloadedError,
    UnsupportedMediaTypeError,
)
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.manifest import ApiSpec, ServiceSpec, TypeSpec
from tiffin.runtime.service.context import request_context
from tiffin.runtime.supervisor.control import ServerOptions


class Inputs:
    media_types = ("application/json",)
    heavy_bytes = 100_000
    stream = None

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.specs = {name: TypeSpec(kind="json") for name in names}
        self.defaults: dict[str, Any] = {}
        self.threads: list[str] = []

    def decode_json(self, body: bytes) -> dict[str, Any]:
        self.threads.append(threading.current_thread().name)
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedInputError(f"not JSON: {error}") from error
        if not isinstance(value, dict) or set(value) != set(self.names):
            raise InvalidInputError(f"expected an object with {self.names}", path="$")
        return value

    def decode(self, content_type: str, body: bytes, query: str = "") -> dict[str, Any]:
        if content_type.startswith("application/json"):
            return self.decode_json(body)
        if content_type == "text/query":
            return {self.names[0]: query}
        if content_type == "application/octet-stream":
            return {self.names[0]: body.decode("latin-1")}
        raise UnsupportedMediaTypeError(f"{content_type} is not supported")


class Encoder:
    varies = False

    def __init__(self, media_type: str, encode: Callable[[Any], bytes]) -> None:
        self.media_type = media_type
        self._encode = encode

    def __call__(self, value: Any) -> bytes:
        return self._encode(value)


class Output:
    def __init__(self, media_type: str, encode: Callable[[Any], bytes], kind: str = "json") -> None:
        self.spec = TypeSpec(kind=kind)
        self.media_types = (media_type,)
        self._encoder = Encoder(media_type, encode)

    def encoder(self, accept: str) -> Encoder:
        if "image/png" in accept:
            raise NotAcceptableError("no image/png here")
        return self._encoder


class Echo:
    """What the tests call. `release` lets `hold` go on; `seen` tells what happened inside."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.entered = asyncio.Event()
        self.seen: list[str] = []
        self.threads: set[str] = set()

    async def echo(self, x: Any) -> Any:
        return x

    async def nothing(self) -> str:
        return "ok"

    async def hold(self, x: Any) -> Any:
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        return x

    async def who(self) -> dict[str, Any]:
        context = request_context()
        await asyncio.sleep(0)
        context.response_headers["x-note"] = "hello"
        return {
            "id": context.id,
            "route": context.route,
            "user": context.headers.get("x-user", ""),
            "remaining_s": context.remaining_s,
            "trace_id": context.trace_id,
        }

    def sync(self, x: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        assert request_context().route == "/sync"
        if x == "stop":
            raise StopIteration
        if x == "interrupt":
            raise KeyboardInterrupt
        if x == "sleep":
            time.sleep(0.3)
        return x

    async def fail(self, x: str) -> Any:
        if x == "exit":
            raise SystemExit(3)
        if x == "interrupt":
            raise KeyboardInterrupt
        if x == "generator":
            raise GeneratorExit
        if x == "cancel":
            raise asyncio.CancelledError
        if x == "full":
            raise OverloadedError("full", retry_after_s=1.2)
        if x == "file":
            os.stat("/no/such/folder/weights.bin")  # noqa: PTH116 - raises an OSError with a path
        if x == "teapot":
            error = MalformedInputError("short and stout", path="$.x")
            raise error
        raise ValueError(f"bad {x} in /srv/app/secret/model.py")

    async def count(self, x: int) -> AsyncIterator[Any]:
        try:
            for number in range(x):
                if number == 7:
                    raise ValueError("seven")
                if x == 1000:
                    raise KeyboardInterrupt
                yield number
        finally:
            self.seen.append("closed")

    async def endless(self, x: int) -> AsyncIterator[Any]:
        try:
            while True:
                yield "y" * x
        finally:
            self.seen.append("closed")

    async def stubborn(self) -> AsyncIterator[Any]:
        try:
            while True:
                yield "y"
        finally:
            raise KeyError("on the way out")

    async def raw(self, x: int) -> AsyncIterator[Any]:
        for number in range(x):
            yield b"%d," % number
            if number == 7:
                raise ValueError("seven")


def _api(name: str, *names: str, output: Output | None = None, **options: Any) -> Any:
    sync = name == "sync"
    stream = name in ("count", "endless", "stubborn", "raw")
    return SimpleNamespace(
        name=name,
        route=f"/{name}",
        inputs=Inputs(names),
        output=output or Output("text/event-stream" if stream else "application/json", msgspec.json.encode),
        is_async=not sync,
        stream=stream,
        timeout_s=options.get("timeout_s", 30.0),
        max_body_bytes=options.get("max_body_bytes", 1_000_000),
        doc=f"Does {name}.",
    )


def service_info() -> Any:
    apis = [
        _api("echo", "x"),
        _api("nothing"),
        _api("hold", "x", timeout_s=20.0),
        _api("who"),
        _api("sync", "x"),
        _api("fail", "x"),
        _api("count", "x"),
        _api("endless", "x"),
        _api("stubborn"),
        _api("raw", "x", output=Output("application/octet-stream", bytes)),
    ]
    return SimpleNamespace(
        name="echo", cls=Echo, doc="Echoes.", apis={api.name: api for api in apis}, runners={}, mounts={}
    )


class CountedRequests:
    def __init__(self, log: list[tuple[str, str, int]], route: str, method: str) -> None:
        self.log = log
        self.route = route
        self.method = method
        self.in_flight = 0

    def begin(self) -> None:
        self.in_flight += 1

    def end(self, code: int, seconds: float) -> None:
        assert seconds >= 0
        self.in_flight -= 1
        self.log.append((self.route, self.method, code))


class Metrics:
    process = "api-0"

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, int]] = []
        self.made: list[CountedRequests] = []
        self.turned_away: list[str] = []

    def unauthorized(self, reason: str) -> None:
        self.turned_away.append(reason)

    def request(self, route: str, method: str = "POST") -> CountedRequests:
        counted = CountedRequests(self.ended, route, method)
        self.made.append(counted)
        return counted

    @property
    def in_flight(self) -> int:
        return sum(counted.in_flight for counted in self.made)


def server_state(run_folder: Path, **options: Any) -> ServerState:
    info = service_info()
    spec = ServiceSpec(
        name="echo",
        cls="http_service:Echo",
        doc="Echoes.",
        apis=[
            ApiSpec(name=a.name, route=a.route, doc=a.doc, inputs=a.inputs.specs, output=a.output.spec)
            for a in info.apis.values()
        ],
    )
    metrics: Any = Metrics()
    options.setdefault("access_log", False)
    return ServerState(
        info=info,
        spec=spec,
        options=ServerOptions(**options),
        instance=Echo(),
        dispatchers={},
        metrics=metrics,
        run_folder=run_folder,
        generation=1,
        ready=True,
    )
