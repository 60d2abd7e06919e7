"""`python -m tiffin.cli.ipython.child PID FOLDER …`: the command, while the process PID is its parent.

A kernel that is killed or crashes tells nobody, and cannot tidy up; only its children see that they have
another parent now. FOLDER is what it had written for this one; empty: nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time

INTERVAL_S = 0.2


def main() -> None:
    parent, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    from ..main import root

    try:
        root.main(prog_name="bundle")
    finally:
        if folder and os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)


def _end_after(parent: int) -> None:
    """Asked every now and then, because nothing else sees it on every system: a pipe is held open by whatever
    the kernel has forked, and the signal of `orphan.py` is Linux's, and comes when a thread ends."""
    while os.getppid() == parent:
        time.sleep(INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
