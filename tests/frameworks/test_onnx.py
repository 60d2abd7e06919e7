from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from framework_rounds import refuses_damage, served, together
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tiffin.bundler import models
from tiffin.errors import InvalidInputError, ModelError
from tiffin.runtime.model.framework import shared_bytes

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")


def graph(nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **weights: Any) -> Any:
    """A small graph; an input or output is (type, shape)."""
    make = onnx.helper
    made = make.make_graph(
        [make.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "g",
        [make.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [make.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return make.make_model(made, opset_imports=[make.make_opsetid("", 17)], ir_version=9)


def linear(rows: Any = "batch", size: int = 4) -> Any:
    weight = np.arange(size * 3, dtype=np.float32).reshape(size, 3)
    return graph(
        [("MatMul", ["x", "w"], ["y"])], {"x": (FLOAT, [rows, size])}, {"y": (FLOAT, [rows, 3])}, w=weight
    )


def own_answer(proto: Any, **feeds: Any) -> list[Any]:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def test_the_file_says_the_signature_and_answers_as_before(tmp_path: Path) -> None:
    proto = linear()
    model = models.save("m", proto)
    assert (model.info.framework, model.info.pickled) == ("onnx", False)
    spec = model.info.methods["predict"]
    assert spec.batch
    assert (spec.inputs["x"].dtype, spec.inputs["x"].shape) == ("float32", ["n", 4])
    assert spec.output is not None and spec.output.shape == ["n", 3]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    loaded = model.load(device="cpu")
    assert np.array_equal(loaded.predict(x), own_answer(proto, x=x)[0])
    assert np.array_equal(loaded.predict(x=x.tolist()), own_answer(proto, x=x)[0])  # lists, float64
    first, second = together(model, "predict", x[:2], x[2:], folder=tmp_path)
    assert np.array_equal(np.concatenate([first, second]), own_answer(proto, x=x)[0])
    refuses_damage(model)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((2, 5), np.float32), r"has the shape \[batch, 4\] and got \[2, 5\]"),
        ([["a"] * 4], "takes float32 and got <U1"),
        (np.zeros((2, 4), complex), "got complex128"),
        ([[1.0], [1.0, 2.0]], "input 'x'"),
    ],
)
def test_what_does_not_fit_is_the_callers_fault(value: Any, words: str) -> None:
    loaded = models.save("m", linear()).load()
    with pytest.raises(InvalidInputError, match=words):
        loaded.predict(value)
    with pytest.raises(InvalidInputError, match="input 'x' is missing"):
        loaded.predict()
    with pytest.raises(InvalidInputError, match="no input 'z'"):
        loaded.predict(z=[1])


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    proto = graph(
        [("Add", ["a", "b"], ["sum"]), ("Mul", ["a", "b"], ["product"])],
        {"a": (FLOAT, ["n", 2]), "b": (FLOAT, ["n", 2])},
        {"sum": (FLOAT, ["n", 2]), "product": (FLOAT, ["n", 2])},
    )
    model = models.save("m", proto, example=([[1, 2]], [[3, 4]]))
    assert list(model.info.methods["predict"].inputs) == ["a", "b"]
    a, b = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.full((3, 2), 2, np.float32)
    one, two = together(model, "predict", (a[:1], b[:1]), (a[1:], b[1:]), folder=tmp_path)
    assert one["sum"].tolist() == [[3, 4]]
    assert two["product"].tolist() == [[6, 8], [10, 12]]


def test_a_graph_for_one_row_takes_any_number(tmp_path: Path) -> None:
    model = models.save("m", linear(rows=1))
    spec = model.info.methods["predict"]
    assert spec.batch and spec.inputs["x"].shape == [1, 4]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = own_answer(linear(), x=x)[0]
    one, none, rest = together(model, "predict", x[:2], x[:0], x[2:], folder=tmp_path)
    assert np.allclose(np.concatenate([one, rest]), expected)
    assert none.shape == (0, 3)
    pairs = models.save("pairs", linear(rows=2))
    assert np.allclose(pairs.load().predict(x), expected)


def test_an_axis_that_is_no_row_is_no_batch() -> None:
    proto = graph(
        [("ReduceSum", ["x"], ["y"], {"keepdims": 0})], {"x": (FLOAT, ["n", 2])}, {"y": (FLOAT, [])}
    )
    model = models.save("sum", proto, example=np.ones((3, 2), np.float32))
    assert not model.info.methods["predict"].batch
    assert model.load().predict([[1, 2], [3, 4]]) == 10


def test_text_in_and_maps_out(tmp_path: Path) -> None:
    iris = load_iris()
    names = iris.target_names[iris.target]
    data = iris.data.astype(np.float32)
    proto = skl2onnx.to_onnx(LogisticRegression(max_iter=500).fit(data, names), data[:1])
    assert proto.graph.output[1].type.WhichOneof("value") == "sequence_type"
    model = models.save("iris", proto, example=iris.data[:2])
    rows = data[[0, 60, 120]]
    labels, chances = own_answer(proto, X=rows)
    one, two = together(model, "predict", rows[:1], rows[1:], folder=tmp_path)
    assert [*one["output_label"], *two["output_label"]] == list(labels)
    assert [*one["output_probability"], *two["output_probability"]] == chances
    assert set(chances[0]) == {"setosa", "versicolor", "virginica"}

    same = graph(
        [("Identity", ["x"], ["y"])],
        {"x": (STRING, ["n"])},
        {"y": (STRING, ["n"])},
    )
    texts = models.save("same", same)
    assert texts.info.methods["predict"].inputs["x"].dtype == "str"
    first, second = together(texts, "predict", np.array(["a", "b"]), np.array(["c"]), folder=tmp_path)
    assert [*first, *second] == ["a", "b", "c"]


def test_a_file_is_copied_with_its_weights_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "exported"
    place.mkdir()
    onnx.save_model(
        linear(size=4000),
        place / "net.onnx",
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    model = models.save("m", place / "net.onnx", framework="onnx")
    assert {file.path for file in model.info.files} == {"model.onnx", "net.data"}
    assert (model.path / "model.onnx").read_bytes() == before["net.onnx"]
    assert (model.path / "net.data").read_bytes() == before["net.data"]
    x = np.ones((2, 4000), np.float32)
    assert np.array_equal(model.load().predict(x), own_answer(linear(size=4000), x=x)[0])
    with pytest.raises(ModelError, match=r"there is no ONNX file .*gone\.onnx"):
        models.save("m", place / "gone.onnx", framework="onnx")


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    onnx.save_model(
        linear(), tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0
    )
    proto = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="cannot be read"):  # onnxruntime refuses it before tiffin does
        models.save("m", tmp_path / "net.onnx", framework="onnx")
    assert models.list() == []


def test_shared_weights_lie_in_a_mapped_file() -> None:
    proto = linear(size=40_000)
    model = models.save("m", proto, options={"shared": True})
    assert shared_bytes(model.info) == 40_000 * 3 * 4
    assert len(proto.graph.initializer[0].raw_data) == 40_000 * 3 * 4  # the user's own is left whole
    loaded = model.load()
    x = np.ones((2, 40_000), np.float32)
    assert np.allclose(loaded.predict(x), own_answer(proto, x=x)[0])
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(model.path / "weights.bin") in maps.read_text()
    with pytest.raises(ModelError, match="copied as it is"):
        models.save("m", model.path / "model.onnx", framework="onnx", options={"shared": True})


def test_the_format_of_onnxruntime(tmp_path: Path) -> None:
    settings = ort.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "net.ort")
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(linear().SerializeToString(), settings, providers=["CPUExecutionProvider"])
    model = models.save("m", tmp_path / "net.ort", framework="onnx")
    assert [file.path for file in model.info.files] == ["model.ort"]
    x = np.ones((1, 4), np.float32)
    assert np.array_equal(model.load().predict(x), own_answer(linear(), x=x)[0])


def test_a_session_gives_its_file(tmp_path: Path) -> None:
    onnx.save_model(linear(), tmp_path / "net.onnx")
    model = models.save("m", ort.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"]))
    assert model.load().predict([[0, 0, 0, 1]]).tolist() == [[9, 10, 11]]
    session = ort.InferenceSession(linear().SerializeToString(), providers=["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="save the ModelProto, or the path"):
        models.save("m", session)


def test_devices_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("m", linear())
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        with pytest.raises(ModelError, match="install onnxruntime-gpu"):
            model.load(device="cuda:1")
    with pytest.raises(ModelError, match="bad device 'tpu'"):
        model.load(device="tpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert model.load().native.get_session_options().intra_op_num_threads == 3


SERVICE = """
import numpy as np
from jaxtyping import Float32

import tiffin


@tiffin.service
class Net:
    net = tiffin.runner("net:latest", threads=1)

    @tiffin.api
    async def score(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 3"]:
        return await self.net.predict(x)
"""


def test_served_from_a_bundle(tmp_path: Path) -> None:
    models.save("net", linear())
    with served(tmp_path, SERVICE) as server:
        answer = httpx.post(f"{server.base_url}/score", json={"x": [[0, 0, 0, 1], [1, 0, 0, 0]]}, timeout=30)
        assert answer.json() == [[9, 10, 11], [0, 1, 2]]
        wrong = httpx.post(f"{server.base_url}/score", json={"x": [[0]]}, timeout=30)
        assert wrong.status_code == 422
