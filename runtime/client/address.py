"""Where a server is: the URL that a client is given."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import UsageError

_PORTS = {"http": 80, "https": 443, "grpc": 3001, "grpcs": 3001}


@dataclass(frozen=True)
class Address:
    """One server. Made by `Address.parse`."""

    scheme: str
    """`http`, `https`, `grpc` or `grpcs`."""
    host: str
    """Name or IP address; IPv6 without brackets."""
    port: int
    prefix: str = ""
    """Path in front of every route, `/ml/iris`; HTTP only."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """`https://host:443/prefix`, `grpc://host:3001`.

        Raises:
            UsageError: another scheme, no host, a query, or a path where gRPC has none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"the URL {url!r} is malformed: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(
                f"the URL {url!r} names no server; write http://host:3000, https://…, grpc://… or grpcs://…"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise UsageError(f"the URL {url!r} has a user, query or fragment; use token= or headers= instead")
        prefix = parts.path.rstrip("/")
        if prefix and parts.scheme.startswith("grpc"):
            raise UsageError(f"the URL {url!r} has a path; gRPC has none")
        if not prefix.isascii() or any(char <= " " for char in prefix):
            raise UsageError(f"the path of {url!r} must be percent-encoded")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], prefix)

    @property
    def tls(self) -> bool:
        return self.scheme.endswith("s")

    @property
    def grpc(self) -> bool:
        return self.scheme.startswith("grpc")

    @property
    def authority(self) -> str:
        """`host:port`, IPv6 in brackets; without the port when it is HTTP's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = not self.grpc and _PORTS[self.scheme] == self.port
        return host if usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"
