"""How one protocol words its requests, answers and errors on the routes of predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import events, problem
from .head import Head

if TYPE_CHECKING:
    from ..schema.outputs import Body
    from .head import RawHeaders
    from .problem import Problem
    from .routes import Route

Fields = tuple[tuple[bytes, bytes], ...]


class Written(NamedTuple):
    """An answer, ready to be sent."""

    media_type: str
    body: Body
    headers: Fields = ()


class Asked:
    """What `Head.decode` gives in place of the plain arguments when the answer depends on the request.

    Args:
        arguments: of the call, by name.
        write: result → answer; runs in a thread for large results; raises InferenceError for what cannot be
            sent.
        timeout_s: seconds that the caller gives at most; None: those of the header.
    """

    __slots__ = ("arguments", "timeout_s", "write")

    def __init__(
        self, arguments: dict[str, Any], write: Callable[[Any], Written], timeout_s: float | None = None
    ) -> None:
        self.arguments = arguments
        self.write = write
        self.timeout_s = timeout_s


class Dialect:
    """One for all requests on a route. This one is the server's own; protocols derive theirs from it."""

    problem_type = problem.MEDIA_TYPE
    """Media type of errors."""
    stream_type = ""
    """Media type of streams whose requests are `Asked`: `Asked.write` writes each item."""

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        """The header of a request, checked. Protocols derive a class that replaces `Head._prepare`."""
        return Head(route, method, raw_headers, query)

    def problem(self, error: BaseException, *, instance: str, request_id: str) -> Problem:
        """The answer for an error."""
        return problem.problem(error, instance=instance, request_id=request_id)

    def item(self, data: Body) -> bytes:
        """One item of an event stream."""
        return events.item(data)

    def end(self) -> bytes:
        """The last words of an event stream that went well."""
        return events.end()

    def broken(self, report: Problem) -> bytes:
        """The last words of an event stream that failed after its first item."""
        return events.error(report.body)


NATIVE = Dialect()
