"""Audio files → what a model hears: a waveform of one rate and length, or its mel spectrogram."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from math import inf
from typing import Any

import numpy as np

from ...errors import InvalidInputError, MissingDependencyError, ServiceDefinitionError
from ..schema.file import File

FEATURES = ("waveform", "log-mel")
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT = struct.Struct("<HHIIHH")
_KNOWN = (b"fLaC", b"OggS", b"ID3", b"\xff", b"FORM", b".snd", b"caff")
"""FLAC, Ogg, MP3 with and without a title, AIFF, AU, CAF."""
_MOST_HZ, _MOST_CHANNELS = 1_000_000, 64
_MARGIN_S = 0.1
"""Read beyond the end of what is heard, for the resampling of its last samples."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sound:
    """How audio becomes arrays."""

    rate: int = 16_000
    """Samples a second that the model hears."""
    seconds: float = 1.0
    """A longer recording is cut, a shorter one filled up with silence."""
    features: str = "waveform"
    """`waveform`: float32[n, samples], -1 to 1; `log-mel`: float32[n, mels, frames]."""
    mels: int = 64
    """Bands of the spectrogram."""
    window: int = 400
    """Samples that one frame sees."""
    hop: int = 160
    """Samples from one frame to the next."""

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ServiceDefinitionError(
                f"Sound: features={self.features!r}; there are {', '.join(FEATURES)}"
            )
        if self.rate < 1 or self.samples < 1:
            raise ServiceDefinitionError(f"Sound: {self.rate} Hz for {self.seconds} s is no recording")

    @property
    def samples(self) -> int:
        """Length of what the model hears."""
        return round(self.rate * self.seconds)

    def array(self, files: list[File]) -> Array:
        """One row for each recording.

        Raises:
            InvalidInputError: none, or one that is no audio.
            MissingDependencyError: another format than WAV, and `soundfile` is not installed.
        """
        if not files:
            raise InvalidInputError("there is no recording")
        waves = np.stack([self._wave(file) for file in files])
        return waves if self.features == "waveform" else self._log_mel(waves)

    def _wave(self, file: File) -> Array:
        wave, rate = decode(file.data, seconds=self.seconds + _MARGIN_S)
        mono = resample(wave.mean(axis=1), rate, self.rate)[: self.samples]
        return np.pad(mono, (0, self.samples - len(mono))).astype(np.float32)

    def _log_mel(self, waves: Array) -> Array:
        frames = np.lib.stride_tricks.sliding_window_view(
            np.pad(waves, ((0, 0), (0, max(0, self.window - waves.shape[1])))), self.window, axis=1
        )[:, :: self.hop]
        power = np.abs(np.fft.rfft(frames * np.hanning(self.window), axis=2)) ** 2
        bands = power @ mel_bands(self.rate, self.window, self.mels).T
        found: Array = np.log(np.maximum(bands, 1e-10)).transpose(0, 2, 1).astype(np.float32)
        return found


def decode(data: bytes, *, seconds: float = inf) -> tuple[Array, int]:
    """An audio file → float64[samples, channels], -1 to 1, and its rate in Hz.

    Args:
        seconds: what comes later is not unpacked: a few KB of silence may be hours.

    Raises:
        InvalidInputError: no audio, or damaged.
        MissingDependencyError: not WAV, and `soundfile` is not installed.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        wave, rate = _wav(data)
        return wave[: _most(seconds, rate)], rate
    if not data.startswith(_KNOWN):
        raise InvalidInputError("the recording is no audio file that is known: send WAV")
    try:
        import soundfile  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingDependencyError("soundfile", "audio") from error
    try:
        return _by_soundfile(soundfile, data, seconds)
    except InvalidInputError:
        raise
    except Exception as error:
        # Its own text names the place in memory of what it read from.
        said = getattr(error, "error_string", "") or str(error)
        raise InvalidInputError(f"the recording cannot be read: {said}") from error


def _by_soundfile(soundfile: Any, data: bytes, seconds: float) -> tuple[Array, int]:
    with soundfile.SoundFile(BytesIO(data)) as file:
        rate = int(file.samplerate)
        if not 0 < rate <= _MOST_HZ or not 0 < file.channels <= _MOST_CHANNELS:
            raise InvalidInputError(f"a recording of {file.channels} channels at {rate} Hz is not read here")
        # The length in the file may be anything: only what is wanted is asked for.
        wave: Array = file.read(min(file.frames, _most(seconds, rate)), always_2d=True)
    if not len(wave):
        raise InvalidInputError("the recording is cut: it has no samples")
    return wave, rate


def _most(seconds: float, rate: int) -> int:
    """Samples of that time."""
    return sys.maxsize if seconds == inf else max(1, round(seconds * rate))


def resample(wave: Array, rate: int, wanted: int) -> Array:
    """float[samples] at another rate; frequencies that it cannot hold are taken out."""
    if rate == wanted or not len(wave):
        return wave
    length = max(1, round(len(wave) * wanted / rate))
    spectrum = np.fft.rfft(wave)
    bins = length // 2 + 1
    fitted = np.zeros(bins, dtype=spectrum.dtype)
    count = min(bins, len(spectrum))
    fitted[:count] = spectrum[:count]
    found: Array = np.fft.irfft(fitted, n=length) * (length / len(wave))
    return found


@cache
def mel_bands(rate: int, window: int, mels: int) -> Array:
    """float64[mels, window // 2 + 1]: triangles that are equally wide on the mel scale,
    `mel = 2595 log10(1 + f / 700)`."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(window, 1 / rate)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    found: Array = np.maximum(0.0, np.minimum(rising, falling))
    return found


def _wav(data: bytes) -> tuple[Array, int]:
    """https://learn.microsoft.com/windows/win32/xaudio2/resource-interchange-file-format--riff-"""
    at, head, samples = 12, b"", b""
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt ":
            head = data[at + 8 : at + 8 + size]
        elif name == b"data":
            samples = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    if len(head) < _FORMAT.size or not samples:
        raise InvalidInputError("the WAV file is cut: it has no samples")
    kind, channels, rate, _, _, bits = _FORMAT.unpack_from(head)
    if kind == _EXTENSIBLE and len(head) >= 26:
        kind = int.from_bytes(head[24:26], "little")
    width = bits // 8
    if not channels or not rate or (kind, bits) not in _READERS:
        raise InvalidInputError(f"a WAV file of kind {kind} with {bits} bits a sample is not read here")
    whole = samples[: len(samples) // (width * channels) * width * channels]
    return _READERS[kind, bits](whole).reshape(-1, channels), rate


def _pcm24(data: bytes) -> Array:
    raw = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
    values = raw[:, 0] | raw[:, 1] << 8 | raw[:, 2] << 16
    return (values - ((values & 0x800000) << 1)) / 2**23


_READERS: dict[tuple[int, int], Callable[[bytes], Array]] = {
    (_PCM, 8): lambda data: (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128,
    (_PCM, 16): lambda data: np.frombuffer(data, "<i2") / 2**15,
    (_PCM, 24): _pcm24,
    (_PCM, 32): lambda data: np.frombuffer(data, "<i4") / 2**31,
    (_FLOAT, 32): lambda data: np.frombuffer(data, "<f4").astype(np.float64),
    (_FLOAT, 64): lambda data: np.frombuffer(data, "<f8"),
}
