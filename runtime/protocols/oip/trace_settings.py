"""Trace settings: this server writes no traces of its own, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .unsupported import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: dict[str, Any] = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "triton",
}
"""As the protocol has them: texts, and a list of levels."""


def change_trace_settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after the change; what is null, or is so already, changes nothing.

    Raises:
        UnsupportedError: anything else.
    """
    for name, value in wanted.items():
        if value is not None and _plain(value) != _plain(SETTINGS.get(name)):
            raise UnsupportedError(
                f"{name[:80]} cannot be set: this server writes no traces of its own; it passes W3C "
                "traceparent on, and the access log has the trace's id"
            )
    return dict(SETTINGS)


def _plain(value: Any) -> Any:
    """One text is as good as a list of it."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
