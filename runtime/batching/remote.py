"""A runner as the service sees it in the API process; the same surface as the in-process `LocalRunner`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...errors import InferenceError, InvalidInputError, UsageError
from ..manifest import RunnerSpec
from ..model.tables import Fit, table_fit
from ..schema.convert import convert, has_class, hints_of
from ..service.waits import waits_here
from . import rows
from .dispatcher import Dispatcher

if TYPE_CHECKING:
    from ..model.model import Model


class RemoteRunner:
    """Sends calls to the workers of a runner: `await runner.predict(x)`, `await runner.predict.one(row)`.

    Inside the event loop a call gives an awaitable; in any other thread (a sync api) it blocks and gives the
    result.

    Args:
        spec: the runner; its methods become attributes.
        loop: the loop that the dispatcher lives in; the caller is in its thread.
        cls: the user's class, whose hints say what results are made of; None for a stored model.
    """

    def __init__(
        self,
        spec: RunnerSpec,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        cls: type | None = None,
    ) -> None:
        self._spec = spec
        thread = threading.get_ident()
        for name, method in spec.methods.items():
            self.__dict__[name] = RemoteMethod(
                name,
                batch=method.batch,
                dispatcher=dispatcher,
                loop=loop,
                thread=thread,
                hint=result_hint(getattr(cls, name, None)),
                fit=table_fit(method),
            )

    @cached_property
    def model(self) -> Model:
        """The stored model: classes, labels, metadata. Reads `model.yaml` only; nothing is loaded here.

        Raises:
            AttributeError: the runner is a class of the user's own.
            NotFoundError: no such model in the store.
        """
        if not self._spec.model:
            raise AttributeError("model")  # __getattr__ tells more
        from ..model.find import find

        return find(self._spec.model)

    def __getattr__(self, name: str) -> Any:
        if name == "model":
            raise AttributeError(
                f"runner {self._spec.name!r} is a class, not a stored model: it has no .model"
            )
        methods = ", ".join(self._spec.methods) or "none"
        raise AttributeError(f"runner {self._spec.name!r} has no method {name!r}; it has {methods}")

    def __repr__(self) -> str:
        return f"<runner {self._spec.name!r} in {self._spec.workers} workers>"


class RemoteMethod:
    """One method of a remote runner."""

    __slots__ = ("_batch", "_call", "_dispatcher", "_hint", "_loop", "_name", "_thread")

    def __init__(
        self,
        name: str,
        *,
        batch: bool,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        thread: int,
        hint: Any,
        fit: Fit | None = None,
    ) -> None:
        self._name = name
        self._batch = batch
        self._dispatcher = dispatcher
        self._loop = loop
        self._thread = thread
        self._hint = hint
        call: Callable[..., Awaitable[Any]] = dispatcher.call if hint is None else self._rebuilt
        self._call = call if fit is None else _fitting(call, fit)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Rows by position, constants by keyword; gives as many rows as it was given."""
        if threading.get_ident() == self._thread:
            return self._call(self._name, args, kwargs)
        return self._from_thread(self._call, self._name, args, kwargs)

    def one(self, *args: Any, **kwargs: Any) -> Any:
        """One row in, one row out; batched with the rows of others.

        Raises:
            UsageError: the method takes no batches.
        """
        if threading.get_ident() == self._thread:
            return self._one(args, kwargs)
        return self._from_thread(self._one, args, kwargs)

    async def _one(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._batch:
            raise UsageError(
                f"{self._name!r} takes no batches: call it without .one, or mark it with @tiffin.batch"
            )
        return rows.first(await self._call(self._name, rows.one(args), kwargs))

    async def _rebuilt(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = await self._dispatcher.call(method, args, kwargs)
        try:
            return convert(result, self._hint)
        except InvalidInputError as error:  # the fault of the method, not of whoever called the api
            raise InferenceError(
                f"{method!r} returned what its hint does not allow: {error} at {error.path or '$'}",
                remote_type="TypeError",
            ) from error

    def _from_thread(self, call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        async def run() -> Any:
            return await call(*args)

        # The task is made in the loop with a copy of this thread's context, so its deadline goes along.
        future, waits = asyncio.run_coroutine_threadsafe(run(), self._loop), waits_here.get()
        return future.result() if waits is None else waits.result(future)


def _fitting(call: Callable[..., Awaitable[Any]], fit: Fit) -> Callable[..., Awaitable[Any]]:
    """The call, with tables as the model knows them: before batching, for only equal ones go together."""
    return lambda method, args, kwargs: call(method, fit(args), kwargs)


def result_hint(method: Callable[..., Any] | None) -> Any:
    """What a method's results are made of, when they want their classes back; else None."""
    hint = hints_of(method).get("return")
    return hint if has_class(hint) else None
