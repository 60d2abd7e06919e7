"""Version 1: the REST API of TensorFlow Serving and of KServe, everything below `/v1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from ....errors import MethodNotAllowedError, NotFoundRouteError
from ...http.routes import Route
from ..endpoint import VERSION, Endpoint
from ..endpoints import UnknownModelError
from ..errors import error_body
from ..json_calls import JsonCalls
from ..oip.unsupported import UnsupportedError
from ..page import answer
from ..protocol import Protocol
from .dialect import V1Dialect
from .examples import Examples, classes, number
from .metadata import metadata
from .predict import DEFAULT, Predict

if TYPE_CHECKING:
    from ...http.app import Receive, Scope, Send
    from ...http.dialect import Asked
    from ...http.serving import Serving

MODELS = "/v1/models"
VERBS = ("predict", "classify", "regress")
_PATH = re.compile(
    r"/v1/models/(?P<model>[^/:]+)"
    r"(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<metadata>/metadata)?(?::(?P<verb>[a-z]+))?"
)


class _Page(NamedTuple):
    endpoint: Endpoint
    metadata: bool


class V1(Protocol):
    trees = ("/v1",)

    def __init__(self, serving: Serving) -> None:
        super().__init__(serving)
        self._calls = {endpoint.name: JsonCalls(endpoint, serving) for endpoint in serving.endpoints.all}

    def routes(self) -> Iterable[Route]:
        metrics = self.serving.state.metrics
        for name, calls in self._calls.items():
            signatures = self._signatures(calls)
            readers: tuple[Callable[[bytes], Asked], ...] = (
                Predict(signatures),
                Examples(signatures, classes),
                Examples(signatures, number),
            )
            for verb, read in zip(VERBS, readers, strict=True):
                paths = (f"{MODELS}/{name}{version}:{verb}" for version in ("", f"/versions/{VERSION}"))
                yield from calls.routes(paths, V1Dialect(read), metrics)

    def _signatures(self, calls: JsonCalls) -> Mapping[str, JsonCalls]:
        """The default, and its own name."""
        return {DEFAULT: calls, calls.endpoint.method: calls}

    def label(self, path: str) -> str:
        found = _PATH.fullmatch(path)
        if path == MODELS:
            return path
        if found is None:
            return "/v1"
        return f"{MODELS}/{{model}}{'/metadata' if found['metadata'] else ''}"

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - reads nothing
        await answer(self.serving, scope, send, lambda: self._page(scope), error_body)

    def _page(self, scope: Scope) -> tuple[int, Any]:
        path: str = scope["path"]
        if path == MODELS:
            return 200, {"models": [endpoint.name for endpoint in self.serving.endpoints.all]}
        found = self._find(path)
        if found.metadata:
            return 200, metadata(found.endpoint)
        ready = self.serving.state.ready
        state = "AVAILABLE" if ready else "UNLOADING" if self.serving.state.draining else "LOADING"
        status = {"version": VERSION, "state": state, "status": {"error_code": "OK", "error_message": ""}}
        name = found.endpoint.name
        return 200 if ready else 503, {"name": name, "ready": ready, "model_version_status": [status]}

    def _find(self, path: str) -> _Page:
        found = _PATH.fullmatch(path)
        if found is None:
            raise NotFoundRouteError(f"no route {path[:200]!r} in version 1: {MODELS}/<model>:predict is one")
        name = unquote(found["model"])
        if found["label"]:
            raise UnknownModelError(
                f"model {name[:200]!r} has no version with a label; it has version {VERSION}"
            )
        endpoint = self.serving.endpoints.find(name, found["version"] or "")
        verb = found["verb"]
        if verb in VERBS:
            raise MethodNotAllowedError(f"{path[:200]} takes POST")
        if verb is not None:
            raise UnsupportedError(f"{verb!r} is not served: there are {', '.join(VERBS)}")
        return _Page(endpoint, found["metadata"] is not None)
