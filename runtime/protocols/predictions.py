"""`{"predictions": […]}`: the answer to instances, whatever protocol they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http.dialect import Written
from ..schema.media import JSON

if TYPE_CHECKING:
    from .json_calls import JsonCalls, Results


def predictions(calls: JsonCalls, body: bytes, results: Results) -> Written:
    """One prediction for each of the instances.

    Args:
        body: of the request.
        results: of its calls.
    """
    instances, answers = calls.instances, calls.written(results)
    is_object = bool(answers) and answers[0].lstrip().startswith(b"{")  # else nobody asks how many there were
    count = instances.count(body) if is_object else 0
    return Written(JSON, instances.answer(answers, count))
