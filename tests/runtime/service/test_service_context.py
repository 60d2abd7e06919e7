from __future__ import annotations

import asyncio
import random
import re
import time
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.errors import UsageError
from tiffin.runtime.service.context import (
    RequestContext,
    ResponseHeaders,
    current_context,
    request_context,
    reset,
    set_context,
)
from tiffin.runtime.service.trace import MAX_TRACESTATE, new_trace, parse

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"


def test_headers_have_lower_names_and_repeated_ones_are_joined() -> None:
    context = RequestContext(raw_headers=[(b"X-User", b"ann"), (b"accept", b"a"), (b"Accept", b"b")])
    assert dict(context.headers) == {"x-user": "ann", "accept": "a, b"}
    assert context.headers is context.headers


def test_the_callers_id_is_kept_and_a_bad_one_replaced() -> None:
    assert RequestContext([(b"X-Request-Id", b"abc-123")]).id == "abc-123"
    for bad in (b"", b"two words", b"x" * 129, b'"quote"', b"line\nbreak", b"caf\xe9"):
        made = RequestContext([(b"x-request-id", bad)])
        assert re.fullmatch(r"[0-9a-f]{24}", made.id)
        assert made.id == made.id


def test_remaining_time_follows_the_deadline_and_never_is_negative() -> None:
    assert RequestContext().remaining_s == inf
    assert RequestContext(deadline=time.monotonic() - 5).remaining_s == 0.0
    assert 50 < RequestContext(deadline=time.monotonic() + 60).remaining_s <= 60


def test_a_sent_trace_goes_on_with_a_span_of_its_own() -> None:
    context = RequestContext([(b"traceparent", SENT.encode()), (b"tracestate", b"vendor=1")])
    assert context.trace_id == TRACE
    assert context.span_id != SPAN
    assert context.trace.parent_id == SPAN
    assert context.traceparent == f"00-{TRACE}-{context.span_id}-01"
    assert context.tracestate == "vendor=1"


def test_without_a_valid_trace_a_new_one_starts() -> None:
    first, second = RequestContext(), RequestContext([(b"traceparent", b"nonsense")])
    assert parse(first.traceparent) is not None
    assert first.trace_id != second.trace_id
    assert first.trace.parent_id == ""


@pytest.mark.parametrize(
    "bad",
    [
        "",
        SENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{SENT}-more",
        f"{SENT} ",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0663-{SPAN}-01",
    ],
)
def test_invalid_traceparents_are_not_believed(bad: str) -> None:
    assert parse(bad) is None


def test_a_later_version_is_read_by_its_first_four_fields() -> None:
    trace = parse(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like")
    assert trace is not None
    assert trace.traceparent.startswith(f"00-{TRACE}-")


def test_an_oversized_tracestate_is_dropped() -> None:
    trace = parse(SENT, "x" * (MAX_TRACESTATE + 1))
    assert trace is not None
    assert trace.state == ""


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_either_parses_to_a_legal_trace_or_is_refused(text: str) -> None:
    trace = parse(text)
    assert trace is None or parse(trace.traceparent) is not None


def test_seeding_the_global_generator_does_not_repeat_ids() -> None:
    random.seed(0)
    first = new_trace().trace_id, RequestContext().id
    random.seed(0)
    assert (new_trace().trace_id, RequestContext().id) != first


def test_outside_a_request_it_says_how_to_make_one() -> None:
    assert current_context() is None
    with pytest.raises(UsageError, match=r"with tiffin\.RequestContext\(\)"):
        request_context()


def test_set_and_reset() -> None:
    context = RequestContext(route="/x")
    token = set_context(context)
    assert request_context() is context
    reset(token)
    assert current_context() is None
    with context as entered:
        assert request_context() is entered is context
    assert current_context() is None


def test_concurrent_requests_see_their_own() -> None:
    async def serve(user: str) -> str:
        with RequestContext([(b"x-user", user.encode())]):
            await asyncio.sleep(0)
            return request_context().headers["x-user"]

    async def many() -> list[str]:
        return await asyncio.gather(*(serve(f"user-{i}") for i in range(50)))

    assert asyncio.run(many()) == [f"user-{i}" for i in range(50)]


def test_response_headers_are_only_made_when_asked_for() -> None:
    context = RequestContext()
    assert not context.has_response_headers
    context.response_headers["X-Model"] = "iris:1"
    assert context.has_response_headers
    assert dict(context.response_headers) == {"x-model": "iris:1"}
    del context.response_headers["x-MODEL"]
    assert not context.has_response_headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "evil\r\nset-cookie: a=b"),
        ("x-a", "nul\0"),
        ("x a", "b"),
        ("", "b"),
        ("x-a\r\n", "b"),
        ("Content-Length", "3"),
        ("transfer-encoding", "chunked"),
        ("x-a", "über-€"),
    ],
)
def test_headers_that_http_does_not_allow_are_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        ResponseHeaders()[name] = value


def test_the_constructor_keeps_references_only() -> None:
    class Untouchable(list[tuple[bytes, bytes]]):
        def __iter__(self) -> None:  # type: ignore[override]
            raise AssertionError("headers were read on the hot path")

    context = RequestContext(raw_headers=Untouchable(), deadline=1.0, route="/x")
    assert (context.deadline, context.route) == (1.0, "/x")


@pytest.mark.parametrize("bad", ["a b", "a\r\nx: y", "a\x00", "x" * 129, "ä", "\udc80", "<script>", '"', 7])
def test_a_request_id_of_ones_own_is_checked_as_a_callers(bad: Any) -> None:
    assert RequestContext(request_id="x" * 128).id == "x" * 128
    with pytest.raises(UsageError, match="is no request id"):
        RequestContext(request_id=bad)
