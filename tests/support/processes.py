"""What the kernel says of a process."""

from __future__ import annotations

import re
from pathlib import Path


def runs(pid: int) -> bool:
    """A zombie does not: it waits only to be read off."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def peak_bytes(pid: int) -> int:
    """The most memory that it ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
