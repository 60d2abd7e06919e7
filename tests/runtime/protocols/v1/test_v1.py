"""Version 1 as TensorFlow Serving's documentation and KServe's callers write it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from foreign_service import Foreign, png, posted
from http_server import Client, Running, get, on_server
from stream_service import stream_state

LABELS = ("rose", "iris")


def made(folder: Path, **options: Any) -> Any:
    return stream_state(folder, Foreign, **options)


served = on_server(make=made)


async def asked(client: Client, name: str, document: Any, verb: str = "predict") -> tuple[int, Any]:
    answer = await posted(client, f"/v1/models/foreign.{name}:{verb}", json.dumps(document).encode())
    return answer.status, json.loads(answer.body)


async def read(client: Client, path: str) -> tuple[int, Any]:
    await client.send(get(path))
    answer = await client.answer()
    return answer.status, json.loads(answer.body)


@served
async def test_rows(server: Running) -> None:
    async with await server.connect() as client:
        for name, instances, predictions in [
            ("half", [1.0, 2.0, 5.0], [2.5, 3.0, 4.5]),
            ("half", [{"x": 1.0}, {"x": 2.0}], [2.5, 3.0]),
            ("half", [], []),
            ("one", ["foo", "bar"], ["FOO", "BAR"]),
            ("one", [{"text": "foo"}], ["FOO"]),
            ("one", [], []),
            ("scores", [[1.0, 3.0]], [[0.25, 0.75]]),
            ("add", [{"x": 1, "y": 2}, {"x": 3, "y": 4}], [3.0, 7.0]),
            (
                "pair",
                [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
                [{"both": "x1", "words": "x"}, {"both": "y2", "words": "y"}],
            ),
        ]:
            assert await asked(client, name, {"instances": instances}) == (
                200,
                {"predictions": predictions},
            ), name
        document = {"instances": [2.0], "parameters": {"plus": 1}, "signature_name": "serving_default"}
        assert await asked(client, "half", document) == (200, {"predictions": [2.0]})
    assert ("/v1/models/foreign.half:predict", "POST", 200) in server.state.metrics.ended  # type: ignore[attr-defined]
    assert server.state.in_flight == 0


@served
async def test_columns(server: Running) -> None:
    async with await server.connect() as client:
        for name, inputs, outputs in [
            ("half", [1.0, 2.0], [2.5, 3.0]),
            ("half", {"x": [1.0], "plus": 0}, [0.5]),
            ("one", "foo", "FOO"),
            ("add", {"x": 1, "y": 2}, 3.0),
            ("pair", {"a": [1], "b": ["x"]}, {"both": ["x1"], "words": ["x"]}),
        ]:
            assert await asked(client, name, {"inputs": inputs}) == (200, {"outputs": outputs}), name


@served
async def test_binary_values(server: Running) -> None:
    image = {"b64": base64.b64encode(png()).decode()}
    async with await server.connect() as client:
        assert (await asked(client, "size", {"instances": [image, {"image": image}]}))[1] == {
            "predictions": [[3, 2], [3, 2]]
        }
        assert (await asked(client, "size", {"inputs": image}))[1] == {"outputs": [3, 2]}
        assert (await asked(client, "size", {"inputs": {"image": image}}))[1] == {"outputs": [3, 2]}
        size = len(png())
        assert (await asked(client, "thumbs", {"instances": [image, image]}))[1] == {
            "predictions": [size, size]
        }
        assert (await asked(client, "thumbs", {"inputs": {"images": [image]}}))[1] == {"outputs": [size]}


@served
async def test_versions_and_names(server: Running) -> None:
    async with await server.connect() as client:
        body = b'{"instances": [2]}'
        for path, status in [
            ("/v1/models/foreign.half/versions/1:predict", 200),
            ("/v1/models/foreign.half/versions/2:predict", 404),
            ("/v1/models/foreign.half/labels/stable:predict", 404),
            ("/v1/models/foreign.halb:predict", 404),
            ("/v1/models/foreign:predict", 404),  # could be any of several
            ("/v1/models/foreign.half:explain", 501),
            ("/v1/models/foreign.half:nothing", 501),
            ("/v1/models/foreign.half", 405),
            ("/v1/nothing", 404),
        ]:
            answer = await posted(client, path, body)
            assert answer.status == status, path
            if status != 200:
                assert list(json.loads(answer.body)) == ["error"], path
        await client.send(get("/v1/models/foreign.half:predict"))
        assert (await client.answer()).status == 405


@served
async def test_what_does_not_fit(server: Running) -> None:
    async with await server.connect() as client:
        for document, words in [
            ({"instances": [1], "inputs": [1]}, "either instances"),
            ({}, "either instances"),
            ({"instances": 1}, "instances must be a list"),
            ({"instances": ["a"]}, "$.x[0]"),
            ({"instances": [1], "signature": "x"}, "unknown key 'signature'"),
            ({"instances": [1], "signature_name": "other"}, "no signature 'other'"),
            ({"instances": [1], "signature_name": 3}, "signature_name is a text"),
            ({"instances": [1], "parameters": {"pls": 1}}, "no parameter 'pls'"),
            ({"inputs": {"x": [1], "y": 2}}, "unknown field `y`"),
            ({"inputs": [1], "parameters": {"plus": 1}}, "among the inputs"),
            ([1], "no JSON object"),
        ]:
            status, answer = await asked(client, "half", document)
            assert status == 400, document
            assert words in answer["error"], answer
        assert (await posted(client, "/v1/models/foreign.half:predict", b"{")).status == 400
        assert (
            await posted(client, "/v1/models/foreign.half:predict", b"{}", "content-type: image/png")
        ).status == 400
        assert (await asked(client, "add", {"inputs": [1, 2]}))[0] == 400
        assert (await asked(client, "stream", {"instances": [1]}))[0] == 400
        status, answer = await asked(client, "fail", {"instances": [1, 2]})
        assert (status, answer["error"]) == (500, "ValueError: no 1.0")


@served
async def test_forms_of_content_type(server: Running) -> None:
    async with await server.connect() as client:
        for kind in ("application/x-www-form-urlencoded", "application/json; charset=utf-8", "text/plain"):
            answer = await posted(
                client, "/v1/models/foreign.half:predict", b'{"instances": [2]}', f"content-type: {kind}"
            )
            assert json.loads(answer.body) == {"predictions": [3.0]}


@served
async def test_classify_and_regress(server: Running) -> None:
    examples = [{"x": [3.0, 1.0]}, {"x": [1.0, 3.0]}]
    async with await server.connect() as client:
        for name, results in [
            ("names", [[["rose", 1.0]], [["iris", 1.0]]]),
            ("guess", [[["rose", 3.0]], [["iris", 3.0]]]),
            ("scores", [[["", 0.75], ["", 0.25]], [["", 0.25], ["", 0.75]]]),
        ]:
            assert await asked(client, name, {"examples": examples}, "classify") == (
                200,
                {"results": results},
            )
        document: Any = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
        assert await asked(client, "half", document, "regress") == (200, {"results": [2.5, 3.0]})
        document = {"examples": [{"x": 1.0}, {"x": 2.0}], "context": {"y": 10}}
        assert await asked(client, "add", document, "regress") == (200, {"results": [11.0, 12.0]})
        for document, verb, words in [
            ({}, "regress", "examples is missing"),
            ({"examples": [1]}, "regress", "examples are objects"),
            ({"examples": [{"x": 1, "y": 1}], "context": {"y": 2}}, "regress", "is in the context too"),
            ({"examples": [], "more": 1}, "classify", "unknown key"),
        ]:
            status, answer = await asked(client, "add", document, verb)
            assert (status, words in answer["error"]) == (400, True), answer
        assert (await asked(client, "pair", {"examples": [{"a": 1, "b": "x"}]}, "regress"))[0] == 500


@served
async def test_status_as_both_read_it(server: Running) -> None:
    async with await server.connect() as client:
        status, told = await read(client, "/v1/models/foreign.half")
        assert (status, told["name"], told["ready"]) == (200, "foreign.half", True)
        version = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        assert told["model_version_status"] == [version]
        assert (await read(client, "/v1/models/foreign.half/versions/1"))[0] == 200
        assert (await read(client, "/v1/models/foreign.half/versions/7"))[0] == 404
        assert "foreign.half" in (await read(client, "/v1/models"))[1]["models"]
        server.state.ready = False
        status, told = await read(client, "/v1/models/foreign.half")
        assert (status, told["ready"], told["model_version_status"][0]["state"]) == (503, False, "LOADING")


@served
async def test_metadata(server: Running) -> None:
    async with await server.connect() as client:
        status, told = await read(client, "/v1/models/foreign.half/metadata")
        assert (status, told["model_spec"]) == (
            200,
            {"name": "foreign.half", "signature_name": "", "version": "1"},
        )
        signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
        assert signature["inputs"]["x"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
        assert list(signature["outputs"]) == ["output"]
        assert (await read(client, "/v1/models/foreign.half/versions/1/metadata"))[0] == 200


@on_server(make=made, auth_tokens="shop a-token-of-the-tests predict")
async def test_tokens(server: Running) -> None:
    token = "authorization: Bearer a-token-of-the-tests"
    async with await server.connect() as client:
        for path in ("/v1/models", "/v1/models/foreign.half", "/v1/models/foreign.half/metadata"):
            assert (await read(client, path))[0] == 401
        await client.send(get("/v1/models", token))
        assert (await client.answer()).status == 200
        path = "/v1/models/foreign.half:predict"
        assert (await posted(client, path, b'{"instances": [1]}')).status == 401
        assert (await posted(client, path, b'{"instances": [1]}', token)).status == 200


@pytest.mark.parametrize(
    ("prediction", "pairs"),
    [
        (1, [["iris", 1.0]]),
        (7, [["7", 1.0]]),
        ([0.25, 0.75], [["rose", 0.25], ["iris", 0.75]]),
        ({"rose": 0.5, "iris": 0.5}, [["rose", 0.5], ["iris", 0.5]]),
        ({"labels": ["a", "b"], "scores": [1, 2]}, [["a", 1.0], ["b", 2.0]]),
        ([{"label": "a", "score": 1}], [["a", 1.0]]),
        ([["a", 1]], [["a", 1.0]]),
    ],
)
def test_what_a_prediction_says_of_classes(prediction: Any, pairs: list[Any]) -> None:
    from tiffin.runtime.protocols.v1.examples import classes

    assert classes(prediction, LABELS) == pairs
