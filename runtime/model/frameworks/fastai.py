"""fastai learners: what `Learner.export` writes, which is a pickle; the transforms of the data are code."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..pickles import by_value, check_allowed, check_pickle, explained, pickle_options
from ..signature import describe_call
from ..versions import versions_of

_FILE = "learner.pkl"
_LEARNER = "fastai.learner:Learner"


class FastaiFramework:
    """A `Learner`, or the file of its `export`.

    `predict` gives class indices, or a regression's values; `predict_proba` the probabilities of the classes,
    in the order of `learner.dls.vocab`. Rows are what `dls.test_dl` takes: a data frame, images, texts.
    """

    name = "fastai"
    extra = "fastai"
    mapped: tuple[str, ...] = (_FILE,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _LEARNER)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "a fastai learner")
        if not isinstance(obj, Path):
            return obj
        if not obj.is_file():
            raise ModelError(f"{obj} is no file: give what learner.export() wrote")
        check_allowed(str(obj))
        return Native(obj, _read(obj, "cpu"))

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        path = folder / _FILE
        if isinstance(obj, Native):
            copy_file(obj.path, path)
        else:
            import cloudpickle

            with explained(obj), by_value():
                obj.export(path.absolute(), pickle_module=cloudpickle)
        names = ["fastai", "fastcore", "fasttransform", "torch", "numpy", "pandas"]
        return Saved(options=pickle_options(path), pickled=True, versions=versions_of(names))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        check_pickle(info)
        return _read(folder / _FILE, device)

    def methods(self, obj: Any) -> list[str]:
        return ["predict", "predict_proba"] if _classes(obj) else ["predict"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        torch = torch_call.torch_or_error()
        if kwargs or len(args) != 1:
            raise ModelError("a learner takes one argument, its rows")
        with obj.no_bar(), obj.no_logging(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas and of torch about fastai
            loader = obj.dls.test_dl(_rows(args[0]), num_workers=0)
            found, _ = obj.get_preds(dl=loader)
        if method == "predict" and _classes(obj):
            found = obj.loss_func.decodes(found)
        if isinstance(found, (list, tuple)):
            return tuple(one.numpy() for one in found)
        return found.as_subclass(torch.Tensor).numpy()

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec()
        result = self.call(obj, method, *example.args, **example.kwargs)
        return describe_call(_named, example, result, classes=_classes(obj))


def _named(rows: Any) -> None:
    """Names of the parameters, for the signature."""


def _rows(value: Any) -> Any:
    """A data frame is copied, as its transforms work in place; records, as JSON has them, become one."""
    if has_class_of(value, "pandas"):
        return value.copy()
    if isinstance(value, list) and value and isinstance(value[0], dict):
        import pandas as pd

        return pd.DataFrame(value)
    return value


def _classes(learner: Any) -> int | None:
    """Length of the vocabulary of a classifier; None for another learner."""
    vocab = getattr(learner.dls, "vocab", None)
    if not vocab or not hasattr(learner.loss_func, "decodes"):
        return None
    # With texts as inputs there are two: of the words, and of the classes.
    nested = not isinstance(vocab[0], str) and hasattr(vocab[-1], "__len__")
    return len(vocab[-1]) if nested else len(vocab)


def _read(path: Path, device: str) -> Any:
    torch, place = torch_call.torch_or_error(), torch_call.best_device(device)
    try:
        import fastai.callback.progress
        import fastai.learner  # noqa: F401 - the unpickler would only name the module
    except ImportError as error:
        raise MissingDependencyError("fastai", "fastai") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # As load_learner does, which warns of the pickle, but mapped: workers share the pages.
        learner = torch.load(path, map_location="cpu", weights_only=False, mmap=zipfile.is_zipfile(path))
        learner.dls.to(place)
        learner.model.to(place).eval()
    return learner
