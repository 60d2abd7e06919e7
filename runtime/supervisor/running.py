"""The running servers of this user, as commands see them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ...errors import ServerError, UsageError
from ..home import home
from .admin import LENGTH, SOCKET_NAME, Done, Identity, Refused, Reply, Step, WhoAreYou, encode_question
from .run_folder import PREFIX, parents

IDENTIFY_LIMIT_S = 5.0
"""A server that cannot say who it is within this time is stopped or wedged, and is not listed."""

_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


class Running:
    """One running server.

    Args:
        path: of its admin socket.

    Raises:
        ServerError: nobody listens there, or who does is no server of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        facts = self.ask(WhoAreYou(), limit_s=IDENTIFY_LIMIT_S)
        self.identity = msgspec.convert(facts, Identity)

    def ask(
        self,
        question: msgspec.Struct,
        on_step: Callable[[Step], None] = lambda step: None,  # noqa: ARG005
        *,
        limit_s: float | None = None,
    ) -> dict[str, Any]:
        """Waits for the answer.

        Args:
            question: one that the server has an answer for, `Admin.answer`.
            on_step: called with what happens until then.
            limit_s: longest silence, in seconds; None: as long as the server lives.

        Raises:
            UsageError: the question is wrong in itself.
            ServerError: it was refused, or the server ended before it answered.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(limit_s)
            try:
                connection.connect(str(self.path))
                connection.sendall(encode_question(question))
            except OSError as error:
                raise ServerError(f"the server takes no commands any more: {error.strerror}") from error
            while True:
                reply = _decoder.decode(_read(connection))
                if isinstance(reply, Step):
                    on_step(reply)
                elif isinstance(reply, Done):
                    return reply.facts
                elif isinstance(reply, Refused):
                    raise (UsageError if reply.usage else ServerError)(reply.error)


def _read(connection: socket.socket) -> bytes:
    (size,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            piece = connection.recv(size - len(data))
        except ConnectionError:
            piece = b""
        if not piece:
            raise ServerError("the server ended before it answered; its log says why")
        data += piece
    return bytes(data)


def servers() -> list[Running]:
    """Every server of this user whose folder is in a place that this process knows, of whatever home."""
    found = []
    for parent in parents():
        for path in sorted(parent.glob(f"{PREFIX}*/{SOCKET_NAME}")):
            with suppress(OSError, ServerError, msgspec.DecodeError):
                found.append(Running(path))
            # else it is of a killed server, of another user, or ends just now
    return found


def find(*, port: int | None = None, pid: int | None = None) -> Running:
    """The server that a person means: the only one of this `TIFFIN_HOME`, unless port or pid say which.

    Raises:
        ServerError: none, or several; says what runs.
    """
    everywhere = servers()
    if port is not None or pid is not None:
        found = [
            one for one in everywhere if port in {None, one.identity.port} and pid in {None, one.identity.pid}
        ]
        wanted = " and ".join(
            f"{what} {number}" for what, number in (("port", port), ("pid", pid)) if number is not None
        )
    else:
        found = [one for one in everywhere if one.identity.home == str(home())]
        wanted = f"TIFFIN_HOME {home()}"
    if len(found) == 1:
        return found[0]
    if found:
        raise ServerError(f"several servers run, name one with --port or --pid:\n{_listed(found)}")
    if everywhere:
        raise ServerError(f"no server with {wanted} runs; these do:\n{_listed(everywhere)}")
    looked = ", ".join(map(str, parents()))
    raise ServerError(f"no server of yours runs here: start one with bundle serve (looked in {looked})")


def _listed(found: list[Running]) -> str:
    return "\n".join(
        f"  --port {one.identity.port} --pid {one.identity.pid}  {one.identity.title}  "
        f"TIFFIN_HOME {one.identity.home}"
        for one in found
    )
