"""Inference requests and replies as messages: what the Open Inference Protocol means by them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from ...errors import InvalidInputError, MalformedInputError
from ..http.dialect import Asked, Dialect, Written
from . import tensors, wire
from .messages import message

if TYPE_CHECKING:
    from ..protocols.endpoint import Endpoint
    from ..protocols.tensor import Tensor

ModelInferRequest = message("inference.ModelInferRequest")
ModelInferResponse = message("inference.ModelInferResponse")
_RAW_INPUTS = 7
_RAW_OUTPUTS = 6
"""Numbers of the fields that hold the bytes of tensors."""
_LARGE_BYTES = 16 * 1024
"""From here on it is cheaper to take tensors out of a message than to let the parser copy them."""


class InferRequest:
    """One message, read but for its tensors.

    Raises:
        MalformedInputError: it is no ModelInferRequest.
    """

    __slots__ = ("message", "raw")

    def __init__(self, data: bytes) -> None:
        raw: list[tensors.Raw] = []
        if len(data) >= _LARGE_BYTES:
            data, cut = wire.cut_out(data, _RAW_INPUTS)
            raw.extend(cut)
        try:
            self.message = ModelInferRequest.FromString(data)
        except DecodeError as error:
            raise MalformedInputError("the message is no inference.ModelInferRequest") from error
        self.raw: list[tensors.Raw] = raw or self.message.raw_input_contents

    def tensors(self) -> list[Tensor]:
        """Raises InvalidInputError with the path of what is wrong."""
        inputs = self.message.inputs
        raw = self.raw
        if not raw:
            return [tensors.typed_tensor(given, f"$.inputs[{at}]") for at, given in enumerate(inputs)]
        for at, given in enumerate(inputs):
            if given.HasField("contents"):
                raise InvalidInputError(
                    "contents and raw_input_contents exclude each other", path=f"$.inputs[{at}].contents"
                )
        if len(raw) != len(inputs):
            raise InvalidInputError(
                f"{len(inputs)} inputs need as many raw_input_contents, got {len(raw)}",
                path="$.raw_input_contents",
            )
        return [
            tensors.raw_tensor(given, data, f"$.inputs[{at}]")
            for at, (given, data) in enumerate(zip(inputs, raw, strict=True))
        ]

    def parameters(self) -> dict[str, Any]:
        return values(self.message.parameters)


def values(parameters: Any) -> dict[str, Any]:
    """A map of InferParameter as plain values; an empty one is passed over."""
    found = {}
    for name, parameter in parameters.items():
        which = parameter.WhichOneof("parameter_choice")
        if which is not None:
            found[name] = getattr(parameter, which)
    return found


class Infer(Dialect):
    """What is asked of one endpoint by such messages."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def asked(self, request: InferRequest) -> Asked:
        """The arguments and the writer of the reply.

        Raises:
            InvalidInputError: the inputs are not those of the endpoint.
        """
        arguments = self._endpoint.inputs.arguments(request.tensors(), request.parameters())
        asked = request.message
        return Asked(arguments, partial(self._write, asked.model_name, asked.id))

    def _write(self, name: str, request_id: str, value: Any) -> Written:
        reply = ModelInferResponse(model_name=name, model_version=self._endpoint.version, id=request_id)
        parts: list[tensors.Raw] = [b""]
        for tensor in self._endpoint.outputs.tensors(value):
            reply.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            raw = tensors.raw_of(tensor)
            parts += (wire.key(_RAW_OUTPUTS, len(raw)), raw)
        parts[0] = reply.SerializeToString()
        return Written("application/grpc", b"".join(parts))
