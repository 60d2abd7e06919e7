"""What can be called, whatever the protocol: an api of the service, or a method of a runner."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..manifest import MethodSpec
from .tensor_inputs import TensorInputs
from .tensor_outputs import TensorOutputs

if TYPE_CHECKING:
    from ..manifest import RunnerSpec
    from ..service.api import ApiInfo
    from ..supervisor.control import ServerOptions

Labels = Callable[[], tuple[str, ...]]
VERSION = "1"
"""Of every endpoint: a server serves one version of its service."""


class Endpoint:
    """One callable thing under one name. `of_api` and `of_method` make it.

    Args:
        name: `iris` for the service, `iris.classify` for an api, `iris.forest.predict` for a runner's method.
        method: name of the api or the runner's method.
        call: takes the arguments by name; gives an awaitable when `is_async`, an async iterator when
            `stream`.
        labels: gives the words for the positions of a classifier's scores; asked once, when first needed.
    """

    version = VERSION
    is_async = True
    stream = False
    doc = ""
    api: ApiInfo | None = None
    """None for a method of a runner."""
    runner: RunnerSpec | None = None
    """None for an api."""
    spec: MethodSpec | None = None
    """Of the runner's method; None for an api."""

    def __init__(
        self,
        name: str,
        method: str,
        call: Callable[..., Any],
        options: ServerOptions,
        *,
        timeout_s: float,
        max_body_bytes: int,
        heavy_bytes: int,
        labels: Labels = tuple,
    ) -> None:
        self.name = name
        self.method = method
        self.call = call
        self.timeout_s = timeout_s if options.timeout_s is None else options.timeout_s
        """Seconds from the last byte of the request to the answer."""
        self.max_body_bytes = max_body_bytes if options.max_body_bytes is None else options.max_body_bytes
        self.heavy_bytes = heavy_bytes
        """Bodies from this size on are decoded in a thread."""
        self._labels = labels

    @classmethod
    def of_api(
        cls, name: str, info: ApiInfo, instance: object, options: ServerOptions, labels: Labels = tuple
    ) -> Endpoint:
        """An api of the service object `instance`."""
        made = cls(
            name,
            info.name,
            getattr(instance, info.name),
            options,
            timeout_s=info.timeout_s,
            max_body_bytes=info.max_body_bytes,
            heavy_bytes=info.inputs.heavy_bytes,
            labels=labels,
        )
        made.api, made.doc = info, info.doc
        made.is_async, made.stream = info.is_async, info.stream
        return made

    @classmethod
    def of_method(
        cls,
        name: str,
        runner: RunnerSpec,
        method: str,
        instance: object,
        options: ServerOptions,
        *,
        timeout_s: float,
        max_body_bytes: int,
        labels: Labels = tuple,
    ) -> Endpoint:
        """A method of a runner of the service object `instance`: its inputs are its rows, by position."""
        spec = runner.methods[method]
        remote = getattr(getattr(instance, runner.name), method)

        def call(**arguments: Any) -> Any:
            return remote(*arguments.values())

        made = cls(
            name,
            method,
            call,
            options,
            timeout_s=timeout_s,
            max_body_bytes=max_body_bytes,
            heavy_bytes=_HEAVY_BYTES,
            labels=labels,
        )
        made.runner, made.spec = runner, spec
        return made

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Words for the positions of a classifier's scores; empty: not known."""
        return self._labels()

    @cached_property
    def inputs(self) -> TensorInputs:
        """How tensors become its arguments."""
        if self.api is not None:
            return TensorInputs.of_api(self.api)
        return TensorInputs.of_method(self.spec or MethodSpec())

    @cached_property
    def outputs(self) -> TensorOutputs:
        """How its result becomes tensors."""
        if self.api is not None:
            return TensorOutputs.of_api(self.api, self.labels)
        return TensorOutputs.of_method(self.spec or MethodSpec(), self.labels)

    def __repr__(self) -> str:
        return f"<endpoint {self.name}>"


_HEAVY_BYTES = 128 * 1024
