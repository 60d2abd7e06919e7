"""gRPC against the real command, by the client of grpcio: inference and all else, errors, limits, the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from certificates import Authority
from grpc_service import lines, write_project
from server import Server
from waiting import until

from tiffin.runtime.grpc.messages import POOL, message

grpc = pytest.importorskip("grpc")

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
Code = grpc.StatusCode
Request, Response = message("inference.ModelInferRequest"), message("inference.ModelInferResponse")
StreamResponse = message("inference.ModelStreamInferResponse")
CallRequest, CallReply = message("tiffin.v1.CallRequest"), message("tiffin.v1.CallReply")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def where(server: Server) -> str:
    return str(server.events[-1]["grpc"])


@pytest.fixture
def channel(where: str) -> Iterator[Any]:
    with grpc.insecure_channel(where) as opened:
        yield opened


def request(name: str, *arrays: np.ndarray, inputs: tuple[str, ...] = ("x",), **fields: Any) -> bytes:
    made = Request(model_name=f"small.{name}", **fields)
    for given, array in zip(inputs, arrays, strict=True):
        made.inputs.add(name=given, datatype=NAMES[array.dtype.name], shape=array.shape)
        made.raw_input_contents.append(array.tobytes())
    return bytes(made.SerializeToString())


NAMES = {"float32": "FP32", "int8": "INT8"}


def floats(reply: bytes, dtype: str = "<f4") -> np.ndarray:
    read = Response.FromString(reply)
    (raw,) = read.raw_output_contents
    return np.frombuffer(raw, dtype).reshape(read.outputs[0].shape)


def call(channel: Any, api: str, body: Any, accept: str = "", **options: Any) -> Any:
    data = CallRequest(api=api, body=json.dumps(body).encode(), accept=accept).SerializeToString()
    return CallReply.FromString(channel.unary_unary("/tiffin.v1.Service/Call")(data, **options))


# inference


def test_requests_that_are_alike_are_not_mixed_up(channel: Any) -> None:
    """The second and third are recognised by their bytes; each gets its own answer."""
    infer = channel.unary_unary(INFER)
    for value in (1.0, 2.0, -3.5):
        x = np.full((3, 2), value, np.float32)
        assert np.array_equal(floats(infer(request("double", x))), x * 2)
    a, b = np.array([5.0, 6.0], np.float32), np.array([1.0, 2.0], np.float32)
    for first, second in ((a, b), (b, a), (b, b)):
        asked = request("both", first, second, inputs=("a", "b"))
        assert np.array_equal(floats(infer(asked)), first - second)
        swapped = request("both", first, second, inputs=("b", "a"))  # as long as the one before
        assert np.array_equal(floats(infer(swapped)), second - first)


def test_raw_contents_may_stand_anywhere_in_a_message(channel: Any) -> None:
    x = np.arange(20_000, dtype=np.float32)
    whole = Request.FromString(request("double", x))
    raw = whole.raw_input_contents.pop()
    from tiffin.runtime.grpc import wire

    first = wire.key(7, len(raw)) + raw + whole.SerializeToString()
    assert np.array_equal(floats(channel.unary_unary(INFER)(first)), x * 2)


def test_elements_that_are_written_out(channel: Any) -> None:
    made = Request(model_name="small.double")
    tensor = made.inputs.add(name="x", datatype="FP32", shape=[2, 2])
    tensor.contents.fp32_contents.extend([1.0, 2.0, 3.0, 4.0])
    reply = channel.unary_unary(INFER)(made.SerializeToString())
    assert floats(reply).tolist() == [[2.0, 4.0], [6.0, 8.0]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: made.inputs[0].contents.int_contents.append(300), "300 does not fit INT8"),
        (lambda made: made.inputs[0].contents.int64_contents.append(1), "INT8 belongs in int_contents"),
        (lambda made: made.inputs[0].contents.int_contents.extend([1, 2]), "needs 1 elements, got 2"),
        (lambda made: made.raw_input_contents.extend([b"\1", b"\2"]), "more than there are inputs"),
        (lambda made: made.inputs[0].shape.append(-1), "sizes of 0 or more"),
        (lambda made: made.outputs.add(name="nothing"), "unexpected output 'nothing'"),
        (lambda made: setattr(made.inputs[0], "datatype", "INT9"), "INT9"),
        (lambda made: None, "has no elements"),
        (lambda made: setattr(made.parameters["timeout"], "string_param", "soon"), "microseconds"),
    ],
)
def test_what_cannot_be_says_what_and_where(channel: Any, change: Any, words: str) -> None:
    made = Request(model_name="small.bytes8", id="seven")
    made.inputs.add(name="x", datatype="INT8", shape=[1])
    change(made)
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(INFER)(made.SerializeToString())
    assert failed.value.code() == Code.INVALID_ARGUMENT
    assert words in failed.value.details()
    assert failed.value.details().startswith("[request id: seven] ")
    assert " at $." in failed.value.details()


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x3a\x7f", b"\x00" * 5])
def test_bytes_that_are_no_message(channel: Any, data: bytes) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(INFER)(data)
    assert failed.value.code() == Code.INVALID_ARGUMENT


def test_errors_carry_the_problem_of_http(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(INFER)(request("dobule", np.ones(1, np.float32)))
    assert failed.value.code() == Code.NOT_FOUND
    assert "did you mean" in failed.value.details()
    trailing = dict(failed.value.trailing_metadata())
    problem = json.loads(trailing["tiffin-problem-bin"])
    assert problem["status"] == 404
    assert problem["detail"] in failed.value.details()
    assert trailing["x-request-id"] == problem["request_id"]


def test_what_the_service_raises_is_internal(channel: Any, server: Server) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "fail", {"why": "out of luck"})
    assert (failed.value.code(), failed.value.details()) == (
        Code.INTERNAL,
        "RuntimeError: out of luck",
    )
    assert "out of luck" in server.log()


def test_streams_wait_for_nobody_and_say_which_is_last(channel: Any) -> None:
    def asked() -> Iterator[bytes]:
        for number, to in enumerate((3, 13, 2)):
            made = Request(model_name="small.count", id=str(number))
            made.parameters["to"].int64_param = to
            made.parameters["triton_enable_empty_final_response"].bool_param = True
            yield made.SerializeToString()

    replies = [StreamResponse.FromString(each) for each in channel.stream_stream(STREAM)(asked())]
    by_id: dict[str, list[Any]] = {"0": [], "1": [], "2": []}
    for reply in replies:
        by_id[reply.infer_response.id].append(reply)
    for request_id, to in (("0", 3), ("2", 2)):
        *items, last = by_id[request_id]
        values = [np.frombuffer(each.infer_response.raw_output_contents[0], "<i8")[0] for each in items]
        assert values == list(range(to))
        assert not any(each.infer_response.parameters["triton_final_response"].bool_param for each in items)
        assert last.infer_response.parameters["triton_final_response"].bool_param
        assert not last.infer_response.outputs
    assert by_id["1"][-1].error_message == "ValueError: thirteen"
    assert len(by_id["1"]) == 14


def test_replies_of_a_stream_come_in_the_order_of_its_requests(channel: Any) -> None:
    def asked() -> Iterator[bytes]:
        for number, seconds in enumerate((0.2, 0.0, 0.1, 0.0)):
            made = Request(model_name="small.wait", id=str(number))
            made.parameters["seconds"].double_param = seconds
            yield made.SerializeToString()

    replies = [StreamResponse.FromString(each) for each in channel.stream_stream(STREAM)(asked())]
    assert [each.infer_response.id for each in replies] == ["0", "1", "2", "3"]
    assert all(each.infer_response.parameters["triton_final_response"].bool_param for each in replies)


def test_errors_end_a_stream_that_asks_for_statuses(channel: Any) -> None:
    asked = iter([request("double", np.ones(1, np.float32)), request("nope", np.ones(1, np.float32))])
    replies = channel.stream_stream(STREAM)(asked, metadata=(("triton_grpc_error", "true"),))
    with pytest.raises(grpc.RpcError) as failed:
        list(replies)
    assert failed.value.code() == Code.NOT_FOUND


# deadlines, cancellation


def test_a_cancelled_call_stops_its_api(channel: Any, folder: Path) -> None:
    begun, before = lines(folder).count("waits"), lines(folder).count("cancelled")
    data = CallRequest(api="wait", body=b'{"seconds": 60}').SerializeToString()
    waiting = channel.unary_unary("/tiffin.v1.Service/Call").future(data)
    until(lambda: lines(folder).count("waits") > begun)
    waiting.cancel()
    until(lambda: lines(folder).count("cancelled") > before)


def test_a_deadline_reaches_the_queue(channel: Any, folder: Path) -> None:
    """The worker is busy; what waits for it longer than its caller is never computed."""
    busy = channel.unary_unary("/tiffin.v1.Service/Call").future(
        CallRequest(api="nap", body=b'{"seconds": -1}').SerializeToString()
    )
    until(lambda: "nap -1" in lines(folder))
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "nap", {"seconds": 0.125}, timeout=0.3)
    assert failed.value.code() == Code.DEADLINE_EXCEEDED
    (folder / "wake").touch()
    assert busy.result()
    assert call(channel, "nap", {"seconds": 0.0625}).body  # behind it in the queue
    assert "nap 0.125" not in lines(folder)
    assert "nap 0.0625" in lines(folder)


def test_the_deadline_of_the_server_comes_back_as_a_status(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "wait", {"seconds": 60}, metadata=(("x-request-timeout", "0.1"),))
    assert failed.value.code() == Code.DEADLINE_EXCEEDED
    assert "longer than 0.1 s" in failed.value.details()


# tiffin.v1


def test_calls_with_the_bodies_of_http(channel: Any) -> None:
    reply = call(channel, "double", {"x": [[1, 2]]})
    assert (reply.media_type, json.loads(reply.body)) == ("application/json", [[2.0, 4.0]])
    reply = call(channel, "double", {"x": [1]}, accept="application/x-npy")
    assert reply.media_type == "application/x-npy"
    assert reply.body.startswith(b"\x93NUMPY")
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "double", {"y": 1})
    assert failed.value.code() == Code.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "count", {"to": 1})
    assert "tiffin.v1.Service/Stream" in failed.value.details()


def test_metadata_are_the_headers_of_the_api(channel: Any, folder: Path) -> None:
    data = CallRequest(api="greet", body=b'{"name": "ann"}').SerializeToString()
    ask = channel.unary_unary("/tiffin.v1.Service/Call")
    reply, answered = ask.with_call(data, metadata=(("x-user", "bob"), ("x-request-id", "mine-1")))
    assert json.loads(CallReply.FromString(reply).body) == "hello ann bob"
    assert dict(answered.initial_metadata())["x-greeted"] == "ann"
    assert dict(answered.trailing_metadata())["x-request-id"] == "mine-1"
    assert "route /tiffin.v1.Service/Call/greet" in lines(folder)


def test_each_item_of_a_stream_is_a_message(channel: Any) -> None:
    stream = channel.unary_stream("/tiffin.v1.Service/Stream")
    data = CallRequest(api="count", body=b'{"to": 3}').SerializeToString()
    replies = [CallReply.FromString(each) for each in stream(data)]
    assert [(reply.media_type, reply.body) for reply in replies] == [
        ("application/json", b"0"),
        ("application/json", b"1"),
        ("application/json", b"2"),
    ]
    data = CallRequest(api="count", body=b'{"to": 13}').SerializeToString()
    seen = []
    with pytest.raises(grpc.RpcError) as failed:
        for each in stream(data):
            seen.append(each)  # noqa: PERF402 - it ends with an error
    assert len(seen) == 13
    assert (failed.value.code(), failed.value.details()) == (Code.INTERNAL, "ValueError: thirteen")


def test_the_schema_is_that_of_http(channel: Any, server: Server) -> None:
    import httpx

    reply = channel.unary_unary("/tiffin.v1.Service/Schema")(b"")
    document = message("tiffin.v1.SchemaReply").FromString(reply).openapi
    assert json.loads(document) == httpx.get(f"{server.base_url}/schema").json()


# health, reflection


def test_health(channel: Any) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "inference.GRPCInferenceService", "tiffin.v1.Service", "small.double"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == 1
    with pytest.raises(grpc.RpcError) as failed:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert failed.value.code() == Code.NOT_FOUND
    watching = stub.Watch(health_pb2.HealthCheckRequest())
    assert next(watching).status == 1
    watching.cancel()
    unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nope"))
    assert next(unknown).status == 3
    unknown.cancel()


def test_reflection_tells_of_every_service(channel: Any) -> None:
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "tiffin.v1.Service",
        "grpc.reflection.v1.ServerReflection",
    } < services
    pool = DescriptorPool(database)
    for name in services:
        assert pool.FindServiceByName(name).methods
    infer = pool.FindMethodByName("inference.GRPCInferenceService.ModelInfer")
    assert infer.input_type.fields_by_name["raw_input_contents"].number == 7
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("inference.Nothing")


def test_reflection_by_its_newer_name(channel: Any) -> None:
    asked = message("grpc.reflection.v1.ServerReflectionRequest")
    answered = message("grpc.reflection.v1.ServerReflectionResponse")
    ask = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    (reply,) = ask(iter([asked(file_containing_symbol="inference.ModelConfig").SerializeToString()]))
    read = answered.FromString(reply).file_descriptor_response
    assert POOL.FindFileByName("model_config.proto").serialized_pb in read.file_descriptor_proto


def test_a_method_that_there_is_not(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/inference.GRPCInferenceService/Nothing")(b"")
    assert failed.value.code() == Code.UNIMPLEMENTED


# compression, size, both ports


@pytest.mark.parametrize("coding", ["Gzip", "Deflate"])
def test_compressed_both_ways(channel: Any, coding: str) -> None:
    x = np.zeros(100_000, np.float32)
    compression = getattr(grpc.Compression, coding)
    reply = channel.unary_unary(INFER)(request("double", x), compression=compression)
    assert np.array_equal(floats(reply), x)


@pytest.mark.parametrize("coding", ["identity", "br"])
def test_what_names_a_coding_without_using_it_is_answered_plainly(server: Server, coding: str) -> None:
    x = np.ones(3, np.float32)
    data = request("double", x)
    fields = {"content-type": "application/grpc", "grpc-encoding": coding, "grpc-accept-encoding": coding}
    with httpx.Client(http1=False, http2=True, timeout=90) as client:
        for path in (INFER, "/grpc.health.v1.Health/Check"):
            message = data if path == INFER else b""
            body = b"\0" + len(message).to_bytes(4, "big") + message
            answer = client.post(server.base_url + path, content=body, headers=fields)
            assert answer.status_code == 200
            assert answer.content[0] == 0
            if path == INFER:
                assert np.array_equal(floats(answer.content[5:]), x * 2)


def test_many_at_once(channel: Any) -> None:
    infer = channel.unary_unary(INFER)

    def one(number: int) -> bool:
        x = np.full(number % 7 + 1, number, np.float32)
        return bool(np.array_equal(floats(infer(request("double", x))), x * 2))

    with futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(400)))


def test_the_port_of_http_speaks_grpc_too(server: Server) -> None:
    with grpc.insecure_channel(server.base_url.removeprefix("http://")) as channel:
        assert json.loads(call(channel, "double", {"x": [1]}).body) == [2.0]


def test_a_body_above_the_limit(folder: Path) -> None:
    with (
        Server(folder, "--max-body-mb", "1") as server,
        grpc.insecure_channel(server.events[-1]["grpc"]) as channel,
    ):
        infer = channel.unary_unary(INFER)
        big = request("double", np.zeros(1_000_000, np.float32))
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            with pytest.raises(grpc.RpcError) as failed:
                infer(big, compression=compression)
            assert failed.value.code() == Code.RESOURCE_EXHAUSTED
        small = np.ones(1000, np.float32)
        assert np.array_equal(floats(infer(request("double", small))), small * 2)


# tokens, TLS


def test_tokens(folder: Path) -> None:
    tokens = {"TIFFIN_AUTH_TOKENS": "shop s3cret-for-predictions-only predict"}
    with (
        Server(folder, environ=tokens) as server,
        grpc.insecure_channel(server.events[-1]["grpc"]) as channel,
    ):
        infer = channel.unary_unary(INFER)
        asked = request("double", np.ones(1, np.float32))
        right = (("authorization", "Bearer s3cret-for-predictions-only"),)
        wrong = (("authorization", "Bearer s3cret-for-predictions-onlx"),)
        assert floats(infer(asked, metadata=right)).tolist() == [2.0]
        for metadata in (None, wrong):
            for path in (INFER, "/tiffin.v1.Service/Call", "/tiffin.v1.Service/Schema"):
                with pytest.raises(grpc.RpcError) as failed:
                    channel.unary_unary(path)(asked, metadata=metadata)
                assert failed.value.code() == Code.UNAUTHENTICATED, path
            with pytest.raises(grpc.RpcError) as failed:
                list(channel.stream_stream(STREAM)(iter([asked]), metadata=metadata))
            assert failed.value.code() == Code.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelUnload")(b"", metadata=right)
        assert failed.value.code() == Code.PERMISSION_DENIED
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"") == b"\x08\x01"  # open to all


def test_tls(folder: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    cert, key = authority.issue("localhost")
    with Server(folder, "--tls-cert", cert, "--tls-key", key) as server:
        where = server.events[-1]["grpc"]
        trusted = grpc.ssl_channel_credentials(Path(authority.file).read_bytes())
        with grpc.secure_channel(where, trusted) as channel:
            assert json.loads(call(channel, "double", {"x": [1]}).body) == [2.0]
        with grpc.insecure_channel(where) as channel, pytest.raises(grpc.RpcError) as failed:
            call(channel, "double", {"x": [1]}, timeout=90)
        assert failed.value.code() == Code.UNAVAILABLE


# the end


def test_a_reload_loses_no_call(folder: Path) -> None:
    """Callers go on while another generation takes over and the one before says goodbye."""
    import os
    import signal

    with (
        Server(folder) as server,
        grpc.insecure_channel(server.events[-1]["grpc"]) as channel,
    ):
        infer, over = channel.unary_unary(INFER), threading.Event()
        asked = request("double", np.ones(2, np.float32))

        def on() -> int:
            answered = 0
            while not over.is_set():
                assert floats(infer(asked)).tolist() == [2.0, 2.0]
                answered += 1
            return answered

        with futures.ThreadPoolExecutor(4) as pool:
            callers = [pool.submit(on) for _ in range(4)]
            try:
                os.kill(server.pid, signal.SIGHUP)
                server.wait_event("reloaded")
            finally:
                over.set()
            assert sum(each.result() for each in callers) > 0


def test_idle_streams_do_not_hold_up_the_end(folder: Path) -> None:
    from queue import Queue

    with (
        Server(folder, "--drain-s", "600") as server,
        grpc.insecure_channel(server.events[-1]["grpc"]) as channel,
    ):
        waiting: Queue[bytes] = Queue()
        waiting.put(request("double", np.ones(1, np.float32)))
        replies = channel.stream_stream(STREAM)(iter(waiting.get, b"over"))
        watching = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert StreamResponse.FromString(next(replies)).infer_response.raw_output_contents
        assert next(watching) == b"\x08\x01"
        assert server.stop() == 0
        with pytest.raises(grpc.RpcError) as failed:
            next(replies)
        assert failed.value.code() == Code.UNAVAILABLE
        assert list(watching) == [b"\x08\x02"]
        waiting.put(b"over")


def test_no_grpc(folder: Path) -> None:
    with Server(folder, "--no-grpc") as server:
        assert server.events[-1]["grpc"] == ""
