"""What a task gives a model, and whether that is what the model takes."""

from __future__ import annotations

from ...errors import UsageError
from ...runtime.manifest import MethodSpec, ModelInfo, TypeSpec

OF_TEXTS = "text-classification"
_GIVES: dict[str, tuple[str, set[int]]] = {
    **dict.fromkeys(
        ("image-classification", "object-detection", "segmentation", "ocr"),
        ("images, float32[n, channels, height, width]", {4}),
    ),
    "text-classification": ("texts, str[n]", {1}),
    "tabular": ("tables, float32[n, columns]", {2}),
    "time-series": ("series, float32[n, window]", {2, 3}),
    "audio-classification": ("recordings, float32[n, samples] or float32[n, mels, frames]", {2, 3}),
}
"""What the model gets, in words and as the number of axes; an embedding takes anything."""
_USUAL = {
    "image-classification": "float32[n,3,224,224]",
    "object-detection": "float32[n,3,640,640]",
    "segmentation": "float32[n,3,512,512]",
    "ocr": "float32[n,1,32,256]",
    "text-classification": "str[n]",
    "time-series": "float32[n,24]",
    "audio-classification": "float32[n,16000]",
}
"""What a model is given when it does not say what it takes: the sizes above, as `--input` is written."""


def supposed_input(task: str, info: ModelInfo) -> str:
    """What a task gives a model that does not say what it takes: `x:float32[n,24]`; empty: it says so, or
    nothing is usual for the task."""
    method = next(iter(info.methods.values()), MethodSpec())
    known = any(spec.kind != "array" or spec.shape is not None for spec in method.inputs.values())
    if known or len(method.inputs) > 1 or task not in _USUAL:
        return ""
    return f"{next(iter(method.inputs), 'x')}:{_USUAL[task]}"


def check_input(task: str, method: MethodSpec, info: ModelInfo) -> None:
    """Says now what each request would end in. What is open in the model's input is let through.

    Raises:
        UsageError: the model is known to take something else than the task gives it.
    """
    if len(method.inputs) > 1:
        raise UsageError(
            f"--task {task} gives the model one input, and it takes {', '.join(method.inputs)}: "
            "leave --task out, or write a service"
        )
    spec = next(iter(method.inputs.values()), TypeSpec(kind="json"))
    own = info.options.get("task") if info.framework == "transformers" else None
    if own is not None and not own == task == OF_TEXTS:
        raise UsageError(
            f"--task {task} does not go with a pipeline of transformers, whose task is {own} and which "
            "prepares what comes in itself: leave --task out"
        )
    if task not in _GIVES:
        return
    gives, axes = _GIVES[task]
    if spec.kind == "dataframe":
        fits, takes = task == "tabular", "a table"
    elif info.framework == "sklearn" and spec.json_schema.get("items") == {"type": "string"}:
        fits, takes = task == "text-classification", "texts"  # words of a vectorizer
    elif spec.kind != "array" or spec.shape is None or "..." in spec.shape:
        return
    else:
        fits = len(spec.shape) in axes and (spec.dtype == "str") == (task == "text-classification")
        takes = f"{spec.dtype}[{', '.join(map(str, spec.shape))}]"
    if not fits:
        raise UsageError(
            f"--task {task} gives the model {gives}, and it takes {takes}: choose another task, or say with "
            "--input what goes in"
        )
