"""What this container may use: cores, memory, and how often the kernel killed for want of memory.

Reads cgroup v2 (`cpu.max`, `memory.max`, `memory.events`), v1 (`cpu.cfs_quota_us`, `memory.limit_in_bytes`,
`memory.oom_control`) and the hybrid of both. A limit holds for all below it, so every ancestor is looked at.
Formats: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ in the Linux sources.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigError

CPUS = "TIFFIN_CPUS"
"""Cores to count on, where no control group tells: 0.5, 2 …"""
MEMORY = "TIFFIN_MEMORY_MIB"
"""Memory to count on, in MiB, where no control group tells."""

_V1_UNLIMITED_BYTES = 1 << 60
"""v1 says "no limit" as the largest multiple of the page size that fits 63 bits."""


class Cgroup:
    """The control groups of this process.

    Args:
        root: `/`, or a folder that holds a `proc/` and `sys/` for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._mount = root / "sys/fs/cgroup"
        self._paths = _own_paths(root / "proc/self/cgroup")

    def cpus(self) -> float | None:
        """Cores that the tightest quota allows; None without a quota."""
        limits = []
        for folder in self._folders(""):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                limits.append(int(quota) / int(period))
        for folder in self._folders("cpu"):
            quota_us, period_us = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            if quota_us and period_us and quota_us > 0:
                limits.append(quota_us / period_us)
        return min(limits, default=None)

    def memory_limit_bytes(self) -> int | None:
        """The tightest memory limit; None without one."""
        found = [_number(folder / "memory.max") for folder in self._folders("")]
        found += [_number(folder / "memory.limit_in_bytes") for folder in self._folders("memory")]
        return min((size for size in found if size is not None and size < _V1_UNLIMITED_BYTES), default=None)

    def oom_kills(self) -> int:
        """Processes of this group that the kernel killed for want of memory, since the group was made."""
        for controller, file in (("", "memory.events"), ("memory", "memory.oom_control")):
            for folder in self._folders(controller):
                for line in _text(folder / file).splitlines():
                    key, _, value = line.partition(" ")
                    if key == "oom_kill" and value.isdigit():
                        return int(value)
        return 0

    def _folders(self, controller: str) -> Iterator[Path]:
        """The group's folder, then its ancestors up to the mount; `""` is the v2 hierarchy."""
        path = self._paths.get(controller)
        if path is None:
            return
        mounts = [self._mount / controller] if controller else [self._mount, self._mount / "unified"]
        for mount in mounts:
            if not mount.is_dir():
                continue
            folder = mount / path.lstrip("/")
            # Inside a container the path can be the host's while the mount shows only the container's part.
            while not folder.is_dir() and folder != mount:
                folder = folder.parent
            yield folder
            while folder != mount:
                folder = folder.parent
                yield folder


def _own_paths(file: Path) -> dict[str, str]:
    """`/proc/self/cgroup`, lines of `id:controllers:path`: controller to path, `""` for v2."""
    paths = {}
    for line in _text(file).splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            paths.update(dict.fromkeys(parts[1].split(","), parts[2]))
    return paths


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.lstrip("-").isdigit() else None


def cpu_count() -> float:
    """Cores that this process may use, 1.5 say: the least of affinity mask, cgroup quota and `TIFFIN_CPUS`.

    Raises:
        ConfigError: `TIFFIN_CPUS` is no number.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = (float(affinity), Cgroup().cpus(), _told(CPUS, "cores"))
    return min(limit for limit in limits if limit is not None)


def memory_limit_bytes() -> int | None:
    """Memory that this container may use, in bytes, by cgroup or `TIFFIN_MEMORY_MIB`; None without a limit.

    Raises:
        ConfigError: `TIFFIN_MEMORY_MIB` is no number.
    """
    told_mib = _told(MEMORY, "MiB")
    limits = (Cgroup().memory_limit_bytes(), None if told_mib is None else int(told_mib * 2**20))
    return min((limit for limit in limits if limit is not None), default=None)


def _told(name: str, unit: str) -> float | None:
    text = os.environ.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (number > 0 and math.isfinite(number)):
        raise ConfigError(f"{name}={text!r}: use a number of {unit} above 0")
    return number


def oom_kills() -> int:
    """Processes of this container that the kernel killed for want of memory so far."""
    return Cgroup().oom_kills()
