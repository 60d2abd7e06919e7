"""`tiffin.File`: bytes with a name and a media type, taken and given back; and plain `bytes`."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import Any

from ..manifest import TypeSpec
from .kind import Kind
from .wrong import WrongValueError

OCTETS = "application/octet-stream"


class File:
    """A file that came in, or goes out.

    Args:
        data: the whole content.
        name: file name without folders; may be empty.
        media_type: `text/csv`, `audio/wav` …
    """

    __slots__ = ("data", "media_type", "name")

    def __init__(self, data: bytes, *, name: str = "", media_type: str = OCTETS) -> None:
        self.data = bytes(data)
        # A caller chooses the name: folders are cut off, so that joining it to a path stays inside.
        self.name = name.replace("\\", "/").rpartition("/")[2].replace("\0", "")
        if self.name in (".", ".."):
            self.name = ""
        self.media_type = media_type

    def open(self) -> BytesIO:
        """The content as a binary file object."""
        return BytesIO(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, File):
            return NotImplemented
        return (self.name, self.media_type, self.data) == (other.name, other.media_type, other.data)

    def __hash__(self) -> int:
        return hash((self.name, self.media_type, self.data))

    def __repr__(self) -> str:
        return f"File(name={self.name!r}, media_type={self.media_type!r}, {len(self.data)} bytes)"


class FileKind(Kind):
    """`File`: any body, a part of a form, or `{"name", "media_type", "data": base64}` in JSON."""

    raw_media = ("*/*",)
    any_part = True
    heavy_bytes = 512 * 1024

    def __init__(self) -> None:
        super().__init__("file")

    def from_plain(self, value: Any) -> File:
        if isinstance(value, File):
            return value
        if isinstance(value, dict):
            unknown = set(value) - {"name", "media_type", "data"}
            if unknown or "data" not in value:
                raise WrongValueError("expected an object of data and, if wanted, name and media_type")
            name, media_type = value.get("name", ""), value.get("media_type", OCTETS)
            if not isinstance(name, str) or not isinstance(media_type, str):
                raise WrongValueError("expected strings for name and media_type")
            return File(binary(value["data"], ".data"), name=name, media_type=media_type)
        return File(binary(value))

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> File:
        return File(body, name=name, media_type=media_type or OCTETS)

    def spec(self) -> TypeSpec:
        return TypeSpec(kind="file", json_schema=self.json_schema())

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "description": "a file",
            "properties": {
                "data": {"type": "string", "contentEncoding": "base64"},
                "name": {"type": "string"},
                "media_type": {"type": "string"},
            },
            "required": ["data"],
            "additionalProperties": False,
        }

    def example(self) -> Any:
        return {"name": "hello.txt", "media_type": "text/plain", "data": "aGVsbG8="}


class BytesKind(Kind):
    """`bytes`: an octet-stream, a part of a form, base64 in JSON, binary in msgpack."""

    raw_media = (OCTETS,)
    any_part = True
    heavy_bytes = 512 * 1024

    def __init__(self) -> None:
        super().__init__("bytes")

    def from_plain(self, value: Any) -> bytes:
        return binary(value)

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> bytes:  # noqa: ARG002 - bytes have neither
        return bytes(body)

    def spec(self) -> TypeSpec:
        return TypeSpec(kind="bytes", json_schema=self.json_schema())

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64"}

    def example(self) -> Any:
        return "aGVsbG8="


def binary(value: Any, at: str = "") -> bytes:
    """Base64 text (JSON) or binary (msgpack) → bytes."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, str):
        raise WrongValueError(f"expected base64 text, got `{type(value).__name__}`", at)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongValueError(f"expected base64 text: {error}", at) from error
