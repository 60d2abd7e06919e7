"""A program as engines run them: SIGINT ends it in order."""

from __future__ import annotations

ORDERLY = """
import signal, sys
from pathlib import Path
def end(*_):
    Path(sys.argv[1]).touch()
    print("ending", flush=True)  # fails where nobody reads any more
    sys.exit(1)
signal.signal(signal.SIGINT, end)
print("began", flush=True)
signal.pause()
"""
"""For `python -c`; its argument is a file that it makes at its end."""
