"""The loop between Lambda and the server, beside a real runtime API and a small server."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from lambda_runtime import LambdaRuntime

from tiffin.errors import ConfigError, ServerError
from tiffin.runtime.platforms import lambda_loop
from tiffin.runtime.platforms.lambda_loop import LambdaLoop


class Echo:
    """Answers with the header that came, when as many requests are there as it waits for."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(1)
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/hang-up":
                    return
                echo.barrier.wait(120)
                body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What the loop does to its process when Lambda is gone."""
    event = threading.Event()

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGTERM)
        event.set()

    monkeypatch.setattr(lambda_loop.os, "kill", kill)
    yield event
    assert event.wait(120), "every test ends with the runtime API gone"


def http_event(path: str = "/", **headers: str) -> dict[str, Any]:
    context = {"http": {"method": "POST"}, "stage": "$default"}
    return {"version": "2.0", "rawPath": path, "headers": headers, "requestContext": context}


def start(runtime: LambdaRuntime, url: str, **environ: str) -> LambdaLoop:
    loop = LambdaLoop({"AWS_LAMBDA_RUNTIME_API": runtime.address, **environ})
    loop.start(url)
    return loop


def test_headers_that_are_added(echo: Echo, killed: threading.Event) -> None:
    with LambdaRuntime() as runtime:
        start(runtime, echo.url)
        sent = json.loads(runtime.invoke(http_event(), left_s=1000).document["body"])
        assert sent["x-request-id"] == "invocation-1"
        assert sent["x-amzn-trace-id"] == "Root=1-invocation-1"
        assert 900 < float(sent["x-request-timeout"]) < 1000, "a little less than is left"
        mine = {"x-request-id": "me", "X-Request-Timeout": "3", "x-amzn-trace-id": "t", "host": "example"}
        sent = json.loads(runtime.invoke(http_event(**mine), left_s=10).document["body"])
        assert (sent["x-request-id"], sent["x-request-timeout"]) == ("me", "3")
        assert (sent["x-amzn-trace-id"], sent["host"]) == ("t", "example")
        hurried = runtime.invoke(http_event(**{"x-request-timeout": "60"}), left_s=10).document["body"]
        assert float(json.loads(hurried)["x-request-timeout"]) < 10


def test_invocations_at_a_time(echo: Echo, killed: threading.Event) -> None:
    """Managed instances: two are answered only when both are there."""
    echo.barrier = threading.Barrier(2)
    with LambdaRuntime() as runtime:
        start(runtime, echo.url, AWS_LAMBDA_MAX_CONCURRENCY="2")
        names = {runtime.hand_out(http_event()) for _ in range(2)}
        outcomes = [runtime.outcome() for _ in names]
        assert {outcome.path for outcome in outcomes} == {f"invocation/{name}/response" for name in names}
        assert [outcome.document["statusCode"] for outcome in outcomes] == [200, 200]


def test_a_server_that_hangs_up_costs_one_invocation(echo: Echo, killed: threading.Event) -> None:
    with LambdaRuntime() as runtime:
        start(runtime, echo.url)
        outcome = runtime.invoke(http_event("/hang-up"))
        assert (outcome.path, outcome.document["errorType"]) == (
            "invocation/invocation-1/error",
            "ServerError",
        )
        assert runtime.invoke(http_event()).document["statusCode"] == 200


@pytest.mark.parametrize(
    "event", [b"", b"{", {"version": "2.0", "requestContext": {"http": {}}, "rawPath": 1}]
)
def test_events_that_cannot_be_read(echo: Echo, killed: threading.Event, event: Any) -> None:
    with LambdaRuntime() as runtime:
        start(runtime, echo.url)
        assert runtime.invoke(event).document["errorType"] == "MalformedEvent"


def test_why_the_start_failed() -> None:
    with LambdaRuntime() as runtime:
        LambdaLoop({"AWS_LAMBDA_RUNTIME_API": runtime.address}).failed(ServerError("no such weights"))
        outcome = runtime.outcome()
        assert (outcome.path, outcome.document["errorType"]) == ("init/error", "ServerError")
        assert outcome.document["errorMessage"] == "no such weights"


def test_elsewhere_it_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="AWS_LAMBDA_RUNTIME_API"):
        LambdaLoop({})
