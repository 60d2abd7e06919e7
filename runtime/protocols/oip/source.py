"""Where the elements of one input are: in the JSON, behind it, or in shared memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

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
        self.name, self.datatype, self._path = asked.name, asked.datatype, path
        if asked.datatype not in DATATYPES:
            raise InvalidInputError(
                f"datatype {asked.datatype[:40]!r} is unknown; use one of {', '.join(DATATYPES)}",
                path=f"{path}.datatype",
            )
        if len(asked.shape) > MAX_AXES or any(size < 0 for size in asked.shape):
            raise InvalidInputError(f"expected at most {MAX_AXES} sizes of 0 or more", path=f"{path}.shape")
        check_extent(asked.shape, f"{path}.shape")
        self._shape = tuple(asked.shape)
        self._text = asked.data if memoryview(asked.data) else None
        self._start = start or 0
        self.size = 0
        """Bytes in the binary part."""
        self._region: tuple[str, int, int] | None = None
        self._regions = regions
        parameters = asked.parameters or {}
        places = [self._text is not None, BINARY_SIZE in parameters, REGION in parameters]
        if sum(places) != 1:
            raise InvalidInputError(
                f"input {asked.name[:100]!r} must have exactly one of data, {BINARY_SIZE} and {REGION}",
                path=path,
            )
        if self._text is not None:
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

    @property
    def inline(self) -> bool:
        """Whether the elements are in the JSON itself."""
        return self._text is not None

    def tensor(self, body: Buffer) -> Tensor:
        """The input of this request; raises RequestError."""
        if self._text is not None:
            return self._made(json_data.elements(self._text, self.datatype, self._shape, self._path))
        start, size = self._start, self.size
        if self._region is not None:
            body, start, size = self._regions.read(*self._region), 0, self._region[2]
        array = binary.array_of(body, self.datatype, self._shape, self._path, start=start, size=size)
        return self._made(array)

    def reader(self) -> Callable[[bytes], np.ndarray[Any, Any]]:
        """Data in JSON → array, for the same input with other data; raises RequestError."""
        return partial(json_data.elements, datatype=self.datatype, shape=self._shape, path=self._path)

    def _made(self, array: np.ndarray[Any, Any]) -> Tensor:
        return Tensor(self.name, self.datatype, self._shape, array)
