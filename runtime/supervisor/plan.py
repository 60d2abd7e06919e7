"""How many processes of each kind, and what each may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import ConfigError, ServerError
from ..manifest import RunnerSpec, ServiceSpec
from .gpus import VISIBLE

AUTO = "auto"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Plan:
    """Numbers of processes for one service on this machine."""

    processes: int
    """API processes."""
    workers: dict[str, int]
    """Runner to its workers."""
    threads: dict[str, int]
    """Runner to BLAS/OpenMP threads in each of its workers."""


def plan(
    spec: ServiceSpec,
    *,
    cpus: float,
    gpus: int,
    processes: int | str | None,
    workers: Mapping[str, int | str],
) -> Plan:
    """Settles what `auto` means here and what the command line overrides.

    Args:
        cpus: cores that this container may use.
        gpus: devices that it may use.
        processes: `--processes`.
        workers: `--workers`, runner to number.

    Raises:
        ConfigError: an override of a runner that does not exist, or below 1.
        ServerError: more devices are asked for than there are.
    """
    names = [runner.name for runner in spec.runners]
    for name in workers:
        if name not in names:
            known = ", ".join(names) or "none"
            raise ConfigError(
                f"--workers {name}=…: service {spec.name!r} has no such runner; it has: {known}"
            )
    cores = max(1, int(cpus))
    counts = {
        runner.name: _workers(runner, workers.get(runner.name, runner.workers), cores, gpus)
        for runner in spec.runners
    }
    _check_devices(spec, counts, gpus)
    total = sum(counts.values())
    threads = {runner.name: runner.threads or max(1, int(cpus / total)) for runner in spec.runners}
    return Plan(
        processes=_number("--processes", spec.processes if processes is None else processes, cores),
        workers=counts,
        threads=threads,
    )


def _workers(runner: RunnerSpec, wanted: int | str, cores: int, gpus: int) -> int:
    """`auto` is one worker a core, or as many as the devices suffice for."""
    if runner.gpus:
        cores = max(1, int(gpus / runner.gpus))
    return _number(f"workers of runner {runner.name!r}", wanted, cores)


def _number(what: str, wanted: int | str, auto: int) -> int:
    if wanted == AUTO:
        return auto
    try:
        number = int(wanted)
    except ValueError:
        number = 0
    if number < 1:
        raise ConfigError(f"{what} is {wanted!r}: use a number from 1 on, or {AUTO!r}")
    return number


def _check_devices(spec: ServiceSpec, counts: Mapping[str, int], gpus: int) -> None:
    needed = {runner.name: counts[runner.name] * runner.gpus for runner in spec.runners if runner.gpus}
    if sum(needed.values()) > gpus:
        parts = ", ".join(f"{name} {counts[name]} × {need / counts[name]:g}" for name, need in needed.items())
        raise ServerError(
            f"the workers need {sum(needed.values()):g} GPUs ({parts}), {gpus} are here: "
            f"use fewer workers or gpus, or make more devices visible ({VISIBLE})"
        )


def worker_environ(
    threads: int, devices: list[str], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of one worker: its share of the cores and its own devices; without any it sees none."""
    inherited = os.environ if environ is None else environ
    return {
        **inherited,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        VISIBLE: ",".join(devices),
    }
