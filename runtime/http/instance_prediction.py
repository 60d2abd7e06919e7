"""A request that holds instances: one or several predictions of the same api, answered together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import InvalidInputError, RequestError
from ..schema import media
from ..schema.media import JSON
from ..service.trace import new_request_id
from .asgi import AsgiPrediction
from .inflate import check_coding, inflate
from .instances import Instances

if TYPE_CHECKING:
    from .app import Receive, Scope, Send
    from .routes import Route
    from .serving import Serving

_HEAVY_BYTES = 256 * 1024
"""A larger body is taken apart in a thread."""
_OF_THE_BODY = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})
_REPLACED = _OF_THE_BODY | {b"accept", b"x-request-id"}


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Refused(AsgiPrediction):
    """Counted, logged and answered like any other, but refused for what its body says."""

    reason: RequestError

    def admit(self) -> None:
        super().admit()
        self.error = self.error or self.reason


class InstancePredictions:
    """Bodies of the form `{"instances": […]}`; those of other forms go to the api as they are."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._made: dict[str, Instances] = {}

    async def serve(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """From the header to the last byte of the answer."""
        instances = self._made.get(route.name)
        if instances is None:
            instances = self._made[route.name] = Instances(route.info)
        headers = dict(scope["headers"])
        kind, _ = media.content_type(headers.get(b"content-type", b"").decode("latin-1"))
        plain = AsgiPrediction(self._serving, route, scope, send)
        turned_away = plain.head.refusal is not None
        if turned_away or scope["method"] != "POST" or kind not in ("", JSON) or not instances.applies:
            await plain.serve(receive)
            return
        body, complete = await _read(receive, route.max_body_bytes)
        if body is None:
            return
        replay = _Replay(body, complete, receive)
        if not complete:  # too large, which the prediction itself says
            await AsgiPrediction(self._serving, route, scope, send).serve(replay)
            return
        try:
            if coding := headers.get(b"content-encoding", b"").strip().lower().decode("latin-1"):
                check_coding(coding)
                body = inflate(coding, body, route.max_body_bytes)
            bodies = await self._in_turn(instances.read, len(body), body=body)
            if bodies is not None and route.stream:
                raise InvalidInputError(f"api {route.name!r} streams: send the body that it takes itself")
        except RequestError as error:
            refused = _Refused(self._serving, route, scope, send)
            refused.reason = error
            await refused.serve(replay)
            return
        if bodies is None:
            await AsgiPrediction(self._serving, route, scope, send).serve(replay)
            return
        answers = await self._ask(route, scope, bodies, receive)
        bad = next((answer for answer in answers if answer.status != 200), None)
        if bad is not None:
            await _send(send, bad.status, bad.headers, bad.body)
            return
        parts = [answer.body for answer in answers]
        size = sum(map(len, parts)) + len(body)
        whole = await self._in_turn(_whole, size, instances=instances, parts=parts, body=body)
        sent = [header for header in answers[0].headers if header[0] not in _OF_THE_BODY] if answers else []
        await _send(send, 200, [(b"content-type", JSON.encode("ascii")), *sent], whole)

    @staticmethod
    async def _in_turn(work: Any, size: int, **arguments: Any) -> Any:
        return await asyncio.to_thread(work, **arguments) if size > _HEAVY_BYTES else work(**arguments)

    async def _ask(self, route: Route, scope: Scope, bodies: list[bytes], receive: Receive) -> list[_Answer]:
        """All at once, so that they share batches; if the caller goes, they are cancelled as any other."""
        named = dict(scope["headers"]).get(b"x-request-id") or new_request_id().encode("ascii")
        kept = [header for header in scope["headers"] if header[0] not in _REPLACED]
        json = JSON.encode("ascii")
        inner = {
            **scope,
            "headers": [*kept, (b"content-type", json), (b"accept", json), (b"x-request-id", named)],
        }
        return list(await asyncio.gather(*(self._one(route, inner, body, receive) for body in bodies)))

    async def _one(self, route: Route, scope: Scope, body: bytes, receive: Receive) -> _Answer:
        sent: list[dict[str, Any]] = []

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        await AsgiPrediction(self._serving, route, scope, keep).serve(_Replay(body, True, receive))
        if not sent:  # the caller is gone: nobody reads it
            return _Answer(499, [], b"")
        return _Answer(
            sent[0]["status"], sent[0]["headers"], b"".join(message.get("body", b"") for message in sent[1:])
        )


class _Replay:
    """`receive` that gives what was read already, and then what still comes."""

    def __init__(self, body: bytes, complete: bool, receive: Receive) -> None:
        self._message: dict[str, Any] | None = {
            "type": "http.request",
            "body": body,
            "more_body": not complete,
        }
        self._receive = receive

    async def __call__(self) -> dict[str, Any]:
        message, self._message = self._message, None
        return message if message is not None else await self._receive()


def _whole(instances: Instances, parts: list[bytes], body: bytes) -> bytes:
    return instances.answer(parts, instances.count(body))


async def _read(receive: Receive, limit_bytes: int) -> tuple[bytes | None, bool]:
    """The body, and whether it is all of it; None: the caller is gone."""
    parts: list[bytes] = []
    size = 0
    while size <= limit_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, False
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            return b"".join(parts), True
    return b"".join(parts), False


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status == 499:
        return
    headers = [header for header in headers if header[0] != b"content-length"]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
