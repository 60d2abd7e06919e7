from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from framework_rounds import refuses_damage, served, together

from tiffin.bundler import models
from tiffin.errors import InvalidInputError, ModelError

ov = pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")


def graph(rows: int = -1) -> Any:
    """x: float32[rows, 4] → scores: float32[rows, 3] and best: int64[rows, 1]."""
    ops = ov.opset13 if hasattr(ov, "opset13") else import_module("openvino.runtime.opset13")
    x = ops.parameter([rows, 4], np.float32, name="x")
    weight = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
    scores = ops.matmul(x, ops.constant(weight), False, False)
    best = ops.topk(scores, ops.constant(np.int64(1)), 1, "max", "value", "i64")
    x.output(0).set_names({"x"})
    scores.output(0).set_names({"scores"})
    best.output(1).set_names({"best"})
    return ov.Model([scores.output(0), best.output(1)], [x], "small")


X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def own_answer(x: Any = X) -> Any:
    compiled = ov.compile_model(graph(), "CPU")
    found = compiled(x)
    return found["scores"], found["best"]


def test_the_file_says_the_signature_and_answers_as_before(tmp_path: Path) -> None:
    model = models.save("m", graph())
    assert (model.info.framework, model.info.pickled) == ("openvino", False)
    assert {file.path for file in model.info.files} == {"model.xml", "model.bin"}
    spec = model.info.methods["predict"]
    assert spec.batch
    assert (spec.inputs["x"].dtype, spec.inputs["x"].shape) == ("float32", ["n", 4])
    scores, best = own_answer()
    one, two = together(model, "predict", X[:2], X[2:], folder=tmp_path)
    assert np.allclose(np.concatenate([one["scores"], two["scores"]]), scores)
    assert np.array_equal(np.concatenate([one["best"], two["best"]]), best)
    with pytest.raises(InvalidInputError, match="takes float32 and got <U1"):
        model.load().predict([["a"] * 4])
    refuses_damage(model)


def test_a_graph_for_two_rows_takes_any_number(tmp_path: Path) -> None:
    model = models.save("m", graph(rows=2), example=X[:3])
    one, two = together(model, "predict", X[:2], X[2:], folder=tmp_path)
    assert np.allclose(np.concatenate([one["scores"], two["scores"]]), own_answer()[0])


@pytest.mark.parametrize("what", ["file", "folder"])
def test_files_are_copied(what: str, tmp_path: Path) -> None:
    place = tmp_path / "ir"
    ov.save_model(graph(), place / "net.xml", compress_to_fp16=False)
    model = models.save("m", place if what == "folder" else place / "net.xml", framework="openvino")
    assert (model.path / "model.xml").read_bytes() == (place / "net.xml").read_bytes()
    assert (model.path / "model.bin").read_bytes() == (place / "net.bin").read_bytes()
    assert np.allclose(model.load(device="cpu").predict(X)["scores"], own_answer()[0])
    (place / "net.bin").unlink()
    with pytest.raises(ModelError, match=r"net\.bin is missing"):
        models.save("m", place / "net.xml", framework="openvino")


def test_devices_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("m", graph())
    with pytest.raises(ModelError, match="none of NVIDIA's"):
        model.load(device="cuda")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert model.load().native.get_property("INFERENCE_NUM_THREADS") == 1
    absent = models.save("absent", graph(), options={"device": "NPU.7"})
    with pytest.raises(ModelError, match=r"for 'NPU\.7'"):
        absent.load()
    assert np.allclose(absent.load(device="cpu").predict(X)["scores"], own_answer()[0])
    with pytest.raises(ModelError, match=r"save the openvino\.Model"):
        models.save("m", ov.compile_model(graph(), "CPU"))


SERVICE = """
from typing import Any

import numpy as np
from jaxtyping import Float32

import tiffin


@tiffin.service
class Net:
    net = tiffin.runner("net:latest", threads=1)

    @tiffin.api
    async def score(self, x: Float32[np.ndarray, "n 4"]) -> list[int]:
        return (await self.net.predict(x))["best"][:, 0].tolist()
"""


def test_served_from_a_bundle(tmp_path: Path) -> None:
    models.save("net", graph())
    with served(tmp_path, SERVICE) as server:
        answer = httpx.post(f"{server.base_url}/score", json={"x": X.tolist()}, timeout=30)
        assert answer.json() == own_answer()[1][:, 0].tolist()
