"""Element types: which a hint allows, which one a JSON number becomes, and casts that lose nothing.

A family takes the natural member for JSON: `Float` is float64, `Int` and `Integer` int64, `UInt` uint64,
`Num` and `Real` int64 when every number is an integer and float64 otherwise, `Shaped` and a bare `np.ndarray`
what numpy makes of it. Arrays that come with a dtype of their own keep it when the hint allows it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np

from .wrong import WrongValueError, at_index

_FLOATS = ("float64", "float32", "float16", "bfloat16")
_INTS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
_BOOL = "bool"
_KNOWN = (*_FLOATS, *_INTS, _BOOL)
_KIND_WORDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "str", "c": "complex"}


class Dtypes:
    """The dtypes that a hint allows.

    Args:
        names: numpy names in order of preference; None means any.
        title: what the hint calls it, `Float` or `float32`.
    """

    def __init__(self, names: tuple[str, ...] | None, title: str) -> None:
        self.names = names
        self.title = title
        allowed = names if names is not None else _KNOWN
        self.float = next((name for name in _FLOATS if name in allowed), None)
        self.int = next((name for name in _INTS if name in allowed), None)
        self.bool = _BOOL in allowed
        families = [self.float is not None, self.int is not None, self.bool, names is None]
        self.only: np.dtype[Any] | None = None
        """The dtype JSON becomes, when it does not depend on the numbers."""
        if families == [True, False, False, False]:
            self.only = storage(self.float or "")
        elif families == [False, True, False, False]:
            self.only = np.dtype(self.int)
        elif families == [False, False, True, False]:
            self.only = np.dtype(bool)
        self._allowed = frozenset(np.dtype(name) for name in names or () if name != "bfloat16")
        self.element = self._element()

    def _element(self) -> Any:
        """What msgspec checks each element against: kind and range, so that the path comes for free."""
        options: list[Any] = []
        if self.names is None:
            return bool | int | float | str
        if self.bool:
            options.append(bool)
        if self.int is not None:
            options.append(_int_element(self.int))
        if self.float is not None:
            options.append(_float_element(self.float))
        element = options[0]
        for option in options[1:]:
            element = element | option
        return element

    @property
    def spec(self) -> tuple[str, list[str]]:
        """`dtype` and `dtypes` of a TypeSpec."""
        if self.names is None:
            return "", []
        return (self.names[0], []) if len(self.names) == 1 else ("", list(self.names))

    def settle(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Gives an array made of JSON numbers (dtype as numpy saw fit) an allowed dtype."""
        kind = array.dtype.kind
        if kind == "O":
            raise WrongValueError("expected numbers of at most 64 bits, got a larger integer")
        if array.size == 0:
            return array.astype(storage(self.float or self.int or _BOOL))
        if kind in "iu" and self.int is None and self.float is not None:
            return array.astype(storage(self.float))
        return self.cast(array)

    def cast(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """An array with a dtype of its own → an allowed dtype, in native byte order.

        Raises:
            WrongValueError: another kind (float for int, bool for a number, complex), or out of range.
        """
        if array.dtype in self._allowed:
            return array
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if self.names is None or array.dtype in self._allowed:
            return array
        kind, name = array.dtype.kind, array.dtype.name
        target = self._target(kind)
        if target is None:
            raise WrongValueError(
                f"expected {self.title} elements, got {_KIND_WORDS.get(kind, 'other')} ({name})"
            )
        _check_range(array, target)
        return array.astype(storage(target))

    def _target(self, kind: str) -> str | None:
        if kind in "iu":
            return self.int or self.float
        if kind == "f":
            return self.float
        return None


def storage(name: str) -> np.dtype[Any]:
    """The numpy dtype that carries it: numpy has no bfloat16."""
    return np.dtype("float32" if name == "bfloat16" else name)


def _int_element(name: str) -> Any:
    info = np.iinfo(name)
    if name in ("int64", "uint64"):  # msgspec's bounds are int64 themselves; numpy refuses what is larger
        return Annotated[int, msgspec.Meta(ge=0)] if name == "uint64" else int
    return Annotated[int, msgspec.Meta(ge=int(info.min), le=int(info.max))]


def _float_element(name: str) -> Any:
    largest = float(np.finfo(storage(name)).max)
    return Annotated[float, msgspec.Meta(ge=-largest, le=largest)]


def _check_range(array: np.ndarray[Any, Any], name: str) -> None:
    """Raises WrongValueError at the first element that `name` cannot hold; NaN and infinity fit floats."""
    if array.size == 0:
        return
    target = storage(name)
    if target.kind == "f":
        # Integers have at most 20 digits, so float16 alone can be too small for them.
        narrows = array.dtype.itemsize > target.itemsize if array.dtype.kind == "f" else target.itemsize == 2
        if not narrows:
            return
        bad = np.isfinite(array) & (np.abs(array.astype(np.float64)) > float(np.finfo(target).max))
    else:
        info = np.iinfo(target)
        # Compared as Python numbers: uint64 and int64 have no common numpy integer type.
        if int(array.min()) >= info.min and int(array.max()) <= info.max:
            return
        flat = np.array([not info.min <= value <= info.max for value in array.ravel().tolist()])
        bad = flat.reshape(array.shape)
    if bad.any():
        first = tuple(int(position) for position in np.argwhere(bad)[0])
        raise WrongValueError(f"{array[first].item()!r} does not fit {name}", at_index(first))


_DESCR = re.compile(
    r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|c64|[SU][1-9]\d{0,8}|[mM]8(?:\[[0-9a-zA-Z]{1,8}\])?)"
)


@lru_cache(maxsize=256)
def named(text: str) -> np.dtype[Any]:
    """`float32`, `<f4` → dtype; raises ValueError for objects, structures and what is no plain element."""
    if (text not in _KNOWN and not _DESCR.fullmatch(text)) or text == "bfloat16":
        raise ValueError(f"dtype {text[:40]!r} is not supported; use a plain one such as float32 or '<f4'")
    try:
        return np.dtype(text)
    except TypeError as error:
        raise ValueError(f"dtype {text[:40]!r} is not supported: {error}") from error


def family(names: Any, title: str) -> Dtypes:
    """What jaxtyping's `.dtypes` (names or patterns, or a marker for any) leaves of the dtypes we know.

    Raises:
        ValueError: none is left.
    """
    if not isinstance(names, (tuple, list)):
        return Dtypes(None, title)
    allowed = tuple(
        known
        for known in _KNOWN
        if any(
            known == entry.rstrip("_") if isinstance(entry, str) else entry.match(known) for entry in names
        )
    )
    if not allowed:
        raise ValueError(
            f"none of its dtypes can be read: {', '.join(map(str, names))}; use one of {', '.join(_KNOWN)}"
        )
    return Dtypes(allowed, title)
