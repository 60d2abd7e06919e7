"""What requests over HTTP/2 are given to: gRPC, or the same ASGI application that HTTP/1.1 ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http2.asgi import AsgiHead, AsgiStream
from .asgi import PredictionApp
from .lines import sends_lines

if TYPE_CHECKING:
    from ..grpc.door import GrpcDoor
    from ..http2.asgi import AsgiApp
    from ..http2.header_block import Fields
    from ..http2.stream import Receiver, Stream
    from .app import Scope
    from .serving import Serving

_GRPC = b"application/grpc"


class Http2Door:
    """The application of every HTTP/2 connection.

    Args:
        app: for what is no prediction.
        lifespan_state: of that application.
    """

    def __init__(self, serving: Serving, app: AsgiApp, lifespan_state: dict[str, Any]) -> None:
        self._serving = serving
        self._app: AsgiApp = PredictionApp(serving.state, app)
        self._lifespan_state = lifespan_state
        self._grpc: GrpcDoor | None = serving.door if serving.state.options.grpc_addresses else None

    def head(self, fields: Fields) -> Any:
        if self._grpc is not None:
            for name, value in fields:
                if name == b"content-type" and value.startswith(_GRPC):
                    return self._grpc.head(fields)
        head = AsgiHead(fields)
        head.streaming = self._is_stream(head.scope)
        return head

    def _is_stream(self, scope: Scope) -> bool:
        """Whether its body is read at the pace of an api, or of an application of the user's."""
        serving = self._serving
        prefix = serving.state.options.path_prefix
        path: str = scope["path"]
        if path.startswith(f"{prefix}/") and serving.mounts.find(path[len(prefix) :]) is not None:
            return True
        route = serving.find(scope["raw_path"])
        return route is not None and route.input_stream is not None and sends_lines(scope["headers"])

    def open(self, stream: Stream, meaning: Any) -> Receiver:
        if self._grpc is not None and not isinstance(meaning, AsgiHead):
            return self._grpc.open(stream, meaning)
        return AsgiStream(stream, meaning, self._app, self._lifespan_state)
