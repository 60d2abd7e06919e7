"""Many large bodies at once: memory stays bounded, and nobody is refused for ever."""

from __future__ import annotations

import pytest
from http_server import Running, on_server, post

from tiffin.errors import OverloadedError
from tiffin.runtime.http.bodies import Bodies

BODY = b'{"x":"' + b"a" * 300_000 + b'"}'
HEAD = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(BODY)


def test_what_does_not_fit_is_not_counted() -> None:
    bodies = Bodies(100)
    bodies.take(0, 60)
    with pytest.raises(OverloadedError, match="60 of the 100 bytes"):
        bodies.take(0, 41)
    assert bodies.held_bytes == 60
    bodies.take(60, 40)
    bodies.give_back(100)
    assert bodies.held_bytes == 0


def test_one_alone_may_be_as_large_as_its_route_allows() -> None:
    bodies = Bodies(100)
    bodies.take(0, 90)
    bodies.take(90, 500)
    assert bodies.held_bytes == 590


def test_without_a_limit_it_only_counts() -> None:
    bodies = Bodies(None)
    bodies.take(0, 10)
    bodies.take(0, 10**12)
    assert bodies.held_bytes == 10**12 + 10


@on_server(max_bodies_bytes=400_000)
async def test_too_many_at_once(server: Running) -> None:
    """The second is refused while it comes in, and is served once the first one is answered."""
    assert server.state.serving is not None
    bodies = server.state.serving.bodies
    async with await server.connect() as first, await server.connect() as second:
        await first.send(HEAD + BODY[:200_000])
        await server.until(lambda: bodies.held_bytes == 200_000)
        await second.send(HEAD + BODY)
        refused = await second.answer()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert await second.ended()
        assert bodies.held_bytes == 200_000
        await first.send(BODY[200_000:])
        assert (await first.answer()).status == 200
        assert bodies.held_bytes == 0
        async with await server.connect() as third:
            await third.send(post("/echo", BODY))
            assert (await third.answer()).status == 200
    assert bodies.held_bytes == 0


@on_server(max_bodies_bytes=400_000)
async def test_who_hangs_up_leaves_nothing_behind(server: Running) -> None:
    assert server.state.serving is not None
    bodies = server.state.serving.bodies
    async with await server.connect() as client:
        await client.send(HEAD + BODY[:200_000])
        await server.until(lambda: bodies.held_bytes == 200_000)
    await server.until(lambda: bodies.held_bytes == 0)


@on_server(max_bodies_bytes=400_000)
async def test_a_body_that_waits_behind_another_request(server: Running) -> None:
    """Pipelined behind a request that is still running: counted while it waits, and gone with its caller."""
    assert server.state.serving is not None
    bodies = server.state.serving.bodies
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + HEAD + BODY[:100_000])
        await server.until(lambda: bodies.held_bytes > 0)
    await server.until(lambda: bodies.held_bytes == 0)
