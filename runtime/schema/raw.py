"""Bodies that are one value as they stand: an image, an npy array, a CSV, text, bytes."""

from __future__ import annotations

from typing import Any

from ...errors import MalformedInputError, UnsupportedMediaTypeError
from . import media
from .file import OCTETS
from .kind import Buffer
from .parameter import Parameter, accepts
from .wrong import WrongValueError


class RawBody:
    """The one parameter that a raw body fills; all others are scalars from the query, or have defaults.

    Args:
        parameter: it.
    """

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        kind = parameter.kind
        self.media_types: tuple[str, ...] = kind.raw_media if kind is not None else (media.TEXT,)

    @classmethod
    def of(cls, found: list[Parameter]) -> RawBody | None:
        """None when there is no such parameter, or when more than one could be meant."""
        heavy = [each for each in found if each.kind is not None and each.kind.raw_media]
        others = [each for each in found if each not in heavy]
        if len(heavy) == 1 and all(each.scalar or each.scalars or not each.required for each in others):
            return cls(heavy[0])
        texts = [each for each in found if each.text]
        if (
            not heavy
            and len(texts) == 1
            and all(each.text or each.scalar or each.scalars or not each.required for each in found)
        ):
            return cls(texts[0])
        return None

    def takes(self, media_type: str) -> bool:
        kind = self.parameter.kind
        if kind is None:
            return media_type == media.TEXT
        return "/" in media_type and accepts(kind, media_type)

    def read(self, body: Buffer, media_type: str, options: dict[str, str]) -> dict[str, Any]:
        """The parameter's value under its name.

        Raises:
            MalformedInputError: not what its media type says.
            InvalidInputError: it does not fit the hint.
        """
        kind, name = self.parameter.kind, self.parameter.name
        if kind is None:
            return {name: _text(body, options)}
        try:
            return {name: kind.from_raw(bytes(body), media_type or OCTETS)}
        except WrongValueError as error:
            raise error.under(self.parameter.path) from error


def _text(body: Buffer, options: dict[str, str]) -> str:
    charset = options.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii", "iso-8859-1", "latin-1", "utf-16"):
        raise UnsupportedMediaTypeError(f"text in charset {charset[:40]!r} is not taken; send UTF-8")
    try:
        return bytes(body).decode(charset)
    except UnicodeDecodeError as error:
        raise MalformedInputError(f"the text is not valid {charset}: {error.reason}") from error
