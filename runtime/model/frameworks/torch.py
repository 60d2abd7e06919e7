"""PyTorch modules: safetensors and the class's import path where that is enough, else a pickle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, BinaryIO

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..import_path import find_class, path_of
from ..json_values import is_json
from ..pickles import by_value, check_pickle, explained, importable, pickle_options
from ..rebuild import build, place_to_build
from ..versions import distributions_of, versions_of
from ..weights import is_safetensors, read_state, read_weights, why_not_safe, write_weights

log = logging.getLogger(__name__)

_WEIGHTS = "weights.safetensors"
_PICKLE = "module.pt"
_CLASS_OPTION = "options={'class': Net, 'init': {…}}"
_MODULE = "torch.nn.modules.module:Module"
_TENSOR = "torch:Tensor"


class TorchFramework:
    """`torch.nn.Module`, or with `options={"class": Net}` a state dict, or the file of one.

    Options: `init`, keyword arguments that make the module again; `class`, for a state dict; `format`,
    `"pickle"` to store the module as it is.
    """

    name = "torch"
    extra = "torch"
    mapped: tuple[str, ...] = (_WEIGHTS, _PICKLE)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _MODULE) or _is_state_dict(obj)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"class", "init", "format"}, "a torch model")
        if options.get("format", "safetensors") not in {"safetensors", "pickle"}:
            raise ModelError(f"options format {options['format']!r}: use 'safetensors' or 'pickle'")
        init = options.get("init", {})
        if not isinstance(init, dict) or not is_json(init):
            raise ModelError("options init must be a dict of keyword arguments that JSON can hold")
        if isinstance(obj, Path):
            state = read_state(obj)
            if "class" not in options:
                raise ModelError(f"{obj} is only weights: give their class too, {_CLASS_OPTION}")
            module = _filled(options["class"], init, state)
            return Native(obj, module) if is_safetensors(obj) else module
        if not _is_state_dict(obj):
            if "class" in options:
                raise ModelError("options class is for a state dict; a module tells its class itself")
            return obj
        if "class" not in options:
            raise ModelError(f"a state dict is only weights: give its class too, {_CLASS_OPTION}")
        return _filled(options["class"], init, obj)

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        module = obj.model if isinstance(obj, Native) else obj
        versions = versions_of(["torch", "numpy", *_distributions(module)])
        wanted = options.get("format")
        place, reason = ("", "") if wanted == "pickle" else _safe_place(module, options)
        if place:
            if isinstance(obj, Native):
                tied: dict[str, str] = {}
                copy_file(obj.path, folder / _WEIGHTS)
            else:
                tied = write_weights(module, folder / _WEIGHTS)
            saved = {
                "class": path_of(type(module)),
                "init": options.get("init", {}),
                "build": place,
                "tied": tied,
            }
            return Saved(options=saved, versions={**versions, **versions_of(["safetensors"])})
        if wanted == "safetensors" or "init" in options:
            raise ModelError(f"{type(module).__qualname__} cannot be saved as safetensors: {reason}")
        if reason:
            log.warning(
                "%s is saved as a pickle: %s (options={'format': 'pickle'} if that is what you want)",
                type(module).__qualname__,
                reason,
            )
        _write_pickle(module, folder / _PICKLE)
        return Saved(options=pickle_options(folder / _PICKLE), pickled=True, versions=versions)

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        torch = torch_call.torch_or_error()
        place = torch_call.best_device(device)
        if info.pickled:
            check_pickle(info)
            # Mapped, so that workers share the pages; on its way to a GPU it would only be read twice.
            shared = place.type == "cpu"
            module = torch.load(folder / _PICKLE, map_location=place, weights_only=False, mmap=shared)
        else:
            options = info.options
            module = build(
                find_class(options["class"], (torch.nn.Module,)), options["init"], options["build"]
            )
            state = read_weights(folder / _WEIGHTS, options["tied"], place)
            module.load_state_dict(state, strict=True, assign=True)
        return module.to(place).eval()

    def methods(self, obj: Any) -> list[str]:
        return torch_call.methods(obj)

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return torch_call.call(obj, method, *args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        return torch_call.describe(obj, method, example, self.call)


def _is_state_dict(obj: Any) -> bool:
    return isinstance(obj, dict) and bool(obj) and all(_is_tensor(value) for value in obj.values())


def _is_tensor(value: Any) -> bool:
    # torch tells `Tensor` to be at home in two modules, depending on the version.
    return has_class_of(value, _TENSOR, "torch._tensor:Tensor")


def _filled(cls: Any, init: dict[str, Any], state: dict[str, Any]) -> Any:
    """A module of the class with the weights of a state dict."""
    module_class = torch_call.torch_or_error().nn.Module
    cls = find_class(cls, (module_class,)) if isinstance(cls, str) else cls
    if not isinstance(cls, type) or not issubclass(cls, module_class):
        raise ModelError(f"options class {cls!r} is not a torch.nn.Module class")
    try:
        module = build(cls, init, "cpu")
    except Exception as error:
        raise ModelError(f"{cls.__qualname__} cannot be made with init={init!r}: {error}") from error
    try:
        module.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"the state dict does not fit {cls.__qualname__} with init={init!r}: {error}"
        ) from error
    return module.eval()


def _safe_place(module: Any, options: dict[str, Any]) -> tuple[str, str]:
    """Where to build a fresh module, or the reason for a pickle."""
    try:
        import safetensors  # noqa: F401 - part of the extra, but torch alone is enough to save
    except ImportError as error:
        raise MissingDependencyError("safetensors", "torch") from error
    if "<" in path_of(type(module)) or type(module).__module__ == "__main__":
        return (
            "",
            f"another process cannot import {path_of(type(module))}; define it at the top of a module file",
        )
    if reason := why_not_safe(module):
        return "", reason
    place, reason = place_to_build(module, options.get("init", {}), trust_init="init" in options)
    if not reason:
        return place, ""
    stock = type(module).__module__.startswith("torch.")
    hint = "put it into a class of your own" if stock else "say how it is made, options={'init': {…}}"
    return "", f"{reason}; {hint}"


def _write_pickle(module: Any, path: Path) -> None:
    import cloudpickle
    import torch

    with path.open("wb") as file:
        sink = _Sink(file)
        with explained(module), by_value():
            torch.save(module, sink, pickle_module=cloudpickle)
        sink.finish()


class _Sink:
    """A file whose errors wait: torch's zip writer ends the process when a write fails in its destructor."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        if self._error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def flush(self) -> None:
        """Nothing: `finish` does it, and may fail."""

    def finish(self) -> None:
        """Raises what went wrong."""
        if self._error is not None:
            raise self._error
        self._file.flush()


def _distributions(module: Any) -> list[str]:
    """Where the classes of the module come from, when not from torch itself."""
    tops = {type(part).__module__.partition(".")[0] for part in module.modules()}
    others = tops - {"torch", "__main__"}
    return distributions_of(others) if others and importable(type(module)) else []
