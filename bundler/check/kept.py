"""What routes answered where a bundle was built, as its manifest keeps it for later checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ...errors import IntegrityError
from ...runtime.manifest import BUNDLE_FILE, BundleInfo
from .called import FAILED, Called
from .hidden import seems_secret

CHECKED, ROUTES = "checked", "routes"
"""In `options` of a manifest: what was tried in a clean environment before it was kept."""
MAX_BYTES = 16 * 1024
"""Of a request with its answer; a manifest is read often, and by people."""


class _Kept(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A `Called` whose answer is text."""

    route: str
    request: str
    status: int
    media_type: str = "application/json"
    answer: str = ""
    steady: bool = True


def to_keep(calls: Sequence[Called]) -> list[dict[str, Any]]:
    """The small ones that are text, for `options.checked.routes`.

    Of one that failed, or seems to have a secret in it, only the status.
    """
    return [msgspec.to_builtins(each) for each in _kept(calls)]


def _kept(calls: Sequence[Called]) -> Iterable[_Kept]:
    for call in calls:
        if not call.status or len(call.request) + len(call.body) > MAX_BYTES:
            continue
        try:
            answer = call.body.decode()
        except UnicodeDecodeError:
            continue
        # What an exception says, of a database's address for instance, was never meant for all.
        told = call.status < FAILED and not seems_secret(answer)
        yield _Kept(
            route=call.route,
            request=call.request,
            status=call.status,
            media_type=call.media_type,
            answer=answer if told else "",
            steady=call.steady and told,
        )


def kept(info: BundleInfo) -> list[Called]:
    """
    Raises:
        IntegrityError: what is there is no list of calls.
    """
    checked = info.options.get(CHECKED)
    found = checked.get(ROUTES, []) if isinstance(checked, dict) else []
    try:
        calls = msgspec.convert(found, list[_Kept])
    except msgspec.ValidationError as error:
        where = f"options.{CHECKED}.{ROUTES}"
        raise IntegrityError(f"{BUNDLE_FILE} of {info.name}:{info.version}: {where}: {error}") from error
    return [
        Called(
            route=each.route,
            request=each.request,
            status=each.status,
            media_type=each.media_type,
            body=each.answer.encode(),
            steady=each.steady,
        )
        for each in calls
    ]
