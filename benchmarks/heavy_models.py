"""Models of the heavy libraries for `worker_memory.py`, in the environment of make test-frameworks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

Made = tuple[Any, dict[str, Any], Any]
"""A model, its options, and rows for it."""


def transformers(large: bool) -> Made:
    import numpy as np
    import transformers as library

    model = library.BertForSequenceClassification(_bert(large)).eval()
    pipe = library.pipeline("text-classification", model=model, tokenizer=_tokenizer())
    return pipe, {}, np.array(["good film"])


def sentence_transformers(large: bool) -> Made:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertModel

    with tempfile.TemporaryDirectory() as folder:
        BertModel(_bert(large)).save_pretrained(folder)
        _tokenizer().save_pretrained(folder)
        words = Transformer(folder)
    return (
        SentenceTransformer(modules=[words, Pooling(256, "mean")], device="cpu"),
        {},
        np.array(["good film"]),
    )


def diffusers(large: bool) -> Made:
    import numpy as np
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    wide = 512 if large else 8
    net = UNet2DModel(
        sample_size=8,
        block_out_channels=(wide, wide),
        layers_per_block=2,
        norm_num_groups=2,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    pipe = DDPMPipeline(unet=net, scheduler=DDPMScheduler())
    return pipe, {"call": {"num_inference_steps": 1}}, np.array([1])


def keras(large: bool) -> Made:
    import keras as library

    side = _side(large)
    net = library.Sequential([library.layers.Input((side,)), library.layers.Dense(side)])
    return net, {}, _row(side)


def tensorflow(large: bool) -> Made:
    import tensorflow as tf

    side = _side(large)

    class Net(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(tf.ones((side, side)))

        @tf.function(input_signature=[tf.TensorSpec((None, side), tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x @ self.weight

    return Net(), {}, _row(side)


def jax(large: bool) -> Made:
    import jax.numpy as jnp

    side = _side(large)
    return {"weight": jnp.ones((side, side))}, {"apply": product}, _row(side)


def product(params: Any, x: Any) -> Any:
    """What the model of JAX is."""
    return x @ params["weight"]


def torch_export(large: bool) -> Made:
    import torch

    side = _side(large)
    rows = {"input": {0: torch.export.Dim("n", min=1, max=64)}}
    return (
        torch.export.export(torch.nn.Linear(side, side).eval(), (torch.ones(2, side),), dynamic_shapes=rows),
        {},
        _row(side),
    )


KINDS = {
    made.__name__: made
    for made in (transformers, sentence_transformers, diffusers, keras, tensorflow, jax, torch_export)
}


def _side(large: bool) -> int:
    return 8_000 if large else 8


def _row(side: int) -> Any:
    import numpy as np

    return np.ones((1, side), np.float32)


def _bert(large: bool) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=200_000 if large else 400,
        hidden_size=256,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=256,
        max_position_embeddings=32,
    )


def _tokenizer() -> Any:
    import sys

    sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
    from tiny_words import tokenizer

    return tokenizer()
