"""Load over gRPC: h2load (Debian package `nghttp2-client`) sends the same message again and again.

gRPC is HTTP/2: a client in C that knows nothing of it but the five bytes in front of a message costs the
machine least. It counts answers of HTTP status 200, which failed calls have too: one call is checked before,
and the bytes of all answers after.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import numpy as np
from payloads import ARRAY
from wrk import Load

from tiffin.runtime.grpc.message_reader import packed
from tiffin.runtime.grpc.messages import message

if TYPE_CHECKING:
    from protocols import Way
    from served import Served

CONNECTIONS, STREAMS = 8, 8
"""64 calls at a time, as the other protocols have; callers of gRPC share connections."""
INFER = "/inference.GRPCInferenceService/ModelInfer"
CALL = "/tiffin.v1.Service/Call"
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def infer_request(model: str, name: str, array: np.ndarray[Any, Any]) -> bytes:
    """As tritonclient sends it."""
    request = message("inference.ModelInferRequest")(model_name=model)
    request.inputs.add(name=name, datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.tobytes())
    data: bytes = request.SerializeToString()
    return data


@dataclass(frozen=True)
class Hammer:
    """Calls one method as fast as answers come.

    Args:
        connections: of it; `streams` calls at a time on each.
    """

    path: str
    request: bytes
    connections: int = CONNECTIONS
    streams: int = STREAMS

    def __call__(self, served: Served, seconds: int) -> Load:
        return h2load(served.url, self, seconds, self._reply_bytes(served))

    def _reply_bytes(self, served: Served) -> int:
        """Of one answer, which must be one."""
        with grpc.insecure_channel(urlsplit(served.url).netloc) as channel:
            return len(channel.unary_unary(self.path)(self.request)) + 5

    @cached_property
    def body(self) -> bytes:
        return packed(self.request)


def h2load(url: str, hammer: Hammer, seconds: int, reply_bytes: int) -> Load:
    """One run."""
    if shutil.which("h2load") is None:
        raise SystemExit("h2load is not installed: apt-get install nghttp2-client")
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(hammer.body)
        text = subprocess.run(
            [
                *("h2load", "-t", "1", "-D", str(seconds), "-d", str(body), "--log-file", str(log)),
                *("-c", str(hammer.connections), "-m", str(hammer.streams)),
                *("-H", "content-type: application/grpc", "-H", "te: trailers", f"{url}{hammer.path}"),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        times_us = np.array([int(line.split()[2]) for line in log.read_text().splitlines()] or [0])
    return parse(text, reply_bytes, times_us)


def parse(text: str, reply_bytes: int, times_us: np.ndarray[Any, Any]) -> Load:
    """
    Args:
        reply_bytes: of one answer that is right; answers that are shorter count as errors.
        times_us: of every request.
    """
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)
    total = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    traffic = re.search(r"headers \(.*\), .*\((\d+)\) data", text)
    if rate is None or total is None or traffic is None:
        raise SystemExit(f"h2load said something unexpected:\n{text}")
    done = int(total[1])
    right = min(int(total[2]), int(traffic[1]) // reply_bytes)
    return Load(
        requests_per_s=float(rate[1]) * right / max(done, 1),
        requests=right,
        errors=done - right,
        p50_ms=float(np.percentile(times_us, 50)) / 1000,
        p99_ms=float(np.percentile(times_us, 99)) / 1000,
    )


def grpc_ways() -> list[Way]:
    """The rows of `protocols.py`; its model takes `x`, `float32[n, 4]`."""
    from payloads import npy
    from protocols import NPY, ROW, Way

    call = message("tiffin.v1.CallRequest")(api="double", media_type=NPY, body=npy(ROW), accept=NPY)
    infer = infer_request("tiny.double", "x", ROW)
    return [
        Way("gRPC inference", Hammer(INFER, infer), bar_per_s=10_000),
        Way("gRPC inference, 64 connections", Hammer(INFER, infer, 64, 1)),
        Way("gRPC tiffin.v1 npy", Hammer(CALL, call.SerializeToString())),
    ]


def large_trip(served: Served) -> float:
    """Seconds of one trip of 38 MB over gRPC with grpcio's client, from message to message."""
    options = (*_UNLIMITED, ("grpc.use_local_subchannel_pool", 1))
    request = infer_request("tiny.same", "x", ARRAY)
    with grpc.insecure_channel(urlsplit(served.url).netloc, options) as channel:
        grpc.channel_ready_future(channel).result(30)
        began = perf_counter()
        reply = channel.unary_unary(INFER)(request)
        taken = perf_counter() - began
    answer = message("inference.ModelInferResponse").FromString(reply)
    if not np.array_equal(
        np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(ARRAY.shape), ARRAY
    ):
        raise SystemExit("gRPC gave another array back")
    return taken
