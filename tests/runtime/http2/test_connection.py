"""Requests and answers over HTTP/2, with another project's client as the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

import h2.events
import h2.settings
import pytest
from http2_peer import HEAD, REQUEST, Peer
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.runtime.http.limits import HEAD_LIMIT_S, LINGER_S
from tiffin.runtime.http2 import header_block, rests
from tiffin.runtime.http2.frame import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame, number
from tiffin.runtime.http2.settings import MAX_STREAMS


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def peer(loop: asyncio.AbstractEventLoop) -> Peer:
    return Peer(loop)


def headers_of(peer: Peer, stream: int) -> list[list[tuple[str, str]]]:
    kinds = (h2.events.ResponseReceived, h2.events.TrailersReceived)
    return [list(e.headers) for e in peer.events if isinstance(e, kinds) and e.stream_id == stream]


@pytest.mark.parametrize("size", [0, 1, 7, 10, 23, 1000])
def test_a_request_and_its_answer(loop: asyncio.AbstractEventLoop, size: int) -> None:
    peer = Peer(loop, size)
    stream = peer.ask(b"hello")
    peer.talk()
    assert headers_of(peer, stream) == [[(":status", "200"), ("x-kind", "echo")], [("x-end", "yes")]]
    assert peer.body(stream) == b"hello"
    assert peer.ended(stream)
    assert peer.connection.streams == {}


def test_a_request_without_a_body(peer: Peer) -> None:
    stream = peer.ask()
    peer.talk()
    assert peer.ended(stream)
    assert peer.body(stream) == b""


def test_callers_of_grpc_with_several_addresses_name_them_all(peer: Peer) -> None:
    stream = peer.ask(b"x", [*REQUEST[:3], (":authority", "127.0.0.1:1,[::1]:1")])
    peer.talk()
    assert peer.body(stream) == b"x"


def test_the_same_fields_are_read_once(peer: Peer) -> None:
    for which in range(5):
        stream = peer.ask(b"%d" % which)
        peer.talk()
        assert peer.body(stream) == b"%d" % which
    # The first block fills the table, the second is new because it uses it; the rest are known.
    assert len(peer.echo.heads) == 2
    fields = peer.echo.opened[-1].fields
    assert (b":path", b"/echo") in fields


def test_a_block_means_something_else_when_the_table_has_changed(peer: Peer) -> None:
    """The indexes of a block that was read before point to other entries after new ones came."""
    for value in ("a", "a", "a", "b", "a", "b", "c", "a", "b", "c"):
        stream = peer.ask(b"x", [*REQUEST, ("x-value", value)])
        peer.talk()
        assert peer.ended(stream)
        assert dict(peer.echo.opened[-1].fields)[b"x-value"] == value.encode()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "bb", "x" * 50]), st.binary(max_size=12)), max_size=12),
    st.data(),
)
def test_any_fields_in_any_order(pairs: list[tuple[str, bytes]], data: Any) -> None:
    loop = asyncio.new_event_loop()
    try:
        peer = Peer(loop, data.draw(st.sampled_from([0, 1, 5])))
        for name, value in pairs:
            text = value.hex()
            stream = peer.ask(value, [*REQUEST, (f"x-{name}", text)])
            peer.talk()
            assert dict(peer.echo.opened[-1].fields)[f"x-{name}".encode()] == text.encode()
            assert peer.body(stream) == value
    finally:
        loop.close()


@pytest.mark.parametrize("window", [1, 100, 65_535, 5_000_000])
def test_a_large_body_both_ways(peer: Peer, window: int) -> None:
    body = bytes(range(256)) * (4 if window == 1 else 20_000)
    peer.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    peer.talk()
    stream = peer.ask(body)
    peer.talk()
    assert peer.body(stream) == body
    assert peer.ended(stream)


def test_a_smaller_window_takes_back_what_was_given(peer: Peer) -> None:
    """The window of a stream may become negative; nothing is sent before it is above zero again."""
    peer.talk()
    peer.echo.hold = True
    stream = peer.ask(b"x" * 1000)
    peer.talk()
    peer.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    peer.talk()
    peer.echo.opened[0].answer()
    peer.hear()
    data = [frame for frame in peer.frames if type(frame).__name__ == "DataFrame"]
    assert [len(frame.data) for frame in data] == [10]
    peer.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2000})
    peer.say(peer.client.data_to_send())
    peer.hear()
    data = [frame for frame in peer.frames if type(frame).__name__ == "DataFrame"]
    assert sum(len(frame.data) for frame in data) == 1000
    assert stream not in peer.connection.streams


def test_answers_share_the_connection(peer: Peer) -> None:
    """While a large answer waits for its window, a small one goes."""
    peer.talk()
    peer.echo.hold = True
    large, small = peer.ask(b"x" * 200_000), peer.ask(b"y")
    peer.talk()
    first, second = peer.echo.opened
    first.answer()
    peer.client.increment_flow_control_window(100_000)  # of the connection only
    second.answer()
    peer.talk()
    ends = [e.stream_id for e in peer.events if isinstance(e, h2.events.StreamEnded)]
    assert ends == [small, large]
    assert peer.body(large) == b"x" * 200_000


def test_large_answers_take_turns(peer: Peer) -> None:
    """Whatever little room the connection has at a time, it is not always the first one's."""
    peer.talk()
    peer.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1_000_000})
    peer.echo.hold = True
    first, second = peer.ask(b"x" * 200_000), peer.ask(b"y" * 200_000)
    peer.talk()
    for opened in peer.echo.opened:
        opened.answer()
    peer.hear()
    peer.frames.clear()
    for _ in range(10):
        peer.client.increment_flow_control_window(10_000)
        peer.say(peer.client.data_to_send())
    peer.hear()
    sent = dict.fromkeys((first, second), 0)
    for each in peer.frames:
        if type(each).__name__ == "DataFrame":
            sent[each.stream_id] += len(each.data)
    assert sent == {first: 50_000, second: 50_000}


def test_many_streams_at_once(peer: Peer) -> None:
    peer.talk()
    peer.echo.hold = True
    streams = {peer.ask(b"%d" % which): b"%d" % which for which in range(200)}
    peer.talk()
    for opened in reversed(peer.echo.opened):
        opened.answer()
    peer.talk()
    assert {stream: peer.body(stream) for stream in streams} == streams


def test_one_stream_too_many_is_refused_and_may_be_tried_again(peer: Peer) -> None:
    peer.talk()
    peer.echo.hold = True
    peer.client.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 10**6
    peer.client.remote_settings.acknowledge()
    for _ in range(MAX_STREAMS):
        peer.ask(b"x")
    extra = peer.ask(b"x")
    peer.talk()
    assert peer.reset_code(extra) == 7  # REFUSED_STREAM
    assert len(peer.connection.streams) == MAX_STREAMS


def test_a_reset_tells_the_application(peer: Peer) -> None:
    peer.echo.hold = True
    stream = peer.ask(b"x")
    peer.talk()
    peer.client.reset_stream(stream, 8)
    peer.talk()
    (opened,) = peer.echo.opened
    assert opened.was_lost
    opened.answer()  # too late: nothing happens
    peer.talk()
    assert peer.body(stream) == b""
    again = peer.ask(b"y")
    peer.talk()
    peer.echo.opened[-1].answer()
    peer.talk()
    assert peer.body(again) == b"y"


def test_a_lost_connection_tells_every_stream(peer: Peer) -> None:
    peer.echo.hold = True
    peer.ask(b"x")
    peer.ask(b"y")
    peer.talk()
    peer.connection.connection_lost(None)
    assert [opened.was_lost for opened in peer.echo.opened] == [True, True]
    assert peer.gone


def answer_early(peer: Peer) -> int:
    """Of a request whose body has not ended; its stream."""
    peer.talk()
    stream = int(peer.client.get_next_available_stream_id())
    peer.client.send_headers(stream, REQUEST)
    peer.client.send_data(stream, b"x" * 100)
    peer.talk()
    peer.echo.opened[-1].stream.refuse(HEAD)
    peer.talk()
    assert headers_of(peer, stream)[0][0] == (":status", "200")
    assert peer.ended(stream)
    assert peer.reset_code(stream) is None
    return stream


def test_the_rest_of_a_body_is_let_in_after_an_early_answer(peer: Peer) -> None:
    stream = answer_early(peer)
    for _ in range(4):  # as much as the window of a stream
        peer.say(frame(DATA, 0, stream, bytes(1024 * 1024 - 100)))
    peer.hear()
    opened = [each for each in peer.frames if type(each).__name__ == "WindowUpdateFrame"]
    assert stream in {each.stream_id for each in opened}
    peer.say(frame(DATA, END_STREAM, stream, b"the end"))
    assert not peer.connection.rests
    peer.say(frame(DATA, 0, stream, b"more"))  # a fault, but a harmless one
    assert peer.goaway_code() is None
    assert peer.echo.opened[0].body == b"x" * 100


def test_trailers_and_resets_end_it_too(peer: Peer) -> None:
    stream = answer_early(peer)
    peer.say(frame(HEADERS, END_HEADERS | END_STREAM, stream, header_block.write([(b"a", b"b")])))
    assert not peer.connection.rests
    stream = answer_early(peer)
    peer.say(frame(RST_STREAM, 0, stream, number.pack(8)))
    assert not peer.connection.rests
    assert peer.goaway_code() is None


def test_a_body_that_does_not_end_is_given_up(peer: Peer) -> None:
    before = monotonic()
    stream = answer_early(peer)
    peer.connection.sweep(before + LINGER_S)
    peer.talk()
    assert peer.reset_code(stream) is None
    peer.connection.sweep(monotonic() + LINGER_S + 1)
    peer.talk()
    assert peer.reset_code(stream) == 0  # NO_ERROR
    peer.say(frame(DATA, 0, stream, b"still coming"))  # what was on its way is no fault
    assert peer.goaway_code() is None


def test_a_body_without_end_is_given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast it comes."""
    stream = answer_early(peer)
    later = monotonic() + HEAD_LIMIT_S + 1
    monkeypatch.setattr(rests, "monotonic", lambda: later)
    peer.say(frame(DATA, 0, stream, b"x"))
    peer.connection.sweep(later)
    peer.talk()
    assert peer.reset_code(stream) == 0


def test_rests_count_as_streams(peer: Peer) -> None:
    first = answer_early(peer)
    block = header_block.write([(name.encode(), value.encode()) for name, value in REQUEST])
    last = first + 2 * MAX_STREAMS
    for stream in range(first + 2, last + 1, 2):
        peer.say(frame(HEADERS, END_HEADERS, stream, block))
        if stream < last:
            peer.echo.opened[-1].stream.refuse(HEAD)
    peer.hear()
    resets = [each for each in peer.frames if type(each).__name__ == "RstStreamFrame"]
    assert [(each.stream_id, each.error_code) for each in resets] == [(last, 7)]  # REFUSED_STREAM


def test_leaving_waits_for_the_rest(peer: Peer) -> None:
    """Closing before would take the answer from the caller."""
    stream = answer_early(peer)
    peer.connection.shutdown()
    assert not peer.transport.closed
    peer.say(frame(DATA, END_STREAM, stream, b""))
    assert peer.transport.closed


def test_leaving(peer: Peer) -> None:
    """Those in hand are answered; new ones are not looked at, as GOAWAY says."""
    peer.echo.hold = True
    stream = peer.ask(b"x")
    peer.talk()
    sent_too_late = peer.client.get_next_available_stream_id()
    peer.client.send_headers(sent_too_late, REQUEST, end_stream=True)
    late = peer.client.data_to_send()
    peer.connection.shutdown()
    peer.say(late)
    assert len(peer.echo.opened) == 1
    assert not peer.transport.closed
    peer.echo.opened[0].answer()
    heard = peer.hear()
    goaway = next(frame for frame in peer.frames if type(frame).__name__ == "GoAwayFrame")
    assert (goaway.last_stream_id, goaway.error_code) == (stream, 0)
    assert b"x" in heard
    assert peer.transport.closed


def test_an_idle_connection_closes_at_once(peer: Peer) -> None:
    peer.ask(b"x")
    peer.talk()
    peer.connection.shutdown()
    assert peer.transport.closed


def test_a_ping_is_answered(peer: Peer) -> None:
    peer.talk()
    peer.client.ping(b"12345678")
    peer.talk()
    assert any(isinstance(e, h2.events.PingAckReceived) and e.ping_data == b"12345678" for e in peer.events)


def test_trailers_of_a_request_end_it(peer: Peer) -> None:
    peer.talk()
    stream = int(peer.client.get_next_available_stream_id())
    peer.client.send_headers(stream, REQUEST)
    peer.client.send_data(stream, b"body", pad_length=30)
    peer.client.send_headers(stream, [("x-sum", "1")], end_stream=True)
    peer.talk()
    assert peer.body(stream) == b"body"


def test_header_blocks_larger_than_a_frame(peer: Peer) -> None:
    large = "v" * 40_000
    stream = peer.ask(b"x", [*REQUEST, ("x-large", large)])
    peer.talk()
    assert dict(peer.echo.opened[0].fields)[b"x-large"] == large.encode()
    assert peer.ended(stream)


def test_a_large_header_block_is_sent_in_pieces(peer: Peer) -> None:

    peer.echo.hold = True
    stream = peer.ask(b"x")
    peer.talk()
    block = header_block.write(((b":status", b"200"), (b"x-large", b"v" * 50_000)))
    peer.echo.opened[0].stream.refuse(block)
    peer.talk()
    assert dict(headers_of(peer, stream)[0])["x-large"] == "v" * 50_000
    assert peer.ended(stream)
