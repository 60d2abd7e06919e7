"""The options that only a runner of a saved model takes: `compile`, `prepack`, `copy_ahead` and `sizes`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...errors import ServiceDefinitionError
from ..manifest import MethodSpec, ModelInfo
from ..model.compiled import DEFAULT, FRAMEWORK, GRAPH_MODES, MODES
from ..model.prepack import FRAMEWORKS
from .batch_options import increasing
from .options import flag, nearest
from .runner_options import RunnerOptions


def compile_mode(where: str, compile: object, cls: type | None, gpus: float) -> str:  # noqa: A002 - the option
    """Checks `compile=`; empty for a model that is not compiled.

    Raises:
        ServiceDefinitionError: no such mode, no saved model, or a mode for GPUs on a runner without one.
    """
    if compile is False:
        return ""
    mode = DEFAULT if compile is True else compile
    if mode not in MODES:
        close = nearest(mode, MODES) if isinstance(mode, str) else ""
        raise ServiceDefinitionError(
            f"{where}: compile={compile!r} is not known{close}; use True or one of {', '.join(MODES)}"
        )
    if cls is not None:
        raise ServiceDefinitionError(
            f"{where}: compile= is for saved torch models; in a class of your own write "
            "self.net = torch.compile(net) in __init__, and sizes= in @tiffin.batch"
        )
    if mode in GRAPH_MODES and not gpus:
        raise ServiceDefinitionError(
            f"{where}: compile={mode!r} is for NVIDIA GPUs (CUDA graphs) and this runner has none; "
            "add gpus=1, or use compile=True"
        )
    return str(mode)


def packs(where: str, prepack: object, cls: type | None, gpus: float, compile: object) -> bool | None:  # noqa: A002 - the option
    """Checks `prepack=`; None for the runner of a saved model that says nothing.

    Raises:
        ServiceDefinitionError: it is no choice, or is asked for where nothing can be packed.
    """
    if prepack is None:
        return None
    wanted = flag(where, "prepack", prepack)
    if wanted and cls is not None:
        raise ServiceDefinitionError(
            f"{where}: prepack= is for saved torch models; in a class of your own write "
            "tiffin.prepack(self.net) in __init__"
        )
    if wanted and gpus:
        raise ServiceDefinitionError(
            f"{where}: prepack= is for weights on the CPU and this runner has gpus={gpus:g}; leave it out"
        )
    if wanted and compile is not False:
        raise ServiceDefinitionError(
            f"{where}: prepack= and compile= exclude each other: compiled code does not use packed weights; "
            "keep the faster one"
        )
    return wanted


def copies_ahead(where: str, copy_ahead: object, cls: type | None, gpus: float) -> bool:
    """Checks `copy_ahead=`.

    Raises:
        ServiceDefinitionError: it is no choice, or there is no saved model or no GPU.
    """
    wanted = flag(where, "copy_ahead", copy_ahead)
    if wanted and cls is not None:
        raise ServiceDefinitionError(
            f"{where}: copy_ahead= is for saved torch models; a class of your own moves its tensors itself: "
            "leave it out"
        )
    if wanted and not gpus:
        raise ServiceDefinitionError(
            f"{where}: copy_ahead= is for NVIDIA GPUs and this runner has none; add gpus=1, or leave it out"
        )
    return wanted


def fixed_sizes(where: str, sizes: Iterable[int] | None, cls: type | None) -> tuple[int, ...]:
    """Checks `sizes=`; empty for any number of rows.

    Raises:
        ServiceDefinitionError: they do not increase, or the runner is a class.
    """
    if sizes is None:
        return ()
    if cls is not None:
        raise ServiceDefinitionError(
            f"{where}: sizes= is for saved models; a class says it for each method: @tiffin.batch(sizes=…)"
        )
    return tuple(increasing(where, "sizes", sizes))


def check_fits(where: str, info: ModelInfo, options: RunnerOptions) -> None:
    """Raises ServiceDefinitionError when an option would do nothing for this model."""
    if options.sizes and not any(method.batch for method in info.methods.values()):
        raise ServiceDefinitionError(
            f"{where}: sizes= is for batches, and no method of {info.name}:{info.version} takes them; "
            "leave it out"
        )
    asked = {"compile": (FRAMEWORK,), "copy_ahead": (FRAMEWORK,), "prepack": FRAMEWORKS}
    for name, frameworks in asked.items():
        if getattr(options, name) and info.framework not in frameworks:
            hint = "save the module itself" if info.framework == "torchscript" else "leave it out"
            raise ServiceDefinitionError(
                f"{where}: {name}= is for torch modules and {info.name}:{info.version} is of "
                f"{info.framework}; {hint}"
            )


def methods_as_run(
    info: ModelInfo, mode: str, max_batch_size: int, sizes: tuple[int, ...]
) -> dict[str, MethodSpec]:
    """The methods of a model as a runner calls them.

    Args:
        mode: of compiling; empty for none.
        max_batch_size: of the runner, in rows.
        sizes: numbers of rows that replace those of every method; empty: as the model was saved, and for CUDA
            graphs 1, 2, 4 … up to the largest batch.
    """
    return {name: _as_run(method, mode, max_batch_size, sizes) for name, method in info.methods.items()}


def _as_run(method: MethodSpec, mode: str, max_batch_size: int, sizes: tuple[int, ...]) -> MethodSpec:
    if not method.batch:
        return method
    chosen = [*sizes] or method.sizes
    if not chosen and mode in GRAPH_MODES:
        chosen = _doubling(method.max_batch_size or max_batch_size)
    if chosen == method.sizes:
        return method
    return msgspec.structs.replace(method, sizes=chosen, max_batch_size=chosen[-1])


def _doubling(most: int) -> list[int]:
    """1, 2, 4 … and the most: at worst as many rows again are computed for nothing."""
    return [*(1 << power for power in range((most - 1).bit_length())), most]
