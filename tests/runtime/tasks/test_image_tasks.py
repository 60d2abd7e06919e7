"""Classes, boxes, masks and texts out of images, each with a small model of torch."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tiffin.errors import InferenceError, InvalidInputError, ServiceDefinitionError
from tiffin.runtime.schema.file import File
from tiffin.runtime.tasks import (
    ImageClassification,
    ObjectDetection,
    Ocr,
    Pixels,
    Segmentation,
    frames,
)
from tiffin.runtime.tasks.object_detection import distinct

COLOURS = ("red", "green", "blue")
PAINT = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def _plain(colour: str, size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.new("RGB", size, PAINT[colour])


def _run(module: Any, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return module(torch.from_numpy(rows)).numpy()  # type: ignore[no-any-return]


class _MeanColour(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * x.mean(dim=(2, 3))


def test_classification() -> None:
    task = ImageClassification(Pixels(16, 16), top=2)
    images = [_plain("blue"), _plain("red")]
    found = task.results(_run(_MeanColour(), task.prepare(images)), COLOURS)
    assert [[label.label for label in labels] for labels in found] == [["blue", "red"], ["red", "green"]]
    assert found[0][0].score > 0.99
    assert [labels[0].label for labels in task.results(np.eye(3))] == ["0", "1", "2"]
    with pytest.raises(InferenceError, match="3 scores and there are 2 words"):
        task.results(np.eye(3), COLOURS[:2])


class _Finder(torch.nn.Module):
    """Finds what is bright: a box around it, in YOLO's form, three times, two of them nearly the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.amax(dim=1) > 0.9
        rows = []
        for picture in bright:
            down, across = torch.nonzero(picture, as_tuple=True)
            left, right = across.min().float(), across.max().float() + 1
            top, bottom = down.min().float(), down.max().float() + 1
            box = torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
            scores = torch.tensor([[0.1, 0.9, 0.0], [0.1, 0.8, 0.0], [0.2, 0.0, 0.1]])
            rows.append(torch.cat([box.repeat(3, 1) + torch.tensor([[0.0], [0.5], [0.0]]), scores], dim=1).T)
        return torch.stack(rows)


def _spot() -> Image.Image:
    """200 × 100, black, with a white spot from (120, 40) to (160, 60)."""
    image = Image.new("RGB", (200, 100))
    image.paste((255, 255, 255), (120, 40, 160, 60))
    return image


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_detection_gives_places_in_the_image_that_was_sent(fit: str) -> None:
    task = ObjectDetection(Pixels(64, 64, fit=fit))
    images = [_spot(), _spot().resize((400, 200))]
    found = task.results(_run(_Finder(), task.prepare(images)), images, COLOURS)
    for boxes, factor in zip(found, (1, 2), strict=True):
        (box,) = boxes  # the second is the same thing, the third is under the threshold
        assert (box.label, round(box.score, 3)) == ("green", 0.9)
        got = np.array([box.left, box.top, box.right, box.bottom]) / factor
        assert np.abs(got - [120, 40, 160, 60]).max() < 5


def test_forms_of_detectors() -> None:
    image = Image.new("RGB", (100, 100))
    pixels = Pixels(100, 100, fit="stretch")
    corners = [10.0, 20.0, 50.0, 60.0]
    outputs: dict[str, Any] = {
        "yolo": np.array([[[30.0], [40.0], [40.0], [40.0], [0.1], [0.9]]]),
        "yolov5": np.array([[[30.0, 40.0, 40.0, 40.0, 0.9, 0.1, 1.0]]]),
        "boxes": {"boxes": np.array([[corners]]), "labels": np.array([[1]]), "scores": np.array([[0.9]])},
        "detr": {
            "pred_boxes": np.array([[[0.3, 0.4, 0.4, 0.4]]]),
            "logits": np.log(np.array([[[0.05, 0.9, 0.05]]])),
        },
    }
    for form, output in outputs.items():
        ((box,),) = ObjectDetection(pixels, form=form).results(output, [image], COLOURS)
        assert np.allclose([box.left, box.top, box.right, box.bottom], corners), form
        assert (box.label, round(box.score, 3)) == ("green", 0.9), form
    with pytest.raises(InferenceError, match="have not the form 'detr'"):
        ObjectDetection(pixels, form="detr").results(outputs["boxes"], [image])
    with pytest.raises(InferenceError, match="three axes"):
        ObjectDetection(pixels).results(np.zeros((1, 2)), [image])
    with pytest.raises(InferenceError, match="of 1 images for 2"):
        ObjectDetection(pixels).results(outputs["yolo"], [image, image])
    with pytest.raises(ServiceDefinitionError, match="form='ssd'"):
        ObjectDetection(form="ssd")


def test_boxes_that_overlap() -> None:
    corners = np.array(
        [[0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 10], [50, 50, 60, 60], [5, 5, 5, 5]], float
    )
    scores = np.array([0.5, 0.9, 0.8, 0.1, 0.2])
    numbers = np.array([0, 0, 1, 0, 0])
    assert distinct(corners, scores, numbers, 0.5).tolist() == [1, 2, 4, 3]
    assert distinct(corners[:0], scores[:0], numbers[:0], 0.5).tolist() == []


class _Brightest(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = 0.5 * torch.ones_like(x[:, :1])
        return torch.cat([dark, x], dim=1)[:, :, ::2, ::2]  # at half the size, as most networks


def test_segmentation() -> None:
    image = Image.new("RGB", (200, 100))
    image.paste((0, 255, 0), (100, 50, 200, 100))
    task = Segmentation(Pixels(64, 64, fit="stretch"))
    words = ("nothing", *COLOURS)
    (found,) = task.results(_run(_Brightest(), task.prepare([image])), [image], words)
    assert (found.width, found.height) == (200, 100)
    assert [segment.label for segment in found.segments] == ["nothing", "green"]
    green = found.segments[1]
    assert abs(green.share - 0.25) < 0.02
    assert (
        np.abs(np.array([green.left, green.top, green.right, green.bottom]) - [100, 50, 200, 100]).max() <= 4
    )
    mask = np.asarray(Image.open(found.mask.open()))
    assert mask.shape == (100, 200)
    assert (mask[80, 150], mask[20, 20]) == (2, 0)
    (letterboxed,) = Segmentation(Pixels(64, 64, fit="letterbox")).results(
        _run(_Brightest(), Pixels(64, 64, fit="letterbox").array([image])), [image], words
    )
    assert abs(letterboxed.segments[1].share - 0.25) < 0.03


def test_segmentation_of_one_class_and_of_numbers() -> None:
    image = Image.new("L", (4, 4))
    task = Segmentation(Pixels(4, 4, fit="stretch"))
    logits = np.full((1, 1, 4, 4), -3.0)
    logits[..., :2, :] = 3.0
    for outputs in (logits, {"out": logits}, (logits[:, 0] > 0).astype(np.int64)):
        (found,) = task.results(outputs, [image], ("no", "yes"))
        assert {segment.label: segment.share for segment in found.segments} == {"no": 0.5, "yes": 0.5}
    with pytest.raises(InferenceError, match=r"float\[n, k, h, w\] or int"):
        task.results(np.zeros((1, 4)), [image])
    with pytest.raises(InferenceError, match="class 300"):
        task.results(np.full((1, 4, 4), 300), [image])


class _Reader(torch.nn.Module):
    """Each column of the picture has the class of its brightness: black blank, grey `a`, white `b`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        column = x.mean(dim=(1, 2))
        return torch.stack([-column, -((column - 0.5).abs()) * 4 + 0.2, column * 3 - 2], dim=2)


def test_ocr() -> None:
    image = Image.new("L", (60, 10))
    for start, grey in ((0, 128), (10, 0), (20, 128), (30, 255), (50, 0)):
        image.paste(grey, (start, 0, start + 10, 10))
    task = Ocr(Pixels(10, 60, channels=1, fit="left"))
    (found,) = task.results(_run(_Reader(), task.prepare([image])), ["a", "b"])
    assert found.text == "aab"
    assert 0 < found.score <= 1
    assert Ocr(blank=-1).results(np.eye(3)[None, [0, 0, 2, 0, 1]], ["x", "y"])[0].text == "xxy"
    with pytest.raises(InferenceError, match="2 characters need scores"):
        task.results(np.zeros((1, 5, 4)), ["a", "b"])


def test_films() -> None:
    out = BytesIO()
    first, *others = [_plain(colour) for colour in ("red", "green", "blue", "red")]
    first.save(out, format="GIF", save_all=True, append_images=others, duration=500)
    film = File(out.getvalue())
    assert [time_s for time_s, _ in frames(film, every_s=0)] == [0.0, 0.5, 1.0, 1.5]
    seen = frames(film, every_s=1.0)
    assert [(time_s, image.getpixel((5, 5))) for time_s, image in seen] == [
        (0.0, PAINT["red"]),
        (1.0, PAINT["blue"]),
    ]
    assert len(frames(film, every_s=0, most=3)) == 3
    with pytest.raises(InvalidInputError, match="every_s=-1"):
        frames(film, every_s=-1)
