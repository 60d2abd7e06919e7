"""Litestar's routes. Imports Litestar, so nothing but `create_app` imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from litestar import HttpMethod, Litestar, Request, Response, route
from litestar.exceptions import HTTPException

from ...errors import MalformedInputError, MethodNotAllowedError, RequestError
from ..auth.tokens import MANAGE, METRICS, PREDICT
from ..metrics.exposition import render
from ..schema.media import JSON, choose
from ..service.context import RequestContext
from ..service.reserved import PATHS
from . import explanation, problem
from .entrance import OPEN, SCOPE, authorization, check_handler
from .health import health
from .learned import learned
from .pages import BATCHING, CONTENT_SECURITY_POLICY, DESCRIPTION, FILES, PAGE, PAGES, asset, describe, page
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
    guard = serving.guard
    read = [HttpMethod.GET, HttpMethod.HEAD]
    opened, metered = {SCOPE: OPEN}, {SCOPE: METRICS}

    @route("/livez", http_method=read, opt=opened, sync_to_thread=False)
    def livez() -> Answer:
        return Answer(b'{"live":true}', JSON, _NO_STORE)

    @route(["/readyz", "/healthz"], http_method=read, opt=opened, sync_to_thread=False)
    def readyz() -> Answer:
        ready, document = health(state)
        return Answer(document, JSON, _NO_STORE, 200 if ready else 503)

    @route("/metrics", http_method=read, opt=metered)
    async def metrics(request: AnyRequest) -> Answer:
        processes, _ = await explanation.everybody(serving)
        told = learned(state.spec.name, processes)
        page, media_type = await asyncio.to_thread(
            render, state.run_folder, request.headers.get("accept", ""), told
        )
        return Answer(page, media_type)

    @route("/schema", http_method=read, sync_to_thread=False)
    def schema_json() -> Answer:
        return Answer(schema.json(), JSON)

    @route("/schema.yaml", http_method=read, sync_to_thread=False)
    def schema_yaml() -> Answer:
        return Answer(schema.yaml(), "application/yaml")

    @route(DESCRIPTION, http_method=read, sync_to_thread=False)
    def description() -> Answer:
        return Answer(describe(state, serving.table, schema.document()), JSON)

    @route(BATCHING, http_method=read, opt=opened)
    async def batching(request: AnyRequest) -> Answer:
        if choose(request.headers.get("accept", ""), (JSON, "text/html")) != JSON:
            return Answer(page(BATCHING), PAGE, {**_PAGE_HEADERS, "vary": "accept"})
        if guard is not None:
            guard.check(authorization(request.scope["headers"]), MANAGE)
        document = await explanation.of_server(serving, request.query_params.get("process", ""))
        return Answer(document, JSON, {**_NO_STORE, "vary": "accept"})

    # Pages and their files are the same for every service; what they show they ask for, with a token.
    @route([path for path in PAGES if path != BATCHING], http_method=read, opt=opened, sync_to_thread=False)
    def pages(request: AnyRequest) -> Answer:
        return Answer(page(request.scope["path"]), PAGE, _PAGE_HEADERS)

    @route(list(FILES), http_method=read, opt=opened, sync_to_thread=False)
    def assets(request: AnyRequest) -> Answer:
        body, media_type = asset(request.scope["path"])
        return Answer(body, media_type, _PAGE_HEADERS)

    def refuse(request: AnyRequest, error: Exception) -> Answer:
        return _refuse(request, error, serving)

    return Litestar(
        route_handlers=[
            livez,
            readyz,
            metrics,
            schema_json,
            schema_yaml,
            description,
            batching,
            pages,
            assets,
        ],
        guards=[] if guard is None else [partial(check_handler, guard)],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        openapi_config=None,
        logging_config=None,
        on_startup=[serving.open],
        on_shutdown=[serving.mounts.close, serving.close],
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
    if status in (404, 405) and serving.guard is not None:
        try:  # strangers do not learn which routes there are
            serving.guard.check(authorization(request.scope["headers"]), PREDICT)
        except RequestError as refused:
            error, status = refused, refused.status
    if status == 404:
        error = serving.table.not_found(path, PATHS)
    elif status == 405:
        error = MethodNotAllowedError(f"{path} takes GET, not {request.method[:20]}")
    elif 400 <= status < 500 and isinstance(error, HTTPException):  # a host that is none
        error = MalformedInputError(error.detail)
    report = problem.problem(error, instance=path, request_id=context.id)
    if report.status >= 500:
        problem.log_failure(error, route=path, request_id=context.id, trace_id=context.trace_id)
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in report.headers}
    if status == 405:
        headers["allow"] = "GET, HEAD"
    return Answer(report.body, problem.MEDIA_TYPE, headers, report.status)
