"""TLS towards callers: the certificate of the server, from files in PEM that may be renewed while it runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import ConfigError
from ..file_changes import FileChanges

if TYPE_CHECKING:
    from ..supervisor.control import ServerOptions
    from ..supervisor.options import ServeOptions

logger = logging.getLogger("tiffin.tls")

LOOK_EVERY_S = 1.0
"""At the files: a renewed certificate is served no later than twice this."""
SOON_DAYS = 14
"""A certificate that ends within so many days is worth a warning."""
_PROTOCOLS = ["http/1.1", "h2"]
"""The first that the caller knows, too: clients of gRPC offer HTTP/2 alone."""


class TlsFiles(NamedTuple):
    cert: str
    """The certificate, and those between it and its authority."""
    key: str
    client_ca: str
    """Who may sign callers' certificates; empty: nobody is asked for one."""

    @classmethod
    def of(cls, options: ServeOptions | ServerOptions) -> TlsFiles | None:
        """None: plain HTTP."""
        if not options.tls_cert:
            return None
        return cls(options.tls_cert, options.tls_key, options.tls_client_ca)


class Tls:
    """What connections are made with.

    Attributes:
        context: for as long as the process lives: a renewed certificate is put into it.

    Raises:
        ConfigError: the files are none, do not belong together, or do not hold today.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._changes = FileChanges([path for path in files if path])
        self._timer: asyncio.TimerHandle | None = None
        self.context = load(files)

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on a renewed certificate is noticed, until `close`."""
        self._timer = loop.call_later(LOOK_EVERY_S, self._tick, loop)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.look()
        self.follow(loop)

    def look(self) -> None:
        """Takes renewed files for connections that begin from now on; wrong ones change nothing."""
        if not self._changes.settled():
            return
        try:
            newest = load(self._files)
        except ConfigError as error:
            logger.error("the certificate before it is still served: %s", error)  # noqa: TRY400 - it says all
            return

        def take_newest(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = newest

        # The server keeps the context that it was started with. This is called in every handshake, and takes
        # another kind of key as well, which loading it into the old context would not.
        self.context.sni_callback = take_newest
        logger.info("%s was renewed", self._files.cert)


def load(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 for HTTP/1.1.

    Raises:
        ConfigError: the files are none, do not belong together, or do not hold today.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(_PROTOCOLS)
    for option, path in (("--tls-cert", files.cert), ("--tls-key", files.key)):
        _readable(option, path)
    try:
        context.load_cert_chain(files.cert, files.key, password=_no_password(files.key))
    except ssl.SSLError as error:
        raise ConfigError(_explain(files, error)) from error
    _check_dates(context, files.cert)
    if files.client_ca:
        _readable("--tls-client-ca", files.client_ca)
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            raise ConfigError(
                f"--tls-client-ca {files.client_ca} holds no certificate in PEM: {_said(error)}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
        # A resumed session shows no certificate: it would outlive an authority that is trusted no more.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}") from error


def _no_password(path: str) -> Callable[[], str]:
    """Called for an encrypted key; OpenSSL would ask on the terminal."""

    def refuse() -> str:
        raise ConfigError(
            f"--tls-key {path} is encrypted: give the key without a password, readable for this user only"
        )

    return refuse


def _explain(files: TlsFiles, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"--tls-key {files.key} is not the key of the certificate {files.cert}"
    try:
        holds_one = bool(ssl.PEM_cert_to_DER_cert(_first_certificate(files.cert)))
    except ValueError:
        holds_one = False
    wrong = (
        f"--tls-key {files.key} holds no private key"
        if holds_one
        else f"--tls-cert {files.cert} holds no certificate"
    )
    return f"{wrong} in PEM: {_said(error)}"


def _first_certificate(path: str) -> str:
    text = Path(path).read_text(encoding="latin-1")
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    return text[start : end + len(ssl.PEM_FOOTER)].strip() if 0 <= start < end else ""


def _said(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or str(error)).replace("_", " ").lower()


def _check_dates(server: ssl.SSLContext, path: str) -> None:
    """Talks to itself as a caller who trusts just this certificate: what is wrong then is wrong with it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(path)
    try:
        shown = _handshake(client, server)
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(f"--tls-cert {path} cannot be served: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise ConfigError(f"--tls-cert {path} cannot be served: {_said(error)}") from error
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), timezone.utc)
    days = (ends - datetime.now(timezone.utc)).days
    if days < SOON_DAYS:
        logger.warning(
            "%s ends on %s: renew it, no restart is needed", path, ends.strftime("%Y-%m-%d %H:%M UTC")
        )


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any]:
    """The certificate that the server shows."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up)
    theirs = server.wrap_bio(up, down, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for end in tuple(waiting):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
    return ours.getpeercert() or {}
