"""Images → the array that a model takes, and places in that array → places in the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInputError, ServiceDefinitionError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of the three colours, 0 to 1: what most networks for photographs were trained with."""
FITS = ("crop", "stretch", "letterbox", "left")
LAYOUTS = ("nchw", "nhwc")
_GREY = 114
"""What is beside a letterboxed image: the grey that detectors are trained with."""
_MODES = {1: "L", 3: "RGB"}


class Place(NamedTuple):
    """Where an image lies in the model's picture: `model = image * scale + offset`, in pixels."""

    scale_x: float
    scale_y: float
    left: float
    top: float


@dataclass(frozen=True)
class Pixels:
    """How images become arrays."""

    height: int = 224
    """Of the model's picture, in pixels."""
    width: int = 224
    channels: int = 3
    """3: red, green, blue; 1: grey."""
    layout: str = "nchw"
    """`nchw`: rows, channels, height, width (PyTorch); `nhwc`: channels last (TensorFlow)."""
    fit: str = "crop"
    """`crop`: the middle, its short side filling the picture; `stretch`: all of it, its shape changed;
    `letterbox`: all of it, grey beside; `left`: all of it at the left, white beside."""
    scale: float = 1 / 255
    """What values of 0 to 255 are multiplied by, before mean and std."""
    mean: Sequence[float] = (0.0,)
    """Taken off each channel; one for all, or one each."""
    std: Sequence[float] = (1.0,)
    """Each channel is divided by it."""
    dtype: str = "float32"
    """`uint8` takes the values as they are."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ServiceDefinitionError(f"Pixels of {self.height} × {self.width}: both must be 1 or more")
        _check("channels", self.channels, tuple(_MODES))
        _check("layout", self.layout, LAYOUTS)
        _check("fit", self.fit, FITS)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.channels}:
                raise ServiceDefinitionError(
                    f"Pixels: {name} has {len(values)} values for {self.channels} channels"
                )

    def array(self, images: Sequence[Any]) -> np.ndarray[Any, Any]:
        """One row for each image.

        Args:
            images: `PIL.Image.Image`, of any size and mode; turned upright as their EXIF data says.

        Returns:
            float32[n, channels, height, width] or as `layout` and `dtype` say.

        Raises:
            InvalidInputError: no images, or one without pixels.
        """
        if not images:
            raise InvalidInputError("there is no image")
        rows = np.stack([self._values(upright(image)) for image in images])
        if self.layout == "nchw":
            rows = rows.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(rows)

    def place(self, size: tuple[int, int]) -> Place:
        """Where an upright image of that width and height lies in the model's picture."""
        width, height = size
        if not width or not height:
            raise InvalidInputError("an image has no pixels")
        if self.fit == "stretch":
            return Place(self.width / width, self.height / height, 0.0, 0.0)
        ratios = self.width / width, self.height / height
        scale = max(ratios) if self.fit == "crop" else min(ratios)
        left, top = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        return Place(scale, scale, 0.0 if self.fit == "left" else left, top)

    def _values(self, image: Any) -> np.ndarray[Any, Any]:
        from PIL import Image

        place = self.place(image.size)
        image = image.convert(_MODES[self.channels])
        size = max(1, round(image.width * place.scale_x)), max(1, round(image.height * place.scale_y))
        around = 255 if self.fit == "left" else _GREY
        picture = Image.new(image.mode, (self.width, self.height), (around,) * self.channels)
        resized = image.resize(size, Image.Resampling.BILINEAR)
        picture.paste(resized, (round(place.left), round(place.top)))
        values = np.asarray(picture).reshape(self.height, self.width, self.channels)
        if self.dtype == "uint8":
            return values
        scaled = values.astype(np.float32) * np.float32(self.scale)
        found: np.ndarray[Any, Any] = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(
            self.std, np.float32
        )
        return found.astype(self.dtype)


def upright(image: Any) -> Any:
    """The image as a person sees it: cameras say by EXIF how they were held."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _check(name: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise ServiceDefinitionError(f"Pixels: {name}={value!r}; there are {', '.join(map(repr, known))}")
