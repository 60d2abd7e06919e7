"""Lifecycle hooks: methods of a service that run before, at the start and at the end of serving.

`@tiffin.on_start` runs once per API process before any request is accepted, `@tiffin.on_ready` when every
runner is warm, `@tiffin.on_stop` at the drain, after the last request. Sync or async; in the order of
definition, those of a base class first. A plain `def` runs in a thread, as a plain `def` api does, so that it
may call runners and block.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import ServerError, ServiceDefinitionError
from .where import line_of, user_line

if TYPE_CHECKING:
    from .service import ServiceInfo

F = TypeVar("F", bound=Callable[..., Any])

START, READY, STOP = "start", "ready", "stop"
PHASES = (START, READY, STOP)
MARK = "__tiffin_hooks__"

logger = logging.getLogger(__name__)


def on_start(fn: F) -> F:
    """Runs before the first request is accepted; an exception here keeps the server from starting."""
    return _mark(fn, START)


def on_ready(fn: F) -> F:
    """Runs when every worker of every runner is warm."""
    return _mark(fn, READY)


def on_stop(fn: F) -> F:
    """Runs at the drain, after the last request; the others still run when one fails."""
    return _mark(fn, STOP)


def hook_phases(function: object) -> tuple[str, ...]:
    phases = getattr(function, MARK, ())
    return phases if isinstance(phases, tuple) else ()


async def run_hooks(instance: object, info: ServiceInfo, phase: str) -> None:
    """Runs the hooks of one phase, one after the other.

    Args:
        instance: the service object.
        info: what `@tiffin.service` found.
        phase: `start`, `ready` or `stop`.

    Raises:
        ServerError: a hook raised; names it, with file and line.
    """
    failure: ServerError | None = None
    for name in info.hooks.get(phase, ()):
        method = getattr(instance, name)
        try:
            if inspect.iscoroutinefunction(method):
                await method()
            else:
                await asyncio.to_thread(method)
        except Exception as error:
            where = f"{line_of(method)}: on_{phase} hook {info.cls.__qualname__}.{name}"
            failed = ServerError(f"{where} failed: {type(error).__name__}: {error}")
            failed.__cause__ = error
            if phase != STOP:
                raise failed from error
            logger.exception("%s failed", where)
            failure = failure or failed
    if failure is not None:
        raise failure


def _mark(fn: F, phase: str) -> F:
    if not inspect.isfunction(fn):
        raise ServiceDefinitionError(
            f"{user_line()}: @tiffin.on_{phase} stands on {fn!r}; "
            "put it, without brackets, directly on a method"
        )
    where = f"{line_of(fn)}: @tiffin.on_{phase} on {fn.__qualname__}"
    parameters = list(inspect.signature(fn).parameters.values())
    if not parameters:
        raise ServiceDefinitionError(f"{where}: a hook is a method; write `def {fn.__name__}(self)`")
    needed = [
        p.name
        for p in parameters[1:]
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise ServiceDefinitionError(
            f"{where}: hooks are called without arguments and this one needs {', '.join(needed)}; "
            f"write `def {fn.__name__}(self)`"
        )
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise ServiceDefinitionError(f"{where}: a hook runs once to its end; remove the `yield`")
    setattr(fn, MARK, (*hook_phases(fn), phase))
    return fn
