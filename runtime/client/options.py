"""What a client is told about connecting, and about each call."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ...errors import UsageError

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {"accept", "connection", "content-encoding", "content-length", "content-type", "host", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "x-request-timeout"}
)
_MOST_RETRIES = 100


@dataclass(frozen=True)
class CallOptions:
    """How a call is made."""

    timeout_s: float | None = None
    """Seconds from the call to its whole answer, retries included; None: the api's own, and 5 for the way."""
    retries: int = 3
    """How often what is safe to send again is sent again, 0 to 100."""
    token: str = ""
    """Sent as `authorization: Bearer …`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; gRPC: as metadata."""
    idempotent: bool = False
    """Whether a call may run twice: then it is sent again too when the connection broke behind it."""

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not 0 < self.timeout_s <= 86_400:
            raise UsageError(f"timeout_s is {self.timeout_s}; give seconds, above 0 and up to a day")
        if not 0 <= self.retries <= _MOST_RETRIES:
            raise UsageError(f"retries is {self.retries}; give 0 to {_MOST_RETRIES}")
        if not _VALUE.fullmatch(self.token) or self.token != self.token.strip():
            raise UsageError("the token holds characters that no header can have")
        for name, value in self.headers.items():
            _check_header(name, value)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Lower-case headers, the token among them."""
        pairs = tuple((name.lower(), value) for name, value in self.headers.items())
        return (*pairs, ("authorization", f"Bearer {self.token}")) if self.token else pairs

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.pairs)

    @cached_property
    def lines(self) -> bytes:
        """The headers as HTTP/1.1 writes them."""
        return "".join(f"{name}: {value}\r\n" for name, value in self.pairs).encode("ascii")


def _check_header(name: str, value: str) -> None:
    lower = name.lower()
    if not _NAME.fullmatch(lower) or not _VALUE.fullmatch(value):
        raise UsageError(f"the header {name!r} cannot be sent: {value!r} is no printable ASCII")
    if lower in _OURS:
        raise UsageError(f"the header {name!r} is written by the client itself")


@dataclass(frozen=True)
class Trust:
    """TLS: whom the client believes, and what it shows."""

    ca: str | Path = ""
    """PEM file of certificate authorities; empty: those of the system."""
    cert: str | Path = ""
    """PEM file of the client's own certificate, and of its key unless `key` is given."""
    key: str | Path = ""

    def __post_init__(self) -> None:
        if self.key and not self.cert:
            raise UsageError("a key (key=, --key) needs the certificate that it belongs to (cert=, --cert)")
        for name in ("ca", "cert", "key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise UsageError(f"{name}: {str(path)!r} is no file")

    def context(self) -> ssl.SSLContext:
        """For HTTPS. Raises UsageError when the files hold no certificates or keys."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca) or None)
            if self.cert:
                context.load_cert_chain(str(self.cert), str(self.key) or None)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"ca, cert or key cannot be used: {error}") from error
        context.set_alpn_protocols(["http/1.1"])
        return context
