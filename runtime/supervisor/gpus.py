"""Which GPUs this server may give to its workers. No framework is imported to find out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ServerError
from . import gpu_files, nvml
from .gpu import MIG, VISIBLE, Gpu

ORDER = "CUDA_DEVICE_ORDER"
_BUS_ORDER = "PCI_BUS_ID"


@dataclass(frozen=True)
class Gpus:
    """What may be given away."""

    devices: tuple[Gpu, ...]
    source: str
    """Where the list comes from, or why it is empty or short; the end of a sentence."""


NOT_ASKED = Gpus((), "nobody asked for any")


def detect(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Gpus:
    """The devices of this machine, or those of them that `CUDA_VISIBLE_DEVICES` names.

    Raises:
        ServerError: `CUDA_VISIBLE_DEVICES` names a device twice.
    """
    return visible(_machine(root), os.environ if environ is None else environ)


def _machine(root: Path) -> list[Gpu]:
    from_library = nvml.read() if root == Path("/") else None
    return gpu_files.read(root) if from_library is None else from_library


def visible(machine: Sequence[Gpu], environ: Mapping[str, str]) -> Gpus:
    """What the variable leaves of the machine's devices.

    CUDA's rule: entries after one that names nothing (`-1`, `NoDevFiles`, a device that is not here) do
    not count.

    Args:
        machine: all devices, in the order of the bus; empty: not known, and the variable is believed.

    Raises:
        ServerError: a device is named twice; CUDA would then see none.
    """
    text = environ.get(VISIBLE)
    if text is None:
        usable = tuple(part for gpu in machine for part in (gpu.instances or (gpu,)))
        return Gpus(usable, "all of this machine's" if usable else "no NVIDIA driver was found")
    found: list[Gpu] = []
    for entry in (part.strip() for part in text.split(",")):
        gpu = _named(entry, machine, environ)
        if gpu is None:
            return Gpus(tuple(found), f"{VISIBLE} is {text!r}{_stops_at(entry, machine)}")
        if gpu.id in {other.id for other in found}:
            raise ServerError(
                f"{VISIBLE} is {text!r} and names {entry} twice: CUDA takes that for none at all"
            )
        found.append(gpu)
    return Gpus(tuple(found), f"{VISIBLE} is {text!r}")


def _stops_at(entry: str, machine: Sequence[Gpu]) -> str:
    """Why the list ends here, where it is not plain that it should."""
    if not (entry.isdigit() or entry.startswith(("GPU-", MIG))):
        return ""
    return f", and {entry} is none of the {len(machine)} here"


def _named(entry: str, machine: Sequence[Gpu], environ: Mapping[str, str]) -> Gpu | None:
    """The device that an entry means; its id stays what was written, so that CUDA reads it the same way."""
    if entry.isdigit():
        if machine and int(entry) >= len(machine):
            return None
        known = _by_index(int(entry), machine, environ)
        return Gpu(str(int(entry)), known.name, known.memory_bytes)
    if not entry.startswith(("GPU-", MIG)):
        return None
    candidates = [part for gpu in machine for part in (gpu.instances if entry.startswith(MIG) else (gpu,))]
    # A beginning is enough where it fits one only; drivers before 470 wrote MIG-GPU-<uuid>/<gi>/<ci>.
    fitting = [gpu for gpu in candidates if gpu.id.startswith(entry)]
    if not candidates or entry.startswith(f"{MIG}GPU-"):
        return Gpu(entry)
    return Gpu(entry, fitting[0].name, fitting[0].memory_bytes) if len(fitting) == 1 else None


def _by_index(index: int, machine: Sequence[Gpu], environ: Mapping[str, str]) -> Gpu:
    """CUDA counts the fastest first unless told otherwise, so an index tells nothing among unequal ones."""
    alike = len({(gpu.name, gpu.memory_bytes) for gpu in machine}) == 1
    ordered = environ.get(ORDER) == _BUS_ORDER
    return machine[index] if alike or (ordered and machine) else Gpu(str(index))
