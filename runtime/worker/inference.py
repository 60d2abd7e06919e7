"""The object that a worker serves: a stored model, or an instance of the user's runner class."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import ModelError, ServiceDefinitionError
from ..batching import rows
from ..batching.limits import max_rows
from ..batching.no_rows import with_no_rows
from ..batching.padding import with_lengths
from ..batching.sizes import with_sizes
from ..manifest import MethodSpec, RunnerSpec
from ..model import torch_call
from ..model.compiled import Compiled
from ..model.model import Model
from ..model.prepack import FRAMEWORKS, UNASKED_BYTES, prepack, sizes_of_code
from ..model.staging import Staging
from ..model.tables import with_categories
from ..schema.convert import convert, has_class, hints_of
from ..supervisor.control import Target
from .warming import warm_batches

log = logging.getLogger("tiffin.worker")

Run = Callable[..., Any]
Args = tuple[Any, ...]
MANY_ROWS = 64
"""What code for any number of rows is tuned for, unless batches are smaller."""
_LONG_S = 0.5
"""Longest that a method is warmed for the code of its packed layers."""


class Inference:
    """Methods by name, called one at a time from one thread.

    Args:
        spec: the runner.
        methods: the functions behind the names of `spec.methods`.
        compiled: the model behind them, when it is compiled: while it is warmed.
        staging: through which its batches go to a GPU and back; None: they go as the model takes them.
        packed: whether it has packed layers, which make code for numbers of rows when they first come.
    """

    def __init__(
        self,
        spec: RunnerSpec,
        methods: dict[str, Run],
        compiled: Compiled | None = None,
        staging: Staging | None = None,
        *,
        packed: bool = False,
    ) -> None:
        self.spec = spec
        self.staging = staging
        self._compiled = compiled
        self._packed = packed
        self._methods = {name: _adapted(run, spec.methods[name]) for name, run in methods.items()}
        if staging is not None:
            # Around what fills batches up, which then does so on the device.
            self._methods = {name: partial(staging.through, run) for name, run in self._methods.items()}

    def call(self, method: str, args: Args, kwargs: dict[str, Any]) -> Any:
        """Runs a method.

        Raises:
            Exception: whatever the method raises.
        """
        return self._methods[method](*args, **kwargs)

    def begin(self, parts: list[Args]) -> None:
        """Begins to copy to the device what may run next: a call, or several that `join` would put together.

        Raises:
            Exception: they do not go together, or memory is short.
        """
        if self.staging is not None:
            self.staging.begin(rows.join(parts), parts)

    def join(self, parts: list[Args]) -> Args:
        """The positional arguments of several calls, put together; those that are on their way to the device
        when it is just these."""
        if self.staging is not None and (args := self.staging.joined(parts)) is not None:
            return args
        return rows.join(parts)

    def warm(self) -> None:
        """Runs every batch method whose input shapes are known on zeros: a row, or each size and bucket.

        The first call of a model is often many times slower than the next: libraries load, kernels compile.
        Code that does not like zeros is no error.

        Raises:
            ModelError: it was to be compiled and cannot.
        """
        for name, method in self.spec.methods.items():
            began = time.monotonic()
            for args in warm_batches(method, self._rows_to_warm(method)):
                self._try(name, args)
                if self._packed and not method.sizes and time.monotonic() - began > _LONG_S:
                    break  # calls that take so long do not feel the half millisecond that code takes
        if self._compiled is not None:
            self._compiled.seal()

    def _rows_to_warm(self, method: MethodSpec) -> list[int]:
        """Code for any number of rows is code for one and code for more."""
        if method.sizes:
            return method.sizes
        most = min(max_rows(self.spec, method), MANY_ROWS)
        if self._packed:
            return [min(size, most) for size in sizes_of_code(most)]
        return [1] if self._compiled is None else sorted({1, most})

    def _try(self, name: str, args: Args) -> None:
        try:
            self.call(name, args, {})
        except BaseException as error:  # noqa: BLE001 - user code
            log.info("warming %s.%s with zeros raised %r", self.spec.name, name, error)


def _adapted(run: Run, spec: MethodSpec) -> Run:
    """The method as it is called: with its lengths by name, with sizes it was promised, or without rows."""
    if spec.padding is not None and spec.padding.lengths:
        run = with_lengths(run)
    if spec.sizes:
        run = with_sizes(run, spec.sizes)
    return with_no_rows(run) if spec.batch else run


def load(target: Target, spec: RunnerSpec) -> Inference:
    """Loads what the runner serves.

    Raises:
        TiffinError: the model or the class cannot be loaded; says why.
        Exception: the user's class raised while it was made.
    """
    from ..service.load import load_service

    if spec.model:
        # A model needs no user code, except for a pickle that refers to it: its folder must be importable.
        import sys

        sys.path[:] = [target.source, *(entry for entry in sys.path if entry != target.source)]
        return _of_model(spec)
    service = load_service(target)
    runner = getattr(service, spec.name, None)
    if runner is None or not hasattr(runner, "construct"):
        raise ServiceDefinitionError(
            f"{target.service} has no runner {spec.name!r}; it was renamed while serving"
        )
    made = runner.construct()
    return Inference(spec, {name: typed(getattr(made, name)) for name in spec.methods})


def _of_model(spec: RunnerSpec) -> Inference:
    from ..model.find import find
    from ..model.framework import framework

    model = find(spec.model)
    loaded = model.load(device="auto")
    packed = _prepacked(spec, model, loaded)
    staging = Staging(loaded, spec.model) if spec.copy_ahead else None
    run = torch_call.run if staging is None else staging.run
    compiled = Compiled(loaded, spec.model, spec, run) if spec.compile else None
    if compiled is not None:
        call: Run = compiled.call
    elif staging is not None:
        call = partial(staging.call, loaded)
    else:
        call = partial(framework(model.info.framework).call, loaded)
    missing = [name for name in spec.methods if name not in model.info.methods]
    if missing:
        raise ModelError(
            f"model {spec.model} has no method {missing[0]!r}; it has {', '.join(model.info.methods)}"
        )
    methods = {name: with_categories(partial(call, name), spec.methods[name]) for name in spec.methods}
    return Inference(spec, methods, compiled, staging, packed=packed)


def _prepacked(spec: RunnerSpec, model: Model, loaded: Any) -> bool:
    """Whether layers of the model are packed now.

    Raises:
        ModelError: that was asked for, and there are none that can be.
    """
    if spec.prepack is False or spec.compile or model.info.framework not in FRAMEWORKS:
        return False
    done = prepack(loaded, None if spec.prepack else UNASKED_BYTES)
    if done.layers:
        log.info("packed %d linear layers of %s (%.0f MB)", done.layers, spec.model, done.weight_bytes / 1e6)
    elif done.left_bytes:
        log.info(
            "linear layers of %s are not packed: prepack=True makes them faster on a CPU and takes %.0f MB "
            "more in each worker",
            spec.model,
            done.left_bytes / 1e6,
        )
    elif spec.prepack:
        raise ModelError(
            f"prepack=True: {spec.model} has nothing to pack here; it is for torch.nn.Linear layers of "
            "float32 with 131,072 weights or more, on an x86-64 CPU, by a torch with oneDNN; leave it out"
        )
    return bool(done.layers)


def typed(method: Run) -> Run:
    """The method, given arguments of the classes in its hints instead of the maps that crossed the socket."""
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return method  # a callable of C code says nothing of its parameters
    hints = hints_of(method)
    rebuilt = {p.name: hints[p.name] for p in parameters if p.name in hints and has_class(hints[p.name])}
    if not rebuilt:
        return method
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    def typed(*args: Any, **kwargs: Any) -> Any:
        made = [
            convert(value, rebuilt[name]) if name in rebuilt else value
            for name, value in zip(positional, args, strict=False)
        ]
        named = {
            name: convert(value, rebuilt[name]) if name in rebuilt else value
            for name, value in kwargs.items()
        }
        return method(*made, *args[len(made) :], **named)

    return typed
