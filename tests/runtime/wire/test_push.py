from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tiffin.runtime.wire.push import MAX_PIECES, push

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    "pieces",
    [[b"a"], [b"", b"b"], [b"x" * 3_000_000], [bytes([n % 251]) * 1000 for n in range(3 * MAX_PIECES + 7)]],
    ids=["one", "an empty one", "large", "many"],
)
def test_everything_arrives_in_order_though_the_peer_is_slow(ends: Ends, pieces: list[bytes]) -> None:
    ours, theirs = ends
    whole, got = b"".join(pieces), bytearray()
    left = push(ours, list(pieces))
    while len(got) < len(whole):
        got += theirs.recv(50_000)
        left = push(ours, left)
    assert not left
    assert got == whole


def test_a_peer_that_is_gone_is_told(ends: Ends) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(OSError, match="pipe"):
        push(ours, [b"a", b"b"])
