"""Every metric there is: name, labels, buckets, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""From a call of a tree ensemble to the slowest generation."""

FAILED = 400
"""The status from which on a request counts as failed; 499 too, whose caller hung up."""

ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


@dataclass(frozen=True)
class Family:
    """A metric before its labels have values."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "tally"]
    """A tally is sums of several kinds side by side, for those who ask by name: it is on no page."""
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, ascending; the last bucket, without bound, is not named."""
    across: Literal["sum", "max"] = "sum"
    """How the values of several processes become one."""
    fields: tuple[str, ...] = ()
    """What the cells of a tally hold, in order."""

    @property
    def cells(self) -> int:
        """A histogram has a cell a bucket (its own count, not the running one), then one for the sum."""
        if self.kind == "tally":
            return len(self.fields)
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


INFO = Family(
    "tiffin_info",
    "gauge",
    ("version", "service", "bundle"),
    "Version of tiffin, the service, and the bundle it was loaded from.",
    across="max",
)
REQUESTS = Family(
    "tiffin_requests_total",
    "counter",
    ("service", "route", "method", "code"),
    "Requests answered, by route template, HTTP method and status code.",
)
REQUESTS_IN_FLIGHT = Family(
    "tiffin_requests_in_flight", "gauge", ("service", "route"), "Requests being answered now."
)
REQUEST_DURATION = Family(
    "tiffin_request_duration_seconds",
    "histogram",
    ("service", "route"),
    "Time from a request's last byte to its answer's, in seconds.",
    SECONDS,
)
REQUEST_TALLY = Family(
    "tiffin_request_tally",
    "tally",
    ("service", "route"),
    "What the histogram does not tell apart: seconds of the requests that failed, status 400 and above.",
    fields=("failed_seconds",),
)
LAST_REQUEST = Family(
    "tiffin_last_request",
    "tally",
    ("service", "route"),
    "When the last request was answered, in Unix seconds.",
    across="max",
    fields=("time",),
)
UNAUTHORIZED = Family(
    "tiffin_unauthorized_total",
    "counter",
    ("service", "reason"),
    "Calls turned away for want of a good token: missing, malformed, unknown, expired, scope.",
)
QUEUE_ROWS = Family(
    "tiffin_queue_rows", "gauge", ("service", "runner"), "Rows waiting for a worker, over all API processes."
)
QUEUE_WAIT = Family(
    "tiffin_queue_wait_seconds",
    "histogram",
    ("service", "runner"),
    "Time a call waited for its batch to leave, in seconds.",
    SECONDS,
)
BATCH_ROWS = Family(
    "tiffin_batch_rows", "histogram", ("service", "runner", "method"), "Rows of a batch.", ROWS
)
BATCHES = Family(
    "tiffin_batches_total",
    "counter",
    ("service", "runner", "method", "reason"),
    "Batches sent to workers, by why they left when they did.",
)
MODEL_SECONDS = Family(
    "tiffin_model_seconds",
    "histogram",
    ("service", "runner", "method"),
    "Time a worker computed a batch, in seconds.",
    SECONDS,
)
SIZE_TALLY = Family(
    "tiffin_size_tally",
    "tally",
    ("service", "runner", "method", "size"),
    "Batches that were answered, by their rows; sizes above 1,024 count as the next power of two.",
    fields=("batches", "model_seconds", "way_seconds"),
)
"""`way_seconds`: what a batch took besides computing: to the worker, and back."""
CALL_TALLY = Family(
    "tiffin_call_tally",
    "tally",
    ("service", "runner", "method", "route"),
    "Calls of a runner that were answered, by the route whose request made them.",
    fields=("calls", "rows", "batches", "waited_seconds", "model_seconds", "way_seconds"),
)
"""Each call counts the whole time of its batch: that is how long its caller waited for it."""
BATCH_LEARNED = Family(
    "tiffin_batch_learned_seconds",
    "gauge",
    ("service", "runner", "method", "process", "unit", "size"),
    "Time of a batch of up to this size, from leaving to coming back, as an API process has learned it.",
    across="max",
)
"""This and the next two come from the dispatchers when somebody scrapes, and end with their process."""
BATCH_CAP = Family(
    "tiffin_batch_cap",
    "gauge",
    ("service", "runner", "method", "process", "unit"),
    "Size of the largest batch that an API process finds worth sending.",
    across="max",
)
BATCH_HOLDS = Family(
    "tiffin_batch_holds_total",
    "counter",
    ("service", "runner", "method", "process", "reason"),
    "Times that rows waited for more although a worker was idle, by why.",
)
SHED = Family(
    "tiffin_shed_total",
    "counter",
    ("service", "runner", "reason"),
    "Calls refused or dropped before they were computed.",
)
WORKER_UP = Family(
    "tiffin_worker_up",
    "gauge",
    ("service", "runner", "worker"),
    "1 while the worker is warm, 0 while it is not.",
    across="max",
)
WORKER_RESTARTS = Family(
    "tiffin_worker_restarts_total",
    "counter",
    ("service", "runner", "reason"),
    "Workers, and API processes as runner api, that ended without being told to, by how.",
)
WORKERS_WANTED = Family(
    "tiffin_workers_wanted",
    "gauge",
    ("service", "runner"),
    "Workers that the runner is to have: what is configured, or what its load calls for.",
    across="max",
)
SCALINGS = Family(
    "tiffin_scalings_total",
    "counter",
    ("service", "runner", "reason"),
    "Changes of the number of workers, by why.",
)
PROCESS_MEMORY = Family(
    "tiffin_process_memory_bytes",
    "gauge",
    ("process",),
    "Resident memory of a process, in bytes.",
    across="max",
)
"""Its cell holds the process's number: nobody measures before somebody asks."""
PEERS = Family(
    "tiffin_peers", "gauge", ("service",), "API processes of other containers that are connected to this one."
)
REFUSED = Family(
    "tiffin_refused_connections_total",
    "counter",
    ("service", "reason"),
    "Connections that a worker container refused, by why.",
)
REMOTE_WORKERS = Family(
    "tiffin_remote_workers",
    "gauge",
    ("service", "runner"),
    "Workers in other containers that an API process is connected to.",
    across="max",
)

FAMILIES = {
    family.name: family
    for family in (
        INFO,
        REQUESTS,
        REQUESTS_IN_FLIGHT,
        REQUEST_DURATION,
        UNAUTHORIZED,
        REQUEST_TALLY,
        LAST_REQUEST,
        QUEUE_ROWS,
        QUEUE_WAIT,
        BATCH_ROWS,
        BATCHES,
        MODEL_SECONDS,
        SIZE_TALLY,
        CALL_TALLY,
        BATCH_LEARNED,
        BATCH_CAP,
        BATCH_HOLDS,
        SHED,
        WORKER_UP,
        WORKER_RESTARTS,
        WORKERS_WANTED,
        SCALINGS,
        PROCESS_MEMORY,
        PEERS,
        REFUSED,
        REMOTE_WORKERS,
    )
}
