"""The routes of a platform: thin, in front of the same predictions and the same health as ever."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec

from ...errors import NotFoundRouteError, RequestError
from ..auth.tokens import PREDICT
from ..platforms.detect import by_name
from ..protocols.instances_dialect import with_instances
from ..protocols.json_calls import JsonCalls
from ..schema.media import JSON
from . import problem
from .asgi import AsgiPrediction
from .entrance import authorization
from .health import health
from .target import VARIABLE, Targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..service.context import RequestContext
    from .app import AsgiApp, Receive, Scope, Send
    from .exchange import Headers
    from .routes import Route
    from .serving import Serving
    from .state import ServerState

logger = logging.getLogger("tiffin.http")

_READ = ("GET", "HEAD")


class PlatformRoutes:
    """What the platform asks of one API process.

    Args:
        environ: of the process: a platform says there what it wants.

    Raises:
        ConfigError: it makes no sense, or names an api that does not exist.
    """

    def __init__(self, state: ServerState, serving: Serving, environ: Mapping[str, str] = os.environ) -> None:
        self._state = state
        self._serving = serving
        platform = by_name(state.options.platform)
        self.routes = routes = platform.routes(environ)
        self.targets = Targets(serving.table, environ.get(VARIABLE, ""))
        self.header = routes.api_header.encode("ascii")
        by_path = serving.table.by_path
        self._rows: dict[str, Route] = {}
        for path in routes.instances:
            by_path.pop(path.encode("ascii"), None)  # an api of the same path answers such bodies here
            if self.targets.default is not None and path not in routes.health:
                by_path[path.encode("ascii")] = self._with_rows(self.targets.default)
        for path in routes.predict:
            # Nothing can name another api: predictions are answered on the short way.
            if self.targets.default is not None and (not self.header or len(serving.table.routes) == 1):
                by_path.setdefault(path.encode("ascii"), self.targets.default)
        self.paths = frozenset((*routes.health, *routes.predict, *routes.instances, *routes.documents))
        for path in (*routes.predict, *routes.instances):
            if self.targets.default is not None:
                logger.info("%s of %s goes to api %s", path, platform.title, self.targets.default.name)
            else:
                logger.warning(
                    "%s of %s could be any of several apis: set %s", path, platform.title, VARIABLE
                )

    def target(self, scope: Scope) -> Route:
        """The api that a request on one of the platform's paths is for.

        Raises:
            NotFoundRouteError: nothing says which.
        """
        attributes = dict(scope["headers"]).get(self.header, b"") if self.header else b""
        return self.targets.of(attributes, scope["path"])

    def pages(self, otherwise: AsgiApp) -> AsgiApp:
        """Answers what is no prediction, and leaves the rest to `otherwise`."""
        state, routes = self._state, self.routes
        limit_bytes = state.options.max_body_bytes
        apis = [
            api if limit_bytes is None else msgspec.structs.replace(api, max_body_bytes=limit_bytes)
            for api in state.spec.apis
        ]
        spec = msgspec.structs.replace(state.spec, apis=apis)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            path, reads = scope.get("path", ""), scope.get("method") in _READ
            if path in routes.health and reads:
                ready, document = health(state)
                await _reply(scope, send, 200 if ready else 503, JSON, document)
            elif path in routes.documents and reads:
                if await self._turned_away(scope, send):
                    return
                await _reply(scope, send, 200, JSON, msgspec.json.encode(routes.documents[path](spec)))
            elif path in routes.predict or path in routes.instances:
                await self._refuse(scope, send)
            else:
                await otherwise(scope, receive, send)

        return answer

    def predictions(self, otherwise: AsgiApp) -> AsgiApp:
        """Answers predictions whose api is known, and leaves the rest to `otherwise`."""
        routes, serving = self.routes, self._serving

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if path not in routes.predict and path not in routes.instances:
                return await otherwise(scope, receive, send)
            try:
                route = self.target(scope)
            except NotFoundRouteError:
                return await otherwise(scope, receive, send)
            if path in routes.instances:
                route = self._with_rows(route)
            return await AsgiPrediction(serving, route, scope, send).serve(receive)

        return answer

    def _with_rows(self, route: Route) -> Route:
        """The same api, for bodies that may be instances."""
        made = self._rows.get(route.name)
        if made is None:
            endpoint = self._serving.endpoints.find(f"{self._state.info.name}.{route.name}")
            made = self._rows[route.name] = with_instances(route, JsonCalls(endpoint, self._serving))
        return made

    async def _turned_away(self, scope: Scope, send: Send) -> bool:
        """Answers callers without a token for predictions."""
        if self._serving.guard is None:
            return False
        context: RequestContext = scope["state"]["tiffin_context"]
        try:
            self._serving.guard.check(authorization(scope["headers"]), PREDICT)
        except RequestError as error:
            report = problem.problem(error, instance=scope["path"], request_id=context.id)
            await _reply(scope, send, report.status, problem.MEDIA_TYPE, report.body, more=report.headers)
            return True
        return False

    async def _refuse(self, scope: Scope, send: Send) -> None:
        """A prediction for nobody knows which api."""
        if await self._turned_away(scope, send):
            return
        context: RequestContext = scope["state"]["tiffin_context"]
        try:
            self.target(scope)
        except NotFoundRouteError as error:
            report = problem.problem(error, instance=scope["path"], request_id=context.id)
            await _reply(scope, send, report.status, problem.MEDIA_TYPE, report.body)


async def _reply(
    scope: Scope, send: Send, status: int, media_type: str, body: bytes, *, more: Headers = ()
) -> None:
    headers = [
        *more,
        (b"content-type", media_type.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    data = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": data, "more_body": False})
