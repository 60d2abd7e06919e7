"""`tiffin.mount()`: an ASGI application of the user's own, below a path of the service's server."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any

from ...errors import ServerError, ServiceDefinitionError
from .api import check_route
from .where import user_line

AsgiApp = Callable[..., Awaitable[None]]
"""Takes scope, receive and send: https://asgi.readthedocs.io"""
Source = AsgiApp | Callable[[Any], AsgiApp] | str

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Mount:
    """One application and its place. `tiffin.mount` makes it.

    Args:
        path: `/ui`, without a slash at its end.
        source: the application, `module:attribute`, or a function of the service object that returns it.
        public: whether it answers callers without a token.
        where: line of the user's code, for errors.
    """

    def __init__(self, path: str, source: Source, *, public: bool, where: str) -> None:
        self.path = path
        self.public = public
        self.where = where
        self._source = source

    def build(self, service: object) -> AsgiApp:
        """The application, for this service object; once in each API process, after its `on_start` hooks.

        Raises:
            ServerError: it cannot be imported, the function failed, or there is no ASGI application.
        """
        source: Any = self._source
        what = f"{self.where}: the application mounted on {self.path}"
        try:
            if isinstance(source, str):
                module, _, attribute = source.partition(":")
                source = import_module(module)
                for part in attribute.split("."):
                    source = getattr(source, part)
            if _takes_service(source):
                source = source(service)
        except Exception as error:  # the user's code
            raise ServerError(f"{what} could not be made: {type(error).__name__}: {error}") from error
        if not callable(source) or _takes_service(source):
            raise ServerError(
                f"{what} is a {type(source).__name__}; an ASGI application is called with scope, receive and "
                "send"
            )
        made: AsgiApp = source
        return made

    def __repr__(self) -> str:
        return f"<mount {self.path}>"


def mount(path: str, app: Source, *, public: bool = False) -> Any:
    """Declares an application: an attribute of a `@tiffin.service` class.

    Everything at `path` and below goes to it, WebSockets too; its lifespan runs with the server's. It sees
    the whole path in `scope["path"]` and where it is mounted in `scope["root_path"]`.

    Args:
        path: `/ui`, rules as for `@tiffin.api(route=…)`.
        app: an ASGI application (Starlette, FastAPI, Litestar …), `"module:attribute"`, or a function of the
            service object that returns one, so that it can call the service.
        public: answer without a token even when the server asks for one: pages that a browser opens.

    Raises:
        ServiceDefinitionError: a path or an application that cannot work; says where and how to mend it.
    """
    where = f"{user_line()}: tiffin.mount"
    check_route(where, path, "mount it on another path")
    if isinstance(app, str):
        if not _DOTTED.fullmatch(app):
            raise ServiceDefinitionError(f"{where}: {app!r} is not module:attribute, such as 'ui.pages:app'")
    elif not callable(app):
        raise ServiceDefinitionError(
            f"{where}: {app!r} is no ASGI application; give one, 'module:attribute', or a function of the "
            "service that returns one"
        )
    if not isinstance(public, bool):
        raise ServiceDefinitionError(f"{where}: public={public!r} is neither True nor False")
    return Mount(path, app, public=public, where=where)


def check_mounts(where: str, mounts: Mapping[str, Mount], routes: Mapping[str, str]) -> None:
    """No path may belong to two.

    Args:
        routes: path of each api to its name.

    Raises:
        ServiceDefinitionError: an api or another application is at a mount's path or below it.
    """
    taken: MutableMapping[str, str] = {path: f"api {name}" for path, name in routes.items()}
    for name, found in mounts.items():
        for path, other in taken.items():
            if path == found.path or path.startswith(f"{found.path}/") or _below(found.path, path, other):
                raise ServiceDefinitionError(
                    f"{where}: {other} is on {path!r} and {name} ({found.where}) is mounted on "
                    f"{found.path!r}: everything below a mount is its own; move one of them"
                )
        taken[found.path] = f"mount {name}"


def _below(path: str, other_path: str, other: str) -> bool:
    """Whether a mount lies below another; below an api's path it may: that is one path only."""
    return other.startswith("mount ") and path.startswith(f"{other_path}/")


def _takes_service(source: Any) -> bool:
    """Whether it wants one thing, the service object: an application takes three."""
    try:
        parameters = inspect.signature(source).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    return len(needed) == 1 and not any(p.kind is p.VAR_POSITIONAL for p in parameters)
