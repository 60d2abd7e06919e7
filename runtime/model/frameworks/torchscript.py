"""TorchScript: modules that need no Python class. No pickle: torch's own interpreter runs the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..script_weights import share_weights
from ..versions import versions_of

_FILE = "module.pt"
_MODULE = "torch.jit._script:ScriptModule"


class TorchScriptFramework:
    """What `torch.jit.script` and `torch.jit.trace` give."""

    name = "torchscript"
    extra = "torch"
    mapped: tuple[str, ...] = (_FILE,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _MODULE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a TorchScript module")
        if isinstance(obj, Path):
            return Native(obj, torch_call.torch_or_error().jit.load(str(obj), map_location="cpu").eval())
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        if isinstance(obj, Native):
            copy_file(obj.path, folder / _FILE)
        else:
            # Not torch.jit.save(path): it ends the process when the disk is full.
            (folder / _FILE).write_bytes(obj.save_to_buffer())
        return Saved(versions=versions_of(["torch", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - the file tells all
        torch = torch_call.torch_or_error()
        place = torch_call.best_device(device)
        module = torch.jit.load(str(folder / _FILE), map_location=place).eval()
        if place.type == "cpu":
            share_weights(module, folder / _FILE)
        return module

    def methods(self, obj: Any) -> list[str]:
        return torch_call.methods(obj)

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return torch_call.call(obj, method, *args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        return torch_call.describe(obj, method, example, self.call)
