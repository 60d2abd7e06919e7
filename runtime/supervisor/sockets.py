"""The sockets of the supervisor: for HTTP it listens and every API process inherits them; for gRPC it keeps
the port, and every API process listens there itself."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Mapping
from types import MappingProxyType

from ...errors import ConfigError, ServerError

FREE_PORT_TRIES = 8
"""A port that is free at every address of a host is looked for so often."""

BACKLOG = 2048
"""Connections that may wait in the kernel while an API process is replaced."""

CALLERS = MappingProxyType(
    {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 90_000}
)
"""Seconds of silence before a probe, seconds between probes, probes; milliseconds without acknowledgement. A
caller whose machine or network went away says no goodbye: so it is noticed after a minute and a half."""
CONTAINERS = MappingProxyType(
    {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5_000, "TCP_NODELAY": 1}
)
"""Between containers of one service: noticed after five seconds, and no frame waits for another."""


def listen(
    host: str, port: int, notice: Mapping[str, int] = CALLERS, option: str = "--port"
) -> list[socket.socket]:
    """Binds and listens on every address of `host`; port 0 takes a free one, the same for all.

    Args:
        notice: how those are noticed that vanish, `CALLERS` or `CONTAINERS`.
        option: how the port is chosen, for errors.

    Raises:
        ConfigError: a host that cannot be resolved, or a port out of range.
        ServerError: the port is taken or not allowed.
    """
    sockets = _bind_all(host, port, option)
    try:
        for opened in sockets:
            notice_the_gone(opened, notice)
            opened.listen(BACKLOG)
            opened.setblocking(False)
    except OSError as error:
        address, port = sockets[0].getsockname()[:2]
        for opened in sockets:
            opened.close()
        raise ServerError(_explain(error, address, port, option)) from error
    return sockets


def _bind_all(host: str, port: int, option: str) -> list[socket.socket]:
    if not 0 <= port <= 65535:
        raise ConfigError(f"{option} {port} is out of range: use 0 to 65535, 0 for any free port")
    addresses = _addresses(host)
    for _ in range(FREE_PORT_TRIES if port == 0 else 0):
        with contextlib.suppress(ServerError):  # free at one address, and taken at another one
            return _bind_each(addresses, port, option)
    return _bind_each(addresses, port, option)


def _bind_each(
    addresses: list[tuple[socket.AddressFamily, str]], port: int, option: str
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            sockets.append(_bind(family, address, port, option))
            port = sockets[0].getsockname()[1]
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        infos = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"--host {host!r} is no address of this machine: {error}") from error
    found = dict.fromkeys((family, str(address[0])) for family, _, _, _, address in infos)
    families = (socket.AF_INET, socket.AF_INET6) if socket.has_ipv6 else (socket.AF_INET,)
    return sorted(
        (entry for entry in found if entry[0] in families), key=lambda entry: families.index(entry[0])
    )


def _bind(family: socket.AddressFamily, address: str, port: int, option: str) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        raise ServerError(_explain(error, address, port, option)) from error
    return opened


def notice_the_gone(end: socket.socket, notice: Mapping[str, int]) -> None:
    """It will be probed when it is silent, and ends when nobody acknowledges.

    Args:
        end: a connection, or a listening socket: then this holds for all that are accepted there.
        notice: `CALLERS` or `CONTAINERS`.
    """
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in notice.items():
        if hasattr(socket, name):  # not every system has all of them
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _explain(error: OSError, address: str, port: int, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {address} is taken by another process: choose another with {option}, "
            f"or {option} 0 for any free one"
        )
    if error.errno == errno.EACCES:
        return f"port {port} of {address} needs more rights: choose one above 1023 with {option}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: choose another with --host"
    return f"cannot listen on {address} port {port}: {error.strerror}"


def url(sockets: list[socket.socket], *, tls: bool = False, prefix: str = "") -> str:
    """`http://127.0.0.1:3000/ml`: where a person on this machine finds the server.

    Args:
        prefix: of every path, `/ml`.
    """
    return f"http{'s' if tls else ''}://{near(place(sockets))}{prefix}"


def near(where: str) -> str:
    """An address for somebody on this machine: `0.0.0.0:7000` is `localhost:7000` there."""
    host, _, port = where.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    return f"localhost:{port}" if address.is_unspecified else where


def place(sockets: list[socket.socket]) -> str:
    """`0.0.0.0:7000`: where it listens; empty for nowhere."""
    return places(sockets)[0] if sockets else ""


def places(sockets: list[socket.socket]) -> list[str]:
    """`127.0.0.1:7000`, `[::1]:7000`: every address."""
    ends = [opened.getsockname()[:2] for opened in sockets]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in ends]
