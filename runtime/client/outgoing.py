"""What a client sends: one call, whatever the transport."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..schema.kind import Buffer
from ..service.context import current_context
from .options import CallOptions

if TYPE_CHECKING:
    from .api import Api

WAY_S = 5.0
"""Added to an api's own time limit for the way there and back."""
QUESTION_S = 60.0
"""For what is no api, the schema, unless the client has a limit of its own."""


@dataclass(frozen=True)
class Outgoing:
    """One call on its way."""

    api: Api
    body: list[Buffer]
    """Its pieces, one after the other."""
    options: CallOptions
    deadline: float
    """`time.monotonic()` seconds."""

    @property
    def size_bytes(self) -> int:
        """Of the body."""
        return sum(map(len, self.body))

    @classmethod
    def of(cls, api: Api, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Outgoing:
        limit_s = api.timeout_s + WAY_S if options.timeout_s is None else options.timeout_s
        deadline = time.monotonic() + limit_s
        context = current_context()
        if context is not None:
            deadline = min(deadline, context.deadline)  # nobody waits for more
        return cls(api, api.body(args, kwargs), options, deadline)


def inherited(options: CallOptions) -> list[tuple[str, str]]:
    """The id and the trace of the request that is being served here, when a service calls another."""
    context = current_context()
    if context is None:
        return []
    found = {"x-request-id": context.id, "traceparent": context.traceparent, "tracestate": context.tracestate}
    return [(name, value) for name, value in found.items() if value and name not in options.names]
