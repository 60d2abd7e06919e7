"""`--task`: services with pre- and post-processing, written for small models and called."""

from __future__ import annotations

import importlib.util
import io
import warnings
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import model_files
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import tiffin
from tiffin.bundler import models
from tiffin.bundler.model_files.hints import Imports
from tiffin.bundler.model_files.origin import written_service
from tiffin.bundler.model_files.task_source import TASKS, task_source
from tiffin.bundler.model_files.wishes import TASK_NAMES, FileOptions
from tiffin.errors import UsageError
from tiffin.runtime.manifest import MethodSpec, ModelInfo, TypeSpec

COLOURS = ("red", "green", "blue")

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@contextmanager
def _service(path: str, task: str, *, inputs: str = "", classes: tuple[str, ...] = ()) -> Iterator[Any]:
    """The service of a file, its runners in this process."""
    Path("classes.txt").write_text("\n".join(classes))
    files = FileOptions(
        task=task, inputs=[inputs] if inputs else [], classes=["classes.txt"] if classes else []
    )
    with written_service(Path(path), files, "subject") as written:
        file = Path(written.target.source) / "service.py"
        spec = importlib.util.spec_from_file_location(f"written_for_{task.replace('-', '_')}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield getattr(module, written.target.service.partition(":")[2])()


def _traced(module: torch.nn.Module, example: torch.Tensor) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example).save("model.pt")
    return "model.pt"


def _plain(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (40, 20), colour)


class _Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * x.mean(dim=(2, 3))


def test_image_classification() -> None:
    path = _traced(_Mean(), torch.zeros(1, 3, 8, 8))
    with _service(path, "image-classification", inputs="x:float32[n,3,8,8]", classes=COLOURS) as service:
        assert service.task.pixels == tiffin.tasks.Pixels(
            8, 8, mean=tiffin.tasks.IMAGENET_MEAN, std=tiffin.tasks.IMAGENET_STD
        )
        red, blue = _plain((255, 0, 0)), _plain((0, 0, 255))
        assert service.classify(red)[0].label == "red"
        assert [labels[0].label for labels in service.classify_many([blue, red])] == ["blue", "red"]
        film = io.BytesIO()
        red.save(film, format="GIF", save_all=True, append_images=[blue], duration=1000)
        moments = service.classify_film(tiffin.File(film.getvalue()))
        assert [(moment.time_s, moment.labels[0].label) for moment in moments] == [
            (0.0, "red"),
            (1.0, "blue"),
        ]


class _Boxes(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        box = torch.tensor([[16.0, 16.0, 16.0, 8.0, 0.0, 0.9]]).T.repeat(1, 8)
        return box[None] + 0 * x.mean(dim=(1, 2, 3), keepdim=True)[:, :, 0]


def test_object_detection() -> None:
    path = _traced(_Boxes(), torch.zeros(1, 3, 32, 32))
    words = ("cat", "dog")
    with _service(path, "object-detection", inputs="x:float32[n,3,32,32]", classes=words) as service:
        (box,) = service.detect(Image.new("RGB", (64, 64)))
        assert (box.label, box.left, box.top, box.right, box.bottom) == ("dog", 16, 24, 48, 40)
        assert len(service.detect_many([Image.new("RGB", (64, 64))] * 2)) == 2


def test_segmentation() -> None:
    path = _traced(torch.nn.Identity(), torch.zeros(1, 3, 8, 8))
    with _service(path, "segmentation", inputs="x:float32[n,3,8,8]", classes=COLOURS) as service:
        found = service.segment(_plain((0, 255, 0)))
        assert (found.width, found.height) == (40, 20)
        assert [(segment.label, segment.share) for segment in found.segments] == [("green", 1.0)]


class _Columns(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        column = x.mean(dim=(1, 2))
        return torch.stack([0.5 - column, column - 0.5], dim=2)


def test_ocr() -> None:
    path = _traced(_Columns(), torch.zeros(1, 1, 8, 40))
    with _service(path, "ocr", inputs="x:float32[n,1,8,40]", classes=("i",)) as service:
        image = Image.new("L", (40, 8))
        for start in (5, 15, 30):
            image.paste(255, (start, 0, start + 5, 8))
        assert service.read(image).text == "iii"


def test_text_classification() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, words = ["good food", "good", "bad food", "bad"], ["liked", "liked", "hated", "hated"]
    joblib.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, words), "m")
    with _service("m", "text-classification") as service:
        assert service.classify("so good")[0].label == "liked"
        assert [labels[0].label for labels in service.classify_many(["bad", "good"])] == ["hated", "liked"]


def test_tabular() -> None:
    from sklearn.linear_model import LinearRegression

    table = pd.DataFrame({"city": ["Oslo", "Bern"], "age": [20.0, 70.0], "more": [0, 1]})
    joblib.dump(model_files.named_pipeline(), "m")
    with _service("m", "tabular") as service:
        assert [labels[0].label for labels in service.classify(table)] == ["young", "old"]
    x = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
    joblib.dump(LinearRegression().fit(x, x.sum(axis=1)), "line")
    with _service("line", "tabular") as service:
        assert np.allclose(service.estimate(pd.DataFrame({"a": [1.0], "b": [4.0]})), [5.0])


def test_time_series() -> None:
    from sklearn.linear_model import LinearRegression

    past = np.arange(20.0)
    windows = np.lib.stride_tricks.sliding_window_view(past, 4)[:-1]
    joblib.dump(LinearRegression().fit(windows, past[4:]), "line")
    with _service("line", "time-series") as service:
        assert np.allclose(service.forecast([5.0, 6.0, 7.0, 8.0], steps=2).values, [9, 10], atol=1e-3)


def test_embedding() -> None:
    path = _traced(torch.nn.Linear(4, 2), torch.zeros(1, 4))
    with _service(path, "embedding", inputs="x:float32[n,4]") as service:
        vectors = service.embed(np.ones((3, 4), np.float32))
        assert vectors.shape == (3, 2)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    path = _traced(torch.nn.Flatten(), torch.zeros(1, 3, 2, 2))
    with _service(path, "embedding", inputs="x:float32[n,3,2,2]") as service:
        assert service.embed([_plain((255, 0, 0))]).shape == (1, 12)


class _Loud(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        loud = 20 * x.abs().mean(dim=1)
        return torch.stack([1 - loud, loud], dim=1)


def test_audio_classification() -> None:
    path = _traced(_Loud(), torch.zeros(1, 1600))
    words = ("quiet", "loud")
    with _service(path, "audio-classification", inputs="x:float32[n,1600]", classes=words) as service:
        assert service.task.sound.seconds == 0.1
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes((np.sin(np.arange(1600)) * 20_000).astype("<i2").tobytes())
        assert service.classify(tiffin.File(out.getvalue()))[0].label == "loud"


def test_names() -> None:
    assert tuple(TASKS) == TASK_NAMES
    with pytest.raises(UsageError, match="there is none; did you mean 'segmentation'"):
        FileOptions(task="segmentatoin")


@pytest.mark.parametrize(
    "task", sorted({*TASK_NAMES} - {"tabular", "time-series", "audio-classification", "embedding"})
)
def test_a_task_that_the_model_cannot_do_is_refused(task: str) -> None:
    joblib.dump(model_files.forest(), "m.joblib")
    with (
        pytest.raises(UsageError, match=rf"--task {task} gives the model .*and it takes float64\[n, 4\]"),
        _service("m.joblib", task),
    ):
        pass


def test_texts_are_no_images() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    joblib.dump(
        make_pipeline(CountVectorizer(), LogisticRegression()).fit(["so good", "so bad"], [0, 1]), "m"
    )
    with pytest.raises(UsageError, match="and it takes texts"), _service("m", "image-classification"):
        pass


def test_a_model_that_does_not_say_what_goes_in_is_tried_on_what_is_usual() -> None:
    path = _traced(torch.nn.Sequential(torch.nn.Linear(24, 1)), torch.zeros(1, 24))
    with written_service(Path(path), FileOptions(task="time-series"), "subject") as written:
        assert any("input:float32[n,24] is supposed" in note and "--input" in note for note in written.notes)
        assert len(models.list("subject")) == 1
        assert models.get("subject").info.methods["predict"].inputs["input"].shape == ["n", 24]
    path = _traced(torch.nn.Sequential(torch.nn.Linear(7, 1)), torch.zeros(1, 7))
    why = r"--task time-series would give it input:float32\[n,24\]: .*; say what goes in, .*: --input input:"
    with pytest.raises(UsageError, match=why), _service(path, "time-series"):
        pass
    assert len(models.list("subject")) == 1, "what was not built leaves no model"
    with _service(path, "time-series", inputs="x:float32[n,7]") as service:
        assert service.task.window == 7


class _Two(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


def test_a_task_gives_one_input() -> None:
    torch.jit.script(_Two()).save("two.pt")
    with pytest.raises(UsageError, match="gives the model one input, and it takes x, y"):
        _service("two.pt", "time-series").__enter__()


def test_pipelines_of_transformers_are_asked_for_all_labels() -> None:
    inputs = {"inputs": TypeSpec(kind="json")}
    info = ModelInfo(
        name="m",
        version="1",
        framework="transformers",
        created="",
        files=[],
        digest="",
        size_bytes=0,
        methods={"predict": MethodSpec(inputs=inputs)},
        options={"task": "text-classification"},
    )

    def source(task: str) -> list[str]:
        found = task_source(task, info, runner="self.m", attribute="self.task", words="[]", imports=Imports())
        return [line for api in found.apis for line in api.body]

    for line in source("text-classification"):
        assert "self.m.predict(" in line
        assert "top_k=self.task.top)" in line
    with pytest.raises(UsageError, match="whose task is text-classification and which prepares"):
        source("image-classification")
