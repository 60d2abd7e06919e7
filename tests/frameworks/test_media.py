"""Recordings and films that need a library: real files, whole and damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest

import tiffin
from tiffin.errors import InvalidInputError
from tiffin.runtime.tasks import video
from tiffin.runtime.tasks.sound import decode

soundfile = pytest.importorskip("soundfile")
av = pytest.importorskip("av")

RATE = 22_050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def recording(kind: str, wave: Any = TONE, rate: int = RATE) -> bytes:
    name, _, subtype = kind.partition("/")
    file = BytesIO()
    soundfile.write(file, np.stack([wave, wave], axis=1), rate, format=name, subtype=subtype or None)
    return file.getvalue()


def film(container: str, codec: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """Five seconds, at first red and then blue."""
    file = BytesIO()
    with av.open(file, "w", format=container) as made:
        stream = made.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(25):
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            pixels[:, :, 0 if number < 12 else 2] = 255
            made.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize("kind", ["FLAC", "OGG/VORBIS", "OGG/OPUS", "MP3", "AIFF", "AU", "CAF"])
def test_recordings(kind: str) -> None:
    rate = 48_000 if kind.endswith("OPUS") else RATE
    data = recording(kind, TONE[: RATE // 2], rate)
    wave, found = decode(data)
    assert found == rate
    assert wave.shape[1] == 2
    assert 0.45 < np.abs(wave).max() < 0.56
    heard = tiffin.tasks.Sound(rate=16_000, seconds=0.2).array([tiffin.File(data)])
    assert heard.shape == (1, 3200)
    loudest = np.abs(np.fft.rfft(heard[0])).argmax() * 16_000 / 3200
    assert abs(loudest - 440 * rate / RATE) < 10


def test_only_what_is_heard_is_unpacked() -> None:
    data = recording("FLAC", np.zeros(60 * RATE))
    assert decode(data, seconds=0.5)[0].shape == (RATE // 2, 2)
    assert decode(data)[0].shape == (60 * RATE, 2)


@pytest.mark.parametrize("kind", ["FLAC", "OGG/VORBIS", "MP3", "AIFF"])
def test_damaged_recordings(kind: str) -> None:
    data = recording(kind)
    for changed in damaged(data):
        refused_or_read(lambda data: decode(data)[0], changed)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mp4", "mpeg4"), ("webm", "libvpx"), ("avi", "mpeg4"), ("matroska", "mpeg4")],
)
def test_films(container: str, codec: str) -> None:
    found = tiffin.tasks.frames(tiffin.File(film(container, codec)), every_s=1.0)
    assert [round(time_s, 2) for time_s, _ in found] == [0, 1, 2, 3, 4]
    assert ["rb"[image.getpixel((9, 9))[2] > 128] for _, image in found] == ["r", "r", "r", "b", "b"]
    assert found[0][1].size == (64, 48)


def test_damaged_films() -> None:
    for changed in damaged(film("mp4", "mpeg4")):
        refused_or_read(lambda data: tiffin.tasks.frames(tiffin.File(data)), changed)


def test_sound_is_no_film() -> None:
    with pytest.raises(InvalidInputError, match="the film has no images, only sound"):
        tiffin.tasks.frames(tiffin.File(recording("FLAC")))


def test_films_that_do_not_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST_PIXELS", 3 * 64 * 48)
    whole = tiffin.File(film("mp4", "mpeg4"))
    assert len(tiffin.tasks.frames(whole, most=3)) == 3
    with pytest.raises(InvalidInputError, match="4 images of 64 × 48 are more than fit"):
        tiffin.tasks.frames(whole)


def refused_or_read(read: Callable[[bytes], Any], data: bytes) -> None:
    """And what is said of it is for a person."""
    try:
        assert len(read(data))
    except InvalidInputError as error:
        assert "<" not in str(error)


def damaged(data: bytes) -> list[bytes]:
    pick = random.Random(0)
    found = [data[: len(data) * part // 20] for part in range(20)]
    for _ in range(30):
        changed = bytearray(data)
        changed[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
        found.append(bytes(changed))
    return found
