"""Calls over HTTP, blocking."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from ...errors import ConnectionFailedError
from ..schema import media
from ..schema.kind import Buffer
from .address import Address
from .answer import Answer
from .events import EventReader
from .failure import failure
from .http_connection import Connection, Pool
from .options import CallOptions
from .outgoing import Outgoing
from .request_head import RequestHeads
from .transport import Reply


class HttpTransport:
    """Connections to one server; see `Transport`."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, most: int) -> None:
        self._pool = Pool(address, context, most)
        self._heads = RequestHeads(address)

    def call(self, outgoing: Outgoing) -> Reply:
        answer = self._ask(self._heads.call(outgoing), outgoing.body, outgoing.deadline)
        if answer.status >= 300:
            raise failure(answer.status, answer.headers, answer.body)
        return Reply(answer.headers.get("content-type", ""), answer.body)

    def schema(self, options: CallOptions, deadline: float) -> bytes:
        return self._get("/schema", options, deadline)

    def ready(self, options: CallOptions, deadline: float) -> None:
        self._get("/readyz", options, deadline)

    def _get(self, path: str, options: CallOptions, deadline: float) -> bytes:
        answer = self._ask(self._heads.get(path, options), [], deadline)
        if answer.status >= 300:
            raise failure(answer.status, answer.headers, answer.body)
        return bytes(answer.body)

    def stream(self, outgoing: Outgoing) -> Iterator[Reply]:
        head = self._heads.call(outgoing)
        connection = self._pool.take(outgoing.deadline)
        usable = False
        try:
            answer = Answer()
            _send(connection, head, outgoing.body, outgoing.deadline, answer)
            while not answer.status:
                connection.receive(answer, outgoing.deadline)
            if answer.status >= 300:
                connection.receive_rest(answer, outgoing.deadline)
                raise failure(answer.status, answer.headers, answer.body)
            yield from _items(connection, answer, outgoing.deadline)
            usable = answer.whole and answer.keep_alive
        finally:
            self._pool.give(connection, usable=usable)

    def _ask(self, head: bytes, body: list[Buffer], deadline: float) -> Answer:
        connection = self._pool.take(deadline)
        answer = Answer()
        try:
            _send(connection, head, body, deadline, answer)
            connection.receive_rest(answer, deadline)
        except BaseException:
            self._pool.give(connection, usable=False)
            raise
        self._pool.give(connection, usable=answer.keep_alive)
        return answer

    def close(self) -> None:
        self._pool.close()


def _send(connection: Connection, head: bytes, body: list[Buffer], deadline: float, answer: Answer) -> None:
    """A server that refuses early (413, 401) may close before it has read all: its answer counts then."""
    try:
        connection.send(head, body, deadline)
    except ConnectionFailedError as error:
        try:
            connection.receive_rest(answer, deadline)
        except ConnectionFailedError:
            raise error from None
        answer.keep_alive = False


def _items(connection: Connection, answer: Answer, deadline: float) -> Iterator[Reply]:
    kind = answer.headers.get("content-type", "")
    events = EventReader() if kind.startswith(media.EVENTS) else None
    while True:
        piece = bytes(answer.take())
        if events is not None:
            for item in events.items(piece):
                yield Reply(media.JSON, item)
        elif piece:
            yield Reply(kind, piece)
        if answer.whole:
            break
        connection.receive(answer, deadline)
    if events is not None and not events.ended:
        raise cut_off()


def cut_off() -> ConnectionFailedError:
    return ConnectionFailedError("the stream was cut off: the server did not say that it ended", sent=True)
