"""How many connections the processes of a server may hold open."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("tiffin.supervisor")

ENOUGH = 1_048_576
"""Where the hard limit is none, or beyond this: what Linux allows by default (`fs.nr_open`)."""


def raise_limit() -> None:
    """Lets this process and those it starts open as many files as the system allows.

    Else a shell's usual 1,024 would be the limit of connections.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # macOS has a lower limit of its own
        logger.warning("at most %d connections at once: the limit of open files stays (%s)", soft, error)
