"""A runtime API of Lambda: hands out events one after the other and keeps what comes back."""

from __future__ import annotations

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

LIMIT_S = 150.0


class Outcome(NamedTuple):
    path: str
    """After the version: `invocation/1/response`, `invocation/1/error`, `init/error`."""
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class LambdaRuntime:
    """Listens on a free port of 127.0.0.1.

    Attributes:
        address: for `AWS_LAMBDA_RUNTIME_API`.
    """

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[str, bytes, float] | None] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._count = 0
        self.asked = threading.Event()
        """The first `next` has come."""
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                runtime.asked.set()
                assert self.path == "/2018-06-01/runtime/invocation/next"
                given = runtime._events.get()
                if given is None:
                    self.close_connection = True
                    return
                name, body, left_s = given
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", name)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + left_s) * 1000)))
                self.send_header("Lambda-Runtime-Trace-Id", f"Root=1-{name}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                path = self.path.removeprefix("/2018-06-01/runtime/")
                runtime._outcomes.put(Outcome(path, body, dict(self.headers)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # their sockets are closed before the test ends
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> LambdaRuntime:  # noqa: PYI034 - Self came with 3.11
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in range(10):  # threads that still hold a question
            self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def invoke(self, event: Any, left_s: float = 30.0) -> Outcome:
        """Hands out an event and waits for what becomes of it."""
        name = self.hand_out(event, left_s)
        outcome = self.outcome()
        assert outcome.path in {f"invocation/{name}/response", f"invocation/{name}/error"}, outcome
        return outcome

    def hand_out(self, event: Any, left_s: float = 30.0) -> str:
        """Gives an event to the next who asks; its request id."""
        self._count += 1
        name = f"invocation-{self._count}"
        self._events.put((name, event if isinstance(event, bytes) else json.dumps(event).encode(), left_s))
        return name

    def outcome(self) -> Outcome:
        return self._outcomes.get(timeout=LIMIT_S)
