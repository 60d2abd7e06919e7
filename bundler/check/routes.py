"""Calls every route of a service as a server would, without a socket and without workers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import ServerError
from ...runtime.http.asgi import PredictionApp
from ...runtime.http.state import ServerState
from ...runtime.metrics.metrics import Metrics
from ...runtime.model.recorded import Recorded
from ...runtime.schema.media import JSON
from ...runtime.service.hooks import READY, START, STOP, run_hooks
from ...runtime.service.service import ServiceInfo
from ...runtime.supervisor.control import ServerOptions
from .called import FAILED, Called
from .route_request import request_of

TIMEOUT_S = 300.0
"""Of a request; the first one loads the models."""


def call_routes(
    info: ServiceInfo,
    requests: Mapping[str, str],
    examples: Sequence[Recorded],
    *,
    twice: bool = False,
) -> list[Called]:
    """Makes the service object, runs its hooks, and calls each route once.

    Args:
        info: of the service, which was imported; its runners work in this process.
        requests: route to body, each as it was sent before; others are made.
        examples: recorded with the models, to make requests of.
        twice: call again, to see whether the answer is another each time.
    """
    made = {
        api.route: requests.get(api.route) or request_of(api.inputs, examples) or ""
        for api in info.apis.values()
    }
    return asyncio.run(_call_all(info, made, twice=twice))


async def _call_all(info: ServiceInfo, requests: dict[str, str], *, twice: bool) -> list[Called]:
    with (
        tempfile.TemporaryDirectory(prefix="tiffin-check-") as folder,
        Metrics.open(Path(folder), "check", info.name) as metrics,
    ):
        try:
            instance = info.cls()
            for phase in (START, READY):
                await run_hooks(instance, info, phase)
        except Exception as error:  # noqa: BLE001 - the user's code: a database that is not here, for instance
            reason = f"the service does not start here: {type(error).__name__}: {error}"
            return [
                Called(route=route, request=request, reason=reason) for route, request in requests.items()
            ]
        state = ServerState(
            info=info,
            spec=info.spec(),
            options=ServerOptions(access_log=False, timeout_s=TIMEOUT_S),
            instance=instance,
            dispatchers={},
            metrics=metrics,
            run_folder=Path(folder),
            generation=1,
            ready=True,
        )
        app = PredictionApp(state, _nobody)
        try:
            return [await _called(app, route, request, twice=twice) for route, request in requests.items()]
        finally:
            if state.serving is not None:
                state.serving.close()
            with suppress(ServerError):  # it is in the log, and the answers are there
                await run_hooks(instance, info, STOP)


async def _called(app: PredictionApp, route: str, request: str, *, twice: bool) -> Called:
    if not request:
        return Called(route=route, reason="no example could be made for its inputs")
    found = await _call(app, route, request)
    if twice and found.status < FAILED:  # a problem has the id of its request
        found.steady = await _call(app, route, request) == found
    return found


async def _call(app: PredictionApp, route: str, request: str) -> Called:
    found = Called(route=route, request=request)
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:  # the caller stays until the answer is there
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": request.encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.status = message["status"]
            types = [value for name, value in message["headers"] if name == b"content-type"]
            found.media_type = types[0].decode("latin-1") if types else ""
        else:
            found.body += message.get("body", b"")

    scope = {
        "type": "http",
        "method": "POST",
        "path": route,
        "raw_path": route.encode("ascii"),
        "query_string": b"",
        "headers": [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(request.encode()))],
    }
    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - a stream that broke after its start
        found.status, found.body = 500, f"{type(error).__name__}: {error}".encode()
    return found


async def _nobody(scope: Any, *_: Any) -> None:
    raise LookupError(f"no route {scope['path']!r}")
