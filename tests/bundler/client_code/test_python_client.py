"""The Python client that `bundle client` writes: type-checked, and run against a live server."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client_service
import httpx
import numpy as np
import pytest
from PIL import Image
from ports import kept_port
from scripted_http import SCHEMA, Peer, Scripted
from server import Server

from tiffin.bundler.client_code.write import client_code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = client_service.write_project(tmp_path_factory.mktemp("kinds"))
    with Server(folder, "--no-access-log") as one:
        yield one


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.base_url}/schema").json()
    return found


@pytest.fixture(scope="module")
def written(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("code") / "kinds_client.py"
    path.write_text(client_code(document, "python"))
    return path


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def code(written: Path) -> Any:
    return load(written)


@pytest.fixture(scope="module")
def client(code: Any, server: Server) -> Iterator[Any]:
    with code.KindsClient(server.base_url) as made:
        made.wait_ready(90)
        yield made


def test_it_needs_no_tiffin(written: Path) -> None:
    text = written.read_text()
    assert "import tiffin" not in text
    assert "from tiffin" not in text


def test_its_types(written: Path) -> None:
    """Right use passes mypy, wrong use does not."""
    (written.parent / "right.py").write_text(
        "from kinds_client import File, KindsClient\n"
        "client = KindsClient('http://x')\n"
        "total: float = client.add(1, scale=2.0)\n"
        "found = client.find({'x': 1.0}, options={'limit': 2}, colour='red')\n"
        "first: float = found['near'][0]['y']\n"
        "stamped: File = client.stamp(b'x')\n"
        "loud: str = client.shout('a', 'soft')\n"
        "for point in client.count(3):\n    print(point['x'])\n"
        "print(client.double([[1, 2, 3, 4]]).shape)\n"
    )
    (written.parent / "wrong.py").write_text(
        "from kinds_client import KindsClient\n"
        "client = KindsClient('http://x')\n"
        "client.add('1')\n"
        "client.find({'y': 1.0})\n"
        "client.shout('a', 'quiet')\n"
        "client.find({'x': 1.0})['nothing']\n"
        "client.stamp('path')\n"
        "client.add(1, 2, 3.0)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-incremental",
            "--config-file=",
            "right.py",
            "wrong.py",
        ],
        cwd=written.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line.partition(": ")[0] for line in done.stdout.splitlines() if ": error:" in line]
    assert errors == [f"wrong.py:{number}" for number in range(3, 9)], done.stdout + done.stderr


def test_plain_values(client: Any) -> None:
    assert client.add(1) == 3.0
    assert client.add(1, 5, scale=2.0) == 12.0
    assert client.shout("hello", how="loud") == "HELLO"
    assert client.maybe() is None
    assert client.maybe(4) == 5
    assert client.close_api() == "closed"
    assert client.total([1.0, 3.0], 0.5) == 2.0


def test_arrays(client: Any) -> None:
    for given in ([[1, 2, 3, 4]], np.array([[1, 2, 3, 4]], np.float32), np.array([[1, 2, 3, 4]])):
        found = client.double(given)
        assert found.dtype == np.float32
        assert found.tolist() == [[2, 4, 6, 8]]
    many = np.random.default_rng(0).random((200_000, 4), np.float32)
    assert np.array_equal(client.double(many), many * 2)
    assert client.mix([1.5, 2], b=[3, 4], weight=2.0) == {"sum": [6.0, 8.0]}
    assert client.mix([1.5, 2]) == {"sum": [1.5, 2.0]}


def test_records(client: Any) -> None:
    found = client.find({"x": 1.0}, options={"limit": 1}, colour="blue")
    near = {"x": 1.0, "y": 0.0, "tags": ["blue"]}
    assert found == {
        "point": {"x": 1.0, "y": 0.0, "tags": []}, "near": [near], "scores": [0.0], "note": None
    }  # fmt: skip
    assert client.head([{"a": 1}, {"a": 2}], 1) == [{"a": 1}]


def test_files(client: Any, code: Any, tmp_path: Path) -> None:
    path = tmp_path / "näme.txt"
    path.write_bytes(b"hello")
    assert client.flip(b"\x00\xff") == b"\xff\x00"
    assert client.flip(path) == b"olleh"
    stamped = client.stamp(code.File(b"a", name="a.txt", media_type="text/plain"), word="b")
    assert stamped == code.File(b"ab", name="b-a.txt", media_type="text/plain")
    with path.open("rb") as file:
        assert client.stamp(file).data == b"helloseen"
    assert client.sizes([path, code.File(b"abc", "z")])["z"] == 3
    out = io.BytesIO()
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), (255, 0, 0))
    image.save(out, "png")
    assert Image.open(io.BytesIO(client.mirror(out.getvalue()))).getpixel((2, 0)) == (255, 0, 0)
    with pytest.raises(TypeError, match=r"pathlib\.Path"):
        client.flip("path")


def test_streams(client: Any, code: Any) -> None:
    found = [(point["x"], client.add(1)) for point in client.count(3)]  # with another call in between
    assert found == [(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)]
    assert [wave.tolist() for wave in client.waves(2)] == [[0.0] * 3, [1.0] * 3]
    assert sum(map(len, client.chunks([5, 300_000, 1]))) == 300_006
    with pytest.raises(code.ServerError, match="enough") as caught:
        list(client.count(5, fail_at=2))
    assert caught.value.status == 500
    left = client.count(1000)
    next(left)
    left.close()
    assert client.add(1) == 3


def test_errors(client: Any, code: Any) -> None:
    with pytest.raises(code.ServerError, match="not like that") as caught:
        client.fail("input")
    assert (caught.value.status, caught.value.path) == (422, "$.why")
    assert caught.value.request_id
    assert caught.value.title == "Invalid input"
    with pytest.raises(code.ServerError) as memory:
        client.fail("memory")
    assert (memory.value.status, memory.value.retry_after_s) == (503, None)
    with pytest.raises(code.ServerError) as shape:
        client.double([[1, 2]])
    assert shape.value.path == "$.x"


def test_again_and_in_time(client: Any, code: Any, server: Server) -> None:
    assert client.flaky() % 2 == 0
    hasty = code.KindsClient(server.base_url, timeout_s=0.2, retries=0)
    with pytest.raises((TimeoutError, code.ServerError)):
        hasty.nap(20)
    hasty.close()


def test_headers_and_threads(code: Any, server: Server) -> None:
    with code.KindsClient(server.base_url, headers={"x-user": "ann", "x-request-id": "r1"}) as client:
        found = client.who()
        assert (found["id"], found["user"]) == ("r1", "ann")
        wrong: list[int] = []

        def ask(start: int) -> None:
            wrong.extend(number for number in range(start, start + 20) if client.add(number, 0) != number)
            client.close()

        threads = [threading.Thread(target=ask, args=(start * 100,)) for start in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_what_may_have_been_computed_is_not_sent_again(code: Any) -> None:
    def loses(peer: Peer) -> None:
        peer.request()

    with Scripted(loses) as scripted:
        client = code.KindsClient(scripted.url, token="secret")
        with pytest.raises(code.ConnectionFailedError) as caught:
            client.add(1)
        assert caught.value.sent
        assert len(scripted.requests) == 1
        assert b"authorization: Bearer secret" in scripted.requests[0]
    with kept_port() as port, pytest.raises(code.ConnectionFailedError) as refused:
        code.KindsClient(f"http://127.0.0.1:{port}", retries=1).add(1)
    assert not refused.value.sent


def test_a_connection_that_ended_while_idle_is_not_used(code: Any) -> None:
    closed = threading.Event()

    def once(peer: Peer) -> None:
        peer.request()
        peer.answer(b"3.0")
        peer.socket.close()
        closed.set()

    with Scripted(once) as scripted:
        client = code.KindsClient(scripted.url)
        assert client.add(1) == 3
        assert closed.wait(60)
        assert client.add(1) == 3
        client.close()
        assert len(scripted.requests) == 2


def test_a_service_without_arrays_needs_no_numpy(tmp_path: Path) -> None:
    import json

    schema = {"info": {"title": "small"}, **json.loads(SCHEMA)}
    path = tmp_path / "small_client.py"
    path.write_text(client_code(schema, "python"))
    assert "import numpy" not in path.read_text()
    with Scripted() as scripted:
        client = load(path).SmallClient(scripted.url)
        assert client.add(1) == 3
        client.close()
