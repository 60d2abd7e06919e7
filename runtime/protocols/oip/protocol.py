"""The Open Inference Protocol, version 2, over HTTP: everything below `/v2`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from ....errors import NotFoundRouteError
from ...http.routes import Route
from ..protocol import Protocol
from .dialect import OpenInferenceDialect
from .shared_memory import SharedMemory

if TYPE_CHECKING:
    from ...http.app import Receive, Scope, Send
    from ...http.serving import Serving


class OpenInference(Protocol):
    trees = ("/v2",)

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        state = serving.state
        self.regions = SharedMemory(state.run_folder, allowed=state.options.client_shm)

    def routes(self) -> Iterable[Route]:
        state = self.serving.state
        for endpoint in self.serving.endpoints.all:
            dialect = OpenInferenceDialect(endpoint, self.regions)
            for version in ("", f"/versions/{endpoint.version}"):
                path = f"/v2/models/{endpoint.name}{version}/infer"
                yield Route.for_endpoint(endpoint, path, dialect, state.metrics)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - reads nothing
        error = NotFoundRouteError(f"no route {scope['path'][:200]!r}")
        body = msgspec.json.encode({"error": str(error)})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
