"""The templates whose libraries are heavy, from `bundle init` to an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from fresh_project import answer_of


def test_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    assert [each["label"] for each in answer_of("onnx", tmp_path)] == ["left", "right"]


def test_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert [each["label"] for each in answer_of("transformers", tmp_path)] == ["good", "bad"]
