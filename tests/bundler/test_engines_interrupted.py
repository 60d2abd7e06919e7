"""A build that is broken off: its program is asked to end, and what it had begun ends with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orderly_program import ORDERLY
from waiting import until

from tiffin.bundler.engines import guard, step_processes
from tiffin.bundler.engines.command import follow
from tiffin.bundler.engines.step_processes import contained, fail_step

DEAF = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("began", flush=True)
signal.pause()
"""


def broken_off(line: str) -> None:
    """As Ctrl-C while a line is read."""
    raise KeyboardInterrupt


def test_a_build_that_is_broken_off_ends_in_order(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", ORDERLY, str(tmp_path / "ended")], broken_off)
    assert (tmp_path / "ended").exists()


def test_one_that_does_not_follow_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE_S", 0.1)
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", DEAF], broken_off)


def test_one_whose_follower_is_killed_ends_in_order(tmp_path: Path) -> None:
    follower = (
        "import sys\nfrom tiffin.bundler.engines.command import follow\n"
        "follow([sys.executable, '-c', *sys.argv[1:]], lambda line: print(line, flush=True))"
    )
    arguments = [sys.executable, "-c", follower, ORDERLY, str(tmp_path / "ended")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "began\n"
        running.kill()
    until((tmp_path / "ended").exists)


def test_a_guard_leaves_what_has_ended_alone(tmp_path: Path) -> None:
    program = [sys.executable, "-c", DEAF]
    with subprocess.Popen(program, stdout=subprocess.PIPE, start_new_session=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"began\n"
        subprocess.run([sys.executable, guard.__file__, str(other.pid)], input=b"ended", check=True)
        assert other.poll() is None
        other.kill()


def test_a_context_that_breaks_off_ends_a_build_in_order(tmp_path: Path) -> None:
    lines: list[str] = []

    def feed() -> Iterator[bytes]:
        yield b""
        while not lines:  # its handler is there then
            pass
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        follow([sys.executable, "-c", ORDERLY, str(tmp_path / "ended")], lines.append, feed=feed)
    assert lines == ["began", "ending"]


def test_ctrl_c_in_a_terminal_does_not_reach_the_program() -> None:
    lines: list[str] = []
    follow([sys.executable, "-c", "import os; print(os.getpgid(0) == os.getpid())"], lines.append)
    assert lines == ["True"]


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int, str], None]:
    """Adds a process: its number, its parent's, and the namespace of its numbers."""
    monkeypatch.setattr(step_processes, "_PROCESSES", tmp_path)

    def add(pid: int, parent: int, namespace: str) -> None:
        (tmp_path / str(pid) / "ns").mkdir(parents=True)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} 1 1")
        (tmp_path / str(pid) / "ns/pid").symlink_to(namespace)

    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[1]")
    (tmp_path / "77").mkdir()  # it has ended
    return add


def test_what_is_in_the_container_of_a_step(processes: Callable[[int, int, str], None]) -> None:
    processes(10, 1, "pid:[1]")  # the engine
    processes(11, 10, "pid:[1]")  # its runtime
    processes(12, 11, "pid:[2]")  # the step
    processes(13, 12, "pid:[2]")
    processes(20, 1, "pid:[3]")  # somebody else's container
    assert sorted(contained(10)) == [12, 13]
    assert contained(77) == []


def test_a_build_ends_with_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose step is killed ends by itself, and is not ended."""
    code = "import subprocess, sys; subprocess.run(['sleep', '600']); sys.exit(3)"
    monkeypatch.setattr(step_processes, "_PATIENCE_S", 300)
    with subprocess.Popen([sys.executable, "-c", code]) as engine:
        monkeypatch.setattr(step_processes, "contained", step_processes._below)
        fail_step(engine)
        assert engine.wait() == 3


def test_a_build_between_steps_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_processes, "_PATIENCE_S", 0.1)
    with subprocess.Popen(["sleep", "60"]) as engine:
        fail_step(engine)
        assert engine.wait() == -15
