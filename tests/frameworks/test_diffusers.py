"""Pipelines of diffusers: a prompt in, an image out."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from memory_behind import file_behind
from server import Server
from through_runner import through_runner
from tiny_words import tokenizer

from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.model.framework import shared_bytes

diffusers = pytest.importorskip("diffusers")

PROMPTS, SEEDS = ["good film", "a bad film", "the"], [1, 2, 3]
CALL = {"num_inference_steps": 1, "height": 16, "width": 16, "guidance_scale": 1.0}
SERVICE = """
import tiffin
from PIL import Image

@tiffin.service
class Painter:
    pipe = tiffin.runner("painter:latest")

    @tiffin.api
    async def paint(self, prompt: str, seed: int) -> Image.Image:
        return await self.pipe.predict.one(prompt, seed)
"""


def painter() -> Any:
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        norm_num_groups=2,
        attention_head_dim=2,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=[8, 16],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=2,
    )
    words = CLIPTextConfig(
        hidden_size=16,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=400,
        max_position_embeddings=32,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    return diffusers.StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=CLIPTextModel(words),
        tokenizer=tokenizer(),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def expected(pipe: Any) -> list[np.ndarray]:
    import torch

    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
    return [np.asarray(image, int) for image in pipe(PROMPTS, generator=generators, **CALL).images]


def close(image: Any, other: np.ndarray) -> bool:
    return bool(np.abs(np.asarray(image, int) - other).max() <= 1)


def test_the_images_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    pipe = painter()
    model = models.save("painter", pipe, options={"call": CALL}, example=(PROMPTS, SEEDS))
    assert (model.info.framework, model.info.pickled) == ("diffusers", False)
    assert [*model.info.methods["predict"].inputs] == ["prompts", "seeds"]
    wanted = expected(pipe)
    loaded = model.load("cpu")
    images = model.framework.call(loaded, "predict", PROMPTS, SEEDS)
    assert all(map(close, images, wanted))
    one, rest = through_runner(model, (PROMPTS[:1], SEEDS[:1]), (PROMPTS[1:], SEEDS[1:]))
    assert all(map(close, [*one, *rest], wanted)), "an image depends on its own seed only"
    weight = next(loaded.unet.parameters())
    assert file_behind(weight.data_ptr()) == "diffusion_pytorch_model.safetensors"
    assert shared_bytes(model.info) > 0.7 * model.info.size_bytes


def test_options_of_a_call() -> None:
    with pytest.raises(ModelError, match="takes no 'steps'"):
        models.save("painter", painter(), options={"call": {"steps": 1}})


def test_without_prompts(tmp_path: Path) -> None:
    net = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    pipe = diffusers.DDPMPipeline(unet=net, scheduler=diffusers.DDPMScheduler())
    pipe.save_pretrained(tmp_path / "theirs")
    options = {"call": {"num_inference_steps": 1}}
    model = models.save("noise", tmp_path / "theirs", framework="diffusers", options=options, example=[1, 2])
    assert (model.path / "model_index.json").read_bytes() == (
        tmp_path / "theirs" / "model_index.json"
    ).read_bytes()
    one, two = through_runner(model, [7], [8, 7])
    assert close(one[0], np.asarray(two[1], int))
    assert not close(one[0], np.asarray(two[0], int))


def test_served_as_png() -> None:
    from PIL import Image

    pipe = painter()
    models.save("painter", pipe, options={"call": CALL}, example=(PROMPTS, SEEDS))
    Path("service.py").write_text(SERVICE)
    with Server("service:Painter", environ=dict(os.environ)) as server:
        answer = httpx.post(
            f"{server.base_url}/paint", json={"prompt": PROMPTS[1], "seed": SEEDS[1]}, timeout=60
        )
    assert answer.headers["content-type"] == "image/png"
    assert close(Image.open(io.BytesIO(answer.content)), expected(pipe)[1])
