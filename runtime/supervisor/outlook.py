"""What `serve` would do on this machine, before it does it: processes, cores, devices, memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .. import cgroup
from ..manifest import RunnerSpec, ServiceSpec, WorkerRange
from ..service.load import load_service
from .control import Target
from .gpus import NOT_ASKED, detect
from .plan import Plan, plan, wants_gpus
from .room import Room, memory_bytes
from .subject import look_up
from .weights import weights_of


class RunnerOutlook(msgspec.Struct, kw_only=True):
    """The workers of one runner."""

    workers: int
    """At the start."""
    least: int
    most: int
    """The load decides between the two."""
    threads: int
    """BLAS/OpenMP threads of each."""
    gpus: float
    """Devices of each, or its share of one."""
    devices: list[list[str]]
    """Of each worker, up to the most, as `CUDA_VISIBLE_DEVICES` will name them."""
    weights_bytes: int
    """Of its models' files; a class that loads something else is not known to."""
    shared_bytes: int
    """Of those, what all workers hold once."""
    memory_bytes: int
    """Weights in memory, or on devices, when the most workers run."""
    queue_rows: int
    """That may wait in one API process."""


class GpuOutlook(msgspec.Struct, kw_only=True):
    id: str
    name: str
    memory_bytes: int
    """0: not known."""


class Outlook(msgspec.Struct, kw_only=True):
    service: str
    title: str
    cores: float
    memory_bytes: int
    """Of this container."""
    gpus: list[GpuOutlook]
    gpus_from: str
    """Where that list comes from, or why it is empty."""
    processes: int
    """API processes."""
    runners: dict[str, RunnerOutlook]
    warnings: list[str]


def outlook(
    text: str,
    folder: Path,
    *,
    processes: int | str | None = None,
    workers: Mapping[str, int | str | WorkerRange] | None = None,
) -> Outlook:
    """Settles everything as `serve` does with the same arguments; what is no bundle is imported here.

    Args:
        text: what to serve, as typed.
        folder: where it was typed.

    Raises:
        TiffinError: what `serve` would raise.
    """
    subject = look_up(text, folder)
    spec = subject.spec or _imported(subject.target)
    cpus = cgroup.cpu_count()
    gpus = detect() if wants_gpus(spec) else NOT_ASKED
    room = Room(memory_bytes(), {runner.name: weights_of(runner, subject.target) for runner in spec.runners})
    settled = plan(spec, cpus=cpus, gpus=gpus, processes=processes, workers=workers or {}, room=room)
    found = Outlook(
        service=spec.name,
        title=subject.title,
        cores=cpus,
        memory_bytes=room.memory_bytes,
        gpus=[GpuOutlook(id=gpu.id, name=gpu.name, memory_bytes=gpu.memory_bytes) for gpu in gpus.devices],
        gpus_from=gpus.source,
        processes=settled.processes,
        runners={runner.name: _runner(runner, settled, room) for runner in spec.runners},
        warnings=list(settled.warnings),
    )
    found.warnings += _too_large(found)
    return found


def _imported(target: Target) -> ServiceSpec:
    from ..service.service import service_info

    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no part of the answer
        return service_info(load_service(target)).spec()


def _runner(runner: RunnerSpec, settled: Plan, room: Room) -> RunnerOutlook:
    planned = settled.runners[runner.name]
    weights = room.of(runner.name)
    return RunnerOutlook(
        workers=planned.workers,
        least=planned.least,
        most=planned.most,
        threads=planned.threads,
        gpus=planned.gpus,
        devices=[list(devices) for devices in settled.allotment.of(runner.name)],
        weights_bytes=weights.all_bytes,
        shared_bytes=weights.shared_bytes,
        memory_bytes=weights.held_bytes(planned.most),
        queue_rows=planned.queue_rows,
    )


def _too_large(found: Outlook) -> list[str]:
    """Weights that do not fit on a device; what a model needs beside them only running it tells."""
    warnings = []
    for gpu in found.gpus:
        on_device = sum(
            runner.weights_bytes / len(devices)
            for runner in found.runners.values()
            for devices in runner.devices
            if gpu.id in devices
        )
        if gpu.memory_bytes and on_device > gpu.memory_bytes:
            warnings.append(
                f"the weights of the workers on GPU {gpu.id} take {on_device / 1e9:.1f} GB, "
                f"it has {gpu.memory_bytes / 1e9:.1f} GB: give each worker more of a device"
            )
    return warnings
