"""The result of one api: result → body of the media type that the caller prefers."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from ...errors import InferenceError, ServiceDefinitionError
from ..manifest import TypeSpec
from . import dataframe, encode, image, media, npy
from .array import ArrayKind
from .file import OCTETS, BytesKind, File, FileKind
from .hints import returned
from .json_schema import schema_in
from .kind import Kind, Marker
from .lower import UnsupportedHintError, lower
from .parameter import spec_of, without_none
from .tensor import is_tensor
from .wrong import WrongValueError

_STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)
_SYNC_STREAMS = (collections.abc.Iterator, collections.abc.Generator)
_MAX_CACHED_ACCEPTS = 256
_ANY = "*/*"

_OFFERED: tuple[tuple[type[Kind], tuple[str, ...]], ...] = (
    (ArrayKind, (media.JSON, media.MSGPACK, media.NPY)),
    (dataframe.DataFrameKind, (media.JSON, media.MSGPACK, dataframe.CSV)),
    (image.ImageKind, (*image.OUT_MEDIA, media.JSON, media.MSGPACK)),
    (BytesKind, (OCTETS, media.JSON, media.MSGPACK)),
    (FileKind, (_ANY, media.JSON, media.MSGPACK)),
)

Body = bytes | memoryview


class Encoder:
    """Encodes results (or items of a stream) as one media type.

    Args:
        media_type: for the `Content-Type` header.
        function: result → body.
        is_file: the result is a `File`, which brings its own media type.
        or_null: the hint allows None and `media_type` has no form for it: None is sent as JSON's `null`.
    """

    __slots__ = ("_function", "_or_null", "media_type", "varies")

    def __init__(
        self,
        media_type: str,
        function: Callable[[Any], Body],
        *,
        is_file: bool = False,
        or_null: bool = False,
    ) -> None:
        self.media_type = media_type
        self._function = function
        self._or_null = or_null
        self.varies = is_file or or_null
        """Whether `media_type_of` and `Output.extra_headers` must be asked for each result."""

    def __call__(self, value: Any) -> Body:
        """Raises InferenceError when the result does not fit the api's hint, or has no such form."""
        if value is None and self._or_null:
            return b"null"
        return self._function(value)

    def media_type_of(self, value: Any) -> str:
        """The `Content-Type` for this result, when the encoder `varies`."""
        if value is None and self._or_null:
            return media.JSON
        if isinstance(value, File) and self.media_type == OCTETS and _is_header(value.media_type):
            return value.media_type
        return self.media_type


def _is_header(text: str) -> bool:
    """Line breaks would let a result write headers of its own."""
    return bool(text) and text.isascii() and text.isprintable()


class Output:
    """The result of an api. Made by `Output.of`."""

    def __init__(self, hint: Any, *, stream: bool, title: str) -> None:
        self.hint = hint
        self.stream = stream
        self.title = title
        inner, self._optional = without_none(hint)
        self.kind: Kind | None = inner.kind if isinstance(inner, Marker) else None
        self.spec: TypeSpec = spec_of(hint)
        self._array = self.kind if isinstance(self.kind, ArrayKind) else None
        self.media_types = self._offered(inner)
        self._encoders: dict[str, Encoder] = {}
        self.encode_json: Callable[[Any], bytes] = self._json if self._array is None else self._json_array
        """A result → JSON; the hot path. Raises InferenceError when it does not fit."""
        self._by_media = {name: self._make(name) for name in self.media_types}

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, where: str, namespace: Mapping[str, Any] | None = None
    ) -> Output:
        """Compiles the hint behind `->`.

        Args:
            function: the method. Async generators (`-> AsyncIterator[T]`) stream.
            where: `service.py:12 Iris.classify`, for errors.
            namespace: local names that a postponed hint may use.

        Raises:
            ServiceDefinitionError: no hint, an unsupported one, or a generator whose hint is none.
        """
        hint = returned(function, where, namespace)
        origin = typing.get_origin(hint) or hint
        generates = inspect.isasyncgenfunction(inspect.unwrap(function))
        stream = origin in _STREAMS
        if origin in _SYNC_STREAMS:
            raise ServiceDefinitionError(
                f"{where}: a plain generator would block the server; write `async def` with `yield` and "
                "-> AsyncIterator[...]"
            )
        if generates != stream:
            raise ServiceDefinitionError(
                f"{where}: an async generator needs the result hint AsyncIterator[...]"
                if generates
                else f"{where}: the result hint says it streams; make it `async def` with `yield`"
            )
        if stream:
            arguments = typing.get_args(hint)
            hint = arguments[0] if arguments else Any
        try:
            lowered = lower(_python_scalar(hint))
        except UnsupportedHintError as error:
            raise ServiceDefinitionError(f"{where}: the result: {error}") from error
        # Callers read the title in errors: it must not name files of the server.
        return cls(lowered, stream=stream, title=getattr(function, "__qualname__", "the api"))

    def _offered(self, inner: Any) -> tuple[str, ...]:
        """Media types, the default first."""
        if self.stream:
            return (OCTETS,) if isinstance(self.kind, BytesKind) else (media.EVENTS,)
        if inner is str:
            return (media.JSON, media.TEXT, media.MSGPACK)
        found = (offered for kind, offered in _OFFERED if isinstance(self.kind, kind))
        return next(found, (media.JSON, media.MSGPACK))

    def encoder(self, accept: str) -> Encoder:
        """The encoder for an `Accept` header; empty means anything.

        Raises:
            NotAcceptableError: none of `media_types` will do.
        """
        found = self._encoders.get(accept)
        if found is None:
            found = self._by_media[media.choose(accept, self.media_types)]
            if (
                len(self._encoders) < _MAX_CACHED_ACCEPTS
            ):  # callers choose the key: the cache must not grow with them
                self._encoders[accept] = found
        return found

    def encoder_of(self, media_type: str) -> Encoder:
        """The encoder of one result, or of one item without the framing of its stream.

        Args:
            media_type: JSON, msgpack, npy for arrays, octets for bytes.
        """
        return self._make(media_type)

    def _make(self, media_type: str) -> Encoder:
        or_null = self._optional and not self.stream and media_type not in (media.JSON, media.MSGPACK)
        if media_type in image.OUT_MEDIA:
            write = self._guarded(lambda value: image.encode(value, media_type), "an image")
            return Encoder(media_type, write, or_null=or_null)
        name, function = {
            media.JSON: (media.JSON, self.encode_json),
            media.EVENTS: (media.EVENTS, self.encode_json),
            media.MSGPACK: (media.MSGPACK, self._msgpack),
            media.NPY: (media.NPY, self._npy),
            media.TEXT: ("text/plain; charset=utf-8", self._text),
            dataframe.CSV: ("text/csv; charset=utf-8", self._guarded(dataframe.to_csv, "a data frame")),
        }.get(media_type, (OCTETS, self._octets))
        return Encoder(name, function, is_file=media_type == _ANY, or_null=or_null)

    def _json(self, value: Any) -> bytes:
        try:
            return encode.json_bytes(value)
        except Exception as error:  # the user's objects may raise anything while they are read
            raise self._unfit(value, error) from error

    def _json_array(self, value: Any) -> bytes:
        array = self._prepared(value)
        if not isinstance(array, np.ndarray):
            return self._json(array)
        try:
            return encode.array_bytes(array)
        except (TypeError, ValueError) as error:
            raise self._unfit(value, error) from error

    def _msgpack(self, value: Any) -> bytes:
        try:
            return encode.msgpack_bytes(self._prepared(value))
        except InferenceError:
            raise
        except Exception as error:  # as in _json
            raise self._unfit(value, error) from error

    def _npy(self, value: Any) -> bytes:
        array = self._prepared(value)
        try:
            if not isinstance(array, np.ndarray) and self._array is not None:
                array = self._array.outgoing(self._array.from_plain(array))
            return npy.write(array)
        except (TypeError, ValueError) as error:
            raise self._unfit(value, error) from error

    def _prepared(self, value: Any) -> Any:
        """Under an array hint, what is returned is held to dtype and shape as what comes in is."""
        if self._array is None or not (isinstance(value, np.ndarray) or is_tensor(value)):
            return value
        try:
            return self._array.outgoing(value)
        except WrongValueError as error:
            raise self._unfit(value, error) from error

    def _text(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self._unfit(value, TypeError("expected a str"))
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise self._unfit(value, error) from error

    def _octets(self, value: Any) -> Body:
        if isinstance(value, (bytes, memoryview)):
            return value
        if isinstance(value, bytearray):
            return memoryview(value)
        if isinstance(value, File):
            return value.data
        raise self._unfit(value, TypeError("expected bytes or a tiffin.File"))

    def _guarded(self, function: Callable[[Any], bytes], expected: str) -> Callable[[Any], bytes]:
        def guarded(value: Any) -> bytes:
            try:
                return function(value)
            except Exception as error:
                raise self._unfit(value, TypeError(f"expected {expected}: {error}")) from error

        return guarded

    def _unfit(self, value: Any, error: Exception) -> InferenceError:
        text = (
            str(error)
            if not isinstance(error, RecursionError)
            else "it contains itself, or is nested too deeply"
        )
        return InferenceError(
            f"{self.title} returned a {type(value).__name__} that cannot be sent: {text}",
            remote_type=type(error).__name__,
        )

    def extra_headers(self, value: Any) -> dict[str, str]:
        """Headers that depend on the result: the name of a `File`."""
        if not isinstance(value, File) or not value.name:
            return {}
        plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in value.name)
        name = quote(value.name.encode("utf-8", "replace"), safe="")
        return {"content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{name}"}

    def json_schema(self, components: dict[str, Any]) -> dict[str, Any]:
        """JSON Schema of the JSON form (of one item, for streams); definitions go to `components`."""
        return schema_in(self.hint, components)


def _python_scalar(hint: Any) -> Any:
    """`-> np.float32` is described as a number."""
    if isinstance(hint, type) and issubclass(hint, np.generic):
        for numpy_type, plain in ((np.bool_, bool), (np.integer, int), (np.floating, float), (np.str_, str)):
            if issubclass(hint, numpy_type):
                return plain
    return hint
