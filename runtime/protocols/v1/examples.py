"""`:classify` and `:regress`: examples in, labels with scores or numbers out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ....errors import InferenceError, InvalidInputError
from ...http.dialect import Asked, Written
from ...schema.media import JSON
from .predict import SIGNATURE_NAME, Fields, fields, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..json_calls import JsonCalls, Results

EXAMPLES, CONTEXT, RESULTS = "examples", "context", "results"
_LABELS, _SCORES = (
    ("label", "class", "labels", "classes"),
    ("score", "probability", "scores", "probabilities"),
)


class Examples:
    """Of one endpoint and one verb.

    Args:
        signatures: as for `Predict`; a name that is none of them means the default: callers write the name of
            the method there, `tensorflow/serving/regress`.
        word: what one prediction becomes; takes the endpoint's labels too.
    """

    def __init__(
        self, signatures: Mapping[str, JsonCalls], word: Callable[[Any, tuple[str, ...]], Any]
    ) -> None:
        self._signatures = signatures
        self._word = word

    def __call__(self, body: bytes) -> Asked:
        """Raises RequestError: not of this form, or it does not fit the api."""
        given = fields(body)
        named = bytes(given.get(SIGNATURE_NAME, b'""'))
        calls = signature(self._signatures, {} if b"/" in named else given)
        known = (SIGNATURE_NAME, EXAMPLES, CONTEXT)
        for key in given:
            if key not in known:
                raise InvalidInputError(f"unknown key {key[:80]!r}: use {', '.join(known)}", path="$")
        if EXAMPLES not in given:
            raise InvalidInputError(f"{EXAMPLES} is missing", path="$")
        examples = _examples(given)
        arguments = calls.decode(calls.instances.calls(msgspec.json.encode(examples)))
        return Asked({"calls": arguments}, partial(self._written, calls, len(examples)))

    def _written(self, calls: JsonCalls, count: int, results: Results) -> Written:
        answer = msgspec.json.decode(calls.instances.answer(calls.written(results), count))
        labels = calls.endpoint.labels
        worded = [self._word(each, labels) for each in answer["predictions"]]
        return Written(JSON, msgspec.json.encode({RESULTS: worded}))


def _examples(given: Fields) -> list[Fields]:
    try:
        examples: list[Fields] = msgspec.json.decode(given[EXAMPLES], type=list[Fields])
        context: Fields = msgspec.json.decode(given[CONTEXT], type=Fields) if CONTEXT in given else {}
    except msgspec.ValidationError as error:
        raise InvalidInputError(
            f"{EXAMPLES} are objects, and so is the {CONTEXT}: {error}", path="$"
        ) from error
    for at, example in enumerate(examples):
        twice = sorted(example.keys() & context.keys())
        if twice:
            raise InvalidInputError(
                f"{twice[0][:80]!r} is in the {CONTEXT} too", path=f"$.{EXAMPLES}[{at}].{twice[0][:80]}"
            )
    return [{**context, **example} for example in examples]


def classes(prediction: Any, labels: tuple[str, ...]) -> list[list[Any]]:
    """One prediction as pairs of label and score.

    Takes a label, the number of one, scores of all classes in their order, an object of label to score, an
    object with a label and a score (or lists of both), or a list of such objects.

    Raises:
        InferenceError: it is nothing of these.
    """
    if isinstance(prediction, str):
        return [[prediction, 1.0]]
    if isinstance(prediction, int) and not isinstance(prediction, bool):
        return [[_label(prediction, labels), 1.0]]
    if isinstance(prediction, dict):
        return _of_object(prediction)
    if isinstance(prediction, list):
        if all(_is_number(score) for score in prediction):
            return [
                [labels[at] if len(labels) == len(prediction) else "", float(score)]
                for at, score in enumerate(prediction)
            ]
        if all(isinstance(each, dict) for each in prediction):
            return [pair for each in prediction for pair in _of_object(each)]
        if all(isinstance(each, list) and len(each) == 2 for each in prediction):
            return [[str(label), float(score)] for label, score in prediction]
    raise _unfit(prediction, "labels or scores")


def number(prediction: Any, _: tuple[str, ...]) -> float:
    """One prediction as a number; raises InferenceError when it is none."""
    while isinstance(prediction, list) and len(prediction) == 1:
        prediction = prediction[0]
    if not _is_number(prediction):
        raise _unfit(prediction, "a number")
    return float(prediction)


def _label(at: int, labels: tuple[str, ...]) -> str:
    return labels[at] if 0 <= at < len(labels) else str(at)


def _of_object(found: dict[str, Any]) -> list[list[Any]]:
    label = next((found[name] for name in _LABELS if name in found), None)
    score = next((found[name] for name in _SCORES if name in found), None)
    if isinstance(label, list) and isinstance(score, list) and len(label) == len(score):
        return [[str(each), float(of)] for each, of in zip(label, score, strict=True)]
    if label is not None and isinstance(score, (int, float)):
        return [[str(label), float(score)]]
    if found and all(_is_number(value) for value in found.values()):
        return [[name, float(value)] for name, value in found.items()]
    raise _unfit(found, "labels and scores")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unfit(found: Any, wanted: str) -> InferenceError:
    return InferenceError(
        f"the api does not answer with {wanted} for each example, but with {str(found)[:80]!r}: use :predict",
        remote_type="TypeError",
    )
