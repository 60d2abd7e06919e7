"""The runtime API of Lambda: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

from __future__ import annotations

import http.client
from typing import NamedTuple

import msgspec

from ...errors import ServerError

_VERSION = "/2018-06-01/runtime"
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"


class Invocation(NamedTuple):
    """One event to answer."""

    id: str
    deadline_ms: int
    """Unix time after which nobody waits for the answer; 0: not said."""
    trace: str
    """For the header `x-amzn-trace-id`; may be empty."""
    event: bytes


class RuntimeApi:
    """One connection to it; of one thread.

    Args:
        address: `host:port`, what `AWS_LAMBDA_RUNTIME_API` says.
    """

    def __init__(self, address: str) -> None:
        # No time-out: the container may be frozen for hours while it waits for the next invocation.
        self._connection = http.client.HTTPConnection(address)

    def close(self) -> None:
        self._connection.close()

    def next(self) -> Invocation:
        """Waits for the next invocation.

        Raises:
            ServerError: the runtime API is gone, or refuses.
        """
        headers, body = self._ask("GET", "/invocation/next", b"", {})
        deadline = headers.get("Lambda-Runtime-Deadline-Ms") or ""
        return Invocation(
            id=headers.get("Lambda-Runtime-Aws-Request-Id") or "",
            deadline_ms=int(deadline) if deadline.isdecimal() else 0,
            trace=headers.get("Lambda-Runtime-Trace-Id") or "",
            event=body,
        )

    def respond(self, invocation: Invocation, body: bytes) -> None:
        """Raises ServerError as `next` does."""
        self._ask("POST", f"/invocation/{invocation.id}/response", body, {})

    def fail(self, invocation: Invocation, kind: str, message: str) -> None:
        """Raises ServerError as `next` does."""
        self._error(f"/invocation/{invocation.id}/error", kind, message)

    def fail_init(self, kind: str, message: str) -> None:
        """Tells why there will be no `next`.

        Raises:
            ServerError: as `next` does.
        """
        self._error("/init/error", kind, message)

    def _error(self, path: str, kind: str, message: str) -> None:
        body = msgspec.json.encode({"errorMessage": message, "errorType": kind, "stackTrace": []})
        self._ask("POST", path, body, {_ERROR_TYPE: f"Runtime.{kind}"})

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPMessage, bytes]:
        try:
            self._connection.request(method, _VERSION + path, body or None, headers)
            answer = self._connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ServerError(f"the Lambda runtime API does not answer: {error!r}") from error
        if answer.status >= 300:
            why = said[:500].decode("utf-8", "replace")
            raise ServerError(f"the Lambda runtime API refused {method} {path}: {answer.status} {why}")
        return answer.headers, said
