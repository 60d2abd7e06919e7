"""The other end of a worker's socket: frames, without the dispatcher that sends them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from tiffin.runtime.wire import frame
from tiffin.runtime.wire.messages import PROTOCOL, Hello, dump


class WorkerPeer:
    """An API process that says what the test wants. It has said hello, and was answered."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self.reader = frame.FrameReader()
        self.frames: list[frame.Frame] = []
        self.send(frame.HELLO, 0, dump(Hello(PROTOCOL, "test")))
        assert self.next().kind == frame.HELLO

    def close(self) -> None:
        self.socket.close()

    def send(self, kind: int, batch: int, head: bytes = b"", buffers: Any = (), flags: int = 0) -> None:
        self.socket.sendall(b"".join(frame.encode(kind, batch, head, buffers, flags=flags)))

    def next(self) -> frame.Frame:
        while not self.frames:
            data = self.socket.recv(65536)
            assert data, "the worker closed"
            self.frames += self.reader.feed(data)
        return self.frames.pop(0)
