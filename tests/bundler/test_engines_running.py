"""From a container's start until it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from projects import echo_project

import tiffin
from tiffin.bundler.engines import running
from tiffin.bundler.engines.choose import Choice
from tiffin.bundler.engines.engine import Container, ImageFacts, RunRequest
from tiffin.bundler.engines.running import Started, find_image, start, wait_until_ready
from tiffin.errors import ConfigError, ImageError, NotFoundError

FACTS = ImageFacts(
    id="sha256:5", size_bytes=1, layers=[], port=8080, platform="linux/amd64", labels={}, env={}
)


class Held:
    """A container that is nothing but what it says."""

    id = "abc"

    def __init__(self, port: int, code: int | None = None) -> None:
        self._port = port
        self.code = code
        self.removed = False

    def port(self) -> int:
        return self._port

    def exit_code(self) -> int | None:
        return self.code

    def logs(self) -> Iterator[bytes]:
        return iter(())

    def stop(self, limit_s: float) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        self.removed = True


@contextmanager
def server(*codes: int) -> Iterator[int]:
    """Answers `/readyz` with these codes, the last one for ever."""
    left = list(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(code if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made.server_port
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


class Engine:
    """Keeps what it was asked to run."""

    name = "docker"
    asked: RunRequest

    def run(self, request: RunRequest) -> Container:
        self.asked = request
        return Held(49153)


def begin(port: int, code: int | None = None) -> Started:
    engine: Any = Engine()
    return Started(Held(port, code), engine, f"http://127.0.0.1:{port}" if port else "")


def clock() -> tuple[Callable[[], float], Callable[[float], None]]:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return lambda: now[0], sleep


def test_ready_after_a_while() -> None:
    time, sleep = clock()
    with server(503, 503, 200) as port:
        assert wait_until_ready(begin(port), 10, clock=time, sleep=sleep) == pytest.approx(0.5)


def test_it_ends_before_it_is_ready() -> None:
    time, sleep = clock()
    with pytest.raises(ImageError, match="ended with exit code 3 before it was ready"):
        wait_until_ready(begin(0, code=3), 10, clock=time, sleep=sleep)


def test_it_takes_too_long() -> None:
    time, sleep = clock()
    with server(503) as port, pytest.raises(ImageError, match="not ready after 1 s"):
        wait_until_ready(begin(port), 1, clock=time, sleep=sleep)


def test_the_port_of_the_image_is_used_whatever_the_platform() -> None:
    engine: Any = Engine()
    started = start(
        engine, FACTS, RunRequest(image="iris:1", container_port=3000, host="0.0.0.0", env={"A": "1"})
    )
    assert started.url == "http://127.0.0.1:49153"
    assert engine.asked.container_port == 8080
    assert engine.asked.env == {"BUNDLE_PORT": "8080", "A": "1"}


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:49153"), ("::", "http://[::1]:49153"), ("127.0.0.2", "http://127.0.0.2:49153")],
)
def test_addresses(host: str, url: str) -> None:
    request = RunRequest(image="iris:1", container_port=3000, host=host)
    assert start(cast(Any, Engine()), FACTS, request).url == url


def test_no_such_image_says_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(Engine):
        def inspect(self, image: str) -> ImageFacts:
            raise NotFoundError(f"docker has no image {image}")

    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    monkeypatch.setattr(running, "choose", lambda _: Choice(cast(Any, Empty()), ""))
    made = tiffin.build(echo_project(tmp_path / "project"), lock=False)
    with pytest.raises(NotFoundError, match=rf"no image echo:latest: .*`bundle containerize {made.tag}`"):
        find_image("echo:latest", "docker")
    with pytest.raises(NotFoundError, match=r"docker has no image ecko:latest: .*echo"):
        find_image("ecko:latest", "docker")
    with pytest.raises(NotFoundError, match=r"docker has no image Ä: no bundle can have this name"):
        find_image("Ä", "docker")


def test_nothing_is_left_of_a_container_whose_port_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(Held):
        def port(self) -> int:
            raise ImageError("no such container")

    held, engine = Lost(0), Engine()
    monkeypatch.setattr(engine, "run", lambda _: held)
    with pytest.raises(ImageError, match="no such container"):
        start(cast(Any, engine), FACTS, RunRequest(image="iris:1", container_port=3000))
    assert held.removed


def test_grpc_is_published_beside_it() -> None:
    engine: Any = Engine()
    started = start(
        engine, FACTS, RunRequest(image="iris", container_port=3000, host="0.0.0.0"), grpc_port=4001
    )
    assert started.grpc == "127.0.0.1:4001"
    assert engine.asked.more_ports == {8081: 4001}
    assert engine.asked.env["TIFFIN_GRPC_PORT"] == "8081"
    start(
        engine,
        FACTS,
        RunRequest(image="iris", container_port=3000, env={"TIFFIN_GRPC_PORT": "70"}),
        grpc_port=4001,
    )
    assert engine.asked.more_ports == {70: 4001}
    with pytest.raises(ConfigError, match="TIFFIN_GRPC_PORT='none'"):
        start(
            engine,
            FACTS,
            RunRequest(image="iris", container_port=3000, env={"TIFFIN_GRPC_PORT": "none"}),
            grpc_port=4001,
        )
    assert start(engine, FACTS, RunRequest(image="iris", container_port=3000)).grpc == ""
    assert engine.asked.more_ports == {}
