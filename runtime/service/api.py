"""`@tiffin.api`: a method of a service that is a route."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ...errors import ServiceDefinitionError
from ..manifest import ApiSpec
from ..schema.inputs import Inputs
from ..schema.outputs import Output
from .options import DAY_S, MAX_BODY_BYTES, number, refuse_unknown, whole
from .reserved import PATHS, TREES, is_reserved
from .runner import Runner
from .where import line_of, user_frame, user_line

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__tiffin_api__"
_OPTIONS = ("route", "timeout_s", "max_body_bytes")

_ROUTE = re.compile(r"(?:/[A-Za-z0-9._~!$'()*+,;=:@-]+)+")


@dataclass(frozen=True)
class ApiMark:
    """What `@tiffin.api` was told; `@tiffin.service` makes the `ApiInfo` of it."""

    route: str
    timeout_s: float | None
    max_body_bytes: int | None


@dataclass(frozen=True)
class ApiInfo:
    """One route, compiled."""

    name: str
    """Name of the method."""
    route: str
    """`/classify`"""
    function: Callable[..., Any]
    """The method as the class has it; takes the service object first."""
    inputs: Inputs
    output: Output
    is_async: bool
    """`async def`, with or without `yield`; a plain `def` runs in a thread."""
    stream: bool
    """Async generator: each item is sent as it comes."""
    timeout_s: float
    """Seconds from the last byte of the request to the answer; for a stream to its end."""
    max_body_bytes: int
    doc: str
    """Docstring, without its indentation."""

    def spec(self) -> ApiSpec:
        return ApiSpec(
            name=self.name,
            route=self.route,
            doc=self.doc,
            inputs=dict(self.inputs.specs),
            defaults=self.inputs.defaults,
            output=self.output.spec,
            stream=self.stream,
            input_stream=self.inputs.stream.name if self.inputs.stream is not None else "",
            timeout_s=self.timeout_s,
            max_body_bytes=self.max_body_bytes,
        )


@overload
def api(fn: F) -> F: ...
@overload
def api(
    *, route: str | None = None, timeout_s: float | None = None, max_body_bytes: int | None = None
) -> Callable[[F], F]: ...
def api(
    fn: Any = None,
    *,
    route: str | None = None,
    timeout_s: float | None = None,
    max_body_bytes: int | None = None,
    **unknown: Any,
) -> Any:
    """Makes a method of a `@tiffin.service` class a route: `POST /<method name>`.

    Every parameter and the return value need a type hint; they decide how requests are read and answers
    written.
    `async def` runs in the event loop, a plain `def` in a thread, `async def` with `yield` streams.

    Args:
        route: path, `/` and letters, digits, `-._~` …; None: `/` and the method's name.
        timeout_s: seconds, above 0 and up to a day; None: the service's.
        max_body_bytes: largest request body, 1 byte to 64 GiB; None: the service's.

    Raises:
        ServiceDefinitionError: an option or a method that cannot work; says where and how to mend it.
    """
    where = f"{user_line()}: @tiffin.api"
    refuse_unknown(where, unknown, _OPTIONS)
    if isinstance(fn, str):
        raise ServiceDefinitionError(f"{where}({fn!r}): options go by name; write @tiffin.api(route={fn!r})")
    if timeout_s is not None:
        number(where, "timeout_s", timeout_s, DAY_S, "seconds")
    if max_body_bytes is not None:
        whole(where, "max_body_bytes", max_body_bytes, 1, MAX_BODY_BYTES)
    if route is not None:
        check_route(where, route)

    def mark(method: Any) -> Any:
        _check_method(method)
        where = f"{line_of(method)}: @tiffin.api on {method.__qualname__}"
        path = route if route is not None else f"/{method.__name__}"
        check_route(where, path)
        _check_duplicate(where, method.__name__)
        setattr(method, MARK, ApiMark(path, timeout_s, max_body_bytes))
        return method

    return mark if fn is None else mark(fn)


def api_mark(value: object) -> ApiMark | None:
    mark = getattr(value, MARK, None)
    return mark if isinstance(mark, ApiMark) else None


def compile_api(
    name: str,
    function: Callable[..., Any],
    mark: ApiMark,
    *,
    timeout_s: float,
    max_body_bytes: int,
    namespace: dict[str, Any],
) -> ApiInfo:
    """Reads the hints of a marked method.

    Args:
        namespace: names besides the module's that its hints may use.

    Raises:
        ServiceDefinitionError: a hint is missing or of a kind that cannot be read or written.
    """
    where = f"{line_of(function)}: {function.__qualname__}"
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    original = inspect.unwrap(function)
    if not is_async and (inspect.iscoroutinefunction(original) or inspect.isasyncgenfunction(original)):
        raise ServiceDefinitionError(
            f"{where}: a decorator turned this `async def` into a plain function; "
            "make the decorator's wrapper `async def` too"
        )
    if inspect.isgeneratorfunction(original):
        raise ServiceDefinitionError(
            f"{where}: streams are async generators; write `async def {name}` and `-> AsyncIterator[…]`"
        )
    inputs = Inputs.of(function, where=where, namespace=namespace)
    output = Output.of(function, where=where, namespace=namespace)
    return ApiInfo(
        name=name,
        route=mark.route,
        function=function,
        inputs=inputs,
        output=output,
        is_async=is_async,
        stream=output.stream,
        timeout_s=timeout_s if mark.timeout_s is None else float(mark.timeout_s),
        max_body_bytes=max_body_bytes if mark.max_body_bytes is None else mark.max_body_bytes,
        doc=inspect.getdoc(function) or "",
    )


def _check_method(method: Any) -> None:
    if not inspect.isfunction(method):
        kind = type(method).__name__
        raise ServiceDefinitionError(
            f"{user_line()}: @tiffin.api stands on a {kind}; an api is a plain method: `def name(self, …)`"
        )
    where = f"{line_of(method)}: @tiffin.api on {method.__qualname__}"
    if method.__name__.startswith("_"):
        raise ServiceDefinitionError(f"{where}: names with a leading underscore are private; rename it")
    parameters = list(inspect.signature(method).parameters.values())
    if not parameters or parameters[0].name != "self":
        raise ServiceDefinitionError(
            f"{where}: the first parameter must be self; write `def {method.__name__}(self, …)`"
        )


def check_route(where: str, route: object, mend: str = "choose another with @tiffin.api(route='/…')") -> None:
    """Raises ServiceDefinitionError for what is no path, or is the server's own; `mend`: what to do then."""
    if not isinstance(route, str) or not _ROUTE.fullmatch(route):
        raise ServiceDefinitionError(
            f"{where}: route {route!r} is no path; start with '/', use letters, digits and -._~ "
            "between slashes, no braces, query, spaces or trailing slash, such as '/classify'"
        )
    if any(part in {".", ".."} for part in route.split("/")):
        raise ServiceDefinitionError(f"{where}: route {route!r} has a dot part; write the path out")
    if is_reserved(route):
        raise ServiceDefinitionError(
            f"{where}: route {route!r} belongs to the server ({', '.join(PATHS)} and everything "
            f"below {', '.join(TREES)}); {mend}"
        )


def _check_duplicate(where: str, name: str) -> None:
    """A class body forgets the first of two definitions of a name; its frame still has it."""
    scope = user_frame().f_locals
    if "__qualname__" not in scope:
        return
    earlier = scope.get(name)
    if isinstance(earlier, Runner):
        raise ServiceDefinitionError(
            f"{where}: {name} is a runner already ({earlier.where}); rename one of them"
        )
    if api_mark(earlier) is not None:
        raise ServiceDefinitionError(
            f"{where}: {name} is an api already ({line_of(scope[name])}); rename one of them"
        )
