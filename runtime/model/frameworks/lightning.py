"""PyTorch Lightning: its modules as torch modules, made again from the hyperparameters that they keep."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Saved, has_class_of
from ..json_values import is_json
from ..signature import describe_call
from ..versions import versions_of
from .torch import TorchFramework

_MODULES = (
    "lightning.pytorch.core.module:LightningModule",
    "pytorch_lightning.core.module:LightningModule",
)


class LightningFramework(TorchFramework):
    """A `LightningModule`, or a checkpoint of the trainer with `options={"class": Net}`.

    Options: those of torch. `init` is what `save_hyperparameters()` kept, when it is not given. Of a
    checkpoint only tensors and plain values are read; what is saved of it are the weights, as safetensors.
    `predict` is `predict_step` where the class has its own, else the call.
    """

    name = "lightning"
    extra = "lightning"

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, *_MODULES)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        if not isinstance(obj, Path):
            return super().prepare(obj, options)
        kept = _checkpoint(obj)
        known = kept.get("hyper_parameters")
        hyper = dict(known) if isinstance(known, dict) and is_json(dict(known)) else {}
        if "class" not in options:
            raise ModelError(f"{obj} holds only weights: give the class too, options={{'class': Net}}")
        return super().prepare(kept["state_dict"], {"init": hyper, **options})

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        hyper = _hyperparameters(obj)
        if "init" not in options and "format" not in options and hyper:
            try:
                return _with_lightning(super().save(obj, folder, {**options, "init": hyper}))
            except ModelError:
                # They are not all that it was made with: torch's way says what is missing.
                for path in folder.iterdir():
                    path.unlink()
        return _with_lightning(super().save(obj, folder, options))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        try:
            import lightning  # noqa: F401 - else the error would name the user's module
        except ImportError as error:
            if "lightning" in info.versions:
                raise MissingDependencyError("lightning", "lightning") from error
        return super().load(folder, info, device)

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "predict" and (step := _predict_step(obj)) is not None:
            return torch_call.run(obj, lambda batch: step(batch, 0), args, kwargs)
        return super().call(obj, method, *args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if method != "predict" or example is None or _predict_step(obj) is None:
            return super().describe(obj, method, example)
        with torch_call.evaluating(obj):
            result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(_batch, example, result)


def _batch(batch: Any) -> None:
    """Names of the parameters, for the signature."""


def _predict_step(module: Any) -> Any:
    """The class's own; None for the one of Lightning, which is the call, and for a class with `predict`."""
    own = next((cls for cls in type(module).__mro__ if "predict_step" in vars(cls)), None)
    stock = own is None or own.__module__.partition(".")[0] in ("lightning", "pytorch_lightning")
    return None if stock or hasattr(module, "predict") else module.predict_step


def _hyperparameters(module: Any) -> dict[str, Any]:
    """What the class's constructor takes of what was kept; empty when JSON does not hold it."""
    kept = dict(getattr(module, "hparams_initial", {}))
    parameters = inspect.signature(type(module).__init__).parameters
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        kept = {name: value for name, value in kept.items() if name in parameters}
    return kept if is_json(kept) else {}


def _checkpoint(path: Path) -> dict[str, Any]:
    torch = torch_call.torch_or_error()
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read without running a pickle: {error}; load it yourself, if you trust its "
            "maker, with Net.load_from_checkpoint, and save the module"
        ) from error
    if not isinstance(kept, dict) or "state_dict" not in kept:
        raise ModelError(f"{path} is no checkpoint of Lightning: it has no state_dict")
    return kept


def _with_lightning(saved: Saved) -> Saved:
    names = ["lightning", "pytorch-lightning"]
    return Saved(
        options=saved.options, pickled=saved.pickled, versions={**saved.versions, **versions_of(names)}
    )
