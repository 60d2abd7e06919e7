"""A runner in this process, for unit tests and notebooks: the surface and the rules of the remote one.

Called inside a running event loop it gives an awaitable, elsewhere the result. Like a worker it runs one call
at a time, does not see the request's context, and reports what the model raises as `InferenceError`.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import InferenceError, ServingError, UsageError
from ..batching import rows
from ..batching.cost import Cost
from ..batching.no_rows import with_no_rows
from ..batching.padding import Padding, with_lengths
from ..batching.sizes import with_sizes
from ..manifest import MethodSpec
from ..model.tables import table_fit, with_categories
from .methods import cost_functions, method_specs
from .options import nearest

if TYPE_CHECKING:
    from ..model.model import Model
    from .runner import Runner


class LocalRunner:
    """One runner of one service object.

    Args:
        runner: its declaration.
        name: attribute of the service.
    """

    def __init__(self, runner: Runner, name: str) -> None:
        self._runner = runner
        self._name = name
        self._lock = threading.RLock()
        self._model: Model | None = None
        self._target: Any = None
        self._loaded = False

    @property
    def model(self) -> Model:
        """The saved model: tag, classes, labels, metadata; not loaded.

        Raises:
            AttributeError: the runner is a class of the user's.
            NotFoundError: no such model in the store.
        """
        if self._runner.tag is None:
            raise AttributeError(f"runner {self._name!r} is a class, it has no model")
        with self._lock:
            if self._model is None:
                from ..model.find import find

                self._model = find(self._runner.tag)
            return self._model

    def __getattr__(self, name: str) -> LocalMethod:
        if name.startswith("_"):
            raise AttributeError(
                f"runner {self._name!r} has no method {name!r}: private methods stay in the worker"
            )
        specs = self._methods()
        if name not in specs:
            raise AttributeError(
                f"runner {self._name!r} has no method {name!r}{nearest(name, specs)} "
                f"(methods: {', '.join(specs)})"
            )
        method = self.__dict__[name] = LocalMethod(
            f"{self._name}.{name}",
            partial(self._call, name),
            specs[name],
            cost_functions(self._runner.cls).get(name),
        )
        return method

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._methods()])

    def _methods(self) -> dict[str, MethodSpec]:
        if self._runner.cls is not None:
            return method_specs(self._runner.cls)
        return self._runner.methods_of(self.model.info)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            function = self._function(method)
            try:
                return Context().run(function, *args, **kwargs)
            except ServingError:
                raise
            except Exception as error:
                raise InferenceError(
                    str(error), remote_type=type(error).__name__, traceback=traceback.format_exc()
                ) from error

    def _function(self, method: str) -> Callable[..., Any]:
        if self._runner.cls is not None:
            if not self._loaded:
                self._target = self._runner.construct()
                self._loaded = True
            function: Callable[..., Any] = getattr(self._target, method)
            return function
        from ..model.framework import framework

        if not self._loaded:
            self._target = self.model.load()
            self._loaded = True
        call = partial(framework(self.model.info.framework).call, self._target, method)
        return with_categories(call, self.model.info.methods[method])

    def __repr__(self) -> str:
        return f"<local runner {self._name} of {self._runner.tag or self._runner.cls!r}>"


class LocalMethod:
    """One method of a local runner.

    Positional arguments are rows and keyword arguments constants of the call; a method without
    `@tiffin.batch` takes them as they are. Rows are weighed, padded and filled up as in a server.
    """

    def __init__(
        self, name: str, call: Callable[..., Any], spec: MethodSpec, cost: Callable[..., Any] | None
    ) -> None:
        self._name = name
        self._batched = spec.batch
        self._fit = table_fit(spec)
        self._cost = Cost(name, spec, cost) if spec.cost else None
        self._padding = Padding(name, spec) if spec.padding is not None else None
        if spec.padding is not None and spec.padding.lengths:
            call = with_lengths(call)
        if spec.sizes:
            call = with_sizes(call, spec.sizes)
        self._run = with_no_rows(call) if spec.batch else call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Rows in, rows out.

        Raises:
            ResultMismatchError: the method answered another number of rows than it got.
            InferenceError: the method raised.
        """
        return _here_or_awaited(partial(self._many, args, kwargs))

    def one(self, *row: Any, **kwargs: Any) -> Any:
        """One row in, one row out.

        Args:
            *row: one row for each positional parameter: `float32[4]` where the method takes `float32[n, 4]`.

        Raises:
            UsageError: the method takes no batches; in an event loop when it is awaited, as a remote one.
        """
        return _here_or_awaited(partial(self._one, row, kwargs))

    def _many(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._fit is not None:
            args = self._fit(args)
        if not self._batched:
            return self._run(*args, **kwargs)
        count, padding = rows.count(args), self._padding
        ragged = None if padding is None else padding.take(args, kwargs)
        if self._cost is not None:
            self._cost(args, kwargs, count, ragged)  # what it raises, it would raise in a server
        if padding is None or ragged is None:
            return rows.split(self._run(*args, **kwargs), [count])[0]
        return padding.split(self._run(*padding.join([ragged]), **kwargs), [ragged])[0]

    def _one(self, row: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._batched:
            raise UsageError(
                f"{self._name} takes no batches, so it has no .one: call it, or mark it @tiffin.batch"
            )
        return rows.first(self._many(rows.one(row), kwargs))

    def __repr__(self) -> str:
        return f"<method {self._name}>"


def _here_or_awaited(work: Callable[[], Any]) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    return _later(work)


async def _later(work: Callable[[], Any]) -> Any:
    return work()
