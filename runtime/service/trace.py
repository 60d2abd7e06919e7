"""W3C trace context: who called, and what is passed on.

Format: https://www.w3.org/TR/trace-context/ (version 00, and the rule for reading later versions).
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

# Our own generator: a service that calls `random.seed(0)` must not make every process invent the same ids.
# These are names, not secrets, so the fast generator is right.
_random = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)
_bits = _random.getrandbits

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_INVALID_VERSION = "ff"
_VERSION = "00"
MAX_TRACESTATE = 512
"""Characters of a tracestate that are passed on; the standard asks for at least this many."""


class Trace(NamedTuple):
    """The place of one request in a trace."""

    trace_id: str
    """32 hexadecimal digits, the same for every request of the trace."""
    span_id: str
    """16 hexadecimal digits: this request."""
    parent_id: str = ""
    """Span of the caller; empty when the trace starts here."""
    flags: str = "00"
    """Two hexadecimal digits; bit 0: the caller records this trace."""
    state: str = ""
    """`tracestate` as it came."""

    @property
    def traceparent(self) -> str:
        """The header for calls that this request makes."""
        return f"{_VERSION}-{self.trace_id}-{self.span_id}-{self.flags}"


def new_trace() -> Trace:
    """A trace that starts here."""
    return Trace(f"{_bits(128) or 1:032x}", new_span_id())


def new_span_id() -> str:
    return f"{_bits(64) or 1:016x}"


class RequestIds:
    """A random beginning for this process, then a number: half the price of new random digits each time."""

    next: Callable[[], str]
    """24 hexadecimal digits, unique among all processes; called once a request."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        form = f"{_bits(64):016x}%08x"
        self.next = map(form.__mod__, count(_bits(24))).__next__


request_ids = RequestIds()


def parse(traceparent: str, tracestate: str = "") -> Trace | None:
    """The trace that a caller sent, with a new span for this request; None when the header is not valid.

    Args:
        traceparent: `00-<trace id>-<parent span id>-<flags>`, lower case.
        tracestate: kept only with a valid traceparent, and only up to `MAX_TRACESTATE` characters.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == _INVALID_VERSION or (version == _VERSION and rest is not None):
        return None
    if trace_id == _NO_TRACE or parent_id == _NO_SPAN:
        return None
    state = tracestate if len(tracestate) <= MAX_TRACESTATE else ""
    return Trace(trace_id, new_span_id(), parent_id, flags, state)
