"""Keys of maps: which of a map's types a message's can have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from .form import KeyForm, UnsupportedFormError
from .scalars import BOOL_KEY, FLOAT_KEY, INT_KEY, TEXT_KEY

LISTS = (
    inspect.ListType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.VarTupleType,
    inspect.CollectionType,
)
BYTES = (inspect.BytesType, inspect.ByteArrayType, inspect.MemoryViewType)


def key_form(info: Any) -> KeyForm:
    """Raises UnsupportedFormError when keys of this type are none in a message."""
    info = bare(info)
    values: Sequence[Any] = ()
    if isinstance(info, inspect.EnumType):
        values = [member.value for member in info.cls]
    elif isinstance(info, inspect.LiteralType):
        values = info.values
    if isinstance(info, inspect.IntType) or (values and all(type(value) is int for value in values)):
        return INT_KEY
    if isinstance(info, inspect.BoolType):
        return BOOL_KEY
    if isinstance(info, inspect.FloatType):
        return FLOAT_KEY
    if isinstance(info, (*BYTES, *LISTS, inspect.TupleType, inspect.CustomType)):
        raise UnsupportedFormError("keys of a map are text or whole numbers in a message; use str keys")
    return TEXT_KEY


def bare(info: Any) -> Any:
    """Without what is said about it."""
    return bare(info.type) if isinstance(info, inspect.Metadata) else info
