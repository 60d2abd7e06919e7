"""`PIL.Image.Image`: an image body or part, or base64 of an image file in JSON."""

from __future__ import annotations

import base64
import warnings
from io import BytesIO
from typing import Any

from ...errors import MalformedInputError
from ..manifest import TypeSpec
from .file import File, binary
from .kind import Kind
from .wrong import WrongValueError

# A black PNG of 1 × 1, so that the example can be sent as it stands.
_EXAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
OUT_MEDIA = ("image/png", "image/jpeg", "image/webp")


class ImageKind(Kind):
    """Any image that Pillow reads; it arrives loaded, in the mode the file has."""

    raw_media = ("image/*",)
    any_part = True
    heavy_bytes = 0  # 3 kB of PNG may be a million pixels

    def __init__(self) -> None:
        super().__init__("image")

    def from_plain(self, value: Any) -> Any:
        from PIL import Image

        if isinstance(value, Image.Image):
            return value
        try:
            return decode(value.data if isinstance(value, File) else binary(value))
        except MalformedInputError as error:
            raise WrongValueError(error.message) from error

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> Any:  # noqa: ARG002 - Pillow looks itself
        return decode(body)

    def spec(self) -> TypeSpec:
        return TypeSpec(kind="image", json_schema=self.json_schema())

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*"}

    def example(self) -> Any:
        return _EXAMPLE


def decode(data: bytes) -> Any:
    """Image file → `PIL.Image.Image`, pixels loaded.

    Raises:
        MalformedInputError: not an image, cut short, or more pixels than Pillow's bound on bombs.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(data))
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MalformedInputError(f"the image has too many pixels: {error}") from error
    except Exception as error:
        raise MalformedInputError("the body is not an image that can be read, or it is cut short") from error
    return image


def encode(image: Any, media_type: str) -> bytes:
    """`PIL.Image.Image` → file bytes; JPEG drops transparency."""
    out = BytesIO()
    if (media_type == "image/jpeg" and image.mode not in ("L", "RGB", "CMYK")) or (
        media_type == "image/png" and image.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
    ):
        image = image.convert("RGB")
    image.save(out, format=_FORMATS[media_type])
    return out.getvalue()


def to_text(image: Any) -> str:
    """Base64 of the PNG, for JSON."""
    return base64.b64encode(encode(image, "image/png")).decode()
