"""JSON bodies of numbers → arrays, by simdjson: no Python object is made for a number.

Only the usual form is read here: every array full and rectangular, every number of the right kind and in
range, no name twice or unknown. For all else `read` gives None: the general way (msgspec, `nested`) decides
and finds the words. Both round numbers the same: correctly to float64, and from there to the dtype.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from .array import ArrayKind
from .kind import Buffer
from .parameter import Parameter
from .pieces import Pieces, lists_in

SMALLEST_BYTES = 1024
"""Below about a hundred numbers msgspec is faster (measured: `benchmarks/codecs.py`)."""

LARGE_BYTES = ArrayKind.heavy_bytes
"""From here on a body is read in pieces, perhaps in a thread, and by a parser of its own: a parser keeps
memory of several times its largest body, and serves one thread at a time."""

_least, _greatest = np.minimum.reduce, np.maximum.reduce

_UNUSUAL = (ValueError, TypeError, KeyError, RuntimeError, msgspec.ValidationError)
"""What a body that is wrong, or that they cannot read, makes simdjson, numpy, msgspec and `_fit` raise.

simdjson: TypeError another kind, KeyError no such name, ValueError malformed or out of range, RuntimeError an
integer of more than 64 bits, or a parser that another thread uses.
"""


class NumberBody:
    """Reads the bodies of one route. Made by `NumberBody.of`.

    Args:
        arrays: name and reader of each array.
        scalars: the other parameters.
    """

    def __init__(self, arrays: list[tuple[str, ArrayReader]], scalars: list[Parameter]) -> None:
        import simdjson

        self._arrays = tuple(arrays)
        self._scalar_names = tuple(each.name for each in scalars)
        fields = [each.field(each.plain) for each in scalars]
        self._scalars = msgspec.defstruct("Scalars", fields, kw_only=True)
        self._array = simdjson.Array
        self._pieces = Pieces(*arrays[0]) if len(arrays) == 1 else None
        self._new_parser = simdjson.Parser
        self._parse = simdjson.Parser().parse

    @classmethod
    def of(cls, found: Sequence[Parameter]) -> NumberBody | None:
        """None when a parameter is neither an array of numbers nor a scalar, or simdjson is not installed."""
        arrays, scalars = [], []
        for each in found:
            reader = None if each.array is None or each.optional else ArrayReader.of(each.array)
            if reader is not None:
                arrays.append((each.name, reader))
            elif each.plain_scalar:
                scalars.append(each)
            else:
                return None
        return cls(arrays, scalars) if arrays and _is_installed() else None

    def read(self, body: Buffer) -> dict[str, Any] | None:
        """A JSON body → keyword arguments; None when it is not of the usual form."""
        if type(body) is not bytes or not body.startswith(b"{"):  # simdjson would pass over a byte order mark
            return None
        try:
            return self._whole(body, self._parse) if len(body) < LARGE_BYTES else self._large(body)
        except _UNUSUAL:
            return None

    def _whole(self, body: bytes, parse: Callable[[bytes], Any]) -> dict[str, Any] | None:
        document = parse(body)
        values: dict[str, Any] = {}
        lists = 0
        for name, reader in self._arrays:
            found = document[name]
            if type(found) is not self._array:
                return None
            array, within = reader.read(found)
            values[name] = reader.finished(array)
            lists += within
        names = len(values)
        if self._scalar_names:
            names += self._read_scalars(document, values)
        if len(document) != names:  # one unknown, or one twice
            return None
        # simdjson flattens what it finds. Each list that was looked at has been counted: when the body has no
        # more brackets than that, no number came from a list inside a row.
        return values if lists_in(body) == lists else None

    def _large(self, body: bytes) -> dict[str, Any] | None:
        parse: Callable[[bytes], Any] = self._new_parser().parse
        array = None if self._pieces is None else self._pieces.read(body, parse)
        return self._whole(body, parse) if array is None else self._alone(array)

    def _alone(self, array: np.ndarray[Any, Any]) -> dict[str, Any]:
        """The arguments when the body has the one array and nothing else."""
        ((name, reader),) = self._arrays
        scalars = msgspec.structs.asdict(msgspec.convert({}, self._scalars))
        return {name: reader.finished(array), **scalars}

    def _read_scalars(self, document: Any, values: dict[str, Any]) -> int:
        """Adds them, defaults too; gives the number of those that the body has."""
        given = {name: document[name] for name in self._scalar_names if name in document}
        values.update(msgspec.structs.asdict(msgspec.convert(given, self._scalars)))
        return len(given)


class ArrayReader:
    """Reads one array. Made by `ArrayReader.of`.

    Args:
        kind: its number of axes is fixed.
        dtype: what its numbers become.
    """

    def __init__(self, kind: ArrayKind, dtype: np.dtype[Any]) -> None:
        self._kind = kind
        self.depth = kind.depth or 0
        self._dtype = dtype
        self._of_type = "d" if dtype.kind == "f" else "u" if dtype == np.uint64 else "i"
        self._source = np.dtype({"d": "f8", "u": "u8", "i": "i8"}[self._of_type])
        self._narrows = dtype != self._source
        bounds = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        self._low, self._high = dtype.type(bounds.min).item(), dtype.type(bounds.max).item()

    @classmethod
    def of(cls, kind: ArrayKind) -> ArrayReader | None:
        """None when the dtype depends on the numbers or is bool, or the number of axes is open or zero."""
        only = kind.dtypes.only
        return cls(kind, only) if kind.depth and only is not None and only.kind != "b" else None

    def read(self, found: Any) -> tuple[np.ndarray[Any, Any], int]:
        """An array of simdjson → (array of `depth` axes and of any sizes, how many lists it is made of).

        Raises:
            ValueError, TypeError: it is not of the usual form.
        """
        shape, lists = _shape(found, self.depth)
        array = np.frombuffer(found.as_buffer(of_type=self._of_type), self._source)
        if self._narrows:
            if not (_least(array) >= self._low and _greatest(array) <= self._high):
                raise ValueError("out of range")
            array = array.astype(self._dtype)
        return array.reshape(shape), lists

    def finished(self, array: np.ndarray[Any, Any]) -> Any:
        """→ the user's type; raises WrongValueError for another shape."""
        return self._kind.shaped(array)


def _shape(found: Any, depth: int) -> tuple[tuple[int, ...], int]:
    """Shape of nested lists, and how many they are; raises when they are ragged, empty or no lists."""
    length = len(found)
    if depth == 1:
        return (length,), 1
    if depth == 2:
        lengths = set(map(len, found))
        (width,) = lengths
        return (length, width), 1 + length
    inner = {_shape(item, depth - 1) for item in found}
    ((shape, lists),) = inner
    return (length, *shape), 1 + length * lists


def _is_installed() -> bool:
    return importlib.util.find_spec("simdjson") is not None
