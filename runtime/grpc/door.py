"""Calls on HTTP/2 connections: which method each is for, and the answer to those that are for none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import ServingError
from ..http2 import header_block
from .call import METHOD
from .call_context import CallContext
from .call_head import CallHead
from .code import Code
from .context import BothStreams, Direct
from .status import CallEndedError, ended

if TYPE_CHECKING:
    from ..http.serving import Serving
    from ..http2.header_block import Fields
    from ..http2.stream import Receiver, Stream
    from .context import Rpc

logger = logging.getLogger("tiffin.grpc")

_NOT_GRPC = header_block.write(
    ((b":status", b"415"), (b"content-type", b"text/plain"), (b"grpc-status", b"3"))
)


class GrpcDoor:
    """What the HTTP/2 connections of a process open their streams with.

    Args:
        serving: shared with all other doors of the process.
        rpcs: by path, `/inference.GRPCInferenceService/ModelInfer`.
        limit_bytes: of one message.
    """

    def __init__(
        self, serving: Serving, rpcs: Mapping[str, Rpc], limit_bytes: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.limit_bytes = limit_bytes
        self.bodies = serving.bodies
        self.loop = loop
        self._serving = serving
        self._guard = serving.guard
        self._rpcs = rpcs

    def head(self, fields: Fields) -> CallHead:
        return CallHead(fields, self._rpcs)

    def open(self, stream: Stream, meaning: CallHead) -> Receiver:
        rpc = meaning.rpc
        refused = None
        if meaning.is_call:
            refused = self._refusal(rpc, stream, meaning)
            if refused is None and isinstance(rpc, Direct):
                return rpc.open(self, stream, meaning)
        context = CallContext(self, stream, meaning)
        if not meaning.is_call:
            stream.refuse(_NOT_GRPC)
        elif refused is not None:
            context.end_with(refused)
        elif isinstance(rpc, BothStreams):
            context.open()
        return context

    def _refusal(self, rpc: Rpc | None, stream: Stream, meaning: CallHead) -> CallEndedError | None:
        """Why a call is over when its head has come."""
        if meaning.wrong:
            return CallEndedError(Code.INTERNAL, meaning.wrong)
        if rpc is None:
            return CallEndedError(Code.UNIMPLEMENTED, f"there is no method {meaning.path[:200]}")
        if self._guard is not None and rpc.scope:
            try:
                self._guard.check(meaning.authorization, rpc.scope)
            except ServingError as error:
                client = stream.connection.peer
                return ended(*self._serving.refuse(error, client, 0.0, method=METHOD, path=meaning.path))
        return None

    @staticmethod
    def log_failure(path: str) -> None:
        logger.exception("%s failed", path)
