"""What a step of Podman's and Buildah's builds runs, to end a build early.

They clear away the container of a step when the step fails, but not when they are ended themselves: its
processes then go on without anybody, and its files stay on the disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_PATIENCE_S = 10.0
"""Some work is done between steps, and is not interrupted: writing a layer."""
_LOOK_EVERY_S = 0.1
_PROCESSES = Path("/proc")


def fail_step(process: subprocess.Popen[bytes]) -> None:
    """Kills what steps run until the engine has ended of that; it is asked to end itself when it does not."""
    until = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        for pid in contained(process.pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_EVERY_S)
    if process.poll() is None:
        process.terminate()


def contained(pid: int) -> list[int]:
    """Processes below one that are in a container: what they see of processes is not what we see."""
    with suppress(OSError):  # no Linux, where engines are in a machine of their own
        ours = (_PROCESSES / "self/ns/pid").readlink()
        return [each for each in _below(pid) if _namespace(each) not in {None, ours}]
    return []


def _below(pid: int) -> list[int]:
    children = defaultdict(list)
    for folder in _PROCESSES.iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, IndexError):  # it has ended
                # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; a name may hold brackets
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children[parent].append(int(folder.name))
    found, left = [], [pid]
    while left:
        below = children[left.pop()]
        found += below
        left += below
    return found


def _namespace(pid: int) -> Path | None:
    """None: it has ended, or is not ours to look at."""
    with suppress(OSError):
        return (_PROCESSES / f"{pid}/ns/pid").readlink()
    return None
