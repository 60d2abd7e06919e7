"""Encoders and cross-encoders of sentence-transformers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from memory_behind import file_behind
from server import Server
from through_runner import through_runner
from tiny_words import bert, tokenizer

from tiffin.bundler import models
from tiffin.runtime.model.framework import shared_bytes

library = pytest.importorskip("sentence_transformers")

TEXTS = ["good film", "this is a bad bad film", "the", "a good a"]
SERVICE = """
import tiffin
from jaxtyping import Float32
import numpy as np

@tiffin.service
class Search:
    encoder = tiffin.runner("encoder:latest", max_batch_size=8, workers=2)

    @tiffin.api
    async def embed(self, text: str) -> Float32[np.ndarray, "64"]:
        return await self.encoder.encode.one(text)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of transformers, and its tokenizer."""
    import torch
    from transformers import BertForSequenceClassification, BertModel

    torch.manual_seed(0)
    for name, model in (
        ("encoder", BertModel(bert())),
        ("cross", BertForSequenceClassification(bert(num_labels=1))),
    ):
        model.save_pretrained(tmp_path / name)
        tokenizer().save_pretrained(tmp_path / name)
    return tmp_path


def encoder(folder: Path) -> Any:
    from sentence_transformers.models import Normalize, Pooling, Transformer

    words = Transformer(str(folder / "encoder"))
    return library.SentenceTransformer(modules=[words, Pooling(64, "mean"), Normalize()], device="cpu")


def test_an_encoder_comes_back_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    original = encoder(folder)
    model = models.save("encoder", original, example=TEXTS)
    assert (model.info.framework, model.info.pickled) == ("sentence_transformers", False)
    assert model.info.methods["encode"].batch
    output = model.info.methods["encode"].output
    assert output is not None
    assert (output.dtype, output.shape) == ("float32", ["n", 64])
    expected = original.encode(TEXTS)
    loaded = model.load("cpu")
    np.testing.assert_allclose(model.framework.call(loaded, "encode", TEXTS), expected, atol=1e-6)
    one, rest = through_runner(model, TEXTS[:1], TEXTS[1:])
    np.testing.assert_allclose(np.concatenate([one, rest]), expected, atol=1e-6)
    weight = next(loaded.parameters())
    assert file_behind(weight.data_ptr()) == "model.safetensors"
    assert shared_bytes(model.info) > weight.nbytes


def test_a_folder_is_copied_as_it_is(folder: Path) -> None:
    original = encoder(folder)
    original.save_pretrained(str(folder / "theirs"))
    model = models.save("encoder", folder / "theirs", framework="sentence_transformers", example=TEXTS)
    assert (model.path / "modules.json").read_bytes() == (folder / "theirs" / "modules.json").read_bytes()
    given = model.framework.call(model.load("cpu"), "encode", np.array(TEXTS))
    np.testing.assert_allclose(given, original.encode(TEXTS), atol=1e-6)


def test_a_cross_encoder(folder: Path) -> None:
    original = library.CrossEncoder(str(folder / "cross"), device="cpu")
    pairs = [["good", "film"], ["bad", "film"], ["the", "a"]]
    model = models.save("cross", original, example=pairs)
    assert model.info.methods["predict"].batch
    expected = original.predict([tuple(pair) for pair in pairs])
    given = through_runner(model, pairs[:2], pairs[2:])
    np.testing.assert_allclose(np.concatenate(given), expected, atol=1e-6)


def test_served(folder: Path) -> None:
    original = encoder(folder)
    models.save("encoder", original, example=TEXTS)
    Path("service.py").write_text(SERVICE)
    with Server("service:Search", environ=dict(os.environ)) as server:

        def ask(text: str) -> Any:
            return httpx.post(f"{server.base_url}/embed", json={"text": text}, timeout=60).json()

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, TEXTS))
    np.testing.assert_allclose(answers, original.encode(TEXTS), atol=1e-5)
