"""Pipelines of diffusers: the folder of save_pretrained, with safetensors; prompts in, images out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, has_class_of
from ..hub_folder import WEIGHTS, check_safe, copy_safe, quiet
from ..json_values import is_json
from ..signature import describe_call
from ..versions import versions_of

_PIPELINE = "diffusers.pipelines.pipeline_utils:DiffusionPipeline"
_RESULTS = ("images", "frames", "audios")


class DiffusersFramework:
    """A `DiffusionPipeline`, or its folder.

    `predict(prompts)` or `predict(prompts, seeds)` gives an image for each prompt: PIL's, which HTTP sends as
    PNG. A row with a seed gets the same image whatever goes with it. Pipelines without prompts take seeds.

    Option `call`: keyword arguments of every call that JSON can hold, `{"num_inference_steps": 20}`.
    """

    name = "diffusers"
    extra = "diffusers"
    mapped: tuple[str, ...] = (WEIGHTS,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _PIPELINE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"call"}, "a pipeline of diffusers")
        constants = options.get("call", {})
        if not isinstance(constants, dict) or not is_json(constants):
            raise ModelError("options call must be a dict of keyword arguments that JSON can hold")
        pipe = obj
        if isinstance(obj, Path):
            check_safe(obj)
            pipe = _read(obj, "float32", "cpu")
        elif not type(obj).__module__.startswith("diffusers."):
            raise ModelError(
                f"{type(obj).__qualname__} is a class of yours, which diffusers would run as remote code: "
                "write a runner class that makes it"
            )
        if odd := [name for name in constants if name not in _parameters(pipe)]:
            raise ModelError(f"options call: {type(pipe).__qualname__} takes no {odd[0]!r}")
        pipe.tiffin_call = constants
        return Native(obj, pipe) if isinstance(obj, Path) else pipe

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - `prepare` took them
        pipe = obj.model if isinstance(obj, Native) else obj
        if isinstance(obj, Native):
            copy_safe(obj.path, folder)
        else:
            with quiet("transformers"), quiet("diffusers"):
                pipe.save_pretrained(folder, safe_serialization=True)
        names = [
            "diffusers",
            "transformers",
            "torch",
            "safetensors",
            "accelerate",
            "tokenizers",
            "numpy",
            "pillow",
        ]
        saved = {"call": pipe.tiffin_call, "dtype": str(pipe.dtype).removeprefix("torch.")}
        return Saved(options=saved, versions=versions_of(names))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        pipe = _read(folder, info.options["dtype"], device)
        pipe.tiffin_call = info.options["call"]
        return pipe

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - every pipeline is called
        return ["predict", "__call__"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - both are the call
        torch = torch_call.torch_or_error()
        given: dict[str, Any] = {**obj.tiffin_call, **kwargs}
        rows = [_plain(value) for value in args]
        if "prompt" in _parameters(obj):
            given["prompt"], *seeds = rows
        else:
            seeds = rows
            given["batch_size"] = len(rows[0])
        if seeds:
            # On the CPU, so that an image is the same on every device.
            given["generator"] = [torch.Generator("cpu").manual_seed(int(seed)) for seed in seeds[0]]
        obj.set_progress_bar_config(disable=True)
        with quiet("diffusers"), torch.inference_mode():
            found = obj(**given)
        return list(next(getattr(found, name) for name in _RESULTS if getattr(found, name, None) is not None))

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec()
        named = _prompts if "prompt" in _parameters(obj) else _seeds
        return describe_call(named, example, self.call(obj, method, *example.args, **example.kwargs))


def _prompts(prompts: Any, seeds: Any = None, **constants: Any) -> None:
    """Names of the parameters, for the signature."""


def _seeds(seeds: Any, **constants: Any) -> None:
    """Names of the parameters, for the signature."""


def _plain(value: Any) -> list[Any]:
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _parameters(pipe: Any) -> set[str]:
    return set(inspect.signature(type(pipe).__call__).parameters)


def _read(folder: Path, dtype: str, device: str) -> Any:
    torch, place = torch_call.torch_or_error(), torch_call.best_device(device)
    try:
        import diffusers
    except ImportError as error:
        raise MissingDependencyError("diffusers", "diffusers") from error
    with quiet("transformers"), quiet("diffusers"):
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            str(folder),
            torch_dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    return pipe.to(place)
