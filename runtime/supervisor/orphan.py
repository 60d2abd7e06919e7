"""A child ends with its supervisor, whatever it is doing.

Its control socket tells it (see `control.py`), but a process that is stopped, or whose C code holds the
interpreter lock, does not hear that: the kernel ends those.
"""

from __future__ import annotations

import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> None:
    """Has the kernel end this process when the one that started it ends; only Linux can."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
