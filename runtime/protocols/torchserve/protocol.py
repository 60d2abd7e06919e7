"""TorchServe's REST API: predictions, health, and what there is; all on the same port."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from ....errors import MalformedInputError, MethodNotAllowedError, NotFoundRouteError
from ...http.routes import Route
from ..endpoint import VERSION, Endpoint
from ..json_calls import JsonCalls
from ..oip.unsupported import UnsupportedError
from ..page import answer
from ..protocol import Protocol
from .dialect import TorchServeDialect
from .errors import error_body

if TYPE_CHECKING:
    from ...http.app import Receive, Scope, Send

PREDICTIONS, PING, MODELS, EXPLANATIONS = "/predictions", "/ping", "/models", "/explanations"
_NAMED = re.compile(r"/(?:predictions|explanations|models)/(?P<model>[^/]+)(?:/(?P<version>[^/]+))?")
_VERSIONS = ("", VERSION, "1.0", "all")
"""That a description may be asked for. A model archive calls its first version 1.0."""


class TorchServe(Protocol):
    trees = (PREDICTIONS, PING, MODELS, EXPLANATIONS)

    def routes(self) -> Iterable[Route]:
        serving = self.serving
        mounts = tuple(f"{mount.path}/" for mount in serving.state.info.mounts.values())
        for endpoint in serving.endpoints.all:
            path = f"{PREDICTIONS}/{endpoint.name}"
            if path.startswith(mounts):
                continue  # the user's own application has them
            calls = JsonCalls(endpoint, serving)
            paths = [f"{path}{version}" for version in ("", f"/{VERSION}", "/1.0")]
            for route in calls.routes(paths, TorchServeDialect(calls), serving.state.metrics):
                if endpoint.stream:
                    route.call, route.stream = endpoint.call, True
                yield route

    def label(self, path: str) -> str:
        tree = "/" + path[1:].partition("/")[0]
        return tree if path == tree else f"{tree}/{{model}}"

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - reads nothing
        is_open = scope["path"] == PING
        await answer(self.serving, scope, send, lambda: self._page(scope), error_body, is_open=is_open)

    def _page(self, scope: Scope) -> tuple[int, Any]:
        path: str = scope["path"]
        if path == PING:
            ready = self.serving.state.ready
            return (200, {"status": "Healthy"}) if ready else (503, {"status": "Unhealthy"})
        if path.startswith(MODELS) and scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowedError(
                "models are not registered, scaled or removed here: what a server serves is its bundle"
            )
        if path == MODELS:
            return 200, self._list(scope.get("query_string", b"").decode("latin-1"))
        found = _NAMED.fullmatch(path)
        if found is None:
            raise NotFoundRouteError(f"no route {path[:200]!r}: {PREDICTIONS}/<model> takes POST")
        return self._of_model(path, unquote(found["model"]), found["version"] or "")

    def _of_model(self, path: str, name: str, version: str) -> tuple[int, Any]:
        is_description = path.startswith(f"{MODELS}/")
        known = version in _VERSIONS if is_description else version in ("", VERSION, "1.0")
        endpoint = self.serving.endpoints.find(name, "" if known else version)
        if is_description:
            return 200, [self._described(endpoint)]
        if path.startswith(EXPLANATIONS):
            raise UnsupportedError("explanations are not served: write an api that explains, and call that")
        raise MethodNotAllowedError(f"{path[:200]} takes POST and PUT")

    def _list(self, query: str) -> dict[str, Any]:
        """A page of the names, as `limit` and `next_page_token` say."""
        given = parse_qs(query)
        limit, start = _whole(given, "limit", 100), _whole(given, "next_page_token", 0)
        names = [endpoint.name for endpoint in self.serving.endpoints.all]
        shown = [{"modelName": name, "modelUrl": self._url} for name in names[start : start + limit]]
        more = {"nextPageToken": str(start + limit)} if start + limit < len(names) else {}
        return {**more, "models": shown}

    @property
    def _url(self) -> str:
        return self.serving.state.options.title or self.serving.state.spec.name

    def _described(self, endpoint: Endpoint) -> dict[str, Any]:
        state = self.serving.state
        runners = [endpoint.runner.name] if endpoint.runner is not None else list(state.dispatchers)
        workers = sum(state.dispatchers[name].workers for name in runners)
        sizes = [runner.max_batch_size for runner in state.spec.runners if runner.name in runners]
        return {
            "modelName": endpoint.name,
            "modelVersion": VERSION,
            "modelUrl": self._url,
            "runtime": "python",
            "minWorkers": workers,
            "maxWorkers": workers,
            "batchSize": max(sizes, default=1),
            "maxBatchDelay": 0,
            "loadedAtStartup": True,
            "workers": [{"id": str(at), "status": "READY"} for at in range(workers)],
        }


def _whole(given: dict[str, list[str]], name: str, default: int) -> int:
    text = given.get(name, [str(default)])[0]
    if not text.isdigit() or len(text) > 9:
        raise MalformedInputError(f"{name} is {text[:40]!r}: give a whole number")
    return int(text)
