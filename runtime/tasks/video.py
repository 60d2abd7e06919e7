"""Films → single images, for tasks that take images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ...errors import InvalidInputError, MissingDependencyError
from ..schema.file import File
from .labels import Label

_ANIMATIONS = {"GIF", "PNG", "WEBP", "TIFF", "MPO"}
_STILL_S = 0.1
"""How long a frame of an animation is shown when it does not say."""


@dataclass
class FrameLabels:
    """What is seen at one moment of a film."""

    time_s: float
    """Seconds from its beginning."""
    labels: list[Label]


MOST_PIXELS = 500_000_000
"""Of all images of a film together, which are 3 bytes each in memory: 240 of 1920 × 1080."""


def frames(film: File, *, every_s: float = 1.0, most: int = 100) -> list[tuple[float, Any]]:
    """Single images of a film.

    Args:
        film: an animated GIF, PNG or WebP; any other film where `av` is installed.
        every_s: seconds from one image to the next; 0: every frame.
        most: images; the film is not read further.

    Returns:
        Seconds from the beginning, and `PIL.Image.Image`.

    Raises:
        InvalidInputError: no film, or a damaged one.
        MissingDependencyError: it needs `av`.
    """
    if every_s < 0 or most < 1:
        raise InvalidInputError(f"every_s={every_s}, most={most}: seconds are 0 or more, images 1 or more")
    found: list[tuple[float, Any]] = []
    pixels = 0
    source = _animation(film.data) or _film(film.data)
    for time_s, image in source:
        if not found or time_s - found[-1][0] >= every_s - 1e-6:
            found.append((time_s, image))
            pixels += image.width * image.height
            if pixels > MOST_PIXELS:
                raise InvalidInputError(
                    f"{len(found)} images of {image.width} × {image.height} are more than fit the memory: "
                    "send a smaller film, or ask for fewer of its images"
                )
        if len(found) == most:
            break
    if not found:
        raise InvalidInputError("the film has no images")
    return found


def _animation(data: bytes) -> Iterator[tuple[float, Any]] | None:
    """None: Pillow does not know it."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(data))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    return _frames_of(image) if image.format in _ANIMATIONS else iter([(0.0, image)])


def _frames_of(image: Any) -> Iterator[tuple[float, Any]]:
    time_s = 0.0
    for number in range(getattr(image, "n_frames", 1)):
        try:
            image.seek(number)
            yield time_s, image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise InvalidInputError(f"frame {number} of the film is damaged: {error}") from error
        time_s += image.info.get("duration", _STILL_S * 1000) / 1000 or _STILL_S


def _film(data: bytes) -> Iterator[tuple[float, Any]]:
    try:
        import av  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingDependencyError("av", "video") from error
    try:
        with av.open(BytesIO(data)) as container:
            if not container.streams.video:
                raise InvalidInputError("the film has no images, only sound or nothing")
            for frame in container.decode(container.streams.video[0]):
                yield float(frame.time or 0.0), frame.to_image()
    except av.error.FFmpegError as error:
        raise InvalidInputError(f"the film cannot be read: {error.strerror}") from error
