"""Inference on one endpoint: request → arguments and writer of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...http.dialect import Asked
from ..tensor import Tensor
from .json_data import elements
from .reply import Reply
from .request import AskedInput, InferRequest, read

if TYPE_CHECKING:
    from ...schema.kind import Buffer
    from ..endpoint import Endpoint
    from .regions import Regions


class Infer:
    """Compiled once for an endpoint.

    Args:
        regions: shared memory of callers; None: not allowed.
    """

    def __init__(self, endpoint: Endpoint, regions: Regions | None = None) -> None:
        self._endpoint = endpoint
        self._regions = regions

    def json(self, body: Buffer) -> Asked:
        """A body that is JSON as a whole."""
        request = read(body)
        tensors = [self._tensor(at, each) for at, each in enumerate(request.inputs)]
        return self._asked(request, tensors)

    def _tensor(self, at: int, asked: AskedInput) -> Tensor:
        array = elements(asked.data, asked.datatype, asked.shape, f"$.inputs[{at}]")
        return Tensor(asked.name, asked.datatype, array.shape, array)

    def _asked(self, request: InferRequest, tensors: list[Tensor]) -> Asked:
        endpoint = self._endpoint
        arguments = endpoint.inputs.arguments(tensors, request.parameters or {})
        return Asked(arguments, Reply(endpoint, request).write)
