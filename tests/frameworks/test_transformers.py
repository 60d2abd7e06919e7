"""Pipelines of transformers: texts, images and waves in, plain values out."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from memory_behind import file_behind
from server import Server
from through_runner import through_runner
from tiny_words import bert, tokenizer

import tiffin
from tiffin.bundler import models
from tiffin.bundler.model_files.origin import written_service
from tiffin.bundler.model_files.wishes import FileOptions
from tiffin.errors import ModelError
from tiffin.runtime.model.framework import shared_bytes
from tiffin.runtime.model.frameworks.transformers import _task_of_class

transformers = pytest.importorskip("transformers")

TEXTS = ["good film", "this is a bad bad film", "the"]
SERVICE = """
import tiffin

@tiffin.service
class Opinions:
    pipe = tiffin.runner("opinions:latest", max_batch_size=8)

    @tiffin.api
    async def judge(self, text: str) -> list[dict]:
        return await self.pipe.predict.one(text)
"""


def classifier(**parameters: Any) -> Any:
    import torch

    torch.manual_seed(0)
    config = bert(num_labels=3, id2label={0: "no", 1: "so", 2: "yes"}, label2id={"no": 0, "so": 1, "yes": 2})
    model = transformers.BertForSequenceClassification(config).eval()
    return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer(), **parameters)


def same(ours: Any, theirs: Any) -> None:
    """Scores of a batch differ in the last digits from those of one row."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-5)
    elif hasattr(theirs, "shape"):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5)
    else:
        assert ours == theirs


def test_texts_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    pipe = classifier(top_k=2)
    model = models.save("opinions", pipe, example=TEXTS)
    assert model.info.framework == "transformers"
    assert not model.info.pickled
    assert {Path(file.path).suffix for file in model.info.files} == {".json", ".safetensors"}
    assert model.info.methods["predict"].batch
    loaded = model.load("cpu")
    expected = pipe(TEXTS)
    assert len(expected[0]) == 2, "what the pipeline was made with is kept"
    same(model.framework.call(loaded, "predict", TEXTS), expected)
    same(through_runner(model, TEXTS[:1], TEXTS[1:]), [expected[:1], expected[1:]])
    same(model.framework.call(loaded, "predict", np.array(TEXTS), top_k=1), pipe(TEXTS, top_k=1))
    same(model.framework.call(loaded, "predict", TEXTS[:1]), [expected[0]])


def test_workers_share_the_weights() -> None:
    model = models.save("opinions", classifier(), example=TEXTS)
    weight = model.load("cpu").model.bert.embeddings.word_embeddings.weight
    assert file_behind(weight.data_ptr()) == "model.safetensors"
    assert shared_bytes(model.info) > weight.nbytes


def test_a_folder_is_copied_as_it_is(tmp_path: Path) -> None:
    pipe = classifier()
    folder = tmp_path / "theirs"
    pipe.save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / ".cache").mkdir()
    model = models.save("opinions", folder, framework="transformers", example=TEXTS)
    assert not [file.path for file in model.info.files if file.path.endswith(".bin")]
    assert (model.path / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    same(model.framework.call(model.load("cpu"), "predict", TEXTS), pipe(TEXTS))


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ModelError, match="holds no safetensors"):
        models.save("m", tmp_path, framework="transformers")


def test_images() -> None:
    import torch
    from PIL import Image

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
    )
    processor = transformers.ViTImageProcessorPil(size={"height": 16, "width": 16})
    vit = transformers.ViTForImageClassification(config).eval()
    pipe = transformers.pipeline("image-classification", model=vit, image_processor=processor)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 24, 3), dtype=np.uint8)
    images = [Image.fromarray(one) for one in pixels]
    model = models.save("vit", pipe, example=(images,))
    expected = pipe(images)
    loaded = model.load("cpu")
    same(model.framework.call(loaded, "predict", images), expected)
    same(model.framework.call(loaded, "predict", pixels), expected)
    same(through_runner(model, images[:2], images[2:]), [expected[:2], expected[2:]])


def test_waves() -> None:
    import torch

    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=64,
        num_mel_bins=16,
    )
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=64)
    heard = transformers.ASTForAudioClassification(config).eval()
    pipe = transformers.pipeline("audio-classification", model=heard, feature_extractor=extractor)
    waves = np.random.default_rng(0).normal(size=(3, 4000)).astype(np.float32)
    model = models.save("heard", pipe, example=waves)
    expected = pipe(list(waves))
    same(model.framework.call(model.load("cpu"), "predict", waves), expected)
    same(through_runner(model, waves[:1], waves[1:]), [expected[:1], expected[1:]])


@pytest.mark.parametrize(
    "task", ["token-classification", "feature-extraction", "zero-shot-classification", "fill-mask"]
)
def test_other_tasks(task: str) -> None:
    import torch

    torch.manual_seed(0)
    labels = {
        "id2label": {0: "contradiction", 1: "entailment"},
        "label2id": {"contradiction": 0, "entailment": 1},
    }
    make, parameters = {
        "token-classification": (transformers.BertForTokenClassification, {"aggregation_strategy": "simple"}),
        "feature-extraction": (transformers.BertModel, {}),
        "zero-shot-classification": (
            transformers.BertForSequenceClassification,
            {"candidate_labels": ["good", "bad"]},
        ),
        "fill-mask": (transformers.BertForMaskedLM, {"top_k": 2}),
    }[task]
    pipe = transformers.pipeline(
        task, model=make(bert(num_labels=2, **labels)).eval(), tokenizer=tokenizer(), **parameters
    )
    texts = ["a [MASK] film", "this is [MASK]"] if task == "fill-mask" else TEXTS[:2]
    model = models.save("m", pipe, example=texts)
    expected = pipe(texts)
    loaded = model.load("cpu")
    for text, one in zip(texts, expected, strict=True):
        same(model.framework.call(loaded, "predict", [text]), [one])


def test_generation_without_a_pad_token() -> None:
    import torch

    torch.manual_seed(0)
    words = tokenizer()
    words.pad_token = None
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=12, n_embd=16, n_layer=1, n_head=2))
    pipe = transformers.pipeline("text-generation", model=gpt.eval(), tokenizer=words, do_sample=False)
    model = models.save("g", pipe, example=TEXTS)
    given = through_runner(model, TEXTS[:1], TEXTS[1:])
    assert [
        row[0]["generated_text"].startswith(text)
        for text, row in zip(TEXTS, given[0] + given[1], strict=True)
    ]


def test_served() -> None:
    pipe = classifier()
    models.save("opinions", pipe, example=TEXTS)
    Path("service.py").write_text(SERVICE)
    with Server("service:Opinions", environ=dict(os.environ)) as server:
        answers = [
            httpx.post(f"{server.base_url}/judge", json={"text": text}, timeout=60).json() for text in TEXTS
        ]
    for answer, expected in zip(answers, pipe(TEXTS), strict=True):
        same(answer, expected)
    assert tiffin.models.list("opinions")


def test_a_pipeline_made_by_its_class_tells_its_task() -> None:
    whole = classifier()
    pipe = transformers.TextClassificationPipeline(model=whole.model, tokenizer=whole.tokenizer)
    assert not pipe.task
    model = models.save("opinions", pipe, example=TEXTS)
    assert model.info.options["task"] == "text-classification"
    same(through_runner(model, TEXTS)[0], whole(TEXTS))

    base = transformers.pipelines.base.Pipeline
    unknown = type("Own", (transformers.TextClassificationPipeline,), {"__module__": base.__module__})
    assert _task_of_class(unknown) == "text-classification"
    with pytest.raises(ModelError, match="this Pipeline does not tell its task"):
        _task_of_class(base)


def test_a_task_gives_all_labels(tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path / "opinions")
    files = FileOptions(task="text-classification")
    with written_service(tmp_path / "opinions", files, None) as written:
        spec = importlib.util.spec_from_file_location("opinions", Path(written.target.source) / "service.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = module.Opinions().classify("good film")
    assert sorted(label.label for label in found) == ["no", "so", "yes"]
    assert sum(label.score for label in found) == pytest.approx(1)


def test_weights_that_are_not_there_are_not_made_up(tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path / "m")
    with pytest.raises(ModelError, match=r"no weights for \d+ tensors of BertForMaskedLM .*random"):
        models.save("m", tmp_path / "m", framework="transformers", options={"task": "fill-mask"})
    assert models.list() == []
    headless = {"task": "feature-extraction"}
    assert models.save("m", tmp_path / "m", framework="transformers", options=headless, example=TEXTS)


def test_the_weights_of_a_folder_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier().save_pretrained(tmp_path / "m")
    plain = transformers.PreTrainedModel.from_pretrained.__func__
    read: list[str] = []

    def counting(cls: Any, *args: Any, **kwargs: Any) -> Any:
        read.append(cls.__name__)
        return plain(cls, *args, **kwargs)

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(counting))
    saved = models.save("m", tmp_path / "m", framework="transformers", example=TEXTS)
    assert read == ["BertForSequenceClassification"]
    assert transformers.PreTrainedModel.from_pretrained.__func__ is counting
    assert saved.info.methods["predict"].output is not None
