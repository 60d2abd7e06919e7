"""How a runner is run, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..manifest import WorkerRange
from ..tag import Tag


@dataclass(frozen=True)
class RunnerOptions:
    """The fields are keyword arguments of `runner()`."""

    workers: int | str | WorkerRange
    max_batch_size: int
    max_latency_ms: float | None
    max_queue_rows: int | None
    gpus: float
    threads: int | None
    models: tuple[Tag, ...]
    retry: bool
    start_timeout_s: float
    compile: str
    prepack: bool | None
    copy_ahead: bool
    sizes: tuple[int, ...]


NAMES = tuple(field.name for field in fields(RunnerOptions))
