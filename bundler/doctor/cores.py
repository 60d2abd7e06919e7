"""Workers × threads over the cores: two that share a core are both late."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import TiffinError
from ...runtime.manifest import ServiceSpec
from ...runtime.supervisor.gpus import Gpus
from ...runtime.supervisor.plan import Plan, plan
from ...runtime.supervisor.room import Room
from .finding import Finding
from .patient import Patient

NAME = "cores"


def check(patient: Patient) -> Iterator[Finding]:
    machine = patient.machine
    if machine.cores < 1:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"this container may use {machine.cores:g} of a core: an API process and one worker share "
            "it",
            mend="docker run --cpus 2 …  # in Kubernetes: resources: {limits: {cpu: 2}}",
        )
    settled = settled_plan(patient)
    if settled is None or patient.service is None:
        return
    threads = {
        name: runner.most * runner.threads for name, runner in settled.runners.items() if not runner.gpus
    }
    if sum(threads.values()) > max(1.0, machine.cores):
        parts = ", ".join(
            f"{name}: {settled.runners[name].most} × {settled.runners[name].threads}" for name in threads
        )
        most = max(threads, key=lambda name: threads[name])
        fitting = max(1, int(machine.cores / max(1, len(threads))))
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{sum(threads.values())} threads of workers (workers × threads: {parts}) share "
            f"{machine.cores:g} cores",
            where=patient.title,
            mend=f"tiffin.runner(…, workers={min(fitting, settled.runners[most].most)}, threads=1)"
            f"  # of {most}; or, when serving: --workers {most}={min(fitting, settled.runners[most].most)}",
        )
    if settled.processes > max(1.0, machine.cores):
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{settled.processes} API processes share {machine.cores:g} cores",
            where=patient.title,
            mend='@tiffin.service(processes="auto")',
        )


def settled_plan(patient: Patient) -> Plan | None:
    """What serving would settle on here; None: nothing to serve, or it would be refused (`gpu` says why)."""
    if patient.service is None:
        return None
    try:
        return plan_of(patient, patient.service)
    except TiffinError:
        return None


def plan_of(patient: Patient, service: ServiceSpec) -> Plan:
    """The same; raises ServerError when it would be refused."""
    machine = patient.machine
    return plan(
        service,
        cpus=machine.cores,
        gpus=Gpus(machine.gpus, machine.gpus_from),
        processes=None,
        workers={},
        room=Room(machine.memory_bytes, patient.weights),
    )
