"""Calls over WebSockets, by a real client against a real server."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from http_server import Running, on_server
from socket_client import asked, opened, received, streamed
from stream_service import stream_state
from websockets.exceptions import ConnectionClosed, InvalidStatus

served = on_server(make=stream_state)


@served
async def test_calls_one_after_the_other(server: Running) -> None:
    async with opened(server, "/total") as socket:
        assert await asked(socket, {"numbers": [1, 2]}) == {"result": 3.0}
        assert await asked(socket, {"numbers": [1, 2], "scale": 2}) == {"result": 6.0}
    assert server.state.in_flight == 0


@served
async def test_a_plain_def_answers_too(server: Running) -> None:
    async with opened(server, "/plain") as socket:
        assert await asked(socket, {"text": "rose"}) == {"result": "ROSE"}


@served
async def test_items_of_a_stream_come_as_messages(server: Running) -> None:
    async with opened(server, "/count") as socket:
        for _ in range(2):
            await socket.send('{"upto": 3}')
            assert await streamed(socket) == [{"item": 0}, {"item": 1}, {"item": 2}, {"end": {}}]
    assert server.state.instance.seen == ["closed", "closed"]  # type: ignore[attr-defined]


@served
async def test_errors_come_as_messages_and_the_connection_stays(server: Running) -> None:
    async with opened(server, "/count") as socket:
        answer = await asked(socket, {"upto": "many"})
        assert answer["error"]["status"] == 422
        assert answer["error"]["path"] == "$.upto"
        await socket.send("{")
        assert json.loads(await received(socket))["error"]["status"] == 400
        await socket.send('{"upto": 9, "fail_at": 1}')
        items = await streamed(socket)
        assert items[0] == {"item": 0}
        assert items[1]["error"]["detail"] == "no more"
        assert await asked(socket, {"upto": 0}) == {"end": {}}
        assert (await asked(socket, {"$nonsense": 1}))["error"]["path"] == "$.$nonsense"
    assert [code for route, method, code in server.state.metrics.ended if method == "WEBSOCKET"] == [  # type: ignore[attr-defined]
        422, 400, 422, 200,
    ]  # fmt: skip


@served
async def test_calls_with_ids_run_side_by_side(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as socket:
        await socket.send('{"$id": "a", "text": "first"}')
        await service.entered.wait()
        assert server.state.in_flight == 1
        answer = await asked(socket, {"$id": "a", "text": "again"})
        assert (answer["id"], answer["error"]["path"]) == ("a", "$.$id")
        await socket.send('{"$id": 2, "text": "second"}')
        await server.until(lambda: server.state.in_flight == 2)
        service.release.set()
        answers = [json.loads(await received(socket)) for _ in range(2)]
        assert sorted(answers, key=str) == [
            {"id": "a", "result": "first"},
            {"id": 2, "result": "second"},
        ] or sorted(answers, key=str) == [{"id": 2, "result": "second"}, {"id": "a", "result": "first"}]


@served
async def test_calls_without_ids_wait_for_each_other(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as socket:
        await socket.send('{"text": "first"}')
        await socket.send('{"text": "second"}')
        await socket.send('{"$id": 3, "text": "beside"}')
        await server.until(lambda: server.state.in_flight == 2)
        service.release.set()
        answers = [json.loads(await received(socket)) for _ in range(3)]
        assert [answer["result"] for answer in answers if "id" not in answer] == ["first", "second"]


@served
async def test_a_cancelled_call_ends_and_the_next_one_runs(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as socket:
        await socket.send('{"text": "first"}')
        await service.entered.wait()
        assert await asked(socket, {"$cancel": True}) == {"cancelled": {}}
        service.release.set()
        assert await asked(socket, {"text": "second"}) == {"result": "second"}
        assert service.seen == ["cancelled"]


@served
async def test_closing_cancels(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as socket:
        await socket.send('{"text": "first"}')
        await service.entered.wait()
    await server.until(lambda: service.seen == ["cancelled"])
    await server.until(lambda: server.state.in_flight == 0)
    assert server.state.metrics.ended[-1] == ("/hold", "WEBSOCKET", 499)  # type: ignore[attr-defined]


@served
async def test_msgpack_and_npy(server: Running) -> None:
    x = np.arange(3, dtype=np.float32)
    async with opened(server, "/double") as socket:
        await socket.send(msgspec.msgpack.encode({"x": [1.0, 2.0]}))
        answer = msgspec.msgpack.decode(await received(socket))
        assert np.frombuffer(answer["result"]["data"], answer["result"]["dtype"]).tolist() == [2.0, 4.0]
        await socket.send(msgspec.msgpack.encode({"$id": 5, "x": [1.0]}))
        assert msgspec.msgpack.decode(await received(socket))["id"] == 5
        file = io.BytesIO()
        np.save(file, x)
        await socket.send(file.getvalue())
        assert np.load(io.BytesIO(await received(socket))).tolist() == [0.0, 2.0, 4.0]
        await socket.send(msgspec.msgpack.encode({"x": "text"}))
        assert msgspec.msgpack.decode(await received(socket))["error"]["status"] == 422


@served
async def test_an_input_stream(server: Running) -> None:
    async with opened(server, "/running") as socket:
        await socket.send('{"start": 10}')
        await socket.send("1")
        assert json.loads(await received(socket)) == {"item": 11.0}
        await socket.send('{"$item": 2}')
        assert json.loads(await received(socket)) == {"item": 13.0}
        await socket.send('{"$end": true}')
        assert json.loads(await received(socket)) == {"end": {}}
        await socket.send("{}")  # the next call
        await socket.send("5")
        assert json.loads(await received(socket)) == {"item": 5.0}
        await socket.send('{"$end": true}')
        assert json.loads(await received(socket)) == {"end": {}}


@served
async def test_an_input_stream_all_at_once(server: Running) -> None:
    async with opened(server, "/running") as socket:
        await socket.send('{"numbers": [1, 2], "start": 1}')
        assert await streamed(socket) == [{"item": 2.0}, {"item": 4.0}, {"end": {}}]


@served
async def test_input_streams_side_by_side(server: Running) -> None:
    async with opened(server, "/running") as socket:
        for message in (
            {"$id": 1}, {"$id": 2, "start": 5}, {"$id": 1, "$item": 1}, {"$id": 2, "$item": 1},
            {"$id": 1, "$end": True}, {"$id": 2, "$item": 1, "$end": True},
        ):  # fmt: skip
            await socket.send(json.dumps(message))
        found: dict[int, list[Any]] = {1: [], 2: []}
        while sum("end" in each for kept in found.values() for each in kept) < 2:
            answer = json.loads(await received(socket))
            found[answer.pop("id")].append(answer)
        assert found == {1: [{"item": 1.0}, {"end": {}}], 2: [{"item": 6.0}, {"item": 7.0}, {"end": {}}]}


@served
async def test_a_wrong_item_reaches_the_api_as_an_error(server: Running) -> None:
    async with opened(server, "/running") as socket:
        await socket.send("{}")
        await socket.send("1")
        await socket.send('"two"')
        await socket.send("3")
        answers = await streamed(socket)
        assert answers[0] == {"item": 1.0}
        assert answers[1]["error"]["path"] == "$.numbers[1]"
        assert server.state.instance.seen == ["$.numbers[1]"]  # type: ignore[attr-defined]
        await socket.send('{"$end": true}')  # what belongs to the failed call is over now
        assert (await asked(socket, {"numbers": []})) == {"end": {}}


@served
async def test_objects_arrays_and_bytes_as_items(server: Running) -> None:
    async with opened(server, "/longest") as socket:
        await socket.send("{}")
        await socket.send('{"text": "iris"}')
        await socket.send('{"text": "rose", "times": 2}')
        assert await asked(socket, {"$end": True}) == {"result": "roserose"}
    async with opened(server, "/stack") as socket:
        await socket.send("{}")
        file = io.BytesIO()
        np.save(file, np.ones(2, np.float32))
        await socket.send(file.getvalue())
        await socket.send("[2, 3]")
        assert await asked(socket, {"$end": True}) == {"result": [[1.0, 1.0], [2.0, 3.0]]}
    async with opened(server, "/shout") as socket:
        await socket.send("{}")
        await socket.send(b"ab")
        assert await received(socket) == b"AB"
        await socket.send(b"$\x00")
        assert await received(socket) == b"$\x00"
        assert await asked(socket, {"$end": True}) == {"end": {}}


@served
async def test_items_that_nobody_reads_are_dropped(server: Running) -> None:
    async with opened(server, "/first") as socket:
        await socket.send("{}")
        for word in ("rose", *["iris"] * 100):
            await socket.send(json.dumps(word))
        assert json.loads(await received(socket)) == {"result": "rose"}
        await socket.send('{"$end": true}')
        await socket.send('{"words": ["next"]}')
        assert json.loads(await received(socket)) == {"result": "next"}


@served
async def test_an_api_that_yields_waits_for_a_slow_reader(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/endless", max_queue=1) as socket:
        await socket.send('{"size": 100000}')
        await received(socket)
        await server.until(lambda: len(service.seen) > 20)
        before = -1
        while len(service.seen) != before:  # until it stands still
            before = len(service.seen)
            await asyncio.sleep(0.2)
        assert before < 500
    await server.until(lambda: service.seen[-1] == "closed")


@served
async def test_limits_of_messages(server: Running) -> None:
    async with opened(server, "/small") as socket:
        assert (await asked(socket, {"text": "x" * 200}))["error"]["status"] == 413
        assert await asked(socket, {"text": "x"}) == {"result": 1}


@served
async def test_the_deadline_of_a_call(server: Running) -> None:
    async with opened(server, "/hold", additional_headers={"x-request-timeout": "1"}) as socket:
        assert (await asked(socket, {"text": "late"}))["error"]["status"] == 504
        server.state.instance.release.set()  # type: ignore[attr-defined]
        assert await asked(socket, {"text": "soon"}) == {"result": "soon"}


@served
async def test_what_a_call_knows_of_its_request(server: Running) -> None:
    headers = {"x-user": "ann", "x-request-id": "of-the-connection"}
    async with opened(server, "/who", additional_headers=headers) as socket:
        first, second = await asked(socket, {}), await asked(socket, {})
        assert first["result"]["user"] == "ann"
        assert first["result"]["route"] == "/who"
        assert len({first["result"]["id"], second["result"]["id"], "of-the-connection"}) == 3


@served
async def test_the_query_fills_parameters(server: Running) -> None:
    async with opened(server, "/total?scale=3") as socket:
        assert await asked(socket, {"numbers": [1]}) == {"result": 3.0}


@served
async def test_paths_that_are_none(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await opened(server, "/tota")
    assert refused.value.response.status_code == 404
    assert "/total" in json.loads(refused.value.response.body)["detail"]


@served
async def test_pages_of_other_hosts(server: Running) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "http://[bad",
        f"http://127.0.0.1:{server.port}.evil.example",
    ):
        with pytest.raises(InvalidStatus) as refused:
            await opened(server, "/total", origin=origin)
        assert refused.value.response.status_code == 403
    async with opened(server, "/total", origin=f"http://127.0.0.1:{server.port}") as socket:
        assert await asked(socket, {"numbers": []}) == {"result": 0.0}


@on_server(make=stream_state, cors_origins=["https://shop.example"])
async def test_pages_that_may_call(server: Running) -> None:
    async with opened(server, "/total", origin="https://shop.example") as socket:
        assert await asked(socket, {"numbers": []}) == {"result": 0.0}


@on_server(make=stream_state, auth_tokens="shop a-token-of-the-tests predict")
async def test_tokens(server: Running) -> None:
    for options in ({}, {"additional_headers": {"authorization": "Bearer nobody-knows-this-one"}}):
        with pytest.raises(InvalidStatus) as refused:
            await opened(server, "/total", **options)
        assert refused.value.response.status_code == 401
    header = {"authorization": "Bearer a-token-of-the-tests"}
    async with opened(server, "/total", additional_headers=header) as socket:
        assert await asked(socket, {"numbers": [1]}) == {"result": 1.0}
    coded = "bearer64.YS10b2tlbi1vZi10aGUtdGVzdHM"
    for token in ("bearer.a-token-of-the-tests", coded):
        async with opened(server, "/total", subprotocols=["tiffin", token]) as socket:
            assert socket.subprotocol == "tiffin"
            assert await asked(socket, {"numbers": [1]}) == {"result": 1.0}


@served
async def test_goodbye_after_the_last_call(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as busy, opened(server, "/total") as idle:
        await busy.send('{"text": "last"}')
        await service.entered.wait()
        server.state.draining = True
        with pytest.raises(ConnectionClosed) as closed:
            await received(idle)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        answer = await asked(busy, {"$id": 1, "text": "late"})
        assert answer["error"]["status"] == 503
        service.release.set()
        assert json.loads(await received(busy)) == {"result": "last"}
        with pytest.raises(ConnectionClosed) as closed:
            await received(busy)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        with pytest.raises(InvalidStatus) as refused:
            await opened(server, "/total")
        assert refused.value.response.status_code == 503
