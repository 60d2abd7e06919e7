"""How many processes of each kind, and what each may use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...errors import ConfigError, ServerError
from ..manifest import RunnerSpec, ServiceSpec, WorkerRange
from .allotment import Allotment, Demand
from .gpu import VISIBLE
from .gpus import Gpus
from .room import Room

AUTO = "auto"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class RunnerPlan:
    """The workers of one runner."""

    workers: int
    """At the start."""
    least: int
    most: int
    """The load decides between the two; equal when the number is fixed."""
    threads: int
    """BLAS/OpenMP threads of each."""
    gpus: float
    """Devices of each, or its share of one."""
    queue_rows: int
    """That may wait in one API process when the most workers run."""


@dataclass(frozen=True)
class Plan:
    """Processes for one service on this machine."""

    processes: int
    """API processes."""
    runners: dict[str, RunnerPlan]
    allotment: Allotment
    """Devices of every worker, up to the most that may run."""
    warnings: tuple[str, ...]
    """What is likely to be slow or too large; each a sentence."""

    @property
    def workers(self) -> dict[str, int]:
        """Runner to its workers at the start."""
        return {name: runner.workers for name, runner in self.runners.items()}


def plan(
    spec: ServiceSpec,
    *,
    cpus: float,
    gpus: Gpus,
    processes: int | str | None,
    workers: Mapping[str, int | str | WorkerRange],
    room: Room,
    running: Mapping[str, int] | None = None,
    allotment: Allotment | None = None,
) -> Plan:
    """Settles what `auto` means here and what the command line overrides.

    Args:
        cpus: cores that this container may use.
        gpus: devices that it may use.
        processes: `--processes`.
        workers: `--workers`, runner to number.
        room: memory that they share; `auto` takes no more than fits.
        running: workers that run now, where the load has decided: a reload starts with as many.
        allotment: devices that the workers hold already, and keep.

    Raises:
        ConfigError: an override of a runner that does not exist, or below 1.
        ServerError: more devices are asked for than there are.
    """
    by_name = {runner.name: runner for runner in spec.runners}
    for name in workers:
        if name not in by_name:
            known = ", ".join(by_name) or "none"
            raise ConfigError(
                f"workers of {name!r} are wanted: service {spec.name!r} has no such runner; it has: {known}"
            )
    cores = max(1, int(cpus))
    api = _number(
        "API processes", spec.processes if processes is None else processes, room.auto_processes(cores)
    )
    wanted = {runner.name: workers.get(runner.name, runner.workers) for runner in spec.runners}
    ranges = {runner.name: _bounds(runner, wanted[runner.name], cores) for runner in spec.runners}
    squeezed = _squeezed(ranges, by_name, wanted, room, api)
    filling = [runner.name for runner in spec.runners if runner.gpus and _is_auto(wanted[runner.name])]
    held = allotment or Allotment(gpus)
    demands = {name: Demand(name, runner.gpus, ranges[name][1]) for name, runner in by_name.items()}
    for name, demand in _filled(held, demands, filling).items():
        ranges[name] = (demand.workers if wanted[name] == AUTO else ranges[name][0], demand.workers)
    # Cores are divided among as many as there may be: those that run keep the threads they began with.
    total = sum(most for _, most in ranges.values())
    settled = {}
    for runner in spec.runners:
        least, most = ranges[runner.name]
        settled[runner.name] = RunnerPlan(
            workers=min(most, max(least, (running or {}).get(runner.name, least))),
            least=least,
            most=most,
            threads=runner.threads or max(1, int(cpus / total)),
            gpus=runner.gpus,
            queue_rows=room.queue_rows(runner, most, len(spec.runners) * api),
        )
    most_of = {runner.name: (runner, settled[runner.name].most) for runner in spec.runners}
    return Plan(
        processes=api,
        runners=settled,
        allotment=held.give(Demand(name, by_name[name].gpus, most) for name, (_, most) in ranges.items()),
        warnings=(*squeezed, *_warnings(settled, api, cpus), *room.warnings(most_of, api)),
    )


def wants_gpus(spec: ServiceSpec) -> bool:
    """Whether it matters which devices there are: looking for them takes a moment."""
    return any(runner.gpus for runner in spec.runners)


def _is_auto(wanted: int | str | WorkerRange) -> bool:
    return (wanted.max if isinstance(wanted, WorkerRange) else wanted) == AUTO


def _filled(held: Allotment, demands: Mapping[str, Demand], filling: list[str]) -> dict[str, Demand]:
    """The demands of those that take what the others leave, counted up in turns until nothing more fits."""
    asked = dict(demands)
    growing = list(filling)
    while growing:
        for name in list(growing):
            more = {**asked, name: replace(asked[name], workers=asked[name].workers + 1)}
            try:
                held.give(more.values())
            except ServerError:
                growing.remove(name)
            else:
                asked = more
    return {name: asked[name] for name in filling}


def _bounds(runner: RunnerSpec, wanted: int | str | WorkerRange, cores: int) -> tuple[int, int]:
    """Least and most workers; `auto` is one worker a core; with GPUs it is filled up from 1 later."""
    auto = 1 if runner.gpus else cores
    what = f"workers of runner {runner.name!r}"
    if not isinstance(wanted, WorkerRange):
        number = _number(what, wanted, auto)
        return number, number
    least = _number(what, wanted.min, auto)
    most = max(least, auto) if wanted.max == AUTO else _number(what, wanted.max, auto)
    if most < least:
        raise ConfigError(f"{what}: max is {most}, below min, {least}: swap them")
    return least, most


def _squeezed(
    ranges: dict[str, tuple[int, int]],
    runners: Mapping[str, RunnerSpec],
    wanted: Mapping[str, int | str | WorkerRange],
    room: Room,
    processes: int,
) -> list[str]:
    """Takes back from `ranges` what `auto` would take beyond the memory; says so."""
    autos = [name for name, runner in runners.items() if not runner.gpus and _is_auto(wanted[name])]
    others = [(runner, ranges[name][1]) for name, runner in runners.items() if name not in autos]
    told = []
    for name, fitting in room.auto_workers(autos, others, processes).items():
        least, most = ranges[name]
        fixed = not isinstance(wanted[name], WorkerRange)
        if fitting < most and (fixed or least < most):
            ranges[name] = (fitting, fitting) if fixed else (least, max(least, fitting))
            told.append(
                f"{name}: the memory, {room.memory_bytes / 1e9:.1f} GB, is enough for {ranges[name][1]} "
                f"of the {most} workers that the cores are enough for"
            )
    return told


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


def _warnings(runners: Mapping[str, RunnerPlan], processes: int, cpus: float) -> list[str]:
    """A core that two would use at a time serves both late."""
    found = []
    threads = {name: runner.most * runner.threads for name, runner in runners.items() if not runner.gpus}
    if sum(threads.values()) > max(1.0, cpus):
        parts = ", ".join(f"{name} {runners[name].most} × {runners[name].threads}" for name in threads)
        found.append(
            f"{sum(threads.values())} threads of workers ({parts}) share {cpus:g} cores: "
            "use fewer of either, or each is slower"
        )
    if processes > max(1.0, cpus):
        found.append(f"{processes} API processes share {cpus:g} cores: more than one a core gains nothing")
    return found


def worker_environ(
    threads: int, devices: tuple[str, ...], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of one worker: its share of the cores and its own devices; without any it sees none."""
    inherited = os.environ if environ is None else environ
    return {
        **inherited,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        VISIBLE: ",".join(devices),
    }
