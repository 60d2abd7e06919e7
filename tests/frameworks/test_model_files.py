"""Files of the heavier libraries: known by content, and served without a line of code."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_files
import numpy as np
import pytest

import tiffin
from tiffin.bundler.model_files.recognise import known_model
from tiffin.bundler.model_files.wishes import FileOptions
from tiffin.errors import ModelError

Written = tuple[Path, Any]
"""The file, and what the model says of the flowers."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")


def _lightgbm(folder: Path) -> Written:
    import lightgbm

    x, y = model_files.flowers()
    model = lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=2, verbose=-1).fit(x, y)
    model.booster_.save_model(folder / "m")
    return folder / "m", model.predict_proba(x)


def _catboost(folder: Path) -> Written:
    from catboost import CatBoostClassifier

    x, y = model_files.flowers()
    model = CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False).fit(x, y)
    model.save_model(str(folder / "m"))
    return folder / "m", model.predict(x)


def _onnx(folder: Path) -> Written:
    (folder / "m").write_bytes(model_files.onnx_bytes())
    return folder / "m", model_files.flowers()[0].astype(np.float32)


def _skops(folder: Path) -> Written:
    import skops.io

    model = model_files.forest()
    skops.io.dump(model, folder / "m")
    return folder / "m", model.predict(model_files.flowers()[0])


def _keras(folder: Path) -> Written:
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.save(folder / "m.keras")
    return folder / "m.keras", model.predict(model_files.flowers()[0], verbose=0)


def _torch_export(folder: Path) -> Written:
    import torch

    net, rows = model_files.net(), torch.zeros(2, 4)
    program = torch.export.export(net, (rows,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, folder / "m.pt2")
    with torch.inference_mode():
        return folder / "m.pt2", net(torch.from_numpy(model_files.flowers()[0].astype(np.float32))).numpy()


def _mlflow(folder: Path) -> Written:
    import mlflow.sklearn

    model, (x, _) = model_files.forest(), model_files.flowers()
    mlflow.sklearn.save_model(
        model, str(folder / "m"), input_example=x[:2], serialization_format="cloudpickle"
    )
    return folder / "m", model.predict(x)


def _openvino(folder: Path) -> Written:
    import openvino

    path, rows = _onnx(folder)
    openvino.save_model(openvino.convert_model(str(path)), folder / "n.xml")
    return folder / "n.xml", rows


_WRITERS = [_lightgbm, _catboost, _onnx, _skops, _keras, _torch_export, _mlflow, _openvino]


@pytest.mark.parametrize("write", _WRITERS)
def test_a_file_becomes_a_service(write: Callable[[Path], Written], tmp_path: Path) -> None:
    path, expected = write(tmp_path)
    assert known_model(path).framework == write.__name__.removeprefix("_")
    bundle = tiffin.build(path, lock=False)
    (runner,) = bundle.info.service.runners
    takes = next(iter(runner.methods["predict"].inputs.values()))
    assert takes.shape == ["n", 4]
    got = asyncio.run(_service(bundle).predict(model_files.flowers()[0].astype(takes.dtype)))
    assert np.allclose(np.asarray(got), expected, atol=1e-5)


def test_pickles_inside_of_mlflow_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = _mlflow(tmp_path)
    assert known_model(path).pickle.startswith("sklearn.")
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="forbids that here"):
        tiffin.models.save("m", path)


def test_words_for_what_a_converter_to_onnx_wrote(tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    x, y = model_files.flowers()
    model = LogisticRegression().fit(x, y)
    (tmp_path / "words.txt").write_text("\n".join(model_files.CLASSES))
    files = FileOptions(classes=[str(tmp_path / "words.txt")])
    for zipmap in (False, True):
        graph = to_onnx(model, x[:1].astype(np.float32), options={"zipmap": zipmap})
        (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
        service = _service(tiffin.build(tmp_path / "m.onnx", lock=False, files=files))
        labels = asyncio.run(service.classify(x.astype(np.float32)))
        assert [label.label for label in labels] == [model_files.CLASSES[at] for at in model.predict(x)]


def _service(bundle: Any) -> Any:
    """An object of the service that was written, its runners in this process."""
    file = bundle.path / "src" / "service.py"
    spec = importlib.util.spec_from_file_location(f"written_{bundle.tag.version}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, bundle.info.service.cls.partition(":")[2])()
