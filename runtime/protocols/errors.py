"""How the protocols word an error: one text, which says where in the request it is."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..http import problem
from ..http.problem import Problem

_BAD_REQUEST = frozenset({400, 406, 415, 422})
"""Told as 400, which is all that clients of these protocols know."""


class Told(NamedTuple):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    text: str


def told(error: BaseException, *, instance: str, request_id: str) -> Told:
    """
    Args:
        instance: path of the request.
    """
    report = problem.problem(error, instance=instance, request_id=request_id)
    document = msgspec.json.decode(report.body)
    text = document["detail"]
    if path := document.get("path"):
        text = f"{text} at {path}"
    return Told(400 if report.status in _BAD_REQUEST else report.status, report.headers, text)


def error_body(error: BaseException, *, instance: str, request_id: str) -> Problem:
    """`{"error": text}`, as the inference protocol and version 1 have it."""
    status, headers, text = told(error, instance=instance, request_id=request_id)
    return Problem(status, headers, msgspec.json.encode({"error": text}))
