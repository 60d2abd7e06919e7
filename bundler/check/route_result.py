"""Is what a route answers now what it answered before?"""

from __future__ import annotations

import io
from typing import Any

import msgspec

from ...runtime.manifest import ApiSpec
from ...runtime.model.compare import BY_TYPE, HALF_ATOL, HALF_RTOL, Difference, Tolerance, differences
from ...runtime.schema.media import JSON
from .called import BROKEN, FAILED, Called

_HALF = {"float16", "bfloat16"}
_SHOWN = 300


class RouteResult(msgspec.Struct, kw_only=True):
    """What came of one route."""

    route: str
    status: int = 0
    """Of HTTP; 0: it was not called."""
    differences: list[tuple[str, str]] = []
    """Where and how the answer is another than before; empty: it is the same."""
    error: str = ""
    """How it failed, where nobody knows what it answered before."""
    untried: str = ""
    """Why nothing is known of it."""
    compared: bool = False
    """Whether there was an answer to compare with."""

    @property
    def ok(self) -> bool:
        return not self.differences and not self.error


def route_result(
    before: Called | None, now: Called, api: ApiSpec, tolerance: Tolerance = BY_TYPE
) -> RouteResult:
    """
    Args:
        before: the same request where the bundle was built; None: nobody called it there.
        now: the answer here.
        api: as it was described when the bundle was built.
        tolerance: of floating-point numbers.
    """
    found = RouteResult(route=now.route, status=now.status)
    if before is not None and before.status:
        _compare(found, before, now, api, tolerance)
    elif not now.status or now.reason:
        found.untried = now.reason
    elif now.status >= BROKEN:
        found.error = f"{now.status}: {_detail(now)}"
    elif now.status >= FAILED:
        found.untried = f"it refuses the example that was made for it: {_detail(now)}"
    return found


def _compare(found: RouteResult, before: Called, now: Called, api: ApiSpec, tolerance: Tolerance) -> None:
    if before.status != now.status:
        what = f"was {before.status}, is {now.status}: {_detail(now)}" if now.status else now.reason
        found.differences = [("status", what)]
    elif now.status >= FAILED:
        found.untried = f"it answered {now.status} where the bundle was built, too: {_detail(now)}"
    elif before.media_type != now.media_type:
        found.differences = [("content-type", f"was {before.media_type}, is {now.media_type}")]
    elif before.steady:
        if api.output.dtype in _HALF:  # in JSON nobody sees how many digits they have
            rtol, atol = tolerance
            tolerance = Tolerance(HALF_RTOL if rtol is None else rtol, HALF_ATOL if atol is None else atol)
        found.differences = [(path, what) for path, what in _bodies(before, now, tolerance)]
        found.compared = True


def _bodies(before: Called, now: Called, tolerance: Tolerance) -> list[Difference]:
    if before.body == now.body:
        return []
    if now.media_type.partition(";")[0] == JSON:
        one, other = (msgspec.json.decode(each.body) for each in (before, now))
        return differences(one, other, tolerance=tolerance, path="answer")
    if now.media_type.startswith("image/"):  # the same pixels may be packed otherwise
        one, other = (_pixels(each.body) for each in (before, now))
        return differences(one, other, tolerance=tolerance, path="pixels")
    if now.media_type.startswith("text/"):
        lines = [each.body.decode(errors="replace").splitlines() for each in (before, now)]
        return differences(*(list(map(_value, one)) for one in lines), tolerance=tolerance, path="lines")
    return [Difference("answer", f"{len(before.body)} bytes are others now ({len(now.body)} bytes)")]


def _value(line: str) -> Any:
    """The JSON in a line of a stream; other lines as they are."""
    try:
        return msgspec.json.decode(line.removeprefix("data:"))
    except msgspec.DecodeError:
        return line


def _pixels(body: bytes) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image)


def _detail(called: Called) -> str:
    """Of a problem (RFC 9457)."""
    try:
        text = str(msgspec.json.decode(called.body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        text = called.body.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
