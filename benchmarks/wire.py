"""Socket or shared memory: how a large array gets from one process to another fastest.

    python benchmarks/wire.py

A parent sends one array at a time to a child, which adds up its bytes (so that they are really read) and
answers with one byte. Four ways: the frames of `runtime/wire` over a Unix socket alone; the same with an
arena, which is shared memory that is used again and again; a new file in /dev/shm each time, passed by name;
a new memory file each time, passed as a descriptor. Prints medians of round trips, and the speed against the
socket.
"""

from __future__ import annotations

import mmap
import os
import platform
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tiffin.runtime.wire import arena, frame
from tiffin.runtime.wire.values import pack, unpack

SIZES = [2**power for power in (13, 14, 15, 16, 18, 20, 22, 24, 26)]
SECONDS = 0.4
Send = Callable[[socket.socket, np.ndarray], None]
Receive = Callable[[socket.socket], np.ndarray]


def frames(*, shared: bool) -> tuple[Send, Receive]:
    reader = frame.FrameReader()
    out = None
    if shared:
        arena.SMALLEST_BYTES = frame.SMALLEST_BYTES = 0
        arena.ARENA_BYTES = max(SIZES)
        fd = arena.memory_file()
        out, reader.arena = arena.Arena(fd), arena.Arena(fd)
        os.close(fd)

    def send(end: socket.socket, array: np.ndarray) -> None:
        description, buffers = pack(array)
        pieces = [
            memoryview(piece) for piece in frame.encode(frame.RESULT, 1, description, buffers, arena=out)
        ]
        while pieces:
            sent = end.sendmsg(pieces)
            while pieces and sent >= len(pieces[0]):
                sent -= len(pieces.pop(0))
            if sent:
                pieces[0] = pieces[0][sent:]

    def receive(end: socket.socket) -> np.ndarray:
        while True:
            count = end.recv_into(reader.space())
            if not count:
                raise EOFError
            for received in reader.filled(count):
                return unpack(received.head, received.buffers)

    return send, receive


def new_file(folder: Path) -> tuple[Send, Receive]:
    path = folder / "array"

    def send(end: socket.socket, array: np.ndarray) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.write(fd, memoryview(array).cast("B"))
        os.close(fd)
        end.sendall(struct.pack("<Q", array.nbytes))

    def receive(end: socket.socket) -> np.ndarray:
        if not end.recv(8):
            raise EOFError
        fd = os.open(path, os.O_RDWR)
        path.unlink()
        return mapped(fd)

    return send, receive


def new_memory_file() -> tuple[Send, Receive]:
    def send(end: socket.socket, array: np.ndarray) -> None:
        fd = os.memfd_create("array")
        os.write(fd, memoryview(array).cast("B"))
        socket.send_fds(end, [struct.pack("<Q", array.nbytes)], [fd])
        os.close(fd)

    def receive(end: socket.socket) -> np.ndarray:
        data, fds, _, _ = socket.recv_fds(end, 8, 1)
        if not data:
            raise EOFError
        return mapped(fds[0])

    return send, receive


def mapped(fd: int) -> np.ndarray:
    memory = mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
    os.close(fd)
    return np.frombuffer(memory, np.uint8)


def serve(end: socket.socket, receive: Receive) -> None:
    while True:
        try:
            array = receive(end)
        except EOFError:
            os._exit(0)
        total = int(array.view(np.uint64).sum())
        del array
        end.sendall(bytes([total & 255]))


def measure(send: Send, receive: Receive, size: int) -> float:
    """Seconds of a round trip."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    child = os.fork()
    if not child:
        ours.close()
        serve(theirs, receive)
    theirs.close()
    array = np.ones(size, np.uint8)
    times = []
    stop = time.perf_counter() + SECONDS
    while time.perf_counter() < stop or len(times) < 5:
        started = time.perf_counter()
        send(ours, array)
        ours.recv(1)
        times.append(time.perf_counter() - started)
    ours.close()
    os.waitpid(child, 0)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        ways = {
            "socket": frames(shared=False),
            "arena": frames(shared=True),
            "new file": new_file(Path(folder)),
            "new memory file": new_memory_file(),
        }
        print(f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
        print(f"{'size':>11}" + "".join(f"{way:>20}" for way in ways))
        for size in SIZES:
            took = {way: measure(*pair, size) for way, pair in ways.items()}
            cells = [f"{seconds * 1e6:9.0f} us {took['socket'] / seconds:4.1f}x" for seconds in took.values()]
            print(f"{size // 1024:>7} KiB" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
