"""transformers pipelines of any task: the folder of save_pretrained, with safetensors. No pickle."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, has_class_of
from ..hub_folder import WEIGHTS, check_safe, copy_safe, quiet
from ..import_path import find_class, has_path, path_of
from ..json_values import is_json
from ..pipeline_rows import plain, rows_in, rows_out
from ..signature import describe_call
from ..task_of import task_of
from ..versions import distributions_of, versions_of

_PIPELINE = "transformers.pipelines.base:Pipeline"
_PARAMETERS = ("_preprocess_params", "_forward_params", "_postprocess_params")
_WITHOUT_HEAD = "feature-extraction"
"""The task whose models may lack weights that it does not use."""
_PARTS = ("video_processor", "processor")
"""Beyond those that `Pipeline.save_pretrained` writes."""


class TransformersFramework:
    """What `transformers.pipeline` gives, or a folder of `save_pretrained`.

    Options: `task`, for a folder whose `config.json` does not tell it; `batch_size`, rows that go through the
    model together (None: all that came together).
    """

    name = "transformers"
    extra = "transformers"
    mapped: tuple[str, ...] = (WEIGHTS,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _PIPELINE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"task", "batch_size"}, "a transformers pipeline")
        size = options.get("batch_size")
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ModelError(f"options batch_size {size!r}: give a number from 1")
        if isinstance(obj, Path):
            check_safe(obj)
            with _told_of_loading() as told:
                pipe = _read(obj, options.get("task") or task_of(obj), None, "cpu", size)
            _check_weights(pipe, obj, told)
            return Native(obj, pipe)
        if "task" in options:
            raise ModelError("options task is for a folder; a pipeline tells its task itself")
        if not has_path(type(obj)):
            raise ModelError(
                f"another process cannot import {path_of(type(obj))}: define it at the top of a module file"
            )
        if not obj.task:
            obj.task = _task_of_class(type(obj))
        obj._batch_size = size or obj._batch_size  # as `pipeline(…, batch_size=8)` sets it
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - `prepare` took them
        pipe = obj.model if isinstance(obj, Native) else obj
        saved = {
            "task": pipe.task,
            "class": path_of(type(pipe)),
            "parameters": _parameters(pipe),
            "batch_size": pipe._batch_size,
        }
        if isinstance(obj, Native):
            copy_safe(obj.path, folder)
        else:
            with quiet("transformers"):
                pipe.save_pretrained(folder)
                for part in _PARTS:
                    if getattr(pipe, part, None) is not None:
                        getattr(pipe, part).save_pretrained(folder)
        names = ["transformers", "torch", "safetensors", "numpy", "tokenizers"]
        if getattr(pipe, "image_processor", None) is not None:
            names += ["pillow", "torchvision"]
        if not type(pipe).__module__.startswith("transformers."):
            names += distributions_of([type(pipe).__module__.partition(".")[0]])
        return Saved(options=saved, versions=versions_of(names))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        options = info.options
        pipe = _read(folder, options["task"], options["class"], device, options["batch_size"])
        for name, values in zip(_PARAMETERS, options["parameters"], strict=True):
            getattr(pipe, name).update({key: _raised(pipe, value) for key, value in values.items()})
        return pipe

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - every pipeline is called
        return ["predict", "__call__"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - both are the call
        return _call(obj, *args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec()
        return describe_call(_named, example, self.call(obj, method, *example.args, **example.kwargs))


def _named(inputs: Any, **parameters: Any) -> None:
    """Names of the parameters, for the signature."""


def _call(pipe: Any, inputs: Any, **parameters: Any) -> list[Any]:
    """One answer a row, in plain values.

    Args:
        inputs: rows: texts, images, waves, dicts; or an array of them.
        parameters: of the pipeline, the same for all rows: `top_k=3`.
    """
    torch = torch_call.torch_or_error()
    rows = rows_in(inputs)
    if not rows:
        return []
    together = (pipe._batch_size or len(rows)) if _pads(pipe) else 1
    with torch.inference_mode(), quiet("transformers"):
        result = pipe(rows, batch_size=together, **parameters)
    return rows_out(plain(result), len(rows), unpacked=pipe.task == "fill-mask")


def _pads(pipe: Any) -> bool:
    """Texts of different lengths go together only when there is something to fill them up with."""
    tokenizer = getattr(pipe, "tokenizer", None)
    return tokenizer is None or getattr(tokenizer, "pad_token_id", None) is not None


def _read(folder: Path, task: str, cls: str | None, device: str, batch_size: int | None) -> Any:
    place = torch_call.best_device(device)
    try:
        import transformers
        from transformers.pipelines.base import Pipeline
    except ImportError as error:
        raise MissingDependencyError("transformers", "transformers") from error
    with quiet("transformers"):
        return transformers.pipeline(
            task,
            model=str(folder),
            device=place,
            dtype="auto",
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
            batch_size=batch_size,
            pipeline_class=None if cls is None else find_class(cls, (Pipeline,)),
        )


def _task_of_class(cls: type) -> str:
    """The task of a pipeline that was made by its class, which does not tell it.

    Raises:
        ModelError: it stands for none, or for several.
    """
    from transformers.pipelines import SUPPORTED_TASKS

    for base in cls.__mro__:
        found = [task for task, known in SUPPORTED_TASKS.items() if _is_class(known["impl"], base)]
        if len(found) == 1:
            return str(found[0])
        if found:
            break
    raise ModelError(
        f"this {cls.__qualname__} does not tell its task: make it with transformers.pipeline('…', model=…), "
        "or give the class its task=…"
    )


def _is_class(listed: Any, cls: type) -> bool:
    """Versions list the class, or its path."""
    return listed is cls or listed == f"{cls.__module__}.{cls.__qualname__}"


_telling = threading.RLock()


@contextlib.contextmanager
def _told_of_loading() -> Iterator[list[Mapping[str, Any]]]:
    """What `from_pretrained` says in this thread with `output_loading_info`, model after model.

    `transformers.pipeline` cannot be asked for it, and to read gigabytes once more takes as long again.
    """
    try:
        from transformers import PreTrainedModel
    except ImportError as error:
        raise MissingDependencyError("transformers", "transformers") from error
    plain = PreTrainedModel.__dict__["from_pretrained"]
    thread = threading.get_ident()
    found: list[Mapping[str, Any]] = []

    def telling(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or kwargs.get("output_loading_info"):
            return plain.__func__(cls, *args, **kwargs)
        model, told = plain.__func__(cls, *args, **{**kwargs, "output_loading_info": True})
        found.append(told)
        return model

    with _telling:
        PreTrainedModel.from_pretrained = classmethod(telling)
        try:
            yield found
        finally:
            PreTrainedModel.from_pretrained = plain


def _check_weights(pipe: Any, folder: Path, told: Sequence[Mapping[str, Any]]) -> None:
    """
    Args:
        told: by `_told_of_loading`; the pipeline's own model is the last, after what it holds.

    Raises:
        ModelError: weights are missing in the folder, and transformers has made them up.
    """
    if pipe.task == _WITHOUT_HEAD or pipe.model is None or not told:
        return
    if missing := sorted(told[-1]["missing_keys"]):
        raise ModelError(
            f"{folder} has no weights for {len(missing)} tensors of {type(pipe.model).__qualname__} "
            f"({missing[0]} …), which would be random numbers: train it for {pipe.task}, or name "
            "the task that it was trained for, options={'task': …}"
        )


def _parameters(pipe: Any) -> list[dict[str, Any]]:
    """What `pipeline(…, top_k=3)` was made with, for each of its three steps.

    Raises:
        ModelError: something that JSON does not hold.
    """
    return [
        {key: _checked(key, _lowered(value)) for key, value in getattr(pipe, name).items()}
        for name in _PARAMETERS
    ]


def _checked(key: str, value: Any) -> Any:
    if not is_json(value):
        raise ModelError(
            f"the pipeline's parameter {key}={value!r} cannot be saved: make it without, and give "
            "it with each call, or write a runner class"
        )
    return value


def _lowered(value: Any) -> Any:
    """Members of enums, such as `AggregationStrategy.SIMPLE`, by the names of class and member."""
    return {"enum": [type(value).__name__, value.name]} if isinstance(value, Enum) else value


def _raised(pipe: Any, value: Any) -> Any:
    if not (isinstance(value, dict) and value.keys() == {"enum"}):
        return value
    name, member = value["enum"]
    for cls in type(pipe).__mro__:
        found = getattr(sys.modules[cls.__module__], name, None)
        if isinstance(found, type) and issubclass(found, Enum):
            with contextlib.suppress(KeyError):
                return found[member]
    raise ModelError(
        f"this transformers has no {name}.{member}: use the version that the model was saved with"
    )
