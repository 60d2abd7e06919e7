"""What gRPC calls have in common, blocking or not: channels, metadata, errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    MissingDependencyError,
    NotFoundRouteError,
    OverloadedError,
    PayloadTooLargeError,
    ServingError,
    TiffinError,
    UnavailableError,
)
from .address import Address
from .failure import from_problem
from .options import CallOptions, Trust
from .outgoing import inherited
from .patience import too_late

if TYPE_CHECKING:
    import grpc

PROBLEM = "tiffin-problem-bin"
_UNLIMITED = -1
_NEVER_CONNECTED = ("failed to connect", "connections to all backends failing", "dns resolution failed")
"""How gRPC says that it has sent nothing."""


def grpc_module() -> Any:
    """Raises MissingDependencyError without grpcio."""
    try:
        import grpc
        import grpc.aio
    except ImportError as error:
        raise MissingDependencyError("grpcio", "grpc") from error
    return grpc


def channel_options() -> list[tuple[str, int]]:
    """Messages of any size; nothing is sent again but by ourselves."""
    return [
        ("grpc.max_receive_message_length", _UNLIMITED),
        ("grpc.max_send_message_length", _UNLIMITED),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]


def credentials(trust: Trust) -> grpc.ChannelCredentials:
    def read(path: str | Path) -> bytes | None:
        return Path(path).read_bytes() if path else None

    chain = read(trust.cert)
    made: grpc.ChannelCredentials = grpc_module().ssl_channel_credentials(
        root_certificates=read(trust.ca),
        private_key=(read(trust.key) or chain) if chain else None,
        certificate_chain=chain,
    )
    return made


def metadata(options: CallOptions) -> tuple[tuple[str, str], ...]:
    return (*options.pairs, *inherited(options))


def failure_of(error: Any, address: Address) -> TiffinError:
    """The error of a failed call.

    Args:
        error: a `grpc.RpcError` with `code()`, `details()` and `trailing_metadata()`.
    """
    code = error.code().name
    details = error.details() or code
    trailing = {key: value for key, value in error.trailing_metadata() or ()}  # noqa: C416 - a tuple of pairs
    problem = trailing.get(PROBLEM)
    if problem is not None:
        retry_after = str(trailing.get("retry-after", ""))
        wait_s = float(retry_after) if retry_after.isdecimal() else None
        return from_problem(msgspec.json.decode(problem), retry_after_s=wait_s)
    if code == "UNAVAILABLE":
        sent = not any(words in details.lower() for words in _NEVER_CONNECTED)
        what = "lost" if sent else "cannot connect to"
        return ConnectionFailedError(f"{what} {address}: {details}", sent=sent)
    if code == "DEADLINE_EXCEEDED":
        return too_late()
    if code == "CANCELLED":
        return ConnectionFailedError(f"the call was cancelled: {details}", sent=True)
    return _KINDS.get(code, ServingError)(f"{code}: {details}")


_KINDS: dict[str, type[ServingError]] = {
    "NOT_FOUND": NotFoundRouteError,
    "UNIMPLEMENTED": NotFoundRouteError,
    "RESOURCE_EXHAUSTED": PayloadTooLargeError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
}


def not_ready() -> OverloadedError:
    return UnavailableError("the server is not ready")
