"""How the Open Inference Protocol words things over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...http import problem
from ...http.dialect import Dialect
from ...http.head import Head
from ...http.problem import Problem
from ...schema.media import JSON
from .head import InferHead
from .infer import Infer

if TYPE_CHECKING:
    from ...http.head import RawHeaders
    from ...http.routes import Route
    from ..endpoint import Endpoint
    from .regions import Regions

_BAD_REQUEST = frozenset({400, 406, 415, 422})
"""Told as 400, which is all that clients of this protocol know."""


class OpenInferenceDialect(Dialect):
    """Of one endpoint.

    Args:
        regions: shared memory of callers.
    """

    problem_type = JSON

    def __init__(self, endpoint: Endpoint, regions: Regions) -> None:
        self._infer = Infer(endpoint, regions)

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        return InferHead(self._infer, route, method, raw_headers, query)

    def problem(self, error: BaseException, *, instance: str, request_id: str) -> Problem:
        return error_body(error, instance=instance, request_id=request_id)


def error_body(error: BaseException, *, instance: str, request_id: str) -> Problem:
    """`{"error": text}`, and in the text where in the request it is."""
    report = problem.problem(error, instance=instance, request_id=request_id)
    document = msgspec.json.decode(report.body)
    text = document["detail"]
    if path := document.get("path"):
        text = f"{text} at {path}"
    status = 400 if report.status in _BAD_REQUEST else report.status
    return Problem(status, report.headers, msgspec.json.encode({"error": text}))
