"""Which worker gets which GPU. No framework and no NVML needed: the driver's own files name the devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...errors import ServerError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices(
    environ: Mapping[str, str] | None = None, proc: Path = Path("/proc/driver/nvidia/gpus")
) -> list[str]:
    """The devices this server may use, as `CUDA_VISIBLE_DEVICES` names them: indices, GPU or MIG UUIDs.

    The variable follows CUDA's rule: entries after an invalid one (`-1`) do not count.
    """
    visible = (os.environ if environ is None else environ).get(VISIBLE)
    if visible is None:
        return [str(index) for index, _ in enumerate(sorted(proc.iterdir()))] if proc.is_dir() else []
    found = []
    for entry in (part.strip() for part in visible.split(",")):
        if not entry.isdigit() and not entry.startswith(("GPU-", "MIG-")):
            break
        found.append(entry)
    return found


class Devices:
    """Hands out whole devices, none of them twice."""

    def __init__(self, names: list[str]) -> None:
        self._total = len(names)
        self._free = list(names)

    @property
    def total(self) -> int:
        return self._total

    def take(self, runner: str, gpus: float) -> list[str]:
        """Takes `gpus` devices for a worker of `runner`.

        Raises:
            ServerError: a fraction of a device, or more than are free.
        """
        if gpus != int(gpus):
            raise ServerError(
                f"runner {runner!r} asks for gpus={gpus}: only whole devices can be given, use 0, 1, 2 …"
            )
        count = int(gpus)
        if count > len(self._free):
            raise ServerError(
                f"runner {runner!r} needs {count} GPU(s) for one more worker, {len(self._free)} of "
                f"{self._total} are free: use fewer workers or gpus, or make more visible ({VISIBLE})"
            )
        taken, self._free = self._free[:count], self._free[count:]
        return taken
