"""`tiffin.models.save(name, Path(...))`: by content, with the signature that the file tells."""

from __future__ import annotations

import logging
from pathlib import Path

import joblib
import model_files
import numpy as np
import pytest
import torch

import tiffin
from tiffin.bundler.model_files.load import open_file
from tiffin.bundler.model_files.recognise import recognise
from tiffin.errors import ModelError, UsageError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def test_sklearn_tells_features_and_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    joblib.dump(model_files.forest(), tmp_path / "m.bin")
    with caplog.at_level(logging.WARNING):
        model = tiffin.models.save("iris", tmp_path / "m.bin", classes=model_files.CLASSES)
    assert "m.bin is a pickle of sklearn.ensemble._forest.RandomForestClassifier" in caplog.text
    predict = model.info.methods["predict"]
    assert (predict.inputs["X"].dtype, predict.inputs["X"].shape) == ("float64", ["n", 4])
    assert predict.output is not None
    assert predict.output.classes == 3
    assert model.info.provenance["file"]["name"] == "m.bin"
    x, y = model_files.flowers()
    assert model.load().predict(x).tolist() == y.tolist()


def test_named_columns_of_a_pipeline(tmp_path: Path) -> None:
    joblib.dump(model_files.named_pipeline(), tmp_path / "m")
    model = tiffin.models.save("people", tmp_path / "m")
    assert list(model.info.methods["predict"].inputs["X"].columns or {}) == ["age", "city"]
    assert model.classes == ["old", "young"]
    assert model.info.methods["predict_proba"].output is not None


def test_xgboost_is_copied_and_keeps_its_classes(tmp_path: Path) -> None:
    booster = model_files.boosted()
    booster.save_model(tmp_path / "m.ubj")
    model = tiffin.models.save("boost", tmp_path / "m.ubj")
    assert (model.path / "model.ubj").read_bytes() == (tmp_path / "m.ubj").read_bytes()
    x, _ = model_files.flowers()
    assert np.array_equal(model.load().predict(x), booster.predict(x))
    booster.save_model(tmp_path / "m.json")
    again = tiffin.models.save("boost", tmp_path / "m.json")
    assert np.array_equal(again.load().predict(x), booster.predict(x))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_with_inputs(tmp_path: Path) -> None:
    model_files.write_script(tmp_path / "net.pt")
    model = tiffin.models.save("net", tmp_path / "net.pt", inputs=["rows:float32[n,4]"])
    assert (model.path / "module.pt").read_bytes() == (tmp_path / "net.pt").read_bytes()
    assert list(model.info.methods["predict"].inputs) == ["rows"]
    output = model.info.methods["predict"].output
    assert output is not None
    assert output.shape == ["n", 3]
    unknown = tiffin.models.save("net", tmp_path / "net.pt")
    assert list(unknown.info.methods["predict"].inputs) == ["input"]
    with pytest.raises(ModelError, match=r"rows:float32\[n,5\]\).*cannot be multiplied"):
        tiffin.models.save("net", tmp_path / "net.pt", inputs=["rows:float32[n,5]"])
    with pytest.raises(UsageError, match="inputs= and example="):
        tiffin.models.save("net", tmp_path / "net.pt", inputs=["x:bool"], example=np.zeros((1, 4)))


def test_a_pickled_module(tmp_path: Path) -> None:
    torch.save(model_files.net(), tmp_path / "net.pt")
    model = tiffin.models.save("net", tmp_path / "net.pt", options={"format": "pickle"})
    assert model.info.pickled
    assert model.info.framework == "torch"


def test_weights_with_their_class(tmp_path: Path) -> None:
    from torch.nn import Linear

    weights = Linear(4, 2).state_dict()
    torch.save(weights, tmp_path / "w.pt")
    options = {"class": Linear, "init": {"in_features": 4, "out_features": 2}}
    rows = np.ones((2, 4), np.float32)
    model = tiffin.models.save("line", tmp_path / "w.pt", options=options, example=rows)
    assert not model.info.pickled
    assert torch.equal(model.load().weight, weights["weight"])
    with pytest.raises(ModelError, match="holds weights and no network"):
        tiffin.models.save("line", tmp_path / "w.pt")


def test_the_same_again_is_given_back(tmp_path: Path) -> None:
    joblib.dump(model_files.forest(), tmp_path / "m.joblib")
    model_files.boosted().save_model(tmp_path / "m.ubj")
    for name in ("m.joblib", "m.ubj"):
        first = tiffin.models.save("m", tmp_path / name, reuse=True)
        assert tiffin.models.save("m", tmp_path / name, reuse=True).tag == first.tag
        assert tiffin.models.save("m", tmp_path / name, reuse=True, classes=["a", "b", "c"]).tag != first.tag


def test_pickles_can_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joblib.dump(model_files.forest(), tmp_path / "m")
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids that here"):
        tiffin.models.save("m", tmp_path / "m")
    assert tiffin.models.list() == []


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiffin.bundler import draft

    model_files.write_script(tmp_path / "net.pt")
    read = []
    monkeypatch.setattr(draft, "hash_stream", lambda *given: read.append(given) or ("", 0))
    model = tiffin.models.save("net", tmp_path / "net.pt")
    assert read == []  # it was hashed while it was copied
    model.verify()


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    model_files.write_pickle(tmp_path / "dict", {"a": 1})
    model_files.write_pickle(tmp_path / "gone", model_files.forest(), 0)
    gone = (tmp_path / "gone").read_bytes()
    (tmp_path / "gone").write_bytes(gone.replace(b"sklearn.ensemble._forest", b"nobody.ensemble._forest"))
    (tmp_path / "cut").write_bytes(gone[:2000])
    with pytest.raises(ModelError, match="a pickle of a dict, which is no model"):
        open_file(tmp_path / "dict", None, {})
    with pytest.raises(ModelError, match="loading it needs nobody that is not here"):
        open_file(tmp_path / "gone", None, {})
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_file(tmp_path / "cut", None, {})
    with pytest.raises(ModelError, match="xgboost cannot load it"):
        open_file(tmp_path / "dict", "xgboost", {})


def test_a_pickle_that_holds_models(tmp_path: Path) -> None:
    forest = model_files.forest()
    everything = {"scaler": {"mean": 1}, "forest": forest, "words": ["a"], "other": forest}
    for protocol in (0, 2, 5):
        model_files.write_pickle(tmp_path / "all.pkl", everything, protocol)
        found = recognise(tmp_path / "all.pkl")
        assert found.what == "a pickle of a dict with sklearn.ensemble._forest.RandomForestClassifier"
    with pytest.raises(ModelError) as caught:
        open_file(tmp_path / "all.pkl", None, {})
    assert (
        "all.pkl is a pickle of a dict that holds 2 models, ['forest'] RandomForestClassifier, ['other'] "
        "RandomForestClassifier: save one of them, "
        "tiffin.models.save('name', joblib.load('all.pkl')['forest']), or each"
    ) in str(caught.value)
    joblib.dump([forest] * 7, tmp_path / "list.joblib", compress=3)
    assert recognise(tmp_path / "list.joblib").what.startswith("a pickle of a list with sklearn.")
    with pytest.raises(
        ModelError, match=r"a list that holds 7 models, \[0\] RandomForestClassifier, .* …: save"
    ):
        open_file(tmp_path / "list.joblib", None, {})


@pytest.mark.parametrize("ending", ["ubj", "json"])
def test_a_cut_file_of_xgboost_ends_in_an_error_and_not_in_a_crash(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    model_files.boosted().save_model(path)
    whole = path.read_bytes()
    (tmp_path / "cut").write_bytes(whole[:200])
    with pytest.raises(ModelError, match=r"is cut|cannot load it"):
        open_file(tmp_path / "cut", "xgboost", {})
    (tmp_path / "cut").write_bytes(whole[:-1])
    with pytest.raises(ModelError, match="is cut"):
        open_file(tmp_path / "cut", None, {})
