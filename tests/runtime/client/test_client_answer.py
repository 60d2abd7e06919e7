"""Answers and events come in any pieces, and mean the same."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ConnectionFailedError, InvalidInputError
from tiffin.runtime.client.answer import Answer
from tiffin.runtime.client.events import EventReader
from tiffin.runtime.client.grpc_messages import _varint, call_reply, call_request

bodies = st.binary(max_size=300)
cuts = st.lists(st.integers(0, 2000), max_size=20)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(each, len(data)) for each in at})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def read(data: bytes, at: list[int]) -> Answer:
    answer = Answer()
    for piece in pieces(data, at):
        if piece:
            answer.feed(piece)
    return answer


def chunked(parts: list[bytes]) -> bytes:
    framed = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed + b"0\r\nx-trailer: y\r\n\r\n"


@given(bodies, cuts)
def test_by_length(body: bytes, at: list[int]) -> None:
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: %d\r\n\r\n"
    answer = read(head % len(body) + body, at)
    assert (answer.status, answer.headers["x-a"], bytes(answer.body)) == (200, "1, 2", body)
    assert answer.whole
    assert answer.keep_alive


@given(st.lists(bodies, max_size=5), cuts)
def test_by_chunks(parts: list[bytes], at: list[int]) -> None:
    answer = read(chunked(parts), at)
    assert bytes(answer.body) == b"".join(parts)
    assert answer.whole
    assert answer.keep_alive


@given(bodies, cuts)
def test_until_the_end(body: bytes, at: list[int]) -> None:
    answer = read(b"HTTP/1.0 200 OK\r\n\r\n" + body, at)
    assert not answer.whole
    answer.eof()
    assert (answer.whole, answer.keep_alive, bytes(answer.body)) == (True, False, body)


@given(st.binary(max_size=200), cuts)
def test_nonsense_is_refused_or_waited_for(data: bytes, at: list[int]) -> None:
    with suppress(ConnectionFailedError):
        read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + data, at)


@pytest.mark.parametrize("end", [0, 20, 60])
def test_an_answer_that_ends_too_early(end: int) -> None:
    answer = read((b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n" + b"x" * 50)[:end], [])
    with pytest.raises(ConnectionFailedError):
        answer.eof()


@given(st.lists(st.one_of(st.integers(), st.text()), max_size=8), cuts, st.sampled_from(["\n", "\r\n"]))
def test_events(items: list[object], at: list[int], line: str) -> None:
    text = "".join(f"data: {json.dumps(item)}{line}{line}" for item in items)
    data = f": comment{line}{text}event: end{line}data: {{}}{line}{line}".encode()
    reader = EventReader()
    assert [json.loads(item) for piece in pieces(data, at) for item in reader.items(piece)] == items
    assert reader.ended


def test_an_event_of_several_lines_and_an_error() -> None:
    reader = EventReader()
    assert list(reader.items(b"data: [1,\ndata: 2]\n\n")) == [b"[1,\n2]"]
    problem = {"type": "/docs#problem-invalid-input", "status": 422, "detail": "no", "path": "$.x"}
    with pytest.raises(InvalidInputError, match="no") as caught:
        list(reader.items(b"event: error\ndata: " + json.dumps(problem).encode() + b"\n\n"))
    assert caught.value.path == "$.x"
    assert not reader.ended


@given(st.text(max_size=300), st.text(max_size=40), st.binary(max_size=20_000))
def test_messages_of_grpc(api: str, media_type: str, body: bytes) -> None:
    """Against protobuf's own reader, of messages made from the same field numbers."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {"api": (1, 9), "media_type": (2, 9), "body": (3, 12), "accept": (4, 9)}
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    message = file.message_type.add(name="CallRequest")
    for name, (number, kind) in kinds.items():
        message.field.add(name=name, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.CallRequest"))()
    request.ParseFromString(call_request(api, media_type, [body[:100], body[100:]], ""))
    assert (request.api, request.media_type, request.body, request.accept) == (api, media_type, body, "")
    reply = (
        b"\x0a"
        + _varint(len(media_type.encode()))
        + media_type.encode()
        + b"\x12"
        + _varint(len(body))
        + body
    )
    assert call_reply(reply) == (media_type, body)
    for end in (1, len(reply) - 1):
        with pytest.raises(ConnectionFailedError):
            call_reply(reply[:end])
