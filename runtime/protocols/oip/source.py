"""Where the elements of one input are: in the JSON, behind it, or in shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ....errors import InvalidInputError
from ...schema.dims import MAX_AXES
from ...schema.kind import Buffer
from ..datatypes import DATATYPES
from ..tensor import Tensor, check_extent
from . import binary, json_data
from .places import REGION, region_of, size_of

if TYPE_CHECKING:
    from .regions import Regions
    from .request import AskedInput

BINARY_SIZE = "binary_data_size"
_NO_JSON = ("FP16", "BF16")


class Source:
    """Where one input's elements are.

    Args:
        path: of the input.
        start: where in the body its binary form would begin; None: there is no binary part.
    """

    def __init__(self, asked: AskedInput, path: str, start: int | None, regions: Regions) -> None:
        self._name, self._datatype, self._path = asked.name, asked.datatype, path
        if asked.datatype not in DATATYPES:
            raise InvalidInputError(
                f"datatype {asked.datatype[:40]!r} is unknown; use one of {', '.join(DATATYPES)}",
                path=f"{path}.datatype",
            )
        if len(asked.shape) > MAX_AXES or any(size < 0 for size in asked.shape):
            raise InvalidInputError(f"expected at most {MAX_AXES} sizes of 0 or more", path=f"{path}.shape")
        check_extent(asked.shape, f"{path}.shape")
        self._shape = tuple(asked.shape)
        self.text = asked.data if memoryview(asked.data) else None
        self._start = start or 0
        self.size = 0
        """Bytes in the binary part."""
        self._region: tuple[str, int, int] | None = None
        self._regions = regions
        parameters = asked.parameters or {}
        places = [self.text is not None, BINARY_SIZE in parameters, REGION in parameters]
        if sum(places) != 1:
            raise InvalidInputError(
                f"input {asked.name[:100]!r} must have exactly one of data, {BINARY_SIZE} and {REGION}",
                path=path,
            )
        if self.text is not None:
            if asked.datatype in _NO_JSON:
                raise InvalidInputError(
                    f"{asked.datatype} has no form in JSON: send it in binary", path=f"{path}.data"
                )
        elif BINARY_SIZE in parameters:
            self.size = size_of(parameters, BINARY_SIZE, f"{path}.parameters")
            if start is None:
                raise InvalidInputError(
                    f"{BINARY_SIZE} needs the header Inference-Header-Content-Length",
                    path=f"{path}.parameters.{BINARY_SIZE}",
                )
        else:
            self._region = region_of(parameters, f"{path}.parameters")

    def tensor(self, body: Buffer) -> Tensor:
        """The input of this request; raises RequestError."""
        if self.text is not None:
            return self.tensor_of(self.text)
        start, size = self._start, self.size
        if self._region is not None:
            body, start, size = self._regions.read(*self._region), 0, self._region[2]
        array = binary.array_of(body, self._datatype, self._shape, self._path, start=start, size=size)
        return self._made(array)

    def tensor_of(self, text: bytes | msgspec.Raw) -> Tensor:
        """The input with this data; raises RequestError."""
        return self._made(json_data.elements(text, self._datatype, self._shape, self._path))

    def _made(self, array: np.ndarray[Any, Any]) -> Tensor:
        return Tensor(self._name, self._datatype, self._shape, array)
