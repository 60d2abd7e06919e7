"""Health, metrics, schema and pages of a server with a real service."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

import tiffin
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp
from tiffin.runtime.http.handlers import litestar_app
from tiffin.runtime.http.pages import CONTENT_SECURITY_POLICY, DESCRIPTION, FILES, PAGES
from tiffin.runtime.http.serving import Serving
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.service.reserved import PATHS, is_reserved
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions


@tiffin.service
class Words:
    """Counts words. <script>alert("doc")</script>"""

    @tiffin.api
    async def count(self, text: str, least: int = 1) -> dict[str, int]:
        """Counts.

        Args:
            text: anything.
        """
        return {word: text.split().count(word) for word in text.split() if len(word) >= least}

    @tiffin.api
    async def ping(self) -> None:
        """Takes nothing."""

    @tiffin.api
    async def spell(self, text: str) -> AsyncIterator[str]:
        """Spells."""
        for char in text:
            yield char

    @tiffin.api
    async def copy(self, file: tiffin.File) -> tiffin.File:
        """Gives it back."""
        return file


@pytest.fixture
def state(tmp_path: Path) -> ServerState:
    info = service_info(Words)
    return ServerState(
        info=info,
        spec=info.spec(),
        options=ServerOptions(access_log=False, title="words:6f3k2q"),
        instance=Words(),
        dispatchers={},
        metrics=Metrics.open(tmp_path, "api-0", "words"),
        run_folder=tmp_path,
        generation=3,
        ready=True,
    )


def fetch(state: ServerState, *requests: tuple[str, str], **options: Any) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        app = PredictionApp(state, create_app(state))
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.request(method, path, **options) for method, path in requests]

    return asyncio.run(main())


def test_health(state: ServerState) -> None:
    live, ready, health = fetch(state, ("GET", "/livez"), ("GET", "/readyz"), ("HEAD", "/healthz"))
    assert (live.status_code, ready.status_code, health.status_code) == (200, 200, 200)
    assert ready.json() == {
        "live": True,
        "ready": True,
        "reasons": [],
        "service": "words",
        "generation": 3,
        "in_flight": 0,
        "runners": {},
    }
    state.ready, state.draining = False, True
    live, ready = fetch(state, ("GET", "/livez"), ("GET", "/readyz"))
    assert (live.status_code, ready.status_code) == (200, 503)
    assert ready.json()["reasons"] == ["the server is stopping"]
    assert ready.headers["cache-control"] == "no-store"


def test_each_answer_has_one_charset(state: ServerState) -> None:
    paths = [*PATHS, DESCRIPTION, *FILES, "/nowhere"]
    for path, answer in zip(paths, fetch(state, *(("GET", path) for path in paths)), strict=True):
        assert answer.headers["content-type"].count("charset") <= 1, path
    assert fetch(state, ("GET", "/"))[0].headers["content-type"] == "text/html; charset=utf-8"


def test_a_problem_names_its_path_as_a_uri(state: ServerState) -> None:
    (answer,) = fetch(state, ("GET", "/t%C3%A9%0D%0Ax%20%25"))
    assert answer.json()["instance"] == "/t%C3%A9%0D%0Ax%20%25"


def test_metrics(state: ServerState) -> None:
    *_, page = fetch(
        state, ("POST", "/count?text=a"), ("GET", "/a"), ("GET", "/b"), ("GET", "/count"), ("GET", "/metrics")
    )
    lines = page.text.splitlines()
    for label, count in (
        ('code="200",method="POST",route="/count"', "1.0"),
        ('code="405",method="GET",route="/count"', "1.0"),
        ('code="404",method="GET",route="<unmatched>"', "2.0"),
    ):
        assert f'tiffin_requests_total{{{label},service="words"}} {count}' in lines
    (page,) = fetch(
        state, ("GET", "/metrics"), headers={"accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")


def test_schema(state: ServerState) -> None:
    schema, text = fetch(state, ("GET", "/schema"), ("GET", "/schema.yaml"))
    assert schema.json() == yaml.safe_load(text.text)
    assert list(schema.json()["paths"]) == ["/count", "/ping", "/spell", "/copy"]
    assert schema.json()["info"]["version"] == "6f3k2q"


def test_everything_the_server_answers_is_closed_to_apis(state: ServerState) -> None:
    paths = [route.path for route in litestar_app(state, Serving.of(state)).routes]
    assert {"/", "/metrics", "/schema.yaml", DESCRIPTION, *PAGES, *FILES} <= set(paths)
    assert [path for path in paths if not is_reserved(path)] == []


def test_problems_are_what_the_schema_says(state: ServerState) -> None:
    schema, *problems = fetch(
        state,
        ("GET", "/schema"),
        ("GET", "/nowhere"),
        ("DELETE", "/livez"),
        ("GET", "/count"),
        ("POST", "/count"),
        ("POST", "/count?text=a&least=b"),
        ("POST", "/count?txt=a"),
    )
    described = schema.json()["components"]["schemas"]["Problem"]
    assert [each.status_code for each in problems] == [404, 405, 405, 400, 422, 422]
    for answer in problems:
        jsonschema.validate(answer.json(), described)
        assert set(answer.json()) | {"path"} == set(described["properties"])


def test_only_a_bundle_has_a_version(state: ServerState) -> None:
    state.options = ServerOptions(access_log=False, title="service:Words")
    (schema,) = fetch(state, ("GET", "/schema"))
    assert schema.json()["info"]["version"] == "0"


def test_not_found_and_wrong_method(state: ServerState) -> None:
    missing, wrong = fetch(state, ("GET", "/cont"), ("DELETE", "/livez"))
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.headers["content-type"] == "application/problem+json"
    assert missing.json()["detail"].startswith("no route '/cont'; did you mean /count")
    assert missing.json()["request_id"] == missing.headers["x-request-id"]
    assert wrong.headers["allow"] == "GET, HEAD"


def test_file_comes_back_with_its_type_and_name(state: ServerState) -> None:
    files = {"file": ("naïve.csv", b"a,b", "text/csv")}
    (answer,) = fetch(state, ("POST", "/copy"), files=files)
    assert (answer.content, answer.headers["content-type"]) == (b"a,b", "text/csv")
    assert "filename*=UTF-8''na%C3%AFve.csv" in answer.headers["content-disposition"]


def test_pages_are_self_contained(state: ServerState) -> None:
    """No inline script or style, no other host, and every file that a page asks for is there."""
    paths = [*PAGES, *FILES]
    answers = fetch(state, *(("GET", path) for path in paths), headers={"accept": "text/html, */*;q=0.8"})
    for path, answer in zip(paths, answers, strict=True):
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        text = re.sub(r"http://www\.w3\.org/2000/svg", "", answer.text)
        assert not re.search(r"https?://|//cdn|\binnerHTML\b|\beval\(|document\.write", text), path
        if path in PAGES:
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text), path
            wanted = re.findall(r'(?:href|src)="([^"#:]+)"', text)
            led = {str(httpx.URL(f"http://test{path}").join(name).path) for name in wanted}
            assert {"/pages/page.css", *PAGES} <= led <= {*PAGES, *FILES, *PATHS}
        for name in re.findall(r'from "\./([^"]+)"', text):
            assert f"/pages/{name}" in FILES
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_description_of_the_service(state: ServerState) -> None:
    (answer,) = fetch(state, ("GET", DESCRIPTION))
    described = json.loads(answer.content)
    assert described["title"] == "words:6f3k2q"
    count, ping, spell, _ = described["apis"]
    assert count["route"] == "/count"
    assert count["defaults"] == {"least": 1}
    assert set(count["example"]) == {"text", "least"} or set(count["example"]) == {"text"}
    assert all(set(each) == set(count) for each in described["apis"])  # the pages read every key of every api
    assert (ping["inputs"], ping["defaults"], ping["example"]) == ({}, {}, {})
    assert spell["stream"] is True
    assert "text/event-stream" in spell["returns"]
    assert {"id": "overloaded", "title": "Overloaded", "status": 503} in described["problems"]
