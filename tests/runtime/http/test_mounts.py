"""Applications of the user's below a path: plain ASGI, Litestar, WebSockets, lifespans, errors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import Client, Running, get, on_server, post, running
from litestar import Litestar, WebSocket, websocket
from litestar import get as litestar_get
from stream_service import stream_state
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import tiffin
from tiffin.errors import ServerError
from tiffin.runtime.http.limits import LINGER_S
from tiffin.runtime.http.serving import Serving

LEAVING = (SystemExit, KeyboardInterrupt, GeneratorExit)


class Echo:
    """Answers with what it sees; the way to it decides what else it does."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._talk(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"].partition(".")[2]
            self.lifespan.append(kind)
            scope["state"]["kept"] = "from the start"
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return

    async def _talk(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": scope["root_path"] + " " + message["text"]})

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/fail"):
            raise ValueError("broken in /srv/app/secret.py")
        for kind in LEAVING:
            if scope["path"].endswith(f"/{kind.__name__}"):
                raise kind
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        seen = {name: scope[name] for name in ("path", "root_path", "method")}
        answer = json.dumps({**seen, "kept": scope["state"]["kept"], "size": len(body)}).encode()
        headers = [(b"x-mine", b"1")]
        if scope["path"].endswith("/leave"):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(
            {"type": "http.response.body", "body": answer, "more_body": scope["path"].endswith("/half")}
        )
        if scope["path"].endswith("/half"):
            raise ValueError("half way")


def pages(service: Any) -> Litestar:
    """A Litestar application that calls the service."""

    @litestar_get("/")
    async def index() -> dict[str, Any]:
        return {"double": await service.double(21)}

    @litestar_get("/below/rose")
    async def below() -> str:
        return "rose"

    @websocket("/talk")
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text(str(await service.double(int(await socket.receive_text()))))
        await socket.close()

    # Its own logging would take over that of the whole process.
    return Litestar([index, below, talk], openapi_config=None, logging_config=None)


echo = Echo()


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Knows HTTP only, as small applications do."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@tiffin.service(name="mounting", max_body_bytes=1000)
class Mounting:
    """As a user would write it."""

    echo = tiffin.mount("/echo", echo)
    ui = tiffin.mount("/ui", pages)
    small = tiffin.mount("/apps/small", bare, public=True)

    @tiffin.api
    async def double(self, x: int) -> int:
        return 2 * x


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


@tiffin.service
class Broken:
    ui = tiffin.mount("/ui", refuses)

    @tiffin.api
    def call(self) -> int:
        return 1


def mounted(folder: Path, **options: Any) -> Any:
    return stream_state(folder, Mounting, **options)


served = on_server(make=mounted)


async def asked(client: Client, request: bytes) -> tuple[int, Any]:
    await client.send(request)
    answer = await client.answer()
    return answer.status, json.loads(answer.body) if answer.body else None


@served
async def test_it_sees_where_it_is_mounted(server: Running) -> None:
    async with await server.connect() as client:
        status, seen = await asked(client, post("/echo/a%20b?x=1", b"12345"))
        assert status == 200
        assert seen == {
            "path": "/echo/a b", "root_path": "/echo", "method": "POST", "kept": "from the start", "size": 5,
        }  # fmt: skip
        assert await asked(client, post("/double", b'{"x": 4}')) == (200, 8)
    assert ("/echo/*", "POST", 200) in server.state.metrics.ended  # type: ignore[attr-defined]


@served
async def test_litestar_and_the_service(server: Running) -> None:
    async with await server.connect() as client:
        assert await asked(client, get("/ui/")) == (200, {"double": 42})
        await client.send(get("/ui/below/rose"))
        assert (await client.answer()).body == b"rose"
        assert (await asked(client, get("/ui/nothing")))[0] == 404
    async with connect(f"ws://127.0.0.1:{server.port}/ui/talk", proxy=None) as socket:
        await socket.send("4")
        assert await socket.recv() == "8"


@served
async def test_its_address_ends_with_a_slash(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(get("/ui?x=1"))
        answer = await client.answer()
        assert (answer.status, answer.headers["location"]) == (307, "/ui/?x=1")


@served
async def test_one_that_knows_no_lifespan(server: Running) -> None:
    async with await server.connect() as client:
        assert (await asked(client, get("/apps/small/x")))[0] == 204
        assert (await asked(client, get("/apps/other")))[0] == 404


@served
async def test_websockets(server: Running) -> None:
    async with connect(f"ws://127.0.0.1:{server.port}/echo/talk", proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "/echo hello"
        server.state.draining = True
        with pytest.raises(Exception, match="1001"):
            await socket.recv()


@served
async def test_its_errors_are_500_and_harm_nobody(server: Running) -> None:
    async with await server.connect() as client:
        status, problem = await asked(client, get("/echo/fail"))
        assert status == 500
        assert problem["detail"] == "ValueError: broken in …/secret.py"
        assert (await asked(client, get("/echo/")))[0] == 200
        await client.send(get("/echo/half"))
        await client.head()
        await client.reader.read()  # cut off: the chunks have no end
    async with await server.connect() as client:
        assert await asked(client, post("/double", b'{"x": 4}')) == (200, 8)


@served
async def test_one_that_ends_the_connection_ends_it_whatever_came_behind(server: Running) -> None:
    for end in (
        lambda connection: connection.sweep(connection.now + LINGER_S + 1),
        lambda connection: connection.shutdown(),
    ):
        async with await server.connect() as client:
            await client.send(get("/echo/leave") + get("/echo/x") * 2 + post("/double", b'{"x": 4}'))
            assert (await client.answer()).headers["connection"] == "close"
            assert await client.ended()
            [connection] = server.server.server_state.connections
            end(connection)
            await server.until(lambda: not server.server.server_state.connections)


@served
async def test_bodies_are_limited(server: Running) -> None:
    async with await server.connect() as client:
        status, problem = await asked(client, post("/echo/", b"x" * 1001))
        assert status == 413
        assert "the limit of /echo is 1000" in problem["detail"]


@on_server(make=mounted, auth_tokens="shop a-token-of-the-tests predict")
async def test_tokens(server: Running) -> None:
    async with await server.connect() as client:
        assert (await asked(client, get("/echo/")))[0] == 401
        assert (await asked(client, get("/echo/", "authorization: Bearer a-token-of-the-tests")))[0] == 200
        assert (await asked(client, get("/apps/small/")))[0] == 204


def test_the_lifespan_runs_with_the_servers(tmp_path: Path) -> None:
    async def serve() -> None:
        echo.lifespan.clear()
        async with running(mounted(tmp_path)):
            assert echo.lifespan == ["startup"]
        assert echo.lifespan == ["startup", "shutdown"]

    asyncio.run(serve())


def test_an_application_that_cannot_start_keeps_the_server_from_starting(tmp_path: Path) -> None:
    async def serve() -> None:
        mounts = Serving.of(stream_state(tmp_path, Broken)).mounts
        with pytest.raises(ServerError, match="mounted on /ui could not start: no database"):
            await mounts.open()

    asyncio.run(serve())


@on_server(make=mounted, path_prefix="/ml/iris")
async def test_below_a_prefix(server: Running) -> None:
    async with await server.connect() as client:
        status, seen = await asked(client, get("/ml/iris/echo/a"))
        assert (status, seen["path"], seen["root_path"]) == (200, "/ml/iris/echo/a", "/ml/iris/echo")
        await client.send(get("/ml/iris/echo"))
        assert (await client.answer()).headers["location"] == "/ml/iris/echo/"
        assert await asked(client, get("/ml/iris/ui/")) == (200, {"double": 42})
        assert (await asked(client, get("/echo/a")))[0] == 404
    async with connect(f"ws://127.0.0.1:{server.port}/ml/iris/double", proxy=None) as socket:
        await socket.send('{"x": 4}')
        assert await socket.recv() == '{"result":8}'
    with pytest.raises(InvalidStatus, match="403"):
        await connect(f"ws://127.0.0.1:{server.port}/double", proxy=None)


@pytest.mark.parametrize("http2", [False, True])
def test_one_that_wants_to_end_the_process_fails_its_request(tmp_path: Path, http2: bool) -> None:
    async def main() -> None:
        async with (
            running(mounted(tmp_path)) as server,
            httpx.AsyncClient(http1=not http2, http2=http2, timeout=60) as client,
        ):
            for kind in LEAVING:
                answer = await client.get(f"http://127.0.0.1:{server.port}/echo/{kind.__name__}")
                assert answer.status_code == 500

    asyncio.run(main())
