"""Programs of `torch.export`: graphs that need no Python class, in torch's own archive."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ....errors import IntegrityError, ModelError
from ...manifest import MethodSpec, ModelInfo, TypeSpec
from .. import torch_call
from ..example import Example
from ..exported_files import why_pickled
from ..framework import Native, Saved, check_options, copy_file, has_class_of
from ..pickles import check_allowed, check_pickle
from ..script_weights import share_weights
from ..signature import describe_call
from ..tensor_specs import array_type, fixed_rows, named
from ..versions import versions_of

log = logging.getLogger(__name__)

_FILE = "program.pt2"
_PROGRAM = "torch.export.exported_program:ExportedProgram"


class TorchExportFramework:
    """What `torch.export.export` gives, or a `.pt2` file of `torch.export.save`.

    A program that was exported for a fixed number of rows gets batches of just so many, filled up.
    """

    name = "torch_export"
    extra = "torch"
    mapped: tuple[str, ...] = (_FILE,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _PROGRAM)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, set(), "an exported program")
        if not isinstance(obj, Path):
            return obj
        if reason := why_pickled(obj):
            check_allowed(f"{obj}, because {reason},")
            log.warning("%s holds a pickle: %s", obj, reason)
        return Native(obj, _export().load(str(obj)))

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - it has none
        path = folder / _FILE
        if isinstance(obj, Native):
            copy_file(obj.path, path)
        else:
            _export().save(obj, str(path))
        return Saved(pickled=bool(why_pickled(path)), versions=versions_of(["torch", "numpy"]))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        path, place = folder / _FILE, torch_call.best_device(device)
        if info.pickled:
            check_pickle(info)
        elif reason := why_pickled(path):
            raise IntegrityError(
                f"{info.name}:{info.version} is a pickle and its manifest denies it: {reason}"
            )
        program = _export().load(str(path))
        if place.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, place)
        module = program.module()
        if place.type == "cpu":
            share_weights(module, path)
        return module

    def methods(self, obj: Any) -> list[str]:
        return torch_call.methods(obj)

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method not in torch_call.methods(obj):
            raise ModelError(f"an exported program has no method {method!r}: it is called, or predicts")
        module = obj.module() if has_class_of(obj, _PROGRAM) else obj
        return torch_call.run(module, module, args, kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        inputs, output = _signature(obj)
        spec = MethodSpec(inputs=inputs, output=output)
        if example is not None:
            result = self.call(obj, method, *example.args, **example.kwargs)
            spec = describe_call(named(inputs), example, result)
        rows = {kind.shape[0] for kind in inputs.values() if kind.shape}
        if spec.batch and len(rows) == 1 and isinstance(size := rows.pop(), int):
            fixed_rows(spec, size)
        return spec


def _signature(program: Any) -> tuple[dict[str, TypeSpec], TypeSpec | None]:
    """Parameters and result, as the program itself tells them; sizes that vary are named."""
    names = set(program.graph_signature.user_inputs)
    known = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = {name: _type(known[name]) for name in known if name in names}
    results = [_type(known.get(name)) for name in program.graph_signature.user_outputs]
    return inputs, results[0] if len(results) == 1 else None


def _type(value: Any) -> TypeSpec:
    if not hasattr(value, "shape"):
        return TypeSpec(kind="json")
    shape = [size if isinstance(size, int) else None for size in value.shape]
    return array_type(str(value.dtype).removeprefix("torch."), shape)


def _export() -> Any:
    torch_call.torch_or_error()
    import torch.export

    return torch.export
