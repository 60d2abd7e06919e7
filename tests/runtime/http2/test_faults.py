"""What breaks the protocol ends the stream or the connection with the right code, and never anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from http2_peer import REQUEST, Peer
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.runtime.http2 import header_block
from tiffin.runtime.http2.frame import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    frame,
    number,
    setting,
)

PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION, CALM = 1, 3, 5, 6, 9, 11
FIELDS = [(name.encode(), value.encode()) for name, value in REQUEST]
BLOCK = header_block.write(FIELDS)
WHOLE = END_HEADERS | END_STREAM


@pytest.fixture
def peer() -> Iterator[Peer]:
    loop = asyncio.new_event_loop()
    yield Peer(loop)
    loop.close()


def without(name: bytes) -> bytes:
    return header_block.write([field for field in FIELDS if field[0] != name])


CONNECTION_FAULTS: dict[str, tuple[bytes, int]] = {
    "data on stream 0": (frame(DATA, 0, 0, b"x"), PROTOCOL),
    "data on an idle stream": (frame(DATA, 0, 5, b"x"), PROTOCOL),
    "headers on stream 0": (frame(HEADERS, WHOLE, 0, BLOCK), PROTOCOL),
    "headers on an even stream": (frame(HEADERS, WHOLE, 2, BLOCK), PROTOCOL),
    "a stream number that goes back": (
        frame(HEADERS, END_HEADERS, 5, BLOCK) + frame(HEADERS, WHOLE, 3, BLOCK),
        PROTOCOL,
    ),
    "the first number, passed over": (
        frame(HEADERS, WHOLE, 3, BLOCK) + frame(HEADERS, WHOLE, 1, BLOCK),
        PROTOCOL,
    ),
    "an even number that goes back": (
        frame(HEADERS, WHOLE, 3, BLOCK) + frame(HEADERS, WHOLE, 2, BLOCK),
        PROTOCOL,
    ),
    "headers on a closed stream before a gap": (
        frame(HEADERS, WHOLE, 3, BLOCK) + frame(HEADERS, WHOLE, 9, BLOCK) + frame(HEADERS, WHOLE, 3, BLOCK),
        CLOSED,
    ),
    "a frame above our limit": (b"\xff\xff\xff" + bytes((DATA, 0)) + number.pack(1), SIZE),
    "settings on a stream": (frame(SETTINGS, 0, 1, b""), PROTOCOL),
    "settings of a wrong size": (frame(SETTINGS, 0, 0, b"12345"), SIZE),
    "an acknowledgement with content": (frame(SETTINGS, ACK, 0, setting.pack(3, 1)), SIZE),
    "push that is no truth value": (frame(SETTINGS, 0, 0, setting.pack(2, 2)), PROTOCOL),
    "an initial window above its limit": (frame(SETTINGS, 0, 0, setting.pack(4, 2**31)), FLOW),
    "a frame size below its limit": (frame(SETTINGS, 0, 0, setting.pack(5, 16_383)), PROTOCOL),
    "a frame size above its limit": (frame(SETTINGS, 0, 0, setting.pack(5, 2**24)), PROTOCOL),
    "ping on a stream": (frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "ping of a wrong size": (frame(PING, 0, 0, bytes(7)), SIZE),
    "goaway on a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "goaway of a wrong size": (frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    "a push promise": (frame(PUSH_PROMISE, END_HEADERS, 1, number.pack(2) + BLOCK), PROTOCOL),
    "reset of an idle stream": (frame(RST_STREAM, 0, 1, number.pack(8)), PROTOCOL),
    "reset of stream 0": (frame(RST_STREAM, 0, 0, number.pack(8)), PROTOCOL),
    "reset of a wrong size": (frame(RST_STREAM, 0, 1, b"123"), SIZE),
    "priority on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "window of stream 0 by nothing": (frame(WINDOW_UPDATE, 0, 0, number.pack(0)), PROTOCOL),
    "window of an idle stream": (frame(WINDOW_UPDATE, 0, 1, number.pack(1)), PROTOCOL),
    "window of a wrong size": (frame(WINDOW_UPDATE, 0, 0, b"123"), SIZE),
    "window above its limit": (frame(WINDOW_UPDATE, 0, 0, number.pack(2**31 - 1)), FLOW),
    "a continuation of nothing": (frame(CONTINUATION, END_HEADERS, 1, BLOCK), PROTOCOL),
    "another frame inside of a header block": (
        frame(HEADERS, 0, 1, BLOCK[:5]) + frame(PING, 0, 0, bytes(8)),
        PROTOCOL,
    ),
    "another stream's continuation": (
        frame(HEADERS, 0, 1, BLOCK[:5]) + frame(CONTINUATION, END_HEADERS, 3, BLOCK[5:]),
        PROTOCOL,
    ),
    "more padding than frame": (frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + BLOCK), PROTOCOL),
    "padding without a length": (frame(HEADERS, WHOLE | PADDED, 1, b""), PROTOCOL),
    "a stream that depends on itself": (
        frame(HEADERS, WHOLE | WITH_PRIORITY, 1, number.pack(1) + b"\0" + BLOCK),
        PROTOCOL,
    ),
    "a priority that is cut off": (frame(HEADERS, WHOLE | WITH_PRIORITY, 1, b"123"), SIZE),
    "a block that is none": (frame(HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\xff"), COMPRESSION),
    "an index that is none": (frame(HEADERS, WHOLE, 1, b"\xfe"), COMPRESSION),
    "a table above its limit": (frame(HEADERS, WHOLE, 1, b"\x3f\xff\xff\x7f" + BLOCK), COMPRESSION),
    "headers on a stream that was answered": (
        frame(HEADERS, WHOLE, 1, BLOCK) * 2,
        CLOSED,
    ),
    "a reset of a stream that was answered": (
        frame(HEADERS, WHOLE, 1, BLOCK) + frame(RST_STREAM, 0, 1, number.pack(0)),
        -1,
    ),
}


@pytest.mark.parametrize("case", CONNECTION_FAULTS)
def test_the_connection_ends(peer: Peer, case: str) -> None:
    data, code = CONNECTION_FAULTS[case]
    peer.talk()
    peer.say(data)
    assert peer.goaway_code() == (None if code < 0 else code)
    assert peer.transport.closed is (code >= 0)
    peer.say(frame(PING, 0, 0, bytes(8)))  # what comes after a fault is dropped
    answered = b"\x00\x00\x08\x06\x01" in peer.hear()
    assert answered is (code < 0)


STREAM_FAULTS: dict[str, tuple[bytes, int]] = {
    "no method": (frame(HEADERS, WHOLE, 1, without(b":method")), PROTOCOL),
    "no scheme": (frame(HEADERS, WHOLE, 1, without(b":scheme")), PROTOCOL),
    "no path": (frame(HEADERS, WHOLE, 1, without(b":path")), PROTOCOL),
    "two methods": (frame(HEADERS, WHOLE, 1, header_block.write([(b":method", b"GET"), *FIELDS])), PROTOCOL),
    "an unknown pseudo field": (
        frame(HEADERS, WHOLE, 1, header_block.write([(b":x", b"y"), *FIELDS])),
        PROTOCOL,
    ),
    "a pseudo field after others": (
        frame(HEADERS, WHOLE, 1, header_block.write([(b"a", b"b"), *FIELDS])),
        PROTOCOL,
    ),
    "an upper-case name": (frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"Xy", b"z")])), PROTOCOL),
    "a line break": (frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"x", b"a\r\nb: c")])), PROTOCOL),
    "connection": (frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"connection", b"x")])), PROTOCOL),
    "te that is not trailers": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"te", b"gzip")])),
        PROTOCOL,
    ),
    "a length that is no number": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"content-length", b"-1")])),
        PROTOCOL,
    ),
    "a length of five thousand digits": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"content-length", b"9" * 5000)])),
        PROTOCOL,
    ),
    "no host": (frame(HEADERS, WHOLE, 1, without(b":authority")), PROTOCOL),
    "an empty authority": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS[:3], (b":authority", b""), *FIELDS[4:]])),
        PROTOCOL,
    ),
    "an authority that is none": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS[:3], (b":authority", b"a@b"), *FIELDS[4:]])),
        PROTOCOL,
    ),
    "a list of hosts that names nothing": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS[:3], (b":authority", b"a:1,"), *FIELDS[4:]])),
        PROTOCOL,
    ),
    "two hosts": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, *[(b"host", b"here")] * 2])),
        PROTOCOL,
    ),
    "another host than authority": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, (b"host", b"there")])),
        PROTOCOL,
    ),
    "two lengths": (
        frame(HEADERS, WHOLE, 1, header_block.write([*FIELDS, *[(b"content-length", b"0")] * 2])),
        PROTOCOL,
    ),
    "trailers that do not end it": (
        frame(HEADERS, END_HEADERS, 1, BLOCK)
        + frame(HEADERS, END_HEADERS, 1, header_block.write([(b"a", b"b")])),
        PROTOCOL,
    ),
    "pseudo fields in trailers": (
        frame(HEADERS, END_HEADERS, 1, BLOCK) + frame(HEADERS, WHOLE, 1, BLOCK),
        PROTOCOL,
    ),
    "a window by nothing": (
        frame(HEADERS, END_HEADERS, 1, BLOCK) + frame(WINDOW_UPDATE, 0, 1, number.pack(0)),
        PROTOCOL,
    ),
    "a window above its limit": (
        frame(HEADERS, END_HEADERS, 1, BLOCK) + frame(WINDOW_UPDATE, 0, 1, number.pack(2**31 - 1)),
        FLOW,
    ),
    "priority of a wrong size": (
        frame(HEADERS, END_HEADERS, 1, BLOCK) + frame(PRIORITY, 0, 1, b"123"),
        SIZE,
    ),
}


@pytest.mark.parametrize("case", STREAM_FAULTS)
def test_only_the_stream_ends(peer: Peer, case: str) -> None:
    data, code = STREAM_FAULTS[case]
    peer.talk()
    peer.say(data)
    peer.hear()
    resets = [each for each in peer.frames if type(each).__name__ == "RstStreamFrame"]
    assert [(each.stream_id, each.error_code) for each in resets] == [(1, code)]
    assert peer.goaway_code() is None
    assert peer.connection.streams == {}
    for opened in peer.echo.opened:
        assert opened.was_lost
    peer.say(frame(HEADERS, END_HEADERS, 3, BLOCK) + frame(DATA, END_STREAM, 3, b"fine"))
    assert b"fine" in peer.hear()


def test_data_after_the_end(peer: Peer) -> None:
    peer.talk()
    peer.echo.hold = True
    peer.say(frame(HEADERS, WHOLE, 1, BLOCK) + frame(DATA, 0, 1, b"x"))
    peer.hear()
    resets = [each for each in peer.frames if type(each).__name__ == "RstStreamFrame"]
    assert [each.error_code for each in resets] == [CLOSED]


def test_more_than_the_window_of_a_stream(peer: Peer) -> None:
    """The application takes nothing, so the window does not open again."""
    peer.talk()
    peer.say(frame(HEADERS, END_HEADERS, 1, BLOCK))
    peer.connection.streams[1].held = True
    for _ in range(5):
        peer.say(frame(DATA, 0, 1, bytes(1024 * 1024 - 100)))
    peer.hear()
    resets = [each for each in peer.frames if type(each).__name__ == "RstStreamFrame"]
    assert [each.error_code for each in resets] == [FLOW]


@pytest.mark.parametrize(
    "flood",
    [
        frame(PING, 0, 0, bytes(8)),
        frame(SETTINGS, 0, 0),
        frame(PRIORITY, 0, 7, bytes(5)),
        frame(0xAA, 0, 0, b"unknown"),
    ],
    ids=["ping", "settings", "priority", "unknown"],
)
def test_a_flood_ends_the_connection(peer: Peer, flood: bytes) -> None:
    peer.talk()
    for _ in range(60):
        peer.say(flood * 100)
    assert peer.goaway_code() == CALM


def test_opening_and_resetting_streams_without_end(peer: Peer) -> None:
    peer.talk()
    peer.echo.hold = True
    for stream in range(1, 12_001, 2):
        peer.say(frame(HEADERS, END_HEADERS, stream, BLOCK) + frame(RST_STREAM, 0, stream, number.pack(8)))
    assert peer.goaway_code() == CALM
    assert peer.connection.streams == {}


def test_continuations_without_end(peer: Peer) -> None:
    peer.talk()
    peer.say(frame(HEADERS, 0, 1, BLOCK))
    for _ in range(10):
        peer.say(frame(CONTINUATION, 0, 1, bytes(10_000)))
    assert peer.goaway_code() == CALM


def test_one_block_above_the_limit_is_not_unpacked(peer: Peer) -> None:
    peer.talk()
    peer.say(frame(HEADERS, WHOLE, 1, bytes(100_000)))
    assert peer.goaway_code() == CALM


def test_a_caller_that_reads_nothing_is_not_heard(peer: Peer) -> None:
    """Refusals have no window: without this their number would be up to the caller."""
    peer.talk()
    peer.connection.pause_writing()
    peer.transport.buffered = 2 * 1024 * 1024
    peer.say(frame(HEADERS, WHOLE, 1, BLOCK))
    assert not peer.transport.reading
    peer.transport.buffered = 0
    peer.connection.resume_writing()
    assert peer.transport.reading


def test_a_small_block_that_unpacks_to_a_large_one(peer: Peer) -> None:
    """One large field in the table, named a thousand times."""
    peer.talk()
    large = b"\x40\x01a\x7f" + b"\x81\x1e" + b"v" * 4000  # literal, added; 4000 bytes
    peer.say(frame(HEADERS, WHOLE, 1, BLOCK + large + b"\xbe" * 1000))
    assert peer.goaway_code() == CALM


def test_settings_must_come_first(peer: Peer) -> None:
    fresh = Peer(asyncio.new_event_loop(), greet=False)
    fresh.say(PREFACE + frame(PING, 0, 0, bytes(8)))
    assert fresh.goaway_code() == PROTOCOL
    fresh._loop.close()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                frame,
                st.integers(0, 11),
                st.integers(0, 255),
                st.sampled_from([0, 1, 2, 3, 5]),
                st.one_of(st.binary(max_size=40), st.just(BLOCK), st.just(bytes(8)), st.just(bytes(4))),
            ),
        ),
        max_size=12,
    ),
    st.sampled_from([0, 1, 3]),
)
def test_whatever_comes_is_answered_or_ends_the_connection(pieces: list[bytes], size: int) -> None:
    """Nothing is raised, and a connection that lives still answers."""
    loop = asyncio.new_event_loop()
    try:
        peer = Peer(loop, size)
        peer.talk()
        for piece in pieces:
            peer.say(piece)
        peer.hear()
        for stream in peer.connection.streams.values():
            assert not stream.closed
        assert peer.connection.deaf == peer.transport.closed
    finally:
        loop.close()
