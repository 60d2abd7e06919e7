"""Inference on one endpoint: request → arguments and writer of the reply."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import RequestError
from ..http.dialect import Asked, Dialect, Written
from ..protocols.oip.binary import octets
from ..protocols.oip.classification import classified
from . import wire
from .messages import message

if TYPE_CHECKING:
    from ..protocols.endpoint import Endpoint
    from ..protocols.oip.regions import Regions
    from .infer_request import InferRequest, WantedOutput

ModelInferResponse = message("inference.ModelInferResponse")
_RAW_OUTPUTS = 6
_OF_STREAM = 2
"""Number of the field of ModelStreamInferResponse that holds the reply."""
MEDIA_TYPE = "application/grpc"
FINAL = "triton_final_response"

Mark = Callable[[Any], None]


class Infer(Dialect):
    """Compiled once for an endpoint.

    Args:
        regions: memory of callers.
    """

    def __init__(self, endpoint: Endpoint, regions: Regions) -> None:
        self._endpoint = endpoint
        self._regions = regions
        self._names = tuple(spec.name for spec in endpoint.outputs.specs)

    def asked(self, request: InferRequest) -> Asked:
        """For `ModelInfer`.

        Raises:
            RequestError: the inputs are not those of the endpoint.
        """
        return self._asked(request, self._written)

    def asked_in_stream(self, request: InferRequest) -> Asked:
        """For `ModelStreamInfer`: replies are wrapped, and tell whether another follows."""
        return self._asked(request, self._part if self._endpoint.stream else self._whole)

    def _asked(self, request: InferRequest, write: Callable[..., Any]) -> Asked:
        try:
            wanted = request.outputs(self._names)
            tensors = request.tensors(self._regions)
            arguments = self._endpoint.inputs.arguments(tensors, request.parameters)
            timeout_s = request.timeout_s
        except RequestError as error:
            if request.id:  # the caller finds its request again
                error.args = (f"[request id: {request.id[:200]}] {error.message}",)
            raise
        reply = partial(
            ModelInferResponse,
            model_name=request.model_name,
            model_version=self._endpoint.version,
            id=request.id,
        )
        return Asked(arguments, partial(write, reply, wanted), timeout_s)

    def _written(self, reply: Callable[[], Any], wanted: list[WantedOutput], value: Any) -> Written:
        return Written(MEDIA_TYPE, b"".join(self._parts(reply(), wanted, value)))

    def _whole(self, reply: Callable[[], Any], wanted: list[WantedOutput], value: Any) -> Written:
        """The only reply to a request."""
        made = reply()
        made.parameters[FINAL].bool_param = True
        return Written(MEDIA_TYPE, _wrapped(self._parts(made, wanted, value)))

    def _part(self, reply: Callable[[], Any], wanted: list[WantedOutput], value: Any) -> bytes:
        """One item of a stream."""
        made = reply()
        made.parameters[FINAL].bool_param = False
        return _wrapped(self._parts(made, wanted, value))

    def _parts(self, reply: Any, wanted: list[WantedOutput], value: Any) -> list[bytes | memoryview]:
        """The bytes of the reply. Those of tensors go behind the rest, so that large ones are copied once."""
        tensors = {tensor.name: tensor for tensor in self._endpoint.outputs.tensors(value)}
        raw: list[bytes | memoryview] = []
        for name, best, region in wanted:
            tensor = tensors[name]
            if best:
                tensor = classified(tensor, best, self._endpoint.outputs.labels)
            output = reply.outputs.add(name=name, datatype=tensor.datatype, shape=tensor.shape)
            data = octets(tensor)
            if region is not None:
                data = self._put(output, region, data)
            raw += (wire.key(_RAW_OUTPUTS, len(data)), data)
        return [reply.SerializeToString(), *raw]

    def _put(self, output: Any, region: tuple[str, int, int], data: bytes | memoryview) -> bytes:
        """Writes an output where its caller looks for it; in the reply it is empty."""
        name, offset, room = region
        self._regions.write(name, offset, room, data)
        output.parameters["shared_memory_region"].string_param = name
        output.parameters["shared_memory_byte_size"].int64_param = len(data)
        if offset:
            output.parameters["shared_memory_offset"].int64_param = offset
        return b""


def _wrapped(parts: list[bytes | memoryview]) -> bytes:
    """As the field of a ModelStreamInferResponse."""
    return b"".join((wire.key(_OF_STREAM, sum(map(len, parts))), *parts))
