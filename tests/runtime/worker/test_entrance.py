"""Connections to a worker that has no descriptor left for them."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from tiffin.runtime.worker import entrance
from tiffin.runtime.worker.entrance import Entrance


class Full(socket.socket):
    """Accepts once there is room."""

    room = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.room:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Full]:
    with Full(socket.AF_UNIX) as made, socket.socket(socket.AF_UNIX) as caller:
        made.bind(str(tmp_path / "worker.sock"))
        made.listen()
        caller.connect(str(tmp_path / "worker.sock"))
        yield made


def test_it_rests_instead_of_asking_for_ever(
    listener: Full, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = select.poll()
    door = Entrance(listener, watched)
    assert watched.poll(0) == [(listener.fileno(), select.POLLIN)]
    monkeypatch.setattr(entrance, "REST_S", 3600.0)
    assert door.accept() is None
    assert watched.poll(0) == []
    door.open()
    assert watched.poll(0) == [], "it has not rested yet"
    door.opens_at = 0.0
    door.open()
    assert door.opens_at == inf
    assert watched.poll(0) == [(listener.fileno(), select.POLLIN)]
    assert door.accept() is None
    listener.room = True
    door.opens_at = 0.0
    door.open()
    with door.accept() as end:
        assert end.fileno() >= 0
    assert caplog.text.count("cannot be accepted") == 1


@pytest.mark.parametrize("resting", [True, False])
def test_it_closes_in_either_state(listener: Full, resting: bool) -> None:
    watched = select.poll()
    door = Entrance(listener, watched)
    listener.room = not resting
    end = door.accept()
    if end is not None:
        end.close()
    door.close()
    assert (door.opens_at, listener.fileno()) == (inf, -1)
    assert watched.poll(0) == []
