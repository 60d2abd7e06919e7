"""`inference.GRPCInferenceService`: the Open Inference Protocol, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ServingError
from ..http.routes import Route
from .call import Call
from .infer import Infer, InferRequest

if TYPE_CHECKING:
    from ..http.serving import Serving
    from ..protocols.endpoint import Endpoint

SERVICE = "inference.GRPCInferenceService"
MODEL_INFER = f"/{SERVICE}/ModelInfer"


class Inference:
    """ModelInfer."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._routes: dict[str, tuple[Route, Infer]] = {}

    async def model_infer(self, data: bytes, context: Any) -> bytes:
        call = Call(self._serving, context, MODEL_INFER)
        try:
            call.check("predict")
            request = InferRequest(data)
            asked = request.message
            endpoint = self._serving.endpoints.find(asked.model_name, asked.model_version)
            route, infer = self.route(endpoint)
        except ServingError as error:
            await call.refuse(error)
        head = call.head(route)
        head.decode = lambda _: infer.asked(request)
        call.compress()
        return await call.predict(head, data)

    def route(self, endpoint: Endpoint) -> tuple[Route, Infer]:
        known = self._routes.get(endpoint.name)
        if known is None:
            infer = Infer(endpoint)
            path = f"{MODEL_INFER}/{endpoint.name}"
            route = Route.for_endpoint(endpoint, path, infer, self._serving.state.metrics)
            known = self._routes[endpoint.name] = (route, infer)
        return known
