"""Images → a class for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np

from ...errors import InferenceError
from ..schema.file import File
from .pixels import Pixels, upright

_MAX_CLASSES = 256


@dataclass
class Segment:
    """All pixels of a class in an image."""

    label: str
    share: float
    """Of the image's pixels, 0 to 1."""
    left: int
    """The smallest box around them, in pixels from the left upper corner; right and bottom are past it."""
    top: int
    right: int
    bottom: int


@dataclass
class Segmented:
    """An image by classes."""

    width: int
    height: int
    mask: File
    """A grey PNG of the image's size whose values are the numbers of the classes."""
    segments: list[Segment]
    """The classes that are there, the largest first."""


@dataclass(frozen=True)
class Segmentation:
    """What goes before and after a model that gives scores of classes for each pixel."""

    pixels: Pixels = field(default_factory=lambda: Pixels(512, 512, fit="stretch"))
    threshold: float = 0.5
    """Where the model gives one score a pixel: from which on it is class 1."""

    def prepare(self, images: Sequence[Any]) -> Any:
        """`PIL` images → the model's rows, as `Pixels.array`."""
        return self.pixels.array(images)

    def results(self, outputs: Any, images: Sequence[Any], classes: Sequence[str] = ()) -> list[Segmented]:
        """The classes of each image's pixels, at the image's own size.

        Args:
            outputs: float[n, k, h, w] (`nhwc`: float[n, h, w, k]): scores; int[n, h, w]: classes.
            images: those that went in.
            classes: the word for each class index.

        Raises:
            InferenceError: the outputs have another form, or there are more than 256 classes.
        """
        if isinstance(outputs, dict):  # torchvision calls it so
            outputs = outputs.get("out", next(iter(outputs.values())))
        maps = self._classes(np.asarray(outputs))
        if len(maps) != len(images):
            raise InferenceError(f"the model gives maps of {len(maps)} images for {len(images)}")
        return [self._of_image(one, image, classes) for one, image in zip(maps, images, strict=True)]

    def _classes(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8[n, h, w]"""
        if outputs.ndim == 3 and outputs.dtype.kind in "iub":
            maps = outputs
        elif outputs.ndim == 4:
            axis = 1 if self.pixels.layout == "nchw" else 3
            if outputs.shape[axis] == 1:
                scores = outputs.astype(np.float64).squeeze(axis)
                logits = scores.min(initial=0.0) < 0.0 or scores.max(initial=0.0) > 1.0
                maps = (1 / (1 + np.exp(-scores)) if logits else scores) >= self.threshold
            else:
                maps = outputs.argmax(axis=axis)
        else:
            raise InferenceError(
                f"segmentation needs float[n, k, h, w] or int[n, h, w], the model gives "
                f"{outputs.dtype}{list(outputs.shape)}"
            )
        if maps.size and int(maps.max()) >= _MAX_CLASSES:
            raise InferenceError(f"class {int(maps.max())}: a mask holds {_MAX_CLASSES} classes")
        return maps.astype(np.uint8)

    def _of_image(self, classes: np.ndarray[Any, Any], image: Any, words: Sequence[str]) -> Segmented:
        from PIL import Image

        width, height = upright(image).size
        place = self.pixels.place((width, height))
        # The model's map may be smaller than its picture.
        across, down = classes.shape[1] / self.pixels.width, classes.shape[0] / self.pixels.height
        box = (
            place.left * across,
            place.top * down,
            (place.left + width * place.scale_x) * across,
            (place.top + height * place.scale_y) * down,
        )
        transform = Image.Transform.EXTENT
        mask = Image.fromarray(classes).transform((width, height), transform, box, Image.Resampling.NEAREST)
        out = BytesIO()
        mask.save(out, format="PNG")
        return Segmented(
            width=width,
            height=height,
            mask=File(out.getvalue(), name="mask.png", media_type="image/png"),
            segments=_segments(np.asarray(mask), words),
        )


def _segments(mask: np.ndarray[Any, Any], words: Sequence[str]) -> list[Segment]:
    numbers, counts = np.unique(mask, return_counts=True)
    found = []
    for number, count in sorted(
        zip(numbers.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1]
    ):
        down, across = np.nonzero(mask == number)
        found.append(
            Segment(
                label=words[number] if number < len(words) else str(number),
                share=count / mask.size,
                left=int(across.min()),
                top=int(down.min()),
                right=int(across.max()) + 1,
                bottom=int(down.max()) + 1,
            )
        )
    return found
