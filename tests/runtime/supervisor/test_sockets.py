from __future__ import annotations

import socket
import urllib.parse

import pytest

from tiffin.errors import ConfigError, ServerError
from tiffin.runtime.supervisor import sockets as module
from tiffin.runtime.supervisor.sockets import listen, url


def close(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        opened.close()


def test_port_0_takes_a_free_one_and_the_url_names_it() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        parts = urllib.parse.urlsplit(url(sockets))
        assert (parts.hostname, parts.port) == ("127.0.0.1", sockets[0].getsockname()[1])
        with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=60):
            pass
    finally:
        close(sockets)


def test_localhost_listens_on_every_address_it_has_with_one_port() -> None:
    sockets = listen("localhost", 0)
    try:
        assert len({opened.getsockname()[1] for opened in sockets}) == 1
    finally:
        close(sockets)


def test_a_port_that_another_address_has_no_more_is_no_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")]
    monkeypatch.setattr(module, "_addresses", lambda host: addresses)
    asked: list[tuple[str, int]] = []
    bind = module._bind

    def taken_once(family: socket.AddressFamily, address: str, port: int, option: str) -> socket.socket:
        asked.append((address, port))
        if len(asked) == 2:
            raise ServerError("taken")
        return bind(family, address, port, option)

    monkeypatch.setattr(module, "_bind", taken_once)
    sockets = listen("both", 0)
    try:
        assert [port == 0 for _, port in asked] == [True, False, True, False]
        assert [opened.getsockname() for opened in sockets] == [(name, asked[3][1]) for _, name in addresses]
    finally:
        close(sockets)


def test_every_address_is_shown_as_localhost() -> None:
    sockets = listen("0.0.0.0", 0)
    try:
        assert url(sockets) == f"http://localhost:{sockets[0].getsockname()[1]}"
    finally:
        close(sockets)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    taken = listen("127.0.0.1", 0)
    port = taken[0].getsockname()[1]
    try:
        with pytest.raises(ServerError, match=f"port {port} .* --port"):
            listen("127.0.0.1", port)
    finally:
        close(taken)


def test_a_foreign_address() -> None:
    with pytest.raises(ServerError, match=r"192\.0\.2\.1 .* --host"):
        listen("192.0.2.1", 0)


def test_a_host_that_is_none() -> None:
    with pytest.raises(ConfigError, match="--host 'no such host'"):
        listen("no such host", 0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range(port: int) -> None:
    with pytest.raises(ConfigError, match="0 to 65535"):
        listen("127.0.0.1", port)


def test_a_caller_that_vanishes_is_noticed() -> None:
    """What the listening socket is told, accepted connections inherit."""
    (opened,) = listen("127.0.0.1", 0)
    with opened, socket.create_connection(opened.getsockname(), timeout=60):
        opened.setblocking(True)
        accepted, _ = opened.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            tcp = [
                accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
            ]
            assert tcp == [60, 10, 3, 90_000]
