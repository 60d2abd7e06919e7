"""What children start ends with a supervisor that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import runs

from tiffin.runtime.supervisor.groups import Groups

SUPERVISOR = """
import subprocess, sys, time
from tiffin.runtime.supervisor.groups import Groups
child = '''
import subprocess, sys
started = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(started.pid, flush=True)
started.wait()
'''
groups = Groups(guarded=True)
children = [
    subprocess.Popen([sys.executable, "-S", "-c", child], stdout=subprocess.PIPE, start_new_session=True)
    for _ in range(2)
]
for one in children:
    groups.add(one.pid)
    if one is children[0] and sys.argv[1] == "lost":
        groups._guard.kill()
        groups._guard.wait()
print(*(f"{one.pid} {int(one.stdout.readline())}" for one in children), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("guard", ["kept", "lost"])
def test_nothing_outlives_the_supervisor(guard: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, guard], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 4
        process.kill()
    end = time.monotonic() + 60
    while any(map(runs, pids)):
        assert time.monotonic() < end, "something outlived it"
        time.sleep(0.01)


def test_those_that_ended_are_nobodys_business_any_more() -> None:
    """Their numbers may be another's by then."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as spared:
        groups = Groups(guarded=True)
        groups.add(spared.pid)
        groups.discard(spared.pid)
        guard = groups._guard
        assert guard is not None
        assert guard.stdin is not None
        guard.stdin.close()  # as when this process is killed
        assert guard.wait(60) == 0
        assert spared.poll() is None
        spared.kill()
        groups.close()


def test_a_guard_that_is_stopped_holds_nobody_up() -> None:
    groups = Groups(guarded=True)
    own = 2**22 + 1  # nobody's: above the largest that Linux gives
    groups.add(own)
    groups.discard(own)
    first = groups._guard
    assert first is not None
    os.kill(first.pid, signal.SIGSTOP)
    for _ in range(200_000 // len(f"-{own}\n")):
        groups.discard(own)
    assert groups._guard is not first
    groups.close()
    assert first.poll() == -signal.SIGKILL


def test_one_that_was_killed_is_replaced_when_that_is_noticed() -> None:
    groups = Groups(guarded=True)
    groups.add(2**22 + 1)
    first = groups._guard
    assert first is not None
    groups.look()
    assert groups._guard is first
    first.kill()
    first.wait()
    groups.look()
    assert groups._guard is not first
    assert groups._guard is not None
    groups.discard(2**22 + 1)
    groups.close()


def test_pid_1_needs_none() -> None:
    groups = Groups(guarded=False)
    groups.add(os.getpgrp())
    assert groups._guard is None
    groups.close()
