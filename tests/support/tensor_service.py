"""A service without workers for the tests of tensor protocols, and a caller of it without a socket."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from http_service import Metrics
from jaxtyping import Bool, Float, Float16, Float32, Float64, Int8, Int64, UInt8

import tiffin
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.protocols.endpoint import Endpoint
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions


@dataclasses.dataclass
class Scores:
    best: Int64[np.ndarray, "n"]
    scores: Float32[np.ndarray, "n c"]


class Words(TypedDict):
    words: list[str]
    count: int


@dataclasses.dataclass
class Person:
    name: str
    age: int = 3


@tiffin.service
class Tensors:
    """Gives back what it is given."""

    @tiffin.api
    async def float32(self, x: Float32[np.ndarray, "n 4"], scale: float = 1.0) -> Float32[np.ndarray, "n 4"]:
        return x if scale == 1.0 else (x * np.float32(scale))

    @tiffin.api
    async def any(self, x: np.ndarray) -> np.ndarray:
        return x

    @tiffin.api
    async def double_in_place(self, x: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        x *= 2
        return x

    @tiffin.api
    async def open(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return x

    @tiffin.api
    async def uint8(self, x: UInt8[np.ndarray, "n"]) -> UInt8[np.ndarray, "n"]:
        return x

    @tiffin.api
    async def int8(self, x: Int8[np.ndarray, "n"]) -> Int8[np.ndarray, "n"]:
        return x

    @tiffin.api
    async def bool(self, x: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        return x

    @tiffin.api
    async def half(self, x: Float16[np.ndarray, "n"]) -> Float16[np.ndarray, "n"]:
        return x

    @tiffin.api
    async def add(self, a: Float64[np.ndarray, "n"], b: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return a + b

    @tiffin.api
    async def texts(self, texts: list[str], loud: bool = False) -> Words:
        return {"words": [text.upper() for text in texts] if loud else texts, "count": len(texts)}

    @tiffin.api
    def scores(self, x: Float32[np.ndarray, "n c"]) -> Scores:
        return Scores(x.argmax(axis=1), x)

    @tiffin.api
    async def scalars(self, number: int, ratio: float, flag: bool, text: str) -> list[float]:
        return [float(number), ratio, float(flag), float(len(text))]

    @tiffin.api
    async def greet(self, person: Person, greeting: str = "hello") -> Person:
        return Person(f"{greeting} {person.name}", person.age + 1)

    @tiffin.api
    async def content(self, data: bytes) -> bytes:
        return data[::-1]

    @tiffin.api
    async def rows(self, rows: list[list[float]]) -> list[list[float]]:
        return rows

    @tiffin.api
    async def count(self, x: int) -> AsyncIterator[int]:
        for number in range(x):
            yield number

    @tiffin.api
    async def total(self, numbers: AsyncIterator[float]) -> float:
        return sum([number async for number in numbers])

    @tiffin.api
    async def nap(self, x: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        await asyncio.sleep(30)
        return x


def state(folder: Path, service: type = Tensors, **options: Any) -> ServerState:
    """One API process of a service without runners."""
    info = service_info(service)
    metrics: Any = Metrics()
    options.setdefault("access_log", False)
    return ServerState(
        info=info,
        spec=info.spec(),
        options=ServerOptions(**options),
        instance=service(),
        dispatchers={},
        metrics=metrics,
        run_folder=folder,
        generation=1,
        ready=True,
    )


def endpoint(name: str, service: type = Tensors, labels: tuple[str, ...] = ()) -> Endpoint:
    """One api as protocols see it."""
    info = service_info(service)
    return Endpoint.of_api(f"{info.name}.{name}", info.apis[name], service(), ServerOptions(), lambda: labels)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Caller:
    """Asks an API process through its ASGI door."""

    def __init__(self, service: type = Tensors, **options: Any) -> None:
        self.state = state(Path(tempfile.mkdtemp()), service, **options)
        self._app = PredictionApp(self.state, create_app(self.state))

    def ask(
        self, path: str, body: bytes = b"", method: str = "POST", pieces: int = 1, **headers: str
    ) -> Answer:
        """`headers`: underscores are hyphens."""
        return asyncio.run(self._ask(path, body, method, pieces, headers))

    async def _ask(self, path: str, body: bytes, method: str, pieces: int, headers: dict[str, str]) -> Answer:
        size = -(-len(body) // pieces) or 1
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.Event().wait()
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": fields,
            "client": ("127.0.0.1", 1),
        }
        await self._app(scope, receive, send)
        start, *rest = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in rest))
