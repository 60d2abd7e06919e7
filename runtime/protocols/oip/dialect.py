"""How the Open Inference Protocol words things over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...http.dialect import Dialect
from ...http.head import Head
from ...schema.media import JSON
from ..errors import error_body
from .head import InferHead
from .infer import Infer

if TYPE_CHECKING:
    from ...http.head import RawHeaders
    from ...http.problem import Problem
    from ...http.routes import Route
    from ..endpoint import Endpoint
    from .regions import Regions


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
