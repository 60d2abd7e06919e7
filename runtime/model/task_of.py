"""The task of a folder of save_pretrained, from the name of its model's class."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from .settings_file import json_value, settings_bytes

# Suffix of the class to task (https://huggingface.co/docs/transformers/main/en/model_doc/auto).
_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForImageClassification": "image-classification",
    "ForImageClassificationWithTeacher": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "image-segmentation",
    "ForInstanceSegmentation": "image-segmentation",
    "ForUniversalSegmentation": "image-segmentation",
    "ForDepthEstimation": "depth-estimation",
    "ForVideoClassification": "video-classification",
    "ForAudioClassification": "audio-classification",
    "ForCTC": "automatic-speech-recognition",
    "ForSpeechSeq2Seq": "automatic-speech-recognition",
    "ForImageTextToText": "image-text-to-text",
    "Model": "feature-extraction",
}


def task_of(folder: Path) -> str:
    """`text-classification` of a `BertForSequenceClassification`.

    Raises:
        ModelError: `config.json` does not tell; says how to.
    """
    path = folder / "config.json"
    config = json_value(settings_bytes(path), path)
    names = config.get("architectures") if isinstance(config, dict) else None
    for name in names if isinstance(names, list) else []:
        for suffix, task in _TASKS.items():
            if isinstance(name, str) and name.endswith(suffix):
                return task
    raise ModelError(
        f"{path} does not tell the task of {names or 'its model'}: "
        "say it, options={'task': 'text-classification'}"
    )
