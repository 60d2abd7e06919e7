"""A request to try a route with: rows that were recorded with a model where they fit, else made-up ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...errors import RequestError
from ...runtime.model.recorded import Recorded
from ...runtime.schema.example import example_of
from ...runtime.schema.inputs import Inputs
from ...runtime.schema.parameter import Parameter

MAX_ROWS = 2


def request_of(inputs: Inputs, examples: Sequence[Recorded]) -> str | None:
    """A JSON body that the route takes; None when none could be made.

    Args:
        inputs: of the api.
        examples: recorded with the models of the bundle.
    """
    made_up = example_of(inputs)
    body = dict(made_up or {})
    for name, parameter in inputs.parameters.items():
        if not parameter.required:
            continue
        for value in _candidates(examples, name):
            if _takes(parameter, value):
                body[name] = value
                break
    for each in (body, made_up):
        text = _encoded(each)
        if text is not None and _accepts(inputs, text):
            return text.decode()
    return None


def _candidates(examples: Sequence[Recorded], name: str) -> Iterator[Any]:
    """As JSON has them; those of the same name first, a batch before its first row."""
    named = [call.kwargs[name] for call in examples if name in call.kwargs]
    others = [value for call in examples for value in (*call.args, *call.kwargs.values())]
    for value in (*named, *others):
        plain = _plain(value)
        if plain is None:
            continue
        yield plain
        if isinstance(plain, list) and plain:
            yield plain[0]


def _plain(value: Any) -> Any:
    """The first rows of a batch, or a text; None for what has no JSON form here."""
    if isinstance(value, str):
        return value
    if hasattr(value, "iloc"):
        return msgspec.json.decode(value.iloc[:MAX_ROWS].to_json(orient="records"))
    try:
        rows = value[:MAX_ROWS]
    except (TypeError, IndexError, KeyError):
        return None
    plain = rows.tolist() if hasattr(rows, "tolist") else rows
    return plain if isinstance(plain, list) else None


def _takes(parameter: Parameter, value: Any) -> bool:
    """Whether it means the same there: an int that happens to be in some row is no count and no seed."""
    if isinstance(value, (bool, int, float)):
        return False
    try:
        if parameter.kind is not None:
            parameter.kind.from_plain(value)
        else:
            msgspec.convert(value, parameter.plain)
    except Exception:  # noqa: BLE001 - constraints of the user's own types raise what they like
        return False
    return True


def _encoded(body: Any) -> bytes | None:
    try:
        return None if body is None else msgspec.json.encode(body)
    except (TypeError, ValueError):
        return None


def _accepts(inputs: Inputs, text: bytes) -> bool:
    try:
        inputs.decode_json(text)
    except RequestError:
        return False
    return True
