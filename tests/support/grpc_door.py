"""`tiffin.v1.Service` and the health service in front of an HTTP server, for clients' tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures
from types import TracebackType
from typing import Any

import grpc
import httpx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES = {
    "CallRequest": {"api": (1, 9), "media_type": (2, 9), "body": (3, 12), "accept": (4, 9)},
    "CallReply": {"media_type": (1, 9), "body": (2, 12)},
    "SchemaReply": {"openapi": (1, 12)},
}
_CODES = {422: "INVALID_ARGUMENT", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="door.proto", package="door", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"door.{name}"))
        for name in _MESSAGES
    }


CLASSES = _classes()


class GrpcDoor:
    """A gRPC server; `url` is what a client is given.

    Args:
        base_url: of the HTTP server behind.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)
        schema = self._http.get("/schema").json()
        self._routes = {methods["post"]["operationId"]: route for route, methods in schema["paths"].items()}
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "tiffin.v1.Service",
                    {
                        "Call": grpc.unary_unary_rpc_method_handler(self._call),
                        "Stream": grpc.unary_stream_rpc_method_handler(self._stream),
                        "Schema": grpc.unary_unary_rpc_method_handler(self._schema),
                    },
                ),
                grpc.method_handlers_generic_handler(
                    "grpc.health.v1.Health",
                    {"Check": grpc.unary_unary_rpc_method_handler(lambda *_: b"\x08\x01")},
                ),
            )
        )
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> GrpcDoor:  # noqa: PYI034 - Self came with 3.11
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()
        self._http.close()

    def _schema(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        made: bytes = CLASSES["SchemaReply"](openapi=self._http.get("/schema").content).SerializeToString()
        return made

    def _call(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        answer = self._ask(message, context)
        return _reply(answer.headers["content-type"], answer.content)

    def _stream(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        answer = self._ask(message, context)
        if not answer.headers["content-type"].startswith("text/event-stream"):
            yield _reply(answer.headers["content-type"], answer.content)
            return
        for event in answer.content.split(b"\n\n")[:-1]:
            if event.startswith(b"event: error"):
                self._refuse(event.partition(b"data: ")[2], {}, context)
            if event.startswith(b"data: "):
                yield _reply("application/json", event.removeprefix(b"data: "))

    def _ask(self, message: bytes, context: grpc.ServicerContext) -> httpx.Response:
        request = CLASSES["CallRequest"].FromString(message)
        headers = {
            name: value
            for name, value in context.invocation_metadata()
            if name.startswith("x-") or name in ("traceparent", "authorization")
        }
        headers |= {"content-type": request.media_type, "accept": request.accept}
        headers["x-request-timeout"] = f"{context.time_remaining():.3f}"
        answer = self._http.post(self._routes[request.api], content=request.body, headers=headers)
        if answer.status_code >= 300:
            self._refuse(answer.content, answer.headers, context)
        return answer

    def _refuse(self, problem: bytes, headers: Any, context: grpc.ServicerContext) -> None:
        document = json.loads(problem)
        trailing = [("tiffin-problem-bin", problem)]
        if "retry-after" in headers:
            trailing.append(("retry-after", headers["retry-after"]))
        context.set_trailing_metadata(trailing)
        code = getattr(grpc.StatusCode, _CODES.get(document["status"], "INTERNAL"))
        context.abort(code, document["detail"])


def _reply(media_type: str, body: bytes) -> bytes:
    made: bytes = CLASSES["CallReply"](media_type=media_type, body=body).SerializeToString()
    return made
