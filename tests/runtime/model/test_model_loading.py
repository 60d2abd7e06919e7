from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.bundler import models
from tiffin.errors import IntegrityError, MissingDependencyError, ModelError, NotFoundError
from tiffin.runtime.manifest import MODEL_FILE, ModelInfo, dump_yaml, load_yaml
from tiffin.runtime.model.find import find
from tiffin.runtime.model.framework import Framework, Saved, frameworks
from tiffin.runtime.model.model import Model, model_digest, read_info


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def model(home: Path) -> Model:
    return models.save("m", len)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def rewrite(model: Model, **changes: Any) -> Model:
    """The manifest as somebody with write access would change it, digest included."""
    info = load_yaml(model.path / MODEL_FILE, ModelInfo)
    for name, value in changes.items():
        setattr(info, name, value)
    info.digest = model_digest(info)
    (model.path / MODEL_FILE).unlink()
    (model.path / MODEL_FILE).write_text(dump_yaml(info))
    return Model.open(model.path)


def test_digests_are_checked_before_anything_is_unpickled(model: Model, tmp_path: Path) -> None:
    file = model.path / model.info.files[0].path
    file.chmod(0o644)
    bomb = pickle.dumps(Bomb(tmp_path / "ran"))
    file.write_bytes(bomb)
    with pytest.raises(IntegrityError, match=r"object.pkl: changed"):
        model.load()
    assert not (tmp_path / "ran").exists()
    file.unlink()
    with pytest.raises(IntegrityError, match=r"object.pkl: missing"):
        model.load()
    file.symlink_to("/etc/hostname")
    with pytest.raises(IntegrityError, match="not a regular file"):
        model.load()


def test_pickles_can_be_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("0", "false", "No"):
        monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", value)
        with pytest.raises(ModelError, match=r"is a pickle.*TIFFIN_ALLOW_PICKLE forbids"):
            model.load()
        with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
            rewrite(model, pickled=False).load()  # a manifest that lies does not help
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "1")
    with pytest.raises(IntegrityError, match="denies it"):
        rewrite(model, pickled=False).load()


def test_a_manifest_must_agree_with_itself(model: Model) -> None:
    text = (model.path / MODEL_FILE).read_text()
    for old, new in (
        ("framework: cloudpickle", "framework: sklearn"),
        ("path: object.pkl", "path: ../object.pkl"),
        ("name: m", "name: ../../m"),
        ("size_bytes: ", "size_bytes: 1"),
        ("format: 1", "format: 2"),
        ("framework: ", "frame: "),
    ):
        changed = text.replace(old, new) if old in text else new + "\n" + text
        with pytest.raises(IntegrityError):
            read_info(model.path, changed.encode())
    with pytest.raises(IntegrityError):
        read_info(model.path, b"\xff\xfe")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_info(Path("somewhere"), data)


def test_a_folder_of_another_name_is_noticed(model: Model) -> None:
    moved = model.path.with_name("other")
    model.path.rename(moved)
    with pytest.raises(IntegrityError, match="says that it is m:"):
        _ = find("m").info
    assert Model.open(moved).tag == model.tag
    with pytest.raises(NotFoundError, match="no model in"):
        Model.open(moved.parent)


def test_other_versions_are_logged(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    changed = rewrite(model, versions={"python": "3.9.1", "cloudpickle": "0.1", "tiffin": "0.0.1"})
    with caplog.at_level(logging.WARNING):
        assert changed.load() is len
    assert "python 3.9.1 (here" in caplog.text
    assert "cloudpickle 0.1 (here" in caplog.text
    assert "tiffin" not in caplog.text.replace("tiffin.runtime", "")


def test_a_missing_framework_is_named(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise MissingDependencyError("sklearn", "sklearn")

    monkeypatch.setattr(type(frameworks()["cloudpickle"]), "load", missing)
    with pytest.raises(ModelError, match=r"m:\w+ is a cloudpickle model.*pip install 'tiffin\[sklearn\]'"):
        model.load()
    with pytest.raises(ModelError, match="no framework 'abacus'"):
        rewrite(model, framework="abacus").load()


def test_a_damaged_file_with_a_right_digest_is_a_model_error(model: Model) -> None:
    file = model.path / "object.pkl"
    file.unlink()
    file.write_bytes(b"garbage")
    import hashlib

    entry = model.info.files[0]
    entry.size_bytes, entry.sha256 = 7, hashlib.sha256(b"garbage").hexdigest()
    with pytest.raises(ModelError, match=r"m:\w+ \(cloudpickle\) cannot be loaded: UnpicklingError"):
        rewrite(model, files=[entry], size_bytes=7).load()


def test_in_a_bundle_only_its_models_are_found(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = models.save("m", len)
    inside = tmp_path / "bundle" / "models" / "m" / model.tag.version
    inside.parent.mkdir(parents=True)
    os.rename(model.path, inside)  # noqa: PTH104 - any way of moving it will do
    monkeypatch.setenv("TIFFIN_BUNDLE", str(tmp_path / "bundle"))
    assert find("m").path == inside  # not the newer one of the store
    assert models.get("m:latest").load() is len
    for tag in (other.tag, "n"):
        with pytest.raises(NotFoundError, match=r"add '.*' to `models:` of bundlefile.yaml"):
            find(tag)


def test_built_in_frameworks_need_no_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    import tiffin.runtime.model.framework as module

    monkeypatch.setattr(module, "entry_points", lambda group: [])
    frameworks.cache_clear()
    found = list(frameworks())
    assert found == list(module._BUILT_IN)
    assert {"torchscript", "torch", "xgboost", "sklearn", "onnx", "transformers"} < {*found}
    assert found[-1] == "cloudpickle"  # which takes everything
    frameworks.cache_clear()


class Text:
    """The smallest framework: strings, in a text file."""

    name = "text"
    extra = ""
    mapped = ()

    def matches(self, obj: Any) -> bool:
        return isinstance(obj, str)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        (folder / "text.txt").write_text(obj)
        return Saved()

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        return (folder / "text.txt").read_text()

    def methods(self, obj: Any) -> list[str]:
        return ["predict"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return [obj for _ in args[0]]

    def describe(self, obj: Any, method: str, example: Any) -> Any:
        from tiffin.runtime.manifest import MethodSpec

        return MethodSpec()


def test_a_new_framework_is_a_class_and_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    import tiffin.runtime.model.framework as module

    class Point:
        name = "text"

        @staticmethod
        def load() -> type[Framework]:
            return Text

    monkeypatch.setattr(module, "entry_points", lambda group: [Point])
    frameworks.cache_clear()
    try:
        model = models.save("t", "hello")
        assert model.info.framework == "text"
        assert model.framework.call(model.load(), "predict", [1, 2]) == ["hello", "hello"]
    finally:
        frameworks.cache_clear()
