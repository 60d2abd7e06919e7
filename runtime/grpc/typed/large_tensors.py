"""Tensors of many bytes, in and out of messages without the copies that a parser makes.

On the wire a tensor is a field of the request or reply, and its elements are a field of the tensor; both may
be cut out and put in by themselves (see `wire`).
"""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.message import DecodeError

from ....errors import MalformedInputError
from ...schema.array import compact
from ...schema.kind import Buffer
from .. import wire
from .tensors import DATA, TEXT_KINDS, TensorForm

LARGE_BYTES = 16 * 1024
"""Smaller messages are sooner parsed as a whole."""


def cut_tensor(body: Buffer, number: int, tensor: Any) -> tuple[Buffer, Any, memoryview | None]:
    """Takes the tensor in field `number` out of a message.

    Args:
        body: of the message.
        tensor: class of its message.

    Returns:
        The rest of the body, the tensor without its elements, and these; or the body as it was, None and
        None where there is no such tensor, or one whose elements are in lists.
    """
    try:
        rest, found = _cut(memoryview(body), number)
        if len(found) == 1:
            small, data = _cut(found[0], DATA)
            if len(data) == 1:
                return rest, tensor.FromString(small), data[0]
    except (MalformedInputError, DecodeError):
        pass  # no message, or one of very many fields: the parser of the whole decides
    return body, None, None


def _cut(body: memoryview, number: int) -> tuple[bytes, list[memoryview]]:
    rest, spans = wire.cut_out(cast(bytes, body), number)  # which only looks into it
    return rest, [body[begin:end] for begin, end in spans]


def reply_with(form: TensorForm, value: Any, number: int, tensor: Any) -> bytes | None:
    """A message with nothing but the tensor `value` in field `number`; None when its elements are text.

    Raises:
        WrongValueError: it does not fit the hint.
    """
    array = form.array_of(value)
    if array.dtype.kind in TEXT_KINDS:
        return None
    found = compact(array)
    data = found["data"]
    head = tensor(dtype=found["dtype"], shape=found["shape"]).SerializeToString() + wire.key(DATA, len(data))
    return b"".join((wire.key(number, len(head) + len(data)), head, data))
