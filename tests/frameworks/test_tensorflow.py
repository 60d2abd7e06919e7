"""TensorFlow modules and SavedModel folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import ModelError

tf = pytest.importorskip("tensorflow")

X = np.random.default_rng(0).random((5, 4))


class Net(tf.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.reshape(tf.range(12, dtype=tf.float32), (4, 3)))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def __call__(self, x: Any) -> Any:
        return x @ self.weight

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 4), tf.float32, name="x"),
            tf.TensorSpec((None,), tf.float32, name="k"),
        ]
    )
    def scaled(self, x: Any, k: Any) -> Any:
        return {"y": x @ self.weight * k[:, None], "best": tf.argmax(x @ self.weight, 1)}

    @tf.function
    def free(self, x: Any) -> Any:
        return x * 2, x + 1


def weight() -> np.ndarray:
    return np.arange(12, dtype=np.float32).reshape(4, 3)


def test_a_module_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    methods = {"predict": {"example": X}, "scaled": {"example": (X, X[:, 0])}, "free": {"example": X}}
    model = models.save("net", Net(), methods=methods)
    assert (model.info.framework, model.info.pickled) == ("tensorflow", False)
    spec = model.info.methods["scaled"]
    assert spec.batch
    assert [*spec.inputs] == ["x", "k"]
    loaded = model.load("cpu")
    expected = X.astype(np.float32) @ weight()
    for method in ("predict", "__call__"):
        np.testing.assert_allclose(model.framework.call(loaded, method, X), expected, rtol=1e-5)
    np.testing.assert_allclose(np.concatenate(through_runner(model, X[:1], X[1:])), expected, rtol=1e-5)
    one, rest = through_runner(model, (X[:1], X[:1, 0]), (X[1:], X[1:, 0]), method="scaled")
    np.testing.assert_allclose(rest["y"], expected[1:] * X[1:, :1], rtol=1e-5)
    assert one["best"].tolist() == expected[:1].argmax(1).tolist()
    twice, more = through_runner(model, X[:1], X[1:], method="free")[1]
    np.testing.assert_allclose((twice, more), (X[1:] * 2, X[1:] + 1), rtol=1e-6)


def test_the_signature_is_in_the_graph() -> None:
    spec = models.save("net", Net(), methods=["predict"]).info.methods["predict"]
    assert [(name, kind.dtype, kind.shape) for name, kind in spec.inputs.items()] == [
        ("x", "float32", ["n", 4])
    ]


def test_a_folder_with_signatures_only(tmp_path: Path) -> None:
    net = Net()
    signatures = {
        "serving_default": net.__call__.get_concrete_function(),
        "scaled": net.scaled.get_concrete_function(),
    }
    served = tf.Module()
    served.weight = net.weight
    tf.saved_model.save(served, str(tmp_path / "net"), signatures=signatures)
    model = models.save("net", tmp_path / "net", framework="tensorflow", example=X, methods=["predict"])
    assert (model.path / "saved_model.pb").read_bytes() == (tmp_path / "net" / "saved_model.pb").read_bytes()
    loaded = model.load("cpu")
    expected = X.astype(np.float32) @ weight()
    np.testing.assert_allclose(model.framework.call(loaded, "predict", X), expected, rtol=1e-5)
    named = model.framework.call(loaded, "scaled", x=X, k=X[:, 0])
    np.testing.assert_allclose(named["y"], expected * X[:, :1], rtol=1e-5)


def test_a_model_that_keras_exports(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("keras runs on another backend here")
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    net.export(str(tmp_path / "net"), verbose=False)
    model = models.save("net", tmp_path / "net", framework="tensorflow", example=X)
    given = np.concatenate(through_runner(model, X[:2], X[2:]))
    np.testing.assert_allclose(given, net.predict_on_batch(X), rtol=1e-5)


def test_what_has_no_graph() -> None:
    with pytest.raises(ModelError, match=r"has no tf\.function"):
        models.save("net", tf.Module())
    with pytest.raises(ModelError, match=r"it has no saved_model\.pb"):
        models.save("net", Path(__file__).parent, framework="tensorflow")


def test_texts() -> None:
    class Upper(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def __call__(self, text: Any) -> Any:
            return tf.strings.upper(text)

    model = models.save("upper", Upper(), example=np.array(["a", "bc"]))
    assert np.concatenate(through_runner(model, np.array(["a", "b"]), np.array(["c"]))).tolist() == [
        "A",
        "B",
        "C",
    ]
