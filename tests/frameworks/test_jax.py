"""JAX functions and flax modules, of linen and of nnx."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_behind import file_behind
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import IntegrityError, ModelError
from tiffin.runtime.model import aligned_safetensors
from tiffin.runtime.model.framework import shared_bytes

jax = pytest.importorskip("jax")

MODULE = """
import flax.linen
import jax
from flax import nnx


def apply(params, x, *, scale=1.0):
    hidden = jax.nn.relu(x @ params["layers"][0]) @ params["layers"][1]
    return {"scores": hidden * scale + params["bias"], "best": hidden.argmax(1)}


class Linen(flax.linen.Module):
    widths: tuple[int, ...] = (8,)

    @flax.linen.compact
    def __call__(self, x, train=True):
        for width in self.widths:
            x = flax.linen.relu(flax.linen.Dense(width)(x))
        return flax.linen.Dropout(0.5, deterministic=not train)(x)


class Nnx(nnx.Module):
    def __init__(self, width, *, rngs):
        self.first = nnx.Linear(256, width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.rest = nnx.List([nnx.Linear(width, 3, rngs=rngs)])

    def __call__(self, x):
        return self.rest[0](self.drop(nnx.relu(self.norm(self.first(x)))))
"""
X = np.random.default_rng(0).random((5, 256), np.float32)


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "jax_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("jax_nets", None)
    return __import__("jax_nets")


def params() -> Any:
    keys = jax.random.split(jax.random.key(0), 2)
    layers = (jax.random.normal(keys[0], (256, 128)), jax.random.normal(keys[1], (128, 3)))
    return {"layers": layers, "bias": jax.numpy.ones(3, jax.numpy.bfloat16), "none": None}


def test_a_function_with_its_parameters(nets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    tree = params()
    model = models.save("f", tree, options={"apply": nets.apply, "constants": {"scale": 2.0}}, example=X)
    assert (model.info.framework, model.info.pickled) == ("jax", False)
    assert model.info.options["apply"] == "jax_nets:apply"
    assert model.info.methods["predict"].sizes == [1, 2, 4, 8, 16, 32, 64]
    expected = nets.apply(tree, X, scale=2.0)
    loaded = model.load("cpu")
    given = model.framework.call(loaded, "predict", X)
    np.testing.assert_allclose(given["scores"], expected["scores"], rtol=1e-5)
    first, rest = through_runner(model, X[:1], X[1:])
    np.testing.assert_allclose(
        np.concatenate([first["scores"], rest["scores"]]), expected["scores"], rtol=1e-4
    )
    assert np.array_equal(np.concatenate([first["best"], rest["best"]]), expected["best"])
    weight = loaded.params["layers"][0]
    assert file_behind(weight.unsafe_buffer_pointer()) == "params.safetensors"
    assert shared_bytes(model.info) > weight.nbytes


def test_a_function_without_a_name_is_a_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("f", params(), options={"apply": lambda p, x: x @ p["layers"][0]}, example=X)
    assert model.info.pickled
    np.testing.assert_allclose(through_runner(model, X)[0], X @ params()["layers"][0], rtol=1e-4)
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        model.load("cpu")


def test_linen(nets: Any) -> None:
    pytest.importorskip("flax")
    net = nets.Linen((16, 4))
    variables = net.init(jax.random.key(0), X, train=False)
    model = models.save(
        "net", variables, options={"apply": net.apply, "constants": {"train": False}}, example=X
    )
    assert not model.info.pickled
    assert model.info.options["fields"] == {"widths": [16, 4]}
    expected = net.apply(variables, X, train=False)
    np.testing.assert_allclose(np.concatenate(through_runner(model, X[:2], X[2:])), expected, rtol=1e-4)


@pytest.mark.parametrize("form", ["safetensors", "msgpack"])
def test_a_file_of_parameters(nets: Any, tmp_path: Path, form: str) -> None:
    flax = pytest.importorskip("flax")
    from flax.serialization import msgpack_serialize

    net = nets.Linen((16, 4))
    variables = net.init(jax.random.key(0), X, train=False)
    path = tmp_path / f"params.{form}"
    if form == "msgpack":
        path.write_bytes(msgpack_serialize(variables))
    else:
        from safetensors.flax import save_file

        save_file(flax.traverse_util.flatten_dict(variables, sep="/"), str(path))
    options = {"apply": net.apply, "constants": {"train": False}}
    model = models.save("net", path, framework="jax", options=options, example=X)
    expected = net.apply(variables, X, train=False)
    np.testing.assert_allclose(model.framework.call(model.load("cpu"), "predict", X), expected, rtol=1e-4)
    if form == "safetensors":
        assert (model.path / "params.safetensors").read_bytes() == path.read_bytes()


def test_nnx(nets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from flax import nnx

    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    net = nets.Nnx(128, rngs=nnx.Rngs(1))
    net(X)  # moves the means of its batch norm
    with pytest.raises(ModelError, match="give its keyword arguments"):
        models.save("net", net, example=X)
    with pytest.raises(ModelError, match="has other weights"):
        models.save("net", net, example=X, options={"init": {"width": 7}})
    model = models.save("net", net, example=X, options={"init": {"width": 128}})
    assert not model.info.pickled
    loaded = model.load("cpu")
    net.eval()
    expected = net(X)
    np.testing.assert_allclose(model.framework.call(loaded, "predict", X), expected, rtol=1e-4)
    np.testing.assert_allclose(np.concatenate(through_runner(model, X[:2], X[2:])), expected, rtol=1e-4)
    weight = loaded.first.kernel[...]
    assert file_behind(weight.unsafe_buffer_pointer()) == "state.safetensors"


def test_functions_of_python_are_no_models() -> None:
    with pytest.raises(ModelError, match="bad function 'os:system'"):
        models.save("f", params(), options={"apply": "os:system"})
    with pytest.raises(ModelError, match="give the function too"):
        models.save("f", params())


def test_files_that_the_library_reads(tmp_path: Path) -> None:
    import ml_dtypes
    from safetensors.numpy import load_file, save_file

    tensors = {
        "odd": np.arange(7, dtype=np.int16),
        "even": np.random.default_rng(0).random((64, 16)),
        "brain": np.arange(5).astype(ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), np.float32),
        "number": np.asarray(True),
    }
    aligned_safetensors.write(tensors, tmp_path / "ours")
    save_file(tensors, tmp_path / "theirs")
    for read in (load_file(tmp_path / "ours"), aligned_safetensors.read(tmp_path / "theirs")):
        assert read.keys() == tensors.keys()
        for name, array in tensors.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array), name
    assert aligned_safetensors.read(tmp_path / "ours")["even"].__array_interface__["data"][0] % 64 == 0
    (tmp_path / "cut").write_bytes((tmp_path / "ours").read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="is damaged"):
        aligned_safetensors.read(tmp_path / "cut")
