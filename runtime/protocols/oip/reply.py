"""The answer to a request for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...http.dialect import Written
from ...schema.media import JSON
from ..datatypes import BYTES

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .request import InferRequest


class Reply:
    def __init__(self, endpoint: Endpoint, request: InferRequest) -> None:
        self._endpoint = endpoint
        self._request = request

    def write(self, value: Any) -> Written:
        """The answer for a result; raises InferenceError."""
        outputs = []
        for tensor in self._endpoint.outputs.tensors(value):
            data = tensor.array.ravel().tolist()
            if tensor.datatype == BYTES:
                data = [each.decode() for each in data]
            outputs.append(
                {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape, "data": data}
            )
        document = {
            "model_name": self._endpoint.name,
            "model_version": self._endpoint.version,
            "outputs": outputs,
        }
        if self._request.id:
            document["id"] = self._request.id
        return Written(JSON, msgspec.json.encode(document))
