"""One api as a method: request message → arguments, result → reply message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError

from ....errors import InferenceError, InvalidInputError, MalformedInputError
from ...schema.kind import Buffer
from ...schema.wrong import WrongValueError
from ...service.api import ApiInfo
from .classes import read_slots
from .large_tensors import LARGE_BYTES, cut_tensor, reply_with
from .slot import Inner, Slot
from .tensors import TensorForm

MEDIA_TYPE = "application/grpc+proto"
_RESULT = 1
"""Number of the only field of a reply."""


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
        self._tensor: Any = None
        self._tensors = [
            (number, slot.key, slot.form)
            for number, slot in enumerate(slots, start=1)
            if isinstance(slot, Inner) and isinstance(slot.form, TensorForm)
        ]
        """Number, name and form of the parameters that are arrays."""
        stream = api.inputs.stream
        self._items = next((slot for slot in slots if stream and slot.key == stream.name), None)
        """The field of an input stream."""
        kinds = {name: each.array for name, each in api.inputs.parameters.items() if each.array is not None}
        self._arrays = kinds if len(kinds) == len(slots) else None
        """Of an api that takes nothing but arrays."""
        form = result.form if isinstance(result, Inner) else None
        self._tensor_result = form if isinstance(form, TensorForm) else None

    def bind(self, request: Any, reply: Any, tensor: Any) -> None:
        """The classes of both messages, and of tensors where the service has any."""
        self._request, self._reply, self._tensor = request, reply, tensor

    def decode(self, body: Buffer) -> dict[str, Any]:
        """A request message → keyword arguments, checked as JSON is.

        Raises:
            MalformedInputError: not such a message.
            InvalidInputError: wrong type, shape, dtype or range, or a field that is not known; `.path` says
                where.
        """
        plain = self._plain(body)
        if self._arrays is None:
            return self.api.inputs.from_plain(plain, "message")
        values = {}
        for name, value in plain.items():
            try:
                values[name] = None if value is None else self._arrays[name].from_plain(value)
            except WrongValueError as error:  # noqa: PERF203 - says where
                raise error.under(f"$.{name}") from error
        return self.api.inputs.completed(values)

    def begun(self, requests: AsyncIterator[bytes], body: Buffer) -> dict[str, Any]:
        """The same for the first message of an input stream, whose items come in others too.

        Args:
            requests: the others, while they come in.
        """
        plain = self._plain(body)
        arguments = self.api.inputs.from_plain(plain, "message")
        assert self._items is not None  # noqa: S101 - who asks has looked
        name = self._items.key
        return {**arguments, name: self._joined(arguments[name], len(plain[name]), requests)}

    async def _joined(
        self, first: AsyncIterator[Any], at: int, requests: AsyncIterator[bytes]
    ) -> AsyncIterator[Any]:
        async for item in first:
            yield item
        async for body in requests:
            for item in self._later(body, at):
                yield item
                at += 1

    def _later(self, body: Buffer, at: int) -> list[Any]:
        """The items of a message, whose first has the number `at`."""
        slot, stream = self._items, self.api.inputs.stream
        assert slot is not None and stream is not None  # noqa: S101 - as above
        message = self._parsed(body)
        for field, _ in message.ListFields():
            if field.name != slot.field:
                raise InvalidInputError("only the first message may have it", path=f"$.{field.name}")
        plain: dict[str, Any] = {}
        try:
            read_slots([slot], message, plain)
        except WrongValueError as error:
            raise error.under("$") from error
        return [stream.from_plain(item, number) for number, item in enumerate(plain[slot.key], at)]

    def _plain(self, body: Buffer) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        try:
            if len(body) >= LARGE_BYTES:
                body = self._without_tensors(body, plain)
            read_slots(self._slots, self._parsed(body), plain)
        except WrongValueError as error:
            raise error.under("$") from error
        return plain

    def _parsed(self, body: Buffer) -> Any:
        try:
            return self._request.FromString(body)
        except DecodeError as error:
            raise MalformedInputError(
                f"the bytes are no {self._request.DESCRIPTOR.full_name}, or it is nested too deeply"
            ) from error

    def _without_tensors(self, body: Buffer, into: dict[str, Any]) -> Buffer:
        """Reads the large tensors of a message; gives what is left of it."""
        for number, key, form in self._tensors:
            body, tensor, data = cut_tensor(body, number, self._tensor)
            if data is not None:
                try:
                    into[key] = form.read(tensor, data)
                except WrongValueError as error:
                    raise WrongValueError(error.message, f".{key}{error.at}") from error
        return body

    def __call__(self, value: Any) -> bytes:
        """A result, or an item of a stream → reply message; raises InferenceError when it does not fit."""
        try:
            return self._written(value)
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

    def _written(self, value: Any) -> bytes:
        if self._tensor_result is not None and getattr(value, "nbytes", 0) >= LARGE_BYTES:
            body = reply_with(self._tensor_result, value, _RESULT, self._tensor)
            if body is not None:
                return body
        message = self._reply()
        if self._result is not None:
            self._result.put(message, value)
        written: bytes = message.SerializeToString()
        return written
