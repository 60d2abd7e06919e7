"""From an API process to a worker container: connect, find out who is there, prove who we are."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import NamedTuple

from ... import __version__
from ...errors import UnavailableError, WireError
from ..batching.dispatcher import Dispatcher
from ..batching.link import Link
from ..supervisor.sockets import CONTAINERS, notice_the_gone
from ..wire import frame
from ..wire.messages import PROTOCOL as FRAMES
from ..wire.messages import Hello, dump
from ..wire.push import SOCKET_BYTES
from .messages import PROTOCOL, ROSTER_BYTES, Challenge, Knock, Refused, Welcome, printable
from .proof import NONCE_BYTES, nonce, prove_knock, welcome_holds
from .session import Session

DIAL_S = 3.0
"""Longest until the other side has let us in."""


class Address(NamedTuple):
    """One worker container."""

    family: int
    ip: str
    port: int
    host: str
    """The name by which it was found, for certificates."""

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


class Credentials(NamedTuple):
    """What an API process shows, and asks to see."""

    token: bytes
    tls: ssl.SSLContext | None
    name: str
    """What the other side's certificate must be for; empty: the host by which it was found."""
    peer: str
    """Who we are, for logs."""


async def dial(address: Address, credentials: Credentials, worker: str = "", instance: str = "") -> Caller:
    """Connects and proves.

    Args:
        worker: whose connection this is to be, with its instance; empty: for the roster.

    Raises:
        UnavailableError: nobody answers there, or who does refuses us, or cannot prove that it has our token.
    """
    try:
        caller = Caller(address)
    except OSError as error:
        raise UnavailableError(f"{address}: {_reason(error)}") from error
    try:
        await asyncio.wait_for(caller.enter(credentials, worker, instance), DIAL_S)
    except asyncio.TimeoutError:
        caller.abort()
        mute = caller.connected and credentials.tls is None
        hint = ": does it take TLS only (TIFFIN_TLS_CA)?" if mute else ""
        raise UnavailableError(f"{address} did not let us in within {DIAL_S:g} s{hint}") from None
    except (OSError, WireError, ValueError) as error:  # uvloop: ValueError for an address that makes no sense
        caller.abort()
        raise UnavailableError(f"{address}: {_reason(error)}") from error
    except BaseException:
        caller.abort()
        raise
    return caller


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid here: {error.verify_message} (TIFFIN_TLS_CA, TIFFIN_TLS_NAME)"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it: {error.reason or error}"
    if isinstance(error, ConnectionResetError):
        return "it closed the connection: is it a worker container, with TLS as here?"
    return getattr(error, "strerror", None) or str(error)


class Caller:
    """Our end of one connection to a worker container."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.session = Session()
        self.instance = ""
        """Of the container that let us in."""
        self.connected = False
        """Somebody listens there."""
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        self._secure = False
        self._name = ""

    async def enter(self, credentials: Credentials, worker: str, instance: str) -> None:
        """
        Raises:
            OSError: nobody answers, or its TLS does not suit ours.
            WireError: it refuses us, says why, or is none of us.
        """
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        notice_the_gone(self._socket, CONTAINERS)
        await loop.sock_connect(self._socket, (self.address.ip, self.address.port))
        self.connected = True
        self._secure, self._name = credentials.tls is not None, credentials.peer
        await loop.create_connection(
            lambda: self.session,
            sock=self._socket,
            ssl=credentials.tls,
            server_hostname=(credentials.name or self.address.host) if self._secure else None,
        )
        challenge = await self.session.receive(Challenge)
        spoken = challenge.protocol, challenge.frames
        if spoken != (PROTOCOL, FRAMES) or len(challenge.nonce) != NONCE_BYTES:
            raise WireError(
                f"it runs tiffin {printable(challenge.version, 20)} (protocol {spoken[0]}.{spoken[1]}), "
                f"here is {__version__} ({PROTOCOL}.{FRAMES}): use the same version on both sides"
            )
        knock = Knock(
            protocol=PROTOCOL,
            frames=FRAMES,
            version=__version__,
            peer=credentials.peer,
            nonce=nonce(),
            worker=worker,
            instance=instance,
        )
        knock = prove_knock(credentials.token, knock, challenge.nonce)
        self.session.allow(ROSTER_BYTES)  # what it said so far was short; from here on it may be a roster
        self.session.send(knock)
        welcome = await self.session.receive_any()
        if isinstance(welcome, Refused):
            raise WireError(f"it refuses us: {printable(welcome.why, 500)}")
        if not isinstance(welcome, Welcome) or not welcome_holds(credentials.token, welcome, knock):
            raise WireError("it cannot prove that it has our token (TIFFIN_TOKEN, TIFFIN_TOKEN_FILE)")
        self.instance = welcome.instance

    def become_link(self, worker: str, dispatcher: Dispatcher) -> Link:
        """From here on the connection carries frames.

        Args:
            worker: id that is unique in this process.

        Raises:
            UnavailableError: it is lost by now.
        """
        transport = self.session.transport
        if transport is None or transport.is_closing():
            raise UnavailableError(f"{self.address} closed the connection")
        kind = SecureLink if self._secure else Link
        link = kind(worker, dispatcher, self._socket, None, None)
        transport.set_protocol(link)
        link.connection_made(transport)
        transport.write(frame.encode(frame.HELLO, 0, dump(Hello(FRAMES, self._name)))[0])
        return link

    def abort(self) -> None:
        self.session.abort()
        self._socket.close()


class SecureLink(Link):
    """Frames go through the transport, which encrypts them."""

    def _write(self, pieces: list[frame.Buffer]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pieces)
