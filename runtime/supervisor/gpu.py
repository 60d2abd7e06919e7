"""One GPU, or one MIG instance of it."""

from __future__ import annotations

from dataclasses import dataclass

VISIBLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-"


@dataclass(frozen=True)
class Gpu:
    """As the driver tells it."""

    id: str
    """What `CUDA_VISIBLE_DEVICES` calls it: a UUID (`GPU-…`, `MIG-…`), or an index (`0`)."""
    name: str = ""
    """`NVIDIA H200`; empty: not known."""
    memory_bytes: int = 0
    """0: not known."""
    instances: tuple[Gpu, ...] = ()
    """Its MIG instances; a device that has some cannot be used itself."""

    @property
    def is_instance(self) -> bool:
        """CUDA shows a process one MIG instance only."""
        return self.id.startswith(MIG)
