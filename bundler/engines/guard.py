"""Ends an engine's program, should the process that follows it be killed: nobody else would tell it to stop.

It is this file run as a script, in a session of its own, which imports next to nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

PATIENCE_S = 15.0
"""For an engine to end a build that was interrupted, and to clear away what it had begun."""
_POLL_S = 0.1


def main() -> None:
    """Waits on stdin until it is told that the program, the leader of its group, has ended, or nobody is left
    to tell it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who gets these ends the program in order
    if sys.stdin.read():
        return
    group = int(sys.argv[1])
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGINT)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            time.sleep(_POLL_S)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
