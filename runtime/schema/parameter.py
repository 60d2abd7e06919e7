"""One parameter of a route: what each way of sending it makes of it."""

from __future__ import annotations

import copy
import math
import typing
from typing import Annotated, Any

import msgspec

from ...errors import InvalidInputError, ServiceDefinitionError
from ..manifest import TypeSpec
from .array import ArrayKind
from .dataframe import DataFrameKind
from .encode import to_plain
from .explain import explain
from .fields import Fields
from .file import OCTETS
from .finite import check_finite
from .hints import MISSING, Hinted
from .json_schema import schema_of
from .kind import Kind, Marker
from .lower import UnsupportedHintError, dec_hook, lower
from .wrong import WrongValueError

_SCALARS = (str, int, float, bool)
_HEAVY_BYTES = 128 * 1024
_HEAVY_BYTES_OF_CLASSES = 4 * 1024  # their fields are looked at one by one


class Parameter:
    """A parameter, compiled.

    Args:
        hinted: name, hint and default as the user wrote them.
        where: for errors.

    Raises:
        ServiceDefinitionError: the hint is not supported, or the default does not fit it.
    """

    def __init__(self, hinted: Hinted, where: str) -> None:
        self.name = hinted.name
        self.hint = hinted.hint
        self.keyword_only = hinted.keyword_only
        self.path = f"$.{self.name}"
        try:
            self.plain = lower(hinted.hint)
        except UnsupportedHintError as error:
            raise ServiceDefinitionError(f"{where}: parameter {self.name!r}: {error}") from error
        inner, self.optional = without_none(self.plain)
        self.kind: Kind | None = inner.kind if isinstance(inner, Marker) else None
        self.element: Kind | None = _element_kind(inner)
        """The kind inside `list[File]`, `list[Image]`: repeated parts of a form."""
        self.scalar = is_scalar(inner)
        self.scalars = typing.get_origin(inner) is list and is_scalar(typing.get_args(inner)[0])
        self.text = inner is str
        self.plain_scalar = _unannotated(inner) in _SCALARS
        """bool, int, float or str, perhaps with bounds, perhaps None."""
        self.fields = Fields.of(self.plain)
        self.array = self.kind if isinstance(self.kind, ArrayKind) else None
        self.may_be_nan = isinstance(self.kind, (ArrayKind, DataFrameKind))
        """Whether NaN in msgpack is for the kind to judge: arrays in binary form, cells of a table."""
        self.default = self._checked(hinted.default, where)
        self.required = self.default is MISSING
        self._mutable = copy.deepcopy(self.default) is not self.default

    def _checked(self, default: Any, where: str) -> Any:
        """Arrays get the dtype of the hint; scalars are held to theirs, NaN and infinity aside."""
        if default is MISSING or (default is None and self.array is not None):
            return default
        try:
            if self.array is not None:
                return self.array.from_plain(default)
            if (self.scalar or self.scalars) and not (
                isinstance(default, float) and not math.isfinite(default)
            ):
                msgspec.convert(to_plain(default), self.plain, dec_hook=dec_hook)
        except (WrongValueError, msgspec.ValidationError, TypeError) as error:
            hint = "; write the hint as `… | None`" if default is None else ""
            raise ServiceDefinitionError(
                f"{where}: the default of {self.name!r} does not fit: {error}{hint}"
            ) from error
        return default

    @property
    def json_type(self) -> Any:
        """What msgspec decodes JSON into: nested lists for `array.from_list`, else the value itself."""
        if self.array is None or self.array.list_type is None:
            return self.plain
        lists = self.array.list_type
        return lists | None if self.optional else lists

    @property
    def heavy_bytes(self) -> int:
        """From what size of the body on this parameter alone takes half a millisecond or more."""
        kind = self.kind or self.element
        if kind is not None:
            return kind.heavy_bytes
        return _HEAVY_BYTES if self.fields is None else _HEAVY_BYTES_OF_CLASSES

    def field(self, kind: Any) -> tuple[Any, ...]:
        """The entry for `msgspec.defstruct`, of type `kind`."""
        if self.required:
            return (self.name, kind)
        # A factory, because msgspec copies mutable defaults and refuses some.
        return (self.name, kind, msgspec.field(default_factory=self.fresh_default))

    def fresh_default(self) -> Any:
        """The default; a mutable one as a copy, so that a call that changes it leaves the next call alone."""
        return copy.deepcopy(self.default) if self._mutable else self.default

    def from_text(self, texts: list[str]) -> Any:
        """Text of a query, a form field or a text part → value.

        Args:
            texts: as many as were sent under this name, at least one.

        Raises:
            InvalidInputError: it does not fit, or was repeated where one is wanted.
        """
        try:
            if self.scalars:
                return self._finite(msgspec.convert(texts, self.plain, strict=False, dec_hook=dec_hook))
            if len(texts) > 1:
                raise InvalidInputError(f"expected one value, got {len(texts)}", path=self.path)
            if self.text:
                return texts[0]
            if self.scalar:
                return self._finite(msgspec.convert(texts[0], self.plain, strict=False, dec_hook=dec_hook))
            return self.from_json(texts[0].encode("utf-8", "surrogatepass"))
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._refused(error) from error

    def from_json(self, text: bytes) -> Any:
        """JSON of this value alone, in a part of a form."""
        try:
            value = msgspec.json.decode(text, type=self.plain, dec_hook=dec_hook)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refused(error) from error
        if self.fields is not None:
            self.fields.settle(value, msgspec.json.decode(text), self.path)
        return value

    def raw_kind(self, media_type: str) -> Kind | None:
        """The kind that reads a part of that media type by its bytes; None when the part is JSON or text.

        For `list[File]` and the like it is the kind of one element.
        """
        kind = self.kind or self.element
        if kind is None:
            return None
        fits = kind.any_part or media_type == OCTETS or accepts(kind, media_type)
        return kind if fits else None

    def _finite(self, value: Any) -> Any:
        check_finite(value, self.path)
        return value

    def _refused(self, error: Exception) -> Exception:
        refused = explain(error, (), hint=self.plain)
        if isinstance(refused, InvalidInputError):
            return InvalidInputError(refused.message, path=self.path + refused.path[1:])
        return refused

    def spec(self) -> TypeSpec:
        return spec_of(self.plain)


def without_none(hint: Any) -> tuple[Any, bool]:
    """`X | None` → (X, True); anything else as it is, with False."""
    if hint is None or not _is_union(hint):
        return hint, False
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if len(parts) == len(typing.get_args(hint)):
        return hint, False
    return (parts[0] if len(parts) == 1 else typing.Union[tuple(parts)]), True  # noqa: UP007 - made at run time


def _unannotated(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _is_union(hint: Any) -> bool:
    import types

    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_scalar(hint: Any) -> bool:
    """Whether text alone (a query, a form field) can say it: numbers, str, bool, dates, enums, literals."""
    hint = without_none(hint)[0]
    if typing.get_origin(hint) is Annotated:
        return is_scalar(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return True
    if _is_union(hint):
        return all(is_scalar(part) for part in typing.get_args(hint))
    if not isinstance(hint, type) or isinstance(hint, Marker):
        return False
    import datetime
    import decimal
    import enum
    import uuid

    known = (
        *_SCALARS,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
        enum.Enum,
    )
    return issubclass(hint, known)


def _element_kind(hint: Any) -> Kind | None:
    if typing.get_origin(hint) is not list:
        return None
    element = typing.get_args(hint)[0]
    return element.kind if isinstance(element, Marker) else None


def accepts(kind: Kind, media_type: str) -> bool:
    """Whether a body of that media type is one such value."""
    return any(
        media in ("*/*", media_type) or (media.endswith("/*") and media_type.startswith(media[:-1]))
        for media in kind.raw_media
    )


def spec_of(lowered: Any) -> TypeSpec:
    """The manifest's words for a lowered hint."""
    inner = without_none(lowered)[0]
    if isinstance(inner, Marker):
        spec = inner.kind.spec()
        if lowered is not inner:
            spec.json_schema = {"anyOf": [spec.json_schema, {"type": "null"}]}
        return spec
    if typing.get_origin(inner) is Annotated:
        inner = typing.get_args(inner)[0]
    kind = "json"
    if inner is bool:
        kind = "boolean"
    elif inner in (int, float):
        kind = "number"
    elif inner is str:
        kind = "text"
    return TypeSpec(kind=kind, json_schema=schema_of(lowered))
