"""Files and images: bytes with their media type."""

from __future__ import annotations

import sys
from typing import Any

from ...schema import image
from ...schema.file import OCTETS, File
from .draft import FieldProto, FileDraft
from .form import MessageForm

_PNG = "image/png"


def _message(file: FileDraft, name: str, doc: str, fields: dict[str, tuple[int, str]]) -> str:
    known = file.known.get(name)
    if known is None:
        message = file.message(name, doc, own=True)
        for field, (kind, note) in fields.items():
            message.add(message.field_name(field), code=kind, note=note)
        known = file.known[name] = message.full_name
    return str(known)


class FileForm(MessageForm):
    """A `tiffin.File`."""

    word = "File"

    def __init__(self, file: FileDraft) -> None:
        self.type_name = _message(
            file,
            "File",
            "A file.",
            {
                "data": (FieldProto.TYPE_BYTES, "Its content."),
                "name": (FieldProto.TYPE_STRING, "May be empty."),
                "media_type": (FieldProto.TYPE_STRING, f"Such as text/csv; empty: {OCTETS}."),
            },
        )

    def read(self, value: Any) -> File:
        return File(value.data, name=value.name, media_type=value.media_type or OCTETS)

    def fill(self, message: Any, value: Any) -> None:
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = File(bytes(value))
        if not isinstance(value, File):
            raise TypeError(f"expected a tiffin.File, got a {type(value).__name__}")
        message.data, message.name, message.media_type = value.data, value.name, value.media_type

    def fits(self, value: object) -> bool:
        return isinstance(value, File)


class ImageForm(MessageForm):
    """A `PIL.Image.Image`: any format that Pillow reads comes in, PNG goes out."""

    word = "Image"

    def __init__(self, file: FileDraft) -> None:
        self.type_name = _message(
            file,
            "Image",
            "An image file.",
            {
                "data": (FieldProto.TYPE_BYTES, "PNG, JPEG, WebP …; answers are PNG."),
                "media_type": (FieldProto.TYPE_STRING, "Of answers; what is sent is looked at itself."),
            },
        )

    def read(self, value: Any) -> Any:
        return value.data

    def fill(self, message: Any, value: Any) -> None:
        if not self.fits(value):
            raise TypeError(f"expected an image, got a {type(value).__name__}")
        message.data, message.media_type = image.encode(value, _PNG), _PNG

    def fits(self, value: object) -> bool:
        module = sys.modules.get("PIL.Image")
        return module is not None and isinstance(value, module.Image)
