"""`bundle show --plan`: the plan as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import console

if TYPE_CHECKING:
    from ..runtime.manifest import WorkerRange
    from ..runtime.supervisor.outlook import Outlook, RunnerOutlook


def show(
    target: str,
    *,
    workers: Mapping[str, int | str | WorkerRange],
    processes: int | str | None,
    as_json: bool,
) -> None:
    """Prints what `bundle serve` would start.

    Raises:
        TiffinError: what `bundle serve` would refuse.
    """
    from ..runtime.supervisor.outlook import outlook

    found = outlook(target, Path.cwd(), processes=processes, workers=workers)
    if as_json:
        console.emit_json(found)
        return
    console.panel(f"Plan for {found.title}", _machine(found))
    if found.runners:
        console.say("")
        console.table(
            [
                "runner",
                "workers>",
                "threads of each>",
                "cores, at most>",
                "GPUs",
                "rows that wait>",
                "weights>",
                "of them shared>",
                "in all>",
            ],
            [_row(name, runner, found) for name, runner in found.runners.items()],
        )
    for warning in found.warnings:
        console.warning(warning)


def _machine(found: Outlook) -> list[tuple[str, object]]:
    from ..bundler.words import size_words

    gpus = [
        f"{gpu.id} {gpu.name}".strip() + (f" {size_words(gpu.memory_bytes)}" if gpu.memory_bytes else "")
        for gpu in found.gpus
    ]
    return [
        ("here", f"{found.cores:g} cores, {size_words(found.memory_bytes)} of memory"),
        ("GPUs", f"{', '.join(gpus) or 'none'} ({found.gpus_from})"),
        ("api", f"{found.processes} {'process' if found.processes == 1 else 'processes'}"),
    ]


def _row(name: str, runner: RunnerOutlook, found: Outlook) -> tuple[object, ...]:
    from ..bundler.words import size_words

    fixed = runner.least == runner.most
    weights: tuple[object, ...] = ("", "", "")
    if runner.weights_bytes:
        share = runner.shared_bytes / runner.weights_bytes
        weights = (size_words(runner.weights_bytes), f"{share:.0%}", size_words(runner.memory_bytes))
    return (
        name,
        runner.workers if fixed else f"{runner.workers} ({runner.least} to {runner.most} by load)",
        runner.threads,
        f"{runner.most * runner.threads} of {found.cores:g}",
        _devices(runner),
        runner.queue_rows,
        *weights,
    )


def _devices(runner: RunnerOutlook) -> str:
    """`0 and 1`, each worker's own; `0, 0, 1` for shares."""
    if not runner.gpus:
        return ""
    each = ", ".join("+".join(devices) for devices in runner.devices)
    return f"{runner.gpus:g} each: {each}"
