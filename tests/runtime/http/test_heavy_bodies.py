"""Large bodies and results are worked on in a thread: nobody else waits for them."""

from __future__ import annotations

import threading

import msgspec
import numpy as np
from http_server import Running, on_server, post

LOOP = threading.main_thread().name


@on_server()
async def test_heavy_body_is_decoded_in_a_thread(server: Running) -> None:
    inputs = server.state.info.apis["echo"].inputs
    small, large = post("/echo", b'{"x":1}'), post("/echo", b'{"x":"%b"}' % (b"a" * inputs.heavy_bytes))
    async with await server.connect() as client:
        for request in (small, large, large, small):
            await client.send(request)
            assert (await client.answer()).status == 200
    names = [name == LOOP for name in inputs.threads]
    assert names == [True, False, False, True]


@on_server()
async def test_what_is_wrong_with_a_heavy_body_is_told(server: Running) -> None:
    heavy = server.state.info.apis["echo"].inputs.heavy_bytes
    async with await server.connect() as client:
        for body, status in ((b"{" + b" " * heavy, 400), (b'{"y":"%b"}' % (b"a" * heavy), 422)):
            await client.send(post("/echo", body))
            answer = await client.answer()
            assert answer.status == status
            assert answer.headers["content-type"] == "application/problem+json"
        await client.send(post("/echo", b'{"x":1}'))
        assert (await client.answer()).body == b"1"
    assert server.state.in_flight == 0


@on_server()
async def test_heavy_result_is_encoded_in_a_thread(server: Running) -> None:
    encoded: list[str] = []
    api = server.state.info.apis["echo"]

    def encode(value: object) -> bytes:
        encoded.append(threading.current_thread().name)
        return msgspec.json.encode(value.tolist() if isinstance(value, np.ndarray) else value)

    api.output._encoder._encode = encode
    sizes = {1: b"[0]", 200_000: None}

    async def zeros(x: int) -> np.ndarray:
        return np.zeros(x, dtype=np.int64)

    for route in server.state.serving.table.routes:  # type: ignore[union-attr]
        if route.name == "echo":
            route.call = zeros
    async with await server.connect() as client:
        for size, body in sizes.items():
            await client.send(post("/echo", b'{"x":%d}' % size))
            answer = await client.answer()
            assert answer.status == 200
            assert body is None or answer.body == body
    assert [name == LOOP for name in encoded] == [True, False]
