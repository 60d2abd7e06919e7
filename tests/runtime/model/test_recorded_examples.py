"""Recorded calls: what is written can be read, never runs, and differences are named."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import IntegrityError, WireError
from tiffin.runtime.manifest import FileEntry, ModelInfo
from tiffin.runtime.model.compare import Tolerance, differences
from tiffin.runtime.model.recorded import Recorded, decode, encode, path_of, read_examples


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.array(["a", "bcd"]),
        torch.ones(2, 3, dtype=torch.bfloat16),
        pd.DataFrame({"age": [1, 2], "name": ["x", None]}),
        {"a": [1, 2.5, "x", None, True], "t": datetime.date(2026, 1, 1)},
        (np.ones(2), [b"\x00", 2**70]),
        "text",
        -float("inf"),
    ],
    ids=str,
)
def test_there_and_back(value: Any) -> None:
    call = decode(encode(Recorded((value,), {"k": value}, value)))
    for one in (call.args[0], call.kwargs["k"], call.output):
        assert differences(value, one, tolerance=Tolerance(0, 0)) == []


def test_what_cannot_travel_is_said() -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        encode(Recorded((object(),)))


def test_a_model_may_write_into_its_arguments() -> None:
    call = decode(encode(Recorded((np.zeros(2000),))))
    call.args[0][0] = 1
    assert call.args[0][0] == 1


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode(data)


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    whole = encode(Recorded((np.arange(20),), {"flag": True}, {"scores": np.ones(3)}))
    place = data.draw(st.integers(0, len(whole) - 1))
    hurt = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    with contextlib.suppress(IntegrityError):
        decode(hurt)
    with pytest.raises(IntegrityError):
        decode(whole[:place])


def test_a_newer_format() -> None:
    plain = msgspec.msgpack.decode(encode(Recorded()))
    with pytest.raises(IntegrityError, match="format 2"):
        decode(msgspec.msgpack.encode({**plain, "format": 2}))


def test_names_of_methods_become_files_only_when_they_can() -> None:
    assert path_of("__call__") == "example-calls/__call__.msgpack"
    assert [path_of(name) for name in ("../x", "a/b", "", "a" * 200, "1")] == [""] * 5


def _info(path: Path, data: bytes, **fields: Any) -> ModelInfo:
    import hashlib

    (path / "example-calls").mkdir(exist_ok=True)
    (path / "example-calls/predict.msgpack").write_bytes(data)
    entry = FileEntry(
        path="example-calls/predict.msgpack", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    return ModelInfo(
        name="m", version="1", framework="x", created="", files=[], digest="", size_bytes=0, examples=[entry]
    )


def test_files_are_what_the_manifest_says(tmp_path: Path) -> None:
    info = _info(tmp_path, encode(Recorded((1,), {}, 2)))
    assert read_examples(tmp_path, info) == {"predict": Recorded((1,), {}, 2)}
    file = tmp_path / "example-calls/predict.msgpack"
    file.write_bytes(encode(Recorded((1,), {}, 3)))
    with pytest.raises(IntegrityError, match="not what its digest says"):
        read_examples(tmp_path, info)
    file.rename(tmp_path / "moved")
    with pytest.raises(IntegrityError, match="is missing"):
        read_examples(tmp_path, info)
    file.symlink_to(tmp_path / "moved")
    with pytest.raises(IntegrityError, match="is a link"):
        read_examples(tmp_path, info)


ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")


@pytest.mark.parametrize(
    ("old", "new", "path", "what"),
    [
        (ROWS, ROWS + 1e-3, "output", "4 of 4 values differ, by 0.001 at most"),
        (ROWS, ROWS[:1], "output", "had shape [2, 2], has [1, 2]"),
        (ROWS, ROWS.astype("float64"), "output", "was float32, is float64"),
        (np.array([1, 2]), np.array([1, 3]), "output", "[1] was 2, is 3"),
        (np.array(["a", "b"]), np.array(["a", "longer"]), "output", "[1] was b, is longer"),
        (np.array([0.0, np.nan]), np.array([0.0, 1.0]), "output", "[1] was nan, is 1.0"),
        ({"a": ROWS}, {"b": ROWS}, "output['a']", "is missing"),
        ([ROWS, ROWS], [ROWS], "output", "had 2 items, has 1"),
        ([{"p": 0.5}], [{"p": 0.6}], "output[0]['p']", "by 0.1 at most"),
        ("yes", "no", "output", "was 'yes', is 'no'"),
        (1, "1", "output", "was int 1, is str '1'"),
        (1, True, "output", "was int 1, is bool True"),
        (ROWS, [1.0], "output", "was ndarray, is list"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "output", "had the columns a, has b"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [2.0]}), "output['a']", "1 of 1 values differ"),
        (torch.tensor([1.0]), torch.tensor([2.0]), "output", "by 1 at most"),
    ],
)
def test_differences_are_named(old: Any, new: Any, path: str, what: str) -> None:
    found = differences(old, new)
    assert found[0].path == path
    assert what in found[0].what, found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ROWS, ROWS * np.float32(1 + 1e-6)),
        (np.array([np.nan, np.inf, -np.inf]), np.array([np.nan, np.inf, -np.inf])),
        (np.array([0.0]), np.array([-0.0])),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0078], dtype=torch.bfloat16)),
        (np.array([1.0], "float16"), np.array([1.005], "float16")),
        (np.array(["NaT"], "M8[s]"), np.array(["NaT"], "M8[s]")),
        (np.array([], "float32"), np.array([], "float32")),
        ((1, 2), [1, 2]),
        (0.1 + 0.2, 0.3),
    ],
)
def test_what_is_near_enough(old: Any, new: Any) -> None:
    assert differences(old, new) == []


def test_tolerances_can_be_given() -> None:
    assert differences(1.0, 1.1, tolerance=Tolerance(rtol=0.2)) == []
    assert differences(0.0, 0.5, tolerance=Tolerance(atol=1)) == []
    assert differences(1.0, 1.0 + 1e-9, tolerance=Tolerance(0, 0))
    assert "allowed: 0 + 0 × |value|" in differences(1.0, 1.1, tolerance=Tolerance(0, 0))[0].what


def test_there_is_an_end_to_it() -> None:
    assert len(differences([0] * 100, [1] * 100)) == 20
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    assert differences(deep, deep)[0].what == "is nested too deep to be compared"
