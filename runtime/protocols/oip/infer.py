"""Inference on one endpoint: request → arguments of the call and writer of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ....errors import InvalidInputError, RequestError
from ...http.dialect import Asked
from ...schema.kind import Buffer
from ...schema.wrong import WrongValueError
from .. import byte_strings
from ..datatypes import BYTES
from ..tensor import Tensor
from . import binary, request
from .plan import Again, Plan
from .raw_request import raw_input
from .reply import Reply, Wanted

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .regions import Regions

_LIMIT = 512
_LIMIT_BYTES = 4096
"""Of one JSON that is remembered."""
_SMALL_BYTES = 64 * 1024
"""Of a body that is worth looking up."""
_DATA = b'"data":'


class Infer:
    """Compiled once for an endpoint; remembers the JSON of callers that send the same again and again.

    Args:
        regions: shared memory of callers.
    """

    def __init__(self, endpoint: Endpoint, regions: Regions) -> None:
        self._endpoint = endpoint
        self._regions = regions
        self._by_head: dict[bytes, Plan] = {}
        """Plans by the JSON in front of binary tensors."""
        self._by_front: dict[bytes, tuple[bytes, Again]] = {}
        """Of a request with one input in JSON: what stands in front of its data → what stands behind it."""

    def json(self, body: Buffer) -> Asked:
        """A body that is JSON as a whole.

        Raises:
            RequestError: anything about it that is wrong; `.path` says where.
        """
        if not isinstance(body, bytes) or len(body) > _SMALL_BYTES:
            return self._read(body)[1].asked(body, len(body))
        start = body.find(_DATA) + len(_DATA)
        if start < len(_DATA) or start > _LIMIT_BYTES:
            return self._read(body)[1].asked(body, len(body))
        while body[start : start + 1] == b" ":  # behind the colon, as most clients write it
            start += 1
        known = self._by_front.get(body[:start])
        # What stands in front decides that a value comes now; what stands behind it was read once.
        if known is not None and body.endswith(known[0]):
            behind, again = known
            try:
                return again(body[start : len(body) - len(behind)])
            except (RequestError, WrongValueError):
                pass  # it may be a request with more in between: read in full, which finds the words
        asked, plan = self._read(body)
        arguments = plan.asked(body, len(body))
        self._remember(body, start, asked, plan)
        return arguments

    def _read(self, body: Buffer) -> tuple[request.InferRequest, Plan]:
        asked = request.read(body)
        return asked, Plan(self._endpoint, self._regions, asked, None)

    def _remember(self, body: bytes, start: int, asked: request.InferRequest, plan: Plan) -> None:
        """Requests with an id of their own come once only."""
        again = None if asked.id else plan.again()
        if again is None:
            return
        data = asked.inputs[0].data
        if _address(data) - _address(body) != start:
            return  # something else is called so, too
        behind = body[start + len(memoryview(data)) :]
        if len(behind) > _LIMIT_BYTES:
            return
        if len(self._by_front) >= _LIMIT:
            self._by_front.clear()
        self._by_front[body[:start]] = behind, again

    def binary(self, body: Buffer, json_bytes: int) -> Asked:
        """A body that begins with so many bytes of JSON; raises RequestError."""
        if not 0 < json_bytes <= len(body):
            raise InvalidInputError(
                f"inference header size should be in range (0, {len(body)}), got {json_bytes}"
            )
        head = bytes(memoryview(body)[:json_bytes])
        plan = self._by_head.get(head)
        if plan is None:
            asked = request.read(head)
            plan = Plan(self._endpoint, self._regions, asked, json_bytes)
            if not asked.id and len(head) <= _LIMIT_BYTES:
                if len(self._by_head) >= _LIMIT:
                    self._by_head.clear()
                self._by_head[head] = plan
        return plan.asked(body, json_bytes)

    def raw(self, body: Buffer) -> Asked:
        """A body that is the bytes of the only input, and nothing else; raises RequestError."""
        endpoint = self._endpoint
        name, datatype, shape = raw_input(endpoint, len(body))
        if datatype == BYTES:
            array = byte_strings.as_array([bytes(body)], shape)
        else:
            array = binary.array_of(body, datatype, shape, "$")
        arguments = endpoint.inputs.arguments([Tensor(name, datatype, shape, array)], {})
        return Asked(arguments, Reply(endpoint, "", {}, Wanted(binary=True), self._regions).write)


def _address(data: bytes | msgspec.Raw) -> int:
    address: int = np.frombuffer(data, np.uint8).ctypes.data
    return address
