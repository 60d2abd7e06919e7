"""What the JSON of a request says, checked: where each tensor is, and how the answer is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ....errors import InvalidInputError, RequestError
from ...http.dialect import Asked
from ...schema.kind import Buffer
from ..tensor import Tensor
from .reply import Reply
from .source import Source
from .timeout import timeout_s

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .regions import Regions
    from .request import InferRequest


Again = Callable[[bytes], Asked]
"""The data of a request → the request. Raises RequestError or WrongValueError, in no particular words."""


class Plan:
    """One request, or all with the same JSON.

    Args:
        regions: shared memory of callers.
        asked: the JSON; it is kept, and with it the bytes that it was read from.
        binary_start: where its binary tensors begin; None: it has none.

    Raises:
        RequestError: what can be known to be wrong before the tensors are read; with the path.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        regions: Regions,
        asked: InferRequest,
        binary_start: int | None,
    ) -> None:
        self._id = asked.id
        self._endpoint = endpoint
        try:
            self._parameters = asked.parameters or {}
            self._timeout_s = timeout_s(self._parameters)
            self._sources = []
            at = binary_start
            for place, each in enumerate(asked.inputs):
                source = Source(each, f"$.inputs[{place}]", at, regions)
                at = at if at is None else at + source.size
                self._sources.append(source)
            self._end = at
            self._inline = len(self._sources) == 1 and self._sources[0].inline
            self._write = Reply.of(endpoint, asked, regions).write
        except RequestError as error:
            raise self._named(error) from error

    def asked(self, body: Buffer, binary_start: int) -> Asked:
        """The request with this body, whose JSON ends at `binary_start`; raises RequestError."""
        try:
            if self._end is not None and self._end != len(body):
                raise InvalidInputError(
                    f"the inputs have {self._end - binary_start} bytes together, behind the JSON came "
                    f"{len(body) - binary_start}",
                    path="$.inputs",
                )
            return self._with([source.tensor(body) for source in self._sources])
        except RequestError as error:
            raise self._named(error) from error

    def again(self) -> Again | None:
        """Reads the same request with other data for its one input; None where `asked` must look.

        What is returned lives long, and does not keep the body that this was read from.
        """
        if not self._inline or self._parameters:
            return None
        source, write, limit_s = self._sources[0], self._write, self._timeout_s
        arguments = self._endpoint.inputs.of_array(source.name, source.datatype)
        if arguments is None:
            return None
        elements = source.reader()
        return lambda text: Asked(arguments(elements(text)), write, limit_s)

    def _with(self, tensors: list[Tensor]) -> Asked:
        arguments = self._endpoint.inputs.arguments(tensors, self._parameters)
        return Asked(arguments, self._write, self._timeout_s)

    def _named(self, error: RequestError) -> RequestError:
        """The caller finds its request again by its id."""
        if self._id:
            return type(error)(f"[request id: {self._id[:200]}] {error.message}", path=error.path)
        return error
