"""Keras models on each of its backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from server import Server
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.model.framework import shared_bytes

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

SERVICE = """
import tiffin
import numpy as np
from jaxtyping import Float32

@tiffin.service
class Digits:
    net = tiffin.runner("digits:latest", max_batch_size=8)

    @tiffin.api
    async def classify(self, rows: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 3"]:
        return await self.net.predict(rows)
"""
ELSEWHERE = """
import sys, numpy as np, tiffin
from through_runner import through_runner
x = np.load("x.npy")
model = tiffin.models.get("digits")
y = model.framework.call(model.load("cpu"), "predict", x)
import keras
again = tiffin.models.save("again", model.load("cpu"), example=x)
np.save("y.npy", np.concatenate(through_runner(again, x[:1], x[1:])))
print(keras.backend.backend(), again.info.methods["predict"].sizes)
assert np.allclose(y, np.load("y.npy"), atol=1e-6)
"""


def digits() -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]
    return keras.Sequential(layers)


X = np.random.default_rng(0).random((6, 4), np.float32)


def test_a_model_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    net = digits()
    model = models.save("digits", net, example=X)
    assert (model.info.framework, model.info.pickled) == ("keras", False)
    assert shared_bytes(model.info) == 0
    expected = net.predict_on_batch(X)
    loaded = model.load("cpu")
    for method in ("predict", "__call__"):
        np.testing.assert_allclose(model.framework.call(loaded, method, X), expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(through_runner(model, X[:1], X[1:])), expected, atol=1e-6)


def test_the_signature_is_in_the_model() -> None:
    spec = models.save("digits", digits()).info.methods["predict"]
    assert [(kind.dtype, kind.shape) for kind in spec.inputs.values()] == [("float32", ["n", 4])]
    assert spec.output is not None
    assert spec.output.shape == ["n", 3]


@pytest.mark.parametrize("form", ["list", "dict"])
def test_several_inputs_and_outputs(form: str) -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    both = keras.layers.Concatenate()([a, b])
    one = keras.layers.Dense(1)(both)
    net = (
        keras.Model([a, b], [one, both])
        if form == "list"
        else keras.Model({"a": a, "b": b}, {"one": one, "both": both})
    )
    model = models.save("net", net, example=(X, X[:, :2]))
    assert [*model.info.methods["predict"].inputs] == ["a", "b"]
    given = through_runner(model, (X[:2], X[:2, :2]), (X[2:], X[2:, :2]))
    both_given = [part[1] if form == "list" else part["both"] for part in given]
    np.testing.assert_allclose(np.concatenate(both_given), np.concatenate([X, X[:, :2]], axis=1))


def test_a_file_is_copied_as_it_is(tmp_path: Path) -> None:
    net = digits()
    net.save(tmp_path / "digits.keras")
    model = models.save("digits", tmp_path / "digits.keras", framework="keras", example=X)
    assert (model.path / "model.keras").read_bytes() == (tmp_path / "digits.keras").read_bytes()
    np.testing.assert_allclose(
        model.framework.call(model.load(), "predict", X), net.predict_on_batch(X), atol=1e-6
    )


def test_a_lambda_is_said_to_be_code(monkeypatch: pytest.MonkeyPatch) -> None:
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    model = models.save("twice", net, example=X)
    assert model.info.pickled
    np.testing.assert_allclose(model.framework.call(model.load("cpu"), "predict", X), 2 * X)
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        model.load("cpu")


def test_no_such_device() -> None:
    with pytest.raises(ModelError, match="'cuda:7' is not here"):
        models.save("digits", digits()).load("cuda:7")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_another_backend(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    net = digits()
    models.save("digits", net, example=X)
    np.save("x.npy", X)
    support = Path(__file__).parents[1] / "support"
    environ = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(support)}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sizes = [1, 2, 4, 8, 16, 32, 64] if backend == "jax" else []
    assert done.stdout.strip() == f"{backend} {sizes}"
    np.testing.assert_allclose(np.load("y.npy"), net.predict_on_batch(X), atol=1e-5)


def test_served() -> None:
    net = digits()
    models.save("digits", net, example=X)
    Path("service.py").write_text(SERVICE)
    with Server("service:Digits", environ=dict(os.environ)) as server:
        answers = [
            httpx.post(f"{server.base_url}/classify", json={"rows": rows.tolist()}, timeout=60).json()
            for rows in (X[:1], X[1:])
        ]
    np.testing.assert_allclose(np.concatenate(answers), net.predict_on_batch(X), atol=1e-5)
