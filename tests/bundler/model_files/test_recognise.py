"""Files are known by their content: names say nothing, and nothing is loaded."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import joblib
import model_files
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiffin.bundler.model_files import pickles
from tiffin.bundler.model_files.recognise import known_model, models_in, recognise
from tiffin.errors import ModelError


class Trap:
    """Its pickle would write a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_tell_their_class(tmp_path: Path, protocol: int) -> None:
    found = recognise(model_files.write_pickle(tmp_path / "model.onnx", model_files.forest(), protocol))
    assert found.pickle == "sklearn.ensemble._forest.RandomForestClassifier"
    assert found.framework == ""
    assert found.servable


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_with_every_compression(tmp_path: Path, compress: Any) -> None:
    joblib.dump(model_files.forest(), tmp_path / "m", compress=compress)
    assert recognise(tmp_path / "m").pickle == "sklearn.ensemble._forest.RandomForestClassifier"


def test_nothing_is_unpickled_to_find_out(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    model_files.write_pickle(tmp_path / "m.pkl", Trap(trace))
    torch.save(Trap(trace), tmp_path / "m.pt")
    assert recognise(tmp_path / "m.pkl").pickle == "pathlib.Path.touch"
    assert recognise(tmp_path / "m.pt").pickle
    assert not trace.exists()


def test_xgboost_in_both_forms(tmp_path: Path) -> None:
    model = model_files.boosted()
    for name in ("m.ubj", "m.json"):
        model.save_model(tmp_path / name)
        (tmp_path / name).rename(tmp_path / "m.txt")
        assert recognise(tmp_path / "m.txt").framework == "xgboost"


def test_what_torch_writes(tmp_path: Path) -> None:
    net = model_files.net()
    model_files.write_script(tmp_path / "scripted")
    model_files.write_script(tmp_path / "traced", traced=True)
    torch.save(net, tmp_path / "module")
    torch.save(net.state_dict(), tmp_path / "weights")
    torch.save({"epoch": 3, "model": net.state_dict()}, tmp_path / "checkpoint")
    torch.save(net.state_dict(), tmp_path / "old", _use_new_zipfile_serialization=False)
    assert recognise(tmp_path / "scripted").framework == "torchscript"
    assert recognise(tmp_path / "traced").framework == "torchscript"
    assert recognise(tmp_path / "module").pickle == "torch.nn.modules.container.Sequential"
    for name in ("weights", "checkpoint"):
        with pytest.raises(
            ModelError, match=rf"{name} seems to be a PyTorch state dict: it holds weights.*Path\('{name}'\)"
        ):
            known_model(tmp_path / name)
    with pytest.raises(ModelError, match=r"torch.save in the form before torch 1.6"):
        known_model(tmp_path / "old")


def test_onnx_is_walked_to_its_end(tmp_path: Path) -> None:
    whole = model_files.onnx_bytes()
    (tmp_path / "m").write_bytes(whole)
    assert recognise(tmp_path / "m").framework == "onnx"
    for cut in range(len(whole)):
        (tmp_path / "m").write_bytes(whole[:cut])
        assert recognise(tmp_path / "m").framework == "", cut


def _zip(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_formats_of_libraries_that_are_not_here(tmp_path: Path) -> None:
    keras = {"config.json": "{}", "metadata.json": "{}", "model.weights.h5": ""}
    mlmodel = {"MLmodel": "flavors:\n  python_function: {}\n"}
    spacy = {"meta.json": '{"spacy_version": ">=3"}', "config.cfg": ""}
    sentences = {"modules.json": "[]", "config_sentence_transformers.json": "{}", "config.json": "{}"}
    (tmp_path / "lgb").write_text("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n")
    (tmp_path / "cbm").write_bytes(b"CBM1\x00\x00")
    (tmp_path / "xml").write_text('<?xml version="1.0"?>\n<net name="n" version="11">')
    found = {
        "keras": _zip(tmp_path / "a", keras),
        "skops": _zip(tmp_path / "b", {"schema.json": '{"__class__": "X", "__loader__": "ObjectNode"}'}),
        "torch_export": _zip(tmp_path / "c", {"m/models/model.json": "{}"}),
        "mlflow": _folder(tmp_path / "d", mlmodel),
        "spacy": _folder(tmp_path / "e", spacy),
        "transformers": _folder(tmp_path / "f", {"config.json": '{"model_type": "bert"}'}),
        "sentence_transformers": _folder(tmp_path / "g", sentences),
        "diffusers": _folder(tmp_path / "h", {"model_index.json": "{}"}),
        "lightgbm": tmp_path / "lgb",
        "catboost": tmp_path / "cbm",
        "openvino": tmp_path / "xml",
    }
    assert {name: recognise(path).framework for name, path in found.items()} == {name: name for name in found}


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    array = io.BytesIO()
    np.savez(array, np.zeros(3))
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    said = {
        "an empty file": b"",
        "a text file": b"(hello) cat.\ndog.\n",
        "an archive of NumPy arrays": array.getvalue(),
        "a safetensors file": struct.pack("<Q", len(header)) + header + b"\x00" * 4,
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
        "a web page": b"<!DOCTYPE html><title>404</title>",
        "a GGUF file": b"GGUF\x03\x00\x00\x00",
        "a zip archive that is cut": b"PK\x03\x04" + b"\x00" * 60,
        "a file of zeros": b"\x00" * 500,
        "an archive": gzip.compress(b"\x01\x02 something else"),
        "a binary file of a kind that is not known": bytes(range(255, 0, -1)) + b"\x00",
    }
    for words, data in said.items():
        (tmp_path / "f").write_bytes(data)
        with pytest.raises(ModelError, match=rf"f seems to be {words}.*: \w"):
            known_model(tmp_path / "f")


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"tiffin-test-{id(data)}"
    path.write_bytes(data)
    try:
        assert recognise(path).what
    finally:
        path.unlink()


@given(st.binary(max_size=400), st.sampled_from([b"\x80\x04", b"\x80\x02", b"(", b"c", b"\x80\x05\x95"]))
def test_opcodes_never_fail(data: bytes, begin: bytes) -> None:
    names = pickles.globals_of(begin + data)
    assert names is None or isinstance(names, list)


def test_a_folder_of_models(tmp_path: Path) -> None:
    model_files.boosted().save_model(tmp_path / "b.ubj")
    (tmp_path / "a.onnx").write_bytes(model_files.onnx_bytes())
    (tmp_path / "README.md").write_text("# both")
    (tmp_path / ".hidden").write_bytes(model_files.onnx_bytes())
    _folder(tmp_path / "c", {"MLmodel": "flavors: {}\n"})
    _folder(tmp_path / "notes", {"a.txt": "x"})
    assert [found.path.name for found in models_in(tmp_path)] == ["a.onnx", "b.ubj", "c"]
    torch.save(model_files.net().state_dict(), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"w.pt in .* state dict: .* or move it out of the folder"):
        models_in(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file or folder"):
        recognise(tmp_path / "nothing")


def test_an_encrypted_archive_is_said_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plain", "w") as archive:
        archive.writestr("schema.json", "{}")
    data = bytearray((tmp_path / "plain").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "m.skops").write_bytes(data)
    with pytest.raises(ModelError, match=r"schema\.json in the archive cannot be read: .*encrypted"):
        recognise(tmp_path / "m.skops")


def test_json_that_is_nested_too_deep_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as archive:
        archive.writestr("schema.json", "[" * 200_000)
    assert not recognise(tmp_path / "m.skops").servable
