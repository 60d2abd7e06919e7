"""Ends what the processes of a server have started, should the supervisor be killed.

The kernel ends the supervisor's own children then (see `orphan.py`), but not the processes that user code has
started in them. So one more process is told of every child, and waits: when the supervisor is gone, it ends
all process groups that are left. It is this file run as a script, which imports next to nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Reads `+4711` and `-4711`, a line each, until the supervisor is gone."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who ends the supervisor so, lets it end the rest
    groups: set[int] = set()
    for line in sys.stdin:
        if line.endswith("\n"):
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
