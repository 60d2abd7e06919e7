"""What a process holds for itself alone: the price of one more like it."""

from __future__ import annotations

from pathlib import Path

_OWN = ("Private_Clean:", "Private_Dirty:")


def own_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Memory that no other process maps (USS); None where the system does not tell, or the process is gone.

    Args:
        proc: where the proc file system is mounted.
    """
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_OWN))
