"""problem+json: every error of the tree has its status, and nothing of the server leaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiffin import errors
from tiffin.runtime.http import problem


def _document(error: BaseException) -> dict[str, Any]:
    report = problem.problem(error, instance="/x", request_id="r1")
    document: dict[str, Any] = json.loads(report.body)
    assert document["status"] == report.status
    assert document["instance"] == "/x" and document["request_id"] == "r1"
    return document


def test_serving_errors_carry_their_status() -> None:
    for kind in (
        errors.MalformedInputError,
        errors.NotFoundRouteError,
        errors.MethodNotAllowedError,
        errors.NotAcceptableError,
        errors.PayloadTooLargeError,
        errors.UnsupportedMediaTypeError,
        errors.InvalidInputError,
        errors.WireError,
        errors.DeadlineExceededError,
    ):
        document = _document(kind("what and how", path="$.x[0]"))
        assert (document["status"], document["title"]) == (kind.status, kind.title)
        assert (document["detail"], document["path"]) == ("what and how", "$.x[0]")


def test_path_only_when_there_is_one() -> None:
    assert "path" not in _document(errors.MalformedInputError("no"))


def test_headers() -> None:
    def headers(error: BaseException) -> dict[bytes, bytes]:
        return dict(problem.problem(error, instance="/x", request_id="r1").headers)

    assert headers(errors.OverloadedError("full", retry_after_s=2.1)) == {b"retry-after": b"3"}
    assert headers(errors.UnavailableError("gone", retry_after_s=0)) == {b"retry-after": b"1"}
    assert headers(errors.MethodNotAllowedError("no")) == {b"allow": b"POST, OPTIONS"}
    assert headers(errors.UnsupportedMediaTypeError("no")) == {b"accept-encoding": b"gzip, deflate"}
    assert headers(ValueError("x")) == {}


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValueError("bad rows"), "ValueError: bad rows"),
        (KeyError("colour"), "KeyError: 'colour'"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(2, "No such file", "/srv/a/b.bin"), "FileNotFoundError: No such file"),
        (RuntimeError("see '/home/ann/models/x.pt' now"), "RuntimeError: see '…/x.pt' now"),
        (RuntimeError("https://host/a/b stays"), "RuntimeError: https://host/a/b stays"),
        (RuntimeError("ratio 3/4/5"), "RuntimeError: ratio 3/4/5"),
        (errors.InferenceError("in /opt/app/x.py", remote_type="ValueError"), "ValueError: in …/x.py"),
        (errors.ModelError("no model at /opt/store/m/1"), "no model at …/1"),
        (RuntimeError("x" * 9000), "RuntimeError: " + "x" * 1986),
    ],
)  # fmt: skip
def test_other_errors_show_class_and_message(error: BaseException, detail: str) -> None:
    document = _document(error)
    assert document["status"] == 500
    assert document["detail"] == detail


def test_users_own_subclass() -> None:
    class NoCreditError(errors.RequestError):
        status = 402
        title = "Payment required"

    document = _document(NoCreditError("top up"))
    assert (document["status"], document["title"]) == (402, "Payment required")
    assert document["type"] == "/docs#problem-request"


def test_every_type_is_on_the_reference_page() -> None:
    ids = [each["id"] for each in problem.catalogue()]
    assert len(ids) == len(set(ids)) >= 18
    for error in (ValueError("x"), errors.OverloadedError("x"), errors.InvalidInputError("x")):
        assert _document(error)["type"].removeprefix("/docs#problem-") in ids


def test_what_is_logged() -> None:
    assert problem.is_bug(ValueError("x"))
    assert problem.is_bug(errors.WorkerCrashedError("x"))
    for error in (
        errors.InvalidInputError("x"),
        errors.OverloadedError("x"),
        errors.DeadlineExceededError("x"),
    ):
        assert not problem.is_bug(error)
