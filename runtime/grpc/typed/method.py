"""One api as a method: request message → arguments, result → reply message."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from ....errors import InferenceError, MalformedInputError
from ...schema.kind import Buffer
from ...schema.wrong import WrongValueError
from ...service.api import ApiInfo
from .classes import read_slots
from .slot import Slot

MEDIA_TYPE = "application/grpc+proto"


class TypedMethod:
    """What is compiled of one api.

    Args:
        api: the api.
        name: of the method.
        slots: fields of the request, one a parameter.
        result: the field of the reply; None when the api gives nothing.
    """

    media_type = MEDIA_TYPE
    varies = False
    """Every answer has that media type."""

    def __init__(self, api: ApiInfo, name: str, slots: list[Slot], result: Slot | None) -> None:
        self.api = api
        self.name = name
        self._slots = slots
        self._result = result
        self._request: Any = None
        self._reply: Any = None

    def bind(self, request: Any, reply: Any) -> None:
        """The classes of both messages."""
        self._request, self._reply = request, reply

    def decode(self, body: Buffer) -> dict[str, Any]:
        """A request message → keyword arguments, checked as JSON is.

        Raises:
            MalformedInputError: not such a message.
            InvalidInputError: wrong type, shape, dtype or range, or a field that is not known; `.path` says
                where.
        """
        try:
            message = self._request.FromString(body)
        except DecodeError as error:
            raise MalformedInputError(
                f"the bytes are no {self._request.DESCRIPTOR.full_name}, or it is nested too deeply"
            ) from error
        plain: dict[str, Any] = {}
        try:
            read_slots(self._slots, message, plain)
        except WrongValueError as error:
            raise error.under("$") from error
        return self.api.inputs.from_plain(plain, "message")

    def __call__(self, value: Any) -> bytes:
        """A result, or an item of a stream → reply message; raises InferenceError when it does not fit."""
        message = self._reply()
        try:
            if self._result is not None:
                self._result.put(message, value)
            body: bytes = message.SerializeToString()
        except Exception as error:  # the user's objects may raise anything while they are read
            text = str(error)
            if isinstance(error, WrongValueError):
                text = error.message + (f" at {error.at}" if error.at else "")
            elif isinstance(error, RecursionError):
                text = "it contains itself, or is nested too deeply"
            raise InferenceError(
                f"{self.api.output.title} returned a {type(value).__name__} that cannot be sent: {text}",
                remote_type=type(error).__name__,
            ) from error
        return body
