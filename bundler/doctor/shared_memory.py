"""Shared memory: large arrays go from process to process through it. Docker gives a container 64 MiB."""

from __future__ import annotations

from collections.abc import Iterator

from ..words import size_words
from .finding import Finding
from .patient import Patient

NAME = "shared-memory"
_ENOUGH_BYTES = 128 << 20


def check(patient: Patient) -> Iterator[Finding]:
    found = patient.machine.shared_memory
    if patient.machine.system != "linux":
        return
    if found is None or not found.writable:
        yield Finding(
            check=NAME,
            severity="warning",
            what="there is no /dev/shm to write to: large arrays are copied through sockets, which is slower",
            where="/dev/shm",  # noqa: S108 - the kernel's own name
            mend="docker run --shm-size 1g …",
        )
    elif min(found.total_bytes, found.free_bytes) < _ENOUGH_BYTES:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"the shared memory, /dev/shm, has {size_words(found.free_bytes)} free of "
            f"{size_words(found.total_bytes)}: too little for large arrays of several workers, "
            "and frameworks that use it end with a bus error",
            where="/dev/shm",  # noqa: S108
            mend="docker run --shm-size 1g …  # in Kubernetes: an emptyDir of medium Memory at /dev/shm",
        )
