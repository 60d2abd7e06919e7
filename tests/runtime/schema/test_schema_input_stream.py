"""`AsyncIterator[T]` as a parameter: what is refused at import, and what becomes of requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import msgspec
import pytest

import tiffin
from tiffin.errors import InvalidInputError, RequestError, ServiceDefinitionError
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.openapi import openapi
from tiffin.runtime.service.service import service_info


async def total(self: Any, numbers: AsyncIterator[float], start: float = 0.0) -> float:
    return start + sum([number async for number in numbers])


inputs = Inputs.of(total, where="here")


def called(given: dict[str, Any]) -> float:
    return asyncio.run(total(None, **given))


@pytest.mark.parametrize(
    ("content_type", "body", "query"),
    [
        ("application/json", b'{"numbers": [1, 2], "start": 4}', ""),
        ("application/msgpack", msgspec.msgpack.encode({"numbers": [1, 2], "start": 4}), ""),
        ("application/x-www-form-urlencoded", b"numbers=1&numbers=2&start=4", ""),
        ("application/x-ndjson", b"1\n\n2\n", "start=4"),
        ("application/jsonl; charset=utf-8", b"1\r\n2", "start=4"),
    ],
)
def test_a_request_as_a_whole_is_a_list(content_type: str, body: bytes, query: str) -> None:
    assert called(inputs.decode(content_type, body, query)) == 7


def test_a_unit_test_passes_any_iterator() -> None:
    async def numbers() -> AsyncIterator[float]:
        yield 1.5

    assert asyncio.run(total(None, numbers())) == 1.5


def test_what_is_told_of_it() -> None:
    assert inputs.specs["numbers"].json_schema == {"type": "array", "items": {"type": "number"}}
    assert "application/x-ndjson" in inputs.media_types
    assert inputs.stream is not None
    assert inputs.stream.rest.names == ("start",)


def test_wrong_items_are_found() -> None:
    with pytest.raises(InvalidInputError) as error:
        inputs.decode("application/x-ndjson", b"1\n[2]\n")
    assert error.value.path == "$.numbers[1]"
    with pytest.raises(RequestError) as malformed:
        inputs.decode("application/x-ndjson", b"1\n{\n")
    assert malformed.value.path == "$.numbers[1]"
    with pytest.raises(InvalidInputError, match="missing field `numbers`"):
        inputs.decode_json(b"{}")


def refused(function: Any) -> str:
    with pytest.raises(ServiceDefinitionError) as error:
        Inputs.of(function, where="service.py:3")
    return str(error.value)


def test_what_cannot_work() -> None:
    async def two(a: AsyncIterator[int], b: AsyncIterable[int]) -> None: ...
    def plain(a: AsyncIterator[int]) -> None: ...
    async def default(a: AsyncIterator[int] | None = None) -> None: ...
    async def unreadable(a: AsyncIterator[complex]) -> None: ...

    assert "one request has one" in refused(two)
    assert "write `async def`" in refused(plain)
    assert "a" in refused(default)
    assert "complex" in refused(unreadable)


@tiffin.service
class Described:
    ui = tiffin.mount("/ui", "some.module:app")

    @tiffin.api
    async def add(self, numbers: AsyncIterator[float], start: float = 0.0) -> float:
        return 0.0


def test_the_openapi_document_tells_of_streams_and_mounts() -> None:
    document = openapi(service_info(Described))
    operation = document["paths"]["/add"]["post"]
    lines = operation["requestBody"]["content"]["application/x-ndjson"]["schema"]
    assert lines["x-tiffin-items"] == {"type": "number"}
    assert "items of `numbers`" in lines["description"]
    assert operation["x-tiffin"]["input_stream"] == "numbers"
    assert document["x-tiffin-mounts"] == {"ui": "/ui"}
    assert service_info(Described).apis["add"].spec().input_stream == "numbers"
