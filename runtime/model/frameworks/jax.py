"""JAX: parameters as safetensors, and the function that applies them by its import path. No pickle then."""

from __future__ import annotations

import dataclasses
import sys
import types
from functools import partial, reduce
from pathlib import Path
from typing import Any

from ....errors import ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import aligned_safetensors
from ..example import Example
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..import_path import find_class, has_path, imported, path_of
from ..jax_library import jax_or_error, place_of, to_arrays, to_device
from ..json_values import is_json
from ..pickles import check_pickle, dump, load, pickle_options
from ..signature import describe_call
from ..sizes import SIZES
from ..tree import put_together, take_apart
from ..versions import distributions_of, versions_of

_WEIGHTS, _PICKLE = "params.safetensors", "apply.pkl"
_LINEN = "flax.linen.module:Module"


class Applied:
    """A function with its parameters: `applied(rows)` is `apply(params, rows, **constants)`, compiled by XLA.

    Attributes:
        params: tree of arrays, on the device.
    """

    def __init__(self, apply: Any, params: Any, constants: dict[str, Any], place: Any) -> None:
        jax = jax_or_error()
        self.apply, self.constants, self.place = apply, constants, place
        self.params = jax.tree_util.tree_map(lambda leaf: to_device(jax, leaf, place), params)
        self._compiled = jax.jit(partial(apply, **constants))

    def __call__(self, *rows: Any) -> Any:
        jax = jax_or_error()
        return self._compiled(self.params, *(to_device(jax, value, self.place) for value in rows))


class JaxFramework:
    """A tree of arrays with `options={"apply": function}`; or a file of such parameters, by its path.

    Options: `apply`, called as `apply(params, rows)`: a function at the top of a module, its import path
    `module:name`, or the `apply` of a flax module; `constants`, keywords for it that JSON can hold, as
    `{"train": False}`. XLA compiles for each number of rows, so batches are filled up to few numbers of them.
    """

    name = "jax"
    extra = "jax"
    mapped: tuple[str, ...] = (_WEIGHTS,)

    def matches(self, obj: Any) -> bool:
        return _is_params(obj)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"apply", "constants"}, "parameters of JAX")
        if "apply" not in options:
            raise ModelError(
                "parameters are only weights: give the function too, options={'apply': net.apply}"
            )
        constants = options.get("constants", {})
        if not isinstance(constants, dict) or not is_json(constants):
            raise ModelError("options constants must be a dict of keyword arguments that JSON can hold")
        apply = options["apply"]
        apply = _find(apply) if isinstance(apply, str) else apply
        if not callable(apply):
            raise ModelError(f"options apply {apply!r} cannot be called")
        params = _read_file(obj) if isinstance(obj, Path) else obj
        made = Applied(apply, params, constants, place_of(jax_or_error(), "auto"))
        return Native(obj, made) if isinstance(obj, Path) and _is_safetensors(obj) else made

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - `prepare` took them
        import numpy as np

        applied = obj.model if isinstance(obj, Native) else obj
        leaves, tree = take_apart(applied.params)
        if isinstance(obj, Native):
            tree = take_apart(_read_file(obj.path))[1]
            copy_file(obj.path, folder / _WEIGHTS)
        else:
            aligned_safetensors.write(
                {name: np.asarray(leaf) for name, leaf in leaves.items()}, folder / _WEIGHTS
            )
        saved: dict[str, Any] = {"tree": tree, "constants": applied.constants}
        names = ["jax", "jaxlib", "numpy", "ml-dtypes", *_distributions(applied.apply)]
        if told := _told(applied.apply):
            return Saved(options={**saved, **told}, versions=versions_of(names))
        dump(applied.apply, folder / _PICKLE)
        return Saved(
            options={**saved, **pickle_options(folder / _PICKLE)},
            pickled=True,
            versions=versions_of([*names, "cloudpickle"]),
        )

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        jax, options = jax_or_error(), info.options
        place = place_of(jax, device)
        if "apply" in options:
            apply = _find(options["apply"])
        elif "linen" in options:
            import flax.linen

            fields = {name: _frozen(value) for name, value in options["fields"].items()}
            apply = find_class(options["linen"], (flax.linen.Module,))(**fields).apply
        else:
            check_pickle(info)
            apply = load(folder / _PICKLE)
        params = put_together(options["tree"], aligned_safetensors.read(folder / _WEIGHTS))
        return Applied(apply, params, options["constants"], place)

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - the same for every function
        return ["predict", "__call__"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - both are the call
        if kwargs:
            raise ModelError(
                f"{', '.join(kwargs)} by keyword: constants of a compiled function are an option of save"
            )
        return to_arrays(obj(*args))

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec(sizes=list(SIZES), max_batch_size=SIZES[-1])
        result = self.call(obj, method, *example.args, **example.kwargs)
        spec = describe_call(_named, example, result)
        if spec.batch:
            spec.sizes, spec.max_batch_size = list(SIZES), SIZES[-1]
        return spec


def _frozen(value: Any) -> Any:
    """Tuples, which flax makes of lists itself, and JSON makes lists of."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _named(*x: Any) -> None:
    """Names of the parameters, for the signature."""


def _is_params(obj: Any) -> bool:
    """Told by the first leaf, without an import."""
    while isinstance(obj, (dict, list, tuple)) and obj:
        obj = next(iter(obj.values())) if isinstance(obj, dict) else obj[0]
    return has_class_of(obj, "jaxlib")


def _told(apply: Any) -> dict[str, Any]:
    """How another process finds the function; empty when it cannot."""
    module = getattr(apply, "__self__", None)
    if module is not None and has_class_of(module, _LINEN) and apply.__name__ == "apply":
        fields = {
            field.name: getattr(module, field.name)
            for field in dataclasses.fields(module)
            if field.init and field.name not in ("parent", "name")
        }
        told = {"linen": path_of(type(module)), "fields": fields}
        return told if is_json(fields) and has_path(type(module)) else {}
    if isinstance(apply, types.FunctionType) and has_path(apply):
        return {"apply": f"{apply.__module__}:{apply.__qualname__}"}
    return {}


def _find(path: str) -> Any:
    """The function at `module:name`.

    Raises:
        ModelError: there is none, or it is one that comes with Python: a manifest may name anything.
    """
    module, _, name = path.partition(":")
    if not name or module.partition(".")[0] in sys.stdlib_module_names:
        raise ModelError(f"bad function {path!r}: write 'module:function', of a module of yours")
    found = imported(module, name, "function")
    if not isinstance(found, types.FunctionType) or found.__module__ != module:
        raise ModelError(f"{path!r} is no function of that module")
    return found


def _distributions(apply: Any) -> list[str]:
    module = getattr(apply, "__self__", None)
    linen = module is not None and has_class_of(module, _LINEN)
    home = (type(module).__module__ if linen else getattr(apply, "__module__", "") or "").partition(".")[0]
    return [*(["flax"] if linen else []), *(distributions_of([home]) if home not in ("", "__main__") else [])]


def _is_safetensors(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _read_file(path: Path) -> Any:
    """Parameters by their names with slashes, as `params/Dense_0/kernel`; or flax's msgpack."""
    if not path.is_file():
        raise ModelError(f"{path} is no file: give a .safetensors or .msgpack file of parameters")
    if not _is_safetensors(path):
        from flax.serialization import msgpack_restore

        return msgpack_restore(path.read_bytes())
    tree: dict[str, Any] = {}
    for name, leaf in aligned_safetensors.read(path).items():
        *folders, last = name.split("/")
        place = reduce(lambda node, key: node.setdefault(key, {}), folders, tree)
        place[last] = leaf
    return tree
