"""File systems: what kind they are, and how much is free."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Volume:
    path: Path
    """The folder that was asked for."""
    kind: str = ""
    """`ext4`, `overlay`, `tmpfs`, `nfs4` …; empty: not known."""
    total_bytes: int = 0
    free_bytes: int = 0
    free_files: int | None = None
    """Inodes; None where the file system makes them as it needs them."""
    writable: bool = True
    mode: int = 0o755
    """Permissions of the folder."""


def volume(path: Path, mounts: Path = Path("/proc/mounts")) -> Volume | None:
    """The file system of a folder, or of the nearest one above it that exists; None: it cannot be asked.

    Args:
        mounts: where the kernel lists them.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        usage, facts = shutil.disk_usage(there), os.statvfs(there)
        mode = there.stat().st_mode & 0o7777
    except OSError:
        return None
    return Volume(
        path=path,
        kind=_kind(there, mounts),
        total_bytes=usage.total,
        free_bytes=usage.free,
        free_files=facts.f_favail if facts.f_files else None,
        writable=os.access(there, os.W_OK | os.X_OK),
        mode=mode if there == path else 0o755,
    )


def _kind(path: Path, mounts: Path) -> str:
    """Type of the mount that holds the path: of the longest names the last, as in the kernel."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = Path(os.path.realpath(path))
    best, kind = -1, ""
    for line in lines:
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        point = Path(parts[1].replace("\\040", " "))
        if (real == point or point in real.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), parts[2]
    return kind
