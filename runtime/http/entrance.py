"""Where HTTP asks callers for their tokens: on prediction routes, and in front of all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...errors import RequestError
from ..auth.tokens import PREDICT

if TYPE_CHECKING:
    from ..auth.guard import Guard
    from .head import Head

SCOPE = "tiffin_scope"
"""In the `opt` of a Litestar handler: the scope that it needs, `OPEN` when none; without it `predict`."""
OPEN = ""


def let_in(head: Head, guard: Guard) -> None:
    """Refuses a prediction whose caller has no token for it. Asking for the methods of a route needs none."""
    if head.method == b"OPTIONS":
        return
    try:
        guard.check(head.fields.get(b"authorization"), PREDICT)
    except RequestError as error:
        head.refusal = error


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Of an ASGI scope. Several are none that anybody knows, as on prediction routes."""
    found = [value for name, value in headers if name == b"authorization"]
    return b", ".join(found) if found else None


def check_handler(guard: Guard, connection: Any, handler: Any) -> None:
    """For Litestar, which has found the handler: raises UnauthorizedError or ForbiddenError."""
    needed = handler.opt.get(SCOPE, PREDICT)
    if needed != OPEN:
        guard.check(authorization(connection.scope["headers"]), needed)
