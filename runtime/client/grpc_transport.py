"""Calls over gRPC, blocking: `tiffin.v1.Service`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from .address import Address
from .api import MEDIA_TYPE
from .grpc_calls import channel_options, credentials, failure_of, grpc_module, metadata, not_ready
from .grpc_messages import CALL, HEALTH, SCHEMA, SERVING, STREAM, call_reply, call_request, schema_reply
from .options import CallOptions, Trust
from .outgoing import Outgoing
from .patience import remaining_s
from .transport import Reply


class GrpcTransport:
    """One channel, which carries any number of calls; see `Transport`."""

    def __init__(self, address: Address, trust: Trust) -> None:
        self._address = address
        self._credentials = credentials(trust) if address.tls else None
        self._grpc = grpc_module()
        self._lock = threading.Lock()
        self._channel: Any = None
        self._pid = 0
        self._methods: dict[str, Any] = {}

    def call(self, outgoing: Outgoing) -> Reply:
        return call_reply(
            self._unary(CALL, _request(outgoing), outgoing.options, remaining_s(outgoing.deadline))
        )

    def schema(self, options: CallOptions, deadline: float) -> bytes:
        return schema_reply(self._unary(SCHEMA, b"", options, remaining_s(deadline)))

    def ready(self, options: CallOptions, deadline: float) -> None:
        if self._unary(HEALTH, b"", options, remaining_s(deadline)) != SERVING:
            raise not_ready()

    def stream(self, outgoing: Outgoing) -> Iterator[Reply]:
        method = self._method(STREAM)
        call = method(
            _request(outgoing), timeout=remaining_s(outgoing.deadline), metadata=metadata(outgoing.options)
        )
        try:
            for message in call:
                yield call_reply(message)
        except self._grpc.RpcError as error:
            raise failure_of(error, self._address) from error
        finally:
            call.cancel()

    def _unary(self, name: str, request: bytes, options: CallOptions, timeout_s: float) -> bytes:
        try:
            answer: bytes = self._method(name)(request, timeout=timeout_s, metadata=metadata(options))
        except self._grpc.RpcError as error:
            raise failure_of(error, self._address) from error
        return answer

    def _method(self, name: str) -> Any:
        """Bytes in, bytes out; the channel is made on first use, and anew after a fork."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._connect()
        return self._methods[name]

    def _connect(self) -> None:
        address, options = self._address.authority, channel_options()
        if self._credentials is None:
            channel = self._grpc.insecure_channel(address, options)
        else:
            channel = self._grpc.secure_channel(address, self._credentials, options)
        self._methods = {name: channel.unary_unary(name) for name in (CALL, SCHEMA, HEALTH)}
        self._methods[STREAM] = channel.unary_stream(STREAM)
        self._channel = channel
        self._pid = os.getpid()

    def close(self) -> None:
        with self._lock:
            if self._channel is not None and self._pid == os.getpid():
                self._channel.close()
            self._channel, self._pid, self._methods = None, 0, {}


def _request(outgoing: Outgoing) -> bytes:
    api = outgoing.api
    return call_request(api.name, MEDIA_TYPE, outgoing.body, api.accept)
