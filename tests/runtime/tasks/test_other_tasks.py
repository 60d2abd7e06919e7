"""Texts, tables, series, vectors and sounds, each with a small model."""

from __future__ import annotations

import io
import wave
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from tiffin.errors import InferenceError, InvalidInputError, ServiceDefinitionError
from tiffin.runtime.schema.file import File
from tiffin.runtime.tasks import (
    AudioClassification,
    Embedding,
    Label,
    Sound,
    Tabular,
    TextClassification,
    TimeSeries,
    labelled,
    probabilities,
)
from tiffin.runtime.tasks.sound import decode, resample


def test_scores_become_probabilities() -> None:
    assert np.allclose(probabilities(np.array([[0.2, 0.8]])), [[0.2, 0.8]])
    assert np.allclose(probabilities(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])
    assert np.allclose(probabilities(np.array([0.3])), [[0.7, 0.3]])
    assert np.allclose(probabilities(np.array([[-1000.0], [1000.0]])), [[1, 0], [0, 1]])
    assert np.allclose(probabilities([{"a": 0.1, "b": 0.9}]), [[0.1, 0.9]])
    assert labelled(np.array([[5.0, 1.0]]), ["a", "b"])[0].label == "a"
    with pytest.raises(InferenceError, match=r"float\[n, k\]"):
        probabilities(np.zeros((1, 2, 3)))


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_sum_to_one(scores: list[list[float]]) -> None:
    shares = probabilities(np.array(scores))
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares >= 0).all()


def test_texts() -> None:
    texts = ["a good day", "good food", "a bad day", "bad food"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(texts, ["+", "+", "-", "-"])
    task = TextClassification(top=1)
    rows = task.prepare(["what a   good\nthing", "bad"])
    assert rows[0] == "what a good thing"
    found = task.results(model.predict_proba(rows), list(model.classes_))
    assert [labels[0].label for labels in found] == ["+", "-"]
    assert task.results(model.predict(rows)) == [[Label("+", 1.0)], [Label("-", 1.0)]]
    named = {"label": "x", "score": 0.4}
    assert task.results([named, [{"label": "y", "score": 0.1}, named]]) == [[Label("x", 0.4)]] * 2
    assert task.prepare(["x" * 20_000])[0] == "x" * 10_000
    with pytest.raises(InferenceError, match="no label with a score"):
        task.results([{"word": "x"}])
    with pytest.raises(InvalidInputError, match="no text"):
        task.prepare([])


def test_tables() -> None:
    table = pd.DataFrame({"b": [1.0, 2.0, 9.0, 8.0], "a": [0.0, 1.0, 5.0, 6.0], "name": list("wxyz")})
    model = LogisticRegression().fit(table[["a", "b"]], [0, 0, 1, 1])
    task = Tabular(columns=["a", "b"])
    found = task.labels(model.predict_proba(task.prepare(table)), ["small", "large"])
    assert [labels[0].label for labels in found] == ["small", "small", "large", "large"]
    line = LinearRegression().fit(table[["a", "b"]].to_numpy(), table["a"] * 2)
    numbers = Tabular(columns=["a", "b"], as_table=False)
    assert np.allclose(numbers.values(line.predict(numbers.prepare(table))), [0, 2, 10, 12], atol=1e-5)
    with pytest.raises(InvalidInputError, match="no column 'a'"):
        task.prepare(table[["b"]])
    with pytest.raises(InvalidInputError, match="no rows"):
        task.prepare(table[:0])
    with pytest.raises(InvalidInputError, match="takes numbers only"):
        Tabular(as_table=False).prepare(table)
    with pytest.raises(InferenceError, match="one number a row"):
        task.values(np.zeros((2, 2)))


def test_series() -> None:
    past = np.arange(40.0)
    windows = np.lib.stride_tricks.sliding_window_view(past, 4)[:-1]
    line = LinearRegression().fit(windows, past[4:])
    task = TimeSeries(window=4)
    assert np.allclose(task.forecast(line.predict, past, 3).values, [40, 41, 42], atol=1e-3)

    def last(rows: Any) -> Any:
        assert rows.shape == (1, 4, 1)
        assert abs(rows.mean()) < 1e-6
        return rows[:, -1:, 0].repeat(2, axis=1)

    scaled = TimeSeries(window=4, channel_axis=True, scaling="standard").forecast(last, [1, 2, 3, 4.0], 3)
    assert np.allclose(scaled.values, [4, 4, 4])
    for series, steps, words in (
        ([1.0], 1, "has 1 steps"),
        ([1, 2, 3, np.nan], 1, "no numbers"),
        (past, 0, "steps=0"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            task.forecast(line.predict, series, steps)
    with pytest.raises(ServiceDefinitionError, match="scaling is one of"):
        TimeSeries(scaling="log")


def test_vectors() -> None:
    task = Embedding()
    assert np.allclose(task.vectors([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0, 0]])
    tokens = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    assert np.allclose(
        Embedding(normalize=False).vectors({"other": 1, "last_hidden_state": tokens}), [[0.5, 0.5]]
    )
    for wrong in (np.zeros(3), {}, ["x"]):
        with pytest.raises(InferenceError, match="vectors are float"):
            task.vectors(wrong)


def _wav(
    frequency: float, *, rate: int = 44_100, seconds: float = 0.5, width: int = 2, channels: int = 2
) -> File:
    values = 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)
    both = np.repeat(values[:, None], channels, axis=1)
    integers = np.round(both * (2 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(
            b"".join(int(one).to_bytes(width, "little", signed=width > 1) for one in integers.ravel())
        )
    return File(out.getvalue(), name="tone.wav", media_type="audio/wav")


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_of_every_width(width: int) -> None:
    samples, rate = decode(_wav(440, width=width, seconds=0.05).data)
    assert (rate, samples.shape) == (44_100, (2205, 2))
    assert abs(np.abs(samples).max() - 0.5) < 0.01


def test_float_wav() -> None:
    values = np.array([0.25, -0.5], "<f4").tobytes()
    head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x20\0data"
    samples, rate = decode(head + len(values).to_bytes(4, "little") + values)
    assert (rate, samples.ravel().tolist()) == (8000, [0.25, -0.5])


def test_resampling_keeps_the_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(resample(tone, 44_100, 16_000) - expected).max() < 0.01
    high = np.sin(2 * np.pi * 12_000 * np.arange(44_100) / 44_100)  # above what 16 kHz can hold
    assert np.abs(resample(high, 44_100, 16_000)).max() < 0.01


def test_sounds() -> None:
    task = AudioClassification(Sound(seconds=0.5, features="log-mel", mels=32), top=1)
    recordings = [_wav(300), _wav(5000, rate=22_050), _wav(300, seconds=2.0)]
    rows = task.prepare(recordings)
    assert rows.shape == (3, 32, 48)
    loudest = rows.mean(axis=2).argmax(axis=1)
    scores = np.where(loudest[:, None] < 12, [[0.9, 0.1]], [[0.1, 0.9]])
    assert [labels[0].label for labels in task.results(scores, ["low", "high"])] == ["low", "high", "low"]
    waves = Sound(seconds=1.0).array([_wav(300)])
    assert waves.shape == (1, 16_000)
    assert not waves[0, 8_000:].any()
    for data, words in ((b"RIFF....WAVE", "has no samples"), (b"no sound", "no audio file")):
        with pytest.raises(InvalidInputError, match=words):
            task.prepare([File(data)])
    with pytest.raises(InvalidInputError, match="no recording"):
        task.prepare([])
    with pytest.raises(ServiceDefinitionError, match="there are waveform, log-mel"):
        Sound(features="mfcc")


@given(st.binary(max_size=120))
def test_no_wav_is_too_odd(data: bytes) -> None:
    with suppress(InvalidInputError):
        decode(b"RIFF\0\0\0\0WAVE" + data)
