"""`generate` and `generate_stream`: flat JSON in, flat JSON or server-sent events out, for text above all.

The keys of a request are the inputs of the model. `text_input` is also the name of its only text,
`parameters` an object of further inputs; `id` comes back. Names that the model does not have are parameters
that it does not heed, as in `infer`. An answer has `model_name`, `model_version`, and the outputs by name;
text is `text_output`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....errors import InvalidInputError, MalformedInputError
from ...http import events
from ...http.dialect import Asked, Dialect, Written
from ...http.head import Head
from ...http.inflate import inflate
from ...http.routes import Route
from ...schema.media import JSON
from ..datatypes import BYTES
from ..errors import error_body
from .flat_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ...http.head import RawHeaders
    from ...http.problem import Problem
    from ...http.serving import Serving
    from ...schema.kind import Buffer
    from ..endpoint import Endpoint

TEXT_IN, TEXT_OUT = "text_input", "text_output"
_ID, _PARAMETERS = "id", "parameters"
_OWN = ("model_name", "model_version", _ID)
"""Of every answer; an output of such a name is not told."""
_Object = dict[str, msgspec.Raw]
_fields_of = msgspec.json.Decoder(_Object)


def generate_routes(serving: Serving, endpoint: Endpoint) -> Iterable[Route]:
    """All four: with and without a version, at once and as a stream."""
    whole, streamed = GenerateDialect(endpoint), StreamDialect(endpoint)
    for version in ("", f"/versions/{endpoint.version}"):
        path = f"/v2/models/{endpoint.name}{version}/generate"
        route = Route.for_endpoint(endpoint, path, whole, serving.state.metrics)
        if endpoint.stream:
            route.call, route.stream, route.is_async = _joined(endpoint), False, True
        yield route
        route = Route.for_endpoint(endpoint, f"{path}_stream", streamed, serving.state.metrics)
        if not endpoint.stream:
            route.call, route.stream, route.is_async = _one_item(endpoint, serving), True, True
        yield route


class GenerateDialect(Dialect):
    """Of one endpoint: one answer."""

    problem_type = JSON

    def __init__(self, endpoint: Endpoint) -> None:
        self._generate = Generate(endpoint)

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        return _GenerateHead(self._generate, route, method, raw_headers, query)

    def problem(self, error: BaseException, *, instance: str, request_id: str) -> Problem:
        return error_body(error, instance=instance, request_id=request_id)


class StreamDialect(GenerateDialect):
    """Of one endpoint: an event an item, and an end without words; an error is the last item."""

    stream_type = events.MEDIA_TYPE

    def end(self) -> bytes:
        return b""

    def broken(self, report: Problem) -> bytes:
        return events.item(report.body)


class _GenerateHead(Head):
    __slots__ = ("_generate",)

    def __init__(
        self, generate: Generate, route: Route, method: bytes, raw_headers: RawHeaders, query: str
    ) -> None:
        self._generate = generate
        super().__init__(route, method, raw_headers, query)

    def _prepare(self) -> None:
        generate, route = self._generate, self.route
        if generate.endpoint.stream and not route.stream and not generate.gives_text:
            raise InvalidInputError(
                f"model '{route.name}' gives a stream of what is no text: use {route.path}_stream"
            )
        self.decode = self._decode_flat

    def _decode_flat(self, body: Buffer) -> Asked:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        return self._generate.asked(body)


class Generate:
    """Requests and answers of one endpoint, compiled."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._text = _text_input(endpoint)

    @property
    def gives_text(self) -> bool:
        api = self.endpoint.api
        return api is not None and api.output.spec.kind == "text"

    def asked(self, body: Buffer) -> Asked:
        """
        Raises:
            MalformedInputError, InvalidInputError: no JSON object, or inputs that are wrong, with their path.
        """
        try:
            fields = _fields_of.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedInputError(f"expected a flat JSON object: {error}") from error
        known = {spec.name for spec in self.endpoint.inputs.specs}
        given = _inputs(fields, known)
        if self._text and TEXT_IN in fields and TEXT_IN not in known:
            if self._text in given:
                raise InvalidInputError(
                    f"{TEXT_IN} and {self._text!r} are the same input", path=f"$.{TEXT_IN}"
                )
            given[self._text] = fields[TEXT_IN]
        identity = _identity(fields) if _ID not in known else ""
        return Asked(self._arguments(given), lambda value: self._written(value, identity))

    def _arguments(self, given: _Object) -> dict[str, Any]:
        api = self.endpoint.api
        if api is not None:
            arguments: dict[str, Any] = api.inputs.decode_json(msgspec.json.encode(given))
            return arguments
        specs = {spec.name: spec for spec in self.endpoint.inputs.specs}
        tensors = [rows_of(specs[name], raw) for name, raw in given.items()]
        return self.endpoint.inputs.arguments(tensors, {})

    def _written(self, value: Any, identity: str) -> Written:
        endpoint = self.endpoint
        document: dict[str, Any] = {"model_name": endpoint.name, "model_version": endpoint.version}
        if identity:
            document[_ID] = identity
        document.update(self._outputs(value))
        return Written(JSON, msgspec.json.encode(document))

    def _outputs(self, value: Any) -> dict[str, Any]:
        api = self.endpoint.api
        if api is None:
            return {tensor.name: _plain(tensor.array) for tensor in self.endpoint.outputs.tensors(value)}
        raw = msgspec.Raw(api.output.encode_json(value))
        if self.gives_text:
            return {TEXT_OUT: raw}
        specs = self.endpoint.outputs.specs
        if len(specs) > 1:
            fields = _fields_of.decode(raw)
            return {name: field for name, field in fields.items() if name not in _OWN}
        return {specs[0].name: raw}


def _text_input(endpoint: Endpoint) -> str:
    """The input that `text_input` stands for: the only text that is needed, or the only one there is."""
    if endpoint.api is None:
        texts = [spec.name for spec in endpoint.inputs.specs if spec.datatype == BYTES]
        return texts[0] if len(texts) == 1 else ""
    inputs = endpoint.api.inputs
    texts = [name for name, spec in inputs.specs.items() if spec.kind == "text"]
    needed = [name for name in texts if name not in inputs.defaults]
    only = needed or texts
    return only[0] if len(only) == 1 else ""


def _inputs(fields: _Object, known: set[str]) -> _Object:
    """What is named in the request itself or in its `parameters`."""
    given = {name: raw for name, raw in fields.items() if name in known}
    if _PARAMETERS in known or _PARAMETERS not in fields:
        return given
    try:
        parameters = msgspec.json.decode(fields[_PARAMETERS], type=_Object | None) or {}
    except msgspec.DecodeError:
        raise InvalidInputError("parameters is an object", path="$.parameters") from None
    for name, raw in parameters.items():
        if name in given:
            raise InvalidInputError(f"{name!r} is there twice", path=f"$.parameters.{name}")
        if name in known:
            given[name] = raw
    return given


def _identity(fields: _Object) -> str:
    try:
        return msgspec.json.decode(fields.get(_ID, b'""'), type=str)
    except msgspec.DecodeError:
        raise InvalidInputError("id is a text", path="$.id") from None


def _plain(array: Any) -> Any:
    """One element by itself, several as a list."""
    listed = array.tolist() if array.size != 1 else array.ravel()[0]
    return _texts(listed)


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if hasattr(value, "item") else value


def _joined(endpoint: Endpoint) -> Callable[..., Any]:
    """A stream of text as one text."""

    async def call(**arguments: Any) -> str:
        return "".join([item async for item in endpoint.call(**arguments)])

    return call


def _one_item(endpoint: Endpoint, serving: Serving) -> Callable[..., Any]:
    """A result as a stream of one."""

    async def call(**arguments: Any) -> AsyncIterator[Any]:
        if endpoint.is_async:
            yield await endpoint.call(**arguments)
        else:
            yield await serving.threads.call(endpoint.call, arguments)

    return call
