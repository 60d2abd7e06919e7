"""What a dispatcher tells of itself: plain JSON values for people and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .crew import Crew
from .request import Batch, Method
from .waiting import WaitingRoom


def explain(
    runner: str, room: WaitingRoom, crew: Crew, methods: Mapping[str, Method], now: float
) -> dict[str, Any]:
    """What batching of this process has learned and done, as plain JSON values; reads, changes nothing.

    Seconds and rows; a policy counts what `cost` counts instead. Keys:
        runner: name.
        workers: connected and taking batches.
        idle: of them, workers that hold no batch of this process.
        queue_rows: rows that wait.
        running: batches at workers: `{worker, method, rows, requests, reason, for_s}`.
        ahead: the same of full batches that their workers have and begin next; `for_s` since they were sent.
        methods: by name, each with the keys of `AdaptivePolicy.explain` (max_rows, max_latency_s,
            workers, waiting, cap, group, shape, spread, batches, service_s, arrival_rate,
            expected_returns, decisions) and
            batch: whether the method takes batches at all.
            unit: of the policy's sizes: `rows`, or the name of the `cost`.
            reasons: why batches left, to how many did: `idle worker`, `full`, `ahead` (full, sent just before
                its worker was idle), `probe` (a size was tried), `shared` (split among idle workers),
                `bisect` and `retry` (run again after a failure).
            requests, rows: of all batches that are back.
            last_batches: up to 64 that are back, oldest first: `{at, rows, requests, reason, waited_s,
                service_s, worker, failed}`. `at` is when its worker could begin it, Unix time: when it left,
                or had answered the one before; `waited_s` is that of its oldest request; `service_s` from
                then until the answer; `failed`: it raised, or its worker ended.

    Args:
        now: of the dispatcher's clock.
    """
    return {
        "runner": runner,
        "workers": crew.size,
        "idle": len(crew.idle),
        "queue_rows": room.rows,
        "running": [_shown(slot.batch, now) for slot in crew if slot.batch is not None],
        "ahead": [_shown(slot.following, now) for slot in crew if slot.following and slot.following.requests],
        "methods": {
            name: {
                **method.policy.explain(),
                "batch": method.spec.batch,
                "unit": method.spec.cost or "rows",
                **method.journal.explain(now),
            }
            for name, method in methods.items()
        },
    }


def _shown(batch: Batch, now: float) -> dict[str, Any]:
    return {
        "worker": batch.worker,
        "method": batch.lane.method.name,
        "rows": batch.rows,
        "requests": len(batch.requests),
        "reason": batch.reason,
        "for_s": now - batch.started,
    }
