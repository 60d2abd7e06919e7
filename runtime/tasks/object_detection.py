"""Images → boxes with labels and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InferenceError, ServiceDefinitionError
from .pixels import Pixels, upright

FORMS = ("yolo", "yolov5", "boxes", "detr")
Array = np.ndarray[Any, Any]


@dataclass
class Box:
    """Something in an image; places are in pixels of the upright image, from its left upper corner."""

    label: str
    score: float
    """0 to 1"""
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ObjectDetection:
    """What goes before and after a detector."""

    pixels: Pixels = field(default_factory=lambda: Pixels(640, 640, fit="letterbox"))
    form: str = "yolo"
    """What the model gives. `yolo`: float[n, 4 + k, m], centre, size, k scores; `yolov5`: float[n, m, 5 + k],
    centre, size, how sure it is that there is anything, k scores; `boxes`: a dict of `boxes` float[n, m, 4]
    (corners), `labels` int[n, m], `scores` float[n, m]; `detr`: a dict of `pred_boxes` float[n, m, 4]
    (centre and size, 0 to 1) and `logits` float[n, m, k + 1]. All but the last in pixels of the model's."""
    threshold: float = 0.25
    """Boxes of a lower score are left out."""
    overlap: float = 0.45
    """Of two boxes of a class that share more than this of their area (intersection over union), the one
    with the lower score is left out."""
    most: int = 300
    """Boxes an image."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ServiceDefinitionError(f"form={self.form!r}: there are {', '.join(FORMS)}")

    def prepare(self, images: Sequence[Any]) -> Any:
        """`PIL` images → the model's rows, as `Pixels.array`."""
        return self.pixels.array(images)

    def results(self, outputs: Any, images: Sequence[Any], classes: Sequence[str] = ()) -> list[list[Box]]:
        """The boxes of each image, the surest first.

        Args:
            outputs: of the model, as `form` says.
            images: those that went in.
            classes: the word for each class index; without words the index is the label.

        Raises:
            InferenceError: the outputs do not have that form.
        """
        corners, scores, numbers = self._read(outputs)
        if len(corners) != len(images):
            raise InferenceError(f"the model gives boxes of {len(corners)} images for {len(images)}")
        return [
            self._of_image(*one, image=image, classes=classes)
            for *one, image in zip(corners, scores, numbers, images, strict=True)
        ]

    def _of_image(
        self, corners: Array, scores: Array, numbers: Array, *, image: Any, classes: Sequence[str]
    ) -> list[Box]:
        sure = np.flatnonzero(scores >= self.threshold)
        kept = distinct(corners[sure], scores[sure], numbers[sure], self.overlap)[: self.most]
        size = upright(image).size
        place = self.pixels.place(size)
        found = []
        for at in sure[kept]:
            left, top, right, bottom = corners[at].tolist()
            number = int(numbers[at])
            found.append(
                Box(
                    label=classes[number] if 0 <= number < len(classes) else str(number),
                    score=float(scores[at]),
                    left=_within((left - place.left) / place.scale_x, size[0]),
                    top=_within((top - place.top) / place.scale_y, size[1]),
                    right=_within((right - place.left) / place.scale_x, size[0]),
                    bottom=_within((bottom - place.top) / place.scale_y, size[1]),
                )
            )
        return found

    def _read(self, outputs: Any) -> tuple[Array, Array, Array]:
        """Corners float[n, m, 4] in the model's pixels, scores float[n, m], classes int[n, m]."""
        try:
            if self.form in {"yolo", "yolov5"}:
                return self._read_yolo(np.asarray(outputs, dtype=np.float64))
            values = {name: np.asarray(value) for name, value in dict(outputs).items()}
            if self.form == "boxes":
                corners = values["boxes"].astype(np.float64)
                return corners, values["scores"].astype(np.float64), values["labels"].astype(np.int64)
            return self._read_detr(values)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            what = sorted(outputs) if isinstance(outputs, Mapping) else f"shape {list(np.shape(outputs))}"
            raise InferenceError(f"the outputs ({what}) have not the form {self.form!r}: {error}") from error

    def _read_yolo(self, values: Array) -> tuple[Array, Array, Array]:
        if values.ndim != 3:
            raise ValueError("three axes are needed")
        rows = values.transpose(0, 2, 1) if self.form == "yolo" else values
        scores = rows[..., 5:] * rows[..., 4:5] if self.form == "yolov5" else rows[..., 4:]
        return _corners(rows[..., :4]), scores.max(axis=2), scores.argmax(axis=2)

    def _read_detr(self, values: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        logits = values["logits"].astype(np.float64)
        shares = np.exp(logits - logits.max(axis=2, keepdims=True))
        shares = (shares / shares.sum(axis=2, keepdims=True))[..., :-1]  # the last one is "nothing here"
        size = [self.pixels.width, self.pixels.height] * 2
        return (
            _corners(values["pred_boxes"].astype(np.float64)) * size,
            shares.max(axis=2),
            shares.argmax(axis=2),
        )


def distinct(corners: Array, scores: Array, numbers: Array, overlap: float) -> Array:
    """Which boxes stay when those that overlap a surer one of their class are left out, the surest first.

    Args:
        corners: float[m, 4]: left, top, right, bottom.
        scores: float[m].
        numbers: int[m], the class of each.
        overlap: the most that two boxes may share, intersection over union, 0 to 1.

    Returns:
        int[k], places in the arrays.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(np.clip(corners[:, 2:] - corners[:, :2], 0, None), axis=1)
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        inner_start = np.maximum(corners[first, :2], corners[rest, :2])
        inner_end = np.minimum(corners[first, 2:], corners[rest, 2:])
        shared = np.prod(np.clip(inner_end - inner_start, 0, None), axis=1)
        union = areas[first] + areas[rest] - shared
        ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        order = rest[(ratio <= overlap) | (numbers[rest] != numbers[first])]
    return np.asarray(kept, dtype=np.int64)


def _corners(centred: Array) -> Array:
    """Centre and size → left, top, right, bottom."""
    middle, half = centred[..., :2], centred[..., 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=-1)


def _within(value: float, size: int) -> float:
    return float(min(max(value, 0.0), size))
