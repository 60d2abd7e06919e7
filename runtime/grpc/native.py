"""`tiffin.v1.Service`: the apis with the bodies that HTTP takes and gives, for tiffin's own client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from ...errors import MalformedInputError, NotFoundRouteError, RequestError, ServingError
from ..auth.tokens import PREDICT
from ..http.dialect import Asked, Dialect, Written
from ..http.routes import Route
from ..http.schema import Schema
from ..protocols.endpoint import Endpoint
from ..schema.media import EVENTS, JSON, MSGPACK
from ..service.options import nearest
from . import wire
from .call import Call
from .context import Rpc, ServerStream, Unary
from .messages import message
from .question import Question

if TYPE_CHECKING:
    from ..http.head import Head
    from ..http.serving import Serving
    from ..schema.outputs import Body, Encoder
    from ..service.api import ApiInfo
    from .context import Context

SERVICE = "tiffin.v1.Service"
CallRequest = message("tiffin.v1.CallRequest")
SchemaRequest = message("tiffin.v1.SchemaRequest")
SchemaReply = message("tiffin.v1.SchemaReply")
_BODY_IN = 3
_MEDIA_TYPE_OUT, _BODY_OUT = 1, 2
"""Numbers of fields."""
_LARGE_BYTES = 16 * 1024
"""From here on it is cheaper to take the body out of a message than to let the parser copy it."""


class Native:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        state = serving.state
        self._schema = Schema(state)
        self._routes = {
            name: self._route(info, Endpoint.of_api(name, info, state.instance, state.options))
            for name, info in state.info.apis.items()
        }

    def _route(self, info: ApiInfo, endpoint: Endpoint) -> Route:
        path = f"/{SERVICE}/{'Stream' if info.stream else 'Call'}/{info.name}"
        route = Route.for_endpoint(endpoint, path, Dialect(), self._serving.state.metrics)
        route.info = info
        route.encoder = info.output.encoder("*/*")
        return route

    def rpcs(self) -> dict[str, Rpc]:
        path = f"/{SERVICE}/Schema"
        schema = Question(self._serving, path, SchemaRequest, self._answer_schema)
        return {
            f"/{SERVICE}/Call": Unary(self._call, PREDICT),
            f"/{SERVICE}/Stream": ServerStream(self._stream, PREDICT),
            path: Unary(schema.serve, PREDICT),
        }

    def _answer_schema(self, _: Any) -> Any:
        return SchemaReply(openapi=self._schema.json())

    async def _call(self, data: bytes, context: Context) -> bytes:
        call, head = self._begun(data, context, stream=False)
        return await call.predict(head, data)

    async def _stream(self, data: bytes, context: Context) -> None:
        call, head = self._begun(data, context, stream=True)
        await call.stream(head, data)

    def _begun(self, data: bytes, context: Context, *, stream: bool) -> tuple[Call, Head]:
        """Raises CallEndedError when nothing can be called."""
        call = Call(self._serving, context)
        try:
            request = _Request(data)
            route = self._find(request.api, stream=stream)
        except ServingError as error:
            raise call.refused(error) from None
        head = call.head(route)
        head.decode = partial(request.asked, route.info)
        context.compress()
        return call, head

    def _find(self, name: str, *, stream: bool) -> Route:
        route = self._routes.get(name)
        if route is None:
            known = ", ".join(self._routes) or "none"
            raise NotFoundRouteError(f"no api {name[:80]!r}{nearest(name, self._routes)}; apis: {known}")
        if route.stream != stream:
            right = "Stream" if route.stream else "Call"
            raise RequestError(f"api {name!r} is called with {SERVICE}/{right}")
        return route


class _Request:
    """One CallRequest, its body not looked at.

    Raises:
        MalformedInputError: it is none.
    """

    def __init__(self, data: bytes) -> None:
        spans: list[wire.Span] = []
        rest = data
        if len(data) >= _LARGE_BYTES:
            rest, spans = wire.cut_out(data, _BODY_IN)
        try:
            read = CallRequest.FromString(rest)
        except DecodeError as error:
            raise MalformedInputError("the message is no tiffin.v1.CallRequest") from error
        self.api: str = read.api
        self._media_type: str = read.media_type or JSON
        self._accept: str = read.accept
        self._body: Any = memoryview(data)[slice(*spans[-1])] if spans else read.body

    def asked(self, info: ApiInfo, body: Any) -> Asked:  # noqa: ARG002 - the message, read by now
        """Raises RequestError as HTTP does for the same body."""
        write: Any
        if info.stream:
            write = partial(_item, _of_items(info, self._accept))
        else:
            write = partial(_written, info, info.output.encoder(self._accept or "*/*"))
        return Asked(info.inputs.decode(self._media_type, self._body), write)


def _of_items(info: ApiInfo, accept: str) -> Encoder:
    """Over HTTP items of JSON are framed as events; here each is a message of its own.

    Raises:
        NotAcceptableError: none of what is accepted will do.
    """
    if accept == MSGPACK:
        return info.output.encoder_of(MSGPACK)
    found = info.output.encoder(accept or "*/*")
    return info.output.encoder_of(JSON) if found.media_type == EVENTS else found


def _written(info: ApiInfo, encoder: Encoder, value: Any) -> Written:
    body = encoder(value)
    if not encoder.varies:
        return Written("", _reply(encoder.media_type, body))
    named = info.output.extra_headers(value).items()
    headers = tuple((name.encode("ascii"), text.encode("ascii")) for name, text in named)
    return Written("", _reply(encoder.media_type_of(value), body), headers)


def _item(encoder: Encoder, value: Any) -> Written:
    return Written("", _reply(encoder.media_type, encoder(value)))


def _reply(media_type: str, body: Body) -> bytes:
    """A CallReply; the body is copied once."""
    told = media_type.encode("ascii")
    return b"".join((wire.key(_MEDIA_TYPE_OUT, len(told)), told, wire.key(_BODY_OUT, len(body)), body))
