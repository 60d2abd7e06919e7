"""The client against a real server, every kind of api: over HTTP and gRPC, blocking and in an event loop."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import client_service
import numpy as np
import pytest
from PIL import Image
from server import Server

import tiffin
from tiffin.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    OutOfMemoryError,
    OverloadedError,
    TiffinError,
)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = client_service.write_project(tmp_path_factory.mktemp("kinds"))
    with Server(folder, "--no-access-log") as server:
        yield {"http": server.base_url, "grpc": f"grpc://{server.events[-1]['grpc']}"}


class Blocking:
    """`caller.add(1)`; a stream gives the list of its items."""

    def __init__(self, url: str) -> None:
        self.client: Any = tiffin.Client(url)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            found = self.client.call(name, *args, **kwargs)
            return list(found) if inspect.isgenerator(found) else found

        return call

    def with_options(self, **options: Any) -> Any:
        made = object.__new__(type(self))
        made.client = self.client.with_options(**options)
        return made

    def end(self) -> None:
        self.client.close()


class Looping:
    """The same by an AsyncClient in a loop of its own."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.client: Any = tiffin.AsyncClient(url)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self.loop.run_until_complete(self._ask(name, args, kwargs))

        return call

    async def _ask(self, name: str, args: Any, kwargs: Any) -> Any:
        await self.client.connect()
        found = self.client.call(name, *args, **kwargs)
        return [item async for item in found] if inspect.isasyncgen(found) else await found

    def with_options(self, **options: Any) -> Any:
        made = object.__new__(type(self))
        made.client, made.loop = self.client.with_options(**options), self.loop
        return made

    def end(self) -> None:
        self.loop.run_until_complete(self.client.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture(scope="module", params=["http", "http in a loop", "grpc", "grpc in a loop"])
def caller(request: pytest.FixtureRequest, urls: dict[str, str]) -> Iterator[Any]:
    scheme, _, how = request.param.partition(" ")
    made = (Looping if how else Blocking)(urls[scheme])
    yield made
    made.end()


def test_scalars(caller: Any) -> None:
    assert caller.add(1) == 3.0
    assert caller.add(1, 5, scale=2.0) == 12.0
    assert caller.shout("Hello") == "HELLO"
    assert caller.shout("Hello", how="soft") == "hello"
    assert caller.maybe() is None
    assert caller.maybe(None) is None
    assert caller.maybe(x=4) == 5


@pytest.mark.parametrize(
    "given",
    [
        [[1, 2, 3, 4]],
        ((1.0, 2, 3, 4),),
        np.array([[1, 2, 3, 4]], np.float32),
        np.array([[1, 2, 3, 4]], np.float64),
        np.array([[1, 2, 3, 4]], np.int16),
        np.array([[1, 9, 2, 9, 3, 9, 4]], np.float32)[:, ::2],
        np.array([[1, 2, 3, 4]], ">f4"),
    ],
)
def test_arrays(caller: Any, given: Any) -> None:
    found = caller.double(given)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.tolist() == [[2, 4, 6, 8]]
    found += 1  # its own memory


def test_tensors(caller: Any) -> None:
    torch = pytest.importorskip("torch")
    assert caller.double(torch.ones(2, 4)).tolist() == [[2.0] * 4] * 2
    assert caller.double(torch.ones(4, 2).T.requires_grad_()).tolist() == [[2.0] * 4] * 2


def test_no_rows_and_many(caller: Any) -> None:
    assert caller.double(np.empty((0, 4), np.float32)).shape == (0, 4)
    assert caller.double([]).shape == (0, 4)
    many = np.random.default_rng(0).random((500_000, 4), np.float32)
    assert np.array_equal(caller.double(many), many * 2)


def test_not_a_number_in_arrays(caller: Any) -> None:
    found = caller.double([[float("nan"), float("inf"), 1, 2]])
    assert np.isnan(found[0, 0])
    assert np.isinf(found[0, 1])


def test_arrays_in_results(caller: Any) -> None:
    found = caller.mix([1.5, 2], b=[3, 4], weight=2.0)
    assert isinstance(found["sum"], np.ndarray)
    assert found["sum"].tolist() == [6.0, 8.0]
    assert caller.mix([1.5, 2])["sum"].tolist() == [1.5, 2.0]


def test_records(caller: Any) -> None:
    found = caller.find({"x": 1.0}, options={"limit": 1}, colour="blue")
    assert isinstance(found["scores"], np.ndarray)
    assert found.pop("scores").tolist() == [0.0]
    near = {"x": 1.0, "y": 0.0, "tags": ["blue"]}
    assert found == {"point": {"x": 1.0, "y": 0.0, "tags": []}, "near": [near], "note": None}


def test_bytes_and_files(caller: Any, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"hello")
    assert caller.flip(b"\x00\xff") == b"\xff\x00"
    assert caller.flip(path) == b"olleh"
    assert caller.flip(b"") == b""
    assert caller.stamp(path) == tiffin.File(b"helloseen", name="seen-note.txt", media_type="text/plain")
    with path.open("rb") as file:
        assert caller.stamp(file, word="x").name == "x-note.txt"
    assert caller.stamp(io.BytesIO(b"a")).data == b"aseen"
    assert caller.sizes([path, b"abc", tiffin.File(b"", name="z")]) == {"note.txt": 5, "": 3, "z": 0}
    with pytest.raises(InvalidInputError, match="pathlib"):
        caller.flip(str(path))
    with pytest.raises(InvalidInputError, match="cannot be read"):
        caller.flip(tmp_path / "none")


def test_images(caller: Any, tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), (255, 0, 0))
    image.save(tmp_path / "a.png")
    for given in (image, tmp_path / "a.png", (tmp_path / "a.png").read_bytes()):
        assert caller.mirror(given).getpixel((2, 0)) == (255, 0, 0)


def test_tables(caller: Any) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert caller.head(table, rows=2).equals(table.head(2))
    assert caller.head([{"a": 1}], 1).to_dict("list") == {"a": [1]}


def test_streams(caller: Any) -> None:
    assert caller.count(3) == [{"x": float(number), "y": 0.0, "tags": []} for number in range(3)]
    assert caller.count(0) == []
    waves = caller.waves(rounds=2)
    assert [wave.dtype for wave in waves] == [np.float32] * 2
    assert [wave.tolist() for wave in waves] == [[0.0] * 3, [1.0] * 3]
    assert sum(map(len, caller.chunks([5, 300_000, 1]))) == 300_006
    with pytest.raises(InferenceError, match="enough") as caught:
        caller.count(5, fail_at=2)
    assert caught.value.remote_type == "ValueError"


def test_streams_of_input(caller: Any) -> None:
    """Sent as a whole: a list, or whatever gives its items."""
    assert caller.total([1.0, 2.5]) == 3.5
    assert caller.total((price for price in (1.0, 3.0)), discount=0.5) == 2.0
    assert caller.total([]) == 0.0


def test_errors_are_those_of_the_server(caller: Any) -> None:
    with pytest.raises(InvalidInputError, match="not like that") as caught:
        caller.fail("input")
    assert caught.value.path == "$.why"
    assert caught.value.request_id
    with pytest.raises(OutOfMemoryError):
        caller.fail("memory")
    with pytest.raises(InferenceError, match="RuntimeError: boom") as failed:
        caller.fail("boom")
    assert failed.value.remote_type == "RuntimeError"
    with pytest.raises(OverloadedError) as full:
        caller.with_options(retries=0).fail("full")
    assert full.value.retry_after_s == 1
    with pytest.raises(InvalidInputError) as shape:
        caller.double([[1, 2]])
    assert shape.value.path == "$.x"
    with pytest.raises(InvalidInputError) as ragged:
        caller.double([[1, 2, 3, 4], [1]])
    assert ragged.value.path.startswith("$.x")
    with pytest.raises(InvalidInputError):
        caller.add(1.5)
    with pytest.raises(InvalidInputError) as unsendable:
        caller.add(object())
    assert unsendable.value.path == "$.a"


def test_wrong_arguments_are_pythons_own_errors(caller: Any) -> None:
    for args, kwargs in [((), {}), ((1, 2, 3), {}), ((1,), {"a": 2}), ((1,), {"z": 2})]:
        with pytest.raises(TypeError):
            caller.add(*args, **kwargs)
    with pytest.raises(AttributeError, match="did you mean 'add'"):
        caller.ad(1)


def test_what_was_refused_is_asked_again(caller: Any) -> None:
    assert caller.flaky() % 2 == 0  # the service refuses every other call


def test_time_limits(caller: Any) -> None:
    with pytest.raises(DeadlineExceededError):
        caller.with_options(timeout_s=0.1).nap(20)
    assert caller.nap(0) == 0


def test_headers(caller: Any) -> None:
    mine = caller.with_options(headers={"x-user": "ann", "x-request-id": "r-1"})
    found = mine.who()
    assert (found["id"], found["user"]) == ("r-1", "ann")
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = [(b"x-request-id", b"outer"), (b"traceparent", trace)]
    with tiffin.RequestContext(raw_headers=headers):
        found = caller.who()
    assert (found["id"], found["trace"]) == ("outer", "0af7651916cd43dd8448eb211c80319c")


def test_an_api_with_the_name_of_a_method_of_the_client(caller: Any) -> None:
    assert caller.close() == "closed"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_names_signatures_and_docstrings(urls: dict[str, str], scheme: str) -> None:
    with tiffin.Client(urls[scheme]) as client:
        client.wait_ready(90)
        assert (
            str(inspect.signature(client.add))
            == "(a: 'int', b: 'int' = 2, *, scale: 'float' = 1.0) -> 'float'"
        )
        assert inspect.getdoc(client.add) == "Adds two numbers.\n\nAnd scales the sum."
        assert client.add.__name__ == "add"
        assert str(inspect.signature(client.double)) == "(x: 'float32[n, 4]') -> 'float32[n, 4]'"
        assert inspect.signature(client.count).return_annotation == "Iterator[Point]"
        assert {"add", "count", "with_options", "wait_ready"} <= set(dir(client))
        assert client.schema()["info"]["title"] == "kinds"
        assert repr(client) == f"Client('{urls[scheme]}')"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_an_async_client_without_a_schema(urls: dict[str, str], scheme: str) -> None:
    async def answer(client: Any) -> None:
        await client.wait_ready(90)
        assert await client.add(1) == 3

    async def stream(client: Any) -> None:
        assert len([item async for item in client.count(2)]) == 2

    async def await_a_stream(client: Any) -> None:
        with pytest.raises(TypeError, match="async for"):
            await client.count(2)

    async def iterate_over_an_answer(client: Any) -> None:
        with pytest.raises(TypeError, match="await"):
            async for _ in client.add(2):
                pass

    async def call_nothing(client: Any) -> None:
        with pytest.raises(AttributeError, match="has no api 'nothing'"):
            await client.nothing()

    async def run(use: Any) -> None:
        client = tiffin.AsyncClient(urls[scheme])
        await use(client)
        await client.close()

    for use in (answer, stream, await_a_stream, iterate_over_an_answer, call_nothing):
        asyncio.run(run(use))


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_many_at_once(urls: dict[str, str], scheme: str) -> None:
    """Everybody gets an answer to the own question."""

    async def run() -> list[float]:
        async with tiffin.AsyncClient(urls[scheme], max_connections=20) as client:
            return await asyncio.gather(*(client.add(number, 0) for number in range(300)))

    assert asyncio.run(run()) == list(range(300))
    wrong: list[int] = []
    with tiffin.Client(urls[scheme]) as client:

        def ask(start: int) -> None:
            wrong.extend(number for number in range(start, start + 30) if client.add(number, 0) != number)

        threads = [threading.Thread(target=ask, args=(start * 100,)) for start in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_client_outlives_a_fork(urls: dict[str, str]) -> None:
    with tiffin.Client(urls["http"]) as client:
        assert client.add(1) == 3
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, b"%d" % client.add(2))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"4"
        assert client.add(1) == 3
        os.close(reading)
        os.close(writing)


def test_waiting_for_a_server_that_does_not_come() -> None:
    for scheme in ("http", "grpc"):
        with tiffin.Client(f"{scheme}://127.0.0.1:1") as client, pytest.raises(TiffinError):
            client.wait_ready(0.1)
