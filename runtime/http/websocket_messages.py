"""What goes over a WebSocket: how messages become calls, and results, items and errors become messages.

A message from the caller is the body of one call: JSON as text, msgpack or npy as binary. Keys that begin
with `$` are for the connection; no parameter can have such a name:

    {"$id": 7, …}            this call may run beside others, and its answers carry the id
    {"$id": 7, "$item": …}   an item of the call's input stream; without an id of the one that came last
    {"$end": true}           the input stream is over
    {"$cancel": true}        the call is not wanted any more

The server's messages are objects of the same form (text for JSON, binary for msgpack) with one of `result`,
`item`, `end`, `error` (the problem document), `cancelled`, and `id` where the call had one. Without an id,
`bytes` and, after npy, arrays come as binary messages as they are.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...errors import InvalidInputError, MalformedInputError
from ..schema import media
from ..schema.array import ArrayKind
from ..schema.file import BytesKind
from ..schema.input_stream import NPY_MAGIC

if TYPE_CHECKING:
    from ..schema.outputs import Encoder, Output

Id = int | str
MAX_ID_CHARS = 64


class Form(Enum):
    """How a message is written; the answers to it are written the same."""

    JSON = media.JSON
    MSGPACK = media.MSGPACK
    NPY = media.NPY

    @classmethod
    def of(cls, data: bytes, *, text: bool) -> Form:
        if text:
            return cls.JSON
        return cls.NPY if data.startswith(NPY_MAGIC) else cls.MSGPACK


class Said(NamedTuple):
    """One message, read."""

    form: Form
    body: bytes
    """Parameters of a call; without the keys for the connection."""
    id: Id | None = None
    item: bytes | None = None
    """JSON or msgpack of an item."""
    end: bool = False
    cancel: bool = False


_WORDS = ("$id", "$item", "$end", "$cancel")
_objects: dict[Form, Any] = {
    Form.JSON: msgspec.json.Decoder(dict[str, msgspec.Raw]),
    Form.MSGPACK: msgspec.msgpack.Decoder(dict[str, msgspec.Raw]),
}
_encoders: dict[Form, Any] = {Form.JSON: msgspec.json.encode, Form.MSGPACK: msgspec.msgpack.encode}
_decoders: dict[Form, Any] = {Form.JSON: msgspec.json.decode, Form.MSGPACK: msgspec.msgpack.decode}


def read(data: bytes, *, text: bool) -> Said:
    """One message of the caller.

    Raises:
        MalformedInputError: words for the connection that make no sense.
    """
    form = Form.of(data, text=text)
    if form is Form.NPY or b"$" not in data:
        return Said(form, data)
    try:
        fields: dict[str, msgspec.Raw] = _objects[form].decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Said(form, data)  # the api's own decoder says what is wrong with it
    words = {name: fields.pop(name) for name in list(fields) if name.startswith("$")}
    if not words:
        return Said(form, data)
    return _said(form, _encoders[form](fields), words)


def names(said: Said, parameter: str) -> bool:
    """Whether the body of a call has that parameter."""
    if parameter.encode() not in said.body:
        return False
    try:
        return parameter in _objects[said.form].decode(said.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _said(form: Form, body: bytes, words: dict[str, msgspec.Raw]) -> Said:
    for name in words:
        if name not in _WORDS:
            raise InvalidInputError(
                f"unknown word {name[:80]!r}: a WebSocket knows {', '.join(_WORDS)}", path=f"$.{name[:80]}"
            )
    item = words.get("$item")
    return Said(
        form,
        body,
        id=_id(form, words["$id"]) if "$id" in words else None,
        item=bytes(item) if item is not None else None,
        end=_flag(form, words, "$end"),
        cancel=_flag(form, words, "$cancel"),
    )


def _id(form: Form, raw: msgspec.Raw) -> Id:
    found = _value(form, raw)
    too_large = not -(2**63) <= found < 2**63 if isinstance(found, int) else len(str(found)) > MAX_ID_CHARS
    if isinstance(found, bool) or not isinstance(found, (int, str)) or too_large:
        raise InvalidInputError(
            f"an id is a whole number of 64 bits or up to {MAX_ID_CHARS} characters", path="$.$id"
        )
    return found


def _value(form: Form, raw: msgspec.Raw) -> Any:
    """None where it is none: what is kept raw was not looked at."""
    try:
        return _decoders[form](raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _flag(form: Form, words: dict[str, msgspec.Raw], name: str) -> bool:
    if name not in words:
        return False
    if _value(form, words[name]) is not True:
        raise MalformedInputError(f"{name} is written {name}: true", path=f"$.{name}")
    return True


class Envelopes:
    """Writes the server's messages of one call.

    Args:
        form: of the request.
        id: that the caller gave it.
    """

    def __init__(self, form: Form, id: Id | None) -> None:  # noqa: A002 - as the message calls it
        self.text = form is Form.JSON
        self._form = Form.JSON if self.text else Form.MSGPACK
        encode = _encoders[self._form]
        head = b"" if id is None else encode({"id": id})
        if self.text:
            self._head = head[:-1] + b"," if head else b"{"
        else:
            self._head = b"\x82" + head[1:] if head else b"\x81"  # a map of two entries, or one

    def item(self, data: bytes) -> bytes:
        return self._wrapped("item", data)

    def result(self, data: bytes) -> bytes:
        return self._wrapped("result", data)

    def end(self) -> bytes:
        return self._wrapped("end", _encoders[self._form]({}))

    def cancelled(self) -> bytes:
        return self._wrapped("cancelled", _encoders[self._form]({}))

    def error(self, problem: bytes) -> bytes:
        """`problem`: the document, JSON."""
        if not self.text:
            problem = msgspec.msgpack.encode(msgspec.json.decode(problem))
        return self._wrapped("error", problem)

    def _wrapped(self, name: str, data: bytes) -> bytes:
        key: bytes = _encoders[self._form](name)
        head: bytes = self._head
        return b"%b%b:%b}" % (head, key, data) if self.text else head + key + data


class Writer(NamedTuple):
    """How results, or items, of one api are written for one form of request."""

    encode: Encoder
    bare: bool
    """As a binary message of its own, without an envelope."""


def writer(output: Output, form: Form, id: Id | None) -> Writer:  # noqa: A002
    """`id`: of the call; what is bare cannot carry one."""
    if id is None and form is not Form.MSGPACK and isinstance(output.kind, BytesKind):
        return Writer(output.encoder_of("application/octet-stream"), bare=True)
    if id is None and form is Form.NPY and isinstance(output.kind, ArrayKind):
        return Writer(output.encoder_of(media.NPY), bare=True)
    return Writer(output.encoder_of(media.JSON if form is Form.JSON else media.MSGPACK), bare=False)
