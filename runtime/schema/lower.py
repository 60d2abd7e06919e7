"""Type hints → types that msgspec can decode: each leaf of tiffin's own families becomes a marker."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import datetime, time
from functools import lru_cache
from typing import Annotated, Any, Union

import msgspec

from .array import ArrayKind
from .dataframe import DataFrameKind
from .dims import Dims
from .dtypes import Dtypes, family
from .file import BytesKind, File, FileKind
from .image import ImageKind
from .kind import Kind, Marker, marker
from .pydantic_model import PydanticKind, is_model
from .tensor import TensorKind

_UNIONS = (Union, types.UnionType)
_FORMATS = {datetime: "date-time", time: "time"}
"""msgspec names these formats only when a time zone is demanded."""


class UnsupportedHintError(TypeError):
    """A hint that no value of a request can be made from; the message says how to mend it."""


def kind_of(hint: Any) -> Kind | None:
    """The kind of a leaf; None when msgspec knows the type itself, or when it is a container.

    Raises:
        UnsupportedHintError: it belongs to a family, but cannot be used like this.
    """
    if isinstance(hint, Marker):
        return hint.kind
    try:
        return _kind_of(hint)
    except TypeError as error:
        if isinstance(error, UnsupportedHintError):
            raise
        return None  # not hashable, so it is no class: Annotated with a list in it, for example


@lru_cache(maxsize=1024)
def _kind_of(hint: Any) -> Kind | None:
    if hasattr(hint, "dim_str") and hasattr(hint, "dtypes") and hasattr(hint, "array_type"):
        return _jaxtyping(hint)
    if _is(typing.get_origin(hint), "numpy", "ndarray"):
        return _ndarray(hint)
    if isinstance(hint, types.ModuleType) and hint.__name__ == "PIL.Image":
        raise UnsupportedHintError("PIL.Image is a module; use PIL.Image.Image")
    if not isinstance(hint, type):
        return None
    return next((make(hint) for fits, make in _LEAVES if fits(hint)), None)


def _is(hint: Any, package: str, name: str) -> bool:
    return (
        isinstance(hint, type)
        and hint.__name__ == name
        and (hint.__module__ == package or hint.__module__.startswith(package + "."))
    )


# Classes of packages that may not be there are known by their names.
_LEAVES: tuple[tuple[Callable[[Any], bool], Callable[[Any], Kind]], ...] = (
    (lambda hint: hint is bytes, lambda _: BytesKind()),
    (lambda hint: hint is File, lambda _: FileKind()),
    (lambda hint: _is(hint, "numpy", "ndarray"), lambda _: ArrayKind(Dtypes(None, "any"), None)),
    (lambda hint: _is(hint, "torch", "Tensor"), lambda _: TensorKind(Dtypes(None, "any"), None)),
    (lambda hint: _is(hint, "pandas", "DataFrame"), lambda _: DataFrameKind()),
    (lambda hint: _is(hint, "PIL", "Image"), lambda _: ImageKind()),
    (is_model, PydanticKind),
)


def _jaxtyping(hint: Any) -> Kind:
    array_type, title = hint.array_type, getattr(getattr(hint, "dtype", None), "__name__", "array")
    try:
        dims = Dims.parse(hint.dim_str)
        dtypes = family(hint.dtypes, title.lower() if title[-1].isdigit() else title)
        if _is(array_type, "torch", "Tensor"):
            return TensorKind(dtypes, dims)
        if _is(array_type, "numpy", "ndarray"):
            return ArrayKind(_without_bfloat16(dtypes), dims)
    except ValueError as error:
        raise UnsupportedHintError(f"{_name(hint)}: {error}") from error
    raise UnsupportedHintError(
        f"{_name(hint)}: arrays of type {_name(array_type)} are not supported; use np.ndarray or torch.Tensor"
    )


def _without_bfloat16(dtypes: Dtypes) -> Dtypes:
    if dtypes.names is None:
        return dtypes
    names = tuple(name for name in dtypes.names if name != "bfloat16")
    if not names:
        raise ValueError("numpy has no bfloat16; use torch.Tensor, or Float32")
    return Dtypes(names, dtypes.title)


def _ndarray(hint: Any) -> Kind:
    """`NDArray[np.float32]` is `np.ndarray[Any, np.dtype[np.float32]]`."""
    import numpy as np

    arguments = typing.get_args(hint)
    elements = typing.get_args(arguments[1]) if len(arguments) > 1 else ()
    if not elements or elements[0] is Any or not isinstance(elements[0], type):
        return ArrayKind(Dtypes(None, "any"), None)
    scalar = elements[0]
    try:
        name = np.dtype(scalar).name
        return ArrayKind(family((name,), name), None)
    except (TypeError, ValueError) as error:
        raise UnsupportedHintError(
            f"{_name(hint)}: {scalar.__name__} is no element type that can be read; use np.float32"
        ) from error


def lower(hint: Any) -> Any:
    """The type for msgspec.

    Raises:
        UnsupportedHintError: somewhere in it is a type that cannot be decoded.
    """
    lowered = _lower(hint, set())
    try:
        msgspec.json.Decoder(lowered, dec_hook=dec_hook)
    except (TypeError, NameError) as error:
        raise UnsupportedHintError(f"{_name(hint)} cannot be read from a request: {error}") from error
    return lowered


def _lower(hint: Any, seen: set[Any]) -> Any:
    hint, seen = _unaliased(hint, seen)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is Any or origin is typing.Literal:
        return hint
    leaf = _leaf(hint)
    if leaf is not None:
        return leaf
    if origin is Annotated:
        parts = (_lower(arguments[0], seen), *arguments[1:])
        return Annotated[parts]
    if origin in _UNIONS:
        return _union(hint, arguments, seen)
    if arguments and origin is not None and not _has_fields(origin):
        _check_readable(origin, hint)
        return _rebuilt(hint, origin, arguments, seen)
    _check_fields(hint, seen)
    return hint


def _leaf(hint: Any) -> Any:
    """What stands for a hint that is of our own, or that msgspec describes too briefly; None for others."""
    if isinstance(hint, type) and hint in _FORMATS:
        return Annotated[hint, msgspec.Meta(extra_json_schema={"format": _FORMATS[hint]})]
    kind = kind_of(hint)
    return None if kind is None else marker(kind)


def _unaliased(hint: Any, seen: set[Any]) -> tuple[Any, set[Any]]:
    """What `type X = …` (PEP 695) stands for, and which were passed; numpy's NDArray is one since 2.5."""
    while True:
        origin = typing.get_origin(hint)
        alias = next((found for found in (origin, hint) if type(found).__name__ == "TypeAliasType"), None)
        if alias is None:
            return hint, seen
        if alias in seen:
            raise UnsupportedHintError(f"the type alias {alias} contains itself; write a class in its place")
        value, seen = alias.__value__, {*seen, alias}
        hint = value if alias is hint else value[typing.get_args(hint)]


def _union(hint: Any, arguments: tuple[Any, ...], seen: set[Any]) -> Any:
    parts = [_lower(part, seen) for part in arguments]
    markers = [part for part in parts if isinstance(part, Marker)]
    others = [part for part in parts if not isinstance(part, Marker) and part is not type(None)]
    if len(markers) > 1 or (markers and others):
        raise UnsupportedHintError(
            f"{_name(hint)}: an array, tensor, table, image, file, bytes or pydantic model can only be in a "
            "union with None"
        )
    return Union[tuple(parts)]  # noqa: UP007 - made at run time


def _rebuilt(hint: Any, origin: Any, arguments: tuple[Any, ...], seen: set[Any]) -> Any:
    lowered = tuple(part if part is Ellipsis else _lower(part, seen) for part in arguments)
    if lowered == arguments:
        return hint
    try:
        return origin[lowered if len(lowered) > 1 else lowered[0]]
    except TypeError:
        # collections.abc types may be subscripted through typing's aliases only.
        return hint.copy_with(lowered)


def _has_fields(origin: Any) -> bool:
    return (
        hasattr(origin, "__struct_fields__")
        or dataclasses.is_dataclass(origin)
        or typing.is_typeddict(origin)
        or hasattr(origin, "_fields")
    )


def _check_readable(origin: Any, hint: Any) -> None:
    """msgspec leaves a class that it does not know to `dec_hook`, which would fail at the first request."""
    try:
        unknown = isinstance(msgspec.inspect.type_info(origin), msgspec.inspect.CustomType)
    except (TypeError, NameError):
        return  # `lower` asks msgspec itself, whose words are better
    if unknown:
        raise UnsupportedHintError(
            f"{_name(hint)} cannot be read from a request or described to callers; use a dataclass, a "
            "msgspec Struct, a pydantic model, or list, dict, str, float and the like"
        )


def _check_fields(hint: Any, seen: set[Any]) -> None:
    """Looks into classes with fields; msgspec reads those hints itself, our leaves by `dec_hook`."""
    origin = typing.get_origin(hint) or hint
    if origin in seen or not isinstance(origin, type):
        return
    if origin.__module__ == "numpy" or origin in (complex, object):
        raise UnsupportedHintError(
            f"{_name(hint)} has no form in JSON; use "
            + ("Any" if origin is object else "float, int, bool or str, or an array")
        )
    if not _has_fields(origin):
        _check_readable(origin, hint)
        return
    seen.add(origin)
    try:
        fields = typing.get_type_hints(origin, include_extras=True)
    except NameError as error:
        raise UnsupportedHintError(
            f"the fields of {_name(hint)} cannot be read: {error}; define the class at the top of its module"
        ) from error
    for name, field in fields.items():
        try:
            lowered = _lower(field, seen)
        except UnsupportedHintError as error:
            raise UnsupportedHintError(f"field {name!r} of {_name(hint)}: {error}") from error
        kind = lowered.kind if isinstance(lowered, Marker) else None
        if isinstance(kind, ArrayKind) and kind.dims is not None and not kind.dims.standalone:
            raise UnsupportedHintError(
                f"field {name!r} of {_name(hint)}: shapes with expressions or `?` work in parameters, not in "
                "fields of classes; use sizes and names"
            )


def dec_hook(hint: Any, value: Any) -> Any:
    """msgspec's way to our kinds."""
    kind = kind_of(hint)
    if kind is None:
        raise NotImplementedError(f"{_name(hint)} cannot be read from a request")
    return kind.from_plain(value)


def _name(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or getattr(hint, "__name__", None) or str(hint)
