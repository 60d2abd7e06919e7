"""The API process's end of the control socket, in processes that it may end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from processes import runs

from tiffin.runtime.supervisor.control import CONTROL_FD, Drain, Drained, Message, Reader, Workers, encode

FOLLOW = """
import asyncio, sys
from tiffin.runtime.server.control import Control
from tiffin.runtime.server.loop import run
control = Control.inherited()
control.send(control.receive())
async def main():
    done = asyncio.Event()
    heard = []
    def on_message(message):
        heard.append(message)
        if len(heard) == 10:
            done.set()
    control.follow(asyncio.get_running_loop(), on_message)
    await done.wait()
    for message in heard:
        control.send(message)
    return 7
sys.exit(run(main()))
"""


def start(code: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            env={**os.environ, CONTROL_FD: str(theirs.fileno())},
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
    ours.settimeout(120)
    return process, ours


def receive(ours: socket.socket, count: int) -> list[Message]:
    reader, found = Reader(), []
    while len(found) < count:
        found += reader.feed(ours.recv(65536))
    return found


def test_messages_are_given_in_order_those_that_waited_first() -> None:
    """The newest list of workers must not be undone by an older one."""
    sent: list[Message] = [Workers(workers=[], all_warm=bool(number % 3)) for number in range(10)]
    process, ours = start(FOLLOW)
    with process, ours:
        ours.sendall(b"".join(encode(message) for message in [Drain(limit_s=1.0), *sent[:5]]))
        assert receive(ours, 1) == [Drain(limit_s=1.0)]
        ours.sendall(b"".join(encode(message) for message in sent[5:]))
        assert receive(ours, 10) == sent
        assert process.wait(120) == 7


HANG = """
import subprocess, time
from tiffin.runtime.server.control import Control
from tiffin.runtime.supervisor.control import Drained
control = Control.inherited()
other = subprocess.Popen(["sleep", "600"])
control.send(Drained(abandoned=other.pid))
while True:
    time.sleep(1)
"""


def test_the_process_and_what_it_started_end_with_the_supervisor() -> None:
    """Even while the user's code blocks the main thread."""
    process, ours = start(HANG)
    with process:
        with ours:
            (message,) = receive(ours, 1)
        assert isinstance(message, Drained)
        assert process.wait(120) != 0
        while runs(message.abandoned):  # a test that waits in vain ends by its time-out
            time.sleep(0.01)
