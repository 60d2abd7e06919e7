"""Folders that are one model: MLflow, Hugging Face's libraries, spaCy; and OpenVINO's pair of files."""

from __future__ import annotations

from . import pickles
from .found import Found
from .head import Head

_PICKLES = {".pkl", ".pickle", ".joblib", ".pth", ".pt"}
"""Endings that MLflow gives to pickles; what else is in the folder is not looked into."""


def look_mlflow(head: Head) -> Found | None:
    if not head.has("MLmodel") or "flavors:" not in head.text("MLmodel"):
        return None
    inside = (path for path in sorted(head.path.rglob("*")) if path.suffix in _PICKLES and path.is_file())
    named = (found.pickle for path in inside if (found := pickles.look(Head.of(path))) is not None)
    pickle = next((name for name in named if name), "")
    what = f"an MLflow model with a pickle of {pickle}" if pickle else "an MLflow model"
    return Found(path=head.path, what=what, framework="mlflow", pickle=pickle)


def look_hugging_face(head: Head) -> Found | None:
    if head.has("modules.json", "config_sentence_transformers.json"):
        return Found(path=head.path, what="a sentence-transformers model", framework="sentence_transformers")
    if head.has("model_index.json"):
        return Found(path=head.path, what="a diffusers pipeline", framework="diffusers")
    if head.has("adapter_config.json"):
        return Found(
            path=head.path,
            what="an adapter of PEFT",
            advice="merge it into its model (model.merge_and_unload()) and save that",
        )
    if head.has("config.json") and "model_type" in head.settings("config.json"):
        return Found(path=head.path, what="a transformers model", framework="transformers")
    return None


def look_spacy(head: Head) -> Found | None:
    meta = head.settings("meta.json") if head.has("meta.json", "config.cfg") else {}
    if "spacy_version" in meta:
        return Found(path=head.path, what="a spaCy pipeline", framework="spacy")
    return None


def look_openvino(head: Head) -> Found | None:
    beginning = head.data[:2048].lstrip()
    if beginning.startswith(b"<?xml") and b"<net " in beginning:
        return Found(path=head.path, what="an OpenVINO model", framework="openvino")
    return None
