"""What the models of a server have done so far, over all its API processes.

Made from what is counted anyway (`metrics.snapshot`) when somebody asks, so that requests do not pay for it:

- `success` and `fail` are requests for this model, whatever protocol they came by, from the last byte of the
  request to the answer; for a runner's method `success` is its calls, those that apis make too.
- `queue` is how long calls of runners waited for their batch to leave.
- `compute_infer` is how long the workers computed for them; each call counts the whole time of its batch. An
  api that calls no runner computes itself: all its time counts.
- `compute_output` is the way to the worker and back, which nobody tells apart; `compute_input` takes no time.

What is left of a request's time is the API process's own: reading, the api's code, writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ...http.dialect import NATIVE
from ...metrics import catalog

if TYPE_CHECKING:
    from ...http.routes import Route
    from ...metrics.snapshot import Table
    from ..endpoint import Endpoint

_RPC = re.compile(r"/(\w+(?:\.\w+)+)/(\w+)(?:/(.+))?")
"""Label of a call over gRPC: service, method, and what was asked for where that does not tell."""
_OWN_SERVICE = "tiffin.v1.Service"
"""Names apis, not endpoints."""
_COMMON = ("inference.", "grpc.", "tiffin.")
"""Packages of services that every server has."""
_CALLS = ("POST", "WEBSOCKET")
"""Methods of requests that call something."""


class Sums(NamedTuple):
    """Seconds and numbers of what one model did."""

    success: float = 0.0
    success_s: float = 0.0
    fail: float = 0.0
    fail_s: float = 0.0
    last_s: float = 0.0
    """Unix seconds."""
    calls: float = 0.0
    rows: float = 0.0
    batches: float = 0.0
    waited_s: float = 0.0
    model_s: float = 0.0
    way_s: float = 0.0


def model_statistics(table: Table, endpoint: Endpoint, labels: Iterable[str]) -> dict[str, Any]:
    """One entry of `model_stats`.

    Args:
        table: of all processes, `metrics.snapshot.read`.
        labels: routes whose requests were for this model, `labels_of`.
    """
    routes = frozenset(labels)
    sums = _of_requests(table, routes)
    if endpoint.runner is not None:
        sums = _of_method(table, sums, endpoint.runner.name, endpoint.method)
    else:
        sums = sums._replace(**_calls(table, lambda values: values[3] in routes))
        if not sums.calls:  # the api computes itself
            sums = sums._replace(
                calls=sums.success, rows=sums.success, batches=sums.success, model_s=sums.success_s
            )
    return _entry(endpoint, sums, _batch_stats(table, endpoint, routes))


def labels_of(
    endpoint: Endpoint, alike: Iterable[Endpoint], routes: Mapping[bytes, Route], table: Table
) -> set[str]:
    """The labels of all routes by which an endpoint was called, whatever the protocol.

    Args:
        alike: all endpoints; those of the same api or method are the same model under another name.
        routes: of the HTTP door, by path.
        table: has the labels that other processes and doors count by.
    """
    names = {
        each.name
        for each in alike
        if each.method == endpoint.method and each.api is endpoint.api and each.runner is endpoint.runner
    }

    def belongs(label: str) -> bool:
        route = routes.get(label.encode())
        if route is None:
            found = _RPC.fullmatch(label)
            return found is not None and _is_asked(endpoint, names, found)
        if route.dialect is NATIVE:
            return route.info is endpoint.api
        return route.name in names

    seen = {values[1] for values in table.get(catalog.REQUESTS.name, {})}
    seen |= {values[3] for values in table.get(catalog.CALL_TALLY.name, {})}
    return {label for label in seen if belongs(label)}


def _is_asked(endpoint: Endpoint, names: set[str], rpc: re.Match[str]) -> bool:
    service, method, asked = rpc.groups()
    if asked is None:  # `/iris.Iris/Classify`: a service of its own, with a method an api
        typed = endpoint.runner is None and not service.startswith(_COMMON)
        return typed and _letters(method) == _letters(endpoint.method)
    return asked == endpoint.method if service == _OWN_SERVICE else asked in names


def _letters(name: str) -> str:
    """`name_all` and `NameAll` are the same."""
    return name.replace("_", "").lower()


def _of_requests(table: Table, routes: frozenset[str]) -> Sums:
    answered = fail = duration_s = fail_s = last_s = 0.0
    for (_, route, method, code), (count,) in table.get(catalog.REQUESTS.name, {}).items():
        if route in routes and method in _CALLS:
            answered += count
            fail += count if int(code) >= catalog.FAILED else 0.0
    for (_, route), cells in table.get(catalog.REQUEST_DURATION.name, {}).items():
        duration_s += cells[-1] if route in routes else 0.0
    for (_, route), (seconds,) in table.get(catalog.REQUEST_TALLY.name, {}).items():
        fail_s += seconds if route in routes else 0.0
    for (_, route), (when,) in table.get(catalog.LAST_REQUEST.name, {}).items():
        last_s = max(last_s, when if route in routes else 0.0)
    return Sums(
        success=answered - fail,
        success_s=max(0.0, duration_s - fail_s),
        fail=fail,
        fail_s=fail_s,
        last_s=last_s,
    )


def _of_method(table: Table, direct: Sums, runner: str, method: str) -> Sums:
    """All calls of a runner's method, those that apis make too; of the failed, those asked for directly."""
    calls = _calls(table, lambda values: values[1:3] == (runner, method))
    sizes = table.get(catalog.SIZE_TALLY.name, {})
    calls["batches"] = sum(cells[0] for values, cells in sizes.items() if values[1:3] == (runner, method))
    return direct._replace(
        **calls,
        success=calls["calls"],
        success_s=calls["waited_s"] + calls["model_s"] + calls["way_s"],
    )


def _calls(table: Table, wanted: Callable[[tuple[str, ...]], bool]) -> dict[str, float]:
    rows = [cells for values, cells in table.get(catalog.CALL_TALLY.name, {}).items() if wanted(values)]
    names = ("calls", "rows", "batches", "waited_s", "model_s", "way_s")
    sums = [sum(column) for column in zip(*rows, strict=True)] or [0.0] * len(names)
    return dict(zip(names, sums, strict=True))


def _batch_stats(table: Table, endpoint: Endpoint, routes: frozenset[str]) -> list[dict[str, Any]]:
    """Batches by their rows: of the method, or of those that the api has called, whoever shared them."""
    called = {values[1:3] for values in table.get(catalog.CALL_TALLY.name, {}) if values[3] in routes}
    if endpoint.runner is not None:
        called = {(endpoint.runner.name, endpoint.method)}
    sizes: dict[int, list[float]] = {}
    for (_, runner, method, size), cells in table.get(catalog.SIZE_TALLY.name, {}).items():
        if (runner, method) in called:
            had = sizes.get(int(size), [0.0] * len(cells))
            sizes[int(size)] = [sum(pair) for pair in zip(had, cells, strict=True)]
    return [
        {
            "batch_size": size,
            "compute_input": _duration(batches, 0.0),
            "compute_infer": _duration(batches, model_s),
            "compute_output": _duration(batches, way_s),
        }
        for size, (batches, model_s, way_s) in sorted(sizes.items())
    ]


def _entry(endpoint: Endpoint, sums: Sums, batch_stats: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "version": endpoint.version,
        "last_inference": int(sums.last_s * 1000),
        "inference_count": int(sums.rows),
        "execution_count": int(sums.batches),
        "inference_stats": {
            "success": _duration(sums.success, sums.success_s),
            "fail": _duration(sums.fail, sums.fail_s),
            "queue": _duration(sums.calls, sums.waited_s),
            "compute_input": _duration(sums.calls, 0.0),
            "compute_infer": _duration(sums.calls, sums.model_s),
            "compute_output": _duration(sums.calls, sums.way_s),
            "cache_hit": _duration(0, 0.0),
            "cache_miss": _duration(0, 0.0),
        },
        "response_stats": {},
        "batch_stats": batch_stats,
        "memory_usage": [],
    }


def _duration(count: float, seconds: float) -> dict[str, int]:
    return {"count": int(count), "ns": round(max(0.0, seconds) * 1e9)}
