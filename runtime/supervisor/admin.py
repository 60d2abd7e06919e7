"""What commands say to a running server: `bundle reload`, `bundle scale` …

A server listens on `admin.sock` (0600) in its private run folder (0700): who may write to it may signal it as
well. A message is a u32 little-endian length and a msgpack map. A connection carries one question: `Ask` goes
in, any number of `Step`s come out, and at the end `Done` or `Refused`. End of file before that means that the
server is gone. Commands find servers with `running.py`.

A new command is a struct of its own and two lines: `admin.answer(Scale, self._scale)` in the supervisor, and
`running.find().ask(Scale(runner="forest", workers=3))` in the command.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, Union

import msgspec

from ...errors import TiffinError

logger = logging.getLogger("tiffin.supervisor")

SOCKET_NAME = "admin.sock"
LENGTH = struct.Struct("<I")
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_CONNECTIONS = 16
"""More at once are closed unanswered: these are commands of people."""
ASK_LIMIT_S = 10.0
"""Who connects has so long to say what it wants, and to take an answer."""


class Ask(msgspec.Struct, kw_only=True, tag=True):
    question: str
    """Name of the question's struct."""
    body: msgspec.Raw
    """That struct."""


class Step(msgspec.Struct, kw_only=True, tag=True):
    """Something happened on the way to the answer."""

    text: str
    """For a person: `worker forest-0 is warm`."""
    done: int = 0
    total: int = 0
    """How far it is; 0 when nobody knows."""


class Done(msgspec.Struct, kw_only=True, tag=True):
    facts: dict[str, Any]
    """Only what JSON can hold."""


class Refused(msgspec.Struct, kw_only=True, tag=True):
    error: str
    """For a person: what, where, how to mend it."""
    usage: bool = False
    """True when what was asked for is wrong in itself."""


class WhoAreYou(msgspec.Struct, kw_only=True):
    """Answered by `Identity`; every server knows it."""


class Identity(msgspec.Struct, kw_only=True):
    pid: int
    """Of the supervisor."""
    url: str
    port: int
    title: str
    """`iris:6f3k2q…` or `service:Iris`"""
    home: str
    """Its `TIFFIN_HOME`."""
    ready: bool = False
    """Every process of it is up, as the supervisor sees it; HTTP knows better, for those it answers."""
    closed: bool = False
    """HTTP answers only who has a certificate."""


class Reload(msgspec.Struct, kw_only=True):
    """Serve something else, or the same looked up anew; answered when it has taken over."""

    text: str = ""
    """As typed: folder, `module:Class`, tag; empty for what is served already, looked up anew."""
    folder: str = ""
    """Where that was typed."""
    limit_s: float
    """Longest until the new one is ready, in seconds."""


class Scale(msgspec.Struct, kw_only=True):
    """Run more or fewer processes; answered when those that are wanted are up and the others gone."""

    workers: dict[str, str]
    """Runner to `4`, `auto`, `1..4`."""
    processes: int | None = None
    """API processes; None: as many as there are."""
    limit_s: float
    """Longest until they are up, in seconds."""


Reply = Union[Step, Done, Refused]  # noqa: UP007 - 3.10
Tell = Callable[[Step], None]
Q = TypeVar("Q", bound=msgspec.Struct)
Answer = Callable[[Q, Tell], Awaitable[dict[str, Any]]]

_encoder = msgspec.msgpack.Encoder()
_ask_decoder = msgspec.msgpack.Decoder(Ask)


def encode(message: msgspec.Struct) -> bytes:
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def encode_question(question: msgspec.Struct) -> bytes:
    return encode(Ask(question=type(question).__name__, body=msgspec.Raw(_encoder.encode(question))))


class Admin:
    """The server's side."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[msgspec.msgpack.Decoder[Any], Answer[Any]]] = {}
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    def answer(self, question: type[Q], answer: Answer[Q]) -> None:
        """Registers who answers a question.

        Args:
            question: a struct whose name no other question has.
            answer: gives facts for `Done`; a TiffinError that it raises is a `Refused`. It goes on to its end
                when the asker hangs up.
        """
        self._answers[question.__name__] = msgspec.msgpack.Decoder(question), answer

    async def listen(self, folder: Path) -> None:
        """Takes questions from now on; without room on the disk it cannot, and the server goes on."""
        path = folder / SOCKET_NAME
        try:
            self._server = await asyncio.start_unix_server(self._connected, path)
            path.chmod(0o600)  # nobody else could get at it before: the folder is 0700
        except OSError as error:
            logger.warning("no command will find this server: %s: %s; kill -HUP reloads it", path, error)

    async def close(self) -> None:
        """Takes no more questions, and drops those that are being answered."""
        if self._server is not None:
            self._server.close()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._running) >= MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._converse(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ask = await asyncio.wait_for(_read(reader), ASK_LIMIT_S)
            reply = await self._answered(ask, lambda step: _tell(writer, step))
            _tell(writer, reply)
            await asyncio.wait_for(writer.drain(), ASK_LIMIT_S)
        except (OSError, EOFError, ValueError, msgspec.DecodeError, asyncio.TimeoutError) as error:
            logger.debug("a command hung up: %s", error)
        finally:
            writer.close()

    async def _answered(self, ask: Ask, tell: Tell) -> Reply:
        if ask.question not in self._answers:
            return Refused(error=f"this server knows no {ask.question!r}: it runs another version of tiffin")
        decoder, answer = self._answers[ask.question]
        try:
            return Done(facts=await answer(decoder.decode(ask.body), tell))
        except TiffinError as error:
            return Refused(error=str(error), usage=error.exit_code == 2)
        except msgspec.DecodeError as error:
            return Refused(error=f"this server runs another version of tiffin: {ask.question}: {error}")
        except Exception as error:
            logger.exception("%s failed", ask.question)
            return Refused(error=f"{type(error).__name__}: {error}; the server's log has more")


async def _read(reader: asyncio.StreamReader) -> Ask:
    (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"message of {size} bytes, the limit is {MAX_MESSAGE_BYTES}")
    return _ask_decoder.decode(await reader.readexactly(size))


def _tell(writer: asyncio.StreamWriter, message: Reply) -> None:
    if not writer.is_closing():
        writer.write(encode(message))
