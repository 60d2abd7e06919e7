"""TorchServe's REST API as its callers write it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from foreign_service import Foreign, form, png, posted
from http_server import Client, Running, get, on_server, post
from stream_service import stream_state

import tiffin


def made(folder: Path, **options: Any) -> Any:
    return stream_state(folder, Foreign, **options)


served = on_server(make=made)
JPEG = "content-type: image/png"


async def asked(client: Client, name: str, body: bytes, *headers: str) -> Any:
    answer = await posted(client, f"/predictions/foreign.{name}", body, *headers)
    assert answer.status == 200, answer.body
    return json.loads(answer.body) if answer.headers["content-type"] == "application/json" else answer.body


async def read(client: Client, path: str, method: str = "GET") -> tuple[int, Any]:
    await client.send(get(path, method=method))
    answer = await client.answer()
    return answer.status, json.loads(answer.body)


@served
async def test_a_body_as_it_stands(server: Running) -> None:
    async with await server.connect() as client:
        assert await asked(client, "size", png()) == [3, 2]  # curl -T: no content type
        assert await asked(client, "size", png(), JPEG) == [3, 2]
        assert await asked(client, "size", png(), "content-type: application/octet-stream") == [3, 2]
        assert await asked(client, "echo_bytes", b"\x00\xff") == b"\x00\xff"
        assert await asked(client, "one", b"rose") == b"ROSE"
        assert await asked(client, "one", b"rose", "content-type: text/plain") == b"ROSE"
        assert await asked(client, "one", b"rose", "accept: application/json") == "ROSE"
        file = io.BytesIO()
        np.save(file, np.ones(2, np.float32))
        assert await asked(client, "half", file.getvalue()) == [2.5, 2.5]
    assert ("/predictions/foreign.size", "POST", 200) in server.state.metrics.ended  # type: ignore[attr-defined]


@served
async def test_json(server: Running) -> None:
    json_type = "content-type: application/json"
    curl_d = "content-type: application/x-www-form-urlencoded"
    async with await server.connect() as client:
        for name, body, expected in [
            ("half", b"[2, 4]", [3.0, 4.0]),
            ("half", b'{"data": [2]}', [3.0]),
            ("half", b'{"body": [2]}', [3.0]),
            ("half", b'{"x": [2], "plus": 0}', [1.0]),
            ("half", b'{"instances": [2, 4]}', {"predictions": [3.0, 4.0]}),
            ("add", b'{"x": 1, "y": 2}', 3.0),
        ]:
            for kind in (json_type, curl_d):
                assert await asked(client, name, body, kind) == expected, body
        assert await asked(client, "one", b'{"data": "rose"}', json_type) == b"ROSE"
        assert await asked(client, "one", b'"rose"', json_type) == b"ROSE"
        assert await asked(client, "add", b"x=1&y=2", curl_d) == 3.0
        answer = await posted(client, "/predictions/foreign.half?plus=0", b"[2]", json_type)
        assert json.loads(answer.body) == [1.0]


@served
async def test_forms(server: Running) -> None:
    async with await server.connect() as client:
        for part in ("data", "body", "image"):
            body, kind = form((f'name="{part}"; filename="a.png"', "image/png", png()))
            assert await asked(client, "size", body, kind) == [3, 2]
        body, kind = form(('name="data"', "", b"[2, 4]"), ('name="plus"', "", b"0"))
        assert await asked(client, "half", body, kind) == [1.0, 2.0]
        body, kind = form(('name="data"; filename="d"', "application/octet-stream", b"\x00"))
        assert await asked(client, "echo_bytes", body, kind) == b"\x00"
        body, kind = form(('name="data"', "", b"[2]"), ('name="x"', "", b"[3]"))
        answer = await posted(client, "/predictions/foreign.half", body, kind)
        assert (answer.status, json.loads(answer.body)["message"]) == (400, "`x` is there twice at $.x")


@served
async def test_put_and_versions(server: Running) -> None:
    async with await server.connect() as client:
        for version in ("", "/1", "/1.0"):
            await client.send(post(f"/predictions/foreign.half{version}", b"[2]").replace(b"POST", b"PUT", 1))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"[3.0]")
        assert (await posted(client, "/predictions/foreign.half/2", b"[2]")).status == 404
    assert ("/predictions/foreign.half", "PUT", 200) in server.state.metrics.ended  # type: ignore[attr-defined]


@served
async def test_a_stream_comes_by_lines(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/predictions/foreign.stream", b"3"))
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "application/x-ndjson")
        assert b"".join([chunk async for chunk in client.chunks()]) == b"0\n1\n2\n"


@served
async def test_errors(server: Running) -> None:
    async with await server.connect() as client:
        for path, body, code, kind in [
            ("/predictions/nothing", b"1", 404, "ModelNotFoundException"),
            ("/predictions", b"1", 404, "ResourceNotFoundException"),
            ("/predictions/foreign.half", b'{"data": "x"}', 400, "BadRequestException"),
            ("/predictions/foreign.half", b"{", 400, "BadRequestException"),
            ("/predictions/foreign.size", b"no image", 400, "BadRequestException"),
            ("/predictions/foreign.fail", b"1", 500, "InternalServerException"),
            ("/explanations/foreign.half", b"1", 501, "NotImplementedException"),
            ("/explanations/nothing", b"1", 404, "ModelNotFoundException"),
            ("/models?url=x.mar", b"", 405, "MethodNotAllowedException"),
        ]:
            answer = await posted(client, path, body)
            told = json.loads(answer.body)
            assert (answer.status, told["code"], told["type"]) == (code, code, kind), path
            assert told["message"]
        assert (await read(client, "/predictions/foreign.half"))[0] == 405
        for method in ("PUT", "DELETE"):
            status, told = await read(client, "/models/foreign.half", method)
            assert (status, "its bundle" in told["message"]) == (405, True)


@served
async def test_health_and_descriptions(server: Running) -> None:
    async with await server.connect() as client:
        assert await read(client, "/ping") == (200, {"status": "Healthy"})
        status, told = await read(client, "/models?limit=2")
        assert (status, len(told["models"]), told["nextPageToken"]) == (200, 2, "2")
        assert told["models"][0] == {"modelName": "foreign.half", "modelUrl": "foreign"}
        status, rest = await read(client, "/models?limit=100&next_page_token=2")
        assert (status, "nextPageToken" in rest) == (200, False)
        assert (await read(client, "/models?limit=x"))[0] == 400
        for version in ("", "/1.0", "/all"):
            status, (told,) = await read(client, f"/models/foreign.half{version}")
            assert (status, told["modelName"], told["modelVersion"]) == (200, "foreign.half", "1")
        assert (await read(client, "/models/nothing"))[0] == 404
        server.state.ready = False
        assert await read(client, "/ping") == (503, {"status": "Unhealthy"})


@tiffin.service(name="own")
class Own:
    """Has routes and an application of such names itself."""

    models = tiffin.mount("/models", "foreign_application:app")

    @tiffin.api(route="/predictions/own")
    def predict(self, x: int) -> int:
        return x

    @tiffin.api(route="/ping")
    def ping(self) -> str:
        return "mine"


def own(folder: Path, **options: Any) -> Any:
    return stream_state(folder, Own, **options)


@on_server(make=own)
async def test_the_services_own_routes_win(server: Running) -> None:
    async with await server.connect() as client:
        assert json.loads((await posted(client, "/ping", b"")).body) == "mine"
        assert json.loads((await posted(client, "/predictions/own", b'{"x": 4}')).body) == 4
        await client.send(get("/models/anything"))
        assert (await client.answer()).body == b"an application of the user's"
        assert json.loads((await posted(client, "/predictions/own.predict", b"4")).body) == 4


@on_server(make=made, auth_tokens="shop a-token-of-the-tests predict")
async def test_tokens(server: Running) -> None:
    token = "authorization: Bearer a-token-of-the-tests"
    async with await server.connect() as client:
        assert (await read(client, "/ping"))[0] == 200
        status, told = await read(client, "/models")
        assert (status, told["type"]) == (401, "InvalidTokenException")
        assert (await posted(client, "/predictions/foreign.half", b"[1]")).status == 401
        assert (await posted(client, "/predictions/foreign.half", b"[1]", token)).status == 200
