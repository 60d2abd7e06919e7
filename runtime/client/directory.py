"""The apis of a server by name: functions that look like the server's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from .address import Address
from .api import Api

TOKEN = "TIFFIN_CLIENT_TOKEN"  # noqa: S105 - the name of a variable
"""Not `TIFFIN_TOKEN`: that is the secret between the containers of a service, and no server may see it."""


def token_from_environment() -> str:
    return os.environ.get(TOKEN, "").strip()


def method_of(api: Api, call: Callable[[Api, tuple[Any, ...], dict[str, Any]], Any]) -> Callable[..., Any]:
    """A function with the api's name, signature and docstring."""

    def method(*args: Any, **kwargs: Any) -> Any:
        return call(api, args, kwargs)

    method.__name__ = method.__qualname__ = api.name
    method.__doc__ = api.doc
    method.__signature__ = api.signature  # type: ignore[attr-defined]
    return method


def unknown_api(name: str, apis: Iterable[str], address: Address) -> AttributeError:
    known = sorted(apis)
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known) or 'none'}"
    return AttributeError(f"{address} has no api {name!r}; {hint}")
