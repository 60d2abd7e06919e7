"""Takes invocations from Lambda and asks the server of this container, like any other caller.

It lives in threads of the supervisor, beside the loop that watches the processes: an API process that dies
costs the invocation in hand an error, and nothing else.
"""

from __future__ import annotations

import http.client
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from ...errors import ConfigError, MalformedInputError, ServerError
from .aws_lambda import INVOCATIONS, RUNTIME_API
from .lambda_api import Invocation, RuntimeApi
from .lambda_events import PLAIN, Answer, Request, request, response

logger = logging.getLogger("tiffin.lambda")

MAX_RESPONSE_BYTES = 6 * 1024 * 1024
"""Of an answer, base64 and all; Lambda drops a larger one with a message that says little."""
CONCURRENCY = "AWS_LAMBDA_MAX_CONCURRENCY"
"""Only managed instances set it: invocations that may run here at a time."""
_MARGIN_S = 0.2
"""So much before the deadline the server answers that there was not time enough."""


class LambdaLoop:
    """Asks for invocations until the process ends.

    Args:
        environ: of the process.

    Raises:
        ConfigError: this is not Lambda.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get(RUNTIME_API, "")
        if not self._address:
            raise ConfigError(f"{RUNTIME_API} is not set: the role lambda needs the runtime API of Lambda")
        text = environ.get(CONCURRENCY, "")
        self._threads = int(text) if text.isdecimal() and int(text) > 0 else 1
        self._stopping = False

    def start(self, url: str) -> None:
        """Once the server is ready: Lambda takes the first question for the end of the start."""
        for number in range(self._threads):
            threading.Thread(target=self._run, args=(url,), name=f"lambda-{number}", daemon=True).start()

    def stop(self) -> None:
        """Takes no invocation after the one in hand."""
        self._stopping = True

    def failed(self, error: Exception) -> None:
        """Tells Lambda why the server does not start."""
        try:
            with closing(RuntimeApi(self._address)) as api:
                api.fail_init(type(error).__name__, str(error))
        except ServerError as refused:
            logger.error("%s", refused)  # noqa: TRY400 - it says all

    def _run(self, url: str) -> None:
        try:
            with closing(RuntimeApi(self._address)) as api:
                while not self._stopping:
                    self._serve(api, api.next(), url)
        except ServerError as error:
            if not self._stopping:
                logger.critical("%s", error)
                os.kill(os.getpid(), signal.SIGTERM)

    def _serve(self, api: RuntimeApi, invocation: Invocation, url: str) -> None:
        try:
            event = msgspec.json.decode(invocation.event)
            asked = request(event, invocation.event, INVOCATIONS)
        except (msgspec.DecodeError, MalformedInputError, KeyError, TypeError, AttributeError) as error:
            api.fail(invocation, "MalformedEvent", f"the event cannot be read: {error!r}")
            return
        try:
            answer = _ask(url, asked, invocation)
        except (OSError, http.client.HTTPException) as error:
            logger.error("%s of invocation %s is lost: %r", asked.target, invocation.id, error)  # noqa: TRY400
            api.fail(invocation, "ServerError", f"the server did not answer: {error!r}")
            return
        if asked.kind == PLAIN and answer.status != 200:
            api.fail(invocation, *_problem(answer))
            return
        body = answer.body if asked.kind == PLAIN else msgspec.json.encode(response(asked, answer))
        if len(body) <= MAX_RESPONSE_BYTES:
            api.respond(invocation, body)
            return
        why = (
            f"the answer has {len(body):,} bytes, Lambda carries {MAX_RESPONSE_BYTES:,}: "
            "ask for less at a time, or for a packed form (accept: application/msgpack)"
        )
        if asked.kind == PLAIN:
            api.fail(invocation, "ResponseTooLarge", why)
        else:
            api.respond(invocation, msgspec.json.encode(response(asked, _too_large(why))))


def _ask(url: str, asked: Request, invocation: Invocation) -> Answer:
    """Asks the server. A connection for each: one that was kept may be older than the freeze between two."""
    left_s = invocation.deadline_ms / 1000 - time.time() if invocation.deadline_ms else None
    named = {name.lower() for name, _ in asked.headers}
    headers = list(asked.headers)
    if left_s is not None:
        headers = _hurried(headers, max(0.001, left_s - _MARGIN_S))
    if "x-request-id" not in named:
        headers.append(("x-request-id", invocation.id))
    if invocation.trace and "x-amzn-trace-id" not in named:
        headers.append(("x-amzn-trace-id", invocation.trace))
    place = urlsplit(url)
    connection = http.client.HTTPConnection(
        place.hostname or "", place.port, timeout=None if left_s is None else max(0.001, left_s)
    )
    try:
        connection.putrequest(
            asked.method, asked.target, skip_host="host" in named, skip_accept_encoding=True
        )
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(asked.body)))
        connection.endheaders(asked.body)
        found = connection.getresponse()
        return Answer(found.status, found.getheaders(), found.read())
    finally:
        connection.close()


def _hurried(headers: list[tuple[str, str]], left_s: float) -> list[tuple[str, str]]:
    """With the time that is left for an answer, unless the caller himself has less."""
    wanted = next((value for name, value in headers if name.lower() == "x-request-timeout"), "")
    try:
        if wanted and not float(wanted) > left_s:
            return headers
    except ValueError:
        return headers  # the server says what is wrong with it
    kept = [(name, value) for name, value in headers if name.lower() != "x-request-timeout"]
    return [*kept, ("x-request-timeout", f"{left_s:.3f}")]


def _too_large(why: str) -> Answer:
    body = msgspec.json.encode({"title": "Response too large", "status": 500, "detail": why})
    return Answer(500, [("content-type", "application/problem+json")], body)


def _problem(answer: Answer) -> tuple[str, str]:
    """Kind and message of an answer that is none."""
    try:
        told = msgspec.json.decode(answer.body)
        return str(told["title"]).title().replace(" ", ""), f"{told['status']}: {told['detail']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return "ServerError", f"{answer.status}: {answer.body[:500].decode('utf-8', 'replace')}"
