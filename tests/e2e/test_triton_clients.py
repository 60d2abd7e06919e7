"""NVIDIA's own client library, unmodified, against a served project: every call on HTTP and on gRPC."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from everything import ECHOED, write_project
from server import Server
from tritonclient.utils import InferenceServerException

SERVICE = "everything"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, "--allow-client-shm") as running:
        yield running


class Caller:
    """One of the two clients, with the module it is from."""

    def __init__(self, module: ModuleType, client: Any, kind: str) -> None:
        self.module = module
        self.client = client
        self.kind = kind

    def given(self, name: str, array: Any, datatype: str, **options: Any) -> Any:
        made = self.module.InferInput(name, list(array.shape), datatype)
        made.set_data_from_numpy(array, **options)
        return made

    def infer(self, api: str, inputs: dict[str, tuple[Any, str]], **options: Any) -> Any:
        made = [self.given(name, array, datatype) for name, (array, datatype) in inputs.items()]
        return self.client.infer(f"{SERVICE}.{api}", made, **options)

    def json(self, value: Any) -> Any:
        """A management answer, whichever way it comes."""
        if isinstance(value, (dict, list)):
            return value
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(value, preserving_proto_field_name=True)


@pytest.fixture(params=["http", "grpc"])
def caller(request: pytest.FixtureRequest, server: Server) -> Iterator[Caller]:
    if request.param == "http":
        client = http.InferenceServerClient(server.base_url.removeprefix("http://"), concurrency=8)
        module = http
    else:
        client = grpc.InferenceServerClient(server.events[-1]["grpc"])
        module = grpc
    try:
        yield Caller(module, client, request.param)
    finally:
        client.close()


def values(dtype: str, shape: tuple[int, ...]) -> Any:
    """Every kind of number that the dtype has, its ends among them."""
    size = int(np.prod(shape))
    if dtype == "bool":
        return (np.arange(size) % 3 == 0).reshape(shape)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        numbers = np.array([ends.min, ends.max, 0, 1, 7], kind)
    else:
        numbers = np.array([np.finfo(kind).max, np.finfo(kind).tiny, -0.0, 1.5, np.nan, np.inf], kind)
    return np.resize(numbers, shape)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,), (2, 2, 2)], ids=str)
@pytest.mark.parametrize("datatype", ECHOED)
def test_every_dtype(caller: Caller, datatype: str, shape: tuple[int, ...]) -> None:
    array = values(ECHOED[datatype], shape)
    result = caller.infer(ECHOED[datatype], {"x": (array, datatype)})
    back = result.as_numpy("output")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("datatype", [name for name in ECHOED if name != "FP16"])
def test_every_dtype_in_json(server: Server, datatype: str, binary_in: bool, binary_out: bool) -> None:
    array = values(ECHOED[datatype], (2, 3))
    if ECHOED[datatype].startswith("float"):
        array = np.array([[0.1, -1.5, 3e38], [1e-30, 0, 7]], ECHOED[datatype])
    with http.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        given = http.InferInput("x", [2, 3], datatype)
        given.set_data_from_numpy(array, binary_data=binary_in)
        asked = http.InferRequestedOutput("output", binary_data=binary_out)
        result = client.infer(f"{SERVICE}.{ECHOED[datatype]}", [given], outputs=[asked])
    assert ("data" in result.get_output("output")) is not binary_out
    np.testing.assert_array_equal(result.as_numpy("output"), array)


def test_strings_and_bytes(caller: Caller) -> None:
    words = np.array(["ärger", "", "日本", "x" * 5000], object)
    back = caller.infer("shout", {"words": (words, "BYTES")}).as_numpy("output")
    assert [word.decode() for word in back] == ["ÄRGER", "", "日本", "X" * 5000]
    octets = np.array([bytes(range(256))], object)
    back = caller.infer("flip", {"data": (octets, "BYTES")}).as_numpy("output")
    assert back.tolist() == [bytes(range(255, -1, -1))]


def test_several_inputs_and_outputs(caller: Caller) -> None:
    a, b = np.full((2, 4), 3, np.float32), np.full((2, 4), 1, np.float32)
    result = caller.infer("combine", {"b": (b, "FP32"), "a": (a, "FP32")}, request_id="abc")
    np.testing.assert_array_equal(result.as_numpy("total"), a + b)
    np.testing.assert_array_equal(result.as_numpy("difference"), a - b)
    response = result.get_response()
    told = caller.json(response)
    assert (told["id"], told["model_name"], told["model_version"]) == ("abc", "everything.combine", "1")


def test_only_the_outputs_that_were_asked_for(caller: Caller) -> None:
    a = np.ones((1, 4), np.float32)
    asked = [caller.module.InferRequestedOutput("difference")]
    result = caller.infer("combine", {"a": (a, "FP32"), "b": (a, "FP32")}, outputs=asked)
    assert result.as_numpy("total") is None
    np.testing.assert_array_equal(result.as_numpy("difference"), a - a)


def test_a_parameter_of_the_request_fills_one_of_the_api(caller: Caller) -> None:
    x = np.array([1.0, 2.0])
    result = caller.infer("scale", {"x": (x, "FP64")}, parameters={"factor": 2.5})
    np.testing.assert_array_equal(result.as_numpy("output"), x * 2.5)
    assert caller.infer("scale", {"x": (x, "FP64")}).as_numpy("output").tolist() == [1.0, 2.0]


def test_versions(caller: Caller) -> None:
    a = np.ones((1, 4), np.float32)
    inputs = {"x": (a, "FP32")}
    np.testing.assert_array_equal(caller.infer("double", inputs, model_version="1").as_numpy("output"), a * 2)
    with pytest.raises(InferenceServerException, match="version"):
        caller.infer("double", inputs, model_version="7")


ONE = np.ones((1, 4), np.float32)
WRONG: dict[str, tuple[str, dict[str, tuple[Any, str]], str]] = {
    "no such model": ("nope", {"x": (ONE, "FP32")}, "nope"),
    "no such input": ("double", {"y": (ONE, "FP32")}, "y"),
    "one input too many": ("double", {"x": (ONE, "FP32"), "y": (ONE, "FP32")}, "y"),
    "an input too few": ("combine", {"a": (ONE, "FP32")}, "b"),
    "wrong dtype": ("double", {"x": (np.ones((1, 4), np.float64), "FP64")}, "FP64"),
    "wrong shape": ("double", {"x": (np.ones((1, 5), np.float32), "FP32")}, "shape|5"),
    "wrong number of axes": ("double", {"x": (np.ones(4, np.float32), "FP32")}, "shape|axes|4"),
    "sizes that must agree": (
        "combine",
        {"a": (ONE, "FP32"), "b": (np.ones((2, 4), np.float32), "FP32")},
        "n",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_with_what_and_where(caller: Caller, case: str) -> None:
    api, inputs, words = WRONG[case]
    with pytest.raises(InferenceServerException, match=words) as raised:
        caller.infer(api, inputs)
    status = str(raised.value.status())
    expected = ("404",) if case == "no such model" else ("400",)
    codes = ("NOT_FOUND",) if case == "no such model" else ("INVALID_ARGUMENT",)
    assert any(word in status for word in (expected if caller.kind == "http" else codes)), status


def test_an_output_that_is_not_there(caller: Caller) -> None:
    asked = [caller.module.InferRequestedOutput("nope")]
    with pytest.raises(InferenceServerException, match="nope"):
        caller.infer("double", {"x": (ONE, "FP32")}, outputs=asked)


def test_an_error_of_the_model(caller: Caller) -> None:
    with pytest.raises(InferenceServerException) as raised:
        caller.infer("fail", {"why": (np.array(["because"], object), "BYTES")})
    assert ("500" if caller.kind == "http" else "INTERNAL") in str(raised.value.status())


def test_health_and_metadata(caller: Caller) -> None:
    client = caller.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(f"{SERVICE}.double")
    assert not client.is_model_ready(f"{SERVICE}.nope")
    assert not client.is_model_ready(f"{SERVICE}.double", "7")
    server = caller.json(client.get_server_metadata())
    assert {"binary_tensor_data", "statistics", "system_shared_memory"} <= set(server["extensions"])
    model = caller.json(client.get_model_metadata(f"{SERVICE}.combine"))
    assert model["name"] == "everything.combine"
    assert [each["name"] for each in model["inputs"]] == ["a", "b"]
    assert [each["name"] for each in model["outputs"]] == ["total", "difference"]
    assert {each["datatype"] for each in model["inputs"] + model["outputs"]} == {"FP32"}
    assert [int(size) for size in model["inputs"][0]["shape"]] == [-1, 4]
    with pytest.raises(InferenceServerException, match="nope"):
        client.get_model_metadata("nope")


def test_config(caller: Caller) -> None:
    config = caller.json(caller.client.get_model_config(f"{SERVICE}.double"))
    config = config.get("config", config)
    assert config["name"] == "everything.double"
    assert [each["data_type"] for each in config["input"]] == ["TYPE_FP32"]
    decoupled = caller.json(caller.client.get_model_config(f"{SERVICE}.count"))
    decoupled = decoupled.get("config", decoupled)
    assert decoupled["model_transaction_policy"]["decoupled"] is True


def statistics(caller: Caller, name: str) -> dict[str, Any]:
    (found,) = caller.json(caller.client.get_inference_statistics(name))["model_stats"]
    assert isinstance(found, dict)
    return found


def test_statistics_count_what_happened(caller: Caller) -> None:
    name = f"{SERVICE}.double"
    before = statistics(caller, name)
    for _ in range(3):
        caller.infer("double", {"x": (np.ones((2, 4), np.float32), "FP32")})
    with pytest.raises(InferenceServerException):
        caller.infer("double", {"x": (np.ones((2, 5), np.float32), "FP32")})
    after = statistics(caller, name)

    def grew(*path: str) -> int:
        old: Any = before
        new: Any = after
        for step in path:
            old, new = old.get(step, {}), new[step]
        return int(new) - int(old or 0)

    assert grew("inference_stats", "success", "count") == 3
    assert grew("inference_stats", "fail", "count") == 1
    assert grew("inference_stats", "success", "ns") > 0
    assert int(after["last_inference"]) > 1_600_000_000_000
    if caller.kind == "http":  # gRPC's JSON leaves zeros out
        assert {
            "queue",
            "compute_input",
            "compute_infer",
            "compute_output",
            "cache_hit",
            "cache_miss",
        } <= set(after["inference_stats"])


def test_repository(caller: Caller) -> None:
    index = caller.json(caller.client.get_model_repository_index())
    models = index if isinstance(index, list) else index["models"]
    states = {model["name"]: model["state"] for model in models}
    assert states["everything.double"] == "READY"
    caller.client.load_model(f"{SERVICE}.double")
    with pytest.raises(InferenceServerException):
        caller.client.load_model("nope")


def test_settings(caller: Caller) -> None:
    client = caller.client
    trace = caller.json(client.get_trace_settings())
    trace = trace.get("settings", trace)
    assert "trace_level" in trace
    log = caller.json(client.get_log_settings())
    log = log.get("settings", log)
    assert "log_info" in log


def test_compression(caller: Caller) -> None:
    array = np.zeros((1000, 4), np.float32)
    if caller.kind == "http":
        options: dict[str, Any] = {
            "request_compression_algorithm": "gzip",
            "response_compression_algorithm": "deflate",
        }
    else:
        options = {"compression_algorithm": "gzip"}
    back = caller.infer("double", {"x": (array, "FP32")}, **options).as_numpy("output")
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_json(server: Server, algorithm: str) -> None:
    with http.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        given = http.InferInput("x", [2, 4], "FP32")
        given.set_data_from_numpy(np.ones((2, 4), np.float32), binary_data=False)
        asked = http.InferRequestedOutput("output", binary_data=False)
        result = client.infer(
            f"{SERVICE}.double",
            [given],
            outputs=[asked],
            request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )
    assert result.as_numpy("output").tolist() == [[2.0] * 4] * 2


def test_many_at_once_get_their_own(caller: Caller) -> None:
    """The HTTP client is made for greenlets, not for threads."""
    arrays = [np.full((1, 4), number, np.float32) for number in range(200)]
    name = f"{SERVICE}.double"
    if caller.kind == "http":
        asked = [caller.client.async_infer(name, [caller.given("x", array, "FP32")]) for array in arrays]
        results = [each.get_result() for each in asked]
    else:
        with ThreadPoolExecutor(16) as pool:
            results = list(
                pool.map(lambda array: caller.client.infer(name, [caller.given("x", array, "FP32")]), arrays)
            )
    for array, result in zip(arrays, results, strict=True):
        np.testing.assert_array_equal(result.as_numpy("output"), array * 2)


def test_async_infer(caller: Caller) -> None:
    arrays = [np.full((1, 4), number, np.float32) for number in range(20)]
    name = f"{SERVICE}.double"
    if caller.kind == "http":
        asked = [caller.client.async_infer(name, [caller.given("x", array, "FP32")]) for array in arrays]
        results = [each.get_result() for each in asked]
    else:
        queue: Queue[tuple[int, Any, Any]] = Queue()
        for at, array in enumerate(arrays):
            callback: Callable[..., None] = partial(
                lambda at, result, error: queue.put((at, result, error)), at
            )
            caller.client.async_infer(name, [caller.given("x", array, "FP32")], callback)
        found = sorted((queue.get(timeout=30) for _ in arrays), key=lambda each: each[0])
        assert [error for _, _, error in found] == [None] * len(arrays)
        results = [result for _, result, _ in found]
    for array, result in zip(arrays, results, strict=True):
        np.testing.assert_array_equal(result.as_numpy("output"), array * 2)


def sleeps(folder: Path) -> list[str]:
    log = folder / "runner.log"
    return (
        [line for line in log.read_text().splitlines() if line.startswith("sleeps")] if log.exists() else []
    )


def wait_for(condition: Callable[[], bool], limit_s: float = 120.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def in_flight(server: Server) -> int:
    return int(httpx.get(f"{server.base_url}/readyz").json()["in_flight"])


def test_a_cancelled_call_never_reaches_the_model(server: Server, folder: Path) -> None:
    """The one worker sleeps for the first caller; the second hangs up while it waits."""
    with grpc.InferenceServerClient(server.events[-1]["grpc"]) as client:
        answers: Queue[Any] = Queue()

        def ask(seconds: float) -> Any:
            given = grpc.InferInput("seconds", [1], "FP64")
            given.set_data_from_numpy(np.array([seconds]))
            return client.async_infer(
                f"{SERVICE}.nap", [given], lambda result, error: answers.put((seconds, result, error))
            )

        ask(-1.0)
        assert wait_for(lambda: "sleeps -1.0" in sleeps(folder))
        waiting = ask(0.123)
        ask(0.05)
        assert wait_for(lambda: in_flight(server) == 3)
        waiting.cancel()
        assert wait_for(lambda: in_flight(server) == 2)
        (folder / "wake").touch()
        found = {
            seconds: (result, error) for seconds, result, error in (answers.get(timeout=30) for _ in "123")
        }
        assert found[-1.0][1] is None
        assert found[0.05][1] is None
        assert "CANCELLED" in str(found[0.123][1].status())
    assert wait_for(lambda: "sleeps 0.05" in sleeps(folder))
    assert "sleeps 0.123" not in sleeps(folder)


def test_a_time_out_of_the_client(server: Server) -> None:
    """The HTTP client has only a network time-out, which tells the server nothing."""
    given = grpc.InferInput("seconds", [1], "FP64")
    given.set_data_from_numpy(np.array([2.0]))
    with (
        grpc.InferenceServerClient(server.events[-1]["grpc"]) as client,
        pytest.raises(InferenceServerException) as raised,
    ):
        client.infer(f"{SERVICE}.nap", [given], client_timeout=0.3)
    assert "DEADLINE_EXCEEDED" in str(raised.value.status())


def test_streams_of_a_decoupled_model(server: Server) -> None:
    with grpc.InferenceServerClient(server.events[-1]["grpc"]) as client:
        answers: Queue[tuple[Any, Any]] = Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        to = grpc.InferInput("to", [1], "INT64")
        to.set_data_from_numpy(np.array([5]))
        client.async_stream_infer(
            f"{SERVICE}.count", [to], request_id="one", enable_empty_final_response=True
        )
        numbers = []
        while True:
            result, error = answers.get(timeout=30)
            assert error is None
            response = result.get_response()
            assert response.id == "one"
            if response.parameters["triton_final_response"].bool_param:
                break
            numbers.append(int(result.as_numpy("output").ravel()[0]))
        assert numbers == [0, 1, 2, 3, 4]
        # An error is told in the stream, which goes on.
        to.set_data_from_numpy(np.array([20]))
        client.async_stream_infer(f"{SERVICE}.count", [to], request_id="two")
        last: Any = None
        while last is None:
            _, last = answers.get(timeout=30)
        to.set_data_from_numpy(np.array([1]))
        client.async_stream_infer(f"{SERVICE}.count", [to], request_id="three")
        result, error = answers.get(timeout=30)
        assert error is None
        assert result.get_response().id == "three"
        client.stop_stream()


def test_a_decoupled_model_refuses_a_plain_call(server: Server) -> None:
    with grpc.InferenceServerClient(server.events[-1]["grpc"]) as client:
        to = grpc.InferInput("to", [1], "INT64")
        to.set_data_from_numpy(np.array([5]))
        with pytest.raises(InferenceServerException) as raised:
            client.infer(f"{SERVICE}.count", [to])
        assert "UNIMPLEMENTED" in str(raised.value.status())


def test_a_stream_of_plain_calls_keeps_their_ids(server: Server) -> None:
    with grpc.InferenceServerClient(server.events[-1]["grpc"]) as client:
        answers: Queue[tuple[Any, Any]] = Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(30):
            given = grpc.InferInput("x", [1, 4], "FP32")
            given.set_data_from_numpy(np.full((1, 4), number, np.float32))
            client.async_stream_infer(f"{SERVICE}.double", [given], request_id=str(number))
        seen = set()
        for _ in range(30):
            result, error = answers.get(timeout=30)
            assert error is None
            number = int(result.get_response().id)
            assert result.as_numpy("output").tolist() == [[number * 2.0] * 4]
            seen.add(number)
        client.stop_stream()
    assert seen == set(range(30))


def test_shared_memory(caller: Caller) -> None:
    from tritonclient.utils import shared_memory as shm

    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    name = f"/tiffin_{caller.kind}_{threading.get_native_id()}"
    region = shm.create_shared_memory_region("both", name, array.nbytes * 2)
    client = caller.client
    try:
        shm.set_shared_memory_region(region, [array])
        client.register_system_shared_memory("both", name, array.nbytes * 2)
        status = caller.json(client.get_system_shared_memory_status())
        regions = status if isinstance(status, list) else list(status["regions"].values())
        assert [each["name"] for each in regions] == ["both"]
        given = caller.module.InferInput("x", [2, 4], "FP32")
        given.set_shared_memory("both", array.nbytes)
        asked = caller.module.InferRequestedOutput("output")
        asked.set_shared_memory("both", array.nbytes, offset=array.nbytes)
        client.infer(f"{SERVICE}.double", [given], outputs=[asked])
        out = shm.get_contents_as_numpy(region, np.float32, [2, 4], offset=array.nbytes)
        np.testing.assert_array_equal(out, array * 2)
        del out
        with pytest.raises(InferenceServerException, match="already"):
            client.register_system_shared_memory("both", name, array.nbytes * 2)
        given.set_shared_memory("nope", array.nbytes)
        with pytest.raises(InferenceServerException, match="nope"):
            client.infer(f"{SERVICE}.double", [given])
        given.set_shared_memory("both", array.nbytes, offset=array.nbytes * 2)
        with pytest.raises(InferenceServerException):
            client.infer(f"{SERVICE}.double", [given])
    finally:
        client.unregister_system_shared_memory("both")
        shm.destroy_shared_memory_region(region)
    status = caller.json(client.get_system_shared_memory_status())
    assert (status if isinstance(status, list) else status.get("regions", {})) in ([], {})


def test_a_large_array(caller: Caller) -> None:
    array = np.random.default_rng(0).random((9_500_000,), np.float32)
    back = caller.infer("float32", {"x": (array, "FP32")}).as_numpy("output")
    np.testing.assert_array_equal(back, array)


def test_the_asyncio_clients(server: Server) -> None:
    import tritonclient.grpc.aio as grpc_aio
    import tritonclient.http.aio as http_aio

    array = np.ones((2, 4), np.float32)

    async def call(module: Any, address: str) -> None:
        async with module.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            given = module.InferInput("x", [2, 4], "FP32")
            given.set_data_from_numpy(array)
            results = await asyncio.gather(
                *(client.infer(f"{SERVICE}.double", [given], request_id=str(at)) for at in range(20))
            )
            for result in results:
                np.testing.assert_array_equal(result.as_numpy("output"), array * 2)
            with pytest.raises(InferenceServerException, match="nope"):
                await client.infer("nope", [given])

    asyncio.run(asyncio.wait_for(call(http_aio, server.base_url.removeprefix("http://")), 30))
    asyncio.run(asyncio.wait_for(call(grpc_aio, server.events[-1]["grpc"]), 30))


def test_a_stream_of_the_asyncio_client(server: Server) -> None:
    import tritonclient.grpc.aio as grpc_aio

    async def asked() -> AsyncIterator[dict[str, Any]]:
        to = grpc_aio.InferInput("to", [1], "INT64")
        to.set_data_from_numpy(np.array([3]))
        yield {"model_name": f"{SERVICE}.count", "inputs": [to], "request_id": "s"}

    async def numbers() -> list[int]:
        found = []
        async with grpc_aio.InferenceServerClient(server.events[-1]["grpc"]) as client:
            async for result, error in client.stream_infer(asked()):
                assert error is None
                found.append(int(result.as_numpy("output").ravel()[0]))
        return found

    assert asyncio.run(asyncio.wait_for(numbers(), 30)) == [0, 1, 2]
