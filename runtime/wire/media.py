"""PIL images and `tiffin.File`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import WireError
from . import values
from .frame import Buffer


def _image(value: Any, buffers: list[Buffer]) -> Any:
    palette = value.getpalette("RGB") if value.mode == "P" else None
    description = values.nest(
        values.IMAGE,
        [len(buffers), value.mode, list(value.size), None if palette is None else bytes(palette)],
    )
    buffers.append(value.tobytes())
    return description


def _raise_image(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    from PIL import Image

    index, mode, (width, height), palette = msgspec.msgpack.decode(data)
    _check(mode, width, height, len(buffers[index]))
    # A copy: Pillow marks an image over foreign memory as read-only and copies it at the first change anyway.
    image = Image.frombytes(mode, (width, height), bytes(buffers[index]))
    if palette is not None:
        image.putpalette(palette, "RGB")
    return image


def _check(mode: str, width: int, height: int, given: int) -> None:
    """Before Pillow sets memory aside for what is claimed."""
    from PIL import ImageMode

    kind = ImageMode.getmode(mode)
    bits = 1 if mode == "1" else 8 * int(kind.typestr[2:]) * len(kind.bands)
    if width < 0 or height < 0 or (width * bits + 7) // 8 * height != given:
        raise WireError(f"malformed image: {given} bytes for {width} x {height} of mode {mode}")


def _file(value: Any, buffers: list[Buffer]) -> Any:
    description = values.nest(values.FILE, [len(buffers), value.name, value.media_type])
    buffers.append(value.data)
    return description


def _raise_file(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    from ..schema.file import File

    index, name, media_type = msgspec.msgpack.decode(data)
    return File(name=name, media_type=media_type, data=bytes(buffers[index]))


def match(kind: type) -> values.Lower | None:
    """The codec for a type of this file."""
    for base in kind.__mro__:
        if base.__module__ == "PIL.Image" and base.__name__ == "Image":
            return _image
        if base.__module__.endswith("runtime.schema.file") and base.__name__ == "File":
            return _file
    return None


RAISE: dict[int, values.Raise] = {values.IMAGE: _raise_image, values.FILE: _raise_file}
