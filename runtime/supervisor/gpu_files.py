"""The driver's own files as a source: `/proc/driver/nvidia/gpus/<bus>/information`.

They tell neither memory nor MIG instances.
"""

from __future__ import annotations

from pathlib import Path

from .gpu import Gpu

_UNKNOWN = "?"
"""The driver writes `GPU-????????-…` until somebody has used the device."""


def read(root: Path = Path("/")) -> list[Gpu]:
    """Every device that has a file in `/dev`, in the order of the bus.

    Containers see `/proc/driver` of the host; what they may use has its `/dev/nvidia<minor>`.

    Args:
        root: `/`, or a folder that holds a `proc/` and `dev/` for tests.
    """
    folder = root / "proc/driver/nvidia/gpus"
    if not folder.is_dir():
        return []
    found: list[Gpu] = []
    for bus in sorted(folder.iterdir()):
        facts = _facts(bus / "information")
        if (root / f"dev/nvidia{facts.get('Device Minor', '')}").exists():
            uuid = facts.get("GPU UUID", _UNKNOWN)
            found.append(Gpu(str(len(found)) if _UNKNOWN in uuid else uuid, facts.get("Model", "")))
    return found


def _facts(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
