"""The same tiny model by every protocol of one server, in interleaved rounds; and 38 MB there and back.

    python benchmarks/protocols.py [--rounds 5] [--seconds 3] [options of bundle serve]

Loopback, load generator on the same cores, 64 connections. The model doubles four float32 in a worker: what
differs between the rows is the protocol. `benchmarks/grpc_load.py` is the load over gRPC, where there is one.

The bars: 12,000 requests/s as inference JSON and 10,000 in binary; 38 MB in under 0.3 s.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from payloads import ARRAY, from_npy, npy
from report import Report
from served import Served
from wrk import Load, wrk

SERVICE = """
import numpy as np
from jaxtyping import Float32

import tiffin


class Doubler:
    @tiffin.batch(max_size=64)
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return 2 * x


class Echo:
    def same(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        return x


@tiffin.service
class Tiny:
    doubler = tiffin.runner(Doubler, threads=1)
    echo = tiffin.runner(Echo, threads=1)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)

    @tiffin.api
    async def same(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        return await self.echo.same(x)
"""
CONNECTIONS = 64
ROW = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
NPY = "application/x-npy"
JSON = "application/json"
HEADER_LENGTH = "Inference-Header-Content-Length"
LARGE_TIMES = 7
LARGE_BAR_S = 0.3


@dataclass(frozen=True)
class Way:
    """One protocol in one form."""

    title: str
    hammer: Callable[[Served, int], Load]
    """Asks as fast as answers come, for so many seconds."""
    bar_per_s: int = 0


@dataclass
class Figures:
    loads: list[Load] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """Of all processes of the server, a request."""

    @property
    def per_s(self) -> float:
        return statistics.median(load.requests_per_s for load in self.loads)


def over_http(
    path: str, body: bytes, content_type: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Served, int], Load]:
    def hammer(served: Served, seconds: int) -> Load:
        return wrk(
            served.url + path,
            body,
            connections=CONNECTIONS,
            seconds=seconds,
            content_type=content_type,
            headers=headers,
        )

    return hammer


def infer_json(array: np.ndarray[Any, Any]) -> bytes:
    """As most clients write it: with spaces, rows nested."""
    tensor = {"name": "x", "shape": array.shape, "datatype": "FP32", "data": array.tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def infer_binary(array: np.ndarray[Any, Any]) -> tuple[bytes, dict[str, str]]:
    """Body and headers, as tritonclient sends them."""
    size = {"binary_data_size": array.nbytes}
    tensor = {"name": "x", "shape": array.shape, "datatype": "FP32", "parameters": size}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + array.tobytes(), {HEADER_LENGTH: str(len(head))}


def ways() -> list[Way]:
    path = "/v2/models/tiny.double/infer"
    native = json.dumps({"x": ROW.tolist()}).encode()
    binary, headers = infer_binary(ROW)
    found = [
        Way("native JSON", over_http("/double", native, JSON)),
        Way("native npy", over_http("/double", npy(ROW), NPY, {"accept": NPY})),
        Way("inference JSON", over_http(path, infer_json(ROW), JSON), bar_per_s=12_000),
        Way(
            "inference binary",
            over_http(path, binary, "application/octet-stream", headers),
            bar_per_s=10_000,
        ),
    ]
    try:
        from grpc_load import grpc_ways
    except ImportError:
        return found
    return [*found, *grpc_ways()]


def measure(served: Served, found: list[Way], rounds: int, seconds: int) -> dict[str, Figures]:
    """Each way once a round, the order turned by one from round to round."""
    figures = {way.title: Figures() for way in found}
    for way in found:
        way.hammer(served, 1)
    for number in range(rounds):
        turn = number % len(found)
        for way in [*found[turn:], *found[:turn]]:
            print(f"  round {number + 1} of {rounds}: {way.title}", file=sys.stderr, flush=True)
            before = served.cpu_s()
            load = way.hammer(served, seconds)
            figures[way.title].loads.append(load)
            figures[way.title].cpu_us.append((served.cpu_s() - before) * 1e6 / max(load.requests, 1))
    return figures


def large(served: Served) -> dict[str, list[float]]:
    """Seconds of each trip of 38 MB to a worker and back, by way, in turns."""
    binary, headers = infer_binary(ARRAY)
    octets = "application/octet-stream"
    trips: dict[str, tuple[str, bytes, dict[str, str]]] = {
        "native npy": ("/same", npy(ARRAY), {"content-type": NPY, "accept": NPY}),
        "inference binary": ("/v2/models/tiny.same/infer", binary, {"content-type": octets, **headers}),
    }
    seconds: dict[str, list[float]] = {title: [] for title in trips}
    address = urlsplit(served.url)
    for turn in range(LARGE_TIMES + 1):
        for title, (path, body, fields) in trips.items():
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
            connection.connect()
            began = perf_counter()
            connection.request("POST", path, body, fields)
            answer = connection.getresponse()
            content = answer.read()
            taken = perf_counter() - began
            connection.close()
            if answer.status != 200 or not np.array_equal(array_in(content, answer), ARRAY):
                raise SystemExit(f"{title}: {answer.status} {content[:200]!r}")
            if turn:  # the first one warms
                seconds[title].append(taken)
        try:
            from grpc_load import large_trip
        except ImportError:
            continue
        taken = large_trip(served)
        if turn:
            seconds.setdefault("gRPC inference", []).append(taken)
    return seconds


def array_in(content: bytes, answer: http.client.HTTPResponse) -> np.ndarray[Any, Any]:
    start = answer.getheader(HEADER_LENGTH)
    if start is None:
        return from_npy(content)
    return np.frombuffer(content, np.float32, offset=int(start)).reshape(ARRAY.shape)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    chosen, options = parser.parse_known_args()
    found = ways()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "service.py").write_text(SERVICE)
        with Served(scratch, *options, home=folder / "home") as served:
            figures = measure(served, found, chosen.rounds, chosen.seconds)
            trips = large(served)
    return told(found, figures, trips)


def told(found: list[Way], figures: dict[str, Figures], trips: dict[str, list[float]]) -> int:
    """Prints and keeps everything; 1 when a bar is missed."""
    report = Report("protocols")
    report.section(f"Requests a second at {CONNECTIONS} connections")
    first = figures[found[0].title]
    rows, missed = [], []
    for way in found:
        one = figures[way.title]
        rates = [load.requests_per_s for load in one.loads]
        ratios = [mine / native.requests_per_s for mine, native in zip(rates, first.loads, strict=True)]
        if one.per_s < way.bar_per_s:
            missed.append(f"{way.title}: {one.per_s:,.0f} a second, asked {way.bar_per_s:,}")
        rows.append(
            [
                way.title,
                f"{one.per_s:,.0f}",
                f"{min(rates):,.0f} to {max(rates):,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{statistics.median(load.p50_ms for load in one.loads):.2f}",
                f"{statistics.median(load.p99_ms for load in one.loads):.2f}",
                f"{statistics.median(one.cpu_us):.0f}",
                str(sum(load.errors for load in one.loads)),
            ]
        )
    report.table(["way", "median", "rounds", "× native", "p50, ms", "p99, ms", "CPU, µs", "errors"], rows)
    report.section(f"{ARRAY.nbytes / 1e6:.0f} MB of float32 to a worker and back")
    report.table(
        ["way", "median, s", "least", "most"],
        [
            [title, f"{statistics.median(s):.3f}", f"{min(s):.3f}", f"{max(s):.3f}"]
            for title, s in trips.items()
        ],
    )
    missed += [
        f"{title}: {statistics.median(s):.3f} s, asked {LARGE_BAR_S}"
        for title, s in trips.items()
        if statistics.median(s) > LARGE_BAR_S
    ]
    report.lines([f"missed: {'; '.join(missed)}" if missed else "every bar met"])
    raw = {
        title: {**asdict(one), "loads": [asdict(load) for load in one.loads]}
        for title, one in figures.items()
    }
    report.keep({"ways": raw, "large_s": trips})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
