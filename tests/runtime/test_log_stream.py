"""Writing to readers that are slow, gone, or never there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiffin.runtime import log_stream
from tiffin.runtime.log_stream import LogStream


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_until(descriptor: int, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += os.read(descriptor, 65536)
    return found


def test_a_line_is_with_the_kernel_when_write_returns(pipe: tuple[int, int]) -> None:
    LogStream(pipe[1]).write(b"last words\n")
    assert os.read(pipe[0], 100) == b"last words\n"


def test_nobody_reads_then_somebody_does(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_stream, "LIMIT_BYTES", 100_000)
    stream = LogStream(pipe[1])
    lines = [b"%0998d\n" % number for number in range(1000)]
    for line in lines:
        stream.write(line)
    read = read_until(pipe[0], b"in time\n").splitlines(keepends=True)
    kept, told = read[:-1], read[-1]
    assert kept == lines[: len(kept)]
    assert 100 < len(kept) < 250
    assert told == b"%d lines of the log were dropped: nobody read them in time\n" % (1000 - len(kept))
    stream.write(b"again\n")
    assert os.read(pipe[0], 100) == b"again\n"


def test_lines_of_two_writers_do_not_mix(pipe: tuple[int, int]) -> None:
    streams = [LogStream(pipe[1]), LogStream(pipe[1])]

    def write(number: int) -> None:
        for _ in range(500):
            streams[number].write(b"%d" % number * 700 + b"\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    found = b""
    while found.count(b"\n") < 1000:
        found += os.read(pipe[0], 5000)
    for thread in threads:
        thread.join()
    assert {bytes(line) for line in found.splitlines()} == {b"0" * 700, b"1" * 700}


def test_a_socket_that_is_full() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = LogStream(theirs.fileno())
        sent = b"".join(b"%0998d\n" % number for number in range(800))
        for at in range(0, len(sent), 999):
            stream.write(sent[at : at + 999])
        ours.settimeout(120)
        found = b""
        while len(found) < len(sent):
            found += ours.recv(65536)
    assert found == sent


def test_a_file_keeps_what_others_wrote(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        LogStream(file.fileno()).write(b"one\n")
        file.write(b"two\n")
        file.flush()
        LogStream(file.fileno()).write(b"three\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"


def test_a_reader_that_is_gone_and_a_closed_descriptor() -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing)
    os.close(reading)
    assert stream.write(b"to nobody\n") == 10
    os.close(writing)
    assert LogStream(writing).write(b"to nothing\n") == 11


TALKATIVE = """
import os, sys
from tiffin.runtime.log_stream import take_over
take_over()
print("é\\udc80", flush=True)
print("one", "line", file=sys.stderr)
sys.stdout.buffer.write(b"bytes\\n")
for _ in range(300): print("x" * 999)
if os.fork() == 0:
    print("child")
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


def test_a_whole_process_prints_and_ends_though_nobody_reads() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TALKATIVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.wait(60) == 0
        assert process.stderr.read() == b"one line\n"
        assert process.stdout.read().startswith("é\\udc80\nbytes\nxxx".encode())
