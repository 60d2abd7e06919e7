"""Calls on HTTP/2 connections: which method each is for, and the answer to those that are for none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..http2 import header_block
from .call_context import CallContext
from .call_head import CallHead
from .code import Code
from .context import BothStreams, Direct
from .status import CallEndedError

if TYPE_CHECKING:
    from ..http.bodies import Bodies
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
        rpcs: by path, `/inference.GRPCInferenceService/ModelInfer`.
        limit_bytes: of one message.
        bodies: counts what has come of large ones.
    """

    def __init__(
        self, rpcs: Mapping[str, Rpc], limit_bytes: int, bodies: Bodies, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.limit_bytes = limit_bytes
        self.bodies = bodies
        self.loop = loop
        self._rpcs = rpcs

    def head(self, fields: Fields) -> CallHead:
        return CallHead(fields, self._rpcs)

    def open(self, stream: Stream, meaning: CallHead) -> Receiver:
        rpc = meaning.rpc
        if isinstance(rpc, Direct) and meaning.is_call and not meaning.wrong:
            return rpc.open(self, stream, meaning)
        context = CallContext(self, stream, meaning)
        if not meaning.is_call:
            stream.refuse(_NOT_GRPC)
        elif meaning.wrong:
            context.end_with(CallEndedError(Code.INTERNAL, meaning.wrong))
        elif rpc is None:
            context.end_with(CallEndedError(Code.UNIMPLEMENTED, f"there is no method {meaning.path[:200]}"))
        elif isinstance(rpc, BothStreams):
            context.open()
        return context

    @staticmethod
    def log_failure(path: str) -> None:
        logger.exception("%s failed", path)
