"""Inference on the server's socket: connections kept alive, heads seen before, bodies in pieces, limits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import tensor_service
from http_server import Answer, Client, Running, on_server, post

PATH = "/v2/models/tensors.any/infer"


def binary(array: np.ndarray[Any, Any]) -> bytes:
    size = {"binary_data_size": array.nbytes}
    tensor = {"name": "x", "datatype": "FP32", "shape": array.shape, "parameters": size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return post(PATH, head + array.tobytes(), f"inference-header-content-length: {len(head)}")


def array_of(answer: Answer) -> np.ndarray[Any, Any]:
    assert answer.status == 200, answer.body
    start = int(answer.headers["inference-header-content-length"])
    shape = json.loads(answer.body[:start])["outputs"][0]["shape"]
    return np.frombuffer(answer.body, np.float32, offset=start).reshape(shape)


async def echoed(client: Client, array: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(array_of(await client.answer()), array)


@on_server(make=tensor_service.state)
async def test_the_same_head_again_and_again(server: Running) -> None:
    async with await server.connect() as client:
        for number in range(5):
            array = np.full((2, 3), number, np.float32)
            await client.send(binary(array))
            assert await echoed(client, array)
    assert server.state.serving is not None
    assert any(PATH.encode() in raw for raw in server.state.serving.known_heads.by_bytes)


@on_server(make=tensor_service.state)
async def test_requests_of_both_kinds_in_one_pipeline(server: Running) -> None:
    array = np.ones(4, np.float32)
    native = post("/any", b'{"x": [1, 2]}', "content-type: application/json")
    async with await server.connect() as client:
        await client.send(binary(array) + native + post(PATH, b"nonsense") + binary(array * 2))
        assert await echoed(client, array)
        assert (await client.answer()).body == b"[1,2]"
        refused = await client.answer()
        assert (refused.status, refused.headers["content-type"]) == (400, "application/json")
        assert list(json.loads(refused.body)) == ["error"]
        assert await echoed(client, array * 2)


@on_server(make=tensor_service.state)
async def test_a_large_tensor_in_pieces(server: Running) -> None:
    array = np.random.default_rng(1).random((700, 1000), np.float32)
    whole = binary(array)
    async with await server.connect() as client:
        for size in (len(whole), 500_000):
            for at in range(0, len(whole), size):
                await client.send(whole[at : at + size])
            assert await echoed(client, array)


@on_server(make=tensor_service.state, max_body_bytes=1000)
async def test_a_body_above_the_limit_is_refused_before_it_comes(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n".encode())
        answer = await client.answer()
        assert answer.status == 413
        assert f"the limit of {PATH} is 1000" in json.loads(answer.body)["error"]


@on_server(make=tensor_service.state)
async def test_a_caller_that_hangs_up_is_cancelled(server: Running) -> None:
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}'
    async with await server.connect() as client:
        await client.send(post("/v2/models/tensors.nap/infer", body))
        await server.until(lambda: server.state.in_flight == 1)
    await server.until(lambda: server.state.in_flight == 0)


@on_server(make=tensor_service.state)
async def test_a_model_that_is_not_there(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(
            post("/v2/models/nope/infer", b"{}") + post(PATH.replace("infer", "versions/2/infer"))
        )
        for _ in range(2):
            answer = await client.answer()
            assert answer.status == 404
            assert json.loads(answer.body)["error"].startswith("Request for unknown model: ")
