"""Every check, in the order in which a person would want to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ...errors import TiffinError
from . import (
    clock,
    containers,
    cores,
    gpu,
    limits,
    locking,
    memory,
    models,
    pickles,
    pins,
    port,
    python_version,
    secrets,
    service,
    shared_memory,
    size,
    store,
    system_libraries,
    versions,
)
from .finding import ORDER, Finding, Report
from .machine import this_machine
from .patient import Patient, look_at

Check = Callable[[Patient], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    module.NAME: module.check
    for module in (
        service,
        models,
        versions,
        gpu,
        system_libraries,
        memory,
        cores,
        pickles,
        secrets,
        size,
        pins,
        python_version,
        locking,
        containers,
        store,
        shared_memory,
        limits,
        port,
        clock,
    )
}
"""Name to what looks. A new one is a file and a line here."""


def examine(target: str | None = None, *, port: int = 3000, run: bool = True) -> Report:
    """Looks for what will bite.

    Args:
        target: as `look_at` takes it; None: this machine.
        port: that would be served on.
        run: whether the service of a project may be imported, which finds most.

    Raises:
        TiffinError: there is nothing of that name, or it cannot be read.
    """
    began = time.monotonic()
    patient = look_at(target, this_machine(), port=port, run=run)
    findings, skipped = diagnose(patient)
    if target is not None and not run and patient.kind == "folder":
        skipped |= dict.fromkeys(
            (service.NAME, memory.NAME, cores.NAME), "the service was not imported (--no-import)"
        )
    return Report(
        target=patient.title,
        kind=patient.kind,
        findings=findings,
        checks=list(CHECKS),
        skipped=skipped,
        seconds=round(time.monotonic() - began, 3),
    )


def diagnose(patient: Patient) -> tuple[list[Finding], dict[str, str]]:
    """Errors first; and the checks that could not be made, with the reason."""
    found: list[Finding] = []
    skipped: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            found += check(patient)
        except (OSError, TiffinError) as error:  # noqa: PERF203 - one that cannot look hides not what others see
            skipped[name] = str(error)
    return sorted(found, key=lambda finding: ORDER.index(finding.severity)), skipped
