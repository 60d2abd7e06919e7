"""What a TorchServe caller sends: the one thing that the model takes, in whatever form it is at hand.

A body by its media type, also without one (`curl -T`); JSON as the value itself, below `data` or `body`, as
`instances`, or as our own parameters; parts of a form called `data`, `body` or like a parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....errors import InvalidInputError, MalformedInputError
from ...schema import media
from ...schema.file import OCTETS
from ...schema.form import from_multipart, from_pairs
from ...schema.input_stream import NPY_MAGIC
from ...schema.wrong import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...schema.parameter import Parameter
    from ..json_calls import JsonCalls

ALIASES = ("data", "body")
_UNTOLD = ("", OCTETS, media.FORM)
"""Media types that say nothing: `curl -T` sends none, `curl -d` the last whatever it sends."""
_object_of = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Reader:
    """Reads the requests for one endpoint."""

    def __init__(self, calls: JsonCalls) -> None:
        self._inputs = calls.inputs
        self._instances = calls.instances
        parameters = calls.inputs.parameters
        required = [each for each in parameters.values() if each.required] or [*parameters.values()]
        self._only: Parameter | None = required[0] if len(required) == 1 else None
        """What a body without names is for."""
        aliases = {} if self._only is None else dict.fromkeys(ALIASES, self._only)
        self._named: Mapping[str, Parameter] = {**aliases, **parameters}

    def arguments(self, content_type: str, body: bytes, query: str) -> dict[str, Any]:
        """One call.

        Raises:
            RequestError: 400, 415 or 422, with the path to the bad value.
        """
        kind, options = media.content_type(content_type)
        if kind == media.MULTIPART:
            found = from_multipart(body, options.get("boundary", ""), self._named)
            return self._completed(found, query)
        if kind in _UNTOLD:
            return self._untold(body, query)
        if kind == media.JSON:
            return self._json(body, query)
        return self._inputs.decode(content_type, body, query)

    def rows(self, content_type: str, body: bytes) -> list[bytes] | None:
        """`{"instances": […]}` → the bodies of as many calls; None: it is of another form."""
        kind, _ = media.content_type(content_type)
        if kind not in (*_UNTOLD, media.JSON) or not self._instances.applies:
            return None
        return self._instances.read(body)

    def _untold(self, body: bytes, query: str) -> dict[str, Any]:
        only = self._only
        if only is not None and only.kind is not None and only.kind.any_part:
            try:
                value = only.kind.from_raw(body, OCTETS)
            except WrongValueError as error:
                raise error.under(only.path) from error
            return self._completed({only.name: value}, query)
        if only is not None and only.array is not None and body.startswith(NPY_MAGIC):
            return self._inputs.decode(media.NPY, body, query)
        if only is not None and only.text and not body.lstrip().startswith((b"{", b'"')):
            return self._inputs.decode(media.TEXT, body, query)
        if _is_form(body) and media.FORM in self._inputs.media_types:
            return self._inputs.decode(media.FORM, body, query)
        return self._json(body, query)

    def _json(self, body: bytes, query: str) -> dict[str, Any]:
        only, text = self._only, body.strip()
        if only is None or not text:
            return self._inputs.decode(media.JSON, body, query)
        if text.startswith(b"{"):
            try:
                given = _object_of.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return self._inputs.decode(media.JSON, body, query)  # says what is wrong
            if given.keys() & self._inputs.specs.keys() or not given:
                return self._inputs.decode(media.JSON, body, query)
            alias = next((name for name in ALIASES if name in given), None)
            if alias is not None and len(given) == 1:
                text = bytes(given[alias])
        return self._inputs.decode(media.JSON, _object({only.name: text}), query)

    def _completed(self, found: dict[str, Any], query: str) -> dict[str, Any]:
        """Aliases → the parameter that they stand for, defaults, the query."""
        values = dict(from_pairs(query, self._inputs.parameters)) if query else {}
        for sent, value in found.items():
            name = self._named[sent].name
            if name in values:
                raise InvalidInputError(f"`{name}` is there twice", path=f"$.{name}")
            values[name] = value
        return self._inputs.completed(values)


def _is_form(body: bytes) -> bool:
    name, equals, _ = body[:200].partition(b"=")
    return bool(equals) and name.decode("latin-1").isidentifier()


def _object(fields: dict[str, bytes]) -> bytes:
    try:
        return msgspec.json.encode({name: msgspec.Raw(value) for name, value in fields.items()})
    except msgspec.EncodeError as error:
        raise MalformedInputError(f"the body is no JSON: {error}") from error
