"""Where the elements of one input are: in the message's raw contents, written out, or in shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidInputError
from ..protocols.datatypes import DTYPES
from ..protocols.oip import binary
from ..protocols.oip.places import REGION, region_of
from ..protocols.tensor import Tensor, check_extent
from ..schema.dims import MAX_AXES
from . import tensors
from .parameters import plain

if TYPE_CHECKING:
    from ..protocols.oip.regions import Regions
    from ..schema.kind import Buffer
    from .wire import Span


class Source:
    """
    Args:
        given: InferInputTensor.
        path: of the input, for errors.
        regions: memory of callers.

    Raises:
        InvalidInputError: an unknown datatype, an impossible shape, or a place that is none.
    """

    __slots__ = ("_contents", "_datatype", "_name", "_region", "_regions", "_shape", "path", "span")

    def __init__(self, given: Any, path: str, regions: Regions) -> None:
        self._name: str = given.name
        self.path = path
        self._datatype = tensors.datatype_of(given, path)
        self._shape = tuple(given.shape)
        if len(self._shape) > MAX_AXES or any(size < 0 for size in self._shape):
            raise InvalidInputError(
                f"expected at most {MAX_AXES} sizes of 0 or more, got {list(self._shape)[: MAX_AXES + 1]}",
                path=f"{path}.shape",
            )
        check_extent(self._shape, f"{path}.shape")
        self._regions = regions
        self._contents: Any = given.contents if given.HasField("contents") else None
        parameters = plain(given.parameters)
        self._region = region_of(parameters, f"{path}.parameters") if REGION in parameters else None
        self.span: Span | None = None
        """Where in the message its bytes are; set by whoever deals them out."""

    @property
    def is_typed(self) -> bool:
        """Its elements are written out."""
        return self._contents is not None

    @property
    def wants_raw(self) -> bool:
        """Its elements are nowhere else."""
        return self._region is None and self._contents is None

    def tensor(self, message: Buffer) -> Tensor:
        """The input of one request; raises RequestError."""
        datatype, shape = self._datatype, self._shape
        if self.span is not None:
            start, end = self.span
            array = binary.array_of(message, datatype, shape, self.path, start=start, size=end - start)
        elif self._region is not None:
            array = binary.array_of(self._regions.read(*self._region), datatype, shape, self.path)
        elif self._contents is not None:
            array = tensors.elements(self._contents, datatype, shape, self.path)
        elif 0 in shape:
            array = np.empty(shape, DTYPES.get(datatype, np.dtype(object)))
        else:
            raise InvalidInputError(
                f"input {self._name[:100]!r} has no elements: send raw_input_contents", path=self.path
            )
        return Tensor(self._name, datatype, shape, array)
