"""Every error that tiffin raises on purpose.

    TiffinError
    ├── UsageError                     the caller's code or command is wrong; nothing was changed (exit 2)
    │   ├── ServiceDefinitionError     a @service, @api, runner() or @batch that cannot work
    │   ├── ConfigError                a bundlefile, option or environment variable
    │   └── InvalidTagError            a name or name:version that breaks the grammar
    ├── MissingDependencyError         an optional package is not installed; names the pip command
    ├── StoreError                     the store could not be read or written (full disk, permissions)
    │   ├── NotFoundError              no such model or bundle; names the nearest
    │   └── AlreadyExistsError         that tag is taken
    ├── ModelError                     a model could not be saved, loaded or called
    ├── BuildError                     a bundle could not be made
    │   └── SecretFoundError           a file that looks like a secret would have gone into a bundle
    ├── ImageError                     a container image could not be built, written, pushed or run
    │   └── NoEngineError              no container engine answers; says what each of them said
    ├── IntegrityError                 bytes are not what their digest says
    │   ├── SignatureError             nobody who is trusted signed the bundle, or it was changed since
    │   └── UnsafeArchiveError         an archive that writes outside, expands without bound, or carries links
    ├── ServerError                    a server could not start or keep running
    ├── ConnectionFailedError          a client did not reach its server, or lost it before the answer
    └── ServingError                   one request failed; has an HTTP status
        ├── RequestError               400…499: the caller can mend it
        │   ├── MalformedInputError    400  not JSON, not npy, broken multipart …
        │   ├── UnauthorizedError      401  no token, or one that is not known or has expired
        │   ├── ForbiddenError         403  a token without the scope that this needs
        │   ├── NotFoundRouteError     404
        │   ├── MethodNotAllowedError  405
        │   ├── NotAcceptableError     406
        │   ├── PayloadTooLargeError   413
        │   ├── UnsupportedMediaTypeError 415
        │   └── InvalidInputError      422  well-formed, but wrong type, shape, dtype or range; has a path
        ├── InferenceError             500  the user's code raised; has the remote class name
        ├── ResultMismatchError        500  a batch came back with the wrong number of rows
        ├── PoisonRequestError         500  this request ended two workers
        ├── WorkerCrashedError         500  the worker died and the request may not be retried
        ├── OutOfMemoryError           503  the worker had not enough memory for the call, and lives
        ├── WireError                  500  a frame between processes is malformed
        ├── OverloadedError            503  refused before any work; has retry_after_s
        ├── UnavailableError           503  no worker is up, or the server is stopping; has retry_after_s
        └── DeadlineExceededError      504

A message says what is wrong, where, and how to mend it. Services may raise any `RequestError` themselves.
"""

from __future__ import annotations

from typing import ClassVar


class TiffinError(Exception):
    """Root of the tree."""

    exit_code: ClassVar[int] = 1
    """What the command line exits with."""


class UsageError(TiffinError):
    exit_code = 2


class ServiceDefinitionError(UsageError):
    pass


class ConfigError(UsageError):
    pass


class InvalidTagError(UsageError):
    pass


class MissingDependencyError(TiffinError, ImportError):
    """An optional package is not installed.

    Args:
        package: the import name that is missing.
        extra: the extra of `tiffin` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; install it with: pip install 'tiffin[{extra}]'")
        self.package = package
        self.extra = extra


class StoreError(TiffinError):
    pass


class NotFoundError(StoreError):
    pass


class AlreadyExistsError(StoreError):
    pass


class ModelError(TiffinError):
    pass


class BuildError(TiffinError):
    pass


class SecretFoundError(BuildError):
    pass


class ImageError(TiffinError):
    pass


class NoEngineError(ImageError):
    pass


class IntegrityError(TiffinError):
    pass


class SignatureError(IntegrityError):
    pass


class UnsafeArchiveError(IntegrityError):
    pass


class ServerError(TiffinError):
    pass


class ConnectionFailedError(TiffinError):
    """A client did not reach its server, or lost it before the whole answer was there.

    Args:
        message: says which server, and what the system said.
        sent: whether the server may have had the whole request, and computed it.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class ServingError(TiffinError):
    """One request failed.

    Args:
        message: for the caller; no traceback, no paths of the server.
        path: where in the input, as `$.flowers[0]`; empty when the whole is meant.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    request_id: str = ""
    """Finds it in the server's log; set by a client that was told of the error."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class RequestError(ServingError):
    status = 400
    title = "Bad request"


class MalformedInputError(RequestError):
    title = "Malformed input"


class UnauthorizedError(RequestError):
    """The caller did not say who it is, or nobody knows it.

    Args:
        challenge: value of the `WWW-Authenticate` header: `Bearer`, and what is wrong (RFC 6750).
    """

    status = 401
    title = "Unauthorized"

    def __init__(self, message: str, *, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class ForbiddenError(RequestError):
    """The caller is known, and may not do this.

    Args:
        challenge: as for `UnauthorizedError`; empty when another token would not help.
    """

    status = 403
    title = "Forbidden"

    def __init__(self, message: str, *, challenge: str = "") -> None:
        super().__init__(message)
        self.challenge = challenge


class NotFoundRouteError(RequestError):
    status = 404
    title = "Not found"


class MethodNotAllowedError(RequestError):
    status = 405
    title = "Method not allowed"


class NotAcceptableError(RequestError):
    status = 406
    title = "Not acceptable"


class PayloadTooLargeError(RequestError):
    status = 413
    title = "Payload too large"


class UnsupportedMediaTypeError(RequestError):
    status = 415
    title = "Unsupported media type"


class InvalidInputError(RequestError):
    status = 422
    title = "Invalid input"


class InferenceError(ServingError):
    """The user's code raised in an api or a worker.

    Args:
        message: text of the original exception.
        remote_type: class name of the original exception, `ValueError`.
        traceback: its formatted traceback, for the log only.
    """

    title = "Inference failed"

    def __init__(self, message: str, *, remote_type: str = "Exception", traceback: str = "") -> None:
        super().__init__(message)
        self.remote_type = remote_type
        self.traceback = traceback


class ResultMismatchError(ServingError):
    title = "Wrong number of rows in the result"


class PoisonRequestError(ServingError):
    title = "Request refused: it ended two workers"


class WorkerCrashedError(ServingError):
    title = "Worker crashed"


class OutOfMemoryError(ServingError):
    status = 503
    title = "Out of memory"


class WireError(ServingError):
    title = "Malformed frame"


class OverloadedError(ServingError):
    """Refused before any work was done.

    Args:
        retry_after_s: seconds after which a retry may succeed; rounded up for the header.
    """

    status = 503
    title = "Overloaded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(OverloadedError):
    title = "Unavailable"


class DeadlineExceededError(ServingError):
    status = 504
    title = "Deadline exceeded"
