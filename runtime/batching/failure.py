"""The exceptions that callers get."""

from __future__ import annotations

from ... import errors
from ...errors import (
    DeadlineExceededError,
    InferenceError,
    OverloadedError,
    PoisonRequestError,
    RequestError,
    ServingError,
    UnavailableError,
    WireError,
    WorkerCrashedError,
)
from ..wire.messages import Failure


def error_of(failure: Failure) -> ServingError:
    """The like of what was raised in the worker.

    A class of the tree below `ServingError` comes back as itself; a subclass of `RequestError` that the user
    made keeps its name, status and title; all else is an `InferenceError`.
    """
    kind = getattr(errors, failure.type, None)
    if isinstance(kind, type) and issubclass(kind, ServingError) and kind is not InferenceError:
        if issubclass(kind, OverloadedError):
            return kind(failure.message, retry_after_s=failure.retry_after_s or 1.0)
        return kind(failure.message, path=failure.path)
    if 400 <= failure.status < 500:
        return _request_error(failure)
    return InferenceError(failure.message, remote_type=failure.type, traceback=failure.traceback)


def _request_error(failure: Failure) -> RequestError:
    kind = type(failure.type, (RequestError,), {"status": failure.status, "title": failure.title})
    made: RequestError = kind(failure.message, path=failure.path)
    return made


def unsendable(error: Exception) -> ServingError:
    """Rows that could not be put together or packed."""
    if isinstance(error, ServingError):
        return error
    return WireError(f"the arguments cannot be sent to a worker: {type(error).__name__}: {error}")


def crashed(runner: str, reason: str) -> WorkerCrashedError:
    return WorkerCrashedError(
        f"the worker of runner {runner!r} ended ({reason}) and the call may not be repeated"
    )


def never_begun(runner: str, losses: int, reason: str) -> WorkerCrashedError:
    return WorkerCrashedError(
        f"{losses} times the worker of runner {runner!r} that was given this call was lost before it began "
        f"({reason}); its log says more"
    )


def poison(runner: str) -> PoisonRequestError:
    return PoisonRequestError(
        f"two workers of runner {runner!r} ended while they ran this request; it is not tried again"
    )


def known_poison(runner: str, left_s: float) -> PoisonRequestError:
    return PoisonRequestError(
        f"two workers of runner {runner!r} ended while they ran an equal request; it is not tried again for "
        f"{left_s:.0f} s"
    )


def stopping() -> UnavailableError:
    return UnavailableError("the server is stopping; try again")


def nobody(runner: str) -> UnavailableError:
    return UnavailableError(f"runner {runner!r} has no worker now, and none came in time; try again")


def late(runner: str, waited_s: float, *, sent: bool) -> DeadlineExceededError:
    where = "running in" if sent else "waiting for a worker of"
    return DeadlineExceededError(f"the deadline passed after {waited_s:.3g} s {where} runner {runner!r}")
