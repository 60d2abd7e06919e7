"""What a ModelInferRequest says, checked: where each tensor is, and how the reply is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError, RequestError
from ..http.dialect import Asked
from ..protocols.oip.timeout import timeout_s
from .infer_reply import Reply
from .infer_source import Source
from .parameters import plain

if TYPE_CHECKING:
    from ..http.routes import Route
    from ..protocols.endpoint import Endpoint
    from ..protocols.oip.regions import Regions
    from ..protocols.tensor import Tensor
    from ..schema.kind import Buffer
    from .wire import Span


class Plan:
    """One request, or all that differ from it in the bytes of their tensors only.

    Args:
        read: the message without its raw contents.
        spans: where in the message those are.

    Raises:
        RequestError: what can be known to be wrong before the tensors are read; with the path.
    """

    lasting = False
    """It is remembered for the next such request: nothing of this one's tensors is in it."""

    def __init__(
        self, route: Route, endpoint: Endpoint, regions: Regions, read: Any, spans: list[Span]
    ) -> None:
        self.route = route
        self.endpoint = endpoint
        self.model_name: str = read.model_name
        self.id: str = read.id
        self.parameters = plain(read.parameters)
        try:
            self._timeout_s = timeout_s(self.parameters)
            self._sources = [
                Source(given, f"$.inputs[{at}]", regions) for at, given in enumerate(read.inputs)
            ]
            _deal_out(self._sources, spans)
            self.reply = Reply(endpoint, read, regions)
        except RequestError as error:
            raise self._named(error) from error

    def asked(self, body: Buffer) -> Asked:
        """A request with this plan, for `ModelInfer`; raises RequestError."""
        return Asked(self._arguments(body), self.reply.write, self._timeout_s)

    def asked_in_stream(self, body: Buffer) -> Asked:
        """The same for `ModelStreamInfer`."""
        return Asked(self._arguments(body), self.reply.write_in_stream, self._timeout_s)

    def _arguments(self, message: Buffer) -> dict[str, Any]:
        try:
            tensors: list[Tensor] = [source.tensor(message) for source in self._sources]
            return self.endpoint.inputs.arguments(tensors, self.parameters)
        except RequestError as error:
            raise self._named(error) from error

    def _named(self, error: RequestError) -> RequestError:
        """The caller finds its request again by its id."""
        if self.id:
            return type(error)(f"[request id: {self.id[:200]}] {error.message}", path=error.path)
        return error


def _deal_out(sources: list[Source], spans: list[Span]) -> None:
    """Raw contents go to the inputs in their order, past those in shared memory."""
    if not spans:
        return
    waiting = iter(spans)
    for source in sources:
        if source.wants_raw:
            source.span = next(waiting, None)
            if source.span is None:
                raise InvalidInputError("raw_input_contents has none for this input", path=source.path)
        elif source.is_typed:
            raise InvalidInputError("contents and raw_input_contents exclude each other", path=source.path)
    if left := sum(1 for _ in waiting):
        raise InvalidInputError(f"{left} more than there are inputs", path="$.raw_input_contents")
