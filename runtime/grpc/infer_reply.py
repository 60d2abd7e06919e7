"""The reply to a request for inference: which outputs are wanted and how, and the writing of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import InvalidInputError
from ..http.dialect import Written
from ..protocols.oip.asked_outputs import check_output
from ..protocols.oip.binary import octets
from ..protocols.oip.classification import classified
from ..protocols.oip.places import REGION, region_of
from . import wire
from .messages import message
from .parameters import plain

if TYPE_CHECKING:
    from ..protocols.endpoint import Endpoint
    from ..protocols.oip.regions import Regions
    from ..protocols.tensor import Tensor

ModelInferResponse = message("inference.ModelInferResponse")
MEDIA_TYPE = "application/grpc"
FINAL = "triton_final_response"
_RAW_OUTPUTS = 6
_OF_STREAM = 2
"""Number of the field of ModelStreamInferResponse that holds the reply."""


class Wanted(NamedTuple):
    """How one output is to be sent."""

    best: int = 0
    """So many classes of the highest scores instead of the scores; 0: the tensor itself."""
    region: tuple[str, int, int] | None = None
    """Name, offset and size in bytes of the place in shared memory where it goes; None: in the reply."""


class Reply:
    """The same for all requests with the same outputs and id.

    Args:
        asked: ModelInferRequest.

    Raises:
        InvalidInputError: an output that there is not, is there twice, or is wanted in an impossible way.
    """

    def __init__(self, endpoint: Endpoint, asked: Any, regions: Regions) -> None:
        self._outputs = endpoint.outputs
        self._regions = regions
        self._wanted: dict[str, Wanted] = {}
        """By name, in their order; empty: every output as it is."""
        known = [spec.name for spec in endpoint.outputs.specs]
        for at, each in enumerate(asked.outputs):
            path = f"$.outputs[{at}]"
            check_output(each.name, known, self._wanted, path)
            self._wanted[each.name] = _wanted(plain(each.parameters), f"{path}.parameters")
        begin = ModelInferResponse(model_name=asked.model_name, model_version=endpoint.version, id=asked.id)
        self._begin: bytes = begin.SerializeToString()
        begin.parameters[FINAL].bool_param = endpoint.stream is False
        self._begin_in_stream: bytes = begin.SerializeToString()

    def write(self, value: Any) -> Written:
        """The reply for a result.

        Raises:
            InferenceError: it is not what its hint says.
            RequestError: it does not fit into the shared memory where it is wanted.
        """
        return Written(MEDIA_TYPE, b"".join([self._begin, *self._parts(value)]))

    def write_in_stream(self, value: Any) -> Written:
        """As one message of `ModelStreamInfer`, that tells whether more follow."""
        parts = self._parts(value)
        size = len(self._begin_in_stream) + sum(map(len, parts))
        return Written(MEDIA_TYPE, b"".join([wire.key(_OF_STREAM, size), self._begin_in_stream, *parts]))

    def _parts(self, value: Any) -> list[bytes | memoryview]:
        """Descriptions of the outputs, then their bytes, so that large ones are copied once."""
        tensors = self._outputs.tensors(value)
        if self._wanted:
            by_name = {tensor.name: tensor for tensor in tensors}
            return self._chosen([(by_name[name], wanted) for name, wanted in self._wanted.items()])
        parts: list[bytes | memoryview] = [_described(*tensor[:3]) for tensor in tensors]
        for tensor in tensors:
            data = octets(tensor)
            parts += (wire.key(_RAW_OUTPUTS, len(data)), data)
        return parts

    def _chosen(self, chosen: list[tuple[Tensor, Wanted]]) -> list[bytes | memoryview]:
        described: list[bytes | memoryview] = []
        raw: list[bytes | memoryview] = []
        for tensor, (best, region) in chosen:
            if best:
                tensor = classified(tensor, best, self._outputs.labels)  # noqa: PLW2901 - in its place
            data = octets(tensor)
            if region is None:
                described.append(_described(*tensor[:3]))
            else:
                described.append(self._put(tensor, region, data))
                data = b""  # one all the same: callers count by position
            raw += (wire.key(_RAW_OUTPUTS, len(data)), data)
        return described + raw

    def _put(self, tensor: Tensor, region: tuple[str, int, int], data: bytes | memoryview) -> bytes:
        """Writes an output where its caller looks for it."""
        name, offset, room = region
        self._regions.write(name, offset, room, data)
        reply = ModelInferResponse()
        output = reply.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        output.parameters["shared_memory_region"].string_param = name
        output.parameters["shared_memory_byte_size"].int64_param = len(data)
        if offset:
            output.parameters["shared_memory_offset"].int64_param = offset
        return bytes(reply.SerializeToString())


def final(name: str, version: str, request_id: str) -> bytes:
    """The last message to a request of `ModelStreamInfer`, without outputs."""
    reply = ModelInferResponse(model_name=name, model_version=version, id=request_id)
    reply.parameters[FINAL].bool_param = True
    body: bytes = reply.SerializeToString()
    return wire.key(_OF_STREAM, len(body)) + body


@lru_cache(maxsize=1024)
def _described(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    reply = ModelInferResponse()
    reply.outputs.add(name=name, datatype=datatype, shape=shape)
    return bytes(reply.SerializeToString())


def _wanted(parameters: dict[str, Any], path: str) -> Wanted:
    best = parameters.get("classification", 0)
    if type(best) is not int or best < 0 or ("classification" in parameters and not best):
        raise InvalidInputError(
            "classification must be how many classes are wanted, 1 or more", path=f"{path}.classification"
        )
    return Wanted(best, region_of(parameters, path) if REGION in parameters else None)
