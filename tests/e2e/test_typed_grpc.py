"""A served project called with nothing but its `service.proto`, as a program in another language would."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np
import protoc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from projects import write
from server import Server

from tiffin.bundler.build import build

SERVICE = '''
import asyncio
import dataclasses
import enum
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import tiffin
from jaxtyping import Float32


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Flower:
    """One flower."""

    name: str
    petals: Float32[np.ndarray, "4"]
    colour: Colour = Colour.RED
    inner: "Flower | None" = None


@tiffin.service(name="flower-shop")
class FlowerShop:
    """Sells flowers."""

    @tiffin.api
    def scale(self, flowers: Float32[np.ndarray, "n 4"], factor: float = 2.0) -> Float32[np.ndarray, "n 4"]:
        return flowers * np.float32(factor)

    @tiffin.api
    async def echo(self, flower: Flower, times: int) -> list[Flower]:
        tiffin.request_context().response_headers["x-seen"] = flower.name
        return [flower] * times

    @tiffin.api
    async def count(self, upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number
        if upto == 3:
            raise tiffin.errors.InvalidInputError("three is too few", path="$.upto")

    @tiffin.api
    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @tiffin.api
    async def total(self, numbers: AsyncIterator[int], start: int) -> int:
        return start + sum([number async for number in numbers])

    @tiffin.api
    async def running(self, numbers: AsyncIterator[float], factor: float = 1.0) -> AsyncIterator[float]:
        async for number in numbers:
            yield number * factor

    @tiffin.api
    def raw(self, x: msgspec.Raw) -> None: ...
'''


class Shop(NamedTuple):
    server: Server
    channel: Any
    messages: ModuleType
    stub: Any


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        made = build(write(folder / "project", {"service.py": SERVICE}), lock=False)
        text = (made.path / "apis/service.proto").read_text()
        messages, service = protoc.python_modules(text, folder, "flower_shop_of_test")
        with (
            Server(made.path) as server,
            grpc.insecure_channel(server.events[-1]["grpc"], OPTIONS) as channel,
        ):
            yield Shop(server, channel, messages, service.FlowerShopStub(channel))


OPTIONS = [("grpc.max_receive_message_length", -1)]


def array(tensor: Any) -> np.ndarray[Any, Any]:
    return np.frombuffer(tensor.data, tensor.dtype).reshape(tensor.shape)


def test_arrays_there_and_back(shop: Shop) -> None:
    sent = np.arange(8, dtype="<f4").reshape(2, 4)
    tensor = shop.messages.Tensor(dtype="float32", shape=sent.shape, data=sent.tobytes())
    reply = shop.stub.Scale(shop.messages.ScaleRequest(flowers=tensor))
    assert (array(reply.result) == sent * 2).all()
    by_hand = shop.messages.Tensor(numbers=[1, 2, 3, 4])
    reply = shop.stub.Scale(shop.messages.ScaleRequest(flowers=by_hand, factor=0.5))
    assert array(reply.result).tolist() == [[0.5, 1, 1.5, 2]]


def test_a_large_array(shop: Shop) -> None:
    sent = np.ones((500_000, 4), "<f4")
    tensor = shop.messages.Tensor(shape=sent.shape, data=sent.tobytes())
    reply = shop.stub.Scale(shop.messages.ScaleRequest(flowers=tensor, factor=3))
    assert (array(reply.result) == 3).all()


def test_classes_there_and_back(shop: Shop) -> None:
    flower = shop.messages.Flower(
        name="rose",
        petals={"dtype": "float32", "shape": [4], "data": np.ones(4, "<f4").tobytes()},
        colour="COLOUR_BLUE",
        inner={"name": "bud", "petals": {"numbers": [1, 2, 3, 4]}},
    )
    reply, call = shop.stub.Echo.with_call(shop.messages.EchoRequest(flower=flower, times=2))
    assert len(reply.result) == 2
    assert reply.result[0] == reply.result[1]
    found = reply.result[0]
    assert (found.name, found.colour, found.inner.name) == ("rose", shop.messages.COLOUR_BLUE, "bud")
    assert found.inner.colour == shop.messages.COLOUR_RED
    assert array(found.inner.petals).tolist() == [1, 2, 3, 4]
    assert ("x-seen", "rose") in call.initial_metadata()


def test_streams(shop: Shop) -> None:
    assert [reply.result for reply in shop.stub.Count(shop.messages.CountRequest(upto=5))] == [0, 1, 2, 3, 4]
    replies = shop.stub.Count(shop.messages.CountRequest(upto=3))
    seen = []
    with pytest.raises(grpc.RpcError) as caught:
        seen.extend(reply.result for reply in replies)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "three is too few at $.upto" in caught.value.details()


def test_items_come_in_while_the_api_runs(shop: Shop) -> None:
    request = shop.messages.RunningRequest
    said: Queue[Any] = Queue()
    replies = shop.stub.Running(iter(said.get, None), timeout=60)
    said.put(request(factor=2))
    for number in (1.5, 2.5):
        said.put(request(numbers=[number]))
        assert next(replies).result == number * 2
    said.put(None)
    assert list(replies) == []


def test_one_reply_to_many_messages(shop: Shop) -> None:
    request = shop.messages.TotalRequest
    assert (
        shop.stub.Total(iter([request(start=10, numbers=[1, 2]), request(numbers=[3]), request()])).result
        == 16
    )
    assert shop.stub.Total(iter([request(start=10)])).result == 10
    assert shop.stub.Total(iter(())).result == 0


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"numbers": [math.nan]}, "expected a finite number, got nan at $.numbers[1]"),
        ({"factor": 3}, "only the first message may have it at $.factor"),
    ],
)
def test_what_is_wrong_with_a_later_message(shop: Shop, later: dict[str, Any], words: str) -> None:
    request = shop.messages.RunningRequest
    with pytest.raises(grpc.RpcError) as caught:
        list(shop.stub.Running(iter([request(numbers=[1]), request(**later)])))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, words)


@pytest.mark.parametrize(
    ("flower", "path"),
    [
        ({"name": "x"}, "$.flower.petals"),
        ({"name": "x", "petals": {"numbers": [1, 2]}}, "$.flower.petals"),
        ({"name": "x", "petals": {"numbers": [1, 2, 3, 4]}, "colour": 7}, "$.flower.colour"),
        (None, "$.flower"),
    ],
)
def test_errors_are_those_of_json(shop: Shop, flower: dict[str, Any] | None, path: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shop.stub.Echo(shop.messages.EchoRequest(flower=flower))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    problem = json.loads(dict(caught.value.trailing_metadata())["tiffin-problem-bin"])
    assert problem["status"] == 422
    assert problem["path"].startswith(path)
    assert problem["instance"] == "/flower_shop.FlowerShop/Echo"


def test_bytes_that_are_no_message(shop: Shop) -> None:
    call = shop.channel.unary_unary("/flower_shop.FlowerShop/Echo")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "no flower_shop.EchoRequest" in caught.value.details()


def test_deadlines_reach_the_api(shop: Shop) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shop.stub.Wait(shop.messages.WaitRequest(seconds=60), timeout=0.2)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_reflection_is_enough_to_call(shop: Shop) -> None:
    """As grpcurl does it: no file, only the server."""
    known = ProtoReflectionDescriptorDatabase(shop.channel)
    assert "flower_shop.FlowerShop" in known.get_services()
    pool = descriptor_pool.DescriptorPool(known)
    method = pool.FindServiceByName("flower_shop.FlowerShop").FindMethodByName("Scale")
    request = message_factory.GetMessageClass(method.input_type)
    reply = message_factory.GetMessageClass(method.output_type)
    call = shop.channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=reply.FromString,
    )
    found = call(request(flowers={"numbers": [1, 2, 3, 4]}))
    assert array(found.result).tolist() == [[2, 4, 6, 8]]


def test_calls_are_counted_like_all_others(shop: Shop) -> None:
    shop.stub.Wait(shop.messages.WaitRequest())
    text = httpx.get(f"{shop.server.base_url}/metrics").text
    assert 'route="/flower_shop.FlowerShop/Wait"' in text


IRIS = """
import numpy as np
import tiffin
from jaxtyping import Float32


@tiffin.service
class Iris:
    @tiffin.api
    async def classify(self, flowers: Float32[np.ndarray, "n 4"]) -> list[str]:
        return ["setosa" if flower[2] < 2 else "other" for flower in flowers]
"""
EXAMPLE = Path(__file__).parents[2] / "examples/iris_sklearn/call_grpc.py"


def test_the_example_calls_a_server_it_knows_nothing_of(tmp_path: Path) -> None:
    with Server(write(tmp_path, {"service.py": IRIS})) as server:
        said = subprocess.run(
            [sys.executable, str(EXAMPLE), server.events[-1]["grpc"]],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert said.stdout == "classify       ['setosa', 'other', 'other']\n", said.stderr


def test_tokens_are_asked_for(tmp_path: Path) -> None:
    tokens = "shop a-token-for-predicting predict; ops a-token-for-numbers metrics"
    folder = write(tmp_path, {"service.py": IRIS})
    with (
        Server(folder, environ={"TIFFIN_AUTH_TOKENS": tokens}) as server,
        grpc.insecure_channel(server.events[-1]["grpc"]) as channel,
    ):
        classify = channel.unary_unary("/iris.Iris/Classify")
        body = b"\x0a\x22\x22\x20" + np.ones(4).tobytes()  # a Tensor of four numbers
        codes = []
        for token in ("", "Bearer a-token-for-numbers"):
            with pytest.raises(grpc.RpcError) as caught:
                classify(body, metadata=[("authorization", token)] if token else [])
            codes.append(caught.value.code())
        assert codes == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
        reply = classify(body, metadata=[("authorization", "Bearer a-token-for-predicting")])
    assert reply == b"\x0a\x06setosa"
