"""Damaged files of every format: something is said of each, and formats are named also when they are cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import joblib
import model_files
import pytest
import torch

from tiffin.bundler.model_files.recognise import recognise
from tiffin.errors import ModelError

CUTS, FLIPS = 20, 60


def _onnx() -> bytes:
    """The fields of a `ModelProto`: version, producer, operators, graph."""
    return b"\x08\x09" + b"\x12\x04test" + b"\x42\x04\x0a\x00\x10\x11" + b"\x3a\xc8\x01" + bytes(200)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    forest = model_files.forest()
    for name, compress in {
        "plain": 0,
        "zlib": 3,
        "gzip": ("gzip", 3),
        "bz2": ("bz2", 3),
        "xz": ("xz", 3),
    }.items():
        joblib.dump(forest, folder / name, compress=compress)
    model_files.write_pickle(folder / "pickle", forest)
    model_files.write_script(folder / "script")
    torch.save(model_files.net(), folder / "module")
    torch.save(model_files.net().state_dict(), folder / "state")
    model_files.boosted().save_model(folder / "ubj.ubj")
    model_files.boosted().save_model(folder / "json.json")
    (folder / "onnx").write_bytes(_onnx())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _damaged(name: str, data: bytes) -> Iterator[bytes]:
    pick = random.Random(name)
    yield from (data[: len(data) * part // CUTS] for part in range(CUTS))
    for _ in range(FLIPS):
        changed = bytearray(data)
        changed[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
        yield bytes(changed)


def test_something_is_said_of_every_damage(whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "model"
    for name, data in whole.items():
        for damaged in _damaged(name, data):
            path.write_bytes(damaged)
            try:
                found = recognise(path)
            except ModelError as error:
                assert "cannot be read" in str(error), name
            else:
                assert found.what, name
                assert found.servable or found.advice, name


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("bz2", "a file compressed by bz2 that is cut or damaged"),
        ("xz", "a file compressed by xz that is cut or damaged"),
        ("gzip", "a file compressed by gzip that is cut or damaged"),
        ("zlib", "a file compressed by zlib that is cut or damaged"),
        ("onnx", "an ONNX model that is cut"),
        ("script", "a zip archive that is cut"),
    ],
)
def test_a_format_is_named_also_when_it_is_cut(
    name: str, what: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "model"
    data = whole[name]
    path.write_bytes(data)
    assert recognise(path).servable
    if name in {"gzip", "zlib", "xz"}:
        data = data[:12] + bytes(len(data))
    path.write_bytes(data[: len(data) // 2])
    assert recognise(path).what == what
    assert "again" in recognise(path).advice


def test_texts_that_begin_like_something_compressed(tmp_path: Path) -> None:
    (tmp_path / "formula.txt").write_text("x^2 + y^2 = 1, für alle\n")
    assert recognise(tmp_path / "formula.txt").what == "a text file"
