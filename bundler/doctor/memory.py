"""Models × workers, and whole batches, against the memory of this container and of its devices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ...runtime.batching.limits import max_rows
from ...runtime.manifest import MethodSpec, RunnerSpec, TypeSpec
from ...runtime.supervisor.plan import Plan
from ...runtime.supervisor.room import Room
from ..words import size_words
from .cores import settled_plan
from .finding import Finding
from .patient import Patient

NAME = "memory"
_SMALL_BYTES = 512 * 10**6
"""Below this a server with one worker of any framework has no room."""
_SHARE = 0.5
"""Of the memory, or of a device, that the arrays of one batch may take: a model needs some of its own for
what lies between input and output."""
_BITS = re.compile(r"(?:u?int|b?float|complex)(\d+)(?:_.*)?")


def check(patient: Patient) -> Iterator[Finding]:
    memory = patient.machine.memory_bytes
    if memory < _SMALL_BYTES:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"this container may use {size_words(memory)} of memory; a server and one worker take about "
            "300 MB",
            mend="docker run --memory 2g …  # in Kubernetes: resources: {limits: {memory: 2Gi}}",
        )
    settled = settled_plan(patient)
    if settled is None or patient.service is None:
        return
    runners = {runner.name: runner for runner in patient.service.runners}
    room = Room(memory, patient.weights)
    most = {name: (runner, settled.runners[name].most) for name, runner in runners.items()}
    for sentence in room.warnings(most, settled.processes):
        yield Finding(
            check=NAME,
            severity="error" if "weights alone" in sentence else "warning",
            what=sentence,
            where=patient.title,
            mend=_fewer(settled, patient),
        )
    for runner in runners.values():
        yield from _on_devices(runner, settled, patient)
        for name, method in runner.methods.items():
            yield from _batch(runner, name, method, settled, patient)


def _fewer(settled: Plan, patient: Patient) -> str:
    """The runner whose models take most, with one worker."""
    name = max(settled.runners, key=lambda each: Room(0, patient.weights).of(each).all_bytes)
    return f"bundle serve {patient.title} --workers {name}=1"


def _on_devices(runner: RunnerSpec, settled: Plan, patient: Patient) -> Iterator[Finding]:
    """Weights of all workers on a device against its memory."""
    weights = patient.weights.get(runner.name)
    known = {gpu.id: gpu.memory_bytes for gpu in patient.machine.gpus if gpu.memory_bytes}
    if weights is None or not runner.gpus:
        return
    for gpu, memory_bytes in known.items():
        holders = [devices for devices in settled.allotment.of(runner.name) if gpu in devices]
        held = sum(weights.all_bytes / len(devices) for devices in holders)
        if held > memory_bytes:
            yield Finding(
                check=NAME,
                severity="error",
                what=f"{len(holders)} workers of {runner.name} put {size_words(int(held))} of weights on GPU "
                f"{gpu}, "
                f"which has {size_words(memory_bytes)}",
                where=patient.title,
                mend=f"tiffin.runner(…, gpus={max(1, math.ceil(runner.gpus * 2))})  # more of a device for "
                "each",
            )


def _batch(
    runner: RunnerSpec, name: str, method: MethodSpec, settled: Plan, patient: Patient
) -> Iterator[Finding]:
    """A full batch, in and out, in every worker at once."""
    if not method.batch:
        return
    row_bytes = sum(map(_row_bytes, method.inputs.values())) + (
        _row_bytes(method.output) if method.output else 0
    )
    rows = max_rows(runner, method)
    gpus = [gpu.memory_bytes for gpu in patient.machine.gpus if gpu.memory_bytes] if runner.gpus else []
    workers = 1 if gpus else settled.runners[runner.name].most
    bound = min(gpus) * min(1.0, runner.gpus) if gpus else patient.machine.memory_bytes
    total = row_bytes * rows * workers
    if total > bound * _SHARE:
        fitting = max(1, int(bound * _SHARE / max(1, row_bytes * workers)))
        what = "the GPU" if gpus else "memory"
        yield Finding(
            check=NAME,
            severity="error" if total > bound else "warning",
            what=f"a full batch of {runner.name}.{name} is {size_words(row_bytes * rows)} ({rows} rows of "
            f"{size_words(row_bytes)}), in {workers} worker{'s' if workers > 1 else ''}; {what} has "
            f"{size_words(int(bound))}",
            where=patient.title,
            mend=f"tiffin.runner(…, max_batch_size={1 << (fitting.bit_length() - 1)})  # of {runner.name}",
        )


def _row_bytes(spec: TypeSpec) -> int:
    """Bytes of one row, axes of unknown length counted as 1; 0 where the type does not tell."""
    bits = _BITS.fullmatch(spec.dtype)
    if spec.shape is None or (bits is None and spec.dtype != "bool"):
        return 0
    return math.prod(dim for dim in spec.shape[1:] if isinstance(dim, int)) * (
        int(bits[1]) // 8 if bits else 1
    )
