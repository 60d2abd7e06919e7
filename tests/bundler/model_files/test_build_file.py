"""`bundle build FILE|FOLDER`: a bundle with readable source, and nothing else left."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import joblib
import model_files
import numpy as np
import pytest

import tiffin
from tiffin.bundler.model_files.origin import is_model_target
from tiffin.bundler.model_files.wishes import FileOptions
from tiffin.errors import ConfigError, ModelError, TiffinError, UsageError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def _service(bundle: Any) -> Any:
    """An object of the service that was written, its runners in this process."""
    file = bundle.path / "src" / "service.py"
    ast.parse(file.read_text())
    spec = importlib.util.spec_from_file_location(f"written_{bundle.tag.version}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, bundle.info.service.cls.partition(":")[2])()


def test_one_file(tmp_path: Path) -> None:
    joblib.dump(model_files.forest(), "iris.joblib")
    Path("words.txt").write_text("\n".join(model_files.CLASSES))
    files = FileOptions(classes=["words.txt"])
    bundle = tiffin.build("iris.joblib", lock=False, files=files)
    assert bundle.tag.name == "iris"
    assert [api.route for api in bundle.info.service.apis] == ["/predict", "/predict_proba", "/classify"]
    assert any("is a pickle of sklearn" in note for note in bundle.info.options["notes"])
    x, y = model_files.flowers()
    service = _service(bundle)
    assert asyncio.run(service.predict(x)).tolist() == y.tolist()
    labels = asyncio.run(service.classify(x))
    assert [label.label for label in labels] == [model_files.CLASSES[number] for number in y]
    assert all(0.5 < label.score <= 1 for label in labels)
    # The same again: the same digest, and one model.
    assert tiffin.build("iris.joblib", lock=False, files=files).info.digest == bundle.info.digest
    assert len(tiffin.models.list()) == 1


def test_tables_go_in_by_their_columns() -> None:
    import pandas as pd

    joblib.dump(model_files.named_pipeline(), "people")
    bundle = tiffin.build("people", lock=False, name="ages")
    assert (bundle.tag.name, tiffin.models.list()[0].tag.name) == ("ages", "ages")
    service = _service(bundle)
    table = pd.DataFrame({"age": [18.0, 70.0], "city": ["Oslo", "Bern"]})
    assert asyncio.run(service.predict(table)) == ["young", "old"]
    assert [label.label for label in asyncio.run(service.classify(table))] == ["young", "old"]


def test_a_folder_of_models_is_one_service() -> None:
    folder = Path("zoo")
    folder.mkdir()
    joblib.dump(model_files.forest(), folder / "trees.joblib")
    model_files.boosted().save_model(folder / "boost.ubj")
    bundle = tiffin.build(folder, lock=False)
    assert bundle.tag.name == "zoo"
    assert {runner.name for runner in bundle.info.service.runners} == {"boost", "trees"}
    assert {api.route for api in bundle.info.service.apis} == {
        "/boost/predict", "/boost/predict_proba", "/trees/predict", "/trees/predict_proba",
    }  # fmt: skip
    x, y = model_files.flowers()
    service = _service(bundle)
    for name in ("boost", "trees"):
        assert asyncio.run(getattr(service, f"{name}_predict")(x.astype(np.float32))).tolist() == y.tolist()


def test_nothing_is_left_of_a_build_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiffin.bundler import content

    def fail(*_: object, **__: object) -> None:
        raise ConfigError("no")

    joblib.dump(model_files.forest(), "iris.joblib")
    monkeypatch.setattr(content, "describe", fail)
    with pytest.raises(ConfigError):
        tiffin.build("iris.joblib", lock=False)
    assert tiffin.models.list() == []


def test_what_is_no_model_target(tmp_path: Path) -> None:
    Path("service.py").write_text("import tiffin\n\n\n@tiffin.service\nclass Echo: ...\n")
    Path("model.onnx").write_bytes(model_files.onnx_bytes())
    Path("data.csv").write_text("a,b\n")
    assert is_model_target("model.onnx")
    assert is_model_target("data.csv")  # which then says what it is
    assert not is_model_target(".")  # a project
    assert not is_model_target("service.py")
    assert not is_model_target("iris:latest")
    assert not is_model_target(str(tmp_path / "home"))
    with pytest.raises(ModelError, match=r"data\.csv seems to be a text file: known are"):
        tiffin.build("data.csv", lock=False)
    with pytest.raises(UsageError, match="are for model files"):
        tiffin.build("service.py", lock=False, files=FileOptions(inputs=["x:bool"]))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"files": FileOptions(inputs=["x"])}, "is not name:dtype"),
        ({"version": "1.0 beta"}, "bad version '1.0 beta'"),
        ({"labels": {"a=b": "c"}}, "label 'a=b'"),
    ],
)
def test_wrong_words_are_told_before_a_file_is_loaded(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], what: str
) -> None:
    joblib.dump(model_files.forest(), "iris.joblib")
    monkeypatch.setattr(joblib, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(TiffinError, match=what):
        tiffin.build("iris.joblib", lock=False, **wrong)


def test_no_option_is_blamed_where_there_is_no_file() -> None:
    with pytest.raises(ConfigError, match=r"nothing to build at 'iris\.joblib': no such file"):
        tiffin.build("iris.joblib", files=FileOptions(inputs=["x:float32[n,4]"]))


def test_a_pickle_that_is_cut_says_how_to_mend_it() -> None:
    joblib.dump(model_files.forest(), "iris.joblib")
    Path("iris.joblib").write_bytes(Path("iris.joblib").read_bytes()[:400])
    with pytest.raises(
        ModelError, match=r"cannot be loaded: .*; it is cut or changed: fetch or save it again"
    ):
        tiffin.build("iris.joblib", lock=False)
