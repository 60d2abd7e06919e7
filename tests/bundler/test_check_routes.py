"""Calling the routes of a service for a check, and comparing what they answer."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from jaxtyping import Float32
from PIL import Image
from projects import echo_project

import tiffin
from tiffin.bundler.build import build
from tiffin.bundler.check.called import Called
from tiffin.bundler.check.check import record
from tiffin.bundler.check.hidden import seems_secret, without_secrets
from tiffin.bundler.check.kept import MAX_BYTES, kept, to_keep
from tiffin.bundler.check.route_request import request_of
from tiffin.bundler.check.route_result import RouteResult, route_result
from tiffin.bundler.check.routes import call_routes
from tiffin.errors import BuildError, IntegrityError
from tiffin.runtime.manifest import ApiSpec, BundleInfo, ServiceSpec, TypeSpec
from tiffin.runtime.model.compare import BY_TYPE, Tolerance, differences
from tiffin.runtime.model.recorded import Recorded
from tiffin.runtime.service.service import service_info

ROWS = np.arange(12, dtype="float32").reshape(3, 4)
EXAMPLES = [Recorded((ROWS,), {}, None), Recorded((["good", "bad", "ugly"],), {}, None)]


class Doubler:
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return x * 2


@tiffin.service
class Many:
    doubler = tiffin.runner(Doubler)

    def __init__(self) -> None:
        self.hooks: list[str] = []

    @tiffin.on_start
    def begin(self) -> None:
        self.hooks.append("start")

    @tiffin.on_ready
    async def ready(self) -> None:
        self.hooks.append("ready")

    @tiffin.api
    async def rows(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)

    @tiffin.api
    def row(self, x: Float32[np.ndarray, "4"], times: int = 3) -> list[float]:
        return [float(each) * times for each in x]

    @tiffin.api
    def words(self, texts: list[str], seed: int) -> str:
        return f"{'-'.join(texts)} {seed}"

    @tiffin.api
    def hooks_seen(self) -> list[str]:
        return self.hooks

    @tiffin.api
    def chance(self) -> float:
        return random.random()

    @tiffin.api
    async def count(self, until: int) -> AsyncIterator[int]:
        for number in range(until):
            yield number

    @tiffin.api
    def broken(self, text: str) -> str:
        raise KeyError(text)

    @tiffin.api
    def picky(self, text: str) -> str:
        raise tiffin.errors.InvalidInputError("no", path="$.text")

    @tiffin.api
    def wide(self, x: Float32[np.ndarray, "100000"]) -> int:
        return 1


def calls(twice: bool = False) -> dict[str, Called]:
    return {call.route: call for call in call_routes(service_info(Many), {}, EXAMPLES, twice=twice)}


def test_each_route_is_called_with_what_fits() -> None:
    found = calls(twice=True)
    requests = {route: call.request for route, call in found.items()}
    assert msgspec.json.decode(requests["/rows"]) == {"x": ROWS[:2].tolist()}
    assert msgspec.json.decode(requests["/row"]) == {"x": ROWS[0].tolist(), "times": 3}
    assert msgspec.json.decode(requests["/words"]) == {"texts": ["good", "bad"], "seed": 1}
    assert (found["/wide"].status, found["/wide"].reason) == (0, "no example could be made for its inputs")
    assert found["/rows"].body == b"[[0.0,2.0,4.0,6.0],[8.0,10.0,12.0,14.0]]"
    assert found["/words"].body == b'"good-bad 1"'
    assert found["/hooks_seen"].body == b'["start","ready"]'
    assert found["/count"].body.startswith(b"data: 0\n\n")
    statuses = {route: call.status for route, call in found.items() if call.status != 200}
    assert statuses == {"/broken": 500, "/picky": 422, "/wide": 0}
    assert [route for route, call in found.items() if not call.steady] == ["/chance"]


def test_the_same_request_is_sent_again() -> None:
    again = call_routes(service_info(Many), {"/words": '{"texts":["x"],"seed":7}'}, EXAMPLES)
    assert next(call.body for call in again if call.route == "/words") == b'"x 7"'


def test_a_service_that_does_not_start_here() -> None:
    @tiffin.service
    class NoDatabase:
        @tiffin.on_start
        def connect(self) -> None:
            raise ConnectionRefusedError("db:5432")

        @tiffin.api
        def ask(self) -> int:
            return 1

    (found,) = call_routes(service_info(NoDatabase), {}, [])
    assert (found.status, "ConnectionRefusedError: db:5432" in found.reason) == (0, True)
    assert "does not start here" in route_result(None, found, api()).untried
    before = Called(route="/ask", status=200)
    assert not route_result(before, found, api()).ok


def test_examples_that_fit_nothing_are_left() -> None:
    inputs: Any = service_info(Many).apis["rows"].inputs
    odd = [Recorded((np.ones((2, 5), "float32"), 3, None, {"a": 1}), {"y": object()}, None)]
    assert request_of(inputs, odd) == '{"x":[[0.0,0.0,0.0,0.0]]}'
    named = [Recorded((ROWS,), {"x": ROWS + 1}, None)]
    assert msgspec.json.decode(request_of(inputs, named) or "") == {"x": (ROWS + 1)[:2].tolist()}
    wide: Any = service_info(Many).apis["wide"].inputs
    assert request_of(wide, [Recorded((np.zeros(100_000, "float32"),), {}, None)]) is None  # its head is cut


def api(dtype: str = "") -> ApiSpec:
    return ApiSpec(name="a", route="/a", output=TypeSpec(kind="array", dtype=dtype))


def answer(body: bytes, status: int = 200, media_type: str = "application/json", **more: Any) -> Called:
    return Called(route="/a", request="{}", status=status, media_type=media_type, body=body, **more)


def png(level: int, compress: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, "uint8")).save(file, "PNG", compress_level=compress)
    return file.getvalue()


@pytest.mark.parametrize(
    ("before", "now", "wrong"),
    [
        (answer(b"[1.0]"), answer(b"[1.0000001]"), ""),
        (answer(b"[1.0]"), answer(b"[1.1]"), "answer[0] 1 of 1 values differ"),
        (answer(b"{}"), answer(b'{"a":1}'), "answer['a'] is new"),
        (answer(b"1", steady=False), answer(b"2"), ""),
        (answer(b"1"), answer(b'{"detail":"boom"}', 500), "status was 200, is 500: boom"),
        (answer(b"", 204), answer(b"1", 200), "status was 204, is 200"),
        (
            answer(b"1"),
            answer(b"1", media_type="text/plain"),
            "content-type was application/json, is text/plain",
        ),
        (
            answer(b"data: 1.0\n\ndata: x\n\n", media_type="text/event-stream"),
            answer(b"data: 1.0000001\n\ndata: x\n\n", media_type="text/event-stream"),
            "",
        ),
        (
            answer(b"data: 1\n\n", media_type="text/event-stream"),
            answer(b"data: 2\n\n", media_type="text/event-stream"),
            "lines[0] was 1, is 2",
        ),
        (
            answer(png(9, 0), media_type="image/png"),
            answer(png(9, 9), media_type="image/png"),
            "",
        ),
        (
            answer(png(9, 1), media_type="image/png"),
            answer(png(8, 1), media_type="image/png"),
            "pixels 192 of 192 values differ",
        ),
        (
            answer(b"\x00", media_type="application/octet-stream"),
            answer(b"\x01", media_type="application/octet-stream"),
            "answer 1 bytes are others now",
        ),
    ],
)
def test_answers_are_compared(before: Called, now: Called, wrong: str) -> None:
    found = route_result(before, now, api())
    shown = " ".join(f"{path} {what}" for path, what in found.differences)
    assert found.ok is not bool(wrong)
    assert wrong in shown


def test_half_precision_and_tolerances_of_your_own() -> None:
    before, now = answer(b"[1.0]"), answer(b"[1.005]")
    assert not route_result(before, now, api("float32")).ok
    assert route_result(before, now, api("float16")).ok
    assert route_result(before, now, api(), Tolerance(rtol=0.1)).ok
    assert not route_result(before, now, api("float16"), Tolerance(rtol=0, atol=0)).ok


@pytest.mark.parametrize(
    ("before", "now", "error", "untried"),
    [
        (None, answer(b"1"), "", ""),
        (None, answer(b'{"detail":"KeyError: x"}', 500), "500: KeyError: x", ""),
        (
            None,
            answer(b'{"detail":"too short"}', 422),
            "",
            "refuses the example that was made for it: too short",
        ),
        (answer(b"x", 500), answer(b'{"detail":"KeyError: x"}', 500), "", "it answered 500 where"),
    ],
)
def test_without_an_answer_to_compare_with(before: Any, now: Called, error: str, untried: str) -> None:
    found = route_result(before, now, api())
    assert (found.error, found.compared) == (error, False)
    assert untried in found.untried
    assert bool(untried) == bool(found.untried)


def info(**options: Any) -> BundleInfo:
    return BundleInfo(
        name="a",
        version="1",
        created="",
        digest="",
        service=ServiceSpec(name="a", cls="a:A"),
        options=options,
    )


def test_what_a_manifest_keeps() -> None:
    large, binary = answer(b"x" * MAX_BYTES), answer(b"\xff", media_type="image/png")
    small = [answer(b"[1.5]"), answer(b"1", steady=False)]
    found = kept(info(checked={"routes": to_keep([*small, large, binary, Called(route="/none")])}))
    assert found == small
    assert kept(info()) == []
    for damaged in ({"routes": 5}, {"routes": [{"route": "/a", "unknown": 1}]}):
        with pytest.raises(IntegrityError, match=r"options\.checked\.routes"):
            kept(info(checked=damaged))


def test_no_secret_gets_into_a_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse")
    monkeypatch.setenv("MONKEY", "short")
    monkeypatch.setenv("PLACE", "everywhere")
    bodies = [b'{"a":"correct horse"}', b'"ghp_' + b"a1" * 18 + b'"', b'"short, everywhere"']
    found = kept(info(checked={"routes": to_keep([answer(each) for each in bodies])}))
    assert [(each.body, each.steady) for each in found] == [(b"", False), (b"", False), (bodies[2], True)]
    (failed,) = kept(info(checked={"routes": to_keep([answer(b'{"detail":"no host db.corp"}', 500)])}))
    assert (failed.status, failed.body) == (500, b"")


WRITER = """
import pathlib
import tiffin

@tiffin.service
class Writer:
    @tiffin.api
    def write(self) -> str:
        (pathlib.Path(__file__).parent / "log.txt").write_text("x")
        return __file__.rpartition("/")[2]
"""


def test_what_a_route_writes_beside_its_code_stays_out_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    made = build(echo_project(tmp_path / "project", **{"service.py": WRITER}), lock=False)
    (call,) = record(made.path, made.info, tmp_path / "project")
    assert (call.status, call.body) == (200, b'"service.py"')
    assert not list(made.path.rglob("log.txt"))
    (made.path / "src/service.py").chmod(0o644)
    (made.path / "src/service.py").write_text("import nowhere_to_be_found")
    with pytest.raises(BuildError, match="nowhere_to_be_found") as failed:
        record(made.path, made.info, tmp_path / "project")
    assert "tiffin-check-" not in str(failed.value)


@pytest.mark.parametrize("secret", ["a1" * 200, "first line\nsecond 'line' ü"])
def test_a_secret_that_is_cut_or_quoted_is_one(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", secret)
    body = msgspec.json.encode({"a": "x" * 40, "key": secret})
    answered = answer(body).body.decode()
    assert seems_secret(answered)
    (difference,) = differences({"a": "none"}, {"a": f"key {secret}"}, tolerance=BY_TYPE, path="answer")
    assert seems_secret(difference.what)
    assert not seems_secret("key 'a1a…, is 'first…")


def test_no_secret_of_an_answer_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse battery")
    key = "AKIA" + "Q" * 16
    found = RouteResult(
        route="/a",
        differences=[("answer.key", f"was '{key}', is 'x'"), ("answer.n", "was 1, is 2")],
        error="cannot reach correct horse battery",
        untried="no example",
    )
    told = without_secrets(found)
    hidden = "(not shown: it seems to hold a secret)"
    assert told.differences == [("answer.key", hidden), ("answer.n", "was 1, is 2")]
    assert (told.error, told.untried, told.ok) == (hidden, "no example", False)
