"""Modules of flax.nnx: their state as safetensors, and the class to make them again. No pickle."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import aligned_safetensors
from ..example import Example
from ..framework import Saved, check_options, has_class_of
from ..import_path import find_class, has_path, path_of
from ..jax_library import jax_or_error, place_of, to_arrays, to_device
from ..json_values import is_json
from ..signature import describe_call
from ..sizes import SIZES
from ..tree import put_together, take_apart
from ..versions import distributions_of, versions_of

_WEIGHTS = "state.safetensors"
_MODULE = "flax.nnx.module:Module"
_RNGS = "rngs"

_compiled: WeakKeyDictionary[Any, tuple[Any, Any, Any]] = WeakKeyDictionary()
"""Module to its compiled call, its state and its device."""


class FlaxFramework:
    """A `flax.nnx.Module`, at the top of a module file.

    Option `init`: the keyword arguments that make it, without `rngs`, when it takes any. It is called in
    inference mode (`module.eval()`). Modules of flax.linen go by their parameters: framework `jax`.
    """

    name = "flax"
    extra = "flax"
    mapped: tuple[str, ...] = (_WEIGHTS,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _MODULE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"init"}, "a flax.nnx module")
        init = options.get("init", {})
        if not isinstance(init, dict) or not is_json(init):
            raise ModelError("options init must be a dict of keyword arguments that JSON can hold")
        if isinstance(obj, Path):
            raise ModelError(
                "a file holds no flax.nnx module: restore it into one and save that; parameters alone are "
                "saved with framework='jax' and options={'apply': function}"
            )
        if not has_path(type(obj)):
            raise ModelError(
                f"another process cannot import {path_of(type(obj))}: define it at the top of a module file"
            )
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        import numpy as np

        init = options.get("init", {})
        leaves, tree = take_apart(_state(obj))
        try:
            fresh, _ = take_apart(_state(_made(type(obj), init)))
        except Exception as error:
            raise ModelError(
                f"{type(obj).__qualname__} cannot be made again with init={init!r}: {error}; "
                "give its keyword arguments, options={'init': {…}}"
            ) from error
        if {name: leaf.shape for name, leaf in leaves.items()} != {
            name: leaf.shape for name, leaf in fresh.items()
        }:
            raise ModelError(
                f"{type(obj).__qualname__} made with init={init!r} has other weights: give the keyword "
                "arguments that it was made with, options={'init': {…}}"
            )
        aligned_safetensors.write(
            {name: np.asarray(leaf) for name, leaf in leaves.items()}, folder / _WEIGHTS
        )
        top = type(obj).__module__.partition(".")[0]
        names = ["flax", "jax", "jaxlib", "numpy", "ml-dtypes", *distributions_of([top])]
        return Saved(
            options={"class": path_of(type(obj)), "init": init, "tree": tree}, versions=versions_of(names)
        )

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        nnx, jax = _nnx(), jax_or_error()
        place, options = place_of(jax, device), info.options
        module = _made(find_class(options["class"], (nnx.Module,)), options["init"])
        leaves = aligned_safetensors.read(folder / _WEIGHTS)
        state = put_together(
            options["tree"], {name: to_device(jax, leaf, place) for name, leaf in leaves.items()}
        )
        graph, rest, own = nnx.split(module, nnx.RngState, ...)
        nnx.replace_by_pure_dict(own, state)
        module = nnx.merge(graph, jax.tree_util.tree_map(lambda leaf: jax.device_put(leaf, place), rest), own)
        module.eval()
        return module

    def methods(self, obj: Any) -> list[str]:
        if not callable(obj):
            raise ModelError(f"{type(obj).__qualname__} cannot be called: give it __call__")
        return ["predict", "__call__"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - both are the call
        if kwargs:
            raise ModelError(
                f"{', '.join(kwargs)} by keyword: write a runner class for a call with constants"
            )
        jax = jax_or_error()
        run, state, place = _compiled.get(obj) or _compile(obj)
        return to_arrays(run(state, *(to_device(jax, value, place) for value in args)))

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec(sizes=list(SIZES), max_batch_size=SIZES[-1])
        # What is trained further afterwards must not be what was compiled.
        module = _nnx().clone(obj)
        module.eval()
        result = self.call(module, method, *example.args, **example.kwargs)
        spec = describe_call(type(obj).__call__.__get__(obj), example, result)
        if spec.batch:
            spec.sizes, spec.max_batch_size = list(SIZES), SIZES[-1]
        return spec


def _compile(module: Any) -> tuple[Any, Any, Any]:
    nnx, jax = _nnx(), jax_or_error()
    graph, state = nnx.split(module)
    leaves = jax.tree_util.tree_leaves(state)
    place = next(iter(leaves[0].devices())) if leaves else None
    made = jax.jit(lambda state, *rows: nnx.merge(graph, state)(*rows)), state, place
    _compiled[module] = made
    return made


def _state(module: Any) -> Any:
    """Its arrays as dicts with texts as keys; without random numbers, which inference does not need."""
    nnx = _nnx()
    _, _, own = nnx.split(module, nnx.RngState, ...)
    return _with_texts(nnx.to_pure_dict(own))


def _with_texts(node: Any) -> Any:
    return {str(key): _with_texts(item) for key, item in node.items()} if isinstance(node, dict) else node


def _made(cls: Any, init: dict[str, Any]) -> Any:
    parameters = inspect.signature(cls.__init__).parameters
    rngs = {_RNGS: _nnx().Rngs(0)} if _RNGS in parameters else {}
    return cls(**init, **rngs)


def _nnx() -> Any:
    jax_or_error()
    try:
        from flax import nnx
    except ImportError as error:
        raise MissingDependencyError("flax", "flax") from error
    return nnx
