"""Forms and queries: `multipart/form-data`, `application/x-www-form-urlencoded`, `?name=value`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ...errors import InvalidInputError, MalformedInputError
from .explain import unknown_field
from .kind import Buffer, Kind
from .parameter import Parameter
from .wrong import WrongValueError

_MAX_FIELDS = 1000
_MAX_PARTS = 10_000


def from_pairs(text: str | Buffer, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """A query or a form → values of the parameters that it names.

    Raises:
        MalformedInputError: not UTF-8, too many fields.
        InvalidInputError: an unknown name, or a value that does not fit.
    """
    try:
        plain = text if isinstance(text, str) else bytes(text).decode("ascii")
        pairs = parse_qsl(plain, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except (UnicodeError, ValueError) as error:
        raise MalformedInputError(f"the form or query is malformed: {error}") from error
    texts: dict[str, list[str]] = {}
    for name, value in pairs:
        texts.setdefault(name, []).append(value)
    values = {}
    for name, given in texts.items():
        parameter = parameters.get(name)
        if parameter is None:
            raise unknown_field(name, parameters)
        if not (parameter.scalar or parameter.scalars):
            raise InvalidInputError(
                "this parameter cannot be written in a form or query; send JSON", path=parameter.path
            )
        values[name] = parameter.from_text(given)
    return values


def from_multipart(body: Buffer, boundary: str, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Parts → values: text or JSON in fields, files by their bytes; repeated parts make lists.

    Raises:
        MalformedInputError: broken multipart, or a part that is not what its media type says.
        InvalidInputError: an unknown name, or a value that does not fit.
    """
    collected: dict[str, _Collected] = {}
    for name, filename, media_type, content in _parts(body, boundary):
        parameter = parameters.get(name)
        if parameter is None:
            raise unknown_field(name, parameters)
        collected.setdefault(name, _Collected(parameter)).add(content, media_type, filename)
    return {name: found.value() for name, found in collected.items()}


class _Collected:
    """The parts that came under one name."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.values: list[Any] = []
        self.texts: list[str] = []

    def add(self, content: bytes, media_type: str, filename: str) -> None:
        kind = self.parameter.raw_kind(media_type)
        if kind is not None:
            self.values.append(self._raw(kind, content, media_type, filename))
        elif media_type == "application/json":
            self.texts, self.values = [], [*self.values, _Whole(self.parameter.from_json(content))]
        elif media_type in ("", "text/plain", "application/octet-stream"):
            try:
                self.texts.append(content.decode())
            except UnicodeDecodeError as error:
                raise MalformedInputError(
                    f"the part is not valid UTF-8: {error.reason}", path=self.parameter.path
                ) from error
        else:
            raise InvalidInputError(
                f"a part of type {media_type} does not fit; send JSON", path=self.parameter.path
            )

    def _raw(self, kind: Kind, content: bytes, media_type: str, filename: str) -> Any:
        at = f"[{len(self.values)}]" if self.parameter.element is not None else ""
        path = self.parameter.path + at
        try:
            return kind.from_raw(content, media_type, filename)
        except WrongValueError as error:
            raise error.under(path) from error
        except MalformedInputError as error:
            raise MalformedInputError(error.message, path=path) from error

    def value(self) -> Any:
        if self.texts and self.values:
            raise InvalidInputError("sent both as text and as a file or JSON", path=self.parameter.path)
        if self.texts:
            return self.parameter.from_text(self.texts)
        whole = [value.value for value in self.values if isinstance(value, _Whole)]
        if not whole and self.parameter.element is not None:
            return self.values
        if len(self.values) > 1:
            raise InvalidInputError(f"expected one part, got {len(self.values)}", path=self.parameter.path)
        return whole[0] if whole else self.values[0]


class _Whole:
    """A value for the parameter as a whole, not for one element of its list."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _parts(body: Buffer, boundary: str) -> list[tuple[str, str, str, bytes]]:
    """(name, file name, media type, content) of each part."""
    from multipart import MultipartError, PushMultipartParser

    if not boundary:
        raise MalformedInputError("the content type multipart/form-data has no boundary")
    parts: list[tuple[str, str, str, bytes]] = []
    segment: Any = None
    content: list[bytes] = []
    try:
        with PushMultipartParser(boundary, max_segment_count=_MAX_PARTS) as parser:
            for event in parser.parse(bytes(body) or b"\r\n"):
                if event is None:
                    media_type = (segment.content_type or "").lower()
                    parts.append((segment.name or "", segment.filename or "", media_type, b"".join(content)))
                elif isinstance(event, (bytes, bytearray)):
                    content.append(bytes(event))
                else:
                    segment, content = event, []
    except (MultipartError, ValueError, LookupError) as error:
        raise MalformedInputError(f"the multipart body is malformed: {error}") from error
    return parts
