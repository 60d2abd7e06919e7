"""Requests for inference → plans; the same request with other numbers is recognised by its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from ...errors import MalformedInputError
from ..http.dialect import Dialect
from ..http.routes import Route
from . import wire
from .infer_plan import Plan
from .messages import message as message_of

if TYPE_CHECKING:
    from ..http.serving import Serving
    from ..protocols.endpoint import Endpoint
    from .wire import Span

ModelInferRequest = message_of("inference.ModelInferRequest")
_RAW_INPUTS = 7
"""Number of the field that holds the bytes of tensors."""
_LIMIT = 512
_LIMIT_BYTES = 4096
"""Of what is remembered of one request."""
_A_SIZE = 4
"""Different requests of one size that are remembered."""
_DIALECT = Dialect()

Literals = tuple[tuple[int, bytes], ...]
"""Bytes that must be at a place."""


class Plans:
    """Of one API process.

    Args:
        path: of the RPC; with the endpoint's name it is the label in metrics.
    """

    def __init__(self, serving: Serving, path: str) -> None:
        self._serving = serving
        self._path = path
        self._routes: dict[str, Route] = {}
        self._known: dict[int, list[tuple[Literals, Plan]]] = {}
        """By the size of the request."""

    def of(self, message: bytes) -> Plan:
        """
        Raises:
            MalformedInputError: it is no ModelInferRequest.
            UnknownModelError: there is no such endpoint.
            RequestError: whatever else is wrong with it but its tensors.
        """
        for literals, plan in self._known.get(len(message), ()):
            for at, expected in literals:
                if not message.startswith(expected, at):
                    break
            else:
                return plan
        rest, spans = wire.cut_out(message, _RAW_INPUTS)
        try:
            read = ModelInferRequest.FromString(rest)
        except DecodeError as error:
            raise MalformedInputError("the message is no inference.ModelInferRequest") from error
        endpoint = self._serving.endpoints.find(read.model_name, read.model_version)
        memory = self._serving.management.shared_memory
        plan = Plan(self._route(endpoint), endpoint, memory, read, spans)
        if spans and not plan.id:  # one with an id comes once only
            self._remember(message, spans, plan)
        return plan

    def _route(self, endpoint: Endpoint) -> Route:
        route = self._routes.get(endpoint.name)
        if route is None:
            path = f"{self._path}/{endpoint.name}"
            route = Route.for_endpoint(endpoint, path, _DIALECT, self._serving.state.metrics)
            self._routes[endpoint.name] = route
        return route

    def _remember(self, message: bytes, spans: list[Span], plan: Plan) -> None:
        """Everything around the tensors decides what a message means: their lengths are part of it."""
        begins = [0, *(end for _, end in spans)]
        ends = [*(begin for begin, _ in spans), len(message)]
        pieces = tuple((begin, message[begin:end]) for begin, end in zip(begins, ends, strict=True))
        literals = tuple(piece for piece in pieces if piece[1])
        if sum(len(expected) for _, expected in literals) > _LIMIT_BYTES:
            return
        if len(self._known) >= _LIMIT:
            self._known.clear()
        alike = self._known.setdefault(len(message), [])
        del alike[_A_SIZE - 1 :]
        alike.insert(0, (literals, plan))
        plan.lasting = True
