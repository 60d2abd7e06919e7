"""`:predict`: instances and predictions by rows, inputs and outputs by columns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ....errors import InvalidInputError, MalformedInputError
from ...http.dialect import Asked, Written
from ...schema.media import JSON
from ..instances import INSTANCES, PARAMETERS
from ..predictions import predictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..json_calls import JsonCalls, Results

SIGNATURE_NAME = "signature_name"
INPUTS, OUTPUTS = "inputs", "outputs"
DEFAULT = "serving_default"

Fields = dict[str, msgspec.Raw]
_object_of = msgspec.json.Decoder(Fields)


class Predict:
    """Of one endpoint.

    Args:
        signatures: the apis that a request may mean by `signature_name`; `serving_default` without it.
    """

    def __init__(self, signatures: Mapping[str, JsonCalls]) -> None:
        self._signatures = signatures

    def __call__(self, body: bytes) -> Asked:
        """
        Raises:
            MalformedInputError: not JSON, or not of this form.
            InvalidInputError: it does not fit the api.
        """
        given = fields(body)
        calls = signature(self._signatures, given)
        known = (SIGNATURE_NAME, INSTANCES, INPUTS, PARAMETERS)
        for key in given:
            if key not in known:
                raise InvalidInputError(f"unknown key {key[:80]!r}: use {', '.join(known)}", path="$")
        if (INSTANCES in given) == (INPUTS in given):
            raise MalformedInputError(f"give either {INSTANCES} (rows) or {INPUTS} (columns)")
        if INPUTS in given:
            if PARAMETERS in given:
                raise InvalidInputError(f"{PARAMETERS} go with {INSTANCES}; put them among the {INPUTS}")
            arguments = calls.decode([_columns(calls, bytes(given[INPUTS]))])
            return Asked({"calls": arguments}, partial(_outputs, calls))
        raw = bytes(given[INSTANCES])
        parameters = bytes(given[PARAMETERS]) if PARAMETERS in given else None
        arguments = calls.decode(calls.instances.calls(raw, parameters))
        return Asked({"calls": arguments}, partial(predictions, calls, body))


def fields(body: bytes) -> Fields:
    """The keys of a request."""
    try:
        return _object_of.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedInputError(f"the request is no JSON object: {error}") from error


def signature(signatures: Mapping[str, JsonCalls], given: Fields) -> JsonCalls:
    """The api that a request names, or means."""
    raw = given.get(SIGNATURE_NAME)
    name = DEFAULT if raw is None else msgspec.json.decode(raw)
    if not isinstance(name, str):
        raise MalformedInputError(f"{SIGNATURE_NAME} is a text", path=f"$.{SIGNATURE_NAME}")
    found = signatures.get(name or DEFAULT)
    if found is None:
        raise InvalidInputError(
            f"no signature {name[:100]!r}; there are: {', '.join(signatures)}", path=f"$.{SIGNATURE_NAME}"
        )
    return found


def _columns(calls: JsonCalls, raw: bytes) -> bytes:
    """`inputs` → the body of the api: an object with its parameters, or the only one without its name."""
    instances = calls.instances
    if raw.startswith(b"{"):
        named = _object_of.decode(raw)
        if len(instances.required) != 1 or named.keys() & calls.inputs.specs.keys() or not named:
            values = {name: msgspec.Raw(instances.column(name, bytes(each))) for name, each in named.items()}
            return msgspec.json.encode(values)
    if len(instances.required) != 1:
        raise InvalidInputError(
            f"{calls.endpoint.name} takes {', '.join(instances.required) or 'nothing'}: "
            f"{INPUTS} must be an object with these",
            path=f"$.{INPUTS}",
        )
    (name,) = instances.required
    return msgspec.json.encode({name: msgspec.Raw(instances.column(name, raw))})


def _outputs(calls: JsonCalls, results: Results) -> Written:
    (body,) = calls.written(results)
    return Written(JSON, b'{"%b":%b}' % (OUTPUTS.encode("ascii"), body))
