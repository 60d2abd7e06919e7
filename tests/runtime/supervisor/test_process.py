"""Real processes, but tiny ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import runs

from tiffin.runtime.supervisor.control import Drain, Drained, Failed, Message
from tiffin.runtime.supervisor.process import Child, Exit, Reaper


class Scene:
    """A loop with a reaper, and modules that children run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kills = 0
        self.messages: list[Message] = []
        self.orphans = False

    def run(self, play: Callable[[Reaper], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            reaper = Reaper(asyncio.get_running_loop(), lambda: self.kills, orphans=self.orphans)
            try:
                await asyncio.wait_for(play(reaper), 120)
            finally:
                reaper.close()

        asyncio.run(whole())

    def child(self, reaper: Reaper, code: str) -> Child:
        (self.folder / "child_code.py").write_text(CONTROL + code)
        return Child(
            "child",
            "child_code",
            reaper=reaper,
            environ={**os.environ, "PYTHONPATH": str(self.folder)},
            on_message=lambda _, message: self.messages.append(message),
        )


CONTROL = """
import os, signal, socket, sys, time
from tiffin.runtime.supervisor.control import *
control = socket.socket(fileno=int(os.environ[CONTROL_FD]))
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_exit_code(scene: Scene) -> None:
    async def play(reaper: Reaper) -> None:
        child = scene.child(reaper, "sys.exit(3)")
        how = await child.exit
        assert (how.code, how.signal, how.reason, str(how)) == (3, "", "exit 3", "exited with code 3")
        assert not child.alive
        assert collected(child.pid)

    scene.run(play)


def test_signal_by_name(scene: Scene) -> None:
    async def play(reaper: Reaper) -> None:
        how = await scene.child(reaper, "os.kill(os.getpid(), signal.SIGSEGV)").exit
        assert (how.signal, how.reason, str(how)) == ("SIGSEGV", "SIGSEGV", "ended by SIGSEGV")

    scene.run(play)


def test_out_of_memory_is_a_sigkill_that_the_kernel_counted(scene: Scene) -> None:
    async def play(reaper: Reaper) -> None:
        first = scene.child(reaper, "os.kill(os.getpid(), signal.SIGKILL)")
        assert (await first.exit).reason == "SIGKILL"
        scene.kills = 1
        second = await scene.child(reaper, "os.kill(os.getpid(), signal.SIGKILL)").exit
        assert second.reason == "out of memory"
        assert "out of memory" in str(second)
        third = await scene.child(reaper, "os.kill(os.getpid(), signal.SIGKILL)").exit
        assert third.reason == "SIGKILL", "one kill explains one end"

    scene.run(play)


def test_what_the_supervisor_ended_says_why(scene: Scene) -> None:
    async def play(reaper: Reaper) -> None:
        child = scene.child(reaper, "time.sleep(600)")
        scene.kills = 1
        child.kill("stuck")
        child.kill("drain")
        how = await child.exit
        assert (how.reason, how.out_of_memory) == ("stuck", False)
        child.kill("late")

    scene.run(play)


def test_messages_both_ways_in_order_and_the_last_words(scene: Scene) -> None:
    code = """
reader = Reader()
(message,) = reader.feed(control.recv(65536))
for count in range(int(message.limit_s)):
    control.sendall(encode(Drained(abandoned=count)))
"""

    async def play(reaper: Reaper) -> None:
        child = scene.child(reaper, code)
        child.send(Drain(limit_s=5000.0))
        assert (await child.exit).code == 0
        assert scene.messages == [Drained(abandoned=count) for count in range(5000)]
        child.send(Drain(limit_s=1.0))  # to nobody

    scene.run(play)


def test_more_than_a_pipe_holds_is_sent_when_the_child_reads(scene: Scene) -> None:
    code = """
time.sleep(0.3)
reader = Reader()
while True:
    for message in reader.feed(control.recv(65536)):
        control.sendall(encode(Drained(abandoned=len(message.error))))
        sys.exit()
"""

    async def play(reaper: Reaper) -> None:
        child = scene.child(reaper, code)
        child.send(Failed(error="x" * 3_000_000))
        await child.exit
        assert scene.messages == [Drained(abandoned=3_000_000)]

    scene.run(play)


@pytest.mark.parametrize("bad", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1", b"\x02\x00\x00\x00\x81\xa0"])
def test_a_broken_message_ends_the_child(scene: Scene, bad: bytes) -> None:
    async def play(reaper: Reaper) -> None:
        how = await scene.child(reaper, f"control.sendall({bad!r}); time.sleep(600)").exit
        assert how.reason == "broken control message"

    scene.run(play)


def test_what_a_child_started_goes_with_it(scene: Scene) -> None:
    code = """
import subprocess
other = subprocess.Popen(["sleep", "600"])
control.sendall(encode(Drained(abandoned=other.pid)))
"""

    async def play(reaper: Reaper) -> None:
        await scene.child(reaper, code).exit
        (message,) = scene.messages
        assert isinstance(message, Drained)
        await gone(message.abandoned)

    scene.run(play)


def collected(pid: int) -> bool:
    """No zombie is left."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def gone(pid: int) -> None:
    while runs(pid):  # noqa: ASYNC110 - a test that waits in vain ends by its time-out
        await asyncio.sleep(0.01)


def test_a_child_leads_its_own_session_and_its_output_goes_to_the_log(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    async def play(reaper: Reaper) -> None:
        await scene.child(reaper, "assert os.getsid(0) == os.getpid(); print('hello'); sys.exit(5)").exit

    scene.run(play)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_the_folder_that_one_stands_in_shadows_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("python -P came with 3.11")
    here = tmp_path / "here"
    here.mkdir()
    (here / "msgspec.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(here)

    async def play(reaper: Reaper) -> None:
        assert (await scene.child(reaper, "").exit).code == 0

    scene.run(play)


def test_orphans_of_others_are_collected_as_pid_1_must(scene: Scene) -> None:
    """A child subreaper gets orphans as PID 1 does (prctl(2), PR_SET_CHILD_SUBREAPER = 36)."""
    import ctypes

    libc = ctypes.CDLL(None)
    if not sys.platform.startswith("linux") or libc.prctl(36, 1) != 0:
        pytest.skip("no child subreaper here")
    code = """
pid = os.fork()
if pid == 0:
    os.setsid()
    time.sleep(0.2)
    os._exit(0)
control.sendall(encode(Drained(abandoned=pid)))
os._exit(0)
"""
    scene.orphans = True

    async def play(reaper: Reaper) -> None:
        await scene.child(reaper, code).exit
        (message,) = scene.messages
        assert isinstance(message, Drained)
        with suppress(ProcessLookupError):
            while True:  # as long as a zombie is left
                os.kill(message.abandoned, 0)
                await asyncio.sleep(0.01)

    try:
        scene.run(play)
    finally:
        libc.prctl(36, 0)


def test_unknown_signals_have_a_number() -> None:
    assert Exit(-signal.SIGRTMIN - 1).signal == f"signal {signal.SIGRTMIN + 1}"
