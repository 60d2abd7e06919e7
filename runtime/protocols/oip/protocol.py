"""The Open Inference Protocol, version 2, over HTTP: everything below `/v2`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...http.routes import Route
from ..protocol import Protocol
from .dialect import OpenInferenceDialect
from .face import Face
from .generate import generate_routes

if TYPE_CHECKING:
    from ...http.app import Receive, Scope, Send
    from ...http.serving import Serving


class OpenInference(Protocol):
    trees = ("/v2",)

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._face = Face(serving, serving.management)

    def routes(self) -> Iterable[Route]:
        state = self.serving.state
        for endpoint in self.serving.endpoints.all:
            dialect = OpenInferenceDialect(endpoint, self.serving.management.shared_memory)
            for version in ("", f"/versions/{endpoint.version}"):
                path = f"/v2/models/{endpoint.name}{version}/infer"
                yield Route.for_endpoint(endpoint, path, dialect, state.metrics)
            yield from generate_routes(self.serving, endpoint)

    def label(self, path: str) -> str:
        return self._face.label(path)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._face.serve(scope, receive, send)
