"""What file of the disk a piece of this process's memory is a mapping of."""

from __future__ import annotations

from pathlib import Path


def file_behind(address: int) -> str:
    """Name of the file that is mapped at an address; empty for plain memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, _, _, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(part, 16) for part in place.split("-"))
        if begin <= address < end:
            return Path(name[0]).name if name and name[0].startswith("/") else ""
    return ""
