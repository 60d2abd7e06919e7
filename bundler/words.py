"""A bundle in words, for READMEs and tables; its types and sizes as the runtime has them."""

from __future__ import annotations

from typing import Any

from ..runtime.manifest import BundleInfo
from ..runtime.words import batch_words, digest_words, size_words, time_words, type_words
from .check.called import FAILED

__all__ = [
    "NOTES",
    "NOT_ASKED",
    "REQUIREMENTS_FROM",
    "UNTYPED",
    "batch_words",
    "checked_words",
    "digest_words",
    "grpc_words",
    "requirements_words",
    "size_words",
    "time_words",
    "type_words",
]

NOT_ASKED = "not asked for"
"""In `options` of a manifest: why there is no lock, when nobody wanted one."""
NOTES = "notes"
"""In `options` of a manifest: what the user should know of how it was made, a sentence each."""
REQUIREMENTS_FROM = "requirements_from"
"""In `options` of a manifest: the file that says what Python packages are needed, or `imports`."""
UNTYPED = "no_grpc_method"
"""In `options` of a manifest: api to the reason why `apis/service.proto` has no method for it."""


def checked_words(info: BundleInfo) -> str:
    """`2 examples and 1 route gave the same outputs, Python 3.11.7 with 43 packages`; empty when it was not
    tried."""
    found = info.options.get("checked")
    if not isinstance(found, dict):
        return ""
    numbers = [(found.get("examples", 0), "example"), (len(_compared(found.get("routes", []))), "route")]
    tried = " and ".join(f"{number} {what}{'s'[: number != 1]}" for number, what in numbers if number)
    where = f"Python {found.get('python')} with {found.get('packages')} packages"
    return f"{tried} gave the same outputs, {where}" if tried else f"imported in {where}; no example was kept"


def _compared(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [route for route in routes if route.get("status", 500) < FAILED and route.get("steady", True)]


def grpc_words(info: BundleInfo) -> str:
    """`2 methods; none for upload: parameter 'x': …`."""
    without: dict[str, str] = info.options.get(UNTYPED, {})
    number = len(info.service.apis) - len(without)
    reasons = [f"none for {api}: {reason}" for api, reason in without.items()]
    return "; ".join([f"{number} method{'' if number == 1 else 's'}", *reasons])


def requirements_words(info: BundleInfo) -> str:
    """`locked with hashes, from uv.lock (group serve)`, `not locked: uv is not installed; from imports`."""
    source = info.options.get(REQUIREMENTS_FROM, "")
    if info.options.get("locked"):
        return "locked with hashes" + (f", from {source}" if source else "")
    reason = info.options.get("unlocked_because", "")
    return "; ".join(
        filter(None, [f"not locked: {reason}" if reason else "not locked", f"from {source}" * bool(source)])
    )
