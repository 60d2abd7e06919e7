"""`generate` and `generate_stream`: flat JSON in, flat JSON or events out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import numpy as np
import pytest
from jaxtyping import Float32
from tensor_service import Answer, Caller

import tiffin
from tiffin.errors import InvalidInputError
from tiffin.runtime.protocols.oip.flat_rows import rows_of
from tiffin.runtime.protocols.tensor import TensorSpec


@dataclasses.dataclass
class Guess:
    label: str
    score: float


@tiffin.service
class Writer:
    @tiffin.api
    async def shout(self, text: str, times: int = 1) -> str:
        return text.upper() * times

    @tiffin.api
    def whisper(self, prompt: str, voice: str = "low") -> str:
        return f"{voice}:{prompt.lower()}"

    @tiffin.api
    async def words(self, text: str) -> AsyncIterator[str]:
        for word in text.split(" "):
            if word == "bad":
                raise InvalidInputError("a bad word")
            yield word

    @tiffin.api
    async def numbers(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n"], id: str = "") -> Float32[np.ndarray, "n"]:  # noqa: A002
        return x * 2

    @tiffin.api
    async def guess(self, a: str, b: str) -> Guess:
        return Guess(a + b, 0.5)

    @tiffin.api
    async def fail(self, text: str) -> str:
        raise ValueError(text)


@pytest.fixture(scope="module")
def caller() -> Caller:
    return Caller(Writer)


def ask(caller: Caller, api: str, body: Any, verb: str = "generate", **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return caller.ask(f"/v2/models/writer.{api}/{verb}", data, **headers)


def told(caller: Caller, api: str, body: Any, verb: str = "generate") -> tuple[int, Any]:
    answer = ask(caller, api, body, verb)
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.body)


def events(answer: Answer) -> list[Any]:
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body.endswith(b"\n\n")
    lines = answer.body.decode().removesuffix("\n\n").split("\n\n")
    assert all(line.startswith("data: ") for line in lines), "no event has a name in this protocol"
    return [json.loads(line[6:]) for line in lines]


def answer_of(api: str, **outputs: Any) -> dict[str, Any]:
    return {"model_name": f"writer.{api}", "model_version": "1", **outputs}


@pytest.mark.parametrize(
    ("api", "body", "outputs"),
    [
        ("shout", {"text": "ab"}, {"text_output": "AB"}),
        ("shout", {"text_input": "ab", "times": 2}, {"text_output": "ABAB"}),
        ("shout", {"text_input": "ab", "parameters": {"times": 2}}, {"text_output": "ABAB"}),
        ("shout", {"text_input": "ab", "parameters": None}, {"text_output": "AB"}),
        (
            "shout",
            {"text": "ab", "stream": False, "max_tokens": 5, "parameters": {"x": 1}},
            {"text_output": "AB"},
        ),
        ("shout", {"text": "ab", "id": "7"}, {"id": "7", "text_output": "AB"}),
        ("whisper", {"text_input": "AB"}, {"text_output": "low:ab"}),
        ("words", {"text_input": "a b c"}, {"text_output": "abc"}),
        ("double", {"x": [1, 2.5]}, {"output": [2.0, 5.0]}),
        ("double", {"x": [1], "id": "an input of its own"}, {"output": [2.0]}),
        ("guess", {"a": "x", "b": "y"}, {"label": "xy", "score": 0.5}),
    ],
)
def test_one_answer(caller: Caller, api: str, body: Any, outputs: Any) -> None:
    assert told(caller, api, body) == (200, answer_of(api, **outputs))


def test_with_a_version(caller: Caller) -> None:
    body = json.dumps({"text_input": "a"}).encode()
    assert caller.ask("/v2/models/writer.shout/versions/1/generate", body).status == 200
    assert caller.ask("/v2/models/writer.shout/versions/1/generate_stream", body).status == 200
    assert caller.ask("/v2/models/writer.shout/versions/2/generate", body).status == 404


@pytest.mark.parametrize(
    ("api", "body", "items"),
    [
        (
            "words",
            {"text_input": "a b", "id": "7"},
            [{"id": "7", "text_output": "a"}, {"id": "7", "text_output": "b"}],
        ),
        ("numbers", {"to": 3}, [{"output": 0}, {"output": 1}, {"output": 2}]),
        ("shout", {"text": "ab"}, [{"text_output": "AB"}]),
        ("whisper", {"prompt": "AB", "voice": "high"}, [{"text_output": "high:ab"}]),
    ],
)
def test_a_stream(caller: Caller, api: str, body: Any, items: list[Any]) -> None:
    answer = ask(caller, api, body, "generate_stream")
    assert answer.status == 200
    assert events(answer) == [answer_of(api, **item) for item in items]


def test_an_error_in_a_stream_is_its_last_event(caller: Caller) -> None:
    answer = ask(caller, "words", {"text": "a bad b"}, "generate_stream")
    assert answer.status == 200
    assert events(answer) == [answer_of("words", text_output="a"), {"error": "a bad word"}]
    status, document = told(caller, "words", {"text": "bad b"}, "generate_stream")
    assert (status, document) == (400, {"error": "a bad word"}), "before the first item it has a status"


@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    ("api", "body", "words"),
    [
        ("shout", b"", "expected a flat JSON object"),
        ("shout", b"[]", "expected a flat JSON object"),
        ("shout", b"\xff", "expected a flat JSON object"),
        ("shout", {}, "text"),
        ("shout", {"text": 5}, "$.text"),
        ("shout", {"text": "a", "text_input": "b"}, "the same input"),
        ("shout", {"text": "a", "times": 2, "parameters": {"times": 3}}, "there twice"),
        ("shout", {"text": "a", "parameters": [1]}, "parameters is an object"),
        ("shout", {"text": "a", "id": 5}, "id is a text"),
        ("guess", {"text_input": "a"}, "$"),
        ("double", {"x": [1, "a"]}, "$.x[1]"),
    ],
)
def test_what_is_refused_says_why(caller: Caller, verb: str, api: str, body: Any, words: str) -> None:
    status, document = told(caller, api, body, verb)
    assert (status, list(document)) == (400, ["error"])
    assert words in document["error"]


def test_a_stream_of_other_things_is_no_text(caller: Caller) -> None:
    status, document = told(caller, "numbers", {"to": 3})
    assert status == 400
    assert "/v2/models/writer.numbers/generate_stream" in document["error"]


def test_errors_of_the_api_and_of_the_verb(caller: Caller) -> None:
    assert told(caller, "fail", {"text": "why"}) == (500, {"error": "ValueError: why"})
    answer = caller.ask("/v2/models/writer.shout/generate", method="GET")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    ("datatype", "text", "shape", "elements"),
    [
        ("FP32", b"[[1, 2], [3, 4.5]]", (2, 2), [[1.0, 2.0], [3.0, 4.5]]),
        ("INT64", b"7", (1,), [7]),
        ("BYTES", b'"a text"', (1,), [b"a text"]),
        ("BYTES", b'["a", "b"]', (2,), [b"a", b"b"]),
        ("BOOL", b"[true]", (1,), [True]),
    ],
)
def test_rows_of_a_runner(datatype: str, text: bytes, shape: tuple[int, ...], elements: list[Any]) -> None:
    tensor = rows_of(TensorSpec("x", datatype, (-1,), optional=False), msgspec.Raw(text))
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", datatype, shape)
    assert tensor.array.tolist() == elements


@pytest.mark.parametrize("text", [b"{}", b"[{}]", b"[[1], [2, 3]]", b'["a"]', b"[1, [2]]", b"null"])
def test_what_is_no_row(text: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        rows_of(TensorSpec("x", "FP32", (-1,), optional=False), msgspec.Raw(text))
    assert refused.value.path.startswith("$.x")
