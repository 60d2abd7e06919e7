"""An endpoint that is called with JSON, once or several times for one request."""

from __future__ import annotations

import asyncio
import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InferenceError, InvalidInputError
from ..http.routes import Route
from ..schema.array import ArrayKind
from ..schema.dims import Dims
from ..schema.dtypes import Dtypes, family
from ..schema.hints import Hinted
from ..schema.inputs import Inputs
from ..schema.kind import marker
from ..schema.media import JSON
from ..schema.outputs import Output
from ..schema.parameter import Parameter
from .datatypes import BYTES, NAMES
from .instances import Instances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.dialect import Dialect
    from ..http.serving import Serving
    from ..manifest import MethodSpec, TypeSpec
    from ..metrics.metrics import Metrics
    from .endpoint import Endpoint


class Results(list[Any]):
    """Of the calls of one request, in their order."""

    @property
    def nbytes(self) -> int:
        """Of their arrays: from some size on they are written in a thread."""
        return sum(getattr(value, "nbytes", 0) for value in self)


class JsonCalls:
    """One endpoint.

    Args:
        serving: has the threads where sync apis run.
    """

    def __init__(self, endpoint: Endpoint, serving: Serving) -> None:
        self.endpoint = endpoint
        self._serving = serving

    @cached_property
    def inputs(self) -> Inputs:
        info = self.endpoint.api
        return info.inputs if info is not None else _inputs_of(self.endpoint, self.endpoint.spec)

    @cached_property
    def output(self) -> Output:
        info = self.endpoint.api
        return info.output if info is not None else Output(Any, stream=False, title=self.endpoint.name)

    @cached_property
    def instances(self) -> Instances:
        return Instances(self.endpoint.method, self.inputs)

    def decode(self, bodies: Iterable[bytes], query: str = "") -> list[dict[str, Any]]:
        """Bodies in JSON → the arguments of as many calls.

        Args:
            query: of the URL, for all of them.

        Raises:
            RequestError: one does not fit, or the endpoint streams.
        """
        if self.endpoint.stream:
            raise InvalidInputError(
                f"{self.endpoint.name} streams: call it on its own route, or by generate_stream of /v2"
            )
        return [self.inputs.decode(JSON, body, query) for body in bodies]

    async def __call__(self, calls: list[dict[str, Any]]) -> Results:
        """All at once, so that they share batches; when one fails the others are cancelled."""
        if len(calls) == 1:
            return Results([await self._one(calls[0])])
        tasks = [asyncio.create_task(self._one(arguments)) for arguments in calls]
        try:
            return Results([await task for task in tasks])
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, arguments: dict[str, Any]) -> Any:
        endpoint = self.endpoint
        try:
            if endpoint.is_async:
                return await endpoint.call(**arguments)
            return await self._serving.threads.call(endpoint.call, arguments)
        except (SystemExit, KeyboardInterrupt) as error:  # of a task they would end the loop
            raise InferenceError(str(error), remote_type=type(error).__name__) from error

    def written(self, results: Results) -> list[bytes]:
        """JSON of each."""
        return [self.output.encode_json(value) for value in results]

    def routes(self, paths: Iterable[str], dialect: Dialect, metrics: Metrics) -> Iterable[Route]:
        """The same on several paths, counted as one: by the first.

        What `dialect` decodes to is `{"calls": [arguments, …]}`.
        """
        first: Route | None = None
        for path in paths:
            if first is None:
                first = Route.for_endpoint(self.endpoint, path, dialect, metrics)
                first.call, first.is_async, first.stream = self, True, False
                yield first
            else:
                same = copy.copy(first)
                same.path = path
                yield same


def _inputs_of(endpoint: Endpoint, spec: MethodSpec | None) -> Inputs:
    """Of a runner's method: numpy arrays, as workers take them, and plain values."""
    found = {} if spec is None else spec.inputs
    hints = {name: _hint(each) for name, each in found.items()} or {"x": np.ndarray}
    parameters = [Parameter(Hinted(name, hint), endpoint.name) for name, hint in hints.items()]
    return Inputs(parameters, f"{endpoint.method}Input", endpoint.name)


def _hint(spec: TypeSpec) -> Any:
    if spec.kind not in ("array", "tensor"):
        return {"boolean": bool, "text": str, "number": float}.get(spec.kind, Any)
    names = tuple(spec.dtypes) or ((spec.dtype,) if spec.dtype else ())
    known = names and all(name in NAMES and NAMES[name] != BYTES for name in names)
    dims = None if spec.shape is None else Dims.parse(" ".join(map(str, spec.shape)))
    return marker(ArrayKind(family(names, " or ".join(names)) if known else Dtypes(None, "any"), dims))
