"""Any Python object: a function, or an instance of a class of the user's. Code that is not installed travels along."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ....errors import ModelError
from ...manifest import MethodSpec, ModelInfo
from ..by_value import dump, holds_code, load
from ..example import Example
from ..framework import Saved, check_options
from ..signature import describe_call
from ..versions import PYTHON, here, minor, versions_of

_FILE = "object.pkl"


class CloudpickleFramework:
    """The framework that takes what no other does.

    `predict` is offered for everything that can be called: an alias of the call where the object has no such method.
    """

    name = "cloudpickle"
    extra = ""

    def matches(self, obj: Any) -> bool:  # noqa: ARG002 - it takes anything
        return True

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "an object saved by cloudpickle")
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        path = folder / _FILE
        dump(obj, path)
        options_out = {"code": True} if holds_code(path) else {}
        return Saved(options=options_out, pickled=True, versions=versions_of(["cloudpickle"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:  # noqa: ARG002 - it lives on the CPU
        check_bytecode(info)
        return load(folder / _FILE)

    def methods(self, obj: Any) -> list[str]:
        if inspect.isfunction(obj) or inspect.isbuiltin(obj) or inspect.ismethod(obj):
            return ["predict", "__call__"]
        named = [
            name
            for name, member in inspect.getmembers_static(type(obj))
            if not name.startswith("_") and isinstance(member, (type(_FILE.join), staticmethod, classmethod))
        ]
        return named

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return bound(obj, method)(*args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        function = bound(obj, method)
        marked = getattr(function, "__tiffin_batch__", None)
        if example is None:
            return MethodSpec()
        result = function(*example.args, **example.kwargs)
        return describe_call(function, example, result)
