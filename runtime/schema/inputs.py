"""All parameters of one api, compiled once: a body of any accepted media type → keyword arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...errors import (
    InvalidInputError,
    MalformedInputError,
    RequestError,
    ServiceDefinitionError,
    UnsupportedMediaTypeError,
)
from ..manifest import TypeSpec
from . import media
from .described import body_schema, plain_defaults, title_of
from .explain import explain, locate
from .finite import check_finite
from .form import from_multipart, from_pairs
from .hints import parameters
from .input_stream import InputStream, as_list, streamed
from .kind import Buffer
from .links import Links
from .lower import dec_hook
from .numbers import SMALLEST_BYTES, NumberBody
from .packed import PackedBody
from .parameter import Parameter
from .raw import RawBody
from .wrong import WrongValueError

_NEVER_HEAVY_BYTES = 2**62

_PARSERS: dict[str, tuple[Callable[[Buffer], Any], str]] = {
    "": (msgspec.json.decode, "JSON"),
    media.JSON: (msgspec.json.decode, "JSON"),
    media.MSGPACK: (msgspec.msgpack.decode, "msgpack"),
}
_SAID_BY = {
    media.FORM: "; curl -d says so unless told -H 'content-type: application/json'",
    media.TEXT: "; fetch says so of a string unless told headers: {'content-type': 'application/json'}",
}
"""Who sends a media type that nobody has chosen."""


class Inputs:
    """The parameters of an api. Made by `Inputs.of`."""

    def __init__(self, found: list[Parameter], title: str, where: str) -> None:
        self.parameters = {parameter.name: parameter for parameter in found}
        self.names: tuple[str, ...] = tuple(self.parameters)
        self.specs: dict[str, TypeSpec] = {name: each.spec() for name, each in self.parameters.items()}
        self.defaults: dict[str, Any] = plain_defaults(found, where)
        """Parameter to default in plain JSON values, for those that have one."""
        self.title = title
        self._links = Links(self.parameters, where)
        self._json = msgspec.json.Decoder(self._record([each.json_type for each in found]), dec_hook=dec_hook)
        self._plain = self._record([each.plain for each in found])
        self._arrays = tuple(
            (each.name, each.array.from_list)
            for each in found
            if each.array is not None and each.array.list_type
        )
        self._numbers = NumberBody.of(found)
        self._packed = PackedBody.of(found)
        self._fields = tuple((each.name, each.fields) for each in found if each.fields is not None)
        self._empty_is_fine = all(not each.required for each in found)
        self._raw = RawBody.of(found)
        self.stream: InputStream | None = None
        """The parameter hinted `AsyncIterator[T]`; in all other attributes it is the list of its items."""
        self._doors = self._make_doors()
        self.media_types = self._media_types(found)
        self.heavy_bytes = min((each.heavy_bytes for each in found), default=_NEVER_HEAVY_BYTES)
        """From this size on a body should be decoded in a thread, to spare the event loop: it takes half a
        millisecond or more. Arrays of numbers in JSON are read in pieces then, and npy, msgpack arrays,
        images and tables let other threads run; one large text of other JSON holds the interpreter lock."""

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, where: str, namespace: Mapping[str, Any] | None = None
    ) -> Inputs:
        """Compiles the hints of `function`.

        Args:
            function: the method; `self` is skipped.
            where: `service.py:12 Iris.classify`, for errors.
            namespace: local names that postponed hints may use.

        Raises:
            ServiceDefinitionError: a missing or unsupported hint, `*args`, `**kwargs`.
        """
        hints = parameters(function, where, namespace)
        streams = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        stream = streamed(hints, where, is_async=streams)
        hints = [as_list(hinted) if hinted is stream else hinted for hinted in hints]
        inputs = cls([Parameter(hinted, where) for hinted in hints], title_of(function), where)
        if stream is not None:
            inputs.stream = InputStream(stream, where)
            others = [Parameter(hinted, where) for hinted in hints if hinted.name != stream.name]
            inputs.stream.rest = cls(others, inputs.title, where)
            inputs.media_types = (*inputs.media_types, media.NDJSON)
        return inputs

    def _record(self, kinds: list[Any]) -> Any:
        fields = [each.field(kind) for each, kind in zip(self.parameters.values(), kinds, strict=True)]
        try:
            return msgspec.defstruct(self.title, fields, forbid_unknown_fields=True, kw_only=True)
        except (TypeError, ValueError) as error:
            raise ServiceDefinitionError(f"{self.title}: {error}") from error

    def _media_types(self, found: list[Parameter]) -> tuple[str, ...]:
        types = [media.JSON, media.MSGPACK]
        if found:
            types.append(media.MULTIPART)
            if all(each.scalar or each.scalars or not each.required for each in found):
                types.append(media.FORM)
        if self._raw is not None:
            types.extend(self._raw.media_types)
        return tuple(dict.fromkeys(types))

    def decode_json(self, body: Buffer) -> dict[str, Any]:
        """A JSON body → keyword arguments. The hot path.

        Raises:
            MalformedInputError: not JSON.
            InvalidInputError: wrong type, shape, dtype or range; `.path` says where.
        """
        if self._numbers is not None and len(body) >= SMALLEST_BYTES:
            read = self._numbers.read(body)
            if read is not None:
                return self._checked(read)
        try:
            record = self._json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if len(body):
                raise self._refused(error, body) from error
            if self._empty_is_fine:
                return self._filled({})
            raise self._empty() from None
        values = msgspec.structs.asdict(record)
        if self._fields:
            self._settle(values, msgspec.json.decode(body))
        for name, from_list in self._arrays:
            value = values[name]
            if type(value) is list:
                try:
                    values[name] = from_list(value)
                except WrongValueError as error:
                    raise error.under(f"$.{name}") from error
        return self._checked(values)

    def _empty(self) -> MalformedInputError:
        names = ", ".join(f"`{name}`" for name, each in self.parameters.items() if each.required)
        return MalformedInputError(f"the body is empty; send a JSON object with {names}")

    def _refused(self, error: Exception, body: Buffer) -> RequestError:
        """A type error may stand in front of broken JSON: only what parses to its end is called invalid."""
        if isinstance(error, UnicodeDecodeError):
            try:
                bytes(body).decode()
            except UnicodeDecodeError as exact:  # msgspec counts from the start of the string
                return explain(exact, self.names)
        if not isinstance(error, msgspec.ValidationError):
            return explain(error, self.names)
        try:
            value = msgspec.json.decode(body)
        except msgspec.ValidationError:
            return explain(error, self.names)  # a number out of range: JSON's grammar allows it
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            return explain(broken, self.names)
        kind = self._json.type
        at = locate(error, value, lambda plain: msgspec.convert(plain, kind, dec_hook=dec_hook))
        return explain(error, self.names, at=at, hint=kind)

    def decode(self, content_type: str, body: Buffer, query: str = "") -> dict[str, Any]:
        """A body of any accepted media type, and the query → keyword arguments.

        Args:
            content_type: the header; empty means JSON.
            body: the whole body.
            query: what stands behind the `?`, percent-encoded; fills scalar parameters.

        Raises:
            MalformedInputError: not what its media type says.
            InvalidInputError: wrong type, shape, dtype or range; `.path` says where.
            UnsupportedMediaTypeError: not one of `media_types`.
        """
        if not query:
            door = self._doors.get(content_type)
            values = None if door is None else door(body)
            if values is not None:
                return values
        kind, options = media.content_type(content_type)
        if kind in ("", media.JSON):
            self._check_charset(options)
            if not query:
                return self.decode_json(body)
        given = from_pairs(query, self.parameters) if query else {}
        return self.completed(self._body(kind, options, body, given))

    def _make_doors(self) -> dict[str, Callable[[Buffer], dict[str, Any] | None]]:
        """What reads a body by its bare content type, when there is no query; None: take the general way."""
        doors: dict[str, Callable[[Buffer], dict[str, Any] | None]] = {}
        raw, packed = self._raw, self._packed
        if raw is not None and raw.takes(media.NPY):
            doors[media.NPY] = lambda body: self.completed(raw.read(body, media.NPY, {}))
        if packed is not None:

            def unpack(body: Buffer) -> dict[str, Any] | None:
                values = packed.read(body)
                return None if values is None else self._checked(values)

            doors[media.MSGPACK] = unpack
        aliases = {alias: doors[name] for alias, name in media.ALIASES.items() if name in doors}
        return {**aliases, **doors, media.JSON: self.decode_json}

    def _body(
        self, kind: str, options: dict[str, str], body: Buffer, query: dict[str, Any]
    ) -> dict[str, Any]:
        if not len(body) and (query or not self.names):
            return self._filled(query)
        if kind in _PARSERS:
            return self._from_plain(*_PARSERS[kind], body, query)
        if kind == media.MULTIPART:
            return self._merged(from_multipart(body, options.get("boundary", ""), self.parameters), query)
        if kind == media.FORM and media.FORM in self.media_types:
            return self._merged(from_pairs(body, self.parameters), query)
        if self.stream is not None and kind == media.NDJSON:
            return self._merged({self.stream.name: self.stream.from_lines(body)}, query)
        if self._raw is not None and self._raw.takes(kind):
            return self._merged(self._raw.read(body, kind, options), query)
        raise UnsupportedMediaTypeError(
            f"this route does not take {kind[:100]!r}{_SAID_BY.get(kind, '')}; "
            f"send one of: {', '.join(self.media_types)}"
        )

    def _from_plain(
        self, parse: Callable[[Buffer], Any], what: str, body: Buffer, query: dict[str, Any]
    ) -> dict[str, Any]:
        """The careful way: parse to the end first, so that what is malformed is never called invalid."""
        try:
            plain = parse(body)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            ValueError,
            TypeError,
            OverflowError,
        ) as error:
            raise explain(error, self.names, what) from error
        if not isinstance(plain, dict):
            raise InvalidInputError(
                f"expected an object of parameters, got `{type(plain).__name__}`", path="$"
            )
        return self._converted(self._merged(plain, query), what, plain if what == "msgpack" else {})

    def from_plain(self, given: dict[str, Any], what: str) -> dict[str, Any]:
        """The parameters as another protocol decoded them → keyword arguments.

        Args:
            given: None, numbers, strings, bytes, lists and maps; arrays, images and files as they are.
            what: the protocol, for errors.

        Raises:
            InvalidInputError: wrong type, shape, dtype or range; `.path` says where.
            MalformedInputError: nested too deeply.
        """
        return self.completed(self._converted(given, what, given))

    def _converted(self, given: dict[str, Any], what: str, may_have_nan: dict[str, Any]) -> dict[str, Any]:
        try:
            record = msgspec.convert(given, self._plain, dec_hook=dec_hook)
        except (msgspec.ValidationError, RecursionError) as error:
            if not isinstance(error, msgspec.ValidationError):
                raise explain(error, self.names, what) from error
            at = locate(error, given, lambda value: msgspec.convert(value, self._plain, dec_hook=dec_hook))
            raise explain(error, self.names, what, at, self._plain) from error
        for name, value in may_have_nan.items():
            if not self.parameters[name].may_be_nan:
                check_finite(value, f"$.{name}")
        values = msgspec.structs.asdict(record)
        self._settle(values, given)
        return values

    def _settle(self, values: dict[str, Any], plain: dict[str, Any]) -> None:
        for name, fields in self._fields:
            if name in plain:
                fields.settle(values[name], plain[name], f"$.{name}")

    def _merged(self, body: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        """Both together; the same name in both is refused rather than guessed at."""
        for name in query:
            if name in body:
                raise InvalidInputError(f"`{name}` is in the body and in the query", path=f"$.{name}")
        return {**body, **query}

    def _filled(self, given: dict[str, Any]) -> dict[str, Any]:
        """Puts the defaults in, in the order of the parameters.

        Raises:
            InvalidInputError: a required one is missing.
        """
        values = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = given[name]
            elif parameter.required:
                raise InvalidInputError(f"missing field `{name}`", path=f"$.{name}")
            else:
                values[name] = parameter.fresh_default()
        return values

    def completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Values of the right types → all arguments of the call, in the order of the parameters.

        Raises:
            InvalidInputError: a required one is missing, or sizes do not agree.
        """
        return self._checked(self._filled(given))

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        """Sizes that must agree across parameters; what the api itself gets."""
        if self._links.any:
            self._links.check(values)
        if self.stream is not None:
            values[self.stream.name] = self.stream.from_list(values[self.stream.name])
        return values

    def _check_charset(self, options: dict[str, str]) -> None:
        charset = options.get("charset", "utf-8").lower()
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaTypeError(f"JSON in charset {charset[:40]!r} is not taken; send UTF-8")

    def json_schema(self, components: dict[str, Any]) -> dict[str, Any]:
        """JSON Schema of the JSON body; definitions go to `components` (`#/components/schemas/…`)."""
        return body_schema(self.title, self.parameters, self.defaults, components)
