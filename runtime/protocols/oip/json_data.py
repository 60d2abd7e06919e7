"""`data` in JSON: numbers, booleans or texts, flat or nested row by row."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ....errors import InvalidInputError
from .. import byte_strings
from ..datatypes import BYTES, DTYPES


def elements(data: msgspec.Raw, datatype: str, shape: list[int], path: str) -> np.ndarray[Any, Any]:
    """The array of one input. Raises InvalidInputError with a path below `path`."""
    values = msgspec.json.decode(data)
    try:
        if datatype == BYTES:
            return byte_strings.as_array([value.encode() for value in values], tuple(shape))
        array: np.ndarray[Any, Any] = np.array(values, DTYPES[datatype])
        return array.reshape(shape)
    except (ValueError, TypeError, OverflowError, AttributeError, KeyError) as error:
        raise InvalidInputError(str(error), path=path) from error
