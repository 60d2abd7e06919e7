"""WebSockets, mounts, version 1 and TorchServe of a real server, with workers and a stop."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from projects import write
from server import ServeFailedError, Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

SERVICE = '''
from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import numpy as np
from jaxtyping import Float32

import tiffin


class Doubler:
    @tiffin.batch(max_size=8)
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return x * 2


def pages(service):
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        doubled = await service.double(np.ones((1, 4), np.float32))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(float(doubled.sum())).encode()})

    return app


@tiffin.service
class Doors:
    """Every door."""

    doubler = tiffin.runner(Doubler)
    ui = tiffin.mount("/ui", pages)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)

    @tiffin.api
    async def running(self, rows: AsyncIterator[list[float]]) -> AsyncIterator[float]:
        """The doubled sum of each row."""
        async for row in rows:
            yield float((await self.doubler.double(np.array([row], np.float32))).sum())

    @tiffin.api
    async def wait(self, gate: str = "") -> str:
        """Until this file exists."""
        while gate and not os.path.exists(gate):
            await asyncio.sleep(0.01)
        return "waited"
'''
ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = write(tmp_path_factory.mktemp("doors"), {"service.py": SERVICE})
    with Server(folder, "--expose-runners") as running:
        yield running


def opened(server: Server, path: str):  # type: ignore[no-untyped-def]
    return connect(server.base_url.replace("http", "ws", 1) + path, proxy=None)


def test_calls_of_a_websocket_share_batches_with_all_others(server: Server) -> None:
    with opened(server, "/double") as socket:
        for number in range(20):
            socket.send(json.dumps({"$id": number, "x": [[number, 0, 0, 0]]}))
        answers = [json.loads(socket.recv(timeout=90)) for _ in range(20)]
    assert {each["id"]: each["result"][0][0] for each in answers} == {n: 2.0 * n for n in range(20)}
    with opened(server, "/running") as socket:
        socket.send("{}")
        for _ in range(3):
            socket.send(json.dumps(ROW))
            assert json.loads(socket.recv(timeout=90)) == {"item": 20.0}
        socket.send('{"$end": true}')
        assert json.loads(socket.recv(timeout=90)) == {"end": {}}
    metrics = httpx.get(f"{server.base_url}/metrics").text
    assert (
        'tiffin_requests_total{code="200",method="WEBSOCKET",route="/double",service="doors"} 20.0' in metrics
    )


def test_the_application_of_the_user_calls_the_service(server: Server) -> None:
    assert httpx.get(f"{server.base_url}/ui/").text == "8.0"
    assert httpx.get(f"{server.base_url}/schema").json()["x-tiffin-mounts"] == {"ui": "/ui"}
    assert "/ui/" in httpx.get(f"{server.base_url}/pages/service.json").json()["mounts"]


@pytest.mark.parametrize("model", ["doors.double", "doors.doubler.double"])
def test_version_1_and_torchserve_reach_apis_and_runners(server: Server, model: str) -> None:
    with httpx.Client(base_url=server.base_url) as ask:
        predict = f"/v1/models/{model}:predict"
        assert ask.post(predict, json={"instances": [ROW, ROW]}).json() == {"predictions": [DOUBLED, DOUBLED]}
        assert ask.post(predict, json={"inputs": {"x": [ROW]}}).json() == {"outputs": [DOUBLED]}
        assert ask.post(predict, json={"instances": [["a"]]}).status_code == 400
        assert ask.get(f"/v1/models/{model}").json()["ready"] is True
        signature = ask.get(f"/v1/models/{model}/metadata").json()["metadata"]["signature_def"]
        assert signature["signature_def"]["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
        assert ask.post(f"/predictions/{model}", json=[ROW]).json() == [DOUBLED]
        assert ask.get(f"/models/{model}").json()[0]["workers"] == [{"id": "0", "status": "READY"}]
        assert ask.get("/ping").json() == {"status": "Healthy"}


def test_a_stop_says_goodbye_after_the_last_answer(tmp_path: Path) -> None:
    with Server(write(tmp_path, {"service.py": SERVICE})) as server, opened(server, "/wait") as busy:
        busy.send("{}")
        assert json.loads(busy.recv(timeout=90)) == {"result": "waited"}
        with opened(server, "/double") as idle:
            gate = tmp_path / "gate"
            busy.send(json.dumps({"gate": str(gate)}))
            while (
                'in_flight{route="/wait",service="doors"} 1'
                not in httpx.get(f"{server.base_url}/metrics").text
            ):
                pass
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed, match="1001"):
                idle.recv(timeout=90)
            gate.touch()
            assert json.loads(busy.recv(timeout=90)) == {"result": "waited"}
            with pytest.raises(ConnectionClosed, match="1001"):
                busy.recv(timeout=90)
        assert server.process.wait(90) == 0


def test_an_application_that_cannot_be_made_keeps_the_server_from_starting(tmp_path: Path) -> None:
    broken = SERVICE.replace('tiffin.mount("/ui", pages)', 'tiffin.mount("/ui", "no_such_module:app")')
    with pytest.raises(ServeFailedError, match="the application mounted on /ui could not be made"):
        Server(write(tmp_path, {"service.py": broken})).__enter__()
