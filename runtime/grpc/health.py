"""`grpc.health.v1.Health`: what load balancers and orchestrators ask. Open without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from ...errors import MalformedInputError, NotFoundRouteError
from ..protocols.oip.health import model_readiness, server_readiness
from ..protocols.oip.pages import OPEN
from .call import Call
from .code import Code
from .context import Rpc, ServerStream, Unary
from .messages import POOL, message
from .question import Question
from .status import CallEndedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.serving import Serving
    from .context import Context

SERVICE = "grpc.health.v1.Health"
HealthCheckRequest = message("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = message("grpc.health.v1.HealthCheckResponse")
SERVING, NOT_SERVING, SERVICE_UNKNOWN = (
    POOL.FindEnumTypeByName("grpc.health.v1.HealthCheckResponse.ServingStatus").values_by_name[name].number
    for name in ("SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
)


class Health:
    """
    Args:
        services: names that stand for the whole server, besides none; those of models stand for the model.
    """

    def __init__(self, serving: Serving, services: Iterable[str]) -> None:
        self._serving = serving
        self._services = frozenset((*services, ""))

    def rpcs(self) -> dict[str, Rpc]:
        check = Question(self._serving, f"/{SERVICE}/Check", HealthCheckRequest, self._check)
        return {
            f"/{SERVICE}/Check": Unary(check.serve, OPEN),
            f"/{SERVICE}/Watch": ServerStream(self._watch, OPEN),
        }

    def _check(self, request: Any) -> Any:
        status = self._status(request.service)
        if status == SERVICE_UNKNOWN:
            raise NotFoundRouteError(f"unknown service {request.service[:200]!r}")
        return HealthCheckResponse(status=status)

    async def _watch(self, data: bytes, context: Context) -> None:
        """The status now, and every other one as it comes, until the caller has enough."""
        try:
            name = HealthCheckRequest.FromString(data).service
        except DecodeError:
            error = MalformedInputError("the message is no grpc.health.v1.HealthCheckRequest")
            raise Call(self._serving, context).refused(error) from None
        state, told = self._serving.state, None
        while True:
            change = state.changes.next()
            if state.draining and state.ready:  # another process has taken over: nothing has changed
                raise CallEndedError(Code.UNAVAILABLE, "this process is stopping: ask again")
            status = self._status(name)
            if status != told:
                told = status
                await context.write(bytes(HealthCheckResponse(status=status).SerializeToString()))
            if state.draining:
                return
            await change.wait()

    def _status(self, name: str) -> int:
        state = self._serving.state
        if name in self._services:
            readiness = server_readiness(state)
        else:
            known = {endpoint.name: endpoint for endpoint in self._serving.endpoints.all}
            if name not in known:
                return int(SERVICE_UNKNOWN)
            readiness = model_readiness(state, known[name])
        return int(SERVING if readiness.ready else NOT_SERVING)
