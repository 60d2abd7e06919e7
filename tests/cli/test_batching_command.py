"""`bundle batching` against servers that are made up, and against none."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import explanations
import pytest
from ports import kept_port

from tiffin.cli import batching_view, console
from tiffin.cli.commands import batching
from tiffin.cli.main import root


class Result(NamedTuple):
    exit_code: object
    stdout: str
    stderr: str


def invoke(*args: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        root.main(["batching", *args], prog_name="bundle")
    return Result(end.value.code, out.getvalue(), err.getvalue())


@contextmanager
def answering(
    body: object, status: int = 200, kind: str = "application/json"
) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server that always says the same, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_lines_for_a_pipe() -> None:
    with answering(explanations.server()) as (url, asked):
        done = invoke(url, "--process", "api 0")
    assert (done.exit_code, done.stderr) == (0, "")
    assert asked == ["/debug/batching?process=api%200"]
    lines = done.stdout.splitlines()
    assert lines[1] == (
        "forest.predict: 1,000 batches, 15,000 rows, 15.0 a batch, 3 rows wait, 1,234 rows/s arrive"
    )
    last = lines[lines.index("forest.predict: the last batches") + 1 :]
    assert " ".join(last[0].split()) == "LEFT ROWS REQUESTS WHY WAITED, MS TOOK, MS WORKER"
    assert " ".join(last[1].split()[1:]) == "s ago 1 1 idle worker 1.50 12.5 forest-0-1"
    assert [line.split()[3] for line in last[1:13]] == [str(number) for number in range(1, 13)]
    assert last[13:] == [""]


def test_json_is_all_that_the_server_said() -> None:
    told = explanations.server()
    with answering(told) as (url, _):
        done = invoke(url, "--json")
    assert json.loads(done.stdout) == told


def test_a_server_below_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # this machine is asked without it
    with answering(explanations.server()) as (url, asked):
        assert invoke(f"{url}/iris/?x#y").exit_code == 0
        assert invoke(url.rpartition(":")[2]).exit_code == 0
    assert asked == ["/iris/debug/batching", "/debug/batching"]


def test_no_batches_yet() -> None:
    told = explanations.server(explanations.process(predict=explanations.quiet()), silent=["api-1"])
    with answering(told) as (url, _):
        done = invoke(url)
    assert done.exit_code == 0
    assert "forest.predict: no batches yet" in done.stdout
    assert done.stderr == (
        "warning: no answer from api-1: it is busy with something else\n"
        "No batches yet: send a request, then ask again.\n"
    )


def test_a_terminal_gets_tables_and_nothing_that_speaks_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda stream=None: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    evil = explanations.batch(1, worker="\x1b]0;title\x07", failed=True)
    told = explanations.server(
        explanations.process(predict=explanations.method(last_batches=[evil])),
        explanations.process("api-1", hello=explanations.quiet()),
        title="\x1b[2J",
    )
    with answering(told) as (url, _):
        done = invoke(url)
    assert "\x1b" not in done.stdout
    for words in (
        "forest.predict  api-0",
        "forest.hello  api-1",
        "no batches yet",
        "████████████████████████",
        "idle worker (failed)",
        "held back",
        r"\x1b]0;title\x07",
    ):
        assert words in done.stdout


def test_a_service_without_runners_is_drawn() -> None:
    from rich.console import Console

    told = explanations.server({**explanations.process(), "runners": {}})
    drawing = Console(file=io.StringIO())
    drawing.print(batching_view.drawn(told))
    assert "nothing is batched" in drawing.file.getvalue()  # type: ignore[attr-defined]


def test_watch_draws_anew_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []

    @contextmanager
    def live() -> Iterator[Any]:
        yield drawn.append

    def sleep(seconds: float) -> None:
        assert seconds == batching.EVERY_S
        if len(drawn) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(console, "is_terminal", lambda stream=None: True)
    monkeypatch.setattr(console, "live", live)
    monkeypatch.setattr("time.sleep", sleep)
    with answering(explanations.server()) as (url, asked):
        done = invoke(url, "--watch")
    assert (done.exit_code, len(drawn), len(asked)) == (130, 3, 3)


@pytest.mark.parametrize("options", [["--watch"], ["--watch", "--json"]])
def test_watch_wants_a_terminal(options: list[str]) -> None:
    done = invoke("3000", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--watch draws on a terminal" in done.stderr


@pytest.mark.parametrize("url", ["ftp://x", "http://x:y", "localhost:0", "http://", "http://[::1"])
def test_what_is_no_url(url: str) -> None:
    done = invoke(url)
    assert done.exit_code == 2
    assert "is no URL of a server: write http://localhost:3000, or its port" in done.stderr


def test_a_url_or_a_server_of_this_machine() -> None:
    done = invoke("3000", "--pid", "1")
    assert (done.exit_code, "not both" in done.stderr) == (2, True)


def test_nobody_is_there() -> None:
    with kept_port() as port:
        url = f"http://127.0.0.1:{port}"
        done = invoke(url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"no server answers at {url}: Connection refused; start one with bundle serve" in done.stderr


def test_no_server_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    done = invoke()
    assert done.exit_code == 1
    assert "runs here: start one with bundle serve" in done.stderr or "these do" in done.stderr


def test_somebody_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LIMIT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        done = invoke(str(hung.getsockname()[1]))
    assert done.exit_code == 1
    assert "it says nothing" in done.stderr


def test_somebody_who_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        done = invoke(str(listening.getsockname()[1]))
        thread.join()
    assert done.exit_code == 1
    assert "speaks no HTTP (SSH-2.0-OpenSSH_9.6" in done.stderr


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"<html>", 200, "text/html"),
        (b"{", 200, "application/json"),
        ([1], 200, "application/json"),
        ({"models": []}, 200, "application/json"),
        (b"not here", 404, "text/plain"),
    ],
)
def test_somebody_else(body: object, status: int, kind: str) -> None:
    with answering(body, status, kind) as (url, _):
        done = invoke(url)
    assert done.exit_code == 1
    assert f"what answers at {url} is no tiffin server" in done.stderr


@pytest.mark.parametrize(("status", "code"), [(422, 2), (503, 1)])
def test_a_refusal_is_told_as_it_is(status: int, code: int) -> None:
    problem = {"detail": "no API process 'x'; there are api-0", "status": status}
    with answering(problem, status, "application/problem+json") as (url, _):
        done = invoke(url)
    assert done.exit_code == code
    assert "no API process 'x'; there are api-0" in done.stderr
