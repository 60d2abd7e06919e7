"""Any Python object: a function, an instance of a class. Code that is not installed travels along."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....errors import ModelError
from ...manifest import MethodSpec, ModelInfo
from ..buffers import SUFFIX
from ..example import Example
from ..framework import Saved, check_options
from ..pickles import check_pickle, dump, load, pickle_options
from ..signature import describe_call
from ..versions import versions_of

_FILE = "object.pkl"


class CloudpickleFramework:
    """The framework that takes what no other does.

    Offered are `predict` and the call (each stands in for a missing other), or the methods marked by
    `@tiffin.batch`, or the only public method.
    """

    name = "cloudpickle"
    extra = ""
    mapped: tuple[str, ...] = (f"object{SUFFIX}",)

    def matches(self, obj: Any) -> bool:  # noqa: ARG002 - it takes anything
        return True

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "an object saved by cloudpickle")
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        path = folder / _FILE
        dump(obj, path)
        return Saved(options=pickle_options(path), pickled=True, versions=versions_of(["cloudpickle"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - it places itself
        check_pickle(info)
        return load(folder / _FILE)

    def methods(self, obj: Any) -> list[str]:
        if inspect.isroutine(obj):
            return ["predict", "__call__"]
        public = _public_methods(type(obj))
        marked = [name for name, function in public.items() if hasattr(function, "__tiffin_batch__")]
        called = ["__call__"] if callable(obj) else []
        if marked:
            return marked
        if "predict" in public or called:
            return ["predict", *called]
        if len(public) == 1:
            return [*public]
        if public:
            raise ModelError(
                f"{type(obj).__qualname__} has {', '.join(public)}, but neither predict nor __call__: "
                f"say what a service may call, methods=[{next(iter(public))!r}]"
            )
        raise ModelError(f"{type(obj).__qualname__} has nothing to call: give it a public method or __call__")

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return bound(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        function = bound(obj, method)
        if inspect.iscoroutinefunction(function):
            raise ModelError(f"{method} is async; a worker computes one batch at a time: write a plain `def`")
        spec = MethodSpec()
        if example is not None:
            spec = describe_call(function, example, self.call(obj, method, *example.args, **example.kwargs))
        mark = getattr(function, "__tiffin_batch__", None)
        if mark is not None:
            if callable(mark.cost):
                raise ModelError(
                    f"{method} weighs its calls with a function, which runs in the API process, where no "
                    "model is loaded: use cost='length', or make the class a runner of the service"
                )
            mark.describe(spec)
        return spec


def bound(obj: Any, method: str) -> Callable[..., Any]:
    """The method of an object; `predict` and the call stand in for each other.

    Raises:
        ModelError: it has no such method.
    """
    if method == "__call__" and callable(obj):
        return obj  # type: ignore[no-any-return]
    function = getattr(obj, method, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    if method == "predict" and callable(obj):
        return obj  # type: ignore[no-any-return]
    raise ModelError(f"{type(obj).__qualname__} has no method {method!r}")


def _public_methods(cls: type) -> dict[str, Any]:
    """Functions that the class and its parents define, in their order, its own first."""
    return {
        name: value
        for owner in cls.__mro__[:-1]
        for name, value in vars(owner).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }
