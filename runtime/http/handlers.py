"""Litestar's routes. Imports Litestar, so nothing but `create_app` imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from litestar import HttpMethod, Litestar, Request, Response, route
from litestar.exceptions import HTTPException

from ...errors import MethodNotAllowedError
from ..metrics.exposition import render
from ..service.context import RequestContext
from ..service.reserved import PATHS
from . import problem
from .health import health
from .pages import CONTENT_SECURITY_POLICY, DESCRIPTION, FILES, asset, describe
from .schema import Schema
from .serving import Serving
from .state import ServerState

AnyRequest = Request[Any, Any, Any]


class Answer(Response[bytes]):
    """Bytes with exactly this media type: Litestar itself adds a charset to every `text/…`, also a second."""

    def __init__(
        self,
        body: bytes,
        media_type: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        status: int = 200,
    ) -> None:
        super().__init__(
            body, status_code=status, media_type=media_type, headers={**headers, "content-type": media_type}
        )


def litestar_app(state: ServerState, serving: Serving) -> Any:
    """Handlers read `state` at each call: `ready` and `draining` change."""
    schema = Schema(state)
    read = [HttpMethod.GET, HttpMethod.HEAD]

    @route("/livez", http_method=read, sync_to_thread=False)
    def livez() -> Answer:
        return Answer(b'{"live":true}', "application/json", _NO_STORE)

    @route(["/readyz", "/healthz"], http_method=read, sync_to_thread=False)
    def readyz() -> Answer:
        ready, document = health(state)
        return Answer(document, "application/json", _NO_STORE, 200 if ready else 503)

    @route("/metrics", http_method=read)
    async def metrics(request: AnyRequest) -> Answer:
        page, media_type = await asyncio.to_thread(
            render, state.run_folder, request.headers.get("accept", "")
        )
        return Answer(page, media_type)

    @route("/schema", http_method=read, sync_to_thread=False)
    def schema_json() -> Answer:
        return Answer(schema.json(), "application/json")

    @route("/schema.yaml", http_method=read, sync_to_thread=False)
    def schema_yaml() -> Answer:
        return Answer(schema.yaml(), "application/yaml")

    @route(DESCRIPTION, http_method=read, sync_to_thread=False)
    def description() -> Answer:
        return Answer(describe(state, serving.table, schema.document()), "application/json")

    @route(list(FILES), http_method=read, sync_to_thread=False)
    def pages(request: AnyRequest) -> Answer:
        body, media_type = asset(request.scope["path"])
        return Answer(body, media_type, _PAGE_HEADERS)

    def refuse(request: AnyRequest, error: Exception) -> Answer:
        return _refuse(request, error, serving)

    return Litestar(
        route_handlers=[livez, readyz, metrics, schema_json, schema_yaml, description, pages],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        openapi_config=None,
        logging_config=None,
        on_shutdown=[serving.close],
        debug=False,
    )


_NO_STORE = {"cache-control": "no-store"}
_PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def _refuse(request: AnyRequest, error: Exception, serving: Serving) -> Answer:
    path = request.scope["path"]
    status = getattr(error, "status_code", 500)
    context: RequestContext = request.scope["state"]["tiffin_context"]
    if status == 404:
        error = serving.table.not_found(path, PATHS)
    elif status == 405:
        error = MethodNotAllowedError(f"{path} takes GET, not {request.method[:20]}")
    report = problem.problem(error, instance=path, request_id=context.id)
    if report.status >= 500:
        problem.log_failure(error, route=path, request_id=context.id, trace_id=context.trace_id)
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in report.headers}
    if status == 405:
        headers["allow"] = "GET, HEAD"
    return Answer(report.body, problem.MEDIA_TYPE, headers, report.status)
