"""ModelInfer in one process: what the client of grpcio gets, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensor_service
from http_server import running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiffin.errors import InvalidInputError
from tiffin.runtime.grpc import wire
from tiffin.runtime.grpc.infer_calls import InferCalls
from tiffin.runtime.grpc.infer_plans import Plans
from tiffin.runtime.grpc.message_reader import PREFIX, MessageReader, packed
from tiffin.runtime.grpc.messages import message
from tiffin.runtime.http.serving import Serving

grpc = pytest.importorskip("grpc")

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
StreamResponse = message("inference.ModelStreamInferResponse")
Request, Response = message("inference.ModelInferRequest"), message("inference.ModelInferResponse")


def with_client(folder: Path, talk: Callable[[Any, Any], Awaitable[None]]) -> None:
    async def both() -> None:
        async with (
            running(tensor_service.state(folder, grpc_addresses=["here"])) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            await talk(server, channel.unary_unary(INFER))

    asyncio.run(both())


def request(model: str, **tensors: np.ndarray) -> bytes:
    made = Request(model_name=model)
    for name, array in tensors.items():
        made.inputs.add(name=name, datatype="FP32", shape=array.shape)
        made.raw_input_contents.append(array.tobytes())
    return bytes(made.SerializeToString())


def first_float_api(server: Any) -> tuple[str, str, tuple[int, ...]]:
    """An endpoint with one FP32 input: its name, the input's, a shape for it."""
    for endpoint in server.state.serving.endpoints.all:
        specs = endpoint.inputs.specs
        if len(specs) == 1 and specs[0].datatype == "FP32" and not endpoint.stream:
            return endpoint.name, specs[0].name, tuple(2 if size < 0 else size for size in specs[0].shape)
    raise AssertionError("the service has no such api")


def test_calls_leave_no_cycles_behind(tmp_path: Path) -> None:
    """The collector is told to look rarely: what a call leaves would stay for long."""

    async def talk(server: Any, infer: Any) -> None:
        name, tensor, shape = first_float_api(server)
        asked = request(name, **{tensor: np.ones(shape, np.float32)})
        await infer(asked)
        gc.collect()
        gc.disable()
        try:
            before = _left()
            for _ in range(100):
                await infer(asked)
            assert _left() - before < 10
        finally:
            gc.enable()

    def _left() -> int:
        kinds = ("InferCall", "Stream", "RequestContext")
        return sum(type(each).__name__ in kinds for each in gc.get_objects())

    with_client(tmp_path, talk)


def test_the_same_bytes_around_other_numbers_are_one_plan(tmp_path: Path) -> None:
    async def plans() -> None:
        serving = Serving.of(tensor_service.state(tmp_path))
        server = type("Running", (), {"state": serving.state})
        name, tensor, shape = first_float_api(server)
        known = Plans(serving, INFER)
        one = known.of(request(name, **{tensor: np.zeros(shape, np.float32)}))
        assert known.of(request(name, **{tensor: np.ones(shape, np.float32)})) is one
        larger = np.ones((shape[0] + 1, *shape[1:]), np.float32)
        assert known.of(request(name, **{tensor: larger})) is not one
        named = Request.FromString(request(name, **{tensor: np.zeros(shape, np.float32)}))
        named.id = "7"
        assert known.of(named.SerializeToString()) is not known.of(named.SerializeToString())

    asyncio.run(plans())


def test_requests_that_come_once_are_not_kept(tmp_path: Path) -> None:
    """Numbers that are written out are part of their plan: it must go with the call."""

    async def kept() -> None:
        serving = Serving.of(tensor_service.state(tmp_path))
        name, tensor, shape = first_float_api(type("Running", (), {"state": serving.state}))
        calls = InferCalls(serving, Plans(serving, INFER))
        head: Any = SimpleNamespace(kept={}, authorization=None, metadata=[], timeout_s=None)
        written = Request(model_name=name)
        given = written.inputs.add(name=tensor, datatype="FP32", shape=shape)
        given.contents.fp32_contents.extend([1.0] * int(np.prod(shape)))
        calls.head(head, written.SerializeToString())
        assert head.kept == {}
        raw = request(name, **{tensor: np.ones(shape, np.float32)})
        assert calls.head(head, raw) is calls.head(head, raw)
        assert len(head.kept) == 1

    asyncio.run(kept())


@pytest.mark.parametrize("contents", [True, False])
def test_an_axis_of_size_0_hides_no_shape_that_no_array_has(tmp_path: Path, contents: bool) -> None:
    async def ask() -> None:
        serving = Serving.of(tensor_service.state(tmp_path))
        name, tensor, _ = first_float_api(type("Running", (), {"state": serving.state}))
        made = Request(model_name=name)
        given = made.inputs.add(name=tensor, datatype="FP32", shape=[0, 2**62, 2**62])
        if contents:
            given.contents.SetInParent()
        sent = made.SerializeToString()
        with pytest.raises(InvalidInputError):
            Plans(serving, INFER).of(sent).asked(sent)

    asyncio.run(ask())


async def held(serving: Serving, *fields: tuple[bytes, bytes], path: str = INFER) -> tuple[Any, Any]:
    """A call whose answer goes nowhere, and its stream."""
    head = [(b":method", b"POST"), (b":path", path.encode()), (b"content-type", b"application/grpc"), *fields]
    stream: Any = SimpleNamespace(connection=SimpleNamespace(peer=""), refused=[])
    stream.refuse = stream.refused.append
    return serving.door.open(stream, serving.door.head(head)), stream


def test_the_same_of_all_other_calls(tmp_path: Path) -> None:
    async def count() -> None:
        serving = Serving.of(tensor_service.state(tmp_path))
        for path in ("/tiffin.v1.Service/Call", STREAM):
            call, stream = await held(serving, path=path)
            call.data(PREFIX.pack(0, 1_000_000) + bytes(400_000))
            assert serving.bodies.held_bytes == 400_005
            call.data(bytes(600_000))
            assert serving.bodies.held_bytes == (0 if path == STREAM else 1_000_000)
            call.lost()
            assert serving.bodies.held_bytes == 0
            serving.bodies.limit_bytes = 500_000
            first, _ = await held(serving, path=path)
            second, stream = await held(serving, path=path)
            for each in (first, second):
                each.data(PREFIX.pack(0, 1_000_000) + bytes(400_000))
            assert len(stream.refused) == 1
            first.lost()
            second.lost()
            assert serving.bodies.held_bytes == 0
            serving.bodies.limit_bytes = None

    asyncio.run(count())


def test_what_has_come_is_counted_before_it_is_whole(tmp_path: Path) -> None:
    async def count() -> None:
        serving = Serving.of(tensor_service.state(tmp_path))
        call, _ = await held(serving)
        call.data(PREFIX.pack(0, 1_000_000) + bytes(400_000))
        assert serving.bodies.held_bytes == 400_005
        call.data(bytes(100_000))
        assert serving.bodies.held_bytes == 500_005
        call.lost()
        assert serving.bodies.held_bytes == 0
        serving.bodies.limit_bytes = 500_000
        one, other = await held(serving), await held(serving)
        for each, _ in (one, other):
            each.data(PREFIX.pack(0, 1_000_000) + bytes(400_000))
        assert (len(one[1].refused), len(other[1].refused)) == (0, 1)
        one[0].data(bytes(600_000))  # it is no request, and over
        one[0].end()
        assert serving.bodies.held_bytes == 0

    asyncio.run(count())


def test_messages_are_unpacked_one_at_a_time() -> None:
    packed_ones = packed(bytes(1_000_000), b"gzip") * 50
    reader = MessageReader(2_000_000, b"gzip")
    messages = list(reader.feed(packed_ones))
    assert sum(len(message) for _, message in messages) < 100_000
    assert [reader.unpacked(message) for message in messages[:2]] == [bytes(1_000_000)] * 2


def test_a_token_that_ends_ends_the_stream(tmp_path: Path) -> None:
    async def talk() -> None:
        tokens = "shop a-token-of-the-tests predict 2033-05-18"
        state = tensor_service.state(tmp_path, grpc_addresses=["here"], auth_tokens=tokens)
        async with (
            running(state) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            name, tensor, shape = first_float_api(server)
            asked = request(name, **{tensor: np.ones(shape, np.float32)})
            shown = (("authorization", "Bearer a-token-of-the-tests"),)
            call = channel.stream_stream(STREAM)(metadata=shown)
            await call.write(asked)
            assert StreamResponse.FromString(await call.read()).error_message == ""
            serving: Any = server.state.serving
            serving.guard._clock = lambda: 4e9
            await call.write(asked)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call.read()
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(talk())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_no_bytes_are_a_failure_of_the_server(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    from tiffin.errors import RequestError

    serving = _serving(tmp_path_factory)
    try:
        Plans(serving, INFER).of(data).asked(data)
    except RequestError as error:
        assert error.status < 500


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_message_is_a_failure_of_the_server(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Well-formed messages with anything in them, for endpoints that there are."""
    from tiffin.errors import RequestError

    serving = _serving(tmp_path_factory)
    names = [endpoint.name for endpoint in serving.endpoints.all]
    made = Request(model_name=data.draw(st.sampled_from(names)))
    inputs = data.draw(st.integers(0, 3))
    for _ in range(inputs):
        given = made.inputs.add(
            name=data.draw(st.sampled_from(["x", "a", "b", "flowers", ""])),
            datatype=data.draw(st.sampled_from(["FP32", "INT8", "BYTES", "BF16", "BOOL", "no"])),
            shape=data.draw(st.lists(st.integers(-1, 2**40), max_size=3)),
        )
        if data.draw(st.booleans()):
            given.contents.int_contents.extend(data.draw(st.lists(st.integers(-300, 300), max_size=3)))
        if data.draw(st.booleans()):
            given.parameters["shared_memory_region"].string_param = "r"
    made.raw_input_contents.extend(data.draw(st.lists(st.binary(max_size=16), max_size=3)))
    if data.draw(st.booleans()):
        made.outputs.add(name="output").parameters["classification"].int64_param = data.draw(
            st.integers(-1, 3)
        )
    sent = made.SerializeToString()
    try:
        Plans(serving, INFER).of(sent).asked(sent)
    except RequestError as error:
        assert error.status < 500 or error.status == 501


_MADE: list[Serving] = []


def _serving(folders: pytest.TempPathFactory) -> Serving:
    if not _MADE:

        async def make() -> Serving:
            return Serving.of(tensor_service.state(folders.mktemp("state")))

        _MADE.append(asyncio.run(make()))
    return _MADE[0]


# wire


@given(
    parts=st.lists(st.binary(max_size=300), max_size=5),
    name=st.text(max_size=5),
    where=st.integers(0, 5),
)
def test_what_is_cut_out_and_the_rest_are_the_message(parts: list[bytes], name: str, where: int) -> None:
    other = Request(model_name=name, id="x" * 200).SerializeToString()
    fields = [wire.key(7, len(part)) + part for part in parts]
    fields.insert(min(where, len(fields)), other)
    whole = b"".join(fields)
    rest, spans = wire.cut_out(whole, 7)
    assert rest == other
    assert [whole[begin:end] for begin, end in spans] == parts
    assert list(Request.FromString(whole).raw_input_contents) == parts


@given(data=st.binary(max_size=64))
def test_bytes_that_protobuf_refuses_are_refused(data: bytes) -> None:
    from google.protobuf.message import DecodeError

    from tiffin.errors import MalformedInputError

    try:
        rest, spans = wire.cut_out(data, 7)
    except MalformedInputError:
        return
    assert len(rest) <= len(data)
    assert all(0 <= begin <= end <= len(data) for begin, end in spans)
    try:
        read = Request.FromString(data)
    except DecodeError:
        return
    assert list(read.raw_input_contents) == [data[begin:end] for begin, end in spans]
