"""What happens when the head of a call has come: who may not call is told at once, and nothing is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensor_service
from http_server import running

from tiffin.runtime.auth.tokens import MANAGE, METRICS, PREDICT
from tiffin.runtime.grpc import services
from tiffin.runtime.grpc.message_reader import PREFIX
from tiffin.runtime.grpc.messages import message
from tiffin.runtime.http.serving import Serving

grpc = pytest.importorskip("grpc")

TOKENS = """
shop shop-token-of-the-tests predict
ops  root-token-of-the-tests manage,metrics
"""
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
StreamResponse, Request = (
    message("inference.ModelStreamInferResponse"),
    message("inference.ModelInferRequest"),
)


async def opened(serving: Serving, path: str, *fields: tuple[bytes, bytes]) -> tuple[Any, Any]:
    """A call whose head has come, and its stream, whose answers go nowhere."""
    head = [(b":method", b"POST"), (b":path", path.encode()), (b"content-type", b"application/grpc"), *fields]
    stream: Any = SimpleNamespace(connection=SimpleNamespace(peer=""), refused=[], closed=False)
    stream.refuse = stream.refused.append
    return serving.door.open(stream, serving.door.head(head)), stream


def test_who_may_not_call_is_refused_before_anything_else_has_come(tmp_path: Path) -> None:
    async def ask() -> None:
        serving = Serving.of(tensor_service.state(tmp_path, auth_tokens=TOKENS))
        scopes = {path: rpc.scope for path, rpc in services.rpcs(serving).items()}
        assert {PREDICT, MANAGE, METRICS, ""} == set(scopes.values())
        shown = {
            "": (),
            "shop": ((b"authorization", b"Bearer shop-token-of-the-tests"),),
            "root": ((b"authorization", b"Bearer root-token-of-the-tests"),),
            "nobody": ((b"authorization", b"Bearer some-token-of-the-tests"),),
        }
        allowed = {"": set(), "shop": {PREDICT}, "root": {MANAGE, METRICS}, "nobody": set()}
        for path, scope in scopes.items():
            for who, fields in shown.items():
                call, stream = await opened(serving, path, *fields)
                refused = bool(scope) and scope not in allowed[who]
                assert len(stream.refused) == refused, (path, who)
                stream.closed = True
                call.lost()  # it never ran on
        assert serving.bodies.held_bytes == 0

    asyncio.run(ask())


def test_open_are_only_the_questions_of_load_balancers(tmp_path: Path) -> None:
    async def ask() -> None:
        serving = Serving.of(tensor_service.state(tmp_path, auth_tokens=TOKENS))
        free = {path for path, rpc in services.rpcs(serving).items() if not rpc.scope}
        inference = "/inference.GRPCInferenceService"
        assert free == {
            f"{inference}/ServerLive", f"{inference}/ServerReady", WATCH, "/grpc.health.v1.Health/Check"
        }  # fmt: skip

    asyncio.run(ask())


def test_a_caller_with_a_token_is_counted_as_before(tmp_path: Path) -> None:
    async def ask() -> None:
        serving = Serving.of(tensor_service.state(tmp_path, auth_tokens=TOKENS))
        fields = (b"authorization", b"Bearer shop-token-of-the-tests")
        call, stream = await opened(serving, INFER, fields)
        call.data(PREFIX.pack(0, 1_000_000) + bytes(400_000))
        assert not stream.refused
        assert serving.bodies.held_bytes == 400_005
        call.lost()

    asyncio.run(ask())


def test_the_log_names_what_was_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def ask() -> None:
        state = tensor_service.state(tmp_path, auth_tokens=TOKENS, access_log=True)
        serving = Serving.of(state)
        await opened(serving, STREAM)
        await opened(serving, "/no.such/\x1b[31mMethod")
        serving.close()
        [line] = capfd.readouterr().err.splitlines()
        assert f"GRPC {STREAM} 401" in line

    asyncio.run(ask())


def test_a_watcher_is_told_when_something_changes(tmp_path: Path) -> None:
    async def watch() -> None:
        state = tensor_service.state(tmp_path, grpc_addresses=["here"])
        async with (
            running(state) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            call = channel.unary_stream(WATCH)(b"")
            assert await call.read() == SERVING
            state.changes.tell()  # of something else: nothing is said twice
            state.ready = False
            state.changes.tell()
            assert await call.read() == NOT_SERVING
            state.ready = True
            state.changes.tell()
            assert await call.read() == SERVING
            state.ready, state.draining = False, True
            state.changes.tell()
            assert await call.read() == NOT_SERVING
            assert await call.read() is grpc.aio.EOF

    asyncio.run(watch())


def test_a_stream_is_answered_to_the_last_request_before_the_server_stops(tmp_path: Path) -> None:
    async def stop() -> None:
        state = tensor_service.state(tmp_path, grpc_addresses=["here"])
        async with (
            running(state) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            endpoint = next(
                each
                for each in state.serving.endpoints.all  # type: ignore[union-attr]
                if len(each.inputs.specs) == 1 and each.inputs.specs[0].datatype == "FP32" and not each.stream
            )
            shape = tuple(2 if size < 0 else size for size in endpoint.inputs.specs[0].shape)
            asked = Request(model_name=endpoint.name)
            asked.inputs.add(name=endpoint.inputs.specs[0].name, datatype="FP32", shape=shape)
            asked.raw_input_contents.append(np.ones(shape, np.float32).tobytes())
            call = channel.stream_stream(STREAM)()
            many = 200  # more than are worked on together
            for _ in range(many):
                await call.write(asked.SerializeToString())
            assert StreamResponse.FromString(await call.read()).error_message == ""
            state.draining = True
            state.changes.tell()
            for _ in range(many - 1):
                assert StreamResponse.FromString(await call.read()).error_message == ""
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call.read()
            assert ended.value.code() == grpc.StatusCode.UNAVAILABLE

    asyncio.run(stop())
