"""What fits into the memory of this container: workers, and rows that wait."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from .. import cgroup
from ..batching.limits import QUEUED_BATCHES
from ..manifest import MethodSpec, RunnerSpec, ServiceSpec
from .weights import Weights

WORKER_BYTES = 128 * 1024 * 1024
"""Of a worker besides its weights: Python with scikit-learn or XGBoost takes 105 MiB of its own, with torch
150 MiB, with none of them 20 MiB (Python 3.11 on Linux)."""
API_BYTES = 80 * 1024 * 1024
SUPERVISOR_BYTES = 60 * 1024 * 1024
_FOR_API = 0.25
"""Share of the memory that API processes take at most where their number is `auto`."""
_FOR_WORKERS = 0.75
_FOR_QUEUES = 0.15
_FOR_BODIES = 0.15
"""Shares of the memory, the first with API processes and all. The rest is for answers that go out and the
kernel."""
_ELSEWHERE = 64
"""Workers that a runner may have in other containers: how many there will be, nobody knows here."""
_BITS = re.compile(r"(?:u?int|b?float|complex)(\d+)(?:_.*)?")


@dataclass(frozen=True)
class Room:
    """Memory, and what is known of those who share it."""

    memory_bytes: int
    weights: Mapping[str, Weights] = field(default_factory=dict)
    """Runner to its models' files."""

    def of(self, runner: str) -> Weights:
        return self.weights.get(runner, Weights())

    def auto_processes(self, cores: int) -> int:
        """One API process a core, as long as they fit into their share of the memory; at least 1."""
        return max(1, min(cores, int(self.memory_bytes * _FOR_API / API_BYTES)))

    def auto_workers(
        self, autos: Iterable[str], others: Iterable[tuple[RunnerSpec, int]], processes: int
    ) -> dict[str, int]:
        """Most workers for each of those that may have as many as fit, at least 1; they share alike.

        Args:
            autos: runners on the CPU whose number is `auto`.
            others: the other runners, and their most workers.
            processes: API processes.
        """
        names = list(autos)
        taken = SUPERVISOR_BYTES + processes * API_BYTES
        taken += sum(self._held_bytes(runner, workers) for runner, workers in others)
        share = max(0.0, self.memory_bytes * _FOR_WORKERS - taken) / max(1, len(names))
        found = {}
        for name in names:
            weights = self.of(name)
            each = WORKER_BYTES + weights.all_bytes - weights.shared_bytes
            found[name] = max(1, int((share - weights.shared_bytes) / each))
        return found

    def queue_rows(self, runner: RunnerSpec, workers: int, sharers: int) -> int:
        """Rows that may wait in one API process: what the runner says, else 16 batches a worker, or what fits
        of these.

        Args:
            sharers: queues that share the memory: runners times API processes.
        """
        if runner.max_queue_rows is not None:
            return runner.max_queue_rows
        row_bytes = max((_row_bytes(method) for method in runner.methods.values()), default=0)
        if not row_bytes:
            return _usual_rows(runner, workers)
        fitting = int(self.memory_bytes * _FOR_QUEUES / max(1, sharers) / row_bytes)
        return min(_usual_rows(runner, workers), max(runner.max_batch_size, fitting))

    def warnings(self, workers: Mapping[str, tuple[RunnerSpec, int]], processes: int) -> list[str]:
        """What is likely to be too large; each a sentence.

        Args:
            workers: runner to its spec and its most workers.
        """
        room_gb = self.memory_bytes / 1e9
        on_host = [(name, most) for name, (runner, most) in workers.items() if not runner.gpus]
        weights_gb = sum(self.of(name).held_bytes(most) for name, most in on_host) / 1e9
        if weights_gb > room_gb:
            told = (
                f"the weights alone take {weights_gb:.1f} GB of {room_gb:.1f} GB of memory: use fewer workers"
            )
            return [told]
        need_bytes = SUPERVISOR_BYTES + processes * API_BYTES
        need_bytes += sum(self._held_bytes(runner, most) for runner, most in workers.values())
        if need_bytes > self.memory_bytes:
            api = f"{processes} API process{'es' if processes > 1 else ''}"
            count = sum(most for _, most in workers.values())
            told = f"{api} and {count} worker{'s' if count != 1 else ''} need about {need_bytes / 1e9:.1f} GB"
            return [f"{told} of {room_gb:.1f} GB of memory: use fewer of either"]
        return []

    def _held_bytes(self, runner: RunnerSpec, workers: int) -> int:
        weights = 0 if runner.gpus else self.of(runner.name).held_bytes(workers)
        return weights + workers * WORKER_BYTES


def memory_bytes() -> int:
    """What this container may use, or what the machine has."""
    return cgroup.memory_limit_bytes() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def bodies_bytes(memory_bytes: int, processes: int) -> int:
    """Of all large request bodies that one API process may hold at a time."""
    return int(memory_bytes * _FOR_BODIES / max(1, processes))


def bounded(spec: ServiceSpec, workers: Mapping[str, int], processes: int, memory_bytes: int) -> ServiceSpec:
    """The service with `max_queue_rows` where the usual number would not fit.

    Args:
        workers: runner to its most workers, of those that run here.
        processes: API processes.
    """
    room, sharers = Room(memory_bytes), len(spec.runners) * processes
    runners = []
    for runner in spec.runners:
        most = workers.get(runner.name, _ELSEWHERE)
        rows = room.queue_rows(runner, most, sharers)
        fewer = runner.max_queue_rows is None and rows < _usual_rows(runner, most)
        runners.append(msgspec.structs.replace(runner, max_queue_rows=rows) if fewer else runner)
    return msgspec.structs.replace(spec, runners=runners)


def _usual_rows(runner: RunnerSpec, workers: int) -> int:
    return QUEUED_BATCHES * runner.max_batch_size * max(1, workers)


def _row_bytes(method: MethodSpec) -> int:
    """Bytes of one row in memory; 0 where shape or dtype of an argument is not known."""
    total = 0
    for spec in method.inputs.values():
        bits = _BITS.fullmatch(spec.dtype)
        if spec.shape is None or (bits is None and spec.dtype != "bool"):
            return 0
        dims = spec.shape[1:] if method.batch else spec.shape
        if any(not isinstance(dim, int) for dim in dims):
            return 0
        total += math.prod(dim for dim in dims if isinstance(dim, int)) * (int(bits[1]) // 8 if bits else 1)
    return total
