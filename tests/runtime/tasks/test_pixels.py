"""Images become arrays, and places find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tiffin.errors import InvalidInputError, ServiceDefinitionError
from tiffin.runtime.tasks import IMAGENET_MEAN, IMAGENET_STD, Pixels


def _half() -> Image.Image:
    """20 × 10: the left half red, the right half blue."""
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.paste((0, 0, 255), (10, 0, 20, 10))
    return image


def test_layouts_and_channels() -> None:
    assert Pixels(4, 8).array([_half()] * 3).shape == (3, 3, 4, 8)
    rows = Pixels(4, 8, layout="nhwc", fit="stretch").array([_half()])
    assert rows.shape == (1, 4, 8, 3)
    assert rows.dtype == np.float32
    assert rows[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert rows[0, 3, 7].tolist() == [0.0, 0.0, 1.0]
    grey = Pixels(4, 8, channels=1, fit="stretch", dtype="uint8").array([_half()])
    assert grey.shape == (1, 1, 4, 8)
    assert grey.dtype == np.uint8
    assert grey[0, 0, 0, 0] == 76  # ITU-R 601: 0.299 of red


def test_mean_and_deviation() -> None:
    rows = Pixels(2, 2, mean=IMAGENET_MEAN, std=IMAGENET_STD).array([Image.new("RGB", (2, 2), (255, 0, 0))])
    expected = (np.array([1, 0, 0]) - IMAGENET_MEAN) / IMAGENET_STD
    assert np.allclose(rows[0, :, 0, 0], expected, atol=1e-5)


def test_what_is_seen_of_an_image() -> None:
    crop = Pixels(10, 10, layout="nhwc").array([_half()])[0]  # 5 to 15 of 20
    assert crop[5, 0].tolist() == [1, 0, 0]
    assert crop[5, 9].tolist() == [0, 0, 1]
    letterbox = Pixels(20, 20, layout="nhwc", fit="letterbox", dtype="uint8").array([_half()])[0]
    assert letterbox[0, 0].tolist() == [114] * 3
    assert letterbox[10, 1].tolist() == [255, 0, 0]
    left = Pixels(10, 40, layout="nhwc", fit="left", dtype="uint8").array([_half()])[0]
    assert left[5, 1].tolist() == [255, 0, 0]
    assert left[5, 30].tolist() == [255] * 3


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop", "left"])
def test_places_are_where_the_pixels_are(fit: str) -> None:
    image = Image.new("L", (60, 30))
    image.putpixel((30, 15), 230)
    image = image.resize((600, 300), Image.Resampling.NEAREST)
    pixels = Pixels(100, 140, channels=1, fit=fit, scale=1.0)
    place = pixels.place(image.size)
    picture = pixels.array([image])[0, 0]
    down, across = np.nonzero((picture > 180) & (picture < 250))  # beside the image there is 114 or 255
    assert abs(across.mean() - (305 * place.scale_x + place.left)) < 1.5
    assert abs(down.mean() - (155 * place.scale_y + place.top)) < 1.5


def test_images_are_turned_upright() -> None:
    image = _half()
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = Image.new("RGB", (10, 20))
    turned.paste(image.transpose(Image.Transpose.ROTATE_270))
    image.info["exif"] = exif.tobytes()
    rows = Pixels(20, 10, fit="stretch").array([image])
    assert np.array_equal(rows, Pixels(20, 10, fit="stretch").array([turned]))


def test_what_is_wrong() -> None:
    with pytest.raises(InvalidInputError, match="no image"):
        Pixels().array([])
    for wrong in ({"channels": 2}, {"layout": "chw"}, {"fit": "squash"}, {"mean": (1.0, 2.0)}, {"height": 0}):
        with pytest.raises(ServiceDefinitionError):
            Pixels(**wrong)  # type: ignore[arg-type]
