"""Programs on the PATH and their versions."""

from __future__ import annotations

import os
import re
from pathlib import Path


def programs(name: str) -> list[str]:
    """Every program of that name, in the order of the PATH, each once."""
    found: dict[Path, str] = {}
    for folder in os.get_exec_path():
        path = Path(folder) / name
        if path.is_file() and os.access(path, os.X_OK):
            found.setdefault(path.resolve(), str(path))
    return list(found.values())


def numbers(version: str) -> tuple[int, ...]:
    """`20.10.24+dfsg1` → `(20, 10, 24)`; empty when it has none."""
    found = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
