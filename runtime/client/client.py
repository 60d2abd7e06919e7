"""`tiffin.Client`: calls the apis of a server as if they were methods here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import ConnectionFailedError, OverloadedError, TiffinError
from .address import Address
from .api import Api, apis_of
from .directory import method_of, unknown_api
from .options import Trust
from .outgoing import QUESTION_S, Outgoing
from .patience import Patience, remaining_s
from .server_client import ServerClient
from .transport import Reply, Transport

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Client(ServerClient):
    """Calls a server; its methods are the server's apis, with their names, signatures and docstrings.

        with tiffin.Client("http://127.0.0.1:3000") as client:
            client.classify(flowers)                     # flowers: array, tensor or lists
            for price in client.watch(rounds=3): ...     # a streaming api

    Arrays come back as numpy arrays, dataclasses and other records as dicts, files as `tiffin.File`, images
    as Pillow's, tables as pandas' where those are installed. One client may be used by many threads.

    Args:
        url: `http://host:3000`, `https://host/prefix`, `grpc://host:3001` or `grpcs://host:3001`.
        timeout_s: seconds from a call to its whole answer, retries included; None: 5 more than the api's own
            limit. The server is told, and stops working on what nobody waits for.
        retries: how often a call that did no work yet is sent again: no connection, or refused with a time to
            come back. After growing pauses, within `timeout_s`.
        token: bearer token; None: that of the environment variable TIFFIN_CLIENT_TOKEN, if any.
        headers: sent with every request.
        idempotent: whether calls may run twice: then they are sent again too when the connection broke.
        ca: PEM file of the authorities to believe; default: the system's.
        cert: PEM file of a certificate to show, with its key unless `key` is given.
        key: PEM file of its key.
        max_connections: at the same time; who comes later waits. HTTP only: gRPC needs one.

    Raises:
        UsageError: the URL or an option makes no sense. Nothing is sent before the first call.
    """

    _shared: _Shared

    def _open(self, address: Address, trust: Trust, most: int) -> _Shared:
        if address.grpc:
            from .grpc_transport import GrpcTransport

            return _Shared(GrpcTransport(address, trust))
        from .http_transport import HttpTransport

        return _Shared(HttpTransport(address, trust.context() if address.tls else None, most))

    def call(self, api: str, /, *args: Any, **kwargs: Any) -> Any:
        """The api of that name, also where the name is one of the client's own methods.

        Raises:
            AttributeError: the server has no such api.
            TypeError: arguments that it does not have.
            TiffinError: what went wrong there, of the class that it was there, or on the way
                (`ConnectionFailedError`, `DeadlineExceededError`).
        """
        return self._call(self._find(api), args, kwargs)

    def schema(self) -> dict[str, Any]:
        """The server's OpenAPI document."""
        deadline = time.monotonic() + (self._options.timeout_s or QUESTION_S)
        text = self._trying(lambda: self._shared.transport.schema(self._options, deadline), deadline)
        document: dict[str, Any] = msgspec.json.decode(text)
        return document

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Comes back when the server takes calls.

        Raises:
            ConnectionFailedError: nobody listened within `timeout_s` seconds.
            OverloadedError: it was not ready within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = 0.02
        while True:
            try:
                return self._shared.transport.ready(self._options, deadline)
            except (ConnectionFailedError, OverloadedError):
                if time.monotonic() + pause_s >= deadline:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        self._shared.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return method_of(self._find(name), self._call)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._apis()})

    def _apis(self) -> dict[str, Api]:
        shared = self._shared
        if shared.apis is None:
            with shared.lock:
                if shared.apis is None:
                    shared.apis = apis_of(self.schema())
        return shared.apis

    def _find(self, name: str) -> Api:
        apis = self._apis()
        if name not in apis:
            raise unknown_api(name, apis, self._address)
        return apis[name]

    def _call(self, api: Api, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outgoing = Outgoing.of(api, args, kwargs, self._options)
        if api.stream:
            return self._stream(outgoing)
        transport = self._shared.transport
        try:
            reply = transport.call(outgoing)
        except TiffinError as error:
            reply = self._again(error, lambda: transport.call(outgoing), outgoing.deadline)
        return api.result(reply.media_type, reply.body)

    def _stream(self, outgoing: Outgoing) -> Iterator[Any]:
        """Tries again until the first item; what has begun is not repeated."""

        def begin() -> tuple[Iterator[Reply], Reply | None]:
            replies = self._shared.transport.stream(outgoing)
            return replies, next(replies, None)

        replies, first = self._trying(begin, outgoing.deadline)
        try:
            while first is not None:
                yield outgoing.api.result(first.media_type, first.body)
                first = next(replies, None)
        finally:
            close = getattr(replies, "close", None)
            if close is not None:
                close()

    def _trying(self, attempt: Callable[[], Any], deadline: float) -> Any:
        try:
            return attempt()
        except TiffinError as error:
            return self._again(error, attempt, deadline)

    def _again(self, error: TiffinError, attempt: Callable[[], Any], deadline: float) -> Any:
        patience = Patience(self._options, deadline)
        while True:
            time.sleep(patience.pause_s(error))
            remaining_s(deadline)
            try:
                return attempt()
            except TiffinError as another:
                error = another


class _Shared:
    """What a client and those made of it by `with_options` have together."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.lock = threading.Lock()
        self.apis: dict[str, Api] | None = None
