"""Values between processes: msgpack for what is small, raw buffers for what is not, never a pickle.

None, booleans, numbers, text, bytes, lists, tuples, sets, dicts, dates, UUIDs, Decimals, numpy arrays and
scalars, torch tensors, pandas frames and series, PIL images and `tiffin.File` arrive as what they were.
Dataclasses, msgspec Structs and pydantic models arrive as dicts of their fields, enums as their values: the
receiving side makes them again from the type hints of the method.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ...errors import WireError
from . import plain
from .frame import Buffer
from .plain import TUPLE

Lower = Callable[[Any, "list[Buffer]"], Any]
"""From a value to what msgpack holds; appends its bytes to the list of buffers."""
Raise = Callable[[memoryview, Sequence[memoryview]], Any]
"""From the data of an extension and the buffers of the frame back to the value."""

SET, FROZENSET, COMPLEX, STDLIB, BIG_INT = 2, 3, 4, 5, 6
ELEMENTS, SCALAR, TENSOR, FRAME, SERIES, IMAGE, FILE = 17, 18, 19, 20, 21, 22, 23

Ext = msgspec.msgpack.Ext
_encoder = msgspec.msgpack.Encoder()
_PLAIN = frozenset((type(None), bool, float, str, bytes))
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def pack(value: Any, buffers: list[Buffer] | None = None) -> tuple[bytes, list[Buffer]]:
    """Describes a value and collects the bytes it refers to.

    Args:
        buffers: a list to append to, when several values share one frame; they refer to the value's memory.

    Returns:
        (msgpack description, buffers)

    Raises:
        WireError: a type that cannot travel; says which, and what to send instead.
    """
    if buffers is None:
        buffers = []
    description = plain.pack(value, buffers)
    if description is not None:
        return description, buffers
    try:
        return _encoder.encode(_lower(value, buffers)), buffers
    except RecursionError as error:
        raise WireError("a value that contains itself, or is nested too deep, cannot be sent") from error
    except (TypeError, UnicodeEncodeError) as error:
        raise WireError(f"a value cannot be sent: {error}") from error


def unpack(description: Buffer, buffers: Sequence[memoryview]) -> Any:
    """The value again. Arrays read the buffers in place and are writable when those are.

    Raises:
        WireError: the description is malformed or does not fit the buffers.
        ImportError: the value is of a package that is not installed here.
        MemoryError: there is not enough for it.
    """
    description = bytes(description)
    arrays = plain.unpack(description, buffers)
    if arrays is not None:
        return arrays
    try:
        return _decode(description, buffers)
    except (WireError, ImportError, MemoryError):
        raise
    except Exception as error:  # a hostile description can make numpy, torch or pandas raise anything
        raise WireError(f"malformed value: {error!r}") from error


def _decode(description: bytes | memoryview, buffers: Sequence[memoryview]) -> Any:
    def raise_(code: int, data: memoryview) -> Any:
        if code not in RAISE:
            _load_raisers()
        try:
            back = RAISE[code]
        except KeyError:
            raise WireError(f"malformed value: extension {code} is unknown") from None
        return back(data, buffers)

    return msgspec.msgpack.Decoder(ext_hook=raise_).decode(description)


def _lower(value: Any, buffers: list[Buffer]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    lower = LOWER.get(kind)
    if lower is None:
        lower = LOWER[kind] = _find(kind)
    return lower(value, buffers)


def lower_child(value: Any, buffers: list[Buffer]) -> Any:
    """For codecs of containers: a child of theirs, as msgpack holds it."""
    return _lower(value, buffers)


def nest(code: int, content: Any) -> Ext:
    """An extension whose data is msgpack itself."""
    return Ext(code, _encoder.encode(content))


def _list(value: list[Any], buffers: list[Buffer]) -> Any:
    if _PLAIN.issuperset(map(type, value)):
        return value
    return [_lower(item, buffers) for item in value]


def _tuple(value: tuple[Any, ...], buffers: list[Buffer]) -> Any:
    return nest(TUPLE, [_lower(item, buffers) for item in value])


def _dict(value: dict[Any, Any], buffers: list[Buffer]) -> Any:
    return {_key(key): _lower(item, buffers) for key, item in value.items()}


def _key(key: Any) -> Any:
    if type(key) in _PLAIN or type(key) is int:
        return key
    if isinstance(key, enum.Enum):
        return _key(key.value)
    if isinstance(key, str):
        return str(key)
    raise WireError(f"a dict with a key of type {type(key).__qualname__} cannot be sent: use str or int keys")


def _int(value: int, _: list[Buffer]) -> Any:
    value = int(value)
    return value if _INT_MIN <= value <= _INT_MAX else Ext(BIG_INT, str(value).encode())


_STDLIB: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
}


def _stdlib(name: str) -> Lower:
    write = _STDLIB[name][1]
    return lambda value, _: nest(STDLIB, [name, write(value)])


def _timedelta(value: datetime.timedelta, _: list[Buffer]) -> Any:
    return nest(STDLIB, ["timedelta", [value.days, value.seconds, value.microseconds]])


def _raise_stdlib(data: memoryview, _: Sequence[memoryview]) -> Any:
    name, text = msgspec.msgpack.decode(data)
    if name == "timedelta":
        return datetime.timedelta(*text)
    return _STDLIB[name][2](text)


def _fields(value: Any, buffers: list[Buffer]) -> Any:
    names = [field.name for field in dataclasses.fields(value)]
    return {name: _lower(getattr(value, name), buffers) for name in names}


def _struct(value: msgspec.Struct, buffers: list[Buffer]) -> Any:
    return {name: _lower(getattr(value, name), buffers) for name in value.__struct_fields__}


def _pydantic(value: Any, buffers: list[Buffer]) -> Any:
    return {name: _lower(getattr(value, name), buffers) for name in type(value).model_fields}


LOWER: dict[type, Lower] = {
    int: _int,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: lambda value, buffers: nest(SET, _list(list(value), buffers)),
    frozenset: lambda value, buffers: nest(FROZENSET, _list(list(value), buffers)),
    bytearray: lambda value, _: bytes(value),
    memoryview: lambda value, _: bytes(value),
    complex: lambda value, _: nest(COMPLEX, [value.real, value.imag]),
    datetime.timedelta: _timedelta,
    **{entry[0]: _stdlib(name) for name, entry in _STDLIB.items()},
}
"""Exact type to codec; others are found once by `_find` and kept here."""

RAISE: dict[int, Raise] = {
    TUPLE: lambda data, buffers: tuple(_decode(data, buffers)),
    SET: lambda data, buffers: set(_decode(data, buffers)),
    FROZENSET: lambda data, buffers: frozenset(_decode(data, buffers)),
    COMPLEX: lambda data, _: complex(*msgspec.msgpack.decode(data)),
    STDLIB: _raise_stdlib,
    BIG_INT: lambda data, _: int(bytes(data)),
}


def raise_child(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    """For codecs of containers: the nested msgpack of `nest` with its own extensions made again."""
    return _decode(data, buffers)


_SUBCLASSES: tuple[tuple[type, Lower], ...] = (
    (int, _int),
    (float, lambda value, _: float(value)),
    (str, lambda value, _: str.__str__(value)),
    (bytes, lambda value, _: bytes(value)),
    (list, lambda value, buffers: _list(list(value), buffers)),
    (tuple, _tuple),
    (dict, _dict),
    (set, LOWER[set]),
    (frozenset, LOWER[frozenset]),
)


def _find(kind: type) -> Lower:
    """The codec of a type that is met for the first time; heavy packages are known by name, not imported."""
    from . import arrays, media, tables

    if issubclass(kind, enum.Enum):
        return _enum
    if issubclass(kind, msgspec.Struct):
        return _struct
    if dataclasses.is_dataclass(kind) and not arrays.match(kind) and not media.match(kind):
        return _fields
    for room in (arrays, tables, media):
        found: Lower | None = room.match(kind)
        if found is not None:
            return found
    if any(base.__module__ == "pydantic.main" and base.__name__ == "BaseModel" for base in kind.__mro__):
        return _pydantic
    for parent, lower in _SUBCLASSES:
        if issubclass(kind, parent):
            return lower
    raise WireError(
        f"a value of type {kind.__module__}.{kind.__qualname__} cannot be sent between processes: "
        "use arrays, tensors, data frames, images, bytes, numbers, text, lists, dicts or dataclasses of them"
    )


def _enum(value: enum.Enum, buffers: list[Buffer]) -> Any:
    return _lower(value.value, buffers)


def _load_raisers() -> None:
    from . import arrays, media, tables

    for room in (arrays, tables, media):
        RAISE.update(room.RAISE)
